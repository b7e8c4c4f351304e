//! Events that were not made by a request: forks, merges, gaps.

pub mod forge;
mod gaps;
mod histories;
mod merges;
mod naive;
mod receive;

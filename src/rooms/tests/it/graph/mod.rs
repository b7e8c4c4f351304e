//! Events that were not made by a request: forks, merges, gaps.

pub mod forge;
mod gaps;
mod histories;
mod merges;
mod moments;
mod naive;
mod receive;
mod told;

//! The directory over the memory engine.
#![expect(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a test that cannot go on should stop")]

mod hierarchy;
mod listing;
mod people;
mod publishing;
mod summary;
mod support;

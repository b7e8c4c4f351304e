//! Rooms over the memory engine.

mod concurrency;
mod create;
mod events;
mod faults;
mod history;
mod rules;
mod signing;
mod support;
mod sync;
mod transactions;

//! The store over the memory engine, with its faults.

mod commit;
mod ids;
mod open;
mod support;
mod tail;
mod unknown;

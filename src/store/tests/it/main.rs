//! The store over the memory engine, with its faults.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod claims;
mod commit;
mod crash;
mod epoch;
mod hints;
mod ids;
mod leases;
mod nodes;
mod open;
mod patience;
mod queues;
mod support;
mod tail;
mod timers;
mod unknown;

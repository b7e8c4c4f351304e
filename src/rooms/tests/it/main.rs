//! Rooms over the memory engine.
#![expect(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a test that cannot go on should stop")]

mod aliases;
mod concurrency;
mod create;
mod events;
mod faults;
mod graph;
mod history;
mod hooks;
mod membership;
mod profiles;
mod receipts;
mod redaction;
mod relations;
mod renewal;
mod rules;
mod settings;
mod shares;
mod signing;
mod support;
mod sync;
mod transactions;
mod upgrade;
mod versions;

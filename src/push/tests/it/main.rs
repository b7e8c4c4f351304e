//! Unread counts over the memory engine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod changes;
mod classes;
mod costs;
mod counts;
mod gateways;
mod histories;
mod naive;
mod notices;
mod pushers;
mod support;

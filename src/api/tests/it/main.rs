//! The HTTP interfaces, in process, over the memory engine.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what only tests call")]

mod server;

mod aliases;
mod discovery;
mod ephemeral;
mod errors;
mod faults;
mod filters;
mod garbage;
mod headers;
mod log;
mod lost;
mod malformed;
mod rooms;
mod session;
mod sync;

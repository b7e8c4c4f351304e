//! The Wardstead homeserver, put together: command line, configuration, wiring, listeners, logs, shutdown.
//!
//! The binary is one call of [`cli::run`]. As a library it lets a test run several servers in one process: nothing here is
//! global but logs and signals, which [`cli`] alone asks for.

pub mod cli;
pub mod config;
pub mod server;

mod ask_health;
mod backup;
mod banner;
mod control;
mod data;
mod health;
mod init;
mod listen;
mod logging;
mod metrics;
mod observe;
mod policy;
mod restore;
mod signals;
mod verify;

pub use policy::Policy;

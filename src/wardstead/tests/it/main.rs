//! The tree, the command, and the server as a process.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod backup;
mod command;
mod complement;
mod container;
mod database;
mod limits;
mod observe;
mod process;
mod readme;
mod scripts;
mod tidy;

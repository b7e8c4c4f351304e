//! The tree, the command, and the server as a process.

mod command;
mod process;
mod readme;
mod scripts;
mod tidy;

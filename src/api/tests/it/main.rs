//! The HTTP interfaces, in process, over the memory engine.

mod server;

mod discovery;
mod errors;
mod faults;
mod filters;
mod garbage;
mod headers;
mod malformed;
mod session;

//! The HTTP interfaces, in process, over the memory engine.

mod server;

mod errors;
mod headers;

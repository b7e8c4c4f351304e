//! What the tests from outside share: a server process that can be started, stopped and killed, an HTTP client that knows
//! the handful of endpoints they use, the log of the shim, and seeded choices.
//!
//! A test never sleeps to wait for the server: it waits for a condition, within a bound that only a fault exceeds.

pub mod check;
pub mod client;
pub mod command;
pub mod device;
pub mod environment;
pub mod loss;
pub mod nodes;
pub mod postgres;
pub mod process;
pub mod reader;
pub mod rng;
pub mod scratch;
pub mod server;
pub mod shim;
pub mod user;
pub mod writer;

pub use client::{Answer, Http};
pub use device::Device;
pub use loss::Loss;
pub use nodes::Nodes;
pub use postgres::Postgres;
pub use reader::{Message, Reader};
pub use rng::Rng;
pub use scratch::Scratch;
pub use server::{Launch, Server};
pub use shim::SyncLog;
pub use user::{Sent, User};
pub use writer::{Load, Writer};

//! Every bound of the server, with its unit and the reason for the number (promise P6), and the two things that would
//! otherwise be ambient: time ([`Clock`]) and randomness ([`Rng`]) (promise P9).
//!
//! A number that bounds a cache, queue, page, retry, body or wait stands in a module of this crate and nowhere else; its
//! name ends in its unit. `tests/tidy.rs` of the binary crate holds the tree to that.

mod clock;
mod rate;
mod rng;

pub mod accounts;
pub mod api;
pub mod directory;
pub mod e2ee;
pub mod engine;
pub mod ephemeral;
pub mod images;
pub mod media;
pub mod own_data;
pub mod postgres;
pub mod profiles;
pub mod push;
pub mod pushers;
pub mod rates;
pub mod rooms;
pub mod sliding;
pub mod store;
pub mod sync;
pub mod wardstead;

pub use clock::{Clock, ManualClock, SystemClock};
pub use rate::Rate;
pub use rng::{OsRng, Rng, SeededRng};

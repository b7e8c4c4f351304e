//! Sync: what a client has not been sent yet.
//!
//! A response is built for one position P that the tail has reached, reads nothing above P, and advertises P. Sections
//! answer from their own rows, keyed by position; no section reads the journal. When any of them cannot be read the
//! request fails: a token never moves past something its client was not sent (promise P3).
//!
//! The way of an incremental sync: which rooms changed since the token comes from the store's change window (or, for a
//! token from before its floor, from the heads of the user's rooms); whose membership changed comes from the user's own
//! log. The number of reads grows with what changed, never with the number of joined rooms.
//!
//! Typing and presence have no position: what a client was told of them is a digest and two seconds in its token, so that any
//! node can go on ([`ephemeral`]).

mod changes;
mod device_lists;
mod ephemeral;
mod error;
mod filter;
mod gappy;
mod ignored;
mod joined;
mod key_counts;
mod lazy;
mod members;
mod merged;
mod own;
mod presence;
mod receipts;
mod recent;
mod response;
mod room;
mod rooms;
mod shape;
mod shared;
mod shown;
mod sliding;
mod to_device;
mod typing;
mod unread;
mod wait;

pub use device_lists::DeviceLists;
pub use error::SyncError;
pub use filter::SyncFilter;
pub use response::StateName;
pub use sliding::{ConnectionKeeper, SlidingBody, SlidingForm, SlidingRequest};
pub use wait::{SyncRequest, Syncer};

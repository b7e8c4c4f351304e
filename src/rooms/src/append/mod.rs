//! Appending events: promise P2, one event (with all that follows from it) is one batch.
//!
//! A request takes its turn in the room, builds on the *pending head* (the committed one, or that of the last batch that is
//! still queued), queues its batch, gives the turn back and waits for durability. The batches of a room form a chain by the
//! version of the head. When one is refused, all that follow are refused too and build again.
//!
//! Lock order: the room's turn (async), then the chain (never held across an await).

mod build;
mod chain;
mod complete;
mod effects;
mod follow;
mod layer;
mod made;
mod members;
mod names;
mod share;
mod turn;

pub(crate) use build::{Author, Build};
pub(crate) use chain::{Chains, head_key};
pub(crate) use made::{Added, Made, Wish};
pub(crate) use turn::{Act, append, begin, submit};

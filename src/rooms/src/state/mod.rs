//! State of a room: a map from state keys to events, both as short ids, kept as immutable snapshots.
//!
//! A snapshot is a *base* and a small sorted *delta*. A base is a list of sorted *chunks*. A full delta is merged into new
//! chunks where it changes something; all other chunks are shared with the base before. So a change of state costs a
//! delta, and two snapshots differ in what their deltas and their unshared chunks say, whatever the size of the room.
//!
//! [`snapshot`], [`merge`] and [`diff`] are pure; [`store`] loads what they need.

mod diff;
pub(crate) mod key;
mod merge;
mod snapshot;
pub(crate) mod store;
#[cfg(test)]
mod tests;

pub use diff::Change;
pub use snapshot::Entry;

pub(crate) use diff::{View, diff, needed_chunks};
pub(crate) use merge::{Piece, merge, touched_chunks};
pub(crate) use snapshot::{Base, Chunk, ChunkRef, Chunks, Snapshot};
pub(crate) use store::{Local, Part, StateStore};

//! The graph of events (Matrix specification, Server-Server API, PDUs, Room State Resolution): what other servers, or tests,
//! put into it below the API. Statuses, gaps and what follows from a merge: `docs/design/11-graph.md`.
//!
//! All work here is done on the committed head of a room: a received event waits, with the room's turn in its hand, until
//! what is queued has settled. Its batch takes its place in the room's chain like that of a local event.

mod ask;
mod attach;
mod chains;
mod check;
mod current;
mod gaps;
mod grapher;
mod judged;
mod local;
mod receive;
mod resolve;
mod scratch;
mod verdict;

pub(crate) use grapher::Grapher;
pub use receive::{Incoming, Received, StatedState};

//! Reading rooms: who may ([`access`]), what each event's time allows ([`sight`]), state, members, history.
//!
//! The rows of a timeline are read for clients in [`timeline`] alone, and everything that shows an event takes a [`Seen`], which only a
//! [`Sight`] gives.

mod access;
mod bundle;
mod context;
mod erased;
mod filter;
mod lookup;
mod messages;
mod moment;
mod places;
mod related;
mod relations;
mod sight;
mod state;
mod threads;
mod timeline;

pub use access::{Access, Reach};
pub use context::Context;
pub use filter::{EventFilter, matches};
pub use messages::{Messages, MessagesPage};
pub use relations::{Relations, RelationsPage};
pub use sight::{Seen, Sight};
pub use threads::{Threads, ThreadsPage};
pub use timeline::{Asked, Slice};

//! Reading rooms: who may ([`access`]), what each event's time allows ([`sight`]), state, members, history.

mod access;
mod filter;
mod lookup;
mod messages;
mod sight;
mod state;

pub use access::{Access, Reach};
pub use filter::{EventFilter, matches};
pub(crate) use messages::before;
pub use messages::{Messages, MessagesPage};
pub use sight::Sight;

//! What stands between domain code and an engine: typed tables, the committer, the journal's tail, the change window, the
//! notifier, tokens and short ids.
//!
//! The way of a write: a part builds a [`wardstead_engine::Batch`] with its typed [`Table`]s and hands it to
//! [`Store::submit`]; the committer drains what waits into one group, the engine makes it durable, the submission
//! resolves. The way of news: the tail reads the journal, moves the change window and wakes the users concerned.
//!
//! A table's owner is the only part that names it. Numbers of tables: store 0x010–0x01f, accounts 0x020–0x03f, rooms
//! 0x040–0x07f, identity 0x080–0x08f, sync 0x090–0x097, e2ee 0x0a0–0x0bf, directory 0x0c0–0x0cf, media 0x0d0–0x0df, push
//! 0x0e0–0x0ff.

mod commit;
mod contribute;
mod envelope;
mod epochs;
mod error;
mod figures;
mod herald;
mod hint;
mod ids;
pub mod kind;
mod lease;
mod nodes;
mod notify;
mod open;
mod start;
mod store;
mod table;
mod tail;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod token;
mod watch;
mod window;
mod work;

pub use commit::Submission;
pub use contribute::{CommitContributor, Contribution, Contributors, Overlaid, Overlay};
pub use envelope::{Envelope, UnknownEnvelope};
pub use epochs::{Epochs, Reach};
pub use error::{OpenError, StoreError};
pub use figures::Figures;
pub use lease::{Held, LEASE_LOST, Leases};
pub use nodes::Node;
pub use notify::{Audience, Listener, Woken};
pub use store::{Status, Store};
pub use table::{Found, Row, Table};
pub use token::{PageToken, SlidingPos, SyncToken, TimelineToken, Token, TokenCodec, TokenError};
pub use watch::Watcher;
pub use window::Changes;
pub use work::{Claim, Fired, Handled, Queue, QueueHandler, TimerHandler, Timers};

#[doc(hidden)]
pub use table::postcard_row;

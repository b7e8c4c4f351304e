//! The ordered key-value engine: what Wardstead needs of a disk or a database, in six methods.
//!
//! Domain code reads, builds a [`Batch`] and commits it with assertions. There are no interactive transactions and no
//! snapshots: a read gives a *floor* ([`Engine::get_many`]), and what must be read as of a position is keyed by position.
//!
//! What every engine does alike stands here as functions without I/O: [`plan`] decides who wins in a group and fills
//! position slots, [`value`] seals and opens values, [`lease`] decides who holds a lease. An engine fetches what they ask
//! for and writes what they return.

mod batch;
pub mod bus;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "conformance")]
pub mod counting;
mod engine;
mod epoch;
mod error;
#[cfg(feature = "conformance")]
pub mod faulty;
pub mod journal;
mod key;
pub mod lease;
pub mod plan;
mod read;
pub mod system;
pub mod value;
pub mod verify;

pub use batch::{Assertion, Batch, Expect, InvalidBatch, Losing, PositionSlot, Urgency, Write};
pub use bus::{Bus, BusError, BusMessage, LocalBus, Topic};
pub use engine::{Engine, EngineLimits, Group, GroupOutcome, Outcome, Writer};
pub use error::EngineError;
pub use journal::{JournalEntry, JournalRow};
pub use key::{AccessPattern, Key, KeyBuilder, KeyReader, KeySlot, KeyTemplate, PREFIX_BYTES, TableId};
pub use lease::{Lease, LeaseRequest};
pub use read::{Page, PageBuilder, PageLimit, ScanRange, check_get};
pub use value::Cell;

/// A place in the journal: total order of everything durable that a client can see, the same on every node, without
/// holes. 0 is before the first entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// Before the first entry.
    pub const ZERO: Self = Self(0);

    /// The position that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

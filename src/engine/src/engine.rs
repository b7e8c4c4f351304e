//! The trait.

use std::sync::Arc;

use async_trait::async_trait;
use wardstead_limits::engine as limits;

use crate::{
    Batch, Cell, EngineError, InvalidBatch, Key, Lease, LeaseRequest, Losing, Page, PageLimit, Position, ScanRange,
};

/// An ordered key-value engine with a journal. Every method may be called from any task at any time.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// The cells under `keys`, in their order; `None` where there is no row.
    ///
    /// `at` is a floor, not a snapshot: every commit up to `at` is visible, later ones may be. At most
    /// [`limits::GET_KEYS`] keys.
    ///
    /// # Errors
    /// `Unavailable` when `at` is above the newest position or the storage fails, `Busy`, `Corrupt` naming the first row
    /// whose checksum is wrong.
    async fn get_many(&self, at: Position, keys: &[Key]) -> Result<Vec<Option<Cell>>, EngineError>;

    /// One page of the rows in `range`. A page carries its resume key; no cursor outlives the call.
    ///
    /// # Errors
    /// As [`Self::get_many`].
    async fn scan(&self, at: Position, range: &ScanRange, page: PageLimit) -> Result<Page, EngineError>;

    /// Commits the batches in order, durably, in one step: winners together, losers reported one by one.
    ///
    /// # Errors
    /// `Conflict` when the epoch is another one, `Invalid`, `Busy` and `Unavailable` when nothing was written, `Unknown`
    /// when nobody can say; dropping the future is `Unknown` too.
    async fn commit_group(&self, group: Group) -> Result<GroupOutcome, EngineError>;

    /// The newest visible journal position. Every journal row up to it is visible; none is added below it later.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn position(&self) -> Result<Position, EngineError>;

    /// Takes, renews or gives back a lease. `None`: somebody else holds it.
    ///
    /// # Errors
    /// As [`Self::commit_group`].
    async fn lease(&self, request: LeaseRequest) -> Result<Option<Lease>, EngineError>;

    /// What a batch and a group may hold.
    fn limits(&self) -> EngineLimits;
}

/// Who wrote a group: stands in every journal row, so that a commit of unknown outcome can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Writer {
    /// Random number of the node's process.
    pub incarnation: u64,
    /// Number of the group within the process.
    pub group: u64,
}

/// Batches that are committed in one step.
#[derive(Clone, Debug)]
pub struct Group {
    /// The epoch in which the batches were built.
    pub epoch: u64,
    /// Who writes.
    pub writer: Writer,
    /// In order.
    pub batches: Vec<Arc<Batch>>,
}

impl Group {
    /// Checks each batch and what they are together.
    ///
    /// # Errors
    /// The first thing that is wrong; nothing of the group may be written then.
    pub fn validate(&self, engine: &EngineLimits) -> Result<(), InvalidBatch> {
        let too_large = |what, actual, most| Err(InvalidBatch::TooLarge { what, actual, most });
        if self.batches.len() > engine.group_batches {
            return too_large("batches in its group", self.batches.len(), engine.group_batches);
        }
        self.batches.iter().try_for_each(|batch| batch.validate(engine))?;
        let bytes = self.batches.iter().map(|batch| batch.bytes()).sum();
        if self.batches.len() > 1 && bytes > engine.group_bytes {
            return too_large("bytes in its group", bytes, engine.group_bytes);
        }
        Ok(())
    }
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is committed.
    Won {
        /// Positions of its journal entries, in order.
        positions: Vec<Position>,
    },
    /// An assertion did not hold; nothing of the batch was written.
    Lost {
        /// Number of the assertion.
        assertion: usize,
        /// What that means.
        losing: Losing,
    },
}

/// What became of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOutcome {
    /// One for each batch, in order.
    pub outcomes: Vec<Outcome>,
    /// The newest position after the group.
    pub position: Position,
}

/// What a batch and a group may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineLimits {
    /// Bytes of keys and values in a batch.
    pub batch_bytes: usize,
    /// Writes in a batch.
    pub batch_writes: usize,
    /// Journal entries in a batch.
    pub batch_journal_entries: usize,
    /// Batches in a group.
    pub group_batches: usize,
    /// Bytes of keys and values in a group; a single batch may be larger.
    pub group_bytes: usize,
    /// Milliseconds after which the callers of a commit are told that its outcome is unknown, although it goes on.
    pub stall_ms: u64,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self {
            batch_bytes: limits::BATCH_BYTES,
            batch_writes: limits::BATCH_WRITES,
            batch_journal_entries: limits::BATCH_JOURNAL_ENTRIES,
            group_batches: limits::GROUP_BATCHES,
            group_bytes: limits::GROUP_BYTES,
            stall_ms: limits::COMMIT_STALL_MS,
        }
    }
}

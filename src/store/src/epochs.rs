//! Epochs: which tokens can be answered incrementally after a restore or a failover.

use std::sync::Arc;

use parking_lot::RwLock;
use wardstead_engine::{
    Engine, EngineError, Position,
    system::{self, EndedEpoch, EpochReason},
};
use wardstead_limits::engine::EPOCH_ENTRIES;

/// How a sync token can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// With what followed its position.
    Incremental,
    /// What the client has may include what was lost: like an initial sync, with `limited` timelines. Never with an error,
    /// never with nothing.
    Gappy,
}

/// The epoch and those before it, as far as they are remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    current: u64,
    /// The oldest first; each is followed by the next, the last by the current one.
    ended: Arc<[EndedEpoch]>,
}

impl Epochs {
    /// The current epoch.
    #[must_use]
    pub fn current(&self) -> u64 {
        self.current
    }

    /// Those that are over, the oldest first.
    #[must_use]
    pub fn ended(&self) -> &[EndedEpoch] {
        &self.ended
    }

    /// From which position on what is written is not older than the last restore or import: what stands below may have been used up
    /// since, without a trace. Zero where there was none that is remembered.
    ///
    /// A failover is none: what was acknowledged stands on the standby, too.
    #[must_use]
    pub fn restored_at(&self) -> Position {
        let restored = self.ended.iter().rfind(|ended| ended.reason != EpochReason::Failover);
        // What came before the oldest that is remembered may have been a restore.
        let forgotten = self.ended.first().filter(|_| self.ended.len() >= EPOCH_ENTRIES);
        restored.or(forgotten).map_or(Position::ZERO, |ended| ended.next)
    }

    /// How a token of `epoch` and `position` can be answered: incrementally when everything up to its position is part of
    /// the journal. Ask after [`crate::Store::caught_up`], so that a token which another node has just given is known.
    #[must_use]
    pub fn readable(&self, epoch: u64, position: Position) -> Reach {
        let known = if epoch == self.current {
            Some(self.ended.len())
        } else {
            self.ended.iter().position(|ended| ended.epoch == epoch)
        };
        let Some(mut at) = known else { return Reach::Gappy };
        // A position from before its epoch began was reached in an earlier one: epoch and position of an answer are read
        // one after the other.
        while let Some(before) = at.checked_sub(1)
            && position < self.ended[before].next
        {
            at = before;
        }
        match self.ended.get(at) {
            Some(ended) if position > ended.last => Reach::Gappy,
            _ => Reach::Incremental,
        }
    }

    /// Reads the epoch's cell as of `at` or later.
    pub(crate) async fn read(engine: &dyn Engine, at: Position) -> Result<Self, EngineError> {
        let cells = engine.get_many(at, &[system::epoch_key()]).await?;
        let cell = cells.into_iter().flatten().next();
        let ended = system::epochs(cell.as_ref())?.into();
        Ok(Self { current: cell.map_or(0, |cell| cell.version), ended })
    }
}

/// The epochs as the tail has seen them. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeenEpochs(Arc<RwLock<Epochs>>);

impl SeenEpochs {
    pub(crate) fn new(epochs: Epochs) -> Self {
        Self(Arc::new(RwLock::new(epochs)))
    }

    pub(crate) fn get(&self) -> Epochs {
        self.0.read().clone()
    }

    pub(crate) fn current(&self) -> u64 {
        self.0.read().current
    }

    /// Set by the tail alone, before it passes the epoch's beginning.
    pub(crate) fn set(&self, epochs: Epochs) {
        *self.0.write() = epochs;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(epoch: u64, last: u64, next: u64) -> EndedEpoch {
        EndedEpoch { epoch, last: Position(last), next: Position(next), reason: EpochReason::Failover, ended_ms: 0 }
    }

    #[test]
    fn what_was_not_lost_is_incremental() {
        let epochs = Epochs { current: 9, ended: [ended(0, 50, 1_000), ended(7, 1_200, 5_000)].into() };
        let cases = [
            (9, 5_001, Reach::Incremental),
            (0, 50, Reach::Incremental),
            (0, 51, Reach::Gappy),
            (7, 1_200, Reach::Incremental),
            (7, 1_201, Reach::Gappy),
            // Reached before the epoch began, advertised after it.
            (9, 1_200, Reach::Incremental),
            (9, 1_201, Reach::Gappy),
            (9, 50, Reach::Incremental),
            (9, 60, Reach::Gappy),
            (7, 60, Reach::Gappy),
            // Of a future that a restore took back, or forgotten.
            (8, 10, Reach::Gappy),
            (10, 10, Reach::Gappy),
        ];
        for (epoch, position, reach) in cases {
            assert_eq!(epochs.readable(epoch, Position(position)), reach, "epoch {epoch}, position {position}");
        }
        assert_eq!(Epochs::default().readable(0, Position(5)), Reach::Incremental);
        assert_eq!(Epochs::default().readable(1, Position(5)), Reach::Gappy);
    }

    #[test]
    fn what_is_older_than_a_restore_is_known_by_its_position() {
        let restore = |epoch, last, next| EndedEpoch { reason: EpochReason::Restore, ..ended(epoch, last, next) };
        let of = |ended: &[EndedEpoch]| Epochs { current: 99, ended: ended.into() }.restored_at();
        assert_eq!(of(&[]), Position::ZERO);
        assert_eq!(of(&[ended(0, 50, 1_000)]), Position::ZERO, "a failover loses nothing");
        assert_eq!(of(&[restore(0, 50, 1_000), ended(7, 1_200, 5_000)]), Position(1_000));
        assert_eq!(of(&[restore(0, 50, 1_000), restore(7, 1_200, 5_000)]), Position(5_000));
        let many: Vec<_> = (0..EPOCH_ENTRIES as u64).map(|n| ended(n, n * 100, n * 100 + 50)).collect();
        assert_eq!(of(&many), Position(50), "what is forgotten may have been a restore");
    }
}

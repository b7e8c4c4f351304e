//! Commits of unknown outcome: the connection broke, or the engine gave up, while a group was being written.
//!
//! Journal rows carry their writer, so the truth is in the journal: an empty group is committed first, which waits for
//! whatever still holds the engine's position lock; then the journal above the last known position is searched. Until
//! that succeeds nothing else is committed, since a later group could stand on one that never happened.

use std::{collections::HashMap, future::Future};

use wardstead_engine::{Engine, EngineError, Group, JournalRow, PageLimit, Position, ScanRange, Writer, journal};
use wardstead_limits::store as limits;

use super::Waiting;
use crate::StoreError;

/// Positions of a group's rows, by batch, and the newest position.
type Found = (HashMap<u16, Vec<Position>>, Position);

/// A group of unknown outcome and those who wait for it.
#[derive(Debug)]
pub(super) struct Unresolved {
    writer: Writer,
    /// The newest position that was known before the group was sent: its own are above.
    above: Position,
    pub(super) group: Vec<Waiting>,
    attempts: usize,
    /// When it was sent.
    pub(super) began_ms: u64,
}

impl Unresolved {
    pub(super) fn new(writer: Writer, above: Position, group: Vec<Waiting>, began_ms: u64) -> Self {
        Self { writer, above, group, attempts: 0, began_ms }
    }

    /// Looks for it, with `probe` as the writer of the empty group.
    pub(super) fn search<'a>(
        &self,
        engine: &'a dyn Engine,
        epoch: u64,
        probe: Writer,
    ) -> impl Future<Output = Result<Found, EngineError>> + use<'a> {
        search(engine, epoch, probe, self.writer, self.above)
    }

    /// Answers the callers with what was `found`. After [`limits::UNKNOWN_ATTEMPTS`] failures they are told `Unknown` (their
    /// retry with the same transaction id finds the truth), and the search goes on.
    pub(super) fn resolve(&mut self, found: Result<Found, EngineError>) -> Result<Position, StoreError> {
        match found {
            Ok((rows, position)) => {
                self.tell(&rows);
                Ok(position)
            }
            Err(error) => {
                self.attempts += 1;
                if self.attempts >= limits::UNKNOWN_ATTEMPTS {
                    self.tell_unknown(&error);
                }
                Err(error.into())
            }
        }
    }

    fn tell(&mut self, rows: &HashMap<u16, Vec<Position>>) {
        for (mut waiting, number) in self.group.drain(..).zip(0..) {
            let told = match rows.get(&number) {
                Some(positions) => Ok(positions.clone()),
                // No row: it lost, or the group was never written. Either way nothing of it is there.
                None if !waiting.batch.journal.is_empty() => {
                    Err(EngineError::Unavailable("the commit did not take effect".to_owned()).into())
                }
                None if rows.is_empty() => {
                    Err(EngineError::Unknown("a commit without journal entries cannot be looked up".to_owned()).into())
                }
                // The group was written, so a batch without conditions was written with it.
                None if waiting.batch.assertions.is_empty() => Ok(Vec::new()),
                None => Err(EngineError::Unknown("the conditions of a commit may not have held".to_owned()).into()),
            };
            waiting.tell(told);
        }
    }

    fn tell_unknown(&mut self, error: &EngineError) {
        for mut waiting in self.group.drain(..) {
            waiting.tell(Err(EngineError::Unknown(error.to_string()).into()));
        }
    }
}

/// Positions of the rows that `writer` wrote above `above`, by batch, and the newest position. Rows of other nodes may lie
/// between them and the newest.
async fn search(
    engine: &dyn Engine,
    epoch: u64,
    probe: Writer,
    writer: Writer,
    above: Position,
) -> Result<Found, EngineError> {
    let newest = match engine.commit_group(Group { epoch, writer: probe, batches: Vec::new() }).await {
        Ok(outcome) => outcome.position,
        Err(EngineError::Conflict { .. }) => engine.position().await?,
        Err(error) => return Err(error),
    };
    let mut rows: HashMap<u16, Vec<Position>> = HashMap::new();
    let mut range =
        ScanRange::new(journal::key(above.next()), journal::key(newest.next().max(above.next()))).descending();
    loop {
        let page = engine.scan(newest, &range, PageLimit::rows(limits::TAIL_PAGE_ROWS)).await?;
        for (key, cell) in &page.rows {
            let row = JournalRow::read(key, cell)?;
            if row.writer == writer {
                rows.entry(row.batch).or_default().insert(0, row.position);
            } else if row.writer.incarnation == writer.incarnation && row.writer.group < writer.group {
                // Older than the group in question: everything it wrote has been seen.
                return Ok((rows, newest));
            }
        }
        match page.resume {
            Some(resume) => range = range.resumed(resume),
            None => return Ok((rows, newest)),
        }
    }
}

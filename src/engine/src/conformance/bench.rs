//! What a case works with.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use wardstead_limits::ManualClock;

use super::{Installation, Tampering};
use crate::{
    AccessPattern, Batch, Cell, Engine, EngineError, Group, GroupOutcome, JournalEntry, JournalRow, Key, KeyBuilder,
    Outcome, PageLimit, Position, ScanRange, TableId, Writer, system,
};

/// Small cells.
pub(super) const POINT: TableId = TableId::new(AccessPattern::Point, 0xf0);
/// Rows in order.
pub(super) const SCAN: TableId = TableId::new(AccessPattern::Scan, 0xf1);
/// Its neighbour.
pub(super) const SCAN_NEXT: TableId = TableId::new(AccessPattern::Scan, 0xf2);
/// Ascending rows.
pub(super) const APPEND: TableId = TableId::new(AccessPattern::Append, 0xf3);
/// Queue rows.
pub(super) const CHURN: TableId = TableId::new(AccessPattern::Churn, 0xf4);
/// One table of each pattern.
pub(super) const EACH_PATTERN: [TableId; 4] = [POINT, SCAN, APPEND, CHURN];

/// An installation, its clock, and shorthands.
pub struct Bench {
    installation: Box<dyn Installation>,
    /// The engine's clock.
    pub(super) clock: ManualClock,
    groups: AtomicU64,
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bench")
    }
}

impl Bench {
    pub(super) fn new(installation: Box<dyn Installation>, clock: ManualClock) -> Self {
        Self { installation, clock, groups: AtomicU64::new(0) }
    }

    pub(super) fn engine(&self) -> Arc<dyn Engine> {
        self.installation.engine()
    }

    pub(super) async fn second(&self) -> Arc<dyn Engine> {
        self.installation.second().await
    }

    pub(super) async fn hold_snapshot(&self) -> Box<dyn Send> {
        self.installation.hold_snapshot().await
    }

    pub(super) fn stall(&self, stalled: bool) {
        self.installation.stall(stalled);
    }

    pub(super) async fn reopen(&mut self) {
        self.installation.reopen().await;
    }

    pub(super) async fn tamper(&mut self, key: &Key, change: impl FnOnce(&mut Vec<u8>) + Send + 'static) {
        self.installation.tamper(key, Box::new(change) as Tampering).await;
    }

    /// The stored bytes under `key`.
    pub(super) async fn stored(&mut self, key: &Key) -> Vec<u8> {
        let (give, take) = std::sync::mpsc::channel();
        self.tamper(key, move |bytes| give.send(bytes.clone()).unwrap()).await;
        take.recv().unwrap()
    }

    /// A group of epoch 0 with a writer of its own.
    pub(super) fn group(&self, batches: Vec<Batch>) -> Group {
        let group = self.groups.fetch_add(1, Ordering::SeqCst) + 1;
        group_of(Writer { incarnation: 77, group }, batches)
    }

    pub(super) async fn try_commit(&self, batches: Vec<Batch>) -> Result<GroupOutcome, EngineError> {
        self.engine().commit_group(self.group(batches)).await
    }

    pub(super) async fn commit(&self, batches: Vec<Batch>) -> GroupOutcome {
        self.try_commit(batches).await.unwrap()
    }

    /// Commits one batch, which must win.
    pub(super) async fn win(&self, batch: Batch) -> Vec<Position> {
        won(&self.commit(vec![batch]).await.outcomes[0])
    }

    /// Puts plain rows, one batch for all.
    pub(super) async fn put_all(&self, keys: impl IntoIterator<Item = Key>) {
        let mut batch = Batch::new();
        for key in keys {
            let payload = payload_of(&key);
            batch.put(key, payload);
        }
        self.win(batch).await;
    }

    pub(super) async fn try_cell(&self, key: &Key) -> Result<Option<Cell>, EngineError> {
        let cells = self.engine().get_many(Position::ZERO, std::slice::from_ref(key)).await?;
        assert_eq!(cells.len(), 1);
        Ok(cells.into_iter().next().flatten())
    }

    pub(super) async fn cell(&self, key: &Key) -> Option<Cell> {
        self.try_cell(key).await.unwrap()
    }

    pub(super) async fn exists(&self, key: &Key) -> bool {
        self.cell(key).await.is_some()
    }

    pub(super) async fn position(&self) -> Position {
        self.engine().position().await.unwrap()
    }

    /// The rows of `range`, in pages of `page`; checks each page against its limit.
    pub(super) async fn rows_by(&self, range: &ScanRange, limit: PageLimit) -> Vec<(Key, Cell)> {
        let mut rows = Vec::new();
        let mut rest = range.clone();
        loop {
            let page = self.engine().scan(Position::ZERO, &rest, limit).await.unwrap();
            assert!(page.rows.len() <= limit.rows, "{} rows in a page of {}", page.rows.len(), limit.rows);
            assert!(page.resume.is_none() || !page.rows.is_empty(), "an empty page must be the last");
            rows.extend(page.rows);
            match page.resume {
                Some(resume) => rest = rest.resumed(resume),
                None => return rows,
            }
        }
    }

    /// The keys of `range`; payloads must be those of [`Self::put_all`].
    pub(super) async fn keys(&self, range: &ScanRange) -> Vec<Key> {
        self.keys_by(range, PageLimit::default()).await
    }

    /// As [`Self::keys`], in pages of `limit`.
    pub(super) async fn keys_by(&self, range: &ScanRange, limit: PageLimit) -> Vec<Key> {
        let rows = self.rows_by(range, limit).await;
        for (key, cell) in &rows {
            assert_eq!(cell.payload, payload_of(key), "the value of {key:?}");
        }
        rows.into_iter().map(|(key, _)| key).collect()
    }

    /// The whole journal.
    pub(super) async fn journal(&self) -> Vec<JournalRow> {
        let rows = self.rows_by(&ScanRange::scope(system::JOURNAL, 0), PageLimit::default()).await;
        rows.iter().map(|(key, cell)| JournalRow::read(key, cell).unwrap()).collect()
    }
}

/// A group of epoch 0.
pub(super) fn group_of(writer: Writer, batches: Vec<Batch>) -> Group {
    Group { epoch: 0, writer, batches: batches.into_iter().map(Arc::new).collect() }
}

/// The positions of a batch that must have won.
pub(super) fn won(outcome: &Outcome) -> Vec<Position> {
    match outcome {
        Outcome::Won { positions } => positions.clone(),
        Outcome::Lost { .. } => unreachable!("lost: {outcome:?}"),
    }
}

pub(super) fn is_won(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Won { .. })
}

/// A value that tells which row it belongs to.
pub(super) fn payload_of(key: &Key) -> Bytes {
    let mut payload = b"value of ".to_vec();
    payload.extend(key.as_bytes());
    payload.into()
}

/// A row of [`POINT`].
pub(super) fn point(number: u64) -> Key {
    Key::build(POINT, 1).u64(number).key()
}

/// A row of [`SCAN`] in scope 1.
pub(super) fn row(number: u64) -> Key {
    in_scope(1).u64(number).key()
}

/// The start of a key of [`SCAN`].
pub(super) fn in_scope(scope: u64) -> KeyBuilder {
    Key::build(SCAN, scope)
}

/// A journal entry that can be told from others.
pub(super) fn entry(number: u16) -> JournalEntry {
    JournalEntry { kind: number, scope: 1_000 + u64::from(number), key: Bytes::from(format!("entry {number}")) }
}

/// A batch that puts a plain row.
pub(super) fn put(key: &Key) -> Batch {
    let mut batch = Batch::new();
    batch.put(key.clone(), payload_of(key));
    batch
}

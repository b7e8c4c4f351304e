//! What workers are told: that rows were written, and where. Whatever is missed is found by the sweep.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use parking_lot::RwLock;
use tokio::sync::broadcast::{
    self,
    error::{RecvError, TryRecvError},
};
use wardstead_engine::{AccessPattern, Batch, Key, Position, TableId, Write};
use wardstead_limits::store as limits;

/// Where there may be work.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Anywhere in the shift's slots.
    Everywhere,
    /// At rows with these keys and behind them, and where something is due by now.
    At(Vec<Key>),
}

/// A row was written under the key; `None`: some row, it is not known which.
type Told = Option<Key>;

/// Wakes this process's workers. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wakers(Arc<RwLock<HashMap<TableId, broadcast::Sender<Told>>>>);

impl Wakers {
    /// What is told of `table` from now on, to workers of this process and to the other nodes.
    pub(crate) fn of(&self, table: TableId) -> Hints {
        let mut senders = self.0.write();
        let sender = senders.entry(table).or_insert_with(|| broadcast::Sender::new(limits::WORK_HINTS));
        Hints(sender.subscribe())
    }

    /// There may be work in `table`.
    pub(crate) fn wake(&self, table: TableId) {
        if let Some(sender) = self.0.read().get(&table) {
            // Without a worker nobody hears it.
            let _ = sender.send(None);
        }
    }

    /// There may be work in every table.
    pub(crate) fn wake_all(&self) {
        for sender in self.0.read().values() {
            let _ = sender.send(None);
        }
    }

    /// Tells of the rows that `batch` has put into tables with workers, and adds these to `tables`. `positions` are those of the batch's
    /// journal entries.
    pub(crate) fn committed(&self, batch: &Batch, positions: &[Position], tables: &mut BTreeSet<TableId>) {
        let senders = self.0.read();
        for write in &batch.writes {
            let Write::Put { key, .. } = write else { continue };
            let table = key.key().table();
            if table.pattern() != AccessPattern::Churn {
                continue;
            }
            let Some(sender) = senders.get(&table) else { continue };
            let told = match key.slot() {
                None => Some(key.key().clone()),
                Some(slot) => positions.get(slot.entry).map(|position| key.filled(*position)),
            };
            let _ = sender.send(told);
            tables.insert(table);
        }
    }
}

/// What a worker is told.
#[derive(Debug)]
pub(crate) struct Hints(broadcast::Receiver<Told>);

/// What was told since somebody listened last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Rows were written with these keys.
    pub(crate) keys: Vec<Key>,
    /// And some with others.
    pub(crate) more: bool,
}

impl Hints {
    /// Waits until something is told, and takes all that was told by then. Cancel-safe.
    pub(crate) async fn next(&mut self) -> News {
        let mut news = News::default();
        match self.0.recv().await {
            Ok(told) => news.add(told),
            Err(RecvError::Lagged(_)) => news.more = true,
            // The wakers keep the sender for as long as there are any.
            Err(RecvError::Closed) => std::future::pending().await,
        }
        loop {
            match self.0.try_recv() {
                Ok(told) => news.add(told),
                Err(TryRecvError::Lagged(_)) => news.more = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return news,
            }
        }
    }

    /// Forgets what was told.
    pub(crate) fn clear(&mut self) {
        self.0 = self.0.resubscribe();
    }
}

impl News {
    fn add(&mut self, told: Told) {
        match told {
            Some(key) => self.keys.push(key),
            None => self.more = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use wardstead_engine::{JournalEntry, KeyTemplate};

    use super::*;

    const TABLE: TableId = TableId::new(AccessPattern::Churn, 1);

    fn key(number: u64) -> Key {
        Key::build(TABLE, 0).u64(number).key()
    }

    fn put(batch: &mut Batch, key: impl Into<KeyTemplate>) {
        batch.put(key, bytes::Bytes::new());
    }

    #[tokio::test]
    async fn keys_are_told_as_they_were_written() {
        let (wakers, mut tables) = (Wakers::default(), BTreeSet::new());
        let (mut batch, mut other) = (Batch::new(), Batch::new());
        let entry = batch.journal(JournalEntry { kind: 1, scope: 1, key: bytes::Bytes::new() });
        put(&mut batch, Key::build(TABLE, 0).slot(entry).template());
        put(&mut batch, key(3));
        put(&mut other, Key::build(TableId::new(AccessPattern::Point, 1), 0).key());
        put(&mut other, Key::build(TableId::new(AccessPattern::Churn, 2), 0).key());
        wakers.committed(&batch, &[Position(7)], &mut tables);
        assert!(tables.is_empty(), "nobody works at it");
        let mut hints = wakers.of(TABLE);
        for batch in [&other, &batch] {
            wakers.committed(batch, &[Position(7)], &mut tables);
        }
        assert_eq!(tables, [TABLE].into());
        assert_eq!(hints.next().await, News { keys: vec![key(7), key(3)], more: false });
        wakers.wake(TABLE);
        wakers.committed(&batch, &[Position(8)], &mut tables);
        assert_eq!(hints.next().await, News { keys: vec![key(8), key(3)], more: true });
        wakers.wake_all();
        hints.clear();
        wakers.committed(&batch, &[Position(9)], &mut tables);
        assert_eq!(hints.next().await, News { keys: vec![key(9), key(3)], more: false });
    }

    #[tokio::test]
    async fn who_was_told_too_much_looks_everywhere() {
        let (wakers, mut tables) = (Wakers::default(), BTreeSet::new());
        let mut hints = wakers.of(TABLE);
        for number in 0..=limits::WORK_HINTS as u64 {
            let mut batch = Batch::new();
            put(&mut batch, key(number));
            wakers.committed(&batch, &[], &mut tables);
        }
        assert!(hints.next().await.more);
    }
}

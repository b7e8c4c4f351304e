//! What of a room a user has not read: what was unread when it was last written down, and the events since then.

use std::collections::BTreeMap;

use wardstead_engine::{Cell, KeyReader, Position, ScanRange};
use wardstead_store::{Found, Store, StoreError};

use crate::{
    error::corrupt,
    tables::{COUNTED, Count, Counted, CountedRow, Pending, READERS, ReaderRow, Verdict, counted_key, reader_key},
};

/// What is unread, by thread; `None`: the main timeline.
pub(crate) type Unread = BTreeMap<Option<String>, Pending>;

/// What receipts call the main timeline.
pub(crate) const MAIN: &str = "main";

/// A user's row of a room.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) room: u64,
    pub(crate) user: u64,
    pub(crate) row: ReaderRow,
    /// When the row last changed.
    pub(crate) changed: Position,
    /// Up to where counted events are in it.
    pub(crate) upto: Position,
    /// When rules last changed what is counted; zero: never.
    pub(crate) recounted: Position,
}

/// A row of [`COUNTED`] with its position.
pub(crate) type Row = (Position, CountedRow);

/// An event that a row adds, or takes back, with its position and its sign.
fn events(row: &Row) -> impl Iterator<Item = (Position, &Counted, i64)> {
    let added = row.1.event.iter().map(|event| (row.0, event, 1));
    let taken = row.1.redacted.iter().map(|(position, event)| (Position(*position), event, -1));
    added.chain(taken)
}

/// The counted events of `room` after `after` and up to `upto`.
pub(crate) async fn counted(store: &Store, room: u64, after: Position, upto: Position) -> Result<Vec<Row>, StoreError> {
    let at = |position: Position| counted_key(room).position(position.next()).key();
    let range = ScanRange::new(at(after), at(upto));
    if range.from >= range.to {
        return Ok(Vec::new());
    }
    let position = |found: &Found<CountedRow>| {
        KeyReader::new(&found.key).position().ok_or_else(|| corrupt(&found.key, "no position in the key"))
    };
    let found = store.scan_all(&COUNTED, range).await?;
    found.into_iter().map(|found| Ok((position(&found)?, found.row))).collect()
}

impl Reader {
    /// The row in `cell`; where there is none, one of who has read nothing.
    pub(crate) fn of(room: u64, user: u64, cell: Option<&Cell>) -> Result<Self, StoreError> {
        let row = cell.map(|cell| READERS.decode(&reader_key(room, user), cell)).transpose()?.unwrap_or_default();
        let position = |at: usize| cell.and_then(|cell| cell.positions.get(at).copied()).unwrap_or_default();
        Ok(Self { room, user, row, changed: position(0), upto: position(1), recounted: position(2) })
    }

    pub(crate) fn joined(&self) -> Position {
        self.row.joined.map_or(self.changed, Position)
    }

    /// What the event at `position` is to the user, by the class that the user had then.
    pub(crate) fn verdict(&self, position: Position, event: &Counted) -> Verdict {
        let past = self.row.past.iter().find(|(_, upto)| position.0 <= *upto);
        event.to(self.user, past.map_or(self.row.class, |(class, _)| *class))
    }

    /// Whether what stands at `position` in `thread` is read. The row knows: whatever reads an event that counts writes it anew, with each
    /// thread in which something stays unread.
    pub(crate) fn is_read(&self, position: Position, thread: Option<&str>) -> bool {
        let pending = self.row.unread.iter().find(|(of, _)| of.as_deref() == thread);
        position <= self.upto && pending.is_none_or(|(_, pending)| position.0 <= pending.read)
    }

    /// What is unread as of `upto`, the events since the row's position being `rows`; with receipts that move in this commit to
    /// `marks`.
    pub(crate) async fn unread(
        &self,
        store: &Store,
        rows: &[Row],
        upto: Position,
        marks: &[(Option<String>, Position)],
    ) -> Result<Unread, StoreError> {
        let mut unread: Unread = self.row.unread.iter().cloned().collect();
        for (position, event, sign) in rows.iter().flat_map(events) {
            // What was read before it was redacted was taken out already.
            if self.is_read(position, event.thread.as_deref()) {
                continue;
            }
            self.add(&mut unread, self.upto, (position, event, sign));
        }
        if !marks.is_empty() {
            self.mark(store, &mut unread, rows, upto, marks).await?;
        }
        unread.retain(|_, pending| pending.count != Count::default());
        Ok(unread)
    }

    /// Adds an event of a thread that is read up to `read`, if nothing else of it is unread.
    fn add(&self, unread: &mut Unread, read: Position, (position, event, sign): (Position, &Counted, i64)) {
        let pending = unread.entry(event.thread.clone()).or_insert(Pending { count: Count::default(), read: read.0 });
        pending.count.add(self.verdict(position, event).outcome, sign);
    }

    /// Takes out of `unread` what `marks` say is read.
    async fn mark(
        &self,
        store: &Store,
        unread: &mut Unread,
        rows: &[Row],
        upto: Position,
        marks: &[(Option<String>, Position)],
    ) -> Result<(), StoreError> {
        let mut again: BTreeMap<Option<String>, Position> = BTreeMap::new();
        for (thread, pending) in &*unread {
            let covers = |mark: &&(Option<String>, Position)| {
                mark.0.as_deref().is_none_or(|of| of == thread.as_deref().unwrap_or(MAIN))
            };
            let Some(read) = marks.iter().filter(covers).map(|mark| mark.1).max() else { continue };
            if read.0 > pending.read {
                again.insert(thread.clone(), read);
            }
        }
        let Some(from) = again.values().min().copied() else { return Ok(()) };
        let older = counted(store, self.room, from, self.upto.min(upto)).await?;
        unread.retain(|thread, _| !again.contains_key(thread));
        for (position, event, sign) in older.iter().chain(rows).flat_map(events) {
            if let Some(read) = again.get(&event.thread).filter(|read| position > **read) {
                self.add(unread, *read, (position, event, sign));
            }
        }
        Ok(())
    }
}

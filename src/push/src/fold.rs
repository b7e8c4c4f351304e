//! What of a room a user has not read: what was unread when it was last written down, and the events since then.

use std::collections::{BTreeMap, HashMap};

use wardstead_engine::{Cell, KeyReader, Position, ScanRange};
use wardstead_rooms::read_up_to;
use wardstead_store::{Found, Store, StoreError};

use crate::{
    error::corrupt,
    tables::{COUNTED, Count, Counted, CountedRow, READERS, ReaderRow, Verdict, counted_key, reader_key},
};

/// Counts by thread; `None`: the main timeline.
pub(crate) type Unread = BTreeMap<Option<String>, Count>;

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

/// Where the reading of threads starts, by receipts that were committed before.
struct Starts<'a> {
    store: &'a Store,
    reader: &'a Reader,
    known: HashMap<Option<String>, Position>,
}

impl Starts<'_> {
    async fn of(&mut self, thread: Option<&String>) -> Result<Position, StoreError> {
        let key = thread.cloned();
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let threads = [None, Some(thread.map_or(MAIN, String::as_str))];
        let read = read_up_to(self.store, self.reader.room, self.reader.user, &threads).await?;
        let spoke = self.reader.row.spoke.iter().find(|(of, _)| of.as_ref() == thread).map(|(_, at)| Position(*at));
        let start = read.into_iter().chain([self.reader.joined()]).chain(spoke).max().unwrap_or_default();
        self.known.insert(key, start);
        Ok(start)
    }
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

    /// What is unread as of `upto`, the events since the row's position being `rows`; with receipts that move in this commit to
    /// `marks`.
    pub(crate) async fn unread(
        &self,
        store: &Store,
        rows: &[Row],
        upto: Position,
        marks: &[(Option<String>, Position)],
    ) -> Result<Unread, StoreError> {
        let mut starts = Starts { store, reader: self, known: HashMap::new() };
        let mut unread: Unread = self.row.unread.iter().cloned().collect();
        for (position, event, sign) in rows.iter().flat_map(events) {
            // What was read before it was redacted was taken out already.
            if position <= self.upto && position <= starts.of(event.thread.as_ref()).await? {
                continue;
            }
            unread.entry(event.thread.clone()).or_default().add(self.verdict(position, event).outcome, sign);
        }
        if !marks.is_empty() {
            self.mark(&mut starts, &mut unread, rows, upto, marks).await?;
        }
        unread.retain(|_, count| *count != Count::default());
        Ok(unread)
    }

    /// Takes out of `unread` what `marks` say is read.
    async fn mark(
        &self,
        starts: &mut Starts<'_>,
        unread: &mut Unread,
        rows: &[Row],
        upto: Position,
        marks: &[(Option<String>, Position)],
    ) -> Result<(), StoreError> {
        let mut again: BTreeMap<Option<String>, Position> = BTreeMap::new();
        for thread in unread.keys() {
            let covers = |mark: &&(Option<String>, Position)| {
                mark.0.as_deref().is_none_or(|of| of == thread.as_deref().unwrap_or(MAIN))
            };
            let Some(read) = marks.iter().filter(covers).map(|mark| mark.1).max() else { continue };
            if read >= self.upto || read > starts.of(thread.as_ref()).await? {
                again.insert(thread.clone(), read);
            }
        }
        let Some(from) = again.values().min().copied() else { return Ok(()) };
        let older = counted(starts.store, self.room, from, self.upto.min(upto)).await?;
        unread.retain(|thread, _| !again.contains_key(thread));
        for (position, event, sign) in older.iter().chain(rows).flat_map(events) {
            if again.get(&event.thread).is_some_and(|read| position > *read) {
                unread.entry(event.thread.clone()).or_default().add(self.verdict(position, event).outcome, sign);
            }
        }
        Ok(())
    }
}

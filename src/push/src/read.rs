//! Receipts, and what a user says: the user's row is written anew with what is unread after them.

use wardstead_engine::{Key, Position, PositionSlot};
use wardstead_limits::push as limits;
use wardstead_rooms::ReceiptMoved;
use wardstead_store::{Contribution, Overlay, StoreError};

use crate::{
    core::Core,
    fold::{MAIN, Reader, counted},
    tables::{ASIDES, AsideRow, Count, READERS, ReaderRow, TALLIES, TallyRow, aside_key, reader_key, tally_key, total},
    work::expect,
};

/// A user's row and the room's tally, as they were together.
pub(crate) struct Read {
    pub(crate) reader: Reader,
    /// 0: none.
    pub(crate) version: u64,
    pub(crate) tally: TallyRow,
    /// When the tally last changed, and its version.
    pub(crate) at: Position,
    pub(crate) tally_version: u64,
    /// What the user has beyond each class.
    pub(crate) aside: AsideRow,
}

impl Read {
    /// What the class's total and what the user has beyond it come to.
    pub(crate) fn base(&self, class: u64) -> Count {
        total(&self.tally.totals, class).plus(self.aside.beyond(class))
    }
}

impl Core {
    /// What is known of `user`'s reading in `room`. Two reads, one more in rooms where many speak.
    pub(crate) async fn look(&self, room: u64, user: u64) -> Result<Read, StoreError> {
        for _ in 0..limits::READ_TRIES {
            let keys: [Key; 2] = [tally_key(room), reader_key(room, user)];
            let mut cells = self.store.cells(&keys).await?.into_iter();
            let mut read = Read::nothing(room, user)?;
            if let Some(cell) = cells.next().flatten() {
                read.tally = TALLIES.decode(&keys[0], &cell)?;
                (read.at, read.tally_version) = (cell.position(), cell.version);
            }
            let cell = cells.next().flatten();
            read.reader = Reader::of(room, user, cell.as_ref())?;
            read.version = cell.map_or(0, |cell| cell.version);
            if let Some((_, aside)) = read.tally.asides.iter().find(|(of, _)| *of == user) {
                read.aside = aside.clone();
                return Ok(read);
            }
            if !read.tally.spilled {
                return Ok(read);
            }
            let Some(found) = self.store.get(&ASIDES, &aside_key(room, user)).await? else { return Ok(read) };
            // Written after the tally that was read: they do not belong together.
            if found.position() <= read.at {
                read.aside = found.row;
                return Ok(read);
            }
        }
        Err(StoreError::Engine(wardstead_engine::EngineError::Busy("a room's counts change too fast")))
    }

    /// Takes part in the commit that moves receipts.
    pub(crate) async fn read(&self, moved: &ReceiptMoved) -> Result<Contribution, StoreError> {
        let read = self.look(moved.room, moved.user).await?;
        let row = self.marked(&read, &moved.marks).await?;
        Ok(row.map(|row| self.rewrite(&read, row)).unwrap_or_default())
    }

    /// Takes part in the commit of what `user` says in `thread`: who answers has read what was said there (Client-Server API, Receiving
    /// notifications). Of other threads nothing is known.
    pub(crate) async fn spoke(
        &self,
        room: u64,
        user: u64,
        thread: Option<&str>,
        queued: &Overlay<'_>,
    ) -> Result<Contribution, StoreError> {
        // A message of theirs is being committed: what came since then nobody has read yet.
        if queued.is_queued(&reader_key(room, user)) {
            return Ok(Contribution::nothing());
        }
        let read = self.look(room, user).await?;
        let reader = &read.reader;
        let quiet = reader.row.unread.is_empty()
            && read.base(reader.row.class) == reader.row.base
            && read.tally.redactions == reader.row.redactions;
        if read.version == 0 || quiet {
            return Ok(Contribution::nothing());
        }
        let mark = (Some(thread.unwrap_or(MAIN).to_owned()), read.at);
        let Some(mut row) = self.marked(&read, &[mark]).await? else { return Ok(Contribution::nothing()) };
        let thread = thread.map(str::to_owned);
        row.spoke.retain(|(of, _)| *of != thread);
        row.spoke.insert(0, (thread, read.at.0));
        row.spoke.truncate(limits::READER_SPOKE_THREADS);
        Ok(self.rewrite(&read, row))
    }

    /// The user's row once `marks` are read; `None`: it stays.
    async fn marked(&self, read: &Read, marks: &[(Option<String>, Position)]) -> Result<Option<ReaderRow>, StoreError> {
        let reader = &read.reader;
        let rows = counted(&self.store, reader.room, reader.upto, read.at).await?;
        let unread: Vec<_> = reader.unread(&self.store, &rows, read.at, marks).await?.into_iter().collect();
        if rows.is_empty() && unread == reader.row.unread {
            return Ok(None);
        }
        let past = if unread.is_empty() { Vec::new() } else { reader.row.past.clone() };
        Ok(Some(ReaderRow {
            past,
            joined: Some(reader.joined().0),
            base: read.base(reader.row.class),
            redactions: read.tally.redactions,
            unread,
            ..reader.row.clone()
        }))
    }

    fn rewrite(&self, read: &Read, row: ReaderRow) -> Contribution {
        let reader = &read.reader;
        let (key, before, version) = (reader_key(reader.room, reader.user), read.version, self.version());
        let [upto, recounted] = [read.at.max(reader.upto), reader.recounted].map(PositionSlot::Known);
        Contribution::new(move |batch, entry| {
            expect(batch, key.clone(), before);
            READERS.put_with(batch, key, version, &[PositionSlot::Entry(entry), upto, recounted], &row);
        })
    }
}

impl Read {
    fn nothing(room: u64, user: u64) -> Result<Self, StoreError> {
        Ok(Self {
            reader: Reader::of(room, user, None)?,
            version: 0,
            tally: TallyRow::default(),
            at: Position::ZERO,
            tally_version: 0,
            aside: AsideRow::default(),
        })
    }
}

//! Receipts, and what a user says: the user's row is written anew with what is unread after them.

use wardstead_engine::{Cell, Key, Position, PositionSlot};
use wardstead_limits::push as limits;
use wardstead_rooms::ReceiptMoved;
use wardstead_store::{Contribution, StoreError};

use crate::{
    core::Core,
    fold::{MAIN, Reader, counted},
    pushers,
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

/// Of a room's tally and a user's row.
pub(crate) fn read_keys(room: u64, user: u64) -> [Key; 2] {
    [tally_key(room), reader_key(room, user)]
}

impl Core {
    /// What is known of `user`'s reading in `room`. Two reads, one more in rooms where many speak.
    pub(crate) async fn look(&self, room: u64, user: u64) -> Result<Read, StoreError> {
        for _ in 0..limits::READ_TRIES {
            let cells = self.store.cells(&read_keys(room, user)).await?;
            if let Some(read) = self.assemble(room, user, &cells).await? {
                return Ok(read);
            }
        }
        Err(StoreError::Engine(wardstead_engine::EngineError::Busy("a room's counts change too fast")))
    }

    /// The same from what stands under [`read_keys`]; `None`: by now there is something else.
    pub(crate) async fn assemble(
        &self,
        room: u64,
        user: u64,
        cells: &[Option<Cell>],
    ) -> Result<Option<Read>, StoreError> {
        let cell = |at: usize| cells.get(at).and_then(Option::as_ref);
        let mut read = Read::nothing(room, user)?;
        if let Some(cell) = cell(0) {
            read.tally = TALLIES.decode(&tally_key(room), cell)?;
            (read.at, read.tally_version) = (cell.position(), cell.version);
        }
        read.reader = Reader::of(room, user, cell(1))?;
        read.version = cell(1).map_or(0, |cell| cell.version);
        if let Some((_, aside)) = read.tally.asides.iter().find(|(of, _)| *of == user) {
            read.aside = aside.clone();
            return Ok(Some(read));
        }
        if !read.tally.spilled {
            return Ok(Some(read));
        }
        let Some(found) = self.store.get(&ASIDES, &aside_key(room, user)).await? else { return Ok(Some(read)) };
        // Written after the tally that was read: they do not belong together.
        let together = found.position() <= read.at;
        read.aside = found.row;
        Ok(together.then_some(read))
    }

    /// Takes part in the commit that moves receipts.
    pub(crate) async fn read(&self, moved: &ReceiptMoved) -> Result<Contribution, StoreError> {
        let read = self.look(moved.room, moved.user).await?;
        let row = self.marked(&read, &moved.marks).await?;
        let told = || pushers::queued_read(moved.room, moved.user);
        Ok(row.map(|row| self.rewrite(&read, row).and(told())).unwrap_or_default())
    }

    /// Takes part in the commit of what the user says in `thread`: who answers has read what was said there (Client-Server API, Receiving
    /// notifications). Of other threads nothing is known.
    pub(crate) async fn spoke(&self, read: &Read, thread: Option<&str>) -> Result<Contribution, StoreError> {
        let reader = &read.reader;
        let quiet = reader.row.unread.is_empty()
            && read.base(reader.row.class) == reader.row.base
            && read.tally.redactions == reader.row.redactions;
        if read.version == 0 || quiet {
            return Ok(Contribution::nothing());
        }
        let mark = (Some(thread.unwrap_or(MAIN).to_owned()), read.at);
        let row = self.marked(read, &[mark]).await?;
        Ok(row.map(|row| self.rewrite(read, row)).unwrap_or_default())
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

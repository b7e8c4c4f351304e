//! What a sync reads of receipts: for a range of positions, what moved in it.

use ruma::{EventId, UserId};
use wardstead_engine::{Key, KeyReader, PageLimit, Position, ScanRange};
use wardstead_limits::engine::{GET_KEYS, PAGE_ROWS};
use wardstead_store::Found;

use crate::{RoomError, Rooms};

use super::{
    Receipt, cell_key, log_key,
    tables::{RECEIPT_CELLS, RECEIPT_LOG, RECEIPTS, ReceiptLogRow},
};

/// Receipts of a room, the last moved first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipts {
    /// At most as many as were asked for.
    pub receipts: Vec<Receipt>,
    /// Whether there are more.
    pub more: bool,
}

/// The position of an event of this order; zero for one that is not live.
pub(super) fn live(order: i64) -> Position {
    Position(u64::try_from(order).unwrap_or_default())
}

impl Rooms {
    /// At most `most` of the receipts in `room` that its members are shown and whose last move lies after `since` and not after `upto`.
    /// One that has moved again after `upto` is left out: the answer for that later position tells it.
    ///
    /// # Errors
    /// The store's.
    pub async fn receipts(
        &self,
        room: u64,
        since: Position,
        upto: Position,
        most: usize,
    ) -> Result<Receipts, RoomError> {
        self.log(false, room, 0, since, upto, most).await
    }

    /// As [`Self::receipts`], in whatever room, for those that `user` alone is shown.
    ///
    /// # Errors
    /// The store's.
    pub async fn private_receipts(
        &self,
        user: u64,
        since: Position,
        upto: Position,
        most: usize,
    ) -> Result<Receipts, RoomError> {
        self.log(true, 0, user, since, upto, most).await
    }

    /// `user`'s own receipts in `room`, private ones too, moved up to `upto`.
    ///
    /// # Errors
    /// The store's.
    pub async fn own_receipts(
        &self,
        room: u64,
        user: u64,
        user_id: &UserId,
        upto: Position,
    ) -> Result<Vec<Receipt>, RoomError> {
        let range = ScanRange::prefix(RECEIPTS.key(room).u64(user).key());
        let mut own = Vec::new();
        for found in self.inner.store.scan_all(&RECEIPTS, range).await? {
            if found.position() > upto {
                continue;
            }
            let corrupt = || RoomError::corrupt(&found.key, "not a receipt");
            let mut key = KeyReader::new(&found.key);
            let private = key.u64().and_then(|_| key.u8()).ok_or_else(corrupt)? == 1;
            let thread = key.text().ok_or_else(corrupt)?;
            own.push(Receipt {
                room,
                user,
                user_id: user_id.to_owned(),
                private,
                thread: Some(thread).filter(|thread| !thread.is_empty()),
                event_id: EventId::parse(found.row.event_id.as_str()).map_err(|_| corrupt())?,
                at_ms: found.row.at_ms,
            });
        }
        Ok(own)
    }

    /// When a receipt that members are shown last moved in each of `rooms`, in their order; zero: never.
    ///
    /// # Errors
    /// The store's.
    pub async fn receipt_cells(&self, rooms: &[u64]) -> Result<Vec<Position>, RoomError> {
        let keys: Vec<Key> = rooms.iter().map(|room| cell_key(*room)).collect();
        let mut cells = Vec::with_capacity(keys.len());
        for keys in keys.chunks(GET_KEYS) {
            let found = self.inner.store.get_many(&RECEIPT_CELLS, keys).await?;
            cells.extend(found.into_iter().map(|found| found.map_or(Position::ZERO, |found| found.position())));
        }
        Ok(cells)
    }

    async fn log(
        &self,
        private: bool,
        room: u64,
        user: u64,
        since: Position,
        upto: Position,
        most: usize,
    ) -> Result<Receipts, RoomError> {
        let at = |position: Position| log_key(private, room, user).position(position.next()).key();
        let range = ScanRange::new(at(since), at(upto));
        let mut found = Receipts::default();
        if range.from >= range.to {
            return Ok(found);
        }
        let mut rest = Some(range.descending());
        while let Some(range) = rest {
            let wanted = most - found.receipts.len();
            if wanted == 0 {
                found.more = true;
                break;
            }
            let page = PageLimit::rows(wanted.min(PAGE_ROWS));
            let (rows, resume) = self.inner.store.scan(&RECEIPT_LOG, &range, page).await?;
            for row in rows {
                found.receipts.push(opened(&row, private)?);
            }
            rest = resume.map(|resume| range.resumed(resume));
        }
        Ok(found)
    }
}

fn opened(found: &Found<ReceiptLogRow>, private: bool) -> Result<Receipt, RoomError> {
    let corrupt = || RoomError::corrupt(&found.key, "not a receipt");
    let ReceiptLogRow { room, user, user_id, thread, event_id, at_ms } = &found.row;
    Ok(Receipt {
        room: *room,
        user: *user,
        user_id: UserId::parse(user_id.as_str()).map_err(|_| corrupt())?,
        private,
        thread: thread.clone(),
        event_id: EventId::parse(event_id.as_str()).map_err(|_| corrupt())?,
        at_ms: *at_ms,
    })
}

//! What has notified a user, the newest first (Client-Server API, `GET /notifications`).
//!
//! No row is kept for it by user: it is read from the rows of what counted, room by room, as the event's commit wrote them. A heap has
//! each room under the position up to which nothing of it was looked at, so that only rooms with something new are read.

use std::collections::{BinaryHeap, HashMap, hash_map::Entry};

use ruma::OwnedRoomId;
use wardstead_accounts::Session;
use wardstead_engine::{Cell, Key, KeyReader, PageLimit, Position, ScanRange};
use wardstead_limits::{engine::GET_KEYS, push as limits};
use wardstead_rooms::{Membership, RoomError, Rooms, Seen, UserRoom};
use wardstead_store::{PageToken, Token};

use crate::{
    Notice, Push, PushError,
    error::corrupt,
    fold::Reader,
    tables::{COUNTED, counted_key, reader_key, tally_key},
};

/// The number of the list, that of the table.
const LIST: u16 = 0x0e1;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Token of the page before; `None`: from the newest on.
    pub from: Option<String>,
    /// At most; `None`: [`limits::NOTIFICATION_EVENTS_DEFAULT`].
    pub limit: Option<usize>,
    /// Only what was highlighted.
    pub highlights: bool,
}

/// An event that notified the user.
#[derive(Clone, Debug)]
pub struct Told {
    /// Where.
    pub room_id: OwnedRoomId,
    /// The event, and what the user was in the room when it had happened.
    pub event: (Seen, Membership),
    /// How it notified.
    pub notice: Notice,
    /// The user has read it since.
    pub read: bool,
}

/// A page.
#[derive(Clone, Debug)]
pub struct ToldPage {
    /// The newest first, by arrival.
    pub told: Vec<Told>,
    /// Where the next page starts; `None`: there is nothing more.
    pub next: Option<String>,
}

/// A room, as far as it was not looked at: the last first.
type Heap = BinaryHeap<(Position, usize)>;

/// Found in a room, before the event is looked at.
struct Hit {
    position: Position,
    room: usize,
    notice: Notice,
    read: bool,
}

impl Push {
    /// A page of what has notified `by` in the rooms that `by` is in, since the last join of each. Not told are events that were redacted,
    /// that `by` may not see, or whose sender `by` ignores now. Reads the tallies of all rooms, and of each room with something in the
    /// page at most [`limits::NOTIFICATION_ROWS`] rows at a time; after [`limits::NOTIFICATION_ROWS_SCANNED`] a page ends as it is.
    ///
    /// # Errors
    /// `Room` with `InvalidParam` for a token of another user or list; and the store's.
    pub async fn notifications(&self, rooms: &Rooms, by: &Session, wanted: &Wanted) -> Result<ToldPage, PushError> {
        let below = wanted.from.as_deref().map(|from| self.read_place(from, by.user)).transpose()?;
        let limit =
            wanted.limit.unwrap_or(limits::NOTIFICATION_EVENTS_DEFAULT).clamp(1, limits::NOTIFICATION_EVENTS_PAGE);
        let joined = rooms.user_rooms(by.user).await?.into_iter();
        let joined: Vec<UserRoom> = joined.filter(|room| room.membership == Membership::Join).collect();
        let mut heap = self.newest(&joined, below.unwrap_or(Position(u64::MAX))).await?;
        let (mut hits, mut scanned, mut looked_at): (Vec<Hit>, usize, HashMap<usize, Reader>) =
            (Vec::new(), 0, HashMap::new());
        while let Some((upto, room)) = heap.peek().copied() {
            hits.sort_unstable_by_key(|hit| std::cmp::Reverse(hit.position));
            // What is found is settled where nothing that was not looked at may be newer.
            let settled = hits.iter().take_while(|hit| hit.position > upto).count();
            if settled >= limit || (scanned >= limits::NOTIFICATION_ROWS_SCANNED && looked_at.contains_key(&room)) {
                break;
            }
            heap.pop();
            let reader = match looked_at.entry(room) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.reader(joined[room].room, by.user).await?),
            };
            let (found, rest, rows) = self.hits(reader, room, upto, wanted.highlights).await?;
            scanned += rows;
            hits.extend(found);
            heap.extend(rest.map(|rest| (rest, room)));
        }
        self.page(rooms, by, &joined, hits, (limit, heap.peek().map(|(upto, _)| *upto))).await
    }

    /// The rooms with something below `below`, each under the position of its last change.
    async fn newest(&self, joined: &[UserRoom], below: Position) -> Result<Heap, PushError> {
        let mut heap = Heap::new();
        let last = Position(below.0.saturating_sub(1));
        for (chunk, rooms) in joined.chunks(GET_KEYS).enumerate() {
            let keys: Vec<Key> = rooms.iter().map(|room| tally_key(room.room)).collect();
            let cells = self.core.store.cells(&keys).await?;
            for (at, cell) in cells.iter().enumerate() {
                let changed = cell.as_ref().map(Cell::position).unwrap_or_default().min(last);
                if changed > Position::ZERO {
                    heap.push((changed, chunk * GET_KEYS + at));
                }
            }
        }
        Ok(heap)
    }

    async fn reader(&self, room: u64, user: u64) -> Result<Reader, PushError> {
        let cells = self.core.store.cells(&[reader_key(room, user)]).await?;
        Ok(Reader::of(room, user, cells.first().and_then(Option::as_ref))?)
    }

    /// What notifies the reader at or before `upto`, as far as a few rows tell, and where the next ones are; with how many rows were read.
    async fn hits(
        &self,
        reader: &Reader,
        room: usize,
        upto: Position,
        highlights: bool,
    ) -> Result<(Vec<Hit>, Option<Position>, usize), PushError> {
        let at = |position: Position| counted_key(reader.room).position(position.next()).key();
        let range = ScanRange::new(at(reader.joined()), at(upto));
        if range.from >= range.to {
            return Ok((Vec::new(), None, 0));
        }
        let page = PageLimit::rows(limits::NOTIFICATION_ROWS);
        let (rows, resume) = self.core.store.scan(&COUNTED, &range.descending(), page).await?;
        let (mut hits, mut last) = (Vec::new(), upto);
        for found in &rows {
            let position = KeyReader::new(&found.key).position();
            last = position.ok_or_else(|| corrupt(&found.key, "no position in the key"))?;
            let Some(counted) = &found.row.event else { continue };
            let Some(notice) = Notice::of(counted, reader.verdict(last, counted)) else { continue };
            if notice.highlight || !highlights {
                let read = reader.is_read(last, counted.thread.as_deref());
                hits.push(Hit { position: last, room, notice, read });
            }
        }
        let rest = resume.map(|_| Position(last.0.saturating_sub(1)));
        Ok((hits, rest, rows.len()))
    }

    /// The first of `hits`; those beyond `limit`, and those at or before `unseen`, belong to the next page.
    async fn page(
        &self,
        rooms: &Rooms,
        by: &Session,
        joined: &[UserRoom],
        mut hits: Vec<Hit>,
        (limit, unseen): (usize, Option<Position>),
    ) -> Result<ToldPage, PushError> {
        hits.sort_unstable_by_key(|hit| std::cmp::Reverse(hit.position));
        hits.retain(|hit| unseen.is_none_or(|unseen| hit.position > unseen));
        let more = hits.len() > limit;
        hits.truncate(limit);
        let next = match hits.last() {
            Some(last) if more => Some(last.position),
            _ => unseen.map(Position::next),
        };
        let ignored = self.core.accounts.ignored_by(by.user, &by.user_id).await?;
        let mut by_room: HashMap<usize, Vec<Position>> = HashMap::new();
        for hit in &hits {
            by_room.entry(hit.room).or_default().push(hit.position);
        }
        let mut seen: HashMap<Position, (Seen, Membership)> = HashMap::new();
        for (room, positions) in by_room {
            match rooms.arrived_at(by, &joined[room].room_id, &positions).await {
                Ok(events) => {
                    let found = positions.into_iter().zip(events);
                    seen.extend(found.filter_map(|(position, event)| Some((position, event?))));
                }
                // Left meanwhile.
                Err(RoomError::Forbidden(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let told = hits.into_iter().filter_map(|hit| {
            let event = seen.remove(&hit.position).filter(|(event, _)| !ignored.contains(&event.sender))?;
            Some(Told { room_id: joined[hit.room].room_id.clone(), event, notice: hit.notice, read: hit.read })
        });
        Ok(ToldPage { told: told.collect(), next: next.map(|below| self.write_place(below, by.user)) })
    }

    fn write_place(&self, below: Position, user: u64) -> String {
        let key = [user.to_be_bytes(), below.0.to_be_bytes()].concat();
        self.core.store.tokens().write(&Token::Page(PageToken { list: LIST, key }))
    }

    fn read_place(&self, text: &str, user: u64) -> Result<Position, PushError> {
        let unknown = || PushError::Room(RoomError::InvalidParam("from is no token of this list.".into()));
        let Ok(Token::Page(PageToken { list: LIST, key })) = self.core.store.tokens().read(text) else {
            return Err(unknown());
        };
        let (of, rest) = key.split_first_chunk().ok_or_else(unknown)?;
        let below = <[u8; 8]>::try_from(rest).map_err(|_| unknown())?;
        (*of == user.to_be_bytes()).then(|| Position(u64::from_be_bytes(below))).ok_or_else(unknown)
    }
}

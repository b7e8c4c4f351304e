//! The list of published rooms, searched and in pages (Matrix specification, Client-Server API, GET and POST publicRooms).

use std::{cmp::Reverse, ops::Range, sync::Arc};

use serde::Serialize;
use wardstead_engine::Key;
use wardstead_limits::directory as limits;
use wardstead_rooms::Looker;
use wardstead_store::{PageToken, Token};

use crate::{
    Directory, DirectoryError, RoomEntry,
    listing::{Line, Place, folded},
    lists,
    published::{PUBLISHED, published_key},
};

/// The request.
#[derive(Clone, Debug, Default)]
pub struct PublicRoomsQuery {
    /// What name, topic or canonical alias has to hold, in any case of letters.
    pub term: Option<String>,
    /// The types of which the rooms are, `None` among them for rooms without one. Empty: any.
    pub room_types: Vec<Option<String>>,
    /// Rooms at most; `None` and 0: [`limits::PUBLIC_ROOMS_DEFAULT`].
    pub limit: Option<usize>,
    /// Token of an earlier page.
    pub since: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicRooms {
    /// A page of rooms, the largest first.
    pub chunk: Vec<RoomEntry>,
    /// Token of the page after this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_batch: Option<String>,
    /// Token of the page before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_batch: Option<String>,
    /// How many rooms there are on all pages.
    pub total_room_count_estimate: usize,
}

/// Where a page starts. The places are the same whatever is searched, and stay when rooms come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    After(Place),
    Before(Place),
}

/// Before all rooms, and after them.
const FIRST: Place = (Reverse(u32::MAX), 0);
const LAST: Place = (Reverse(0), u64::MAX);

impl PublicRoomsQuery {
    fn matches(&self, line: &Line, term: &str) -> bool {
        let typed = self.room_types.is_empty() || self.room_types.contains(&line.room_type);
        typed && (term.is_empty() || line.has(term))
    }
}

impl Directory {
    /// A page of the published rooms as they are now, whoever asks.
    ///
    /// # Errors
    /// `InvalidParam` for a token that is none of this list.
    pub async fn public_rooms(&self, query: &PublicRoomsQuery) -> Result<PublicRooms, DirectoryError> {
        let since = query.since.as_deref().map(|text| self.read_since(text)).transpose()?;
        let lines = self.listed().await?;
        let term = folded(query.term.as_deref().unwrap_or_default());
        let found: Vec<&Arc<Line>> = lines.iter().filter(|line| query.matches(line, &term)).collect();
        let limit = query.limit.filter(|limit| *limit > 0).unwrap_or(limits::PUBLIC_ROOMS_DEFAULT);
        let range = cut(&found, since, limit.min(limits::PUBLIC_ROOMS_PAGE));
        let shown: Vec<u64> = found[range.clone()].iter().map(|line| line.place.1).collect();
        let place = |at: usize| found.get(at).map(|line| line.place);
        // A page without rooms is before all of them or after all.
        let (first, last) = if range.is_empty() {
            if range.start == 0 { (FIRST, FIRST) } else { (LAST, LAST) }
        } else {
            (place(range.start).unwrap_or(FIRST), place(range.end - 1).unwrap_or(LAST))
        };
        Ok(PublicRooms {
            chunk: self.entries(&shown).await?,
            next_batch: (range.end < found.len()).then(|| self.write_since(Since::After(last))),
            prev_batch: (range.start > 0).then(|| self.write_since(Since::Before(first))),
            total_room_count_estimate: found.len(),
        })
    }

    /// Those of `rooms` that are published now, as they are now.
    async fn entries(&self, rooms: &[u64]) -> Result<Vec<RoomEntry>, DirectoryError> {
        let keys: Vec<Key> = rooms.iter().map(|room| published_key(*room)).collect();
        let rows = self.inner.store.get_many(&PUBLISHED, &keys).await?;
        let published: Vec<u64> =
            rooms.iter().zip(rows).filter_map(|(room, row)| row.is_some().then_some(*room)).collect();
        let rooms = self.inner.rooms.rooms_by_short_id(&published).await?;
        let glimpses = self.inner.rooms.glimpse(Looker::Listed, &rooms).await?;
        Ok(glimpses.into_iter().flatten().map(|glimpse| RoomEntry::listed(glimpse.overview)).collect())
    }

    fn write_since(&self, since: Since) -> String {
        let (direction, (Reverse(joined), room)) = match since {
            Since::After(place) => (0, place),
            Since::Before(place) => (1, place),
        };
        let mut key = vec![direction];
        key.extend_from_slice(&joined.to_be_bytes());
        key.extend_from_slice(&room.to_be_bytes());
        self.inner.store.tokens().write(&Token::Page(PageToken { list: lists::PUBLIC_ROOMS, key }))
    }

    fn read_since(&self, text: &str) -> Result<Since, DirectoryError> {
        let invalid = DirectoryError::InvalidParam("since is no token of this list.");
        let Ok(Token::Page(PageToken { list: lists::PUBLIC_ROOMS, key })) = self.inner.store.tokens().read(text) else {
            return Err(invalid);
        };
        let place = |rest: &[u8]| {
            let (joined, room) = rest.split_first_chunk()?;
            Some((Reverse(u32::from_be_bytes(*joined)), u64::from_be_bytes(room.try_into().ok()?)))
        };
        match key.split_first() {
            Some((0, rest)) => place(rest).map(Since::After),
            Some((1, rest)) => place(rest).map(Since::Before),
            _ => None,
        }
        .ok_or(invalid)
    }
}

/// Which of `found` are on the page.
fn cut(found: &[&Arc<Line>], since: Option<Since>, limit: usize) -> Range<usize> {
    match since {
        None => 0..limit.min(found.len()),
        Some(Since::After(place)) => {
            let start = found.partition_point(|line| line.place <= place);
            start..(start + limit).min(found.len())
        }
        Some(Since::Before(place)) => {
            let end = found.partition_point(|line| line.place < place);
            end.saturating_sub(limit)..end
        }
    }
}

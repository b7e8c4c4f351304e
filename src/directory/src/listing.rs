//! The order of the published rooms, and what is searched, in this node's memory.
//!
//! Exact as of a journal position that the request has waited for: the change window names the rooms that changed since the
//! position of the request before, and those alone are read again. It decides no access: what a page shows is read
//! from the engine, and so is whether its rooms are published.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Mutex;
use wardstead_engine::{Key, KeyReader, Position, ScanRange};
use wardstead_limits::directory as limits;
use wardstead_rooms::{Looker, Overview};
use wardstead_store::{Changes, StoreError};

use crate::{
    Directory, DirectoryError,
    error::corrupt,
    published::{PUBLISHED, published_key},
};

/// Where a room stands: the largest first, then by short id.
pub(crate) type Place = (Reverse<u32>, u64);

/// What is known of a published room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) place: Place,
    pub(crate) room_type: Option<String>,
    /// Name, topic and alias in lower case, with a byte between them that no term has.
    text: String,
}

/// The published rooms in their order.
pub(crate) type Lines = Arc<Vec<Arc<Line>>>;

#[derive(Default)]
struct Known {
    /// Epoch and position as of which the lines are exact; `None`: nothing was read yet.
    at: Option<(u64, Position)>,
    by_room: BTreeMap<u64, Arc<Line>>,
    in_order: Lines,
}

/// See the module's description.
#[derive(Default)]
pub(crate) struct Listing {
    known: Mutex<Known>,
    bytes: AtomicU64,
}

/// What stands for a type that is too long to be kept; no type that anybody asks for.
const OTHER: &str = "\0";

impl Line {
    fn of(overview: &Overview) -> Self {
        let mut text = String::new();
        for (number, part) in [&overview.name, &overview.topic, &overview.canonical_alias].into_iter().enumerate() {
            if number > 0 {
                text.push('\0');
            }
            text.push_str(&folded(part.as_deref().unwrap_or_default()));
        }
        let room_type = overview
            .room_type
            .clone()
            .map(|name| if name.len() <= limits::ROOM_TYPE_BYTES { name } else { OTHER.to_owned() });
        Self { place: (Reverse(overview.joined), overview.room.short), room_type, text }
    }

    /// What it weighs with its places in the map and the order.
    fn bytes(&self) -> u64 {
        let texts = self.text.capacity() + self.room_type.as_ref().map_or(0, String::capacity);
        (texts + size_of::<Self>() + 64) as u64
    }

    /// Whether name, topic or alias holds `term`, which was [`folded`].
    pub(crate) fn has(&self, term: &str) -> bool {
        self.text.contains(term)
    }
}

/// What of `text` is searched, in the form in which it is compared.
pub(crate) fn folded(text: &str) -> String {
    let mut folded = text.to_lowercase().replace('\0', " ");
    let ends = folded.char_indices().map(|(at, char)| at + char.len_utf8());
    let end = ends.take_while(|end| *end <= limits::SEARCH_TEXT_BYTES).last().unwrap_or(0);
    folded.truncate(end);
    folded.shrink_to_fit();
    folded
}

impl Directory {
    /// Name, bytes and bound in bytes of what is kept in memory.
    #[must_use]
    pub fn caches(&self) -> Vec<(&'static str, u64, u64)> {
        vec![("published_rooms", self.inner.listing.bytes.load(Ordering::Relaxed), limits::LISTING_BYTES)]
    }

    /// The published rooms, as of a moment after the call was made.
    pub(crate) async fn listed(&self) -> Result<Lines, DirectoryError> {
        let store = &self.inner.store;
        let at = store.caught_up().await?;
        let epoch = store.epoch();
        let mut known = self.inner.listing.known.lock().await;
        match known.at {
            Some((known_epoch, known_at)) if known_epoch == epoch && known_at >= at => {}
            // What was committed in another epoch may be lost, and nothing would say that it changed.
            Some((known_epoch, known_at)) if known_epoch == epoch => match store.rooms_since(known_at) {
                Changes::Rooms(rooms) => self.look_again(&mut known, &rooms).await?,
                Changes::Many | Changes::Unknown => self.look_at_all(&mut known, known_at).await?,
            },
            _ => self.look_at_all(&mut known, Position::ZERO).await?,
        }
        if known.at.is_none_or(|(known_epoch, known_at)| known_epoch != epoch || known_at < at) {
            known.at = Some((epoch, at));
        }
        Ok(Arc::clone(&known.in_order))
    }

    /// Looks which rooms are published, and at those of them that are new or have changed after `since`, as their heads say.
    async fn look_at_all(&self, known: &mut Known, since: Position) -> Result<(), DirectoryError> {
        let rows = self.inner.store.scan_all(&PUBLISHED, ScanRange::scope(PUBLISHED.id(), 0)).await?;
        let rooms = rows.iter().map(|found| room_in(&found.key)).collect::<Result<Vec<u64>, _>>()?;
        let heads = self.inner.rooms.heads(&rooms).await?;
        let as_before = |(room, head): &(&u64, Position)| *head <= since && known.by_room.contains_key(room);
        let (same, changed): (Vec<_>, Vec<_>) = rooms.iter().zip(heads).partition(as_before);
        let changed: Vec<u64> = changed.into_iter().map(|(room, _)| *room).collect();
        let lines = self.lines(&changed).await?;
        let same = same.into_iter().filter_map(|(room, _)| Some((*room, known.by_room.get(room)?.clone())));
        known.by_room = same.chain(lines).collect();
        self.inner.listing.sort(known);
        Ok(())
    }

    async fn look_again(&self, known: &mut Known, rooms: &[u64]) -> Result<(), DirectoryError> {
        if rooms.is_empty() {
            return Ok(());
        }
        let keys: Vec<Key> = rooms.iter().map(|room| published_key(*room)).collect();
        let rows = self.inner.store.get_many(&PUBLISHED, &keys).await?;
        let published: Vec<u64> =
            rooms.iter().zip(rows).filter_map(|(room, row)| row.is_some().then_some(*room)).collect();
        let mut lines: BTreeMap<u64, Arc<Line>> = self.lines(&published).await?.into_iter().collect();
        let mut changed = false;
        for room in rooms {
            let line = lines.remove(room);
            changed |= known.by_room.get(room) != line.as_ref();
            match line {
                Some(line) => drop(known.by_room.insert(*room, line)),
                None => drop(known.by_room.remove(room)),
            }
        }
        if changed {
            self.inner.listing.sort(known);
        }
        Ok(())
    }

    async fn lines(&self, rooms: &[u64]) -> Result<Vec<(u64, Arc<Line>)>, DirectoryError> {
        let rooms = self.inner.rooms.rooms_by_short_id(rooms).await?;
        let glimpses = self.inner.rooms.glimpse(Looker::Listed, &rooms).await?;
        let lines = glimpses.into_iter().flatten();
        Ok(lines.map(|glimpse| (glimpse.overview.room.short, Arc::new(Line::of(&glimpse.overview)))).collect())
    }
}

impl Listing {
    fn sort(&self, known: &mut Known) {
        let mut lines: Vec<Arc<Line>> = known.by_room.values().cloned().collect();
        lines.sort_by_key(|line| line.place);
        self.bytes.store(lines.iter().map(|line| line.bytes()).sum(), Ordering::Relaxed);
        known.in_order = Arc::new(lines);
    }
}

/// The room under `key` of a published room.
fn room_in(key: &Key) -> Result<u64, StoreError> {
    KeyReader::new(key).u64().ok_or_else(|| corrupt(key, "not the short id of a published room"))
}

#[cfg(test)]
mod tests {
    use wardstead_engine::EngineError;

    use super::*;

    #[test]
    fn a_published_room_without_its_id_is_corrupt() {
        assert_eq!(room_in(&published_key(7)), Ok(7));
        let refused = room_in(&PUBLISHED.key(0).key());
        assert!(matches!(refused, Err(StoreError::Engine(EngineError::Corrupt { .. }))), "{refused:?}");
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(folded("ÄÖÜ Straße"), "äöü straße");
        assert_eq!(folded("a\0b"), "a b");
        let long = "ä".repeat(limits::SEARCH_TEXT_BYTES);
        assert_eq!(folded(&long).len(), limits::SEARCH_TEXT_BYTES);
        assert_eq!(folded(&format!("a{long}")).len(), limits::SEARCH_TEXT_BYTES - 1);
    }
}

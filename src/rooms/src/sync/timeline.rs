//! Parts of a room's timeline, by position and by timeline key.

use std::sync::Arc;

use ruma::EventId;
use wardstead_accounts::Session;
use wardstead_engine::{PageLimit, Position, ScanRange};
use wardstead_limits::rooms as limits;

use crate::{
    ClientEvent, Membership, Room, RoomError, Rooms, Sight, StoredEvent, TimelineKey, Viewer,
    read::before,
    tables::{ARRIVALS, ArrivalRow, TIMELINE, after},
};

/// Visible events of a room, the newest first.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    /// Events, and what the user was in the room when each had happened.
    pub events: Vec<(Arc<StoredEvent>, Membership)>,
    /// Whether there is more in the range asked for, visible or not.
    pub more: bool,
    /// Timeline key of the oldest event looked at, from which `prev_batch` goes on; `None`: none was.
    pub oldest: Option<TimelineKey>,
}

impl Rooms {
    /// At most `limit` of the events that arrived in `room` after `since` up to `upto` and that `sight` sees, the newest
    /// first by position. At most two scans and two reads per [`limits::TIMELINE_OVERREAD`] · `limit` rows.
    ///
    /// # Errors
    /// The store's.
    pub async fn timeline_range(
        &self,
        room: &Room,
        since: Position,
        upto: Position,
        limit: usize,
        sight: &mut Sight,
    ) -> Result<Slice, RoomError> {
        let range = ScanRange::new(after(&ARRIVALS, room.short, since), after(&ARRIVALS, room.short, upto));
        if range.from >= range.to {
            return Ok(Slice::default());
        }
        let page = PageLimit::rows(limit.saturating_add(1));
        let mut walk = Walk { limit, scanned: 0, slice: Slice::default() };
        let mut rest = Some(range.descending());
        while let Some(range) = rest {
            let (rows, resume) = self.inner.store.scan(&ARRIVALS, &range, page).await?;
            let id = |row: &ArrivalRow| EventId::parse(row.event_id.as_str());
            let ids =
                rows.iter().map(|found| id(&found.row).map_err(|_| RoomError::corrupt(&found.key, "not an event id")));
            let events = self.inner.events.load(room, &ids.collect::<Result<Vec<_>, _>>()?).await?;
            let done = walk.take(self, sight, events, resume.is_some()).await?;
            rest = if done { None } else { resume.map(|resume| range.resumed(resume)) };
        }
        Ok(walk.slice)
    }

    /// At most `limit` of the newest events of `room`'s timeline that arrived up to `upto` (or were fetched later) and that
    /// `sight` sees, the newest first by timeline key.
    ///
    /// # Errors
    /// The store's.
    pub async fn timeline_tail(
        &self,
        room: &Room,
        upto: Position,
        limit: usize,
        sight: &mut Sight,
    ) -> Result<Slice, RoomError> {
        let page = PageLimit::rows(limit.saturating_add(1));
        let mut walk = Walk { limit, scanned: 0, slice: Slice::default() };
        let mut rest = Some(ScanRange::scope(TIMELINE.id(), room.short).descending());
        while let Some(range) = rest {
            let (rows, resume) = self.inner.store.scan(&TIMELINE, &range, page).await?;
            let (_, mut events) = self.inner.timeline_events(room, &rows).await?;
            events.retain(|event| event.position <= upto);
            let done = walk.take(self, sight, events, resume.is_some()).await?;
            rest = if done { None } else { resume.map(|resume| range.resumed(resume)) };
        }
        Ok(walk.slice)
    }

    /// The token from which `/messages` goes back from just before the event with `key`.
    #[must_use]
    pub fn prev_batch(&self, room: u64, key: TimelineKey) -> String {
        self.timeline_token(room, before(key))
    }

    /// An event as /sync shows it to `by`: without the room id.
    #[must_use]
    pub fn client_json(&self, event: &StoredEvent, by: &Session, membership: Option<Membership>) -> ClientEvent {
        ClientEvent::new(event, &self.viewer(by, membership, false))
    }

    /// An event as every other endpoint shows it to `by`.
    #[must_use]
    pub fn client_json_with_room(
        &self,
        event: &StoredEvent,
        by: &Session,
        membership: Option<Membership>,
    ) -> ClientEvent {
        ClientEvent::new(event, &self.viewer(by, membership, true))
    }

    fn viewer(&self, by: &Session, membership: Option<Membership>, with_room_id: bool) -> Viewer {
        Viewer { device: by.device, now_ms: self.inner.store.clock().now_ms(), membership, with_room_id }
    }
}

struct Walk {
    limit: usize,
    scanned: usize,
    slice: Slice,
}

impl Walk {
    /// Takes visible events until there are enough. Whether that is so, or too much was looked at.
    async fn take(
        &mut self,
        rooms: &Rooms,
        sight: &mut Sight,
        events: Vec<Arc<StoredEvent>>,
        more_rows: bool,
    ) -> Result<bool, RoomError> {
        self.slice.more = more_rows;
        for event in events {
            if self.slice.events.len() >= self.limit {
                self.slice.more = true;
                return Ok(true);
            }
            self.scanned += 1;
            self.slice.oldest = Some(event.timeline_key);
            match sight.look(rooms, &event).await? {
                Some(membership) => self.slice.events.push((event, membership)),
                // State that changed in a hole would be told neither by the timeline nor by what stands before it.
                None if !self.slice.events.is_empty() => {
                    self.slice.more = true;
                    return Ok(true);
                }
                None => {}
            }
        }
        let enough = self.slice.events.len() >= self.limit;
        Ok(enough || self.scanned >= limits::TIMELINE_OVERREAD.saturating_mul(self.limit.max(1)))
    }
}

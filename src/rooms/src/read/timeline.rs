//! A room's timeline, by position and by timeline key. Nothing else reads those rows for a client, and what leaves this module was
//! looked at by a [`Sight`].

use std::sync::Arc;

use bytes::Bytes;
use ruma::{EventId, OwnedEventId, RoomId};
use wardstead_accounts::Session;
use wardstead_engine::{Key, KeyReader, PageLimit, Position, ScanRange};
use wardstead_limits::{engine::GET_KEYS, rooms as limits};
use wardstead_store::Found;

use crate::{
    ClientEvent, EventFilter, Membership, Room, RoomError, Rooms, Seen, Sight, StoredEvent, TimelineKey, Viewer,
    events::order_of,
    tables::{ARRIVALS, ArrivalRow, TIMELINE, TimelineRow, after, read_timeline_key, timeline_key},
};

use super::places::before;

/// Visible and wanted events of a room, the newest first.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    /// Events, and what the user was in the room when each had happened.
    pub events: Vec<(Seen, Membership)>,
    /// Whether there is more in the range asked for: something wanted, something hidden from the user, or something not looked at.
    pub more: bool,
    /// Whether the filter left something out that lies between the first and the last of what was looked at.
    pub filtered: bool,
    /// Place of the oldest event of those, from just before which `prev_batch` goes on; `None`: none was looked at.
    pub oldest: Option<TimelineKey>,
}

/// How much of a timeline a sync wants.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Events at most.
    pub limit: usize,
    /// Which of them.
    pub filter: &'a EventFilter,
    /// Rows to look at, at most, where the filter leaves most of them out.
    pub scan: usize,
}

impl Asked<'_> {
    /// Rows to read at once.
    fn page(&self) -> PageLimit {
        let wanted = self.limit.saturating_add(1);
        if self.filter.is_open() {
            return PageLimit::rows(wanted);
        }
        PageLimit::rows(wanted.max(limits::MESSAGES_LEAST_ROWS.min(self.scan.max(1))))
    }
}

/// A stretch of the timeline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    /// Without the event there.
    pub(super) above: TimelineKey,
    /// With the event there.
    pub(super) upto: TimelineKey,
    pub(super) backwards: bool,
}

/// Visible and wanted events of a stretch, in its direction.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) events: Vec<(Seen, Membership)>,
    /// The first and the last event looked at.
    pub(super) first: Option<TimelineKey>,
    pub(super) last: Option<TimelineKey>,
    /// Whether something was not looked at.
    pub(super) more: bool,
}

impl Rooms {
    /// As many as `asked` of the events that arrived in `room` after `since` up to `upto` and that `sight` sees, the newest first by
    /// position. Two scans and two reads where nothing is left out.
    ///
    /// # Errors
    /// The store's.
    pub async fn timeline_range(
        &self,
        room: &Room,
        since: Position,
        upto: Position,
        asked: Asked<'_>,
        sight: &mut Sight,
    ) -> Result<Slice, RoomError> {
        let range = ScanRange::new(after(&ARRIVALS, room.short, since), after(&ARRIVALS, room.short, upto));
        if range.from >= range.to {
            return Ok(Slice::default());
        }
        let page = asked.page();
        let mut walk = Walk { asked, scanned: 0, slice: Slice::default() };
        let mut rest = Some(range.descending());
        while let Some(range) = rest {
            let (rows, resume) = self.inner.store.scan(&ARRIVALS, &range, page).await?;
            let id = |row: &ArrivalRow| EventId::parse(row.event_id.as_str());
            let ids =
                rows.iter().map(|found| id(&found.row).map_err(|_| RoomError::corrupt(&found.key, "not an event id")));
            let events = self.inner.events.load(room, &ids.collect::<Result<Vec<_>, _>>()?).await?;
            let steps = events.into_iter().zip(&rows).map(|(event, found)| Step::arrived(event, &found.row)).collect();
            let done = walk.take(self, sight, steps, resume.is_some()).await?;
            rest = if done { None } else { resume.map(|resume| range.resumed(resume)) };
        }
        Ok(walk.slice)
    }

    /// The events of `room_id` that arrived at `positions`, in their order, each with what the user was when it had happened; `None`: there is
    /// none, the user may not see it, or it was redacted.
    ///
    /// # Errors
    /// As [`Self::access`].
    pub async fn arrived_at(
        &self,
        by: &Session,
        room_id: &RoomId,
        positions: &[Position],
    ) -> Result<Vec<Option<(Seen, Membership)>>, RoomError> {
        let access = self.access(by, room_id).await?;
        let room = access.room.short;
        let mut sight = Sight::new(by, &access);
        let keys: Vec<Key> = positions.iter().map(|position| ARRIVALS.key(room).position(*position).key()).collect();
        let mut shown = Vec::with_capacity(keys.len());
        for keys in keys.chunks(GET_KEYS) {
            let rows = self.inner.store.get_many(&ARRIVALS, keys).await?;
            let id = |(key, found): (&Key, &Found<ArrivalRow>)| {
                EventId::parse(found.row.event_id.as_str()).map_err(|_| RoomError::corrupt(key, "not an event id"))
            };
            let there = keys.iter().zip(&rows).filter_map(|(key, found)| Some((key, found.as_ref()?)));
            let ids = there.map(id).collect::<Result<Vec<_>, _>>()?;
            let mut events = self.inner.events.load(&access.room, &ids).await?.into_iter();
            for found in rows {
                let event = found.and_then(|_| events.next()).filter(|event| event.redaction.is_none());
                shown.push(match event {
                    Some(event) => sight.look(self, event).await?,
                    None => None,
                });
            }
        }
        Ok(shown)
    }

    /// As many as `asked` of the newest events of `room`'s timeline that arrived up to `upto` (or were fetched later) and that
    /// `sight` sees, the newest first by timeline key.
    ///
    /// # Errors
    /// The store's.
    pub async fn timeline_tail(
        &self,
        room: &Room,
        upto: Position,
        asked: Asked<'_>,
        sight: &mut Sight,
    ) -> Result<Slice, RoomError> {
        let page = asked.page();
        let mut walk = Walk { asked, scanned: 0, slice: Slice::default() };
        let mut rest = Some(ScanRange::scope(TIMELINE.id(), room.short).descending());
        while let Some(range) = rest {
            let (rows, resume) = self.inner.store.scan(&TIMELINE, &range, page).await?;
            let (_, mut events) = self.timeline_events(room, &rows).await?;
            events.retain(|event| event.position <= upto);
            let mut steps = Vec::with_capacity(events.len());
            for event in events {
                let ends = self.gap_is_open(&event).await?;
                steps.push(Step { place: event.timeline_key, event, ends });
            }
            let done = walk.take(self, sight, steps, resume.is_some()).await?;
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
    pub fn client_json(&self, event: &Seen, by: &Session, membership: Option<Membership>) -> ClientEvent {
        self.written(event, by, membership, false)
    }

    /// An event as every other endpoint shows it to `by`.
    #[must_use]
    pub fn client_json_with_room(&self, event: &Seen, by: &Session, membership: Option<Membership>) -> ClientEvent {
        self.written(event, by, membership, true)
    }

    /// `events` of `room`, in their order, as other servers know them. One read per 10,000.
    ///
    /// # Errors
    /// The store's.
    pub async fn federation_json(&self, room: &Room, events: &[&Seen]) -> Result<Vec<Bytes>, RoomError> {
        let ids: Vec<OwnedEventId> = events.iter().map(|event| event.event_id.clone()).collect();
        self.inner.events.pdus(room.short, &ids).await
    }

    pub(super) fn written(
        &self,
        event: &Seen,
        by: &Session,
        membership: Option<Membership>,
        with_room_id: bool,
    ) -> ClientEvent {
        let now_ms = self.inner.store.clock().now_ms();
        ClientEvent::new(event, &Viewer { device: by.device, now_ms, membership, with_room_id })
    }

    /// At most `limit` events of `stretch` that `sight` sees and `filter` lets pass. Looks at [`limits::MESSAGES_SCANNED`] at most.
    pub(super) async fn walk(
        &self,
        stretch: Stretch,
        sight: &mut Sight,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Walked, RoomError> {
        let room = Arc::clone(sight.room());
        let Stretch { above, upto, backwards } = stretch;
        let range =
            ScanRange::new(timeline_key(room.short, above).successor(), timeline_key(room.short, upto).successor());
        let mut walked = Walked::default();
        if range.from >= range.to {
            return Ok(walked);
        }
        let (mut scanned, mut rest) = (0, Some(if backwards { range.descending() } else { range }));
        while let Some(range) = rest.take() {
            walked.more = true;
            if walked.events.len() >= limit || scanned >= limits::MESSAGES_SCANNED {
                return Ok(walked);
            }
            let wanted = (limit - walked.events.len()).max(limits::MESSAGES_LEAST_ROWS);
            let (rows, resume) = self.inner.store.scan(&TIMELINE, &range, PageLimit::rows(wanted)).await?;
            let (keys, events) = self.timeline_events(&room, &rows).await?;
            for (key, event) in keys.into_iter().zip(events) {
                if walked.events.len() >= limit {
                    return Ok(walked);
                }
                walked.first.get_or_insert(key);
                walked.last = Some(key);
                scanned += 1;
                if let Some(seen) = sight.look(self, event).await?
                    && self.passes(filter, &seen.0, sight).await?
                {
                    walked.events.push(seen);
                }
            }
            rest = resume.map(|resume| range.resumed(resume));
        }
        walked.more = false;
        Ok(walked)
    }

    /// The nearest event at or after `from` in the order of the timeline, at or before it when going back; whoever may see it.
    pub(super) async fn nearest(
        &self,
        room: &Room,
        from: TimelineKey,
        backwards: bool,
    ) -> Result<Option<Arc<StoredEvent>>, RoomError> {
        let key = timeline_key(room.short, from);
        let whole = ScanRange::scope(TIMELINE.id(), room.short);
        let range = if backwards {
            ScanRange::new(whole.from, key.successor()).descending()
        } else {
            ScanRange::new(key, whole.to)
        };
        let (rows, _) = self.inner.store.scan(&TIMELINE, &range, PageLimit::rows(1)).await?;
        Ok(self.timeline_events(room, &rows).await?.1.pop())
    }

    /// The keys and events of timeline rows.
    async fn timeline_events(
        &self,
        room: &Room,
        rows: &[Found<TimelineRow>],
    ) -> Result<(Vec<TimelineKey>, Vec<Arc<StoredEvent>>), RoomError> {
        let (mut keys, mut ids) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for found in rows {
            let corrupt = || RoomError::corrupt(&found.key, "not a timeline row");
            keys.push(read_timeline_key(&found.key).ok_or_else(corrupt)?);
            ids.push(EventId::parse(found.row.event_id.as_str()).map_err(|_| corrupt())?);
        }
        Ok((keys, self.inner.events.load(room, &ids).await?))
    }

    /// The timeline key of the newest event of `room` up to `at`.
    pub(super) async fn key_at(&self, room: &Room, at: Position) -> Result<Option<TimelineKey>, RoomError> {
        let range = ScanRange::new(ARRIVALS.key(room.short).key(), after(&ARRIVALS, room.short, at)).descending();
        let (rows, _) = self.inner.store.scan(&ARRIVALS, &range, PageLimit::rows(1)).await?;
        let Some(found) = rows.first() else { return Ok(None) };
        let position = KeyReader::new(&found.key).position();
        let position = position.ok_or_else(|| RoomError::corrupt(&found.key, "no position in the key"))?;
        // Below all that had arrived by then: an event of a fork may have come later than one that stands below it.
        Ok(Some(TimelineKey { depth: found.row.top, order: order_of(position) }))
    }
}

/// An event on the way back.
struct Step {
    event: Arc<StoredEvent>,
    /// Its place, for who goes on from just before it.
    place: TimelineKey,
    /// Events before it are missing: nothing is joined to it.
    ends: bool,
}

impl Step {
    /// By position. Who pages back from it comes to all that had arrived before it, however deep that stands. What did not
    /// follow what had arrived before it ends the timeline for ever: what was fetched in between has no position.
    fn arrived(event: Arc<StoredEvent>, row: &ArrivalRow) -> Self {
        let place = TimelineKey { depth: row.top, ..event.timeline_key };
        Self { ends: event.gap, event, place }
    }
}

struct Walk<'a> {
    asked: Asked<'a>,
    scanned: usize,
    slice: Slice,
}

impl Walk<'_> {
    /// Takes visible and wanted events until there are enough. Whether that is so, or too much was looked at.
    async fn take(
        &mut self,
        rooms: &Rooms,
        sight: &mut Sight,
        steps: Vec<Step>,
        more_rows: bool,
    ) -> Result<bool, RoomError> {
        self.slice.more = more_rows;
        for Step { event, place, ends } in steps {
            let full = self.slice.events.len() >= self.asked.limit;
            if full && (self.asked.filter.is_open() || self.asked.limit == 0) {
                // Who asked for none pages back from behind the newest.
                let behind = TimelineKey { order: place.order.saturating_add(1), ..place };
                self.slice.oldest.get_or_insert(behind);
                self.slice.more = true;
                return Ok(true);
            }
            self.scanned += 1;
            // What is left out before the oldest that is shown has its place before it: paging back with another filter comes to it.
            if !full {
                self.slice.oldest = Some(place);
            }
            let hidden = match sight.look(rooms, event).await? {
                Some(seen) if rooms.passes(self.asked.filter, &seen.0, sight).await? => {
                    if full {
                        self.slice.more = true;
                        return Ok(true);
                    }
                    self.slice.events.push(seen);
                    false
                }
                Some(_) => {
                    self.slice.filtered |= !full;
                    false
                }
                None => true,
            };
            // A hole: what lies before it does not follow.
            if ends || (hidden && !self.slice.events.is_empty()) {
                self.slice.more = true;
                return Ok(true);
            }
        }
        let enough = self.slice.events.len() >= self.asked.limit;
        let most = self.asked.scan.max(limits::TIMELINE_OVERREAD.saturating_mul(self.asked.limit.max(1)));
        Ok(enough || self.scanned >= most)
    }
}

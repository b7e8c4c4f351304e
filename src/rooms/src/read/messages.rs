//! Paging through a room's timeline (Matrix specification, Client-Server API, GET messages).

use std::sync::Arc;

use ruma::{EventId, RoomId};
use wardstead_accounts::Session;
use wardstead_engine::{PageLimit, Position, ScanRange};
use wardstead_limits::rooms as limits;
use wardstead_store::{Found, TimelineToken, Token};

use crate::{
    Access, EventFilter, Membership, Reach, Room, RoomError, Rooms, Sight, StoredEvent, TimelineKey,
    events::order_of,
    tables::{ARRIVALS, TIMELINE, TimelineRow, after, read_timeline_key, timeline_key},
};

/// The request.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    /// Token to start from, of a timeline or of a sync. `None`: the newest event when going back, else the oldest.
    pub from: Option<String>,
    /// Token to stop at.
    pub to: Option<String>,
    /// Whether to go back in time.
    pub backwards: bool,
    /// Events at most; `None`: [`limits::MESSAGES_DEFAULT`].
    pub limit: Option<usize>,
    /// Which events.
    pub filter: EventFilter,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct MessagesPage {
    /// Events in the order asked for, and what the user was when each had happened.
    pub events: Vec<(Arc<StoredEvent>, Membership)>,
    /// Where the page starts.
    pub start: String,
    /// Where the next page starts; `None`: there is nothing more.
    pub end: Option<String>,
}

/// Before every event.
const BOTTOM: TimelineKey = TimelineKey { depth: 0, order: i64::MIN };
/// After every event.
const TOP: TimelineKey = TimelineKey { depth: u64::MAX, order: i64::MAX };

impl Rooms {
    /// A page of a room's timeline.
    ///
    /// # Errors
    /// As [`Self::access`]; `InvalidParam` for a token of another room or user, or that was not issued here.
    pub async fn messages(
        &self,
        by: &Session,
        room_id: &RoomId,
        request: &Messages,
    ) -> Result<MessagesPage, RoomError> {
        let access = self.access(by, room_id).await?;
        let from = self.place(by, &access.room, request.from.as_deref()).await?;
        let to = self.place(by, &access.room, request.to.as_deref()).await?;
        let newest = self.newest_readable(&access).await?;
        let range = range(access.room.short, request.backwards, from, to, newest);
        let limit = request.limit.unwrap_or(limits::MESSAGES_DEFAULT).clamp(1, limits::MESSAGES_PAGE);
        let mut walk = Walk { events: Vec::new(), first: None, last: None, scanned: 0, rest: Some(range) };
        let mut sight = Sight::new(by, &access);
        while let Some(range) = walk.rest.take() {
            if walk.events.len() >= limit || walk.scanned >= limits::MESSAGES_SCANNED {
                walk.rest = Some(range);
                break;
            }
            self.step(&mut walk, range, &access, &mut sight, &request.filter, limit).await?;
        }
        Ok(self.page(&access.room, request, from, walk))
    }

    /// Reads one page of rows and takes what is visible and wanted, up to the limit.
    async fn step(
        &self,
        walk: &mut Walk,
        range: ScanRange,
        access: &Access,
        sight: &mut Sight,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<(), RoomError> {
        let wanted = (limit - walk.events.len()).max(limits::MESSAGES_LEAST_ROWS);
        let (rows, resume) = self.inner.store.scan(&TIMELINE, &range, PageLimit::rows(wanted)).await?;
        let (keys, events) = self.inner.timeline_events(&access.room, &rows).await?;
        for ((found, key), event) in rows.iter().zip(keys).zip(events) {
            if walk.events.len() >= limit {
                let rest = if range.reverse { found.key.successor() } else { found.key.clone() };
                walk.rest = Some(range.resumed(rest));
                return Ok(());
            }
            walk.first.get_or_insert(key);
            walk.last = Some(key);
            walk.scanned += 1;
            if let Some(membership) = sight.look(self, &event).await?
                && filter.passes(&event)
            {
                walk.events.push((event, membership));
            }
        }
        walk.rest = resume.map(|resume| range.resumed(resume));
        Ok(())
    }

    fn page(&self, room: &Room, request: &Messages, from: Option<TimelineKey>, walk: Walk) -> MessagesPage {
        let first = walk.first.unwrap_or(BOTTOM);
        let at_start = match (from, request.backwards) {
            (Some(from), _) => from,
            (None, true) => first,
            (None, false) => BOTTOM,
        };
        // A token stands just after the event with its key. Going back, the next page starts just before the last event seen.
        let at_end = walk.last.map(|last| if request.backwards { before(last) } else { last });
        // The page that reaches the room's beginning has an end too, and the one after it is empty and has none: there are
        // clients that drop a page without an end, and with it the oldest messages.
        let more = walk.rest.is_some() || !walk.events.is_empty();
        MessagesPage {
            events: walk.events,
            start: request.from.clone().unwrap_or_else(|| self.timeline_token(room.short, at_start)),
            end: at_end.filter(|_| more).map(|key| self.timeline_token(room.short, key)),
        }
    }

    /// The token of the place just after the event with `key`, or where it would be.
    #[must_use]
    pub fn timeline_token(&self, room: u64, key: TimelineKey) -> String {
        let token = TimelineToken { room, depth: key.depth, order: key.order };
        self.inner.store.tokens().write(&Token::Timeline(token))
    }

    /// The timeline key that `token` stands just after.
    async fn place(&self, by: &Session, room: &Room, token: Option<&str>) -> Result<Option<TimelineKey>, RoomError> {
        let Some(text) = token else { return Ok(None) };
        let invalid = || RoomError::InvalidParam("The token is not one of this room and user.".into());
        match self.inner.store.tokens().read(text).map_err(|_| invalid())? {
            Token::Timeline(token) if token.room == room.short => {
                Ok(Some(TimelineKey { depth: token.depth, order: token.order }))
            }
            Token::Sync(token) if token.user == by.user => {
                Ok(Some(self.inner.key_at(room, token.position).await?.unwrap_or(BOTTOM)))
            }
            _ => Err(invalid()),
        }
    }

    async fn newest_readable(&self, access: &Access) -> Result<TimelineKey, RoomError> {
        match access.reach {
            Reach::Now => Ok(TOP),
            Reach::Until(left) => Ok(self.inner.key_at(&access.room, left).await?.unwrap_or(BOTTOM)),
        }
    }
}

struct Walk {
    events: Vec<(Arc<StoredEvent>, Membership)>,
    first: Option<TimelineKey>,
    last: Option<TimelineKey>,
    scanned: usize,
    /// What was not looked at; `None`: nothing is left.
    rest: Option<ScanRange>,
}

/// The rows above the lower and up to the upper of two places, clipped to `newest`.
fn range(
    room: u64,
    backwards: bool,
    from: Option<TimelineKey>,
    to: Option<TimelineKey>,
    newest: TimelineKey,
) -> ScanRange {
    let (low, high) = if backwards { (to, from) } else { (from, to) };
    let above = timeline_key(room, low.unwrap_or(BOTTOM)).successor();
    let upto = timeline_key(room, high.unwrap_or(TOP).min(newest)).successor();
    let range = ScanRange::new(above, upto);
    if backwards { range.descending() } else { range }
}

/// The place just before the event with `key`.
pub(crate) fn before(key: TimelineKey) -> TimelineKey {
    match key.order.checked_sub(1) {
        Some(order) => TimelineKey { order, ..key },
        None => TimelineKey { depth: key.depth.saturating_sub(1), order: i64::MAX },
    }
}

impl crate::Inner {
    /// The timeline key of the newest event of `room` up to `at`.
    pub(crate) async fn key_at(&self, room: &Room, at: Position) -> Result<Option<TimelineKey>, RoomError> {
        let range = ScanRange::new(ARRIVALS.key(room.short).key(), after(&ARRIVALS, room.short, at)).descending();
        let (rows, _) = self.store.scan(&ARRIVALS, &range, PageLimit::rows(1)).await?;
        let Some(found) = rows.first() else { return Ok(None) };
        let position = wardstead_engine::KeyReader::new(&found.key).position();
        let position = position.ok_or_else(|| RoomError::corrupt(&found.key, "no position in the key"))?;
        Ok(Some(TimelineKey { depth: found.row.depth, order: order_of(position) }))
    }

    /// The keys and events of timeline rows.
    pub(crate) async fn timeline_events(
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
        Ok((keys, self.events.load(room, &ids).await?))
    }
}

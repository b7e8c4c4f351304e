//! What stands around an event (Matrix specification, Client-Server API, GET context).

use ruma::{EventId, RoomId};
use wardstead_accounts::Session;
use wardstead_limits::rooms as limits;

use crate::{
    EventFilter, Membership, RoomError, Rooms, Seen, Sight,
    state::{Entry, key, store::Committed},
};

use super::{
    places::{BOTTOM, before},
    timeline::Stretch,
};

/// The answer.
#[derive(Clone, Debug)]
pub struct Context {
    /// The event.
    pub event: (Seen, Membership),
    /// What happened before it, the newest first.
    pub before: Vec<(Seen, Membership)>,
    /// What happened after it, the oldest first.
    pub after: Vec<(Seen, Membership)>,
    /// Token from which `/messages` goes back.
    pub start: String,
    /// Token from which `/messages` goes forward.
    pub end: String,
    /// The room's state at the last of the events.
    pub state: Vec<Seen>,
}

impl Rooms {
    /// At most `limit` events around `event_id` ([`limits::MESSAGES_PAGE`] at most), and the state at the last of them. `filter` is
    /// for those and the state, not for the event itself.
    ///
    /// # Errors
    /// As [`Self::access`]; `NotFound` also for events that the user may not see.
    pub async fn context(
        &self,
        by: &Session,
        room_id: &RoomId,
        event_id: &EventId,
        limit: usize,
        filter: &EventFilter,
    ) -> Result<Context, RoomError> {
        let access = self.access(by, room_id).await?;
        let mut sight = Sight::new(by, &access);
        let event = self.look_at(&mut sight, event_id).await?;
        let (room, at) = (access.room.short, event.0.timeline_key);
        let limit = limit.min(limits::MESSAGES_PAGE);
        let later = Stretch { above: at, upto: self.newest_readable(&access).await?, backwards: false };
        let earlier = Stretch { above: BOTTOM, upto: before(at), backwards: true };
        let after = self.walk(later, &mut sight, filter, limit / 2).await?;
        let before_event = self.walk(earlier, &mut sight, filter, limit - limit / 2).await?;
        let start = self.timeline_token(room, before(before_event.last.unwrap_or(at)));
        let end = self.timeline_token(room, after.last.unwrap_or(at));
        let (mut shown, count) = (vec![event], before_event.events.len());
        shown.extend(before_event.events);
        shown.extend(after.events);
        self.bundle(by, &mut sight, &mut shown, true).await?;
        let state = self.state_around(&mut sight, &shown, filter).await?;
        let mut shown = shown.into_iter();
        let event = shown.next().ok_or_else(missing)?;
        let before = shown.by_ref().take(count).collect();
        Ok(Context { event, before, after: shown.collect(), start, end, state })
    }

    /// The state at the last of `shown`, that event included.
    async fn state_around(
        &self,
        sight: &mut Sight,
        shown: &[(Seen, Membership)],
        filter: &EventFilter,
    ) -> Result<Vec<Seen>, RoomError> {
        let Some((last, _)) = shown.iter().max_by_key(|(event, _)| event.timeline_key) else { return Ok(Vec::new()) };
        let room = sight.room().short;
        let inner = &self.inner;
        let snapshot = inner.state.snapshot(&Committed, room, last.state_before).await?;
        let keys = if filter.lazy_members() { 0..=key::MEMBERS - 1 } else { 0..=u64::MAX };
        let entries = inner.state.list(&Committed, room, &snapshot, keys).await?;
        let shorts: Vec<u64> = entries.iter().map(|Entry { event, .. }| *event).collect();
        let mut state = sight.state(self, &shorts).await?;
        if filter.lazy_members() {
            let senders = shown.iter().map(|(event, _)| &*event.sender);
            state.extend(self.members_among(sight, last.state_before, senders, |_| false).await?);
        }
        if let Some(state_key) = &last.state_key {
            state.retain(|other| !other.is_state(&last.event_type, state_key));
            state.push(last.clone());
        }
        state.retain(|event| filter.passes(event));
        Ok(state)
    }

    /// The event `event_id`, if `sight` sees it.
    pub(crate) async fn look_at(&self, sight: &mut Sight, event_id: &EventId) -> Result<(Seen, Membership), RoomError> {
        if event_id.as_str().len() > limits::IDENTIFIER_BYTES {
            return Err(missing());
        }
        let room = std::sync::Arc::clone(sight.room());
        let found = self.inner.events.find(&room, &[event_id.to_owned()]).await?;
        let event = found.into_iter().next().flatten().ok_or_else(missing)?;
        sight.look(self, event).await?.ok_or_else(missing)
    }
}

fn missing() -> RoomError {
    RoomError::NotFound("There is no such event, or you may not see it.".into())
}

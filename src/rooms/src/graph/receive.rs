//! Events that others made: checked, judged, stored.

use std::{collections::HashMap, sync::Arc};

use ruma::{OwnedEventId, RoomId, events::TimelineEventType};
use serde_json::value::RawValue;
use wardstead_engine::{Batch, Expect, Losing};
use wardstead_limits::rooms as limits;
use wardstead_store::StoreError;

use crate::{
    Inner, Room, RoomError, Rooms, Status, StoredEvent,
    append::{Author, Build, Chains, begin, submit},
    events::short_key,
    tables::{Content, EVENTS, EventRow, STATE_EVENTS, StateEventRow, event_key},
};

use super::{
    Grapher,
    attach::Attached,
    check::{Checked, check},
};

/// An event that somebody else made.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its JSON.
    pub pdu: Box<RawValue>,
    /// Whether all signatures that its room's version asks for were verified. What is not is dropped.
    pub signed: bool,
    /// For events before it that cannot be had: the state after each, as other servers state it.
    pub stated: Vec<StatedState>,
}

/// State as other servers state it.
#[derive(Clone, Debug)]
pub struct StatedState {
    /// After this event, which is not here.
    pub after: OwnedEventId,
    /// All state events, which are here, be it as outliers.
    pub events: Vec<OwnedEventId>,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is stored with this status, now or since before.
    Stored(OwnedEventId, Status),
    /// It was not stored, because these are not here.
    Missing {
        /// The event.
        event_id: OwnedEventId,
        /// Events before it.
        prev: Vec<OwnedEventId>,
        /// Events that allow it.
        auth: Vec<OwnedEventId>,
    },
}

impl Received {
    /// The status of the stored event.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Stored(_, status) => Some(*status),
            Self::Missing { .. } => None,
        }
    }
}

/// Where an event belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It has just happened.
    Live,
    /// It was fetched later.
    Backfill,
}

impl Rooms {
    /// Takes an event that has just come from elsewhere. With all that follows from it in one batch, durable.
    ///
    /// # Errors
    /// `BadJson`, `TooLarge`, `Forbidden`: it is dropped, being no signed event of this room. `NotFound`: no such room here.
    /// `Busy` and the store's.
    pub async fn receive(&self, room_id: &RoomId, incoming: &Incoming) -> Result<Received, RoomError> {
        let room = self.known_room(room_id).await?;
        let checked = checked(&room, incoming)?;
        Box::pin(take_in(&self.inner, &room, &checked, incoming, Way::Live)).await
    }

    /// Takes an event that others name, without its place: it is judged by the events that allow it alone.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub async fn receive_outlier(&self, room_id: &RoomId, incoming: &Incoming) -> Result<Received, RoomError> {
        let room = self.known_room(room_id).await?;
        let checked = checked(&room, incoming)?;
        Box::pin(take_outlier(&self.inner, &room, &checked)).await
    }

    /// Takes events of the past, in any order: they have their places by depth and no position. Each is its own batch.
    ///
    /// # Errors
    /// As [`Self::receive`], by the first that fails; what came before it is stored.
    pub async fn backfill(&self, room_id: &RoomId, events: &[Incoming]) -> Result<Vec<Received>, RoomError> {
        let room = self.known_room(room_id).await?;
        let mut left: Vec<(Checked, &Incoming)> = Vec::with_capacity(events.len());
        for incoming in events {
            left.push((checked(&room, incoming)?, incoming));
        }
        let mut received = Vec::with_capacity(left.len());
        while !left.is_empty() {
            // Those that stand before the others first. What names itself in a circle is not stored by either.
            let names_none = |at: &usize| {
                let (checked, _) = &left[*at];
                !left.iter().any(|(other, _)| checked.event.prev_events.contains(&other.event.event_id))
            };
            let at = (0..left.len()).find(names_none).unwrap_or_default();
            let (checked, incoming) = left.swap_remove(at);
            received.push(Box::pin(take_in(&self.inner, &room, &checked, incoming, Way::Backfill)).await?);
        }
        Ok(received)
    }

    async fn known_room(&self, room_id: &RoomId) -> Result<Arc<Room>, RoomError> {
        let room = self.inner.names.by_id(room_id).await?;
        room.ok_or_else(|| RoomError::NotFound("There is no such room on this server.".into()))
    }
}

fn checked(room: &Room, incoming: &Incoming) -> Result<Checked, RoomError> {
    if !incoming.signed {
        return Err(RoomError::forbidden("The event is not signed by the servers that have to sign it."));
    }
    check(room, incoming.pdu.get().as_bytes())
}

/// The events that `checked` names, as far as they are here, and itself.
struct Named {
    itself: Option<Arc<StoredEvent>>,
    auth: Vec<Arc<StoredEvent>>,
    missing_auth: Vec<OwnedEventId>,
    /// With their places in the graph.
    prev: Vec<Arc<StoredEvent>>,
    missing_prev: Vec<OwnedEventId>,
}

impl Named {
    async fn load(inner: &Inner, room: &Room, checked: &Checked) -> Result<Self, RoomError> {
        let event = &checked.event;
        let mut ids = vec![event.event_id.clone()];
        ids.extend(event.auth_events.iter().chain(&event.prev_events).cloned());
        let found = inner.events.find(room, &ids).await?.into_iter();
        let mut found: Vec<_> = ids.into_iter().zip(found).collect();
        let prev = found.split_off(1 + event.auth_events.len());
        let mut named = Self {
            itself: None,
            auth: Vec::new(),
            missing_auth: Vec::new(),
            prev: Vec::new(),
            missing_prev: Vec::new(),
        };
        let mut found = found.into_iter();
        named.itself = found.next().and_then(|(_, found)| found);
        for (id, found) in found {
            match found {
                Some(stored) => named.auth.push(stored),
                None => named.missing_auth.push(id),
            }
        }
        for (id, found) in prev {
            match found {
                Some(stored) if has_place(&stored) => named.prev.push(stored),
                _ => named.missing_prev.push(id),
            }
        }
        Ok(named)
    }
}

/// Whether the state before the event is known. That of a rejected one is not when it came as an outlier.
fn has_place(stored: &StoredEvent) -> bool {
    match stored.status {
        Status::Outlier => false,
        Status::Rejected => stored.state_before != 0,
        Status::Timeline | Status::Backfilled | Status::SoftFailed => true,
    }
}

/// Turns in the room until the event is stored or refused.
async fn take_in(
    inner: &Arc<Inner>,
    room: &Arc<Room>,
    checked: &Checked,
    incoming: &Incoming,
    way: Way,
) -> Result<Received, RoomError> {
    let event = &checked.event;
    if event.event_type == TimelineEventType::RoomCreate {
        return known_create(inner, room, checked).await;
    }
    let slot = Chains::slot(&inner.chains, room.short);
    let local = event.sender.server_name() == inner.server_name;
    let user = if local { inner.accounts.user_short_id(&event.sender).await? } else { None };
    let user = user.unwrap_or_default();
    let author = Author { user_id: event.sender.clone(), user, guest: false, transaction: None };
    for _ in 0..limits::APPEND_TURNS {
        let mut turn = slot.turn.lock().await;
        let (generation, head) = begin(inner, room, &slot, &mut turn).await?;
        let named = Named::load(inner, room, checked).await?;
        let known = named.itself.as_ref().map(|stored| stored.status);
        if let Some(status @ (Status::Timeline | Status::Backfilled | Status::SoftFailed)) = known {
            return Ok(Received::Stored(event.event_id.clone(), status));
        }
        if let Some(missing) = missing(checked, &named, incoming) {
            return Ok(missing);
        }
        let mut build = Build::new(inner, room.short, Some(room.room_id.clone()), &room.version, &room.rules);
        build.head = head;
        let mut grapher = Grapher::new(build, Arc::clone(room), author.clone());
        let (status, news) = Box::pin(grapher.take(checked, &named, incoming, way)).await?;
        if !news {
            return Ok(Received::Stored(event.event_id.clone(), status));
        }
        let mut build = grapher.build;
        build.finish();
        let submission = submit(inner, &slot, generation, build)?;
        drop(turn);
        let Some(submission) = submission else { continue };
        match submission.await {
            Ok(_) => return Ok(Received::Stored(event.event_id.clone(), status)),
            Err(StoreError::Lost(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(RoomError::Busy("others changed it too often meanwhile"))
}

/// What is not here and for which no state was stated.
fn missing(checked: &Checked, named: &Named, incoming: &Incoming) -> Option<Received> {
    let stated = |id: &&OwnedEventId| incoming.stated.iter().any(|stated| stated.after == **id);
    let prev: Vec<OwnedEventId> = named.missing_prev.iter().filter(|id| !stated(id)).cloned().collect();
    if prev.is_empty() && named.missing_auth.is_empty() {
        return None;
    }
    let (event_id, auth) = (checked.event.event_id.clone(), named.missing_auth.clone());
    Some(Received::Missing { event_id, prev, auth })
}

/// A room has one create event, which was there first.
async fn known_create(inner: &Inner, room: &Room, checked: &Checked) -> Result<Received, RoomError> {
    let id = &checked.event.event_id;
    match inner.events.find(room, std::slice::from_ref(id)).await?.pop().flatten() {
        Some(stored) => Ok(Received::Stored(id.clone(), stored.status)),
        None => Err(RoomError::BadJson("The room has a create event already.".into())),
    }
}

impl Grapher<'_> {
    /// Judges the event and adds what follows to the batch, if that is anything new.
    async fn take(
        &mut self,
        checked: &Checked,
        named: &Named,
        incoming: &Incoming,
        way: Way,
    ) -> Result<(Status, bool), RoomError> {
        let before = self.state_before(named, incoming).await?;
        let mut status = self.verdict(&checked.event, &named.auth, &before).await?;
        if status == Status::Timeline {
            status = match way {
                Way::Backfill => Status::Backfilled,
                Way::Live if self.wanted(&checked.event).await? => Status::Timeline,
                Way::Live => Status::SoftFailed,
            };
        }
        if named.itself.as_ref().is_some_and(|stored| stored.status == status && has_place(stored)) {
            return Ok((status, false));
        }
        let attached = Attached {
            event: &Arc::new(checked.event.clone()),
            pdu: checked.pdu.clone(),
            status,
            stored: named.itself.as_deref(),
            prev: &named.prev,
            missing: &named.missing_prev,
            before,
            local: false,
            transaction: None,
        };
        self.attach(attached).await?;
        Ok((status, true))
    }

    /// The resolution of the states after the events before it, those that are not here as stated.
    async fn state_before(
        &mut self,
        named: &Named,
        incoming: &Incoming,
    ) -> Result<Arc<crate::state::Snapshot>, RoomError> {
        if named.missing_prev.is_empty() {
            return self.state_after_all(&named.prev).await;
        }
        let mut states = Vec::new();
        for event in &named.prev {
            states.push(self.state_after(event).await?);
        }
        let by_event: HashMap<&OwnedEventId, &StatedState> =
            incoming.stated.iter().map(|stated| (&stated.after, stated)).collect();
        for stated in named.missing_prev.iter().filter_map(|id| by_event.get(id)) {
            states.push(self.stated(&stated.events).await?);
        }
        self.resolve(&states).await
    }
}

/// Stores an outlier. It changes nothing else, so it takes no turn in the room.
async fn take_outlier(inner: &Arc<Inner>, room: &Arc<Room>, checked: &Checked) -> Result<Received, RoomError> {
    let event = &checked.event;
    if event.event_type == TimelineEventType::RoomCreate {
        return known_create(inner, room, checked).await;
    }
    for _ in 0..limits::APPEND_TURNS {
        let named = Named::load(inner, room, checked).await?;
        match &named.itself {
            // Whether a rejected one passes now is found when it comes with its place.
            Some(stored) => return Ok(Received::Stored(event.event_id.clone(), stored.status)),
            None if !named.missing_auth.is_empty() => {
                let (event_id, auth) = (event.event_id.clone(), named.missing_auth);
                return Ok(Received::Missing { event_id, prev: Vec::new(), auth });
            }
            None => {}
        }
        let build = Build::new(inner, room.short, Some(room.room_id.clone()), &room.version, &room.rules);
        let author = Author { user_id: event.sender.clone(), user: 0, guest: false, transaction: None };
        let grapher = Grapher::new(build, Arc::clone(room), author);
        let allowed = grapher.allowed_by_auth_events(event, &named.auth).await?;
        let status = if allowed { Status::Outlier } else { Status::Rejected };
        let mut batch = Batch::new();
        put_outlier(inner, room.short, checked, status, &mut batch).await?;
        match inner.store.commit(batch).await {
            Ok(_) => return Ok(Received::Stored(event.event_id.clone(), status)),
            Err(StoreError::Lost(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(RoomError::Busy("others stored it meanwhile"))
}

async fn put_outlier(
    inner: &Inner,
    room: u64,
    checked: &Checked,
    status: Status,
    batch: &mut Batch,
) -> Result<(), RoomError> {
    let event_id = checked.event.event_id.as_str();
    let key = event_key(room, event_id);
    batch.expect(key.clone(), Expect::Absent, Losing::Rebuild);
    let short = if checked.event.state_key.is_some() { inner.store.next_id().await? } else { 0 };
    if short != 0 {
        STATE_EVENTS.put(batch, short_key(room, short), &StateEventRow { event_id: event_id.to_owned() });
    }
    let row = EventRow {
        status,
        short,
        state_before: 0,
        clipped: None,
        order: 0,
        gap: false,
        replaces: None,
        transaction: None,
        marks: 0,
        redacted_by: None,
        pdu: Content(checked.pdu.clone()),
    };
    EVENTS.put(batch, key, &row);
    Ok(())
}

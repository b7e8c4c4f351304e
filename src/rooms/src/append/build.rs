//! Building a batch: events one after another on a head, with all rows that follow from them.

use std::sync::Arc;

use ruma::{
    OwnedEventId, OwnedRoomId, OwnedUserId, RoomVersionId, UserId,
    events::TimelineEventType,
    room_version_rules::{EventsReferenceFormatVersion, RoomIdFormatVersion, RoomVersionRules},
};
use serde_json::value::RawValue;
use wardstead_engine::{Batch, Expect, JournalEntry, Losing, PositionSlot};
use wardstead_limits::rooms as limits;
use wardstead_store::kind;

use crate::{
    Event, Inner, Replaced, RoomError,
    auth::{self, AuthState},
    event::{
        Hashes,
        build::{Maker, NewEvent, Place, Proposal},
    },
    events::{Ticket, short_key},
    state::{Entry, key, store},
    tables::{
        ARRIVALS, ArrivalRow, Content, EVENTS, EventRow, HEADS, MOMENTS, Moment, MomentRow, STATE_AT, STATE_EVENTS,
        STATE_KEYS, Spot, StateAtRow, StateEventRow, StateKeyRow, Status, TIMELINE, TimelineRow, event_key,
        live_timeline_key,
    },
};

use super::{
    chain::{Head, head_key},
    layer::Pending,
    made::{Added, Committable, Made, Wish},
};

/// Who says something.
#[derive(Clone, Debug)]
pub(crate) struct Author {
    pub(crate) user_id: OwnedUserId,
    pub(crate) user: u64,
    /// Whether it is a guest.
    pub(crate) guest: bool,
    /// Short id of the device and the transaction id.
    pub(crate) transaction: Option<(u64, String)>,
}

/// A batch that is being built for one room.
pub(crate) struct Build<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) room: u64,
    pub(crate) room_id: Option<OwnedRoomId>,
    pub(crate) version: &'a RoomVersionId,
    pub(crate) rules: &'a RoomVersionRules,
    pub(crate) head: Head,
    pub(crate) pending: Pending,
    pub(crate) batch: Batch,
    /// When the events are made.
    pub(crate) now_ms: u64,
    made: Vec<Made>,
    /// Taken before anything was read.
    ticket: Ticket,
    /// Number of the journal entry of a change of state without an event.
    moved: Option<usize>,
}

impl<'a> Build<'a> {
    pub(crate) fn new(
        inner: &'a Inner,
        room: u64,
        room_id: Option<OwnedRoomId>,
        version: &'a RoomVersionId,
        rules: &'a RoomVersionRules,
    ) -> Self {
        let now_ms = inner.store.clock().now_ms();
        let (head, pending, batch) = (Head::default(), Pending::default(), Batch::new());
        let (ticket, made) = (inner.events.cache().ticket(), Vec::new());
        Self { inner, room, room_id, version, rules, head, pending, batch, now_ms, made, ticket, moved: None }
    }

    /// Adds the event that says `proposal`, or tells that the state says so already.
    ///
    /// # Errors
    /// Every verdict of the rules, and the store's.
    pub(crate) async fn add(&mut self, author: &Author, proposal: &Proposal) -> Result<Added, RoomError> {
        let (proposal, content, key, replaced) = match self.wish(author, proposal).await? {
            Wish::Same(event) => return Ok(Added::Same(event)),
            Wish::New { proposal, content, key, replaced } => (proposal, content, key, replaced),
        };
        let event_type = TimelineEventType::from(proposal.event_type.as_str());
        let new = self.make(author, &proposal, &event_type, &content).await?;
        self.judge(author, &new.event).await?;
        self.check_welcome(author, &new.event).await?;
        self.remember_hash(&new.event.event_id, new.hash);
        let event = Arc::new(new.event);
        let effects = self.effects(Some(author), &event).await?;
        let entry = self.journal(kind::ROOM_EVENT, self.room, Vec::new());
        let state_before = self.head.snapshot.id;
        let membership = self.membership_of(author, &event, replaced.as_deref()).await?;
        let short = match key {
            None => 0,
            Some(key) => self.advance_state(key, &event, replaced.as_deref(), entry).await?,
        };
        self.follow_event(author, &event, replaced.as_ref(), membership, entry).await?;
        let replaced = replaced.as_deref().map(Replaced::of);
        let made = Made {
            event: Arc::clone(&event),
            short,
            state_before,
            depth: event.depth.clamp(self.head.depth + 1, self.head.depth + limits::DEPTH_JUMP),
            gap: false,
            replaced,
            transaction: author.transaction.clone(),
            entry,
        };
        self.put_event(&made, new.pdu);
        self.put_effects(effects, &event, Spot::Live { depth: made.depth, entry }, state_before);
        self.head.depth = made.depth;
        // Those beyond what one event may name stay extremities.
        let named = self.head.extremities.len().min(limits::PREV_EVENTS);
        self.head.extremities.drain(..named);
        self.head.extremities.push((event.event_id.clone(), event.depth));
        self.made.push(made);
        Ok(Added::Event(event))
    }

    /// What `proposal` comes to in the current state.
    ///
    /// # Errors
    /// What the server refuses whatever the rules say; the store's.
    pub(crate) async fn wish<'p>(&mut self, author: &Author, proposal: &'p Proposal) -> Result<Wish<'p>, RoomError> {
        let key = match &proposal.state_key {
            None => None,
            Some(state_key) => Some(self.state_key(author, &proposal.event_type, state_key).await?),
        };
        let replaced = match key {
            None => None,
            Some(key) => self.current(&[key]).await?.pop().flatten(),
        };
        if let Some(guard) = proposal.guard
            && let Some(same) = self.guarded(author, guard, replaced.as_ref()).await?
        {
            return Ok(Wish::Same(same));
        }
        self.check_guest(author, proposal).await?;
        let proposal = self.complete(author, proposal, replaced.as_deref()).await?;
        let content = content_of(&proposal)?;
        match replaced {
            Some(current) if says_so_already(&current, author, &content) => Ok(Wish::Same(current)),
            replaced => Ok(Wish::New { proposal, content, key, replaced }),
        }
    }

    /// The event that says `proposal` at the head.
    pub(crate) async fn make_proposal(&self, author: &Author, proposal: &Proposal) -> Result<NewEvent, RoomError> {
        let event_type = TimelineEventType::from(proposal.event_type.as_str());
        self.make(author, proposal, &event_type, &content_of(proposal)?).await
    }

    /// Later events of the room name its hash, where they name hashes.
    pub(crate) fn remember_hash(&mut self, event_id: &OwnedEventId, hash: String) {
        if self.rules.events_reference_format == EventsReferenceFormatVersion::V1 {
            self.pending.own.hashes.push((event_id.clone(), hash));
        }
    }

    /// Hashed, signed, and allowed by the state.
    async fn make(
        &self,
        author: &Author,
        proposal: &Proposal,
        event_type: &TimelineEventType,
        content: &RawValue,
    ) -> Result<NewEvent, RoomError> {
        let sender = &author.user_id;
        let state = self.auth_state(author, event_type, proposal.state_key.as_deref(), content).await?;
        let creates_id = self.rules.room_id_format == RoomIdFormatVersion::V2 && self.head.extremities.is_empty();
        let depth = self.head.extremities.iter().map(|(_, depth)| *depth).max().map_or(1, |depth| depth + 1);
        let prev_events: Vec<OwnedEventId> =
            self.head.extremities.iter().take(limits::PREV_EVENTS).map(|(id, _)| id.clone()).collect();
        let auth_events = state.auth_events(self.rules);
        let place = Place {
            room_id: if creates_id { None } else { self.room_id.as_deref() },
            sender,
            hashes: self.hashes(prev_events.iter().chain(&auth_events)).await?,
            prev_events,
            auth_events,
            depth: depth.min(limits::DEPTH_MAX),
            origin_server_ts: self.now_ms,
        };
        let key = &*self.inner.keys.signing(self.now_ms).await?;
        let (server_name, rng) = (&self.inner.server_name, self.inner.store.rng().as_ref());
        let maker = Maker { server_name, key, rules: self.rules, rng };
        let new = maker.make(proposal, &place)?;
        auth::authorise(self.rules, &new.event, &state)?;
        Ok(new)
    }

    /// The hashes of events that another one names; none where they are named by their ids alone.
    async fn hashes(&self, ids: impl Iterator<Item = &OwnedEventId>) -> Result<Hashes, RoomError> {
        let mut hashes = Hashes::new();
        if self.rules.events_reference_format != EventsReferenceFormatVersion::V1 {
            return Ok(hashes);
        }
        let mut missing = Vec::new();
        for id in ids {
            match self.pending.hash(id) {
                Some(hash) => drop(hashes.insert(id.clone(), hash.to_owned())),
                None => missing.push(id.clone()),
            }
        }
        for (id, pdu) in missing.iter().zip(self.inner.events.pdus(self.room, &missing).await?) {
            let corrupt = || RoomError::corrupt(&event_key(self.room, id.as_str()), "not an event that can be hashed");
            let object = serde_json::from_slice(&pdu).map_err(|_| corrupt())?;
            let hash = ruma::signatures::reference_hash(&object, self.rules).map_err(|_| corrupt())?;
            hashes.insert(id.clone(), hash);
        }
        Ok(hashes)
    }

    async fn auth_state(
        &self,
        author: &Author,
        event_type: &TimelineEventType,
        state_key: Option<&str>,
        content: &RawValue,
    ) -> Result<AuthState, RoomError> {
        let names = auth::needed(self.rules, event_type, &author.user_id, state_key, content)?;
        let (mut found, mut keys) = (Vec::with_capacity(names.len()), Vec::with_capacity(names.len()));
        for name in names {
            if let Some(key) = self.known_key(author, &name.0.to_string(), &name.1).await? {
                found.push(name);
                keys.push(key);
            }
        }
        let mut state = AuthState::default();
        for (name, event) in found.into_iter().zip(self.current(&keys).await?) {
            if let Some(event) = event {
                state.add(name, event);
            }
        }
        Ok(state)
    }

    /// The current events of state keys, in their order.
    pub(crate) async fn current(&self, keys: &[u64]) -> Result<Vec<Option<Arc<Event>>>, RoomError> {
        let shorts = self.inner.state.get(&self.pending, self.room, &self.head.snapshot, keys).await?;
        let mut events: Vec<Option<Arc<Event>>> = shorts.iter().map(|short| self.pending.event(*short)).collect();
        let missing: Vec<usize> = (0..shorts.len()).filter(|at| shorts[*at] != 0 && events[*at].is_none()).collect();
        if !missing.is_empty() {
            let room = self.inner.names.by_short(&[self.room]).await?.pop();
            let room = room.ok_or_else(|| RoomError::corrupt(&head_key(self.room), "a room without a name"))?;
            let wanted: Vec<u64> = missing.iter().map(|at| shorts[*at]).collect();
            for (at, event) in missing.into_iter().zip(self.inner.events.load_short(&room, &wanted).await?) {
                events[at] = Some(Arc::clone(&event.event));
            }
        }
        for event in events.iter_mut().flatten() {
            self.redacted_in_queue(event)?;
        }
        Ok(events)
    }

    /// Takes from `event` what a redaction that is queued takes from it.
    fn redacted_in_queue(&self, event: &mut Arc<Event>) -> Result<(), RoomError> {
        let Some(changed) = self.pending.changed(&event.event_id) else { return Ok(()) };
        if changed.row.redacted_by.is_some() {
            let (event_id, room_id) = (event.event_id.clone(), event.room_id.clone());
            let corrupt = |_| RoomError::corrupt(&event_key(self.room, event.event_id.as_str()), "not an event");
            *event = Arc::new(Event::parse(event_id, room_id, &changed.row.pdu.0).map_err(corrupt)?);
        }
        Ok(())
    }

    /// The key's short id, if it has one.
    pub(crate) async fn known_key(
        &self,
        author: &Author,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<u64>, RoomError> {
        if let Some(id) = key::well_known(event_type, state_key) {
            return Ok(Some(id));
        }
        if event_type == "m.room.member" {
            let Ok(user_id) = UserId::parse(state_key) else { return Ok(None) };
            // The keys of those who have no account here are rows of the room.
            if let Some(user) = self.user(author, &user_id).await? {
                return Ok(Some(key::member(user)));
            }
        }
        if let Some(id) = self.pending.key(event_type, state_key) {
            return Ok(Some(id));
        }
        self.inner.named_key(self.room, event_type, state_key).await
    }

    /// The key's short id; a new one where it has none.
    async fn state_key(&mut self, author: &Author, event_type: &str, state_key: &str) -> Result<u64, RoomError> {
        if event_type.len().max(state_key.len()) > limits::IDENTIFIER_BYTES {
            let allowed = limits::IDENTIFIER_BYTES;
            return Err(RoomError::TooLarge(format!(
                "An event type and a state key have at most {allowed} bytes each."
            )));
        }
        if let Some(id) = self.known_key(author, event_type, state_key).await? {
            return Ok(id);
        }
        if event_type == "m.room.member" {
            return Err(RoomError::NotFound(format!("There is no user {state_key} on this server.")));
        }
        let id = key::named(self.inner.store.next_id().await?);
        let row_key = STATE_KEYS.key(self.room).text(event_type).text(state_key).key();
        // No assertion of its own: the head's version says that nobody else named a key of this room meanwhile.
        STATE_KEYS.put(&mut self.batch, row_key, &StateKeyRow { id });
        self.pending.own.keys.push((event_type.to_owned(), state_key.to_owned(), id));
        Ok(id)
    }

    /// A user's short id.
    pub(crate) async fn user(&self, author: &Author, user_id: &UserId) -> Result<Option<u64>, RoomError> {
        if *user_id == author.user_id && author.user != 0 {
            return Ok(Some(author.user));
        }
        if user_id.server_name() != self.inner.server_name {
            return Ok(None);
        }
        Ok(self.inner.accounts.user_short_id(user_id).await?)
    }

    async fn advance_state(
        &mut self,
        key: u64,
        event: &Arc<Event>,
        replaced: Option<&Event>,
        entry: usize,
    ) -> Result<u64, RoomError> {
        let short = self.inner.store.next_id().await?;
        let row = StateEventRow { event_id: event.event_id.as_str().to_owned() };
        STATE_EVENTS.put(&mut self.batch, short_key(self.room, short), &row);
        self.pending.own.events.push((short, Arc::clone(event)));
        let advanced = self
            .inner
            .state
            .advance(&self.pending, self.room, &self.head.snapshot, Entry { key, event: short })
            .await?;
        for (id, part) in &advanced.parts {
            store::put(&mut self.batch, self.room, *id, part);
        }
        self.pending.own.parts.extend(advanced.parts);
        self.head.snapshot = advanced.snapshot;
        if key::is_member(key) {
            self.put_member_change(key, replaced, Some(event), entry).await?;
        }
        let row = StateAtRow { snapshot: self.head.snapshot.id, joined: self.head.joined, invited: self.head.invited };
        STATE_AT.put(&mut self.batch, STATE_AT.key(self.room).slot(entry).template(), &row);
        Ok(short)
    }

    pub(crate) fn put_event(&mut self, made: &Made, pdu: bytes::Bytes) -> EventRow {
        let event_id = made.event.event_id.as_str();
        let row = EventRow {
            status: Status::Timeline,
            short: made.short,
            state_before: made.state_before,
            clipped: made.clipped(),
            order: 0,
            gap: made.gap,
            replaces: made.replaced.as_ref().map(|replaced| replaced.event_id.as_str().to_owned()),
            transaction: made.transaction.clone(),
            pdu: Content(pdu),
            marks: 0,
            redacted_by: None,
        };
        let at = [PositionSlot::Entry(made.entry)];
        EVENTS.put_with(&mut self.batch, event_key(self.room, event_id), 0, &at, &row);
        let depth = made.depth;
        let key = live_timeline_key(self.room, depth, made.entry).template();
        TIMELINE.put(&mut self.batch, key, &TimelineRow { event_id: event_id.to_owned() });
        let key = ARRIVALS.key(self.room).slot(made.entry).template();
        let (event_id, top) = (event_id.to_owned(), depth.max(self.head.depth));
        ARRIVALS.put(&mut self.batch, key, &ArrivalRow { event_id, depth, top });
        let moment = Moment::of(&made.event, depth);
        if self.head.moment != Some(moment) {
            MOMENTS.put(&mut self.batch, moment.key(self.room), &MomentRow);
            self.head.moment = Some(moment);
        }
        row
    }

    pub(crate) fn journal(&mut self, kind: u16, scope: u64, key: Vec<u8>) -> usize {
        self.batch.journal(JournalEntry { kind, scope, key: key.into() })
    }

    /// A change of the current state without a live event. The number of its journal entry.
    pub(crate) fn journal_state(&mut self) -> usize {
        let entry = self.journal(kind::ROOM_STATE, self.room, Vec::new());
        self.moved = Some(entry);
        entry
    }

    /// Takes note of an event whose rows are in the batch.
    pub(crate) fn add_made(&mut self, made: Made) {
        self.made.push(made);
    }

    /// Moves the head: asserts the version that was built on, states the next.
    pub(crate) fn finish(&mut self) {
        let key = head_key(self.room);
        let expect = if self.head.version == 0 { Expect::Absent } else { Expect::Version(self.head.version) };
        self.batch.expect(key.clone(), expect, Losing::Rebuild);
        // Not the next number: another node's batch would state it too, and a batch that was built on a loser would win on it.
        self.head.version = (self.inner.store.rng().next_u64() >> 1).max(1);
        let last = match self.made.last().map(|made| made.entry).or(self.moved) {
            Some(entry) => PositionSlot::Entry(entry),
            None => PositionSlot::Known(self.head.last),
        };
        HEADS.put_with(&mut self.batch, key, self.head.version, &[last], &self.head.row());
    }

    /// Number of the last event's journal entry.
    pub(crate) fn last_entry(&self) -> Option<usize> {
        self.made.last().map(|made| made.entry)
    }

    /// What the batch's events are once it is committed.
    pub(crate) fn into_committable(self) -> (Batch, Head, Pending, Committable) {
        let Self { rules, ticket, room, made, .. } = self;
        let rules = rules.clone();
        (self.batch, self.head, self.pending, Committable { room, made, rules, ticket })
    }
}

fn content_of(proposal: &Proposal) -> Result<Box<RawValue>, RoomError> {
    serde_json::value::to_raw_value(&proposal.content)
        .map_err(|error| RoomError::BadJson(format!("The content cannot stand in an event: {error}.")))
}

/// Setting state to what it is, by the sender who set it, appends nothing.
fn says_so_already(current: &Event, author: &Author, content: &RawValue) -> bool {
    current.sender == author.user_id && current.content.get() == content.get()
}

//! What others have to say about an event and to add to its batch: the policy before, the contributors after.

use std::sync::Arc;

use async_trait::async_trait;
use ruma::{OwnedEventId, events::TimelineEventType};
use wardstead_engine::Position;
use wardstead_limits::rooms as limits;
use wardstead_store::Overlay;

use crate::{
    Event, EventAppended, MembershipChanged, PowerSource, Proposed, RoomChange, RoomError, StateBefore, StoredEvent,
    Verdict, change,
    event::{
        content,
        relation::{Relation, THREAD, relation},
    },
    state::key,
    tables::EventRow,
};

use super::{Author, Build, layer::Changed};

/// The state on which a build stands.
struct Standing<'a> {
    build: &'a Build<'a>,
    author: &'a Author,
}

#[async_trait]
impl StateBefore for Standing<'_> {
    async fn state(&self, event_type: &str, state_key: &str) -> Result<Option<Arc<Event>>, RoomError> {
        match self.build.known_key(self.author, event_type, state_key).await? {
            Some(key) => Ok(self.build.current(&[key]).await?.pop().flatten()),
            None => Ok(None),
        }
    }
}

impl Build<'_> {
    /// Asks the policy about an event that the rules allow.
    pub(crate) async fn judge(&self, author: &Author, event: &Event) -> Result<(), RoomError> {
        let Some(policy) = &self.inner.hooks.policy else { return Ok(()) };
        let before = Standing { build: self, author };
        let proposed = Proposed { event, room: self.room, version: self.version, before: &before };
        match policy.judge(&proposed).await? {
            Verdict::Allowed => Ok(()),
            Verdict::Refused(sentence) => Err(RoomError::Refused(sentence)),
        }
    }

    /// What `event`, which follows the current state, makes of a local user.
    pub(crate) async fn membership_of(
        &self,
        author: &Author,
        event: &Event,
        replaced: Option<&Event>,
    ) -> Result<Option<MembershipChanged>, RoomError> {
        let Some(state_key) = &event.state_key else { return Ok(None) };
        if self.inner.hooks.contributors.is_empty() || event.event_type != TimelineEventType::RoomMember {
            return Ok(None);
        }
        let user = self.known_key(author, "m.room.member", state_key).await?.and_then(key::member_of);
        let previous = replaced.and_then(content::membership);
        Ok(user.zip(content::membership(event)).map(|(user, now)| MembershipChanged { user, previous, now }))
    }

    /// Tells the contributors of `event`, the batch's journal entry number `entry`, and of what it made of a member.
    pub(crate) async fn follow_event(
        &mut self,
        author: &Author,
        event: &Arc<Event>,
        replaced: Option<&Arc<Event>>,
        membership: Option<MembershipChanged>,
        entry: usize,
    ) -> Result<(), RoomError> {
        if self.inner.hooks.contributors.is_empty() {
            return Ok(());
        }
        let redacted = match change::redacts(event) {
            Some(redacted) => self.event_of_room(event, redacted).await?,
            None => None,
        };
        let redacts = redacted.as_ref().filter(|target| {
            let by_this = |row: &EventRow| row.redacted_by.as_deref() == Some(event.event_id.as_str());
            self.pending.own.changed.iter().any(|changed| changed.event_id == target.event_id && by_this(&changed.row))
        });
        let is_redacted = |changed: &Changed| changed.event_id == event.event_id && changed.row.redacted_by.is_some();
        let mut power = self.current(&[key::CREATE, key::POWER_LEVELS]).await?.into_iter();
        let power = PowerSource {
            create: power.next().flatten(),
            levels: power.next().flatten(),
            rules: self.rules.authorization.clone(),
        };
        let taken_back = redacts.filter(|target| target.state_key.is_some()).map(|target| Arc::clone(&target.event));
        let appended = EventAppended {
            room: self.room,
            event: Arc::clone(event),
            replaced: replaced.cloned(),
            membership,
            act: change::act_of(
                event,
                replaced.map(|replaced| &**replaced),
                redacted.as_ref().map(|event| &*event.event),
            ),
            sender: self.user(author, &event.sender).await?,
            joined: self.head.joined,
            thread: self.thread_of(event).await?,
            power,
            redacts: redacts.map(|target| target.position).filter(|position| *position > Position::ZERO),
            taken_back,
            redacted: self.pending.own.changed.iter().any(is_redacted),
        };
        self.contribute(RoomChange::Event(Box::new(appended)), entry).await
    }

    /// Tells the contributors of `change`, the batch's journal entry number `entry`.
    pub(crate) async fn contribute(&mut self, change: RoomChange, entry: usize) -> Result<(), RoomError> {
        let contributors = &self.inner.hooks.contributors;
        if contributors.is_empty() {
            return Ok(());
        }
        let overlay = Overlay::new(&self.inner.store, self.pending.contributed());
        let written = contributors.contribute(&change, &overlay, &mut self.batch, entry).await?;
        self.pending.own.contributed.extend(written);
        Ok(())
    }

    /// The event `event_id` of the room in which `event` is.
    async fn event_of_room(
        &self,
        event: &Event,
        event_id: OwnedEventId,
    ) -> Result<Option<Arc<StoredEvent>>, RoomError> {
        let Some(room) = self.inner.names.by_id(&event.room_id).await? else { return Ok(None) };
        Ok(self.inner.events.find(&room, &[event_id]).await?.pop().flatten())
    }

    /// Root of the thread that `event` belongs to.
    async fn thread_of(&self, event: &Event) -> Result<Option<OwnedEventId>, RoomError> {
        let mut at = relation(event);
        for _ in 0..=limits::THREAD_STEPS {
            let Some(Relation { rel_type, parent }) = at else { break };
            if rel_type == THREAD {
                return Ok(Some(parent));
            }
            let found = self.event_of_room(event, parent).await?;
            at = found.and_then(|parent| relation(&parent.event));
        }
        Ok(None)
    }
}

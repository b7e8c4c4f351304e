//! What others have to say about an event and to add to its batch: the policy before, the contributors after.

use std::sync::Arc;

use async_trait::async_trait;
use ruma::events::TimelineEventType;
use wardstead_store::Overlay;

use crate::{
    Event, EventAppended, MembershipChanged, Proposed, RoomChange, RoomError, StateBefore, Verdict, change,
    event::content, state::key,
};

use super::{Author, Build};

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
        let act = change::act_of(event, replaced.map(|replaced| &**replaced), redacted.as_deref());
        let appended =
            EventAppended { room: self.room, event: Arc::clone(event), replaced: replaced.cloned(), membership, act };
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
        event_id: ruma::OwnedEventId,
    ) -> Result<Option<Arc<Event>>, RoomError> {
        let Some(room) = self.inner.names.by_id(&event.room_id).await? else { return Ok(None) };
        let found = self.inner.events.find(&room, &[event_id]).await?.pop().flatten();
        Ok(found.map(|found| Arc::clone(&found.event)))
    }
}

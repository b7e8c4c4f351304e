//! What is hidden of the events of users who were erased (Matrix specification, Client-Server API, Account deactivation): whoever had
//! not seen them before sees redacted copies. What that means for a room's state: `docs/design/16-authentication.md`.

use std::{collections::HashMap, sync::Arc};

use ruma::{OwnedUserId, UserId, events::TimelineEventType};
use wardstead_engine::Position;

use crate::{Membership, RoomError, Rooms, Seen, StoredEvent, state::store::Committed, tables::event_key};

use super::sight::{Sight, saw};

/// What a sight knows of the users whose events it met.
#[derive(Debug, Default)]
pub(super) struct Erased {
    /// Whether anybody was ever erased here; `None`: not asked yet.
    anybody: Option<bool>,
    senders: HashMap<OwnedUserId, Hidden>,
}

/// Which of somebody's events are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hidden {
    /// None: they were not erased, or the viewer was in the room when they were.
    Nothing,
    /// Those after the viewer's last stay before the erasure; zero, all of them: there was none.
    After(Position),
}

impl Hidden {
    fn hides(self, position: Position) -> bool {
        match self {
            Self::Nothing => false,
            Self::After(left) => left == Position::ZERO || position > left,
        }
    }
}

impl Sight {
    /// State events as the user may have them.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn state(&mut self, rooms: &Rooms, shorts: &[u64]) -> Result<Vec<Seen>, RoomError> {
        let mut events = rooms.inner.events.load_short(self.room(), shorts).await?;
        let own = |event: &StoredEvent| event.is_state(&TimelineEventType::RoomMember, self.user_id().as_str());
        let may_hide = |at: &usize| !self.was_there(&events[*at]) && !own(&events[*at]);
        let looked_at: Vec<usize> = (0..events.len()).filter(may_hide).collect();
        self.look_up(rooms, looked_at.iter().map(|at| &*events[*at])).await?;
        for at in looked_at {
            let event = &events[at];
            if self.hides(event) != (false, false) && !saw(self.at(rooms, event.state_before).await?) {
                events[at] = self.pruned(rooms, event).await?;
            }
        }
        Ok(events.into_iter().map(Seen::plain).collect())
    }

    /// `event`, which the user could not see when it happened, as they may have it.
    pub(super) async fn unless_erased(
        &mut self,
        rooms: &Rooms,
        event: Arc<StoredEvent>,
    ) -> Result<Arc<StoredEvent>, RoomError> {
        self.look_up(rooms, std::iter::once(&*event)).await?;
        self.pruned(rooms, &event).await
    }

    /// Finds out which of the senders of `events`, and of the state that those took the place of, were erased. At most two reads, where
    /// somebody ever was and these are not known.
    async fn look_up(
        &mut self,
        rooms: &Rooms,
        events: impl Iterator<Item = &StoredEvent> + Send,
    ) -> Result<(), RoomError> {
        let inner = &rooms.inner;
        let senders = events.flat_map(|event| {
            let replaced = event.replaced.as_ref().map(|replaced| &*replaced.sender);
            std::iter::once(&*event.event.sender).chain(replaced)
        });
        let local = |sender: &&UserId| sender.server_name() == inner.server_name && **sender != *self.user_id();
        let mut unknown: Vec<&UserId> = senders.filter(local).collect();
        unknown.retain(|sender| !self.erased.senders.contains_key(*sender));
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() {
            return Ok(());
        }
        let anybody = match self.erased.anybody {
            Some(anybody) => anybody,
            None => *self.erased.anybody.insert(inner.accounts.anybody_erased().await?),
        };
        if !anybody {
            return Ok(());
        }
        let ids = inner.accounts.user_short_ids(&unknown).await?;
        let users: Vec<u64> = ids.iter().copied().flatten().collect();
        let mut erased = inner.accounts.erased_at(&users).await?.into_iter();
        for (sender, id) in unknown.into_iter().zip(ids) {
            let at = id.and_then(|_| erased.next().flatten());
            let hidden = match at {
                None => Hidden::Nothing,
                Some(at) => self.hidden_at(rooms, at).await?,
            };
            self.erased.senders.insert(sender.to_owned(), hidden);
        }
        Ok(())
    }

    /// What is hidden of the events of somebody who was erased `at` this position: what the user could not see then.
    async fn hidden_at(&self, rooms: &Rooms, at: Position) -> Result<Hidden, RoomError> {
        let (user, room) = (self.user(), self.room().short);
        if rooms.membership_at(user, room, at).await? == Some(Membership::Join) {
            return Ok(Hidden::Nothing);
        }
        Ok(Hidden::After(rooms.left_before(user, room, at).await?))
    }

    /// Whether `event` is hidden, and whether the state is that it took the place of.
    fn hides(&self, event: &StoredEvent) -> (bool, bool) {
        let hides =
            |sender: &UserId| self.erased.senders.get(sender).is_some_and(|hidden| hidden.hides(event.position));
        (hides(&event.sender), event.replaced.as_ref().is_some_and(|replaced| hides(&replaced.sender)))
    }

    /// `event` without what is hidden of it.
    async fn pruned(&self, rooms: &Rooms, event: &Arc<StoredEvent>) -> Result<Arc<StoredEvent>, RoomError> {
        let (mut erased, replaced) = self.hides(event);
        erased = erased && !self.is_of_the_room(rooms, event).await?;
        if !erased && !replaced {
            return Ok(Arc::clone(event));
        }
        let shown = event.without(&self.room().rules, erased, replaced);
        shown.map(Arc::new).ok_or_else(|| {
            let key = event_key(self.room().short, event.event_id.as_str());
            RoomError::corrupt(&key, "not an event that can be redacted")
        })
    }

    /// Whether `event` is state that holds, of the room and not of a member: name, topic, encryption, children of a space, successor.
    /// That stays whole, in the timeline, too: clients make a room's state of both.
    async fn is_of_the_room(&self, rooms: &Rooms, event: &StoredEvent) -> Result<bool, RoomError> {
        let Some(state_key) = event.state_key.as_deref() else { return Ok(false) };
        if event.event_type == TimelineEventType::RoomMember {
            return Ok(false);
        }
        let (inner, room) = (&rooms.inner, self.room().short);
        let Some(key) = inner.find_key(room, &event.event_type.to_string(), state_key).await? else { return Ok(false) };
        for at in self.state_shown() {
            let snapshot = match at {
                None => inner.current_snapshot(self.room()).await?,
                Some(at) => {
                    let id = inner.state_row(room, at).await?.map_or(0, |(_, row)| row.snapshot);
                    inner.state.snapshot(&Committed, room, id).await?
                }
            };
            if inner.state.get(&Committed, room, &snapshot, &[key]).await? == [event.short] {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

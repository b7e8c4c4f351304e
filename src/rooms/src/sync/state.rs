//! A room's state at a position, differences, and its summary.

use std::sync::Arc;

use ruma::{OwnedUserId, UserId};
use wardstead_engine::{KeyReader, PageLimit, Position, ScanRange};
use wardstead_limits::rooms as limits;

use crate::{
    Membership, Room, RoomError, Rooms, Seen, Sight, StoredEvent,
    state::{Change, key, store::Committed},
    tables::{MEMBERS, STATE_AT, StateAtRow, after},
};

/// A room's state from some position on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateAt {
    /// Since when it is so; zero: no state yet.
    pub since: Position,
    /// Its snapshot; 0: no state yet.
    pub snapshot: u64,
    /// How many users are in the room.
    pub joined: u32,
    /// How many are invited.
    pub invited: u32,
}

/// What a room is called by when it has no name (Client-Server API, `RoomSummary`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Users in the room.
    pub joined: u32,
    /// Users invited.
    pub invited: u32,
    /// Some of the other users in the room or invited; those who left, where there are no others; who became it first stands
    /// first. Empty when the room has a name or an alias.
    pub heroes: Vec<OwnedUserId>,
}

impl Rooms {
    /// The state of `room` at `at`. One read.
    ///
    /// # Errors
    /// The store's.
    pub async fn snapshot_at(&self, room: u64, at: Position) -> Result<StateAt, RoomError> {
        let row = self.inner.state_row(room, at).await?;
        Ok(row.map_or_else(StateAt::default, |(since, row)| StateAt {
            since,
            snapshot: row.snapshot,
            joined: row.joined,
            invited: row.invited,
        }))
    }

    /// The states of `room` at `since` and at `upto`, which is not before it. One read, two when the state changed often in
    /// between.
    ///
    /// # Errors
    /// The store's.
    pub async fn snapshots_at(
        &self,
        room: u64,
        since: Position,
        upto: Position,
    ) -> Result<(StateAt, StateAt), RoomError> {
        let range = ScanRange::new(STATE_AT.key(room).key(), after(&STATE_AT, room, upto)).descending();
        let (rows, resume) = self.inner.store.scan(&STATE_AT, &range, PageLimit::rows(limits::STATE_SPAN_ROWS)).await?;
        let (mut newest, mut before) = (None, None);
        for found in rows {
            let position = KeyReader::new(&found.key).position();
            let position = position.ok_or_else(|| RoomError::corrupt(&found.key, "no position in the key"))?;
            let StateAtRow { snapshot, joined, invited } = found.row;
            let state = StateAt { since: position, snapshot, joined, invited };
            newest.get_or_insert(state);
            if position <= since {
                before = Some(state);
                break;
            }
        }
        let before = match before {
            None if resume.is_some() => self.snapshot_at(room, since).await?,
            before => before.unwrap_or_default(),
        };
        Ok((before, newest.unwrap_or_default()))
    }

    /// The member event of the local user `user` in the state at `at` of the room that `sight` looks at.
    ///
    /// # Errors
    /// The store's.
    pub async fn member_at(&self, sight: &mut Sight, user: u64, at: Position) -> Result<Option<Seen>, RoomError> {
        let room = sight.room().short;
        let state = self.snapshot_at(room, at).await?;
        let snapshot = self.inner.state.snapshot(&Committed, room, state.snapshot).await?;
        let shorts = self.inner.state.get(&Committed, room, &snapshot, &[key::member(user)]).await?;
        let shorts: Vec<u64> = shorts.into_iter().filter(|short| *short != 0).collect();
        Ok(sight.state(self, &shorts).await?.pop())
    }

    /// What differs between two snapshots of `room`, without reading what they share. Snapshot 0 is empty.
    ///
    /// # Errors
    /// The store's.
    pub async fn state_diff(&self, room: u64, before: u64, after: u64) -> Result<Vec<Change>, RoomError> {
        if before == after {
            return Ok(Vec::new());
        }
        let state = &self.inner.state;
        let before = state.snapshot(&Committed, room, before).await?;
        let after = state.snapshot(&Committed, room, after).await?;
        state.diff(&Committed, room, &before, &after).await
    }

    /// The state events that `after` has and `before` has not, for whom `sight` is, without those of keys that have no event any more.
    ///
    /// # Errors
    /// The store's.
    pub async fn state_between(&self, sight: &mut Sight, before: u64, after: u64) -> Result<Vec<Seen>, RoomError> {
        let changes = self.state_diff(sight.room().short, before, after).await?;
        let shorts: Vec<u64> = changes.iter().map(|change| change.after).filter(|short| *short != 0).collect();
        sight.state(self, &shorts).await
    }

    /// All state events of a snapshot of the room that `sight` looks at.
    ///
    /// # Errors
    /// The store's.
    pub async fn state_events(&self, sight: &mut Sight, snapshot: u64) -> Result<Vec<Seen>, RoomError> {
        let room = sight.room().short;
        let snapshot = self.inner.state.snapshot(&Committed, room, snapshot).await?;
        let entries = self.inner.state.list(&Committed, room, &snapshot, 0..=u64::MAX).await?;
        let shorts: Vec<u64> = entries.into_iter().map(|entry| entry.event).collect();
        sight.state(self, &shorts).await
    }

    /// The same, without members.
    ///
    /// # Errors
    /// The store's.
    pub async fn state_without_members(&self, sight: &mut Sight, snapshot: u64) -> Result<Vec<Seen>, RoomError> {
        let room = sight.room().short;
        let snapshot = self.inner.state.snapshot(&Committed, room, snapshot).await?;
        let entries = self.inner.state.list(&Committed, room, &snapshot, 0..=key::MEMBERS - 1).await?;
        let shorts: Vec<u64> = entries.into_iter().map(|entry| entry.event).collect();
        sight.state(self, &shorts).await
    }

    /// The rooms with these short ids, in their order. At most one read.
    ///
    /// # Errors
    /// The store's; `Corrupt` for an id that is no room's.
    pub async fn rooms_by_short_id(&self, rooms: &[u64]) -> Result<Vec<Arc<Room>>, RoomError> {
        self.inner.names.by_short(rooms).await
    }

    /// Whether the name or the canonical alias that `room` has in `state` was redacted after `since`.
    ///
    /// # Errors
    /// The store's.
    pub async fn name_redacted_after(&self, room: &Room, state: &StateAt, since: Position) -> Result<bool, RoomError> {
        let snapshot = self.inner.state.snapshot(&Committed, room.short, state.snapshot).await?;
        let named = self.inner.state_of(room, &snapshot, &[key::NAME, key::CANONICAL_ALIAS]).await?;
        let redactions = named.iter().flatten().filter_map(|event| Some(event.redaction.as_ref()?.event_id.clone()));
        let redactions: Vec<_> = redactions.collect();
        if redactions.is_empty() {
            return Ok(false);
        }
        let found = self.inner.events.find(room, &redactions).await?;
        Ok(found.iter().flatten().any(|redaction| redaction.position > since))
    }

    /// The summary of `room` for `user`, for an answer that shows `state` and nothing above `upto`.
    ///
    /// # Errors
    /// The store's.
    pub async fn summary(&self, room: &Room, state: &StateAt, user: u64, upto: Position) -> Result<Summary, RoomError> {
        let (joined, invited) = (state.joined, state.invited);
        let snapshot = self.inner.state.snapshot(&Committed, room.short, state.snapshot).await?;
        let named = [key::NAME, key::CANONICAL_ALIAS];
        let named = self.inner.state_of(room, &snapshot, &named).await?;
        if named.iter().flatten().any(|event| says_a_name(event)) {
            return Ok(Summary { joined, invited, heroes: Vec::new() });
        }
        let range = ScanRange::scope(MEMBERS.id(), room.short);
        let (rows, _) = self.inner.store.scan(&MEMBERS, &range, PageLimit::rows(limits::HERO_ROWS)).await?;
        let (mut here, mut gone) = (Vec::new(), Vec::new());
        // A row of after `upto` is left out: that change brings a summary of its own.
        for found in rows.into_iter().filter(|found| found.position() <= upto) {
            if KeyReader::new(&found.key).u64() == Some(user) {
                continue;
            }
            let user_id = UserId::parse(found.row.user_id.as_str())
                .map_err(|_| RoomError::corrupt(&found.key, "not a user id"))?;
            match found.row.membership {
                Membership::Join | Membership::Invite => here.push((found.position(), user_id)),
                _ => gone.push((found.position(), user_id)),
            }
        }
        let mut heroes = if here.is_empty() { gone } else { here };
        heroes.sort();
        let heroes = heroes.into_iter().take(limits::HEROES).map(|(_, user_id)| user_id).collect();
        Ok(Summary { joined, invited, heroes })
    }
}

/// Whether a name or alias event states one that is not empty.
fn says_a_name(event: &StoredEvent) -> bool {
    #[derive(serde::Deserialize)]
    struct Content {
        #[serde(alias = "alias")]
        name: Option<String>,
    }
    let content = serde_json::from_str::<Content>(event.content.get());
    content.is_ok_and(|content| content.name.is_some_and(|name| !name.is_empty()))
}

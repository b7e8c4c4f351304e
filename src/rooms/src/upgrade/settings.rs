//! What users set for a room goes along to its replacement (Matrix specification, Client-Server API, Room Upgrades, Server behaviour).
//!
//! A row in the commit of the join, or of the tombstone, has one node read what the user set for the old room and write it for the new
//! one; the row goes in the commit that writes. Nothing is written over what stands there. `docs/design/12-membership.md`.

use std::sync::Arc;

use async_trait::async_trait;
use ruma::{OwnedRoomId, RoomId, events::TimelineEventType};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use wardstead_accounts::Accounts;
use wardstead_engine::{AccessPattern, Batch, EngineError};
use wardstead_limits::own_data as limits;
use wardstead_store::{
    Claim, CommitContributor, Contribution, Found, Handled, Overlay, Queue, QueueHandler, StoreError, Table,
};

use crate::{Event, Membership, Room, RoomChange, RoomError, Rooms, state::key};

/// Users whose settings may go along: the lane is the user.
static MOVES: Queue<MoveRow> = Queue::new(Table::new(AccessPattern::Churn, 0x065, "settings_moves", "rooms"));

/// Why, and the short id of the room in which it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum MoveRow {
    /// The user came into a room that may be a replacement.
    Came(u64),
    /// The user had the room replaced, and was in the new one before the old one led there.
    Replaced(u64),
}

wardstead_store::row!(MoveRow, 1);

/// Notes in the commits of rooms whose settings may have to go along. Wired by the binary.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mover;

#[async_trait]
impl CommitContributor<RoomChange> for Mover {
    async fn prepare(&self, change: &RoomChange, _: &Overlay<'_>) -> Result<Contribution, StoreError> {
        let came = |previous: Option<Membership>, now| now == Membership::Join && previous != Some(Membership::Join);
        let (users, row) = match change {
            RoomChange::Event(appended) => {
                let follows = appended.power.create.as_deref().and_then(predecessor).is_some();
                match (appended.membership, appended.sender) {
                    (Some(member), _) if follows && came(member.previous, member.now) => {
                        (vec![member.user], MoveRow::Came(appended.room))
                    }
                    (None, Some(sender)) if leads_elsewhere(&appended.event, appended.replaced.as_deref()) => {
                        (vec![sender], MoveRow::Replaced(appended.room))
                    }
                    _ => return Ok(Contribution::nothing()),
                }
            }
            RoomChange::Resolved(resolved) => {
                let came = resolved.members.iter().filter(|member| came(member.previous, member.now));
                (came.map(|member| member.user).collect(), MoveRow::Came(resolved.room))
            }
            _ => return Ok(Contribution::nothing()),
        };
        Ok(Contribution::new(move |batch, entry| users.iter().for_each(|user| MOVES.push(batch, *user, entry, &row))))
    }
}

/// The room that the one which `create` made says to replace.
fn predecessor(create: &Event) -> Option<OwnedRoomId> {
    #[derive(Deserialize)]
    struct Content {
        predecessor: Predecessor,
    }
    #[derive(Deserialize)]
    struct Predecessor {
        room_id: OwnedRoomId,
    }
    let content = serde_json::from_str::<Content>(create.content.get()).ok()?;
    Some(content.predecessor.room_id)
}

/// The room that `tombstone` leads to.
fn replacement(tombstone: &Event) -> Option<OwnedRoomId> {
    #[derive(Deserialize)]
    struct Content {
        replacement_room: OwnedRoomId,
    }
    let is_tombstone = tombstone.is_state(&TimelineEventType::RoomTombstone, "");
    let content = serde_json::from_str::<Content>(tombstone.content.get()).ok()?;
    is_tombstone.then_some(content.replacement_room)
}

/// Whether `event` leads from its room to another one than `before` did.
fn leads_elsewhere(event: &Event, before: Option<&Event>) -> bool {
    let to = replacement(event);
    to.is_some() && to != before.and_then(replacement)
}

/// What another part keeps for a user about a room, and has go along to its replacement.
#[async_trait]
pub trait GoesAlong: Send + Sync {
    /// `user` is in the room `new`, and is or was in `old`, which it replaces. Called again where it failed or a node stopped meanwhile:
    /// nothing is written over what stands there.
    ///
    /// # Errors
    /// What may succeed later.
    async fn go_along(&self, user: u64, old: &RoomId, new: &RoomId) -> Result<(), StoreError>;
}

impl Rooms {
    /// Has users' settings go along to rooms that replace others, from now on, wherever this node gets the leases; after what `others`
    /// have go along.
    pub fn run_moves(&self, others: Vec<Arc<dyn GoesAlong>>) {
        let porter = Porter { rooms: self.clone(), others };
        self.inner.store.run_queue(&MOVES, Arc::new(porter) as Arc<dyn QueueHandler<MoveRow>>);
    }

    /// The old and the new room of a move; `None`: neither is there, or they do not lead to each other.
    async fn moved_between(&self, row: &MoveRow) -> Result<Option<(Arc<Room>, Arc<Room>)>, RoomError> {
        let names = &self.inner.names;
        let here = |room: u64| async move { Ok::<_, RoomError>(names.by_short(&[room]).await?.pop()) };
        let (old, new) = match row {
            MoveRow::Came(new) => {
                let Some(new) = here(*new).await? else { return Ok(None) };
                let Some(old) = self.state_event_now(&new, key::CREATE).await?.as_deref().and_then(predecessor) else {
                    return Ok(None);
                };
                (names.by_id(&old).await?, Some(new))
            }
            MoveRow::Replaced(old) => {
                let Some(old) = here(*old).await? else { return Ok(None) };
                let new = self.state_event_now(&old, key::TOMBSTONE).await?.as_deref().and_then(replacement);
                let Some(new) = new else { return Ok(None) };
                (Some(old), names.by_id(&new).await?)
            }
        };
        let Some((old, new)) = old.zip(new) else { return Ok(None) };
        let back = self.state_event_now(&new, key::CREATE).await?.as_deref().and_then(predecessor);
        let forth = self.state_event_now(&old, key::TOMBSTONE).await?.as_deref().and_then(replacement);
        let agree = back.as_deref() == Some(&*old.room_id) && forth.as_deref() == Some(&*new.room_id);
        Ok(agree.then_some((old, new)))
    }

    async fn state_event_now(&self, room: &Room, key: u64) -> Result<Option<Arc<Event>>, RoomError> {
        let snapshot = self.inner.current_snapshot(room).await?;
        let found = self.inner.state_of(room, &snapshot, &[key]).await?.pop().flatten();
        Ok(found.map(|found| Arc::clone(&found.event)))
    }

    /// Whether `user` is in the new room, not for the second time, and is in the old one, or was when that was replaced.
    async fn goes_along(
        &self,
        user: u64,
        found: &Found<MoveRow>,
        (old, new): (&Room, &Room),
    ) -> Result<bool, RoomError> {
        let now = self.user_rooms_among(user, &[old.short, new.short]).await?;
        let is_in = |room: &Room| now.iter().any(|row| row.room == room.short && row.membership == Membership::Join);
        if !is_in(new) {
            return Ok(false);
        }
        if let MoveRow::Came(_) = found.row
            && Some(self.first_joined(user, new.short).await?) != Queue::<MoveRow>::position(&found.key)
        {
            return Ok(false);
        }
        if is_in(old) {
            return Ok(true);
        }
        let snapshot = self.inner.current_snapshot(old).await?;
        let tombstone = self.inner.state_of(old, &snapshot, &[key::TOMBSTONE]).await?.pop().flatten();
        let Some(tombstone) = tombstone else { return Ok(false) };
        Ok(self.membership_at(user, old.short, tombstone.position).await? == Some(Membership::Join))
    }

    /// What is written for `user` of what accounts keep.
    async fn settings_for(&self, user: u64, old: &Room, new: &Room) -> Result<Batch, RoomError> {
        let (accounts, mut batch) = (&self.inner.accounts, Batch::new());
        // Also where they were removed: the user has decided.
        if accounts.account_data(user, new.short, "m.tag").await?.is_none()
            && let Some(tags) = accounts.account_data(user, old.short, "m.tag").await?.and_then(|tags| tags.content)
        {
            Accounts::put_account_data(&mut batch, user, new.short, "m.tag", Some(&tags), None);
        }
        if let Some(direct) = accounts.account_data(user, 0, "m.direct").await?
            && let Some(content) =
                direct.content.as_deref().and_then(|stated| beside(stated, &old.room_id, &new.room_id))
        {
            Accounts::put_account_data(&mut batch, user, 0, "m.direct", Some(&content), Some(&direct));
        }
        Ok(batch)
    }

    async fn move_settings(
        &self,
        user: u64,
        found: &Found<MoveRow>,
        others: &[Arc<dyn GoesAlong>],
    ) -> Result<Batch, RoomError> {
        let Some((old, new)) = self.moved_between(&found.row).await? else { return Ok(Batch::new()) };
        if !self.goes_along(user, found, (&old, &new)).await? {
            return Ok(Batch::new());
        }
        for other in others {
            other.go_along(user, &old.room_id, &new.room_id).await?;
        }
        self.settings_for(user, &old, &new).await
    }
}

/// `direct` with `new` after `old` in each list that has only `old`; `None`: there is no such list, or no room for it.
fn beside(direct: &RawValue, old: &RoomId, new: &RoomId) -> Option<Box<RawValue>> {
    let mut direct: Map<String, Value> = serde_json::from_str(direct.get()).ok()?;
    let mut changed = false;
    for rooms in direct.values_mut().filter_map(Value::as_array_mut) {
        let place = |room: &RoomId| rooms.iter().position(|named| named.as_str() == Some(room.as_str()));
        if let (Some(at), None) = (place(old), place(new)) {
            rooms.insert(at + 1, new.as_str().into());
            changed = true;
        }
    }
    let content = serde_json::value::to_raw_value(&direct).ok()?;
    (changed && content.get().len() <= limits::ACCOUNT_DATA_BYTES).then_some(content)
}

struct Porter {
    rooms: Rooms,
    others: Vec<Arc<dyn GoesAlong>>,
}

#[async_trait]
impl QueueHandler<MoveRow> for Porter {
    async fn handle(&self, user: u64, rows: &[Found<MoveRow>], _: &Claim) -> Result<Handled, StoreError> {
        let Some(first) = rows.first() else { return Ok(Handled::Later) };
        match self.rooms.move_settings(user, first, &self.others).await {
            Ok(batch) => Ok(Handled::Done { rows: 1, batch }),
            Err(RoomError::Store(error)) => Err(error),
            Err(error) => Err(EngineError::Unavailable(error.to_string()).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::room_id;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_new_room_stands_beside_the_old_one() {
        let of = |direct: Value| {
            let stated = serde_json::value::to_raw_value(&direct).unwrap();
            let changed = beside(&stated, room_id!("!old:a"), room_id!("!new:a"))?;
            Some(serde_json::from_str::<Value>(changed.get()).unwrap())
        };
        let direct = json!({ "@ben:a": ["!x:a", "!old:a", "!y:a"], "@eve:a": ["!x:a"], "odd": 7 });
        let expected = json!({ "@ben:a": ["!x:a", "!old:a", "!new:a", "!y:a"], "@eve:a": ["!x:a"], "odd": 7 });
        assert_eq!(of(direct), Some(expected));
        assert_eq!(of(json!({ "@ben:a": ["!new:a", "!old:a"] })), None);
        assert_eq!(of(json!({})), None);
        assert_eq!(of(json!([])), None);
    }
}

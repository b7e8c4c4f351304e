//! A user's rooms in the order of when something last happened in them.
//!
//! Read once, and then moved along with the change window: what an incremental request costs grows with what changed.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};
use ruma::{OwnedRoomId, OwnedUserId};
use serde::Deserialize;
use wardstead_engine::Position;
use wardstead_limits::sliding as limits;
use wardstead_rooms::{Face, Membership, UserRoom};
use wardstead_store::Changes;

use crate::{SyncError, Syncer};

/// A room in the order.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) room: u64,
    pub(super) room_id: OwnedRoomId,
    pub(super) membership: Membership,
    /// When something last happened in it; while the user is not in it: to their membership.
    pub(super) active: Position,
    /// Of the member event.
    pub(super) position: Position,
    /// What an invitation tells.
    pub(super) invited: Option<Invited>,
}

/// What the stripped state of an invitation or a knock tells.
#[derive(Clone, Debug, Default)]
pub(super) struct Invited {
    pub(super) by: Option<OwnedUserId>,
    pub(super) face: Face,
}

#[derive(Clone)]
struct Entry {
    as_of: Position,
    rooms: Arc<[Arc<Placed>]>,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<u64, Entry> for Bytes {
    fn weight(&self, _: &u64, entry: &Entry) -> u64 {
        128 + limits::ORDER_ROOM_BYTES * entry.rooms.len() as u64
    }
}

/// By user.
pub(crate) struct Orders(Cache<u64, Entry, Bytes>);

impl Orders {
    pub(crate) fn new() -> Self {
        let items = usize::try_from(limits::ORDER_CACHE_BYTES / 4_096).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(items, limits::ORDER_CACHE_BYTES, Bytes))
    }

    /// Name, bytes and bound in bytes.
    pub(crate) fn figures(&self) -> (&'static str, u64, u64) {
        ("sliding_orders", self.0.weight(), self.0.capacity())
    }
}

impl Syncer {
    /// The rooms of `user` at `upto`, the one in which something happened last first.
    pub(super) async fn order(&self, user: u64, upto: Position) -> Result<Arc<[Arc<Placed>]>, SyncError> {
        let known = self.sliding.orders.0.get(&user).filter(|entry| entry.as_of <= upto);
        let entry = match known {
            Some(entry) if entry.as_of == upto => return Ok(entry.rooms),
            Some(entry) => match self.store.rooms_since(entry.as_of) {
                Changes::Rooms(changed) if changed.is_empty() => Entry { as_of: upto, ..entry },
                Changes::Rooms(changed) => self.moved_order(user, entry, &changed, upto).await?,
                Changes::Many | Changes::Unknown => self.whole_order(user, upto).await?,
            },
            None => self.whole_order(user, upto).await?,
        };
        let rooms = Arc::clone(&entry.rooms);
        self.sliding.orders.0.insert(user, entry);
        Ok(rooms)
    }

    async fn whole_order(&self, user: u64, upto: Position) -> Result<Entry, SyncError> {
        let mut rooms = Vec::new();
        for (room, last) in self.rooms.user_rooms_with_last(user).await? {
            rooms.extend(self.placed(user, room, last.head, upto).await?);
        }
        Ok(sorted(rooms, upto))
    }

    async fn moved_order(&self, user: u64, entry: Entry, changed: &[u64], upto: Position) -> Result<Entry, SyncError> {
        let moved = self.rooms.user_rooms_among(user, changed).await?;
        if moved.is_empty() {
            return Ok(Entry { as_of: upto, ..entry });
        }
        let ids: Vec<u64> = moved.iter().map(|room| room.room).collect();
        let heads = self.rooms.heads(&ids).await?;
        let mut rooms: Vec<Arc<Placed>> = Vec::with_capacity(entry.rooms.len() + moved.len());
        for (room, head) in moved.into_iter().zip(heads) {
            rooms.extend(self.placed(user, room, head, upto).await?);
        }
        rooms.extend(entry.rooms.iter().filter(|placed| !ids.contains(&placed.room)).cloned());
        Ok(sorted(rooms, upto))
    }

    /// Its place at `upto`, of a row and a head of now. A head of later only moves the room up a moment too soon.
    async fn placed(
        &self,
        user: u64,
        mut room: UserRoom,
        head: Position,
        upto: Position,
    ) -> Result<Option<Arc<Placed>>, SyncError> {
        if room.position > upto {
            let Some(membership) = self.rooms.membership_at(user, room.room, upto).await? else { return Ok(None) };
            if membership != room.membership {
                room.stripped.clear();
            }
            room.membership = membership;
        }
        let invited = match room.membership {
            // One that has been answered since then is for the next answer.
            Membership::Invite | Membership::Knock if room.stripped.is_empty() => return Ok(None),
            Membership::Invite | Membership::Knock => Some(invited(&room)),
            Membership::Join => None,
            Membership::Ban if room.left > Position::ZERO && !room.forgotten => None,
            // Who left knows it.
            Membership::Leave | Membership::Ban => return Ok(None),
        };
        let active = if room.membership == Membership::Join { head } else { room.position };
        let UserRoom { room, room_id, membership, position, .. } = room;
        Ok(Some(Arc::new(Placed { room, room_id, membership, active, position, invited })))
    }
}

fn sorted(mut rooms: Vec<Arc<Placed>>, as_of: Position) -> Entry {
    rooms.sort_by_key(|placed| std::cmp::Reverse((placed.active, placed.room)));
    Entry { as_of, rooms: rooms.into() }
}

fn invited(room: &UserRoom) -> Invited {
    #[derive(Deserialize)]
    struct Stripped {
        r#type: String,
        state_key: String,
        sender: OwnedUserId,
        content: Content,
    }
    #[derive(Deserialize)]
    struct Content {
        name: Option<String>,
        url: Option<String>,
        r#type: Option<String>,
        membership: Option<String>,
    }
    let mut invited = Invited::default();
    // What is none of these tells nothing.
    for event in room.stripped.iter().filter_map(|event| serde_json::from_str::<Stripped>(event.get()).ok()) {
        let Stripped { r#type, state_key, sender, content } = event;
        match r#type.as_str() {
            "m.room.create" => invited.face.room_type = content.r#type,
            "m.room.encryption" if state_key.is_empty() => invited.face.encrypted = true,
            "m.room.name" => invited.face.name = content.name,
            "m.room.avatar" => invited.face.avatar = content.url,
            "m.room.member" if content.membership.as_deref() == Some("invite") => invited.by = Some(sender),
            _ => {}
        }
    }
    invited
}

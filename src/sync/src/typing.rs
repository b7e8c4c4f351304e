//! Who is typing in a user's rooms, and when to tell it.

use std::sync::Arc;

use ruma::OwnedUserId;
use wardstead_accounts::Session;
use wardstead_limits::{engine::GET_KEYS, ephemeral as limits};
use wardstead_rooms::{Room, RoomTyping};

use crate::{SyncError, Syncer, ephemeral::Told, filter::Filter};

pub(crate) struct TypingNews {
    /// Who types in rooms in which the client may show something else.
    pub(crate) rooms: Vec<(Arc<Room>, Vec<OwnedUserId>)>,
    /// Of who types, once the client is told that.
    pub(crate) digest: u32,
    /// Whether this is a reason to answer now.
    pub(crate) ready: bool,
    /// When the next look may find something else.
    pub(crate) again_ms: Option<u64>,
}

/// A room in which somebody types or did of late.
struct Set {
    room: Arc<Room>,
    typing: RoomTyping,
}

impl Syncer {
    pub(crate) async fn typing_news(
        &self,
        by: &Session,
        told: Told,
        filter: &Filter,
        now_ms: u64,
    ) -> Result<TypingNews, SyncError> {
        let nothing = |again_ms| TypingNews { rooms: Vec::new(), digest: told.typing, ready: false, again_ms };
        if !filter.typing() || (told.typing == 0 && self.typing.is_quiet()) {
            return Ok(nothing(None));
        }
        let joined = self.joined_rooms(by.user).await?;
        let sets = self.sets(&joined, filter, now_ms).await?;
        let digest = digest(&sets);
        let ends_ms = sets.iter().filter_map(|set| set.typing.ends_ms).min();
        if digest == told.typing {
            let rooms = if digest == 0 { came_and_went(sets, told) } else { Vec::new() };
            return Ok(TypingNews { rooms, ..nothing(ends_ms) });
        }
        // Either something happened since the client's last answer that this node knows of, or the node that gave the answer
        // knew more or less than this one.
        let answered_ms = u64::from(told.answered_s) * 1_000;
        let since_ms = answered_ms.saturating_sub(limits::BUS_LATE_MS);
        let happened = sets.iter().any(|set| set.typing.changed_ms >= since_ms);
        let apart_s = if happened { limits::EPHEMERAL_APART_S } else { limits::TYPING_DOUBT_S };
        // A clock that was set back must not silence typing for long.
        let due_ms = ((u64::from(told.ephemeral_s) + apart_s) * 1_000).min(now_ms + limits::TYPING_DOUBT_S * 1_000);
        let again_ms = ends_ms.into_iter().chain([due_ms]).min();
        if !happened && now_ms < due_ms {
            return Ok(nothing(again_ms));
        }
        let told_somebody = told.typing != 0;
        let (mut rooms, mut silent) = (Vec::new(), Vec::new());
        for set in sets {
            match set.typing.users.is_empty() {
                true if told_somebody && set.typing.changed_ms >= since_ms => silent.push(set.room),
                true => {}
                false => rooms.push((set.room, set.typing.users.into_iter().map(|(_, user_id)| user_id).collect())),
            }
        }
        if told_somebody && (!happened || answered_ms < self.typing.remembers_since_ms()) {
            // This node cannot know where the client shows somebody: nowhere else does anybody type.
            silent = self.others(&joined, &rooms, filter).await?;
        }
        rooms.extend(silent.into_iter().map(|room| (room, Vec::new())));
        Ok(TypingNews { rooms, digest, ready: now_ms >= due_ms, again_ms })
    }

    /// Who types in those of `joined` that the filter shows. Who has left the room types no more.
    async fn sets(&self, joined: &[u64], filter: &Filter, now_ms: u64) -> Result<Vec<Set>, SyncError> {
        let mut sets = self.typing.among(joined);
        for set in &mut sets {
            let mut here = Vec::with_capacity(set.users.len());
            for (user, user_id) in set.users.drain(..).filter(|(_, user_id)| filter.typing_of(user_id)) {
                if self.joined_rooms(user).await?.binary_search(&set.room).is_ok() {
                    here.push((user, user_id));
                } else {
                    // A change that no message told.
                    set.changed_ms = now_ms;
                }
            }
            set.users = here;
        }
        let ids: Vec<u64> = sets.iter().map(|set| set.room).collect();
        let named = self.rooms.rooms_by_short_id(&ids).await?;
        let sets = named.into_iter().zip(sets).map(|(room, typing)| Set { room, typing });
        Ok(sets.filter(|set| filter.ephemeral_in(&set.room.room_id)).collect())
    }

    async fn others(
        &self,
        joined: &[u64],
        typing: &[(Arc<Room>, Vec<OwnedUserId>)],
        filter: &Filter,
    ) -> Result<Vec<Arc<Room>>, SyncError> {
        let others = joined.iter().copied().filter(|room| typing.iter().all(|(other, _)| other.short != *room));
        let others: Vec<u64> = others.collect();
        let mut named = Vec::with_capacity(others.len());
        for ids in others.chunks(GET_KEYS) {
            named.extend(self.rooms.rooms_by_short_id(ids).await?);
        }
        named.retain(|room| filter.ephemeral_in(&room.room_id));
        Ok(named)
    }
}

/// Rooms in which somebody typed and stopped since the client's token, as far as it may have been told of the one and not of the
/// other: it asked with that token before, and asks with it again. No reason to answer: to be told beside whatever else there is.
fn came_and_went(sets: Vec<Set>, told: Told) -> Vec<(Arc<Room>, Vec<OwnedUserId>)> {
    let Some((from_ms, to_ms)) = told.between_ms else { return Vec::new() };
    let gone = |set: &Set| set.typing.users.is_empty() && (from_ms..=to_ms).contains(&set.typing.changed_ms);
    sets.into_iter().filter(gone).map(|set| (set.room, Vec::new())).collect()
}

/// The same on every node for the same sets, whenever they end; 0: nobody types. FNV-1a, folded.
fn digest(sets: &[Set]) -> u32 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add =
        |number: u64| number.to_be_bytes().iter().for_each(|byte| hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME));
    let sets = sets.iter().filter(|set| !set.typing.users.is_empty());
    let mut nobody = true;
    for set in sets {
        nobody = false;
        add(set.typing.room);
        add(set.typing.users.len() as u64);
        set.typing.users.iter().for_each(|(user, _)| add(*user));
    }
    let folded = u32::try_from((hash ^ (hash >> 32)) & u64::from(u32::MAX)).unwrap_or_default();
    if nobody { 0 } else { folded.max(1) }
}

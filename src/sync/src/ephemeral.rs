//! Typing and presence: what a client was told of them, and what it is told next.
//!
//! A client may come to any node with its token. So the token alone says what the client was told: a digest of who typed, the
//! second of the last answer with ephemeral news, and the second of the last answer. See `docs/design/07-ephemeral.md`.

use std::{collections::BTreeMap, sync::Arc};

use ruma::OwnedUserId;
use wardstead_accounts::{Names, PresenceOf, Session, settled_ms};
use wardstead_limits::ephemeral as limits;
use wardstead_rooms::Room;
use wardstead_store::SyncToken;

use crate::{SyncError, Syncer, filter::Filter, presence::PresenceAgain, response};

/// What a client was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Digest of the users typing; 0: nobody.
    pub(crate) typing: u32,
    /// Unix second, rounded up, of the last answer with ephemeral news.
    pub(crate) ephemeral_s: u32,
    /// Unix second, rounded down, of the last answer of all.
    pub(crate) answered_s: u32,
    /// Unix millisecond before which the client needs no presence: it was told it, or this request has found that there is none.
    pub(crate) presence_ms: u64,
    /// Who typed and stopped between these Unix milliseconds may be shown by the client, from another answer to the same token;
    /// `None`: it is initial.
    pub(crate) between_ms: Option<(u64, u64)>,
}

impl From<SyncToken> for Told {
    fn from(token: SyncToken) -> Self {
        let SyncToken { typing, ephemeral_s, presence_s: answered_s, .. } = token;
        let told_ms = if ephemeral_s == 0 { 0 } else { u64::from(ephemeral_s) * 1_000 + limits::BUS_LATE_MS };
        let from_ms = told_ms.max(u64::from(answered_s) * 1_000);
        let presence_ms = settled_ms(u64::from(answered_s));
        Self { typing, ephemeral_s, answered_s, presence_ms, between_ms: Some((from_ms, u64::MAX)) }
    }
}

/// When to look again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Again {
    /// At this Unix millisecond: somebody's typing ends then.
    pub(crate) typing_ms: Option<u64>,
    pub(crate) presence: Option<PresenceAgain>,
}

/// What an answer that is given now tells.
#[derive(Debug)]
pub(crate) struct Ephemeral {
    /// Who types in rooms in which that is another than the client knows.
    pub(crate) typing: Vec<(Arc<Room>, Vec<OwnedUserId>)>,
    /// Users whose presence is another than the client knows.
    pub(crate) presence: Vec<PresenceOf>,
    /// What they call themselves, by short id: read when the answer is given.
    pub(crate) names: BTreeMap<u64, Names>,
    /// Whether this is a reason to answer now.
    pub(crate) ready: bool,
    /// When to look again if nothing happens until then.
    pub(crate) again: Again,
    /// What the client will have been told.
    pub(crate) told: Told,
    /// What the next look of the same request starts from.
    pub(crate) looked: Told,
}

impl Ephemeral {
    /// Tells nothing.
    pub(crate) fn nothing(told: Told) -> Self {
        let (typing, presence, names) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { typing, presence, names, ready: false, again: Again::default(), told, looked: told }
    }

    /// Adds presence that the answer tells beside what changed.
    pub(crate) fn also(&mut self, users: Vec<PresenceOf>) {
        let known = |of: &PresenceOf| self.presence.iter().any(|other| other.user == of.user);
        let more: Vec<PresenceOf> = users.into_iter().filter(|of| !known(of)).collect();
        self.presence.extend(more);
    }

    /// Adds who types to the rooms of an answer; gives what stands beside the rooms.
    pub(crate) fn add_to(self, rooms: &mut response::Rooms) -> response::PresenceSection {
        for (room, user_ids) in self.typing {
            // Of a room that the answer says was left nothing else is told.
            if !rooms.leave.contains_key(&room.room_id) {
                let joined = rooms.join.entry(room.room_id.clone()).or_default();
                joined.ephemeral.typing(user_ids);
            }
        }
        response::PresenceSection::new(self.presence, self.names)
    }
}

impl Syncer {
    /// Adds what those call themselves of whose presence `ephemeral` tells. At most one read.
    pub(crate) async fn name_present(&self, ephemeral: &mut Ephemeral) -> Result<(), SyncError> {
        if !ephemeral.presence.is_empty() {
            let users: Vec<u64> = ephemeral.presence.iter().map(|of| of.user).collect();
            let names = self.accounts.names(&users).await?;
            ephemeral.names = names.into_iter().map(|names| (names.user, names)).collect();
        }
        Ok(())
    }

    /// What there is to tell `by` now, whose client was `told` that, in an answer that has news of rooms or has none.
    pub(crate) async fn ephemeral(
        &self,
        by: &Session,
        told: Told,
        filter: &Filter,
        rooms: bool,
    ) -> Result<Ephemeral, SyncError> {
        let now_ms = self.store.clock().now_ms();
        let typing = self.typing_news(by, told, filter, now_ms).await?;
        let presence = self.presence_news(by, told, filter, now_ms, rooms).await?;
        let news = !typing.rooms.is_empty() || !presence.users.is_empty();
        // What comes and goes while the request waits, nobody was told.
        let between_ms = told.between_ms.map(|(from_ms, to_ms)| (from_ms, to_ms.min(now_ms)));
        let looked = Told { presence_ms: presence.from_ms, between_ms, ..told };
        let told = Told {
            typing: typing.digest,
            ephemeral_s: if news { second(now_ms.div_ceil(1_000)) } else { told.ephemeral_s },
            // What is put off lies after the last answer that told presence, or would have.
            answered_s: if presence.later { told.answered_s } else { second(now_ms / 1_000) },
            presence_ms: 0,
            between_ms: None,
        };
        Ok(Ephemeral {
            typing: typing.rooms,
            presence: presence.users,
            names: BTreeMap::new(),
            ready: typing.ready || presence.ready,
            again: Again { typing_ms: typing.again_ms, presence: presence.again },
            told,
            looked,
        })
    }
}

/// Seconds as a token has them: until 2106.
pub(crate) fn second(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

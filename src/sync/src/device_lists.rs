//! Whose devices changed (Client-Server API, End-to-end encryption, Extensions to /sync; GET keys/changes).
//!
//! Who is told of whom is worked out when they ask: from whose devices changed, and from who came into which room or left, each by
//! position. All rooms count, also those that are not encrypted: a client may look at the keys of whoever it shares one with.
//!
//! What an answer up to a position tells too soon is harmless, and told again; what it must not do is leave something out, or say of
//! somebody that they share no room any more while at that position they do.

use std::collections::{BTreeMap, BTreeSet};

use ruma::OwnedUserId;
use serde::Serialize;
use wardstead_accounts::Session;
use wardstead_e2ee::{Moved, OwnMoves};
use wardstead_engine::Position;
use wardstead_limits::{
    engine::{BATCH_JOURNAL_ENTRIES, GET_KEYS},
    store::WALK_CHANGES,
};
use wardstead_store::{Changes, SyncToken};

use crate::{SyncError, Syncer, shared::Past, wait::Range};

/// Users whose devices somebody has to look at again, or need not look at any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeviceLists {
    /// Users who share a room with whoever asks, and whose devices or keys changed, or who came to share one.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub changed: BTreeSet<OwnedUserId>,
    /// Users who share none any more.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub left: BTreeSet<OwnedUserId>,
}

impl DeviceLists {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.left.is_empty()
    }
}

/// The same by short ids.
#[derive(Debug, Default)]
struct Told {
    changed: BTreeSet<u64>,
    /// Those among them who share a room all the same are taken out in the end.
    left: BTreeSet<u64>,
}

/// What may have changed for a user over a range.
#[derive(Default)]
struct News {
    /// Users whose devices changed, all over the server.
    lists: Vec<u64>,
    own: OwnMoves,
    /// Rooms that the user is in, in which a membership may have changed.
    rooms: Vec<u64>,
}

impl Syncer {
    /// Whose devices changed for `by` in `range`. Initial answers tell nothing of it: a new client asks about everybody. No read where memory
    /// knows that nothing changed.
    pub(crate) async fn device_lists(&self, by: &Session, range: Range) -> Result<DeviceLists, SyncError> {
        if range.since >= range.upto {
            return Ok(DeviceLists::default());
        }
        let (lists, company) = (self.store.lists_since(range.since), self.store.company_since(range.since));
        let nothing = |changes: &Changes| matches!(changes, Changes::Rooms(scopes) if scopes.is_empty());
        if nothing(&lists) && nothing(&company) {
            return Ok(DeviceLists::default());
        }
        // In a place of its own: thousands wait at once, and to hardly one of them there is something to tell.
        Box::pin(self.device_lists_of(by, range, lists, company)).await
    }

    /// Everybody who shares a room with `by` now, for a client of which is not known what it was told: what it has may be of a time that
    /// a restore has taken back.
    pub(crate) async fn all_device_lists(&self, by: &Session, range: Range) -> Result<DeviceLists, SyncError> {
        let mut told = self.device_lists(by, range).await?;
        let mine = self.joined_rooms_at(by.user, range.upto).await?;
        let mut everybody = self.members_of_any(&mine).await?;
        everybody.insert(by.user);
        told.changed.extend(self.user_ids(&everybody).await?);
        told.left.retain(|user| !told.changed.contains(user));
        Ok(told)
    }

    /// What the answers from the token `from` up to the token `to` told, or would have told, of device lists (Client-Server API, GET
    /// keys/changes).
    ///
    /// # Errors
    /// `Since` for what is no token of the user's; the store's.
    pub async fn key_changes(&self, by: &Session, from: &str, to: &str) -> Result<DeviceLists, SyncError> {
        let read = |token: &str| self.store.tokens().read_sync(token).map_err(|_| SyncError::Since);
        let (from, to) = (read(from)?, read(to)?);
        if from.user != by.user || to.user != by.user {
            return Err(SyncError::Since);
        }
        let newest = self.store.caught_up().await?;
        let reach = |token: &SyncToken| self.reach(u64::from(token.epoch), token.position);
        let upto = reach(&to).unwrap_or(newest).min(newest);
        match reach(&from) {
            Ok(since) => self.device_lists(by, Range { since, upto }).await,
            Err(true_upto) => self.all_device_lists(by, Range { since: true_upto.min(upto), upto }).await,
        }
    }

    async fn device_lists_of(
        &self,
        by: &Session,
        range: Range,
        lists: Changes,
        company: Changes,
    ) -> Result<DeviceLists, SyncError> {
        let mine = self.joined_rooms_at(by.user, range.upto).await?;
        let news = self.list_news(by.user, range, &mine, lists, company).await?;
        let mut told = Told::default();
        let others: BTreeSet<u64> = news.lists.iter().copied().filter(|user| *user != by.user).collect();
        told.changed = self.sharing(&mine, &others, range.upto).await?;
        if news.lists.contains(&by.user) {
            told.changed.insert(by.user);
        }
        told.changed.extend(&news.own.signed);
        let mut own: BTreeMap<u64, Vec<Moved>> = BTreeMap::new();
        for moved in news.own.moves {
            own.entry(moved.room).or_default().push(moved);
        }
        for room in news.rooms.into_iter().filter(|room| !own.contains_key(room)) {
            self.moved_beside(room, range, &mut told).await?;
        }
        for (room, moves) in own {
            let inside = mine.binary_search(&room).is_ok();
            self.moved_oneself(room, range, &moves, inside, &mut told).await?;
        }
        told.left.remove(&by.user);
        told.left.retain(|user| !told.changed.contains(user));
        self.keep_strangers(&mine, range.upto, &mut told.left).await?;
        Ok(DeviceLists { changed: self.user_ids(&told.changed).await?, left: self.user_ids(&told.left).await? })
    }

    /// What may have changed, of what memory says and, where it does not reach back so far, of rows.
    async fn list_news(
        &self,
        user: u64,
        range: Range,
        mine: &[u64],
        lists: Changes,
        company: Changes,
    ) -> Result<News, SyncError> {
        let lists = match lists {
            Changes::Rooms(users) => users,
            Changes::Many | Changes::Unknown => self.lists.changed(range.since).await?,
        };
        let mut news = News { lists, ..News::default() };
        let moved = match company {
            Changes::Rooms(scopes) => {
                let moved = scopes.contains(&user);
                news.rooms = scopes.into_iter().filter(|scope| mine.binary_search(scope).is_ok()).collect();
                moved
            }
            Changes::Many | Changes::Unknown => {
                let heads = self.rooms.heads(mine).await?;
                let after = self.heads_told(&heads, range.since).await?;
                news.rooms = mine.iter().zip(heads).filter(|(_, head)| *head > after).map(|(room, _)| *room).collect();
                true
            }
        };
        if moved {
            news.own = self.lists.moves_of(user, range.since, range.upto).await?;
        }
        Ok(news)
    }

    /// Rooms with a head up to here have no move after `since`. That is `since`, unless it stands within a commit: a head has the position of
    /// the event, a move that of an entry behind it.
    async fn heads_told(&self, heads: &[Position], since: Position) -> Result<Position, SyncError> {
        let before = commit_before(since);
        let is_near = |head: &Position| *head > before && *head <= since;
        let is_within = heads.iter().any(is_near) && self.store.may_be_within_commit(since).await?;
        Ok(if is_within { before } else { since })
    }

    /// What others did in a room that the user has been in all the time.
    async fn moved_beside(&self, room: u64, range: Range, told: &mut Told) -> Result<(), SyncError> {
        let moves = self.lists.moves_in(room, range.since, Some(range.upto)).await?;
        let last: BTreeMap<u64, bool> = moves.into_iter().map(|moved| (moved.user, moved.here)).collect();
        for (user, here) in last {
            if here {
                told.changed.insert(user)
            } else {
                told.left.insert(user)
            };
        }
        Ok(())
    }

    /// What a room is about into which the user came in the range, or which they left: `moves`, of which there is at least one. `inside`:
    /// they are in it at the end.
    async fn moved_oneself(
        &self,
        room: u64,
        range: Range,
        moves: &[Moved],
        inside: bool,
        told: &mut Told,
    ) -> Result<(), SyncError> {
        // In this order: who comes or goes between the two is in the moves.
        let now: BTreeSet<u64> = self.rooms.joined_users(room).await?.into_iter().collect();
        let all = self.lists.moves_in(room, commit_before(range.since), None).await?;
        let mut past = Past::new(now, moves);
        let left: Vec<Position> = moves.iter().filter(|moved| !moved.here).map(|moved| moved.position).collect();
        for moved in all.iter().rev().map(Some).chain([None]) {
            let position = moved.map_or(Position::ZERO, |moved| moved.position);
            // Who is there at the end, who was there when the user left, and who left while the user was there.
            if inside && past.passes(range.upto, position) {
                told.changed.extend(past.members());
            }
            if left.iter().any(|left| past.passes(*left, position)) {
                told.left.extend(past.members());
            }
            if let Some(moved) = moved {
                if !moved.here && moved.position <= range.upto && past.was_inside(moved.position) {
                    told.left.insert(moved.user);
                }
                past.undo(moved);
            }
        }
        Ok(())
    }

    /// Leaves in `users` those who at `upto` are in none of `mine`.
    async fn keep_strangers(&self, mine: &[u64], upto: Position, users: &mut BTreeSet<u64>) -> Result<(), SyncError> {
        if users.is_empty() {
            return Ok(());
        }
        for user in self.sharing(mine, users, upto).await? {
            users.remove(&user);
        }
        for user in users.clone() {
            // Who has moved since then may have shared a room at that time.
            if self.store.user_changed(user, upto) != Some(false) {
                let theirs = self.joined_rooms_at(user, upto).await?;
                if theirs.iter().any(|room| mine.binary_search(room).is_ok()) {
                    users.remove(&user);
                }
            }
        }
        Ok(())
    }

    /// Those of `users` who are in one of the ascending `mine` at `upto`. Reads of each user once, and remembers; or who is a member of each room
    /// now, where those are fewer reads.
    async fn sharing(&self, mine: &[u64], users: &BTreeSet<u64>, upto: Position) -> Result<BTreeSet<u64>, SyncError> {
        let mut there = BTreeSet::new();
        if users.len() > mine.len().max(WALK_CHANGES) {
            let members = self.members_of_any(mine).await?;
            there.extend(users.intersection(&members));
            return Ok(there);
        }
        for user in users {
            let theirs = self.joined_rooms_at(*user, upto).await?;
            if theirs.iter().any(|room| mine.binary_search(room).is_ok()) {
                there.insert(*user);
            }
        }
        Ok(there)
    }

    /// Who is in one of `rooms` now.
    async fn members_of_any(&self, rooms: &[u64]) -> Result<BTreeSet<u64>, SyncError> {
        let mut members = BTreeSet::new();
        for room in rooms {
            members.extend(self.rooms.joined_users(*room).await?);
        }
        Ok(members)
    }

    async fn user_ids(&self, users: &BTreeSet<u64>) -> Result<BTreeSet<OwnedUserId>, SyncError> {
        let users: Vec<u64> = users.iter().copied().collect();
        let mut ids = BTreeSet::new();
        for users in users.chunks(GET_KEYS) {
            ids.extend(self.accounts.user_ids(users).await?.into_iter().flatten());
        }
        Ok(ids)
    }
}

/// Before any entry of a commit that has one at the next position: an event's rows have the position of its own entry, and the moves that
/// follow from it those of later ones. A token may stand between them.
fn commit_before(position: Position) -> Position {
    Position(position.0.saturating_sub(BATCH_JOURNAL_ENTRIES as u64))
}

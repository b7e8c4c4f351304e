//! Whose presence a user is told, and when.

use wardstead_accounts::{PresenceOf, PresenceState, Session, settled_ms};
use wardstead_limits::ephemeral as limits;
use wardstead_rooms::{Membership, MembershipMove};

use crate::{SyncError, Syncer, ephemeral::Told, filter::Filter, response::Sections, wait::Range};

#[derive(Default)]
pub(crate) struct PresenceNews {
    pub(crate) users: Vec<PresenceOf>,
    /// Whether this is a reason to answer now.
    pub(crate) ready: bool,
    /// When the next look may find something else.
    pub(crate) again: Option<PresenceAgain>,
    /// From where the next look of the same request has to look.
    pub(crate) from_ms: u64,
    /// Presence was not looked at: it is for a later answer.
    pub(crate) later: bool,
}

/// When to look at presence again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PresenceAgain {
    /// Once a change of this Unix millisecond or later is settled,
    pub(crate) settled_ms: u64,
    /// and not before this one.
    pub(crate) due_ms: u64,
}

impl Syncer {
    /// Users who share a room with `by` and whose presence changed since the client's last answer. Only what is settled is told:
    /// nothing is told twice or left out where the client changes nodes. `beside`: the answer has news of rooms.
    pub(crate) async fn presence_news(
        &self,
        by: &Session,
        told: Told,
        filter: &Filter,
        now_ms: u64,
        beside: bool,
    ) -> Result<PresenceNews, SyncError> {
        if !self.presence.is_enabled() || !filter.presence() {
            return Ok(PresenceNews::default());
        }
        let upto_ms = settled_ms(now_ms / 1_000);
        let mine = self.joined_rooms(by.user).await?;
        let mut changed = self.changed_beside(&mine, told.presence_ms, upto_ms).await?;
        changed.retain(|user| *user != by.user);
        let late_ms = (u64::from(told.answered_s) + limits::PRESENCE_LATE_S) * 1_000;
        if beside && changed.len() > limits::PRESENCE_BESIDE_USERS && now_ms < late_ms {
            return Ok(PresenceNews { later: true, ..PresenceNews::default() });
        }
        let mut users = self.presence.of_each(&changed);
        users.retain(|of| {
            let told_before = told.answered_s != 0 || of.state != PresenceState::Offline;
            // Who has changed again meanwhile is told when that is settled.
            told_before && of.changed_ms < upto_ms && filter.presence_of(&of.user_id)
        });
        let apart_ms = limits::PRESENCE_APART_S * 1_000;
        // A clock that was set back must not silence presence for long.
        let due_ms = (u64::from(told.answered_s) * 1_000 + apart_ms).min(now_ms + apart_ms);
        let from_ms = if users.is_empty() { upto_ms.max(told.presence_ms) } else { told.presence_ms };
        Ok(PresenceNews {
            ready: !users.is_empty() && now_ms >= due_ms,
            again: Some(PresenceAgain { settled_ms: if users.is_empty() { from_ms } else { 0 }, due_ms }),
            later: false,
            from_ms,
            users,
        })
    }
}

impl Syncer {
    /// Users who are there and came to share a room with `by` in `range`, of which `sections` are the answer: their presence is news
    /// to the client, whenever it last changed.
    pub(crate) async fn newly_shared(
        &self,
        by: &Session,
        range: Range,
        sections: &Sections,
        filter: &Filter,
    ) -> Result<Vec<PresenceOf>, SyncError> {
        // Who is in a room has changed where its summary is told.
        let members_changed = sections.rooms.join.values().any(|room| room.summary.is_some());
        if !members_changed || !self.presence.is_enabled() || !filter.presence() {
            return Ok(Vec::new());
        }
        let entered = self.entered(by.user, range).await?;
        let mine = self.joined_rooms(by.user).await?;
        let mut users = Vec::new();
        for of in self.everybody() {
            if of.state == PresenceState::Offline || of.user == by.user || !filter.presence_of(&of.user_id) {
                continue;
            }
            let theirs = self.joined_rooms(of.user).await?;
            let came_there = entered.iter().any(|room| theirs.binary_search(room).is_ok());
            let met = || async {
                let shared = |room: &u64| mine.binary_search(room).is_ok() && theirs.binary_search(room).is_ok();
                match self.store.user_changed(of.user, range.since) {
                    Some(false) => Ok(false),
                    // More than memory reaches back to: it is told once too often, and not once too few.
                    None => Ok(theirs.iter().any(shared)),
                    Some(true) => self.entered(of.user, range).await.map(|rooms| rooms.iter().any(shared)),
                }
            };
            if came_there || met().await? {
                users.push(of);
            }
        }
        Ok(users)
    }

    /// Those whose presence changed last.
    fn everybody(&self) -> Vec<PresenceOf> {
        let users: Vec<u64> = self.presence.changed(0, u64::MAX).into_iter().map(|(_, user)| user).collect();
        self.presence.of_each(&users)
    }

    /// Rooms that `user` came into in `range`. No read where memory knows that there are none.
    async fn entered(&self, user: u64, range: Range) -> Result<Vec<u64>, SyncError> {
        if self.store.user_changed(user, range.since) == Some(false) {
            return Ok(Vec::new());
        }
        let changes = self.rooms.membership_changes(user, range.since, range.upto).await?;
        let came = |change: &MembershipMove| {
            change.room.membership == Membership::Join && change.previous != Some(Membership::Join)
        };
        Ok(changes.into_iter().filter(came).map(|change| change.room.room).collect())
    }
}

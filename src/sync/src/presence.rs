//! Whose presence a user is told, and when.

use wardstead_accounts::{PresenceOf, PresenceState, Session};
use wardstead_limits::ephemeral as limits;

use crate::{SyncError, Syncer, ephemeral::Told, filter::Filter};

#[derive(Default)]
pub(crate) struct PresenceNews {
    pub(crate) users: Vec<PresenceOf>,
    /// Whether this is a reason to answer now.
    pub(crate) ready: bool,
    /// When the next look may find something else.
    pub(crate) again_ms: Option<u64>,
    /// From where the next look of the same request has to look.
    pub(crate) from_ms: u64,
    /// Presence was not looked at: it is for a later answer.
    pub(crate) later: bool,
}

/// Up to when what happened is settled at a Unix second: every node has heard of it.
pub(crate) fn settled_ms(second: u64) -> u64 {
    (second * 1_000).saturating_sub(limits::BUS_LATE_MS)
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
        let changed = self.presence.changed(told.presence_ms, upto_ms);
        let late_ms = (u64::from(told.answered_s) + limits::PRESENCE_LATE_S) * 1_000;
        if beside && changed.len() > limits::PRESENCE_BESIDE_USERS && now_ms < late_ms {
            return Ok(PresenceNews { later: true, ..PresenceNews::default() });
        }
        let mut users = Vec::new();
        for of in changed {
            let told_before = told.answered_s != 0 || of.state != PresenceState::Offline;
            let other = of.user != by.user && told_before && filter.presence_of(&of.user_id);
            if other && self.share_a_room(by.user, of.user).await? {
                users.push(of);
            }
        }
        let apart_ms = limits::PRESENCE_APART_S * 1_000;
        // A clock that was set back must not silence presence for long.
        let due_ms = (u64::from(told.answered_s) * 1_000 + apart_ms).min(now_ms + apart_ms);
        // No sooner than it may be told, and no later than what is under way is settled.
        let soon_ms = if self.presence.changed_since(upto_ms) { limits::PRESENCE_TICK_MS } else { apart_ms };
        Ok(PresenceNews {
            ready: !users.is_empty() && now_ms >= due_ms,
            again_ms: Some(if due_ms > now_ms { due_ms } else { now_ms + soon_ms }),
            later: false,
            from_ms: if users.is_empty() { upto_ms.max(told.presence_ms) } else { told.presence_ms },
            users,
        })
    }
}

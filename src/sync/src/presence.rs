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
}

impl Syncer {
    /// Users who share a room with `by` and whose presence changed since the client's last answer. What is told is
    /// [`limits::BUS_LATE_MS`] old, so that every node has heard of it: nothing is told twice or left out where the client
    /// changes nodes.
    pub(crate) async fn presence_news(
        &self,
        by: &Session,
        told: Told,
        filter: &Filter,
        now_ms: u64,
    ) -> Result<PresenceNews, SyncError> {
        if !self.presence.is_enabled() || !filter.presence() {
            return Ok(PresenceNews::default());
        }
        let settled_ms = |second: u64| (second * 1_000).saturating_sub(limits::BUS_LATE_MS);
        let from_ms = settled_ms(u64::from(told.answered_s));
        let mut users = Vec::new();
        for of in self.presence.changed(from_ms, settled_ms(now_ms / 1_000)) {
            let told_before = told.answered_s != 0 || of.state != PresenceState::Offline;
            let other = of.user != by.user && told_before && filter.presence_of(&of.user_id);
            if other && self.share_a_room(by.user, of.user).await? {
                users.push(of);
            }
        }
        let apart_ms = limits::PRESENCE_APART_S * 1_000;
        let due_ms = (u64::from(told.answered_s) * 1_000 + apart_ms).min(now_ms + apart_ms);
        let again_ms = if due_ms > now_ms { due_ms } else { now_ms + apart_ms };
        Ok(PresenceNews { ready: !users.is_empty() && now_ms >= due_ms, users, again_ms: Some(again_ms) })
    }
}

//! Whom a user ignores, and whether they want invitations, as of the position of an answer (Client-Server API, Ignoring Users; Invite
//! permission).
//!
//! What they do is not shown: events that are no state, invitations, typing, presence. Receipts are: a receipt says that what the
//! user wrote has been read, and leaving it out would say that it has not.

use quick_cache::{Weighter, sync::Cache};
use ruma::OwnedUserId;
use serde::Deserialize;
use wardstead_accounts::{Session, Unwelcome};
use wardstead_engine::Position;
use wardstead_limits::own_data as limits;
use wardstead_rooms::{Membership, UserRoom};

use crate::{SyncError, Syncer, filter::Filter};

#[derive(Clone)]
struct Entry {
    /// So it was up to here.
    as_of: Position,
    unwelcome: Unwelcome,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<u64, Entry> for Bytes {
    fn weight(&self, _: &u64, entry: &Entry) -> u64 {
        limits::IGNORED_ENTRY_BYTES + limits::IGNORED_USER_BYTES * entry.unwelcome.ignored.len() as u64
    }
}

/// What was read of whom users ignore. An entry is void once something in its user's scope has changed after it.
pub(crate) struct IgnoredCache(Cache<u64, Entry, Bytes>);

impl IgnoredCache {
    pub(crate) fn new() -> Self {
        let items = usize::try_from(limits::IGNORED_CACHE_BYTES / limits::IGNORED_ENTRY_BYTES).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(items, limits::IGNORED_CACHE_BYTES, Bytes))
    }

    /// Name, bytes and bound in bytes.
    pub(crate) fn figures(&self) -> (&'static str, u64, u64) {
        ("ignored_users", self.0.weight(), self.0.capacity())
    }
}

impl Syncer {
    /// From whom `by` wants to hear nothing, as of `upto`. One read after each change in the user's own scope, and where the list has changed since.
    pub(crate) async fn ignored(&self, by: &Session, upto: Position) -> Result<Unwelcome, SyncError> {
        if let Some(entry) = self.ignored.0.get(&by.user)
            && entry.as_of <= upto
            && self.store.user_changed(by.user, entry.as_of) == Some(false)
        {
            return Ok(entry.unwelcome);
        }
        let unwelcome = self.accounts.unwelcome_at(by.user, &by.user_id, upto).await?;
        // Of what comes later nothing was asked.
        self.ignored.0.insert(by.user, Entry { as_of: upto, unwelcome: unwelcome.clone() });
        Ok(unwelcome)
    }
}

/// Whether `room` is an invitation from somebody whom the user ignores, or one to a user who wants none.
pub(crate) fn is_unwelcome(room: &UserRoom, by: &Session, filter: &Filter) -> bool {
    #[derive(Deserialize)]
    struct Stripped<'a> {
        r#type: std::borrow::Cow<'a, str>,
        state_key: std::borrow::Cow<'a, str>,
        sender: OwnedUserId,
    }
    if room.membership != Membership::Invite {
        return false;
    }
    filter.blocks_invitations()
        || !filter.ignored().is_empty()
            && room.stripped.iter().filter_map(|event| serde_json::from_str::<Stripped<'_>>(event.get()).ok()).any(
                |event| {
                    event.r#type == "m.room.member"
                        && event.state_key == by.user_id.as_str()
                        && filter.ignored().contains(&event.sender)
                },
            )
}

//! What was not read, in the rooms of an answer (Client-Server API, Receiving notifications), and the push rules that decide what counts.

use std::{collections::BTreeMap, sync::Arc};

use ruma::OwnedUserId;
use serde::Serialize;
use serde_json::value::RawValue;
use wardstead_accounts::Session;
use wardstead_engine::Position;
use wardstead_push::{UnreadCount, UnreadCounts};
use wardstead_rooms::Room;

use crate::{
    SyncError, Syncer,
    response::Rooms,
    room::Wanted,
    wait::{Question, Range},
};

/// The account data that tells push rules. The server itself keeps it.
pub(crate) const PUSH_RULES: &str = "m.push_rules";

/// Of one room. Nothing where a receipt or the rules have changed it since the answer's position: the next answer tells it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Unread {
    #[serde(rename = "unread_notifications", skip_serializing_if = "Option::is_none")]
    pub(crate) room: Option<Numbers>,
    #[serde(rename = "unread_thread_notifications", skip_serializing_if = "BTreeMap::is_empty")]
    threads: BTreeMap<String, Numbers>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Numbers {
    highlight_count: u64,
    notification_count: u64,
}

impl From<UnreadCount> for Numbers {
    fn from(count: UnreadCount) -> Self {
        Self { highlight_count: count.highlights, notification_count: count.notifications }
    }
}

impl From<UnreadCounts> for Unread {
    fn from(counts: UnreadCounts) -> Self {
        let threads = counts.threads.into_iter().map(|(root, count)| (root, count.into())).collect();
        Self { room: Some(counts.room.into()), threads }
    }
}

impl Syncer {
    /// What was not read, and whether the user changed that in the answer's range: by reading, or by other rules; with `hidden` events,
    /// which the filter leaves out, whether it is another number at all.
    pub(crate) async fn unread(&self, wanted: &Wanted<'_>, hidden: bool) -> Result<(Unread, bool), SyncError> {
        let Wanted { by, filter, room, since, upto, .. } = wanted;
        let Some(unread) = self.push.unread(room.short, by.user, *upto, filter.unread_threads()).await? else {
            return Ok((Unread::default(), false));
        };
        let mut changed = unread.changed > *since;
        if hidden && !changed {
            let before = self.push.unread(room.short, by.user, *since, filter.unread_threads()).await?;
            changed = before.is_none_or(|before| before.counts != unread.counts);
        }
        Ok((unread.counts.into(), changed))
    }

    /// Adds what was not read to the rooms that the answer tells nothing of but who types, for clients that ask for counts by thread:
    /// they take a room without those for one in which every thread was read.
    pub(crate) async fn count_typing(
        &self,
        Question { by, filter, .. }: &Question<'_>,
        rooms: &mut Rooms,
        typing: &[(Arc<Room>, Vec<OwnedUserId>)],
        upto: Position,
    ) -> Result<(), SyncError> {
        if !filter.unread_threads() {
            return Ok(());
        }
        for (room, _) in typing {
            if rooms.leave.contains_key(&room.room_id) || rooms.join.contains_key(&room.room_id) {
                continue;
            }
            if let Some(unread) = self.push.unread(room.short, by.user, upto, true).await? {
                rooms.join.entry(room.room_id.clone()).or_default().unread = unread.counts.into();
            }
        }
        Ok(())
    }

    /// The event that tells the push rules of `by`, where the range begins with nothing or they changed in it.
    pub(crate) async fn push_rules_news(&self, by: &Session, range: Range) -> Result<Option<Box<RawValue>>, SyncError> {
        #[derive(Serialize)]
        struct Event<'a> {
            r#type: &'a str,
            content: Content<'a>,
        }
        #[derive(Serialize)]
        struct Content<'a> {
            global: &'a ruma::push::Ruleset,
        }
        let initial = range.since == Position::ZERO;
        if !initial && (range.since >= range.upto || self.store.user_changed(by.user, range.since) == Some(false)) {
            return Ok(None);
        }
        let changed = self.push.rules_changed(by.user).await?;
        if !initial && (changed <= range.since || changed > range.upto) {
            return Ok(None);
        }
        let (rules, _) = self.push.rules(by.user, &by.user_id).await?;
        let event = Event { r#type: PUSH_RULES, content: Content { global: &rules } };
        Ok(Some(serde_json::value::to_raw_value(&event)?))
    }
}

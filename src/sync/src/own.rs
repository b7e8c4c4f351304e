//! What concerns a user alone and is no room's: account data, and receipts that others are not shown.

use std::collections::{BTreeMap, BTreeSet};

use ruma::RoomId;
use serde::Serialize;
use serde_json::value::RawValue;
use wardstead_accounts::{AccountData, Session};
use wardstead_engine::Position;
use wardstead_limits::sync as limits;
use wardstead_rooms::Receipt;

use crate::{SyncError, Syncer, filter::Filter, response::Events, unread::PUSH_RULES, wait::Range};

/// What changed of it.
#[derive(Debug, Default)]
pub(crate) struct OwnNews {
    /// Account data by room; 0: of no room.
    account_data: BTreeMap<u64, Vec<AccountData>>,
    /// Private receipts by room.
    receipts: BTreeMap<u64, Vec<Receipt>>,
    /// The event that tells push rules.
    push_rules: Option<Box<RawValue>>,
    /// Rooms in which other push rules count otherwise.
    recounted: Vec<u64>,
}

/// What changed of it for one room.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnRoomNews {
    pub(crate) account_data: Vec<AccountData>,
    pub(crate) receipts: Vec<Receipt>,
    /// Other push rules count otherwise in it.
    pub(crate) recounted: bool,
}

impl OwnNews {
    /// The rooms that it is about.
    pub(crate) fn rooms(&self) -> BTreeSet<u64> {
        self.account_data
            .keys()
            .chain(self.receipts.keys())
            .chain(&self.recounted)
            .copied()
            .filter(|room| *room != 0)
            .collect()
    }

    /// Those of them that have other account data.
    pub(crate) fn rooms_with_account_data(&self) -> BTreeSet<u64> {
        self.account_data.keys().copied().filter(|room| *room != 0).collect()
    }

    /// What is about `room`.
    pub(crate) fn room(&mut self, room: u64) -> OwnRoomNews {
        let account_data = self.account_data.remove(&room).unwrap_or_default();
        let recounted = self.recounted.contains(&room);
        OwnRoomNews { account_data, receipts: self.receipts.remove(&room).unwrap_or_default(), recounted }
    }

    /// What is about no room, as the filter lets it be shown.
    pub(crate) fn of_no_room(&mut self, filter: &Filter) -> Result<Events, serde_json::Error> {
        let account_data = self.account_data.remove(&0).unwrap_or_default();
        let mut told = events(account_data, |data| filter.account_data(&data.event_type))?;
        told.events.extend(self.push_rules.take().filter(|_| filter.account_data(PUSH_RULES)));
        Ok(told)
    }
}

impl Syncer {
    /// What changed in `range` for `user`. No read where memory knows that nothing did.
    pub(crate) async fn own_news(&self, by: &Session, range: Range) -> Result<OwnNews, SyncError> {
        let user = by.user;
        let mut news = OwnNews { push_rules: self.push_rules_news(by, range).await?, ..OwnNews::default() };
        if range.since >= range.upto || self.store.user_changed(user, range.since) == Some(false) {
            return Ok(news);
        }
        for data in self.accounts.account_data_changes(user, range.since, range.upto).await? {
            if range.since == Position::ZERO && data.content.is_none() {
                // A new client has nothing that it would have to remove.
                continue;
            }
            news.account_data.entry(data.room).or_default().push(data);
        }
        // Shown or not: they change what is unread.
        let found = self.rooms.private_receipts(user, range.since, range.upto, limits::TOTAL_RECEIPT_ROWS).await?;
        for receipt in found.receipts {
            news.receipts.entry(receipt.room).or_default().push(receipt);
        }
        news.recounted = self.push.recounted(user, range.since, range.upto).await?;
        Ok(news)
    }
}

impl Syncer {
    /// What of no room was removed in `range`, for a client that is told the rest as if it were new.
    pub(crate) async fn removed_account_data(
        &self,
        user: u64,
        range: Range,
        filter: &Filter,
    ) -> Result<Events, SyncError> {
        let mut changes = self.accounts.account_data_changes(user, range.since, range.upto).await?;
        changes.retain(|data| data.room == 0 && data.content.is_none());
        Ok(events(changes, |data| filter.account_data(&data.event_type))?)
    }

    /// All of it for `room`, for who has just come: a client forgets the rooms that its user left.
    pub(crate) async fn own_of_room(
        &self,
        by: &Session,
        room: u64,
        upto: Position,
        filter: &Filter,
    ) -> Result<OwnRoomNews, SyncError> {
        let account_data = self.accounts.account_data_of_room(by.user, room, upto).await?;
        let mut receipts = Vec::new();
        if filter.receipts() {
            receipts = self.rooms.own_receipts(room, by.user, &by.user_id, upto).await?;
            receipts.retain(|receipt| receipt.private);
        }
        Ok(OwnRoomNews { account_data, receipts, recounted: false })
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    r#type: &'a str,
    content: Content<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Of(&'a RawValue),
    /// What was removed is told as an empty object.
    Removed {},
}

/// Account data for `room` as the filter lets it be shown.
pub(crate) fn room_events(data: Vec<AccountData>, room: &RoomId, filter: &Filter) -> Result<Events, serde_json::Error> {
    let content = |data: &AccountData| data.content.as_deref().is_none_or(|content| filter.room_data_content(content));
    events(data, |data| filter.account_data_in(room, &data.event_type) && content(data))
}

fn events(mut data: Vec<AccountData>, shown: impl Fn(&AccountData) -> bool) -> Result<Events, serde_json::Error> {
    data.retain(shown);
    let event = |data: &AccountData| {
        let content = data.content.as_deref().map_or(Content::Removed {}, Content::Of);
        serde_json::value::to_raw_value(&Shown { r#type: &data.event_type, content })
    };
    Ok(Events { events: data.iter().map(event).collect::<Result<_, _>>()?, whole: false })
}

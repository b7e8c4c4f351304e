//! Receipts: what moved in a room, and how that is shown (Client-Server API, `m.receipt`).

use std::collections::{BTreeMap, btree_map::Entry};

use ruma::{OwnedEventId, OwnedUserId};
use serde::Serialize;
use wardstead_accounts::Session;
use wardstead_rooms::Receipt;

use crate::{SyncError, Syncer, wait::Range};

/// Receipts by event, type and user.
pub(crate) type ReceiptContent = BTreeMap<OwnedEventId, BTreeMap<&'static str, BTreeMap<OwnedUserId, Shown>>>;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    ts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<String>,
}

/// The contents of as many events as it takes. Nearly always one: an event has one place for a user and type, so that a user's
/// receipts in two threads for one event need two. Beside an unthreaded one, which says more, no other is shown (MSC4102).
pub(crate) fn receipt_contents(mut receipts: Vec<Receipt>) -> Vec<ReceiptContent> {
    let mut contents: Vec<ReceiptContent> = Vec::new();
    receipts.sort_by_key(|receipt| receipt.thread.is_some());
    'receipts: for receipt in receipts {
        let Receipt { user_id, private, event_id, thread: thread_id, at_ms: ts, .. } = receipt;
        let shown = Shown { ts, thread_id };
        let name = if private { "m.read.private" } else { "m.read" };
        for content in &mut contents {
            match content.entry(event_id.clone()).or_default().entry(name).or_default().entry(user_id.clone()) {
                Entry::Occupied(other) if other.get().thread_id.is_some() => {}
                Entry::Occupied(_) => continue 'receipts,
                Entry::Vacant(place) => {
                    place.insert(shown);
                    continue 'receipts;
                }
            }
        }
        contents.push([(event_id, [(name, [(user_id, shown)].into())].into())].into());
    }
    contents
}

impl Syncer {
    /// The receipts that `by` is shown of `room` because they moved in `range`: at most `most` of all members, the last moved, and all
    /// of the user's own. `own` are the private ones that moved.
    pub(crate) async fn receipt_news(
        &self,
        by: &Session,
        room: u64,
        range: Range,
        most: usize,
        own: Vec<Receipt>,
    ) -> Result<Vec<Receipt>, SyncError> {
        let found = self.rooms.receipts(room, range.since, range.upto, most).await?;
        let mut receipts = found.receipts;
        if found.more {
            receipts.retain(|receipt| receipt.user != by.user);
            receipts.extend(self.rooms.own_receipts(room, by.user, &by.user_id, range.upto).await?);
        } else {
            receipts.extend(own);
        }
        Ok(receipts)
    }
}

#[cfg(test)]
mod tests {
    use ruma::{EventId, UserId};
    use serde_json::json;

    use super::*;

    fn receipt(user: &str, event: &str, thread: Option<&str>) -> Receipt {
        Receipt {
            room: 1,
            user: 2,
            user_id: UserId::parse(user).unwrap(),
            private: false,
            thread: thread.map(str::to_owned),
            event_id: EventId::parse(event).unwrap(),
            at_ms: 5,
        }
    }

    fn shown(receipts: Vec<Receipt>) -> serde_json::Value {
        serde_json::to_value(receipt_contents(receipts)).unwrap()
    }

    #[test]
    fn one_content_for_many() {
        let receipts = vec![
            receipt("@a:x", "$1", None),
            receipt("@b:x", "$1", Some("main")),
            receipt("@a:x", "$2", Some("$1")),
            Receipt { private: true, ..receipt("@a:x", "$1", None) },
        ];
        let expected = json!([{
            "$1": {
                "m.read": { "@a:x": { "ts": 5 }, "@b:x": { "ts": 5, "thread_id": "main" } },
                "m.read.private": { "@a:x": { "ts": 5 } },
            },
            "$2": { "m.read": { "@a:x": { "ts": 5, "thread_id": "$1" } } },
        }]);
        assert_eq!(shown(receipts), expected);
        assert_eq!(shown(Vec::new()), json!([]));
    }

    #[test]
    fn an_unthreaded_receipt_prevails_over_others_for_the_same_event() {
        for receipts in [
            vec![receipt("@a:x", "$1", None), receipt("@a:x", "$1", Some("main"))],
            vec![receipt("@a:x", "$1", Some("main")), receipt("@a:x", "$1", None)],
        ] {
            assert_eq!(shown(receipts), json!([{ "$1": { "m.read": { "@a:x": { "ts": 5 } } } }]));
        }
    }

    #[test]
    fn two_threads_for_one_event_take_two_events() {
        let shown = shown(vec![receipt("@a:x", "$1", Some("main")), receipt("@a:x", "$1", Some("$1"))]);
        let threads =
            shown.as_array().unwrap().iter().map(|content| content["$1"]["m.read"]["@a:x"]["thread_id"].clone());
        assert_eq!(threads.collect::<Vec<_>>(), ["main", "$1"]);
    }
}

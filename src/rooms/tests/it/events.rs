//! The events themselves: ids, hashes, signatures, client format.

use std::collections::BTreeMap;

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, RoomVersionId,
    serde::Base64,
    signatures::{Verified, reference_hash, verify_event},
};
use serde_json::{Value, json};
use wardstead_engine::{AccessPattern, Key, ScanRange, TableId};
use wardstead_rooms::{Membership, NewRoom, Seen, rules};

use crate::support::{Server, server};

/// The JSON of each event as it lies in the store: what other servers will be sent.
pub async fn stored(server: &Server, room: u64) -> Vec<(String, CanonicalJsonObject)> {
    use wardstead_engine::{Engine, PageLimit, Position};
    let range = ScanRange::scope(TableId::new(AccessPattern::Point, 0x043), room);
    let page = server.engine.scan(Position::ZERO, &range, PageLimit::default()).await.unwrap();
    let event = |(key, cell): (Key, wardstead_engine::Cell)| {
        let id = wardstead_engine::KeyReader::new(&key).text().unwrap();
        let text = cell.payload.windows(12).position(|part| part == b"{\"auth_event").unwrap();
        (id, serde_json::from_slice(&cell.payload[text..]).unwrap())
    };
    page.rows.into_iter().map(event).collect()
}

/// Ids are reference hashes, signatures and content hashes verify, rooms of version 12 are named by their create event.
#[tokio::test]
async fn ids_hashes_and_signatures() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let key = server.signing_key();
    let keys = BTreeMap::from([(format!("ed25519:{}", key.version()), Base64::new(key.public_key().to_vec()))]);
    let keys = BTreeMap::from([("example.org".to_owned(), keys)]);
    for version in wardstead_rooms::ROOM_VERSIONS {
        let new = NewRoom { version: Some(version.clone()), name: Some("n".to_owned()), ..NewRoom::default() };
        let room_id = server.room_of(&[&ada, &ben], new).await;
        server.say(&ben, &room_id, "hello").await.unwrap();
        let rules = rules(&version).unwrap();
        let room = server.rooms.room(&room_id).await.unwrap().unwrap();
        let events = stored(&server, room.short).await;
        assert_eq!(events.len(), 10);
        for (id, event) in &events {
            assert_eq!(verify_event(&keys, event, &rules).unwrap(), Verified::All, "{version}");
            assert_eq!(*id, format!("${}", reference_hash(event, &rules).unwrap()));
            ruma::state_res::check_pdu_format(event, &rules.event_format).unwrap();
            let create = event["type"].as_str() == Some("m.room.create");
            if version == RoomVersionId::V12 && create {
                assert!(!event.contains_key("room_id"));
                assert_eq!(room_id.as_str()[1..], id[1..]);
            } else {
                assert_eq!(event["room_id"].as_str(), Some(room_id.as_str()));
            }
            assert_eq!(event["prev_events"].as_array().unwrap().is_empty(), create);
            // One changed letter is found.
            let mut forged = event.clone();
            forged.insert("sender".to_owned(), CanonicalJsonValue::String("@eve:example.org".to_owned()));
            assert!(verify_event(&keys, &forged, &rules).is_err());
        }
    }
}

fn json_of(server: &Server, event: &Seen, by: &wardstead_accounts::Session) -> Value {
    serde_json::from_str(&server.client_json(event, by, Some(Membership::Join)).to_json()).unwrap()
}

/// A fresh node reads the same client JSON as the one that made the event.
#[tokio::test]
async fn client_format() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room(&[&ada, &ben]).await;
    let first = server.set(&ada, &room, "m.room.name", json!({ "name": "a \"b\"" })).await.unwrap();
    server.set(&ada, &room, "m.room.name", json!({ "name": "c" })).await.unwrap();
    let said = server.say_once(&ada, &room, "hello \u{1f3e5}", "t\"1").await.unwrap();
    server.clock.advance_ms(1_500);
    for server in [&server, &server.node(2).await] {
        let (said, membership) = server.event(&ada, &room, &said).await.unwrap();
        assert_eq!(membership, Membership::Join);
        let sent_at = said.origin_server_ts;
        let mut expected = json!({
            "content": { "msgtype": "m.text", "body": "hello \u{1f3e5}" },
            "event_id": said.event_id,
            "origin_server_ts": sent_at,
            "sender": "@ada:example.org",
            "type": "m.room.message",
            "unsigned": { "age": 1_500, "membership": "join", "transaction_id": "t\"1" },
        });
        assert_eq!(json_of(server, &said, &ada), expected);
        expected["unsigned"].as_object_mut().unwrap().remove("transaction_id");
        assert_eq!(json_of(server, &said, &ben), expected, "a transaction id is shown to its device only");
        expected["room_id"] = json!(room);
        expected["unsigned"].as_object_mut().unwrap().remove("membership");
        let full = server.client_json_with_room(&said, &ben, None).to_json();
        assert_eq!(serde_json::from_str::<Value>(&full).unwrap(), expected);

        let name = server.state_event(&ben, &room, "m.room.name", "").await.unwrap();
        let name = json_of(server, &name, &ben);
        assert_eq!(name["unsigned"]["prev_content"], json!({ "name": "a \"b\"" }));
        assert_eq!(name["unsigned"]["replaces_state"], json!(first));
        assert_eq!(name["state_key"], "");
    }
}

//! Redactions: who may, what is left, and that it is gone everywhere.

use ruma::{EventId, RoomId, RoomVersionId, event_id};
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_engine::{Engine as _, PageLimit, Position, ScanRange, TableId};
use wardstead_rooms::{Draft, Membership, NewRoom};

use crate::support::{Server, kind, message, raw, server};

async fn redact(
    server: &Server,
    by: &Session,
    room: &RoomId,
    event: &EventId,
    txn: &str,
) -> Result<ruma::OwnedEventId, wardstead_rooms::RoomError> {
    server.redact(by, room, event, Some("slip".to_owned()), txn.into()).await
}

/// The event as `by` is shown it.
async fn shown(server: &Server, by: &Session, room: &RoomId, event: &EventId) -> Value {
    let (event, membership) = server.event(by, room, event).await.unwrap();
    serde_json::from_str(&server.client_json_with_room(&event, by, Some(membership)).to_json()).unwrap()
}

#[tokio::test]
async fn what_is_left_in_each_version() {
    for version in ["6", "10", "11", "12"] {
        let server = server().await;
        let (ada, ben) = (server.user("ada").await, server.user("ben").await);
        let new = NewRoom { version: Some(RoomVersionId::try_from(version).unwrap()), ..NewRoom::default() };
        let room = server.room_of(&[&ada, &ben], new).await;
        let said = server.say(&ben, &room, "secret").await.unwrap();
        let redaction = redact(&server, &ben, &room, &said, "1").await.unwrap();
        // The same request is the same redaction.
        assert_eq!(redact(&server, &ben, &room, &said, "1").await.unwrap(), redaction);

        for by in [&ada, &ben] {
            let json = shown(&server, by, &room, &said).await;
            assert_eq!((&json["content"], &json["type"]), (&json!({}), &json!("m.room.message")), "{version}");
            let because = &json["unsigned"]["redacted_because"];
            assert_eq!(because["event_id"], redaction.as_str(), "{json}");
            assert_eq!((&because["content"]["reason"], &because["sender"]), (&json!("slip"), &json!(ben.user_id)));
            // Clients of every age find the id.
            let json = shown(&server, by, &room, &redaction).await;
            assert_eq!((&json["redacts"], &json["content"]["redacts"]), (&json!(said), &json!(said)), "{version}");
        }
        let stored = server.event(&ada, &room, &redaction).await.unwrap().0;
        let content: Value = serde_json::from_str(stored.content.get()).unwrap();
        assert_eq!(content.get("redacts").is_some(), ["11", "12"].contains(&version), "{version}");
    }
}

/// With `send` as with `redact`, in each version.
#[tokio::test]
async fn by_the_send_endpoint() {
    for version in ["6", "12"] {
        let server = server().await;
        let ada = server.user("ada").await;
        let new = NewRoom { version: Some(RoomVersionId::try_from(version).unwrap()), ..NewRoom::default() };
        let room = server.room_of(&[&ada], new).await;
        let said = server.say(&ada, &room, "secret").await.unwrap();
        let mut draft = message("");
        draft.event_type = "m.room.redaction".to_owned();
        for (content, expected) in [
            (json!({}), "bad json"),
            (json!({ "redacts": 1 }), "bad json"),
            (json!({ "redacts": "no id" }), "bad json"),
            (json!({ "redacts": "$unknown" }), "not found"),
            (json!({ "redacts": said, "reason": "x" }), "ok"),
        ] {
            draft.content = raw(&content);
            assert_eq!(kind(server.send(&ada, &room, draft.clone()).await), expected, "{version} {content}");
        }
        assert_eq!(shown(&server, &ada, &room, &said).await["content"], json!({}));
    }
}

#[tokio::test]
async fn who_may() {
    for version in ["6", "11", "12"] {
        let server = server().await;
        let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
        let new = NewRoom { version: Some(RoomVersionId::try_from(version).unwrap()), ..NewRoom::default() };
        let room = server.room_of(&[&ada, &ben], new).await;
        let other = server.room(&[&ada, &ben]).await;
        let of_ada = server.say(&ada, &room, "of ada").await.unwrap();
        let of_ben = server.say(&ben, &room, "of ben").await.unwrap();
        let elsewhere = server.say(&ben, &other, "elsewhere").await.unwrap();
        let create = server.state_event(&ada, &room, "m.room.create", "").await.unwrap().event_id.clone();
        for (by, event, expected) in [
            (&cy, &of_ben, "forbidden"),
            (&cy, &event_id!("$nothing").to_owned(), "forbidden"),
            (&ben, &of_ada, "forbidden"),
            (&ben, &elsewhere, "not found"),
            (&ben, &event_id!("$nothing").to_owned(), "not found"),
            (&ada, &create, "forbidden"),
            (&ben, &of_ben, "ok"),
            (&ada, &of_ada, "ok"),
        ] {
            assert_eq!(kind(redact(&server, by, &room, event, event.as_str()).await), expected, "{version} {event}");
        }
        // With the power to redact, those of others too; without that to send redactions, not even one's own.
        let of_ben = server.say(&ben, &room, "once more").await.unwrap();
        assert_eq!(kind(redact(&server, &ada, &room, &of_ben, "2").await), "ok", "{version}");
        let of_ben = server.say(&ben, &room, "and again").await.unwrap();
        let mut levels = json!({ "users_default": 0, "redact": 0, "events": { "m.room.redaction": 1 } });
        if version != "12" {
            levels["users"] = json!({ ada.user_id.as_str(): 100 });
        }
        server.set(&ada, &room, "m.room.power_levels", levels.clone()).await.unwrap();
        assert_eq!(kind(redact(&server, &ben, &room, &of_ben, "3").await), "forbidden", "{version}");
        levels["events"] = json!({});
        server.set(&ada, &room, "m.room.power_levels", levels).await.unwrap();
        let of_ada = server.say(&ada, &room, "by anybody").await.unwrap();
        assert_eq!(kind(redact(&server, &ben, &room, &of_ada, "4").await), "ok", "{version}");
        server.become_(&ben, &room, &ben, Membership::Leave).await.unwrap();
        assert_eq!(kind(redact(&server, &ben, &room, &of_ben, "5").await), "forbidden", "{version}");
    }
}

/// State goes on with what is left, and no successor shows what was there.
#[tokio::test]
async fn state() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let first = server.set(&ada, &room, "m.room.topic", json!({ "topic": "Bed 7, HIV" })).await.unwrap();
    let second = server.set(&ada, &room, "m.room.topic", json!({ "topic": "Bed 7" })).await.unwrap();
    assert_eq!(shown(&server, &ada, &room, &second).await["unsigned"]["prev_content"]["topic"], "Bed 7, HIV");
    redact(&server, &ada, &room, &first, "1").await.unwrap();
    let json = shown(&server, &ada, &room, &second).await;
    assert_eq!(json["unsigned"]["prev_content"], json!({}), "{json}");
    assert_eq!(json["content"]["topic"], "Bed 7");
    redact(&server, &ada, &room, &second, "2").await.unwrap();
    let now = server.state_event(&ada, &room, "m.room.topic", "").await.unwrap();
    assert_eq!((now.content.get(), &now.event_id), ("{}", &second));
    // A membership stays one.
    let member = server.state_event(&ada, &room, "m.room.member", ada.user_id.as_str()).await.unwrap();
    redact(&server, &ada, &room, &member.event_id, "3").await.unwrap();
    assert_eq!(kind(server.say(&ada, &room, "still here").await), "ok");
    let third = server.set(&ada, &room, "m.room.topic", json!({ "topic": "new" })).await.unwrap();
    assert_eq!(shown(&server, &ada, &room, &third).await["unsigned"]["prev_content"], json!({}));
}

/// A redaction that is itself redacted: its reason goes wherever it is shown; what it redacted stays so.
#[tokio::test]
async fn of_a_redaction() {
    for version in ["6", "12"] {
        let server = server().await;
        let ada = server.user("ada").await;
        let new = NewRoom { version: Some(RoomVersionId::try_from(version).unwrap()), ..NewRoom::default() };
        let room = server.room_of(&[&ada], new).await;
        let said = server.say(&ada, &room, "secret").await.unwrap();
        let redaction = redact(&server, &ada, &room, &said, "1").await.unwrap();
        assert_eq!(
            shown(&server, &ada, &room, &said).await["unsigned"]["redacted_because"]["content"]["reason"],
            "slip"
        );
        redact(&server, &ada, &room, &redaction, "2").await.unwrap();
        for node in [&server, &server.node(2).await] {
            let json = shown(node, &ada, &room, &said).await;
            assert_eq!(
                (&json["content"], json["unsigned"]["redacted_because"]["content"].get("reason")),
                (&json!({}), None)
            );
            let json = shown(node, &ada, &room, &redaction).await;
            assert_eq!(json["content"].get("reason"), None, "{version} {json}");
        }
        // Twice changes nothing more.
        redact(&server, &ada, &room, &said, "3").await.unwrap();
        assert_eq!(
            shown(&server, &ada, &room, &said).await["unsigned"]["redacted_because"]["event_id"],
            redaction.as_str()
        );
    }
}

/// A node that has the event in memory shows it pruned once its tail has passed the redaction; and so does one that starts later.
#[tokio::test]
async fn on_other_nodes() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let other = server.node(2).await;
    let said = server.say(&ada, &room, "secret").await.unwrap();
    let topic = server.set(&ada, &room, "m.room.topic", json!({ "topic": "secret" })).await.unwrap();
    let next = server.set(&ada, &room, "m.room.topic", json!({ "topic": "open" })).await.unwrap();
    other.store.caught_up().await.unwrap();
    assert_eq!(other.bodies(&ada, &room).await, ["secret"]);
    assert_eq!(shown(&other, &ada, &room, &next).await["unsigned"]["prev_content"]["topic"], "secret");
    redact(&server, &ada, &room, &said, "1").await.unwrap();
    redact(&server, &ada, &room, &topic, "2").await.unwrap();
    other.store.caught_up().await.unwrap();
    for node in [&other, &server, &server.node(3).await] {
        for event in [&said, &topic, &next] {
            let json = shown(node, &ada, &room, event).await.to_string();
            assert!(!json.contains("secret"), "{json}");
        }
    }
}

/// What it said is kept for the record, in a table of its own; the event's own row has it no more.
#[tokio::test]
async fn where_the_content_is() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let said = server.say(&ada, &room, "secret words").await.unwrap();
    redact(&server, &ada, &room, &said, "1").await.unwrap();
    let short = server.access(&ada, &room).await.unwrap().room.short;
    let mut tables = Vec::new();
    for pattern in [
        wardstead_engine::AccessPattern::Point,
        wardstead_engine::AccessPattern::Scan,
        wardstead_engine::AccessPattern::Append,
        wardstead_engine::AccessPattern::Churn,
    ] {
        for number in 0x040..0x080 {
            let range = ScanRange::scope(TableId::new(pattern, number), short);
            let page = server.engine.scan(Position::ZERO, &range, PageLimit::default()).await.unwrap();
            let found = |payload: &[u8]| payload.windows(12).any(|window| window == b"secret words");
            if page.rows.iter().any(|(_, cell)| found(&cell.payload)) {
                tables.push(number);
            }
        }
    }
    assert_eq!(tables, [0x05a]);
}

/// Many at once, of the same event, from two nodes: one prunes it, all are answered.
#[tokio::test]
async fn at_once() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let other = server.node(2).await;
    let said = server.say(&ada, &room, "secret").await.unwrap();
    let acts = (0..16).map(|number| {
        let (server, ada, room, said) = (if number % 2 == 0 { &server } else { &other }, &ada, &room, &said);
        async move {
            let related = json!({ "m.relates_to": { "rel_type": "m.reference", "event_id": said } });
            let draft =
                Draft { event_type: "org.example".to_owned(), state_key: None, content: raw(&related), txn_id: None };
            let txn = number.to_string();
            let (one, two) = tokio::join!(redact(server, ada, room, said, &txn), server.send(ada, room, draft));
            (one.is_ok(), two.is_ok())
        }
    });
    assert!(futures::future::join_all(acts).await.into_iter().all(|both| both == (true, true)));
    for node in [&server, &other, &server.node(3).await] {
        node.store.caught_up().await.unwrap();
        assert_eq!(shown(node, &ada, &room, &said).await["content"], json!({}));
    }
}

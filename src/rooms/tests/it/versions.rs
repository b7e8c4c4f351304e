//! What differs between room versions: forms, sizes, rules, redaction (Matrix specification, Room Versions).

use std::collections::BTreeMap;

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, RoomVersionId,
    canonical_json::redact,
    serde::Base64,
    signatures::{Verified, reference_hash, verify_event},
};
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_rooms::{Draft, Membership, NewRoom, OLD_ROOM_VERSIONS, Preset, ROOM_VERSIONS, rules};

use crate::{
    events::stored,
    support::{Server, kind, message, server, state},
};

fn versions() -> impl Iterator<Item = (u8, RoomVersionId)> {
    let all = OLD_ROOM_VERSIONS.into_iter().chain(ROOM_VERSIONS);
    all.map(|version| (version.as_str().parse().unwrap(), version))
}

fn of(version: &RoomVersionId) -> NewRoom {
    NewRoom { version: Some(version.clone()), preset: Some(Preset::PublicChat), ..NewRoom::default() }
}

async fn events(server: &Server, room: &ruma::RoomId) -> BTreeMap<String, CanonicalJsonObject> {
    let room = server.rooms.room(room).await.unwrap().unwrap();
    stored(server, room.short).await.into_iter().collect()
}

/// Ids that a reference names, with its hash where it has one.
fn references(event: &CanonicalJsonObject, field: &str) -> Vec<(String, Option<String>)> {
    let read = |reference: &CanonicalJsonValue| match reference {
        CanonicalJsonValue::Array(pair) => {
            let hash = pair[1].as_object().unwrap()["sha256"].as_str().unwrap().to_owned();
            (pair[0].as_str().unwrap().to_owned(), Some(hash))
        }
        id => (id.as_str().unwrap().to_owned(), None),
    };
    event[field].as_array().unwrap().iter().map(read).collect()
}

#[tokio::test]
async fn every_version_has_its_form() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let key = server.signing_key();
    let keys = BTreeMap::from([(format!("ed25519:{}", key.version()), Base64::new(key.public_key().to_vec()))]);
    let keys = BTreeMap::from([("example.org".to_owned(), keys)]);
    for (number, version) in versions() {
        let room_id = server.room_of(&[&ada, &ben], of(&version)).await;
        for (seed, who, body) in [(2, &ada, "one"), (3, &ben, "two")] {
            let said = server.say(who, &room_id, body).await.unwrap();
            // A node that has made nothing reads what lies there, and builds on it.
            let node = server.node(seed).await;
            assert_eq!(node.event(&ada, &room_id, &said).await.unwrap().0.event_id, said);
            node.say(who, &room_id, "more").await.unwrap();
        }
        assert_eq!(room_id.server_name().is_some(), number < 12, "{version}");
        let rules = rules(&version).unwrap();
        let events = events(&server, &room_id).await;
        assert_eq!(events.len(), 12, "{version}");
        for (id, event) in &events {
            assert_eq!(verify_event(&keys, event, &rules).unwrap(), Verified::All, "{version}");
            ruma::state_res::check_pdu_format(event, &rules.event_format).unwrap();
            let hash = reference_hash(event, &rules).unwrap();
            let create = event["type"].as_str() == Some("m.room.create");
            if number == 2 {
                assert!(id.ends_with(":example.org") && event["event_id"].as_str() == Some(id.as_str()), "{id}");
            } else {
                assert_eq!(*id, format!("${hash}"), "{version}");
                assert!(!event.contains_key("event_id"), "{version}");
            }
            let (prev, auth) = (references(event, "prev_events"), references(event, "auth_events"));
            assert_eq!((prev.is_empty(), auth.is_empty()), (create, create || auth.is_empty()), "{version}");
            for (named, named_hash) in prev.iter().chain(&auth) {
                let expected = reference_hash(&events[named], &rules).unwrap();
                assert_eq!(*named_hash, (number == 2).then_some(expected), "{version}");
            }
            let names_create = auth.iter().any(|(id, _)| events[id]["type"].as_str() == Some("m.room.create"));
            assert_eq!(names_create, !create && number < 12, "{version}");
            if create {
                assert_eq!(event.contains_key("room_id"), number < 12, "{version}");
                let content = event["content"].as_object().unwrap();
                assert_eq!(content.contains_key("creator"), number < 11, "{version}");
                assert_eq!(content["room_version"].as_str(), Some(version.as_str()));
            }
        }
    }
}

async fn pdu_bytes(server: &Server, room: &ruma::RoomId, event_id: &ruma::EventId) -> usize {
    serde_json::to_string(&events(server, room).await[event_id.as_str()]).unwrap().len()
}

/// 65,536 bytes of an event and 255 of its type and state key are taken, one more is not.
#[tokio::test]
async fn sizes() {
    let server = server().await;
    let ada = server.user("ada").await;
    for (_, version) in versions() {
        let room = server.room_of(&[&ada], of(&version)).await;
        let first = server.say(&ada, &room, &"x".repeat(60_000)).await.unwrap();
        let rest = 65_536 - pdu_bytes(&server, &room, &first).await;
        assert_eq!(kind(server.say(&ada, &room, &"x".repeat(60_000 + rest + 1)).await), "too large", "{version}");
        // Depths of more digits would leave less for the body.
        let largest = server.say(&ada, &room, &"x".repeat(60_000 + rest)).await.unwrap();
        assert_eq!(pdu_bytes(&server, &room, &largest).await, 65_536, "{version}");
        let (longest, longer) = ("t".repeat(255), "t".repeat(256));
        for (event_type, key, expected) in
            [(&longest, &longest, "ok"), (&longer, &longest, "too large"), (&longest, &longer, "too large")]
        {
            let draft = state(event_type, key, json!({}));
            assert_eq!(kind(server.send(&ada, &room, draft).await), expected, "{version}");
        }
        let untyped = Draft { event_type: longer.clone(), ..message("hello") };
        assert_eq!(kind(server.send(&ada, &room, untyped).await), "too large", "{version}");
    }
}

/// What clients send is held to canonical JSON in every version: in the old ones too, so that all servers hash it alike.
#[tokio::test]
async fn contents_are_canonical_in_every_version() {
    let server = server().await;
    let ada = server.user("ada").await;
    for (_, version) in versions() {
        let room = server.room_of(&[&ada], of(&version)).await;
        for (number, expected) in [
            ("9007199254740991", "ok"),
            ("-9007199254740991", "ok"),
            ("9007199254740992", "bad json"),
            ("1.5", "bad json"),
            ("1e3", "bad json"),
        ] {
            let content = serde_json::value::RawValue::from_string(format!("{{\"n\":{number}}}")).unwrap();
            let sent = server.send(&ada, &room, Draft { content, ..message("") }).await;
            assert_eq!(kind(sent), expected, "{number} in {version}");
        }
    }
}

/// A row of [`the_rules_of_each_version`]: what ben does after ada has set something, and the versions that allow it.
struct Case {
    what: &'static str,
    ada: Option<(&'static str, Value)>,
    ben: (&'static str, &'static str, Value),
    allowed: fn(u8) -> bool,
}

/// Changes of the authorisation rules from version to version, as far as one server alone comes upon them.
fn cases() -> Vec<Case> {
    let levels = |content: Value| {
        let mut levels = json!({ "users": { "@ben:example.org": 50 }, "events": { "m.room.power_levels": 0 } });
        levels.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        Some(("m.room.power_levels", levels))
    };
    let mine = |content: Value| {
        let mut changed = levels(json!({})).unwrap().1;
        changed.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        ("m.room.power_levels", "", changed)
    };
    vec![
        Case {
            what: "levels may be integers in strings before 10",
            ada: levels(json!({})),
            ben: mine(json!({ "kick": "50" })),
            allowed: |version| version < 10,
        },
        Case {
            what: "the levels of notifications count since 6",
            ada: levels(json!({ "notifications": { "room": 100 } })),
            ben: mine(json!({ "notifications": { "room": 0 } })),
            allowed: |version| version < 6,
        },
        Case {
            what: "m.room.aliases needs no level before 6, only the right server",
            ada: levels(json!({ "events": { "m.room.aliases": 100 } })),
            ben: ("m.room.aliases", "example.org", json!({ "aliases": [] })),
            allowed: |version| version < 6,
        },
        Case {
            what: "m.room.aliases of another server is not allowed before 6",
            ada: levels(json!({})),
            ben: ("m.room.aliases", "elsewhere.org", json!({ "aliases": [] })),
            allowed: |version| version >= 6,
        },
    ]
}

async fn prepared(server: &Server, version: &RoomVersionId, members: &[&Session], case: &Case) -> ruma::OwnedRoomId {
    let room = server.room_of(members, of(version)).await;
    if let Some((event_type, content)) = &case.ada {
        let mut content = content.clone();
        // Before version 12 the creator has to be listed to have power.
        if *event_type == "m.room.power_levels" && *version != RoomVersionId::V12 {
            content["users"]["@ada:example.org"] = 100.into();
        }
        server.set(members[0], &room, event_type, content).await.unwrap();
    }
    room
}

#[tokio::test]
async fn the_rules_of_each_version() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    for case in cases() {
        for (number, version) in versions() {
            let room = prepared(&server, &version, &[&ada, &ben], &case).await;
            let (event_type, key, mut content) = case.ben.clone();
            if event_type == "m.room.power_levels" && number < 12 {
                content["users"]["@ada:example.org"] = 100.into();
            }
            let done = kind(server.send(&ben, &room, state(event_type, key, content)).await);
            // A content that the version's rules cannot read is malformed to its sender.
            let expected: &[&str] = if (case.allowed)(number) { &["ok"] } else { &["forbidden", "bad json"] };
            assert!(expected.contains(&done), "{done}: {} ({version})", case.what);
        }
    }
}

/// Who may join, by join rule and version; and creators, who stand above all levels since 12.
#[tokio::test]
async fn join_rules_and_creators_of_each_version() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    for (number, version) in versions() {
        let room = server.room_of(&[&ada], of(&version)).await;
        for rule in ["invite", "knock", "restricted", "knock_restricted", "private", "org.example"] {
            server.set(&ada, &room, "m.room.join_rules", json!({ "join_rule": rule, "allow": [] })).await.unwrap();
            let joined = server.become_(&ben, &room, &ben, Membership::Join).await;
            assert_eq!(kind(joined), "forbidden", "{rule} in {version}");
            server.become_(&ada, &room, &ben, Membership::Invite).await.unwrap();
            let joined = server.become_(&ben, &room, &ben, Membership::Join).await;
            let invited_may_join = match rule {
                "invite" => true,
                "knock" => number >= 7,
                "restricted" => number >= 8,
                "knock_restricted" => number >= 10,
                _ => false,
            };
            assert_eq!(kind(joined), if invited_may_join { "ok" } else { "forbidden" }, "{rule} in {version}");
            server.become_(&ben, &room, &ben, Membership::Leave).await.unwrap();
        }
        // The creator takes their own power away, and has it all the same since 12.
        let levels = json!({ "users": {}, "state_default": 50 });
        server.set(&ada, &room, "m.room.power_levels", levels).await.unwrap();
        let named = server.set(&ada, &room, "m.room.name", json!({ "name": "x" })).await;
        assert_eq!(kind(named), if number >= 12 { "ok" } else { "forbidden" }, "{version}");
    }
}

/// Type, field, and the versions that keep it.
type Kept = (&'static str, &'static str, fn(u8) -> bool);

/// What redaction leaves, by type and field, and since or until which version (Room Versions, Redactions).
#[test]
fn redaction_of_each_version() {
    let always = |_| true;
    let cases: &[Kept] = &[
        ("m.room.member", "membership", always),
        ("m.room.member", "displayname", |_| false),
        ("m.room.member", "join_authorised_via_users_server", |version| version >= 9),
        ("m.room.create", "creator", always),
        ("m.room.create", "room_version", |version| version >= 11),
        ("m.room.join_rules", "join_rule", always),
        ("m.room.join_rules", "allow", |version| version >= 8),
        ("m.room.power_levels", "ban", always),
        ("m.room.power_levels", "users_default", always),
        ("m.room.power_levels", "invite", |version| version >= 11),
        ("m.room.power_levels", "notifications", |_| false),
        ("m.room.aliases", "aliases", |version| version < 6),
        ("m.room.history_visibility", "history_visibility", always),
        ("m.room.redaction", "redacts", |version| version >= 11),
        ("m.room.redaction", "reason", |_| false),
        ("m.room.message", "body", |_| false),
        ("m.room.topic", "topic", |_| false),
    ];
    for (number, version) in versions() {
        let rules = rules(&version).unwrap();
        for (event_type, field, kept) in cases {
            let event = json!({
                "type": event_type, "sender": "@a:b.c", "content": { *field: "x" }, "depth": 3, "origin": "b.c",
                "membership": "join", "prev_state": [], "redacts": "$x", "unsigned": {}, "origin_server_ts": 1,
                "hashes": {}, "signatures": {}, "prev_events": [], "auth_events": [], "state_key": "", "room_id": "!a:b.c",
            });
            let redacted = redact(serde_json::from_value(event).unwrap(), &rules.redaction, None).unwrap();
            let content = redacted["content"].as_object().unwrap();
            assert_eq!(content.contains_key(*field), kept(number), "{event_type} {field} in {version}");
            for (field, kept) in
                [("origin", number < 11), ("membership", number < 11), ("prev_state", number < 11), ("redacts", false)]
            {
                assert_eq!(redacted.contains_key(field), kept, "{field} in {version}");
            }
            assert!(["depth", "auth_events", "room_id", "hashes"].iter().all(|field| redacted.contains_key(*field)));
            assert!(!redacted.contains_key("unsigned"));
        }
        let member = json!({
            "type": "m.room.member", "sender": "@a:b.c", "state_key": "@a:b.c",
            "content": { "membership": "invite", "third_party_invite": { "display_name": "x", "signed": { "token": "t" } } },
        });
        let redacted = redact(serde_json::from_value(member).unwrap(), &rules.redaction, None).unwrap();
        let invite = redacted["content"].as_object().unwrap().get("third_party_invite");
        let expected = json!({ "signed": { "token": "t" } });
        let invite = invite.map(|invite| serde_json::to_value(invite).unwrap());
        assert_eq!(invite, (number >= 11).then_some(expected), "{version}");
    }
}

#[tokio::test]
async fn version_1_and_unknown_ones_are_refused() {
    let server = server().await;
    let ada = server.user("ada").await;
    for version in ["1", "13", "0", "org.example.v2"] {
        let new = NewRoom { version: Some(version.try_into().unwrap()), ..NewRoom::default() };
        assert_eq!(kind(server.create(&ada, new).await), "unsupported version", "{version}");
    }
}

//! Making rooms.

use ruma::{RoomVersionId, user_id};
use serde_json::json;
use wardstead_rooms::{InitialState, NewRoom, Preset};

use crate::support::{content, kind, raw, server};

/// All first events, in the specified order, in one batch; the state is what the request says.
#[tokio::test]
async fn a_room_is_one_batch() {
    let server = server().await;
    let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
    server.store.next_id().await.unwrap();
    let new = NewRoom {
        name: Some("Ward 7".to_owned()),
        topic: Some("Night shift".to_owned()),
        invite: vec![ben.user_id.clone(), cy.user_id.clone(), ben.user_id.clone()],
        is_direct: true,
        initial_state: vec![
            InitialState {
                event_type: "m.room.history_visibility".to_owned(),
                state_key: String::new(),
                content: raw(&json!({ "history_visibility": "joined" })),
            },
            InitialState {
                event_type: "org.example.bed".to_owned(),
                state_key: "12".to_owned(),
                content: raw(&json!({ "free": true })),
            },
        ],
        ..NewRoom::default()
    };
    let before = server.batches();
    let room = server.create(&ada, new).await.unwrap();
    assert_eq!(server.batches(), before + 1);

    let events = server.timeline(&ada, &room).await;
    let types: Vec<String> = events.iter().map(|event| event.event_type.to_string()).collect();
    let expected = [
        "m.room.create",
        "m.room.member",
        "m.room.power_levels",
        "m.room.join_rules",
        "m.room.guest_access",
        "m.room.history_visibility",
        "org.example.bed",
        "m.room.name",
        "m.room.topic",
        "m.room.member",
        "m.room.member",
    ];
    assert_eq!(types, expected);
    assert_eq!(content(&events[10]), json!({ "membership": "invite", "is_direct": true }));
    let bed = server.state_event(&ada, &room, "org.example.bed", "12").await.unwrap();
    assert_eq!(content(&bed), json!({ "free": true }));
    assert_eq!(server.state(&ada, &room).await.unwrap().len(), expected.len());
}

/// Each preset's join rule, guest access and powers, in both versions.
#[tokio::test]
async fn presets() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    for version in [RoomVersionId::V11, RoomVersionId::V12] {
        for (preset, public, join_rule, guests, equal) in [
            (None, false, "invite", "can_join", false),
            (None, true, "public", "forbidden", false),
            (Some(Preset::PrivateChat), true, "invite", "can_join", false),
            (Some(Preset::PublicChat), false, "public", "forbidden", false),
            (Some(Preset::TrustedPrivateChat), false, "invite", "can_join", true),
        ] {
            let new = NewRoom { preset, public, version: Some(version.clone()), ..NewRoom::default() };
            let room = server.room_of(&[&ada, &ben], new).await;
            let state = async |event_type| content(&server.state_event(&ada, &room, event_type, "").await.unwrap());
            assert_eq!(state("m.room.join_rules").await["join_rule"], join_rule);
            assert_eq!(state("m.room.guest_access").await["guest_access"], guests);
            assert_eq!(state("m.room.history_visibility").await["history_visibility"], "shared");
            let create = state("m.room.create").await;
            assert_eq!(create["room_version"], version.as_str());
            let expected = if equal && version == RoomVersionId::V12 { json!([ben.user_id]) } else { json!(null) };
            assert_eq!(create["additional_creators"], expected);
            let powers = state("m.room.power_levels").await["users"].clone();
            match (version == RoomVersionId::V12, equal) {
                (true, _) => assert_eq!(powers, json!({})),
                (false, true) => assert_eq!(powers, json!({ "@ada:example.org": 100, "@ben:example.org": 100 })),
                (false, false) => assert_eq!(powers, json!({ "@ada:example.org": 100 })),
            }
            // Who has the creator's power may do what needs it.
            let levels = state("m.room.power_levels").await;
            let mut raised = levels.clone();
            raised["events"]["org.example"] = json!(75);
            let result = server.set(&ben, &room, "m.room.power_levels", raised).await;
            assert_eq!(kind(result), if equal { "ok" } else { "forbidden" }, "{version} {preset:?}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_made_is_refused() {
    let server = server().await;
    let ada = server.user("ada").await;
    let state = |event_type: &str| InitialState {
        event_type: event_type.to_owned(),
        state_key: String::new(),
        content: raw(&json!({})),
    };
    let default = NewRoom::default;
    let v11 = || NewRoom { version: Some(RoomVersionId::V11), ..default() };
    let many: Vec<_> = (0..=wardstead_limits::rooms::CREATE_EVENTS).map(|_| state("org.example")).collect();
    let cases = [
        ("unsupported version", NewRoom { version: Some(RoomVersionId::V1), ..default() }),
        ("unsupported version", NewRoom { version: Some("org.example".try_into().unwrap()), ..default() }),
        ("forbidden", NewRoom { invite: vec![user_id!("@x:elsewhere.org").to_owned()], ..default() }),
        ("not found", NewRoom { invite: vec![user_id!("@nobody:example.org").to_owned()], ..default() }),
        ("invalid param", NewRoom { initial_state: vec![state("m.room.create")], ..default() }),
        ("invalid param", NewRoom { initial_state: vec![state("m.room.member")], ..default() }),
        ("too large", NewRoom { initial_state: many, ..default() }),
        ("too large", NewRoom { name: Some("x".repeat(70_000)), ..default() }),
        ("bad json", NewRoom { creation_content: Some(raw(&json!([]))), ..default() }),
        ("bad json", NewRoom { creation_content: Some(raw(&json!({ "a": 1.5 }))), ..default() }),
        // The creator would have no power to do the rest.
        ("invalid state", NewRoom { power_level_content_override: Some(raw(&json!({ "users": {} }))), ..v11() }),
        // Creators must not be listed since version 12.
        (
            "invalid state",
            NewRoom {
                power_level_content_override: Some(raw(&json!({ "users": { "@ada:example.org": 100 } }))),
                ..default()
            },
        ),
        (
            "invalid state",
            NewRoom { creation_content: Some(raw(&json!({ "additional_creators": ["ben"] }))), ..default() },
        ),
    ];
    for (number, (expected, new)) in cases.into_iter().enumerate() {
        assert_eq!(kind(server.create(&ada, new).await), expected, "case {number}");
    }
    assert!(server.joined_rooms(&ada).await.unwrap().is_empty(), "nothing of a refused room is left");
}

/// Rooms made in the same millisecond, by the same user, in the same words, are different rooms; also on two nodes.
#[tokio::test]
async fn equal_requests_make_different_rooms() {
    let server = server().await;
    let other = server.node(2).await;
    let ada = server.user("ada").await;
    let mut rooms = Vec::new();
    for _ in 0..3 {
        rooms.push(server.create(&ada, NewRoom::default()).await.unwrap());
        rooms.push(other.create(&ada, NewRoom::default()).await.unwrap());
    }
    let mut listed = server.joined_rooms(&ada).await.unwrap();
    listed.sort();
    rooms.sort();
    assert_eq!(listed, rooms);
    rooms.dedup();
    assert_eq!(rooms.len(), 6);
}

/// As many invitations as are allowed fit into the one batch.
#[tokio::test]
async fn the_largest_room_fits_into_a_batch() {
    let server = server().await;
    let ada = server.user("ada").await;
    let mut invite = Vec::new();
    for number in 0..wardstead_limits::rooms::CREATE_EVENTS {
        invite.push(server.user(&format!("u{number}")).await.user_id);
    }
    let new = NewRoom { invite, name: Some("n".repeat(200)), topic: Some("t".repeat(800)), ..NewRoom::default() };
    let before = server.batches();
    let room = server.create(&ada, new).await.unwrap();
    assert!(server.batches() <= before + 2, "at most a block of short ids besides");
    assert_eq!(server.members(&ada, &room).await.unwrap().len(), 201);
}

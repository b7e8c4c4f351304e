//! Every rule with somebody who breaks it.

use ruma::{RoomVersionId, user_id};
use serde_json::json;
use wardstead_rooms::{Draft, Membership, Messages, NewRoom, Preset};

use crate::support::{kind, message, raw, server, state};

#[tokio::test]
async fn who_is_not_in_the_room() {
    let server = server().await;
    let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
    let room = server.create(&ada, NewRoom { invite: vec![ben.user_id.clone()], ..NewRoom::default() }).await.unwrap();
    // A stranger and an invited one, who did not join.
    let dee = server.user("dee").await;
    for who in [&ben, &cy] {
        assert_eq!(kind(server.say(who, &room, "hello").await), "forbidden");
        assert_eq!(kind(server.set(who, &room, "m.room.name", json!({ "name": "x" })).await), "forbidden");
        assert_eq!(kind(server.become_(who, &room, &dee, Membership::Invite).await), "forbidden");
        assert_eq!(kind(server.state(who, &room).await), "forbidden");
        assert_eq!(kind(server.members(who, &room).await), "forbidden");
        assert_eq!(kind(server.state_event(who, &room, "m.room.name", "").await), "forbidden");
        assert_eq!(kind(server.messages(who, &room, &Messages::default()).await), "forbidden");
        let create = &server.timeline(&ada, &room).await[0].event_id.clone();
        assert_eq!(kind(server.event(who, &room, create).await), "forbidden");
    }
    server.become_(&ada, &room, &ben, Membership::Leave).await.unwrap();
    assert_eq!(kind(server.become_(&cy, &room, &cy, Membership::Join).await), "forbidden", "not invited");
    assert_eq!(kind(server.become_(&ben, &room, &ben, Membership::Join).await), "forbidden", "no longer invited");
    let unknown = ruma::room_id!("!unknown:example.org");
    assert_eq!(kind(server.say(&ada, unknown, "hello").await), "forbidden");
    assert_eq!(kind(server.state(&ada, unknown).await), "forbidden");
    assert_eq!(kind(server.become_(&ada, unknown, &ada, Membership::Join).await), "not found");
}

#[tokio::test]
async fn power() {
    let server = server().await;
    let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
    let dee = server.user("dee").await;
    for version in [RoomVersionId::V11, RoomVersionId::V12] {
        let new = NewRoom { version: Some(version), preset: Some(Preset::PublicChat), ..NewRoom::default() };
        let room = server.room_of(&[&ada, &ben, &cy], new).await;
        assert_eq!(kind(server.say(&ben, &room, "hello").await), "ok");
        assert_eq!(kind(server.set(&ben, &room, "m.room.name", json!({ "name": "x" })).await), "forbidden");
        assert_eq!(kind(server.become_(&ben, &room, &cy, Membership::Leave).await), "forbidden", "remove");
        assert_eq!(kind(server.become_(&ben, &room, &cy, Membership::Ban).await), "forbidden", "ban");
        assert_eq!(kind(server.become_(&ben, &room, &ada, Membership::Leave).await), "forbidden", "remove the creator");
        assert_eq!(kind(server.become_(&ben, &room, &dee, Membership::Invite).await), "forbidden", "invite");
        // State that belongs to another user.
        let theirs = state("org.example", "@cy:example.org", json!({}));
        assert_eq!(kind(server.send(&ada, &room, theirs).await), "forbidden");
        // What the powerful may do.
        assert_eq!(kind(server.become_(&ada, &room, &cy, Membership::Ban).await), "ok");
        assert_eq!(kind(server.become_(&cy, &room, &cy, Membership::Join).await), "forbidden", "banned");
        assert_eq!(kind(server.say(&cy, &room, "hello").await), "forbidden", "banned");
        assert_eq!(kind(server.become_(&ada, &room, &cy, Membership::Invite).await), "forbidden", "banned");
        assert_eq!(kind(server.become_(&ada, &room, &cy, Membership::Leave).await), "ok", "unban");
        assert_eq!(kind(server.become_(&cy, &room, &cy, Membership::Join).await), "ok");
        // A second create event.
        let create = state("m.room.create", "", json!({ "room_version": "11", "again": true }));
        assert_eq!(kind(server.send(&ada, &room, create).await), "invalid param");
    }
}

/// Nobody gives away more power than they have, in version 12 not even the creators their own.
#[tokio::test]
async fn powers_are_not_raised_beyond_ones_own() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room(&[&ada, &ben]).await;
    let levels = |ada: Option<i64>, ben: i64| {
        let mut users = json!({ "@ben:example.org": ben });
        if let Some(level) = ada {
            users["@ada:example.org"] = level.into();
        }
        json!({ "users": users, "events": { "m.room.power_levels": 50 } })
    };
    assert_eq!(kind(server.set(&ada, &room, "m.room.power_levels", levels(Some(100), 50)).await), "invalid param");
    assert_eq!(kind(server.set(&ada, &room, "m.room.power_levels", levels(None, 50)).await), "ok");
    assert_eq!(kind(server.set(&ben, &room, "m.room.power_levels", levels(None, 51)).await), "forbidden");
    assert_eq!(kind(server.set(&ben, &room, "m.room.power_levels", levels(None, 40)).await), "ok");
    assert_eq!(kind(server.set(&ben, &room, "m.room.power_levels", levels(None, 30)).await), "forbidden");
    let text = json!({ "users": { "@ben:example.org": "100" } });
    assert_eq!(kind(server.set(&ada, &room, "m.room.power_levels", text).await), "bad json", "levels are integers");
}

#[tokio::test]
async fn content_that_cannot_stand_in_an_event() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let of = |json: &str| Draft {
        content: serde_json::value::RawValue::from_string(json.to_owned()).unwrap(),
        ..message("")
    };
    for (expected, json) in [
        ("ok", r#"{"n":9007199254740991}"#),
        ("ok", r#"{"n":-9007199254740991}"#),
        ("ok", r#"{"n":null,"m":{"ü":["\u0000",true]}}"#),
        ("bad json", r#"{"n":9007199254740992}"#),
        ("bad json", r#"{"n":-9007199254740992}"#),
        ("bad json", r#"{"n":1.5}"#),
        ("bad json", r#"{"m":{"n":[1e3]}}"#),
        ("bad json", "[]"),
        ("bad json", r#""text""#),
        ("bad json", "null"),
    ] {
        assert_eq!(kind(server.send(&ada, &room, of(json)).await), expected, "{json}");
    }
}

/// The bounds on events and identifiers hold to the byte.
#[tokio::test]
async fn sizes() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let with_type = |bytes: usize| Draft { event_type: "t".repeat(bytes), ..message("") };
    assert_eq!(kind(server.send(&ada, &room, with_type(255)).await), "ok");
    assert_eq!(kind(server.send(&ada, &room, with_type(256)).await), "too large");
    let with_key = |bytes: usize| state("org.example", &"k".repeat(bytes), json!({}));
    assert_eq!(kind(server.send(&ada, &room, with_key(255)).await), "ok");
    assert_eq!(kind(server.send(&ada, &room, with_key(256)).await), "too large");
    let with_txn = |bytes: usize| Draft { txn_id: Some("x".repeat(bytes).into()), ..message("") };
    assert_eq!(kind(server.send(&ada, &room, with_txn(255)).await), "ok");
    assert_eq!(kind(server.send(&ada, &room, with_txn(256)).await), "invalid param");
    // The largest body: what is around it has always the same length here.
    let (mut least, mut most) = (60_000, 66_000);
    while least + 1 < most {
        let middle = usize::midpoint(least, most);
        match kind(server.say(&ada, &room, &"x".repeat(middle)).await) {
            "ok" => least = middle,
            "too large" => most = middle,
            other => panic!("{other}"),
        }
    }
    assert!((64_500..65_536).contains(&least), "{least}");
}

#[tokio::test]
async fn what_this_server_cannot_do_yet_it_says() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let member = |user: &str, content| state("m.room.member", user, content);
    let elsewhere = user_id!("@x:elsewhere.org");
    let invite = server.set_membership(&ada, &room, elsewhere, Membership::Invite, None).await;
    assert_eq!(kind(invite), "forbidden");
    for (expected, draft) in [
        ("forbidden", member("@x:elsewhere.org", json!({ "membership": "invite" }))),
        ("not found", member("@nobody:example.org", json!({ "membership": "invite" }))),
        ("invalid param", member("ada", json!({ "membership": "join" }))),
        ("bad json", member("@ada:example.org", json!({}))),
        ("bad json", member("@ada:example.org", json!({ "membership": "guest" }))),
        ("forbidden", member("@ada:example.org", json!({ "membership": "knock" }))),
        ("bad json", member("@ada:example.org", json!({ "membership": "invite", "third_party_invite": {} }))),
        ("bad alias", state("m.room.canonical_alias", "", json!({ "alias": "#a:example.org" }))),
        ("ok", state("m.room.canonical_alias", "", json!({}))),
        ("bad json", Draft { event_type: "m.room.redaction".to_owned(), ..message("") }),
        (
            "bad json",
            Draft {
                content: raw(&json!({ "membership": "join" })),
                event_type: "m.room.member".to_owned(),
                ..message("")
            },
        ),
    ] {
        let what = format!("{} {:?} {}", draft.event_type, draft.state_key, draft.content);
        assert_eq!(kind(server.send(&ada, &room, draft).await), expected, "{what}");
    }
}

/// Setting state to what it is appends nothing; by another sender it is another event.
#[tokio::test]
async fn the_same_state_again_is_the_same_event() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let new = NewRoom { preset: Some(Preset::TrustedPrivateChat), ..NewRoom::default() };
    let room = server.room_of(&[&ada, &ben], new).await;
    let name = || json!({ "name": "Ward 7" });
    let first = server.set(&ada, &room, "m.room.name", name()).await.unwrap();
    let before = server.batches();
    assert_eq!(server.set(&ada, &room, "m.room.name", name()).await.unwrap(), first);
    let joined = server.become_(&ada, &room, &ada, Membership::Join).await.unwrap();
    assert_eq!(server.become_(&ada, &room, &ada, Membership::Join).await.unwrap(), joined);
    assert_eq!(server.batches(), before, "nothing was written");
    assert_ne!(server.set(&ben, &room, "m.room.name", name()).await.unwrap(), first);
}

#[tokio::test]
async fn one_batch_each() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.create(&ada, NewRoom::default()).await.unwrap();
    let mut before = server.batches();
    let mut one = |what: &str| {
        let now = server.batches();
        assert_eq!(now, before + 1, "{what}");
        before = now;
    };
    server.say(&ada, &room, "hello").await.unwrap();
    one("send");
    server.say_once(&ada, &room, "hello", "t").await.unwrap();
    one("send with a transaction id");
    server.become_(&ada, &room, &ben, Membership::Invite).await.unwrap();
    one("invite");
    server.become_(&ben, &room, &ben, Membership::Join).await.unwrap();
    one("join");
    server.set(&ada, &room, "org.example", json!({})).await.unwrap();
    one("state with a new key");
    server.become_(&ben, &room, &ben, Membership::Leave).await.unwrap();
    one("leave");
}

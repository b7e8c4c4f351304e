//! Aliases: whose they are, where they lead, and who gets one that two want.

use futures::future::join_all;
use ruma::{OwnedRoomAliasId, RoomAliasId, RoomId};
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_engine_memory::CommitFault;
use wardstead_rooms::{InitialState, Membership, NewRoom, Preset};

use super::support::{Server, content, kind, raw, server};

fn alias(name: &str) -> OwnedRoomAliasId {
    RoomAliasId::parse(format!("#{name}:example.org")).unwrap()
}

fn public() -> NewRoom {
    NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::default() }
}

fn named(name: &str) -> NewRoom {
    NewRoom { room_alias_name: Some(name.to_owned()), ..NewRoom::default() }
}

async fn canonical(server: &Server, by: &Session, room: &RoomId) -> Option<Value> {
    server.state_event(by, room, "m.room.canonical_alias", "").await.ok().map(|event| content(&event))
}

#[tokio::test]
async fn an_alias_leads_to_a_room_until_it_is_removed() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let (ward, other) = (alias("ward"), alias("Ward"));
    assert_eq!(server.resolve_alias(&ward).await.unwrap(), None);
    server.add_alias(&ada, &ward, &room).await.unwrap();
    assert_eq!(server.resolve_alias(&ward).await.unwrap().as_ref(), Some(&room));
    assert_eq!(server.resolve_alias(&other).await.unwrap(), None, "case matters");
    assert_eq!(kind(server.add_alias(&ada, &ward, &room).await), "alias taken");
    assert_eq!(server.aliases(&ada, &room).await.unwrap(), std::slice::from_ref(&ward));
    server.remove_alias(&ada, &ward).await.unwrap();
    assert_eq!(server.resolve_alias(&ward).await.unwrap(), None);
    assert!(server.aliases(&ada, &room).await.unwrap().is_empty());
    assert_eq!(kind(server.remove_alias(&ada, &ward).await), "not found");
    server.add_alias(&ada, &ward, &room).await.unwrap();
    assert_eq!(server.resolve_alias(&ward).await.unwrap().as_ref(), Some(&room));
}

#[tokio::test]
async fn aliases_that_are_not_given() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room_of(&[&ada], public()).await;
    let foreign = RoomAliasId::parse("#ward:elsewhere.org").unwrap();
    assert_eq!(kind(server.add_alias(&ada, &foreign, &room).await), "invalid param");
    assert_eq!(server.resolve_alias(&foreign).await.unwrap(), None);
    assert_eq!(kind(server.remove_alias(&ada, &foreign).await), "not found");
    assert_eq!(kind(server.add_alias(&ada, &alias(""), &room).await), "invalid param");
    assert_eq!(kind(server.add_alias(&ben, &alias("ward"), &room).await), "forbidden", "who is not in the room");
    assert_eq!(kind(server.aliases(&ben, &room).await), "forbidden");
    let nowhere = RoomId::parse("!nowhere:example.org").unwrap();
    assert_eq!(kind(server.add_alias(&ada, &alias("ward"), &nowhere).await), "forbidden");
    server.become_(&ben, &room, &ben, Membership::Join).await.unwrap();
    server.become_(&ben, &room, &ben, Membership::Leave).await.unwrap();
    assert_eq!(kind(server.add_alias(&ben, &alias("ward"), &room).await), "forbidden", "who left");
    assert_eq!(kind(server.aliases(&ben, &room).await), "forbidden");
}

/// Who set it, who has the power for canonical aliases, who administers the server; nobody else.
#[tokio::test]
async fn who_removes_an_alias() {
    let server = server().await;
    let (ada, ben, cleo) = (server.user("ada").await, server.user("ben").await, server.user("cleo").await);
    let room = server.room(&[&ada, &ben, &cleo]).await;
    let outsider = server.user("outsider").await;
    let names = ["a", "b", "c", "d"].map(alias);
    for name in &names {
        server.add_alias(&ben, name, &room).await.unwrap();
    }
    assert_eq!(kind(server.remove_alias(&cleo, &names[0]).await), "forbidden");
    assert_eq!(kind(server.remove_alias(&outsider, &names[0]).await), "forbidden");
    server.remove_alias(&ben, &names[0]).await.unwrap();
    server.remove_alias(&ada, &names[1]).await.unwrap();
    let operator = Session { admin: true, ..outsider };
    server.remove_alias(&operator, &names[2]).await.unwrap();
    server.become_(&ben, &room, &ben, Membership::Leave).await.unwrap();
    server.remove_alias(&ben, &names[3]).await.unwrap();
    assert!(server.aliases(&ada, &room).await.unwrap().is_empty());
}

/// The creator of a version 12 room has no entry in the power levels, and all power.
#[tokio::test]
async fn the_power_to_remove_in_each_version() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    for version in ["6", "10", "11", "12"] {
        let version = Some(version.try_into().unwrap());
        let room = server.room_of(&[&ada, &ben], NewRoom { version, ..NewRoom::default() }).await;
        server.add_alias(&ben, &alias("his"), &room).await.unwrap();
        server.add_alias(&ada, &alias("hers"), &room).await.unwrap();
        assert_eq!(kind(server.remove_alias(&ben, &alias("hers")).await), "forbidden");
        server.remove_alias(&ada, &alias("his")).await.unwrap();
        server.remove_alias(&ada, &alias("hers")).await.unwrap();
    }
}

#[tokio::test]
async fn a_removed_alias_is_canonical_no_more() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room(&[&ada, &ben]).await;
    let (one, two) = (alias("one"), alias("two"));
    server.add_alias(&ada, &one, &room).await.unwrap();
    server.add_alias(&ben, &two, &room).await.unwrap();
    let both = json!({ "alias": one, "alt_aliases": [two] });
    server.set(&ada, &room, "m.room.canonical_alias", both.clone()).await.unwrap();
    // He may not change the event; the alias is his all the same.
    server.remove_alias(&ben, &two).await.unwrap();
    assert_eq!(canonical(&server, &ada, &room).await, Some(both));
    server.remove_alias(&ada, &one).await.unwrap();
    assert_eq!(canonical(&server, &ada, &room).await, Some(json!({ "alt_aliases": [two] })));
}

#[tokio::test]
async fn canonical_aliases_lead_to_the_room() {
    let server = server().await;
    let ada = server.user("ada").await;
    let (room, other) = (server.room(&[&ada]).await, server.room(&[&ada]).await);
    let (here, there) = (alias("here"), alias("there"));
    server.add_alias(&ada, &here, &room).await.unwrap();
    server.add_alias(&ada, &there, &other).await.unwrap();
    let cases = [
        (json!({ "alias": here }), "ok"),
        (json!({ "alias": here, "alt_aliases": [here] }), "ok"),
        (json!({ "alias": there }), "bad alias"),
        (json!({ "alias": here, "alt_aliases": [there] }), "bad alias"),
        (json!({ "alias": alias("nowhere") }), "bad alias"),
        (json!({ "alias": "#here:elsewhere.org" }), "bad alias"),
        (json!({ "alias": "here" }), "invalid param"),
        (json!({ "alias": here, "alt_aliases": ["%here:example.org"] }), "invalid param"),
        (json!({ "alias": 7 }), "invalid param"),
        (json!({ "alt_aliases": {} }), "invalid param"),
        (json!({ "alias": "" }), "ok"),
        (json!({ "alias": null }), "ok"),
        (json!({}), "ok"),
    ];
    for (content, expected) in cases {
        let set = server.set(&ada, &room, "m.room.canonical_alias", content.clone()).await;
        assert_eq!(kind(set), expected, "{content}");
    }
}

/// Aliases that the event before listed are not looked at again: it may be that they were removed since.
#[tokio::test]
async fn only_new_canonical_aliases_are_looked_at() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room(&[&ada, &ben]).await;
    let (old, new) = (alias("old"), alias("new"));
    server.add_alias(&ben, &old, &room).await.unwrap();
    server.set(&ada, &room, "m.room.canonical_alias", json!({ "alias": old })).await.unwrap();
    server.remove_alias(&ben, &old).await.unwrap();
    server.add_alias(&ada, &new, &room).await.unwrap();
    let content = json!({ "alias": old, "alt_aliases": [new] });
    server.set(&ada, &room, "m.room.canonical_alias", content).await.unwrap();
    server.set(&ada, &room, "m.room.canonical_alias", json!({})).await.unwrap();
    let again = server.set(&ada, &room, "m.room.canonical_alias", json!({ "alias": old })).await;
    assert_eq!(kind(again), "bad alias");
}

/// An outsider learns nothing of where an alias leads from what is said of its event.
#[tokio::test]
async fn outsiders_are_told_the_same_of_any_alias() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room(&[&ada]).await;
    server.add_alias(&ada, &alias("here"), &room).await.unwrap();
    for name in ["here", "nowhere"] {
        let set = server.set(&ben, &room, "m.room.canonical_alias", json!({ "alias": alias(name) })).await;
        assert_eq!(kind(set), "forbidden", "{name}");
    }
}

#[tokio::test]
async fn a_room_is_made_with_its_alias() {
    let server = server().await;
    let ada = server.user("ada").await;
    for version in ["11", "12"] {
        let ward = alias(&format!("ward{version}"));
        let before = server.batches();
        let new = NewRoom { version: Some(version.try_into().unwrap()), ..named(ward.alias()) };
        let room = server.create(&ada, new).await.unwrap();
        assert_eq!(server.batches(), before + 1, "room and alias are one commit");
        assert_eq!(server.resolve_alias(&ward).await.unwrap().as_ref(), Some(&room));
        assert_eq!(server.aliases(&ada, &room).await.unwrap(), std::slice::from_ref(&ward));
        assert_eq!(canonical(&server, &ada, &room).await, Some(json!({ "alias": ward })));
        assert_eq!(kind(server.create(&ada, named(ward.alias())).await), "room in use");
    }
    assert_eq!(server.joined_rooms(&ada).await.unwrap().len(), 2);
    let longest = "a".repeat(255 - "#:example.org".len());
    server.create(&ada, named(&longest)).await.unwrap();
    for name in ["", "a:b", "nul\0", &format!("{longest}a")] {
        assert_eq!(kind(server.create(&ada, named(name)).await), "invalid param", "{name}");
    }
}

#[tokio::test]
async fn initial_state_lists_no_other_alias() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    server.add_alias(&ada, &alias("other"), &room).await.unwrap();
    let with = |own: Option<&str>, content: Value| NewRoom {
        room_alias_name: own.map(str::to_owned),
        initial_state: vec![InitialState {
            event_type: "m.room.canonical_alias".to_owned(),
            state_key: String::new(),
            content: raw(&content),
        }],
        ..NewRoom::default()
    };
    let stated = json!({ "alias": alias("mine"), "alt_aliases": [alias("mine")] });
    assert_eq!(kind(server.create(&ada, with(None, stated.clone())).await), "bad alias");
    assert_eq!(kind(server.create(&ada, with(None, json!({ "alias": alias("other") }))).await), "bad alias");
    assert_eq!(kind(server.create(&ada, with(None, json!({ "alias": "x" }))).await), "invalid param");
    let room = server.create(&ada, with(Some("mine"), stated.clone())).await.unwrap();
    assert_eq!(canonical(&server, &ada, &room).await, Some(stated));
}

/// Two nodes give one alias to two rooms, and make two rooms with one alias, at the same moment.
#[tokio::test]
async fn one_of_many_gets_an_alias() {
    let server = server().await;
    let node = server.node(2).await;
    let ada = server.user("ada").await;
    let mut rooms = Vec::new();
    for _ in 0..6 {
        rooms.push(server.room(&[&ada]).await);
    }
    for round in 0..4 {
        let ward = alias(&format!("ward{round}"));
        let on = |number: usize| if number.is_multiple_of(2) { &server } else { &node };
        let asked = rooms.iter().enumerate();
        let given = join_all(asked.map(async |(number, room)| on(number).add_alias(&ada, &ward, room).await)).await;
        let given: Vec<&str> = given.into_iter().map(kind).collect();
        assert_eq!(given.iter().filter(|kind| **kind == "ok").count(), 1, "{given:?}");
        assert_eq!(given.iter().filter(|kind| **kind == "alias taken").count(), 5, "{given:?}");
        let winner = &rooms[given.iter().position(|kind| *kind == "ok").unwrap()];
        for node in [&server, &node] {
            assert_eq!(node.resolve_alias(&ward).await.unwrap().as_ref(), Some(winner));
        }
        for room in &rooms {
            let listed = server.aliases(&ada, room).await.unwrap();
            assert_eq!(listed.contains(&ward), room == winner);
        }
    }
    let made = join_all((0..6).map(async |number: usize| {
        let on = if number.is_multiple_of(2) { &server } else { &node };
        on.create(&ada, named("new")).await
    }))
    .await;
    let made: Vec<&str> = made.into_iter().map(kind).collect();
    assert_eq!(made.iter().filter(|kind| **kind == "ok").count(), 1, "{made:?}");
    assert_eq!(made.iter().filter(|kind| **kind == "room in use").count(), 5, "{made:?}");
    assert_eq!(node.joined_rooms(&ada).await.unwrap().len(), 7, "who lost made no room");
}

/// Removed on one node and given away on another: nobody removes what somebody else has set meanwhile.
#[tokio::test]
async fn removing_what_was_set_again() {
    let server = server().await;
    let node = server.node(2).await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let ward = alias("ward");
    for _ in 0..4 {
        server.add_alias(&ada, &ward, &room).await.unwrap();
        let (one, two) = tokio::join!(server.remove_alias(&ada, &ward), node.remove_alias(&ada, &ward));
        let mut both = [kind(one), kind(two)];
        both.sort_unstable();
        assert_eq!(both, ["not found", "ok"]);
    }
}

#[tokio::test]
async fn aliases_move_to_another_room() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let (old, new) = (server.room(&[&ada, &ben]).await, server.room(&[&ada]).await);
    for name in ["a", "b"] {
        server.add_alias(&ben, &alias(name), &old).await.unwrap();
    }
    let before = server.batches();
    server.move_aliases(&old, &new).await.unwrap();
    assert_eq!(server.batches(), before + 1);
    assert!(server.aliases(&ada, &old).await.unwrap().is_empty());
    assert_eq!(server.aliases(&ada, &new).await.unwrap(), ["a", "b"].map(alias));
    assert_eq!(server.resolve_alias(&alias("a")).await.unwrap(), Some(new));
    server.remove_alias(&ben, &alias("a")).await.unwrap();
}

/// A commit that failed is no alias, and says so.
#[tokio::test]
async fn a_failing_store_gives_no_alias() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let faults = server.engine.faults();
    faults.fail_commit(1, CommitFault::Unavailable);
    assert_eq!(kind(server.add_alias(&ada, &alias("ward"), &room).await), "store");
    assert_eq!(server.resolve_alias(&alias("ward")).await.unwrap(), None);
    faults.fail_commit(1, CommitFault::Unavailable);
    assert_eq!(kind(server.create(&ada, named("ward")).await), "store");
    server.create(&ada, named("ward")).await.unwrap();
}

//! The list of published rooms: what it shows, in which order and pages, and that it is never old.

use std::collections::BTreeSet;

use futures::future::join_all;
use ruma::OwnedRoomId;
use serde_json::json;
use wardstead_accounts::Session;
use wardstead_directory::{DirectoryError, PublicRoomsQuery};
use wardstead_rooms::{Membership, NewRoom};

use crate::support::{Server, kind, listed, names, open, server, space, with};

fn asked_for(term: &str) -> PublicRoomsQuery {
    PublicRoomsQuery { term: Some(term.to_owned()), ..PublicRoomsQuery::default() }
}

#[tokio::test]
async fn an_entry_has_all_that_is_known() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let new = NewRoom {
        topic: Some("Handover".to_owned()),
        room_alias_name: Some("ward".to_owned()),
        ..space(listed("Ward 7"))
    };
    let new = with(new, "m.room.avatar", &json!({ "url": "mxc://example.org/a" }));
    let new = with(new, "m.room.history_visibility", &json!({ "history_visibility": "world_readable" }));
    let new = with(new, "m.room.guest_access", &json!({ "guest_access": "can_join" }));
    let room = server.room(&ada, new).await;
    server.join(&ben, &room).await;
    let page = serde_json::to_value(server.all().await).unwrap();
    assert_eq!(
        page,
        json!({
            "chunk": [{
                "room_id": room,
                "num_joined_members": 2,
                "name": "Ward 7",
                "topic": "Handover",
                "avatar_url": "mxc://example.org/a",
                "canonical_alias": "#ward:example.org",
                "join_rule": "public",
                "room_type": "m.space",
                "world_readable": true,
                "guest_can_join": true,
            }],
            "total_room_count_estimate": 1,
        })
    );
}

/// What is not known is left out; what cannot be is not shown.
#[tokio::test]
async fn an_entry_of_a_room_without_anything() {
    let server = server().await;
    let ada = server.user("ada").await;
    let new = NewRoom { public: true, preset: Some(wardstead_rooms::Preset::PrivateChat), ..NewRoom::default() };
    let new = with(new, "m.room.avatar", &json!({ "url": "https://example.org/a" }));
    let new = with(new, "m.room.topic", &json!({ "topic": 7 }));
    let new = with(new, "m.room.name", &json!({ "name": "" }));
    let new = with(new, "m.room.guest_access", &json!({ "guest_access": "forbidden" }));
    let room = server.room(&ada, new).await;
    let page = serde_json::to_value(server.all().await).unwrap();
    let expected = json!([{
        "room_id": room,
        "num_joined_members": 1,
        "join_rule": "invite",
        "world_readable": false,
        "guest_can_join": false,
    }]);
    assert_eq!(page["chunk"], expected);
}

/// After each change, on the node that made it and on another one that has listed the room before.
#[tokio::test]
async fn the_list_is_right_at_once_on_every_node() {
    let server = server().await;
    let node = server.node(2).await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room(&ada, listed("a")).await;
    let seen = async |expected: &[&str]| {
        for node in [&server, &node] {
            assert_eq!(node.names().await, expected);
        }
    };
    seen(&["a"]).await;
    for round in 0..5 {
        let name = format!("b{round}");
        server.set(&ada, &room, "m.room.name", "", json!({ "name": name })).await;
        seen(&[&name]).await;
        assert_eq!(node.public_rooms(&asked_for(&name)).await.unwrap().chunk.len(), 1);
        let before = node.public_rooms(&asked_for("a")).await.unwrap();
        assert!(before.chunk.is_empty(), "{before:?}");
        node.set_published(&ada, &room, false).await.unwrap();
        seen(&[]).await;
        server.set_published(&ada, &room, true).await.unwrap();
        seen(&[&name]).await;
        server.set(&ada, &room, "m.room.name", "", json!({ "name": "a" })).await;
    }
    node.join(&ben, &room).await;
    for node in [&server, &node] {
        assert_eq!(node.all().await.chunk[0].num_joined_members, 2);
    }
    server.become_(&ada, &room, &ben, Membership::Ban).await;
    for node in [&server, &node] {
        assert_eq!(node.all().await.chunk[0].num_joined_members, 1);
    }
}

/// Against a naive list, through a mixture of changes on two nodes.
#[tokio::test]
async fn the_order_follows_the_members() {
    let server = server().await;
    let node = server.node(2).await;
    let ada = server.user("ada").await;
    let mut users: Vec<Session> = Vec::new();
    for number in 0..5 {
        users.push(server.user(&format!("u{number}")).await);
    }
    let mut rooms: Vec<OwnedRoomId> = Vec::new();
    for number in 0..6 {
        rooms.push(server.room(&ada, listed(&format!("r{number}"))).await);
    }
    let mut members: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); rooms.len()];
    let mut published = vec![true; rooms.len()];
    let mut random: u64 = 7;
    for step in 0..120 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = usize::try_from(random >> 33).unwrap();
        let (room, user) = (pick % rooms.len(), pick / 64 % users.len());
        let on = if pick & 1 == 0 { &server } else { &node };
        if pick / 1024 % 4 == 0 {
            published[room] = !published[room];
            on.set_published(&ada, &rooms[room], published[room]).await.unwrap();
        } else if members[room].remove(&user) {
            on.become_(&users[user], &rooms[room], &users[user], Membership::Leave).await;
        } else {
            members[room].insert(user);
            on.join(&users[user], &rooms[room]).await;
        }
        let mut expected: Vec<usize> = (0..rooms.len()).filter(|room| published[*room]).collect();
        expected.sort_by_key(|room| std::cmp::Reverse(members[*room].len()));
        let expected: Vec<String> = expected.into_iter().map(|room| format!("r{room}")).collect();
        let asked = if pick & 2 == 0 { &server } else { &node };
        assert_eq!(asked.names().await, expected, "step {step}");
    }
}

#[tokio::test]
async fn searching() {
    let server = server().await;
    let ada = server.user("ada").await;
    let topic = |topic: &str, new: NewRoom| NewRoom { topic: Some(topic.to_owned()), ..new };
    server.room(&ada, topic("Test Topic Wombles", listed("One"))).await;
    server.room(&ada, NewRoom { room_alias_name: Some("wombles".to_owned()), ..listed("Two") }).await;
    server.room(&ada, listed("ÄRZTE der Nacht")).await;
    server.room(&ada, space(listed("Space of wombles"))).await;
    server.room(&ada, open("Wombles that are not listed")).await;
    let typed = NewRoom {
        creation_content: Some(crate::support::raw(&json!({ "type": "org.example.ward" }))),
        ..listed("Typed")
    };
    server.room(&ada, typed).await;
    for (term, expected) in [
        ("wombles", &["One", "Two", "Space of wombles"][..]),
        ("WOMBLES", &["One", "Two", "Space of wombles"]),
        ("topic wom", &["One"]),
        ("ärzte", &["ÄRZTE der Nacht"]),
        ("#wombles:example.org", &["Two"]),
        ("nowhere", &[]),
        ("One Test", &[]),
        (" ", &["One", "ÄRZTE der Nacht", "Space of wombles"]),
        ("", &["One", "Two", "ÄRZTE der Nacht", "Space of wombles", "Typed"]),
    ] {
        let found = server.public_rooms(&asked_for(term)).await.unwrap();
        assert_eq!(names(&found), expected, "{term}");
        assert_eq!(found.total_room_count_estimate, expected.len());
    }
    let of = |types: &[Option<&str>]| PublicRoomsQuery {
        room_types: types.iter().map(|kind| kind.map(str::to_owned)).collect(),
        ..PublicRoomsQuery::default()
    };
    for (types, expected) in [
        (&[Some("m.space")][..], &["Space of wombles"][..]),
        (&[None], &["One", "Two", "ÄRZTE der Nacht"]),
        (&[None, Some("org.example.ward")], &["One", "Two", "ÄRZTE der Nacht", "Typed"]),
        (&[Some("nothing")], &[]),
    ] {
        assert_eq!(names(&server.public_rooms(&of(types)).await.unwrap()), expected, "{types:?}");
    }
    let (_, bytes, most) = server.caches()[0];
    assert!(bytes > 0 && bytes < most);
    let both = PublicRoomsQuery { term: Some("wombles".to_owned()), ..of(&[None]) };
    assert_eq!(names(&server.public_rooms(&both).await.unwrap()), ["One", "Two"]);
}

async fn seven(server: &Server, ada: &Session) {
    for number in 0..7 {
        server.room(ada, listed(&format!("r{number}"))).await;
    }
}

#[tokio::test]
async fn pages_in_both_directions() {
    let server = server().await;
    let node = server.node(2).await;
    let ada = server.user("ada").await;
    seven(&server, &ada).await;
    let page = async |node: &Server, limit: usize, since: Option<&String>| {
        let query = PublicRoomsQuery { limit: Some(limit), since: since.cloned(), ..PublicRoomsQuery::default() };
        node.public_rooms(&query).await.unwrap()
    };
    let first = page(&server, 3, None).await;
    assert_eq!((names(&first), first.prev_batch.as_ref()), (["r0", "r1", "r2"].map(str::to_owned).to_vec(), None));
    let second = page(&node, 3, first.next_batch.as_ref()).await;
    assert_eq!(names(&second), ["r3", "r4", "r5"]);
    let third = page(&server, 3, second.next_batch.as_ref()).await;
    assert_eq!((names(&third), third.next_batch.as_ref()), (["r6"].map(str::to_owned).to_vec(), None));
    assert_eq!(third.total_room_count_estimate, 7);
    let back = page(&node, 3, third.prev_batch.as_ref()).await;
    assert_eq!(back, second);
    let back = page(&server, 2, back.prev_batch.as_ref()).await;
    assert_eq!(names(&back), ["r1", "r2"], "the page before ends where this one began");
    assert_eq!(names(&page(&server, 3, back.next_batch.as_ref()).await), ["r3", "r4", "r5"]);
    let start = page(&server, 3, back.prev_batch.as_ref()).await;
    assert_eq!((names(&start), start.prev_batch), (["r0"].map(str::to_owned).to_vec(), None));
    assert_eq!(page(&server, 0, None).await.chunk.len(), 7, "0 is no limit of its own");
    assert_eq!(page(&server, usize::MAX, None).await.chunk.len(), 7);
}

/// A token is a place: what comes and goes before it moves nothing.
#[tokio::test]
async fn pages_while_rooms_come_and_go() {
    let server = server().await;
    let ada = server.user("ada").await;
    seven(&server, &ada).await;
    let query = |since: Option<String>| PublicRoomsQuery { limit: Some(2), since, ..PublicRoomsQuery::default() };
    let first = server.public_rooms(&query(None)).await.unwrap();
    let ids: Vec<OwnedRoomId> =
        server.all().await.chunk.iter().map(|room| room.room_id.as_str().try_into().unwrap()).collect();
    server.set_published(&ada, &ids[0], false).await.unwrap();
    server.set_published(&ada, &ids[1], false).await.unwrap();
    server.set_published(&ada, &ids[3], false).await.unwrap();
    let second = server.public_rooms(&query(first.next_batch)).await.unwrap();
    assert_eq!(names(&second), ["r2", "r4"]);
    for id in &ids[4..] {
        server.set_published(&ada, id, false).await.unwrap();
    }
    let after_all = server.public_rooms(&query(second.next_batch)).await.unwrap();
    assert!(after_all.chunk.is_empty() && after_all.next_batch.is_none());
    let back = server.public_rooms(&query(after_all.prev_batch)).await.unwrap();
    assert_eq!(names(&back), ["r2"]);
}

#[tokio::test]
async fn tokens_of_other_things_are_refused() {
    let server = server().await;
    let ada = server.user("ada").await;
    seven(&server, &ada).await;
    let since = |since: String| PublicRoomsQuery { since: Some(since), ..PublicRoomsQuery::default() };
    let mut forged = server.public_rooms(&PublicRoomsQuery { limit: Some(1), ..since(String::new()) }).await;
    assert_eq!(kind(forged), "invalid param");
    forged = server.public_rooms(&PublicRoomsQuery { limit: Some(1), ..PublicRoomsQuery::default() }).await;
    let token = forged.unwrap().next_batch.unwrap();
    let timeline = server.rooms.timeline_token(1, wardstead_rooms::TimelineKey { depth: 1, order: 1 });
    for text in ["p", "nonsense", &timeline, &token[..token.len() - 1], &format!("{token}A")] {
        assert_eq!(kind(server.public_rooms(&since(text.to_owned())).await), "invalid param", "{text}");
    }
    assert_eq!(kind(server.public_rooms(&since(token)).await), "ok");
}

/// However many rooms there are, a list that was read before costs the same few reads.
#[tokio::test]
async fn a_page_costs_few_reads() {
    let server = server().await;
    let ada = server.user("ada").await;
    let mut rooms = Vec::new();
    for number in 0..60 {
        rooms.push(server.room(&ada, listed(&format!("r{number}"))).await);
    }
    let ten = PublicRoomsQuery { limit: Some(10), ..PublicRoomsQuery::default() };
    server.public_rooms(&ten).await.unwrap();
    let reads = async |query: &PublicRoomsQuery| {
        let before = server.reads();
        server.public_rooms(query).await.unwrap();
        server.reads() - before
    };
    let quiet = reads(&ten).await;
    assert!(quiet <= 2, "{quiet}: which of the page are published, and their heads");
    server.set(&ada, &rooms[50], "m.room.name", "", json!({ "name": "changed" })).await;
    let changed = reads(&ten).await;
    assert!(changed <= 2 * quiet, "{changed}: the same for the rooms that changed");
    assert_eq!(reads(&asked_for("changed")).await, quiet);
}

/// After more changes than the window tells one by one, the rooms' heads say which of them are to be read again.
#[tokio::test]
async fn many_changes_cost_no_more_than_what_they_change() {
    let server = server().await;
    let ada = server.user("ada").await;
    let mut rooms = Vec::new();
    for number in 0..20 {
        rooms.push(server.room(&ada, listed(&format!("r{number}"))).await);
    }
    assert_eq!(server.all().await.chunk.len(), 20);
    for _ in 0..=wardstead_limits::store::WALK_CHANGES {
        server.room(&ada, NewRoom::default()).await;
    }
    server.set(&ada, &rooms[7], "m.room.name", "", json!({ "name": "changed" })).await;
    server.set_published(&ada, &rooms[3], false).await.unwrap();
    server.room(&ada, listed("new")).await;
    let before = server.counts.read();
    let found = server.public_rooms(&asked_for("changed")).await.unwrap();
    let after = server.counts.read();
    assert_eq!(names(&found), ["changed"]);
    assert_eq!(after.scans - before.scans, 1, "which are published");
    assert!(after.keys - before.keys < 2 * 20, "{} keys: heads, and the two that changed", after.keys - before.keys);
    let names = server.names().await;
    assert_eq!((names.len(), names[3].as_str(), names[6].as_str(), names[19].as_str()), (20, "r4", "changed", "new"));
}

/// Many change and list at once, on two nodes: whoever lists after a change sees it.
#[tokio::test]
async fn lists_while_others_change_it() {
    let server = server().await;
    let node = server.node(2).await;
    let ada = server.user("ada").await;
    let mut rooms = Vec::new();
    for number in 0..6 {
        rooms.push(server.room(&ada, open(&format!("r{number}-start"))).await);
    }
    let work = rooms.iter().enumerate().map(async |(number, room)| {
        for round in 0..6 {
            let (on, asked) = if (number + round) % 2 == 0 { (&server, &node) } else { (&node, &server) };
            let name = format!("r{number}-{round}-named");
            on.set(&ada, room, "m.room.name", "", json!({ "name": name })).await;
            on.set_published(&ada, room, true).await.unwrap();
            assert_eq!(names(&asked.public_rooms(&asked_for(&name)).await.unwrap()), std::slice::from_ref(&name));
            assert_eq!(names(&on.public_rooms(&asked_for(&name)).await.unwrap()), std::slice::from_ref(&name));
            on.set_published(&ada, room, false).await.unwrap();
            assert!(asked.public_rooms(&asked_for(&name)).await.unwrap().chunk.is_empty());
        }
        server.set_published(&ada, room, true).await.unwrap();
    });
    join_all(work).await;
    let expected: BTreeSet<String> = (0..6).map(|number| format!("r{number}-5-named")).collect();
    for node in [&server, &node] {
        assert_eq!(node.names().await.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

/// A read that fails fails the request, and the list is right afterwards.
#[tokio::test]
async fn failing_reads() {
    let server = server().await;
    let ada = server.user("ada").await;
    seven(&server, &ada).await;
    let room = server.room(&ada, listed("last")).await;
    let expected = server.names().await;
    for n in 1..60 {
        // A node with nothing in memory, and one that has listed the rooms before.
        let cold = server.node(100 + n).await;
        server.set(&ada, &room, "m.room.topic", "", json!({ "topic": n })).await;
        for node in [&cold, &server] {
            server.engine.faults().fail_read(n);
            match node.public_rooms(&PublicRoomsQuery::default()).await {
                Ok(page) => assert_eq!(names(&page), expected),
                Err(error) => assert!(matches!(error, DirectoryError::Store(_) | DirectoryError::Room(_)), "{error}"),
            }
            server.engine.faults().clear();
            assert_eq!(node.names().await, expected);
        }
        cold.store.close().await;
    }
}

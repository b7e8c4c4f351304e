//! Spaces: which rooms are told, in which order, in which pages.

use ruma::{OwnedRoomId, RoomId};
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_directory::{DirectoryError, Hierarchy, HierarchyQuery};
use wardstead_rooms::{Membership, NewRoom, Preset};

use crate::support::{Server, kind, open, server, space, with};

fn closed(name: &str) -> NewRoom {
    NewRoom { preset: Some(Preset::PrivateChat), ..open(name) }
}

async fn add(server: &Server, by: &Session, space: &RoomId, child: &RoomId, more: Value) {
    let mut content = json!({ "via": ["example.org"] });
    content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.set(by, space, "m.space.child", child.as_str(), content).await;
}

async fn ask(server: &Server, by: &Session, root: &RoomId, query: HierarchyQuery) -> Hierarchy {
    server.hierarchy(by, root, &query).await.unwrap()
}

fn names(page: &Hierarchy) -> Vec<String> {
    page.rooms.iter().map(|room| room.room.name.clone().unwrap_or_default()).collect()
}

async fn all(server: &Server, by: &Session, root: &RoomId) -> Vec<String> {
    let page = ask(server, by, root, HierarchyQuery::default()).await;
    assert!(page.next_batch.is_none());
    names(&page)
}

/// ```text
/// root ─ r1 (suggested), s1 ─ s2 ─ r3, r4
///      └ r2 (suggested), which is no space and says r5
/// ```
struct Tree {
    root: OwnedRoomId,
    s1: OwnedRoomId,
    s2: OwnedRoomId,
    r2: OwnedRoomId,
}

async fn tree(server: &Server, ada: &Session) -> Tree {
    let make = async |name: &str| server.room(ada, open(name)).await;
    let spaces = async |name: &str| server.room(ada, space(open(name))).await;
    let (root, s1, s2) = (spaces("root").await, spaces("s1").await, spaces("s2").await);
    let (r1, r2, r3, r4, r5) =
        (make("r1").await, make("r2").await, make("r3").await, make("r4").await, make("r5").await);
    let suggested = json!({ "suggested": true });
    add(server, ada, &root, &r1, suggested.clone()).await;
    add(server, ada, &root, &s1, json!({})).await;
    add(server, ada, &root, &r2, suggested).await;
    add(server, ada, &r2, &r5, json!({})).await;
    add(server, ada, &s1, &s2, json!({})).await;
    add(server, ada, &s2, &r3, json!({})).await;
    add(server, ada, &s2, &r4, json!({})).await;
    Tree { root, s1, s2, r2 }
}

#[tokio::test]
async fn depth_first() {
    let server = server().await;
    let ada = server.user("ada").await;
    let tree = tree(&server, &ada).await;
    assert_eq!(all(&server, &ada, &tree.root).await, ["root", "r1", "s1", "s2", "r3", "r4", "r2"]);
    let page = serde_json::to_value(ask(&server, &ada, &tree.s1, HierarchyQuery::default()).await).unwrap();
    let child = &page["rooms"][0]["children_state"][0];
    assert_eq!(child.as_object().unwrap().len(), 5, "{child}");
    assert_eq!(child["type"], "m.space.child");
    assert_eq!(child["state_key"], tree.s2.as_str());
    assert_eq!(child["content"], json!({ "via": ["example.org"] }));
    assert_eq!(child["sender"], "@ada:example.org");
    assert!(child["origin_server_ts"].is_u64());
    assert_eq!(page["rooms"][0]["room_type"], "m.space");
    assert_eq!(page["rooms"][2]["children_state"], json!([]));
    let page = ask(&server, &ada, &tree.r2, HierarchyQuery::default()).await;
    assert_eq!((names(&page), page.rooms[0].children_state.len()), (vec!["r2".to_owned()], 0), "no space");
}

#[tokio::test]
async fn depth_and_suggestions() {
    let server = server().await;
    let ada = server.user("ada").await;
    let tree = tree(&server, &ada).await;
    for (max_depth, expected) in [
        (0, &["root"][..]),
        (1, &["root", "r1", "s1", "r2"]),
        (2, &["root", "r1", "s1", "s2", "r2"]),
        (3, &["root", "r1", "s1", "s2", "r3", "r4", "r2"]),
        (u32::MAX, &["root", "r1", "s1", "s2", "r3", "r4", "r2"]),
    ] {
        let query = HierarchyQuery { max_depth: Some(max_depth), ..HierarchyQuery::default() };
        let page = ask(&server, &ada, &tree.root, query).await;
        assert_eq!(names(&page), expected, "{max_depth}");
        assert_eq!(page.rooms[0].children_state.len(), 3, "what is in it is told all the same");
    }
    let query = HierarchyQuery { suggested_only: true, ..HierarchyQuery::default() };
    let page = ask(&server, &ada, &tree.root, query).await;
    assert_eq!(
        (names(&page), page.rooms[0].children_state.len()),
        (["root", "r1", "r2"].map(str::to_owned).to_vec(), 2)
    );
}

/// Two spaces in one another, a space in itself, a room in several: each room once.
#[tokio::test]
async fn cycles() {
    let server = server().await;
    let ada = server.user("ada").await;
    let tree = tree(&server, &ada).await;
    add(&server, &ada, &tree.s2, &tree.root, json!({})).await;
    add(&server, &ada, &tree.s1, &tree.s1, json!({})).await;
    add(&server, &ada, &tree.s2, &tree.r2, json!({})).await;
    assert_eq!(all(&server, &ada, &tree.root).await, ["root", "r1", "s1", "s2", "r3", "r4", "r2"]);
    assert_eq!(all(&server, &ada, &tree.s2).await, ["s2", "r3", "r4", "root", "r1", "s1", "r2"]);
}

#[tokio::test]
async fn order_of_children() {
    let server = server().await;
    let ada = server.user("ada").await;
    let root = server.room(&ada, space(open("root"))).await;
    let long = "a".repeat(51);
    for (name, more) in [
        ("no order, first", json!({})),
        ("no order that counts", json!({ "order": long })),
        ("b", json!({ "order": "b" })),
        ("b again", json!({ "order": "b" })),
        ("~", json!({ "order": "~" })),
        ("a", json!({ "order": "a" })),
        ("empty", json!({ "order": "" })),
        ("a number", json!({ "order": 1 })),
        ("B", json!({ "order": "B" })),
        ("no order, last", json!({ "order": "é" })),
    ] {
        let child = server.room(&ada, open(name)).await;
        add(&server, &ada, &root, &child, more).await;
    }
    let expected = [
        "root",
        "empty",
        "B",
        "a",
        "b",
        "b again",
        "~",
        "no order, first",
        "no order that counts",
        "a number",
        "no order, last",
    ];
    assert_eq!(all(&server, &ada, &root).await, expected);
}

/// Links that are none: removed, without servers, to what is no room.
#[tokio::test]
async fn children_that_are_none() {
    let server = server().await;
    let ada = server.user("ada").await;
    let (root, child) = (server.room(&ada, space(open("root"))).await, server.room(&ada, open("child")).await);
    let set = async |key: &str, content: Value| server.set(&ada, &root, "m.space.child", key, content).await;
    for content in [json!({}), json!({ "via": [] }), json!({ "via": [7] }), json!({ "via": "example.org" })] {
        set(child.as_str(), content.clone()).await;
        let page = ask(&server, &ada, &root, HierarchyQuery::default()).await;
        assert_eq!((page.rooms.len(), page.rooms[0].children_state.len()), (1, 0), "{content}");
    }
    let via = json!({ "via": ["example.org"] });
    set("no room", via.clone()).await;
    set("", via.clone()).await;
    set("!elsewhere:elsewhere.org", via.clone()).await;
    let page = ask(&server, &ada, &root, HierarchyQuery::default()).await;
    assert_eq!((page.rooms.len(), page.rooms[0].children_state.len()), (1, 1), "unknown rooms are told as links only");
    set(child.as_str(), via).await;
    assert_eq!(all(&server, &ada, &root).await, ["root", "child"]);
    set(child.as_str(), json!({})).await;
    assert_eq!(all(&server, &ada, &root).await, ["root"]);
}

#[tokio::test]
async fn what_may_not_be_seen_is_left_out() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let root = server.room(&ada, space(open("root"))).await;
    let r1 = server.room(&ada, closed("r1")).await;
    let s1 = server.room(&ada, space(closed("s1"))).await;
    let r2 = server.room(&ada, open("r2")).await;
    let r3 = server.room(&ada, closed("r3")).await;
    for child in [&r1, &s1] {
        add(&server, &ada, &root, child, json!({})).await;
    }
    for child in [&r2, &r3] {
        add(&server, &ada, &s1, child, json!({})).await;
    }
    assert_eq!(all(&server, &ben, &root).await, ["root"]);
    server.become_(&ada, &r1, &ben, Membership::Invite).await;
    server.become_(&ada, &r3, &ben, Membership::Invite).await;
    assert_eq!(all(&server, &ben, &root).await, ["root", "r1"], "r3 is in a space that is not shown");
    server.become_(&ada, &s1, &ben, Membership::Invite).await;
    assert_eq!(all(&server, &ben, &root).await, ["root", "r1", "s1", "r2", "r3"]);
    assert_eq!(all(&server, &ada, &root).await, ["root", "r1", "s1", "r2", "r3"]);
}

#[tokio::test]
async fn a_restricted_room_is_shown_to_those_it_lets_in() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let root = server.room(&ada, space(open("root"))).await;
    let rule = |name: &str| json!({ "join_rule": name, "allow": [{ "type": "m.room_membership", "room_id": root }] });
    let restricted = server.room(&ada, with(open("restricted"), "m.room.join_rules", &rule("restricted"))).await;
    let knock = server.room(&ada, with(open("knock"), "m.room.join_rules", &rule("knock_restricted"))).await;
    add(&server, &ada, &root, &restricted, json!({})).await;
    add(&server, &ada, &root, &knock, json!({})).await;
    assert_eq!(all(&server, &ben, &root).await, ["root", "knock"]);
    server.join(&ben, &root).await;
    assert_eq!(all(&server, &ben, &root).await, ["root", "restricted", "knock"]);
    let page = serde_json::to_value(ask(&server, &ben, &root, HierarchyQuery::default()).await).unwrap();
    assert_eq!(page["rooms"][1]["allowed_room_ids"], json!([root]));
    assert_eq!(page["rooms"][1]["room_version"], "12");
    server.become_(&ada, &restricted, &ben, Membership::Ban).await;
    assert_eq!(all(&server, &ben, &root).await, ["root", "knock"]);
}

#[tokio::test]
async fn a_space_that_is_not_shown_is_as_one_that_is_not_there() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let hidden = server.room(&ada, space(closed("root"))).await;
    let nowhere = RoomId::parse("!nowhere:example.org").unwrap();
    let ask = async |room: &RoomId| {
        let refused = server.hierarchy(&ben, room, &HierarchyQuery::default()).await;
        let sentence = refused.as_ref().map_err(ToString::to_string).err();
        (kind(refused), sentence)
    };
    assert_eq!(ask(&hidden).await, ask(&nowhere).await);
    assert_eq!(ask(&hidden).await.0, "forbidden");
}

#[tokio::test]
async fn pages() {
    let server = server().await;
    let node = server.node(2).await;
    let ada = server.user("ada").await;
    let tree = tree(&server, &ada).await;
    let expected = all(&server, &ada, &tree.root).await;
    for limit in 1..=8 {
        let (mut found, mut from) = (Vec::new(), None);
        for turn in 0.. {
            let query = HierarchyQuery { limit: Some(limit), from, ..HierarchyQuery::default() };
            let node = if turn % 2 == 0 { &server } else { &node };
            let page = ask(node, &ada, &tree.root, query).await;
            assert!(!page.rooms.is_empty() && page.rooms.len() <= limit);
            found.extend(names(&page));
            from = page.next_batch;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{limit}");
    }
}

/// What is put in or taken out before the place does not move it; where the last room is gone, the count stands in for it.
#[tokio::test]
async fn pages_while_the_space_changes() {
    let server = server().await;
    let ada = server.user("ada").await;
    let tree = tree(&server, &ada).await;
    let query = |from: Option<String>| HierarchyQuery { limit: Some(4), from, ..HierarchyQuery::default() };
    let first = ask(&server, &ada, &tree.root, query(None)).await;
    assert_eq!(names(&first), ["root", "r1", "s1", "s2"]);
    let new = server.room(&ada, open("new")).await;
    add(&server, &ada, &tree.root, &new, json!({ "order": "a" })).await;
    let second = ask(&server, &ada, &tree.root, query(first.next_batch.clone())).await;
    assert_eq!(names(&second), ["r3", "r4", "r2"]);
    server.set(&ada, &tree.s1, "m.space.child", tree.s2.as_str(), json!({})).await;
    let second = ask(&server, &ada, &tree.root, query(first.next_batch)).await;
    assert_eq!(names(&second), ["r2"]);
}

/// A token goes on with one question of one user.
#[tokio::test]
async fn a_token_belongs_to_its_question() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let tree = tree(&server, &ada).await;
    let query = HierarchyQuery { max_depth: Some(2), limit: Some(2), ..HierarchyQuery::default() };
    let from = ask(&server, &ada, &tree.root, query.clone()).await.next_batch;
    let same = HierarchyQuery { from: from.clone(), ..query };
    assert_eq!(
        kind(server.hierarchy(&ada, &tree.root, &HierarchyQuery { limit: Some(7), ..same.clone() }).await),
        "ok"
    );
    let refused = [
        server.hierarchy(&ben, &tree.root, &same).await,
        server.hierarchy(&ada, &tree.s1, &same).await,
        server.hierarchy(&ada, &tree.root, &HierarchyQuery { max_depth: Some(3), ..same.clone() }).await,
        server.hierarchy(&ada, &tree.root, &HierarchyQuery { max_depth: None, ..same.clone() }).await,
        server.hierarchy(&ada, &tree.root, &HierarchyQuery { suggested_only: true, ..same.clone() }).await,
        server.hierarchy(&ada, &tree.root, &HierarchyQuery { from: Some("p".to_owned()), ..same.clone() }).await,
        server.hierarchy(&ada, &tree.root, &HierarchyQuery { from: from.map(|from| from + "A"), ..same.clone() }).await,
        server.hierarchy(&ada, &tree.root, &HierarchyQuery { limit: Some(0), from: None, ..same }).await,
    ];
    for (number, answer) in refused.into_iter().enumerate() {
        assert_eq!(kind(answer), "invalid param", "{number}");
    }
}

/// As deep as one likes to build, as deep as the bound.
#[tokio::test]
async fn a_chain_of_spaces() {
    let server = server().await;
    let ada = server.user("ada").await;
    let mut chain = Vec::new();
    for number in 0..40 {
        chain.push(server.room(&ada, space(open(&format!("{number}")))).await);
    }
    for pair in chain.windows(2) {
        add(&server, &ada, &pair[0], &pair[1], json!({})).await;
    }
    assert_eq!(all(&server, &ada, &chain[0]).await.len(), 33);
}

/// A space with a hundred links to rooms that are not there, and a room that lets in the members of a hundred of them.
#[tokio::test]
async fn links_that_lead_nowhere_cost_no_read_each() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let root = server.room(&ada, space(open("root"))).await;
    let nowhere: Vec<String> = (0..100).map(|number| format!("!nowhere{number}:example.org")).collect();
    for room in &nowhere {
        server.set(&ada, &root, "m.space.child", room, json!({ "via": ["example.org"] })).await;
    }
    let allow = nowhere.iter().map(|room| json!({ "type": "m.room_membership", "room_id": room }));
    let rule = json!({ "join_rule": "restricted", "allow": allow.collect::<Vec<_>>() });
    let restricted = server.room(&ada, with(open("restricted"), "m.room.join_rules", &rule)).await;
    add(&server, &ada, &root, &restricted, json!({})).await;
    assert_eq!(all(&server, &ben, &root).await, ["root"]);
    let before = server.reads();
    assert_eq!(all(&server, &ben, &root).await, ["root"]);
    let reads = server.reads() - before;
    assert!(reads <= 8, "{reads}");
}

/// With the n-th read failing, on a node with nothing in memory: an error, or the same answer.
#[tokio::test]
async fn failing_reads() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let tree = tree(&server, &ada).await;
    let rule = json!({ "join_rule": "restricted", "allow": [{ "type": "m.room_membership", "room_id": tree.root }] });
    server.set(&ada, &tree.s1, "m.room.join_rules", "", rule).await;
    server.join(&ben, &tree.root).await;
    let expected = all(&server, &ben, &tree.root).await;
    assert_eq!(expected, ["root", "r1", "s1", "s2", "r3", "r4", "r2"]);
    let mut failed = 0;
    for n in 1..120 {
        let cold = server.node(100 + n).await;
        server.engine.faults().fail_read(n);
        match cold.hierarchy(&ben, &tree.root, &HierarchyQuery::default()).await {
            Ok(page) => assert_eq!(names(&page), expected, "read {n}"),
            Err(DirectoryError::Store(_) | DirectoryError::Room(_)) => failed += 1,
            Err(error) => panic!("read {n}: {error}"),
        }
        server.engine.faults().clear();
        cold.store.close().await;
    }
    assert!(failed > 10, "{failed}");
}

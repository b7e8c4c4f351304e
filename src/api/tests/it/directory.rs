//! Published rooms, room summaries and space hierarchies, as clients see them.

use http::Method;
use serde_json::{Value, json};

use crate::server::{Server, encoded};

const V3: &str = "/_matrix/client/v3";
const V1: &str = "/_matrix/client/v1";

async fn room(server: &Server, token: &str, request: &Value) -> String {
    server.clock.advance_ms(5);
    let made = server.post(&format!("{V3}/createRoom"), token, request).await.ok();
    made["room_id"].as_str().unwrap().to_owned()
}

fn listing(room: &str) -> String {
    format!("{V3}/directory/list/room/{}", encoded(room))
}

fn ids(page: &Value) -> Vec<&str> {
    page["chunk"].as_array().unwrap().iter().map(|room| room["room_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_room_is_published_and_taken_out_again() {
    let server = Server::new().await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    let public = room(&server, &anna, &json!({ "preset": "public_chat" })).await;
    let path = listing(&public);
    let get = async || server.get(&path, "").await.ok();
    assert_eq!(get().await, json!({ "visibility": "private" }));
    for (body, expected) in [
        (json!({ "visibility": "public" }), "public"),
        (json!({ "visibility": "public" }), "public"),
        (json!({ "visibility": "private" }), "private"),
        (json!({}), "public"),
        (json!({ "visibility": null }), "public"),
    ] {
        assert_eq!(server.put(&path, &anna, &body).await.ok(), json!({}));
        assert_eq!(get().await, json!({ "visibility": expected }));
        let listed = server.get(&format!("{V3}/publicRooms"), "").await.ok();
        assert_eq!(ids(&listed).len(), usize::from(expected == "public"));
    }
    server.put(&path, "", &json!({})).await.expect_error(401, "M_MISSING_TOKEN");
    server.put(&path, &bert, &json!({})).await.expect_error(404, "M_NOT_FOUND");
    server.ask(Method::POST, &format!("{V3}/join/{}", encoded(&public)), &bert, "").await.ok();
    server.put(&path, &bert, &json!({})).await.expect_error(403, "M_FORBIDDEN");
    for (body, errcode) in [
        (json!({ "visibility": "secret" }), "M_INVALID_PARAM"),
        (json!({ "visibility": 1 }), "M_BAD_JSON"),
        (json!([]), "M_BAD_JSON"),
    ] {
        server.put(&path, &anna, &body).await.expect_error(400, errcode);
    }
    let nowhere = listing("!nowhere:example.org");
    server.get(&nowhere, "").await.expect_error(404, "M_NOT_FOUND");
    server.put(&nowhere, &anna, &json!({})).await.expect_error(404, "M_NOT_FOUND");
    server.get(&listing("ward"), "").await.expect_error(400, "M_INVALID_PARAM");
    server.put(&listing("ward"), &anna, &json!({})).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn the_list_of_published_rooms() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let request = json!({ "visibility": "public", "name": "Ward 7", "topic": "Handover", "room_alias_name": "ward" });
    let ward = room(&server, &anna, &request).await;
    room(&server, &anna, &json!({ "preset": "public_chat", "name": "not published" })).await;
    let expected = json!({
        "chunk": [{
            "room_id": ward,
            "num_joined_members": 1,
            "name": "Ward 7",
            "topic": "Handover",
            "canonical_alias": "#ward:example.org",
            "join_rule": "public",
            "world_readable": false,
            "guest_can_join": false,
        }],
        "total_room_count_estimate": 1,
    });
    let path = format!("{V3}/publicRooms");
    assert_eq!(server.get(&path, "").await.ok(), expected, "without a token");
    assert_eq!(server.get(&format!("{path}?server=example.org"), &anna).await.ok(), expected);
    assert_eq!(server.post(&path, &anna, &json!({})).await.ok(), expected);
    assert_eq!(server.ask(Method::POST, &path, &anna, "").await.ok(), expected);
    server.post(&path, "", &json!({})).await.expect_error(401, "M_MISSING_TOKEN");
}

/// What is done to the list is nothing that a sync would tell.
#[tokio::test]
async fn publishing_and_aliases_are_no_news_for_members() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let ward = room(&server, &anna, &json!({})).await;
    let sync = format!("{V3}/sync");
    let before = server.get(&sync, &anna).await.ok();
    let since = before["next_batch"].as_str().unwrap();
    server.put(&listing(&ward), &anna, &json!({ "visibility": "public" })).await.ok();
    let alias = format!("{V3}/directory/room/{}", encoded("#ward:example.org"));
    server.put(&alias, &anna, &json!({ "room_id": ward })).await.ok();
    let after = server.get(&format!("{sync}?since={since}"), &anna).await.ok();
    assert!(after.get("rooms").is_none(), "{after}");
    let next = after["next_batch"].as_str().unwrap();
    let again = server.get(&format!("{sync}?since={next}"), &anna).await.ok();
    assert!(again.get("rooms").is_none(), "{again}");
}

/// The new room is listed in the place of the old one, and the alias leads to it.
#[tokio::test]
async fn an_upgraded_room_is_found() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let request = json!({ "visibility": "public", "name": "Ward", "room_alias_name": "ward", "room_version": "10" });
    let old = room(&server, &anna, &request).await;
    let other = room(&server, &anna, &json!({ "room_version": "10" })).await;
    let upgrade = async |room: &str| {
        let path = format!("{V3}/rooms/{}/upgrade", encoded(room));
        let new = server.post(&path, &anna, &json!({ "new_version": "11" })).await.ok();
        new["replacement_room"].as_str().unwrap().to_owned()
    };
    let new = upgrade(&old).await;
    let listed = server.get(&format!("{V3}/publicRooms"), "").await.ok();
    assert_eq!(ids(&listed), [&new]);
    assert_eq!(listed["chunk"][0]["canonical_alias"], "#ward:example.org");
    assert_eq!(server.get(&listing(&old), "").await.ok()["visibility"], "private");
    let alias = format!("{V3}/directory/room/{}", encoded("#ward:example.org"));
    assert_eq!(server.get(&alias, "").await.ok()["room_id"], new);
    let never = upgrade(&other).await;
    assert_eq!(server.get(&listing(&never), "").await.ok()["visibility"], "private");
}

#[tokio::test]
async fn searching_and_paging() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let mut rooms = Vec::new();
    for number in 0..5 {
        let request = json!({ "visibility": "public", "name": format!("Ward {number}") });
        rooms.push(room(&server, &anna, &request).await);
    }
    let space = json!({ "visibility": "public", "name": "Hospital", "creation_content": { "type": "m.space" } });
    let space = room(&server, &anna, &space).await;
    let path = format!("{V3}/publicRooms");
    let found = async |body: Value| server.post(&path, &anna, &body).await.ok();
    for (body, expected) in [
        (json!({ "filter": { "generic_search_term": "WARD 3" } }), vec![&rooms[3]]),
        (json!({ "filter": { "room_types": ["m.space"] } }), vec![&space]),
        (json!({ "filter": { "room_types": [null] } }), rooms.iter().collect()),
        (json!({ "filter": { "generic_search_term": "hospital", "room_types": [null] } }), vec![]),
        (json!({ "filter": {}, "include_all_networks": true, "limit": 1 }), vec![&rooms[0]]),
        (json!({ "third_party_instance_id": "irc" }), vec![]),
    ] {
        assert_eq!(ids(&found(body.clone()).await), expected, "{body}");
    }
    let first = server.get(&format!("{path}?limit=4"), "").await.ok();
    assert_eq!((ids(&first).len(), &first["total_room_count_estimate"]), (4, &json!(6)));
    assert!(first.get("prev_batch").is_none());
    let next = first["next_batch"].as_str().unwrap();
    let second = server.get(&format!("{path}?limit=4&since={next}"), "").await.ok();
    assert_eq!(ids(&second), [&rooms[4], &space]);
    assert!(second.get("next_batch").is_none());
    let back = found(json!({ "limit": 4, "since": second["prev_batch"] })).await;
    assert_eq!(ids(&back), ids(&first));
}

#[tokio::test]
async fn lists_that_cannot_be_asked_for() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let path = format!("{V3}/publicRooms");
    for (query, status, errcode) in [
        ("limit=-1", 400, "M_INVALID_PARAM"),
        ("limit=many", 400, "M_INVALID_PARAM"),
        ("since=nonsense", 400, "M_INVALID_PARAM"),
        ("since=p", 400, "M_INVALID_PARAM"),
        ("server=not%20a%20name", 400, "M_INVALID_PARAM"),
        ("server=elsewhere.org", 404, "M_NOT_FOUND"),
    ] {
        server.get(&format!("{path}?{query}"), "").await.expect_error(status, errcode);
    }
    for (body, errcode) in [
        (json!({ "limit": -1 }), "M_BAD_JSON"),
        (json!({ "limit": "1" }), "M_BAD_JSON"),
        (json!({ "since": 1 }), "M_BAD_JSON"),
        (json!({ "since": "nonsense" }), "M_INVALID_PARAM"),
        (json!({ "filter": 1 }), "M_BAD_JSON"),
        (json!({ "filter": { "generic_search_term": 1 } }), "M_BAD_JSON"),
        (json!({ "filter": { "room_types": [1] } }), "M_BAD_JSON"),
        (json!({ "include_all_networks": true, "third_party_instance_id": "irc" }), "M_BAD_JSON"),
    ] {
        let answer = server.post(&path, &anna, &body).await;
        assert_eq!(answer.json()["errcode"], errcode, "{body}");
        answer.expect_error(400, errcode);
    }
    server.post(&format!("{path}?server=elsewhere.org"), &anna, &json!({})).await.expect_error(404, "M_NOT_FOUND");
}

/// On the path of the specification and on those from before it.
#[tokio::test]
async fn summaries() {
    let server = Server::new().await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    let open = json!({ "preset": "public_chat", "name": "Open", "room_alias_name": "open" });
    let (open, closed) = (room(&server, &anna, &open).await, room(&server, &anna, &json!({})).await);
    let unstable = "/_matrix/client/unstable/im.nheko.summary";
    let paths = |room: &str| {
        let room = encoded(room);
        [
            format!("{V1}/room_summary/{room}"),
            format!("{V1}/room_summary/{room}?via=example.org&via=elsewhere.org"),
            format!("{unstable}/rooms/{room}/summary"),
            format!("{unstable}/summary/{room}"),
        ]
    };
    for path in paths(&open).iter().chain(&paths("#open:example.org")) {
        let expected = json!({
            "room_id": open,
            "num_joined_members": 1,
            "name": "Open",
            "canonical_alias": "#open:example.org",
            "join_rule": "public",
            "world_readable": false,
            "guest_can_join": false,
            "room_version": "12",
        });
        assert_eq!(server.get(path, "").await.ok(), expected, "{path}");
        assert_eq!(server.get(path, &bert).await.ok()["membership"], "leave");
        assert_eq!(server.get(path, &anna).await.ok()["membership"], "join");
        server.get(path, "never_issued").await.expect_error(401, "M_UNKNOWN_TOKEN");
    }
    for path in &paths(&closed) {
        assert_eq!(server.get(path, &anna).await.ok()["join_rule"], "invite");
        for token in ["", &bert] {
            let hidden = server.get(path, token).await;
            hidden.expect_error(404, "M_NOT_FOUND");
            for nowhere in ["!nowhere:example.org", "#nowhere:example.org", "#open:elsewhere.org"] {
                let missing = server.get(&paths(nowhere)[0], token).await;
                assert_eq!((missing.status, missing.json()), (hidden.status, hidden.json()), "{nowhere}");
            }
        }
    }
    for what in ["open", "@anna:example.org", "%ff", "$event"] {
        server.get(&format!("{V1}/room_summary/{what}"), &anna).await.expect_error(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn hierarchies() {
    let server = Server::new().await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    let space = json!({ "preset": "public_chat", "name": "root", "creation_content": { "type": "m.space" } });
    let root = room(&server, &anna, &space).await;
    let mut children = Vec::new();
    for name in ["a", "b", "c"] {
        let child = room(&server, &anna, &json!({ "preset": "public_chat", "name": name })).await;
        let link = format!("{V3}/rooms/{}/state/m.space.child/{}", encoded(&root), encoded(&child));
        server.clock.advance_ms(5);
        server.put(&link, &anna, &json!({ "via": ["example.org"], "suggested": name == "b" })).await.ok();
        children.push(child);
    }
    let path = format!("{V1}/rooms/{}/hierarchy", encoded(&root));
    let names = |page: &Value| -> Vec<String> {
        page["rooms"].as_array().unwrap().iter().map(|room| room["name"].as_str().unwrap().to_owned()).collect()
    };
    let whole = server.get(&path, &bert).await.ok();
    assert_eq!(names(&whole), ["root", "a", "b", "c"]);
    assert!(whole.get("next_batch").is_none());
    assert_eq!(whole["rooms"][0]["children_state"].as_array().unwrap().len(), 3);
    assert_eq!(whole["rooms"][1]["join_rule"], "public");
    let suggested = server.get(&format!("{path}?suggested_only=true"), &bert).await.ok();
    assert_eq!(names(&suggested), ["root", "b"]);
    assert_eq!(names(&server.get(&format!("{path}?max_depth=0"), &bert).await.ok()), ["root"]);
    let first = server.get(&format!("{path}?limit=2&max_depth=3"), &bert).await.ok();
    assert_eq!(names(&first), ["root", "a"]);
    let from = first["next_batch"].as_str().unwrap();
    let second = server.get(&format!("{path}?max_depth=3&from={from}"), &bert).await.ok();
    assert_eq!(names(&second), ["b", "c"]);
    for query in [
        format!("from={from}"),
        format!("from={from}&max_depth=2"),
        format!("from={from}&max_depth=3&suggested_only=true"),
        "from=nonsense".to_owned(),
        "limit=0".to_owned(),
        "limit=-1".to_owned(),
        "max_depth=-1".to_owned(),
        "max_depth=deep".to_owned(),
        "suggested_only=1".to_owned(),
    ] {
        server.get(&format!("{path}?{query}"), &bert).await.expect_error(400, "M_INVALID_PARAM");
    }
    server.get(&format!("{path}?max_depth=3&from={from}"), &anna).await.expect_error(400, "M_INVALID_PARAM");
    server.get(&path, "").await.expect_error(401, "M_MISSING_TOKEN");
    let closed = room(&server, &anna, &json!({})).await;
    for hidden in [closed.as_str(), "!nowhere:example.org"] {
        let path = format!("{V1}/rooms/{}/hierarchy", encoded(hidden));
        server.get(&path, &bert).await.expect_error(403, "M_FORBIDDEN");
    }
}

//! Room aliases, as clients see them.

use http::Method;
use serde_json::{Value, json};

use crate::server::{Server, encoded};

const V3: &str = "/_matrix/client/v3";

fn path(alias: &str) -> String {
    format!("{V3}/directory/room/{}", encoded(alias))
}

async fn room(server: &Server, token: &str, request: &Value) -> String {
    let made = server.post(&format!("{V3}/createRoom"), token, request).await.ok();
    made["room_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_alias_is_set_found_listed_and_removed() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let room = room(&server, &anna, &json!({})).await;
    for alias in ["#ward:example.org", "#老虎Â£я:example.org", "#with space/and/slash?:example.org"] {
        server.get(&path(alias), "").await.expect_error(404, "M_NOT_FOUND");
        assert_eq!(server.put(&path(alias), &anna, &json!({ "room_id": room })).await.ok(), json!({}));
        let found = server.get(&path(alias), "").await.ok();
        assert_eq!(found, json!({ "room_id": room, "servers": ["example.org"] }), "without a token");
        let list = format!("{V3}/rooms/{}/aliases", encoded(&room));
        assert_eq!(server.get(&list, &anna).await.ok(), json!({ "aliases": [alias] }));
        server.put(&path(alias), &anna, &json!({ "room_id": room })).await.expect_error(409, "M_UNKNOWN");
        assert_eq!(server.ask(Method::DELETE, &path(alias), &anna, "").await.ok(), json!({}));
        server.ask(Method::DELETE, &path(alias), &anna, "").await.expect_error(404, "M_NOT_FOUND");
        assert_eq!(server.get(&list, &anna).await.ok(), json!({ "aliases": [] }));
    }
}

#[tokio::test]
async fn who_may_not() {
    let server = Server::new().await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    let room = room(&server, &anna, &json!({ "preset": "public_chat", "room_alias_name": "ward" })).await;
    let (alias, body) = (path("#ward:example.org"), json!({ "room_id": room }));
    server.put(&path("#b:example.org"), "", &body).await.expect_error(401, "M_MISSING_TOKEN");
    server.ask(Method::DELETE, &alias, "", "").await.expect_error(401, "M_MISSING_TOKEN");
    server.put(&path("#b:example.org"), &bert, &body).await.expect_error(403, "M_FORBIDDEN");
    let nowhere = json!({ "room_id": "!nowhere:example.org" });
    server.put(&path("#b:example.org"), &bert, &nowhere).await.expect_error(403, "M_FORBIDDEN");
    server.ask(Method::DELETE, &alias, &bert, "").await.expect_error(403, "M_FORBIDDEN");
    let list = format!("{V3}/rooms/{}/aliases", encoded(&room));
    server.get(&list, &bert).await.expect_error(403, "M_FORBIDDEN");
    server.get(&format!("{V3}/rooms/!nowhere:example.org/aliases"), &bert).await.expect_error(403, "M_FORBIDDEN");
    server.ask(Method::POST, &format!("{V3}/rooms/{}/join", encoded(&room)), &bert, "").await.ok();
    server.ask(Method::DELETE, &alias, &bert, "").await.expect_error(403, "M_FORBIDDEN");
    assert_eq!(server.get(&list, &bert).await.ok(), json!({ "aliases": ["#ward:example.org"] }));
}

/// Who may read a room without being in it may list its aliases.
#[tokio::test]
async fn a_world_readable_room_lists_its_aliases() {
    let server = Server::new().await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    let visible = json!({ "type": "m.room.history_visibility", "content": { "history_visibility": "world_readable" } });
    let request = json!({ "room_alias_name": "ward", "initial_state": [visible] });
    let room = room(&server, &anna, &request).await;
    let list = format!("{V3}/rooms/{}/aliases", encoded(&room));
    assert_eq!(server.get(&list, &bert).await.ok(), json!({ "aliases": ["#ward:example.org"] }));
}

#[tokio::test]
async fn what_is_no_alias_or_not_ours() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let room = room(&server, &anna, &json!({})).await;
    let long = format!("#{}:example.org", "a".repeat(243));
    let body = json!({ "room_id": room });
    for alias in ["ward", "#ward", "%ward:example.org", "#ward:", "#a:b:example.org", "#nul\0:example.org", &long] {
        server.put(&path(alias), &anna, &body).await.expect_error(400, "M_INVALID_PARAM");
        server.get(&path(alias), "").await.expect_error(400, "M_INVALID_PARAM");
        server.ask(Method::DELETE, &path(alias), &anna, "").await.expect_error(400, "M_INVALID_PARAM");
    }
    for alias in ["#ward:elsewhere.org", "#:example.org"] {
        server.put(&path(alias), &anna, &body).await.expect_error(400, "M_INVALID_PARAM");
        server.get(&path(alias), "").await.expect_error(404, "M_NOT_FOUND");
        server.ask(Method::DELETE, &path(alias), &anna, "").await.expect_error(404, "M_NOT_FOUND");
    }
    let alias = path("#ward:example.org");
    for (body, errcode) in [
        (json!({}), "M_MISSING_PARAM"),
        (json!({ "room_id": 7 }), "M_BAD_JSON"),
        (json!({ "room_id": null }), "M_BAD_JSON"),
        (json!({ "room_id": "ward" }), "M_BAD_JSON"),
        (json!([]), "M_BAD_JSON"),
    ] {
        server.put(&alias, &anna, &body).await.expect_error(400, errcode);
    }
    server.ask(Method::PUT, &alias, &anna, "").await.expect_error(400, "M_NOT_JSON");
    server.get(&alias, "").await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn a_new_room_with_an_alias() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let request = json!({ "room_alias_name": "ward" });
    let room = room(&server, &anna, &request).await;
    assert_eq!(server.get(&path("#ward:example.org"), "").await.ok()["room_id"], room.as_str());
    let state = format!("{V3}/rooms/{}/state/m.room.canonical_alias", encoded(&room));
    assert_eq!(server.get(&state, &anna).await.ok(), json!({ "alias": "#ward:example.org" }));
    let create = format!("{V3}/createRoom");
    server.post(&create, &anna, &request).await.expect_error(400, "M_ROOM_IN_USE");
    for name in ["a:b", "", "nul\0", &"a".repeat(300)] {
        let request = json!({ "room_alias_name": name });
        server.post(&create, &anna, &request).await.expect_error(400, "M_INVALID_PARAM");
    }
    server.post(&create, &anna, &json!({ "room_alias_name": 7 })).await.expect_error(400, "M_BAD_JSON");
}

#[tokio::test]
async fn canonical_aliases_are_checked() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let (here, _there) = (
        room(&server, &anna, &json!({ "room_alias_name": "here" })).await,
        room(&server, &anna, &json!({ "room_alias_name": "there" })).await,
    );
    let state = format!("{V3}/rooms/{}/state/m.room.canonical_alias", encoded(&here));
    for (content, errcode) in [
        (json!({ "alias": "#there:example.org" }), "M_BAD_ALIAS"),
        (json!({ "alias": "#nowhere:example.org" }), "M_BAD_ALIAS"),
        (json!({ "alias": "#here:example.org", "alt_aliases": ["#there:example.org"] }), "M_BAD_ALIAS"),
        (json!({ "alias": "%here:example.org" }), "M_INVALID_PARAM"),
        (json!({ "alias": "#here:example.org", "alt_aliases": ["here"] }), "M_INVALID_PARAM"),
    ] {
        server.put(&state, &anna, &content).await.expect_error(400, errcode);
    }
    let content = json!({ "alias": "#here:example.org", "alt_aliases": ["#here:example.org"] });
    server.put(&state, &anna, &content).await.ok();
    server.ask(Method::DELETE, &path("#here:example.org"), &anna, "").await.ok();
    assert_eq!(server.get(&state, &anna).await.ok(), json!({}));
    server.put(&state, &anna, &content).await.expect_error(400, "M_BAD_ALIAS");
}

//! Profiles and mutual rooms over HTTP.

use http::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server, encoded};

const V3: &str = "/_matrix/client/v3";
const UNSTABLE: &str = "/_matrix/client/unstable/uk.tcpip.msc4133";

fn profile(version: &str, user: &str, rest: &str) -> String {
    format!("{version}/profile/{}{rest}", encoded(&format!("@{user}:example.org")))
}

async fn put(server: &Server, token: &str, key: &str, value: Value) -> Answer {
    server.put(&profile(V3, "anna", &format!("/{key}")), token, &json!({ key: value })).await
}

#[tokio::test]
async fn fields_are_set_read_by_everybody_and_removed() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    assert_eq!(server.get(&profile(V3, "anna", ""), "").await.ok(), json!({}));
    server.get(&profile(V3, "anna", "/displayname"), "").await.expect_error(404, "M_NOT_FOUND");
    for (key, value) in [
        ("displayname", json!("Anna")),
        ("avatar_url", json!("mxc://example.org/a")),
        ("m.tz", json!("Europe/London")),
        ("org.example.job", json!({ "title": "Nurse", "grade": 1.5 })),
        ("org.example.nothing", json!(null)),
    ] {
        assert_eq!(put(&server, &anna, key, value.clone()).await.ok(), json!({}));
        for version in [V3, "/_matrix/client/r0", UNSTABLE] {
            let one = server.get(&profile(version, "anna", &format!("/{key}")), "").await.ok();
            assert_eq!(one, json!({ key: value }));
        }
    }
    let whole = server.get(&profile(V3, "anna", ""), "").await.ok();
    assert_eq!(whole["org.example.job"]["grade"], 1.5);
    assert_eq!(whole.as_object().unwrap().len(), 5);
    assert_eq!(server.get(&profile(UNSTABLE, "anna", ""), "").await.ok(), whole);
    // Twice: what is not there is removed.
    for _ in 0..2 {
        for (version, key) in [(V3, "avatar_url"), (V3, "m.tz"), (UNSTABLE, "org.example.job")] {
            let path = profile(version, "anna", &format!("/{key}"));
            assert_eq!(server.ask(Method::DELETE, &path, &anna, "").await.ok(), json!({}));
        }
    }
    // A picture that is null or empty is none, and so is an empty name.
    for none in [json!(null), json!("")] {
        put(&server, &anna, "avatar_url", json!("mxc://example.org/a")).await.ok();
        put(&server, &anna, "avatar_url", none).await.ok();
        server.get(&profile(V3, "anna", "/avatar_url"), "").await.expect_error(404, "M_NOT_FOUND");
    }
    put(&server, &anna, "displayname", json!("")).await.ok();
    assert_eq!(server.get(&profile(V3, "anna", ""), "").await.ok(), json!({ "org.example.nothing": null }));
}

#[tokio::test]
async fn what_cannot_be_set_is_refused_as_specified() {
    let server = Server::new().await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    let long = "a".repeat(300);
    for (key, value, errcode) in [
        ("displayname", json!(1), "M_BAD_JSON"),
        ("displayname", json!(null), "M_BAD_JSON"),
        ("avatar_url", json!({}), "M_BAD_JSON"),
        ("m.tz", json!([]), "M_BAD_JSON"),
        ("avatar_url", json!("https://example.org/a.png"), "M_INVALID_PARAM"),
        ("avatar_url", json!("javascript:alert(1)"), "M_INVALID_PARAM"),
        ("avatar_url", json!("mxc://example.org"), "M_INVALID_PARAM"),
        ("pronouns", json!("she"), "M_INVALID_PARAM"),
        ("Org.example", json!(1), "M_INVALID_PARAM"),
        ("displayname", json!("x".repeat(1_025)), "M_INVALID_PARAM"),
        (&format!("org.{long}"), json!(1), "M_KEY_TOO_LARGE"),
        ("org.example.a", json!("x".repeat(65_536)), "M_PROFILE_TOO_LARGE"),
    ] {
        put(&server, &anna, key, value).await.expect_error(400, errcode);
    }
    let path = profile(V3, "anna", "/displayname");
    server.put(&path, &anna, &json!({ "avatar_url": "x" })).await.expect_error(400, "M_MISSING_PARAM");
    let two = json!({ "displayname": "x", "avatar_url": "mxc://example.org/a" });
    server.put(&path, &anna, &two).await.expect_error(400, "M_BAD_JSON");
    server.put(&path, &bert, &json!({ "displayname": "x" })).await.expect_error(403, "M_FORBIDDEN");
    server.put(&path, "", &json!({ "displayname": "x" })).await.expect_error(401, "M_MISSING_TOKEN");
    server.ask(Method::DELETE, &path, &bert, "").await.expect_error(403, "M_FORBIDDEN");
    let path = profile(V3, "anna", "/pronouns");
    server.ask(Method::DELETE, &path, &anna, "").await.expect_error(400, "M_INVALID_PARAM");
    assert_eq!(server.get(&profile(V3, "anna", ""), "").await.ok(), json!({}));
    for user in ["@nobody:example.org", "@anna:elsewhere.example"] {
        for rest in ["", "/displayname"] {
            let path = format!("{V3}/profile/{}{rest}", encoded(user));
            server.get(&path, "").await.expect_error(404, "M_NOT_FOUND");
        }
    }
}

/// A room that somebody makes, and the list of its members, show the names; a new one comes with the next sync.
#[tokio::test(start_paused = true)]
async fn rooms_show_the_names_of_their_members() {
    let server = Server::new().await;
    server.follow_names();
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    put(&server, &anna, "displayname", json!("Anna")).await.ok();
    let room = server.post(&format!("{V3}/createRoom"), &anna, &json!({ "preset": "public_chat" })).await.ok();
    let room = encoded(room["room_id"].as_str().unwrap());
    server.post(&format!("{V3}/rooms/{room}/join"), &bert, &json!({})).await.ok();
    put(&server, &anna, "avatar_url", json!("mxc://example.org/a")).await.ok();
    let mut since = String::new();
    loop {
        let synced = server.get(&format!("{V3}/sync?timeout=30000{since}"), &bert).await.ok();
        since = format!("&since={}", synced["next_batch"].as_str().unwrap());
        let rooms = synced["rooms"]["join"].as_object().into_iter().flatten();
        let mut events = rooms.flat_map(|(_, room)| room["timeline"]["events"].as_array().unwrap());
        let new = |event: &&Value| event["content"]["avatar_url"] == "mxc://example.org/a";
        if let Some(event) = events.find(new) {
            assert_eq!(event["content"]["displayname"], "Anna");
            assert_eq!(event["unsigned"]["prev_content"]["displayname"], "Anna");
            break;
        }
    }
    let members = server.get(&format!("{V3}/rooms/{room}/joined_members"), &bert).await.ok();
    let both = json!({
        "@anna:example.org": { "display_name": "Anna", "avatar_url": "mxc://example.org/a" },
        "@bert:example.org": { "display_name": null, "avatar_url": null },
    });
    assert_eq!(members["joined"], both);
}

#[tokio::test]
async fn mutual_rooms_come_in_pages() {
    let server = Server::new().await;
    let (anna, bert, carl) = (server.token("anna").await, server.token("bert").await, server.token("carl").await);
    let v1 =
        |user: &str| format!("/_matrix/client/v1/mutual_rooms?user_id={}", encoded(&format!("@{user}:example.org")));
    let mut rooms = Vec::new();
    for number in 0..3 {
        let room = server.post(&format!("{V3}/createRoom"), &anna, &json!({ "preset": "public_chat" })).await.ok();
        let room = room["room_id"].as_str().unwrap().to_owned();
        server.post(&format!("{V3}/rooms/{}/join", encoded(&room)), &bert, &json!({})).await.ok();
        if number == 0 {
            server.post(&format!("{V3}/rooms/{}/leave", encoded(&room)), &bert, &json!({})).await.ok();
        } else {
            rooms.push(room);
        }
    }
    server.post(&format!("{V3}/createRoom"), &anna, &json!({ "invite": ["@bert:example.org"] })).await.ok();
    let expected = json!({ "count": 2, "joined": rooms });
    let unstable = "/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms?user_id=%40bert:example.org";
    for path in [v1("bert"), unstable.to_owned()] {
        assert_eq!(server.get(&path, &anna).await.ok(), expected);
    }
    assert_eq!(server.get(&v1("anna"), &bert).await.ok(), expected);
    for nobody in ["carl", "nobody"] {
        assert_eq!(server.get(&v1(nobody), &anna).await.ok(), json!({ "count": 0, "joined": [] }));
    }
    server.get(&v1("anna"), &anna).await.expect_error(400, "M_INVALID_PARAM");
    server.get(&format!("{}&from=x", v1("bert")), &anna).await.expect_error(400, "M_INVALID_PARAM");
    server.get("/_matrix/client/v1/mutual_rooms?user_id=bert", &anna).await.expect_error(400, "M_INVALID_PARAM");
    server.get("/_matrix/client/v1/mutual_rooms", &anna).await.expect_error(400, "M_MISSING_PARAM");
    server.get(&v1("bert"), "").await.expect_error(401, "M_MISSING_TOKEN");
    drop(carl);
}

#[tokio::test]
async fn people_are_searched() {
    let server = Server::new().await;
    let (anna, bert) = (server.token("anna").await, server.token("bert").await);
    put(&server, &anna, "displayname", json!("Zoë Anna")).await.ok();
    put(&server, &anna, "avatar_url", json!("mxc://example.org/a")).await.ok();
    let path = format!("{V3}/user_directory/search");
    let search = async |token: &str, body: Value| server.post(&path, token, &body).await;
    let shown =
        json!({ "user_id": "@anna:example.org", "display_name": "Zoë Anna", "avatar_url": "mxc://example.org/a" });
    for term in ["zoe", "ZOË A", "@anna", "@anna:example.org"] {
        let found = search(&bert, json!({ "search_term": term })).await.ok();
        assert_eq!(found, json!({ "results": [shown], "limited": false }), "{term}");
    }
    assert_eq!(
        search(&anna, json!({ "search_term": "bert" })).await.ok()["results"][0],
        json!({ "user_id": "@bert:example.org" })
    );
    assert_eq!(search(&bert, json!({ "search_term": "" })).await.ok(), json!({ "results": [], "limited": false }));
    for number in 0..12 {
        server.token(&format!("a{number}")).await;
    }
    let found = search(&bert, json!({ "search_term": "a" })).await.ok();
    assert_eq!((found["results"].as_array().unwrap().len(), &found["limited"]), (10, &json!(true)));
    let found = search(&bert, json!({ "search_term": "a", "limit": 1_000 })).await.ok();
    assert_eq!((found["results"].as_array().unwrap().len(), &found["limited"]), (13, &json!(false)));
    search(&bert, json!({ "limit": 1 })).await.expect_error(400, "M_MISSING_PARAM");
    search(&bert, json!({ "search_term": "a", "limit": -1 })).await.expect_error(400, "M_BAD_JSON");
    search("", json!({ "search_term": "a" })).await.expect_error(401, "M_MISSING_TOKEN");
}

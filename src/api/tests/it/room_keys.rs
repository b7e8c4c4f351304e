//! Key backups over HTTP.

use http::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server, encoded};

const KEYS: &str = "/_matrix/client/v3/room_keys/keys";
const VERSION: &str = "/_matrix/client/v3/room_keys/version";

/// Anna, and what she asks.
struct Anna {
    server: Server,
    token: String,
}

impl Anna {
    async fn new() -> Self {
        let server = Server::new().await;
        let token = server.token("anna").await;
        Self { server, token }
    }

    async fn get(&self, path: &str) -> Answer {
        self.server.get(path, &self.token).await
    }

    async fn put(&self, path: &str, body: &Value) -> Answer {
        self.server.put(path, &self.token, body).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.server.ask(Method::DELETE, path, &self.token, "").await
    }

    async fn create(&self, public_key: &str) -> String {
        let made = self.server.post(VERSION, &self.token, &backup(public_key)).await.ok();
        made["version"].as_str().unwrap().to_owned()
    }

    async fn info(&self) -> Value {
        self.get(VERSION).await.ok()
    }
}

fn backup(public_key: &str) -> Value {
    let signatures = json!({ "@anna:example.org": { "ed25519:D": "sig" } });
    let auth_data = json!({ "public_key": public_key, "signatures": signatures, "more": [1.5] });
    json!({ "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": auth_data })
}

fn key(verified: bool, index: u64, forwarded: u64) -> Value {
    json!({ "is_verified": verified, "first_message_index": index, "forwarded_count": forwarded,
        "session_data": { "ephemeral": "e", "ciphertext": format!("{verified}{index}{forwarded}"), "mac": "m" } })
}

fn path(room: &str, session: &str, version: &str) -> String {
    let session = if session.is_empty() { String::new() } else { format!("/{}", encoded(session)) };
    format!("{KEYS}/{}{session}?version={version}", encoded(room))
}

const A: &str = "!a:example.org";
const B: &str = "!b:elsewhere.example";

#[tokio::test]
async fn the_life_of_a_backup() {
    let anna = Anna::new().await;
    anna.get(VERSION).await.expect_error(404, "M_NOT_FOUND");
    let first = anna.create("one").await;
    let mut expected = backup("one");
    expected["count"] = json!(0);
    let info = anna.info().await;
    expected["etag"] = info["etag"].clone();
    expected["version"] = json!(first);
    assert_eq!(info, expected);
    let second = anna.create("two").await;
    assert!(second.parse::<u64>().unwrap() > first.parse().unwrap());
    assert_eq!(anna.info().await["version"], second);
    assert_eq!(anna.get(&format!("{VERSION}/{first}")).await.ok(), expected);
    // What it says of itself changes, its algorithm does not.
    let mut changed = backup("three");
    changed["version"] = json!(second);
    anna.put(&format!("{VERSION}/{second}"), &changed).await.ok();
    assert_eq!(anna.info().await["auth_data"], changed["auth_data"]);
    anna.put(&format!("{VERSION}/{first}"), &changed).await.expect_error(400, "M_INVALID_PARAM");
    changed["algorithm"] = json!("another");
    anna.put(&format!("{VERSION}/{second}"), &changed).await.expect_error(400, "M_INVALID_PARAM");
    anna.put(&format!("{VERSION}/99"), &backup("x")).await.expect_error(404, "M_NOT_FOUND");
    // Gone, as often as it is asked; what never was is unknown.
    for _ in 0..2 {
        anna.delete(&format!("{VERSION}/{second}")).await.ok();
        anna.get(&format!("{VERSION}/{second}")).await.expect_error(404, "M_NOT_FOUND");
        assert_eq!(anna.info().await["version"], first);
    }
    for unknown in ["99", "0", "-1", "01", "x", "18446744073709551616"] {
        anna.delete(&format!("{VERSION}/{unknown}")).await.expect_error(404, "M_NOT_FOUND");
        anna.get(&format!("{VERSION}/{unknown}")).await.expect_error(404, "M_NOT_FOUND");
        anna.get(&format!("{KEYS}?version={unknown}")).await.expect_error(404, "M_NOT_FOUND");
    }
    // No number is given twice.
    let third = anna.create("three").await;
    assert!(third.parse::<u64>().unwrap() > second.parse().unwrap());
}

/// Every granularity of adding, reading and removing, with count and etag.
#[tokio::test]
async fn keys_by_session_by_room_and_all() {
    let anna = Anna::new().await;
    let version = anna.create("one").await;
    let all = format!("{KEYS}?version={version}");
    assert_eq!(anna.get(&all).await.ok(), json!({ "rooms": {} }));
    assert_eq!(anna.get(&path(A, "", &version)).await.ok(), json!({ "sessions": {} }));
    anna.get(&path(A, "s", &version)).await.expect_error(404, "M_NOT_FOUND");
    let mut etags = vec![anna.info().await["etag"].clone()];
    let mut changed = |stored: Value, count: u64, changes: bool| {
        assert_eq!(stored["count"], count);
        let known = etags.contains(&stored["etag"]);
        assert_eq!((known, changes), (!changes, changes), "{stored} after {etags:?}");
        if changes {
            etags.push(stored["etag"].clone());
        } else {
            assert_eq!(etags.last(), Some(&stored["etag"]));
        }
    };
    changed(anna.put(&path(A, "s/1", &version), &key(true, 1, 0)).await.ok(), 1, true);
    let room = json!({ "sessions": { "s/1": key(true, 1, 0), "s2": key(false, 2, 3) } });
    changed(anna.put(&path(A, "", &version), &room).await.ok(), 2, true);
    let rooms = json!({ "rooms": { A: room, B: { "sessions": { "s/1": key(true, 0, 0), "é\n": key(true, 0, 1) } } } });
    changed(anna.put(&all, &rooms).await.ok(), 4, true);
    changed(anna.put(&all, &rooms).await.ok(), 4, false);
    assert_eq!(anna.get(&all).await.ok(), rooms);
    assert_eq!(anna.get(&path(A, "", &version)).await.ok(), room);
    assert_eq!(anna.get(&path(B, "é\n", &version)).await.ok(), key(true, 0, 1));
    let info = anna.info().await;
    changed(info, 4, false);
    changed(anna.delete(&path(B, "s/1", &version)).await.ok(), 3, true);
    changed(anna.delete(&path(B, "s/1", &version)).await.ok(), 3, false);
    changed(anna.delete(&path(A, "", &version)).await.ok(), 1, true);
    changed(anna.delete(&path(A, "", &version)).await.ok(), 1, false);
    assert_eq!(anna.get(&all).await.ok(), json!({ "rooms": { B: { "sessions": { "é\n": key(true, 0, 1) } } } }));
    changed(anna.delete(&all).await.ok(), 0, true);
    changed(anna.delete(&all).await.ok(), 0, false);
    assert_eq!(anna.get(&all).await.ok(), json!({ "rooms": {} }));
    changed(anna.put(&all, &json!({ "rooms": { A: { "sessions": {} } } })).await.ok(), 0, false);
}

/// Each pair of keys that differ in one value or more, both ways: the better one stays.
#[tokio::test]
async fn the_better_key_stays() {
    let anna = Anna::new().await;
    let version = anna.create("one").await;
    // From the best to the worst.
    let values = [
        (true, 0, 0),
        (true, 0, 5),
        (true, 10, 0),
        (true, 10, 5),
        (false, 0, 0),
        (false, 0, 5),
        (false, 10, 0),
        (false, 10, 5),
    ];
    for (rank, old) in values.into_iter().enumerate() {
        for (other, new) in values.into_iter().enumerate() {
            let path = path(A, &format!("{rank}-{other}"), &version);
            let before = anna.put(&path, &key(old.0, old.1, old.2)).await.ok();
            let mut later = key(new.0, new.1, new.2);
            later["session_data"] = json!({ "ciphertext": "later" });
            let after = anna.put(&path, &later).await.ok();
            let best = if other < rank { later } else { key(old.0, old.1, old.2) };
            assert_eq!(anna.get(&path).await.ok(), best, "{old:?}, then {new:?}");
            assert_eq!(before["count"], after["count"]);
            assert_eq!(before["etag"] == after["etag"], other >= rank);
        }
    }
}

/// Keys go to the newest backup alone, and who sends them to another one is told which it is.
#[tokio::test]
async fn keys_for_another_version_are_refused() {
    let anna = Anna::new().await;
    let rooms = json!({ "rooms": { A: { "sessions": { "s": key(true, 0, 0) } } } });
    let room = json!({ "sessions": { "s": key(true, 0, 0) } });
    let refused = async |version: &str, status: u16, errcode: &str| {
        let all = anna.put(&format!("{KEYS}?version={version}"), &rooms).await;
        let of_room = anna.put(&path(A, "", version), &room).await;
        let of_session = anna.put(&path(A, "s", version), &key(true, 0, 0)).await;
        for answer in [&all, &of_room, &of_session] {
            answer.expect_error(status, errcode);
        }
        all.json()["current_version"].clone()
    };
    refused("1", 404, "M_NOT_FOUND").await;
    let first = anna.create("one").await;
    anna.put(&format!("{KEYS}?version={first}"), &rooms).await.ok();
    let second = anna.create("two").await;
    for version in [&first, "99", "x"] {
        assert_eq!(refused(version, 403, "M_WRONG_ROOM_KEYS_VERSION").await, second);
    }
    // Those of the one before are read and removed as before.
    assert_eq!(anna.get(&format!("{KEYS}?version={first}")).await.ok(), rooms);
    assert_eq!(anna.delete(&format!("{KEYS}?version={first}")).await.ok()["count"], 0);
    anna.delete(&format!("{VERSION}/{first}")).await.ok();
    for path in [format!("{KEYS}?version={first}"), path(A, "", &first), path(A, "s", &first)] {
        anna.delete(&path).await.expect_error(404, "M_NOT_FOUND");
        anna.get(&path).await.expect_error(404, "M_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_backup_is_ones_own() {
    let anna = Anna::new().await;
    let version = anna.create("one").await;
    anna.put(&path(A, "s", &version), &key(true, 0, 0)).await.ok();
    let bert = anna.server.token("bert").await;
    for path in [VERSION.to_owned(), format!("{VERSION}/{version}"), path(A, "s", &version)] {
        anna.server.get(&path, &bert).await.expect_error(404, "M_NOT_FOUND");
    }
    let all = format!("{KEYS}?version={version}");
    anna.server.ask(Method::DELETE, &all, &bert, "").await.expect_error(404, "M_NOT_FOUND");
    assert_eq!(anna.info().await["count"], 1);
}

/// What another node stored is there; so it is that a backup is gone.
#[tokio::test]
async fn two_nodes() {
    let anna = Anna::new().await;
    let other = anna.server.another(2).await;
    let version = anna.create("one").await;
    let all = format!("{KEYS}?version={version}");
    anna.put(&path(A, "s", &version), &key(true, 0, 0)).await.ok();
    let seen = other.get(&all, &anna.token).await.ok();
    assert_eq!(seen, json!({ "rooms": { A: { "sessions": { "s": key(true, 0, 0) } } } }));
    other.ask(Method::DELETE, &format!("{VERSION}/{version}"), &anna.token, "").await.ok();
    anna.get(&all).await.expect_error(404, "M_NOT_FOUND");
}

/// A backup of very many sessions comes in one answer, which is written page by page; one of which a later page cannot be read ends in the
/// middle, and is no answer.
#[tokio::test]
async fn a_large_backup_is_restored_in_one_answer() {
    let anna = Anna::new().await;
    let version = anna.create("one").await;
    let all = format!("{KEYS}?version={version}");
    let mut expected = json!({ "rooms": {} });
    for room in 0..20 {
        let sessions: serde_json::Map<String, Value> =
            (0..500).map(|session| (format!("s{session}"), key(true, session, room))).collect();
        let name = format!("!room{room}:example.org");
        expected["rooms"][&name] = json!({ "sessions": sessions });
        anna.put(&path(&name, "", &version), &expected["rooms"][&name]).await.ok();
    }
    assert_eq!(anna.info().await["count"], 10_000);
    assert_eq!(anna.get(&all).await.ok(), expected);
    let before = anna.server.faults.reads();
    anna.get(&path("!room3:example.org", "", &version)).await.ok();
    let reads_of_a_page = anna.server.faults.reads() - before;
    // Reads of one page, then of pages beyond it.
    for n in [reads_of_a_page - 1, reads_of_a_page + 1, reads_of_a_page + 6] {
        anna.server.faults.fail_read(n);
        let request = http::Request::builder().uri(&all).header("authorization", format!("Bearer {}", anna.token));
        let response =
            tower::ServiceExt::oneshot(anna.server.router.clone(), request.body(axum::body::Body::empty()).unwrap());
        let response = response.await.unwrap();
        if response.status() == 200 {
            assert!(n > reads_of_a_page && axum::body::to_bytes(response.into_body(), usize::MAX).await.is_err());
        } else {
            assert_eq!((response.status().as_u16(), n < reads_of_a_page), (503, true));
        }
        anna.server.faults.clear();
    }
}

/// What makes a session one that may be shared (Client-Server API, Sharing keys between users) is in the ciphertext; the server keeps what
/// it is given.
#[tokio::test]
async fn what_a_key_says_is_kept_as_it_was_sent() {
    let anna = Anna::new().await;
    let version = anna.create("one").await;
    let mut sent = key(true, 0, 0);
    sent["session_data"] = json!({ "shared_history": true, "n": 1.50, "deep": { "list": [null, {}] } });
    anna.put(&path(A, "s", &version), &sent).await.ok();
    assert_eq!(anna.get(&path(A, "s", &version)).await.ok(), sent);
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let anna = Anna::new().await;
    let version = anna.create("one").await;
    let long = "x".repeat(256);
    anna.put(&path(A, &long, &version), &key(true, 0, 0)).await.expect_error(400, "M_INVALID_PARAM");
    for bad in [json!([0, 0, true, {}]), json!("x"), json!(null), json!({ "session_data": {} })] {
        let rooms = json!({ "rooms": { A: { "sessions": { "s": bad } } } });
        let answer = anna.put(&format!("{KEYS}?version={version}"), &rooms).await;
        assert_eq!(answer.status, 400);
    }
    let rooms = json!({ "rooms": { "no room": { "sessions": {} } } });
    anna.put(&format!("{KEYS}?version={version}"), &rooms).await.expect_error(400, "M_BAD_JSON");
    assert_eq!(anna.info().await["count"], 0);
}

//! Fuzz targets: each body of encryption and push that is parsed by hand, changed in a few places, is taken or refused, is never the server's own
//! failure, and changes nothing where it is refused. `PROPTEST_CASES` has more of them tried.

use http::Method;
use proptest::{collection::vec, prelude::*, sample::Index, sample::select, test_runner::RngSeed};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::server::Server;

const ME: &str = "@anna:example.org";
const ID: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const ED25519: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn device_keys(device: &str) -> Value {
    let keys = json!({ format!("curve25519:{device}"): ID, format!("ed25519:{device}"): ED25519 });
    json!({ "user_id": ME, "device_id": device, "algorithms": ["m.olm.v1.curve25519-aes-sha2"], "keys": keys, "signatures": { ME: {} } })
}

fn cross(usage: &str) -> Value {
    let signatures = json!({ ME: { "ed25519:X": "c2ln" } });
    json!({ "user_id": ME, "usage": [usage], "keys": { format!("ed25519:{ID}"): ID }, "signatures": signatures })
}

/// Method, path and a body that the endpoint knows, for the device `device`.
fn bodies(device: &str) -> Vec<(Method, String, Value)> {
    let signed = json!({ "key": ID, "signatures": { ME: { format!("ed25519:{device}"): "c2ln" } } });
    let one_time = json!({ "signed_curve25519:AAAA": signed });
    let upload = json!({ "device_keys": device_keys(device), "one_time_keys": one_time, "fallback_keys": one_time });
    let key =
        json!({ "first_message_index": 1, "forwarded_count": 0, "is_verified": true, "session_data": { "a": "b" } });
    let sessions = json!({ "sessions": { "s": key } });
    let signing = json!({ "master_key": cross("master"), "self_signing_key": cross("self_signing"), "user_signing_key": cross("user_signing") });
    let dehydrated = json!({ "device_id": ID, "device_data": { "algorithm": "a" }, "device_keys": device_keys(ID) });
    let rule = json!({ "actions": ["notify", { "set_tweak": "sound", "value": "default" }],
        "conditions": [{ "kind": "event_match", "key": "type", "pattern": "a*" }, { "kind": "room_member_count", "is": ">=2" }] });
    let data = json!({ "format": "event_id_only", "url": "https://push.example.org/_matrix/push/v1/notify" });
    let pusher = json!({ "app_display_name": "a", "app_id": "a", "data": data, "device_display_name": "d", "kind": "http", "lang": "en", "pushkey": "k" });
    let bodies = [
        ("POST", "v3/keys/upload", upload),
        ("POST", "v3/keys/query", json!({ "device_keys": { ME: [device], "@bert:example.org": [] }, "timeout": 10 })),
        ("POST", "v3/keys/claim", json!({ "one_time_keys": { ME: { device: "signed_curve25519" } } })),
        ("POST", "v3/keys/signatures/upload", json!({ ME: { device: device_keys(device), ID: cross("master") } })),
        ("POST", "v3/keys/device_signing/upload", signing),
        ("PUT", "v3/sendToDevice/m.room.encrypted/1", json!({ "messages": { ME: { device: { "a": 1 }, "*": {} } } })),
        ("POST", "v3/room_keys/version", json!({ "algorithm": "a", "auth_data": { "public_key": "a" } })),
        ("PUT", "v3/room_keys/version/1", json!({ "algorithm": "a", "auth_data": {}, "version": "1" })),
        ("PUT", "v3/room_keys/keys?version=1", json!({ "rooms": { "!a:example.org": sessions } })),
        ("PUT", "v3/room_keys/keys/!a:example.org?version=1", sessions),
        ("PUT", "v3/room_keys/keys/!a:example.org/s?version=1", key),
        ("PUT", "unstable/org.matrix.msc3814.v1/dehydrated_device", dehydrated),
        ("PUT", "v3/pushrules/global/override/a", rule),
        ("PUT", "v3/pushrules/global/content/b", json!({ "actions": [], "pattern": "b" })),
        ("POST", "v3/pushers/set", pusher),
    ];
    let known =
        |(method, path, body): (&str, &str, Value)| (method.parse().unwrap(), format!("/_matrix/client/{path}"), body);
    bodies.into_iter().map(known).collect()
}

/// What happens to one place of a body; `None`: it goes.
fn change() -> impl Strategy<Value = Option<Value>> {
    let known =
        vec!["", "\0", "@", ME, "!a:b", "ed25519:", ":", "*", ID, "=", "🏥", "https://[", "notify", "9007199254740993"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(known).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from("x".repeat(70_000))),
        Just(json!([])),
        Just(json!({})),
        (select(vec!["", "\0", ":", ME, ID, "*"]), any::<i32>()).prop_map(|(name, value)| json!({ name: value })),
    ];
    prop::option::weighted(0.8, leaf)
}

/// The pointers of all places below `json`.
fn places(json: &Value, at: &str, found: &mut Vec<String>) {
    let mut below = |name: &str, child: &Value| {
        let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        found.push(place.clone());
        places(child, &place, found);
    };
    match json {
        Value::Object(members) => members.iter().for_each(|(name, child)| below(name, child)),
        Value::Array(items) => items.iter().enumerate().for_each(|(number, child)| below(&number.to_string(), child)),
        _ => {}
    }
}

fn changed(json: &mut Value, at: Index, change: Option<&Value>) {
    let mut found = Vec::new();
    places(json, "", &mut found);
    if found.is_empty() {
        return;
    }
    let place = at.get(&found);
    if let Some(value) = change {
        json.pointer_mut(place).unwrap().clone_from(value);
        return;
    }
    let (parent, name) = place.rsplit_once('/').unwrap();
    match json.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.remove(&name.replace("~1", "/").replace("~0", "~"))),
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        _ => {}
    }
}

async fn signed_in() -> (Server, String, String) {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let who = server.get("/_matrix/client/v3/account/whoami", &token).await.ok();
    // The key of interactive authentication is made when it is first needed.
    server.post("/_matrix/client/v3/register", "", &json!({})).await;
    (server, token, who["device_id"].as_str().unwrap().to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(11), ..ProptestConfig::with_cases(48) })]

    #[test]
    fn a_changed_body_is_taken_or_refused(
        changes in vec((any::<Index>(), change()), 1..4),
        flipped in any::<Option<Index>>(),
    ) {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let (server, token, device) = signed_in().await;
            for (method, path, mut sent) in bodies(&device) {
                for (at, change) in &changes {
                    changed(&mut sent, *at, change.as_ref());
                }
                let mut bytes = sent.to_string().into_bytes();
                if let Some(flipped) = &flipped {
                    let at = flipped.index(bytes.len());
                    bytes[at] ^= 1 << (at % 8);
                }
                let before = server.rows();
                let answer = server.ask(method.clone(), &path, &token, bytes).await;
                let shown = String::from_utf8_lossy(&answer.bytes);
                assert!(answer.status.as_u16() < 500 && answer.json().is_object(), "{method} {path}: {shown}");
                if !answer.status.is_success() && !answer.json()["flows"].is_array() {
                    assert_eq!(server.rows(), before, "{method} {path}: {shown}");
                }
            }
        });
    }
}

/// What the target begins with is understood, so that what it changes reaches far.
#[tokio::test]
async fn what_is_changed_is_known() {
    let (server, token, device) = signed_in().await;
    for (method, path, body) in bodies(&device) {
        let answer = server.ask(method.clone(), &path, &token, body.to_string()).await.json();
        let malformed = ["M_NOT_JSON", "M_BAD_JSON", "M_MISSING_PARAM", "M_UNRECOGNIZED"];
        assert!(malformed.iter().all(|errcode| answer["errcode"] != *errcode), "{method} {path}: {answer}");
    }
}

//! Keys and the specification's own examples.

use ruma::{
    CanonicalJsonObject, RoomId,
    room_version_rules::RoomVersionRules,
    serde::{Base64, base64::Standard},
    signatures::{PublicKeyMap, PublicKeySet, Verified, hash_and_sign_event, sign_json, verify_event, verify_json},
};
use serde_json::json;
use wardstead_accounts::Session;
use wardstead_limits::rooms::{KEY_ROTATION_MS, KEYRING_MS};
use wardstead_rooms::{RoomError, SigningKey, signing};
use wardstead_store::testing::START_MS;

use crate::{
    events::stored,
    support::{Server, kind, server},
};

/// The seed of Appendices, Cryptographic Test Vectors.
fn published() -> SigningKey {
    let seed = Base64::<Standard>::parse("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1").unwrap();
    SigningKey::from_seed(&seed.as_bytes().try_into().unwrap(), "1").unwrap()
}

/// Appendices, Signing JSON.
#[test]
fn published_json() {
    for (object, signature) in [
        (json!({}), "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"),
        (
            json!({ "one": 1, "two": "Two" }),
            "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw",
        ),
    ] {
        let mut object: CanonicalJsonObject = serde_json::from_value(object).unwrap();
        sign_json("domain", &published(), &mut object).unwrap();
        let signatures = serde_json::to_value(&object["signatures"]).unwrap();
        assert_eq!(signatures, json!({ "domain": { "ed25519:1": signature } }));
    }
}

/// Appendices, Signing events: a minimal one.
#[test]
fn published_event() {
    let mut event: CanonicalJsonObject = serde_json::from_value(json!({
        "room_id": "!x:domain",
        "sender": "@a:domain",
        "origin": "domain",
        "origin_server_ts": 1_000_000,
        "signatures": {},
        "hashes": {},
        "type": "X",
        "content": {},
        "prev_events": [],
        "auth_events": [],
        "depth": 3,
        "unsigned": { "age_ts": 1_000_000 },
    }))
    .unwrap();
    hash_and_sign_event("domain", &published(), &mut event, &RoomVersionRules::V6.redaction).unwrap();
    let event = serde_json::to_value(event).unwrap();
    assert_eq!(event["hashes"], json!({ "sha256": "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos" }));
    let signature = "KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg";
    assert_eq!(event["signatures"], json!({ "domain": { "ed25519:1": signature } }));
}

/// One installation has one key, whichever node asks first, and after every restart.
#[tokio::test]
async fn one_key_for_all_nodes() {
    let first = server().await;
    let (a, b) = (first.node(2).await, first.node(3).await);
    let (a, b) = (a.signing_key(), b.signing_key());
    assert_eq!((a.version(), a.public_key()), (b.version(), b.public_key()));
    assert_eq!(a.public_key(), first.signing_key().public_key());

    let (engine, clock) = wardstead_store::testing::engine();
    let mut stores = Vec::new();
    for seed in 0..4 {
        stores.push(wardstead_store::testing::over(engine.clone(), "example.org", clock.clone(), seed).await.unwrap());
    }
    let keys = stores.iter().map(|store| signing::load_or_create(store, store.rng().as_ref()));
    let keys = futures::future::try_join_all(keys).await.unwrap();
    let keys: Vec<_> = keys.iter().map(|keyring| keyring.at(START_MS)).collect();
    assert!(keys.iter().all(|key| key.public_key() == keys[0].public_key() && key.version() == keys[0].version()));
}

/// The keys that `server` publishes, by where they stand; each current one has signed the answer.
async fn published_by(server: &Server) -> (PublicKeySet, Vec<(String, u64)>) {
    let answer = server.published_keys().await.unwrap();
    let json = serde_json::to_value(&answer).unwrap();
    let public = |of: &serde_json::Value| -> PublicKeySet {
        let keys = of.as_object().unwrap().iter();
        keys.map(|(id, key)| (id.clone(), Base64::parse(key["key"].as_str().unwrap()).unwrap())).collect()
    };
    let current = public(&json["verify_keys"]);
    for key in &current {
        let only =
            PublicKeyMap::from([("example.org".to_owned(), PublicKeySet::from([(key.0.clone(), key.1.clone())]))]);
        verify_json(&only, &answer).unwrap();
    }
    assert_eq!(json["server_name"], "example.org");
    assert!(json["valid_until_ts"].as_u64().unwrap() > server.store.clock().now_ms() + 3_600_000);
    let old = json["old_verify_keys"].as_object().unwrap().iter();
    let old = old.map(|(id, key)| (id.clone(), key["expired_ts"].as_u64().unwrap())).collect();
    let mut all = current;
    all.extend(public(&json["old_verify_keys"]));
    (all, old)
}

/// The id of the one key that signed an event.
async fn signed_with(server: &Server, by: &Session, room: &RoomId, body: &str, keys: &PublicKeySet) -> String {
    let event = server.say(by, room, body).await.unwrap();
    let short = server.rooms.room(room).await.unwrap().unwrap().short;
    let (_, pdu) = stored(server, short).await.into_iter().find(|(id, _)| *id == event.as_str()).unwrap();
    let rules = RoomVersionRules::V12;
    let known = PublicKeyMap::from([("example.org".to_owned(), keys.clone())]);
    assert_eq!(verify_event(&known, &pdu, &rules).unwrap(), Verified::All, "{body}");
    let signatures = serde_json::to_value(&pdu["signatures"]).unwrap();
    let ids: Vec<&String> = signatures["example.org"].as_object().unwrap().keys().collect();
    assert_eq!(ids.len(), 1);
    ids[0].clone()
}

/// The new key is published before it signs; from its moment on every node signs with it; the old one stays published.
#[tokio::test]
async fn a_key_takes_the_place_of_another() {
    let server = server().await;
    let node = server.node(2).await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    let first = format!("ed25519:{}", server.signing_key().version());
    let rotated = signing::rotate(&server.store).await.unwrap();
    assert_ne!(rotated.key_id, first);
    assert_eq!(rotated.from_ms, server.store.clock().now_ms() + KEY_ROTATION_MS);
    assert_eq!(kind(signing::rotate(&server.store).await), "busy", "one after the other");

    let (keys, old) = published_by(&node).await;
    assert!(keys.contains_key(&first) && keys.contains_key(&rotated.key_id) && old.is_empty());
    for on in [&server, &node] {
        assert_eq!(signed_with(on, &ada, &room, "before", &keys).await, first);
    }
    server.clock.advance_ms(KEY_ROTATION_MS - 1);
    assert_eq!(signed_with(&node, &ada, &room, "just before", &keys).await, first);
    server.clock.advance_ms(1);
    for on in [&server, &node, &server.node(3).await] {
        assert_eq!(signed_with(on, &ada, &room, "after", &keys).await, rotated.key_id);
    }
    let (keys, old) = published_by(&server).await;
    assert_eq!(old, [(first.clone(), rotated.from_ms)]);
    assert_eq!(keys.len(), 2, "what the old one signed can still be verified");
    // And again.
    let third = signing::rotate(&node.store).await.unwrap();
    server.clock.advance_ms(KEY_ROTATION_MS);
    let (keys, old) = published_by(&node).await;
    assert_eq!((keys.len(), old.len()), (3, 2));
    assert_eq!(signed_with(&server, &ada, &room, "third", &keys).await, third.key_id);
    const { assert!(KEY_ROTATION_MS > 2 * KEYRING_MS) };
}

/// Of two that rotate at once one does.
#[tokio::test]
async fn two_rotations_at_once_are_one() {
    let server = server().await;
    let node = server.node(2).await;
    let (one, other) = tokio::join!(signing::rotate(&server.store), signing::rotate(&node.store));
    let busy = |result: &Result<_, RoomError>| matches!(result, Err(RoomError::Busy(_)));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    assert!(busy(&one) || busy(&other));
}

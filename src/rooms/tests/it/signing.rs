//! Keys and the specification's own examples.

use ruma::{
    CanonicalJsonObject,
    room_version_rules::RoomVersionRules,
    serde::{Base64, base64::Standard},
    signatures::{hash_and_sign_event, sign_json},
};
use serde_json::json;
use wardstead_rooms::{SigningKey, signing};

use crate::support::server;

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
    assert!(keys.iter().all(|key| key.public_key() == keys[0].public_key() && key.version() == keys[0].version()));
}

//! What other servers verify this one's signatures with.

use ruma::{
    CanonicalJsonObject,
    serde::Base64,
    signatures::{PublicKeyMap, PublicKeySet, verify_json},
};
use wardstead_limits::rooms::KEY_ROTATION_MS;
use wardstead_rooms::signing;

use crate::server::Server;

const PATH: &str = "/_matrix/key/v2/server";

/// The answer and its current keys, by which it is signed.
async fn asked(server: &Server) -> (serde_json::Value, PublicKeySet) {
    let answer = server.get(PATH, "").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    let json = answer.ok();
    let object: CanonicalJsonObject = serde_json::from_slice(&answer.bytes).unwrap();
    let keys: PublicKeySet = json["verify_keys"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(id, key)| (id.clone(), Base64::parse(key["key"].as_str().unwrap()).unwrap()))
        .collect();
    for (id, key) in &keys {
        let only = PublicKeySet::from([(id.clone(), key.clone())]);
        verify_json(&PublicKeyMap::from([("example.org".to_owned(), only)]), &object).unwrap();
    }
    // A changed answer is not this server's.
    let mut forged = object;
    forged.insert("valid_until_ts".to_owned(), ruma::int!(1).into());
    assert!(verify_json(&PublicKeyMap::from([("example.org".to_owned(), keys.clone())]), &forged).is_err());
    (json, keys)
}

#[tokio::test]
async fn the_keys_are_published_and_signed_by_themselves() {
    let server = Server::new().await;
    let (json, first) = asked(&server).await;
    assert_eq!((json["server_name"].as_str(), first.len()), (Some("example.org"), 1));
    assert_eq!(json["old_verify_keys"], serde_json::json!({}));
    signing::rotate(&server.store).await.unwrap();
    let (_, both) = asked(&server).await;
    assert_eq!(both.len(), 2, "the next one before it signs");
    server.clock.advance_ms(KEY_ROTATION_MS);
    let (json, second) = asked(&server.another(2).await).await;
    assert_eq!(second.len(), 1);
    let old = json["old_verify_keys"].as_object().unwrap();
    let (id, key) = first.first_key_value().unwrap();
    assert_eq!(old[id]["key"].as_str(), Some(key.encode().as_str()));
    assert!(old[id]["expired_ts"].is_u64() && !second.contains_key(id));
}

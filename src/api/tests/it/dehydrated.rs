//! Dehydrated devices over HTTP (MSC3814).

use http::Method;
use serde_json::{Value, json};

use crate::server::{Server, encoded};

const PATH: &str = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";
const ID: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn device(id: &str, pickle: &str) -> Value {
    let keys = json!({ format!("curve25519:{id}"): ID, format!("ed25519:{id}"): "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" });
    let algorithms = ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"];
    let device_keys = json!({ "user_id": "@anna:example.org", "device_id": id, "algorithms": algorithms, "keys": keys,
        "dehydrated": true, "signatures": {} });
    json!({ "device_id": id, "device_keys": device_keys, "initial_device_display_name": "Dehydrated",
        "device_data": { "algorithm": "org.matrix.msc3814.v2", "device_pickle": pickle, "nonce": "n" } })
}

/// Uploaded, found, asked for its messages in both forms, replaced, and removed in either way.
#[tokio::test]
async fn the_life_of_a_dehydrated_device() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let delete = async || server.ask(Method::DELETE, PATH, &anna, "").await;
    server.get(PATH, &anna).await.expect_error(404, "M_NOT_FOUND");
    delete().await.expect_error(404, "M_NOT_FOUND");
    let events = format!("{PATH}/{}/events", encoded(ID));
    server.get(&events, &anna).await.expect_error(403, "M_FORBIDDEN");
    for pickle in ["one", "two"] {
        let sent = device(ID, pickle);
        assert_eq!(server.put(PATH, &anna, &sent).await.ok(), json!({ "device_id": ID }));
        let found = server.get(PATH, &anna).await.ok();
        assert_eq!(found, json!({ "device_id": ID, "device_data": sent["device_data"] }));
    }
    let devices = server.get("/_matrix/client/v3/devices", &anna).await.ok();
    let named =
        |devices: &Value| devices["devices"].as_array().unwrap().iter().filter(|d| d["device_id"] == ID).count();
    assert_eq!(named(&devices), 1);
    assert_eq!(server.get(&events, &anna).await.ok(), json!({ "events": [] }));
    let old_form = server.post(&events, &anna, &json!({})).await.ok();
    assert_eq!(old_form["events"], json!([]));
    let rest = server.post(&events, &anna, &json!({ "next_batch": old_form["next_batch"] })).await.ok();
    assert_eq!(rest["events"], json!([]));
    server.get(&format!("{events}?from=x"), &anna).await.expect_error(400, "M_INVALID_PARAM");
    let bert = server.token("bert").await;
    server.get(PATH, &bert).await.expect_error(404, "M_NOT_FOUND");
    server.get(&events, &bert).await.expect_error(403, "M_FORBIDDEN");
    let another = server.another(2).await;
    assert_eq!(another.get(PATH, &anna).await.ok()["device_id"], ID);
    assert_eq!(delete().await.ok(), json!({ "device_id": ID }));
    another.get(PATH, &anna).await.expect_error(404, "M_NOT_FOUND");
    assert_eq!(named(&server.get("/_matrix/client/v3/devices", &anna).await.ok()), 0);
}

/// Without keys of its own it would get nothing; under the name of a device that is signed in it would take that one's place.
#[tokio::test]
async fn what_is_no_dehydrated_device_is_refused() {
    let server = Server::new().await;
    let anna = server.token("anna").await;
    let own =
        server.get("/_matrix/client/v3/account/whoami", &anna).await.ok()["device_id"].as_str().unwrap().to_owned();
    server.put(PATH, &anna, &device(&own, "one")).await.expect_error(400, "M_INVALID_PARAM");
    let mut without = device(ID, "one");
    without.as_object_mut().unwrap().remove("device_keys");
    server.put(PATH, &anna, &without).await.expect_error(400, "M_MISSING_PARAM");
    let mut large = device(ID, &"x".repeat(wardstead_limits::e2ee::DEHYDRATED_DATA_BYTES));
    server.put(PATH, &anna, &large).await.expect_error(413, "M_TOO_LARGE");
    large["device_data"] = json!("text");
    server.put(PATH, &anna, &large).await.expect_error(400, "M_BAD_JSON");
    server.get(PATH, &anna).await.expect_error(404, "M_NOT_FOUND");
}

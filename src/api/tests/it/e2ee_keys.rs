//! Keys of devices and users: what is uploaded, what others are given, and that every signature is looked at.

mod counts;
mod cross;
mod faults;
mod signer;

use serde_json::{Value, json};

use self::signer::{Device, V3, added, device, secret, sign, without_signatures};
use crate::server::Server;

const FORGED: &str = "M_INVALID_SIGNATURE";

async fn counts(server: &Server, device: &Device) -> Value {
    device.upload(server, &json!({})).await.ok()["one_time_key_counts"].clone()
}

async fn query(server: &Server, by: &Device, users: &Value) -> Value {
    server.post(&format!("{V3}/keys/query"), &by.token, &json!({ "device_keys": users })).await.ok()
}

async fn claim(server: &Server, by: &Device, whose: &Device) -> Value {
    let wanted = json!({ "one_time_keys": { &whose.user: { whose.id: "signed_curve25519" } } });
    let claimed = server.post(&format!("{V3}/keys/claim"), &by.token, &wanted).await.ok();
    claimed["one_time_keys"][&whose.user][whose.id].clone()
}

#[tokio::test]
async fn keys_are_uploaded_shown_and_claimed_in_the_order_of_upload() {
    let server = Server::new().await;
    let anna = device(&server, "anna", "LAPTOP", 1).await;
    let bert = device(&server, "bert", "PHONE", 2).await;
    let keys = anna.keys();
    let (second, first) = (anna.one_time("signed_curve25519:A", 7), anna.one_time("signed_curve25519:B", 8));
    // In the order of the body, which is not that of the names.
    let body = format!(
        r#"{{"device_keys":{keys},"one_time_keys":{{"signed_curve25519:B":{first},"signed_curve25519:A":{second},"org.example.x:1":{first}}},
        "fallback_keys":{{"signed_curve25519:F":{second}}}}}"#
    );
    let uploaded = server.ask(http::Method::POST, &format!("{V3}/keys/upload"), &anna.token, body).await.ok();
    assert_eq!(uploaded, json!({ "one_time_key_counts": { "signed_curve25519": 2, "org.example.x": 1 } }));

    let asked = json!({ "@anna:example.org": [], "@nobody:example.org": [], "@carl:elsewhere.org": ["X"] });
    let shown = query(&server, &bert, &asked).await;
    let mut expected = keys.clone();
    expected["unsigned"] = json!({ "device_display_name": "anna's LAPTOP" });
    assert_eq!(shown["device_keys"], json!({ "@anna:example.org": { "LAPTOP": expected }, "@nobody:example.org": {} }));
    assert!(shown["failures"]["elsewhere.org"].is_object());
    assert_eq!(
        query(&server, &bert, &json!({ "@anna:example.org": ["LAPTOP", "TABLET"] })).await["device_keys"],
        shown["device_keys"].as_object().map(|all| json!({ "@anna:example.org": all["@anna:example.org"] })).unwrap()
    );

    assert_eq!(claim(&server, &bert, &anna).await, json!({ "signed_curve25519:B": first }));
    assert_eq!(claim(&server, &bert, &anna).await, json!({ "signed_curve25519:A": second }));
    let fallback = json!({ "signed_curve25519:F": second });
    assert_eq!([claim(&server, &bert, &anna).await, claim(&server, &bert, &anna).await], [fallback.clone(), fallback]);
    let other = json!({ "one_time_keys": {
        "@anna:example.org": { "LAPTOP": "org.example.x", "TABLET": "org.example.x" }, "@carl:elsewhere.org": { "X": "y" },
        "@bert:example.org": { "PHONE": "signed_curve25519" },
    } });
    let claimed = server.post(&format!("{V3}/keys/claim"), &bert.token, &other).await.ok();
    assert_eq!(claimed["one_time_keys"], json!({ "@anna:example.org": { "LAPTOP": { "org.example.x:1": first } } }));
    assert!(claimed["failures"]["elsewhere.org"].is_object());
    assert_eq!(counts(&server, &anna).await, json!({ "signed_curve25519": 0 }));
}

#[tokio::test]
async fn uploading_again_writes_nothing_and_brings_no_claimed_key_back() {
    let server = Server::new().await;
    let anna = device(&server, "anna", "LAPTOP", 1).await;
    let key = |id: &str, seed| (id.to_owned(), anna.one_time(id, seed));
    let some: Value = [key("signed_curve25519:1", 7), key("signed_curve25519:2", 8)].into_iter().collect();
    let body = json!({ "device_keys": anna.keys(), "one_time_keys": some, "fallback_keys": { "signed_curve25519:F": anna.one_time("", 9) } });
    anna.upload(&server, &body).await.ok();
    let before = server.rows();
    let again = anna.upload(&server, &body).await.ok();
    assert_eq!(again["one_time_key_counts"], json!({ "signed_curve25519": 2 }));
    // Without its signature the device's keys are the same keys.
    anna.upload(&server, &json!({ "device_keys": without_signatures(&anna.keys()) })).await.ok();
    assert_eq!(added(&before, &server.rows()), Vec::<String>::new());

    claim(&server, &anna, &anna).await;
    let counted = anna.upload(&server, &body).await.ok();
    assert_eq!(counted["one_time_key_counts"], json!({ "signed_curve25519": 1 }), "a claimed key does not come back");
    let other = json!({ "one_time_keys": { "signed_curve25519:2": anna.one_time("", 10) } });
    let refused = anna.upload(&server, &other).await;
    refused.expect_error(400, "M_UNKNOWN");
    assert!(refused.json()["error"].as_str().unwrap().starts_with("One time key signed_curve25519:2 already exists"));
    let claimed = json!({ "one_time_keys": { "signed_curve25519:1": anna.one_time("", 10) } });
    anna.upload(&server, &claimed).await.expect_error(400, "M_UNKNOWN");
    // New ones come beside those that are there.
    let more = json!({ "one_time_keys": { "signed_curve25519:2": anna.one_time("", 8), "signed_curve25519:3": anna.one_time("", 11) } });
    assert_eq!(anna.upload(&server, &more).await.ok()["one_time_key_counts"], json!({ "signed_curve25519": 2 }));
}

#[tokio::test]
async fn forged_uploads_of_a_device_are_refused_and_nothing_is_stored() {
    let server = Server::new().await;
    let anna = device(&server, "anna", "LAPTOP", 1).await;
    let bert = device(&server, "bert", "LAPTOP", 2).await;
    let mut unsigned_first = json!({ "one_time_keys": { "signed_curve25519:1": anna.one_time("", 7) } });
    anna.upload(&server, &unsigned_first).await.expect_error(400, FORGED);
    anna.upload(&server, &json!({ "device_keys": anna.keys() })).await.ok();
    unsigned_first["one_time_keys"]["signed_curve25519:1"] = without_signatures(&anna.one_time("", 7));

    let mut changed = anna.keys();
    changed["algorithms"] = json!(["org.example.other"]);
    let mut other_key = anna.keys();
    sign(&mut other_key, &anna.user, "OTHER", &secret(1));
    let mut other_user = anna.keys();
    sign(&mut other_user, "@bert:example.org", "LAPTOP", &secret(2));
    let mut other_algorithm = anna.keys();
    other_algorithm["signatures"][&anna.user]["rsa:LAPTOP"] = json!("x");
    let mut misnamed = anna.one_time("", 7);
    misnamed["signatures"] =
        json!({ &anna.user: { "ed25519:PHONE": misnamed["signatures"][&anna.user]["ed25519:LAPTOP"] } });
    let mut turned = anna.one_time("", 7);
    turned["key"] = anna.one_time("", 8)["key"].clone();
    let good = anna.one_time("", 6);
    let one = |key: &Value| json!({ "one_time_keys": { "signed_curve25519:0": good, "signed_curve25519:1": key } });
    let forged = [
        ("a device key that was changed", json!({ "device_keys": changed })),
        ("unsigned keys for signed ones", json!({ "device_keys": without_signatures(&changed) })),
        ("a signature of an unknown key", json!({ "device_keys": other_key })),
        ("a signature of another user", json!({ "device_keys": other_user })),
        ("a signature in another algorithm", json!({ "device_keys": other_algorithm })),
        ("the keys of another user", json!({ "device_keys": bert.keys() })),
        ("a one-time key without signature", unsigned_first),
        ("a bare one-time key", one(&json!("7fUa5mI1hIbQQzSqCfvIStgQu7d0ytvIFbMdxwF1Q2E"))),
        ("a one-time key of another device", one(&bert.one_time("", 7))),
        ("a one-time key under the name of another key", one(&misnamed)),
        ("a one-time key that was changed", one(&turned)),
        (
            "a fallback key without signature",
            json!({ "fallback_keys": { "signed_curve25519:F": without_signatures(&good) } }),
        ),
        (
            "a fallback key that was changed",
            json!({ "one_time_keys": { "signed_curve25519:0": good }, "fallback_keys": { "signed_curve25519:F": turned } }),
        ),
    ];
    let before = server.rows();
    for (what, body) in forged {
        let answer = anna.upload(&server, &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["errcode"].as_str()),
            (400, Some(FORGED)),
            "{what}: {}",
            answer.json()
        );
        assert_eq!(added(&before, &server.rows()), Vec::<String>::new(), "{what}");
    }
    anna.upload(&server, &json!({ "device_keys": { "user_id": anna.user, "device_id": "LAPTOP" } }))
        .await
        .expect_error(400, "M_BAD_JSON");
    let twice = format!(r#"{{"one_time_keys":{{"signed_curve25519:1":{good},"signed_curve25519:1":{good}}}}}"#);
    server
        .ask(http::Method::POST, &format!("{V3}/keys/upload"), &anna.token, twice)
        .await
        .expect_error(400, "M_BAD_JSON");
    let many: Value =
        (0..501).map(|id| (format!("signed_curve25519:{id}"), json!({}))).collect::<serde_json::Map<_, _>>().into();
    anna.upload(&server, &json!({ "one_time_keys": many })).await.expect_error(413, "M_TOO_LARGE");
}

#[tokio::test]
async fn identity_keys_that_are_signed_do_not_change_and_others_take_their_one_time_keys_along() {
    let server = Server::new().await;
    let anna = device(&server, "anna", "LAPTOP", 1).await;
    let keys = without_signatures(&anna.keys());
    anna.upload(&server, &json!({ "device_keys": keys })).await.ok();
    let shown = query(&server, &anna, &json!({ "@anna:example.org": [] })).await;
    assert_eq!(shown["device_keys"]["@anna:example.org"]["LAPTOP"]["signatures"], json!({}), "served unsigned");
    let some = json!({ "one_time_keys": { "signed_curve25519:1": anna.one_time("", 7) }, "fallback_keys": { "signed_curve25519:F": anna.one_time("", 8) } });
    anna.upload(&server, &some).await.ok();

    let renewed = Device { seed: 9, ..anna.clone() };
    let again =
        json!({ "device_keys": renewed.keys(), "one_time_keys": { "signed_curve25519:1": renewed.one_time("", 7) } });
    assert_eq!(renewed.upload(&server, &again).await.ok()["one_time_key_counts"], json!({ "signed_curve25519": 1 }));
    let claimed = claim(&server, &anna, &anna).await;
    assert_eq!(
        claimed,
        json!({ "signed_curve25519:1": renewed.one_time("", 7) }),
        "signed with the key that others see"
    );
    assert_eq!(claim(&server, &anna, &anna).await, Value::Null, "the fallback key of before is gone");
    let before = server.rows();
    anna.upload(&server, &json!({ "device_keys": anna.keys() })).await.expect_error(400, "M_INVALID_PARAM");
    assert_eq!(added(&before, &server.rows()), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_backup_says_to_be_signed_by_a_known_key_is_verified() {
    let server = Server::new().await;
    let anna = device(&server, "anna", "LAPTOP", 1).await;
    anna.upload(&server, &json!({ "device_keys": anna.keys() })).await.ok();
    let master = secret(3);
    let mut auth_data = json!({ "public_key": "k" });
    sign(&mut auth_data, &anna.user, "LAPTOP", &anna.secret());
    sign(&mut auth_data, &anna.user, &master.public_key().to_base64(), &master);
    // Of a device that is gone, and of somebody else.
    auth_data["signatures"][&anna.user]["ed25519:GONE"] = json!("x");
    auth_data["signatures"]["@bert:example.org"] = json!({ "ed25519:LAPTOP": "y" });
    let path = format!("{V3}/room_keys/version");
    let body =
        |auth_data: &Value| json!({ "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": auth_data });
    let version = server.post(&path, &anna.token, &body(&auth_data)).await.ok()["version"].clone();
    let before = server.rows();
    for name in ["LAPTOP".to_owned(), master.public_key().to_base64()] {
        let mut forged = auth_data.clone();
        forged["signatures"][&anna.user][format!("ed25519:{name}")] =
            auth_data["signatures"][&anna.user]["ed25519:GONE"].clone();
        server.post(&path, &anna.token, &body(&forged)).await.expect_error(400, FORGED);
        let mut changed = body(&auth_data);
        changed["auth_data"]["public_key"] = json!("l");
        let path = format!("{path}/{}", version.as_str().unwrap());
        server.put(&path, &anna.token, &changed).await.expect_error(400, FORGED);
    }
    assert_eq!(added(&before, &server.rows()), Vec::<String>::new());
}

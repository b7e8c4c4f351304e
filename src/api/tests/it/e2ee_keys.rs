//! Keys of devices and users: what is uploaded, what others are given, and that every signature is looked at.

mod signer;

use serde_json::{Value, json};

use self::signer::{CrossKeys, Device, V3, added, device, secret, sign, without_signatures};
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
async fn cross_signing_keys_are_kept_once_and_replaced_only_when_confirmed() {
    let server = Server::new().await;
    let anna = device(&server, "anna", "LAPTOP", 1).await;
    let bert = device(&server, "bert", "PHONE", 2).await;
    anna.upload(&server, &json!({ "device_keys": anna.keys() })).await.ok();
    let cross = CrossKeys::new(&anna.user, 20);
    let mut body = cross.body();
    sign(&mut body["master_key"], &anna.user, "LAPTOP", &anna.secret());
    anna.cross_sign(&server, &body).await.ok();
    let before = server.rows();
    anna.cross_sign(&server, &body).await.ok();
    anna.cross_sign(&server, &json!({ "master_key": body["master_key"] })).await.ok();
    assert_eq!(added(&before, &server.rows()), Vec::<String>::new(), "idempotent, and without a question");

    let users = json!({ "@anna:example.org": [] });
    let own = query(&server, &anna, &users).await;
    for (name, key) in [
        ("master_keys", "master_key"),
        ("self_signing_keys", "self_signing_key"),
        ("user_signing_keys", "user_signing_key"),
    ] {
        assert_eq!(own[name]["@anna:example.org"], body[key], "{name}");
    }
    let others = query(&server, &bert, &users).await;
    assert_eq!((&others["master_keys"], &others["user_signing_keys"]), (&own["master_keys"], &json!({})));

    let next = CrossKeys::new(&anna.user, 30);
    anna.cross_sign(&server, &next.body()).await;
    // The key of the sessions is there now.
    let before = server.rows();
    let asked = anna.cross_sign(&server, &next.body()).await;
    assert_eq!(asked.status, 401);
    assert_eq!(asked.json()["flows"], json!([{ "stages": ["m.login.password"] }]));
    assert_eq!(added(&before, &server.rows()), Vec::<String>::new());
    let confirm = |mut body: Value, session: &Value| {
        body["auth"] = json!({
            "type": "m.login.password", "identifier": { "type": "m.id.user", "user": "anna" },
            "password": "correct horse", "session": session,
        });
        body
    };
    let session = asked.json()["session"].clone();
    // What is confirmed is this and nothing else.
    let third = CrossKeys::new(&anna.user, 40);
    assert_eq!(
        anna.cross_sign(&server, &json!({ "master_key": third.body()["master_key"], "auth": { "session": session } }))
            .await
            .status,
        401
    );
    let confirmed = confirm(next.body(), &session);
    anna.cross_sign(&server, &confirmed).await.ok();
    anna.cross_sign(&server, &confirmed).await.ok();
    let shown = query(&server, &anna, &users).await;
    assert_eq!(shown["master_keys"]["@anna:example.org"], next.body()["master_key"]);
    assert_eq!(shown["user_signing_keys"]["@anna:example.org"], next.body()["user_signing_key"]);

    // Replayed: signed by the master key of before.
    let before = server.rows();
    let replayed =
        json!({ "self_signing_key": body["self_signing_key"], "user_signing_key": body["user_signing_key"] });
    anna.cross_sign(&server, &replayed).await.expect_error(400, FORGED);
    let session = anna.cross_sign(&server, &body).await.json()["session"].clone();
    assert!(session.is_string(), "the keys of before are other keys: to be confirmed");
    assert_eq!(added(&before, &server.rows()), Vec::<String>::new());
}

#[tokio::test]
async fn forged_cross_signing_keys_are_refused_and_nothing_is_stored() {
    let server = Server::new().await;
    let anna = device(&server, "anna", "LAPTOP", 1).await;
    let bert = device(&server, "bert", "PHONE", 2).await;
    anna.upload(&server, &json!({ "device_keys": anna.keys() })).await.ok();
    let cross = CrossKeys::new(&anna.user, 20);
    let good = cross.body();
    let with = |key: &str, change: &dyn Fn(&mut Value)| {
        let mut body = good.clone();
        change(&mut body[key]);
        body
    };
    let unsigned = |key: &str| with(key, &|key| *key = without_signatures(key));
    let forged = [
        ("a self-signing key without signature", unsigned("self_signing_key")),
        ("a user-signing key without signature", unsigned("user_signing_key")),
        ("keys of another user", CrossKeys::new(&bert.user, 20).body()),
        ("a key that was changed", with("self_signing_key", &|key| key["more"] = json!(1))),
        (
            "a key signed by itself",
            with("self_signing_key", &|key| {
                *key = without_signatures(key);
                sign(key, &anna.user, &CrossKeys::name(&secret(21)), &secret(21));
            }),
        ),
        (
            "a master key signed by a device that is unknown",
            with("master_key", &|key| sign(key, &anna.user, "PHONE", &secret(2))),
        ),
        (
            "a master key that its device did not sign",
            with("master_key", &|key| sign(key, &anna.user, "LAPTOP", &secret(2))),
        ),
        (
            "a master key under another name",
            with("master_key", &|key| {
                key["keys"] = json!({ "ed25519:other": CrossKeys::name(&secret(20)) });
            }),
        ),
    ];
    let before = server.rows();
    for (what, body) in forged {
        let answer = anna.cross_sign(&server, &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["errcode"].as_str()),
            (400, Some(FORGED)),
            "{what}: {}",
            answer.json()
        );
        assert_eq!(added(&before, &server.rows()), Vec::<String>::new(), "{what}");
    }
    let alone = json!({ "self_signing_key": good["self_signing_key"] });
    anna.cross_sign(&server, &alone).await.expect_error(400, "M_MISSING_PARAM");
    let swapped = json!({ "master_key": good["self_signing_key"] });
    anna.cross_sign(&server, &swapped).await.expect_error(400, "M_INVALID_PARAM");
    let named = CrossKeys::name(&secret(50)).leak();
    let twin = device(&server, "carl", named, 3).await;
    twin.cross_sign(&server, &CrossKeys::new(&twin.user, 50).body()).await.expect_error(403, "M_FORBIDDEN");
}

/// Anna signs her own devices for everybody, and Bert for herself alone.
#[tokio::test]
async fn signatures_are_shown_to_those_who_may_see_them() {
    let server = Server::new().await;
    let anna = device(&server, "anna", "LAPTOP", 1).await;
    let bert = device(&server, "bert", "PHONE", 2).await;
    let (annas, berts) = (CrossKeys::new(&anna.user, 20), CrossKeys::new(&bert.user, 30));
    for (device, cross) in [(&anna, &annas), (&bert, &berts)] {
        device.upload(&server, &json!({ "device_keys": device.keys() })).await.ok();
        device.cross_sign(&server, &cross.body()).await.ok();
    }
    let mut laptop = without_signatures(&anna.keys());
    sign(&mut laptop, &anna.user, &annas.self_signing(), &secret(21));
    let mut master = annas.body()["master_key"].clone();
    sign(&mut master, &anna.user, "LAPTOP", &anna.secret());
    let mut of_bert = berts.body()["master_key"].clone();
    sign(&mut of_bert, &anna.user, &annas.user_signing(), &secret(22));
    let signed = json!({
        &anna.user: { "LAPTOP": laptop, annas.master(): master }, &bert.user: { berts.master(): of_bert },
    });
    assert_eq!(anna.sign_keys(&server, &signed).await, json!({}));
    let before = server.rows();
    assert_eq!(anna.sign_keys(&server, &signed).await, json!({}));
    assert_eq!(added(&before, &server.rows()), Vec::<String>::new());

    let users = json!({ &anna.user: [], &bert.user: [] });
    let (to_anna, to_bert) = (query(&server, &anna, &users).await, query(&server, &bert, &users).await);
    for shown in [&to_anna, &to_bert] {
        let device = &shown["device_keys"][&anna.user]["LAPTOP"]["signatures"][&anna.user];
        assert_eq!(
            device[format!("ed25519:{}", annas.self_signing())],
            laptop["signatures"][&anna.user][format!("ed25519:{}", annas.self_signing())]
        );
        assert!(device["ed25519:LAPTOP"].is_string(), "the device's own stays");
        assert_eq!(shown["master_keys"][&anna.user], master);
    }
    assert_eq!(to_anna["master_keys"][&bert.user], of_bert);
    assert_eq!(
        to_bert["master_keys"][&bert.user],
        berts.body()["master_key"],
        "whom Anna has verified is hers to know"
    );

    // A device with another name is told with its keys; one that goes takes its signatures along.
    let path = format!("{V3}/devices/LAPTOP");
    server.put(&path, &anna.token, &json!({ "display_name": "Ward 7" })).await.ok();
    let shown = query(&server, &bert, &users).await;
    assert_eq!(shown["device_keys"][&anna.user]["LAPTOP"]["unsigned"], json!({ "device_display_name": "Ward 7" }));
    let tablet = signer::login(&server, "anna", "TABLET", 4).await;
    let body =
        json!({ "device_keys": tablet.keys(), "one_time_keys": { "signed_curve25519:1": tablet.one_time("", 7) } });
    tablet.upload(&server, &body).await.ok();
    server.post(&format!("{V3}/logout"), &anna.token, &json!({})).await.ok();
    let shown = query(&server, &bert, &users).await;
    assert_eq!(shown["device_keys"][&anna.user].as_object().unwrap().keys().collect::<Vec<_>>(), ["TABLET"]);
    assert_eq!(shown["master_keys"][&anna.user], annas.body()["master_key"]);
    server.post(&format!("{V3}/logout/all"), &tablet.token, &json!({})).await.ok();
    assert_eq!(claim(&server, &bert, &tablet).await, Value::Null);
}

#[tokio::test]
async fn forged_signatures_are_named_and_not_kept() {
    let server = Server::new().await;
    let anna = device(&server, "anna", "LAPTOP", 1).await;
    let bert = device(&server, "bert", "PHONE", 2).await;
    let (annas, berts) = (CrossKeys::new(&anna.user, 20), CrossKeys::new(&bert.user, 30));
    for (device, cross) in [(&anna, &annas), (&bert, &berts)] {
        device.upload(&server, &json!({ "device_keys": device.keys() })).await.ok();
        device.cross_sign(&server, &cross.body()).await.ok();
    }
    let signed = |key: &Value, user: &str, name: &str, seed: u8| {
        let mut key = without_signatures(key);
        sign(&mut key, user, name, &secret(seed));
        key
    };
    let (keys, master) = (anna.keys(), berts.body()["master_key"].clone());
    let mut changed = anna.keys();
    changed["algorithms"] = json!([]);
    let cases = [
        ("forged", &anna.user, "LAPTOP".to_owned(), signed(&keys, &anna.user, &annas.self_signing(), 22), FORGED),
        ("of a wrong key", &anna.user, "LAPTOP".to_owned(), signed(&keys, &anna.user, &annas.master(), 20), FORGED),
        (
            "of a wrong user",
            &anna.user,
            "LAPTOP".to_owned(),
            signed(&keys, &bert.user, &berts.self_signing(), 31),
            FORGED,
        ),
        (
            "of another object",
            &anna.user,
            "LAPTOP".to_owned(),
            signed(&changed, &anna.user, &annas.self_signing(), 21),
            FORGED,
        ),
        (
            "of no device",
            &anna.user,
            "TABLET".to_owned(),
            signed(&keys, &anna.user, &annas.self_signing(), 21),
            "M_NOT_FOUND",
        ),
        (
            "by a self-signing key",
            &bert.user,
            berts.master(),
            signed(&master, &anna.user, &annas.self_signing(), 21),
            FORGED,
        ),
        (
            "by somebody else",
            &bert.user,
            berts.master(),
            signed(&master, &bert.user, &berts.user_signing(), 32),
            FORGED,
        ),
        (
            "of another's device",
            &bert.user,
            "PHONE".to_owned(),
            signed(&bert.keys(), &anna.user, &annas.user_signing(), 22),
            "M_NOT_FOUND",
        ),
    ];
    let before = server.rows();
    for (what, user, name, object, errcode) in cases {
        let failures = anna.sign_keys(&server, &json!({ user: { &name: object } })).await;
        assert_eq!(failures[user][&name]["errcode"], errcode, "{what}: {failures}");
        assert_eq!(added(&before, &server.rows()), Vec::<String>::new(), "{what}");
    }
    // What is good beside it is kept.
    let mixed = json!({
        &anna.user: { "LAPTOP": signed(&keys, &anna.user, &annas.self_signing(), 21) },
        &bert.user: { berts.master(): signed(&master, &anna.user, &annas.user_signing(), 21) },
    });
    let failures = anna.sign_keys(&server, &mixed).await;
    assert_eq!(failures.as_object().unwrap().keys().collect::<Vec<_>>(), [&bert.user]);
    let shown = query(&server, &anna, &json!({ &anna.user: [], &bert.user: [] })).await;
    let device = &shown["device_keys"][&anna.user]["LAPTOP"]["signatures"][&anna.user];
    assert!(device[format!("ed25519:{}", annas.self_signing())].is_string());
    assert_eq!(shown["master_keys"][&bert.user], master);
}

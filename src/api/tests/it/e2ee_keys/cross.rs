//! Cross-signing: keys of users, and signatures over keys that are there.

use serde_json::{Value, json};

use super::{
    FORGED, claim, query,
    signer::{CrossKeys, V3, added, device, login, secret, sign, without_signatures},
};
use crate::server::Server;

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
    let tablet = login(&server, "anna", "TABLET", 4).await;
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

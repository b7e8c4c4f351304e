//! Whatever is sent, the answer is a Matrix error and never the server's own failure.

use axum::body::Body;
use http::{Request, Uri, header};
use proptest::{collection::vec, prelude::*, sample::select, test_runner::RngSeed};
use tokio::runtime::{Builder, Runtime};
use wardstead_api::{Endpoint, endpoints};

use crate::server::{Server, encoded};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Text that means something in paths, queries and JSON, and text that does not.
fn fragment() -> impl Strategy<Value = String> {
    let known = select(vec![
        "!room:example.org",
        "@anna:example.org",
        "#alias:example.org",
        "$event",
        "%",
        "%ff",
        "%00",
        "%2F",
        "m.room.member",
        "s1_abc",
        "0",
        "-1",
        "99999999999999999999",
        "{}",
        "null",
        "b",
    ]);
    prop_oneof![known.prop_map(str::to_owned), "[ -~]{0,12}", any::<String>()]
}

/// The endpoint's path with `values` for its variables; with `room` for the first one of those that are rooms.
fn path(endpoint: &Endpoint, values: &[String], room: Option<&str>) -> String {
    let mut values = values.iter().map(String::as_str).cycle();
    let segments = endpoint.path.split('/').map(|segment| match segment {
        "{room_id}" | "{room_id_or_alias}" => encoded(room.or_else(|| values.next()).unwrap_or_default()),
        _ if segment.starts_with('{') => encoded(values.next().unwrap_or_default()),
        _ => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        fragment().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = prop_oneof![field(), fragment()];
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Into::into),
            vec((key, inner), 0..4).prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Names of fields that the endpoints know.
fn field() -> impl Strategy<Value = String> {
    select(vec![
        "type",
        "auth",
        "session",
        "user",
        "identifier",
        "password",
        "device_id",
        "username",
        "kind",
        "user_id",
        "reason",
        "creation_content",
        "initial_state",
        "invite",
        "preset",
        "room_version",
        "visibility",
        "content",
        "state_key",
        "power_level_content_override",
        "name",
        "topic",
        "is_direct",
        "msgtype",
        "body",
        "membership",
        "from",
        "to",
        "dir",
        "limit",
        "filter",
        "since",
        "full_state",
        "set_presence",
        "at",
        "format",
        "ts",
    ])
    .prop_map(str::to_owned)
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let object = vec((field(), json_value()), 0..6)
        .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect()).to_string().into_bytes());
    prop_oneof![3 => object, 1 => json_value().prop_map(|json| json.to_string().into_bytes()), 1 => vec(any::<u8>(), 0..64)]
}

/// A query whose names are often right, but for `timeout`: long-polls wait.
fn query() -> impl Strategy<Value = String> {
    let pair = (field(), fragment());
    let pairs = vec(pair, 0..4).prop_map(move |pairs| {
        pairs.into_iter().map(|(name, value)| format!("{name}={}", encoded(&value))).collect::<Vec<_>>().join("&")
    });
    prop_oneof![3 => pairs, 1 => "[!-~]{0,24}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() })]

    /// Every endpoint, signed in, with values that fit sometimes and in a room of one's own sometimes.
    #[test]
    fn nothing_that_is_sent_is_the_servers_fault(
        values in vec(fragment(), 3),
        query in query(),
        body in body(),
        inside in any::<bool>(),
    ) {
        runtime().block_on(async {
            let server = Server::new().await;
            // The r0 paths lead to the same handlers.
            let newest = endpoints().into_iter().filter(|endpoint| !endpoint.path.contains("/r0/") && !endpoint.page);
            for (number, endpoint) in newest.enumerate() {
                // Each endpoint has a session of its own: some of them end it.
                let token = server.token(&format!("user{number}")).await;
                let mut room = None;
                if inside && endpoint.path.contains("{room_id") {
                    let made = server.post("/_matrix/client/v3/createRoom", &token, &serde_json::json!({})).await;
                    room = made.ok()["room_id"].as_str().map(str::to_owned);
                }
                let uri = format!("{}?{query}", path(&endpoint, &values, room.as_deref()));
                let Ok(uri) = uri.parse::<Uri>() else { continue };
                let request = Request::builder()
                    .method(endpoint.method.clone())
                    .uri(uri)
                    .header(header::AUTHORIZATION, format!("Bearer {token}"))
                    .body(Body::from(body.clone()))
                    .unwrap();
                let answer = server.send(request).await;
                let shown = String::from_utf8_lossy(&answer.bytes);
                assert!(answer.status.as_u16() < 500, "{} {}: {shown}", endpoint.method, endpoint.path);
                if !answer.status.is_success() {
                    assert!(answer.json().is_object(), "{} {}: {shown}", endpoint.method, endpoint.path);
                }
            }
        });
    }
}

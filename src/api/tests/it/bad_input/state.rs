//! State that says what it cannot mean. Clients may send most of it: the specification has servers check little of it. Whoever reads the room
//! afterwards gets answers all the same.

use http::Method;
use serde_json::{Value, json};

use super::{
    rows,
    ward::{SHOWN, Ward},
};
use crate::paths::{self, escaped, newest};

/// Types that some part of the server reads, with the state key that it reads them by and the fields that it reads.
const READ: &[(&str, &str, &[&str])] = &[
    ("m.room.name", "", &["name"]),
    ("m.room.topic", "", &["topic", "m.topic"]),
    ("m.room.avatar", "", &["url", "info"]),
    ("m.room.join_rules", "", &["join_rule", "allow"]),
    ("m.room.history_visibility", "", &["history_visibility"]),
    ("m.room.guest_access", "", &["guest_access"]),
    ("m.room.canonical_alias", "", &["alias", "alt_aliases"]),
    ("m.room.encryption", "", &["algorithm"]),
    ("m.room.pinned_events", "", &["pinned"]),
    ("m.room.server_acl", "", &["allow", "deny", "allow_ip_literals"]),
    ("m.room.tombstone", "", &["replacement_room", "body"]),
    ("m.room.third_party_invite", "token", &["display_name", "public_key", "public_keys"]),
    ("m.room.power_levels", "", &["users", "events", "ban", "notifications"]),
    ("m.room.member", "@anna:example.org", &["displayname", "avatar_url", "reason", "is_direct"]),
    ("m.space.child", "{foreign}", &["via", "order", "suggested"]),
    ("m.space.child", "no room", &["via"]),
    ("m.space.parent", "{foreign}", &["via", "canonical"]),
    ("m.room.policy", "", &["via", "public_keys"]),
];

/// Contents whose fields all have one value that they cannot have.
fn odd(event_type: &str, fields: &[&str]) -> Vec<Value> {
    let values = [json!(null), json!(1), json!(true), json!("\u{0}"), json!([[1]]), json!({ "a": 1 })];
    let whole = |value: Value| {
        let fields = fields.iter().map(|field| ((*field).to_owned(), value.clone()));
        // Only of a member is more asked.
        let needed = (event_type == "m.room.member").then(|| ("membership".to_owned(), json!("join")));
        Value::Object(fields.chain(needed).collect())
    };
    let empty = (event_type != "m.room.member").then(|| json!({}));
    values.into_iter().map(whole).chain(empty).collect()
}

/// All that can be read of the room; wrong answers are noted in the ward.
async fn read(ward: &Ward, what: &str) {
    for endpoint in newest().filter(|endpoint| endpoint.method == Method::GET && endpoint.path.contains("{room_id")) {
        let given = rows::of("GET", &endpoint.path).given;
        let path = paths::filled(&endpoint.path, |variable| ward.value(variable));
        ward.ask(what, (&Method::GET, &format!("{path}?{given}"), "")).await;
    }
    for path in ["/sync", "/publicRooms"] {
        let answer = ward.ask(what, (&Method::GET, &format!("/_matrix/client/v3{path}"), "")).await;
        if answer.status != 200 {
            ward.find(format!("{what}: {path}: {}", answer.status));
        }
    }
}

#[tokio::test]
async fn state_that_makes_no_sense_breaks_no_reader() {
    let (mut found, mut accepted) = (Vec::new(), 0);
    for (event_type, state_key, fields) in READ {
        // Its room keeps what was accepted, so that the next odd state meets it.
        let ward = Ward::new().await;
        let listed = format!("/_matrix/client/v3/directory/list/room/{}", escaped(&ward.room));
        ward.ask("listing", (&Method::PUT, &listed, r#"{"visibility":"public"}"#)).await;
        let key = escaped(&ward.named(state_key, str::to_owned));
        let path = format!("/_matrix/client/v3/rooms/{}/state/{event_type}/{key}", escaped(&ward.room));
        for content in odd(event_type, fields) {
            let what = format!("{event_type} {content}");
            let answer = ward.ask(&what, (&Method::PUT, &path, content.to_string())).await;
            if !answer.status.is_success() {
                continue;
            }
            accepted += 1;
            read(&ward, &what).await;
            // Somebody comes in, or tries.
            let carl = ward.server.token(&format!("carl{accepted}")).await;
            let join = format!("/_matrix/client/v3/rooms/{}/join", escaped(&ward.room));
            let joined = ward.server.post(&join, &carl, &json!({})).await;
            let left = ward.server.post(&join.replace("/join", "/leave"), &carl, &json!({})).await;
            for answer in [joined, left] {
                if answer.status.is_server_error() {
                    ward.find(format!("{what}: joining and leaving: {}", answer.status));
                }
            }
        }
        found.extend(ward.found());
    }
    assert!(accepted > 50, "{accepted}");
    assert!(found.is_empty(), "{} answers are wrong:\n{}", found.len(), found[..found.len().min(SHOWN)].join("\n"));
}

//! What one endpoint alone can get wrong: one line each.

use http::Method;

use super::ward::Ward;
use crate::paths::escaped;

/// Method, path and query below `/_matrix/client` (below its `/v3` where no other version is named), body, status, error code; Anna asks. `{room}` and `{event}` are hers, of `{foreign}`
/// and `{foreign_event}` she knows nothing.
const CASES: &[(&str, &str, &str, u16, &str)] = &[
    // Names and passwords.
    ("POST", "/register", r#"{"username":"a","username":"b"}"#, 400, "M_BAD_JSON"),
    ("GET", "/register/available?username=", "", 400, "M_INVALID_USERNAME"),
    ("GET", "/register/available?username=%ff", "", 400, "M_INVALID_USERNAME"),
    ("GET", "/register/available?username=%zz", "", 400, "M_INVALID_USERNAME"),
    ("GET", "/register/available?username=%00", "", 400, "M_INVALID_USERNAME"),
    ("POST", "/login", r#"{"type":"m.login.password","password":"x","identifier":{}}"#, 400, "M_MISSING_PARAM"),
    ("POST", "/login", "", 400, "M_MISSING_PARAM"),
    ("POST", "/login", r#"{"type":"m.login.password"}"#, 400, "M_MISSING_PARAM"),
    ("POST", "/login", r#"{"type":"m.login.password","user":"a\u0000b","password":"x"}"#, 403, "M_FORBIDDEN"),
    // Filters.
    ("POST", "/user/@anna:example.org/filter", r#"{"room":{"timeline":{"limit":-1}}}"#, 400, "M_BAD_JSON"),
    ("POST", "/user/@anna:example.org/filter", r#"{"room":{"rooms":["no room"]}}"#, 400, "M_BAD_JSON"),
    ("POST", "/user/@bert:example.org/filter", "{}", 403, "M_FORBIDDEN"),
    ("GET", "/user/@bert:example.org/filter/1", "", 403, "M_FORBIDDEN"),
    // Canonical JSON has neither fractions nor large numbers.
    ("PUT", "/rooms/{room}/send/m.room.message/1", r#"{"body":1.5}"#, 400, "M_BAD_JSON"),
    ("PUT", "/rooms/{room}/send/m.room.message/1", r#"{"body":1.0}"#, 400, "M_BAD_JSON"),
    ("PUT", "/rooms/{room}/send/m.room.message/1", r#"{"body":1e2}"#, 400, "M_BAD_JSON"),
    ("PUT", "/rooms/{room}/send/m.room.message/1", r#"{"body":9007199254740992}"#, 400, "M_BAD_JSON"),
    ("PUT", "/rooms/{room}/send/m.room.message/1", r#"{"a":{"b":[-9007199254740992]}}"#, 400, "M_BAD_JSON"),
    ("PUT", "/rooms/{room}/state/m.room.topic", r#"{"topic":1.5}"#, 400, "M_BAD_JSON"),
    ("POST", "/createRoom", r#"{"creation_content":{"n":1.5}}"#, 400, "M_BAD_JSON"),
    ("POST", "/createRoom", r#"{"initial_state":[{"type":"a","content":{"n":1.5}}]}"#, 400, "M_BAD_JSON"),
    ("POST", "/createRoom", r#"{"power_level_content_override":{"ban":1.5}}"#, 400, "M_BAD_JSON"),
    // Push rules.
    ("PUT", "/pushrules/global/content/.m.rule.mine", r#"{"actions":[],"pattern":"a"}"#, 400, "M_INVALID_PARAM"),
    ("PUT", "/pushrules/global/content/a%2Fb", r#"{"actions":[],"pattern":"a"}"#, 400, "M_INVALID_PARAM"),
    ("PUT", "/pushrules/global/content/a%5Cb", r#"{"actions":[],"pattern":"a"}"#, 400, "M_INVALID_PARAM"),
    ("PUT", "/pushrules/global/content/a", r#"{"actions":[]}"#, 400, "M_MISSING_PARAM"),
    ("PUT", "/pushrules/global/content/a?before=b", r#"{"actions":[],"pattern":"a"}"#, 400, "M_UNKNOWN"),
    ("PUT", "/pushrules/global/content/a?after=b", r#"{"actions":[],"pattern":"a"}"#, 400, "M_UNKNOWN"),
    ("PUT", "/pushrules/global/override/a?before=.m.rule.master", r#"{"actions":[]}"#, 400, "M_UNKNOWN"),
    ("PUT", "/pushrules/global/override/a", r#"{"actions":[],"conditions":[{}]}"#, 400, "M_MISSING_PARAM"),
    (
        "PUT",
        "/pushrules/global/override/a",
        r#"{"actions":[],"conditions":[{"kind":"room_member_count","is":"many"}]}"#,
        400,
        "M_BAD_JSON",
    ),
    ("PUT", "/pushrules/global/override/a", r#"{"actions":[{"set_tweak":"sound","value":1}]}"#, 400, "M_BAD_JSON"),
    ("PUT", "/pushrules/global/room/ward", r#"{"actions":[]}"#, 400, "M_INVALID_PARAM"),
    ("PUT", "/pushrules/global/sender/bert", r#"{"actions":[]}"#, 400, "M_INVALID_PARAM"),
    ("PUT", "/pushrules/global/odd/a", r#"{"actions":[]}"#, 400, "M_INVALID_PARAM"),
    ("PUT", "/pushrules/device/content/a", r#"{"actions":[],"pattern":"a"}"#, 404, "M_UNRECOGNIZED"),
    ("GET", "/pushrules/global/odd/a", "", 404, "M_NOT_FOUND"),
    ("GET", "/pushrules/global/content/a/actions", "", 404, "M_NOT_FOUND"),
    ("PUT", "/pushrules/global/content/a/enabled", r#"{"enabled":true}"#, 404, "M_NOT_FOUND"),
    ("PUT", "/pushrules/global/content/a/actions", r#"{"actions":[]}"#, 404, "M_NOT_FOUND"),
    ("DELETE", "/pushrules/global/content/a", "", 404, "M_NOT_FOUND"),
    ("DELETE", "/pushrules/global/override/.m.rule.master", "", 400, "M_INVALID_PARAM"),
    // Forged senders.
    ("PUT", "/rooms/{room}/state/m.room.member/@bert:example.org", r#"{"membership":"join"}"#, 403, "M_FORBIDDEN"),
    ("PUT", "/rooms/{room}/state/m.room.member/@carl:example.org", r#"{"membership":"join"}"#, 403, "M_FORBIDDEN"),
    ("PUT", "/rooms/{room}/state/org.example.a/@bert:example.org", "{}", 403, "M_FORBIDDEN"),
    ("PUT", "/rooms/{room}/typing/@bert:example.org", r#"{"typing":true}"#, 403, "M_FORBIDDEN"),
    ("PUT", "/presence/@bert:example.org/status", r#"{"presence":"online"}"#, 403, "M_FORBIDDEN"),
    (
        "PUT",
        "/rooms/{room}/state/m.room.create",
        r#"{"room_version":"11","creator":"@bert:example.org"}"#,
        400,
        "M_INVALID_PARAM",
    ),
    // Events of other rooms.
    ("GET", "/rooms/{room}/event/{foreign_event}", "", 404, "M_NOT_FOUND"),
    ("GET", "/rooms/{foreign}/event/{event}", "", 404, "M_NOT_FOUND"),
    ("GET", "/rooms/{foreign}/event/{foreign_event}", "", 404, "M_NOT_FOUND"),
    ("POST", "/rooms/{room}/receipt/m.read/{foreign_event}", "{}", 404, "M_NOT_FOUND"),
    // Threads.
    ("POST", "/rooms/{room}/receipt/m.read/{event}", r#"{"thread_id":1}"#, 400, "M_INVALID_PARAM"),
    ("POST", "/rooms/{room}/receipt/m.read/{event}", r#"{"thread_id":""}"#, 400, "M_INVALID_PARAM"),
    ("POST", "/rooms/{room}/receipt/m.unknown/{event}", "{}", 400, "M_INVALID_PARAM"),
    // Aliases.
    ("PUT", "/directory/room/%23ward:example.org", r#"{"room_id":"ward"}"#, 400, "M_BAD_JSON"),
    ("PUT", "/directory/room/%23ward:elsewhere.example", r#"{"room_id":"{room}"}"#, 400, "M_INVALID_PARAM"),
    ("PUT", "/directory/room/%23ward:example.org", r#"{"room_id":"{foreign}"}"#, 403, "M_FORBIDDEN"),
    ("POST", "/createRoom", r##"{"room_alias_name":"#ward:example.org"}"##, 400, "M_INVALID_PARAM"),
    ("POST", "/createRoom", r#"{"room_alias_name":"a\u0000b"}"#, 400, "M_INVALID_PARAM"),
    ("PUT", "/rooms/{room}/state/m.room.canonical_alias", r##"{"alias":"#nothing:example.org"}"##, 400, "M_BAD_ALIAS"),
    ("PUT", "/rooms/{room}/state/m.room.canonical_alias", r#"{"alias":1}"#, 400, "M_INVALID_PARAM"),
    // Memberships that nobody may change so.
    ("POST", "/rooms/{room}/kick", r#"{"user_id":"bert"}"#, 400, "M_BAD_JSON"),
    ("POST", "/rooms/{room}/kick", r#"{"user_id":"@carl:example.org"}"#, 403, "M_FORBIDDEN"),
    ("POST", "/rooms/{room}/kick", r#"{"user_id":"@nobody:example.org"}"#, 404, "M_NOT_FOUND"),
    ("POST", "/rooms/{room}/ban", r#"{"user_id":"@anna:example.org\u0000"}"#, 400, "M_BAD_JSON"),
    ("POST", "/rooms/{room}/unban", r#"{"user_id":"@bert:example.org"}"#, 403, "M_FORBIDDEN"),
    ("POST", "/rooms/{room}/forget", "", 400, "M_UNKNOWN"),
    ("POST", "/knock/{room}", "{}", 403, "M_FORBIDDEN"),
    ("POST", "/rooms/{room}/upgrade", r#"{"new_version":"99"}"#, 400, "M_UNSUPPORTED_ROOM_VERSION"),
    ("POST", "/rooms/{room}/upgrade", r#"{"new_version":"1"}"#, 400, "M_UNSUPPORTED_ROOM_VERSION"),
    ("POST", "/rooms/{room}/upgrade", r#"{"new_version":""}"#, 400, "M_BAD_JSON"),
    ("PUT", "/rooms/{room}/state/m.room.tombstone", r#"{"replacement_room":1.5}"#, 400, "M_BAD_JSON"),
    ("PUT", "/rooms/{room}/state/m.room.power_levels", r#"{"users":{"bert":100}}"#, 400, "M_BAD_JSON"),
    ("PUT", "/rooms/{room}/state/m.room.power_levels", r#"{"users":{"@bert:example.org":"100"}}"#, 400, "M_BAD_JSON"),
    // What is read around events of other rooms.
    ("GET", "/rooms/{room}/context/{foreign_event}", "", 404, "M_NOT_FOUND"),
    ("GET", "/v1/rooms/{room}/relations/{foreign_event}", "", 404, "M_NOT_FOUND"),
    ("GET", "/v1/rooms/{room}/threads?limit=0", "", 400, "M_INVALID_PARAM"),
    ("GET", "/v1/rooms/{room}/timestamp_to_event?ts=1&dir=b", "", 404, "M_NOT_FOUND"),
    ("PUT", "/rooms/{room}/redact/{foreign_event}/9", "{}", 404, "M_NOT_FOUND"),
    ("PUT", "/rooms/{room}/send/m.room.redaction/9", "{}", 400, "M_BAD_JSON"),
    ("PUT", "/rooms/{room}/send/m.room.redaction/9", r#"{"redacts":1}"#, 400, "M_BAD_JSON"),
    ("POST", "/rooms/{room}/report/{foreign_event}", "{}", 404, "M_NOT_FOUND"),
    ("POST", "/rooms/{room}/report/{event}", r#"{"score":1.5}"#, 400, "M_BAD_JSON"),
    // Users and rooms that are none.
    ("POST", "/rooms/{room}/invite", "{}", 400, "M_MISSING_PARAM"),
    ("POST", "/rooms/{room}/invite", r#"{"user_id":"carl"}"#, 400, "M_BAD_JSON"),
    ("POST", "/rooms/{room}/invite", r#"{"user_id":"@nobody:example.org"}"#, 404, "M_NOT_FOUND"),
    ("POST", "/createRoom", r#"{"invite":["carl"]}"#, 400, "M_BAD_JSON"),
    ("POST", "/createRoom", r#"{"preset":"open_door"}"#, 400, "M_INVALID_PARAM"),
    ("POST", "/createRoom", r#"{"visibility":"dim"}"#, 400, "M_INVALID_PARAM"),
    ("POST", "/createRoom", r#"{"room_version":"99"}"#, 400, "M_UNSUPPORTED_ROOM_VERSION"),
    ("POST", "/createRoom", r#"{"room_version":"1"}"#, 400, "M_UNSUPPORTED_ROOM_VERSION"),
    ("POST", "/createRoom", r#"{"initial_state":[{"content":{}}]}"#, 400, "M_BAD_JSON"),
    ("PUT", "/rooms/{room}/state/m.room.member/bert", r#"{"membership":"invite"}"#, 400, "M_INVALID_PARAM"),
    ("PUT", "/rooms/{room}/state/m.room.member/@carl:example.org", r#"{"membership":1}"#, 400, "M_BAD_JSON"),
    ("PUT", "/rooms/{room}/state/m.room.member/@carl:example.org", "{}", 400, "M_BAD_JSON"),
    ("PUT", "/rooms/{room}/state/m.room.member/@carl:example.org", r#"{"membership":"boss"}"#, 400, "M_BAD_JSON"),
    ("PUT", "/presence/@anna:example.org/status", r#"{"presence":"asleep"}"#, 400, "M_INVALID_PARAM"),
];

#[tokio::test]
async fn each_is_refused_as_specified() {
    let ward = Ward::new().await;
    for (method, path, body, status, errcode) in CASES {
        let version = if path.starts_with("/v1/") { "" } else { "/v3" };
        let path = format!("/_matrix/client{version}{}", ward.named(path, escaped));
        let method: Method = method.parse().unwrap();
        ward.refused(body, (&method, &path, ward.named(body, str::to_owned)), (*status, errcode)).await;
    }
    ward.assert_sound();
}

/// An event has 65,536 bytes at most, whoever sends what in it.
#[tokio::test]
async fn contents_that_are_too_large() {
    let ward = Ward::new().await;
    let body = format!(r#"{{"body":"{}"}}"#, "a".repeat(66_000));
    for path in ["send/m.room.message/1", "state/m.room.topic"] {
        let path = format!("/_matrix/client/v3/rooms/{}/{path}", escaped(&ward.room));
        ward.refused("a large event", (&Method::PUT, &path, body.clone()), (413, "M_TOO_LARGE")).await;
    }
    let body = format!(r#"{{"topic":"{}"}}"#, "a".repeat(66_000));
    let path = "/_matrix/client/v3/createRoom";
    ward.refused("a large room", (&Method::POST, path, body), (413, "M_TOO_LARGE")).await;
    let long = "a".repeat(256);
    for path in [format!("send/{long}/1"), format!("state/{long}"), format!("state/org.example.a/{long}")] {
        let path = format!("/_matrix/client/v3/rooms/{}/{path}", escaped(&ward.room));
        ward.refused("a long type or state key", (&Method::PUT, &path, "{}"), (413, "M_TOO_LARGE")).await;
    }
    ward.assert_sound();
}

/// The sender of an event is who sent it, whatever the content says; what the content says stays content.
#[tokio::test]
async fn a_sender_in_the_content_is_content() {
    let ward = Ward::new().await;
    let body = r#"{"sender":"@bert:example.org","event_id":"$mine","room_id":"!mine","origin_server_ts":1,"body":"\u0000","unsigned":{},
        "type":"m.room.create","state_key":""}"#;
    let path = format!("/_matrix/client/v3/rooms/{}", escaped(&ward.room));
    let sent = ward.server.ask(Method::PUT, &format!("{path}/send/m.room.message/2"), &ward.anna, body).await.ok();
    let id = sent["event_id"].as_str().unwrap();
    let event = ward.server.get(&format!("{path}/event/{}", escaped(id)), &ward.bert).await.ok();
    let content: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&event["sender"], &event["content"]), (&"@anna:example.org".into(), &content));
    assert_eq!((&event["event_id"], &event["room_id"]), (&id.into(), &ward.room.as_str().into()));
    assert_eq!((&event["type"], event.get("state_key")), (&"m.room.message".into(), None));
}

/// What was sent may be a mebibyte; the sentence that quotes it is not.
#[tokio::test]
async fn sentences_are_short() {
    let ward = Ward::new().await;
    let body = format!(r#"{{"inhibit_login":"{}"}}"#, "ä".repeat(100_000));
    let answer = ward.ask("a long value", (&Method::POST, "/_matrix/client/v3/register", body)).await;
    answer.expect_error(400, "M_BAD_JSON");
    assert!(answer.bytes.len() < 1_000, "{}", answer.bytes.len());
    ward.assert_sound();
}

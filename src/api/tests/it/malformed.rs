//! Each endpoint with each kind of garbage: which status and which error code.

use http::Method;
use wardstead_limits::api::JSON_DEPTH;

use crate::server::Server;

const V3: &str = "/_matrix/client/v3";

/// The endpoints that take a body, with a body that each would take.
const WITH_BODY: [(&str, &str, &str); 14] = [
    ("POST", "/register", r#"{"auth":{"type":"m.login.dummy"},"username":"bert","password":"correct horse"}"#),
    ("POST", "/login", r#"{"type":"m.login.password","password":"x","user":"anna"}"#),
    ("POST", "/logout", "{}"),
    ("POST", "/logout/all", "{}"),
    ("POST", "/user/@anna:example.org/filter", "{}"),
    ("POST", "/createRoom", "{}"),
    ("POST", "/join/!room:example.org", "{}"),
    ("POST", "/rooms/!room:example.org/join", "{}"),
    ("POST", "/rooms/!room:example.org/leave", "{}"),
    ("POST", "/rooms/!room:example.org/invite", r#"{"user_id":"@bert:example.org"}"#),
    ("PUT", "/rooms/!room:example.org/send/m.room.message/1", "{}"),
    ("PUT", "/rooms/!room:example.org/state/m.room.name/", "{}"),
    ("PUT", "/rooms/!room:example.org/typing/@anna:example.org", r#"{"typing":true,"timeout":1}"#),
    ("PUT", "/presence/@anna:example.org/status", r#"{"presence":"online"}"#),
];

fn nested(levels: usize) -> String {
    format!("{}0{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
}

/// What no endpoint takes, whatever it is for.
#[tokio::test]
async fn bodies_that_are_no_json_object() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let deep = nested(JSON_DEPTH + 1);
    let flat_but_deep = "[".repeat(100_000);
    let garbage: [(&[u8], &str); 18] = [
        (b"{", "M_NOT_JSON"),
        (b"}", "M_NOT_JSON"),
        (b"nothing", "M_NOT_JSON"),
        (b" ", "M_NOT_JSON"),
        (b"{}{}", "M_NOT_JSON"),
        (b"{} x", "M_NOT_JSON"),
        (b"{'a':1}", "M_NOT_JSON"),
        (b"{\"a\":1,}", "M_NOT_JSON"),
        (b"{\"a\":01}", "M_NOT_JSON"),
        (b"{\"a\":NaN}", "M_NOT_JSON"),
        (b"{\"a\":\"\xff\"}", "M_NOT_JSON"),
        (b"\xef\xbb\xbf{}", "M_NOT_JSON"),
        (b"[]", "M_BAD_JSON"),
        (b"null", "M_BAD_JSON"),
        (b"\"text\"", "M_BAD_JSON"),
        (b"1", "M_BAD_JSON"),
        (deep.as_bytes(), "M_BAD_JSON"),
        (flat_but_deep.as_bytes(), "M_BAD_JSON"),
    ];
    for (method, path, _) in WITH_BODY {
        for (body, errcode) in garbage {
            let method: Method = method.parse().unwrap();
            let answer = server.ask(method, &format!("{V3}{path}"), &token, body.to_vec()).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]);
            assert_eq!(answer.json()["errcode"], errcode, "{path} {shown} {}", answer.json());
            answer.expect_error(400, errcode);
        }
    }
}

/// The other side of the table above: what is well formed is not called malformed, whatever else is wrong with it.
#[tokio::test]
async fn bodies_that_are_what_the_endpoints_take() {
    let server = Server::new().await;
    for (number, (method, path, body)) in WITH_BODY.into_iter().enumerate() {
        let token = server.token(&format!("user{number}")).await;
        let answer = server.ask(method.parse().unwrap(), &format!("{V3}{path}"), &token, body).await;
        assert!(answer.status == 200 || answer.status == 403 || answer.status == 404, "{path}: {}", answer.json());
    }
}

/// Fields and parameters that are missing or of the wrong type.
#[tokio::test]
async fn fields_and_parameters() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let cases: &[(&str, &str, &str, &str)] = &[
        ("POST", "/login", "{}", "M_MISSING_PARAM"),
        ("POST", "/login", "", "M_MISSING_PARAM"),
        ("POST", "/login", r#"{"type":1}"#, "M_BAD_JSON"),
        ("POST", "/login", r#"{"type":null}"#, "M_BAD_JSON"),
        ("POST", "/login", r#"{"type":"m.login.password"}"#, "M_MISSING_PARAM"),
        ("POST", "/login", r#"{"type":"m.login.password","password":1}"#, "M_BAD_JSON"),
        ("POST", "/login", r#"{"type":"m.login.password","password":"x","identifier":{}}"#, "M_MISSING_PARAM"),
        ("POST", "/login", r#"{"type":"m.login.password","password":"x","identifier":7}"#, "M_BAD_JSON"),
        ("POST", "/login", r#"{"type":"m.login.password","password":"x","device_id":7}"#, "M_BAD_JSON"),
        ("POST", "/register", r#"{"username":1}"#, "M_BAD_JSON"),
        ("POST", "/register", r#"{"auth":1}"#, "M_BAD_JSON"),
        ("POST", "/register", r#"{"inhibit_login":"yes"}"#, "M_BAD_JSON"),
        ("POST", "/register", r#"{"username":"a","username":"b"}"#, "M_BAD_JSON"),
        ("GET", "/register/available", "", "M_MISSING_PARAM"),
        ("GET", "/register/available?username=", "", "M_INVALID_USERNAME"),
        ("GET", "/register/available?username=%ff", "", "M_INVALID_USERNAME"),
        ("GET", "/register/available?username=%zz", "", "M_INVALID_USERNAME"),
        ("GET", "/register/available?username=a&username=b", "", "M_INVALID_PARAM"),
        ("POST", "/user/anna/filter", "{}", "M_INVALID_PARAM"),
        ("POST", "/user/%ff/filter", "{}", "M_INVALID_PARAM"),
        ("POST", "/user/@anna:example.org/filter", r#"{"room":1}"#, "M_BAD_JSON"),
        ("POST", "/user/@anna:example.org/filter", r#"{"room":{"timeline":{"limit":-1}}}"#, "M_BAD_JSON"),
        ("POST", "/user/@anna:example.org/filter", r#"{"room":{"timeline":{"limit":1.5}}}"#, "M_BAD_JSON"),
        ("POST", "/user/@anna:example.org/filter", r#"{"room":{"rooms":["no room"]}}"#, "M_BAD_JSON"),
        ("POST", "/user/@anna:example.org/filter", r#"{"presence":{"senders":[{}]}}"#, "M_BAD_JSON"),
    ];
    for (method, path, body, errcode) in cases {
        let answer = server.ask(method.parse().unwrap(), &format!("{V3}{path}"), &token, *body).await;
        assert_eq!(answer.json()["errcode"], *errcode, "{method} {path} {body}: {}", answer.json());
        answer.expect_error(400, errcode);
    }
}

/// What was sent may be a mebibyte; the sentence that quotes it is not.
#[tokio::test]
async fn sentences_are_short() {
    let server = Server::new().await;
    let body = format!(r#"{{"inhibit_login":"{}"}}"#, "ä".repeat(100_000));
    let answer = server.ask(Method::POST, &format!("{V3}/register"), "", body).await;
    answer.expect_error(400, "M_BAD_JSON");
    assert!(answer.bytes.len() < 1_000, "{}", answer.bytes.len());
}

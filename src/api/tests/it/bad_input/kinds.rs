//! The kinds of bad input that an endpoint gets for its method, its path and its row.

use std::sync::LazyLock;

use http::Method;
use serde_json::{Value, json};
use wardstead_api::Endpoint;
use wardstead_limits::api::{BODY_BYTES, JSON_DEPTH};

use super::{
    rows::{self, Query, Row},
    ward::{SHOWN, Ward},
};
use crate::paths::{self, escaped, newest};

const INVALID: rows::Refusal = (400, "M_INVALID_PARAM");

/// An endpoint with its row and a path of it that leads to something.
struct Asked {
    endpoint: Endpoint,
    row: Row,
    uri: String,
}

impl Asked {
    fn of(endpoint: Endpoint, ward: &Ward) -> Self {
        let row = rows::of(endpoint.method.as_str(), &endpoint.path);
        let uri = paths::filled(&endpoint.path, |variable| ward.value(variable));
        Self { endpoint, row, uri }
    }

    fn method(&self) -> &Method {
        &self.endpoint.method
    }

    /// The path with `value` for one of the variables.
    fn with(&self, ward: &Ward, variable: &str, value: &str) -> String {
        let path =
            paths::filled(
                &self.endpoint.path,
                |name| {
                    if name == variable { value.to_owned() } else { ward.value(name) }
                },
            );
        format!("{path}?{}", self.row.given)
    }

    /// The body of the row, without the marks.
    fn body(&self) -> Value {
        plain(&serde_json::from_str(self.row.body).unwrap())
    }

    /// Whether it takes JSON. A file is whatever it is.
    fn takes_a_body(&self) -> bool {
        let writes = *self.method() == Method::POST || *self.method() == Method::PUT;
        writes && !self.endpoint.file
    }
}

fn nested(levels: usize) -> String {
    format!("{}0{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
}

/// Bodies that no endpoint takes, whatever it is for.
static GARBAGE: LazyLock<Vec<(Vec<u8>, rows::Refusal)>> = LazyLock::new(|| {
    const NOT_JSON: rows::Refusal = (400, "M_NOT_JSON");
    const BAD_JSON: rows::Refusal = (400, "M_BAD_JSON");
    let mut large = vec![b' '; BODY_BYTES + 1];
    large[..2].copy_from_slice(b"{}");
    let text: [(&[u8], rows::Refusal); 19] = [
        (b"{", NOT_JSON),
        (b"}", NOT_JSON),
        (b"nothing", NOT_JSON),
        (b" ", NOT_JSON),
        (b"{}{}", NOT_JSON),
        (b"{} x", NOT_JSON),
        (b"{'a':1}", NOT_JSON),
        (b"{\"a\":1,}", NOT_JSON),
        (b"{\"a\":01}", NOT_JSON),
        (b"{\"a\":NaN}", NOT_JSON),
        (b"{\"a\":\"\x00\"}", NOT_JSON),
        (b"{\"a\":\"\xff\"}", NOT_JSON),
        (b"{\"a\":\"\xed\xa0\x80\"}", NOT_JSON),
        (b"{\"a\":\"\\ud800\"}", BAD_JSON),
        (b"\xef\xbb\xbf{}", NOT_JSON),
        (b"[]", BAD_JSON),
        (b"null", BAD_JSON),
        (b"\"text\"", BAD_JSON),
        (b"1", BAD_JSON),
    ];
    let text = text.into_iter().map(|(body, refusal)| (body.to_vec(), refusal));
    let deep = [nested(JSON_DEPTH + 1), "[".repeat(100_000)].map(|body| (body.into_bytes(), BAD_JSON));
    text.chain(deep).chain([(large, (413, "M_TOO_LARGE"))]).collect()
});

#[tokio::test]
async fn bodies_that_are_no_json_object() {
    let ward = Ward::new().await;
    let mut asked = 0;
    for endpoint in newest().map(|endpoint| Asked::of(endpoint, &ward)).filter(Asked::takes_a_body) {
        for (body, refusal) in &*GARBAGE {
            let shown = String::from_utf8_lossy(&body[..body.len().min(24)]).into_owned();
            ward.refused(&shown, (endpoint.method(), &endpoint.uri, body.clone()), *refusal).await;
            asked += 1;
        }
    }
    assert!(asked > 10 * GARBAGE.len(), "{asked}");
    ward.assert_sound();
}

/// The first characters of identifiers, by the variables that hold them.
fn sigil(variable: &str) -> Option<&'static str> {
    match variable {
        "room_id" | "room_id_or_alias" => Some("!"),
        "user_id" => Some("@"),
        "event_id" => Some("$"),
        "room_alias" => Some("#"),
        _ => None,
    }
}

#[tokio::test]
async fn paths_with_what_is_no_value() {
    let ward = Ward::new().await;
    for asked in newest().map(|endpoint| Asked::of(endpoint, &ward)) {
        for variable in paths::variables(&asked.endpoint.path) {
            let body = asked.body().to_string();
            let path = |value: &str| asked.with(&ward, variable, value);
            ward.refused("no UTF-8", (asked.method(), &path("%ff"), body.clone()), INVALID).await;
            ward.refused("a surrogate", (asked.method(), &path("%ed%a0%80"), body.clone()), INVALID).await;
            let long = "a".repeat(300);
            if let Some(sigil) = sigil(variable) {
                let sigil = escaped(sigil);
                for value in ["a", "%00", "a:example.org", "%20", &long, &format!("{sigil}{long}:example.org")] {
                    ward.refused("no identifier", (asked.method(), &path(value), body.clone()), INVALID).await;
                }
                for value in ["", "%00", "%00:example.org", "a%00b:example.org", ":", ":example.org", "%F0%9F%8F%A5"] {
                    let path = path(&format!("{sigil}{value}"));
                    let answer = ward.ask("an odd identifier", (asked.method(), &path, body.clone())).await;
                    if !answer.status.is_client_error() {
                        ward.find(format!("{} {path}: {}", asked.method(), answer.status));
                    }
                }
            } else {
                for value in ["%00", &long, "%20", "%F0%9F%8F%A5", "..", "%2e%2e%2f", "%22%3E", "@", "-1", "1.5"] {
                    ward.ask("an odd value", (asked.method(), &path(value), body.clone())).await;
                }
            }
        }
    }
    ward.assert_sound();
}

/// Rooms that do not exist, in both forms of their ids, and one that the user is not in.
#[tokio::test]
async fn rooms_that_the_user_is_not_in() {
    let ward = Ward::new().await;
    let mut rooms = 0;
    for asked in newest().map(|endpoint| Asked::of(endpoint, &ward)) {
        let variables = paths::variables(&asked.endpoint.path);
        let Some(variable) = variables.into_iter().find(|name| sigil(name) == Some("!")) else { continue };
        rooms += 1;
        let mut sentences = Vec::new();
        let unknown =
            ["!nowhere:example.org", "!nowhere:elsewhere.example", "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM"];
        for (room, refusal) in unknown
            .map(|room| (room, asked.row.unknown))
            .into_iter()
            .chain([(ward.foreign.as_str(), asked.row.foreign)])
        {
            let path = asked
                .with(&ward, variable, &escaped(room))
                .replace(&escaped(&ward.event), &escaped(&ward.foreign_event));
            let what = format!("the room {room}");
            let answer = ward.ask(&what, (asked.method(), &path, asked.body().to_string())).await;
            let json = answer.json();
            let found = (answer.status.as_u16(), json["errcode"].as_str().unwrap_or_default());
            // Of an endpoint without a row is known only that it refuses.
            let refused = if asked.row.path.is_empty() { answer.status.is_client_error() } else { found == refusal };
            if !refused {
                ward.find(format!("{what}: {} {path}: {json}, not {refusal:?}", asked.method()));
            }
            sentences.push(json);
        }
        if asked.row.unknown == asked.row.foreign && sentences.windows(2).any(|pair| pair[0] != pair[1]) {
            ward.find(format!("{} {}: rooms can be told apart: {sentences:?}", asked.method(), asked.endpoint.path));
        }
    }
    assert!(rooms > 10, "{rooms}");
    ward.assert_sound();
}

/// `json` with the names of its fields as clients write them.
fn plain(json: &Value) -> Value {
    match json {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.trim_start_matches(['!', '~']).to_owned(), plain(value))).collect()
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        leaf => leaf.clone(),
    }
}

/// Every body that differs from `json` in one value, and what that is answered with.
fn mutants(json: &Value) -> Vec<(Value, rows::Refusal)> {
    const BAD_JSON: rows::Refusal = (400, "M_BAD_JSON");
    const MISSING: rows::Refusal = (400, "M_MISSING_PARAM");
    let mut found = Vec::new();
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                let field = name.trim_start_matches(['!', '~']);
                let with = |value: Option<Value>| {
                    let mut whole = plain(json);
                    let fields = whole.as_object_mut().unwrap();
                    fields.remove(field);
                    fields.extend(value.map(|value| (field.to_owned(), value)));
                    whole
                };
                if name.starts_with('!') {
                    found.push((with(None), MISSING));
                    found.push((with(Some(Value::Null)), BAD_JSON));
                }
                if !name.starts_with('~') {
                    found.extend(others(value).into_iter().map(|other| (with(Some(other)), BAD_JSON)));
                }
                found.extend(mutants(value).into_iter().map(|(value, refusal)| (with(Some(value)), refusal)));
            }
        }
        Value::Array(items) if items.len() == 1 => {
            let wrong = others(&items[0]).into_iter().chain(mutants(&items[0]).into_iter().map(|(item, _)| item));
            found.extend(wrong.map(|item| (json!([item]), BAD_JSON)));
        }
        _ => {}
    }
    found
}

/// Values of the types that `json` has not.
fn others(json: &Value) -> Vec<Value> {
    let all =
        [json!("text"), json!(1), json!(-1), json!(1.5), json!(1e300), json!(true), json!([1]), json!({ "a": 1 })];
    let other = |value: &Value| match (json, value) {
        (Value::Number(_), Value::Number(number)) => number.as_u64().is_none(),
        _ => std::mem::discriminant(json) != std::mem::discriminant(value),
    };
    all.into_iter().filter(other).collect()
}

#[tokio::test]
async fn fields_of_another_type_or_missing() {
    let (mut bodies, mut found) = (0, Vec::new());
    for endpoint in newest() {
        // One for each: what is not refused may end a session or a membership.
        let ward = Ward::new().await;
        let asked = Asked::of(endpoint, &ward);
        if !asked.takes_a_body() {
            continue;
        }
        for (body, refusal) in mutants(&serde_json::from_str(asked.row.body).unwrap()) {
            let (what, uri) = (format!("the body {body}"), format!("{}?{}", asked.uri, asked.row.given));
            ward.refused(&what, (asked.method(), &uri, body.to_string()), refusal).await;
            bodies += 1;
        }
        found.extend(ward.found());
    }
    assert!(bodies > 100, "{bodies}");
    assert!(found.is_empty(), "{} answers are wrong:\n{}", found.len(), found[..found.len().min(SHOWN)].join("\n"));
}

/// The other side of all this: what the rows call well formed is not called malformed.
#[tokio::test]
async fn what_the_rows_call_well_formed_is() {
    let mut found = Vec::new();
    for endpoint in newest() {
        let ward = Ward::new().await;
        let asked = Asked::of(endpoint, &ward);
        let uri = format!("{}?{}", asked.uri, asked.row.given);
        let answer = ward.ask("well formed", (asked.method(), &uri, asked.body().to_string())).await;
        let malformed = ["M_NOT_JSON", "M_BAD_JSON", "M_MISSING_PARAM", "M_INVALID_PARAM"];
        // Of an endpoint without a row is not known what it takes.
        // Nor can a token be made up that it takes.
        let has = |(name, kind): &(&str, Query)| {
            matches!(kind, Query::Token) && asked.row.given.contains(&format!("{name}="))
        };
        let known = !asked.row.path.is_empty() && !asked.row.query.iter().any(has);
        if known && malformed.iter().any(|errcode| answer.json()["errcode"] == *errcode) {
            found.push(format!("{} {uri}: {}", asked.method(), answer.json()));
        }
        found.extend(ward.found());
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn wrong(kind: Query) -> &'static [&'static str] {
    match kind {
        Query::Number => &["-1", "1.5", "many", "99999999999999999999999", "%ff", "1e3", "%00"],
        Query::Choice => &["x", "%ff", "%00"],
        Query::Flag => &["yes", "1", "%ff"],
        Query::Token => &["nonsense", "t", "s", "p", "%00", "%ff", "t1_abc", "s1_abc"],
        Query::Filter => &["nonsense", "%7B", "%5B%5D", "%7B%22room%22%3A1,%22limit%22%3A-1%7D", "%ff"],
        Query::Text => &[],
    }
}

#[tokio::test]
async fn parameters_that_are_wrong_missing_or_twice() {
    let ward = Ward::new().await;
    for asked in newest().map(|endpoint| Asked::of(endpoint, &ward)) {
        let (path, body) = (&asked.uri, asked.body().to_string());
        let given: Vec<&str> = asked.row.given.split('&').filter(|pair| !pair.is_empty()).collect();
        let without = |name: &str| {
            let rest: Vec<&str> = given.iter().copied().filter(|pair| !pair.starts_with(&format!("{name}="))).collect();
            rest.join("&")
        };
        for pair in &given {
            let uri = format!("{path}?{}", without(pair.split_once('=').unwrap().0));
            ward.refused("a parameter is missing", (asked.method(), &uri, body.clone()), (400, "M_MISSING_PARAM"))
                .await;
        }
        for (name, kind) in asked.row.query {
            let rest = without(name);
            let twice = format!("{path}?{rest}&{name}=1&{name}=1");
            ward.refused("a parameter stands twice", (asked.method(), &twice, body.clone()), INVALID).await;
            for value in wrong(*kind) {
                let uri = format!("{path}?{rest}&{name}={value}");
                ward.refused("a wrong parameter", (asked.method(), &uri, body.clone()), INVALID).await;
            }
        }
    }
    ward.assert_sound();
}

//! Paths of endpoints with values for their variables.

use std::fmt::Write as _;

use wardstead_api::{Endpoint, endpoints};

/// Every endpoint once. The `r0` paths lead to the same handlers. Not the pages for people, which take no JSON.
pub fn newest() -> impl Iterator<Item = Endpoint> {
    endpoints().into_iter().filter(|endpoint| !endpoint.path.contains("/r0/") && !endpoint.page)
}

/// The names of the path's variables.
pub fn variables(path: &str) -> Vec<&str> {
    path.split('/').filter_map(variable).collect()
}

/// The path with what `value` gives for each variable, percent-encoded already.
pub fn filled(path: &str, mut value: impl FnMut(&str) -> String) -> String {
    let segments = path.split('/').map(|segment| variable(segment).map_or_else(|| segment.to_owned(), &mut value));
    segments.collect::<Vec<_>>().join("/")
}

/// `text` percent-encoded where it has to be, so that people can read the rest.
pub fn escaped(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$@:".contains(byte);
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if plain(&byte) {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").unwrap();
        }
        escaped
    })
}

fn variable(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// A plausible value for the variable, in a server named example.org.
pub fn example(variable: &str) -> &'static str {
    match variable {
        "room_id" | "room_id_or_alias" => "!room:example.org",
        "room_alias" => "#alias:example.org",
        "user_id" => "@anna:example.org",
        "event_id" => "$event",
        "event_type" => "m.room.message",
        "receipt_type" => "m.read",
        "rel_type" => "m.annotation",
        "kind" => "content",
        "field" => "displayname",
        "server_name" => "example.org",
        _ => "1",
    }
}

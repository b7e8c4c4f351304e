//! What is known of each endpoint beyond its method and path.

use crate::paths::newest;

use Query::{Choice, Filter, Flag, Number, Text, Token};

/// A refusal: status and error code.
pub type Refusal = (u16, &'static str);

const FORBIDDEN: Refusal = (403, "M_FORBIDDEN");
const NOT_FOUND: Refusal = (404, "M_NOT_FOUND");
const KEPT: Refusal = (200, "");

const RELATIONS: &[(&str, Query)] =
    &[("dir", Choice), ("limit", Number), ("from", Token), ("to", Token), ("recurse", Flag)];

/// A parameter of a query.
#[derive(Clone, Copy, Debug)]
pub enum Query {
    /// A number without a sign.
    Number,
    /// One of a few words.
    Choice,
    /// `true` or `false`.
    Flag,
    /// A token that this server made.
    Token,
    /// A filter: JSON.
    Filter,
    /// Any text, once.
    Text,
}

/// One endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub method: &'static str,
    pub path: &'static str,
    /// A body that it takes, with each field that it knows: each of them is replaced by values of all the other types, which are
    /// `M_BAD_JSON`. A name that begins with `!` is of a field that must be there (else `M_MISSING_PARAM`), with `~` of one that
    /// may be anything.
    pub body: &'static str,
    /// Parameters of its query: each is replaced by values that it cannot have, which are `M_INVALID_PARAM`.
    pub query: &'static [(&'static str, Query)],
    /// The parameters without which it answers `M_MISSING_PARAM`.
    pub given: &'static str,
    /// How it answers about a room that does not exist, and about one that the user is not in. Where both are the same, so is the
    /// sentence: nobody learns which rooms there are.
    pub unknown: Refusal,
    pub foreign: Refusal,
}

const fn row(method: &'static str, path: &'static str) -> Row {
    Row { method, path, body: "{}", query: &[], given: "", unknown: FORBIDDEN, foreign: FORBIDDEN }
}

impl Row {
    const fn body(self, body: &'static str) -> Self {
        Self { body, ..self }
    }

    const fn query(self, given: &'static str, query: &'static [(&'static str, Query)]) -> Self {
        Self { query, given, ..self }
    }

    const fn outside(self, unknown: Refusal, foreign: Refusal) -> Self {
        Self { unknown, foreign, ..self }
    }
}

/// What an endpoint without a row is taken for.
pub fn of(method: &str, path: &str) -> Row {
    let found = ROWS.iter().find(|row| row.method == method && path.ends_with(row.path) && !row.path.is_empty());
    *found.unwrap_or(&row("", ""))
}

const PASSWORD: &str = r#"{"!type":"m.login.password","password":"x","identifier":{"!type":"m.id.user","!user":"anna"},
    "device_id":"D","initial_device_display_name":"d"}"#;
const NEW_ROOM: &str = r#"{"name":"n","topic":"t","preset":"private_chat","visibility":"private","room_version":"12","is_direct":false,
    "room_alias_name":"ward","invite":["@bert:example.org"],"creation_content":{},"power_level_content_override":{},
    "initial_state":[{"!type":"org.example.a","state_key":"","~content":{}}]}"#;
const ACCOUNT: &str = r#"{"username":"dora","password":"correct horse","device_id":"D","initial_device_display_name":"d",
    "inhibit_login":false,"refresh_token":false,"auth":{"type":"m.login.dummy"}}"#;
const A_FILTER: &str = r#"{"event_format":"client","event_fields":["type"],"presence":{"limit":1,"types":["a"],"senders":["@a:b.c"]},
    "room":{"rooms":["!a:b.c"],"not_rooms":["!a:b.c"],"include_leave":false,"timeline":{"limit":1,"contains_url":true,
    "lazy_load_members":true},"state":{"types":["a"]},"ephemeral":{"not_types":["a"]}}}"#;

const SEARCH: &str = r#"{"limit":1,"filter":{"generic_search_term":"a","room_types":["m.space"]},
    "~include_all_networks":false,"~third_party_instance_id":"irc"}"#;

const A_BACKUP: &str =
    r#"{"!algorithm":"m.megolm_backup.v1.curve25519-aes-sha2","!auth_data":{"~public_key":"a"},"version":"1"}"#;
const A_KEY: &str =
    r#"{"!first_message_index":1,"!forwarded_count":0,"!is_verified":true,"!session_data":{"~ciphertext":"a"}}"#;
const KEYS_OF_A_ROOM: &str = r#"{"!sessions":{"s":{"!first_message_index":1,"!forwarded_count":0,"!is_verified":true,
    "!session_data":{"~ciphertext":"a"}}}}"#;
const A_PUSHER: &str = r#"{"!app_id":"org.example.app","!pushkey":"key","~kind":"http","app_display_name":"a","device_display_name":"d",
    "profile_tag":"p","lang":"en","data":{"url":"https://push.example.org/_matrix/push/v1/notify","~format":"event_id_only"},
    "append":false}"#;

const A_SLIDING_SYNC: &str = r#"{"conn_id":"c","timeout":0,"txn_id":"t","lists":{"a":{"!timeline_limit":1,"ranges":[[0,9]],
    "filters":{"is_dm":true,"room_types":["m.space"],"not_tags":["t"]}}},"room_subscriptions":{},
    "extensions":{"to_device":{"enabled":true,"limit":1},"e2ee":{"enabled":true},"receipts":{"enabled":true,"lists":["a"]}}}"#;
const DOWNLOAD: &[(&str, Query)] = &[("timeout_ms", Number)];
const THUMBNAIL: &[(&str, Query)] =
    &[("width", Number), ("height", Number), ("animated", Flag), ("timeout_ms", Number), ("method", Text)];

/// Paths by their end.
pub const ROWS: &[Row] = &[
    row("GET", "/.well-known/matrix/client"),
    row("GET", "/.well-known/matrix/server"),
    row("GET", "/.well-known/matrix/support"),
    row("GET", "/_matrix/client/versions"),
    row("GET", "/thirdparty/protocols"),
    row("GET", "/thirdparty/protocol/{protocol}"),
    row("GET", "/thirdparty/location").query("alias=%23a:example.org", &[("alias", Text)]),
    row("GET", "/thirdparty/location/{protocol}"),
    row("GET", "/thirdparty/user").query("userid=@a:example.org", &[("userid", Text)]),
    row("GET", "/thirdparty/user/{protocol}"),
    row("GET", "/v3/capabilities"),
    row("POST", "/v3/register").body(ACCOUNT),
    row("GET", "/v3/register/available").query("username=dora", &[("username", Text)]),
    row("GET", "/register/m.login.registration_token/validity").query("token=abc", &[("token", Text)]),
    row("GET", "/v3/login"),
    row("POST", "/v3/login").body(PASSWORD),
    row("POST", "/v1/login/get_token").body(r#"{"auth":{"type":"m.login.dummy"}}"#),
    row("POST", "/v3/refresh").body(r#"{"!refresh_token":"r"}"#),
    row("POST", "/v3/logout"),
    row("POST", "/v3/logout/all"),
    row("GET", "/v3/account/whoami"),
    row("GET", "/v3/devices"),
    row("GET", "/v3/devices/{device_id}"),
    row("PUT", "/v3/devices/{device_id}").body(r#"{"display_name":"n"}"#),
    row("DELETE", "/v3/devices/{device_id}").body(r#"{"auth":{"type":"m.login.dummy"}}"#),
    row("POST", "/v3/keys/upload").body(
        r#"{"device_keys":{"user_id":"@anna:example.org","device_id":"D","algorithms":["m.olm.v1.curve25519-aes-sha2"],"keys":{},
        "signatures":{}},"one_time_keys":{},"fallback_keys":{}}"#,
    ),
    row("POST", "/v3/keys/query").body(r#"{"!device_keys":{"@anna:example.org":["D"]},"timeout":1}"#),
    row("POST", "/v3/keys/claim").body(r#"{"!one_time_keys":{"@anna:example.org":{"D":"signed_curve25519"}},"timeout":1}"#),
    row("POST", "/v3/keys/device_signing/upload").body(
        r#"{"master_key":{"user_id":"@anna:example.org","usage":["master"],"keys":
        {"~ed25519:lEuiRJBit0IG6nUf5pUzWTUEsRVVe/HJkoKuEww9ULI":"lEuiRJBit0IG6nUf5pUzWTUEsRVVe/HJkoKuEww9ULI"}},"auth":{"type":"m.login.dummy"}}"#,
    ),
    row("POST", "/v3/keys/signatures/upload").body(r#"{"@anna:example.org":{"D":{}}}"#),
    row("POST", "/v3/delete_devices").body(r#"{"!devices":["D"],"auth":{"type":"m.login.dummy"}}"#),
    row("GET", "/v3/admin/whois/{user_id}"),
    row("POST", "/v3/user/{user_id}/openid/request_token"),
    row("POST", "/account/password").body(
        r#"{"!new_password":"correct horse","logout_devices":true,"auth":{"type":"m.login.dummy","session":"s"}}"#,
    ),
    row("POST", "/account/deactivate").body(r#"{"erase":false,"id_server":"s","auth":{"type":"m.login.dummy"}}"#),
    row("GET", "/admin/v1/register"),
    row("POST", "/admin/v1/register").body(
        r#"{"!nonce":"n","!username":"dora","!password":"correct horse","admin":false,"!mac":"00","user_type":"bot"}"#,
    ),
    row("POST", "/user/{user_id}/filter").body(A_FILTER),
    row("GET", "/user/{user_id}/filter/{filter_id}"),
    row("GET", "/user/{user_id}/account_data/{event_type}"),
    row("PUT", "/user/{user_id}/account_data/{event_type}"),
    row("DELETE", "/user/{user_id}/account_data/{event_type}"),
    row("GET", "/rooms/{room_id}/account_data/{event_type}").outside(NOT_FOUND, NOT_FOUND),
    row("PUT", "/rooms/{room_id}/account_data/{event_type}"),
    row("DELETE", "/rooms/{room_id}/account_data/{event_type}"),
    row("GET", "/rooms/{room_id}/tags"),
    row("PUT", "/rooms/{room_id}/tags/{tag}").body(r#"{"~order":0.5}"#),
    row("DELETE", "/rooms/{room_id}/tags/{tag}"),
    row("POST", "/v3/createRoom").body(NEW_ROOM),
    row("POST", "/join/{room_id_or_alias}").body(r#"{"reason":"r"}"#).outside(NOT_FOUND, FORBIDDEN),
    row("GET", "/v3/joined_rooms"),
    row("GET", "/v3/pushrules/"),
    row("GET", "/v3/pushrules/global/"),
    row("GET", "/v3/notifications").query("", &[("from", Token), ("limit", Number), ("only", Text)]),
    row("GET", "/pushrules/global/{kind}/{rule_id}"),
    row("PUT", "/pushrules/global/{kind}/{rule_id}")
        .body(r#"{"!actions":["notify","coalesce"],"conditions":[],"pattern":"sepsis"}"#)
        .query("", &[("before", Text), ("after", Text)]),
    row("DELETE", "/pushrules/global/{kind}/{rule_id}"),
    row("GET", "/pushrules/global/{kind}/{rule_id}/enabled"),
    row("PUT", "/pushrules/global/{kind}/{rule_id}/enabled").body(r#"{"!enabled":false}"#),
    row("GET", "/pushrules/global/{kind}/{rule_id}/actions"),
    row("PUT", "/pushrules/global/{kind}/{rule_id}/actions").body(r#"{"!actions":["notify","coalesce"]}"#),
    row("GET", "/v3/pushers"),
    row("POST", "/v3/pushers/set").body(A_PUSHER),
    row("GET", "/presence/{user_id}/status"),
    row("GET", "/profile/{user_id}"),
    row("GET", "/profile/{user_id}/{field}"),
    row("PUT", "/profile/{user_id}/{field}").body(r#"{"!displayname":"Anna"}"#),
    row("DELETE", "/profile/{user_id}/{field}"),
    row("POST", "/user_directory/search").body(r#"{"!search_term":"anna","limit":1}"#),
    row("GET", "/mutual_rooms").query("user_id=@bert:example.org", &[("from", Token)]),
    row("PUT", "/presence/{user_id}/status").body(r#"{"!presence":"online","status_msg":"m"}"#),
    row("GET", "/v3/sync").query(
        "",
        &[("timeout", Number), ("since", Token), ("full_state", Flag), ("filter", Filter), ("set_presence", Choice)],
    ),
    row("POST", "/v4/sync").body(A_SLIDING_SYNC),
    row("POST", "/unstable/org.matrix.simplified_msc3575/sync")
        .body(A_SLIDING_SYNC)
        .query("", &[("timeout", Number), ("set_presence", Choice)]),
    row("POST", "/rooms/{room_id}/join").body(r#"{"reason":"r"}"#).outside(NOT_FOUND, FORBIDDEN),
    row("POST", "/knock/{room_id_or_alias}").body(r#"{"reason":"r"}"#).outside(NOT_FOUND, FORBIDDEN),
    row("POST", "/rooms/{room_id}/leave").body(r#"{"reason":"r"}"#),
    row("POST", "/rooms/{room_id}/kick").body(r#"{"!user_id":"@carl:example.org","reason":"r"}"#),
    row("POST", "/rooms/{room_id}/ban").body(r#"{"!user_id":"@carl:example.org","reason":"r"}"#),
    row("POST", "/rooms/{room_id}/unban").body(r#"{"!user_id":"@carl:example.org","reason":"r"}"#),
    row("POST", "/rooms/{room_id}/invite").body(r#"{"!user_id":"@carl:example.org","reason":"r"}"#),
    row("PUT", "/rooms/{room_id}/send/{event_type}/{txn_id}"),
    row("GET", "/rooms/{room_id}/state"),
    row("GET", "/state/{event_type}/{state_key}").query("", &[("format", Choice)]),
    row("GET", "/state/{event_type}/").query("", &[("format", Choice)]),
    row("GET", "/state/{event_type}").query("", &[("format", Choice)]),
    row("PUT", "/state/{event_type}/{state_key}"),
    row("PUT", "/state/{event_type}/"),
    row("PUT", "/state/{event_type}"),
    row("GET", "/rooms/{room_id}/messages")
        .query("dir=b", &[("dir", Choice), ("limit", Number), ("from", Token), ("to", Token), ("filter", Filter)]),
    row("GET", "/rooms/{room_id}/event/{event_id}").outside(NOT_FOUND, NOT_FOUND),
    row("GET", "/rooms/{room_id}/members")
        .query("", &[("at", Token), ("membership", Choice), ("not_membership", Choice)]),
    row("GET", "/rooms/{room_id}/joined_members"),
    row("GET", "/directory/room/{room_alias}"),
    row("PUT", "/directory/room/{room_alias}").body(r#"{"!room_id":"!nowhere:example.org"}"#),
    row("DELETE", "/directory/room/{room_alias}"),
    row("GET", "/rooms/{room_id}/aliases"),
    row("GET", "/context/{event_id}").query("", &[("limit", Number), ("filter", Filter)]),
    row("GET", "/relations/{event_id}").query("", RELATIONS).outside(NOT_FOUND, NOT_FOUND),
    row("GET", "/relations/{event_id}/{rel_type}").query("", RELATIONS).outside(NOT_FOUND, NOT_FOUND),
    row("GET", "/relations/{event_id}/{rel_type}/{event_type}").query("", RELATIONS).outside(NOT_FOUND, NOT_FOUND),
    row("GET", "/rooms/{room_id}/threads").query("", &[("include", Choice), ("limit", Number), ("from", Token)]),
    row("GET", "/rooms/{room_id}/timestamp_to_event").query("ts=1&dir=f", &[("ts", Number), ("dir", Choice)]),
    // Whoever reports a room or a user is not told whether there is one.
    row("POST", "/rooms/{room_id}/report").body(r#"{"reason":"r"}"#).outside(KEPT, KEPT),
    row("POST", "/rooms/{room_id}/report/{event_id}")
        .body(r#"{"reason":"r","~score":-1}"#)
        .outside(NOT_FOUND, NOT_FOUND),
    row("POST", "/users/{user_id}/report").body(r#"{"!reason":"r"}"#),
    row("PUT", "/rooms/{room_id}/redact/{event_id}/{txn_id}").body(r#"{"reason":"r"}"#),
    row("POST", "/rooms/{room_id}/receipt/{receipt_type}/{event_id}").body(r#"{"~thread_id":"main"}"#),
    row("POST", "/rooms/{room_id}/read_markers")
        .body(r#"{"m.fully_read":"$event","m.read":"$event","m.read.private":"$event"}"#),
    row("PUT", "/rooms/{room_id}/typing/{user_id}").body(r#"{"!typing":true,"timeout":1}"#),
    // Everybody is told whether a room is listed, as the specification has it.
    row("GET", "/directory/list/room/{room_id}").outside(NOT_FOUND, (200, "")),
    row("PUT", "/directory/list/room/{room_id}").body(r#"{"visibility":"private"}"#).outside(NOT_FOUND, NOT_FOUND),
    row("GET", "/v3/publicRooms").query("", &[("limit", Number), ("since", Token), ("server", Text)]),
    row("POST", "/v3/publicRooms").body(SEARCH).query("", &[("server", Text)]),
    row("GET", "/room_summary/{room_id_or_alias}").outside(NOT_FOUND, NOT_FOUND),
    row("GET", "/im.nheko.summary/rooms/{room_id_or_alias}/summary").outside(NOT_FOUND, NOT_FOUND),
    row("GET", "/im.nheko.summary/summary/{room_id_or_alias}").outside(NOT_FOUND, NOT_FOUND),
    row("GET", "/rooms/{room_id}/hierarchy")
        .query("", &[("limit", Number), ("max_depth", Number), ("from", Token), ("suggested_only", Flag)]),
    row("POST", "/rooms/{room_id}/forget"),
    row("POST", "/rooms/{room_id}/upgrade")
        .body(r#"{"!new_version":"12","additional_creators":["@bert:example.org"]}"#),
    row("PUT", "/org.matrix.msc3814.v1/dehydrated_device").body(
        r#"{"!device_id":"D","!device_data":{"~algorithm":"a"},"initial_device_display_name":"d",
        "!device_keys":{"user_id":"@anna:example.org","device_id":"D","algorithms":["m.olm.v1.curve25519-aes-sha2"],
        "keys":{"~curve25519:D":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","~ed25519:D":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"},
        "signatures":{}},"one_time_keys":{},"fallback_keys":{}}"#,
    ),
    row("GET", "/org.matrix.msc3814.v1/dehydrated_device"),
    row("DELETE", "/org.matrix.msc3814.v1/dehydrated_device"),
    row("GET", "/dehydrated_device/{device_id}/events").query("", &[("from", Text)]),
    row("POST", "/dehydrated_device/{device_id}/events").body(r#"{"next_batch":"p"}"#),
    row("POST", "/room_keys/version").body(A_BACKUP),
    row("GET", "/room_keys/version"),
    row("GET", "/room_keys/version/{version}"),
    row("PUT", "/room_keys/version/{version}").body(A_BACKUP),
    row("DELETE", "/room_keys/version/{version}"),
    row("PUT", "/room_keys/keys").body(r#"{"!rooms":{}}"#).query("version=1", &[("version", Text)]),
    row("GET", "/room_keys/keys").query("version=1", &[("version", Text)]),
    row("DELETE", "/room_keys/keys").query("version=1", &[("version", Text)]),
    row("PUT", "/room_keys/keys/{room_id}")
        .body(KEYS_OF_A_ROOM)
        .query("version=1", &[("version", Text)])
        .outside(NOT_FOUND, NOT_FOUND),
    row("GET", "/room_keys/keys/{room_id}").query("version=1", &[("version", Text)]).outside(NOT_FOUND, NOT_FOUND),
    row("DELETE", "/room_keys/keys/{room_id}").query("version=1", &[("version", Text)]).outside(NOT_FOUND, NOT_FOUND),
    row("PUT", "/room_keys/keys/{room_id}/{session_id}")
        .body(A_KEY)
        .query("version=1", &[("version", Text)])
        .outside(NOT_FOUND, NOT_FOUND),
    row("GET", "/room_keys/keys/{room_id}/{session_id}")
        .query("version=1", &[("version", Text)])
        .outside(NOT_FOUND, NOT_FOUND),
    row("DELETE", "/room_keys/keys/{room_id}/{session_id}")
        .query("version=1", &[("version", Text)])
        .outside(NOT_FOUND, NOT_FOUND),
    row("PUT", "/sendToDevice/{event_type}/{txn_id}").body(r#"{"!messages":{}}"#),
    row("GET", "/keys/changes").query("from=x&to=x", &[("from", Token), ("to", Token)]),
    row("GET", "/v1/media/config"),
    row("GET", "/v1/media/download/{server_name}/{media_id}").query("", DOWNLOAD),
    row("GET", "/v1/media/download/{server_name}/{media_id}/{filename}").query("", DOWNLOAD),
    row("GET", "/v1/media/thumbnail/{server_name}/{media_id}").query("width=1&height=1", THUMBNAIL),
    row("GET", "/v1/media/preview_url").query("url=a", &[("url", Text), ("ts", Number)]),
    row("GET", "/media/v3/config"),
    row("GET", "/media/v3/download/{server_name}/{media_id}").query("", DOWNLOAD),
    row("GET", "/media/v3/download/{server_name}/{media_id}/{filename}").query("", DOWNLOAD),
    row("GET", "/media/v3/thumbnail/{server_name}/{media_id}").query("width=1&height=1", THUMBNAIL),
    row("GET", "/media/v3/preview_url").query("url=a", &[("url", Text), ("ts", Number)]),
    row("POST", "/media/v1/create"),
    row("POST", "/media/v3/upload").query("", &[("filename", Text)]),
    row("PUT", "/media/v3/upload/{server_name}/{media_id}").query("", &[("filename", Text)]),
    row("GET", "/_matrix/key/v2/server"),
    row("GET", "/_matrix/federation/v1/openid/userinfo").query("access_token=x", &[("access_token", Text)]),
];

/// A new endpoint gets a line above, and what is not mounted any more has none.
#[test]
fn every_endpoint_has_a_row() {
    let endpoints: Vec<_> = newest().collect();
    let missing = endpoints.iter().filter(|endpoint| of(endpoint.method.as_str(), &endpoint.path).path.is_empty());
    let missing: Vec<_> = missing.map(|endpoint| format!("{} {}", endpoint.method, endpoint.path)).collect();
    assert!(missing.is_empty(), "without a row:\n{}", missing.join("\n"));
    let gone = ROWS.iter().filter(|row| {
        !endpoints.iter().any(|endpoint| endpoint.method == row.method && endpoint.path.ends_with(row.path))
    });
    let gone: Vec<_> = gone.map(|row| format!("{} {}", row.method, row.path)).collect();
    assert!(gone.is_empty(), "not mounted any more:\n{}", gone.join("\n"));
}

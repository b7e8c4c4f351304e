//! What is refused before any handler sees it.

use axum::body::Body;
use http::{Method, Request, header};
use wardstead_api::endpoints;
use wardstead_limits::api::BODY_BYTES;

use crate::server::Server;

/// A path of the endpoint with plausible values, so that only the token is missing.
pub fn example(path: &str) -> String {
    path.replace("{room_id}", "!room:example.org")
        .replace("{room_id_or_alias}", "%23alias:example.org")
        .replace("{room_alias}", "%23alias:example.org")
        .replace("{user_id}", "@user:example.org")
        .replace("{event_id}", "$event")
        .replace("{event_type}", "m.room.message")
        .replace("{state_key}", "key")
        .replace("{txn_id}", "1")
        .replace("{filter_id}", "1")
        .replace("{field}", "field")
        .replace("{server_name}", "example.org")
        .replace("{media_id}", "id")
        .replace("{filename}", "name")
}

/// No data is reached without a check (P7). The endpoints that are open to all are listed here by name: a new one has to be added by
/// hand.
#[tokio::test]
async fn every_other_endpoint_demands_a_token() {
    const OPEN: [&str; 11] = [
        "/_matrix/client/r0/refresh",
        "/_matrix/client/v3/refresh",
        "/_synapse/admin/v1/register",
        "/.well-known/matrix/client",
        "/_matrix/client/versions",
        "/_matrix/client/r0/login",
        "/_matrix/client/v3/login",
        "/_matrix/client/r0/register",
        "/_matrix/client/v3/register",
        "/_matrix/client/r0/register/available",
        "/_matrix/client/v3/register/available",
    ];
    // What everybody may look up.
    const OPEN_GET: [&str; 26] = [
        "/_matrix/media/r0/download/example.org/id",
        "/_matrix/media/v3/download/example.org/id",
        "/_matrix/media/r0/download/example.org/id/name",
        "/_matrix/media/v3/download/example.org/id/name",
        "/_matrix/media/r0/thumbnail/example.org/id",
        "/_matrix/media/v3/thumbnail/example.org/id",
        "/_matrix/client/r0/profile/@user:example.org",
        "/_matrix/client/v3/profile/@user:example.org",
        "/_matrix/client/r0/profile/@user:example.org/field",
        "/_matrix/client/v3/profile/@user:example.org/field",
        "/_matrix/client/unstable/uk.tcpip.msc4133/profile/@user:example.org/field",
        "/.well-known/matrix/server",
        "/.well-known/matrix/support",
        "/_matrix/client/v1/register/m.login.registration_token/validity",
        "/_matrix/client/r0/directory/list/room/!room:example.org",
        "/_matrix/client/v3/directory/list/room/!room:example.org",
        "/_matrix/client/r0/directory/room/%23alias:example.org",
        "/_matrix/client/v3/directory/room/%23alias:example.org",
        "/_matrix/client/r0/publicRooms",
        "/_matrix/client/v3/publicRooms",
        "/_matrix/client/v1/room_summary/%23alias:example.org",
        "/_matrix/key/v2/server",
        "/_matrix/federation/v1/openid/userinfo",
        "/_matrix/client/unstable/uk.tcpip.msc4133/profile/@user:example.org",
        "/_matrix/client/unstable/im.nheko.summary/rooms/%23alias:example.org/summary",
        "/_matrix/client/unstable/im.nheko.summary/summary/%23alias:example.org",
    ];
    let server = Server::new().await;
    let (mut closed, mut unlisted) = (0, Vec::new());
    for endpoint in endpoints().into_iter().filter(|endpoint| !endpoint.page) {
        let path = example(&endpoint.path);
        let looked_up = endpoint.method == Method::GET && OPEN_GET.contains(&path.as_str());
        if looked_up || OPEN.contains(&path.as_str()) {
            assert!(!endpoint.needs_token, "{path}");
            continue;
        }
        closed += 1;
        if !endpoint.needs_token {
            unlisted.push(path);
            continue;
        }
        let ask = |token| server.ask(endpoint.method.clone(), &path, token, "{}");
        ask("").await.expect_error(401, "M_MISSING_TOKEN");
        ask("syt_never_issued").await.expect_error(401, "M_UNKNOWN_TOKEN");
    }
    assert!(closed >= 6);
    assert!(unlisted.is_empty(), "open to all: {unlisted:?}");
}

#[tokio::test]
async fn tokens_are_read_from_header_and_query() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let path = "/_matrix/client/v3/account/whoami";
    assert_eq!(server.get(path, &token).await.ok()["user_id"], "@anna:example.org");
    assert_eq!(server.get(&format!("{path}?access_token={token}"), "").await.ok()["user_id"], "@anna:example.org");
    let ask = async |authorization: &str| {
        let request = Request::builder().uri(path).header(header::AUTHORIZATION, authorization);
        server.send(request.body(Body::empty()).unwrap()).await
    };
    assert_eq!(ask(&format!("bearer {token}")).await.ok()["user_id"], "@anna:example.org");
    ask(&format!("Basic {token}")).await.expect_error(401, "M_MISSING_TOKEN");
    ask("Bearer").await.expect_error(401, "M_MISSING_TOKEN");
    ask("Bearer ").await.expect_error(401, "M_UNKNOWN_TOKEN");
    ask("é").await.expect_error(401, "M_MISSING_TOKEN");
    server.get(&format!("{path}?access_token=a&access_token=b"), "").await.expect_error(401, "M_MISSING_TOKEN");
}

/// A client that is told `soft_logout: true` keeps its session's keys and asks for the password again.
#[tokio::test]
async fn an_unknown_token_is_no_soft_logout() {
    let server = Server::new().await;
    let answer = server.get("/_matrix/client/v3/account/whoami", "x").await;
    answer.expect_error(401, "M_UNKNOWN_TOKEN");
    assert_ne!(answer.json()["soft_logout"], true);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_unrecognized() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    for path in [
        "/",
        "/_matrix",
        "/_matrix/client/v3",
        "/_matrix/client/v3/nothing",
        "/_matrix/client/v3/account/whoami/",
        "/_matrix/client/v3//account/whoami",
        "/_matrix/client/v3/initialSync",
        "/_matrix/client/v3/voip/turnServer",
        "/_matrix/media/v3/nothing",
        "/_matrix/federation/v1/version",
        "/_matrix/key/v2/query",
    ] {
        server.get(path, &token).await.expect_error(404, "M_UNRECOGNIZED");
        server.ask(Method::POST, path, "", "{").await.expect_error(404, "M_UNRECOGNIZED");
    }
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        for path in ["/_matrix/client/v3/account/whoami", "/_matrix/client/v3/login", "/_matrix/client/versions"] {
            server.ask(method.clone(), path, &token, "").await.expect_error(405, "M_UNRECOGNIZED");
        }
    }
}

/// HEAD is GET without a body.
#[tokio::test]
async fn head_is_answered() {
    let server = Server::new().await;
    let answer = server.ask(Method::HEAD, "/_matrix/client/versions", "", "").await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (200, 0));
}

/// The bound is on what is read, not on what is announced: a chunked body has no announced length.
#[tokio::test]
async fn a_body_beyond_the_bound_is_too_large() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let path = "/_matrix/client/v3/logout";
    let chunks = || (0..=BODY_BYTES / 1024).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024]));
    let chunked = Body::from_stream(futures::stream::iter(chunks()));
    server.ask(Method::POST, path, &token, chunked).await.expect_error(413, "M_TOO_LARGE");
    server.ask(Method::POST, path, &token, vec![b' '; BODY_BYTES + 1]).await.expect_error(413, "M_TOO_LARGE");
    let mut fits = vec![b' '; BODY_BYTES];
    fits[0] = b'{';
    fits[BODY_BYTES - 1] = b'}';
    server.ask(Method::POST, path, &token, fits).await.ok();
}

/// A body that breaks off is not taken for a shorter one.
#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let parts = [Ok(&b"{}"[..]), Err(std::io::Error::other("gone"))];
    let body = Body::from_stream(futures::stream::iter(parts));
    server.ask(Method::POST, "/_matrix/client/v3/logout", &token, body).await.expect_error(400, "M_NOT_JSON");
    server.get("/_matrix/client/v3/account/whoami", &token).await.ok();
}

/// A client that stops in the middle of its body does not hold a request open for ever.
#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let server = Server::new().await;
    let token = server.token("anna").await;
    let body = Body::from_stream(futures::stream::pending::<Result<&[u8], std::io::Error>>());
    server.ask(Method::POST, "/_matrix/client/v3/logout", &token, body).await.expect_error(408, "M_UNKNOWN");
}

/// A client that is refused before its body was read keeps its connection: the rest of the body is taken off it first. One that sends
/// nothing more, or more than any body has, is told that the connection ends.
#[tokio::test(start_paused = true)]
async fn the_body_of_a_refused_request_is_read() {
    let server = Server::new().await;
    let ask = async |path: &str, body: Body| {
        let answer = server.ask(Method::POST, path, "", body).await;
        let closed = answer.headers.get(header::CONNECTION).map(|value| value.to_str().unwrap().to_owned());
        (answer.status.as_u16(), closed)
    };
    let chunks = |count: usize| {
        let (told, left) = tokio::sync::watch::channel(count);
        let chunk = move |at| {
            told.send_replace(count - 1 - at);
            Ok::<_, std::io::Error>(vec![b' '; 1024])
        };
        (Body::from_stream(futures::stream::iter((0..count).map(chunk))), left)
    };
    for (path, status) in [("/_matrix/client/v3/logout", 401), ("/nowhere", 404), ("/_matrix/client/versions", 405)] {
        let (body, left) = chunks(3);
        assert_eq!(ask(path, body).await, (status, None), "{path}");
        assert_eq!(*left.borrow(), 0, "{path}");
        let silent = Body::from_stream(futures::stream::pending::<Result<&[u8], std::io::Error>>());
        assert_eq!(ask(path, silent).await, (status, Some("close".to_owned())), "{path}");
        let (body, left) = chunks(10 * BODY_BYTES / 1024);
        assert_eq!(ask(path, body).await, (status, Some("close".to_owned())), "{path}");
        assert!(*left.borrow() > 0, "{path}");
    }
}

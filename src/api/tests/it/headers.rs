//! What every answer carries, and preflights.

use http::{Method, header};

use crate::server::{Answer, Server};

#[track_caller]
fn expect_headers(answer: &Answer) {
    let headers = &answer.headers;
    assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_METHODS], "GET, POST, PUT, DELETE, OPTIONS");
    assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_HEADERS], "X-Requested-With, Content-Type, Authorization");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(headers["x-request-id"].len(), 16);
}

/// A web client may read successes and failures alike: without CORS headers on a 401 or 404 it could not tell them from a broken
/// network.
#[tokio::test]
async fn successes_and_errors_have_cors_headers() {
    let server = Server::new().await;
    expect_headers(&server.get("/_matrix/client/versions", "").await);
    expect_headers(&server.get("/_matrix/client/v3/account/whoami", "").await);
    expect_headers(&server.get("/nowhere", "").await);
    expect_headers(&server.ask(Method::DELETE, "/_matrix/client/versions", "", "").await);
    expect_headers(&server.ask(Method::POST, "/_matrix/client/v3/login", "", "{").await);
}

/// Preflights carry no token and must not run the endpoint.
#[tokio::test]
async fn every_endpoint_answers_options_without_a_token() {
    let server = Server::new().await;
    for endpoint in wardstead_api::endpoints() {
        let path = endpoint.path.replace(['{', '}'], "");
        let answer = server.ask(Method::OPTIONS, &path, "", "").await;
        assert_eq!(answer.status, 204, "{path}");
        expect_headers(&answer);
    }
}

/// Two requests never share an id: support finds one line in the log by it.
#[tokio::test]
async fn request_ids_differ() {
    let server = Server::new().await;
    let one = server.get("/_matrix/client/versions", "").await;
    let two = server.get("/_matrix/client/versions", "").await;
    assert_ne!(one.headers["x-request-id"], two.headers["x-request-id"]);
}

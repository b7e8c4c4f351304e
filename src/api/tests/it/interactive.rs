//! User-interactive authentication as clients and web browsers see it.

use http::{Method, Request, header};
use serde_json::json;

use wardstead_api::{Group, GroupRates, RateLimits};
use wardstead_identity::{FailedLogins, Registration};
use wardstead_limits::Rate;

use crate::server::{Answer, Options, Server};

const REGISTER: &str = "/_matrix/client/v3/register";

fn page(stage: &str, session: &str) -> String {
    format!("/_matrix/client/v3/auth/{stage}/fallback/web?session={session}")
}

async fn submit(server: &Server, stage: &str, form: &str) -> Answer {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/_matrix/client/v3/auth/{stage}/fallback/web?"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form.to_owned().into());
    server.send(request.unwrap()).await
}

fn text(answer: &Answer) -> String {
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(answer.headers[header::REFERRER_POLICY], "no-referrer");
    let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
    String::from_utf8(answer.bytes.clone()).unwrap()
}

/// The whole way of a client that does not know a stage: challenge, page in a browser, the session alone.
#[tokio::test]
async fn a_stage_is_completed_on_its_page() {
    let server = Server::new().await;
    let session = server.post(REGISTER, "", &json!({})).await.json()["session"].as_str().unwrap().to_owned();
    let asked = text(&server.get(&page("m.login.registration_token", &session), "").await);
    assert!(asked.contains(&format!("name=\"session\" value=\"{session}\"")), "{asked}");
    assert!(asked.contains("<label for=\"entered\">") && !asked.contains("<script"), "{asked}");
    let wrong = submit(&server, "m.login.registration_token", &format!("session={session}&entered=wrong")).await;
    assert!(text(&wrong).contains("role=\"alert\""), "{wrong:?}");

    let done = text(&submit(&server, "m.login.dummy", &format!("session={session}&entered=")).await);
    assert!(done.contains("window.onAuthDone()") && done.contains("postMessage(\"authDone\", \"*\")"), "{done}");
    let body = json!({ "username": "anna", "password": "correct horse", "auth": { "session": session } });
    assert_eq!(server.post(REGISTER, "", &body).await.ok()["user_id"], "@anna:example.org");
    // It is a page for people: what it does not know it tells people.
    for (stage, session) in [("m.login.dummy", &*session), ("m.login.recaptcha", &session), ("m.login.dummy", "x")] {
        let answer = server.get(&page(stage, session), "").await;
        assert_eq!(answer.status, 404);
        assert!(text(&answer).contains("expired"));
    }
}

#[tokio::test]
async fn pages_bear_whatever_they_are_sent() {
    let server = Server::new().await;
    let session = server.post(REGISTER, "", &json!({})).await.json()["session"].as_str().unwrap().to_owned();
    for form in ["", "session", "session=%ff&entered=%ff", "=&=", "{}", &format!("session={session}&entered=%00")] {
        let answer = submit(&server, "m.login.registration_token", form).await;
        assert!(answer.status == 404 || answer.status == 200, "{form}: {answer:?}");
        text(&answer);
    }
    let marked = "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let shown = text(&server.get(&page(marked, marked), "").await);
    assert!(!shown.contains("<script>alert"), "{shown}");
    assert_eq!(server.get("/_matrix/client/v3/auth/%ff/fallback/web", "").await.status, 404);
    let large = format!("session={}", "a".repeat(wardstead_limits::api::BODY_BYTES + 1));
    let refused = submit(&server, "m.login.dummy", &large).await;
    assert_eq!(refused.status, 413);
    assert!(text(&refused).contains("too long"));
}

#[tokio::test]
async fn whether_a_registration_token_is_good() {
    let server = Server::new().await;
    let path = "/_matrix/client/v1/register/m.login.registration_token/validity";
    assert_eq!(server.get(&format!("{path}?token=wrong"), "").await.ok(), json!({ "valid": false }));
    server.get(path, "").await.expect_error(400, "M_MISSING_PARAM");
}

/// Whoever asks too often is told so as a person, and their browser when to come back.
#[tokio::test]
async fn a_page_that_is_refused_is_a_page() {
    let rate = Some(Rate::per_minute(1, 3));
    let limits = RateLimits::default().with(Group::Password, GroupRates { account: None, address: rate });
    let server = Server::with(Options { limits, ..Options::default() }).await;
    for _ in 0..3 {
        assert_eq!(server.get(&page("m.login.dummy", "x"), "").await.status, 404);
    }
    let asked = server.get(&page("m.login.dummy", "x"), "").await;
    let submitted = submit(&server, "m.login.dummy", "session=x").await;

    // Or too often with a wrong password.
    let failed_logins = FailedLogins { pair: rate, account: None, address: None };
    let server = Server::with(Options { failed_logins, ..Options::default() }).await;
    let anna = server.token("anna").await;
    let body = json!({ "new_password": "another horse" });
    let challenge = server.post("/_matrix/client/v3/account/password", &anna, &body).await.json();
    let form = format!("session={}&entered=wrong", challenge["session"].as_str().unwrap());
    for _ in 0..3 {
        assert_eq!(submit(&server, "m.login.password", &form).await.status, 200);
    }
    let guessed = submit(&server, "m.login.password", &form).await;
    for refused in [asked, submitted, guessed] {
        assert_eq!(refused.status, 429);
        assert!(text(&refused).contains("Please wait"), "{refused:?}");
        assert!(refused.headers[header::RETRY_AFTER].to_str().unwrap().parse::<u32>().unwrap() > 0);
    }
}

/// Where nobody can register, no name is available to anybody, whether or not it is taken.
#[tokio::test]
async fn no_name_is_available_where_nobody_registers() {
    let server = Server::with(Options { registration: Registration::Closed, ..Options::default() }).await;
    let path = |name: &str| format!("/_matrix/client/v3/register/available?username={name}");
    // The first account can be made.
    assert_eq!(server.get(&path("anna"), "").await.ok(), json!({ "available": true }));
    server.token("anna").await;
    for name in ["anna", "bert", "B%20C"] {
        server.get(&path(name), "").await.expect_error(403, "M_FORBIDDEN");
    }
}

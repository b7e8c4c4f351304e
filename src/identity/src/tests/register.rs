use ruma::api::client::account::register::RegistrationKind;
use serde_json::json;
use wardstead_accounts::AccountsError;
use wardstead_limits::accounts as limits;

use super::{Node, PASSWORD, challenge, changed, dummy, failure, request};
use crate::{Failure, IdentityError, RegisterError, Registration, WeakPassword};

/// The first request is told the flows, the second with the session gets the account, in one batch.
#[tokio::test]
async fn the_dummy_flow() {
    let node = Node::open(Registration::Open).await;
    let first = node.challenge().await;
    assert_eq!(first.flows, [["m.login.dummy"], ["m.login.registration_token"]]);
    assert_eq!((first.completed.len(), first.params.len(), first.failure), (0, 0, None));

    let before = node.counts.read().batches;
    let mut request = request("Alice", Some(dummy(Some(&first.session))));
    request.device_id = Some("PHONE".into());
    request.initial_device_display_name = Some("phone".to_owned());
    let registered = node.make(request).await.unwrap();
    assert_eq!(node.counts.read().batches - before, 1);
    assert_eq!(registered.user_id, "@alice:example.org");
    let login = registered.login.unwrap();
    let session = node.accounts.authenticate(&login.access_token).await.unwrap();
    assert_eq!((session.device_id.as_str(), session.admin), ("PHONE", false));
    let devices = node.accounts.devices(session.user).await.unwrap();
    assert_eq!(devices[0].display_name.as_deref(), Some("phone"));
}

/// As test suites and bots do it: one stage, no session.
#[tokio::test]
async fn a_stage_without_a_session() {
    let node = Node::open(Registration::Open).await;
    node.register("alice", dummy(None)).await.unwrap();
    let generated = node.make(changed("", |request| request.username = None)).await.unwrap();
    assert_eq!(generated.user_id.localpart().len(), limits::GENERATED_USERNAME_CHARS);
}

/// Any node takes up a session that another issued; it makes one account.
#[tokio::test]
async fn a_session_makes_one_account_on_any_node() {
    let node = Node::open(Registration::Open).await;
    let another = node.another(Registration::Open).await;
    let session = node.challenge().await.session;
    let auth = dummy(Some(&session));
    another.register("alice", auth.clone()).await.unwrap();
    let again = challenge(node.register("bob", auth.clone()).await);
    assert_eq!(again.failure, Some(Failure::SessionUsed));
    assert_ne!(again.session, session);
    assert_eq!(node.users().await, 1);
    node.register("bob", dummy(Some(&again.session))).await.unwrap();

    // At the same time as well.
    let auth = dummy(Some(&node.challenge().await.session));
    let (one, two) = tokio::join!(node.register("carol", auth.clone()), another.register("dave", auth));
    let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
    won.unwrap();
    assert_eq!(failure(lost), Some(Failure::SessionUsed));
    assert_eq!(node.users().await, 3);
}

#[tokio::test]
async fn a_session_is_ours_whole_and_not_past() {
    let node = Node::open(Registration::Open).await;
    let elsewhere = Node::over(wardstead_store::testing::engine().0, node.clock.clone(), 7, Registration::Open).await;
    let session = node.challenge().await.session;
    let mut forged = session.clone().into_bytes();
    forged[8] = if forged[8] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let foreign = elsewhere.challenge().await.session;
    let longer = format!("{session}AAAA");
    for bad in ["", "x", "\u{e9}", &forged, &foreign, &session[1..], &longer] {
        let answer = challenge(node.register("alice", dummy(Some(bad))).await);
        assert_eq!(answer.failure, Some(Failure::InvalidSession), "{bad}");
        assert_ne!(answer.session, bad);
    }
    node.clock.advance_ms(limits::UIA_SESSION_MS - 1);
    let late = node.challenge().await.session;
    node.register("alice", dummy(Some(&session))).await.unwrap();
    node.clock.advance_ms(limits::UIA_SESSION_MS);
    assert_eq!(failure(node.register("bob", dummy(Some(&late))).await), Some(Failure::InvalidSession));
}

/// Rows of used sessions do not stay for ever, and are not removed while a session could still be presented.
#[tokio::test]
async fn used_sessions_are_forgotten_after_their_time() {
    let node = Node::open(Registration::Open).await;
    let used = async || {
        let table = crate::tables::SESSIONS.id().stored().to_be_bytes();
        node.stored().await.iter().filter(|row| row.starts_with(&table)).count()
    };
    for (name, rows) in [("one", 1), ("two", 2), ("three", 2), ("four", 2)] {
        node.register(name, dummy(Some(&node.challenge().await.session))).await.unwrap();
        assert_eq!(used().await, rows, "{name}");
        node.clock.advance_ms(limits::UIA_SESSION_MS + 1);
    }
}

#[tokio::test]
async fn names_and_passwords_are_checked_before_anything_else() {
    let node = Node::open(Registration::Open).await;
    node.register("alice", dummy(None)).await.unwrap();
    // Even without authentication: the client can ask its user again before the flow begins.
    let taken = node.make(request("ALICE", None)).await;
    let in_use = |error: &_| matches!(error, IdentityError::Accounts(AccountsError::UserInUse));
    assert!(matches!(&taken, Err(RegisterError::Identity(error)) if in_use(error)), "{taken:?}");
    assert!(node.identity.available("Alice").await.is_err_and(|error| in_use(&error)));
    let invalid = node.identity.available("al ice").await;
    assert!(matches!(invalid, Err(IdentityError::Accounts(AccountsError::InvalidUsername))));
    node.identity.available("bob").await.unwrap();

    let with = |password: Option<String>| changed("bob", |request| request.password = password);
    let short = "é".repeat(limits::PASSWORD_MIN_CHARS - 1);
    let refused = node.make(with(Some(short.clone()))).await;
    assert!(matches!(refused, Err(RegisterError::WeakPassword(WeakPassword::TooShort))), "{refused:?}");
    let refused = node.make(with(Some("a".repeat(limits::PASSWORD_BYTES + 1)))).await;
    assert!(matches!(refused, Err(RegisterError::WeakPassword(WeakPassword::TooLong))), "{refused:?}");
    let refused = node.make(with(None)).await;
    assert!(matches!(refused, Err(RegisterError::MissingPassword)), "{refused:?}");
    node.make(with(Some(format!("{short}é")))).await.unwrap();
    assert_eq!(node.users().await, 2);
}

#[tokio::test]
async fn no_guests() {
    let node = Node::open(Registration::Open).await;
    let guest = changed("alice", |request| request.kind = RegistrationKind::Guest);
    let refused = node.make(guest).await;
    assert!(matches!(refused, Err(RegisterError::GuestsForbidden)), "{refused:?}");
    let other = changed("alice", |request| request.kind = "robot".into());
    let refused = node.make(other).await;
    assert!(matches!(refused, Err(RegisterError::UnknownKind)), "{refused:?}");
}

#[tokio::test]
async fn without_a_login() {
    let node = Node::open(Registration::Open).await;
    let request = changed("alice", |request| request.inhibit_login = true);
    let registered = node.make(request).await.unwrap();
    assert_eq!(registered.login, None);
    let account = node.accounts.find(&registered.user_id).await.unwrap().unwrap();
    assert!(node.accounts.devices(account.user).await.unwrap().is_empty());
    let body = json!({ "type": "m.login.password", "user": "alice", "password": PASSWORD });
    node.login(body).await.unwrap();
}

#[tokio::test]
async fn other_stages_are_not_offered() {
    let node = Node::open(Registration::Token).await;
    let session = node.challenge().await.session;
    for stage in ["m.login.dummy", "m.login.terms", "org.example.other"] {
        let answer = challenge(node.register("alice", json!({ "type": stage, "session": session })).await);
        assert_eq!(answer.failure, Some(Failure::UnknownStage), "{stage}");
        assert_eq!(answer.session, session);
    }
    let answer = challenge(node.register("alice", json!({ "session": session })).await);
    assert_eq!((answer.failure, answer.session), (None, session));
}

#[tokio::test]
async fn no_password_is_stored() {
    let node = Node::open(Registration::Open).await;
    node.register("alice", dummy(None)).await.unwrap();
    let holds = |row: &Vec<u8>, text: &str| row.windows(text.len()).any(|window| window == text.as_bytes());
    let rows = node.stored().await;
    assert!(rows.iter().any(|row| holds(row, "$argon2id$v=19$")));
    assert!(!rows.iter().any(|row| holds(row, PASSWORD)));
}

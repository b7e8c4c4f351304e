use argon2::PasswordHash;
use serde_json::{Value, json};
use wardstead_limits::{SeededRng, accounts as limits};

use super::{Node, PASSWORD, dummy};
use crate::{HashCost, HashError, LoginError, PasswordHasher, Registration};

fn by_name(user: &str, password: &str) -> Value {
    json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": user },
        "password": password,
    })
}

async fn with_alice() -> Node {
    let node = Node::open(Registration::Open).await;
    node.register("alice", dummy(None)).await.unwrap();
    node
}

#[tokio::test]
async fn by_name_by_id_and_the_deprecated_way() {
    let node = with_alice().await;
    let deprecated = json!({ "type": "m.login.password", "user": "alice", "password": PASSWORD });
    let names = ["alice", "Alice", "@alice:example.org", "@ALICE:example.org"];
    for body in names.map(|name| by_name(name, PASSWORD)).into_iter().chain([deprecated]) {
        let login = node.login(body).await.unwrap();
        assert_eq!(login.session.user_id, "@alice:example.org");
        assert_eq!(node.accounts.authenticate(&login.access_token).await.unwrap(), login.session);
    }
    assert_eq!(node.identity.login_types(), ["m.login.password", "m.login.token"]);
}

/// Whoever fails learns nothing: one answer, and one password comparison, whatever is wrong.
#[tokio::test]
async fn every_failure_is_alike() {
    let node = with_alice().await;
    let long = "a".repeat(limits::PASSWORD_BYTES + 1);
    let email = json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.thirdparty", "medium": "email", "address": "alice@example.org" },
        "password": PASSWORD,
    });
    let failing = [
        by_name("alice", "wrong password"),
        by_name("alice", ""),
        by_name("alice", &long),
        by_name("nobody", PASSWORD),
        by_name("not a name", PASSWORD),
        by_name("@alice:example.com", PASSWORD),
        email,
    ];
    for body in failing {
        let before = node.identity.hasher().verifications();
        let refused = node.login(body.clone()).await;
        assert!(matches!(refused, Err(LoginError::Forbidden)), "{body}: {refused:?}");
        assert_eq!(node.identity.hasher().verifications() - before, 1, "{body}");
    }
}

/// An account that signs in another way has no password, not even the empty one.
#[tokio::test]
async fn an_account_without_a_password() {
    let node = Node::open(Registration::Open).await;
    let new = wardstead_accounts::NewAccount { username: Some("bob".to_owned()), ..Default::default() };
    node.accounts.create(new, wardstead_engine::Batch::new()).await.unwrap();
    for password in ["", PASSWORD] {
        let refused = node.login(by_name("bob", password)).await;
        assert!(matches!(refused, Err(LoginError::Forbidden)), "{refused:?}");
    }
}

/// Only who knows the password is told that the account is deactivated.
#[tokio::test]
async fn a_deactivated_account() {
    let node = with_alice().await;
    node.accounts
        .deactivate(ruma::user_id!("@alice:example.org"), false, &wardstead_engine::Batch::new())
        .await
        .unwrap();
    let refused = node.login(by_name("alice", PASSWORD)).await;
    assert!(matches!(refused, Err(LoginError::Deactivated)), "{refused:?}");
    let refused = node.login(by_name("alice", "wrong password")).await;
    assert!(matches!(refused, Err(LoginError::Forbidden)), "{refused:?}");
}

#[tokio::test]
async fn other_types_and_nobody() {
    let node = with_alice().await;
    let refused = node.login(json!({ "type": "org.example.other" })).await;
    assert!(matches!(refused, Err(LoginError::UnknownType)), "{refused:?}");
    let refused = node.login(json!({ "type": "m.login.token", "token": "x" })).await;
    assert!(matches!(refused, Err(LoginError::Forbidden)), "{refused:?}");
    let service =
        json!({ "type": "m.login.application_service", "identifier": { "type": "m.id.user", "user": "alice" } });
    let refused = node.login(service).await;
    assert!(matches!(refused, Err(LoginError::NoApplicationService)), "{refused:?}");
    let refused = node.login(json!({ "type": "m.login.password", "password": PASSWORD })).await;
    assert!(matches!(refused, Err(LoginError::MissingUser)), "{refused:?}");
}

/// A login that loses to the end of all sessions checks the password again, and succeeds.
#[tokio::test]
async fn a_change_beside_a_login() {
    let node = with_alice().await;
    let session = node.login(by_name("alice", PASSWORD)).await.unwrap().session;
    let (login, ended) = tokio::join!(node.login(by_name("alice", PASSWORD)), node.accounts.logout_all(&session));
    ended.unwrap();
    login.unwrap();
}

/// One salt a hash; the cost stands in it; the comparison without a hash costs the same.
#[tokio::test]
async fn hashes() {
    let hasher = PasswordHasher::new(std::sync::Arc::new(SeededRng::new(1)), HashCost::Production);
    let hash = hasher.hash(PASSWORD).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    assert!(hasher.verify(PASSWORD, Some(&hash)).await.unwrap());
    assert!(!hasher.verify("wrong", Some(&hash)).await.unwrap());
    assert!(!hasher.verify(PASSWORD, None).await.unwrap());
    assert!(matches!(hasher.verify(PASSWORD, Some("plain")).await, Err(HashError::Argon2(_))));
    let (real, dummy) = (PasswordHash::new(&hash).unwrap(), PasswordHash::new(hasher.dummy()).unwrap());
    assert_eq!((real.algorithm, real.version, &real.params), (dummy.algorithm, dummy.version, &dummy.params));
    assert_eq!(real.hash.map(|hash| hash.len()), dummy.hash.map(|hash| hash.len()));

    let cheap = PasswordHasher::new(std::sync::Arc::new(SeededRng::new(1)), HashCost::Cheap);
    let (one, two) = (cheap.hash(PASSWORD).await.unwrap(), cheap.hash(PASSWORD).await.unwrap());
    assert_ne!(one, two);
    assert!(hasher.verify(PASSWORD, Some(&one)).await.unwrap(), "the cost is the stored hash's");
}

/// What does not fit into the queue is refused at once; what waits is done.
#[tokio::test]
async fn hashing_is_bounded() {
    let hasher = PasswordHasher::new(std::sync::Arc::new(SeededRng::new(1)), HashCost::Cheap);
    let stopped = hasher.stop().await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..limits::HASHES_AT_ONCE + limits::HASHES_WAITING {
        let hasher = hasher.clone();
        waiting.spawn(async move { hasher.hash(PASSWORD).await });
    }
    while hasher.free() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(hasher.verify(PASSWORD, None).await, Err(HashError::Busy)));
    drop(stopped);
    for hash in waiting.join_all().await {
        hash.unwrap();
    }
    assert_eq!(hasher.free(), limits::HASHES_AT_ONCE + limits::HASHES_WAITING);
    assert!(!hasher.verify(PASSWORD, None).await.unwrap());
}

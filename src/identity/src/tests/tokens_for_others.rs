//! Tokens with which another device signs in, and tokens by which others learn who somebody is.

use serde_json::json;
use wardstead_accounts::{Login, Session};
use wardstead_engine::{Batch, EngineError};
use wardstead_limits::accounts as limits;
use wardstead_store::StoreError;

use super::{Node, PASSWORD, dummy};
use crate::{
    Act, Auth, IdentityError, LoginError, LoginToken, Registration,
    expiring::ExpiringToken,
    tables::{OPENID_TOKENS, OpenidTokenRow},
};

async fn with_alice() -> (Node, Session) {
    let node = Node::open(Registration::Open).await;
    let alice = node.register("alice", dummy(None)).await.unwrap().login.unwrap().session;
    (node, alice)
}

async fn made(node: &Node, by: &Session) -> LoginToken {
    let identifier = json!({ "type": "m.id.user", "user": "alice" });
    let auth = json!({ "type": "m.login.password", "identifier": identifier, "password": PASSWORD });
    let auth: Auth = serde_json::from_value(auth).unwrap();
    let confirmed = node.identity.confirm(by, &Act::MakeLoginToken, Some(&auth)).await.unwrap();
    node.identity.make_login_token(by, &confirmed).await.unwrap()
}

async fn login(node: &Node, token: &str) -> Result<Login, LoginError> {
    node.login(json!({ "type": "m.login.token", "token": token })).await
}

fn assert_refused(login: &Result<Login, LoginError>) {
    assert!(matches!(login, Err(LoginError::Forbidden)), "{login:?}");
}

/// Asked for at the same moment on two nodes, a token lets in once.
#[tokio::test]
async fn a_login_token_lets_in_once() {
    for here_first in [true, false] {
        let (here, alice) = with_alice().await;
        let there = here.another(Registration::Open).await;
        let token = made(&here, &alice).await.login_token;
        let (one, two) = if here_first {
            tokio::join!(login(&here, &token), login(&there, &token))
        } else {
            let (two, one) = tokio::join!(login(&there, &token), login(&here, &token));
            (one, two)
        };
        let (good, refused) = if one.is_ok() { (one, two) } else { (two, one) };
        assert_refused(&refused);
        let session = good.unwrap().session;
        assert_eq!(session.user_id, "@alice:example.org");
        assert_ne!(session.device, alice.device);
        assert_refused(&login(&here, &token).await);
    }
}

#[tokio::test]
async fn a_login_token_expires() {
    let (node, alice) = with_alice().await;
    let token = made(&node, &alice).await;
    assert_eq!(token.expires_in_ms, limits::LOGIN_TOKEN_MS);
    node.clock.advance_ms(limits::LOGIN_TOKEN_MS);
    assert_refused(&login(&node, &token.login_token).await);
    // Nor does one that says of itself that it is good for longer.
    let token = made(&node, &alice).await.login_token;
    let (expiry, secret) = token.strip_prefix("wsl_").unwrap().split_once('_').unwrap();
    let longer = format!("wsl_{}_{secret}", expiry.parse::<u64>().unwrap() + 1);
    for other in [&*longer, "", "wsl_", "wsl__", "wsl_1", "wsl_x_y", &"9".repeat(1_000_000)] {
        assert_refused(&login(&node, other).await);
    }
    login(&node, &token).await.unwrap();
}

/// Rows of tokens that are past go with the next one that is made.
#[tokio::test]
async fn nothing_is_kept_of_tokens_that_are_past() {
    let (node, alice) = with_alice().await;
    let rows = async |table: u16| {
        let rows = node.stored().await;
        rows.iter().filter(|row| row[..2] == (0x4000 + table).to_be_bytes()).count()
    };
    for _ in 0..3 {
        made(&node, &alice).await;
        node.identity.make_openid_token(&alice).await.unwrap();
    }
    assert_eq!((rows(0x088).await, rows(0x089).await), (3, 3));
    node.clock.advance_ms(3 * limits::OPENID_TOKEN_S * 1_000);
    made(&node, &alice).await;
    node.identity.make_openid_token(&alice).await.unwrap();
    assert_eq!((rows(0x088).await, rows(0x089).await), (1, 1));
}

/// A token is good only as long as the session that made it: who signs out a lost phone ends what the thief made with it.
#[tokio::test]
async fn a_login_token_ends_with_its_session() {
    let (node, alice) = with_alice().await;
    let phone = login(&node, &made(&node, &alice).await.login_token).await.unwrap().session;
    let token = made(&node, &phone).await.login_token;
    node.accounts.logout(&phone).await.unwrap();
    assert_refused(&login(&node, &token).await);
    let token = made(&node, &alice).await.login_token;
    node.accounts.logout_all(&alice).await.unwrap();
    assert_refused(&login(&node, &token).await);
    let alice = node.login(json!({ "type": "m.login.password", "user": "alice", "password": PASSWORD })).await;
    let alice = alice.unwrap().session;
    let token = made(&node, &alice).await.login_token;
    node.accounts.deactivate(&alice.user_id, false, &Batch::new()).await.unwrap();
    assert_refused(&login(&node, &token).await);
}

/// Nor is it good once the password is another one, whether or not devices were signed out and whichever device made it.
#[tokio::test]
async fn a_login_token_ends_with_the_password() {
    for logout_devices in [true, false] {
        let (node, alice) = with_alice().await;
        let token = made(&node, &alice).await.login_token;
        let auth = json!({ "type": "m.login.password", "user": "alice", "password": PASSWORD });
        let auth: Auth = serde_json::from_value(auth).unwrap();
        node.identity.change_password(&alice, "another horse", logout_devices, Some(&auth)).await.unwrap();
        assert_refused(&login(&node, &token).await);
    }
}

#[tokio::test]
async fn tokens_are_stored_only_as_hashes() {
    let (node, alice) = with_alice().await;
    let (token, openid) = (made(&node, &alice).await, node.identity.make_openid_token(&alice).await.unwrap());
    for token in [&token.login_token, &openid.access_token] {
        let contains = |bytes: &[u8]| bytes.windows(token.len()).any(|window| window == token.as_bytes());
        assert!(node.stored().await.iter().all(|row| !contains(row)));
    }
    let printed = format!("{token:?} {openid:?}");
    assert!(!printed.contains("wsl_") && !printed.contains("wso_"), "{printed}");
}

/// Any node says whose an OpenID token is, until it is past or its user is gone.
#[tokio::test]
async fn an_openid_token_names_its_user() {
    let (here, alice) = with_alice().await;
    let there = here.another(Registration::Open).await;
    let token = here.identity.make_openid_token(&alice).await.unwrap();
    let user = async |token: &str| there.identity.openid_user(token).await.unwrap();
    assert_eq!(user(&token.access_token).await, Some(alice.user_id.clone()));
    for other in ["", "wso_", "wso_1_x", &token.access_token[..token.access_token.len() - 1]] {
        assert_eq!(user(other).await, None, "{other}");
    }
    here.clock.advance_ms(limits::OPENID_TOKEN_S * 1_000);
    assert_eq!(user(&token.access_token).await, None);
    let token = here.identity.make_openid_token(&alice).await.unwrap();
    here.accounts.deactivate(&alice.user_id, false, &Batch::new()).await.unwrap();
    assert_eq!(user(&token.access_token).await, None);
}

/// What registration and login cost beside the hash of the password: the reads and commits are counted, so that none is added
/// unnoticed.
#[tokio::test]
async fn registration_and_login_are_cheap() {
    let (node, _) = with_alice().await;
    let body = |device: &str| {
        json!({ "type": "m.login.password", "user": "alice", "password": PASSWORD, "device_id": device,
            "refresh_token": true })
    };
    drop(node.login(body("PHONE")).await.unwrap());
    let mut counted = Vec::new();
    for act in 0..3 {
        let before = node.counts.read();
        match act {
            0 | 1 => drop(node.login(body("TABLET")).await.unwrap()),
            _ => drop(node.register("bob", dummy(None)).await.unwrap()),
        }
        let after = node.counts.read();
        counted.push((after.gets - before.gets, after.scans - before.scans, after.batches - before.batches));
    }
    let [login, again, register] = counted[..] else { panic!() };
    println!("reads, scans, commits: login {login:?}, again {again:?}, registration {register:?}");
    assert!(login <= (4, 0, 1) && again <= (4, 1, 1), "{login:?} {again:?}");
    assert!(register <= (3, 0, 1), "{register:?}");
}

/// A row that names nobody is no token that nobody knows: who asks is told that it could not be found out.
#[tokio::test]
async fn a_token_of_nobody_is_corrupt() {
    let (node, alice) = with_alice().await;
    let token = node.identity.make_openid_token(&alice).await.unwrap().access_token;
    assert_eq!(node.identity.openid_user(&token).await.unwrap(), Some(alice.user_id));
    let key = ExpiringToken::read(crate::openid::PREFIX, &token).unwrap().key(&OPENID_TOKENS);
    let mut batch = Batch::new();
    OPENID_TOKENS.put(&mut batch, key, &OpenidTokenRow { user_id: "alice".to_owned() });
    node.store.commit(batch).await.unwrap();
    let refused = node.identity.openid_user(&token).await;
    let corrupt =
        |error: &IdentityError| matches!(error, IdentityError::Store(StoreError::Engine(EngineError::Corrupt { .. })));
    assert!(refused.as_ref().is_err_and(corrupt), "{refused:?}");
}

//! Refreshed tokens.

use std::sync::Arc;

use wardstead_engine::Batch;
use wardstead_limits::accounts as limits;
use wardstead_store::Contributors;

use super::{Server, sessions::restored};
use crate::{
    AccountHooks, Lifetimes, Login,
    tables::{DEVICE_TOKENS, REFRESH_TOKENS, TOKENS},
};

const GONE: Result<(), bool> = Err(false);
const SOFT: Result<(), bool> = Err(true);

async fn with_session() -> (Server, Login) {
    let server = Server::open().await;
    let alice = server.register("alice").await;
    let login = server.login_refreshable(&alice, Some("WARD7")).await;
    (server, login)
}

fn refused(refreshed: Result<Login, bool>) -> Result<(), bool> {
    refreshed.map(drop)
}

#[tokio::test]
async fn a_pair_is_replaced_when_the_next_one_is_used() {
    let (server, first) = with_session().await;
    assert_eq!(first.expires_in_ms, Some(limits::ACCESS_TOKEN_LIFETIME_MS));
    let before = server.batches();
    let second = server.refresh(&first).await.unwrap();
    assert_eq!(server.batches() - before, 1);
    assert_eq!(second.session.device, first.session.device);
    assert_eq!(second.expires_in_ms, first.expires_in_ms);
    assert_eq!(server.lets_in(&first).await, Ok(()), "nobody knows yet whether the client got the answer");
    assert_eq!(server.batches() - before, 1);

    assert_eq!(server.lets_in(&second).await, Ok(()));
    assert_eq!(server.batches() - before, 2, "its first use is a commit");
    assert_eq!(server.lets_in(&second).await, Ok(()));
    assert_eq!(server.batches() - before, 2, "no other is");
    assert_eq!((server.lets_in(&first).await, refused(server.refresh(&first).await)), (SOFT, SOFT));
    server.refresh(&second).await.unwrap();
}

/// To refresh again is a use, too.
#[tokio::test]
async fn a_pair_is_replaced_when_the_next_one_is_refreshed() {
    let (server, first) = with_session().await;
    let second = server.refresh(&first).await.unwrap();
    let third = server.refresh(&second).await.unwrap();
    assert_eq!((server.lets_in(&first).await, refused(server.refresh(&first).await)), (SOFT, SOFT));
    assert_eq!(server.lets_in(&second).await, Ok(()));
    assert_eq!(server.lets_in(&third).await, Ok(()));
    assert_eq!((server.lets_in(&second).await, refused(server.refresh(&second).await)), (SOFT, SOFT));
}

/// A client that an answer did not reach asks again, and may have got the first answer after all.
#[tokio::test]
async fn an_answer_that_was_lost() {
    let (server, first) = with_session().await;
    let one = server.refresh(&first).await.unwrap();
    server.clock.advance_ms(limits::ACCESS_TOKEN_LIFETIME_MS);
    let two = server.refresh(&first).await.unwrap();
    assert_eq!((&two.access_token, &two.refresh_token), (&one.access_token, &one.refresh_token));
    server.clock.advance_ms(limits::ACCESS_TOKEN_LIFETIME_MS - 1);
    assert_eq!((server.lets_in(&two).await, server.lets_in(&one).await), (Ok(()), Ok(())));
    assert_eq!((server.lets_in(&first).await, refused(server.refresh(&first).await)), (SOFT, SOFT));
    let next = server.refresh(&one).await.unwrap();
    assert_eq!(server.lets_in(&next).await, Ok(()));
    for old in [&one, &two] {
        assert_eq!((server.lets_in(old).await, refused(server.refresh(old).await)), (SOFT, SOFT));
    }
}

/// However often a client asks again, and from however many nodes: each pair that it was given is good, and none is signed out.
#[tokio::test]
async fn answers_take_nothing_from_each_other() {
    let (here, first) = with_session().await;
    let there = here.another().await;
    let mut pairs = Vec::new();
    for _ in 0..20 {
        let (one, two) = tokio::join!(here.refresh(&first), there.refresh(&first));
        pairs.extend([one.unwrap(), two.unwrap()]);
    }
    for pair in &pairs {
        assert_eq!(there.lets_in(pair).await, Ok(()));
    }
    let mut next = Vec::new();
    for pair in &pairs {
        next.push(here.refresh(pair).await.unwrap());
    }
    for pair in &next {
        assert_eq!(here.lets_in(pair).await, Ok(()));
    }
}

/// A process of a client that slept through many refreshes of another one keeps its keys.
#[tokio::test]
async fn who_slept_is_signed_out_softly() {
    let (server, first) = with_session().await;
    let mut newest = first.clone();
    for _ in 0..limits::REPLACED_PAIRS {
        newest = server.refresh(&newest).await.unwrap();
        assert_eq!(server.lets_in(&newest).await, Ok(()));
    }
    assert_eq!((server.lets_in(&first).await, refused(server.refresh(&first).await)), (SOFT, SOFT));
}

/// Whatever a client does, a device keeps few tokens.
#[tokio::test]
async fn tokens_are_bounded() {
    let (server, first) = with_session().await;
    for _ in 0..50 {
        server.refresh(&first).await.unwrap();
    }
    let tables = [TOKENS.id(), REFRESH_TOKENS.id()];
    let tokens = async || server.rows().await.iter().filter(|(key, _)| tables.contains(&key.table())).count();
    // Two pairs, and the access token of another session.
    assert_eq!(tokens().await, 5);
    let mut newest = server.refresh(&first).await.unwrap();
    for _ in 0..2 * limits::REPLACED_PAIRS {
        assert_eq!(server.lets_in(&newest).await, Ok(()));
        newest = server.refresh(&newest).await.unwrap();
    }
    assert_eq!(server.lets_in(&newest).await, Ok(()));
    let kept = usize::try_from(limits::REPLACED_PAIRS).unwrap();
    assert_eq!(tokens().await, 2 * (kept + 1) + 1);
}

/// Two nodes that are asked at once both answer, and what one of them then sees used the other refuses.
#[tokio::test]
async fn two_nodes_refresh_at_once() {
    let (here, first) = with_session().await;
    let there = here.another().await;
    let (one, two) = tokio::join!(here.refresh(&first), there.refresh(&first));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(there.lets_in(&one).await, Ok(()));
    assert_eq!(refused(here.refresh(&first).await), SOFT);
    assert_eq!(here.lets_in(&two).await, Ok(()));
}

/// The first use of a pair against another exchange of the token that it was made from: the later one sees the earlier.
#[tokio::test]
async fn a_first_use_races_a_refresh() {
    for refresh_first in [true, false] {
        let (here, first) = with_session().await;
        let there = here.another().await;
        let second = here.refresh(&first).await.unwrap();
        let again = if refresh_first {
            let (again, used) = tokio::join!(there.refresh(&first), here.lets_in(&second));
            used.unwrap();
            again
        } else {
            let (used, again) = tokio::join!(here.lets_in(&second), there.refresh(&first));
            used.unwrap();
            again
        };
        match again {
            Ok(again) => assert_eq!(here.lets_in(&again).await, Ok(())),
            Err(soft_logout) => assert!(soft_logout),
        }
        assert_eq!(refused(there.refresh(&first).await), SOFT);
    }
}

/// An access token that is past is refused softly; its session goes on with a refresh, or with another login on the same device.
#[tokio::test]
async fn access_tokens_expire() {
    let (server, first) = with_session().await;
    server.clock.advance_ms(limits::ACCESS_TOKEN_LIFETIME_MS - 1);
    assert_eq!(server.lets_in(&first).await, Ok(()));
    server.clock.advance_ms(1);
    assert_eq!(server.lets_in(&first).await, SOFT);
    let second = server.refresh(&first).await.unwrap();
    assert_eq!(server.lets_in(&second).await, Ok(()));
    server.clock.advance_ms(limits::ACCESS_TOKEN_LIFETIME_MS);
    let again = server.login_refreshable(&first, Some("WARD7")).await;
    assert_eq!(again.session.device, first.session.device, "what is stored for the device is kept");
    assert_eq!(server.lets_in(&again).await, Ok(()));
    assert_eq!((server.lets_in(&second).await, refused(server.refresh(&second).await)), (GONE, GONE));
}

#[tokio::test]
async fn lifetimes_are_the_operators_choice() {
    let lifetimes = Lifetimes { refreshable_ms: 5_000, plain_ms: Some(60_000) };
    let hooks = AccountHooks { contributors: Arc::new(Contributors::default()), lifetimes };
    let server = Server::with_hooks(hooks).await;
    let plain = server.register("alice").await;
    assert_eq!((plain.expires_in_ms, &plain.refresh_token), (Some(60_000), &None));
    assert_eq!(server.login_refreshable(&plain, None).await.expires_in_ms, Some(5_000));
    server.clock.advance_ms(60_000);
    assert_eq!(server.lets_in(&plain).await, SOFT);
}

/// What ends a session ends its refresh tokens: at once, on every node, and not softly.
#[tokio::test]
async fn a_session_that_is_over_is_not_refreshed() {
    let (here, _) = with_session().await;
    let there = here.another().await;
    let alice = here.login_refreshable(&here.register("bob").await, Some("WARD8")).await;
    let again = there.login_refreshable(&alice, Some("WARD8")).await;
    assert_eq!((here.lets_in(&alice).await, refused(here.refresh(&alice).await)), (GONE, GONE), "a device used again");
    there.accounts.logout(&again.session).await.unwrap();
    assert_eq!((here.lets_in(&again).await, refused(here.refresh(&again).await)), (GONE, GONE), "a logout");
    let one = here.login_refreshable(&alice, None).await;
    let two = here.login_refreshable(&alice, None).await;
    there.accounts.logout_all(&two.session).await.unwrap();
    for login in [&one, &two] {
        assert_eq!((here.lets_in(login).await, refused(here.refresh(login).await)), (GONE, GONE), "all logged out");
    }
    let last = here.login_refreshable(&alice, None).await;
    there.accounts.deactivate(&alice.session.user_id, false, &Batch::new()).await.unwrap();
    assert_eq!(refused(here.refresh(&last).await), GONE, "a deactivated account");
    let left = |key: &wardstead_engine::Key| {
        [TOKENS.id(), REFRESH_TOKENS.id(), DEVICE_TOKENS.id()].contains(&key.table())
            && key.scope() != 0
            && key.scope() == alice.session.user
    };
    assert_eq!(here.rows().await.iter().filter(|(key, _)| left(key)).count(), 0);
}

/// A refresh against the end of the session: never a token that outlives it.
#[tokio::test]
async fn a_refresh_races_a_logout() {
    for refresh_first in [true, false] {
        let (here, first) = with_session().await;
        let there = here.another().await;
        let refreshed = if refresh_first {
            tokio::join!(here.refresh(&first), there.accounts.logout(&first.session)).0
        } else {
            tokio::join!(there.accounts.logout(&first.session), here.refresh(&first)).1
        };
        if let Ok(refreshed) = refreshed {
            assert_eq!(here.lets_in(&refreshed).await, GONE);
        }
        assert_eq!(refused(here.refresh(&first).await), GONE);
    }
}

/// A restore treats refresh tokens as it treats access tokens.
#[tokio::test]
async fn a_restore_refuses_refresh_tokens_softly() {
    let (server, first) = with_session().await;
    restored(&server, false, 5_000).await;
    assert_eq!(refused(server.refresh(&first).await), SOFT);
    let secret = first.refresh_token.as_deref().unwrap();
    let lost = Login { refresh_token: Some(format!("{}X", &secret[..secret.len() - 1])), ..first.clone() };
    assert_eq!(refused(server.refresh(&lost).await), SOFT, "it was issued after the backup");

    let (server, first) = with_session().await;
    restored(&server, true, 5_000).await;
    let second = server.refresh(&first).await.unwrap();
    assert_eq!(server.lets_in(&second).await, Ok(()));
    assert!(second.access_token.starts_with("wst_5_") && second.refresh_token.unwrap().starts_with("wsr_5_"));
}

#[tokio::test]
async fn other_refresh_tokens_are_unknown() {
    let (server, first) = with_session().await;
    let refresh_token = first.refresh_token.clone().unwrap();
    let huge = format!("wsr_{}", "a".repeat(1_000_000));
    for token in ["", "wsr_", first.access_token.as_str(), &refresh_token.to_lowercase(), &huge] {
        let other = Login { refresh_token: Some(token.to_owned()), ..first.clone() };
        assert_eq!(refused(server.refresh(&other).await), GONE, "{token}");
    }
    // Nor is a refresh token an access token.
    let other = Login { access_token: refresh_token, ..first };
    assert_eq!(server.lets_in(&other).await, GONE);
}

#[tokio::test]
async fn refresh_tokens_are_stored_only_as_hashes() {
    let (server, first) = with_session().await;
    let token = first.refresh_token.clone().unwrap();
    let contains = |bytes: &[u8]| bytes.windows(token.len()).any(|window| window == token.as_bytes());
    for (key, payload) in server.rows().await {
        assert!(!contains(key.as_bytes()) && !contains(&payload), "{key:?}");
    }
    assert!(!format!("{first:?}").contains(&token));
}

/// A failing engine is not a logout.
#[tokio::test]
async fn a_failed_read_is_not_an_unknown_refresh_token() {
    let (server, first) = with_session().await;
    let faults = server.engine.faults();
    for read in 0..3 {
        faults.fail_read(read + 1);
        let refused = server.accounts.refresh(first.refresh_token.as_deref().unwrap()).await;
        assert!(matches!(refused, Err(crate::AuthError::Store(_))), "read {read}: {refused:?}");
        faults.clear();
    }
}

use wardstead_accounts::AccountsError;

use super::{Node, challenge, dummy, failure, request, token};
use crate::{Failure, IdentityError, NewRegistrationToken, RegisterError, Registration};

const ONCE: NewRegistrationToken = NewRegistrationToken { uses: Some(1), admin: false, expires_ms: None };

/// A wrong token leaves the session as it is; the right one makes one account, in one batch with everything.
#[tokio::test]
async fn the_token_flow() {
    let node = Node::open(Registration::Token).await;
    let good = node.identity.create_registration_token(ONCE).await.unwrap();
    let first = node.challenge().await;
    assert_eq!(first.flows, [["m.login.registration_token"]]);
    let session = Some(first.session.as_str());
    for wrong in ["", "wrong", &good.to_lowercase(), &"x".repeat(1_000_000)] {
        let answer = challenge(node.register("alice", token(wrong, session)).await);
        assert_eq!((answer.failure, &answer.session), (Some(Failure::InvalidToken), &first.session));
        assert_eq!(answer.failure, Some(Failure::InvalidToken));
    }
    let before = node.counts.read().batches;
    let alice = node.register("alice", token(&good, session)).await.unwrap().login.unwrap();
    assert_eq!(node.counts.read().batches - before, 1);
    assert!(!alice.session.admin);
    let again = node.register("bob", token(&good, None)).await;
    assert_eq!(failure(again), Some(Failure::InvalidToken), "used up");
    assert_eq!(node.users().await, 1);
}

/// Two people with one token at the same time: exactly one account.
#[tokio::test]
async fn one_use_is_one_account() {
    let node = Node::open(Registration::Token).await;
    let another = node.another(Registration::Token).await;
    let single = node.identity.create_registration_token(ONCE).await.unwrap();
    let (one, two) =
        tokio::join!(node.register("alice", token(&single, None)), another.register("bob", token(&single, None)));
    let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
    won.unwrap();
    assert_eq!(failure(lost), Some(Failure::InvalidToken));
    assert_eq!(node.users().await, 1);
}

/// Two uses and three people: two accounts; who loses the race for a version but finds a use left is not refused.
#[tokio::test]
async fn uses_are_counted() {
    let node = Node::open(Registration::Token).await;
    let twice = node.identity.create_registration_token(NewRegistrationToken { uses: Some(2), ..ONCE }).await.unwrap();
    let (one, two, three) = tokio::join!(
        node.register("alice", token(&twice, None)),
        node.register("bob", token(&twice, None)),
        node.register("carol", token(&twice, None)),
    );
    let mut results = vec![one, two, three];
    results.sort_by_key(Result::is_err);
    assert_eq!(failure(results.pop().unwrap()), Some(Failure::InvalidToken));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(node.users().await, 2);
    let many = NewRegistrationToken { uses: None, ..ONCE };
    let many = node.identity.create_registration_token(many).await.unwrap();
    for name in ["dave", "erin", "frank"] {
        node.register(name, token(&many, None)).await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_registration_uses_nothing() {
    let node = Node::open(Registration::Token).await;
    let single = node.identity.create_registration_token(ONCE).await.unwrap();
    let first = node.identity.create_registration_token(ONCE).await.unwrap();
    let (one, two) =
        tokio::join!(node.register("alice", token(&first, None)), node.register("alice", token(&single, None)));
    let (lost, unused) = if one.is_ok() { (two, &single) } else { (one, &first) };
    let in_use = |error: &_| matches!(error, IdentityError::Accounts(AccountsError::UserInUse));
    assert!(matches!(&lost, Err(RegisterError::Identity(error)) if in_use(error)), "{lost:?}");
    assert!(node.identity.registration_token_validity(unused).await.unwrap());
    node.register("bob", token(unused, None)).await.unwrap();
}

#[tokio::test]
async fn a_token_ends_at_its_time() {
    let node = Node::open(Registration::Token).await;
    let expires_ms = Some(node.store.clock().now_ms() + 1_000);
    let brief = NewRegistrationToken { uses: None, admin: false, expires_ms };
    let brief = node.identity.create_registration_token(brief).await.unwrap();
    node.clock.advance_ms(999);
    assert!(node.identity.registration_token_validity(&brief).await.unwrap());
    node.register("alice", token(&brief, None)).await.unwrap();
    node.clock.advance_ms(1);
    assert!(!node.identity.registration_token_validity(&brief).await.unwrap());
    assert_eq!(failure(node.register("bob", token(&brief, None)).await), Some(Failure::InvalidToken));
}

#[tokio::test]
async fn a_registration_token_is_stored_only_as_a_hash() {
    let node = Node::open(Registration::Token).await;
    let single = node.identity.create_registration_token(ONCE).await.unwrap();
    let first = node.identity.ensure_first_token().await.unwrap().unwrap();
    for secret in [single.as_bytes(), first.as_bytes()] {
        let rows = node.stored().await;
        assert!(!rows.iter().any(|row| row.windows(secret.len()).any(|window| window == secret)));
    }
}

/// Each start prints another token and voids the one before, until the first account, an administrator's, is made.
#[tokio::test]
async fn the_first_token() {
    let node = Node::open(Registration::Closed).await;
    let older = node.identity.ensure_first_token().await.unwrap().unwrap();
    let node = node.another(Registration::Closed).await;
    let first = node.identity.ensure_first_token().await.unwrap().unwrap();
    assert_ne!(older, first);
    assert!(!node.identity.registration_token_validity(&older).await.unwrap());
    assert_eq!(failure(node.register("alice", token(&older, None)).await), Some(Failure::InvalidToken));
    let alice = node.register("alice", token(&first, None)).await.unwrap().login.unwrap();
    assert!(alice.session.admin);
    assert!(node.accounts.authenticate(&alice.access_token).await.unwrap().admin);

    for _ in 0..2 {
        assert_eq!(node.identity.ensure_first_token().await.unwrap(), None);
    }
    let closed = node.register("bob", token(&first, None)).await;
    let disabled = matches!(closed, Err(RegisterError::Identity(IdentityError::RegistrationDisabled)));
    assert!(disabled, "{closed:?}");
    let closed = node.make(request("bob", None)).await;
    assert!(matches!(closed, Err(RegisterError::Identity(IdentityError::RegistrationDisabled))), "{closed:?}");
    assert!(node.identity.registration_token_validity(&first).await.is_err());
}

/// An account that came about without the first token ends that one's power at the next start.
#[tokio::test]
async fn no_first_token_is_left_behind() {
    let node = Node::open(Registration::Open).await;
    let first = node.identity.ensure_first_token().await.unwrap().unwrap();
    node.register("alice", dummy(None)).await.unwrap();
    assert_eq!(node.identity.ensure_first_token().await.unwrap(), None);
    assert!(!node.identity.registration_token_validity(&first).await.unwrap());
}

/// A node that starts while the first token is used on another: either the account is made, or a new token is printed,
/// never both.
#[tokio::test]
async fn a_start_beside_the_first_registration() {
    for start_first in [true, false] {
        let node = Node::open(Registration::Token).await;
        let another = node.another(Registration::Token).await;
        let first = node.identity.ensure_first_token().await.unwrap().unwrap();
        let register = node.register("alice", token(&first, None));
        let start = another.identity.ensure_first_token();
        let (registered, printed) = if start_first {
            let (printed, registered) = tokio::join!(start, register);
            (registered, printed)
        } else {
            tokio::join!(register, start)
        };
        match printed.unwrap() {
            None => assert!(registered.is_ok(), "{registered:?}"),
            Some(newer) => {
                assert_eq!(failure(registered), Some(Failure::InvalidToken));
                assert!(node.identity.registration_token_validity(&newer).await.unwrap());
            }
        }
    }
}

/// Two nodes that start at once agree on one token in the end.
#[tokio::test]
async fn two_starts_leave_one_first_token() {
    let node = Node::open(Registration::Token).await;
    let another = node.another(Registration::Token).await;
    let (one, two) = tokio::join!(node.identity.ensure_first_token(), another.identity.ensure_first_token());
    let mut good = 0;
    for printed in [one.unwrap().unwrap(), two.unwrap().unwrap()] {
        good += usize::from(node.identity.registration_token_validity(&printed).await.unwrap());
    }
    assert_eq!(good, 1);
}

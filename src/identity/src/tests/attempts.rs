//! Wrong passwords, counted by all nodes.

use ruma::api::client::session::login::v3::{LoginInfo, Request};
use serde_json::json;
use wardstead_accounts::Client;
use wardstead_engine::{Key, ScanRange};
use wardstead_limits::accounts as limits;

use super::{Node, PASSWORD, dummy};
use crate::{
    FailedLogins, HashCost, HashError, Identity, IdentityConfig, LoginError, Registration,
    attempts::Source,
    tables::{FAILED_LOGINS, KNOWN_PLACES},
};

/// The hospital, behind whose address many sit.
const HOSPITAL: &str = "192.0.2.1";
const ELSEWHERE: &str = "203.0.113.9";

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    In,
    Wrong,
    /// Milliseconds until the next try.
    Limited(u64),
}

use Outcome::{In, Limited, Wrong};

impl Node {
    /// With the limits of a hospital.
    async fn limited() -> Self {
        Self::open(Registration::Open).await.with_limits()
    }

    fn with_limits(mut self) -> Self {
        let failed_logins = FailedLogins::production();
        let config = IdentityConfig {
            registration: Registration::Open,
            hash: HashCost::Cheap,
            failed_logins,
            ..IdentityConfig::default()
        };
        self.identity = Identity::new(self.store.clone(), self.accounts.clone(), config);
        self
    }

    async fn attempt(&self, user: &str, password: &str, address: &str) -> Outcome {
        let data = json!({ "identifier": { "type": "m.id.user", "user": user }, "password": password });
        let info = LoginInfo::new("m.login.password", data.as_object().unwrap().clone()).unwrap();
        let client = Client::new(address.parse().unwrap(), None);
        match self.identity.login(Request::new(info), &client).await {
            Ok(_) => In,
            Err(LoginError::Forbidden) => Wrong,
            Err(LoginError::Hash(HashError::Limited { retry_after_ms })) => Limited(retry_after_ms),
            Err(error) => panic!("{error}"),
        }
    }

    /// How many were found wrong before the first that was not told.
    async fn exhaust(&self, user: &str, address: &str) -> usize {
        let mut wrong = 0;
        while self.attempt(user, "wrong password", address).await == Wrong {
            wrong += 1;
            assert!(wrong < 1_000, "no limit");
        }
        wrong
    }

    /// Signs in from there. Twice, since what the first one wrote down is committed with what comes next.
    async fn knows(&self, user: &str, address: &str) {
        for _ in 0..2 {
            assert_eq!(self.attempt(user, PASSWORD, address).await, In);
        }
    }

    async fn rows(&self) -> (Vec<Key>, Vec<Key>) {
        let whole = |start: Key| ScanRange::new(start.clone(), start.after_prefix());
        let failed = self.store.scan_all(&FAILED_LOGINS, whole(FAILED_LOGINS.key(0).key())).await.unwrap();
        let known = self.store.scan_all(&KNOWN_PLACES, whole(KNOWN_PLACES.key(0).key())).await.unwrap();
        (failed.into_iter().map(|row| row.key).collect(), known.into_iter().map(|row| row.key).collect())
    }
}

async fn with_people(people: &[&str]) -> Node {
    let node = Node::limited().await;
    for name in people {
        node.register(name, dummy(None)).await.unwrap();
    }
    node
}

/// Ten slips, then one every half minute. While it is limited the right password is not told from a wrong one.
#[tokio::test]
async fn guessing_is_slow() {
    let node = with_people(&["alice"]).await;
    assert_eq!(node.exhaust("alice", HOSPITAL).await, 10);
    let before = node.identity.hasher().verifications();
    assert_eq!(node.attempt("alice", PASSWORD, HOSPITAL).await, Limited(30_000));
    assert_eq!(node.identity.hasher().verifications(), before, "nothing is compared");
    node.clock.advance_ms(29_999);
    assert_eq!(node.attempt("alice", PASSWORD, HOSPITAL).await, Limited(1));
    node.clock.advance_ms(1);
    assert_eq!(node.attempt("alice", PASSWORD, HOSPITAL).await, In);
    assert_eq!(node.attempt("alice", PASSWORD, HOSPITAL).await, In, "who is right takes nothing");
}

/// One try on each node, turn by turn, are as many as on one.
#[tokio::test]
async fn two_nodes_count_together() {
    let one = with_people(&["alice"]).await;
    let two = one.another(Registration::Open).await.with_limits();
    for _ in 0..5 {
        assert_eq!(one.attempt("alice", "wrong password", HOSPITAL).await, Wrong);
        assert_eq!(two.attempt("alice", "wrong password", HOSPITAL).await, Wrong);
    }
    for node in [&one, &two] {
        assert_eq!(node.attempt("alice", PASSWORD, HOSPITAL).await, Limited(30_000));
    }
}

/// Whoever fails at the same moment on two nodes is told no more often than allowed that it was wrong.
#[tokio::test]
async fn those_who_try_at_once_are_counted_one_by_one() {
    let one = with_people(&["alice"]).await;
    let two = one.another(Registration::Open).await.with_limits();
    let attempts = (0..40).map(|at| {
        let node = if at % 2 == 0 { &one } else { &two };
        node.attempt("alice", "wrong password", HOSPITAL)
    });
    let outcomes = futures::future::join_all(attempts).await;
    let told = outcomes.iter().filter(|outcome| **outcome == Wrong).count();
    assert!(told <= 10, "{told}");
    assert!(matches!(one.attempt("alice", "wrong password", HOSPITAL).await, Limited(_)) || told < 10);
}

/// A name that nobody has is limited like one that somebody has.
#[tokio::test]
async fn who_is_limited_does_not_tell_who_exists() {
    let node = with_people(&["alice"]).await;
    assert_eq!(node.exhaust("nobody", HOSPITAL).await, 10);
    assert_eq!(node.attempt("nobody", PASSWORD, HOSPITAL).await, Limited(30_000));
    assert_eq!(node.exhaust("@alice:example.com", HOSPITAL).await, 300 - 10, "of another server: by address alone");
}

/// Somebody on the internet who knows a clinician's name cannot keep them from signing in at work.
#[tokio::test]
async fn nobody_is_locked_out_from_elsewhere() {
    let node = with_people(&["alice"]).await;
    assert_eq!(node.exhaust("alice", ELSEWHERE).await, 10);
    node.knows("alice", HOSPITAL).await;
    // From so many addresses that nothing is left for the account as such.
    let mut wrong = 10;
    for at in 1..=20 {
        wrong += node.exhaust("alice", &format!("198.51.100.{at}")).await;
    }
    assert_eq!(wrong, 50, "however many addresses somebody has");
    assert!(matches!(node.attempt("alice", PASSWORD, "198.51.100.77").await, Limited(_)));
    assert_eq!(node.attempt("alice", PASSWORD, HOSPITAL).await, In);
    assert_eq!(node.exhaust("alice", HOSPITAL).await, 10, "there, too, guessing is slow");
}

/// Somebody behind the hospital's address who tries one password on everybody is stopped, and stops nobody who works there.
#[tokio::test]
async fn a_neighbour_who_tries_everybody_hinders_none_of_them() {
    let node = with_people(&["alice", "bob"]).await;
    node.knows("alice", HOSPITAL).await;
    let mut tried = 0;
    while node.attempt(&format!("name{tried}"), "Password1", HOSPITAL).await == Wrong {
        tried += 1;
    }
    assert_eq!(tried, 300);
    assert_eq!(node.attempt("bob", PASSWORD, HOSPITAL).await, Limited(1_000), "who comes for the first time waits");
    assert_eq!(node.attempt("alice", PASSWORD, HOSPITAL).await, In);
    assert_eq!(node.attempt("alice", "wrong password", HOSPITAL).await, Wrong);
    node.clock.advance_ms(1_000);
    assert_eq!(node.attempt("bob", PASSWORD, HOSPITAL).await, In);
}

/// All addresses of a /64 belong to one customer.
#[tokio::test]
async fn an_ipv6_network_is_one_place() {
    let node = with_people(&["alice"]).await;
    for at in 0..10 {
        assert_eq!(node.attempt("alice", "wrong password", &format!("2001:db8:1:2::{at}")).await, Wrong);
    }
    assert!(matches!(node.attempt("alice", PASSWORD, "2001:db8:1:2:ffff::1").await, Limited(_)));
    assert_eq!(node.attempt("alice", PASSWORD, "2001:db8:1:3::1").await, In);
}

/// On a device, where there is a session already, the account's other devices and its address are of no concern.
#[tokio::test]
async fn a_device_is_a_place_of_its_own() {
    let node = with_people(&["alice"]).await;
    let user_id = "@alice:example.org".try_into().unwrap();
    let account = node.accounts.find(user_id).await.unwrap();
    let compare = async |device, password| {
        let compared = node.identity.compare(Some(user_id), account.as_ref(), password, Source::Device(device)).await;
        compared.ok()
    };
    for _ in 0..10 {
        assert_eq!(compare(1, "wrong password").await, Some(false));
    }
    assert_eq!(compare(1, PASSWORD).await, None);
    assert_eq!(compare(2, PASSWORD).await, Some(true));
    assert_eq!(node.attempt("alice", PASSWORD, HOSPITAL).await, In);
}

/// What was wrong before the hour struck counts after it; what is long past is removed.
#[tokio::test]
async fn hours_pass() {
    let node = with_people(&["alice"]).await;
    let hour = limits::FAILED_WINDOW_MS;
    let now_ms = node.store.clock().now_ms();
    node.clock.advance_ms(hour - now_ms % hour - 5_000);
    assert_eq!(node.exhaust("alice", ELSEWHERE).await, 10);
    let (before, _) = node.rows().await;
    assert_eq!(before.len(), 3, "the account here, the account, the address");
    node.clock.advance_ms(10_000);
    assert_eq!(node.attempt("alice", PASSWORD, ELSEWHERE).await, Limited(20_000), "an hour's end helps nobody");
    node.clock.advance_ms(20_000);
    assert_eq!(node.attempt("alice", "wrong password", ELSEWHERE).await, Wrong);
    assert!(matches!(node.attempt("alice", PASSWORD, ELSEWHERE).await, Limited(_)), "and not after the next one");
    assert_eq!(node.rows().await.0.len(), 6);
    for hours in [1, 2] {
        node.clock.advance_ms(hours * hour);
        assert_eq!(node.attempt("bob", "wrong password", HOSPITAL).await, Wrong);
    }
    let (after, _) = node.rows().await;
    assert_eq!(after.len(), 3, "those of the last hour with any: {after:?}");
}

/// A place is forgotten when nobody has signed in from there for long.
#[tokio::test]
async fn a_place_is_known_for_some_time() {
    let node = with_people(&["alice"]).await;
    let window = limits::KNOWN_WINDOW_MS;
    node.knows("alice", HOSPITAL).await;
    assert_eq!(node.rows().await.1.len(), 1, "once a window");
    node.clock.advance_ms(window);
    node.knows("alice", HOSPITAL).await;
    assert_eq!(node.rows().await.1.len(), 2);
    node.clock.advance_ms(window);
    node.knows("alice", HOSPITAL).await;
    assert_eq!(node.rows().await.1.len(), 2, "the oldest is removed");
}

/// A sign-in from a known place costs two reads more and no write.
#[tokio::test]
async fn who_is_right_writes_nothing_more() {
    let limited = with_people(&["alice"]).await;
    limited.knows("alice", HOSPITAL).await;
    let cost = async |node: &Node| {
        let before = node.counts.read();
        assert_eq!(node.attempt("alice", PASSWORD, HOSPITAL).await, In);
        let after = node.counts.read();
        (after.gets - before.gets, after.batches - before.batches)
    };
    let with = cost(&limited).await;
    let free = limited.another(Registration::Open).await;
    let without = cost(&free).await;
    assert_eq!(with, (without.0 + 2, without.1));
}

/// Where somebody registered, or signed in with a token from another device, is theirs, too: strangers who guess do not keep them out.
#[tokio::test]
async fn who_registered_or_came_with_a_token_is_known_there() {
    const WARD: &str = "192.0.2.40";
    for by_token in [false, true] {
        let node = Node::limited().await;
        let register = |from: &str| {
            let auth: crate::Auth = serde_json::from_value(dummy(None)).unwrap();
            (super::request("alice", None), auth, Client::new(from.parse().unwrap(), None))
        };
        let (request, auth, client) = register(if by_token { HOSPITAL } else { WARD });
        let registered = node.identity.register(request, Some(&auth), &client).await.unwrap();
        if by_token {
            let by = registered.login.unwrap().session;
            let auth: crate::Auth =
                serde_json::from_value(json!({ "type": "m.login.password", "user": "alice", "password": PASSWORD }))
                    .unwrap();
            let confirmed = node.identity.confirm(&by, &crate::Act::MakeLoginToken, Some(&auth)).await.unwrap();
            let token = node.identity.make_login_token(&by, &confirmed).await.unwrap().login_token;
            let data = json!({ "token": token }).as_object().unwrap().clone();
            let request = Request::new(LoginInfo::new("m.login.token", data).unwrap());
            node.identity.login(request, &Client::new(WARD.parse().unwrap(), None)).await.unwrap();
        }
        for at in 1..=20 {
            node.exhaust("alice", &format!("198.51.100.{at}")).await;
        }
        assert!(matches!(node.attempt("alice", PASSWORD, ELSEWHERE).await, Limited(_)));
        assert_eq!(node.attempt("alice", PASSWORD, WARD).await, In);
    }
}

//! User-interactive authentication beyond one stage, and of people who are signed in.

use serde_json::json;
use wardstead_accounts::{Client, Session};
use wardstead_engine::Losing;
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::{ManualClock, accounts as limits};
use wardstead_store::{StoreError, testing};

use super::{Node, PASSWORD, challenge, changed, dummy, failure, token};
use crate::{
    Act, Auth, Challenge, ConfirmError, FailedLogins, Failure, HashCost, IdentityConfig, NewRegistrationToken,
    PageError, Policy, Registration, Translation,
};

fn here() -> Client {
    Client::unknown()
}

fn terms() -> Vec<Policy> {
    let translation = |name: &str| Translation { name: name.to_owned(), url: format!("https://example.org/{name}") };
    vec![Policy {
        id: "privacy_notice".to_owned(),
        version: "2".to_owned(),
        languages: [("cy".to_owned(), translation("Hysbysiad")), ("en".to_owned(), translation("Notice"))].into(),
    }]
}

async fn with_terms(engine: std::sync::Arc<MemoryEngine>, clock: ManualClock, seed: u64) -> Node {
    let config = IdentityConfig {
        registration: Registration::Open,
        hash: HashCost::Cheap,
        terms: terms(),
        failed_logins: FailedLogins::default(),
        ..IdentityConfig::default()
    };
    Node::with(engine, clock, seed, config).await
}

fn agree(session: Option<&str>) -> serde_json::Value {
    json!({ "type": "m.login.terms", "session": session })
}

/// Stage by stage, on different nodes, with the same session.
#[tokio::test]
async fn stages_are_carried_from_node_to_node() {
    let (engine, clock) = testing::engine();
    let node = with_terms(engine.clone(), clock.clone(), 1).await;
    let another = with_terms(engine, clock, 2).await;
    let first = node.challenge().await;
    assert_eq!(first.flows, [["m.login.dummy", "m.login.terms"], ["m.login.registration_token", "m.login.terms"]]);
    let policies = json!({ "policies": { "privacy_notice": {
        "version": "2",
        "cy": { "name": "Hysbysiad", "url": "https://example.org/Hysbysiad" },
        "en": { "name": "Notice", "url": "https://example.org/Notice" },
    } } });
    assert_eq!(first.params, [("m.login.terms", policies)]);

    let early = challenge(node.register("alice", agree(Some(&first.session))).await);
    assert_eq!((early.failure, early.completed.len()), (Some(Failure::WrongOrder), 0));
    let second = challenge(node.register("alice", dummy(Some(&first.session))).await);
    assert_eq!((second.completed.as_slice(), second.failure), (&["m.login.dummy"][..], None));
    assert_eq!(second.session, first.session);
    // A stage that is done is not done again, and that is no failure.
    let again = challenge(another.register("alice", dummy(Some(&first.session))).await);
    assert_eq!((again.completed.as_slice(), again.failure), (&["m.login.dummy"][..], None));
    let made = another.register("alice", agree(Some(&first.session))).await.unwrap();
    let account = node.accounts.find(&made.user_id).await.unwrap().unwrap();
    assert_eq!(account.agreed, [("privacy_notice".to_owned(), "2".to_owned())]);
    assert_eq!(failure(node.register("bob", agree(Some(&first.session))).await), Some(Failure::SessionUsed));

    // Without a session the first stage begins one.
    let begun = challenge(node.register("bob", dummy(None)).await);
    assert_eq!(begun.completed, ["m.login.dummy"]);
    another.register("bob", agree(Some(&begun.session))).await.unwrap();
}

/// The token that was shown first is used with the account, and not before; somebody else may use it up meanwhile.
#[tokio::test]
async fn a_token_is_used_when_the_account_is_made() {
    let (engine, clock) = testing::engine();
    let node = with_terms(engine, clock, 1).await;
    let new = NewRegistrationToken { uses: Some(1), admin: true, expires_ms: None };
    let secret = node.identity.create_registration_token(new).await.unwrap();
    let mut sessions = Vec::new();
    for name in ["alice", "bob"] {
        let session = node.challenge().await.session;
        let shown = challenge(node.register(name, token(&secret, Some(&session))).await);
        assert_eq!((shown.completed.as_slice(), shown.failure), (&["m.login.registration_token"][..], None));
        sessions.push(session);
    }
    let made = node.register("alice", agree(Some(&sessions[0]))).await.unwrap();
    assert!(made.login.unwrap().session.admin);
    let late = challenge(node.register("bob", agree(Some(&sessions[1]))).await);
    assert_eq!((late.failure, late.completed.len()), (Some(Failure::InvalidToken), 0));
    assert_ne!(late.session, sessions[1]);
    assert_eq!(node.users().await, 1);
}

/// Agreeing on the page, then the client with nothing but the session.
#[tokio::test]
async fn stages_are_completed_on_pages() {
    let (engine, clock) = testing::engine();
    let node = with_terms(engine.clone(), clock.clone(), 1).await;
    let another = with_terms(engine, clock, 2).await;
    let session = node.challenge().await.session;
    let page = another.identity.page("m.login.terms", &session, &here()).await.unwrap();
    assert_eq!((page.policies.len(), page.completed), (1, false));
    let early = another.identity.answer_page("m.login.terms", &session, "", &here()).await.unwrap();
    assert_eq!(early.failure, Some(Failure::WrongOrder));
    assert!(another.identity.answer_page("m.login.dummy", &session, "", &here()).await.unwrap().completed);
    assert!(another.identity.answer_page("m.login.terms", &session, "", &here()).await.unwrap().completed);
    assert!(node.identity.page("m.login.terms", &session, &here()).await.unwrap().completed);
    node.register("alice", json!({ "session": session })).await.unwrap();
    for (stage, session) in [("m.login.terms", &*session), ("m.login.password", &session), ("m.login.dummy", "x")] {
        let page = another.identity.page(stage, session, &here()).await;
        assert!(matches!(page, Err(PageError::NothingAsked)), "{page:?}");
    }
}

struct Anna {
    node: Node,
    session: Session,
}

impl Anna {
    async fn new() -> Self {
        Self::on(Node::open(Registration::Open).await).await
    }

    async fn on(node: Node) -> Self {
        let login = node.register("anna", dummy(None)).await.unwrap().login.unwrap();
        node.make(changed("bert", |_| {})).await.unwrap();
        Self { node, session: login.session }
    }

    async fn confirm(&self, act: &Act<'_>, auth: serde_json::Value) -> Result<(), ConfirmError> {
        let auth: Auth = serde_json::from_value(auth).unwrap();
        let confirmed = self.node.identity.confirm(&self.session, act, Some(&auth)).await?;
        self.node.store.commit(confirmed.batch()).await.unwrap();
        Ok(())
    }

    async fn refused(&self, act: &Act<'_>, auth: serde_json::Value) -> Challenge {
        match self.confirm(act, auth).await {
            Err(ConfirmError::Challenge(challenge)) => *challenge,
            other => panic!("not a challenge: {other:?}"),
        }
    }

    async fn session_for(&self, act: &Act<'_>) -> String {
        let Err(ConfirmError::Challenge(challenge)) = self.node.identity.confirm(&self.session, act, None).await else {
            panic!("confirmed by nothing")
        };
        assert_eq!(challenge.flows, [["m.login.password"]]);
        challenge.session
    }
}

fn password(user: &str, password: &str, session: Option<&str>) -> serde_json::Value {
    json!({ "type": "m.login.password", "session": session, "password": password,
        "identifier": { "type": "m.id.user", "user": user } })
}

const DEACTIVATE: Act<'_> = Act::Deactivate { erase: false };

#[tokio::test]
async fn acts_are_confirmed_with_ones_own_password() {
    let anna = Anna::new().await;
    let session = anna.session_for(&DEACTIVATE).await;
    anna.confirm(&DEACTIVATE, password("anna", PASSWORD, Some(&session))).await.unwrap();
    anna.confirm(&DEACTIVATE, password("@anna:example.org", PASSWORD, None)).await.unwrap();
    let older = json!({ "type": "m.login.password", "user": "@anna:example.org", "password": PASSWORD });
    anna.confirm(&DEACTIVATE, older).await.unwrap();

    let session = anna.session_for(&DEACTIVATE).await;
    let wrong = anna.refused(&DEACTIVATE, password("anna", "wrong horse", Some(&session))).await;
    assert_eq!((wrong.failure, &wrong.session), (Some(Failure::WrongPassword), &session));
    for user in ["bert", "@bert:example.org", "@anna:elsewhere.example", "nobody", ""] {
        let refused = anna.confirm(&DEACTIVATE, password(user, PASSWORD, None)).await;
        assert!(matches!(refused, Err(ConfirmError::OtherUser)), "{user}: {refused:?}");
    }
    let by_mail = json!({ "type": "m.login.password", "password": PASSWORD,
        "identifier": { "type": "m.id.thirdparty", "medium": "email", "address": "a@b" } });
    assert!(matches!(anna.confirm(&DEACTIVATE, by_mail).await, Err(ConfirmError::OtherUser)));
    for bad in [json!({ "type": "m.login.password" }), json!({ "type": "m.login.password", "user": "anna" })] {
        assert!(matches!(anna.confirm(&DEACTIVATE, bad).await, Err(ConfirmError::Missing(_))));
    }
    for stage in ["m.login.dummy", "m.login.terms", "m.login.registration_token", "x"] {
        let refused = anna.refused(&DEACTIVATE, json!({ "type": stage, "token": "t" })).await;
        assert_eq!(refused.failure, Some(Failure::UnknownStage), "{stage}");
    }
    assert_eq!(anna.refused(&DEACTIVATE, json!({})).await.failure, None);
}

/// What was confirmed on a page holds for that act of that user, once, and for its time.
#[tokio::test]
async fn a_page_confirms_one_act_once() {
    let anna = Anna::new().await;
    let devices = ["A".into(), "B".into()];
    let act = Act::DeleteDevices(&devices);
    let session = anna.session_for(&act).await;
    let alone = json!({ "session": session });
    assert_eq!(anna.refused(&act, alone.clone()).await.failure, None, "nothing is done yet");
    let wrong = anna.node.identity.answer_page("m.login.password", &session, "wrong horse", &here()).await.unwrap();
    assert_eq!((wrong.failure, wrong.completed), (Some(Failure::WrongPassword), false));
    let right = anna.node.identity.answer_page("m.login.password", &session, PASSWORD, &here()).await.unwrap();
    assert_eq!((right.user_id.unwrap().as_str(), right.completed), ("@anna:example.org", true));

    let others = ["A".into(), "C".into()];
    let foreign = anna.refused(&Act::DeleteDevices(&others), alone.clone()).await;
    assert_eq!(foreign.failure, Some(Failure::InvalidSession));
    assert_eq!(anna.refused(&DEACTIVATE, alone.clone()).await.failure, Some(Failure::InvalidSession));
    let bert = anna.node.login(json!({ "type": "m.login.password", "user": "bert", "password": PASSWORD })).await;
    let auth: Auth = serde_json::from_value(alone.clone()).unwrap();
    let bert = anna.node.identity.confirm(&bert.unwrap().session, &act, Some(&auth)).await;
    let Err(ConfirmError::Challenge(refused)) = bert else { panic!("somebody else's page counts: {bert:?}") };
    assert_eq!(refused.failure, Some(Failure::InvalidSession));
    // A session of registration will not do, nor the other way round.
    let register = anna.node.challenge().await.session;
    let refused = anna.refused(&act, json!({ "session": register })).await;
    assert_eq!(refused.failure, Some(Failure::InvalidSession));
    assert_eq!(failure(anna.node.register("dora", dummy(Some(&session))).await), Some(Failure::InvalidSession));

    // In another order they are the same devices.
    let turned = ["B".into(), "A".into()];
    anna.confirm(&Act::DeleteDevices(&turned), alone.clone()).await.unwrap();
    assert_eq!(anna.refused(&act, alone).await.failure, Some(Failure::SessionUsed));

    let late = anna.session_for(&act).await;
    assert!(anna.node.identity.answer_page("m.login.password", &late, PASSWORD, &here()).await.unwrap().completed);
    anna.node.clock.advance_ms(limits::UIA_SESSION_MS);
    assert_eq!(anna.refused(&act, json!({ "session": late })).await.failure, Some(Failure::InvalidSession));
}

/// Whoever sees the session, in the address of a page, cannot try passwords against it.
#[tokio::test]
async fn a_session_tells_nothing_of_a_new_password() {
    let anna = Anna::new().await;
    let with = |new_password| Act::ChangePassword { new_password, logout_devices: true };
    let session = anna.session_for(&with("a new password")).await;
    assert!(anna.node.identity.answer_page("m.login.password", &session, PASSWORD, &here()).await.unwrap().completed);
    let other = anna.refused(&with("another password"), json!({ "session": session })).await;
    assert_eq!(other.failure, Some(Failure::InvalidSession));
    // The same act on a server with another key has another digest.
    let (engine, clock) = testing::engine();
    let elsewhere = Anna::on(Node::over(engine, clock, 7, Registration::Open).await).await;
    assert!(elsewhere.session_for(&with("a new password")).await[33..] != session[33..]);
    anna.confirm(&with("a new password"), json!({ "session": session })).await.unwrap();
    assert!(!anna.node.stored().await.iter().any(|row| row.windows(14).any(|window| window == b"a new password")));
}

/// A page that was answered with the old password confirms nothing once there is another: whoever knew the old one and prepared
/// the end of the account has to know the new one.
#[tokio::test]
async fn a_confirmation_ends_with_its_password() {
    for keeps_devices in [true, false] {
        let anna = Anna::new().await;
        let devices = ["A".into()];
        let acts = [
            DEACTIVATE,
            Act::DeleteDevices(&devices),
            Act::MakeLoginToken,
            Act::ChangePassword { new_password: "an intruder", logout_devices: true },
        ];
        let mut prepared = Vec::new();
        for act in &acts {
            let session = anna.session_for(act).await;
            let page = anna.node.identity.answer_page("m.login.password", &session, PASSWORD, &here()).await.unwrap();
            assert!(page.completed);
            prepared.push(session);
        }
        let auth: Auth = serde_json::from_value(password("anna", PASSWORD, None)).unwrap();
        let under_way = anna.node.identity.confirm(&anna.session, &DEACTIVATE, Some(&auth)).await.unwrap();
        let changed = anna.node.identity.change_password(&anna.session, "another horse", !keeps_devices, Some(&auth));
        changed.await.unwrap();

        for (act, session) in acts.iter().zip(&prepared) {
            let refused = anna.refused(act, json!({ "session": session })).await;
            assert_eq!((refused.completed.len(), &refused.session), (0, session), "{act:?}");
            let page = anna.node.identity.page("m.login.password", session, &here()).await.unwrap();
            assert!(!page.completed, "{act:?}");
        }
        // What was being done at that moment is decided in its commit.
        let lost = anna.node.store.commit(under_way.batch()).await;
        assert!(matches!(lost, Err(StoreError::Lost(Losing::Fail(_)))), "{lost:?}");
        // The same session goes on with the new password.
        let session = &prepared[0];
        let page = anna.node.identity.answer_page("m.login.password", session, "another horse", &here()).await.unwrap();
        assert!(page.completed);
        anna.confirm(&DEACTIVATE, json!({ "session": session })).await.unwrap();
    }
}

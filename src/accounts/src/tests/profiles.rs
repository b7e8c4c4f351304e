use serde_json::{Value, json};
use wardstead_engine::{Batch, Losing};
use wardstead_limits::profiles as limits;
use wardstead_store::{StoreError, kind};

use super::Server;
use crate::{AccountsError, profile::tables::PROFILE_NEWS};

async fn set(server: &Server, key: &str, value: &Value) -> Result<(), AccountsError> {
    server.accounts.set_profile_field(&server.accounts.local_user_id("alice").unwrap(), key, value).await
}

async fn profile(server: &Server) -> Option<Value> {
    let alice = server.accounts.local_user_id("alice").unwrap();
    server.accounts.profile(&alice).await.unwrap().map(Value::Object)
}

/// A change is one batch with one entry in the journal; of name and picture also with the news for the rooms. What is so already is
/// none.
#[tokio::test]
async fn a_change_is_one_batch() {
    let server = Server::open().await;
    let alice = server.register("alice").await.session;
    for (key, value, rooms) in [
        ("displayname", json!("Zoë"), 1),
        ("avatar_url", json!("mxc://example.org/a"), 2),
        ("m.tz", json!("Europe/London"), 2),
        ("org.example.job", json!({ "title": ["Nurse", null, 1.5] }), 2),
    ] {
        let before = (server.counts.read().batches, server.store.caught_up().await.unwrap());
        set(&server, key, &value).await.unwrap();
        set(&server, key, &value).await.unwrap();
        assert_eq!(server.counts.read().batches - before.0, 1, "{key}");
        let journal = server.journal(before.1).await;
        let told: Vec<_> = journal.iter().map(|row| (row.entry.kind, row.entry.scope, &row.entry.key[..])).collect();
        assert_eq!(told, [(kind::PROFILE, alice.user, key.as_bytes())]);
        assert_eq!(PROFILE_NEWS.waiting(&server.store, alice.user).await.unwrap().len(), rooms, "{key}");
    }
    let whole = json!({ "displayname": "Zoë", "avatar_url": "mxc://example.org/a", "m.tz": "Europe/London",
        "org.example.job": { "title": ["Nurse", null, 1.5] } });
    assert_eq!(profile(&server).await, Some(whole));
    let names = server.accounts.names(&[alice.user]).await.unwrap();
    assert_eq!(
        (names[0].displayname.as_deref(), names[0].avatar_url.as_deref()),
        (Some("Zoë"), Some("mxc://example.org/a"))
    );

    let alice = alice.user_id;
    for key in ["displayname", "m.tz", "org.example.job", "org.example.never"] {
        server.accounts.remove_profile_field(&alice, key).await.unwrap();
        assert_eq!(server.accounts.profile_field(&alice, key).await.unwrap(), None);
    }
    assert_eq!(profile(&server).await, Some(json!({ "avatar_url": "mxc://example.org/a" })));
    let nobody = server.accounts.local_user_id("nobody").unwrap();
    assert_eq!(server.accounts.profile(&nobody).await.unwrap(), None);
    assert!(matches!(
        server.accounts.set_profile_field(&nobody, "m.tz", &json!("")).await,
        Err(AccountsError::NoAccount)
    ));
}

/// No profile is larger than the bound, in canonical JSON, also when its fields are set side by side; what is removed makes room.
#[tokio::test]
async fn a_profile_has_64_kib() {
    let server = Server::open().await;
    server.register("alice").await;
    let third = json!("x".repeat(limits::PROFILE_BYTES / 3));
    let names = ["org.example.a", "org.example.b", "org.example.c"];
    let [a, b, c] = names.map(|name| set(&server, name, &third));
    let all: [_; 3] = tokio::join!(a, b, c).into();
    assert_eq!(all.iter().filter(|done| matches!(done, Err(AccountsError::ProfileTooLarge))).count(), 1, "{all:?}");
    let size = |profile: Option<Value>| profile.unwrap().to_string().len();
    let free = limits::PROFILE_BYTES - size(profile(&server).await);
    // `,"m.tz":""` has ten bytes.
    let rest = "x".repeat(free - 10);
    assert!(matches!(set(&server, "m.tz", &json!(format!("{rest}x"))).await, Err(AccountsError::ProfileTooLarge)));
    set(&server, "m.tz", &json!(rest)).await.unwrap();
    assert_eq!(size(profile(&server).await), limits::PROFILE_BYTES);
    assert!(matches!(set(&server, "displayname", &json!("A")).await, Err(AccountsError::ProfileTooLarge)));
    set(&server, "m.tz", &json!("")).await.unwrap();
    set(&server, "displayname", &json!("A")).await.unwrap();
}

/// Deactivation takes the profile along, and a change that is under way comes before it or not at all.
#[tokio::test]
async fn nothing_is_left_of_a_deactivated_users_profile() {
    let server = Server::open().await;
    let alice = server.register("alice").await.session;
    let empty = async || {
        let mut batch = Batch::new();
        server.accounts.empty_profile(&mut batch, alice.user).await.unwrap();
        batch
    };
    let before_all = empty().await;
    set(&server, "displayname", &json!("Alice")).await.unwrap();
    let stale = empty().await;
    set(&server, "org.example.job", &json!("Nurse")).await.unwrap();
    for batch in [before_all, stale] {
        let lost = server.store.commit(batch).await;
        assert!(matches!(lost, Err(StoreError::Lost(Losing::Rebuild))), "{lost:?}");
    }
    server.store.commit(empty().await).await.unwrap();
    assert_eq!(profile(&server).await, Some(json!({})));
    let content = async || {
        let rows = server.rows().await.into_iter();
        rows.filter(|(_, payload)| payload.windows(5).any(|bytes| bytes == b"Nurse")).count()
    };
    assert_eq!(content().await, 0);
    set(&server, "org.example.job", &json!("Nurse")).await.unwrap();
    server.accounts.deactivate(&alice.user_id, false, &Batch::new()).await.unwrap();
    assert_eq!(profile(&server).await, None);
    assert_eq!(content().await, 0);
    assert!(matches!(set(&server, "displayname", &json!("A")).await, Err(AccountsError::Deactivated)));
}

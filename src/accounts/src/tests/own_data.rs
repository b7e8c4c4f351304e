//! Account data, filters, tags and ignored users, where the rows or the order of things is the promise.

use std::sync::Arc;

use serde_json::{json, value::RawValue};
use wardstead_engine::Position;
use wardstead_limits::{own_data as limits, store as store_limits};
use wardstead_store::testing;

use super::Server;
use crate::{Accounts, AccountsError, Change};

fn raw(content: &serde_json::Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(content).unwrap()
}

async fn stands(accounts: &Accounts, user: u64, event_type: &str) -> Option<serde_json::Value> {
    let data = accounts.account_data(user, 0, event_type).await.unwrap();
    data.and_then(|data| data.content).map(|content| serde_json::from_str(content.get()).unwrap())
}

#[tokio::test]
async fn setting_is_one_batch_with_one_journal_entry() {
    let server = Server::open().await;
    let anna = server.register("anna").await.session;
    let before = (server.batches(), server.store.caught_up().await.unwrap());
    server.accounts.set_account_data(anna.user, 0, "a", &raw(&json!({ "b": 1 }))).await.unwrap();
    let at = server.store.caught_up().await.unwrap();
    assert_eq!((server.batches() - before.0, at.0 - before.1.0), (1, 1));
    let data = server.accounts.account_data(anna.user, 0, "a").await.unwrap().unwrap();
    assert_eq!(data.position, at);
    // Where nothing changes nothing is written.
    server.accounts.remove_account_data(anna.user, 0, "c").await.unwrap();
    server.accounts.set_account_data(anna.user, 0, "c", &raw(&json!({}))).await.unwrap();
    server.accounts.change_account_data(anna.user, 0, "a", |_| Ok(Change::Keep)).await.unwrap();
    assert_eq!(server.store.caught_up().await.unwrap(), at);
    assert!(server.accounts.account_data(anna.user, 0, "c").await.unwrap().is_none());
}

/// Twenty devices add one entry each: none is lost.
#[tokio::test]
async fn writers_take_turns() {
    let server = Server::open().await;
    let anna = server.register("anna").await.session;
    let clock = wardstead_limits::ManualClock::new(testing::START_MS);
    let other = testing::over(Arc::clone(&server.engine) as _, "example.org", clock, 2).await.unwrap();
    let nodes = [server.accounts.clone(), Accounts::new(other, "example.org".try_into().unwrap())];
    let writers = (0..20).map(|number| {
        let accounts = nodes[number % 2].clone();
        let user = anna.user;
        async move {
            loop {
                let added = accounts
                    .change_account_data(user, 0, "list", |stands| {
                        let mut list: serde_json::Map<String, serde_json::Value> =
                            stands.map(|stands| serde_json::from_str(stands.get()).unwrap()).unwrap_or_default();
                        list.insert(number.to_string(), json!(true));
                        Ok(Change::Set(raw(&json!(list))))
                    })
                    .await;
                match added {
                    Ok(()) => return,
                    Err(AccountsError::Contended) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    });
    for writer in writers.map(tokio::spawn).collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(stands(&nodes[1], anna.user, "list").await.unwrap().as_object().unwrap().len(), 20);
}

#[tokio::test]
async fn bounds_are_exact_and_removing_is_always_allowed() {
    let server = Server::open().await;
    let anna = server.register("anna").await.session;
    let of_bytes = |bytes: usize| raw(&json!({ "a": "x".repeat(bytes - r#"{"a":""}"#.len()) }));
    let set = async |event_type: &str, bytes: usize| {
        server.accounts.set_account_data(anna.user, 0, event_type, &of_bytes(bytes)).await
    };
    set("a", limits::ACCOUNT_DATA_BYTES).await.unwrap();
    assert!(matches!(set("a", limits::ACCOUNT_DATA_BYTES + 1).await, Err(AccountsError::TooLarge(_))));
    let mut left = limits::ACCOUNT_DATA_TOTAL_BYTES - limits::ACCOUNT_DATA_BYTES;
    let mut number = 0;
    while left > 0 {
        let bytes = left.min(limits::ACCOUNT_DATA_BYTES);
        set(&format!("t{number}"), bytes).await.unwrap();
        (left, number) = (left - bytes, number + 1);
    }
    assert!(matches!(set("more", 20).await, Err(AccountsError::TooLarge(_))));
    server.accounts.remove_account_data(anna.user, 0, "a").await.unwrap();
    set("more", 20).await.unwrap();
    for event_type in ["", &"x".repeat(limits::ACCOUNT_DATA_TYPE_BYTES + 1)] {
        assert!(matches!(set(event_type, 20).await, Err(AccountsError::InvalidAccountDataType)));
    }
    set(&"x".repeat(limits::ACCOUNT_DATA_TYPE_BYTES), 20).await.unwrap();
    for event_type in ["m.fully_read", "m.push_rules"] {
        assert!(matches!(set(event_type, 20).await, Err(AccountsError::ManagedByServer)));
    }
}

/// Rows that say that something was removed go after ninety days; what was set again meanwhile stays.
#[tokio::test(start_paused = true)]
async fn what_was_removed_is_forgotten_in_time() {
    let (engine, clock) = testing::engine();
    let store = testing::over(engine, "example.org", clock.clone(), 1).await.unwrap();
    let accounts = Accounts::new(store.clone(), "example.org".try_into().unwrap());
    accounts.run_sweeps();
    let user = 77;
    for event_type in ["gone", "back"] {
        accounts.set_account_data(user, 0, event_type, &raw(&json!({ "a": 1 }))).await.unwrap();
        accounts.remove_account_data(user, 0, event_type).await.unwrap();
    }
    accounts.set_account_data(user, 0, "back", &raw(&json!({ "a": 2 }))).await.unwrap();
    let all = async || {
        let upto = store.caught_up().await.unwrap();
        accounts.account_data_changes(user, Position::ZERO, upto).await.unwrap()
    };
    let pass = async |ms: u64| {
        clock.advance_ms(ms);
        for _ in 0..4 {
            tokio::time::sleep(std::time::Duration::from_millis(store_limits::WORK_SWEEP_MS)).await;
            store.caught_up().await.unwrap();
        }
    };
    pass(limits::TOMBSTONE_MS - 1).await;
    assert_eq!(all().await.len(), 2, "kept for as long as a token may need it");
    pass(1).await;
    let left = all().await;
    assert_eq!(left.iter().map(|data| &*data.event_type).collect::<Vec<_>>(), ["back"]);
    assert!(accounts.account_data(user, 0, "gone").await.unwrap().is_none());
    assert_eq!(stands(&accounts, user, "back").await, Some(json!({ "a": 2 })));
}

#[tokio::test]
async fn the_list_of_ignored_users_is_known_as_of_a_position() {
    let server = Server::open().await;
    let anna = server.register("anna").await.session;
    let ignore = async |user: &str| {
        let list = raw(&json!({ "ignored_users": { user: {} } }));
        server.accounts.set_account_data(anna.user, 0, "m.ignored_user_list", &list).await.unwrap();
        server.store.caught_up().await.unwrap()
    };
    let nobody = server.store.caught_up().await.unwrap();
    let at = async |position| server.accounts.ignored_by_at(anna.user, &anna.user_id, position).await.unwrap();
    let bert = ruma::user_id!("@bert:example.org");
    let first = ignore(bert.as_str()).await;
    assert!(at(nobody).await.is_empty() && at(first).await.contains(bert));
    let second = ignore("@carl:example.org").await;
    assert!(at(first).await.contains(bert) && !at(second).await.contains(bert));
    server.accounts.remove_account_data(anna.user, 0, "m.ignored_user_list").await.unwrap();
    assert!(!at(second).await.is_empty());
    assert!(server.accounts.ignored_by(anna.user, &anna.user_id).await.unwrap().is_empty());
}

#[tokio::test]
async fn equal_filters_are_one_row_and_other_users_have_none() {
    let server = Server::open().await;
    let (anna, bert) = (server.register("anna").await.session, server.register("bert").await.session);
    let json = r#"{"room":{}}"#;
    let id = server.accounts.put_filter(anna.user, json).await.unwrap();
    let batches = server.batches();
    assert_eq!(server.accounts.put_filter(anna.user, json).await.unwrap(), id);
    assert_eq!(server.batches(), batches);
    assert_eq!(server.accounts.filter(anna.user, &id).await.unwrap().as_deref(), Some(json));
    assert_eq!(server.accounts.filter(bert.user, &id).await.unwrap(), None);
    assert_eq!(server.accounts.filter(anna.user, &"x".repeat(5_000)).await.unwrap(), None);
    for number in 1..limits::FILTER_ROWS_PER_USER {
        server.accounts.put_filter(anna.user, &format!(r#"{{"a":{number}}}"#)).await.unwrap();
    }
    let more = server.accounts.put_filter(anna.user, "{}").await;
    assert!(matches!(more, Err(AccountsError::TooLarge(_))), "{more:?}");
    assert_eq!(server.accounts.put_filter(anna.user, json).await.unwrap(), id, "what is there is found");
    server.accounts.put_filter(bert.user, "{}").await.unwrap();
}

#[tokio::test]
async fn tags_keep_each_other_and_what_else_stands_there() {
    let server = Server::open().await;
    let anna = server.register("anna").await.session;
    let (user, room) = (anna.user, 9);
    server.accounts.set_account_data(user, room, "m.tag", &raw(&json!({ "tags": [], "x": 1 }))).await.unwrap();
    let info = |order: f64| json!({ "order": order }).as_object().unwrap().clone();
    server.accounts.set_tag(user, room, "m.favourite", &info(0.25)).await.unwrap();
    server.accounts.set_tag(user, room, "u.work", &info(0.5)).await.unwrap();
    server.accounts.remove_tag(user, room, "u.nothing").await.unwrap();
    let tags = server.accounts.tags(user, room).await.unwrap();
    assert_eq!(json!(tags), json!({ "m.favourite": { "order": 0.25 }, "u.work": { "order": 0.5 } }));
    for tag in ["m.favourite", "u.work"] {
        server.accounts.remove_tag(user, room, tag).await.unwrap();
    }
    let data = server.accounts.account_data(user, room, "m.tag").await.unwrap().unwrap();
    assert_eq!(data.content.unwrap().get(), r#"{"tags":{},"x":1}"#);
    let long = "x".repeat(limits::ACCOUNT_DATA_TYPE_BYTES + 1);
    assert!(server.accounts.set_tag(user, room, &long, &info(0.5)).await.is_err());
}

//! What an incremental sync tells of a room in which the user stays.

use serde_json::json;
use wardstead_rooms::Draft;
use wardstead_sync::SyncRequest;

use crate::support::{message, server, state, state_of};

#[tokio::test(start_paused = true)]
async fn a_message_and_a_state_change() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let (room, silent) = (server.room(&[&anna, &ben]).await, server.room(&[&anna, &ben]).await);
    let since = server.sync(&ben, None).await;
    assert!(server.sync(&ben, Some(&since)).await.is_empty());

    let said = server.say(&anna, &room, "hello").await;
    let topic = server.topic(&anna, &room, "news").await;
    let answer = server.sync(&ben, Some(&since)).await;
    assert_eq!(answer.rooms("join"), [room.as_str()], "{silent} is silent");
    let joined = answer.joined(&room);
    assert_eq!(joined.timeline(), [said.to_string(), topic.to_string()]);
    assert!(!joined.limited() && joined.state().is_empty());
    assert_eq!(joined.events()[1]["unsigned"]["membership"], "join");
    assert!(server.sync(&ben, Some(&answer)).await.is_empty());
    // The same question again has the same answer: nothing is remembered of what was sent.
    assert_eq!(server.sync(&ben, Some(&since)).await, answer);
}

#[tokio::test(start_paused = true)]
async fn only_the_sending_device_is_told_its_transaction_id() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let other = server.device(&anna).await;
    let room = server.room(&[&anna, &ben]).await;
    let since = server.sync(&anna, None).await;
    let elsewhere = server.sync(&other, None).await;
    let (ben_since, draft) = (server.sync(&ben, None).await, Draft { txn_id: Some("t1".into()), ..message("hello") });
    server.try_send(&anna, &room, draft).await.unwrap();
    let told =
        |answer: crate::support::Answer| answer.joined(&room).events()[0]["unsigned"].get("transaction_id").cloned();
    assert_eq!(told(server.sync(&anna, Some(&since)).await), Some(json!("t1")));
    assert_eq!(told(server.sync(&other, Some(&elsewhere)).await), None);
    assert_eq!(told(server.sync(&ben, Some(&ben_since)).await), None);
}

#[tokio::test(start_paused = true)]
async fn full_state_tells_all_joined_rooms() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let (room, silent) = (server.room(&[&anna, &ben]).await, server.room(&[&anna, &ben]).await);
    let left = server.room(&[&anna, &ben]).await;
    server.leave(&ben, &left).await;
    let since = server.sync(&ben, None).await;
    let before = state_of(&server, &ben, &room).await;
    let said = server.say(&anna, &room, "hello").await;
    let request =
        SyncRequest { since: Some(since.next()), full_state: true, timeout_ms: 30_000, ..SyncRequest::default() };
    let answer = server.ask(&ben, request).await.unwrap();
    assert_eq!(answer.rooms("join").len(), 2);
    assert!(answer.rooms("leave").is_empty(), "the client was told before");
    assert_eq!(answer.joined(&room).timeline(), [said.to_string()]);
    assert_eq!(answer.joined(&room).state(), before);
    assert!(answer.joined(&silent).events().is_empty() && !answer.joined(&silent).limited());
    assert_eq!(answer.joined(&silent).state(), state_of(&server, &ben, &silent).await);
}

/// A room's name goes by a redaction, and no event under the name's key says so.
#[tokio::test(start_paused = true)]
async fn a_name_that_is_redacted_brings_the_heroes() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let named = json!({ "room": { "timeline": { "types": ["m.room.message"] } } });
    let silent = json!({ "room": { "timeline": { "limit": 0 } } });
    for filter in [json!({}), named, silent] {
        let room = server.room(&[&anna, &ben]).await;
        let name = server.try_send(&anna, &room, state("m.room.name", "", &json!({ "name": "Ward 7" }))).await.unwrap();
        let since = server.filtered(&ben, None, &filter).await;
        assert_eq!(since.joined(&room).0["summary"].get("m.heroes"), None);
        let said = server.say(&anna, &room, "hello").await;
        let since = server.filtered(&ben, Some(&since), &filter).await;
        assert!(since.joined(&room).0.get("summary").is_none());
        server.rooms.redact(&anna, &room, &said, None, "t0".into()).await.unwrap();
        let since = server.filtered(&ben, Some(&since), &filter).await;
        assert!(since.joined(&room).0.get("summary").is_none());
        server.rooms.redact(&anna, &room, &name, None, "t1".into()).await.unwrap();
        let answer = server.filtered(&ben, Some(&since), &filter).await;
        let initial = server.filtered(&ben, None, &filter).await;
        let summary = &answer.joined(&room).0["summary"];
        assert_eq!(summary["m.heroes"], json!(["@anna:example.org"]), "{filter}");
        assert_eq!(summary, &initial.joined(&room).0["summary"]);
        // Told once.
        let after = server.say(&anna, &room, "hello").await;
        server.rooms.redact(&anna, &room, &after, None, "t2".into()).await.unwrap();
        let later = server.filtered(&ben, Some(&answer), &filter).await;
        assert!(later.joined(&room).0.get("summary").is_none());
    }
}

//! What is told beside rooms.

use serde_json::{Value, json};
use wardstead_e2ee::ToDeviceRequest;

use super::{Slid, list, slide};
use crate::support::{raw, server};

fn with(extensions: Value) -> Value {
    let mut body = list(0, 9, 10);
    body["extensions"] = extensions;
    body
}

fn messages(answer: &Slid) -> Vec<u64> {
    let events = answer.0["extensions"]["to_device"]["events"].as_array().cloned().unwrap_or_default();
    events.iter().map(|event| event["content"]["number"].as_u64().unwrap()).collect()
}

/// In pages as large as was asked for, each until the device presents its token: whatever becomes of the connection.
#[tokio::test(start_paused = true)]
async fn messages_to_the_device() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    for number in 0..3 {
        let to_device = [(anna.device_id.to_string(), raw(&json!({ "number": number })))].into();
        let messages = [(anna.user_id.clone(), to_device)].into();
        let (event_type, txn_id) = ("m.test".to_owned(), number.to_string());
        server.syncer.inboxes().send(&ben, &ToDeviceRequest { event_type, txn_id, messages }).await.unwrap();
    }
    let page = |since: Option<&Slid>| {
        let since = since.map(|since| since.0["extensions"]["to_device"]["next_batch"].clone());
        let mut wanted = json!({ "enabled": true, "limit": 2 });
        if let Some(since) = since {
            wanted["since"] = since;
        }
        with(json!({ "to_device": wanted }))
    };
    let first = slide(&server, &anna, &page(None), None).await;
    assert_eq!(messages(&first), [0, 1]);
    let again = slide(&server, &anna, &page(None), Some(&first)).await;
    assert_eq!(messages(&again), [0, 1], "it did not say that it has them");
    let second = slide(&server, &anna, &page(Some(&again)), None).await;
    assert_eq!(messages(&second), [2], "in a new connection, too");
    let third = slide(&server, &anna, &page(Some(&second)), Some(&second)).await;
    assert_eq!(messages(&third), [0; 0]);
    // Its token is none of a sync, which would take the rooms as told.
    let since = second.0["extensions"]["to_device"]["next_batch"].as_str().unwrap().to_owned();
    let request = wardstead_sync::SyncRequest { since: Some(since), ..wardstead_sync::SyncRequest::default() };
    assert!(server.ask(&anna, request).await.is_err());
    let request = wardstead_sync::SyncRequest { since: Some(third.pos()), ..wardstead_sync::SyncRequest::default() };
    assert!(server.ask(&anna, request).await.is_err(), "nor is that of a connection");
}

#[tokio::test(start_paused = true)]
async fn account_data_receipts_and_typing() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let short = server.rooms.room(&room).await.unwrap().unwrap().short;
    let said = server.say(&anna, &room, "a").await;
    server.read(&ben, &room, &said).await;
    server.accounts.set_account_data(anna.user, 0, "m.test", &raw(&json!({ "a": 1 }))).await.unwrap();
    server.accounts.set_account_data(anna.user, short, "m.tag", &raw(&json!({ "tags": {} }))).await.unwrap();
    let on = json!({ "enabled": true });
    let body = with(json!({ "account_data": on, "receipts": on, "typing": on }));
    let first = slide(&server, &anna, &body, None).await;
    let told = &first.0["extensions"];
    let global: Vec<&Value> =
        told["account_data"]["global"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert!(global.contains(&&json!("m.test")) && global.contains(&&json!("m.push_rules")), "{global:?}");
    assert_eq!(told["account_data"]["rooms"][room.as_str()][0]["type"], "m.tag");
    let read = |told: &Value| told["receipts"]["rooms"][room.as_str()]["content"].clone();
    assert!(read(told)[said.as_str()]["m.read"]["@ben:example.org"].is_object());
    assert_eq!(told["receipts"]["rooms"][room.as_str()]["type"], "m.receipt");
    let second = slide(&server, &anna, &body, Some(&first)).await;
    assert_eq!(second.0["extensions"], json!({}));
    // News of each, and not of the others.
    server.accounts.set_account_data(anna.user, 0, "m.test", &raw(&json!({ "a": 2 }))).await.unwrap();
    let third = slide(&server, &anna, &body, Some(&second)).await;
    assert_eq!(third.0["extensions"]["account_data"]["global"], json!([{ "type": "m.test", "content": { "a": 2 } }]));
    let said = server.say(&anna, &room, "b").await;
    server.read(&ben, &room, &said).await;
    let fourth = slide(&server, &anna, &body, Some(&third)).await;
    assert!(read(&fourth.0["extensions"])[said.as_str()]["m.read"]["@ben:example.org"].is_object());
    server.syncer.typing().set(&ben, short, 10_000).await;
    let fifth = slide(&server, &anna, &body, Some(&fourth)).await;
    let typing = json!({ "type": "m.typing", "content": { "user_ids": ["@ben:example.org"] } });
    assert_eq!(fifth.0["extensions"]["typing"]["rooms"][room.as_str()], typing);
    assert_eq!(fifth.rooms(), [""; 0]);
    // Those of no room that is shown are not told now, but when it is.
    let nothing = json!({ "extensions": body["extensions"] });
    let sixth = slide(&server, &anna, &nothing, Some(&fifth)).await;
    let said = server.say(&ben, &room, "c").await;
    server.read(&anna, &room, &said).await;
    let seventh = slide(&server, &anna, &nothing, Some(&sixth)).await;
    assert_eq!(seventh.0["extensions"]["receipts"], json!(null));
    let eighth = slide(&server, &anna, &body, Some(&seventh)).await;
    assert!(read(&eighth.0["extensions"])[said.as_str()]["m.read"]["@anna:example.org"].is_object());
}

/// An extension that is turned on later is told from the start, with the rooms that it is about.
#[tokio::test(start_paused = true)]
async fn turned_on_later() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let said = server.say(&anna, &room, "a").await;
    let first = slide(&server, &anna, &list(0, 9, 10), None).await;
    server.read(&ben, &room, &said).await;
    let second = slide(&server, &anna, &list(0, 9, 10), Some(&first)).await;
    let body = with(json!({ "receipts": { "enabled": true } }));
    let third = slide(&server, &anna, &body, Some(&second)).await;
    let read = &third.0["extensions"]["receipts"]["rooms"][room.as_str()]["content"][said.as_str()];
    assert!(read["m.read"]["@ben:example.org"].is_object());
    let fourth = slide(&server, &anna, &body, Some(&third)).await;
    assert_eq!(fourth.rooms(), [""; 0]);
}

/// Keys are counted in each answer, and whose devices changed is told.
#[tokio::test(start_paused = true)]
async fn keys() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let body = json!({ "extensions": { "e2ee": { "enabled": true } } });
    let first = slide(&server, &anna, &body, None).await;
    let told = &first.0["extensions"]["e2ee"];
    assert!(told["device_one_time_keys_count"].is_object() && told["device_unused_fallback_key_types"].is_array());
    assert_eq!(told["device_lists"], json!(null));
    server.room(&[&anna, &ben]).await;
    let second = slide(&server, &anna, &body, Some(&first)).await;
    assert_eq!(
        second.0["extensions"]["e2ee"]["device_lists"]["changed"],
        json!(["@anna:example.org", "@ben:example.org"])
    );
    let third = slide(&server, &anna, &body, Some(&second)).await;
    assert_eq!(third.0["extensions"]["e2ee"]["device_lists"], json!(null));
}

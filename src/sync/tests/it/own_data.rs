//! Account data and ignored users in answers.

use std::sync::Arc;

use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_engine::LocalBus;
use wardstead_limits::own_data as limits;
use wardstead_rooms::Membership;
use wardstead_store::testing;
use wardstead_sync::{StateName, SyncFilter, SyncRequest};

use crate::{
    nodes::{Client, nodes, pass},
    support::{Answer, Server, Setting, on, open, raw, server},
};

async fn set(server: &Server, by: &Session, event_type: &str, content: &Value) {
    server.accounts.set_account_data(by.user, 0, event_type, &raw(content)).await.unwrap();
}

/// `by` ignores these, and nobody else.
async fn ignore(server: &Server, by: &Session, users: &[&Session]) {
    let list: Value = users.iter().map(|user| (user.user_id.to_string(), json!({}))).collect();
    set(server, by, "m.ignored_user_list", &json!({ "ignored_users": list })).await;
}

/// Account data of no room, without that about ignoring.
fn account_data(answer: &Answer) -> Vec<Value> {
    let events = answer.0["account_data"]["events"].as_array().into_iter().flatten();
    events.filter(|event| event["type"].as_str().unwrap().starts_with("org.")).cloned().collect()
}

#[tokio::test(start_paused = true)]
async fn removed_account_data_is_told_to_those_who_may_have_it() {
    let server = server().await;
    let [anna] = server.users(["anna"]).await;
    let nothing = server.sync(&anna, None).await;
    set(&server, &anna, "org.a", &json!({ "n": 1 })).await;
    set(&server, &anna, "org.b", &json!({ "n": 2 })).await;
    let both = server.sync(&anna, None).await;
    server.accounts.remove_account_data(anna.user, 0, "org.a").await.unwrap();
    let removed = json!({ "type": "org.a", "content": {} });
    let left = json!({ "type": "org.b", "content": { "n": 2 } });
    assert_eq!(account_data(&server.sync(&anna, Some(&both)).await), std::slice::from_ref(&removed));
    assert_eq!(account_data(&server.sync(&anna, Some(&nothing)).await), [left.clone(), removed]);
    assert_eq!(account_data(&server.sync(&anna, None).await), [left]);
}

/// Who begins is told that there is none in a room, too; later answers leave out what is not news.
#[tokio::test(start_paused = true)]
async fn a_room_from_the_start_has_account_data_even_if_there_is_none() {
    let server = server().await;
    let [anna] = server.users(["anna"]).await;
    let room = server.open_room(&anna, "shared").await;
    let first = server.sync(&anna, None).await;
    let told = |answer: &Answer| answer.0["rooms"]["join"][room.as_str()]["account_data"].clone();
    assert_eq!(told(&first), json!({ "events": [] }));
    server.say(&anna, &room, "hello").await;
    assert_eq!(told(&server.sync(&anna, Some(&first)).await), json!(null));
}

/// After ninety days nobody knows what was removed: the client is told everything as if it were new.
#[tokio::test(start_paused = true)]
async fn a_token_older_than_what_is_remembered_gets_a_full_sync() {
    let (engine, clock) = testing::engine();
    let setting = Setting { clock: Arc::new(clock.clone()), bus: Arc::new(LocalBus::new()), presence: false };
    let node = on(engine, setting, 1).await;
    let [anna] = node.users(["anna"]).await;
    let room = node.room(&[&anna]).await;
    let since = node.sync(&anna, None).await;
    clock.advance_ms(limits::TOMBSTONE_MS - limits::TOMBSTONE_MARGIN_MS - 1_000);
    assert!(node.sync(&anna, Some(&since)).await.is_empty());
    clock.advance_ms(2_000);
    let full = node.sync(&anna, Some(&since)).await;
    assert!(full.joined(&room).limited() && !full.joined(&room).events().is_empty());
    assert!(node.sync(&anna, Some(&full)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_who_is_ignored_only_state_is_shown() {
    let server = server().await;
    let [anna, ben, cora] = server.users(["anna", "ben", "cora"]).await;
    let room = server.room_of(&[&anna, &ben, &cora], open("shared")).await;
    let first = server.sync(&anna, None).await;
    ignore(&server, &anna, &[&ben, &anna]).await;
    let hidden = server.say(&ben, &room, "hidden").await;
    let topic = server.topic(&ben, &room, "shown").await;
    let (cora_said, anna_said) = (server.say(&cora, &room, "shown").await, server.say(&anna, &room, "shown").await);
    let shown = [&topic, &cora_said, &anna_said].map(ToString::to_string);
    let second = server.sync(&anna, Some(&first)).await;
    assert_eq!(second.joined(&room).timeline(), shown);
    assert!(!second.joined(&room).limited());
    let fresh = server.sync(&anna, None).await.joined(&room).timeline();
    assert!(!fresh.contains(&hidden.to_string()) && fresh.ends_with(&shown));
    // What others see is another matter.
    assert!(server.sync(&cora, None).await.joined(&room).timeline().contains(&hidden.to_string()));
    // What was missed comes to a new client alone.
    ignore(&server, &anna, &[]).await;
    let said = server.say(&ben, &room, "shown").await;
    assert_eq!(server.sync(&anna, Some(&second)).await.joined(&room).timeline(), [said.to_string()]);
    assert!(server.sync(&anna, None).await.joined(&room).timeline().contains(&hidden.to_string()));
}

#[tokio::test(start_paused = true)]
async fn invitations_of_who_is_ignored_are_not_shown() {
    let server = server().await;
    let [anna, ben, cora] = server.users(["anna", "ben", "cora"]).await;
    ignore(&server, &anna, &[&ben]).await;
    let first = server.sync(&anna, None).await;
    let (bens, coras) = (server.room(&[&ben]).await, server.room(&[&cora]).await);
    server.member(&ben, &bens, &anna, Membership::Invite).await;
    server.member(&cora, &coras, &anna, Membership::Invite).await;
    for since in [Some(&first), None] {
        assert_eq!(server.sync(&anna, since).await.rooms("invite"), [coras.as_str()]);
    }
    ignore(&server, &anna, &[]).await;
    assert_eq!(server.sync(&anna, None).await.rooms("invite").len(), 2);
}

/// A list that changes while an answer is built is for the next one.
#[tokio::test(start_paused = true)]
async fn whom_one_ignores_is_known_as_of_the_answer() {
    for ignored_first in [false, true] {
        for n in 1.. {
            let server = server().await;
            let [anna, ben] = server.users(["anna", "ben"]).await;
            let room = server.room(&[&anna, &ben]).await;
            let first = server.sync(&anna, None).await;
            let list = |ignored| if ignored { vec![&ben] } else { Vec::new() };
            ignore(&server, &anna, &list(ignored_first)).await;
            server.say(&ben, &room, "hello").await;
            server.topic(&anna, &room, "topic").await;
            let expected = server.sync(&anna, Some(&first)).await;
            let node = server.node(7).await;
            let (other, anna_too, ben_too) = (server.clone(), anna.clone(), ben.clone());
            node.meanwhile.before_read(n, async move {
                let list = if ignored_first { Vec::new() } else { vec![&ben_too] };
                ignore(&other, &anna_too, &list).await;
            });
            let answer = node.sync(&anna, Some(&first)).await;
            if node.meanwhile.take().is_some() {
                assert!(n > 3);
                break;
            }
            let events = |answer: &Answer| answer.joined(&room).timeline();
            assert_eq!(events(&answer), events(&expected), "read {n}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_shown_the_typing_and_presence_of_who_is_ignored() {
    let node = nodes(1, None, true).await.remove(0);
    let [anna, ben, cora] = node.users(["anna", "ben", "cora"]).await;
    let room = node.room(&[&anna, &ben, &cora]).await;
    ignore(&node, &anna, &[&ben]).await;
    let short = node.rooms.access(&anna, &room).await.unwrap().room.short;
    for user in [&ben, &cora] {
        drop(node.ask(user, SyncRequest::default()).await.unwrap());
        node.syncer.typing().set(user, short, 30_000).await;
    }
    pass(5_000).await;
    let mut client = Client::new(&anna, &node).await;
    let others = |client: &Client| (client.typing.get(room.as_str()).cloned(), client.presence.clone());
    let (typing, presence) = others(&client);
    assert_eq!(typing.unwrap().into_iter().collect::<Vec<_>>(), ["@cora:example.org"]);
    assert_eq!(presence.into_keys().collect::<Vec<_>>(), ["@cora:example.org"]);
    ignore(&node, &anna, &[&cora]).await;
    client.sync(&node, 0).await;
    pass(6_000).await;
    client.sync(&node, 0).await;
    let (typing, _) = others(&client);
    assert_eq!(typing.unwrap().into_iter().collect::<Vec<_>>(), ["@ben:example.org"]);
}

/// Who comes to share a room is told of, whenever their presence last changed: to who was there, and to who comes.
#[tokio::test(start_paused = true)]
async fn who_comes_to_share_a_room_is_told_of() {
    let node = nodes(1, None, true).await.remove(0);
    let [anna, ben, cora] = node.users(["anna", "ben", "cora"]).await;
    let room = node.open_room(&anna, "shared").await;
    for user in [&anna, &ben, &cora] {
        node.syncer.presence().set(user, wardstead_accounts::PresenceState::Online, Some("on call".into()));
    }
    pass(10_000).await;
    let (mut annas, mut bens) = (Client::new(&anna, &node).await, Client::new(&ben, &node).await);
    assert!(annas.presence.is_empty() && bens.presence.is_empty());
    node.join(&ben, &room).await;
    for client in [&mut annas, &mut bens] {
        client.sync(&node, 0).await;
    }
    assert_eq!(annas.presence.keys().collect::<Vec<_>>(), ["@ben:example.org"]);
    assert_eq!(bens.presence.keys().collect::<Vec<_>>(), ["@anna:example.org"]);
    // Once; and one who was there before is not told of again when another comes.
    node.join(&cora, &room).await;
    for client in [&mut annas, &mut bens] {
        client.sync(&node, 0).await;
        assert_eq!((client.presence.contains_key("@cora:example.org"), client.told), (true, 2));
    }
}

/// Of a room that was left before, who asks for such rooms is told the account data that changed since: alone, by each way of asking, also
/// where it ends a wait; nobody else is, nor who has forgotten the room.
#[tokio::test(start_paused = true)]
async fn account_data_of_a_room_that_was_left_is_told_to_who_asks_for_such_rooms() {
    let server = server().await;
    let [anna, bert] = server.users(["anna", "bert"]).await;
    let room = server.open_room(&anna, "shared").await;
    server.join(&bert, &room).await;
    let short = server.rooms.user_rooms(bert.user).await.unwrap()[0].room;
    server.leave(&bert, &room).await;
    let filtered =
        |include_leave: bool| SyncFilter::parse(&json!({ "room": { "include_leave": include_leave } }).to_string());
    let ask = async |since: &Answer, include_leave: bool, change: &dyn Fn(&mut SyncRequest)| {
        let filter = filtered(include_leave).unwrap();
        let mut request = SyncRequest { since: Some(since.next()), filter, ..SyncRequest::default() };
        change(&mut request);
        server.ask(&bert, request).await.unwrap()
    };
    let told = |answer: &Answer| answer.0["rooms"]["leave"][room.as_str()].clone();
    let at = server.sync(&bert, None).await;
    let tag = async |content: &Value| {
        server.accounts.set_account_data(bert.user, short, "m.tag", &raw(content)).await.unwrap();
    };
    tag(&json!({ "tags": { "u.case": {} } })).await;
    let event = json!({ "type": "m.tag", "content": { "tags": { "u.case": {} } } });
    let alone = json!({ "account_data": { "events": [event] } });
    let answer = ask(&at, true, &|_| {}).await;
    assert_eq!(told(&answer), alone);
    assert_eq!(told(&ask(&at, false, &|_| {}).await), json!(null));
    assert_eq!(told(&ask(&answer, true, &|_| {}).await), json!(null), "once");
    let full = ask(&at, true, &|request| request.full_state = true).await;
    assert_eq!(told(&full), alone);
    let after = ask(&at, true, &|request| request.state = StateName::After).await;
    assert_eq!(told(&after)["state_after"], json!({ "events": [] }));

    // It ends a wait.
    let waiting = ask(&answer, true, &|request| request.timeout_ms = 30_000);
    let removed = server.accounts.remove_account_data(bert.user, short, "m.tag");
    let (waited, removed) = tokio::join!(waiting, removed);
    removed.unwrap();
    assert_eq!(told(&waited)["account_data"]["events"], json!([{ "type": "m.tag", "content": {} }]));

    tag(&json!({ "tags": { "u.other": {} } })).await;
    server.rooms.forget(&bert, &room).await.unwrap();
    assert_eq!(told(&ask(&waited, true, &|_| {}).await), json!(null));
}

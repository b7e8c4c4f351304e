//! Paging through history, and who sees what of it.

use ruma::RoomId;
use serde_json::json;
use wardstead_accounts::Session;
use wardstead_engine::{Batch, Position};
use wardstead_rooms::{EventFilter, Membership, Messages, NewRoom, Preset};
use wardstead_store::{SyncToken, Token};

use crate::support::{Server, body, content, kind, server};

fn back(limit: usize) -> Messages {
    Messages { backwards: true, limit: Some(limit), ..Messages::default() }
}

async fn pages_back(server: &Server, by: &Session, room: &RoomId, limit: usize) -> Vec<Vec<Option<String>>> {
    let (mut pages, mut request) = (Vec::new(), back(limit));
    loop {
        let page = server.messages(by, room, &request).await.unwrap();
        pages.push(page.events.iter().map(|(event, _)| body(event)).collect());
        let Some(end) = page.end else { return pages };
        request.from = Some(end);
    }
}

/// Both ways give the same events, on pages of any size. Only an empty page back has no `end`: clients drop others without.
#[tokio::test]
async fn both_ways() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    for number in 0..20 {
        server.say(&ada, &room, &number.to_string()).await.unwrap();
    }
    let forward: Vec<_> = server.timeline(&ada, &room).await.iter().map(|event| body(event)).collect();
    assert_eq!(forward.len(), 26);
    for limit in [1, 2, 3, 13, 25, 26, 27, 1_000] {
        let mut all: Vec<_> = pages_back(&server, &ada, &room, limit).await.concat();
        all.reverse();
        assert_eq!(all, forward, "pages of {limit}");
        let pages = pages_back(&server, &ada, &room, limit).await;
        assert_eq!(pages.len(), 26_usize.div_ceil(limit) + 1, "pages of {limit}");
        assert!(pages.last().is_some_and(Vec::is_empty), "pages of {limit}");
    }
    assert_eq!(
        server.messages(&ada, &room, &Messages { backwards: true, ..Messages::default() }).await.unwrap().events.len(),
        10
    );
}

/// The end of a page back, taken forward, gives the page again; new events do not move pages.
#[tokio::test]
async fn tokens_are_places() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    for number in 0..6 {
        server.say(&ada, &room, &number.to_string()).await.unwrap();
    }
    let page = server.messages(&ada, &room, &back(3)).await.unwrap();
    let mut ids: Vec<_> = page.events.iter().map(|(event, _)| event.event_id.clone()).collect();
    server.say(&ada, &room, "new").await.unwrap();
    let forward =
        Messages { from: page.end.clone(), to: Some(page.start.clone()), limit: Some(50), ..Messages::default() };
    let again = server.messages(&ada, &room, &forward).await.unwrap();
    ids.reverse();
    assert_eq!(again.events.iter().map(|(event, _)| event.event_id.clone()).collect::<Vec<_>>(), ids);
    // From `start` forward there is only what came later.
    let later = Messages { from: Some(page.start), ..Messages::default() };
    let later = server.messages(&ada, &room, &later).await.unwrap();
    assert_eq!(later.events.len(), 1);
    let nothing = Messages { from: later.end, ..Messages::default() };
    let nothing = server.messages(&ada, &room, &nothing).await.unwrap();
    assert!(nothing.events.is_empty() && nothing.end.is_none());
}

#[tokio::test]
async fn tokens_of_syncs_and_of_others() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let (room, other_room) = (server.room(&[&ada, &ben]).await, server.room(&[&ada, &ben]).await);
    server.say(&ada, &room, "before").await.unwrap();
    let position = server.store.caught_up().await.unwrap();
    server.say(&ada, &other_room, "elsewhere").await.unwrap();
    server.say(&ada, &room, "after").await.unwrap();
    let token = |user: u64, position: Position| {
        server.store.tokens().write(&Token::Sync(SyncToken { user, position, ..SyncToken::default() }))
    };
    let bodies = async |from: String, backwards: bool| {
        let request = Messages { from: Some(from), backwards, limit: Some(1), ..Messages::default() };
        let page = server.messages(&ada, &room, &request).await.unwrap();
        page.events.iter().map(|(event, _)| body(event).unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(bodies(token(ada.user, position), true).await, ["before"]);
    assert_eq!(bodies(token(ada.user, position), false).await, ["after"]);
    let page = server.messages(&ada, &other_room, &back(1)).await.unwrap();
    for bad in [token(ben.user, position), page.start, "t".to_owned(), "rubbish".to_owned(), String::new()] {
        let request = Messages { from: Some(bad.clone()), ..back(1) };
        assert_eq!(kind(server.messages(&ada, &room, &request).await), "invalid param", "{bad}");
        let request = Messages { to: Some(bad.clone()), ..back(1) };
        assert_eq!(kind(server.messages(&ada, &room, &request).await), "invalid param", "{bad}");
    }
}

#[tokio::test]
async fn filters() {
    let server = server().await;
    let (ada, ben) = (server.user("ada").await, server.user("ben").await);
    let room = server.room(&[&ada, &ben]).await;
    for _ in 0..40 {
        server.say(&ada, &room, "of ada").await.unwrap();
    }
    server.say(&ben, &room, "of ben").await.unwrap();
    for _ in 0..40 {
        server.say(&ada, &room, "of ada").await.unwrap();
    }
    let page = async |filter: serde_json::Value, limit: usize| {
        let filter = EventFilter::parse(&filter.to_string()).unwrap();
        let request = Messages { filter, ..back(limit) };
        server.messages(&ada, &room, &request).await.unwrap()
    };
    let of_ben = page(json!({ "senders": [ben.user_id], "types": ["m.room.*"] }), 5).await;
    let found: Vec<_> = of_ben.events.iter().map(|(event, _)| event.event_type.to_string()).collect();
    assert_eq!(found, ["m.room.message", "m.room.member"]);
    let rest = Messages { from: of_ben.end, ..back(5) };
    let rest = server.messages(&ada, &room, &rest).await.unwrap();
    assert!(rest.events.is_empty() && rest.end.is_none(), "all was looked at");
    assert_eq!(page(json!({ "not_types": ["m.room.message"] }), 50).await.events.len(), 8);
    assert_eq!(page(json!({ "not_senders": [ada.user_id] }), 50).await.events.len(), 2);
    assert_eq!(page(json!({ "types": [] }), 50).await.events.len(), 0);
    assert_eq!(page(json!({ "contains_url": true }), 50).await.events.len(), 0);
}

/// Who left sees the room as it was then: messages, state, members, single events.
#[tokio::test]
async fn who_left_sees_up_to_then() {
    let server = server().await;
    let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
    let room = server.room(&[&ada, &ben]).await;
    server.set(&ada, &room, "m.room.name", json!({ "name": "old" })).await.unwrap();
    let seen = server.say(&ada, &room, "seen").await.unwrap();
    server.become_(&ben, &room, &ben, Membership::Leave).await.unwrap();
    let unseen = server.say(&ada, &room, "unseen").await.unwrap();
    server.set(&ada, &room, "m.room.name", json!({ "name": "new" })).await.unwrap();
    server.become_(&ada, &room, &cy, Membership::Invite).await.unwrap();

    for _ in 0..2 {
        assert_eq!(server.bodies(&ben, &room).await, ["seen"]);
        let last = server.messages(&ben, &room, &back(1)).await.unwrap();
        assert_eq!(content(&last.events[0].0), json!({ "membership": "leave" }));
        assert_eq!(last.events[0].1, Membership::Leave);
        assert_eq!(content(&server.state_event(&ben, &room, "m.room.name", "").await.unwrap())["name"], "old");
        assert_eq!(server.members(&ben, &room).await.unwrap().len(), 2);
        assert_eq!(server.event(&ben, &room, &seen).await.unwrap().1, Membership::Join);
        assert_eq!(kind(server.event(&ben, &room, &unseen).await), "not found");
        assert_eq!(server.members(&ada, &room).await.unwrap().len(), 3);
        // An invitation that is refused shows nothing more.
        server.become_(&ada, &room, &ben, Membership::Invite).await.unwrap();
        server.become_(&ben, &room, &ben, Membership::Leave).await.unwrap();
    }
    // Who comes back sees what happened meanwhile: history is shared.
    server.become_(&ada, &room, &ben, Membership::Invite).await.unwrap();
    server.become_(&ben, &room, &ben, Membership::Join).await.unwrap();
    assert_eq!(server.bodies(&ben, &room).await, ["seen", "unseen"]);
    assert_eq!(server.event(&ben, &room, &unseen).await.unwrap().1, Membership::Leave);
}

/// Messages said before an invitation, between invitation and join, and after, for each visibility.
#[tokio::test]
async fn visibility_is_that_of_the_moment() {
    let server = server().await;
    let (ada, ben, cy) = (server.user("ada").await, server.user("ben").await, server.user("cy").await);
    for (visibility, seen) in [
        ("shared", &["before", "invited", "joined"][..]),
        ("world_readable", &["before", "invited", "joined"][..]),
        ("invited", &["invited", "joined"][..]),
        ("joined", &["joined"][..]),
    ] {
        let room = server.room(&[&ada]).await;
        let content = json!({ "history_visibility": visibility });
        server.set(&ada, &room, "m.room.history_visibility", content).await.unwrap();
        server.say(&ada, &room, "before").await.unwrap();
        server.become_(&ada, &room, &ben, Membership::Invite).await.unwrap();
        server.say(&ada, &room, "invited").await.unwrap();
        server.become_(&ben, &room, &ben, Membership::Join).await.unwrap();
        server.say(&ada, &room, "joined").await.unwrap();
        assert_eq!(server.bodies(&ben, &room).await, seen, "{visibility}");
        assert_eq!(server.bodies(&ada, &room).await.len(), 3, "{visibility}");
        let stranger = server.messages(&cy, &room, &Messages::default()).await;
        assert_eq!(kind(stranger), if visibility == "world_readable" { "ok" } else { "forbidden" });
        // Later visibility does not open the past.
        server.set(&ada, &room, "m.room.history_visibility", json!({ "history_visibility": "shared" })).await.unwrap();
        assert_eq!(server.bodies(&ben, &room).await, seen, "{visibility}, then shared");
    }
}

/// A room that everybody may read, from when on it is so.
#[tokio::test]
async fn strangers_in_a_world_readable_room() {
    let server = server().await;
    let (ada, cy) = (server.user("ada").await, server.user("cy").await);
    let new = NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::default() };
    let room = server.room_of(&[&ada], new).await;
    server.say(&ada, &room, "private").await.unwrap();
    let content = json!({ "history_visibility": "world_readable" });
    server.set(&ada, &room, "m.room.history_visibility", content).await.unwrap();
    server.say(&ada, &room, "public").await.unwrap();
    assert_eq!(server.bodies(&cy, &room).await, ["public"]);
    assert_eq!(kind(server.state(&cy, &room).await), "ok");
    server.set(&ada, &room, "m.room.history_visibility", json!({ "history_visibility": "joined" })).await.unwrap();
    assert_eq!(kind(server.messages(&cy, &room, &Messages::default()).await), "forbidden");
}

#[tokio::test]
async fn state_that_is_not_there() {
    let server = server().await;
    let ada = server.user("ada").await;
    let room = server.room(&[&ada]).await;
    for (event_type, key) in [
        ("m.room.name", ""),
        ("m.room.create", "x"),
        ("org.example", ""),
        ("m.room.member", "@nobody:example.org"),
        ("m.room.member", "rubbish"),
        ("m.room.member", ""),
    ] {
        assert_eq!(kind(server.state_event(&ada, &room, event_type, key).await), "not found", "{event_type} {key}");
    }
    let long = "x".repeat(2_000);
    assert_eq!(kind(server.state_event(&ada, &room, &long, &long).await), "not found");
    assert_eq!(kind(server.event(&ada, &room, ruma::event_id!("$nothing")).await), "not found");
}

/// Of somebody who was erased those see what they wrote who were there, also when they come back; who came later sees that there was
/// something.
#[tokio::test]
async fn what_the_erased_wrote_is_for_those_who_were_there() {
    let server = server().await;
    let [ada, ben, cora, dan] =
        [server.user("ada").await, server.user("ben").await, server.user("cora").await, server.user("dan").await];
    let open = NewRoom { preset: Some(Preset::PublicChat), ..NewRoom::default() };
    let room = server.room_of(&[&ada, &ben, &cora], open).await;
    server.say(&ben, &room, "bed 4").await.unwrap();
    server.say(&ada, &room, "thanks").await.unwrap();
    server.accounts.deactivate(&ben.user_id, true, &Batch::new()).await.unwrap();
    server.become_(&cora, &room, &cora, Membership::Leave).await.unwrap();
    server.become_(&cora, &room, &cora, Membership::Join).await.unwrap();
    server.become_(&dan, &room, &dan, Membership::Join).await.unwrap();
    for by in [&ada, &cora] {
        assert_eq!(server.bodies(by, &room).await, ["bed 4", "thanks"], "{}", by.user_id);
    }
    assert_eq!(server.bodies(&dan, &room).await, ["thanks"]);
    let messages = server.timeline(&dan, &room).await;
    let messages = messages.iter().filter(|event| event.event_type.to_string() == "m.room.message");
    assert_eq!(
        messages.map(|event| event.sender.clone()).collect::<Vec<_>>(),
        [ben.user_id.clone(), ada.user_id.clone()]
    );
}

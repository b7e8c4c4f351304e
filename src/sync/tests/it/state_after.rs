//! The state at the end of the timeline, in the place of that before it (`use_state_after`).

use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_rooms::{Membership, RoomError};
use wardstead_sync::{StateName, SyncFilter, SyncRequest};

use crate::support::{Answer, Server, limit_filter, server, state_of};

async fn after(server: &Server, by: &Session, since: Option<&Answer>, filter: &Value) -> Answer {
    let (since, state) = (since.map(Answer::next), StateName::After);
    let filter = SyncFilter::parse(&filter.to_string()).unwrap();
    server.ask(by, SyncRequest { since, filter, state, ..SyncRequest::default() }).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_changed_and_what_the_timeline_says() {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.room(&[&anna, &ben]).await;
    let first = after(&server, &ben, None, &json!({})).await;
    assert_eq!(first.joined(&room).after(), state_of(&server, &ben, &room).await);
    assert!(first.joined(&room).0.get("state").is_none());

    server.topic(&anna, &room, "old").await;
    let topic = server.topic(&anna, &room, "new").await.to_string();
    server.say_many(&anna, &room, 2).await;
    for (limit, shown) in [(10, 4), (3, 3), (1, 1), (0, 0)] {
        let answer = after(&server, &ben, Some(&first), &limit_filter(limit)).await;
        let joined = answer.joined(&room);
        assert_eq!(joined.after().into_values().collect::<Vec<_>>(), *std::slice::from_ref(&topic), "limit {limit}");
        assert_eq!((joined.events().len(), joined.limited()), (shown, shown < 4), "limit {limit}");
    }
    let hidden = json!({ "room": { "timeline": { "types": ["m.room.message"] }, "state": { "types": [] } } });
    let answer = after(&server, &ben, Some(&first), &hidden).await;
    assert!(answer.joined(&room).after().is_empty(), "its filter is that of state");

    // Nothing has changed: the section is there, and empty.
    let second = after(&server, &ben, Some(&first), &json!({})).await;
    let said = server.say(&anna, &room, "hello").await;
    let third = after(&server, &ben, Some(&second), &json!({})).await;
    assert_eq!(third.joined(&room).0["state_after"], json!({ "events": [] }));
    server.read(&anna, &room, &said).await;
    let receipts = after(&server, &ben, Some(&third), &json!({})).await;
    assert_eq!(receipts.joined(&room).0["state_after"], json!({ "events": [] }));
    assert!(receipts.joined(&room).0.get("timeline").is_none());
}

#[tokio::test(start_paused = true)]
async fn under_its_old_name() {
    let server = server().await;
    let anna = server.user("anna").await;
    let room = server.room(&[&anna]).await;
    let request = SyncRequest { state: StateName::AfterUnstable, ..SyncRequest::default() };
    let answer = server.ask(&anna, request).await.unwrap();
    let joined = answer.joined(&room).0;
    assert!(joined.get("state").is_none() && joined.get("state_after").is_none());
    assert_eq!(joined["org.matrix.msc4222.state_after"]["events"].as_array().unwrap().len(), 6);
}

/// The state is that of the leaving; what was done to oneself later is told.
#[tokio::test(start_paused = true)]
async fn of_left_rooms() -> Result<(), RoomError> {
    let server = server().await;
    let [anna, ben] = server.users(["anna", "ben"]).await;
    let room = server.open_room(&anna, "shared").await;
    server.join(&ben, &room).await;
    let first = after(&server, &ben, None, &json!({})).await;
    let topic = server.topic(&anna, &room, "seen").await;
    let left = server.leave(&ben, &room).await;
    server.topic(&anna, &room, "unseen").await;
    let own = ("m.room.member".to_owned(), ben.user_id.to_string());
    let about = ("m.room.topic".to_owned(), String::new());
    let answer = after(&server, &ben, Some(&first), &json!({})).await;
    let told = answer.left(&room).after();
    assert_eq!((&told[&own], &told[&about], told.len()), (&left.to_string(), &topic.to_string(), 2));
    assert!(answer.left(&room).0.get("state").is_none());

    let ban = server.member(&anna, &room, &ben, Membership::Ban).await;
    for (since, others) in [(&first, 1), (&answer, 0)] {
        let told = after(&server, &ben, Some(since), &json!({})).await.left(&room).after();
        assert_eq!((&told[&own], told.len()), (&ban.to_string(), 1 + others));
    }
    // An invitation that was never answered, and is taken back.
    let other = server.room(&[&anna]).await;
    let since = after(&server, &ben, None, &json!({})).await;
    server.member(&anna, &other, &ben, Membership::Invite).await;
    let back = server.member(&anna, &other, &ben, Membership::Leave).await;
    let told = after(&server, &ben, Some(&since), &json!({})).await.left(&other).after();
    assert_eq!(told.into_values().collect::<Vec<_>>(), [back.to_string()]);
    Ok(())
}

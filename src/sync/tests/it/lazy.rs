//! Members that are loaded lazily: those whose events are shown, and each change.

use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_rooms::Membership;
use wardstead_sync::{StateName, SyncFilter, SyncRequest};

use crate::support::{Answer, Server, raw, server, state};

fn lazy(limit: usize) -> Value {
    json!({ "room": { "timeline": { "limit": limit }, "state": { "lazy_load_members": true } } })
}

/// A room of four, in which the member events are the oldest.
struct Ward {
    server: Server,
    users: [Session; 4],
    room: ruma::OwnedRoomId,
}

async fn ward() -> Ward {
    let server = server().await;
    let users = server.users(["anna", "ben", "cora", "dan"]).await;
    let room = server.open_room(&users[0], "shared").await;
    for user in &users[1..] {
        server.join(user, &room).await;
    }
    let named = state("m.room.name", "", &json!({ "name": "Ward 3" }));
    server.try_send(&users[0], &room, named).await.unwrap();
    server.say_many(&users[0], &room, 5).await;
    Ward { server, users, room }
}

impl Ward {
    /// Syncs as Dan.
    async fn dan(&self, since: Option<&Answer>, limit: usize) -> Answer {
        self.server.filtered(&self.users[3], since, &lazy(limit)).await
    }

    fn members(&self, answer: &Answer) -> Vec<String> {
        answer.joined(&self.room).members()
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_speak_and_oneself() {
    let ward = ward().await;
    ward.server.say(&ward.users[1], &ward.room, "hello").await;
    let first = ward.dan(None, 2).await;
    assert_eq!(ward.members(&first), ["@anna", "@ben", "@dan"], "who speaks in the timeline, and who asks");
    let everybody = ward.server.limited(&ward.users[3], None, 2).await;
    assert_eq!(ward.members(&everybody), ["@anna", "@ben", "@cora", "@dan"]);
    let rest = |answer: &Answer| {
        let mut state = answer.joined(&ward.room).state();
        state.retain(|(kind, _), _| kind != "m.room.member");
        state
    };
    assert_eq!(rest(&first), rest(&everybody));
    let redundant = ward.server.sync(&ward.users[3], Some(&first)).await;
    assert!(redundant.is_empty());

    // Where all state is asked for again, oneself is told again.
    let filter = SyncFilter::parse(&lazy(2).to_string()).unwrap();
    let request = SyncRequest { since: Some(first.next()), full_state: true, filter, ..SyncRequest::default() };
    assert_eq!(ward.members(&ward.server.ask(&ward.users[3], request).await.unwrap()), ["@dan"]);
}

/// What a client was sent and has received is not sent again, unless it asks for that; after a restart it is.
#[tokio::test(start_paused = true)]
async fn not_again() {
    let ward = ward().await;
    let Ward { server, users: [anna, ben, cora, dan], room } = &ward;
    let first = ward.dan(None, 1).await;
    assert_eq!(ward.members(&first), ["@anna", "@dan"]);
    server.say(ben, room, "one").await;
    server.say(anna, room, "two").await;
    let second = ward.dan(Some(&first), 10).await;
    assert_eq!(ward.members(&second), ["@ben"], "Anna is known");
    let repeated = ward.dan(Some(&first), 10).await;
    assert_eq!(ward.members(&repeated), ["@ben"], "the answer may have been lost");
    server.say(ben, room, "three").await;
    let third = ward.dan(Some(&repeated), 10).await;
    assert_eq!(ward.members(&third), [""; 0]);

    let mut filter = lazy(10);
    filter["room"]["state"]["include_redundant_members"] = true.into();
    let redundant = server.filtered(dan, Some(&repeated), &filter).await;
    assert_eq!(ward.members(&redundant), ["@ben"]);
    let node = server.node(2).await;
    assert_eq!(node.filtered(dan, Some(&repeated), &lazy(10)).await.joined(room).members(), ["@ben"]);
    // A client that starts anew has forgotten everybody.
    server.say(cora, room, "four").await;
    let anew = ward.dan(None, 1).await;
    assert_eq!(ward.members(&anew), ["@cora", "@dan"]);
    server.say(ben, room, "five").await;
    assert_eq!(ward.members(&ward.dan(Some(&anew), 1).await), ["@ben"]);
}

/// Who changed is told, whoever speaks: in a gap, and where the timeline's filter hides it.
#[tokio::test(start_paused = true)]
async fn each_change_is_told() {
    let ward = ward().await;
    let Ward { server, users: [anna, ben, cora, dan], room } = &ward;
    let first = ward.dan(None, 1).await;
    let renamed = raw(&json!({ "membership": "join", "displayname": "Benjamin" }));
    let renamed = wardstead_rooms::Draft {
        event_type: "m.room.member".into(),
        state_key: Some(ben.user_id.to_string()),
        content: renamed,
        txn_id: None,
    };
    server.try_send(ben, room, renamed).await.unwrap();
    server.leave(cora, room).await;
    server.say_many(anna, room, 3).await;
    let gap = ward.dan(Some(&first), 2).await;
    assert!(gap.joined(room).limited());
    assert_eq!(ward.members(&gap), ["@ben", "@cora"]);
    let mut messages = lazy(10);
    messages["room"]["timeline"]["types"] = json!(["m.room.message"]);
    let hidden = server.filtered(dan, Some(&first), &messages).await;
    assert_eq!(ward.members(&hidden), ["@ben", "@cora"]);
    let whole = ward.dan(Some(&first), 10).await;
    assert_eq!(ward.members(&whole), ["@ben", "@cora"], "as they were before the timeline, which changes them");
    // The target of an act is told with it.
    server.member(anna, room, ben, Membership::Leave).await;
    let kicked = ward.dan(Some(&whole), 10).await;
    assert_eq!(kicked.joined(room).events()[0]["state_key"], json!(ben.user_id));
}

/// A room without a name is called by members: they come with the summary.
#[tokio::test(start_paused = true)]
async fn heroes_are_told() {
    let server = server().await;
    let users = server.users(["anna", "ben", "cora", "dan"]).await;
    let [anna, ben, cora, dan] = &users;
    let room = server.room(&[anna, ben, cora, dan]).await;
    server.say_many(anna, &room, 3).await;
    let first = server.filtered(dan, None, &lazy(2)).await;
    let joined = first.joined(&room);
    assert_eq!(joined.0["summary"]["m.heroes"], json!([anna.user_id, ben.user_id, cora.user_id]));
    assert_eq!(joined.members(), ["@anna", "@ben", "@cora", "@dan"]);
    server.leave(ben, &room).await;
    let second = server.filtered(dan, Some(&first), &lazy(2)).await;
    assert_eq!(second.joined(&room).0["summary"]["m.heroes"], json!([anna.user_id, cora.user_id]));
    assert_eq!(second.joined(&room).members(), [""; 0], "all are known, and the leaving stands in the timeline");
}

/// Who comes back may show members that have left meanwhile.
#[tokio::test(start_paused = true)]
async fn who_comes_back_is_told_who_left() {
    let ward = ward().await;
    let Ward { server, users: [anna, ben, cora, dan], room } = &ward;
    let first = ward.dan(None, 1).await;
    for told_of_leaving in [true, false] {
        server.join(ben, room).await;
        server.join(cora, room).await;
        server.join(dan, room).await;
        let mut since = ward.dan(Some(&first), 50).await;
        server.leave(dan, room).await;
        if told_of_leaving {
            since = ward.dan(Some(&since), 1).await;
        }
        server.leave(cora, room).await;
        server.say(anna, room, "she left").await;
        server.join(dan, room).await;
        let back = ward.dan(Some(&since), 1).await;
        let members = ward.members(&back);
        assert!(members.contains(&"@cora".to_owned()), "told of leaving: {told_of_leaving}: {members:?}");
        let gone = back.joined(room).state_events().iter().find(|event| event["state_key"] == json!(cora.user_id));
        assert_eq!(gone.unwrap()["content"]["membership"], "leave");
    }
}

/// With the state at the end: members as they are there.
#[tokio::test(start_paused = true)]
async fn at_the_end_of_the_timeline() {
    let ward = ward().await;
    let Ward { server, users: [anna, ben, cora, dan], room } = &ward;
    let ask = async |since: Option<&Answer>| {
        let filter = SyncFilter::parse(&lazy(20).to_string()).unwrap();
        let (since, state) = (since.map(Answer::next), StateName::After);
        server.ask(dan, SyncRequest { since, filter, state, ..SyncRequest::default() }).await.unwrap()
    };
    let first = ask(None).await;
    assert_eq!(ward.members(&first), ["@anna", "@ben", "@cora", "@dan"], "their joins stand in the timeline");
    server.say(ben, room, "goodbye").await;
    let left = server.leave(ben, room).await;
    server.say(cora, room, "goodbye").await;
    let second = ask(Some(&first)).await;
    assert_eq!(ward.members(&second), ["@ben"]);
    let key = ("m.room.member".to_owned(), ben.user_id.to_string());
    assert_eq!(second.joined(room).after()[&key], left.to_string());
    server.say(anna, room, "so few").await;
    assert_eq!(ward.members(&ask(Some(&second)).await), [""; 0]);
}

/// Where the timeline is no part of the state, whoever it moves stands in the state at its end, though they said nothing.
#[tokio::test(start_paused = true)]
async fn who_is_invited_in_the_timeline() {
    let ward = ward().await;
    let Ward { server, users: [anna, .., dan], room } = &ward;
    let eve = server.user("eve").await;
    server.member(anna, room, &eve, Membership::Invite).await;
    let ask = async |state: StateName| {
        let filter = SyncFilter::parse(&lazy(2).to_string()).unwrap();
        server.ask(dan, SyncRequest { filter, state, ..SyncRequest::default() }).await.unwrap()
    };
    assert_eq!(ward.members(&ask(StateName::After).await), ["@anna", "@dan", "@eve"]);
    assert_eq!(ward.members(&ask(StateName::Before).await), ["@anna", "@dan"], "the timeline says it");
}

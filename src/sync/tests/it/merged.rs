//! Forks that are merged: state that no event of the timeline says, gaps, and what is told of them.

use std::{sync::Arc, time::Duration};

use ruma::{
    CanonicalJsonObject, EventId, OwnedEventId, RoomVersionId, UserId,
    signatures::{hash_and_sign_event, reference_hash},
};
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_rooms::{Incoming, Membership, NewRoom, Preset, StatedState, Status, StoredEvent, rules};
use wardstead_sync::SyncRequest;

use crate::support::{Server, raw, server, state_of};

type State = std::collections::BTreeMap<(String, String), String>;

/// Three people in a room of version 11: anna made it, ben moderates.
struct Ward {
    server: Server,
    anna: Session,
    ben: Session,
    cy: Session,
    room: ruma::OwnedRoomId,
}

async fn ward() -> Ward {
    let server = server().await;
    let [anna, ben, cy] = server.users(["anna", "ben", "cy"]).await;
    let levels = json!({ "users": { "@anna:example.org": 100, "@ben:example.org": 50 } });
    let new = NewRoom {
        version: Some(RoomVersionId::V11),
        preset: Some(Preset::PublicChat),
        power_level_content_override: Some(raw(&levels)),
        ..NewRoom::default()
    };
    let room = server.room_of(&[&anna, &ben, &cy], new).await;
    Ward { server, anna, ben, cy, room }
}

impl Ward {
    async fn stored(&self, id: &EventId) -> Arc<StoredEvent> {
        self.server.rooms.stored_event(&self.room, id).await.unwrap().unwrap()
    }

    async fn state(&self) -> State {
        state_of(&self.server, &self.anna, &self.room).await
    }

    /// An event that was not made here, in `state`.
    fn forge(
        &self,
        sender: &UserId,
        (event_type, state_key, content): (&str, Option<&str>, Value),
        prev: &[(OwnedEventId, u64)],
        state: &State,
    ) -> (OwnedEventId, Value) {
        let mut auth = vec![("m.room.create", ""), ("m.room.power_levels", ""), ("m.room.member", sender.as_str())];
        if event_type == "m.room.member" {
            auth.extend(state_key.filter(|key| *key != sender).map(|key| ("m.room.member", key)));
        }
        let auth: Vec<_> =
            auth.iter().filter_map(|(name, key)| state.get(&((*name).to_owned(), (*key).to_owned()))).collect();
        let (ids, depth): (Vec<_>, Vec<_>) = prev.iter().cloned().unzip();
        let mut event = json!({
            "room_id": self.room, "sender": sender, "type": event_type, "content": content, "prev_events": ids,
            "auth_events": auth, "depth": depth.into_iter().max().unwrap() + 1, "origin_server_ts": 1_000,
        });
        if let Some(state_key) = state_key {
            event["state_key"] = json!(state_key);
        }
        let rules = rules(&RoomVersionId::V11).unwrap();
        let mut object: CanonicalJsonObject = serde_json::from_value(event).unwrap();
        hash_and_sign_event("example.org", &*self.server.rooms.signing_key(), &mut object, &rules.redaction).unwrap();
        let id = EventId::parse(format!("${}", reference_hash(&object, &rules).unwrap())).unwrap();
        (id, serde_json::to_value(object).unwrap())
    }

    async fn receive(&self, pdu: &Value, stated: Vec<StatedState>) -> Status {
        let incoming = Incoming { pdu: raw(pdu), signed: true, stated };
        self.server.rooms.receive(&self.room, &incoming).await.unwrap().status().unwrap()
    }

    async fn place(&self, id: &EventId) -> (OwnedEventId, u64) {
        (id.to_owned(), self.stored(id).await.depth)
    }

    async fn sync(&self, by: &Session) -> crate::support::Answer {
        self.server.sync(by, None).await
    }
}

fn said(body: &str) -> (&'static str, Option<&'static str>, Value) {
    ("m.room.message", None, json!({ "msgtype": "m.text", "body": body }))
}

/// Ben bans cy, and elsewhere leaves; the leaving came first, so that the ban counts only when a message merges both.
async fn ban_and_leave(ward: &Ward) -> (OwnedEventId, OwnedEventId, Value) {
    let root = ward.server.say(&ward.anna, &ward.room, "root").await;
    let root = ward.place(&root).await;
    let state = ward.state().await;
    let left = ward.server.leave(&ward.ben, &ward.room).await;
    let ban = ("m.room.member", Some(ward.cy.user_id.as_str()), json!({ "membership": "ban" }));
    let (ban, pdu) = ward.forge(&ward.ben.user_id, ban, &[root], &state);
    assert_eq!(ward.receive(&pdu, vec![]).await, Status::SoftFailed);
    let prev = [ward.place(&ban).await, ward.place(&left).await];
    let (merge, pdu) = ward.forge(&ward.anna.user_id, said("merge"), &prev, &state);
    (ban, merge, pdu)
}

/// A merge flips a ban without a state event at its position: the banned user's long poll ends and tells it, and the others
/// are told the state.
#[tokio::test(start_paused = true)]
async fn a_merge_that_flips_a_ban_ends_the_long_poll() {
    let ward = ward().await;
    let (ban, merge, pdu) = ban_and_leave(&ward).await;
    let (anna_has, cy_has) = (ward.sync(&ward.anna).await, ward.sync(&ward.cy).await);
    let request = SyncRequest { since: Some(cy_has.next()), timeout_ms: 30_000, ..SyncRequest::default() };
    let (server, cy) = (ward.server.clone(), ward.cy.clone());
    let poll = tokio::spawn(async move { server.ask(&cy, request).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(!poll.is_finished());
    assert_eq!(ward.receive(&pdu, vec![]).await, Status::Timeline);
    // The wake-up does it, not the end of the wait.
    let told = tokio::time::timeout(Duration::from_secs(1), poll).await.unwrap().unwrap();

    assert_eq!((told.rooms("join").len(), told.rooms("leave").len()), (0, 1));
    let left = told.left(&ward.room);
    assert_eq!(left.state_ids(), [ban.to_string()]);
    assert_eq!(left.state_events()[0]["content"]["membership"], "ban");
    assert!(left.timeline().is_empty(), "the merge is none of theirs");
    assert!(ward.server.sync(&ward.cy, Some(&told)).await.is_empty());
    ward.server.say(&ward.anna, &ward.room, "not for cy").await;
    assert!(ward.server.sync(&ward.cy, Some(&told)).await.is_empty());

    for server in [&ward.server, &ward.server.node(2).await] {
        let answer = server.sync(&ward.anna, Some(&anna_has)).await;
        let joined = answer.joined(&ward.room);
        assert_eq!(joined.timeline()[0], merge.to_string());
        assert!(!joined.limited());
        assert_eq!(joined.state_ids(), [ban.to_string()], "the state delta");
        assert_eq!(joined.0["summary"]["m.joined_member_count"], 1);
    }
    // Who comes anew is told the room as it is.
    let all = ward.sync(&ward.anna).await;
    let mut state = all.joined(&ward.room).state();
    for event in all.joined(&ward.room).events() {
        if event["state_key"].is_string() {
            state.insert(crate::support::key(event), crate::support::id(event));
        }
    }
    assert_eq!(state, ward.state().await);
}

/// Messages before and after the merge, in one answer: the ban is told although it lies between them.
#[tokio::test(start_paused = true)]
async fn a_flip_in_the_middle_of_a_timeline_is_told() {
    let ward = ward().await;
    let (ban, ..) = ban_and_leave(&ward).await;
    let (anna_has, cy_has) = (ward.sync(&ward.anna).await, ward.sync(&ward.cy).await);
    let before = ward.server.say(&ward.anna, &ward.room, "before").await;
    let prev = [ward.place(&ban).await, ward.place(&before).await];
    let (merge, pdu) = ward.forge(&ward.anna.user_id, said("merge"), &prev, &ward.state().await);
    ward.receive(&pdu, vec![]).await;
    let after = ward.server.say(&ward.anna, &ward.room, "after").await;
    let answer = ward.server.sync(&ward.anna, Some(&anna_has)).await;
    let joined = answer.joined(&ward.room);
    assert_eq!(joined.timeline(), [before.to_string(), merge.to_string(), after.to_string()]);
    assert_eq!(joined.state_ids(), [ban.to_string()]);
    let told = ward.server.sync(&ward.cy, Some(&cy_has)).await;
    assert_eq!(told.left(&ward.room).state_ids(), [ban.to_string()]);
    assert_eq!(told.left(&ward.room).timeline(), [before.to_string()], "said while cy was in the room");
}

/// An invitation that a merge turns into a ban is told too.
#[tokio::test(start_paused = true)]
async fn a_flip_of_somebody_who_never_was_in_the_room() {
    let ward = ward().await;
    let dee = ward.server.user("dee").await;
    ward.server.member(&ward.anna, &ward.room, &dee, Membership::Invite).await;
    let root = ward.server.say(&ward.anna, &ward.room, "root").await;
    let root = ward.place(&root).await;
    let state = ward.state().await;
    let left = ward.server.leave(&ward.ben, &ward.room).await;
    let invited = ward.sync(&dee).await;
    assert_eq!(invited.rooms("invite").len(), 1);
    let ban = ("m.room.member", Some(dee.user_id.as_str()), json!({ "membership": "ban" }));
    let (ban, pdu) = ward.forge(&ward.ben.user_id, ban, &[root], &state);
    assert_eq!(ward.receive(&pdu, vec![]).await, Status::SoftFailed);
    let prev = [ward.place(&ban).await, ward.place(&left).await];
    let (_, pdu) = ward.forge(&ward.anna.user_id, said("merge"), &prev, &state);
    assert_eq!(ward.receive(&pdu, vec![]).await, Status::Timeline);
    let told = ward.server.sync(&dee, Some(&invited)).await;
    assert_eq!((told.rooms("invite").len(), told.rooms("leave").len()), (0, 1));
    assert_eq!(told.left(&ward.room).state_ids(), [ban.to_string()]);
}

/// A topic of a fork that loses: the timeline that a client is given never ends in a state that is not so.
#[tokio::test(start_paused = true)]
async fn an_event_that_lost_is_not_the_clients_state() {
    let ward = ward().await;
    let first = ward.server.topic(&ward.anna, &ward.room, "first").await;
    let root = ward.place(&first).await;
    let state = ward.state().await;
    ward.server.topic(&ward.anna, &ward.room, "wins, being later").await;
    let has = ward.sync(&ward.ben).await;
    let said_before = ward.server.say(&ward.anna, &ward.room, "before").await;
    let lost = ("m.room.topic", Some(""), json!({ "topic": "loses" }));
    let (lost, pdu) = ward.forge(&ward.ben.user_id, lost, &[root], &state);
    assert_eq!(ward.receive(&pdu, vec![]).await, Status::Timeline);
    let after = ward.server.say(&ward.anna, &ward.room, "after").await;
    let answer = ward.server.sync(&ward.ben, Some(&has)).await;
    let joined = answer.joined(&ward.room);
    assert_eq!(joined.timeline(), [after.to_string()]);
    assert!(joined.limited() && joined.state_ids().is_empty(), "{joined:?}");
    // What was left out can be paged back.
    let back = ward.server.back(&ward.ben, &ward.room, joined.prev_batch(), Some(has.next()), 5).await;
    assert!(back.contains(&lost.to_string()) && back.contains(&said_before.to_string()), "{back:?}");
    assert!(ward.server.sync(&ward.ben, Some(&answer)).await.is_empty());
}

/// A limited timeline of forks: paging back from it gives everything that it left out, however deep that stands.
#[tokio::test(start_paused = true)]
async fn what_a_limited_timeline_of_forks_left_out_can_be_paged_back() {
    let ward = ward().await;
    let root = ward.server.say(&ward.anna, &ward.room, "root").await;
    let root = ward.place(&root).await;
    let state = ward.state().await;
    let has = ward.sync(&ward.cy).await;
    let deep = ward.server.say_many(&ward.anna, &ward.room, 6).await;
    let (late, pdu) = ward.forge(&ward.ben.user_id, said("late, and not deep"), &[root], &state);
    ward.receive(&pdu, vec![]).await;
    let answer = ward.server.limited(&ward.cy, Some(&has), 1).await;
    let joined = answer.joined(&ward.room);
    assert_eq!(joined.timeline(), [late.to_string()]);
    assert!(joined.limited());
    let back = ward.server.back(&ward.cy, &ward.room, joined.prev_batch(), None, 3).await;
    assert!(deep.iter().all(|id| back.contains(&id.to_string())), "{back:?}");
    // The same from the token of a sync.
    let back = ward.server.back(&ward.cy, &ward.room, answer.next(), None, 3).await;
    assert!(deep.iter().all(|id| back.contains(&id.to_string())), "{back:?}");
}

/// After a gap only what follows it is sent, `limited`, with a token at the gap; and so it stays for those who come later,
/// when the gap is closed: what closed it is news by no position.
#[tokio::test(start_paused = true)]
async fn nothing_is_joined_across_a_gap() {
    let ward = ward().await;
    let has = ward.sync(&ward.cy).await;
    let a = ward.server.say(&ward.anna, &ward.room, "a").await;
    let state = ward.state().await;
    let (b, b_pdu) = ward.forge(&ward.anna.user_id, said("b"), &[ward.place(&a).await], &state);
    let depth = ward.stored(&a).await.depth;
    let (c, c_pdu) = ward.forge(&ward.anna.user_id, said("c"), &[(b.clone(), depth + 1)], &state);
    let events = state.values().map(|id| EventId::parse(id.as_str()).unwrap()).collect();
    assert_eq!(ward.receive(&c_pdu, vec![StatedState { after: b.clone(), events }]).await, Status::Timeline);
    let d = ward.server.say(&ward.anna, &ward.room, "d").await;

    let told = [c.to_string(), d.to_string()];
    let answer = ward.server.sync(&ward.cy, Some(&has)).await;
    assert_eq!((answer.joined(&ward.room).timeline(), answer.joined(&ward.room).limited()), (told.to_vec(), true));
    let initial = ward.sync(&ward.cy).await;
    assert_eq!((initial.joined(&ward.room).timeline(), initial.joined(&ward.room).limited()), (told.to_vec(), true));

    let incoming = Incoming { pdu: raw(&b_pdu), signed: true, stated: vec![] };
    ward.server.rooms.backfill(&ward.room, &[incoming]).await.unwrap();
    for server in [&ward.server, &ward.server.node(2).await] {
        let answer = server.sync(&ward.cy, Some(&has)).await;
        let joined = answer.joined(&ward.room);
        assert_eq!((joined.timeline(), joined.limited()), (told.to_vec(), true), "b would never be told");
        let back = server.back(&ward.cy, &ward.room, joined.prev_batch(), None, 2).await;
        assert_eq!(back[..2], [b.to_string(), a.to_string()]);
        let initial = server.sync(&ward.cy, None).await;
        let timeline = initial.joined(&ward.room).timeline();
        assert!(timeline.ends_with(&[a.to_string(), b.to_string(), c.to_string(), d.to_string()]), "{timeline:?}");
    }
}

/// A random room with forks: what a client has after each sync is the room's state.
#[tokio::test(start_paused = true)]
async fn a_client_of_a_forked_room_has_its_state() {
    for seed in 0..12_u64 {
        let ward = ward().await;
        let rng = wardstead_limits::SeededRng::new(seed);
        let next = |below: u64| {
            let mut bytes = [0; 8];
            wardstead_limits::Rng::fill(&rng, &mut bytes);
            u64::from_le_bytes(bytes) % below
        };
        let mut answer = ward.sync(&ward.anna).await;
        let mut has = State::new();
        let mut places: Vec<((OwnedEventId, u64), State)> = Vec::new();
        for step in 0..24 {
            let sender = if next(2) == 0 { &ward.anna } else { &ward.ben };
            let text = format!("{step}");
            let topic = ["m.room.topic", "m.room.name", "org.example"][usize::try_from(next(3)).unwrap()];
            let at = usize::try_from(next(6)).unwrap();
            if at >= places.len() {
                let id = if next(2) == 0 {
                    ward.server.say(sender, &ward.room, &text).await
                } else {
                    let draft = crate::support::state(topic, "", &json!({ "topic": text, "name": text }));
                    ward.server.try_send(sender, &ward.room, draft).await.unwrap()
                };
                places.insert(0, (ward.place(&id).await, ward.state().await));
            } else {
                let (place, state) = places[at].clone();
                let says =
                    if next(3) == 0 { said(&text) } else { (topic, Some(""), json!({ "topic": text, "name": text })) };
                let (id, pdu) = ward.forge(&sender.user_id, says, &[place], &state);
                ward.receive(&pdu, vec![]).await;
                let stored = ward.stored(&id).await;
                let mut state = state;
                if let Some(key) = &stored.state_key {
                    state.insert((stored.event_type.to_string(), key.clone()), id.to_string());
                }
                places.insert(0, ((id, stored.depth), state));
            }
            if next(2) == 0 {
                let limit = usize::try_from(1 + next(5)).unwrap();
                if step > 0 && !has.is_empty() {
                    answer = ward.server.limited(&ward.anna, Some(&answer), limit).await;
                } else {
                    answer = ward.server.limited(&ward.anna, None, limit).await;
                }
                let joined = answer.joined(&ward.room);
                has.extend(joined.state());
                for event in joined.events().iter().filter(|event| event["state_key"].is_string()) {
                    has.insert(crate::support::key(event), crate::support::id(event));
                }
                assert_eq!(has, ward.state().await, "seed {seed}, step {step}: {answer:?}");
            }
        }
    }
}

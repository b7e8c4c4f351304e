//! Random histories: a client whose lists and subscriptions change, which loses answers, asks two nodes and such as have forgotten
//! everything, while things are said and set in its rooms. In the end it looks at all of them, and each is what `/sync` tells a new
//! client of it: no event is missing, no state is another, the counts are the same.

use std::collections::BTreeMap;
use std::time::Duration;

use ruma::OwnedRoomId;
use serde_json::{Value, json};
use wardstead_accounts::Session;
use wardstead_limits::{Rng, SeededRng, store::SOON_MS};
use wardstead_rooms::Membership;
use wardstead_sync::SyncError;

use super::{Slid, request, try_slide};
use crate::support::{Server, id, key, open, seeded};

const CASES: u64 = 30;
const STEPS: usize = 40;

/// What a client has of a room.
#[derive(Clone, Debug, Default)]
struct Room {
    events: Vec<String>,
    state: BTreeMap<(String, String), String>,
    face: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Default)]
struct Client {
    pos: Option<Slid>,
    rooms: BTreeMap<OwnedRoomId, Room>,
}

impl Client {
    /// Takes an answer.
    fn take(&mut self, answer: Slid) {
        for (room, told) in answer.0["rooms"].as_object().unwrap() {
            let room = self.rooms.entry(room.as_str().try_into().unwrap()).or_default();
            if told["initial"] == true {
                *room = Room::default();
            }
            if told["limited"] == true || told["unstable_expanded_timeline"] == true {
                room.events.clear();
            }
            for event in told["timeline"].as_array().into_iter().flatten() {
                assert!(!room.events.contains(&id(event)), "told twice: {event}");
                room.events.push(id(event));
            }
            for event in told["required_state"].as_array().into_iter().flatten() {
                room.state.insert(key(event), id(event));
            }
            for name in ["name", "joined_count", "invited_count", "notification_count", "highlight_count", "is_dm"] {
                if let Some(value) = told.get(name) {
                    room.face.insert(name.to_owned(), value.clone());
                }
            }
        }
        self.pos = Some(answer);
    }
}

struct World {
    nodes: Vec<Server>,
    rng: SeededRng,
    users: [Session; 2],
    rooms: Vec<OwnedRoomId>,
}

impl World {
    fn below(&self, n: usize) -> usize {
        usize::try_from(self.rng.next_u64() % n as u64).unwrap()
    }

    async fn happens(&self) {
        let node = &self.nodes[self.below(self.nodes.len())];
        node.settle().await;
        let room = &self.rooms[self.below(self.rooms.len())];
        let [anna, ben] = &self.users;
        match self.below(10) {
            0 => {
                node.topic(anna, room, &self.rng.next_u64().to_string()).await;
            }
            1 => {
                let name = json!({ "name": self.rng.next_u64().to_string() });
                node.try_send(anna, room, crate::support::state("m.room.name", "", &name)).await.unwrap();
            }
            // A client that is away for a while.
            2 => tokio::time::sleep(Duration::from_millis(2 * SOON_MS)).await,
            3 => {
                // It changes nothing where he is it already.
                let membership = if self.below(2) == 0 { Membership::Join } else { Membership::Leave };
                let changed = node.rooms.set_membership(ben, room, &ben.user_id, membership, None).await;
                drop(changed);
            }
            _ => {
                // Who is not in the room cannot.
                let by = if self.below(2) == 0 { anna } else { ben };
                drop(node.try_send(by, room, crate::support::message("a")).await);
            }
        }
    }

    fn body(&self, all: bool) -> Value {
        // So many that no gap is left which paging back would have to close.
        let (limit, state) = (100, json!([["*", "*"]]));
        let mut body = json!({ "lists": {}, "room_subscriptions": {} });
        let to = if all { 99 } else { self.below(4) };
        if all || self.below(4) > 0 {
            body["lists"]["a"] = json!({ "ranges": [[0, to]], "timeline_limit": limit, "required_state": state });
        }
        if self.below(3) == 0 {
            let room = &self.rooms[self.below(self.rooms.len())];
            body["room_subscriptions"][room.as_str()] = json!({ "timeline_limit": limit, "required_state": state });
        }
        body
    }

    /// One request. Its answer may be lost.
    async fn ask(&self, client: &mut Client, all: bool, nodes: &[Server]) {
        let node = &nodes[self.below(nodes.len())];
        node.settle().await;
        let body = self.body(all);
        match try_slide(node, &self.users[0], request(&body, client.pos.as_ref())).await {
            Ok(answer) if all || self.below(5) > 0 => client.take(answer),
            Ok(_) => {}
            Err(SyncError::UnknownPos) => *client = Client::default(),
            Err(other) => panic!("{other}"),
        }
    }

    /// All that the client has is what a sync tells.
    async fn compare(&self, client: &Client, seed: u64) {
        let node = &self.nodes[0];
        node.settle().await;
        let filter = json!({ "room": { "timeline": { "limit": 100 } } });
        let filter = wardstead_sync::SyncFilter::parse(&filter.to_string()).unwrap();
        let state = wardstead_sync::StateName::After;
        let request = wardstead_sync::SyncRequest { filter, state, ..wardstead_sync::SyncRequest::default() };
        let sync = node.ask(&self.users[0], request).await.unwrap();
        for room in &self.rooms {
            let (own, told) = (&client.rooms[room], sync.joined(room));
            assert_eq!(own.events, told.timeline(), "seed {seed}: {room}");
            assert_eq!(own.state, told.after(), "seed {seed}: {room}");
            let face = |name: &str| own.face.get(name).cloned().unwrap_or_default();
            let told = told.0;
            assert_eq!(face("joined_count"), told["summary"]["m.joined_member_count"], "seed {seed}: {room}");
            for count in ["notification_count", "highlight_count"] {
                assert_eq!(face(count), told["unread_notifications"][count], "seed {seed}: {room}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rooms_are_what_a_sync_tells() {
    let mut unknown = 0;
    for seed in 1..=CASES {
        let first = seeded(seed).await;
        let users = first.users(["anna", "ben"]).await;
        let mut rooms = Vec::new();
        for _ in 0..5 {
            let room = first.room_of(&[&users[0]], open("shared")).await;
            first.join(&users[1], &room).await;
            rooms.push(room);
        }
        let second = first.node(seed + 1_000).await;
        let mut world = World { nodes: vec![first, second], rng: SeededRng::new(seed), users, rooms };
        let mut client = Client::default();
        for step in 0..STEPS {
            for _ in 0..world.below(4) {
                world.happens().await;
            }
            if world.below(12) == 0 {
                // One is replaced by another whose memory is empty.
                let at = world.below(2);
                world.nodes[at] = world.nodes[1 - at].node(seed + 2_000 + step as u64).await;
            }
            let began = client.pos.is_some();
            world.ask(&mut client, false, &world.nodes).await;
            unknown += usize::from(began && client.pos.is_none());
        }
        for _ in 0..3 {
            world.ask(&mut client, true, &world.nodes).await;
        }
        if client.pos.is_some() {
            world.compare(&client, seed).await;
        }
    }
    assert!(unknown < 3, "connections were lost {unknown} times");
}

//! What gateways are told: over the memory engine, at a time that the test moves.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use ruma::OwnedEventId;
use serde_json::{Map, Value, json};
use wardstead_accounts::Session;
use wardstead_engine::{
    Batch, Engine, EngineError,
    faulty::{Crash, FaultyEngine},
};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::{Clock as _, ManualClock, pushers as limits, store::LEASE_TTL_MS};
use wardstead_push::{Gateway, GatewayAnswer, GatewayPolicy, PushError, Pusher, Pushers};
use wardstead_rooms::Membership;
use wardstead_store::{StoreError, testing};

use crate::support::{Server, over};

mod without;

const GATEWAY: &str = "https://push.example.org/_matrix/push/v1/notify";
const OTHER: &str = "https://other.example.org/_matrix/push/v1/notify";
const HOUR_MS: u64 = 60 * 60 * 1_000;
/// Long enough for what is due to be sent.
const SOON_MS: u64 = 1_000;

/// What a gateway does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Does {
    #[default]
    Takes,
    Fails,
    Hangs,
    Rejects,
}

/// Gateways as the Push Gateway API has them. Each request is held against it, and against what must not leave the server.
#[derive(Clone, Default)]
struct Gateways(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    does: Vec<(String, Does)>,
    /// Of each request, the URL and the notification.
    taken: Vec<(String, Value)>,
    tried: usize,
    clock: Option<ManualClock>,
    /// Whether more than ids may be told.
    full: bool,
    tried_at: Vec<u64>,
}

impl Gateways {
    fn does(&self, url: &str, does: Does) {
        let mut state = self.0.lock();
        state.does.retain(|(of, _)| of != url);
        state.does.push((url.to_owned(), does));
    }

    /// What the gateway at `url` took since this was asked last.
    fn taken(&self, url: &str) -> Vec<Value> {
        let mut state = self.0.lock();
        let (taken, rest) = std::mem::take(&mut state.taken).into_iter().partition(|(of, _)| of == url);
        state.taken = rest;
        let taken: Vec<(String, Value)> = taken;
        taken.into_iter().map(|(_, notification)| notification).collect()
    }

    /// Event ids and numbers of what is unread.
    fn told(&self, url: &str) -> Vec<(Option<String>, u64)> {
        let of =
            |told: Value| (told["event_id"].as_str().map(str::to_owned), told["counts"]["unread"].as_u64().unwrap());
        self.taken(url).into_iter().map(of).collect()
    }

    fn tried(&self) -> usize {
        std::mem::take(&mut self.0.lock().tried)
    }
}

#[async_trait]
impl Gateway for Gateways {
    async fn notify(&self, url: &str, body: Bytes) -> GatewayAnswer {
        let body: Value = serde_json::from_slice(&body).unwrap();
        let notification = checked(&body, self.0.lock().full);
        let does = {
            let mut state = self.0.lock();
            state.tried += 1;
            if let Some(clock) = &state.clock {
                let now_ms = clock.now_ms();
                state.tried_at.push(now_ms);
            }
            state.does.iter().find(|(of, _)| of == url).map(|(_, does)| *does).unwrap_or_default()
        };
        match does {
            Does::Takes => {
                self.0.lock().taken.push((url.to_owned(), notification));
                GatewayAnswer::Taken { rejected: Vec::new() }
            }
            Does::Fails => GatewayAnswer::Failed("status 502".to_owned()),
            Does::Hangs => {
                tokio::time::sleep(Duration::from_millis(limits::REQUEST_MS)).await;
                GatewayAnswer::Failed("no answer".to_owned())
            }
            Does::Rejects => {
                let pushkey = notification["devices"][0]["pushkey"].as_str().unwrap().to_owned();
                GatewayAnswer::Taken { rejected: vec!["another".to_owned(), pushkey] }
            }
        }
    }
}

/// The notification, if it is one of the Push Gateway API that tells nothing but ids and numbers.
fn checked(body: &Value, full: bool) -> Value {
    let notification = &body["notification"];
    let fields: Vec<&str> = notification.as_object().unwrap().keys().map(String::as_str).collect();
    let known = ["event_id", "room_id", "prio", "counts", "devices"];
    let encrypted = ["type", "sender", "content"];
    assert!(fields.iter().all(|field| known.contains(field) || full && encrypted.contains(field)), "{fields:?}");
    assert_eq!(notification["event_id"].is_string(), notification["room_id"].is_string());
    assert_eq!(notification["counts"].as_object().unwrap().len(), 1, "no missed_calls");
    let device = &notification["devices"][0];
    assert!(device["app_id"].is_string() && device["pushkey"].is_string() && device["pushkey_ts"].is_u64());
    assert!(device["data"].is_object() && device["data"].get("url").is_none(), "the URL is not the gateway's business");
    notification.clone()
}

fn pusher(pushkey: &str, url: &str) -> Pusher {
    let data = json!({ "org.example.own": 1 });
    Pusher {
        app_id: "org.example.app".to_owned(),
        pushkey: pushkey.to_owned(),
        app_display_name: "Ward".to_owned(),
        device_display_name: "Phone".to_owned(),
        profile_tag: None,
        lang: "en".to_owned(),
        url: url.to_owned(),
        data: data.as_object().cloned().unwrap_or_else(Map::new),
    }
}

/// A ward: a server, its gateways, two people in a room, of whom the second has a pusher.
struct Ward {
    server: Server,
    engine: Arc<dyn Engine>,
    gateways: Gateways,
    anna: Session,
    bert: Session,
    room: ruma::OwnedRoomId,
}

impl std::ops::Deref for Ward {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Ward {
    async fn new() -> Self {
        let (engine, clock): (Arc<MemoryEngine>, _) = testing::engine();
        Self::on(&(engine as _), clock).await
    }

    async fn on(engine: &Arc<dyn Engine>, clock: ManualClock) -> Self {
        Self::with(engine, clock, GatewayPolicy::default()).await
    }

    async fn with(engine: &Arc<dyn Engine>, clock: ManualClock, policy: GatewayPolicy) -> Self {
        let server = over(Arc::clone(engine), clock, 1).await;
        let engine = Arc::clone(engine);
        let gateways = Gateways::default();
        let (anna, bert, carl) = (server.user("anna").await, server.user("bert").await, server.user("carl").await);
        let room = server.room(&[&anna, &bert, &carl]).await;
        server.pushers.set(&bert, &pusher("bert", GATEWAY), false).await.unwrap();
        gateways.0.lock().full = policy.full_content;
        Pushers::new(&server.push, policy).run(&server.rooms, Arc::new(gateways.clone()));
        Self { server, engine, gateways, anna, bert, room }
    }

    async fn pass(&self, ms: u64) {
        pass(&self.server.clock, ms).await;
    }

    async fn say(&self, body: &str) -> String {
        self.server.say(&self.anna, &self.room, body).await.to_string()
    }
}

/// Both clocks go on: the engine's and that of the tasks.
async fn pass(clock: &ManualClock, ms: u64) {
    let step = (ms / 100).clamp(100, 5_000);
    for _ in 0..ms.div_ceil(step) {
        clock.advance_ms(step);
        tokio::time::sleep(Duration::from_millis(step)).await;
    }
}

fn event(id: &str, unread: u64) -> (Option<String>, u64) {
    (Some(id.to_owned()), unread)
}

#[tokio::test(start_paused = true)]
async fn an_event_is_told_with_ids_counts_and_tweaks_alone() {
    let ward = Ward::new().await;
    let first = ward.say("Mrs Smith has a fever").await;
    ward.pass(SOON_MS).await;
    let taken = ward.gateways.taken(GATEWAY);
    assert_eq!(taken.len(), 1, "{taken:?}");
    let told = &taken[0];
    assert_eq!((&told["event_id"], &told["room_id"]), (&json!(first), &json!(ward.room)));
    assert_eq!((&told["prio"], &told["counts"]), (&json!("high"), &json!({ "unread": 1 })));
    assert_eq!(told["devices"][0]["data"], json!({ "org.example.own": 1 }));
    assert_eq!(told["devices"][0]["tweaks"], json!({}));

    let content = json!({ "msgtype": "m.text", "body": "!", "m.mentions": { "user_ids": [ward.bert.user_id] } });
    let second = ward.event(&ward.anna, &ward.room, "m.room.message", None, &content).await.unwrap();
    ward.pass(SOON_MS).await;
    let told = ward.gateways.taken(GATEWAY).pop().unwrap();
    assert_eq!((&told["event_id"], &told["counts"]["unread"]), (&json!(second), &json!(2)));
    assert_eq!(told["devices"][0]["tweaks"], json!({ "sound": "default", "highlight": true }));
}

#[tokio::test(start_paused = true)]
async fn full_content_is_that_of_encrypted_rooms_alone() {
    let (engine, clock): (Arc<MemoryEngine>, _) = testing::engine();
    let policy = GatewayPolicy { full_content: true, ..GatewayPolicy::default() };
    let ward = Ward::with(&(engine as _), clock, policy).await;
    let mut ids_only = pusher("ids", OTHER);
    ids_only.data.insert("format".to_owned(), "event_id_only".into());
    ward.pushers.set(&ward.bert, &ids_only, false).await.unwrap();
    let cipher = json!({ "algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AwgAEn" });
    let send = async |event_type: &str, state_key: Option<&str>, content: &Value| {
        ward.event(&ward.anna, &ward.room, event_type, state_key, content).await.unwrap();
        ward.pass(SOON_MS).await;
        (ward.gateways.taken(GATEWAY), ward.gateways.taken(OTHER))
    };
    let plain = |told: &[Value]| told.len() == 1 && told[0].get("content").is_none() && told[0].get("sender").is_none();
    // Whatever it calls itself: the room is not encrypted.
    let (told, _) = send("m.room.encrypted", None, &cipher).await;
    assert!(plain(&told), "{told:?}");
    send("m.room.encryption", Some(""), &json!({ "algorithm": "m.megolm.v1.aes-sha2" })).await;
    let (told, _) = send("m.room.message", None, &json!({ "msgtype": "m.text", "body": "Mrs Smith" })).await;
    assert!(plain(&told), "{told:?}");
    let (told, ids) = send("m.room.encrypted", None, &cipher).await;
    assert_eq!((&told[0]["content"], &told[0]["type"]), (&cipher, &json!("m.room.encrypted")));
    assert_eq!(told[0]["sender"], json!(ward.anna.user_id));
    assert!(plain(&ids), "who wants ids gets ids: {ids:?}");
}

#[tokio::test(start_paused = true)]
async fn encrypted_content_stays_here_unless_the_operator_allows_it() {
    let ward = Ward::new().await;
    let algorithm = json!({ "algorithm": "m.megolm.v1.aes-sha2" });
    ward.event(&ward.anna, &ward.room, "m.room.encryption", Some(""), &algorithm).await.unwrap();
    let cipher = json!({ "algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AwgAEn" });
    let sent = ward.event(&ward.anna, &ward.room, "m.room.encrypted", None, &cipher).await.unwrap();
    ward.pass(SOON_MS).await;
    let told = ward.gateways.taken(GATEWAY).pop().unwrap();
    assert_eq!(told["event_id"], json!(sent));
    for field in ["content", "type", "sender", "sender_display_name", "room_name", "room_alias"] {
        assert!(told.get(field).is_none(), "{field}: {told}");
    }
}

/// Nobody has a pusher, so whatever is in the queue stays there.
#[tokio::test(start_paused = true)]
async fn one_row_for_each_event_that_notifies_somebody() {
    const QUEUE: u16 = 0x0f2;
    let (engine, clock): (Arc<MemoryEngine>, _) = testing::engine();
    let server = over(Arc::clone(&engine) as _, clock, 1).await;
    let (anna, bert) = (server.user("anna").await, server.user("bert").await);
    let room = server.room(&[&anna, &bert]).await;
    let rows = || engine.rows().keys().filter(|key| key.table().stored() & 0xfff == QUEUE).count();
    assert_eq!(rows(), 0, "nobody is notified of a new room and who comes there");
    let own = server.room(&[&anna]).await;
    server.say(&anna, &own, "a note").await;
    assert_eq!(rows(), 0, "nor is there anybody to be told of a note to oneself");
    let first = server.say(&anna, &room, "one").await;
    assert_eq!(rows(), 1);
    server.event(&anna, &room, "m.room.topic", Some(""), &json!({ "topic": "t" })).await.unwrap();
    server.event(&anna, &room, "m.reaction", None, &json!({})).await.unwrap();
    assert_eq!(rows(), 1, "what notifies nobody has none");
    server.read(&bert, &room, &first, None).await;
    assert_eq!(rows(), 2);
    server.read(&bert, &room, &first, None).await;
    assert_eq!(rows(), 2, "a receipt that changes nothing has none");
}

#[tokio::test(start_paused = true)]
async fn an_invitation_is_told_to_who_is_invited_until_it_is_answered() {
    let ward = Ward::new().await;
    let room = ward.room(&[&ward.anna]).await;
    let invite = async || {
        ward.rooms.set_membership(&ward.anna, &room, &ward.bert.user_id, Membership::Invite, None).await.unwrap();
    };
    invite().await;
    ward.pass(SOON_MS).await;
    let told = ward.gateways.taken(GATEWAY).pop().unwrap();
    assert_eq!((&told["room_id"], &told["devices"][0]["tweaks"]["sound"]), (&json!(room), &json!("default")));
    ward.become_(&ward.bert, &room, Membership::Leave).await;
    ward.gateways.does(GATEWAY, Does::Fails);
    invite().await;
    ward.pass(SOON_MS).await;
    ward.become_(&ward.bert, &room, Membership::Leave).await;
    ward.gateways.does(GATEWAY, Does::Takes);
    ward.pass(HOUR_MS).await;
    assert_eq!(ward.gateways.told(GATEWAY), [], "it was declined before it could be told");
}

#[tokio::test(start_paused = true)]
async fn what_was_read_or_redacted_or_left_is_not_told_and_reading_lowers_the_badge() {
    let ward = Ward::new().await;
    ward.gateways.does(GATEWAY, Does::Fails);
    let (read, redacted) = (ward.say("one").await, ward.say("two").await);
    let kept = ward.say("three").await;
    ward.pass(SOON_MS).await;
    ward.read(&ward.bert, &ward.room, &OwnedEventId::try_from(read.as_str()).unwrap(), None).await;
    let redacted = OwnedEventId::try_from(redacted.as_str()).unwrap();
    ward.rooms.redact(&ward.anna, &ward.room, &redacted, None, "t".into()).await.unwrap();
    ward.gateways.does(GATEWAY, Does::Takes);
    ward.pass(HOUR_MS).await;
    assert_eq!(ward.gateways.told(GATEWAY), [event(&kept, 1)]);

    // Reading is told by a number alone, and once.
    let last = OwnedEventId::try_from(kept.as_str()).unwrap();
    ward.read(&ward.bert, &ward.room, &last, None).await;
    ward.pass(SOON_MS).await;
    let told = ward.gateways.taken(GATEWAY);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["event_id"], &told[0]["counts"], &told[0]["prio"]),
        (&Value::Null, &json!({ "unread": 0 }), &json!("low"))
    );
    ward.read(&ward.bert, &ward.room, &last, None).await;
    ward.pass(SOON_MS).await;
    assert_eq!(ward.gateways.told(GATEWAY), []);

    // Who answers has read.
    let heard = ward.say("four").await;
    ward.pass(SOON_MS).await;
    ward.server.say(&ward.bert, &ward.room, "five").await;
    ward.pass(SOON_MS).await;
    assert_eq!(ward.gateways.told(GATEWAY), [event(&heard, 1), (None, 0)]);

    ward.gateways.does(GATEWAY, Does::Fails);
    ward.say("six").await;
    ward.pass(SOON_MS).await;
    ward.become_(&ward.bert, &ward.room, Membership::Leave).await;
    ward.gateways.does(GATEWAY, Does::Takes);
    ward.pass(HOUR_MS).await;
    assert_eq!(ward.gateways.told(GATEWAY), []);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_an_hour_delays_everything_and_loses_nothing() {
    let ward = Ward::new().await;
    ward.gateways.0.lock().clock = Some(ward.clock.clone());
    ward.gateways.does(GATEWAY, Does::Fails);
    let mut said = Vec::new();
    for number in 0..10_u64 {
        said.push(ward.say(&number.to_string()).await);
        ward.pass(HOUR_MS / 10).await;
    }
    // Later and later, by no more than the bound: no flood of tries either.
    let tried_at = std::mem::take(&mut ward.gateways.0.lock().tried_at);
    let pauses: Vec<u64> = tried_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((8..=20).contains(&tried_at.len()), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= limits::RETRY_MOST_MS + 5_000), "{pauses:?}");
    assert!(pauses.last().unwrap() >= &(limits::RETRY_MOST_MS / 2), "{pauses:?}");
    ward.gateways.does(GATEWAY, Does::Takes);
    ward.pass(limits::RETRY_MOST_MS).await;
    let expected: Vec<_> = said.iter().map(|id| event(id, 10)).collect();
    assert_eq!(ward.gateways.told(GATEWAY), expected, "each, in order, once");
    let next = ward.say("soon").await;
    ward.pass(SOON_MS).await;
    assert_eq!(ward.gateways.told(GATEWAY), [event(&next, 11)], "what comes afterwards waits for nothing");
}

#[tokio::test(start_paused = true)]
async fn after_a_week_a_gateway_gets_counts_and_no_flood() {
    let ward = Ward::new().await;
    ward.gateways.does(GATEWAY, Does::Fails);
    for number in 0..150_u64 {
        ward.say(&number.to_string()).await;
    }
    ward.pass(HOUR_MS / 10).await;
    ward.clock.advance_ms(7 * 24 * HOUR_MS);
    ward.pass(HOUR_MS / 10).await;
    ward.gateways.does(GATEWAY, Does::Takes);
    ward.pass(limits::RETRY_MOST_MS).await;
    assert_eq!(ward.gateways.told(GATEWAY), [(None, 150)]);

    // Too many within a day: the newest, each with the whole number.
    ward.gateways.does(GATEWAY, Does::Fails);
    let mut said = Vec::new();
    for number in 0..limits::WAITING_EVENTS + 20 {
        said.push(ward.say(&number.to_string()).await);
    }
    ward.pass(HOUR_MS).await;
    ward.gateways.does(GATEWAY, Does::Takes);
    ward.pass(limits::RETRY_MOST_MS).await;
    let told = ward.gateways.told(GATEWAY);
    let unread = 150 + limits::WAITING_EVENTS as u64 + 20;
    let expected: Vec<_> = said[20..].iter().map(|id| event(id, unread)).collect();
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_hangs_slows_nobody() {
    let ward = Ward::new().await;
    ward.gateways.does(OTHER, Does::Hangs);
    let mut users = Vec::new();
    for number in 0..3 * limits::HOST_REQUESTS_AT_ONCE {
        let user = ward.user(&format!("user-{number}")).await;
        ward.become_(&user, &ward.room, Membership::Join).await;
        ward.pushers.set(&user, &pusher(&number.to_string(), OTHER), false).await.unwrap();
        users.push(user);
    }
    let first = ward.say("one").await;
    ward.pass(SOON_MS).await;
    assert_eq!(ward.gateways.told(GATEWAY), [event(&first, 1)]);
    assert!(ward.gateways.tried() <= 1 + limits::HOST_REQUESTS_AT_ONCE);
    let second = ward.say("two").await;
    ward.pass(SOON_MS).await;
    assert_eq!(ward.gateways.told(GATEWAY), [event(&second, 2)]);
    // When it comes back, each of its pushers is told of both.
    ward.pass(HOUR_MS).await;
    ward.gateways.does(OTHER, Does::Takes);
    ward.pass(2 * limits::RETRY_MOST_MS).await;
    let mut told = ward.gateways.told(OTHER);
    told.sort();
    let mut expected: Vec<_> = users.iter().flat_map(|_| [event(&first, 2), event(&second, 2)]).collect();
    expected.sort();
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_push_key_is_removed_and_no_other() {
    let ward = Ward::new().await;
    ward.pushers.set(&ward.bert, &pusher("second", OTHER), false).await.unwrap();
    ward.gateways.does(GATEWAY, Does::Rejects);
    let said = ward.say("one").await;
    ward.pass(SOON_MS).await;
    let left: Vec<String> =
        ward.pushers.list(ward.bert.user).await.unwrap().into_iter().map(|pusher| pusher.pushkey).collect();
    assert_eq!(left, ["second"]);
    assert_eq!(ward.gateways.told(OTHER), [event(&said, 1)]);
    ward.gateways.tried();
    ward.say("two").await;
    ward.pass(HOUR_MS).await;
    assert_eq!(ward.gateways.tried(), 1, "the other one alone");
}

/// A pusher that is removed takes what waits for it along; one that is set again begins anew.
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_for_a_pusher_that_has_gone() {
    let ward = Ward::new().await;
    ward.gateways.does(GATEWAY, Does::Fails);
    ward.say("one").await;
    ward.pass(SOON_MS).await;
    ward.pushers.remove(ward.bert.user, "org.example.app", "bert").await.unwrap();
    ward.pushers.set(&ward.bert, &pusher("bert", GATEWAY), false).await.unwrap();
    ward.gateways.does(GATEWAY, Does::Takes);
    ward.pass(HOUR_MS).await;
    assert_eq!(ward.gateways.told(GATEWAY), []);
    let next = ward.say("two").await;
    ward.pass(SOON_MS).await;
    assert_eq!(ward.gateways.told(GATEWAY), [event(&next, 2)]);
}

/// A pusher whose row is damaged is an error wherever it is read, not a pusher without `data`; nothing of what waits for it counts as told.
#[tokio::test(start_paused = true)]
async fn a_damaged_pusher_is_an_error_and_what_waits_for_it_is_kept() {
    const PUSHERS: u16 = 0x0f0;
    let (engine, clock): (Arc<MemoryEngine>, _) = testing::engine();
    let ward = Ward::on(&(Arc::clone(&engine) as _), clock).await;
    let key = engine.rows().into_keys().find(|key| key.table().stored() & 0xfff == PUSHERS).unwrap();
    let newest = engine.position().await.unwrap();
    let good = engine.get_many(newest, std::slice::from_ref(&key)).await.unwrap().pop().unwrap().unwrap();
    let mut bad = good.payload.to_vec();
    let data = bad.windows(15).position(|bytes| bytes == b"org.example.own").unwrap();
    let brace = bad[..data].iter().rposition(|byte| *byte == b'{').unwrap();
    bad[brace] = b'[';
    let put = async |payload: Bytes| {
        let mut batch = Batch::new();
        batch.put_with(key.clone(), good.version, &[], payload);
        ward.store.commit(batch).await.unwrap();
    };
    put(bad.into()).await;
    let listed = ward.pushers.list(ward.bert.user).await;
    let is_corrupt =
        |error: &PushError| matches!(error, PushError::Store(StoreError::Engine(EngineError::Corrupt { .. })));
    assert!(listed.as_ref().is_err_and(is_corrupt), "{listed:?}");
    let said = ward.say("one").await;
    ward.pass(SOON_MS).await;
    assert_eq!(ward.gateways.tried(), 0, "the gateway is not told of a pusher that cannot be read");
    put(good.payload.clone()).await;
    ward.pass(HOUR_MS).await;
    assert_eq!(ward.gateways.told(GATEWAY), [event(&said, 1)]);
}

/// Two nodes: one sends; where it ends without a word the other takes over.
#[tokio::test(start_paused = true)]
async fn exactly_one_node_sends_and_another_takes_over() {
    let ward = Ward::new().await;
    let second = over(Arc::clone(&ward.engine), ward.clock.clone(), 2).await;
    second.pushers.run(&second.rooms, Arc::new(ward.gateways.clone()));
    let mut said = Vec::new();
    for number in 0..20_u64 {
        said.push(ward.say(&number.to_string()).await);
        ward.pass(100).await;
    }
    ward.pass(SOON_MS).await;
    let told: Vec<_> = ward.gateways.told(GATEWAY).into_iter().filter_map(|(id, _)| id).collect();
    assert_eq!(told, said, "each once, in order");
    ward.store.hand_over().await;
    let last = second.say(&ward.anna, &ward.room, "last").await.to_string();
    ward.pass(2 * LEASE_TTL_MS).await;
    assert_eq!(ward.gateways.told(GATEWAY), [event(&last, 21)]);
}

/// A process that says something and is killed at its `n`-th write from then on; what the gateway was told before and after another
/// one has taken over, and whether it came so far.
async fn killed(n: u64, moment: Crash) -> (Vec<String>, Vec<String>, bool) {
    let (memory, clock): (Arc<MemoryEngine>, _) = testing::engine();
    let (faulty, _, crash) = FaultyEngine::new(Arc::clone(&memory) as Arc<dyn Engine>);
    let first = Ward::on(&(Arc::new(faulty) as _), clock.clone()).await;
    pass(&clock, SOON_MS).await;
    crash.crash_at(n, moment);
    let (anna, room) = (first.anna.clone(), first.room.clone());
    let mut said = Vec::new();
    let act = async {
        for number in 0..3_u64 {
            let body = json!({ "msgtype": "m.text", "body": number.to_string() });
            match first.event(&anna, &room, "m.room.message", None, &body).await {
                Ok(event_id) => said.push(event_id.to_string()),
                Err(_) => break,
            }
        }
        pass(&clock, SOON_MS).await;
    };
    let died = tokio::select! {
        biased;
        () = crash.crashed() => true,
        () = act => crash.has_crashed(),
    };
    // Nothing of it is left but its data.
    let gateways = first.gateways.clone();
    gateways.does(GATEWAY, Does::Takes);
    drop(first);
    let second = over(memory, clock.clone(), 2).await;
    second.pushers.run(&second.rooms, Arc::new(gateways.clone()));
    pass(&clock, 4 * LEASE_TTL_MS).await;
    let told = gateways.told(GATEWAY).into_iter().filter_map(|(id, _)| id).collect();
    (said, told, died)
}

/// Each event that was acknowledged is told at least once, whenever the process is killed, and more than once at most those of one batch.
#[tokio::test(start_paused = true)]
async fn a_kill_at_any_write_loses_no_notification() {
    for moment in [Crash::Before, Crash::After] {
        let mut alive = 0;
        for n in 1..60 {
            let (said, told, died) = killed(n, moment).await;
            for id in &said {
                assert!(told.contains(id), "write {n}: {id} was never told: {told:?}");
            }
            let mut once = told.clone();
            once.dedup();
            assert!(told.len() <= once.len() + limits::SENT_EVENTS, "write {n}: {told:?}");
            alive += usize::from(!died);
            if alive > 2 {
                break;
            }
        }
        assert!(alive > 0, "it was killed at all its writes");
    }
}

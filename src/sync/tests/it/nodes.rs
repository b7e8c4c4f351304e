//! Nodes whose time is that of the test's runtime, and a client that goes from one to the next with its token.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;
use tokio::{sync::broadcast, time::Instant};
use wardstead_accounts::{PresenceState, Session};
use wardstead_engine::{Bus, BusError, BusMessage, LocalBus};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::Clock;
use wardstead_store::testing::START_MS;
use wardstead_sync::SyncRequest;

use crate::support::{Answer, Server, Setting, on};

/// The paused clock of the runtime.
struct Running(Instant);

/// A moment of the paused clock, which stands still while any task can run.
#[expect(clippy::disallowed_methods, reason = "the paused clock of the test")]
pub fn moment() -> Instant {
    Instant::now()
}

impl Clock for Running {
    fn now_ms(&self) -> u64 {
        START_MS + self.monotonic_ms()
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from((moment() - self.0).as_millis()).unwrap()
    }
}

/// A bus that takes its time, or carries nothing.
struct Slow {
    bus: LocalBus,
    late: Option<Duration>,
}

#[async_trait]
impl Bus for Slow {
    async fn publish(&self, message: BusMessage) -> Result<(), BusError> {
        let Some(late) = self.late else { return Ok(()) };
        let bus = self.bus.clone();
        tokio::spawn(async move {
            tokio::time::sleep(late).await;
            bus.publish(message).await.unwrap();
        });
        Ok(())
    }

    fn subscribe(&self) -> broadcast::Receiver<BusMessage> {
        self.bus.subscribe()
    }
}

/// `count` nodes over one engine. Their bus takes `late` for each message; `None`: it is cut.
pub async fn nodes(count: u64, late: Option<Duration>, presence: bool) -> Vec<Server> {
    let clock: Arc<dyn Clock> = Arc::new(Running(moment()));
    let engine = Arc::new(MemoryEngine::new(Arc::clone(&clock)));
    let setting = Setting { clock, bus: Arc::new(Slow { bus: LocalBus::new(), late }), presence };
    let mut nodes = Vec::new();
    for seed in 1..=count {
        nodes.push(on(Arc::clone(&engine), setting.clone(), seed).await);
    }
    nodes
}

pub async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// What a client shows.
#[derive(Clone, Debug)]
pub struct Client {
    pub by: Session,
    pub since: Answer,
    /// Who types, by room.
    pub typing: BTreeMap<String, BTreeSet<String>>,
    /// The last state of others.
    pub presence: BTreeMap<String, String>,
    /// Events of presence.
    pub told: usize,
}

impl Client {
    pub async fn new(by: &Session, node: &Server) -> Self {
        let since = ask(node, by, SyncRequest { set_presence: PresenceState::Offline, ..SyncRequest::default() }).await;
        let (typing, presence) = (BTreeMap::new(), BTreeMap::new());
        let mut client = Self { by: by.clone(), since: since.clone(), typing, presence, told: 0 };
        client.show(since);
        client
    }

    /// One sync, which does not show the user.
    pub async fn sync(&mut self, node: &Server, timeout_ms: u64) -> &Answer {
        let since = Some(self.since.next());
        let set_presence = PresenceState::Offline;
        let answer =
            ask(node, &self.by, SyncRequest { since, timeout_ms, set_presence, ..SyncRequest::default() }).await;
        self.show(answer);
        &self.since
    }

    fn show(&mut self, answer: Answer) {
        for (room, section) in answer.0["rooms"]["join"].as_object().into_iter().flatten() {
            for event in section["ephemeral"]["events"].as_array().into_iter().flatten() {
                assert_eq!(event["type"], "m.typing");
                let users = event["content"]["user_ids"].as_array().unwrap().iter().map(text).collect();
                self.typing.insert(room.clone(), users);
            }
        }
        self.typing.retain(|_, users| !users.is_empty());
        for event in answer.0["presence"]["events"].as_array().into_iter().flatten() {
            assert_eq!(event["type"], "m.presence");
            self.told += 1;
            self.presence.insert(text(&event["sender"]), text(&event["content"]["presence"]));
        }
        self.since = answer;
    }

    /// Everybody who is shown typing, wherever.
    pub fn typists(&self) -> Vec<&str> {
        self.typing.values().flatten().map(String::as_str).collect()
    }

    /// Syncs at each of `nodes` in turn for `ms` milliseconds, as often as it is answered, and gives the moments of the answers.
    pub async fn round_robin(&mut self, nodes: &[Server], ms: u64) -> Vec<Instant> {
        let end = moment() + Duration::from_millis(ms);
        let mut answers = Vec::new();
        for node in nodes.iter().cycle() {
            if tokio::time::timeout_at(end, self.sync(node, 30_000)).await.is_err() {
                break;
            }
            answers.push(moment());
        }
        answers
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn ask(node: &Server, by: &Session, request: SyncRequest) -> Answer {
    node.ask(by, request).await.unwrap()
}

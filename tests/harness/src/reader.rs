//! A reader follows `/sync` as a client does: it takes a token only with everything that the token stands for, and pages
//! back through `/messages` where a timeline was limited.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::loss::Loss;
use crate::promised;
use crate::user::{User, text};
use crate::writer::Load;

/// A message as a reader got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Event id.
    pub event: String,
    /// Full user id.
    pub sender: String,
    /// What it says.
    pub body: String,
}

impl Message {
    /// `None` for other events.
    #[must_use]
    pub fn from_event(event: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        (event["type"] == "m.room.message").then_some(())?;
        Some(Self {
            event: text(&event["event_id"])?,
            sender: text(&event["sender"])?,
            body: text(&event["content"]["body"])?,
        })
    }
}

/// What a reader has of a room.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Messages in the order in which they came.
    pub messages: Vec<Message>,
    known: HashSet<String>,
}

/// A client that follows `/sync`.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Whose.
    pub user: User,
    /// The newest token.
    pub since: Option<String>,
    /// Events a room that one sync may bring.
    pub limit: usize,
    /// By room id.
    pub rooms: BTreeMap<String, Timeline>,
}

impl Reader {
    /// Without a token.
    #[must_use]
    pub fn new(user: &User, limit: usize) -> Self {
        Self { user: user.clone(), since: None, limit, rooms: BTreeMap::new() }
    }

    /// Long-polls until the server is gone.
    ///
    /// # Errors
    /// When a sync fails before that, or breaks a promise.
    pub async fn run(mut self, load: Load) -> Result<Self> {
        loop {
            match self.step(30_000).await {
                Ok(_) => {}
                Err(error) if load.is_ending() && !error.is::<Loss>() => return Ok(self),
                Err(error) => return Err(error.context(format!("sync of {}", self.user.id))),
            }
        }
    }

    /// One sync, with what it takes to fill its gaps; how many messages it brought. Dropped halfway, it took nothing.
    ///
    /// # Errors
    /// When a request fails; a [`Loss`] when an event came twice.
    pub async fn step(&mut self, timeout_ms: u64) -> Result<usize> {
        let answer = self.user.sync(self.since.as_deref(), timeout_ms, self.limit).await?;
        let mut news = Vec::new();
        for (room, joined) in answer["rooms"]["join"].as_object().into_iter().flatten() {
            let timeline = &joined["timeline"];
            let mut events = if timeline["limited"] == true {
                self.gap(room, timeline["prev_batch"].as_str().context("limited, but no prev_batch")?).await?
            } else {
                Vec::new()
            };
            events.extend(timeline["events"].as_array().into_iter().flatten().cloned());
            news.push((room.clone(), events));
        }
        let mut count = 0;
        for (room, events) in news {
            let timeline = self.rooms.entry(room).or_default();
            for event in events {
                let id = text(&event, "event_id")?;
                promised!(timeline.known.insert(id.clone()), "{} got {id} twice", self.user.id);
                if let Some(message) = Message::from_event(&event) {
                    timeline.messages.push(message);
                    count += 1;
                }
            }
        }
        self.since = Some(text(&answer, "next_batch")?);
        Ok(count)
    }

    /// What is between `prev_batch` and the newest event that is known, or the beginning of the room.
    async fn gap(&self, room: &str, prev_batch: &str) -> Result<Vec<Value>> {
        let known = self.rooms.get(room).map(|timeline| &timeline.known);
        let mut from = prev_batch.to_owned();
        let mut backwards = Vec::new();
        'pages: loop {
            let page = self.user.messages(room, "b", Some(&from), 50).await?;
            for event in page["chunk"].as_array().context("a page has a chunk")? {
                let id = text(event, "event_id")?;
                if known.is_some_and(|known| known.contains(&id)) {
                    break 'pages;
                }
                backwards.push(event.clone());
            }
            match page["end"].as_str() {
                Some(end) if end == from => bail!("the page after {end} starts at {end}"),
                Some(end) => end.clone_into(&mut from),
                None => break,
            }
        }
        backwards.reverse();
        Ok(backwards)
    }

    /// Syncs until nothing new comes.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub async fn catch_up(&mut self) -> Result<()> {
        while self.step(0).await? > 0 {}
        Ok(())
    }

    /// The messages of `room`.
    #[must_use]
    pub fn messages(&self, room: &str) -> &[Message] {
        self.rooms.get(room).map_or(&[], |timeline| &timeline.messages)
    }
}

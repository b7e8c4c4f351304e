//! A device that syncs, keeps what it is told, and in the end begins anew to see whether that is the same.

use anyhow::{Context, Result, bail, ensure};
use harness::User;
use harness::client::encode;
use serde_json::{Value, json};

use crate::model::{Line, Model};

/// Events of a timeline that no history reaches.
const ALL: u64 = 1_000;
/// Answers until nothing is new; one is, and the next says so.
const ANSWERS: usize = 4;
/// Events a page when a gap is filled.
const PAGE: usize = 7;

/// How a device syncs.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, of filters or of requests")]
pub struct Kind {
    pub name: &'static str,
    /// After each act, or now and then.
    pub each: bool,
    lazy: bool,
    /// Filters are stored, and named by their id.
    stored: bool,
    state_after: bool,
    by_thread: bool,
    /// Events of a timeline; few of them leave gaps.
    limit: u64,
}

const PLAIN: Kind = Kind {
    name: "every event",
    each: true,
    lazy: false,
    stored: false,
    state_after: false,
    by_thread: false,
    limit: ALL,
};

/// All kinds of devices.
pub const KINDS: [Kind; 4] = [
    PLAIN,
    Kind { name: "lazily loaded members", lazy: true, stored: true, by_thread: true, limit: 20, ..PLAIN },
    Kind { name: "gaps", each: false, limit: 3, by_thread: true, ..PLAIN },
    Kind { name: "gaps and the state after them", each: false, limit: 2, state_after: true, stored: true, ..PLAIN },
];

/// One device of somebody.
pub struct Device {
    pub user: User,
    pub kind: Kind,
    filter: String,
    since: Option<String>,
    model: Model,
}

impl Device {
    pub async fn new(user: &User, kind: Kind) -> Result<Self> {
        let filter = kind.filter(user, kind.limit).await?;
        Ok(Self { user: user.clone(), kind, filter, since: None, model: Model::default() })
    }

    /// Syncs until there is nothing new, and fills the gaps of lines.
    pub async fn step(&mut self) -> Result<()> {
        for _ in 0..ANSWERS {
            let answer = self.sync(&self.filter, self.since.as_deref()).await?;
            let next = harness::user::text(&answer, "next_batch")?;
            let gaps = self.model.take(&answer, self.kind.lazy)?;
            for (room, from) in gaps {
                self.fill(&room, &from).await?;
            }
            self.since = Some(next);
            if answer["rooms"].as_object().is_none_or(serde_json::Map::is_empty) {
                return Ok(());
            }
        }
        bail!("{ANSWERS} syncs after one act, and there is still something new")
    }

    async fn sync(&self, filter: &str, since: Option<&str>) -> Result<Value> {
        let since = since.map_or_else(String::new, |since| format!("&since={}", encode(since)));
        let after = if self.kind.state_after { "&use_state_after=true" } else { "" };
        // Who syncs here is not there: presence is shown elsewhere.
        let path = format!("/sync?timeout=0&set_presence=offline&filter={}{after}{since}", encode(filter));
        self.user.get(&path).await?.ok().context("sync")
    }

    /// What stands between the line as it was and the newest part of it, or all that is visible before.
    async fn fill(&mut self, room: &str, from: &str) -> Result<()> {
        let mut before: Vec<Value> = Vec::new();
        let mut from = from.to_owned();
        loop {
            let path = format!("/rooms/{}/messages?dir=b&limit={PAGE}&from={}", encode(room), encode(&from));
            let answer = self.user.get(&path).await?;
            if answer.status == 403 && self.model.forget(room) {
                return Ok(());
            }
            let page = answer.ok().context("messages")?;
            for event in page["chunk"].as_array().context("a page has a chunk")? {
                if self.model.line(room)?.joins(event) {
                    return self.model.line(room)?.close(&before);
                }
                before.insert(0, event.clone());
            }
            let Some(end) = page["end"].as_str() else { return self.model.line(room)?.close(&before) };
            ensure!(end != from, "the page after {end} starts at {end}");
            end.clone_into(&mut from);
        }
    }

    /// Begins anew with the same filter and a large timeline: it is shown what it has.
    pub async fn settle(&mut self) -> Result<()> {
        let filter = self.kind.filter(&self.user, ALL).await?;
        let answer = self.sync(&filter, None).await?;
        let mut anew = Model::default();
        anew.take(&answer, self.kind.lazy)?;
        // What a timeline that ends early leaves out stands before it for everybody.
        let differences = self.model.differences(&anew, self.kind.lazy);
        ensure!(differences.is_empty(), "a sync from the start shows something else:\n{}", differences.join("\n"));
        for (room, line) in self.model.lines() {
            let whole = self.user.history(room, "b", 50).await?;
            let whole: Vec<String> = Line::ids(whole.iter().rev())?;
            ensure!(line.events() == whole, "{room}: the line is {:?}, paging gives {whole:?}", line.events());
        }
        Ok(())
    }
}

impl Kind {
    /// The filter with timelines of `limit`: as it stands, or the id that it is stored under.
    async fn filter(&self, user: &User, limit: u64) -> Result<String> {
        let mut filter = json!({ "room": { "include_leave": true, "timeline": { "limit": limit } } });
        if self.lazy {
            filter["room"]["state"] = json!({ "lazy_load_members": true });
        }
        if self.by_thread {
            filter["room"]["timeline"]["unread_thread_notifications"] = json!(true);
        }
        if !self.stored {
            return Ok(filter.to_string());
        }
        let answer = user.post(&format!("/user/{}/filter", encode(&user.id)), &filter).await?.ok().context("filter")?;
        harness::user::text(&answer, "filter_id")
    }
}

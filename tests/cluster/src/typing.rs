//! Who types, seen through two nodes in turn.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::user::text;
use harness::{Http, Nodes, User, client};
use serde_json::{Value, json};

use crate::ward::{Ward, shared_room};

/// A change of typing that takes longer is lost.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long the answers to one typing user are counted.
const COUNTED: Duration = Duration::from_secs(10);
/// Between two reports of a client whose user goes on typing.
const REPORT: Duration = Duration::from_secs(3);
/// Answers with only typing in that time: the first, and what else two nodes may think is news.
const ANSWERS: usize = 3;
/// The same without a bus, when the nodes do not agree on who types.
const ANSWERS_CUT: usize = 10;

/// A typist and one who sees it.
#[derive(Debug)]
pub struct Typing {
    room: String,
    typist: User,
    other: User,
    since: String,
}

impl Typing {
    /// The first two members of the first room.
    pub async fn begin(ward: &Ward) -> Result<Self> {
        let (typist, other) = (ward.writers[0].user.clone(), ward.writers[1].user.clone());
        Self::of(&ward.rooms[0], typist, other).await
    }

    async fn of(room: &str, typist: User, other: User) -> Result<Self> {
        let since = text(&other.sync(None, 0, 1).await?, "next_batch")?;
        Ok(Self { room: room.to_owned(), typist, other, since })
    }

    /// Told to stop, and by itself when its time is over.
    pub async fn comes_and_goes(&mut self) -> Result<()> {
        set(&self.typist, &self.room, Some(60_000)).await?;
        self.wait(true).await.context("typing begins")?;
        set(&self.typist, &self.room, None).await?;
        self.wait(false).await.context("typing is ended")?;
        set(&self.typist, &self.room, Some(2_000)).await?;
        self.wait(true).await.context("typing begins again")?;
        self.wait(false).await.context("typing ends by itself")
    }

    /// Begins to type at the node of `http`, for a while that ends by itself.
    pub async fn begin_at(&mut self, http: &Http) -> Result<()> {
        set(&self.typist.over(http), &self.room, Some(5_000)).await?;
        self.wait(true).await.context("typing begins at one node")
    }

    /// Waits for the end of what [`Self::begin_at`] began.
    pub async fn ended(&mut self) -> Result<()> {
        self.wait(false).await
    }

    /// Syncs until the room's typing set has, or has not, the typist.
    async fn wait(&mut self, wanted: bool) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.other.sync(Some(&self.since), 5_000, 1).await?;
            self.since = text(&answer, "next_batch")?;
            if let Some(types) = types(&answer, &self.room, &self.typist)
                && types == wanted
            {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{} did not see it", self.other.id);
        }
    }
}

/// Reports that `user` types for `timeout_ms`, or not (Client-Server API, Typing Notifications).
async fn set(user: &User, room: &str, timeout_ms: Option<u64>) -> Result<()> {
    let path = format!("/rooms/{}/typing/{}", client::encode(room), client::encode(&user.id));
    let body = timeout_ms.map_or_else(|| json!({ "typing": false }), |ms| json!({ "typing": true, "timeout": ms }));
    user.put(&path, &body).await?.ok().context("typing").map(drop)
}

/// Whether `typist` types by what `answer` says of `room`, if it says anything.
fn types(answer: &Value, room: &str, typist: &User) -> Option<bool> {
    let events = answer["rooms"]["join"][room]["ephemeral"]["events"].as_array()?;
    let event = events.iter().find(|event| event["type"] == "m.typing")?;
    Some(event["content"]["user_ids"].as_array()?.iter().any(|id| id == typist.id.as_str()))
}

/// One typing user whose client reports it every few seconds to the node whose turn it is; another follows in turn. Typing must
/// not make the nodes answer again and again.
pub async fn responses(folder: &Path, cut_bus: bool) -> Result<()> {
    let nodes = Nodes::start(folder, 2, cut_bus)?;
    let typist = User::register(&nodes.http().own_turn(0), "typist").await?;
    let other = User::register(&nodes.http().own_turn(1), "other").await?;
    let room = shared_room(&[typist.clone(), other.clone()]).await?;
    let mut typing = Typing::of(&room, typist.clone(), other).await?;
    // What two fresh accounts have to tell each other is not counted.
    let quiet = Instant::now() + Duration::from_secs(3);
    while Instant::now() < quiet {
        typing.since = text(&typing.other.sync(Some(&typing.since), 1_000, 1).await?, "next_batch")?;
    }
    let report = async {
        loop {
            set(&typist, &room, Some(30_000)).await?;
            tokio::time::sleep(REPORT).await;
        }
        #[expect(unreachable_code, reason = "gives the block its type")]
        anyhow::Ok(())
    };
    let (mut answers, mut seen) = (0, false);
    let count = async {
        loop {
            let answer = typing.other.sync(Some(&typing.since), 30_000, 1).await?;
            typing.since = text(&answer, "next_batch")?;
            answers += 1;
            seen |= types(&answer, &room, &typist) == Some(true);
        }
        #[expect(unreachable_code, reason = "gives the block its type")]
        anyhow::Ok(())
    };
    tokio::select! {
        reported = report => reported?,
        counted = count => counted?,
        () = tokio::time::sleep(COUNTED) => {}
    }
    let most = if cut_bus { ANSWERS_CUT } else { ANSWERS };
    println!("typing: one user typed for {} s, {answers} answers to another, at most {most}", COUNTED.as_secs());
    ensure!(answers <= most, "{answers} answers to one typing user");
    ensure!(seen || cut_bus, "typing was not seen");
    nodes.stop()
}

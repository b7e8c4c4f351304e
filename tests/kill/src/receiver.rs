//! The device that messages are for. It knows what each answer gave that it lost, and what it has by the tokens that it acknowledged.

use anyhow::{Context, Result, ensure};
use harness::user::text;
use harness::{Load, Loss, Rng, User, promised};
use serde_json::Value;

use crate::sender::{Sender, TYPE};

/// Messages of an answer, while more wait.
pub const PAGE: usize = 100;
/// Twelve times the longest that a lost wake-up may delay a message.
const PATIENCE_MS: u64 = 3_000;

/// What becomes of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// All are lost.
    Dropped,
    /// Some are lost.
    SomeDropped,
}

/// Number of the sender, and which of its messages.
type Message = (usize, usize);

#[derive(Clone, Debug)]
pub struct Receiver {
    user: User,
    since: String,
    /// What answers to `since` gave, which were lost.
    given: Vec<Message>,
    /// The next message of each sender, after all that were acknowledged by a token.
    next: Vec<usize>,
    pub dropped: usize,
    /// Syncs without an answer.
    pub unanswered: usize,
}

impl Receiver {
    /// A device with a token, and no messages yet.
    pub async fn begin(user: User, senders: usize) -> Result<Self> {
        let since = text(&user.sync(None, 0, 1).await?, "next_batch")?;
        Ok(Self { user, since, given: Vec::new(), next: vec![0; senders], dropped: 0, unanswered: 0 })
    }

    /// How many messages it has.
    pub fn taken(&self) -> usize {
        self.next.iter().sum()
    }

    /// Asks until the server is gone; if it is the `last` life, until the load ends.
    pub async fn run(mut self, mut rng: Rng, answers: Answers, last: bool, load: Load) -> Result<Self> {
        while !(last && load.is_ending()) {
            let dropped = answers == Answers::Dropped || rng.once_in(2);
            let wait_ms = if answers == Answers::Dropped { 0 } else { rng.range(0, 200) };
            let asked = if dropped { self.look().await } else { self.take(wait_ms).await };
            match asked {
                Ok(_) => {}
                Err(error) if load.is_ending() && !error.is::<Loss>() => {
                    self.unanswered += 1;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self)
    }

    /// Asks and loses the answer; how many messages it gave.
    pub async fn look(&mut self) -> Result<usize> {
        let (given, _) = self.ask(0).await?;
        self.given = given;
        self.dropped += 1;
        Ok(self.given.len())
    }

    /// Asks, waiting up to `wait_ms`, and keeps the answer: the next question acknowledges it. How many messages it gave.
    pub async fn take(&mut self, wait_ms: u64) -> Result<usize> {
        let (given, next) = self.ask(wait_ms).await?;
        for (sender, sequence) in &given {
            self.next[*sender] = sequence + 1;
        }
        self.given.clear();
        self.since = next;
        Ok(given.len())
    }

    /// Takes everything. A sync may come before the wake-up that follows a commit, so only one that waited and brought nothing
    /// is the last word.
    pub async fn drain(&mut self) -> Result<()> {
        while self.take(PATIENCE_MS).await? > 0 {}
        Ok(())
    }

    /// The messages that an answer to the token gives, and the next token. They begin with those of every lost answer, and go on where
    /// the acknowledged ones end.
    async fn ask(&self, wait_ms: u64) -> Result<(Vec<Message>, String)> {
        let answer = self.user.sync(Some(&self.since), wait_ms, 1).await?;
        let given = messages(&answer)?;
        promised!(given.len() <= PAGE, "an answer with {} messages", given.len());
        promised!(given.starts_with(&self.given), "the same token gave {:?}, and now {given:?}", self.given);
        let mut next = self.next.clone();
        for (sender, sequence) in &given {
            let due = next.get_mut(*sender).context("a sender")?;
            promised!(sequence == due, "message {sequence} of sender {sender} comes where {due} is due");
            *due += 1;
        }
        Ok((given, text(&answer, "next_batch")?))
    }

    /// It has all that was acknowledged to the senders, and nothing else.
    pub fn complete(&self, senders: &[Sender]) -> Result<()> {
        let sent: Vec<usize> = senders.iter().map(|sender| sender.acknowledged).collect();
        promised!(self.next == sent, "of each sender {:?} messages came, {sent:?} were acknowledged", self.next);
        Ok(())
    }

    /// How many messages it is given when it has no token.
    pub async fn forgetful(&self) -> Result<usize> {
        Ok(messages(&self.user.sync(None, 0, 1).await?)?.len())
    }
}

fn messages(answer: &Value) -> Result<Vec<Message>> {
    let number = |event: &Value, name: &str| -> Result<usize> {
        Ok(usize::try_from(event["content"][name].as_u64().with_context(|| format!("no message: {event}"))?)?)
    };
    let events = answer["to_device"]["events"].as_array().map_or(&[][..], Vec::as_slice);
    let mut messages = Vec::with_capacity(events.len());
    for event in events {
        ensure!(event["type"] == TYPE, "no message of a sender: {event}");
        let message = (number(event, "sender")?, number(event, "sequence")?);
        let sender = format!("@sender-{}:", message.0);
        promised!(event["sender"].as_str().is_some_and(|id| id.starts_with(&sender)), "not by its sender: {event}");
        messages.push(message);
    }
    Ok(messages)
}

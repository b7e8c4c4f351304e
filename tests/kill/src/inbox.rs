//! Messages to a device under SIGKILL: none is lost, none comes twice over tokens that were acknowledged, and a token whose answer was lost
//! gives the same again.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::server::Shim;
use harness::{Device, Launch, Load, Loss, Rng, Server, SyncLog, User, promised};
use tokio::task::JoinSet;

use crate::receiver::{Answers, PAGE, Receiver};
use crate::sender::Sender;

const SENDERS: usize = 8;
/// Messages that wait for the device before it reads the first; at least.
const QUEUED: usize = 4_000;
/// Messages in each life of the server while it reads; about as many.
const WHILE_READING: usize = 240;
/// Microseconds between the last acknowledgement that is waited for and the kill, or between a question and the kill: before, within
/// and after the commits and answers of that moment.
const MOMENT_US: (u64, u64) = (0, 6_000);

/// One data folder, many lives.
struct Run {
    launch: Launch,
    log: SyncLog,
    rng: Rng,
    server: Option<Server>,
    senders: Vec<Sender>,
    receiver: Receiver,
    kills: u64,
}

/// Kills the server `kills` times while messages queue up, as often while they are read, and as often while both happens.
pub async fn survive(folder: &Path, seed: u64, kills: u64) -> Result<()> {
    let mut run = Run::begin(folder, seed).await?;
    run.under_load(QUEUED, kills, Answers::Dropped).await.context("while messages queue up")?;
    run.pages(kills).await.context("while they are read")?;
    run.under_load(WHILE_READING * usize::try_from(kills + 1)?, kills, Answers::SomeDropped)
        .await
        .context("while both happens")?;
    run.receiver.drain().await?;
    run.end().await
}

impl Run {
    async fn begin(folder: &Path, seed: u64) -> Result<Self> {
        let path = folder.join("shim.log");
        let mut launch = Launch::new(folder)?;
        launch.shim = Some(Shim::new(&path)?);
        let server = launch.start()?;
        let http = launch.http();
        let to = Device::of(User::register(&http, "bert").await?, seed).await?;
        let mut senders = Vec::new();
        for number in 0..SENDERS {
            senders.push(Sender::new(number, User::register(&http, &format!("sender-{number}")).await?, &to));
        }
        let receiver = Receiver::begin(to.user, SENDERS).await?;
        let log = SyncLog::follow(&path)?;
        Ok(Self { launch, log, rng: Rng::new(seed), server: Some(server), senders, receiver, kills: 0 })
    }

    /// At least `messages` more are sent, in `kills` and one lives of the server, while the device asks without end and loses
    /// `answers`.
    async fn under_load(&mut self, messages: usize, kills: u64, answers: Answers) -> Result<()> {
        let goal = self.senders.iter().map(|sender| sender.acknowledged).max().unwrap_or_default() + messages / SENDERS;
        for life in 0..=kills {
            let last = life == kills;
            let load = Load::default();
            let (mut senders, mut receivers) = (JoinSet::new(), JoinSet::new());
            for sender in self.senders.drain(..) {
                // The last life is for what was not answered before, too.
                let goal = if last { goal.max(sender.acknowledged + 1) } else { usize::MAX };
                senders.spawn(sender.run(goal, load.clone()));
            }
            receivers.spawn(self.receiver.clone().run(Rng::new(self.rng.bits()), answers, last, load.clone()));
            if !last {
                let sends = self.rng.range(1, (messages as u64 / (kills + 1)).max(2));
                load.acknowledged(u32::try_from(sends)?).await?;
                self.moment().await;
                load.set_ending(true);
                self.kill()?;
            }
            while let Some(sender) = senders.join_next().await {
                self.senders.push(sender??);
            }
            load.set_ending(true);
            while let Some(receiver) = receivers.join_next().await {
                self.receiver = receiver??;
            }
            self.senders.sort_by_key(|sender| sender.number);
            if !last {
                self.start()?;
            }
            // What a lost answer gave stands in the next.
            self.receiver.look().await.with_context(|| format!("life {}", life + 1))?;
        }
        Ok(())
    }

    /// Everything that waits, page by page; answers are lost, and at `kills` of the pages the server is killed.
    async fn pages(&mut self, kills: u64) -> Result<()> {
        let waiting: usize = self.senders.iter().map(|sender| sender.acknowledged).sum();
        let pages = waiting.div_ceil(PAGE);
        let deadly: Vec<u64> = (0..kills).map(|_| self.rng.range(0, pages as u64)).collect();
        for page in 0..pages {
            for _ in deadly.iter().filter(|deadly| **deadly == page as u64) {
                self.kill_at_answer().await.with_context(|| format!("page {}", page + 1))?;
            }
            if self.rng.once_in(3) {
                self.receiver.look().await?;
            }
            let due = PAGE.min(waiting - self.receiver.taken());
            let given = self.receiver.take(0).await?;
            promised!(given == due, "page {} of {pages} has {given} messages, not {due}", page + 1);
        }
        let left = self.receiver.look().await?;
        promised!(left == 0, "{left} messages come after the last page");
        println!("inbox: {waiting} messages that waited came in {pages} pages, each once and in order");
        Ok(())
    }

    /// Kills the server after the device asked: before, while or after it is answered. Nothing of the answer is kept.
    async fn kill_at_answer(&mut self) -> Result<()> {
        let mut asking = self.receiver.clone();
        let asked = tokio::spawn(async move { asking.look().await.map(|_| asking) });
        self.moment().await;
        self.kill()?;
        // Without an answer, it knows what it knew; with one, the next has to be the same.
        match asked.await? {
            Ok(answered) => self.receiver = answered,
            Err(error) if error.is::<Loss>() => return Err(error),
            Err(_) => self.receiver.unanswered += 1,
        }
        self.start()?;
        self.receiver.look().await.map(drop)
    }

    async fn moment(&mut self) {
        tokio::time::sleep(Duration::from_micros(self.rng.range(MOMENT_US.0, MOMENT_US.1))).await;
    }

    /// SIGKILL; every second time what was not synced is cut off, too.
    fn kill(&mut self) -> Result<()> {
        self.server.take().context("it runs")?.kill()?;
        if self.kills.is_multiple_of(2) {
            self.log.cut(self.launch.data())?;
        }
        self.kills += 1;
        Ok(())
    }

    fn start(&mut self) -> Result<()> {
        self.server = Some(self.launch.start()?);
        Ok(())
    }

    /// Everything that was acknowledged came. What was acknowledged by a token is gone from the server, too: a device that forgot
    /// its token is given nothing of it.
    async fn end(mut self) -> Result<()> {
        // What a server that was killed had not removed yet goes with the next message.
        self.senders[0].send().await?;
        self.receiver.drain().await?;
        self.receiver.complete(&self.senders)?;
        self.server.take().context("it runs")?.stop()?;
        let server = self.launch.start()?;
        let again = self.receiver.forgetful().await?;
        promised!(again == 0, "{again} messages come again though tokens acknowledged them");
        server.stop()?;
        let Self { kills, senders, receiver, .. } = self;
        let sends: usize = senders.iter().map(|sender| sender.unknown).sum();
        let (syncs, dropped, taken) = (receiver.unanswered, receiver.dropped, receiver.taken());
        println!(
            "inbox: killed {kills} times, {sends} sends and {syncs} syncs had no answer, {dropped} answers were dropped"
        );
        println!("inbox: {taken} messages over acknowledged tokens, all that were promised, each once and in order");
        Ok(())
    }
}

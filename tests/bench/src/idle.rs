//! A thousand clients who wait for something to happen: what they add.

use std::time::Duration;

use anyhow::Result;
use harness::Launch;
use harness::process::{cpu_ns, resident_kib};
use tokio::task::JoinSet;

use crate::crowd;
use crate::large::accounts;
use crate::median::{Runs, per};
use crate::poll::Poll;
use crate::table::Table;

/// Clients, each with a connection of its own, and people a room.
const CLIENTS: usize = 1_000;
const ROOM: usize = 10;
/// How long one waits.
const TIMEOUT_MS: u64 = 30_000;
/// Rounds of waiting; the first makes the connections.
const ROUNDS: usize = 3;
/// Within a round, when the memory is read: all wait.
const SETTLED: Duration = Duration::from_secs(15);

/// Memory and CPU of waiting.
pub async fn polls(launch: Launch, table: &mut Table) -> Result<()> {
    let server = launch.start()?;
    let users = accounts(&launch.http(), 0, CLIENTS).await?;
    for people in users.chunks(ROOM) {
        crowd::shared_room(people).await?;
    }
    // What a first answer leaves in caches is not what waiting takes.
    for user in &users {
        user.sync(None, 0, 10).await?;
    }
    // What it does without anybody is not theirs.
    let before = cpu_ns(server.pid())?;
    tokio::time::sleep(Duration::from_millis(TIMEOUT_MS)).await;
    let alone_ns = cpu_ns(server.pid())? - before;
    let before_kib = resident_kib(server.pid())?;
    let mut waiting = Vec::with_capacity(CLIENTS);
    for user in &users {
        waiting.push(Poll::new(&launch, user).await?);
    }
    let (mut memory, mut cpu) = (Runs::default(), Runs::default());
    for round in 0..ROUNDS {
        let before = cpu_ns(server.pid())?;
        let mut polls = JoinSet::new();
        for poll in waiting.drain(..) {
            polls.spawn(poll.idle(TIMEOUT_MS));
        }
        tokio::time::sleep(SETTLED).await;
        memory.add(per(resident_kib(server.pid())?.saturating_sub(before_kib), 1, 1_024.0));
        while let Some(poll) = polls.join_next().await {
            waiting.push(poll??);
        }
        if round > 0 {
            cpu.add(per((cpu_ns(server.pid())? - before).saturating_sub(alone_ns), CLIENTS as u64, 1_000.0));
        }
    }
    table.add("resident memory that 1000 waiting clients add", &memory, "MiB", Some(23.8));
    table.add("CPU that a waiting client adds in 30 s", &cpu, "µs", Some(100.0));
    let mut alone = Runs::default();
    alone.add(per(alone_ns, 1, 1_000_000.0));
    table.add("CPU of the server itself in 30 s, nobody there", &alone, "ms", None);
    server.stop()
}

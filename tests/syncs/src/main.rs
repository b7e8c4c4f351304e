//! Counts the syncs that sends cause; counts, never times.
//!
//! One by one: between a send and its answer there is at least one sync, a thousand times. Side by side, with each sync made
//! to take 50 ms: 64 senders cause at most one sync per 20 sends, in 64 rooms and in one room that they share.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use harness::server::Shim;
use harness::{Launch, Scratch, SyncLog, User};
use tokio::task::JoinSet;

/// Sends one after another.
const SEQUENTIAL: u64 = 1_000;
/// Senders side by side.
const SENDERS: usize = 64;
/// Sends of each of them.
const SENDS_EACH: u64 = 20;
/// Milliseconds that each sync takes longer.
const SLOW_SYNC_MS: u64 = 50;
/// Sends that one sync must serve, on average.
const SENDS_PER_SYNC: u64 = 20;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = Scratch::new()?;
    let result = count(folder.path()).await;
    folder.settle(result)
}

async fn count(folder: &Path) -> Result<()> {
    let log = folder.join("shim.log");
    let mut launch = Launch::new(folder)?;
    launch.shim = Some(Shim::new(&log)?);
    let server = launch.start()?;
    let users = register(&launch).await?;
    one_by_one(&users[0], &log).await?;
    let own = own_rooms(&users).await?;
    let shared = shared_room(&users).await?;
    server.stop()?;

    launch.shim = Some(Shim { sync_delay_ms: SLOW_SYNC_MS, ..Shim::new(&log)? });
    let server = launch.start()?;
    side_by_side(&users, &own, &log, "rooms of their own").await?;
    side_by_side(&users, &vec![shared; SENDERS], &log, "one room").await?;
    server.stop()
}

async fn register(launch: &Launch) -> Result<Vec<User>> {
    let http = launch.http();
    let mut users = Vec::new();
    for number in 0..SENDERS {
        users.push(User::register(&http, &format!("sender-{number}")).await?);
    }
    Ok(users)
}

async fn one_by_one(user: &User, log: &Path) -> Result<()> {
    let room = user.create_room("private_chat", &[]).await?;
    let mut log = SyncLog::follow(log)?;
    let first = log.syncs()?;
    ensure!(first > 0, "the shim noted no sync at all: was it loaded?");
    let mut before = first;
    for number in 0..SEQUENTIAL {
        user.must_send(&room, &format!("one-{number}"), "one by one").await?;
        let after = log.syncs()?;
        ensure!(after > before, "send {number} was acknowledged without a sync");
        before = after;
    }
    println!("syncs: {SEQUENTIAL} sends one by one caused {}, at least one before each answer", before - first);
    Ok(())
}

async fn own_rooms(users: &[User]) -> Result<Vec<String>> {
    let mut rooms = Vec::new();
    for user in users {
        rooms.push(user.create_room("private_chat", &[]).await?);
    }
    Ok(rooms)
}

async fn shared_room(users: &[User]) -> Result<String> {
    let room = users[0].create_room("public_chat", &[]).await?;
    for user in &users[1..] {
        user.join(&room).await?;
    }
    Ok(room)
}

async fn side_by_side(users: &[User], rooms: &[String], log: &Path, place: &str) -> Result<()> {
    let mut log = SyncLog::follow(log)?;
    let before = log.syncs()?;
    let mut senders = JoinSet::new();
    for (user, room) in users.iter().cloned().zip(rooms.iter().cloned()) {
        senders.spawn(async move {
            for number in 0..SENDS_EACH {
                user.must_send(&room, &format!("{room}-{number}"), "side by side").await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender?.with_context(|| format!("sender in {place}"))?;
    }
    let (sends, syncs) = (SENDERS as u64 * SENDS_EACH, log.syncs()? - before);
    println!("syncs: {SENDERS} senders in {place}: {sends} sends, {syncs} syncs of {SLOW_SYNC_MS} ms more");
    ensure!(syncs * SENDS_PER_SYNC <= sends, "more than one sync per {SENDS_PER_SYNC} sends");
    Ok(())
}

//! CPU of one incremental sync of a user who is in few, many and very many rooms.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use harness::process::cpu_ns;
use harness::user::text;
use harness::{Launch, Server, User};
use tokio::task::JoinSet;

use crate::crowd;
use crate::median::{RUNS, Runs, per};
use crate::table::Table;

/// Joined rooms.
const ROOMS: [usize; 3] = [50, 500, 5_000];
/// Syncs of one run.
const SYNCS: u64 = 200;
/// Rooms that are made side by side.
const AT_ONCE: usize = 32;

const US: f64 = 1_000.0;

/// One changed room, and none, at each number of joined rooms.
pub async fn incremental(launch: Launch, table: &mut Table) -> Result<()> {
    let server = launch.start()?;
    let users = crowd::register(&launch.http(), "person", 2).await?;
    let (reader, writer) = (&users[0], &users[1]);
    let room = crowd::shared_room(&users).await?;
    let mut joined = 1;
    for rooms in ROOMS {
        let began = Instant::now();
        make_rooms(reader, rooms - joined).await?;
        joined = rooms;
        println!("{rooms} rooms joined, {:.1} s", began.elapsed().as_secs_f64());
        let (mut changed, mut idle) = (Runs::default(), Runs::default());
        let mut since = text(&reader.sync(None, 0, 1).await?, "next_batch")?;
        for run in 0..RUNS {
            let mut spent = 0;
            for number in 0..SYNCS {
                let event = writer.must_send(&room, &format!("{rooms}-{run}-{number}"), "news").await?;
                let (next, cost) = until(reader, &server, &since, &room, &event).await?;
                since = next;
                spent += cost;
            }
            changed.add(per(spent, SYNCS, US));
            let before = cpu_ns(server.pid())?;
            for _ in 0..SYNCS {
                since = text(&reader.sync(Some(&since), 0, 10).await?, "next_batch")?;
            }
            idle.add(per(cpu_ns(server.pid())? - before, SYNCS, US));
        }
        table.add(
            &format!("CPU an incremental sync, {rooms} rooms joined, one changed"),
            &changed,
            "µs",
            Some(1_000.0),
        );
        table.add(&format!("CPU an incremental sync, {rooms} rooms joined, none changed"), &idle, "µs", Some(1_000.0));
    }
    server.stop()
}

/// Syncs until `event` comes; the next token, and the CPU that was spent.
async fn until(user: &User, server: &Server, since: &str, room: &str, event: &str) -> Result<(String, u64)> {
    let before = cpu_ns(server.pid())?;
    let answer = user.sync(Some(since), 10_000, 10).await?;
    let spent = cpu_ns(server.pid())? - before;
    let events = answer["rooms"]["join"][room]["timeline"]["events"].as_array().context("the changed room comes")?;
    ensure!(events.len() == 1 && events[0]["event_id"] == event, "{events:?} instead of {event}");
    Ok((text(&answer, "next_batch")?, spent))
}

/// Makes `count` rooms of the user's own.
pub async fn make_rooms(user: &User, count: usize) -> Result<()> {
    let mut makers = JoinSet::new();
    for number in 0..count {
        if number >= AT_ONCE {
            makers.join_next().await.context("makers are at work")???;
        }
        let user = user.clone();
        makers.spawn(async move { user.create_room("private_chat", &[]).await });
    }
    while let Some(maker) = makers.join_next().await {
        maker??;
    }
    Ok(())
}

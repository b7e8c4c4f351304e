//! CPU of a first sync, and of one whose token is older than what the server remembers.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use harness::process::cpu_ns;
use harness::user::text;
use harness::{Launch, Server, User};
use serde_json::Value;

use crate::crowd;
use crate::median::{RUNS, Runs, per};
use crate::syncs::make_rooms;
use crate::table::Table;

/// A new client of somebody with a few busy rooms, and syncs of one run.
const FEW_ROOMS: usize = 20;
const EVENTS: u64 = 20;
const SYNCS: u64 = 20;
/// A new client of somebody who is everywhere.
const MANY_ROOMS: usize = 2_000;
/// Rooms of somebody who comes back.
const JOINED: usize = 5_000;

const MS: f64 = 1_000_000.0;

/// First syncs of two people.
pub async fn syncs(launch: Launch, table: &mut Table) -> Result<()> {
    let server = launch.start()?;
    let users = crowd::register(&launch.http(), "person", 3).await?;
    let (few, many, other) = (&users[0], &users[1], &users[2]);
    for number in 0..FEW_ROOMS {
        let room = few.create_room("public_chat", &[]).await?;
        other.join(&room).await?;
        for message in 0..EVENTS {
            let sender = if message % 2 == 0 { few } else { other };
            sender.must_send(&room, &format!("{number}-{message}"), crowd::TEXT).await?;
        }
    }
    let limit = usize::try_from(EVENTS)?;
    let mut cpu = Runs::default();
    // The first run warms up.
    for run in 0..=RUNS {
        let before = cpu_ns(server.pid())?;
        for _ in 0..SYNCS {
            let answer = few.sync(None, 0, limit).await?;
            let rooms = joined(&answer)?;
            ensure!(rooms.len() == FEW_ROOMS, "{} rooms", rooms.len());
            let full = rooms.values().all(|room| room["timeline"]["events"].as_array().map(Vec::len) == Some(limit));
            ensure!(full, "a room lacks events");
        }
        if run > 0 {
            cpu.add(per(cpu_ns(server.pid())? - before, SYNCS, MS));
        }
    }
    table.add("CPU a first sync, 20 rooms with 20 events each", &cpu, "ms", Some(5.0));

    make_rooms(many, MANY_ROOMS).await?;
    let mut cpu = Runs::default();
    for run in 0..=RUNS {
        let before = cpu_ns(server.pid())?;
        let answer = many.sync(None, 0, 10).await?;
        if run > 0 {
            cpu.add(per(cpu_ns(server.pid())? - before, 1, MS));
        }
        ensure!(joined(&answer)?.len() == MANY_ROOMS, "rooms are missing");
    }
    table.add("CPU a first sync, 2000 rooms", &cpu, "ms", Some(400.0));
    server.stop()
}

fn joined(answer: &Value) -> Result<&serde_json::Map<String, Value>> {
    answer["rooms"]["join"].as_object().context("an answer with joined rooms")
}

/// The server has started anew: it remembers nothing of what changed before.
pub async fn outside(launch: Launch, table: &mut Table) -> Result<()> {
    let mut server = launch.start()?;
    let users = crowd::register(&launch.http(), "person", 2).await?;
    let (reader, writer) = (&users[0], &users[1]);
    let room = crowd::shared_room(&users).await?;
    let began = Instant::now();
    make_rooms(reader, JOINED - 1).await?;
    println!("{JOINED} rooms joined, {:.1} s", began.elapsed().as_secs_f64());
    let since = text(&reader.sync(None, 0, 1).await?, "next_batch")?;
    let event = writer.must_send(&room, "news", "news").await?;
    let (mut cold, mut warm) = (Runs::default(), Runs::default());
    for _ in 0..RUNS {
        server.stop()?;
        server = launch.start()?;
        cold.add(once(reader, &server, &since, &room, &event).await?);
        warm.add(once(reader, &server, &since, &room, &event).await?);
    }
    table.add("CPU a sync from outside the change window, 5000 rooms joined, just started", &cold, "ms", Some(30.0));
    table.add("the same again", &warm, "ms", Some(30.0));
    server.stop()
}

/// Milliseconds of a sync that brings `event` alone.
async fn once(user: &User, server: &Server, since: &str, room: &str, event: &str) -> Result<f64> {
    let before = cpu_ns(server.pid())?;
    let answer = user.sync(Some(since), 0, 10).await?;
    let spent = cpu_ns(server.pid())? - before;
    let rooms = joined(&answer)?;
    let events = &rooms[room]["timeline"]["events"];
    ensure!(rooms.len() == 1 && events[0]["event_id"] == event, "{events} instead of {event}");
    Ok(per(spent, 1, MS))
}

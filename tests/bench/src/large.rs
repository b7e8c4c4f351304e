//! A room of 10,000 members: CPU of a join, and how long a message takes to the last of 500 members who wait.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::process::cpu_ns;
use harness::{Http, Launch, Server, User};
use tokio::task::JoinSet;

use crate::median::{RUNS, Runs, per};
use crate::poll::Poll;
use crate::table::Table;

/// Members at which joins are measured.
const SIZES: [usize; 2] = [100, 10_000];
/// Joins of one run, one after another.
const JOINS: usize = 100;
/// Accounts that are made, and join, side by side.
const AT_ONCE: usize = 32;
/// Members who wait for the message.
const WAITING: usize = 500;
/// Members who wait when the cost of a message is measured, and messages of one run.
const ONLINE: usize = 100;
const MESSAGES: u64 = 5;
/// Longer than all of them take to ask again.
const SETTLED: Duration = Duration::from_millis(1_500);

const US: f64 = 1_000.0;

/// Joins at both sizes, then messages in the large room.
pub async fn room(launch: Launch, table: &mut Table) -> Result<()> {
    let server = launch.start()?;
    let http = launch.http();
    let owner = User::register(&http, "owner").await?;
    let room = owner.create_room("public_chat", &[]).await?;
    let (mut members, mut made) = (vec![owner], 0);
    for size in SIZES {
        let began = Instant::now();
        let more = accounts(&http, made, size - members.len()).await?;
        made += more.len();
        members.extend(all_join(more, &room).await?);
        println!("{size} members, {:.1} s", began.elapsed().as_secs_f64());
        let mut cpu = Runs::default();
        // The first run warms up.
        for run in 0..=RUNS {
            let joiners = accounts(&http, made, JOINS).await?;
            made += JOINS;
            let before = cpu_ns(server.pid())?;
            for joiner in &joiners {
                joiner.join(&room).await?;
            }
            if run > 0 {
                cpu.add(per(cpu_ns(server.pid())? - before, JOINS as u64, US));
            }
            members.extend(joiners);
        }
        table.add(&format!("CPU a join, room of {size} members"), &cpu, "µs", Some(500.0));
    }
    wake(&launch, &server, &room, &members, table).await?;
    server.stop()
}

/// Accounts whose names have the numbers from `from`.
pub async fn accounts(http: &Http, from: usize, count: usize) -> Result<Vec<User>> {
    let (mut makers, mut users) = (JoinSet::new(), Vec::with_capacity(count));
    for number in from..from + count {
        if makers.len() >= AT_ONCE {
            users.push(makers.join_next().await.context("makers are at work")???);
        }
        let http = http.clone();
        makers.spawn(async move { User::register(&http, &format!("member-{number}")).await });
    }
    while let Some(user) = makers.join_next().await {
        users.push(user??);
    }
    Ok(users)
}

async fn all_join(users: Vec<User>, room: &str) -> Result<Vec<User>> {
    let (mut joiners, mut joined) = (JoinSet::new(), Vec::with_capacity(users.len()));
    for user in users {
        if joiners.len() >= AT_ONCE {
            joined.push(joiners.join_next().await.context("joiners are at work")???);
        }
        let room = room.to_owned();
        joiners.spawn(async move {
            user.join(&room).await?;
            anyhow::Ok(user)
        });
    }
    while let Some(user) = joiners.join_next().await {
        joined.push(user??);
    }
    Ok(joined)
}

/// From the send to the last of [`WAITING`] answers, each on a connection of its own; then what a message costs with [`ONLINE`].
async fn wake(launch: &Launch, server: &Server, room: &str, members: &[User], table: &mut Table) -> Result<()> {
    let mut waiting = Vec::new();
    for user in &members[members.len() - WAITING..] {
        waiting.push(Poll::new(launch, user).await?);
    }
    let (mut last, mut median) = (Runs::default(), Runs::default());
    for run in 0..=RUNS {
        let took = message(room, members, &mut waiting, &format!("wake-{run}")).await?;
        if run > 0 {
            last.add(took[WAITING - 1]);
            median.add(took[WAITING / 2]);
        }
    }
    table.add("a message to the last of 500 who wait, room of 10,000", &last, "ms", Some(80.0));
    table.add("to the 250th of them", &median, "ms", None);

    waiting.truncate(ONLINE);
    let mut cpu = Runs::default();
    for run in 0..=RUNS {
        let mut spent = 0;
        for number in 0..MESSAGES {
            // The waits begin before the clock is read: what they cost is not the message's.
            let before = Some((server.pid(), &mut spent));
            measured(room, members, &mut waiting, &format!("online-{run}-{number}"), before).await?;
        }
        if run > 0 {
            cpu.add(per(spent, MESSAGES, 1_000_000.0));
        }
    }
    table.add("CPU a message, room of 10,000, 100 of them online and answered", &cpu, "ms", Some(9.0));
    Ok(())
}

async fn message(room: &str, members: &[User], waiting: &mut Vec<Poll>, txn: &str) -> Result<Vec<f64>> {
    measured(room, members, waiting, txn, None).await
}

/// Sends a message to all who are `waiting`; milliseconds until each had it, in order. Adds the CPU that the process spent meanwhile.
async fn measured(
    room: &str,
    members: &[User],
    waiting: &mut Vec<Poll>,
    txn: &str,
    cpu: Option<(u32, &mut u64)>,
) -> Result<Vec<f64>> {
    let mut answers = JoinSet::new();
    for client in waiting.drain(..) {
        answers.spawn(client.news());
    }
    tokio::time::sleep(SETTLED).await;
    ensure!(answers.try_join_next().is_none(), "somebody was answered although nothing had happened");
    let before = cpu.as_ref().map(|(pid, _)| cpu_ns(*pid)).transpose()?;
    let began = Instant::now();
    let event = members[0].must_send(room, txn, "Crash call, ward 7.").await?;
    let mut took = Vec::with_capacity(answers.len());
    while let Some(answer) = answers.join_next().await {
        let (client, at, answer) = answer??;
        let events = &answer["rooms"]["join"][room]["timeline"]["events"];
        ensure!(events[0]["event_id"] == event.as_str(), "{events} instead of {event}");
        took.push(at.duration_since(began).as_secs_f64() * 1_000.0);
        waiting.push(client);
    }
    if let (Some((pid, spent)), Some(before)) = (cpu, before) {
        *spent += cpu_ns(pid)? - before;
    }
    took.sort_by(f64::total_cmp);
    Ok(took)
}

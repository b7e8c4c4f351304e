//! A room of 10,000 members: CPU of a join, and how long a message takes to the last of 500 members who wait.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use harness::client::encode;
use harness::process::cpu_ns;
use harness::server::SERVER_NAME;
use harness::user::text;
use harness::{Http, Launch, User};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::median::{RUNS, Runs, per};
use crate::table::Table;

/// Members at which joins are measured.
const SIZES: [usize; 2] = [100, 10_000];
/// Joins of one run, one after another.
const JOINS: usize = 100;
/// Accounts that are made, and join, side by side.
const AT_ONCE: usize = 32;
/// Members who wait for the message.
const WAITING: usize = 500;
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
    wake(&launch, &room, &members, table).await?;
    server.stop()
}

/// Accounts whose names have the numbers from `from`.
async fn accounts(http: &Http, from: usize, count: usize) -> Result<Vec<User>> {
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

/// From the send to the last of [`WAITING`] answers, each on a connection of its own.
async fn wake(launch: &Launch, room: &str, members: &[User], table: &mut Table) -> Result<()> {
    let address = launch.address().trim_start_matches("http://").to_owned();
    let mut waiting = Vec::new();
    for user in &members[members.len() - WAITING..] {
        // A token without the state of ten thousand.
        let nothing = encode(&json!({ "room": { "rooms": [] } }).to_string());
        let first = user.get(&format!("/sync?timeout=0&filter={nothing}")).await?.ok()?;
        let stream = TcpStream::connect(&address).await?;
        stream.set_nodelay(true)?;
        waiting.push(Waiting { stream, token: user.token.clone(), since: text(&first, "next_batch")? });
    }
    let (mut last, mut median) = (Runs::default(), Runs::default());
    for run in 0..=RUNS {
        let mut answers = JoinSet::new();
        for client in waiting.drain(..) {
            answers.spawn(client.next());
        }
        tokio::time::sleep(SETTLED).await;
        ensure!(answers.try_join_next().is_none(), "somebody was answered although nothing had happened");
        let began = Instant::now();
        let event = members[0].must_send(room, &format!("wake-{run}"), "Crash call, ward 7.").await?;
        let mut took = Vec::with_capacity(WAITING);
        while let Some(answer) = answers.join_next().await {
            let (client, at, answer) = answer??;
            let events = &answer["rooms"]["join"][room]["timeline"]["events"];
            ensure!(events[0]["event_id"] == event.as_str(), "{events} instead of {event}");
            took.push(at.duration_since(began).as_secs_f64() * 1_000.0);
            waiting.push(client);
        }
        took.sort_by(f64::total_cmp);
        if run > 0 {
            last.add(took[WAITING - 1]);
            median.add(took[WAITING / 2]);
        }
    }
    table.add("a message to the last of 500 who wait, room of 10,000", &last, "ms", Some(80.0));
    table.add("to the 250th of them", &median, "ms", None);
    Ok(())
}

/// A long-poll, without a client library: what that takes on the same two cores is not the server's.
struct Waiting {
    stream: TcpStream,
    token: String,
    since: String,
}

impl Waiting {
    /// Waits for news of a room; itself with the next token, when the answer was complete, the answer. Presence is told in answers of
    /// its own; after those it asks again.
    async fn next(mut self) -> Result<(Self, Instant, Value)> {
        loop {
            let (at, answer) = self.ask().await?;
            self.since = text(&answer, "next_batch")?;
            if answer["rooms"].is_object() {
                return Ok((self, at, answer));
            }
        }
    }

    async fn ask(&mut self) -> Result<(Instant, Value)> {
        let since = encode(&self.since);
        let request = format!(
            "GET /_matrix/client/v3/sync?timeout=60000&since={since} HTTP/1.1\r\nHost: {SERVER_NAME}\r\nAuthorization: Bearer {}\r\n\r\n",
            self.token
        );
        self.stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::with_capacity(4_096);
        let body = loop {
            ensure!(self.stream.read_buf(&mut answer).await? > 0, "the server ended the connection");
            if let Some(body) = body(&answer)? {
                break body;
            }
        };
        Ok((Instant::now(), serde_json::from_slice(&answer[body..])?))
    }
}

/// Where the body of a complete answer starts.
fn body(answer: &[u8]) -> Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") {
        bail!("{head}");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("an answer states its length")?.trim().parse()?;
    Ok((answer.len() >= end + 4 + length).then_some(end + 4))
}

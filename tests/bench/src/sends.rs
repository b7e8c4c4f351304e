//! CPU of the server a message, and sends a sync.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use harness::process::cpu_ns;
use harness::server::Shim;
use harness::user::text;
use harness::{Launch, SyncLog, User};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::crowd;
use crate::median::{RUNS, Runs, per};
use crate::table::Table;

/// Senders, and members of the room in which all listen.
const PEOPLE: usize = 10;
/// Messages of each sender in one run, and before the first.
const EACH: u64 = 1_000;
const WARM_UP: u64 = 200;
/// Messages of one run with listeners; each is heard by all before the next is sent, so none shares an answer.
const HEARD: u64 = 500;
/// Senders of the run that counts syncs.
const GROUP: usize = 64;

/// How long a message may take to its listeners before the run counts as failed.
const PATIENCE: Duration = Duration::from_secs(20);

const US: f64 = 1_000.0;

/// Ten senders in ten rooms, nobody listening: alone, and with one whom the message notifies.
pub async fn quiet(launch: Launch, table: &mut Table) -> Result<()> {
    let server = launch.start()?;
    let http = launch.http();
    let users = crowd::register(&http, "sender", PEOPLE).await?;
    let alone = crowd::own_rooms(&users).await?;
    let reader = crowd::register(&http, "reader", 1).await?;
    let mut of_two = Vec::new();
    for user in &users {
        of_two.push(crowd::shared_room(&[user.clone(), reader[0].clone()]).await?);
    }
    for (rooms, place, shift) in [(alone, "10 rooms", 0), (of_two, "10 rooms of two", RUNS + 1)] {
        crowd::send_all(&users, &rooms, WARM_UP, shift + RUNS).await?;
        let (mut cpu, mut rate) = (Runs::default(), Runs::default());
        for run in shift..shift + RUNS {
            let (before, began) = (cpu_ns(server.pid())?, Instant::now());
            crowd::send_all(&users, &rooms, EACH, run).await?;
            let sends = EACH * PEOPLE as u64;
            cpu.add(per(cpu_ns(server.pid())? - before, sends, US));
            rate.add(1.0 / per(u64::try_from(began.elapsed().as_nanos())?, sends, 1e9));
        }
        let goal = (shift == 0).then_some(150.0);
        table.add(&format!("CPU a message, 10 senders in {place}, no listeners"), &cpu, "µs", goal);
        table.add("messages accepted a second, the same", &rate, "/s", None);
    }
    server.stop()
}

/// A room of ten, all syncing: the next message is sent when all have the last one.
pub async fn heard(launch: Launch, table: &mut Table) -> Result<()> {
    let server = launch.start()?;
    let users = crowd::register(&launch.http(), "member", PEOPLE).await?;
    let room = crowd::shared_room(&users).await?;
    let (heard, mut hearing) = mpsc::unbounded_channel();
    let mut listeners = JoinSet::new();
    for user in users.clone() {
        // Before the first send: what a first sync brings is not counted.
        let since = text(&user.sync(None, 0, 10).await?, "next_batch")?;
        listeners.spawn(listen(user, since, room.clone(), heard.clone()));
    }
    let mut cpu = Runs::default();
    for run in 0..=RUNS {
        let before = cpu_ns(server.pid())?;
        for number in 0..HEARD {
            let sender = &users[usize::try_from(number)? % PEOPLE];
            let event = sender.must_send(&room, &format!("{run}-{number}"), "heard").await?;
            for _ in 0..PEOPLE {
                let got = tokio::time::timeout(PATIENCE, hearing.recv()).await;
                let got = got.context("a listener heard nothing")?.context("a listener ended")?;
                anyhow::ensure!(got == event, "heard {got} instead of {event}");
            }
        }
        // The first run warms up.
        if run > 0 {
            cpu.add(per(cpu_ns(server.pid())? - before, HEARD, US));
        }
    }
    listeners.shutdown().await;
    table.add("CPU a message, room of 10, all 10 syncing, 10 answers a message", &cpu, "µs", Some(1_000.0));
    server.stop()
}

/// Syncs and hands over the id of each message.
async fn listen(user: User, mut since: String, room: String, heard: mpsc::UnboundedSender<String>) -> Result<()> {
    loop {
        let answer = user.sync(Some(&since), 30_000, 10).await?;
        for event in answer["rooms"]["join"][&room]["timeline"]["events"].as_array().into_iter().flatten() {
            if event["type"] == "m.room.message" {
                heard.send(text(event, "event_id")?)?;
            }
        }
        since = text(&answer, "next_batch")?;
    }
}

/// Sends a sync with 64 senders and the disk as it is.
pub async fn group(mut launch: Launch, folder: &Path, table: &mut Table) -> Result<()> {
    let log = folder.join("shim.log");
    launch.shim = Some(Shim::new(&log)?);
    let server = launch.start()?;
    let mut log = SyncLog::follow(&log)?;
    let users = crowd::register(&launch.http(), "sender", GROUP).await?;
    let own = crowd::own_rooms(&users).await?;
    let shared = vec![crowd::shared_room(&users).await?; GROUP];
    for (rooms, place, shift) in [(own, "64 rooms", 0), (shared, "one room", RUNS + 1)] {
        crowd::send_all(&users, &rooms, WARM_UP / 10, shift).await?;
        let mut sends = Runs::default();
        for run in 1..=RUNS {
            let before = log.syncs()?;
            crowd::send_all(&users, &rooms, EACH / 10, shift + run).await?;
            sends.add(per(EACH / 10 * GROUP as u64, log.syncs()? - before, 1.0));
        }
        table.add(&format!("sends a sync, 64 senders in {place}, disk as it is"), &sends, "", None);
    }
    server.stop()
}

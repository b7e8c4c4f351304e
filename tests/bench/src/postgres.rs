//! The same server on PostgreSQL: CPU of nodes and backends a message, events a group, latency, with one node and with several.
//! The database and the clients share the machine with the nodes.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use harness::{Http, Nodes, Scratch, User};
use tokio::task::JoinSet;

use crate::crowd;
use crate::median::{RUNS, Runs, per};
use crate::table::Table;

/// Messages of a run of one sender, and before the first.
const ALONE: u64 = 500;
/// Senders side by side.
const SENDERS: usize = 64;
/// Messages of each of them in a run, and before the first.
const EACH: u64 = 100;
const WARM_UP: u64 = 50;
/// Most nodes.
const NODES: usize = 3;

const US: f64 = 1_000.0;
const MS: f64 = 1_000_000.0;

/// With one node, two and three.
pub async fn nodes(table: &mut Table) -> Result<()> {
    for count in 1..=NODES {
        let folder = Scratch::new()?;
        let result = some(folder.path(), count, table).await;
        folder.settle(result)?;
    }
    Ok(())
}

async fn some(folder: &Path, count: usize, table: &mut Table) -> Result<()> {
    let nodes = Nodes::start(folder, count, false)?;
    let users = crowd::register(nodes.http(), "sender", SENDERS).await?;
    // Each sender's requests go to the nodes in turn.
    let users: Vec<User> = users.iter().enumerate().map(|(n, user)| user.over(&nodes.http().own_turn(n))).collect();
    let own = crowd::own_rooms(&users).await?;
    let shared = crowd::shared_room(&users).await?;
    let with = if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") };
    alone(&nodes, &users[..1], &own[..1], &with, table).await?;
    together(&nodes, &users, &own, &format!("64 rooms, {with}"), table).await?;
    together(&nodes, &users, &vec![shared; SENDERS], &format!("one room, {with}"), table).await?;
    nodes.stop()
}

/// One sender, one message after another.
async fn alone(nodes: &Nodes, user: &[User], room: &[String], with: &str, table: &mut Table) -> Result<()> {
    let mut figures = Figures::default();
    run(user, room, WARM_UP, "warm").await?;
    for number in 0..RUNS {
        figures.measure(nodes, user, room, ALONE, &format!("alone-{number}")).await?;
    }
    let what = format!("PostgreSQL, 1 sender, {with}");
    let goal = (nodes.launches.len() == 1).then_some(1_000.0);
    figures.cpu(table, &what, goal);
    table.add(&format!("latency, median: {what}"), &figures.median, "ms", None);
    table.add(&format!("latency, 99 of 100: {what}"), &figures.slow, "ms", None);
    Ok(())
}

/// All senders side by side.
async fn together(nodes: &Nodes, users: &[User], rooms: &[String], place: &str, table: &mut Table) -> Result<()> {
    let mut figures = Figures::default();
    let run_of = |number: usize| format!("{}-{number}", rooms.last().map_or("", String::as_str));
    run(users, rooms, WARM_UP, &run_of(RUNS)).await?;
    for number in 0..RUNS {
        figures.measure(nodes, users, rooms, EACH, &run_of(number)).await?;
    }
    let what = format!("PostgreSQL, 64 senders in {place}");
    let goals = nodes.launches.len() == 1 && rooms.first() != rooms.last();
    figures.cpu(table, &what, goals.then_some(500.0));
    table.add(&format!("events a group: {what}"), &figures.in_group, "", None);
    table.at_least(&format!("messages accepted a second: {what}"), &figures.rate, "/s", goals.then_some(2_500.0));
    table.add(&format!("latency, median: {what}"), &figures.median, "ms", None);
    table.add(&format!("latency, 99 of 100: {what}"), &figures.slow, "ms", None);
    Ok(())
}

#[derive(Debug, Default)]
struct Figures {
    nodes: Runs,
    database: Runs,
    both: Runs,
    in_group: Runs,
    rate: Runs,
    median: Runs,
    slow: Runs,
}

impl Figures {
    async fn measure(&mut self, nodes: &Nodes, users: &[User], rooms: &[String], each: u64, name: &str) -> Result<()> {
        let sends = each * users.len() as u64;
        let groups_before = groups(nodes).await?;
        let (of_nodes, of_database, began) = (nodes.cpu_ns()?, nodes.postgres.cpu_ns()?, Instant::now());
        let latencies = run(users, rooms, each, name).await?;
        let took = began.elapsed();
        let (of_nodes, of_database) = (nodes.cpu_ns()? - of_nodes, nodes.postgres.cpu_ns()? - of_database);
        self.nodes.add(per(of_nodes, sends, US));
        self.database.add(per(of_database, sends, US));
        self.both.add(per(of_nodes + of_database, sends, US));
        self.in_group.add(per(sends, groups(nodes).await? - groups_before, 1.0));
        self.rate.add(1.0 / per(u64::try_from(took.as_nanos())?, sends, 1e9));
        let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default();
        self.median.add(at(50).as_secs_f64() * 1e9 / MS);
        self.slow.add(at(99).as_secs_f64() * 1e9 / MS);
        Ok(())
    }

    fn cpu(&self, table: &mut Table, what: &str, goal: Option<f64>) {
        table.add(&format!("CPU a message, nodes and backends: {what}"), &self.both, "µs", goal);
        table.add(&format!("of this the nodes: {what}"), &self.nodes, "µs", None);
        table.add(&format!("of this the backends: {what}"), &self.database, "µs", None);
    }
}

/// Each user sends `each` messages to its room, one after another, all side by side; how long each took, in order of length.
async fn run(users: &[User], rooms: &[String], each: u64, name: &str) -> Result<Vec<Duration>> {
    let mut senders = JoinSet::new();
    for (user, room) in users.iter().cloned().zip(rooms.iter().cloned()) {
        let name = name.to_owned();
        senders.spawn(async move {
            let mut latencies = Vec::new();
            for number in 0..each {
                let began = Instant::now();
                user.must_send(&room, &format!("{name}-{number}"), crowd::TEXT).await?;
                latencies.push(began.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut all = Vec::new();
    while let Some(sender) = senders.join_next().await {
        all.extend(sender??);
    }
    all.sort();
    Ok(all)
}

/// Groups that all nodes committed so far, by their metrics.
async fn groups(nodes: &Nodes) -> Result<u64> {
    let mut sum = 0;
    for launch in &nodes.launches {
        sum += metric(&launch.observer()?, GROUPS).await?;
    }
    Ok(sum)
}

const GROUPS: &str = "wardstead_commit_group_batches_count";

/// The value of the counter `name`, the sum over its labels.
async fn metric(observer: &Http, name: &str) -> Result<u64> {
    let (status, text) = observer.text("/metrics").await?;
    anyhow::ensure!(status == 200, "/metrics says {status}");
    let mut sum = None;
    for line in text.lines() {
        let Some((what, value)) = line.rsplit_once(' ') else { continue };
        if what.split('{').next() == Some(name) {
            sum = Some(sum.unwrap_or(0) + value.parse::<u64>().with_context(|| format!("no counter: {line}"))?);
        }
    }
    sum.with_context(|| format!("/metrics has no {name}"))
}

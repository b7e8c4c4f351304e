//! Start and memory with a short and a long journal.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use harness::process::resident_kib;
use harness::user::text;
use harness::{Launch, User, environment};

use crate::crowd;
use crate::median::{RUNS, Runs, per};
use crate::table::Table;

/// Rows of the short journal, at least: one a message.
const SHORT: u64 = 10_000;
/// Rows of the long one, unless `ROWS` says otherwise.
const LONG: u64 = 1_000_000;
const SENDERS: usize = 64;
/// Bound of a start that is measured.
const PATIENCE: Duration = Duration::from_mins(1);

/// Fills the journal through HTTP and measures starts, after a stop and after a kill.
pub async fn start(launch: Launch, table: &mut Table) -> Result<()> {
    let mut server = launch.start()?;
    let http = launch.http();
    let users = crowd::register(&http, "sender", SENDERS).await?;
    let rooms = crowd::own_rooms(&users).await?;
    let since = text(&users[0].sync(None, 0, 10).await?, "next_batch")?;
    let mut rows = 0;
    for (part, goal) in [SHORT, environment::number("ROWS", LONG)?.max(SHORT)].into_iter().enumerate() {
        let (began, each) = (Instant::now(), (goal - rows).div_ceil(SENDERS as u64));
        crowd::send_all(&users, &rooms, each, part).await?;
        rows += each * SENDERS as u64;
        println!("{rows} messages in the journal, the last {} in {:.0} s", each * 64, began.elapsed().as_secs_f64());
        table_memory(&server, table, rows, "after they were sent")?;
        for killed in [false, true] {
            let (mut first, mut memory) = (Runs::default(), Runs::default());
            for _ in 0..RUNS {
                let ended = if killed { server.kill() } else { server.stop() };
                ended?;
                server = launch.spawn()?;
                first.add(first_answer(&users[0], &since, server.started()).await?);
                memory.add(per(resident_kib(server.pid())?, 1, 1_024.0));
            }
            let how = if killed { "SIGKILL" } else { "SIGTERM" };
            let goal = (rows > SHORT).then_some(1_000.0);
            table.add(&format!("start to first answered sync after {how}, {rows} journal rows"), &first, "ms", goal);
            table.add(&format!("resident memory then, {rows} journal rows"), &memory, "MiB", None);
        }
    }
    server.stop()
}

fn table_memory(server: &harness::Server, table: &mut Table, rows: u64, when: &str) -> Result<()> {
    let mut memory = Runs::default();
    memory.add(per(resident_kib(server.pid())?, 1, 1_024.0));
    table.add(&format!("resident memory {when}, {rows} journal rows"), &memory, "MiB", None);
    Ok(())
}

/// Milliseconds from `started` until a sync with an old token was answered.
async fn first_answer(user: &User, since: &str, started: Instant) -> Result<f64> {
    while started.elapsed() < PATIENCE {
        if user.sync(Some(since), 0, 10).await.is_ok() {
            return Ok(started.elapsed().as_secs_f64() * 1_000.0);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    None.context("no answer within a minute of the start")
}

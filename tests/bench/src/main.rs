//! Measures the server: CPU a message, a sync and small acts, syncs a send, clients that wait, a room of 10,000, keys and messages to devices, start and memory with a
//! long journal. Prints the table that
//! goes to `docs/benchmarks.md`.
//!
//! Give it a release binary. `ROWS` bounds the journal of the last part (1,000,000 by default), `ONLY` names one part.

mod acts;
mod crowd;
mod first;
mod idle;
mod keys;
mod large;
mod long_journal;
mod median;
mod poll;
mod postgres;
mod sends;
mod syncs;
mod table;

use anyhow::{Result, ensure};
use harness::{Launch, Scratch};

use table::Table;

#[tokio::main]
async fn main() -> Result<()> {
    let only = std::env::var("ONLY").ok();
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    ensure!(only.as_deref().is_none_or(|only| PARTS.contains(&only)), "ONLY is one of {PARTS:?}");
    let mut table = Table::begin()?;
    for part in PARTS.into_iter().filter(|part| wanted(part)) {
        let folder = Scratch::new()?;
        let launch = Launch::new(folder.path())?;
        let result = match part {
            "sends" => sends::quiet(launch, &mut table).await,
            "heard" => sends::heard(launch, &mut table).await,
            "group" => sends::group(launch, folder.path(), &mut table).await,
            "syncs" => syncs::incremental(launch, &mut table).await,
            "first" => first::syncs(launch, &mut table).await,
            "window" => first::outside(launch, &mut table).await,
            "acts" => acts::small(launch, &mut table).await,
            "idle" => idle::polls(launch, &mut table).await,
            "crowd" => large::room(launch, &mut table).await,
            "keys" => keys::all(launch, &mut table).await,
            "postgres" => postgres::nodes(&mut table).await,
            _ => long_journal::start(launch, &mut table).await,
        };
        folder.settle(result)?;
    }
    table.print();
    Ok(())
}

/// In the order in which they run.
const PARTS: [&str; 12] =
    ["sends", "heard", "group", "syncs", "first", "window", "acts", "idle", "crowd", "keys", "postgres", "start"];

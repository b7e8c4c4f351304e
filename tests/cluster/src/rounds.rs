//! Kills of nodes and crashes of the database at seeded moments, again and again on the same data.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::{Load, Nodes, Rng};

use crate::verify;
use crate::ward::Ward;

/// The fewest rooms that a ward can have.
const ROOMS: usize = 10;
/// Messages of each writer in a round.
const EACH: usize = 4;
/// Acknowledged sends of a round before it happens: of 80 writers.
const SENDS: (u64, u64) = (10, 160);
/// Microseconds between the last of them and what happens: anywhere within the next commits.
const MORE_US: (u64, u64) = (0, 8_000);
/// Microseconds for which a killed node stays away.
const AWAY_US: (u64, u64) = (0, 300_000);

pub async fn run(folder: &Path, rounds: usize, rng: &mut Rng) -> Result<()> {
    let mut nodes = Nodes::start(folder, 2, false)?;
    let mut ward = Ward::found(nodes.http(), ROOMS).await.context("before the first round")?;
    for round in 1..=rounds {
        // Each at least once in three rounds.
        let what = if round <= 3 { round as u64 - 1 } else { rng.range(0, 3) };
        let sends = u32::try_from(rng.range(SENDS.0, SENDS.1))?;
        let more = Duration::from_micros(rng.range(MORE_US.0, MORE_US.1));
        let away = Duration::from_micros(rng.range(AWAY_US.0, AWAY_US.1));
        let load = Load::default();
        let happens = async {
            load.acknowledged(sends).await?;
            tokio::time::sleep(more).await;
            load.set_ending(true);
            strike(&mut nodes, what, away).await
        };
        ward.work(&load, round * EACH, happens).await.with_context(|| format!("round {round}"))?;
        verify::everything(&mut ward, rng).await.with_context(|| format!("round {round}"))?;
        println!(
            "round {round}: {} {} µs after send {sends}, away for {} ms; {} messages are there",
            ["node 1 killed", "node 2 killed", "database crashed"][usize::try_from(what)?],
            more.as_micros(),
            away.as_millis(),
            ward.promised(),
        );
    }
    println!("rounds: {rounds}, {} acknowledged messages, none lost, doubled or out of order", ward.promised());
    nodes.stop()
}

async fn strike(nodes: &mut Nodes, what: u64, away: Duration) -> Result<()> {
    let node = usize::try_from(what)?;
    if node < nodes.launches.len() {
        nodes.kill(node)?;
        tokio::time::sleep(away).await;
        return nodes.start_again(node);
    }
    nodes.postgres.crash()?;
    tokio::time::sleep(away).await;
    nodes.postgres.start_again()
}

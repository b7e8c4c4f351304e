//! `/sync` in small steps is `/sync` from the start, over HTTP.
//!
//! Seeded random acts of three people in some rooms: messages, threads, edits, reactions, redactions, state, memberships, both
//! kinds of receipts, marks, tags, account data, names. Each person has devices with different filters (all, lazily loaded members,
//! small timelines that leave gaps, state after the timeline), which sync after every act or now and then. At the end each
//! device begins anew, with the same filter and a large timeline, and must be shown what it has: rooms, lines of events, state,
//! members, account data, receipts, summaries, counts.

mod act;
mod device;
mod model;

use std::path::Path;

use anyhow::{Context, Result};
use harness::{Launch, Rng, Scratch, User, environment};

use act::World;
use device::{Device, KINDS};

/// Histories, each on users and rooms of its own.
const HISTORIES: u64 = 6;
/// Acts of each.
const ACTS: usize = 150;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = Scratch::new()?;
    let result = run(folder.path()).await;
    folder.settle(result)
}

async fn run(folder: &Path) -> Result<()> {
    let seed = environment::number("SEED", 5)?;
    let server = Launch::new(folder)?;
    let running = server.start()?;
    for history in 0..environment::number("HISTORIES", HISTORIES)? {
        let seed = seed + history;
        live(&server, seed).await.with_context(|| format!("SEED={seed} HISTORIES=1 repeats it"))?;
    }
    running.stop()?;
    println!("steps: {ACTS} acts a history; what came in small steps is what a sync from the start shows");
    Ok(())
}

async fn live(server: &Launch, seed: u64) -> Result<()> {
    let http = server.http();
    let mut users = Vec::new();
    for name in ["anna", "bert", "carl"] {
        users.push(User::register(&http, &format!("{name}-{seed}")).await?);
    }
    let mut devices = Vec::new();
    for user in &users {
        for kind in KINDS {
            devices.push(Device::new(user, kind).await?);
        }
    }
    let mut world = World::new(users, seed);
    let mut rng = Rng::new(seed ^ 0xD00D);
    for number in 0..ACTS {
        let done = world.act().await.with_context(|| format!("act {number}"))?;
        for device in &mut devices {
            if device.kind.each || rng.once_in(8) {
                let said = format!("after act {number} ({done}), {} with {}", device.user.id, device.kind.name);
                device.step().await.context(said)?;
            }
        }
    }
    for device in &mut devices {
        let said = format!("{} with {}", device.user.id, device.kind.name);
        device.step().await.with_context(|| format!("{said}: the last step"))?;
        device.settle().await.with_context(|| said)?;
    }
    println!("steps: seed {seed}: {}", world.summary());
    Ok(())
}

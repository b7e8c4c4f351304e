//! Twenty rooms, eight writers in each, each request to the next of two nodes. Typing comes and goes. Then one node is killed
//! under load, and its clients go on at the other with what they hold.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::{Load, Nodes, Rng};

use crate::typing::Typing;
use crate::ward::Ward;
use crate::{Size, verify};

const ROOMS: usize = 20;
/// Microseconds between the last counted send and the kill: anywhere within the next commits.
const MORE_US: (u64, u64) = (0, 8_000);

pub async fn run(folder: &Path, size: Size, cut_bus: bool, rng: &mut Rng) -> Result<()> {
    let mut nodes = Nodes::start(folder, 2, cut_bus)?;
    let mut ward = Ward::found(nodes.http(), ROOMS).await.context("before the load")?;
    let each = size.pick(3, 25);
    let load = Load::default();
    ward.work(&load, each, async { Ok(()) }).await.context("with two nodes")?;
    verify::everything(&mut ward, rng).await.context("with two nodes")?;
    println!("turns: {} messages through two nodes, to each member once and in one order", ward.promised());

    let victim = usize::try_from(rng.range(0, 2))?;
    let mut typing = if cut_bus { None } else { Some(Typing::begin(&ward).await?) };
    if let Some(typing) = &mut typing {
        typing.comes_and_goes().await?;
        typing.begin_at(&nodes.only(victim)).await?;
    }
    let load = Load::default();
    let sends = u32::try_from(rng.range(1, (ward.writers.len() * each) as u64 / 2))?;
    let more = Duration::from_micros(rng.range(MORE_US.0, MORE_US.1));
    ward.work(&load, each * 2, async {
        load.acknowledged(sends).await?;
        tokio::time::sleep(more).await;
        load.set_ending(true);
        nodes.kill(victim)
    })
    .await
    .context("with a node that is killed")?;
    if let Some(typing) = &mut typing {
        typing.ended().await.context("typing at the node that was killed")?;
    }
    verify::everything(&mut ward, rng).await.context("after the kill")?;
    println!(
        "turns: node {} killed {} µs after send {sends}: {} messages are there, to each member once and in one order",
        victim + 1,
        more.as_micros(),
        ward.promised(),
    );
    nodes.start_again(victim).context("the killed node, again")?;
    verify::everything(&mut ward, rng).await.context("after its start")?;
    nodes.stop()
}

//! 64 senders on each of two nodes into one room: nobody is sent away, nothing is lost, and the room is not much slower than
//! with one node.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use harness::{Http, Load, Nodes, User, Writer, check};
use tokio::task::JoinSet;

use crate::ward::all;
use crate::{Size, verify};

/// Senders on each node.
const SENDERS: usize = 64;
/// The least share of the one-node rate that two nodes in one room reach.
const LEAST: f64 = 0.4;

pub async fn run(folder: &Path, size: Size) -> Result<()> {
    let nodes = Nodes::start(folder, 2, false)?;
    let each: usize = size.pick(4, 30);
    let https = [nodes.only(0), nodes.only(1)];
    let mut sides = Vec::new();
    let founder = User::register(&https[0], "founder").await?;
    let room = founder.create_room("public_chat", &[]).await?;
    for (node, http) in https.iter().enumerate() {
        sides.push(senders(http, node, &room).await?);
    }
    let [mut one, mut other] = <[Vec<Writer>; 2]>::try_from(sides).ok().context("two nodes")?;

    let mut ratios = Vec::new();
    // The first run warms up.
    for run in 0..=size.pick(1, 3) {
        let alone = rate(&mut [&mut one], each).await.context("one node")?;
        let both = rate(&mut [&mut one, &mut other], each).await.context("two nodes")?;
        println!("room: {alone:.0} messages/s with one node, {both:.0} with two: {:.0} %", both / alone * 100.0);
        if run > 0 {
            ratios.push(both / alone);
        }
    }
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ratios.len() / 2];
    let put_off: usize = https.iter().map(Http::put_off).sum();
    ensure!(put_off == 0, "{put_off} requests were answered 503");
    one.append(&mut other);
    let history = verify::history(&founder, &room).await?;
    check::messages(&history, &one, &room, true)?;
    println!("room: {} messages of {} senders on two nodes are in one room, none put off", history.len(), one.len());
    ensure!(!size.whole || ratio >= LEAST, "two nodes reach {:.0} % of one", ratio * 100.0);
    nodes.stop()
}

/// Accounts at one node that join `room`.
async fn senders(http: &Http, node: usize, room: &str) -> Result<Vec<Writer>> {
    let mut joining = JoinSet::new();
    for number in node * SENDERS..(node + 1) * SENDERS {
        let (http, room) = (http.clone(), room.to_owned());
        joining.spawn(async move {
            let user = User::register(&http, &format!("sender-{number}")).await?;
            user.join(&room).await?;
            anyhow::Ok(Writer::new(number, user, &room))
        });
    }
    all(joining).await
}

/// Lets the writers of `sides` send `each` messages more; what that comes to a second.
async fn rate(sides: &mut [&mut Vec<Writer>], each: usize) -> Result<f64> {
    let load = Load::default();
    let began = Instant::now();
    let mut sending = JoinSet::new();
    for (side, writers) in sides.iter_mut().enumerate() {
        for mut writer in writers.drain(..) {
            let load = load.clone();
            sending.spawn(async move {
                writer.send_until(writer.sent.len() + each, &load).await?;
                anyhow::Ok((side, writer))
            });
        }
    }
    let sent = all(sending).await?;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let messages = (sent.len() * each) as f64;
    for (side, writer) in sent {
        sides[side].push(writer);
    }
    Ok(messages / began.elapsed().as_secs_f64())
}

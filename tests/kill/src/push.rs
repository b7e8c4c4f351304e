//! Kills the server between the commit of events and their way to the push gateway: each due notification arrives, and none of what was
//! read meanwhile.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harness::client::encode;
use harness::{Launch, User};
use serde_json::{Value, json};

use crate::gateway::{Does, Gateway};

/// Events of a round; the first of them are read before the kill.
const EVENTS: usize = 6;
const READ: usize = 3;
/// Far beyond what a successor needs to take over and to try again.
const PATIENCE: Duration = Duration::from_mins(2);

/// One round for each way of not taking notifications.
pub async fn survive(folder: &Path) -> Result<()> {
    for (name, does) in [("fails", Does::Fails), ("hangs", Does::Hangs)] {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        round(&folder, does).await.with_context(|| format!("with a gateway that {name}"))?;
    }
    println!("push: what was acknowledged before the kill was told after it, and nothing of what was read");
    Ok(())
}

async fn round(folder: &Path, does: Does) -> Result<()> {
    let server = Launch::new(folder)?;
    let running = server.start()?;
    let http = server.http();
    let gateway = Gateway::start(does).await?;
    let (anna, bert) = (User::register(&http, "anna").await?, User::register(&http, "bert").await?);
    let room = anna.create_room("private_chat", &[&bert]).await?;
    bert.join(&room).await?;
    let pusher = json!({
        "kind": "http", "app_id": "org.example.app", "pushkey": "bert", "app_display_name": "Ward",
        "device_display_name": "Phone", "lang": "en", "data": { "url": gateway.url() },
    });
    bert.post("/pushers/set", &pusher).await?.ok().context("pushers/set")?;
    let mut events = Vec::new();
    for number in 0..EVENTS {
        events.push(anna.must_send(&room, &format!("t{number}"), &format!("Mrs Smith, {number}")).await?);
    }
    until("the gateway is asked", || Ok(gateway.refused() > 0)).await?;
    let path = format!("/rooms/{}/receipt/m.read/{}", encode(&room), encode(&events[READ - 1]));
    bert.post(&path, &json!({})).await?.ok().context("receipt")?;
    // Acknowledged, and nothing else: the server cannot have begun with it.
    events.push(anna.must_send(&room, "last", "Mr Jones").await?);
    running.kill()?;
    if !gateway.taken()?.is_empty() {
        bail!("a gateway that takes nothing took something");
    }
    gateway.does(Does::Takes);
    let running = server.start()?;
    let due = &events[READ..];
    until("all is told", || Ok(due.iter().all(|id| ids(&gateway).is_ok_and(|told| told.contains(id))))).await?;
    let told = ids(&gateway)?;
    if let Some(read) = events[..READ].iter().find(|id| told.contains(id)) {
        bail!("{read} was told, and had been read");
    }
    let mut once = told.clone();
    once.dedup();
    if once != due {
        bail!("told were {told:?}, not {due:?} in this order");
    }
    running.stop()
}

/// The events that the gateway was told of, in order.
fn ids(gateway: &Gateway) -> Result<Vec<String>> {
    let id = |told: &Value| told["event_id"].as_str().map(str::to_owned);
    Ok(gateway.taken()?.iter().filter_map(id).collect())
}

async fn until(what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while !is_so()? {
        if Instant::now() > end {
            bail!("{what}: not within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

//! Keys of devices and messages to devices: uploads, queries, claims, sends.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use harness::client::encode;
use harness::process::cpu_ns;
use harness::{Device, Http, Launch, User};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::crowd;
use crate::median::{RUNS, Runs, per};
use crate::table::Table;

/// One-time keys of one upload.
const KEYS: usize = 50;
/// Uploads of one run.
const UPLOADS: usize = 20;
/// Users, and devices of each, of one query.
const OWNERS: usize = 50;
const DEVICES: usize = 10;
/// Queries of one run.
const QUERIES: u64 = 10;
/// Clients that ask at the same time.
const AT_ONCE: usize = 64;
/// Keys claimed, and requests of messages sent, in one run.
const CLAIMS: usize = 2_000;
const SENDS: usize = 500;
/// Users of a request that sends messages.
const RECIPIENTS: usize = 10;

const MS: f64 = 1_000_000.0;

/// Everything about keys, one after another, then messages to devices.
pub async fn all(launch: Launch, table: &mut Table) -> Result<()> {
    let server = launch.start()?;
    let http = launch.http();
    let mut devices = Vec::new();
    for number in 0..OWNERS {
        devices.push(User::register(&http, &format!("owner-{number}")).await?);
        for _ in 1..DEVICES {
            devices.push(User::sign_in(&http, &format!("owner-{number}")).await?);
        }
    }
    let mut signed = Vec::new();
    for (number, user) in (0..).zip(devices) {
        let device = Device::of(user, number).await?;
        device.upload_identity().await?;
        signed.push(device);
    }
    uploads(server.pid(), &signed, table).await?;
    queries(server.pid(), &signed, table).await?;
    claims(&http, &signed, table).await?;
    messages(&http, &signed, table).await?;
    server.stop()
}

async fn uploads(pid: u32, devices: &[Device], table: &mut Table) -> Result<()> {
    let mut cpu = Runs::default();
    for run in 0..=RUNS {
        let bodies: Vec<Value> =
            devices.iter().take(UPLOADS).map(|device| device.one_time_keys(1_000_000 + run * KEYS, KEYS)).collect();
        let before = cpu_ns(pid)?;
        for (device, body) in devices.iter().zip(&bodies) {
            device.user.post("/keys/upload", body).await?.ok().context("one-time keys")?;
        }
        if run > 0 {
            cpu.add(per(cpu_ns(pid)? - before, UPLOADS as u64, MS));
        }
    }
    table.add("CPU an upload of 50 signed one-time keys", &cpu, "ms", Some(5.0));
    Ok(())
}

async fn queries(pid: u32, devices: &[Device], table: &mut Table) -> Result<()> {
    let owners: Map<String, Value> = devices.iter().map(|device| (device.user.id.clone(), json!([]))).collect();
    let body = json!({ "device_keys": owners });
    let mut cpu = Runs::default();
    for run in 0..=RUNS {
        let before = cpu_ns(pid)?;
        for _ in 0..QUERIES {
            let answer = devices[0].user.post("/keys/query", &body).await?.ok().context("query")?;
            let users = answer["device_keys"].as_object().context("device_keys")?;
            let found: usize = users.values().filter_map(Value::as_object).map(Map::len).sum();
            ensure!(found == OWNERS * DEVICES, "{found} devices");
        }
        if run > 0 {
            cpu.add(per(cpu_ns(pid)? - before, QUERIES, MS));
        }
    }
    table.add("CPU a query of the keys of 500 devices", &cpu, "ms", Some(10.0));
    Ok(())
}

/// Each claim is of one key of one device, as a client's is that begins to talk to somebody.
async fn claims(http: &Http, devices: &[Device], table: &mut Table) -> Result<()> {
    let claimer = crowd::register(http, "claimer", 1).await?.remove(0);
    let mut rate = Runs::default();
    for run in 0..=RUNS {
        let targets = devices.len().min(CLAIMS / KEYS);
        for device in &devices[..targets] {
            let body = device.one_time_keys(2_000_000 + run * KEYS, KEYS);
            device.user.post("/keys/upload", &body).await?.ok().context("one-time keys")?;
        }
        let wanted: Vec<Value> = (0..CLAIMS)
            .map(|number| {
                let device = &devices[number % targets];
                json!({ "one_time_keys": { &device.user.id: { &device.id: "signed_curve25519" } } })
            })
            .collect();
        let began = Instant::now();
        side_by_side(wanted, |body, _| {
            let claimer = claimer.clone();
            async move {
                let answer = claimer.post("/keys/claim", &body).await?.ok().context("claim")?;
                let got = answer["one_time_keys"].as_object().context("one_time_keys")?;
                ensure!(got.len() == 1, "no key: {answer}");
                Ok(())
            }
        })
        .await?;
        if run > 0 {
            rate.add(a_second(CLAIMS, began));
        }
    }
    table.at_least("one-time keys claimed a second, one a request, 64 clients", &rate, "/s", Some(2_000.0));
    Ok(())
}

async fn messages(http: &Http, devices: &[Device], table: &mut Table) -> Result<()> {
    let sender = crowd::register(http, "sender", 1).await?.remove(0);
    let mut rate = Runs::default();
    for run in 0..=RUNS {
        let bodies: Vec<Value> = (0..SENDS)
            .map(|number| {
                let to: Map<String, Value> = (0..RECIPIENTS)
                    .map(|recipient| {
                        let device = &devices[(number * RECIPIENTS + recipient) * DEVICES % devices.len()];
                        let content = json!({ "algorithm": "m.olm.v1.curve25519-aes-sha2", "ciphertext": crowd::TEXT });
                        (device.user.id.clone(), json!({ &device.id: content }))
                    })
                    .collect();
                json!({ "messages": to })
            })
            .collect();
        let began = Instant::now();
        side_by_side(bodies, |body, number| {
            let sender = sender.clone();
            async move {
                let path = format!("/sendToDevice/m.room.encrypted/{}", encode(&format!("{run}-{number}")));
                sender.put(&path, &body).await?.ok().context("sendToDevice").map(drop)
            }
        })
        .await?;
        if run > 0 {
            rate.add(a_second(SENDS * RECIPIENTS, began));
        }
    }
    table.at_least("messages to devices a second, 10 recipients a request, 64 clients", &rate, "/s", Some(5_000.0));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn a_second(count: usize, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

/// Does `act` with each of `things`, at most [`AT_ONCE`] at the same time.
async fn side_by_side<F, A>(things: Vec<Value>, act: F) -> Result<()>
where
    F: Fn(Value, usize) -> A,
    A: Future<Output = Result<()>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for (number, thing) in things.into_iter().enumerate() {
        if running.len() >= AT_ONCE {
            running.join_next().await.context("requests run")???;
        }
        running.spawn(act(thing, number));
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}

//! One-time keys of one device, claimed at two nodes at once by twice as many as there are keys.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use harness::{Device, Nodes, User};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const KEYS: usize = 1_000;
const CLAIMS: usize = 2 * KEYS;
/// Keys of one upload.
const UPLOAD: usize = 50;
/// Claims under way at each node.
const AT_ONCE: usize = 64;

pub async fn run(folder: &Path) -> Result<()> {
    let nodes = Nodes::start(folder, 2, false)?;
    let owner = Device::of(User::register(nodes.http(), "owner").await?, 1).await?;
    owner.upload_identity().await?;
    for from in (0..KEYS).step_by(UPLOAD) {
        let body = owner.one_time_keys(from, UPLOAD);
        owner.user.post("/keys/upload", &body).await?.ok().context("one-time keys")?;
    }
    let claimer = User::register(nodes.http(), "claimer").await?;
    let wanted = json!({ "one_time_keys": { &owner.user.id: { &owner.id: "signed_curve25519" } } });
    let mut claims = JoinSet::new();
    let (mut given, mut nothing) = (HashSet::new(), 0);
    for number in 0..CLAIMS {
        if claims.len() >= 2 * AT_ONCE {
            note(&owner, &claims.join_next().await.context("claims run")???, &mut given, &mut nothing)?;
        }
        let (claimer, wanted) = (claimer.over(&nodes.only(number % 2)), wanted.clone());
        claims.spawn(async move { claimer.post("/keys/claim", &wanted).await?.ok().context("claim") });
    }
    while let Some(answer) = claims.join_next().await {
        note(&owner, &answer??, &mut given, &mut nothing)?;
    }
    ensure!(given.len() == KEYS && nothing == CLAIMS - KEYS, "{} keys given, {nothing} claims in vain", given.len());
    println!("claims: {CLAIMS} claims at two nodes of {KEYS} keys: each was given once");
    nodes.stop()
}

/// What a claim was answered: a key that nobody else was given, or nothing.
fn note(owner: &Device, answer: &Value, given: &mut HashSet<String>, nothing: &mut usize) -> Result<()> {
    match answer["one_time_keys"][&owner.user.id][&owner.id].as_object() {
        Some(keys) => {
            for name in keys.keys() {
                ensure!(given.insert(name.clone()), "{name} was given twice");
            }
        }
        None => *nothing += 1,
    }
    Ok(())
}

//! Backup and restore by the program's commands, and keys for encryption: what may have been given away since the backup is not given
//! again.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use harness::command::{configuration, path, succeeded, wardstead};
use harness::device::ALGORITHM;
use harness::{Device, Launch, User, promised};
use serde_json::{Value, json};

/// One-time keys that are in the backup.
const KEYS: usize = 5;
/// Number of the first one-time key that is uploaded after the restore, and how many.
const LATER: (usize, usize) = (20, 3);
/// Numbers of the fallback key that is in the backup, and of the one that is uploaded after the restore.
const FALLBACK: (u64, u64) = (90, 91);

/// Restores the same backup with and without its sessions.
pub async fn void(folder: &Path) -> Result<()> {
    let launch = Launch::new(folder)?;
    let server = launch.start()?;
    let http = launch.http();
    let anna = Device::of(User::register(&http, "anna").await?, 1).await?;
    let bert = User::register(&http, "bert").await?;
    anna.upload_identity().await?;
    upload(&anna, &anna.one_time_keys(0, KEYS)).await?;
    upload(&anna, &anna.fallback_key(FALLBACK.0)).await?;
    let answer = anna.user.sync(None, 0, 1).await?;
    ensure!(told(&answer) == (Some(KEYS as u64), true), "before the backup: {answer}");
    let mut tokens = vec![harness::user::text(&answer, "next_batch")?];

    let to = folder.join("backup");
    let config = configuration(folder, launch.data())?;
    let said = wardstead(&launch, &["backup", "--config", path(&config)?, "--to", path(&to)?]).await?;
    succeeded(&said).context("backup")?;
    // All that is in the backup is given away after it.
    for number in 0..KEYS {
        let given = claim(&bert, &anna).await?;
        ensure!(given == one_time(number), "claimed {given:?} before the restore");
    }
    let given = claim(&bert, &anna).await?;
    ensure!(given == fallback(FALLBACK.0), "claimed {given:?} when all others were gone");
    tokens.push(harness::user::text(&anna.user.sync(None, 0, 1).await?, "next_batch")?);
    server.stop()?;

    for (name, keep) in [("kept", true), ("ended", false)] {
        let place = folder.join(name);
        std::fs::create_dir(&place)?;
        let restored = Launch::new(&place)?;
        let config = configuration(&place, restored.data())?;
        let mut arguments = vec!["restore", "--config", path(&config)?, "--from", path(&to)?];
        arguments.extend(keep.then_some("--keep-sessions"));
        let said = wardstead(&restored, &arguments).await?;
        succeeded(&said).context("restore")?;
        print!("restore: {}", String::from_utf8_lossy(&said.stdout));
        let server = restored.start()?;
        let http = restored.http();
        let (anna, bert) = if keep {
            (anna.with(anna.user.over(&http)), bert.over(&http))
        } else {
            let user = User::sign_in_on(&http, "anna", &anna.id).await?;
            (anna.with(user), User::sign_in(&http, "bert").await?)
        };
        nothing_again(&anna, &bert, &tokens).await.with_context(|| format!("sessions {name}"))?;
        server.stop()?;
    }
    println!("restore: no key of the backup is given again, its owner is told so, and new ones are given");
    Ok(())
}

/// After the restore. `tokens` are of the owner's device, from before the backup and from after it.
async fn nothing_again(anna: &Device, bert: &User, tokens: &[String]) -> Result<()> {
    // Before anybody claims anything.
    for since in tokens.iter().map(|token| Some(token.as_str())).chain([None]) {
        let answer = anna.user.sync(since, 0, 1).await?;
        promised!(told(&answer) == (Some(0), false), "the owner is told of {:?} from {since:?}", told(&answer));
    }
    let counts = upload(anna, &json!({})).await?;
    promised!(counts == 0, "an upload is told of {counts} keys");
    for _ in 0..=KEYS {
        let given = claim(bert, anna).await?;
        promised!(given == fallback(FALLBACK.0), "after the restore, {given:?} is given");
    }
    // A client that does not know of the restore uploads again what it takes to be there.
    let counts = upload(anna, &anna.one_time_keys(0, KEYS)).await?;
    let given = claim(bert, anna).await?;
    promised!(counts == 0 && given == fallback(FALLBACK.0), "uploaded again, {counts} count, and {given:?} is given");

    let counts = upload(anna, &anna.one_time_keys(LATER.0, LATER.1)).await?;
    ensure!(counts == LATER.1 as u64, "of {} new keys {counts} count", LATER.1);
    for number in LATER.0..LATER.0 + LATER.1 {
        let given = claim(bert, anna).await?;
        ensure!(given == one_time(number), "of the new keys, {given:?} is given and not {number}");
    }
    upload(anna, &anna.fallback_key(FALLBACK.1)).await?;
    let answer = anna.user.sync(None, 0, 1).await?;
    ensure!(told(&answer) == (Some(0), true), "the new fallback key: {answer}");
    let given = claim(bert, anna).await?;
    ensure!(given == fallback(FALLBACK.1), "in the place of the new fallback key {given:?} is given");
    Ok(())
}

/// Uploads; how many one-time keys the server then says that there are.
async fn upload(device: &Device, body: &Value) -> Result<u64> {
    let answer = device.user.post("/keys/upload", body).await?.ok().context("keys/upload")?;
    Ok(answer["one_time_key_counts"][ALGORITHM].as_u64().unwrap_or_default())
}

/// The id of the key that somebody who claims one is given; empty if there is none.
async fn claim(by: &User, of: &Device) -> Result<String> {
    let body = json!({ "one_time_keys": { &of.user.id: { &of.id: ALGORITHM } } });
    let answer = by.post("/keys/claim", &body).await?.ok().context("keys/claim")?;
    let given = answer["one_time_keys"][&of.user.id][&of.id].as_object();
    Ok(given.and_then(|keys| keys.keys().next().cloned()).unwrap_or_default())
}

fn one_time(number: usize) -> String {
    format!("{ALGORITHM}:K{number}")
}

fn fallback(number: u64) -> String {
    format!("{ALGORITHM}:F{number}")
}

/// What a sync tells: how many one-time keys are left, and whether nobody was given the fallback key.
fn told(answer: &Value) -> (Option<u64>, bool) {
    let unused = answer["device_unused_fallback_key_types"].as_array();
    let unused = unused.is_some_and(|types| types.iter().any(|name| name == ALGORITHM));
    (answer["device_one_time_keys_count"][ALGORITHM].as_u64(), unused)
}

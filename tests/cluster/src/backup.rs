//! Backup under load, restore elsewhere: what was acknowledged before the backup began is there, sessions are not, and one byte
//! turned over is found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use harness::{Http, Launch, Load, Message, Reader, Rng, User, promised};
use harness::{check, server::SERVER_NAME, user::text};
use hyper::Method;
use serde_json::json;

use crate::verify::history;
use crate::ward::Ward;

/// The fewest rooms that a ward can have.
const ROOMS: usize = 10;
/// Messages of each writer around each backup.
const EACH: usize = 6;
/// Acknowledged sends before each backup: of 80 writers.
const SENDS: (u64, u64) = (40, 240);
/// Bytes that are turned over, each alone, in the backup and in the data.
const FLIPS: usize = 3;

pub async fn run(folder: &Path, rng: &mut Rng) -> Result<()> {
    let launch = Launch::new(folder)?;
    let server = launch.start()?;
    let config = configuration(folder, launch.data())?;
    let to = folder.join("backup");
    let mut ward = Ward::found(&launch.http(), ROOMS).await.context("before the load")?;
    let session = Session::begin(&launch.http(), "user-0").await?;
    let early = ward.readers.clone();

    let mut promised = Vec::new();
    // The second is incremental.
    for backup in 1..=2 {
        let load = Load::default();
        let sends = u32::try_from(rng.range(SENDS.0, SENDS.1))?;
        let earlier: Vec<(usize, usize)> = everything(&ward);
        let taken = async {
            load.acknowledged(sends).await?;
            promised = earlier;
            promised.extend(load.so_far());
            let said = wardstead(&launch, &["backup", "--config", path(&config)?, "--to", path(&to)?]).await?;
            print!("backup {backup} after send {sends}: {}", String::from_utf8_lossy(&said.stdout));
            succeeded(&said)
        };
        ward.work(&load, backup * EACH, taken).await.with_context(|| format!("backup {backup}"))?;
    }
    server.stop()?;
    let verified = wardstead(&launch, &["verify", "--config", path(&config)?, "--backup", path(&to)?]).await?;
    succeeded(&verified).context("verify of a good backup")?;

    let restored = Elsewhere::restore(folder, "elsewhere", &to, false).await?;
    let server = restored.launch.start()?;
    let http = restored.launch.http();
    refused(&http, &ward.readers, &session).await?;
    let again = sign_in(&http, &ward).await?;
    all_there(&ward, &promised, &again).await?;
    tokens(&ward, &promised, &early, &again).await?;
    server.stop()?;

    let kept = Elsewhere::restore(folder, "kept", &to, true).await?;
    let server = kept.launch.start()?;
    for reader in &ward.readers {
        let answer = reader.user.over(&kept.launch.http()).get("/account/whoami").await?;
        ensure!(answer.status == 200, "with --keep-sessions: {} {}", answer.status, answer.body);
    }
    server.stop()?;
    println!("backup: {} messages acknowledged before it began are there, older sessions are not", promised.len());

    turned_over(&launch, &["verify", "--config", path(&config)?, "--backup", path(&to)?], &to, rng).await?;
    turned_over(&launch, &["verify", "--config", path(&restored.config)?], restored.launch.data(), rng).await
}

/// What is acknowledged of all writers: writer and sequence number.
fn everything(ward: &Ward) -> Vec<(usize, usize)> {
    ward.writers.iter().flat_map(|writer| (0..writer.sent.len()).map(|sequence| (writer.number, sequence))).collect()
}

/// The configuration of a server whose data is in `data`.
fn configuration(folder: &Path, data: &Path) -> Result<PathBuf> {
    let file = folder.join("config.toml");
    let data = path(data)?;
    std::fs::write(&file, format!("[server]\nname = \"{SERVER_NAME}\"\n[data]\ndir = '{data}'\n"))?;
    Ok(file)
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path of the test is text")
}

/// Runs the program with `arguments` to its end.
async fn wardstead(launch: &Launch, arguments: &[&str]) -> Result<Output> {
    let mut command: Command = launch.program();
    command.args(arguments);
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

fn succeeded(output: &Output) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ended with {}: {said}", output.status);
    Ok(())
}

/// A restored server.
struct Elsewhere {
    launch: Launch,
    config: PathBuf,
}

impl Elsewhere {
    async fn restore(folder: &Path, name: &str, from: &Path, keep_sessions: bool) -> Result<Self> {
        let place = folder.join(name);
        std::fs::create_dir(&place)?;
        let launch = Launch::new(&place)?;
        let config = configuration(&place, launch.data())?;
        let mut arguments = vec!["restore", "--config", path(&config)?, "--from", path(from)?];
        if keep_sessions {
            arguments.push("--keep-sessions");
        }
        let said = wardstead(&launch, &arguments).await?;
        print!("restore: {}", String::from_utf8_lossy(&said.stdout));
        succeeded(&said).context("restore")?;
        Ok(Self { launch, config })
    }
}

/// A session with a refresh token.
struct Session {
    refresh_token: String,
}

impl Session {
    async fn begin(http: &Http, name: &str) -> Result<Self> {
        let identifier = json!({ "type": "m.id.user", "user": name });
        let body = json!({
            "type": "m.login.password", "identifier": identifier, "password": User::password(), "refresh_token": true,
        });
        let answer =
            http.call(Method::POST, "/_matrix/client/v3/login", None, Some(&body)).await?.ok().context("login")?;
        Ok(Self { refresh_token: text(&answer, "refresh_token")? })
    }
}

/// Access and refresh tokens from before the restore are refused, and clients are told to keep their data (Client-Server API,
/// Soft logout).
async fn refused(http: &Http, readers: &[Reader], session: &Session) -> Result<()> {
    for reader in readers {
        let answer = reader.user.over(http).get("/account/whoami").await?;
        let soft = answer.body["errcode"] == "M_UNKNOWN_TOKEN" && answer.body["soft_logout"] == true;
        promised!(answer.status == 401 && soft, "an access token after the restore: {} {}", answer.status, answer.body);
    }
    let body = json!({ "refresh_token": session.refresh_token });
    let answer = http.call(Method::POST, "/_matrix/client/v3/refresh", None, Some(&body)).await?;
    let soft = answer.body["errcode"] == "M_UNKNOWN_TOKEN" && answer.body["soft_logout"] == true;
    promised!(answer.status == 401 && soft, "a refresh token after the restore: {} {}", answer.status, answer.body);
    Ok(())
}

/// Signs every user in again; by user id.
async fn sign_in(http: &Http, ward: &Ward) -> Result<BTreeMap<String, User>> {
    let mut again = BTreeMap::new();
    for reader in &ward.readers {
        let answer =
            User::login(http, &reader.user.id, User::password()).await?.ok().context("login after the restore")?;
        let mut user = reader.user.over(http);
        user.token = text(&answer, "access_token")?;
        again.insert(user.id.clone(), user);
    }
    Ok(again)
}

/// Each room has what was promised, with its event id, and of each writer nothing with a hole before it.
async fn all_there(ward: &Ward, promised: &[(usize, usize)], again: &BTreeMap<String, User>) -> Result<()> {
    for room in &ward.rooms {
        let writer = ward.writers.iter().find(|writer| writer.room == *room).context("a room has writers")?;
        let messages = history(&again[&writer.user.id], room).await?;
        // Messages from after the backup are missing; what is left of each writer must be a beginning of what it sent.
        let mut cut: Vec<_> = ward.writers.iter().filter(|writer| writer.room == *room).cloned().collect();
        for writer in &mut cut {
            let kept = (0..writer.sent.len()).take_while(|n| has(&messages, &writer.label(*n))).count();
            writer.sent.truncate(kept);
        }
        check::messages(&messages, &cut, room, true).context("after the restore")?;
        for (number, sequence) in promised {
            let there = cut.iter().find(|writer| writer.number == *number).is_none_or(|w| w.sent.len() > *sequence);
            promised!(there, "message {sequence} of writer {number}, acknowledged before the backup began");
        }
    }
    Ok(())
}

fn has(messages: &[Message], body: &str) -> bool {
    messages.iter().any(|message| message.body == body)
}

/// A sync token from before the backup brings what came between; one from after it, which the restored server never issued,
/// is answered with what there is.
async fn tokens(
    ward: &Ward,
    promised: &[(usize, usize)],
    early: &[Reader],
    again: &BTreeMap<String, User>,
) -> Result<()> {
    for reader in early {
        let mut reader = Reader { user: again[&reader.user.id].clone(), ..reader.clone() };
        reader.catch_up().await.context("from a token from before the backup")?;
        for (number, sequence) in promised {
            let writer = &ward.writers[*number];
            let follows = reader.rooms.contains_key(&writer.room);
            let label = writer.label(*sequence);
            promised!(!follows || has(reader.messages(&writer.room), &label), "{label} for {}", reader.user.id);
        }
    }
    for reader in &ward.readers {
        let user = &again[&reader.user.id];
        let answer = user.sync(reader.since.as_deref(), 0, 10).await.context("from a token from after the backup")?;
        for (room, _) in reader.rooms.iter().filter(|(room, _)| ward.rooms.contains(room)) {
            let newest = history(user, room).await?.pop().context("a room has messages")?;
            let timeline = answer["rooms"]["join"][room]["timeline"]["events"].as_array();
            let shown =
                timeline.is_some_and(|events| events.iter().any(|event| event["event_id"] == newest.event.as_str()));
            promised!(shown, "the newest message of {room} for {}, whose token is from after the backup", user.id);
        }
    }
    Ok(())
}

/// Turns bytes over, one at a time, and demands that `verify` names the file.
async fn turned_over(launch: &Launch, verify: &[&str], folder: &Path, rng: &mut Rng) -> Result<()> {
    let mut files = Vec::new();
    tables(folder, &mut files)?;
    files.sort();
    ensure!(!files.is_empty(), "no table below {}", folder.display());
    for _ in 0..FLIPS {
        let file = &files[usize::try_from(rng.range(0, files.len() as u64))?];
        let good = std::fs::read(file)?;
        let mut bad = good.clone();
        let at = usize::try_from(rng.range(0, good.len() as u64))?;
        bad[at] ^= 1 << rng.range(0, 8);
        std::fs::write(file, &bad)?;
        let output = wardstead(launch, verify).await?;
        std::fs::write(file, &good)?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let name = file.file_name().and_then(|name| name.to_str()).context("a file has a name")?;
        promised!(
            output.status.code() == Some(1),
            "verify with byte {at} of {name} turned over: {}\n{said}",
            output.status
        );
        promised!(said.contains(name), "verify does not name {name}:\n{said}");
        println!("backup: verify finds byte {at} of {name}");
    }
    let output = wardstead(launch, verify).await?;
    succeeded(&output).context("verify when all is as it was")
}

/// `RocksDB`'s table files below `folder`.
fn tables(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            tables(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "sst") && path.metadata()?.len() > 0 {
            files.push(path);
        }
    }
    Ok(())
}

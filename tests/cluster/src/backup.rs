//! Backup under load, restore elsewhere: what was acknowledged before the backup began is there, sessions are not, and one byte
//! turned over is found.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use harness::command::{configuration, path, succeeded, wardstead};
use harness::{Launch, Load, Rng, promised};

use crate::restored::{all_there, everything, refused, sign_in, tokens};
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
    refused(&http, &ward.readers).await?;
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

//! The same on PostgreSQL, as its documentation and ours say: a base backup under load, started elsewhere, `restore
//! --after-restore`, and one byte of a row turned over.

use std::path::Path;

use anyhow::{Context, Result};
use harness::command::{path, succeeded, wardstead};
use harness::nodes::DATABASE;
use harness::server::SERVER_NAME;
use harness::{Launch, Load, Nodes, Postgres, Rng, promised};

use crate::restored::{all_there, everything, refused, sign_in, tokens};
use crate::ward::Ward;

/// The fewest rooms that a ward can have.
const ROOMS: usize = 10;
/// Messages of each writer before the load, and with it.
const EACH: usize = 3;
/// Acknowledged sends before the backup: of 80 writers.
const SENDS: (u64, u64) = (20, 200);
/// Rows of which a byte is turned over, each alone.
const FLIPS: u64 = 3;

pub async fn run(folder: &Path, rng: &mut Rng) -> Result<()> {
    let nodes = Nodes::start(folder, 2, false)?;
    let mut ward = Ward::found(nodes.http(), ROOMS).await.context("before the load")?;
    ward.work(&Load::default(), EACH, async { Ok(()) }).await?;
    let early = ward.readers.clone();

    let load = Load::default();
    let sends = u32::try_from(rng.range(SENDS.0, SENDS.1))?;
    let mut promised = everything(&ward);
    let mut elsewhere = None;
    let taken = async {
        load.acknowledged(sends).await?;
        promised.extend(load.so_far());
        elsewhere = Some(nodes.postgres.base_backup(folder, "restored-postgres.log")?);
        Ok(())
    };
    ward.work(&load, EACH * 2, taken).await.context("during the base backup")?;
    nodes.stop()?;

    let mut database = elsewhere.context("a base backup was taken")?;
    database.start_again()?;
    let launch = Launch::node(folder, "restored", &database.url(DATABASE))?;
    let config = folder.join("restored.toml");
    let text = format!(
        "[server]\nname = \"{SERVER_NAME}\"\n[database]\nurl = \"{}\"\n[cluster]\ndurability = \"primary\"\n",
        database.url(DATABASE)
    );
    std::fs::write(&config, text)?;
    let said = wardstead(&launch, &["restore", "--config", path(&config)?, "--after-restore"]).await?;
    print!("restore: {}", String::from_utf8_lossy(&said.stdout));
    succeeded(&said).context("restore --after-restore")?;

    let server = launch.start()?;
    let http = launch.http();
    refused(&http, &ward.readers).await?;
    let again = sign_in(&http, &ward).await?;
    all_there(&ward, &promised, &again).await?;
    tokens(&ward, &promised, &early, &again).await?;
    server.stop()?;
    println!("backup: {} messages acknowledged before the base backup began are there", promised.len());
    turned_over(&launch, path(&config)?, &database, rng).await
}

/// Turns over one bit of a row and demands that `verify` names it.
async fn turned_over(launch: &Launch, config: &str, database: &Postgres, rng: &mut Rng) -> Result<()> {
    let verify = ["verify", "--config", config];
    succeeded(&wardstead(launch, &verify).await?).context("verify of a good database")?;
    let rows: u64 = database.sql(DATABASE, "SELECT count(*) FROM wardstead.scan")?.parse()?;
    for _ in 0..FLIPS {
        let row = rng.range(0, rows);
        let flip = format!(
            "WITH one AS (SELECT k FROM wardstead.scan ORDER BY k OFFSET {row} LIMIT 1) \
             UPDATE wardstead.scan s SET v = set_byte(v, length(v) * 3 / 4, get_byte(v, length(v) * 3 / 4) # 4) \
             FROM one WHERE s.k = one.k RETURNING encode(substr(s.k, 11), 'hex')"
        );
        let key = database.sql(DATABASE, &flip)?;
        let output = wardstead(launch, &verify).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        promised!(output.status.code() == Some(1), "verify with a changed row {key}: {}\n{said}", output.status);
        promised!(said.contains(&key), "verify does not name row {key}:\n{said}");
        println!("backup: verify finds a changed byte in row {key}");
        promised!(database.sql(DATABASE, &flip)? == key, "the same row again");
    }
    Ok(())
}

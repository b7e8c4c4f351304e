//! Kills the server at seeded moments and looks for what it promised.
//!
//! `kill rounds N` starts a server, lets eight writers, a founder and readers work, ends it with SIGKILL in the middle (in
//! every second round the files are then cut back to what was synced), starts it again on the same data, and demands that
//! every acknowledged write is there exactly once and in order. `kill loss` does the same to a server whose syncs of
//! the write-ahead log are overlooked, and demands that the loss is seen. `kill push` kills it between the commit of events and
//! the push gateway, which is told of them afterwards. `kill inbox N` kills it N times while messages to a device queue up, as
//! often while they are read page by page, and as often while both happens; some answers are lost, too, and every message must come
//! once. `kill restore` restores a backup, and no key for encryption that may have been given away since is given again. `kill shim`
//! proves the shim itself.
//!
//! `SEED` repeats a run's choices.

mod founder;
mod gateway;
mod inbox;
mod push;
mod receiver;
mod restore;
mod rounds;
mod secrets;
mod selftest;
mod sender;
mod verify;
mod ward;

use anyhow::{Context, Result, bail};
use harness::{Scratch, environment};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let folder = Scratch::new()?;
    let result = match words[..] {
        ["shim"] => selftest::run(folder.path()),
        ["rounds", count] => {
            rounds::survive(folder.path(), seed()?, count.parse().context("rounds is a number")?).await
        }
        ["push"] => push::survive(folder.path()).await,
        ["inbox", kills] => inbox::survive(folder.path(), seed()?, kills.parse().context("kills is a number")?).await,
        ["restore"] => restore::void(folder.path()).await,
        ["loss"] => rounds::expect_loss(folder.path(), seed()?).await,
        _ => bail!("usage: kill shim | kill rounds N | kill loss | kill push | kill inbox N | kill restore"),
    };
    folder.settle(result)
}

fn seed() -> Result<u64> {
    let random = u64::from(std::process::id()) << 20 | u64::from(std::time::UNIX_EPOCH.elapsed()?.subsec_micros());
    let seed = environment::number("SEED", random)?;
    println!("seed: SEED={seed} repeats these choices");
    Ok(seed)
}

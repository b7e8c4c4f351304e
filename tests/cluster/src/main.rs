//! Several nodes on one PostgreSQL, and what is done to them.
//!
//! - `cluster turns`: twenty rooms, each request to the next of two nodes, typing, then one node is killed; `cluster turns
//!   cut` with nothing between the nodes but the database.
//! - `cluster room`: 64 senders on each of two nodes into one room.
//! - `cluster typing`, `cluster typing cut`: how often a typing user wakes another.
//! - `cluster rounds N`: kills of nodes and crashes of the database at seeded moments.
//! - `cluster claims`: twice as many claims as there are one-time keys, at two nodes at once.
//! - `cluster lost`: the database stands still, then goes away.
//! - `cluster backup`: backup under load, restore elsewhere; `cluster backup postgres`: the same by PostgreSQL's base backup.
//!
//! `SEED` repeats a run's choices. `WHOLE=1` takes the sizes of `make cluster` and holds the times and rates that are promised
//! against what is measured; without it they are only printed, since a busy machine is no fault of the server.

mod backup;
mod base_backup;
mod claims;
mod lost;
mod one_room;
mod restored;
mod rounds;
mod turns;
mod typing;
mod verify;
mod ward;

use anyhow::{Context, Result, bail};
use harness::{Rng, Scratch, environment};

/// Small sizes, or whole ones with the bounds of what is promised.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    whole: bool,
}

impl Size {
    fn pick<N>(self, small: N, whole: N) -> N {
        if self.whole { whole } else { small }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let size = Size { whole: environment::number("WHOLE", 0)? != 0 };
    let folder = Scratch::new()?;
    let path = folder.path();
    let result = match words[..] {
        ["turns"] => turns::run(path, size, false, &mut rng()?).await,
        ["turns", "cut"] => turns::run(path, size, true, &mut rng()?).await,
        ["room"] => one_room::run(path, size).await,
        ["typing"] => typing::responses(path, false).await,
        ["typing", "cut"] => typing::responses(path, true).await,
        ["rounds", count] => rounds::run(path, count.parse().context("rounds is a number")?, &mut rng()?).await,
        ["backup"] => backup::run(path, &mut rng()?).await,
        ["backup", "postgres"] => base_backup::run(path, &mut rng()?).await,
        ["claims"] => claims::run(path).await,
        ["lost"] => lost::run(path, size).await,
        _ => bail!("usage: cluster turns [cut] | room | typing [cut] | rounds N | claims | lost | backup [postgres]"),
    };
    folder.settle(result)
}

fn rng() -> Result<Rng> {
    let random = u64::from(std::process::id()) << 20 | u64::from(std::time::UNIX_EPOCH.elapsed()?.subsec_micros());
    let seed = environment::number("SEED", random)?;
    println!("seed: SEED={seed} repeats these choices");
    Ok(Rng::new(seed))
}

//! Rounds of work, kill, restart and looking.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::server::Shim;
use harness::{Launch, Load, Loss, Rng, Server, SyncLog};

use crate::secrets;
use crate::verify;
use crate::ward::Ward;

/// Acknowledged sends between the start of a round and its kill.
const SENDS: (u64, u64) = (10, 150);
/// Microseconds between the last of them and the kill: anywhere within the next commits.
const MORE_US: (u64, u64) = (0, 8_000);
/// Microseconds after the start of a process that is killed while it starts.
const STARTING_US: (u64, u64) = (500, 150_000);
/// Rounds in which a server whose syncs are overlooked must be found out.
const LOSS_ROUNDS: u64 = 3;

/// A run: one data folder, many lives.
struct Run {
    launch: Launch,
    log: SyncLog,
    rng: Rng,
    ward: Ward,
    verified_guests: usize,
}

/// Runs `rounds`, every second one with a cut, the first one included.
pub async fn survive(folder: &Path, seed: u64, rounds: u64) -> Result<()> {
    let (mut run, mut server) = Run::begin(folder, seed).await?;
    for round in 0..rounds {
        server = run.round(server, round, round % 2 == 0).await.with_context(|| format!("round {}", round + 1))?;
    }
    run.ward.founder.verify(0).await?;
    verify::afresh(&run.ward).await?;
    server.stop()?;
    secrets::none_stored(folder, &run.ward)?;
    println!(
        "kill: {rounds} rounds, {} acknowledged messages, none lost, doubled or out of order",
        run.ward.promised()
    );
    Ok(())
}

/// Demands that a server which does not sync its write-ahead log is found out.
pub async fn expect_loss(folder: &Path, seed: u64) -> Result<()> {
    let (mut run, server) = Run::begin(folder, seed).await?;
    // What was there before is safe; only what comes now can get lost.
    server.stop()?;
    if let Some(shim) = &mut run.launch.shim {
        shim.overlook = Some(".log".to_owned());
    }
    let mut server = run.launch.start()?;
    for round in 0..LOSS_ROUNDS {
        match run.round(server, round, true).await {
            Ok(next) => server = next,
            Err(error) => {
                let loss = error.downcast::<Loss>().context("expected a loss, got another error")?;
                println!("kill: without syncs, as it must be: {loss}");
                return Ok(());
            }
        }
    }
    bail!("a server without syncs survived {LOSS_ROUNDS} rounds: this test sees nothing")
}

impl Run {
    async fn begin(folder: &Path, seed: u64) -> Result<(Self, Server)> {
        let path = folder.join("shim.log");
        let mut launch = Launch::new(folder)?;
        launch.shim = Some(Shim::new(&path)?);
        let server = launch.start()?;
        let ward = Ward::found(&launch.http()).await.context("before the first round")?;
        let log = SyncLog::follow(&path)?;
        Ok((Self { launch, log, rng: Rng::new(seed), ward, verified_guests: 0 }, server))
    }

    async fn round(&mut self, server: Server, round: u64, cut: bool) -> Result<Server> {
        let before = self.ward.promised();
        let load = Load::default();
        let sends = u32::try_from(self.rng.range(SENDS.0, SENDS.1))?;
        let more = Duration::from_micros(self.rng.range(MORE_US.0, MORE_US.1));
        let kill = async {
            load.acknowledged(sends).await?;
            tokio::time::sleep(more).await;
            load.set_ending(true);
            server.kill()
        };
        self.ward.work(&load, kill).await?;
        let mut told = self.after_kill(cut)?;
        if self.rng.once_in(3) {
            let moment = Duration::from_micros(self.rng.range(STARTING_US.0, STARTING_US.1));
            let starting = self.launch.spawn()?;
            tokio::time::sleep(moment).await;
            starting.kill().context("killed while it started")?;
            told = format!("{told}; again {} µs after the start{}", moment.as_micros(), self.after_kill(cut)?);
        }
        let server = self.launch.start()?;
        verify::everything(&mut self.ward, &mut self.rng, self.verified_guests).await?;
        self.verified_guests = self.ward.founder.guests.len();
        self.ward.remember(&mut self.rng);
        println!(
            "round {}: killed {} µs after send {sends}{told}; {} messages and {} guests are there",
            round + 1,
            more.as_micros(),
            self.ward.promised() - before,
            self.verified_guests,
        );
        Ok(server)
    }

    /// Cuts the files, if this round does, and tells of it.
    fn after_kill(&mut self, cut: bool) -> Result<String> {
        if !cut {
            return Ok(String::new());
        }
        let cut = self.log.cut(self.launch.data())?;
        Ok(format!(", {} bytes cut from {} files, {} files removed", cut.bytes, cut.shortened, cut.removed.len()))
    }
}

//! `wardstead restore`: a backup becomes the data of a server, in a new epoch.
//!
//! What was written after the backup is lost, and clients hold tokens of it. Each [`STEPS`] entry voids one kind, in the one
//! commit that begins the epoch.

use std::{path::PathBuf, sync::Arc};

use wardstead_accounts::floor;
use wardstead_engine::{
    Batch, Cell, Engine, EngineError, Group, Key, LocalBus, Outcome, Position, Writer,
    system::{self, EpochReason},
    verify::verify,
};
use wardstead_engine_rocksdb::{
    RocksEngine, RocksOptions,
    backup::{Backup, BackupError, Backups, FilesRead},
    restore::Restore,
};
use wardstead_limits::{Clock, OsRng, Rng, SystemClock, store as store_limits};
use wardstead_store::Store;

use crate::{
    backup::{folder_of, went},
    cli::{Failure, say},
    config::Config,
    verify::{self, Progress},
};

/// The command's options.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Read the configuration from FILE.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The folder of backups to restore from, into the empty data folder of the configuration.
    #[arg(long, value_name = "DIR", required_unless_present = "after_restore", conflicts_with = "after_restore")]
    from: Option<PathBuf>,
    /// With --from: this backup instead of the newest.
    #[arg(long, value_name = "NUMBER", requires = "from")]
    number: Option<u32>,
    /// The data was restored by other means (a PostgreSQL backup, an image of the disk): do what is left to do.
    #[arg(long)]
    after_restore: bool,
    /// With --after-restore: the server does not start because the log in the data folder is damaged before its end. Give up
    /// what was acknowledged behind the damage. Copy the folder first.
    #[arg(long, requires = "after_restore")]
    cut_damaged_log: bool,
    /// Let in the sessions that are in the backup, also those that were ended since. Without it everybody signs in again.
    #[arg(long)]
    keep_sessions: bool,
}

/// What the steps go by.
#[derive(Clone, Copy, Debug)]
struct Choice {
    keep_sessions: bool,
    now_ms: u64,
}

/// What a restore voids: one cell, in the commit that begins the epoch.
struct RestoreStep {
    /// The cell.
    key: fn() -> Key,
    /// Adds what becomes of it to the batch.
    write: fn(&mut Batch, Option<&Cell>, Choice) -> Result<(), EngineError>,
    /// What that means, in a line.
    says: fn(Choice) -> &'static str,
}

/// Sessions. One-time keys need no step: those of before the epoch are known by their positions. Transaction ids get one when they need it.
const STEPS: [RestoreStep; 1] = [RestoreStep {
    key: floor::session_floor_key,
    write: |batch, stored, choice| floor::restored(batch, stored, choice.keep_sessions, choice.now_ms),
    says: |choice| {
        if choice.keep_sessions {
            "sessions of the backup go on, also those that were ended since; later ones sign in again and keep their keys"
        } else {
            "everybody signs in again; clients are told to keep their keys (soft logout)"
        }
    },
}];

/// What the epoch does by itself.
const KEYS: &str =
    "one-time keys from before are void and fallback keys count as used: clients upload new ones by themselves";

/// What no step does yet.
const NOT_YET: &str = "transaction ids from before are not voided by this version";

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let config = Config::load(&arguments.config).map_err(|error| Failure::Asked(error.to_string()))?;
    let choice = Choice { keep_sessions: arguments.keep_sessions, now_ms: SystemClock::new().now_ms() };
    match &arguments.from {
        Some(from) => {
            let backups = Backups::open_to_read(from).map_err(|error| Failure::Asked(error.to_string()))?;
            let backup = backups.backup(arguments.number).map_err(|error| Failure::Asked(error.to_string()))?;
            restore(&config, &backup, choice).await
        }
        None if arguments.cut_damaged_log => cut(&config, choice).await,
        None => after_restore(&config, choice).await,
    }
}

async fn restore(config: &Config, backup: &Backup, choice: Choice) -> Result<(), Failure> {
    let folder = folder_of(config)?;
    let mut progress = Progress::new("bytes of files");
    let checked = backup.check(&mut FilesRead::new(&mut |bytes| progress.at(bytes)));
    if !checked.findings.is_empty() {
        let findings: Vec<String> = checked.findings.iter().map(ToString::to_string).collect();
        verify::complain_of(&findings, 0);
        let sentence =
            format!("backup {} is damaged; nothing was restored. --number takes an older one", backup.number());
        return Err(Failure::Went(sentence));
    }
    let mut progress = Progress::new("bytes of files");
    let restore = Restore::begin(backup, folder, &mut |bytes| progress.at(bytes));
    let restore = restore.map_err(|error| match error {
        BackupError::Missing { .. } => Failure::Asked(error.to_string()),
        error => went(&error),
    })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let engine = restore.open(&RocksOptions::default(), Arc::clone(&clock)).map_err(|error| went(&error))?;
    let engine = Arc::new(engine);
    let begun = begin(Arc::clone(&engine) as Arc<dyn Engine>, config, clock, choice).await;
    let closed = engine.close();
    let begun = begun?;
    closed.map_err(|error| went(&error))?;
    restore.finish().map_err(|error| went(&error))?;
    say(&format!("restored backup {} into {}\n{}", backup.number(), folder.display(), begun.text(choice)));
    Ok(())
}

async fn after_restore(config: &Config, choice: Choice) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let backend = verify::open(config, Arc::clone(&clock)).await?;
    let begun = begin(backend.engine(), config, clock, choice).await;
    backend.close().await.map_err(|error| went(&error))?;
    say(&format!("{} was restored\n{}", config.place(), begun?.text(choice)));
    Ok(())
}

/// Opens a data folder as far as its log goes, and begins an epoch: what stood behind is lost, as after a restore.
async fn cut(config: &Config, choice: Choice) -> Result<(), Failure> {
    let folder = folder_of(config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let engine = RocksEngine::open_cutting(folder, &RocksOptions::default(), Arc::clone(&clock));
    let engine = Arc::new(engine.map_err(|error| went(&error))?);
    let begun = begin(Arc::clone(&engine) as Arc<dyn Engine>, config, clock, choice).await;
    engine.close().map_err(|error| went(&error))?;
    say(&format!("cut the damaged log in {}\n{}", folder.display(), begun?.text(choice)));
    Ok(())
}

/// What was done.
struct Begun {
    rows: u64,
    /// The newest position that was restored.
    last: Position,
    epoch: u64,
}

impl Begun {
    fn text(&self, choice: Choice) -> String {
        let Self { rows, last, epoch } = self;
        let mut lines = vec![
            format!("{rows} rows, up to position {last}, read and found good"),
            format!("epoch {epoch} has begun: clients that saw more than was restored get a fresh view"),
        ];
        lines.extend(STEPS.iter().map(|step| (step.says)(choice).to_owned()));
        lines.extend([KEYS, NOT_YET].map(str::to_owned));
        format!("  {}\n", lines.join("\n  "))
    }
}

/// Reads what was restored, sees that it is this server's, begins the epoch.
async fn begin(
    engine: Arc<dyn Engine>,
    config: &Config,
    clock: Arc<dyn Clock>,
    choice: Choice,
) -> Result<Begun, Failure> {
    let mut progress = Progress::new("rows");
    let report = verify(&*engine, &mut |count| progress.at(count.rows)).await.map_err(|error| went(&error))?;
    if !report.is_clean() {
        verify::complain_of(&verify::findings(&report), report.omitted);
        return Err(Failure::Went("what was restored is damaged".to_owned()));
    }
    let rng: Arc<dyn Rng> = Arc::new(OsRng::new().map_err(|error| went(&error))?);
    let name = config.server.name.as_str();
    let store = Store::open(Arc::clone(&engine), Arc::new(LocalBus::new()), name, clock, Arc::clone(&rng)).await;
    store.map_err(|error| went(&error))?.close().await;
    let (last, epoch) = begin_epoch(&*engine, rng.next_u64(), choice).await.map_err(|error| went(&error))?;
    Ok(Begun { rows: report.total().rows, last, epoch })
}

/// Begins an epoch and takes the [`STEPS`], in one commit. Gives the last position of the epoch that ended, and the new one.
async fn begin_epoch(engine: &dyn Engine, incarnation: u64, choice: Choice) -> Result<(Position, u64), EngineError> {
    let keys: Vec<Key> = [system::epoch_key()].into_iter().chain(STEPS.iter().map(|step| (step.key)())).collect();
    for group in 0..store_limits::REBUILDS {
        let last = engine.position().await?;
        let cells = engine.get_many(last, &keys).await?;
        let (stored, cells) = cells.split_first().map_or((None, &[][..]), |(first, rest)| (first.as_ref(), rest));
        let mut batch = system::raise_epoch(stored, last, EpochReason::Restore, choice.now_ms)?;
        for (step, cell) in STEPS.iter().zip(cells) {
            (step.write)(&mut batch, cell.as_ref(), choice)?;
        }
        let writer = Writer { incarnation, group: group as u64 };
        let of = stored.map_or(0, |cell| cell.version);
        let raised = batch.journal.first().map_or(of, |entry| entry.scope);
        match engine.commit_group(Group { epoch: of, writer, batches: vec![Arc::new(batch)] }).await {
            Ok(outcome) if matches!(outcome.outcomes[..], [Outcome::Won { .. }]) => return Ok((last, raised)),
            // A node that runs on the database came first, or found that the database's timeline has changed.
            Ok(_) | Err(EngineError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(EngineError::Busy("others change the epoch again and again"))
}

#[cfg(test)]
mod tests;

//! `wardstead verify`: reads everything there is and says what is not as it was written.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use wardstead_engine::{
    EngineError, TableId,
    verify::{Place as Where, Report, verify},
};
use wardstead_engine_rocksdb::{
    RocksEngine, RocksOptions,
    backup::{Backup, Backups, FilesRead},
    files::check_files,
};
use wardstead_limits::{Clock, SystemClock, engine as engine_limits, wardstead as limits};

use crate::{
    backup::{view, went},
    cli::{Failure, complain, say},
    config::{Config, Durability, Place},
    control::{self, Answer, Request},
    data::Backend,
};

mod tables;

/// The command's options.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Read the configuration from FILE.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Verify the backups in DIR instead of the data: the files of all, and the rows of the newest.
    #[arg(long, value_name = "DIR")]
    backup: Option<PathBuf>,
    /// With --backup: the rows of this backup instead of the newest's.
    #[arg(long, value_name = "NUMBER", requires = "backup")]
    number: Option<u32>,
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let config = Config::load(&arguments.config).map_err(|error| Failure::Asked(error.to_string()))?;
    let mut found = Found::default();
    match (&arguments.backup, config.place()) {
        (Some(folder), _) => backups(folder, arguments.number, &mut found).await?,
        (None, Place::Folder(folder)) => data(folder, &mut found).await?,
        (None, Place::Database(_)) => database(&config, &mut found).await?,
    }
    let Found { findings, omitted } = found;
    if findings.is_empty() {
        say("nothing is damaged\n");
        return Ok(());
    }
    complain_of(&findings, omitted);
    Err(Failure::Went(format!("damaged in {} places", findings.len() as u64 + omitted)))
}

#[derive(Default)]
struct Found {
    findings: Vec<String>,
    omitted: u64,
}

impl Found {
    /// The rows of a report, and what is wrong with them.
    fn rows(&mut self, report: &Report) {
        say(&counts(report));
        self.findings.extend(findings(report));
        self.omitted += report.omitted;
    }
}

async fn backups(folder: &Path, number: Option<u32>, found: &mut Found) -> Result<(), Failure> {
    let backups = Backups::open_to_read(folder).map_err(|error| Failure::Asked(error.to_string()))?;
    let mut progress = Progress::new("bytes of files");
    let mut tell = |bytes| progress.at(bytes);
    let mut read = FilesRead::new(&mut tell);
    for (each, sealed) in backups.numbers().map_err(|error| went(&error))? {
        let backup = match backups.backup(Some(each)) {
            Ok(backup) => backup,
            Err(error) => {
                found.findings.push(error.to_string());
                continue;
            }
        };
        let checked = backup.check(&mut read);
        let unfinished = if sealed { "" } else { ", interrupted or found damaged when it was made" };
        say(&format!("backup {each}: {} files, {} bytes{unfinished}\n", checked.files.len(), checked.bytes));
        found.findings.extend(checked.findings.iter().map(ToString::to_string));
    }
    let backup = match backups.backup(number) {
        Ok(backup) => backup,
        // Said above already, when it is there.
        Err(_) if !found.findings.is_empty() => return Ok(()),
        Err(error) => return Err(Failure::Asked(error.to_string())),
    };
    say(&format!("rows of backup {}\n", backup.number()));
    rows_of(&backup, found).await
}

async fn rows_of(backup: &Backup, found: &mut Found) -> Result<(), Failure> {
    let view = view(backup, &SystemClock::new()).map_err(|error| went(&error))?;
    match rows_in(view.folder()).await {
        Ok(report) => found.rows(&report),
        Err(error) => found.findings.push(error.to_string()),
    }
    Ok(())
}

/// A data folder: that of a running server by way of a checkpoint.
async fn data(folder: &Path, found: &mut Found) -> Result<(), Failure> {
    let name = format!("{}-{}", std::process::id(), SystemClock::new().now_ms());
    match control::ask(folder, &Request::Checkpoint { name }).await.map_err(|why| went(&why))? {
        Some(Answer::Checkpoint { folder: checkpoint }) => {
            say(&format!("the server on {} made a checkpoint\n", folder.display()));
            let checked = stopped(&checkpoint, found).await;
            fs::remove_dir_all(&checkpoint)
                .map_err(|error| Failure::Went(format!("{} is left behind: {error}", checkpoint.display())))?;
            checked
        }
        Some(_) => Err(Failure::Went("the server answered something else".to_owned())),
        None if folder.is_dir() => stopped(folder, found).await,
        None => Err(Failure::Asked(format!("there is no folder {}", folder.display()))),
    }
}

/// A folder that nobody has open.
async fn stopped(folder: &Path, found: &mut Found) -> Result<(), Failure> {
    let mut progress = Progress::new("bytes of files");
    let read = folder.to_owned();
    let files = tokio::task::spawn_blocking(move || check_files(&read, &mut |bytes| progress.at(bytes)));
    let files = files.await.map_err(|error| went(&error))?;
    let files = files.map_err(|error| Failure::Asked(format!("{}: {error}", folder.display())))?;
    say(&format!("{}: {} files, {} bytes\n", folder.display(), files.files, files.bytes));
    found.findings.extend(files.findings.iter().map(|finding| format!("{}: {}", finding.file.display(), finding.what)));
    match rows_in(folder).await {
        Ok(report) => found.rows(&report),
        Err(error) => found.findings.push(error.to_string()),
    }
    Ok(())
}

async fn database(config: &Config, found: &mut Found) -> Result<(), Failure> {
    let backend = open(config, Arc::new(SystemClock::new())).await?;
    say(&format!("{}\n", config.place()));
    let mut progress = Progress::new("rows");
    let report = verify(&*backend.engine(), &mut |count| progress.at(count.rows)).await;
    backend.close().await.map_err(|error| went(&error))?;
    found.rows(&report.map_err(|error| went(&error))?);
    Ok(())
}

/// Opens the data beside a server or without one. Nothing is promised to a client here, and a database that was just restored
/// has no standby yet.
pub(crate) async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Backend, Failure> {
    let mut config = config.clone();
    config.cluster.durability = Durability::Primary;
    Backend::open(&config, clock).await.map_err(|error| went(&error))
}

/// Reads the rows of a folder that nobody has open, and changes nothing in it.
pub(crate) async fn rows_in(folder: &Path) -> Result<Report, EngineError> {
    let path = folder.to_owned();
    let opening = tokio::task::spawn_blocking(move || {
        RocksEngine::open_read_only(&path, &RocksOptions::default(), Arc::new(SystemClock::new()))
    });
    let engine = opening.await.map_err(|error| EngineError::Unavailable(error.to_string()))??;
    let mut progress = Progress::new("rows");
    verify(&engine, &mut |count| progress.at(count.rows)).await
}

/// What is wrong, a line each.
pub(crate) fn findings(report: &Report) -> Vec<String> {
    let lines = report.findings.iter().map(|finding| {
        let place = match &finding.place {
            Where::Row(key) => format!("{}, scope {}, key {}", table(key.table()), key.scope(), hex(key.rest())),
            Where::From(key) => {
                format!("{}, scope {}, from key {} on", table(key.table()), key.scope(), hex(key.rest()))
            }
            Where::Journal(position) => format!("journal, position {position}"),
        };
        format!("{place}: {}", finding.what)
    });
    lines.collect()
}

/// To standard error, the first ones.
pub(crate) fn complain_of(findings: &[String], omitted: u64) {
    for finding in findings.iter().take(engine_limits::VERIFY_ENTRIES) {
        complain(&format!("damaged: {finding}"));
    }
    let more = findings.len().saturating_sub(engine_limits::VERIFY_ENTRIES) as u64 + omitted;
    if more > 0 {
        complain(&format!("damaged: {more} more places"));
    }
}

fn counts(report: &Report) -> String {
    let mut lines: Vec<String> = report
        .tables
        .iter()
        .map(|(id, count)| format!("  {}: {} rows, {} bytes\n", table(*id), count.rows, count.bytes))
        .collect();
    let journal = report.journal.map(|(first, last)| format!("journal from {first} to {last}, "));
    lines.push(format!("  {} rows, {}epoch {}\n", report.total().rows, journal.unwrap_or_default(), report.epoch));
    lines.concat()
}

fn table(id: TableId) -> String {
    let name = tables::name(id).map(|name| format!(" ({name})"));
    format!("table {:#06x}{}", id.stored(), name.unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |hex, byte| format!("{hex}{byte:02x}"))
}

/// Tells on standard error how far a long run has come.
pub(crate) struct Progress {
    of: &'static str,
    step: u64,
    next: u64,
}

impl Progress {
    pub(crate) fn new(of: &'static str) -> Self {
        let step = if of == "rows" { limits::PROGRESS_ROWS } else { limits::PROGRESS_BYTES };
        Self { of, step, next: step }
    }

    pub(crate) fn at(&mut self, amount: u64) {
        if amount >= self.next {
            complain(&format!("so far {amount} {}", self.of));
            self.next = amount - amount % self.step + self.step;
        }
    }
}

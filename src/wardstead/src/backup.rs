//! `wardstead backup`: adds a backup to a folder, reads it back, seals it, removes the oldest.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use wardstead_engine::verify::Report;
use wardstead_engine_rocksdb::{
    RocksEngine, RocksOptions,
    backup::{Backup, BackupError, Backups, Checked, FilesRead, Seal, View},
};
use wardstead_limits::{Clock, SystemClock, wardstead as limits};

use crate::{
    cli::{Failure, say},
    config::{Config, Place},
    control::{self, Answer, Request},
    verify::{self, Progress},
};

/// The command's options.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Read the configuration from FILE.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The folder of backups. It is made when it does not exist. Best on another disk than the data.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// How many backups to keep there; older ones are removed once the new one was found good.
    #[arg(long, value_name = "NUMBER", default_value_t = limits::BACKUPS_KEPT_ENTRIES)]
    keep: usize,
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let config = Config::load(&arguments.config).map_err(|error| Failure::Asked(error.to_string()))?;
    let data = folder_of(&config)?;
    if arguments.keep == 0 {
        return Err(Failure::Asked("--keep: at least one backup must be kept".to_owned()));
    }
    let clock = SystemClock::new();
    let began_ms = clock.now_ms();
    let to = std::path::absolute(&arguments.to).map_err(|error| Failure::Asked(error.to_string()))?;
    if to.starts_with(std::path::absolute(data).map_err(|error| went(&error))?) {
        return Err(Failure::Asked("--to: a backup within the data is lost with it".to_owned()));
    }
    let backups = Backups::open(&to).map_err(|error| went(&error))?;
    let before = backups.numbers().map_err(|error| went(&error))?;
    let number = make(data, &to).await?;
    let backup = backups.backup(Some(number)).map_err(|error| went(&error))?;
    let (report, checked) = read_back(&backup, &clock).await?;

    let position = report.journal.map_or_else(Default::default, |(_, last)| last);
    let Checked { files, bytes, .. } = checked;
    let new = new_bytes(&backups, before.last().map(|(number, _)| *number), &files);
    let seal = Seal { epoch: report.epoch, position, made_ms: clock.now_ms(), files };
    backups.seal(number, &seal).map_err(|error| went(&error))?;
    let gone = backups.keep(arguments.keep).map_err(|error| went(&error))?;
    let kept = backups.numbers().map_err(|error| went(&error))?.len();
    let seconds = clock.now_ms().saturating_sub(began_ms) / 1_000;
    say(&format!(
        "made backup {number} in {}\n  {} files, {bytes} bytes, {new} of them new\n  {} rows, newest position {position}, \
         epoch {}\n  read back and found good after {seconds} s\n  backups kept: {kept}; removed: {}\n",
        to.display(),
        seal.files.len(),
        report.total().rows,
        report.epoch,
        gone.len(),
    ));
    Ok(())
}

/// The data folder of `config`.
pub(crate) fn folder_of(config: &Config) -> Result<&Path, Failure> {
    match config.place() {
        Place::Folder(folder) => Ok(folder),
        Place::Database(_) => Err(Failure::Asked(
            "the data is in PostgreSQL, which has backups of its own (pg_basebackup and its log): docs/operations.md says \
             how, and how to restore one"
                .to_owned(),
        )),
    }
}

pub(crate) fn went(error: &dyn std::fmt::Display) -> Failure {
    Failure::Went(error.to_string())
}

/// Has the server that runs on `data` make a backup in `to`, or makes it itself.
async fn make(data: &Path, to: &Path) -> Result<u32, Failure> {
    match control::ask(data, &Request::Backup { to: to.to_owned() }).await {
        Ok(Some(Answer::Backup { number })) => return Ok(number),
        Ok(Some(_)) => return Err(Failure::Went("the server answered something else".to_owned())),
        Err(why) => return Err(Failure::Went(why)),
        Ok(None) => {}
    }
    if !data.join("CURRENT").is_file() {
        return Err(Failure::Asked(format!("there is no data in {}", data.display())));
    }
    let (data, to) = (data.to_owned(), to.to_owned());
    let made = tokio::task::spawn_blocking(move || {
        let engine = RocksEngine::open(&data, &RocksOptions::default(), Arc::new(SystemClock::new()))?;
        let number = engine.back_up(&to)?;
        engine.close()?;
        Ok::<_, wardstead_engine::EngineError>(number)
    });
    made.await.map_err(|error| went(&error))?.map_err(|error| went(&error))
}

/// Reads the new backup: its files, then each row. Nothing is sealed or removed unless all of it is good.
async fn read_back(backup: &Backup, clock: &SystemClock) -> Result<(Report, Checked), Failure> {
    let mut progress = Progress::new("bytes of files");
    let checked = backup.check(&mut FilesRead::new(&mut |bytes| progress.at(bytes)));
    let view = view(backup, clock).map_err(|error| went(&error))?;
    let report = verify::rows_in(view.folder()).await.map_err(|error| went(&error))?;
    let mut findings: Vec<String> = checked.findings.iter().map(ToString::to_string).collect();
    findings.extend(verify::findings(&report));
    if findings.is_empty() {
        return Ok((report, checked));
    }
    verify::complain_of(&findings, report.omitted);
    Err(Failure::Went(format!(
        "backup {} is damaged: it is not sealed, and no other was removed. `wardstead verify` tells whether the data is, too",
        backup.number()
    )))
}

/// The backup as a data folder of links, in the folder for temporary files.
pub(crate) fn view(backup: &Backup, clock: &SystemClock) -> Result<View, BackupError> {
    let name = format!("{}-{}-{}", backup.number(), std::process::id(), clock.now_ms());
    View::of(backup, &std::env::temp_dir(), &name)
}

/// Bytes of `files` that the backup before had not.
fn new_bytes(backups: &Backups, before: Option<u32>, files: &[wardstead_engine_rocksdb::backup::BackupFile]) -> u64 {
    let before = before.and_then(|number| backups.backup(Some(number)).ok());
    let shared: BTreeSet<&str> =
        before.iter().flat_map(|backup| backup.files().iter().map(|file| file.path.as_str())).collect();
    files.iter().filter(|file| !shared.contains(file.path.as_str())).filter_map(|file| file.bytes).sum()
}

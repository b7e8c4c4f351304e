//! Backups of the embedded engine: RocksDB's `BackupEngine`, which copies a table file once for all backups that hold it,
//! and beside each backup a *seal* with a checksum of every file of it, written when the backup has been read back.
//!
//! The folder: `meta/N` lists the files of backup N, `shared_checksum/` holds tables, `private/N/` the rest, all three
//! RocksDB's; `seals/N` is ours. A backup without a seal was interrupted or found damaged.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use rocksdb::{
    Env,
    backup::{BackupEngine, BackupEngineOptions},
    checkpoint::Checkpoint,
};
use wardstead_engine::EngineError;
use wardstead_limits::engine as limits;

use crate::{RocksEngine, database::unavailable, folder};

mod list;
mod seal;
mod view;

pub use list::BackupFile;
pub use seal::Seal;
pub use view::View;

/// Why a backup cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The folder has none, or not the one asked for.
    #[error("{} has {what}", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// What it lacks.
        what: String,
    },
    /// A file of a backup is not what was written.
    #[error("{}: {what}", file.display())]
    Damaged {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another command works in the folder.
    #[error("{} is in use by another backup", .0.display())]
    InUse(PathBuf),
    /// A file or folder cannot be read or written.
    #[error("{}: {reason}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// The engine's.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl BackupError {
    pub(crate) fn file(file: &Path) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |reason| Self::File { file, reason }
    }

    pub(crate) fn damaged(file: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), what: what.into() }
    }
}

impl RocksEngine {
    /// Adds a backup to `folder` and gives its number: everything that was committed when the call was made is in it.
    /// Commits go on meanwhile. Blocks, and syncs what it writes. It is not sealed: read it back first.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn back_up(&self, folder: &Path) -> Result<u32, EngineError> {
        self.shared.with(|database| {
            let mut backups = open_engine(folder)?;
            // Written out first: tables are kept for the next backup, a log would be copied each time.
            backups.create_new_backup_flush(database.rocks(), true).map_err(unavailable)?;
            let newest = backups.get_backup_info().into_iter().map(|backup| backup.backup_id).max();
            newest.ok_or_else(|| EngineError::Unavailable("RocksDB made no backup".into()))
        })
    }

    /// Writes a copy of everything committed into `folder`, which must not exist: tables as hard links, so that it takes
    /// neither time nor space. Commits go on meanwhile. Blocks.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn checkpoint(&self, folder: &Path) -> Result<(), EngineError> {
        self.shared.with(|database| {
            let checkpoint = Checkpoint::new(database.rocks()).map_err(unavailable)?;
            checkpoint.create_checkpoint(folder).map_err(unavailable)
        })
    }
}

fn open_engine(folder: &Path) -> Result<BackupEngine, EngineError> {
    let options = BackupEngineOptions::new(folder).map_err(unavailable)?;
    BackupEngine::open(&options, &Env::new().map_err(unavailable)?).map_err(unavailable)
}

/// A folder of backups.
#[derive(Debug)]
pub struct Backups {
    folder: PathBuf,
    /// Held while this lives; nobody else adds or removes backups meanwhile.
    _lock: Option<File>,
}

impl Backups {
    /// Opens `folder` to add a backup, makes it where it is missing, and keeps other commands out of it.
    ///
    /// # Errors
    /// `InUse`, `File`.
    pub fn open(folder: &Path) -> Result<Self, BackupError> {
        let seals = folder.join(seal::FOLDER);
        folder::make(&seals).map_err(BackupError::file(&seals))?;
        let lock = seals.join("lock");
        let file = File::create(&lock).map_err(BackupError::file(&lock))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _lock: Some(file) }),
            Err(fs::TryLockError::WouldBlock) => Err(BackupError::InUse(folder.to_owned())),
            Err(fs::TryLockError::Error(reason)) => Err(BackupError::File { file: lock, reason }),
        }
    }

    /// Opens `folder` to read backups; it may lie on a disk that cannot be written.
    ///
    /// # Errors
    /// `Missing`.
    pub fn open_to_read(folder: &Path) -> Result<Self, BackupError> {
        if !folder.join(list::FOLDER).is_dir() {
            let what = "no backups in it".to_owned();
            return Err(BackupError::Missing { folder: folder.to_owned(), what });
        }
        Ok(Self { folder: folder.to_owned(), _lock: None })
    }

    /// Numbers of the backups, the oldest first, and whether each is sealed.
    ///
    /// # Errors
    /// `File`.
    pub fn numbers(&self) -> Result<Vec<(u32, bool)>, BackupError> {
        let lists = self.folder.join(list::FOLDER);
        let mut numbers = Vec::new();
        let entries = match fs::read_dir(&lists) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(BackupError::file(&lists))?,
        };
        for entry in entries {
            let name = entry.map_err(BackupError::file(&lists))?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers.into_iter().map(|number| (number, self.seal_path(number).is_file())).collect())
    }

    /// Backup `number`, or the newest that is sealed.
    ///
    /// # Errors
    /// `Missing`; `Damaged` when its list of files is.
    pub fn backup(&self, number: Option<u32>) -> Result<Backup, BackupError> {
        let numbers = self.numbers()?;
        let missing = |what| BackupError::Missing { folder: self.folder.clone(), what };
        let number = match number {
            Some(number) if numbers.iter().any(|(found, _)| *found == number) => number,
            Some(number) => return Err(missing(format!("no backup {number}"))),
            None => {
                let sealed = numbers.iter().rev().find(|(_, sealed)| *sealed);
                sealed.ok_or_else(|| missing("no backup that was finished".to_owned()))?.0
            }
        };
        let files = list::read(&self.folder, number)?;
        Ok(Backup { folder: self.folder.clone(), number, files })
    }

    /// Writes the seal of a backup that was read back and found whole, durably.
    ///
    /// # Errors
    /// `File`.
    pub fn seal(&self, number: u32, seal: &Seal) -> Result<(), BackupError> {
        let path = self.seal_path(number);
        seal.write(&path).map_err(BackupError::file(&path))
    }

    /// Removes the oldest backups until `keep` sealed ones are left. Those after the oldest kept stay, sealed or not.
    /// Gives the numbers that are gone.
    ///
    /// # Errors
    /// `File`, `Engine`.
    pub fn keep(&self, keep: usize) -> Result<Vec<u32>, BackupError> {
        let before = self.numbers()?;
        let Some((oldest, _)) = before.iter().rev().filter(|(_, sealed)| *sealed).take(keep.max(1)).last() else {
            return Ok(Vec::new());
        };
        let kept = before.iter().filter(|(number, _)| number >= oldest).count();
        open_engine(&self.folder)?.purge_old_backups(kept).map_err(unavailable)?;
        let after = self.numbers()?;
        let gone: Vec<u32> = before.iter().filter(|found| !after.contains(found)).map(|(number, _)| *number).collect();
        for number in &gone {
            let path = self.seal_path(*number);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(BackupError::file(&path)(error)),
                _ => {}
            }
        }
        Ok(gone)
    }

    fn seal_path(&self, number: u32) -> PathBuf {
        self.folder.join(seal::FOLDER).join(number.to_string())
    }
}

/// One backup.
#[derive(Clone, Debug)]
pub struct Backup {
    folder: PathBuf,
    number: u32,
    files: Vec<BackupFile>,
}

impl Backup {
    /// Its number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its files.
    #[must_use]
    pub fn files(&self) -> &[BackupFile] {
        &self.files
    }

    /// The folder of backups in which it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its seal; `None` when it has none.
    ///
    /// # Errors
    /// `Damaged`, `File`.
    pub fn seal(&self) -> Result<Option<Seal>, BackupError> {
        Seal::read(&self.folder.join(seal::FOLDER).join(self.number.to_string()))
    }

    /// Reads every file and holds it against RocksDB's list and against the seal, where there is one. `read` is told the
    /// bytes so far after each file, and remembers files, which backups share.
    #[must_use]
    pub fn check(&self, read: &mut FilesRead<'_>) -> Checked {
        let mut checked = Checked::default();
        let sealed = self.seal().unwrap_or_else(|error| {
            checked.findings.push(error);
            None
        });
        let list = BackupFile { path: list::path(self.number), crc: None, bytes: None };
        for file in self.files.iter().chain([&list]) {
            let path = self.folder.join(&file.path);
            match read.checksum(&file.path, &path) {
                Ok((crc, length)) => {
                    let found = BackupFile { path: file.path.clone(), crc: Some(crc), bytes: Some(length) };
                    checked.findings.extend(compare(&path, &found, file, sealed.as_ref()));
                    checked.bytes += length;
                    checked.files.push(found);
                }
                Err(reason) => checked.findings.push(BackupError::File { file: path, reason }),
            }
        }
        checked
    }
}

/// What was found in a backup's files.
#[derive(Debug, Default)]
pub struct Checked {
    /// What is wrong.
    pub findings: Vec<BackupError>,
    /// The files as they are, for a seal.
    pub files: Vec<BackupFile>,
    /// Their bytes.
    pub bytes: u64,
}

/// Files of backups that were read already, so that none is read twice.
pub struct FilesRead<'a> {
    known: HashMap<String, (u32, u64)>,
    bytes: u64,
    progress: &'a mut (dyn FnMut(u64) + Send),
}

impl<'a> FilesRead<'a> {
    /// None yet. `progress` is told the bytes so far after each file.
    pub fn new(progress: &'a mut (dyn FnMut(u64) + Send)) -> Self {
        Self { known: HashMap::new(), bytes: 0, progress }
    }

    fn checksum(&mut self, name: &str, path: &Path) -> io::Result<(u32, u64)> {
        if let Some(known) = self.known.get(name) {
            return Ok(*known);
        }
        let (crc, bytes) = checksum(path)?;
        self.known.insert(name.to_owned(), (crc, bytes));
        self.bytes += bytes;
        (self.progress)(self.bytes);
        Ok((crc, bytes))
    }
}

/// Holds what was read against RocksDB's list and against the seal.
fn compare(path: &Path, found: &BackupFile, listed: &BackupFile, seal: Option<&Seal>) -> Option<BackupError> {
    let damaged = |what| Some(BackupError::damaged(path, what));
    if listed.crc.is_some() && listed.crc != found.crc {
        return damaged("its checksum is not the one in the backup's list");
    }
    match seal?.file(&found.path) {
        None => damaged("the backup's seal does not have it"),
        Some(known) if known.bytes != found.bytes => damaged("its size is not the one in the backup's seal"),
        Some(known) if known.crc != found.crc => damaged("its checksum is not the one in the backup's seal"),
        Some(_) => None,
    }
}

/// CRC-32C and length of a file.
pub(crate) fn checksum(path: &Path) -> io::Result<(u32, u64)> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; limits::COPY_BYTES];
    let (mut crc, mut bytes) = (0, 0);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((crc, bytes)),
            Ok(length) => {
                crc = crc32c::crc32c_append(crc, &buffer[..length]);
                bytes += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;

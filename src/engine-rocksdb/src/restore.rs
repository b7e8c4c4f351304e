//! A backup becomes a data folder. From the first file to the end of [`Restore::finish`] the folder is marked, and no server
//! starts on it.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use wardstead_engine::EngineError;
use wardstead_limits::{Clock, engine as limits};

use crate::{
    RocksEngine, RocksOptions,
    backup::{Backup, BackupError, BackupFile},
    folder,
};

/// A restore under way.
#[derive(Debug)]
pub struct Restore {
    folder: PathBuf,
}

impl Restore {
    /// Copies `backup` into `folder`, which must be empty or missing, checking each file on the way. Everything is synced.
    /// `progress` is told the bytes so far after each file.
    ///
    /// # Errors
    /// `Missing` when the folder is not empty; `Damaged`, `File`: the folder stays marked.
    pub fn begin(backup: &Backup, folder: &Path, progress: &mut (dyn FnMut(u64) + Send)) -> Result<Self, BackupError> {
        if !folder::is_empty(folder).map_err(BackupError::file(folder))? {
            let what = "something in it: a restore goes into an empty folder only".to_owned();
            return Err(BackupError::Missing { folder: folder.to_owned(), what });
        }
        folder::make(folder).map_err(BackupError::file(folder))?;
        folder::begin_restore(folder).map_err(BackupError::file(folder))?;
        let seal = backup.seal()?;
        let mut bytes = 0;
        for file in backup.files() {
            let sealed = seal.as_ref().and_then(|seal| seal.file(&file.path));
            bytes += copy(backup.folder(), sealed.unwrap_or(file), &folder.join(file.name()))?;
            progress(bytes);
        }
        folder::sync(folder).map_err(BackupError::file(folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Opens what was restored, for what a restore has to change in it. Close it before [`Self::finish`].
    ///
    /// # Errors
    /// As [`RocksEngine::open`].
    pub fn open(&self, options: &RocksOptions, clock: Arc<dyn Clock>) -> Result<RocksEngine, EngineError> {
        RocksEngine::open_part(&self.folder, options, clock)
    }

    /// The folder is whole: a server may start on it.
    ///
    /// # Errors
    /// `File`.
    pub fn finish(self) -> Result<(), BackupError> {
        folder::end_restore(&self.folder).map_err(BackupError::file(&self.folder))
    }
}

/// Copies a file, checking it on the way, and syncs the copy. Gives its length.
fn copy(backups: &Path, file: &BackupFile, to: &Path) -> Result<u64, BackupError> {
    let from = backups.join(&file.path);
    let (crc, bytes) = copy_bytes(&from, to).map_err(BackupError::file(&from))?;
    if file.crc.is_some_and(|known| known != crc) || file.bytes.is_some_and(|known| known != bytes) {
        return Err(BackupError::damaged(&from, "its checksum or size is not the one that was written"));
    }
    Ok(bytes)
}

fn copy_bytes(from: &Path, to: &Path) -> io::Result<(u32, u64)> {
    let (mut from, mut to) = (File::open(from)?, File::create(to)?);
    let mut buffer = vec![0; limits::COPY_BYTES];
    let (mut crc, mut bytes) = (0, 0);
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                to.write_all(&buffer[..length])?;
                crc = crc32c::crc32c_append(crc, &buffer[..length]);
                bytes += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    to.sync_all()?;
    Ok((crc, bytes))
}

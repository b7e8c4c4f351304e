//! The shim's log: counts syncs, and cuts a data folder back to what was synced. See `shim/shim.c` for the records.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Device and inode.
type FileId = (u64, u64);

/// Reads the log as it grows. One log covers all lives of a data folder.
#[derive(Debug)]
pub struct SyncLog {
    file: File,
    partial: String,
    durable: HashMap<FileId, u64>,
    syncs: u64,
    overlooked: u64,
}

/// What a cut took away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Files cut to a smaller length.
    pub shortened: usize,
    /// Bytes that they lost.
    pub bytes: u64,
    /// Files removed because nothing of them was ever synced.
    pub removed: Vec<PathBuf>,
}

impl SyncLog {
    /// Follows the log at `path`, which is made if it is missing.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn follow(path: &Path) -> Result<Self> {
        File::options().create(true).append(true).open(path)?;
        let file = File::open(path).with_context(|| format!("no shim log at {}", path.display()))?;
        Ok(Self { file, partial: String::new(), durable: HashMap::new(), syncs: 0, overlooked: 0 })
    }

    /// Syncs of files since the beginning.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn syncs(&mut self) -> Result<u64> {
        self.read()?;
        Ok(self.syncs)
    }

    /// Takes from the files below `folder` what was not synced. The process must have ended.
    ///
    /// # Errors
    /// When the log or the folder cannot be read or written, or no sync was ever noted: then the shim was not loaded.
    pub fn cut(&mut self, folder: &Path) -> Result<Cut> {
        self.read()?;
        if self.syncs + self.overlooked == 0 {
            bail!("the shim noted no sync at all: was it loaded?");
        }
        let mut cut = Cut::default();
        self.cut_folder(folder, &mut cut)?;
        cut.removed.sort();
        Ok(cut)
    }

    fn cut_folder(&self, folder: &Path, cut: &mut Cut) -> Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let metadata = std::fs::symlink_metadata(&path)?;
            if metadata.is_dir() {
                self.cut_folder(&path, cut)?;
            } else if metadata.is_file() {
                self.cut_file(&path, &metadata, cut)?;
            }
        }
        Ok(())
    }

    fn cut_file(&self, path: &Path, metadata: &Metadata, cut: &mut Cut) -> Result<()> {
        match self.durable.get(&(metadata.dev(), metadata.ino())) {
            None => {
                std::fs::remove_file(path)?;
                cut.removed.push(path.to_owned());
            }
            Some(length) if *length < metadata.len() => {
                File::options().write(true).open(path)?.set_len(*length)?;
                cut.shortened += 1;
                cut.bytes += metadata.len() - length;
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn read(&mut self) -> Result<()> {
        self.file.read_to_string(&mut self.partial)?;
        let text = std::mem::take(&mut self.partial);
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for line in text[..whole].lines() {
            self.apply(line).with_context(|| format!("not a record of the shim: {line}"))?;
        }
        text[whole..].clone_into(&mut self.partial);
        Ok(())
    }

    fn apply(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let what = words.next()?;
        if what == "W" {
            return Some(());
        }
        let id = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        match what {
            "N" | "F" => {
                self.durable.remove(&id);
            }
            "S" => {
                let length: u64 = words.next()?.parse().ok()?;
                let durable = self.durable.entry(id).or_insert(0);
                // A sync that began earlier may end later; both lengths are durable.
                *durable = length.max(*durable);
                self.syncs += 1;
            }
            "T" => {
                let length: u64 = words.next()?.parse().ok()?;
                if let Some(durable) = self.durable.get_mut(&id) {
                    *durable = length.min(*durable);
                }
            }
            "I" => self.overlooked += 1,
            "D" => {}
            _ => return None,
        }
        Some(())
    }
}

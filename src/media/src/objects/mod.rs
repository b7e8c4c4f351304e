//! Objects: the bytes of files, encrypted chunk by chunk, in a folder or elsewhere.

mod keys;
mod read;
mod seal;
#[cfg(test)]
mod tests;
mod write;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use object_store::{ObjectStore, ObjectStoreExt as _, local::LocalFileSystem, memory::InMemory};
use serde::{Deserialize, Serialize};
use wardstead_limits::media as limits;

pub use keys::{KeyFileError, MediaKeys};
pub(crate) use write::Writer;

use keys::PLAIN;
use seal::{Sealer, TAG_BYTES};

/// What an object is called: random, and never used again.
pub(crate) type ObjectName = [u8; 16];

/// Where an object is, and how it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) name: ObjectName,
    /// Number of its key; 0: it is not encrypted.
    pub(crate) key: u32,
    /// Bytes of the file.
    pub(crate) bytes: u64,
}

/// Why an object was not written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The disk or the service failed.
    #[error(transparent)]
    Store(#[from] object_store::Error),
    /// What is there is not what was written.
    #[error("an object is damaged: {0}")]
    Damaged(&'static str),
    /// The key that the object's row names is not among the keys.
    #[error("there is no media key with the number {0}")]
    NoKey(u32),
    /// A file of the disk could not be read.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// Encryption failed, for a reason that the library does not tell.
    #[error("encryption failed")]
    Encryption,
    /// A thread did not come back.
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
}

/// Where objects are. Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    keys: Arc<MediaKeys>,
    /// Whether new ones are encrypted.
    encrypts: bool,
    /// Bytes before encryption that are written together.
    part_bytes: usize,
    /// The folder, where they are in one.
    folder: Option<PathBuf>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("store", &self.store.to_string()).finish_non_exhaustive()
    }
}

impl Objects {
    /// Objects in `folder`, which is made where it does not exist. What is written there is synced before it counts as written.
    ///
    /// # Errors
    /// The disk's.
    pub fn local(folder: &Path, keys: MediaKeys, encrypts: bool) -> Result<Self, ObjectError> {
        std::fs::create_dir_all(folder)?;
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        let folder = Some(folder.canonicalize()?);
        let (store, keys) = (Arc::new(store), Arc::new(keys));
        Ok(Self { store, keys, encrypts, part_bytes: limits::LOCAL_PART_BYTES, folder })
    }

    /// Objects in this process's memory, for tests.
    #[must_use]
    pub fn in_memory(keys: MediaKeys, encrypts: bool) -> Self {
        let (store, keys) = (Arc::new(InMemory::new()), Arc::new(keys));
        Self { store, keys, encrypts, part_bytes: limits::MEMORY_PART_BYTES, folder: None }
    }

    /// These objects with other keys, as after a new start.
    #[must_use]
    pub fn with_keys(mut self, keys: MediaKeys, encrypts: bool) -> Self {
        (self.keys, self.encrypts) = (Arc::new(keys), encrypts);
        self
    }

    /// How many objects there are, for tests.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self) -> Result<usize, ObjectError> {
        use futures::TryStreamExt as _;
        Ok(self.store.list(None).try_fold(0, |count, _| async move { Ok(count + 1) }).await?)
    }

    fn sealer(&self, number: u32, name: &ObjectName) -> Result<Option<Sealer>, ObjectError> {
        if number == PLAIN {
            return Ok(None);
        }
        let key = self.keys.get(number).ok_or(ObjectError::NoKey(number))?;
        Sealer::new(key, name).map(Some).map_err(|_| ObjectError::Encryption)
    }

    /// The number of the key that new objects are encrypted with.
    fn newest(&self) -> u32 {
        if self.encrypts { self.keys.newest().map_or(PLAIN, |(number, _)| number) } else { PLAIN }
    }

    /// Removes an object and what is left of its upload. One that is not there is removed.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn remove(&self, name: &ObjectName) -> Result<(), ObjectError> {
        match self.store.delete(&location(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let name = *name;
        Ok(tokio::task::spawn_blocking(move || remove_staged(&folder, &name)).await??)
    }
}

/// `ab/cdef…`: 256 folders of files.
fn path(name: &ObjectName) -> (String, String) {
    use std::fmt::Write as _;
    let text = name.iter().fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    (text[..2].to_owned(), text[2..].to_owned())
}

fn location(name: &ObjectName) -> object_store::path::Path {
    let (folder, file) = path(name);
    object_store::path::Path::from(format!("{folder}/{file}"))
}

/// An upload is written beside its name, with a `#` and a number behind it, until it is whole.
fn remove_staged(folder: &Path, name: &ObjectName) -> std::io::Result<()> {
    let (inner, file) = path(name);
    let entries = match std::fs::read_dir(folder.join(inner)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let beginning = format!("{file}#");
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|entry| entry.starts_with(&beginning)) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// How many bytes `bytes` of a file take in chunks, each with its tag. An empty file has one empty chunk, or its end would not be known.
fn stored_bytes(key: u32, bytes: u64) -> u64 {
    if key == PLAIN { bytes } else { bytes + chunks(bytes) * TAG_BYTES as u64 }
}

fn chunks(bytes: u64) -> u64 {
    bytes.div_ceil(limits::CHUNK_BYTES as u64).max(1)
}

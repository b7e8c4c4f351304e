//! Files that people send (Client-Server API, Content repository).
//!
//! A file is encrypted chunk by chunk into an *object* ([`objects`]), and rows of the engine say what it is, whose it is and how it is
//! read. The object is written first, the rows after it, in one commit; before both stands a timer, which removes the object if that commit
//! never comes. Files with the same content share an object. Formats: `docs/design/29-media.md`.

mod error;
mod file;
pub mod objects;
mod removal;
pub mod strip;
mod tables;
#[cfg(test)]
mod tests;
pub mod thumbnail;
mod thumbnails;
mod totals;
mod upload;
mod upload_later;

use std::{fmt, sync::Arc};

use futures::Stream;
use tokio::sync::{Mutex, Notify, Semaphore};
use wardstead_engine::{Batch, EngineError, Key};
use wardstead_limits::media as limits;
use wardstead_store::{Found, Store, StoreError};

pub use error::MediaError;
pub use file::{Content, File, Who};
pub use upload_later::Awaited;

use objects::Objects;
use tables::{MEDIA, MediaRow, media_key};

/// What a file is, as who uploaded it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its content type, such as `image/png`: visible ASCII and spaces.
    pub content_type: String,
    /// Its name.
    pub name: Option<String>,
}

impl About {
    /// What a file with these headers is: `application/octet-stream` where nothing is said of its type that can be one. A name is cut at
    /// [`limits::FILE_NAME_BYTES`], and has no control characters.
    #[must_use]
    pub fn new(content_type: Option<&str>, name: Option<&str>) -> Self {
        let fits = |text: &&str| {
            let visible = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            visible && text.contains('/') && text.len() <= limits::CONTENT_TYPE_BYTES
        };
        let content_type = content_type.map(str::trim).filter(fits).unwrap_or("application/octet-stream");
        let name = name.map(|name| {
            let mut name: String = name.chars().filter(|c| !c.is_control()).collect();
            let end = (0..=limits::FILE_NAME_BYTES.min(name.len())).rev().find(|at| name.is_char_boundary(*at));
            name.truncate(end.unwrap_or_default());
            name
        });
        Self { content_type: content_type.to_owned(), name: name.filter(|name| !name.is_empty()) }
    }

    /// The content type without its parameters, in lower case.
    #[must_use]
    pub fn essence(&self) -> String {
        self.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

/// What the operator chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaConfig {
    /// Bytes of a file, at most.
    pub file_bytes: u64,
    /// Bytes of all files of one user, at most.
    pub user_bytes: u64,
    /// Bytes of all files together, at most; `None`: as much as there is room for.
    pub server_bytes: Option<u64>,
    /// Whether what pictures say about their making is taken out.
    pub strip: bool,
    /// Whether files uploaded from now on can be read without a token.
    pub open: bool,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            file_bytes: limits::FILE_BYTES,
            user_bytes: limits::USER_TOTAL_BYTES,
            server_bytes: None,
            strip: true,
            open: false,
        }
    }
}

/// The files of this server. Cheap to clone.
#[derive(Clone)]
pub struct Media(Arc<Inner>);

struct Inner {
    store: Store,
    objects: Option<Objects>,
    config: MediaConfig,
    /// For fairness on this node, where all write the server's total; who wins is decided by assertions.
    turn: Mutex<()>,
    /// Pictures in memory.
    pictures: Semaphore,
    /// Thumbnails being made.
    making: Arc<Semaphore>,
    /// Requests that wait for a file.
    waiting: Semaphore,
    /// A file that was awaited is there. A hint.
    uploaded: Notify,
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Media").field("objects", &self.0.objects).finish_non_exhaustive()
    }
}

/// What is uploaded, piece by piece. An error ends the upload.
pub trait Body<E>: Stream<Item = Result<bytes::Bytes, E>> + Send + Unpin {}

impl<E, S: Stream<Item = Result<bytes::Bytes, E>> + Send + Unpin> Body<E> for S {}

impl Media {
    /// Files with rows in `store` and bytes in `objects`; without those there are none, and nobody can upload one.
    #[must_use]
    pub fn new(store: Store, objects: Option<Objects>, config: MediaConfig) -> Self {
        Self(Arc::new(Inner {
            store,
            objects,
            config,
            turn: Mutex::default(),
            pictures: Semaphore::new(limits::PICTURE_UPLOAD_STREAMS),
            making: Arc::new(Semaphore::new(limits::THUMBNAIL_MAKING_THREADS)),
            waiting: Semaphore::new(limits::FILE_WAITERS),
            uploaded: Notify::new(),
        }))
    }

    /// Bytes of a file that is uploaded, at most; 0 where none can be.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        if self.0.objects.is_some() { self.0.config.file_bytes } else { 0 }
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    fn objects(&self) -> Result<&Objects, MediaError> {
        self.0.objects.as_ref().ok_or(MediaError::Forbidden("This server keeps no files."))
    }

    /// The row of a file, whatever its state.
    async fn row(&self, id: &str) -> Result<Found<MediaRow>, MediaError> {
        if id.is_empty() || id.len() > limits::MEDIA_ID_BYTES {
            return Err(MediaError::NotFound);
        }
        self.store().get(&MEDIA, &media_key(id)).await?.ok_or(MediaError::NotFound)
    }

    /// Commits, the `attempt`th time; `false`: somebody was quicker, and it is to be built again.
    async fn won(&self, batch: Batch, attempt: u64) -> Result<bool, MediaError> {
        match self.store().commit(batch).await {
            Ok(_) => Ok(true),
            Err(StoreError::Lost(wardstead_engine::Losing::Rebuild)) => {
                // Another node has its turn; by chance, or two would go on meeting.
                let most_ms = (attempt + 1) * limits::TOTAL_PAUSE_MS;
                let pause_ms = self.store().rng().next_u64() % most_ms;
                tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn corrupt(key: &Key, what: &str) -> MediaError {
    EngineError::corrupt(key, what).into()
}

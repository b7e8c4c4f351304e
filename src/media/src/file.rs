//! A file is read.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use wardstead_limits::media as limits;

use crate::{
    About, Media, MediaError, corrupt,
    objects::Object,
    tables::{CONTENTS, MediaRow, State, content_key, media_key},
};

/// Who asks for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Somebody with an access token.
    User,
    /// Anybody: of files that were uploaded while that was allowed.
    Anybody,
}

/// A file that may be read.
#[derive(Clone, Debug)]
pub struct File {
    /// What it is.
    pub about: About,
    /// Bytes of it.
    pub bytes: u64,
    /// What changes with its content, and with nothing else.
    pub tag: String,
    pub(crate) object: Object,
    /// Short id, and the version of the row that was read.
    pub(crate) media: u64,
    pub(crate) version: u64,
}

/// The bytes of a file, as they are read.
pub type Content = BoxStream<'static, Result<Bytes, MediaError>>;

impl Media {
    /// The file with this id. Where it is uploaded later, waits for it as long as `wait` says, but no longer than
    /// [`limits::WAIT_MS`].
    ///
    /// # Errors
    /// `NotFound`, `NotYetUploaded`.
    pub async fn file(&self, id: &str, who: Who, wait: Duration) -> Result<File, MediaError> {
        let wait = wait.min(Duration::from_millis(limits::WAIT_MS));
        match self.look(id, who).await {
            Err(MediaError::NotYetUploaded) if !wait.is_zero() => {}
            looked => return looked,
        }
        let Ok(_waiting) = self.0.waiting.try_acquire() else { return Err(MediaError::NotYetUploaded) };
        let waited = tokio::time::timeout(wait, async {
            loop {
                let uploaded = self.0.uploaded.notified();
                match self.look(id, who).await {
                    Err(MediaError::NotYetUploaded) => {}
                    looked => return looked,
                }
                // Another node's uploads are seen by looking.
                tokio::select! {
                    () = uploaded => {}
                    () = tokio::time::sleep(Duration::from_millis(limits::WAIT_POLL_MS)) => {}
                }
            }
        });
        waited.await.unwrap_or(Err(MediaError::NotYetUploaded))
    }

    async fn look(&self, id: &str, who: Who) -> Result<File, MediaError> {
        if self.objects().is_err() {
            return Err(MediaError::NotFound);
        }
        let found = self.row(id).await?;
        let MediaRow { media, state, open, locked, .. } = found.row;
        if locked || (who == Who::Anybody && !open) {
            return Err(MediaError::NotFound);
        }
        let (hash, about) = match state {
            State::Awaited { expires_ms, .. } if self.has_passed(expires_ms) => return Err(MediaError::NotFound),
            State::Awaited { .. } => return Err(MediaError::NotYetUploaded),
            State::Stored { hash, about, .. } => (hash, about),
        };
        let about = About::of_stored(&about).ok_or_else(|| corrupt(&media_key(id), "not what a file is"))?;
        // A file that is removed between the two reads has no content any more.
        let content = self.store().get(&CONTENTS, &content_key(&hash)).await?.ok_or(MediaError::NotFound)?;
        let object = content.row.object;
        Ok(File { about, bytes: object.bytes, tag: format!("{media:x}"), object, media, version: found.version })
    }

    /// The bytes `range` of a file, which lie in it.
    ///
    /// # Errors
    /// Where the object cannot be opened. What is wrong further on is told in its place, and ends the bytes.
    pub async fn read(&self, file: &File, range: Range<u64>) -> Result<Content, MediaError> {
        let pieces = self.objects()?.read(&file.object, range).await?;
        Ok(pieces.map_err(MediaError::from).boxed())
    }

    /// All bytes of a file, of which the caller knows that they are not many.
    pub(crate) async fn whole(&self, file: &File) -> Result<Vec<u8>, MediaError> {
        let pieces = self.objects()?.read(&file.object, 0..file.bytes).await?;
        let whole = Vec::with_capacity(usize::try_from(file.bytes).unwrap_or_default());
        let join = |mut whole: Vec<u8>, piece: Bytes| async move {
            whole.extend_from_slice(&piece);
            Ok(whole)
        };
        Ok(pieces.try_fold(whole, join).await?)
    }
}

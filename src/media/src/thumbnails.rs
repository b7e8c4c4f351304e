//! Thumbnails are made when they are first asked for, and kept.

use std::{sync::Arc, time::Duration};

use wardstead_engine::{Batch, Expect, Losing};
use wardstead_limits::media as limits;
use wardstead_store::StoreError;

use crate::{
    About, File, Media, MediaError, Who,
    objects::ObjectError,
    tables::{THUMBNAILS, ThumbnailRow, media_key, thumbnail_key},
    thumbnail::{self, Asked},
};

impl Media {
    /// A thumbnail of the file with this id, in a size that is not smaller than asked for where there is one. Waits as [`Self::file`].
    ///
    /// # Errors
    /// `NotFound`, `NotYetUploaded`, `NoThumbnail`.
    pub async fn thumbnail(&self, id: &str, who: Who, asked: Asked, wait: Duration) -> Result<File, MediaError> {
        let file = self.file(id, who, wait).await?;
        let asked = asked.listed();
        if let Some(made) = self.made(&file, asked).await? {
            return Ok(made);
        }
        if !file.about.essence().starts_with("image/") {
            return Err(MediaError::NoThumbnail(thumbnail::Refused::Unsupported));
        }
        if file.bytes > limits::PICTURE_BYTES as u64 {
            return Err(MediaError::NoThumbnail(thumbnail::Refused::TooLarge));
        }
        // The permit goes with the work: who hangs up does not make room for another.
        let permit = Arc::clone(&self.0.making).acquire_owned().await.map_err(|_| MediaError::Contended)?;
        // Others who asked for the same may have waited for the same.
        if let Some(made) = self.made(&file, asked).await? {
            return Ok(made);
        }
        let picture = self.whole(&file).await?;
        let making = tokio::task::spawn_blocking(move || {
            let made = thumbnail::make(&picture, asked);
            drop((picture, permit));
            made
        });
        let made = making.await.map_err(ObjectError::from)?.map_err(MediaError::NoThumbnail)?;
        self.keep_thumbnail(id, &file, asked, made).await
    }

    async fn made(&self, file: &File, asked: Asked) -> Result<Option<File>, MediaError> {
        let found = self.store().get(&THUMBNAILS, &thumbnail_key(file.media, asked)).await?;
        Ok(found.map(|found| of_row(file, asked, found.row)))
    }

    async fn keep_thumbnail(
        &self,
        id: &str,
        file: &File,
        asked: Asked,
        made: thumbnail::Thumbnail,
    ) -> Result<File, MediaError> {
        let received = self.keep(made.bytes).await?;
        let row = ThumbnailRow { object: received.object, content_type: made.content_type.to_owned() };
        let key = thumbnail_key(file.media, asked);
        let mut batch = Batch::new();
        // In the order of what counts more: of a file that is removed meanwhile nothing stays.
        batch.expect(media_key(id), Expect::Version(file.version), Losing::Rebuild);
        batch.expect(key.clone(), Expect::Absent, Losing::Done(key.clone()));
        THUMBNAILS.put(&mut batch, key, &row);
        received.loose.keep(&mut batch);
        let Err(error) = self.store().commit(batch).await else { return Ok(of_row(file, asked, row)) };
        self.discard(&received.loose).await;
        match error {
            StoreError::Lost(Losing::Done(_)) => self.made(file, asked).await?.ok_or(MediaError::Contended),
            StoreError::Lost(Losing::Rebuild) => Err(MediaError::Contended),
            error => Err(error.into()),
        }
    }
}

fn of_row(file: &File, asked: Asked, row: ThumbnailRow) -> File {
    let Asked { width, height, fit, animated } = asked;
    let ThumbnailRow { object, content_type } = row;
    let tag = format!("{}-{width}x{height}-{fit:?}{}", file.tag, if animated { "-animated" } else { "" });
    let extension = content_type.rsplit('/').next().unwrap_or_default();
    let name = Some(format!("thumbnail.{extension}"));
    File { about: About { content_type, name }, bytes: object.bytes, tag, object, ..file.clone() }
}

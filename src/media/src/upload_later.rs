//! An id is given before its file comes, so that a message can be sent at once (Client-Server API, `POST /media/v1/create`).

use wardstead_engine::{Batch, Expect, Losing};
use wardstead_limits::media as limits;
use wardstead_store::Found;

use crate::{
    About, Body, Media, MediaError,
    tables::{MEDIA, MediaRow, State, TIMERS, TimerRow, media_key},
};

/// An id that waits for its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// The id.
    pub id: String,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: u64,
}

impl Media {
    /// An id of `user`'s for a file that comes later.
    ///
    /// # Errors
    /// `TooManyAwaited`.
    pub async fn create(&self, user: u64) -> Result<Awaited, MediaError> {
        self.objects()?;
        let (store, open) = (self.store(), self.0.config.open);
        let created_ms = store.clock().now_ms();
        let awaited = Awaited {
            id: store.rng().alphanumeric(limits::MEDIA_ID_CHARS),
            expires_ms: created_ms + limits::UNUSED_MS,
        };
        let (media, timer) = (store.next_id().await?, store.next_id().await?);
        let _turn = self.0.turn.lock().await;
        for attempt in 0..=limits::TOTAL_REBUILDS {
            let mut batch = Batch::new();
            let [mut of_user, _] = self.totals(user).await?;
            Self::charge_awaited(&mut of_user)?;
            of_user.put(&mut batch);
            let state = State::Awaited { expires_ms: awaited.expires_ms, timer };
            let row = MediaRow { media, owner: user, created_ms, state, open, locked: false };
            batch.expect(media_key(&awaited.id), Expect::Absent, Losing::Rebuild);
            MEDIA.put_with(&mut batch, media_key(&awaited.id), 1, &[], &row);
            TIMERS.schedule(&mut batch, awaited.expires_ms, timer, &TimerRow::Awaited(awaited.id.clone()));
            if self.won(batch, attempt).await? {
                return Ok(awaited);
            }
        }
        Err(MediaError::Contended)
    }

    /// The file of an id that [`Self::create`] gave to `user`.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` (somebody else's id), `AlreadyUploaded`, and as [`Self::upload`].
    pub async fn fill<E>(
        &self,
        user: u64,
        id: &str,
        about: &About,
        length: Option<u64>,
        body: impl Body<E>,
    ) -> Result<(), MediaError> {
        self.awaited(user, id).await?;
        self.admit(user, length).await?;
        let received = self.receive(about, body).await?;
        self.settle(&received, about, |_| async move {
            let found = self.awaited(user, id).await?;
            Ok((id.to_owned(), found.row.clone(), Some(found)))
        })
        .await?;
        self.0.uploaded.notify_waiters();
        Ok(())
    }

    async fn awaited(&self, user: u64, id: &str) -> Result<Found<MediaRow>, MediaError> {
        let found = self.row(id).await?;
        if found.row.owner != user {
            return Err(MediaError::Forbidden("This is the id of somebody else's file."));
        }
        match found.row.state {
            State::Stored { .. } => Err(MediaError::AlreadyUploaded),
            State::Awaited { expires_ms, .. } if self.has_passed(expires_ms) => Err(MediaError::NotFound),
            State::Awaited { .. } => Ok(found),
        }
    }

    pub(crate) fn has_passed(&self, at_ms: u64) -> bool {
        self.store().clock().now_ms() >= at_ms
    }
}

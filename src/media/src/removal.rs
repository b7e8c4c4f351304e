//! Files are locked away, or removed; what no row names is removed.

use std::sync::Arc;

use async_trait::async_trait;
use wardstead_engine::{Batch, Expect, Losing, PageLimit, ScanRange};
use wardstead_limits::media as limits;
use wardstead_store::{Claim, Fired, Found, Handled, QueueHandler, StoreError, TimerHandler};

use crate::{
    Media, MediaError,
    tables::{LEFT, LeftRow, MEDIA, MediaRow, OF_USERS, State, THUMBNAILS, TIMERS, TimerRow, media_key, of_user_key},
};

impl Media {
    /// Removes, from now on and until the store is closed, objects that no row names and ids that were never filled. Called once, when the
    /// parts are wired, on every node.
    pub fn run(&self) {
        if self.0.objects.is_some() {
            let sweeper = Arc::new(Sweeper(self.clone()));
            self.store().run_timers(&TIMERS, Arc::clone(&sweeper) as Arc<dyn TimerHandler<TimerRow>>);
            self.store().run_queue(&LEFT, sweeper as Arc<dyn QueueHandler<LeftRow>>);
        }
    }

    /// Locks a file away, so that nobody reads it, or gives it back. Other files with the same content stay as they are.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn lock(&self, id: &str, locked: bool) -> Result<(), MediaError> {
        for attempt in 0..=limits::TOTAL_REBUILDS {
            let found = self.row(id).await?;
            let mut batch = Batch::new();
            batch.expect(found.key.clone(), Expect::Version(found.version), Losing::Rebuild);
            MEDIA.put_with(&mut batch, found.key, found.version + 1, &[], &MediaRow { locked, ..found.row });
            if self.won(batch, attempt).await? {
                return Ok(());
            }
        }
        Err(MediaError::Contended)
    }

    /// Removes a file. Its content goes with the last file that has it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove(&self, id: &str) -> Result<(), MediaError> {
        let _turn = self.0.turn.lock().await;
        for attempt in 0..=limits::TOTAL_REBUILDS {
            let mut batch = Batch::new();
            self.take(&mut batch, &self.row(id).await?).await?;
            if self.won(batch, attempt).await? {
                return Ok(());
            }
        }
        Err(MediaError::Contended)
    }

    /// Removes all files of `user`; how many.
    ///
    /// # Errors
    /// The store's: some may be removed then.
    pub async fn remove_all_of(&self, user: u64) -> Result<usize, MediaError> {
        let range = ScanRange::scope(OF_USERS.id(), user);
        let mut removed = 0;
        loop {
            let page = PageLimit::rows(limits::REMOVED_FILES_AT_ONCE);
            let (files, _) = self.store().scan(&OF_USERS, &range, page).await?;
            if files.is_empty() {
                return Ok(removed);
            }
            for file in files {
                match self.remove(&file.row.id).await {
                    Ok(()) => removed += 1,
                    // Somebody else was quicker.
                    Err(MediaError::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Has `batch` take a file away with all that is kept for it.
    async fn take(&self, batch: &mut Batch, found: &Found<MediaRow>) -> Result<(), MediaError> {
        let row = &found.row;
        batch.expect(found.key.clone(), Expect::Version(found.version), Losing::Rebuild);
        batch.delete(found.key.clone());
        let [mut of_user, mut of_server] = self.totals(row.owner).await?;
        match &row.state {
            State::Awaited { expires_ms, timer } => {
                TIMERS.cancel(batch, *expires_ms, *timer, Losing::Rebuild);
                of_user.row.awaited = of_user.row.awaited.saturating_sub(1);
            }
            State::Stored { hash, bytes, .. } => {
                of_user.row.bytes = of_user.row.bytes.saturating_sub(*bytes);
                of_user.row.files = of_user.row.files.saturating_sub(1);
                batch.delete(of_user_key(row.owner, row.media));
                self.take_content(batch, hash, &mut of_server).await?;
                let thumbnails = ScanRange::scope(THUMBNAILS.id(), row.media);
                for thumbnail in self.store().scan_all(&THUMBNAILS, thumbnails.clone()).await? {
                    self.leave(batch, thumbnail.row.object.name).await?;
                }
                batch.delete_range(thumbnails.from, thumbnails.to);
            }
        }
        of_user.put(batch);
        Ok(())
    }

    /// Has `batch` end an id that was never filled.
    async fn expire(&self, batch: &mut Batch, id: &str) -> Result<(), MediaError> {
        let found = match self.store().get(&MEDIA, &media_key(id)).await? {
            Some(found) if matches!(found.row.state, State::Awaited { .. }) => found,
            _ => return Ok(()),
        };
        batch.expect(found.key.clone(), Expect::Version(found.version), Losing::Rebuild);
        batch.delete(found.key);
        let [mut of_user, _] = self.totals(found.row.owner).await?;
        of_user.row.awaited = of_user.row.awaited.saturating_sub(1);
        of_user.put(batch);
        Ok(())
    }
}

struct Sweeper(Media);

#[async_trait]
impl TimerHandler<TimerRow> for Sweeper {
    async fn fire(&self, timer: &Found<TimerRow>, claim: &Claim) -> Result<Fired, StoreError> {
        match &timer.row {
            TimerRow::Orphan(name) => {
                // First the commit against which no upload wins any more, then the removal.
                let mut batch = Batch::new();
                self.0.leave(&mut batch, *name).await.map_err(of_media)?;
                Ok(Fired::Done(batch))
            }
            TimerRow::Awaited(id) => {
                // Many of one user end at one time, and all change the same total.
                let _turn = self.0.0.turn.lock().await;
                let mut batch = Batch::new();
                self.0.expire(&mut batch, id).await.map_err(of_media)?;
                claim.take(&mut batch, std::slice::from_ref(timer));
                self.0.store().commit(batch).await?;
                Ok(Fired::Committed)
            }
        }
    }
}

#[async_trait]
impl QueueHandler<LeftRow> for Sweeper {
    async fn handle(&self, _: u64, rows: &[Found<LeftRow>], _: &Claim) -> Result<Handled, StoreError> {
        for row in rows {
            let objects = self.0.objects().map_err(of_media)?;
            if let Err(error) = objects.remove(&row.row.name).await {
                tracing::warn!(%error, "an object that nobody needs could not be removed");
                return Ok(Handled::Later);
            }
        }
        Ok(Handled::Done { rows: rows.len(), batch: Batch::new() })
    }
}

fn of_media(error: MediaError) -> StoreError {
    match error {
        MediaError::Store(error) => error,
        error => wardstead_engine::EngineError::Unavailable(error.to_string()).into(),
    }
}

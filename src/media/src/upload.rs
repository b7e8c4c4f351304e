//! A file is uploaded.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use wardstead_engine::{Batch, Expect, Losing};
use wardstead_limits::media as limits;
use wardstead_store::Found;

use crate::{
    About, Body, Media, MediaError, corrupt,
    objects::{Object, ObjectName, Writer},
    strip,
    tables::{
        CONTENTS, ContentRow, LEFT, LeftRow, MEDIA, MediaRow, OF_USERS, OfUserRow, State, TIMERS, TimerRow,
        content_key, media_key, of_user_key,
    },
    totals::Total,
};

/// What an upload loses to that took so long that its object was removed.
const TOO_LATE: &str = "the upload took too long";

/// An object that no row names yet, and the timer that removes it.
#[derive(Clone, Debug)]
pub(crate) struct Loose {
    pub(crate) name: ObjectName,
    due_ms: u64,
    timer: u64,
}

/// A file that came, and is durable.
pub(crate) struct Received {
    pub(crate) object: Object,
    pub(crate) hash: [u8; 32],
    pub(crate) loose: Loose,
}

impl Loose {
    /// Has `batch`, which names the object, end its timer.
    pub(crate) fn keep(&self, batch: &mut Batch) {
        TIMERS.cancel(batch, self.due_ms, self.timer, Losing::Fail(TOO_LATE));
    }
}

impl Media {
    /// Stores what `body` brings, a file of `user`'s, and gives its id. `length` is what the client says that it has.
    ///
    /// # Errors
    /// `TooLarge`, `Forbidden` (quotas, a picture that cannot be freed of its metadata), `Interrupted`.
    pub async fn upload<E>(
        &self,
        user: u64,
        about: &About,
        length: Option<u64>,
        body: impl Body<E>,
    ) -> Result<String, MediaError> {
        self.admit(user, length).await?;
        let received = self.receive(about, body).await?;
        let id = self.store().rng().alphanumeric(limits::MEDIA_ID_CHARS);
        let media = self.store().next_id().await?;
        let created_ms = self.store().clock().now_ms();
        self.settle(&received, about, |_| {
            let (id, open) = (id.clone(), self.0.config.open);
            let state = State::Awaited { expires_ms: 0, timer: 0 };
            let row = MediaRow { media, owner: user, created_ms, state, open, locked: false };
            async move { Ok((id, row, None)) }
        })
        .await?;
        Ok(id)
    }

    /// Refuses what can be refused before anything is read.
    pub(crate) async fn admit(&self, user: u64, length: Option<u64>) -> Result<(), MediaError> {
        self.objects()?;
        let length = length.unwrap_or(0);
        if length > self.0.config.file_bytes {
            return Err(MediaError::TooLarge(self.0.config.file_bytes));
        }
        let mut totals = self.totals(user).await?;
        // Of what is there already nothing more is charged to the server, and that is known only at the end.
        self.charge(&mut totals, length, false)
    }

    /// Writes what `body` brings into an object of its own.
    pub(crate) async fn receive<E>(&self, about: &About, mut body: impl Body<E>) -> Result<Received, MediaError> {
        let start = start(&mut body).await?;
        let is_picture = about.essence().starts_with("image/") || strip::may_be_picture(&start);
        let is_picture = self.0.config.strip && is_picture;
        let limit = Duration::from_millis(limits::UPLOAD_MS);
        if is_picture {
            let permit = self.0.pictures.acquire().await.map_err(|_| MediaError::Contended)?;
            let collecting = tokio::time::timeout(limit, self.picture(about, start, body));
            let picture = collecting.await.map_err(|_| MediaError::Interrupted)??;
            let received = self.keep(picture).await;
            drop(permit);
            return received;
        }
        let (loose, mut writer) = self.begin().await?;
        let copying = tokio::time::timeout(limit, self.copy(&mut writer, start, body));
        match copying.await.unwrap_or(Err(MediaError::Interrupted)) {
            Ok(()) => self.finish(loose, writer).await,
            Err(error) => {
                writer.abort().await;
                self.discard(&loose).await;
                Err(error)
            }
        }
    }

    /// Writes `bytes`, which are all there is, into an object of its own.
    pub(crate) async fn keep(&self, bytes: Bytes) -> Result<Received, MediaError> {
        let (loose, mut writer) = self.begin().await?;
        match writer.write(&bytes).await {
            Ok(()) => self.finish(loose, writer).await,
            Err(error) => {
                writer.abort().await;
                self.discard(&loose).await;
                Err(error.into())
            }
        }
    }

    /// A new object, and before it, durably, the timer that removes it.
    async fn begin(&self) -> Result<(Loose, Writer), MediaError> {
        let objects = self.objects()?;
        let mut name = ObjectName::default();
        self.store().rng().fill(&mut name);
        let due_ms = self.store().clock().now_ms() + limits::ORPHAN_MS;
        let loose = Loose { name, due_ms, timer: self.store().next_id().await? };
        let mut batch = Batch::new();
        TIMERS.schedule(&mut batch, loose.due_ms, loose.timer, &TimerRow::Orphan(name));
        self.store().commit(batch).await?;
        Ok((loose, objects.begin(name)?))
    }

    async fn finish(&self, loose: Loose, writer: Writer) -> Result<Received, MediaError> {
        match writer.finish().await {
            Ok(written) => Ok(Received { object: written.object, hash: written.hash, loose }),
            Err(error) => {
                self.discard(&loose).await;
                Err(error.into())
            }
        }
    }

    async fn copy<E>(&self, writer: &mut Writer, start: Bytes, mut body: impl Body<E>) -> Result<(), MediaError> {
        let mut next_piece = Some(start);
        while let Some(piece) = next_piece {
            if writer.bytes() + piece.len() as u64 > self.0.config.file_bytes {
                return Err(MediaError::TooLarge(self.0.config.file_bytes));
            }
            writer.write(&piece).await?;
            next_piece = next(&mut body).await?;
        }
        Ok(())
    }

    /// A picture without its metadata.
    async fn picture<E>(&self, about: &About, start: Bytes, mut body: impl Body<E>) -> Result<Bytes, MediaError> {
        let most = self.0.config.file_bytes.min(limits::PICTURE_BYTES as u64);
        let mut whole = BytesMut::new();
        let mut next_piece = Some(start);
        while let Some(piece) = next_piece {
            if (whole.len() + piece.len()) as u64 > most {
                return Err(MediaError::TooLarge(most));
            }
            whole.extend_from_slice(&piece);
            next_piece = next(&mut body).await?;
        }
        let (essence, whole) = (about.essence(), whole.freeze());
        let stripping = tokio::task::spawn_blocking(move || strip::strip(&essence, whole));
        let stripped = stripping.await.map_err(crate::objects::ObjectError::from)?;
        stripped.map(|stripped| stripped.bytes).map_err(MediaError::Picture)
    }

    /// Has an object removed that nobody will name. Where that fails, its timer does it.
    pub(crate) async fn discard(&self, loose: &Loose) {
        let discarded = async {
            let mut batch = Batch::new();
            loose.keep(&mut batch);
            self.leave(&mut batch, loose.name).await?;
            self.store().commit(batch).await.map_err(MediaError::from)
        };
        if let Err(error) = discarded.await {
            tracing::debug!(%error, "an object is removed later");
        }
    }

    /// Has `batch` name the object as one to be removed.
    pub(crate) async fn leave(&self, batch: &mut Batch, name: ObjectName) -> Result<(), MediaError> {
        let lane = self.store().next_id().await?;
        LEFT.push_after(batch, lane, self.store().position(), lane, &LeftRow { name });
        Ok(())
    }

    /// Makes the file that came readable, in one commit: with its id, its content, the totals. `target` gives the id, its row, and the
    /// row that was read where there was one.
    pub(crate) async fn settle<F>(
        &self,
        received: &Received,
        about: &About,
        target: impl Fn(&mut Batch) -> F,
    ) -> Result<(), MediaError>
    where
        F: Future<Output = Result<(String, MediaRow, Option<Found<MediaRow>>), MediaError>>,
    {
        let settled = self.try_settle(received, about, target).await;
        if settled.is_err() {
            self.discard(&received.loose).await;
        }
        settled
    }

    async fn try_settle<F>(
        &self,
        received: &Received,
        about: &About,
        target: impl Fn(&mut Batch) -> F,
    ) -> Result<(), MediaError>
    where
        F: Future<Output = Result<(String, MediaRow, Option<Found<MediaRow>>), MediaError>>,
    {
        let _turn = self.0.turn.lock().await;
        for attempt in 0..=limits::TOTAL_REBUILDS {
            let mut batch = Batch::new();
            let (id, mut row, before) = target(&mut batch).await?;
            let mut totals = self.totals(row.owner).await?;
            if let Some(State::Awaited { expires_ms, timer }) = before.as_ref().map(|before| &before.row.state) {
                TIMERS.cancel(&mut batch, *expires_ms, *timer, Losing::Rebuild);
                totals[0].row.awaited = totals[0].row.awaited.saturating_sub(1);
            }
            let bytes = received.object.bytes;
            let new = self.put_content(&mut batch, received).await?;
            self.charge(&mut totals, bytes, new)?;
            let [of_user, of_server] = &totals;
            of_user.put(&mut batch);
            if new {
                of_server.put(&mut batch);
            }
            row.state = State::Stored { hash: received.hash, bytes, about: about.stored() };
            let (key, version) = (media_key(&id), before.map_or(0, |before| before.version));
            let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
            batch.expect(key.clone(), expect, Losing::Rebuild);
            MEDIA.put_with(&mut batch, key, version + 1, &[], &row);
            OF_USERS.put(&mut batch, of_user_key(row.owner, row.media), &OfUserRow { id });
            if self.won(batch, attempt).await? {
                return Ok(());
            }
        }
        Err(MediaError::Contended)
    }

    /// Has `batch` count one more file with this content; whether it is the first, which then has the object.
    async fn put_content(&self, batch: &mut Batch, received: &Received) -> Result<bool, MediaError> {
        let key = content_key(&received.hash);
        received.loose.keep(batch);
        let Some(found) = self.store().get(&CONTENTS, &key).await? else {
            batch.expect(key.clone(), Expect::Absent, Losing::Rebuild);
            CONTENTS.put_with(batch, key, 1, &[], &ContentRow { object: received.object.clone(), files: 1 });
            return Ok(true);
        };
        if found.row.object.bytes != received.object.bytes {
            return Err(corrupt(&key, "a content of another length"));
        }
        batch.expect(key.clone(), Expect::Version(found.version), Losing::Rebuild);
        let row = ContentRow { files: found.row.files + 1, ..found.row };
        CONTENTS.put_with(batch, key, found.version + 1, &[], &row);
        self.leave(batch, received.object.name).await?;
        Ok(false)
    }

    /// Has `batch` take the file's content away; the server's total where it was the last file with it.
    pub(crate) async fn take_content(
        &self,
        batch: &mut Batch,
        hash: &[u8; 32],
        of_server: &mut Total,
    ) -> Result<(), MediaError> {
        let key = content_key(hash);
        let found = self.store().get(&CONTENTS, &key).await?.ok_or_else(|| corrupt(&key, "a file without content"))?;
        batch.expect(key.clone(), Expect::Version(found.version), Losing::Rebuild);
        if found.row.files > 1 {
            let row = ContentRow { files: found.row.files - 1, ..found.row };
            CONTENTS.put_with(batch, key, found.version + 1, &[], &row);
            return Ok(());
        }
        batch.delete(key);
        of_server.row.bytes = of_server.row.bytes.saturating_sub(found.row.object.bytes);
        of_server.row.files = of_server.row.files.saturating_sub(1);
        of_server.put(batch);
        self.leave(batch, found.row.object.name).await
    }
}

/// The first pieces, with as many bytes as tell what a file is, if it has them.
async fn start<E>(body: &mut impl Body<E>) -> Result<Bytes, MediaError> {
    let mut start = Bytes::new();
    while start.len() < limits::FILE_START_BYTES {
        let Some(piece) = next(body).await? else { break };
        start = if start.is_empty() { piece } else { [start, piece].concat().into() };
    }
    Ok(start)
}

/// The next piece of an upload that goes on.
async fn next<E>(body: &mut impl Body<E>) -> Result<Option<Bytes>, MediaError> {
    let pause = Duration::from_millis(limits::UPLOAD_PAUSE_MS);
    match tokio::time::timeout(pause, body.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(piece))) => Ok(Some(piece)),
        Ok(Some(Err(_))) | Err(_) => Err(MediaError::Interrupted),
    }
}

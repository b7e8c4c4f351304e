//! Files over the memory engine and objects in memory.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use wardstead_engine_memory::MemoryEngine;
use wardstead_limits::{ManualClock, media as limits};
use wardstead_store::{Store, testing};

mod pictures;

use crate::{
    About, Media, MediaConfig, MediaError, Who,
    objects::{MediaKeys, Objects},
    tables::{CONTENTS, MEDIA, OF_USERS, THUMBNAILS, TIMERS, TOTALS, TotalRow, total_key},
};

const ANNA: u64 = 1_001;
const BERT: u64 = 1_002;

struct Node {
    media: Media,
    objects: Objects,
    store: Store,
    engine: Arc<MemoryEngine>,
    clock: ManualClock,
}

impl Node {
    async fn new(config: MediaConfig) -> Self {
        let (engine, clock) = testing::engine();
        let objects = Objects::in_memory(MediaKeys::default(), true);
        Self::over(engine, clock, 1, objects, config).await
    }

    async fn over(
        engine: Arc<MemoryEngine>,
        clock: ManualClock,
        seed: u64,
        objects: Objects,
        config: MediaConfig,
    ) -> Self {
        let store = testing::over(Arc::clone(&engine) as _, "example.org", clock.clone(), seed).await.unwrap();
        let objects = objects.with_keys(MediaKeys::default().with_own(&store).await.unwrap(), true);
        let media = Media::new(store.clone(), Some(objects.clone()), config);
        Self { media, objects, store, engine, clock }
    }

    /// Another node on the same data.
    async fn another(&self, config: MediaConfig) -> Self {
        Self::over(Arc::clone(&self.engine), self.clock.clone(), 2, self.objects.clone(), config).await
    }

    async fn upload(&self, user: u64, file: &[u8]) -> Result<String, MediaError> {
        self.media.upload(user, &text(), None, body(file)).await
    }

    async fn read(&self, id: &str) -> Result<Vec<u8>, MediaError> {
        let file = self.media.file(id, Who::User, Duration::ZERO).await?;
        let content = self.media.read(&file, 0..file.bytes).await?;
        content.try_fold(Vec::new(), |whole, piece| async move { Ok([whole, piece.to_vec()].concat()) }).await
    }

    async fn total(&self, user: u64) -> TotalRow {
        self.store.get(&TOTALS, &total_key(user)).await.unwrap().map(|found| found.row).unwrap_or_default()
    }

    /// Rows of the tables, by what they are about.
    fn rows(&self) -> [usize; 4] {
        let keys: Vec<_> = self.engine.rows().into_keys().collect();
        [MEDIA.id(), CONTENTS.id(), OF_USERS.id(), THUMBNAILS.id()]
            .map(|table| keys.iter().filter(|key| key.table() == table).count())
    }

    async fn timers(&self) -> usize {
        TIMERS.count(&self.store, 1_000).await.unwrap()
    }

    /// Waits until the sweeps, which run from now on, have brought about `what`.
    async fn until<F: Future<Output = bool>>(&self, what: impl Fn() -> F) {
        for _ in 0..5_000 {
            if what().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it did not come about");
    }

    async fn objects(&self) -> usize {
        self.objects.count().await.unwrap()
    }
}

fn text() -> About {
    About::new(Some("text/plain"), Some("notes.txt"))
}

fn body(file: &[u8]) -> impl crate::Body<Infallible> + use<> {
    let pieces: Vec<_> = file.chunks(1_000).map(Bytes::copy_from_slice).map(Ok).collect();
    stream::iter(pieces)
}

#[test]
fn what_a_file_is_called() {
    let about = About::new(Some("Text/Plain; charset=utf-8"), Some("a\nb"));
    assert_eq!((about.essence().as_str(), about.name.as_deref()), ("text/plain", Some("ab")));
    assert_eq!(About::of_stored(&about.stored()), Some(about));
    for odd in [None, Some(""), Some("text"), Some("text/plain\r\nX: y"), Some("text/pläin")] {
        let about = About::new(odd, None);
        assert_eq!(about.content_type, "application/octet-stream");
        assert_eq!(About::of_stored(&about.stored()), Some(about));
    }
    let long = About::new(None, Some(&"ä".repeat(200)));
    assert_eq!(long.name.unwrap(), "ä".repeat(127));
}

/// Two with the same content are one object; each is read, locked and removed by itself; the object goes with the last.
#[tokio::test]
async fn equal_files_share_an_object_and_nothing_else() {
    let node = Node::new(MediaConfig::default()).await;
    node.media.run();
    let file = b"same".repeat(50_000);
    let (of_anna, of_bert) = (node.upload(ANNA, &file).await.unwrap(), node.upload(BERT, &file).await.unwrap());
    assert_ne!(of_anna, of_bert);
    node.until(|| async { node.objects().await == 1 }).await;
    assert_eq!(node.rows(), [2, 1, 2, 0]);
    let bytes = file.len() as u64;
    for (user, files) in [(ANNA, 1), (BERT, 1), (0, 1)] {
        assert_eq!(node.total(user).await, TotalRow { bytes, files, awaited: 0 });
    }
    node.media.lock(&of_anna, true).await.unwrap();
    assert!(matches!(node.read(&of_anna).await, Err(MediaError::NotFound)));
    assert_eq!(node.read(&of_bert).await.unwrap(), file);
    node.media.lock(&of_anna, false).await.unwrap();
    assert_eq!(node.read(&of_anna).await.unwrap(), file);
    node.media.remove(&of_anna).await.unwrap();
    assert!(matches!(node.read(&of_anna).await, Err(MediaError::NotFound)));
    assert!(matches!(node.media.remove(&of_anna).await, Err(MediaError::NotFound)));
    assert_eq!(node.read(&of_bert).await.unwrap(), file);
    assert_eq!(node.media.remove_all_of(BERT).await.unwrap(), 1);
    node.until(|| async { node.objects().await == 0 }).await;
    assert_eq!((node.rows(), node.timers().await), ([0; 4], 0));
    for user in [ANNA, BERT, 0] {
        assert_eq!(node.total(user).await, TotalRow::default());
    }
}

/// What is not acknowledged leaves nothing behind; who is killed leaves a timer, which removes the object.
#[tokio::test]
async fn an_upload_that_does_not_end_leaves_nothing() {
    let config = MediaConfig { file_bytes: 500_000, ..MediaConfig::default() };
    let node = Node::new(config).await;
    let broken = stream::iter([Ok(Bytes::from(vec![1; 300_000])), Err(())]);
    let interrupted = node.media.upload(ANNA, &text(), None, broken).await;
    assert!(matches!(interrupted, Err(MediaError::Interrupted)));
    let large = node.upload(ANNA, &vec![1; 500_001]).await;
    assert!(matches!(large, Err(MediaError::TooLarge(500_000))));
    let said = node.media.upload(ANNA, &text(), Some(500_001), body(b"")).await;
    assert!(matches!(said, Err(MediaError::TooLarge(500_000))));
    assert_eq!((node.rows(), node.timers().await), ([0; 4], 0));
    // As after a kill: the object is there, and no row names it.
    node.media.receive(&text(), body(&vec![2; 300_000])).await.unwrap();
    assert_eq!((node.objects().await, node.timers().await), (1, 1));
    node.media.run();
    node.clock.advance_ms(limits::ORPHAN_MS);
    node.until(|| async { node.objects().await == 0 }).await;
    assert_eq!((node.rows(), node.timers().await), ([0; 4], 0));
}

/// An object whose timer has begun to remove it is not named any more.
#[tokio::test]
async fn an_upload_that_took_too_long_is_not_acknowledged() {
    let node = Node::new(MediaConfig::default()).await;
    let received = node.media.receive(&text(), body(b"late")).await.unwrap();
    node.media.run();
    node.clock.advance_ms(limits::ORPHAN_MS);
    node.until(|| async { node.timers().await == 0 }).await;
    let awaited = node.media.create(ANNA).await.unwrap();
    let about = text();
    let settled = node.media.settle(&received, &about, |_| async {
        let found = node.media.row(&awaited.id).await?;
        Ok((awaited.id.clone(), found.row.clone(), Some(found)))
    });
    let settled = settled.await;
    assert!(matches!(settled, Err(MediaError::Store(_))), "{settled:?}");
    assert!(matches!(node.read(&awaited.id).await, Err(MediaError::NotYetUploaded)));
}

/// The bounds are exact; what two nodes do at once is bounded as what one does.
#[tokio::test]
async fn quotas_hold_on_two_nodes_at_once() {
    let config = MediaConfig { user_bytes: 10_000, server_bytes: Some(25_000), ..MediaConfig::default() };
    let node = Node::new(config.clone()).await;
    let other = node.another(config).await;
    let uploads = (0..40_u8).map(|number| {
        let node = if number % 2 == 0 { &node } else { &other };
        let user = ANNA + u64::from(number % 4);
        async move { (user, node.upload(user, &[number; 1_000]).await) }
    });
    let mut bytes = std::collections::BTreeMap::new();
    for (user, uploaded) in stream::iter(uploads).buffer_unordered(8).collect::<Vec<_>>().await {
        match uploaded {
            Ok(_) => *bytes.entry(user).or_insert(0) += 1_000,
            Err(error) => assert!(matches!(error, MediaError::Forbidden(_)), "{error}"),
        }
    }
    assert_eq!(bytes.values().sum::<u64>(), 25_000);
    for (user, bytes) in bytes {
        assert!(bytes <= 10_000);
        assert_eq!(node.total(user).await.bytes, bytes);
    }
    assert_eq!((node.total(0).await.bytes, node.timers().await), (25_000, 0));
}

/// To the byte; what the server has already costs it nothing.
#[tokio::test]
async fn quotas_are_exact() {
    let config = MediaConfig { user_bytes: 3_000, server_bytes: Some(2_000), ..MediaConfig::default() };
    let node = Node::new(config).await;
    node.upload(ANNA, &[1; 2_000]).await.unwrap();
    assert!(matches!(node.upload(BERT, &[2; 1]).await, Err(MediaError::Forbidden(_))));
    node.upload(BERT, &[1; 2_000]).await.unwrap();
    assert!(matches!(node.upload(ANNA, &[1; 1_001]).await, Err(MediaError::Forbidden(_))));
    let said = node.media.upload(ANNA, &text(), Some(1_001), body(b"")).await;
    assert!(matches!(said, Err(MediaError::Forbidden(_))));
    assert_eq!(node.total(ANNA).await.bytes, 2_000);
}

/// An id is given, waited for, filled by its owner once, on another node.
#[tokio::test]
async fn a_file_that_is_uploaded_later() {
    let node = Node::new(MediaConfig::default()).await;
    let other = node.another(MediaConfig::default()).await;
    let awaited = node.media.create(ANNA).await.unwrap();
    assert_eq!(awaited.expires_ms, testing::START_MS + limits::UNUSED_MS);
    assert!(matches!(node.read(&awaited.id).await, Err(MediaError::NotYetUploaded)));
    let foreign = other.media.fill(BERT, &awaited.id, &text(), None, body(b"x")).await;
    assert!(matches!(foreign, Err(MediaError::Forbidden(_))));
    let about = text();
    let (found, filled) = tokio::join!(
        node.media.file(&awaited.id, Who::User, Duration::MAX),
        other.media.fill(ANNA, &awaited.id, &about, None, body(b"later")),
    );
    filled.unwrap();
    assert_eq!(found.unwrap().about, text());
    assert_eq!(node.read(&awaited.id).await.unwrap(), b"later");
    let again = node.media.fill(ANNA, &awaited.id, &text(), None, body(b"other")).await;
    assert!(matches!(again, Err(MediaError::AlreadyUploaded)));
    assert_eq!(node.read(&awaited.id).await.unwrap(), b"later");
    assert_eq!((node.total(ANNA).await, node.timers().await), (TotalRow { bytes: 5, files: 1, awaited: 0 }, 0));
    let unknown = node.media.fill(ANNA, "unknown", &text(), None, body(b"x")).await;
    assert!(matches!(unknown, Err(MediaError::NotFound)));
}

/// Two who fill one id at once: one wins, and the other's object goes.
#[tokio::test]
async fn an_id_is_filled_once() {
    let node = Node::new(MediaConfig::default()).await;
    let other = node.another(MediaConfig::default()).await;
    node.media.run();
    let awaited = node.media.create(ANNA).await.unwrap();
    let about = text();
    let (one, two) = tokio::join!(
        node.media.fill(ANNA, &awaited.id, &about, None, body(b"one")),
        other.media.fill(ANNA, &awaited.id, &about, None, body(b"two")),
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let expected: &[u8] = if one.is_ok() { b"one" } else { b"two" };
    assert_eq!(node.read(&awaited.id).await.unwrap(), expected);
    node.until(|| async { node.objects().await == 1 }).await;
    assert_eq!(node.total(ANNA).await, TotalRow { bytes: 3, files: 1, awaited: 0 });
}

/// Ids that nobody fills end in time, and count until then.
#[tokio::test]
async fn ids_that_are_not_filled_end() {
    let node = Node::new(MediaConfig::default()).await;
    let mut last = None;
    for _ in 0..limits::AWAITED_FILES_PER_USER {
        last = Some(node.media.create(ANNA).await.unwrap());
    }
    assert!(matches!(node.media.create(ANNA).await, Err(MediaError::TooManyAwaited(_))));
    node.media.create(BERT).await.unwrap();
    node.clock.advance_ms(limits::UNUSED_MS);
    // At once, whenever the rows go.
    let id = last.unwrap().id;
    assert!(matches!(node.media.fill(ANNA, &id, &text(), None, body(b"x")).await, Err(MediaError::NotFound)));
    assert!(matches!(node.media.file(&id, Who::User, Duration::MAX).await, Err(MediaError::NotFound)));
    node.media.run();
    node.until(|| async { node.timers().await == 0 }).await;
    assert_eq!((node.rows(), node.total(ANNA).await), ([0; 4], TotalRow::default()));
    node.media.create(ANNA).await.unwrap();
}

/// Without a token only files are read that were uploaded while that was allowed.
#[tokio::test]
async fn files_stay_as_open_as_they_were_uploaded() {
    let open = Node::new(MediaConfig { open: true, ..MediaConfig::default() }).await;
    let frozen = open.another(MediaConfig::default()).await;
    let (before, after) = (open.upload(ANNA, b"before").await.unwrap(), frozen.upload(ANNA, b"after").await.unwrap());
    assert!(frozen.media.file(&before, Who::Anybody, Duration::ZERO).await.is_ok());
    assert!(matches!(open.media.file(&after, Who::Anybody, Duration::ZERO).await, Err(MediaError::NotFound)));
    assert!(frozen.media.file(&after, Who::User, Duration::ZERO).await.is_ok());
}

/// Without a place for objects there are no files.
#[tokio::test]
async fn a_server_without_objects_keeps_no_files() {
    let store = testing::memory("example.org").await;
    let media = Media::new(store, None, MediaConfig::default());
    assert_eq!(media.file_bytes(), 0);
    assert!(matches!(media.create(ANNA).await, Err(MediaError::Forbidden(_))));
    assert!(matches!(media.upload(ANNA, &text(), None, body(b"x")).await, Err(MediaError::Forbidden(_))));
    assert!(matches!(media.file("x", Who::User, Duration::ZERO).await, Err(MediaError::NotFound)));
}

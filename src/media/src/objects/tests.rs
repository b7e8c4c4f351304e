//! What lies in the object store, byte by byte.

use std::ops::Range;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::PutPayload;
use wardstead_limits::media::CHUNK_BYTES;

use super::*;

const KEY: &str = "1 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n";
const NEWER: &str = "2 AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n";
const NAME: ObjectName = [0xab; 16];

fn keys(text: &str) -> MediaKeys {
    MediaKeys::parse(text).unwrap()
}

/// Bytes that differ from place to place.
fn file(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| u8::try_from((at * 31 + at / 251 + at / CHUNK_BYTES) % 256).unwrap()).collect()
}

async fn written(objects: &Objects, name: ObjectName, file: &[u8], piece: usize) -> Object {
    let mut writer = objects.begin(name).unwrap();
    for piece in file.chunks(piece) {
        writer.write(piece).await.unwrap();
    }
    writer.finish().await.unwrap().object
}

async fn read(objects: &Objects, object: &Object, range: Range<u64>) -> Result<Vec<u8>, ObjectError> {
    let pieces = objects.read(object, range).await?;
    pieces.try_fold(Vec::new(), |whole, piece| async move { Ok([whole, piece.to_vec()].concat()) }).await
}

async fn stored(objects: &Objects, name: &ObjectName) -> Vec<u8> {
    objects.store.get(&location(name)).await.unwrap().bytes().await.unwrap().to_vec()
}

async fn store(objects: &Objects, name: &ObjectName, bytes: Vec<u8>) {
    objects.store.put(&location(name), PutPayload::from(Bytes::from(bytes))).await.unwrap();
}

/// Sizes around the ends of chunks and parts; ranges around them.
#[tokio::test]
async fn what_was_written_is_read_whole_and_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    for encrypts in [true, false] {
        let local = Objects::local(&folder.path().join(encrypts.to_string()), keys(KEY), encrypts).unwrap();
        for objects in [Objects::in_memory(keys(KEY), encrypts), local] {
            for (number, bytes) in
                [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES, 700_000].into_iter().enumerate()
            {
                let (file, name) = (file(bytes), [u8::try_from(number).unwrap(); 16]);
                let object = written(&objects, name, &file, 10_007).await;
                let end = bytes as u64;
                assert_eq!(object, Object { name, key: u32::from(encrypts), bytes: end });
                assert_eq!(stored(&objects, &name).await.len() as u64, stored_bytes(object.key, end));
                assert_eq!(read(&objects, &object, 0..end).await.unwrap(), file);
                let chunk = CHUNK_BYTES as u64;
                for range in [0..1, end / 2..end, chunk - 1..chunk + 1, chunk..2 * chunk, end.saturating_sub(1)..end] {
                    let range = range.start.min(end)..range.end.min(end);
                    let (from, to) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
                    assert_eq!(
                        read(&objects, &object, range.clone()).await.unwrap(),
                        file[from..to],
                        "{range:?} of {end}"
                    );
                }
            }
        }
    }
}

/// Nothing of a file is seen in its object, nor are two equal ones alike.
#[tokio::test]
async fn what_is_stored_is_encrypted() {
    let objects = Objects::in_memory(keys(KEY), true);
    let file = b"Patient: Bert Example. ".repeat(10_000);
    written(&objects, [1; 16], &file, 4_096).await;
    written(&objects, [2; 16], &file, 4_096).await;
    let (one, two) = (stored(&objects, &[1; 16]).await, stored(&objects, &[2; 16]).await);
    assert!(!one.windows(7).any(|window| window == b"Patient"));
    assert!(one.chunks(16).zip(two.chunks(16)).all(|(one, two)| one != two));
}

/// Whatever is changed, cut, added, swapped or taken from another object is not taken for the file.
#[tokio::test]
async fn what_was_tampered_with_does_not_open() {
    let objects = Objects::in_memory(keys(KEY), true);
    let sealed = CHUNK_BYTES + TAG_BYTES;
    let file = file(4 * CHUNK_BYTES);
    let object = written(&objects, NAME, &file, CHUNK_BYTES).await;
    let good = stored(&objects, &NAME).await;
    assert_eq!(good.len(), 4 * sealed);
    let mut flipped = good.clone();
    flipped[sealed + 5] ^= 1;
    let mut swapped = good.clone();
    let (first, second) = swapped.split_at_mut(sealed);
    first.swap_with_slice(&mut second[..sealed]);
    let repeated = [&good[..sealed], &good[..3 * sealed]].concat();
    let other = Object { name: [7; 16], ..object.clone() };
    store(&objects, &other.name, good.clone()).await;
    assert!(matches!(read(&objects, &other, 0..object.bytes).await, Err(ObjectError::Damaged(_))));
    for (what, bytes) in
        [("flipped", flipped), ("swapped", swapped), ("repeated", repeated), ("cut", good[..2 * sealed].to_vec())]
    {
        store(&objects, &NAME, bytes).await;
        let answer = read(&objects, &object, 0..object.bytes).await;
        assert!(matches!(answer, Err(ObjectError::Damaged(_))), "{what}");
    }
    // Cut at a chunk's end, with a row that says so too: the last chunk was not the last one.
    store(&objects, &NAME, good[..2 * sealed].to_vec()).await;
    let shorter = Object { bytes: 2 * CHUNK_BYTES as u64, ..object.clone() };
    assert!(matches!(read(&objects, &shorter, 0..shorter.bytes).await, Err(ObjectError::Damaged(_))));
    store(&objects, &NAME, good).await;
    assert_eq!(read(&objects, &object, 0..object.bytes).await.unwrap(), file);
}

/// New objects take the newest key; those before stay readable as long as their key is there.
#[tokio::test]
async fn keys_are_rotated() {
    let objects = Objects::in_memory(keys(KEY), true);
    let old = written(&objects, [1; 16], b"old", 10).await;
    let objects = objects.with_keys(keys(&format!("{KEY}{NEWER}")), true);
    let new = written(&objects, [2; 16], b"new", 10).await;
    assert_eq!((old.key, new.key), (1, 2));
    assert_eq!(read(&objects, &old, 0..3).await.unwrap(), b"old");
    assert_eq!(read(&objects, &new, 0..3).await.unwrap(), b"new");
    let objects = objects.with_keys(keys(NEWER), true);
    assert!(matches!(read(&objects, &old, 0..3).await, Err(ObjectError::NoKey(1))));
    assert_eq!(read(&objects, &new, 0..3).await.unwrap(), b"new");
    // Not encrypted from now on: what was, is still read.
    let objects = objects.with_keys(keys(NEWER), false);
    let plain = written(&objects, [3; 16], b"plain", 10).await;
    assert_eq!((plain.key, stored(&objects, &[3; 16]).await), (0, b"plain".to_vec()));
    assert_eq!(read(&objects, &new, 0..3).await.unwrap(), b"new");
}

/// However long a file is, a part of it is in memory.
#[tokio::test]
async fn memory_does_not_grow_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::local(folder.path(), keys(KEY), true).unwrap();
    let mut writer = objects.begin(NAME).unwrap();
    let piece = file(1_000_000);
    for _ in 0..20 {
        writer.write(&piece).await.unwrap();
        assert!(writer.held_bytes() <= objects.part_bytes + 2 * (CHUNK_BYTES + TAG_BYTES), "{}", writer.held_bytes());
    }
    let object = writer.finish().await.unwrap().object;
    let mut pieces = objects.read(&object, 0..object.bytes).await.unwrap();
    while let Some(piece) = pieces.try_next().await.unwrap() {
        assert!(piece.len() <= limits::READ_BYTES);
    }
}

/// What an upload leaves that never ended is removed with the object; what is not there is removed.
#[tokio::test]
async fn removing_takes_what_an_upload_left() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::local(folder.path(), keys(KEY), true).unwrap();
    let mut writer = objects.begin(NAME).unwrap();
    writer.write(&file(1_000_000)).await.unwrap();
    let files = || std::fs::read_dir(folder.path().join("ab")).map_or(0, Iterator::count);
    assert_eq!(files(), 1);
    // As after a kill: nothing of the writer runs any more.
    std::mem::forget(writer);
    objects.remove(&NAME).await.unwrap();
    assert_eq!(files(), 0);
    objects.remove(&NAME).await.unwrap();
    objects.remove(&[9; 16]).await.unwrap();
}

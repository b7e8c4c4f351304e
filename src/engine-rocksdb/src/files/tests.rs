//! One flipped byte anywhere is found, and its file named.

use std::sync::Arc;

use wardstead_engine::{
    AccessPattern, Batch, Engine as _, Group, JournalEntry, Key, PositionSlot, TableId, Writer, journal,
};
use wardstead_limits::{ManualClock, Rng as _, SeededRng};

use super::*;
use crate::{RocksEngine, RocksOptions};

const SMALL: RocksOptions = RocksOptions { cache_bytes: 1024 * 1024, memtable_bytes: 4 * 1024 * 1024 };

fn point(number: u64) -> Key {
    Key::build(TableId::new(AccessPattern::Point, 0xf00), number).key()
}

fn group(number: u64, rng: &SeededRng) -> Group {
    let mut batch = Batch::new();
    let entry = batch.journal(JournalEntry { kind: 0x0101, scope: number, key: bytes::Bytes::new() });
    let mut noise = vec![0; 400];
    rng.fill(&mut noise);
    batch.put_with(point(number), number, &[PositionSlot::Entry(entry)], noise);
    // Compresses well.
    batch.put(Key::build(TableId::new(AccessPattern::Scan, 0xf01), 1).u64(number).key(), vec![7; 900]);
    Group { epoch: 0, writer: Writer { incarnation: 1, group: number }, batches: vec![Arc::new(batch)] }
}

/// A data folder with tables of several blocks, and a log with rows that are in no table yet; as a killed server leaves it.
async fn killed(folder: &Path) -> tempfile::TempDir {
    let rng = SeededRng::new(1);
    let engine = RocksEngine::open(folder, &SMALL, Arc::new(ManualClock::new(1))).unwrap();
    for number in 1..=150 {
        engine.commit_group(group(number, &rng)).await.unwrap();
    }
    engine.close().unwrap();
    let engine = RocksEngine::open(folder, &SMALL, Arc::new(ManualClock::new(1))).unwrap();
    for number in 151..=220 {
        engine.commit_group(group(number, &rng)).await.unwrap();
    }
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

fn check(folder: &Path) -> FileReport {
    check_files(folder, &mut |_| ()).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Offsets to flip: each of the first and last bytes, and seeded ones between.
fn offsets(length: usize, rng: &SeededRng) -> Vec<usize> {
    let edges = (0..length.min(40)).chain(length.saturating_sub(80)..length);
    let between = (0..60).map(|_| usize::try_from(rng.next_u64() % length as u64).unwrap());
    edges.chain(between).collect()
}

#[tokio::test]
async fn a_flipped_byte_in_any_file_names_the_file() {
    let seed = 20_261_122;
    let (folder, rng) = (tempfile::tempdir().unwrap(), SeededRng::new(seed));
    let copy = killed(folder.path()).await;
    let clean = check(copy.path());
    assert_eq!((clean.findings, clean.files >= 6, clean.bytes > 100_000), (vec![], true, true));

    let mut flipped = std::collections::BTreeMap::<&str, usize>::new();
    for name in names(copy.path()) {
        let path = copy.path().join(&name);
        let whole = fs::read(&path).unwrap();
        // These carry nothing that is read back; the module says why.
        if ["IDENTITY", "LOCK"].contains(&name.as_str()) || name.starts_with("OPTIONS-") || name.starts_with("LOG") {
            continue;
        }
        assert_ne!(kind(&name), Kind::Other, "{name} is not checked");
        for at in offsets(whole.len(), &rng) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (rng.next_u64() % 8);
            fs::write(&path, &bytes).unwrap();
            let found = check_file(&path, kind(&name)).unwrap();
            assert!(found.is_err(), "{name}: byte {at} (seed {seed})");
            let ending =
                name.rsplit_once('.').map_or("other", |(_, ending)| if ending == "sst" { "sst" } else { "log" });
            *flipped.entry(ending).or_default() += 1;
        }
        fs::write(&path, &whole).unwrap();
    }
    assert!(
        ["sst", "log", "other"].iter().all(|kind| flipped.get(kind).is_some_and(|count| *count > 10)),
        "{flipped:?}"
    );
}

/// What is not checked is not read: with all of it overwritten the rows are the same.
#[tokio::test]
async fn files_that_are_not_checked_carry_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let copy = killed(folder.path()).await;
    for name in names(copy.path()) {
        if kind(&name) == Kind::Other {
            fs::write(copy.path().join(&name), "something else").unwrap();
        }
    }
    let engine = RocksEngine::open(copy.path(), &SMALL, Arc::new(ManualClock::new(1))).unwrap();
    let keys: Vec<Key> =
        (1..=220).flat_map(|number| [point(number), journal::key(wardstead_engine::Position(number))]).collect();
    let cells = engine.get_many(wardstead_engine::Position(220), &keys).await.unwrap();
    assert!(cells.iter().all(Option::is_some));
}

#[tokio::test]
async fn a_missing_manifest_and_a_foreign_folder_are_found() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(check(folder.path()).findings[0].file, folder.path().join("CURRENT"));
    let copy = killed(folder.path()).await;
    let manifest = names(copy.path()).into_iter().find(|name| name.starts_with("MANIFEST-")).unwrap();
    fs::remove_file(copy.path().join(&manifest)).unwrap();
    let found = check(copy.path()).findings;
    assert!(found[0].what.contains(&manifest), "{found:?}");
}

#[test]
fn a_log_that_was_cut_is_told_from_a_damaged_one() {
    let record = |content: &[u8]| {
        let mut checked = vec![1];
        checked.extend_from_slice(content);
        let mut record = log::masked(crc32c::crc32c(&checked)).to_le_bytes().to_vec();
        record.extend_from_slice(&u16::try_from(content.len()).unwrap().to_le_bytes());
        record.extend(checked);
        record
    };
    let whole = [record(b"one"), record(b"two")].concat();
    assert_eq!(log::check(&whole[..]).unwrap(), Ok(()));
    let reserved = [&whole[..], &[0; 5_000]].concat();
    assert_eq!(log::check(&reserved[..]).unwrap(), Ok(()));
    for cut in 1..10 {
        let damage = log::check(&whole[..whole.len() - cut]).unwrap().unwrap_err();
        assert!(damage.what.contains("ends within a record"), "{cut}: {damage:?}");
    }
    let mut flipped = whole.clone();
    flipped[8] ^= 1;
    let damage = log::check(&flipped[..]).unwrap().unwrap_err();
    assert_eq!((damage.at, damage.what), (0, "a record's checksum is wrong"));
}

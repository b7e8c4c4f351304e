//! What `verify` finds in rows and journal.

use wardstead_engine::{
    Cell, EngineError, value,
    verify::{Finding, Place, Report, verify},
};

use super::*;

async fn check(folder: &Folder) -> Report {
    verify(&*folder.engine, &mut |_| ()).await.unwrap()
}

/// Raw access to the closed folder.
fn raw(folder: &mut Folder, change: impl FnOnce(&rocksdb::DB)) {
    folder.engine.close().unwrap();
    let names = rocksdb::DB::list_cf(&rocksdb::Options::default(), folder.data.path()).unwrap();
    let raw = rocksdb::DB::open_cf(&rocksdb::Options::default(), folder.data.path(), names).unwrap();
    change(&raw);
    drop(raw);
    folder.open();
}

fn delete(raw: &rocksdb::DB, key: &Key) {
    raw.delete_cf(raw.cf_handle(options::family(key.table().pattern())).unwrap(), key.as_bytes()).unwrap();
}

fn put(raw: &rocksdb::DB, key: &Key, payload: &[u8]) {
    let family = raw.cf_handle(options::family(key.table().pattern())).unwrap();
    raw.put_cf(family, key.as_bytes(), value::seal(key, 1, &[], payload)).unwrap();
}

async fn filled(rows: u64) -> Folder {
    let folder = Folder::new();
    for number in 1..=rows {
        folder.engine.commit_group(group(number)).await.unwrap();
    }
    folder
}

#[tokio::test]
async fn a_whole_installation_is_clean_and_counted() {
    let folder = filled(30).await;
    let request = LeaseRequest { name: "work".into(), owner: 1, ttl_ms: 10 };
    folder.engine.lease(request).await.unwrap();
    let mut told = Vec::new();
    let report = verify(&*folder.engine, &mut |count| told.push(count)).await.unwrap();
    assert_eq!(report.findings, []);
    assert_eq!((report.epoch, report.journal), (0, Some((Position(1), Position(30)))));
    let rows = |table| report.tables.get(&table).map(|count| count.rows);
    assert_eq!((rows(TABLE), rows(system::JOURNAL), rows(system::LEASES)), (Some(30), Some(30), Some(1)));
    assert_eq!((report.total().rows, told.last().copied()), (61, Some(report.total())));
    assert_eq!(check(&Folder::new()).await, Report::default());
}

/// A value that was damaged before RocksDB wrote it: its blocks are right, the row is not.
#[tokio::test]
async fn a_flipped_byte_in_a_value_names_table_scope_and_key() {
    let mut folder = filled(30).await;
    for (number, byte) in [(1, 0), (17, 5), (30, 300)] {
        folder.tamper(&key(number), Box::new(move |stored| stored[byte] ^= 1)).await;
    }
    let report = check(&folder).await;
    let found: Vec<&Place> = report.findings.iter().map(|found| &found.place).collect();
    assert_eq!(found, [&Place::Row(key(1)), &Place::Row(key(17)), &Place::Row(key(30))]);
    assert_eq!(report.tables[&TABLE].rows, 27, "the rest is read");
}

#[tokio::test]
async fn neighbours_that_are_corrupt_are_each_named() {
    let mut folder = filled(30).await;
    for number in 10..14 {
        folder.tamper(&key(number), Box::new(|stored| stored[40] ^= 8)).await;
    }
    let report = check(&folder).await;
    let named = |number| {
        report
            .findings
            .iter()
            .any(|found| matches!(&found.place, Place::Row(row) | Place::From(row) if *row == key(number)))
    };
    assert!((10..14).all(named), "{:?}", report.findings);
    assert_eq!(report.tables[&TABLE].rows, 26);
}

/// A damaged block takes its rows with it; what stands before and behind it is read.
#[tokio::test]
async fn rows_around_a_damaged_block_are_read() {
    let mut folder = filled(400).await;
    folder.engine.close().unwrap();
    for path in folder.files("sst") {
        let mut bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(8).position(|window| *window == noise(200, 300)[100..108]) {
            bytes[at + 3] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    folder.open();
    let report = check(&folder).await;
    let in_table = |found: &Finding| found.place.table() == TABLE;
    assert!(!report.findings.is_empty() && report.findings.iter().all(in_table), "{:?}", report.findings);
    let rows = report.tables[&TABLE].rows;
    assert!((330..400).contains(&rows), "{rows} of 400");
}

#[tokio::test]
async fn a_hole_and_a_lost_end_of_the_journal_are_found() {
    let mut folder = filled(20).await;
    raw(&mut folder, |raw| {
        delete(raw, &journal::key(Position(7)));
        delete(raw, &journal::key(Position(8)));
    });
    let found = check(&folder).await.findings;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].place, Place::Journal(Position(7)));

    let mut folder = filled(20).await;
    // Cut at its beginning, as it is once it is old: no hole.
    raw(&mut folder, |raw| (1..5).for_each(|number| delete(raw, &journal::key(Position(number)))));
    assert_eq!(check(&folder).await.findings, []);
    // A row far behind, as if what stood between were lost.
    raw(&mut folder, |raw| {
        let row = JournalRowOf(25);
        put(raw, &journal::key(Position(25)), &row.payload());
    });
    let found = check(&folder).await.findings;
    assert_eq!(found[0].place, Place::Journal(Position(21)));
}

struct JournalRowOf(u64);

impl JournalRowOf {
    fn payload(&self) -> bytes::Bytes {
        let entry = JournalEntry { kind: 1, scope: 1, key: bytes::Bytes::new() };
        let writer = Writer { incarnation: 1, group: 1 };
        wardstead_engine::JournalRow { position: Position(self.0), writer, batch: 0, entry }.payload()
    }
}

#[tokio::test]
async fn a_jump_is_whole_where_an_epoch_begins_and_nowhere_else() {
    let mut folder = filled(5).await;
    let epoch = async |folder: &Folder| -> Option<Cell> {
        folder.engine.get_many(Position::ZERO, &[system::epoch_key()]).await.unwrap().remove(0)
    };
    for round in 0..2 {
        let stored = epoch(&folder).await;
        let newest = folder.engine.position().await.unwrap();
        let batch = system::raise_epoch(stored.as_ref(), newest, system::EpochReason::Restore, 5_000).unwrap();
        let writer = Writer { incarnation: 1, group: 100 + round };
        let of = stored.map_or(0, |cell| cell.version);
        folder.engine.commit_group(Group { epoch: of, writer, batches: vec![Arc::new(batch)] }).await.unwrap();
    }
    let report = check(&folder).await;
    assert_eq!((report.findings, report.epoch), (vec![], 6));

    // The beginning of the newest epoch vanishes, and with it the end of the journal.
    let newest = folder.engine.position().await.unwrap();
    raw(&mut folder, |raw| delete(raw, &journal::key(newest)));
    let found = check(&folder).await.findings;
    assert_eq!(found.iter().map(|found| &found.place).collect::<Vec<_>>(), [&Place::Journal(newest)]);
}

#[tokio::test]
async fn rows_of_the_engine_that_are_not_theirs_are_found() {
    let mut folder = filled(3).await;
    let other = Key::build(system::JOURNAL, 0).u64(4).u64(4).key();
    raw(&mut folder, |raw| {
        put(raw, &system::epoch_key(), b"not a list");
        put(raw, &system::lease_key("work"), b"not a lease");
        put(raw, &other, &JournalRowOf(4).payload());
    });
    let found: Vec<Finding> = check(&folder).await.findings;
    let mut places: Vec<Key> = found
        .iter()
        .map(|found| if let Place::Row(key) = &found.place { key.clone() } else { panic!("{found:?}") })
        .collect();
    places.sort();
    let mut expected = vec![system::epoch_key(), system::lease_key("work"), other];
    expected.sort();
    assert_eq!(places, expected);
}

#[tokio::test]
async fn findings_are_bounded_and_the_rest_is_counted() {
    let mut folder = filled(130).await;
    raw(&mut folder, |raw| {
        // Every second one, so that each stands alone.
        for number in (1..=130 * 2).step_by(2).map(|number| 1_000 + number) {
            let key = key(number);
            let family = raw.cf_handle(options::family(key.table().pattern())).unwrap();
            raw.put_cf(family, key.as_bytes(), b"not sealed").unwrap();
        }
    });
    let report = check(&folder).await;
    assert_eq!((report.findings.len(), report.omitted), (limits::VERIFY_ENTRIES, 30));
    let error = folder.engine.get_many(Position::ZERO, &[key(1_001)]).await.unwrap_err();
    assert!(matches!(error, EngineError::Corrupt { .. }));
}

//! The conformance suite, and what only an engine on a disk can do.

use std::{fs, path::PathBuf};

use tempfile::TempDir;
use wardstead_engine::{
    AccessPattern, Batch, JournalEntry, PositionSlot, TableId, Writer,
    conformance::{self, Factory, Installation, Tampering},
    journal, system,
};
use wardstead_limits::ManualClock;

use super::*;

mod verify;

const TABLE: TableId = TableId::new(AccessPattern::Scan, 0xf00);

/// A small cache and small memtables, so that the tests reach files and reader threads.
const SMALL: RocksOptions = RocksOptions { cache_bytes: 1024 * 1024, memtable_bytes: 4 * 1024 * 1024 };

struct Folder {
    engine: Arc<RocksEngine>,
    clock: ManualClock,
    data: TempDir,
}

impl Folder {
    fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new(1_000_000));
        let engine = Arc::new(RocksEngine::open(folder.path(), &SMALL, Arc::new(clock.clone())).unwrap());
        Self { engine, clock, data: folder }
    }

    fn open(&mut self) {
        self.engine = Arc::new(RocksEngine::open(self.data.path(), &SMALL, Arc::new(self.clock.clone())).unwrap());
    }

    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.data.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> =
            entries.filter(|path| path.extension().is_some_and(|found| found == ending)).collect();
        files.sort();
        files
    }
}

#[async_trait]
impl Installation for Folder {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine) as Arc<dyn Engine>
    }

    async fn reopen(&mut self) {
        self.engine.close().unwrap();
        self.open();
    }

    async fn tamper(&mut self, key: &Key, change: Tampering) {
        self.engine.close().unwrap();
        let name = options::family(key.table().pattern());
        let names = rocksdb::DB::list_cf(&rocksdb::Options::default(), self.data.path()).unwrap();
        let raw = rocksdb::DB::open_cf(&rocksdb::Options::default(), self.data.path(), names).unwrap();
        let family = raw.cf_handle(name).unwrap();
        let mut stored = raw.get_cf(family, key.as_bytes()).unwrap().unwrap();
        change(&mut stored);
        raw.put_cf(family, key.as_bytes(), stored).unwrap();
        drop(raw);
        self.open();
    }
}

struct Folders;

#[async_trait]
impl Factory for Folders {
    async fn fresh(&self, clock: ManualClock) -> Box<dyn Installation> {
        let folder = tempfile::tempdir().unwrap();
        let engine = Arc::new(RocksEngine::open(folder.path(), &SMALL, Arc::new(clock.clone())).unwrap());
        Box::new(Folder { engine, clock, data: folder })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conformance_suite() {
    let count = conformance::run(&Folders).await;
    println!("conformance: {count} cases on engine-rocksdb");
}

fn key(number: u64) -> Key {
    Key::build(TABLE, 1).u64(number).key()
}

/// Bytes that do not compress.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let next = |word: &u64| Some(word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f));
    let words = std::iter::successors(Some(seed), next).skip(1);
    words.take(count).map(|word| word.to_be_bytes()[0]).collect()
}

/// A row and a journal entry.
fn group(number: u64) -> Group {
    let mut batch = Batch::new();
    let slot = batch.journal(JournalEntry { kind: 1, scope: number, key: bytes::Bytes::new() });
    batch.put_with(key(number), number, &[PositionSlot::Entry(slot)], noise(number, 300));
    Group { epoch: 0, writer: Writer { incarnation: 1, group: number }, batches: vec![Arc::new(batch)] }
}

async fn versions(engine: &RocksEngine, count: u64) -> Vec<Option<u64>> {
    let keys: Vec<Key> = (1..=count).map(key).collect();
    let cells = engine.get_many(Position::ZERO, &keys).await.unwrap();
    cells.into_iter().map(|cell| cell.map(|cell| cell.version)).collect()
}

#[tokio::test]
async fn a_second_opener_is_told_that_the_folder_is_in_use() {
    let folder = Folder::new();
    let second = RocksEngine::open(folder.data.path(), &SMALL, Arc::new(folder.clock.clone()));
    let error = second.map(|_| ()).unwrap_err();
    assert!(matches!(&error, EngineError::Unavailable(why) if why.contains("in use")), "{error}");
    assert!(folder.engine.commit_group(group(1)).await.is_ok(), "the first one is not disturbed");
}

#[tokio::test]
async fn a_folder_is_made_with_what_is_missing_above_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/data");
    let engine = RocksEngine::open(&path, &RocksOptions::default(), Arc::new(ManualClock::new(1))).unwrap();
    assert!(engine.commit_group(group(1)).await.is_ok() && path.join("CURRENT").is_file());
}

#[tokio::test]
async fn a_closed_engine_is_unavailable_and_closes_again() {
    let folder = Folder::new();
    folder.engine.commit_group(group(1)).await.unwrap();
    folder.engine.close().unwrap();
    folder.engine.close().unwrap();
    let unavailable = |error: EngineError| matches!(error, EngineError::Unavailable(_));
    assert!(unavailable(folder.engine.commit_group(group(2)).await.unwrap_err()));
    assert!(unavailable(folder.engine.get_many(Position::ZERO, &[key(1)]).await.unwrap_err()));
    assert!(unavailable(folder.engine.position().await.unwrap_err()));
}

#[tokio::test]
async fn what_is_queued_when_the_engine_closes_is_committed() {
    let mut folder = Folder::new();
    // Polled once, so that they are queued; nobody waits for them.
    for number in 1..=20 {
        let commit = folder.engine.commit_group(group(number));
        tokio::select! { biased; _ = commit => {}, () = std::future::ready(()) => {} }
    }
    folder.reopen().await;
    assert_eq!(versions(&folder.engine, 20).await, (1..=20).map(Some).collect::<Vec<_>>());
    assert_eq!(folder.engine.position().await.unwrap(), Position(20));
}

/// The folder as a killed process leaves it: copied while the engine has it open.
fn copied(folder: &Folder) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder.data.path()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

#[tokio::test]
async fn everything_acknowledged_is_there_without_a_close() {
    let folder = Folder::new();
    for number in 1..=50 {
        folder.engine.commit_group(group(number)).await.unwrap();
    }
    let copy = copied(&folder);
    let engine = RocksEngine::open(copy.path(), &SMALL, Arc::new(ManualClock::new(1))).unwrap();
    assert_eq!(versions(&engine, 50).await, (1..=50).map(Some).collect::<Vec<_>>());
    assert_eq!(engine.position().await.unwrap(), Position(50));
}

/// A power failure tears the log's end. What stands before the tear is there, group by group, and nothing after it.
#[tokio::test]
async fn a_torn_log_is_read_up_to_the_tear() {
    let folder = Folder::new();
    for number in 1..=50 {
        folder.engine.commit_group(group(number)).await.unwrap();
    }
    let mut before = 51;
    for cut in [1, 500, 5_000, 12_000] {
        let copy = copied(&folder);
        let log = folder.files("log").pop().unwrap();
        let log = fs::OpenOptions::new().write(true).open(copy.path().join(log.file_name().unwrap())).unwrap();
        let length = log.metadata().unwrap().len();
        log.set_len(length - cut).unwrap();
        drop(log);
        let engine = RocksEngine::open(copy.path(), &SMALL, Arc::new(ManualClock::new(1))).unwrap();
        let newest = engine.position().await.unwrap().0;
        assert!(newest < before, "{newest} after cutting {cut} bytes, {before} before");
        let expected: Vec<Option<u64>> = (1..=50).map(|number| (number <= newest).then_some(number)).collect();
        assert_eq!(versions(&engine, 50).await, expected, "rows and journal end together");
        assert!(engine.commit_group(group(newest + 1)).await.is_ok());
        before = newest;
    }
}

/// Damage that no power failure makes: what follows it was acknowledged, and must not vanish without a word.
#[tokio::test]
async fn a_log_that_is_damaged_before_its_end_stops_the_start() {
    let folder = Folder::new();
    for number in 1..=50 {
        folder.engine.commit_group(group(number)).await.unwrap();
    }
    let clock = || Arc::new(ManualClock::new(1));
    let name = folder.files("log").pop().unwrap().file_name().unwrap().to_owned();
    let flipped = |from_end: usize| {
        let copy = copied(&folder);
        let log = copy.path().join(&name);
        let mut bytes = fs::read(&log).unwrap();
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        fs::write(log, bytes).unwrap();
        copy
    };
    // In the middle of a record, where its length is wrong, and far from the end.
    for from_end in [1_000, 1_500, 5_000, 15_000] {
        let copy = flipped(from_end);
        let error = RocksEngine::open(copy.path(), &SMALL, clock()).map(|_| ()).unwrap_err();
        let named = error.to_string().contains(name.to_str().unwrap());
        assert!(named && error.to_string().contains("--cut-damaged-log"), "{from_end}: {error}");
        let engine = RocksEngine::open_cutting(copy.path(), &SMALL, clock()).unwrap();
        let newest = engine.position().await.unwrap().0;
        assert!((1..50).contains(&newest), "{newest} are left");
        engine.close().unwrap();
        RocksEngine::open(copy.path(), &SMALL, clock()).unwrap();
    }
    // In the last record: not to be told from what a power failure leaves.
    let engine = RocksEngine::open(flipped(100).path(), &SMALL, clock()).unwrap();
    assert_eq!(engine.position().await.unwrap(), Position(49));
}

/// RocksDB's own count of syncs of its log: one for each group and each lease that writes, none for the others.
#[tokio::test]
async fn each_write_is_synced_before_it_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut counting = options::database(&SMALL);
    counting.enable_statistics();
    let syncs = || counting.get_ticker_count(rocksdb::statistics::Ticker::WalFileSynced);
    let database = Database::open(folder.path(), &counting, options::families(&SMALL)).unwrap();
    let engine = RocksEngine::start(database, Arc::new(ManualClock::new(1))).unwrap();
    let before = syncs();
    for number in 1..=20 {
        engine.commit_group(group(number)).await.unwrap();
        assert_eq!(syncs(), before + number);
    }
    let request = LeaseRequest { name: "work".into(), owner: 1, ttl_ms: 10 };
    engine.lease(request).await.unwrap();
    assert_eq!(syncs(), before + 21);
    engine.commit_group(Group { batches: vec![], ..group(1) }).await.unwrap();
    assert_eq!(syncs(), before + 21);
}

#[tokio::test]
async fn a_flipped_byte_in_a_table_file_is_corrupt() {
    let mut folder = Folder::new();
    for number in 1..=5 {
        folder.engine.commit_group(group(number)).await.unwrap();
    }
    // Closing writes the rows into table files.
    folder.engine.close().unwrap();
    let mut flipped = 0;
    for path in folder.files("sst") {
        let mut bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(8).position(|window| *window == noise(3, 300)[100..108]) {
            bytes[at + 3] ^= 1;
            fs::write(&path, bytes).unwrap();
            flipped += 1;
        }
    }
    assert_eq!(flipped, 1);
    folder.open();
    let answer = folder.engine.get_many(Position::ZERO, &[key(1)]).await;
    assert!(matches!(answer, Err(EngineError::Corrupt { .. })), "{answer:?}");
    let answer = folder.engine.scan(Position::ZERO, &ScanRange::scope(TABLE, 1), PageLimit::default()).await;
    assert!(matches!(answer, Err(EngineError::Corrupt { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_corrupt_newest_journal_row_stops_the_start() {
    let folder = Folder::new();
    folder.engine.commit_group(group(1)).await.unwrap();
    folder.engine.close().unwrap();
    let raw = rocksdb::DB::open_cf(
        &rocksdb::Options::default(),
        folder.data.path(),
        ["default", "point", "scan", "append", "churn"],
    );
    let raw = raw.unwrap();
    raw.put_cf(raw.cf_handle("append").unwrap(), journal::key(Position(1)).as_bytes(), "something else").unwrap();
    drop(raw);
    let error = RocksEngine::open(folder.data.path(), &SMALL, Arc::new(folder.clock.clone())).map(|_| ()).unwrap_err();
    assert!(matches!(&error, EngineError::Corrupt { key, .. } if *key == journal::key(Position(1))), "{error}");
}

/// After a write whose outcome nobody knows, nothing more is acknowledged until the engine is opened again.
#[tokio::test]
async fn a_failed_write_stops_all_later_ones() {
    let mut folder = Folder::new();
    folder.engine.commit_group(group(1)).await.unwrap();
    folder.engine.shared.fail("the disk is gone".into());
    for number in 2..4 {
        let error = folder.engine.commit_group(group(number)).await.unwrap_err();
        assert!(matches!(&error, EngineError::Unavailable(why) if why.contains("the disk is gone")), "{error}");
    }
    let request = LeaseRequest { name: "work".into(), owner: 1, ttl_ms: 10 };
    assert!(matches!(folder.engine.lease(request).await, Err(EngineError::Unavailable(_))));
    assert_eq!(versions(&folder.engine, 3).await, [Some(1), None, None], "reads go on");
    folder.reopen().await;
    assert!(folder.engine.commit_group(group(2)).await.is_ok());
}

/// The folder vanishes under the engine: RocksDB cannot start its next log file.
#[tokio::test]
async fn a_write_that_rocksdb_fails_is_unknown_and_the_last() {
    let folder = Folder::new();
    folder.engine.commit_group(group(1)).await.unwrap();
    fs::remove_dir_all(folder.data.path()).unwrap();
    let mut written = 1;
    let error = loop {
        let mut batch = Batch::new();
        batch.put(key(written + 1), noise(written, 500_000));
        let writer = Writer { incarnation: 1, group: written };
        match folder.engine.commit_group(Group { epoch: 0, writer, batches: vec![Arc::new(batch)] }).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100, "the memtables are far smaller");
    };
    assert!(matches!(error, EngineError::Unknown(_)), "{error}");
    let found = versions(&folder.engine, written).await;
    assert!(found.iter().all(Option::is_some), "what was acknowledged is still read");
    let later = folder.engine.commit_group(group(1_000)).await.unwrap_err();
    assert!(matches!(&later, EngineError::Unavailable(why) if why.contains("closed to writes")), "{later}");
}

/// Rows far beyond cache and memtables are read from files, on the reader threads, by many at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_beyond_the_cache_come_from_files() {
    const ROWS: u64 = 40_000;
    let folder = Folder::new();
    for first in (0..ROWS).step_by(1_000) {
        let mut batch = Batch::new();
        for number in first..first + 1_000 {
            batch.put_with(key(number), number, &[], noise(number, 160));
        }
        let writer = Writer { incarnation: 1, group: first };
        folder.engine.commit_group(Group { epoch: 0, writer, batches: vec![Arc::new(batch)] }).await.unwrap();
    }
    folder.engine.shared.with(Database::flush).unwrap();
    let reading = (0..8_u64).map(|reader| {
        let engine = Arc::clone(&folder.engine);
        tokio::spawn(async move {
            for round in 0..50 {
                let keys: Vec<Key> =
                    (0..20).map(|at| key((reader * 7_919 + round * 104_729 + at * 1_009) % ROWS)).collect();
                let cells = engine.get_many(Position::ZERO, &keys).await.unwrap();
                assert!(keys.iter().zip(cells).all(|(wanted, cell)| *wanted == key(cell.unwrap().version)));
                let range = ScanRange::new(keys[0].clone(), key(ROWS));
                let page = engine.scan(Position::ZERO, &range, PageLimit::rows(50)).await.unwrap();
                assert_eq!(page.rows[0].0, keys[0]);
            }
        })
    });
    for reader in reading.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
    let uncached = folder.engine.shared.with(|database| database.cells(&[key(0), key(ROWS / 2)], Tier::Memory));
    assert!(uncached.is_ok());
}

/// Nothing is cached after a start: a block that is not in memory is no answer.
#[tokio::test]
async fn the_first_read_of_a_row_after_a_start_finds_it() {
    const ROWS: u64 = 2_000;
    let mut folder = Folder::new();
    let mut batch = Batch::new();
    for number in 0..ROWS {
        batch.put_with(key(number), number, &[], noise(number, 300));
        let point = Key::build(TableId::new(AccessPattern::Point, 0xf00), number).key();
        batch.put_with(point, number, &[], noise(number, 100));
    }
    let writer = Writer { incarnation: 1, group: 1 };
    folder.engine.commit_group(Group { epoch: 0, writer, batches: vec![Arc::new(batch)] }).await.unwrap();
    for count in [1, 2, 3] {
        folder.reopen().await;
        for first in (0..ROWS - count).step_by(16) {
            let point = |number| Key::build(TableId::new(AccessPattern::Point, 0xf00), number).key();
            let keys: Vec<Key> = (first..first + count).flat_map(|number| [point(number), key(number)]).collect();
            for keys in [&keys[..1], &keys[1..]] {
                let cells = folder.engine.get_many(Position::ZERO, keys).await.unwrap();
                assert!(
                    cells
                        .iter()
                        .all(|cell| cell.as_ref().is_some_and(|cell| (first..first + count).contains(&cell.version)))
                );
            }
        }
    }
}

#[tokio::test]
async fn a_full_queue_of_reads_is_busy() {
    let folder = Folder::new();
    let (block, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(parking_lot::Mutex::new(blocked));
    // Each thread waits until the test lets it go; the rest of the queue fills behind them.
    let mut waiting = Vec::new();
    let mut busy = 0;
    for _ in 0..limits::READ_THREADS + limits::READ_QUEUE + 10 {
        let blocked = Arc::clone(&blocked);
        let mut read = Box::pin(folder.engine.readers.run(move |_| {
            let _ = blocked.lock().recv();
            Ok(())
        }));
        match std::future::poll_fn(|context| std::task::Poll::Ready(read.as_mut().poll(context))).await {
            std::task::Poll::Ready(answer) => busy += usize::from(matches!(answer, Err(EngineError::Busy(_)))),
            std::task::Poll::Pending => waiting.push(read),
        }
    }
    // A thread may not have taken its first job when the queue was already full.
    assert!((10..=10 + limits::READ_THREADS).contains(&busy), "{busy} refused");
    drop(block);
    for read in waiting {
        read.await.unwrap();
    }
}

#[tokio::test]
async fn the_journal_position_is_found_without_reading_the_journal() {
    let mut folder = Folder::new();
    for number in 0..30 {
        let mut batch = Batch::new();
        batch.journal.extend((0..1_000).map(|scope| JournalEntry { kind: 1, scope, key: bytes::Bytes::new() }));
        let writer = Writer { incarnation: 1, group: number };
        folder.engine.commit_group(Group { epoch: 0, writer, batches: vec![Arc::new(batch)] }).await.unwrap();
    }
    // An older row that is corrupt would stop a start that reads it.
    let older = journal::key(Position(29_999));
    folder.tamper(&older, Box::new(|stored| stored[0] ^= 1)).await;
    assert_eq!(folder.engine.position().await.unwrap(), Position(30_000));
    let range = ScanRange::scope(system::JOURNAL, 0);
    let answer = folder.engine.scan(Position::ZERO, &range.descending(), PageLimit::rows(5)).await;
    assert!(matches!(answer, Err(EngineError::Corrupt { key, .. }) if key == older));
}

/// An idle server renews all the time: its disk sleeps. Once the process has ended, nobody works under its leases.
#[tokio::test]
async fn renewing_a_lease_writes_nothing() {
    let mut folder = Folder::new();
    let ask = |engine: &Arc<RocksEngine>, owner, ttl_ms| {
        let request = LeaseRequest { name: "sealer".into(), owner, ttl_ms };
        let engine = Arc::clone(engine);
        async move { engine.lease(request).await.unwrap() }
    };
    let written =
        |folder: &Folder| -> u64 { folder.files("log").iter().map(|file| fs::metadata(file).unwrap().len()).sum() };
    let before = written(&folder);
    let first = ask(&folder.engine, 1, 6_000).await.unwrap();
    let taken = written(&folder);
    assert!(taken > before, "taking it is written");
    for _ in 0..10 {
        folder.clock.advance_ms(2_000);
        let renewed = ask(&folder.engine, 1, 6_000).await.unwrap();
        assert_eq!((renewed.fencing, renewed.expires_ms), (first.fencing, folder.clock.now_ms() + 6_000));
    }
    assert_eq!(ask(&folder.engine, 2, 6_000).await, None, "held");
    assert_eq!(written(&folder), taken);
    folder.reopen().await;
    let next = ask(&folder.engine, 2, 6_000).await.unwrap();
    assert!(next.fencing > first.fencing, "at once: the process that renewed it has ended");
    assert_eq!(ask(&folder.engine, 2, 0).await.map(|lease| lease.fencing), Some(next.fencing));
    assert!(ask(&folder.engine, 1, 6_000).await.unwrap().fencing > next.fencing, "given back");
}

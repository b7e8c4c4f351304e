//! Backups under load, restored elsewhere; damage and interruption.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use wardstead_engine::{
    AccessPattern, Batch, Engine as _, Group, JournalEntry, Key, Position, PositionSlot, TableId, Writer, verify,
};
use wardstead_limits::{ManualClock, Rng as _, SeededRng};

use super::*;
use crate::{RocksOptions, restore::Restore};

const SMALL: RocksOptions = RocksOptions { cache_bytes: 1024 * 1024, memtable_bytes: 4 * 1024 * 1024 };

fn key(number: u64) -> Key {
    Key::build(TableId::new(AccessPattern::Scan, 0xf00), 1).u64(number).key()
}

fn group(number: u64, bytes: usize) -> Group {
    let mut batch = Batch::new();
    let entry = batch.journal(JournalEntry { kind: 0x0101, scope: number, key: bytes::Bytes::new() });
    let mut noise = vec![0; bytes];
    SeededRng::new(number).fill(&mut noise);
    batch.put_with(key(number), number, &[PositionSlot::Entry(entry)], noise);
    Group { epoch: 0, writer: Writer { incarnation: 1, group: number }, batches: vec![Arc::new(batch)] }
}

fn open(folder: &Path) -> Arc<RocksEngine> {
    Arc::new(RocksEngine::open(folder, &SMALL, Arc::new(ManualClock::new(1))).unwrap())
}

/// Reads back and seals, as `wardstead backup` does.
async fn seal(backups: &Backups, number: u32) -> Position {
    let backup = backups.backup(Some(number)).unwrap();
    let Checked { findings, files, bytes } = backup.check(&mut FilesRead::new(&mut |_| ()));
    assert!(findings.is_empty() && bytes > 0, "{findings:?}");
    let parent = tempfile::tempdir().unwrap();
    let view = View::of(&backup, parent.path(), "view").unwrap();
    let engine = RocksEngine::open_read_only(view.folder(), &SMALL, Arc::new(ManualClock::new(1))).unwrap();
    let report = verify::verify(&engine, &mut |_| ()).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    let position = engine.position().await.unwrap();
    backups.seal(number, &Seal { epoch: report.epoch, position, made_ms: 5, files }).unwrap();
    position
}

fn restored(backup: &Backup) -> (tempfile::TempDir, Arc<RocksEngine>) {
    let folder = tempfile::tempdir().unwrap();
    Restore::begin(backup, folder.path(), &mut |_| ()).unwrap().finish().unwrap();
    let engine = open(folder.path());
    (folder, engine)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_was_acknowledged_before_a_backup_under_load_is_in_it() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = open(data.path());
    let (acknowledged, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = {
        let (engine, acknowledged, stop) = (Arc::clone(&engine), Arc::clone(&acknowledged), Arc::clone(&stop));
        tokio::spawn(async move {
            for number in 1.. {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                engine.commit_group(group(number, 3_000)).await.unwrap();
                acknowledged.store(number, Ordering::Release);
            }
        })
    };
    let backups = Backups::open(folder.path()).unwrap();
    for round in 1..=3_u64 {
        while acknowledged.load(Ordering::Acquire) < round * 400 {
            tokio::task::yield_now().await;
        }
        let before = acknowledged.load(Ordering::Acquire);
        let (backing, path) = (Arc::clone(&engine), folder.path().to_owned());
        let number = tokio::task::spawn_blocking(move || backing.back_up(&path).unwrap()).await.unwrap();
        let position = seal(&backups, number).await;
        let (_folder, restored) = restored(&backups.backup(None).unwrap());
        assert!(position.0 >= before, "{position} of {before}");
        let newest = restored.position().await.unwrap();
        assert_eq!(newest, position);
        for number in 1..=position.0 {
            let cells = restored.get_many(newest, &[key(number)]).await.unwrap();
            assert_eq!(cells[0].as_ref().map(|cell| (cell.version, cell.position())), Some((number, Position(number))));
        }
        assert!(verify::verify(&*restored, &mut |_| ()).await.unwrap().is_clean());
        assert!(restored.commit_group(group(position.0 + 1, 10)).await.is_ok());
    }
    stop.store(true, Ordering::Release);
    writer.await.unwrap();
}

#[tokio::test]
async fn a_table_is_copied_once_for_all_backups_and_the_oldest_go() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = open(data.path());
    let backups = Backups::open(folder.path()).unwrap();
    engine.commit_group(group(1, 400_000)).await.unwrap();
    for number in 2..=5 {
        let made = engine.back_up(folder.path()).unwrap();
        seal(&backups, made).await;
        engine.commit_group(group(number, 10)).await.unwrap();
    }
    let large = |files: &[BackupFile]| {
        let large = files.iter().find(|file| fs::metadata(folder.path().join(&file.path)).unwrap().len() > 400_000);
        large.unwrap().path.clone()
    };
    let list = |number| backups.backup(Some(number)).unwrap();
    assert_eq!(large(list(1).files()), large(list(4).files()), "the second copies nothing of it");
    assert_eq!(backups.keep(2).unwrap(), [1, 2]);
    assert_eq!(backups.numbers().unwrap(), [(3, true), (4, true)]);
    assert!(matches!(backups.backup(Some(1)), Err(BackupError::Missing { .. })));
    for number in [3, 4] {
        let (_folder, restored) = restored(&list(number));
        assert_eq!(restored.position().await.unwrap(), Position(u64::from(number)));
    }
}

#[tokio::test]
async fn an_interrupted_backup_is_not_taken_for_the_newest() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = open(data.path());
    let backups = Backups::open(folder.path()).unwrap();
    assert!(matches!(backups.keep(1).unwrap()[..], []), "nothing to remove");
    for number in 1..=3 {
        engine.commit_group(group(number, 10)).await.unwrap();
        let made = engine.back_up(folder.path()).unwrap();
        if number < 3 {
            seal(&backups, made).await;
        }
    }
    assert_eq!(backups.backup(None).unwrap().number(), 2);
    assert_eq!(backups.keep(1).unwrap(), [1], "an unsealed one does not push the last sealed one out");
    assert_eq!(backups.numbers().unwrap(), [(2, true), (3, false)]);
    assert!(matches!(Backups::open(folder.path()), Err(BackupError::InUse(_))));
    drop(backups);
    assert!(Backups::open(folder.path()).is_ok());
    let none = tempfile::tempdir().unwrap();
    assert!(matches!(Backups::open_to_read(none.path()), Err(BackupError::Missing { .. })));
}

#[tokio::test]
async fn a_flipped_byte_in_a_backup_names_the_file_and_stops_its_restore() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = open(data.path());
    for number in 1..=20 {
        engine.commit_group(group(number, 500)).await.unwrap();
    }
    let number = engine.back_up(folder.path()).unwrap();
    let backups = Backups::open(folder.path()).unwrap();
    seal(&backups, number).await;
    let seed = 7;
    let rng = SeededRng::new(seed);
    let backup = backups.backup(None).unwrap();
    let mut paths: Vec<PathBuf> = backup.files().iter().map(|file| folder.path().join(&file.path)).collect();
    paths.push(folder.path().join("seals").join(number.to_string()));
    // The log was just begun: a file without bytes.
    paths.retain(|path| fs::metadata(path).unwrap().len() > 0);
    for path in &paths {
        let whole = fs::read(path).unwrap();
        for _ in 0..40 {
            let at = usize::try_from(rng.next_u64() % whole.len() as u64).unwrap();
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (rng.next_u64() % 8);
            fs::write(path, bytes).unwrap();
            let findings = backup.check(&mut FilesRead::new(&mut |_| ())).findings;
            let named = findings.iter().any(|finding| finding.to_string().starts_with(path.to_str().unwrap()));
            assert!(named, "{}: byte {at} (seed {seed}): {findings:?}", path.display());
        }
        let target = tempfile::tempdir().unwrap();
        let error = Restore::begin(&backup, target.path(), &mut |_| ()).map(|_| ()).unwrap_err();
        assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
        fs::write(path, &whole).unwrap();
    }
    // RocksDB's own list has no checksum: the seal has one for it.
    let list = folder.path().join("meta").join(number.to_string());
    let whole = fs::read_to_string(&list).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&list, bytes).unwrap();
        let found = backups.backup(None).map(|backup| backup.check(&mut FilesRead::new(&mut |_| ())).findings);
        assert!(found.is_err() || found.is_ok_and(|findings| !findings.is_empty()), "bit {bit}");
    }
}

#[tokio::test]
async fn a_restore_goes_into_an_empty_folder_and_no_server_starts_on_half_of_one() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = open(data.path());
    engine.commit_group(group(1, 10)).await.unwrap();
    let number = engine.back_up(folder.path()).unwrap();
    let backups = Backups::open(folder.path()).unwrap();
    seal(&backups, number).await;
    let backup = backups.backup(None).unwrap();

    let target = tempfile::tempdir().unwrap();
    let keep = target.path().join("note.txt");
    fs::write(&keep, "mine").unwrap();
    assert!(matches!(Restore::begin(&backup, target.path(), &mut |_| ()), Err(BackupError::Missing { .. })));
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 1, "nothing was touched");
    fs::remove_file(keep).unwrap();

    // Files that people sent stay where they are.
    fs::create_dir(target.path().join("media")).unwrap();
    let restore = Restore::begin(&backup, target.path(), &mut |_| ()).unwrap();
    let refused = |error: EngineError| {
        assert!(matches!(&error, EngineError::Unavailable(why) if why.contains("did not finish")), "{error}");
    };
    let clock = || Arc::new(ManualClock::new(1));
    refused(RocksEngine::open(target.path(), &SMALL, clock()).map(|_| ()).unwrap_err());
    refused(RocksEngine::open_read_only(target.path(), &SMALL, clock()).map(|_| ()).unwrap_err());
    assert!(Restore::begin(&backup, target.path(), &mut |_| ()).is_err(), "nor does a second restore begin");
    restore.open(&SMALL, clock()).unwrap().close().unwrap();
    restore.finish().unwrap();
    assert_eq!(open(target.path()).position().await.unwrap(), Position(1));
}

#[tokio::test]
async fn a_checkpoint_holds_what_was_committed_and_is_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let engine = open(data.path());
    for number in 1..=5 {
        engine.commit_group(group(number, 10)).await.unwrap();
    }
    let folder = data.path().join("checkpoint");
    engine.checkpoint(&folder).unwrap();
    engine.commit_group(group(6, 10)).await.unwrap();
    let read = RocksEngine::open_read_only(&folder, &SMALL, Arc::new(ManualClock::new(1))).unwrap();
    let report = verify::verify(&read, &mut |_| ()).await.unwrap();
    assert_eq!((report.findings, report.journal), (vec![], Some((Position(1), Position(5)))));
    let refused = read.commit_group(group(7, 10)).await;
    assert!(matches!(refused, Err(EngineError::Unavailable(_))), "{refused:?}");
    assert!(crate::files::check_files(&folder, &mut |_| ()).unwrap().findings.is_empty());
}

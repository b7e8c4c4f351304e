//! `verify` finds the same on every engine.

use super::{
    Bench,
    bench::{CHURN, EACH_PATTERN, POINT, SCAN, entry, row},
};
use crate::{
    Batch, Group, Key, LeaseRequest, Position, journal, system,
    verify::{Place, Report, verify},
};

cases!("verify":
    what_was_written_is_clean_and_counted,
    each_flipped_byte_names_its_row,
    a_corrupt_journal_row_is_no_hole,
    epochs_that_follow_each_other_are_clean,
);

async fn check(bench: &Bench) -> Report {
    verify(&*bench.engine(), &mut |_| ()).await.unwrap()
}

fn places(report: &Report) -> Vec<Place> {
    report.findings.iter().map(|finding| finding.place.clone()).collect()
}

/// Rows of each pattern, and ten journal entries.
async fn fill(bench: &Bench) {
    for number in 0..10_u16 {
        let mut batch = Batch::new();
        batch.journal(entry(number));
        let number = u64::from(number);
        for table in EACH_PATTERN {
            batch.put_with(Key::build(table, 7).u64(number).key(), number, &[], vec![1; 40]);
        }
        bench.win(batch).await;
    }
}

async fn what_was_written_is_clean_and_counted(bench: Bench) {
    assert_eq!(check(&bench).await, Report::default());
    fill(&bench).await;
    let request = LeaseRequest { name: "work".into(), owner: 1, ttl_ms: 1_000 };
    bench.engine().lease(request).await.unwrap();
    let report = check(&bench).await;
    assert_eq!((report.findings.as_slice(), report.journal), (&[][..], Some((Position(1), Position(10)))));
    assert!(EACH_PATTERN.iter().all(|table| report.tables[table].rows == 10));
    assert_eq!((report.tables[&system::LEASES].rows, report.total().rows), (1, 51));
}

async fn each_flipped_byte_names_its_row(mut bench: Bench) {
    fill(&bench).await;
    let rows = [Key::build(POINT, 7).u64(3).key(), Key::build(SCAN, 7).u64(0).key(), Key::build(CHURN, 7).u64(9).key()];
    for key in &rows {
        bench.tamper(key, |stored| stored[20] ^= 1).await;
    }
    let report = check(&bench).await;
    assert_eq!(places(&report), rows.map(Place::Row));
    assert_eq!(report.total().rows, 47, "the rest is read");
}

async fn a_corrupt_journal_row_is_no_hole(mut bench: Bench) {
    fill(&bench).await;
    bench.tamper(&journal::key(Position(4)), |stored| stored[3] ^= 1).await;
    assert_eq!(places(&check(&bench).await), [Place::Row(journal::key(Position(4)))]);
}

async fn epochs_that_follow_each_other_are_clean(bench: Bench) {
    fill(&bench).await;
    let mut epoch = 0;
    for now_ms in [5_000, 9_000] {
        let stored = bench.cell(&system::epoch_key()).await;
        let newest = bench.position().await;
        let batch = system::raise_epoch(stored.as_ref(), newest, system::EpochReason::Failover, now_ms).unwrap();
        bench.engine().commit_group(Group { epoch, ..bench.group(vec![batch]) }).await.unwrap();
        epoch = bench.cell(&system::epoch_key()).await.unwrap().version;
        let mut batch = Batch::new();
        batch.journal(entry(1));
        batch.put(row(epoch), "later");
        bench.engine().commit_group(Group { epoch, ..bench.group(vec![batch]) }).await.unwrap();
    }
    let report = check(&bench).await;
    assert_eq!((report.findings.as_slice(), report.epoch), (&[][..], 9));
}

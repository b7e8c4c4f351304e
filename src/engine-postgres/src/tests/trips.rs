//! Round trips of a group, counted by who stands in between: answers are held back until everything that is said to be one
//! round trip was sent, so that more round trips than said would wait for ever.

use wardstead_engine::{Batch, Engine, Group, JournalEntry, LeaseRequest};

use super::{event, fresh, key, open, proxy::Proxy, writer};
use crate::testing::Cluster;

/// BEGIN, the position row and what is asserted; then the writes and COMMIT.
const ONE_EVENT: [usize; 2] = [3, 2];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_takes_two_round_trips() {
    let url = fresh().await;
    let proxy = Proxy::before(Cluster::shared());
    let engine = open(&proxy.url(&url)).await;
    // Statements are prepared when they are first used.
    engine.commit_group(event(1)).await.unwrap();
    proxy.allow_trips(&ONE_EVENT);
    for number in 2..=5 {
        engine.commit_group(event(number)).await.unwrap();
    }
    assert_eq!(proxy.transactions(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_loses_and_an_empty_one_take_two_round_trips() {
    let url = fresh().await;
    let proxy = Proxy::before(Cluster::shared());
    let engine = open(&proxy.url(&url)).await;
    engine.commit_group(event(1)).await.unwrap();
    proxy.allow_trips(&[3, 1]);
    engine.commit_group(event(1)).await.unwrap();
    engine.commit_group(Group { epoch: 0, writer: writer(2), batches: vec![] }).await.unwrap();
    // The answer to ROLLBACK comes after that of the group.
    super::until(|| async { proxy.transactions() >= 2 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_takes_two_round_trips() {
    let url = fresh().await;
    let proxy = Proxy::before(Cluster::shared());
    let engine = open(&proxy.url(&url)).await;
    let request = LeaseRequest { name: "sealer".to_owned(), owner: 1, ttl_ms: 60_000 };
    engine.lease(request.clone()).await.unwrap();
    proxy.allow_trips(&ONE_EVENT);
    let lease = engine.lease(request).await.unwrap().unwrap();
    assert_eq!((lease.fencing, proxy.transactions()), (1, 1));
}

/// Ranges go first, in a statement for each table; rows beyond the bound of a statement go into the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_rows_and_ranges_take_no_more_round_trips() {
    let url = fresh().await;
    let proxy = Proxy::before(Cluster::shared());
    let engine = open(&proxy.url(&url)).await;
    let group = |number| {
        let batches = (0..3_u64).map(|batch| {
            let mut rows = Batch::new();
            rows.delete_range(key(batch * 10_000), key(batch * 10_000 + 100));
            for row in 0..4_000 {
                rows.put(key(batch * 10_000 + row), "row");
            }
            rows.journal(JournalEntry { kind: 0x100, scope: 1, key: bytes::Bytes::new() });
            rows.into()
        });
        Group { epoch: 0, writer: writer(number), batches: batches.collect() }
    };
    engine.commit_group(group(1)).await.unwrap();
    // 12,003 rows: three statements.
    proxy.allow_trips(&[3, 1 + 3 + 1]);
    engine.commit_group(group(2)).await.unwrap();
    assert_eq!(proxy.transactions(), 1);
}

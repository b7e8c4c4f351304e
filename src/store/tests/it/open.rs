//! Opening: server name, schema, the shared token key, the epoch.

use bytes::Bytes;
use serde::Serialize;
use wardstead_engine::{AccessPattern, Batch, Engine, Group, Key, TableId, Writer};
use wardstead_engine_memory::CommitFault;
use wardstead_store::{OpenError, TimelineToken, Token, testing};

use crate::support::node;

async fn write(engine: &dyn Engine, key: Key, version: u64, payload: Bytes) {
    let mut batch = Batch::new();
    batch.put_with(key, version, &[], payload);
    let writer = Writer { incarnation: 99, group: 1 };
    engine.commit_group(Group { epoch: 0, writer, batches: vec![batch.into()] }).await.unwrap();
}

#[tokio::test]
async fn another_servers_data_is_refused() {
    let node = node().await;
    let refused = testing::over(node.engine.clone(), "other.example", node.clock.clone(), 2).await.unwrap_err();
    assert!(matches!(&refused, OpenError::OtherServer { stored, .. } if stored == "example.org"), "{refused}");
}

/// A newer Wardstead wrote the data and said that this one must not touch it: the start stops and says so.
#[tokio::test]
async fn a_newer_schema_stops_the_start_unless_it_is_compatible() {
    #[derive(Serialize)]
    struct Installation {
        server_name: &'static str,
        written: u32,
        compatible: u32,
        token_key: [u8; 32],
    }
    let key = Key::build(TableId::new(AccessPattern::Point, 0x011), 0).key();
    for (compatible, opens) in [(7, false), (1, true)] {
        let (engine, clock) = testing::engine();
        let row = Installation { server_name: "example.org", written: 9, compatible, token_key: [0; 32] };
        let payload = postcard::to_extend(&row, vec![1]).unwrap();
        write(engine.as_ref(), key.clone(), 1, payload.into()).await;
        match testing::over(engine, "example.org", clock, 1).await {
            Ok(_) => assert!(opens),
            Err(error) => {
                assert!(!opens && matches!(error, OpenError::NewerSchema { written: 9, compatible: 7, .. }));
                assert!(error.to_string().contains("schema 9"), "{error}");
            }
        }
    }
}

/// Two nodes that start on empty data at once share one token key: `Absent` decides.
#[tokio::test]
async fn nodes_that_start_at_once_share_the_token_key() {
    let (engine, clock) = testing::engine();
    let start = |seed| testing::over(engine.clone(), "example.org", clock.clone(), seed);
    let (one, two) = tokio::join!(start(1), start(2));
    let (one, two) = (one.unwrap(), two.unwrap());
    let token = Token::Timeline(TimelineToken { room: 1, depth: 2, order: 3 });
    assert_eq!(two.tokens().read(&one.tokens().write(&token)), Ok(token.clone()));
    let three = start(3).await.unwrap();
    assert_eq!(three.tokens().read(&two.tokens().write(&token)), Ok(token));
}

/// The first commit of one of them fails, or nobody knows: it looks again at what is then there.
#[tokio::test(start_paused = true)]
async fn a_start_whose_first_commit_fails_looks_again() {
    for fault in [CommitFault::Unavailable, CommitFault::UnknownBefore, CommitFault::UnknownAfter] {
        for n in 1..3 {
            let (engine, clock) = testing::engine();
            engine.faults().fail_commit(n, fault);
            let start = |seed| testing::over(engine.clone(), "example.org", clock.clone(), seed);
            let (one, two) = tokio::join!(start(1), start(2));
            let (one, two) = (one.unwrap(), two.unwrap());
            let token = Token::Timeline(TimelineToken { room: 1, depth: 2, order: 3 });
            assert_eq!(two.tokens().read(&one.tokens().write(&token)), Ok(token), "{fault:?} {n}");
        }
    }
}

//! Another server takes over: a new timeline, hence a new epoch.

use std::sync::Arc;

use wardstead_engine::{
    Engine, EngineError, Group, Position,
    system::{self, EpochReason, epoch_key},
};
use wardstead_limits::engine::EPOCH_JUMP_POSITIONS;

use super::{blocking, event, exists, open, options, until};
use crate::{PostgresEngine, testing::Cluster};

async fn epoch(engine: &PostgresEngine) -> (u64, Vec<system::EndedEpoch>) {
    let cell = engine.get_many(Position::ZERO, &[epoch_key()]).await.unwrap().remove(0);
    (cell.as_ref().map_or(0, |cell| cell.version), system::epochs(cell.as_ref()).unwrap())
}

/// Two nodes that know both servers; the primary dies, the standby is promoted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_standby_begins_a_new_epoch_and_jumps() {
    let (primary, standby, url) = blocking(|| {
        let primary = Cluster::start(&[]);
        let url = primary.database();
        let standby = primary.standby();
        (Arc::new(primary), Arc::new(standby), url)
    })
    .await;
    // Both hosts, as an operator writes them.
    let name = url.split('/').nth(3).unwrap().split('?').next().unwrap();
    let folder = |cluster: &Cluster| cluster.socket().parent().unwrap().display().to_string();
    let both = format!("postgres://wardstead@/{name}?host={}&host={}", folder(&primary), folder(&standby));
    let (one, two) = (open(&both).await, open(&both).await);
    one.commit_group(event(1)).await.unwrap();
    two.commit_group(event(2)).await.unwrap();
    assert_eq!((epoch(&one).await.0, one.status().timeline), (0, 1));

    blocking({
        let (primary, standby) = (Arc::clone(&primary), Arc::clone(&standby));
        move || {
            primary.kill();
            standby.promote();
        }
    })
    .await;
    // Either finds the other server by itself, and one of them raises the epoch, once.
    for engine in [&one, &two] {
        until(|| async { engine.status().reachable && engine.status().timeline == 2 }).await;
        until(|| async { engine.position().await.is_ok_and(|newest| newest.0 > EPOCH_JUMP_POSITIONS) }).await;
    }
    let (raised, ended) = epoch(&two).await;
    let next = Position(2 + EPOCH_JUMP_POSITIONS);
    assert_eq!((ended.len(), ended[0].epoch, ended[0].last, ended[0].next), (1, 0, Position(2), next));
    assert_eq!(ended[0].reason, EpochReason::Failover);
    for engine in [&one, &two] {
        let answer = engine.commit_group(event(3)).await;
        assert_eq!(answer, Err(EngineError::Conflict { expected: 0, actual: raised }));
        assert!(exists(engine, 1).await && exists(engine, 2).await);
    }
    let outcome = one.commit_group(Group { epoch: raised, ..event(3) }).await.unwrap();
    assert_eq!(outcome.position, Position(next.0 + 1));
}

/// Data that was moved to another installation of PostgreSQL, on a timeline of the same number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_system_identifier_begins_a_new_epoch() {
    let url = super::fresh().await;
    let first = open(&url).await;
    first.commit_group(event(1)).await.unwrap();
    first.close().await;
    let name = url.split('/').nth(3).unwrap().split('?').next().unwrap().to_owned();
    let moved = "UPDATE wardstead.position SET system_identifier = 4711";
    blocking(move || Cluster::shared().sql_in(&name, moved)).await;
    let engine = PostgresEngine::open(options(&url)).await.unwrap();
    let (raised, ended) = epoch(&engine).await;
    assert!(raised > 0 && ended.len() == 1);
    engine.close().await;
    let again = open(&url).await;
    assert_eq!(epoch(&again).await.0, raised, "once");
}

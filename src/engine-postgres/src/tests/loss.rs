//! The database goes and comes back.

use std::sync::Arc;

use tokio_postgres::{Config, NoTls};
use wardstead_engine::{Engine, EngineError, Position};
use wardstead_limits::postgres as limits;

use super::{blocking, event, exists, key, open, options, until};
use crate::{PostgresEngine, testing::Cluster};

async fn own_cluster() -> (Arc<Cluster>, String) {
    blocking(|| {
        let cluster = Arc::new(Cluster::start(&[]));
        let url = cluster.database();
        (cluster, url)
    })
    .await
}

async fn with(cluster: &Arc<Cluster>, act: fn(&Cluster)) {
    let cluster = Arc::clone(cluster);
    blocking(move || act(&cluster)).await;
}

async fn is_lost(engine: &PostgresEngine) {
    until(|| async { !engine.status().reachable }).await;
    let read = engine.get_many(Position::ZERO, &[key(1)]).await;
    assert!(matches!(read, Err(EngineError::Unavailable(_))), "{read:?}");
    let commit = engine.commit_group(event(99)).await;
    assert!(matches!(commit, Err(EngineError::Unavailable(_))), "{commit:?}");
}

async fn is_back(engine: &PostgresEngine, number: u64) {
    until(|| async { engine.status().reachable }).await;
    engine.commit_group(event(number)).await.unwrap();
    assert!(exists(engine, number).await && !exists(engine, 99).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_or_stops_is_unavailable_and_all_recovers() {
    let (cluster, url) = own_cluster().await;
    let engine = open(&url).await;
    engine.commit_group(event(1)).await.unwrap();

    with(&cluster, Cluster::kill).await;
    is_lost(&engine).await;
    with(&cluster, Cluster::run).await;
    is_back(&engine, 2).await;
    assert!(exists(&engine, 1).await, "what was acknowledged is there");

    // Stopped, it keeps its connections and says nothing: only the monitor can tell.
    with(&cluster, Cluster::pause).await;
    is_lost(&engine).await;
    with(&cluster, Cluster::resume).await;
    is_back(&engine, 3).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_without_the_password() {
    let url = "postgres://ward:open-sesame@127.0.0.1:1/stead?sslmode=disable";
    let error = PostgresEngine::open(options(url)).await.unwrap_err();
    assert!(matches!(error, EngineError::Unavailable(_)) && !error.to_string().contains("sesame"), "{error}");
}

/// Reads behind a lock that somebody else holds: the server ends those that run, and no more than so many wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_the_server_does_not_finish_are_unavailable_and_a_full_queue_busy() {
    let url = super::fresh().await;
    let engine = open(&url).await;
    engine.commit_group(event(1)).await.unwrap();
    let (holder, connection) = url.parse::<Config>().unwrap().connect(NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    holder.batch_execute("BEGIN; LOCK TABLE wardstead.point IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let asked = limits::READ_QUEUE + limits::READ_CONNECTIONS + 100;
    let keys = [key(1)];
    let reads = (0..asked).map(|_| engine.get_many(Position::ZERO, &keys));
    let answers = futures::future::join_all(reads).await;
    let busy = answers.iter().filter(|answer| matches!(answer, Err(EngineError::Busy(_)))).count();
    let unavailable = answers.iter().filter(|answer| matches!(answer, Err(EngineError::Unavailable(_)))).count();
    assert!(busy > 0 && busy + unavailable == asked, "{busy} busy, {unavailable} unavailable of {asked}");
    drop(holder);
    connection.await.unwrap().unwrap();
    assert!(exists(&engine, 1).await);
}

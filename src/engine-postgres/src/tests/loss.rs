//! The database goes and comes back.

use std::sync::Arc;

use wardstead_engine::{Engine, EngineError, Position};

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

//! Connections, backends and nodes that end or stop in the middle of a group.

use std::{sync::Arc, time::Duration};

use tokio_postgres::NoTls;
use wardstead_engine::{Engine, EngineError, Outcome};
use wardstead_limits::postgres as limits;

use super::{
    blocking, event, exists, fresh, journal_of, key, open, options, probe,
    proxy::{Fault, Proxy},
    until,
};
use crate::{
    connection::{Connection, Role},
    sql::Sql,
    testing::{Cluster, signal_process},
};

fn name_of(url: &str) -> String {
    url.split('/').nth(3).unwrap().split('?').next().unwrap().to_owned()
}

/// The process of the backend in `database` whose `pg_stat_activity` row is so.
pub(crate) async fn backend(cluster: &'static Cluster, database: &str, so: &str) -> u32 {
    let ask = format!("SELECT pid FROM pg_stat_activity WHERE datname = '{database}' AND {so}");
    let mut found = String::new();
    for _ in 0..600 {
        let ask = ask.clone();
        found = blocking(move || cluster.sql(&ask)).await;
        if !found.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    found.parse().unwrap_or_else(|_| panic!("one backend where {so}: {found:?}"))
}

/// After an unknown outcome: the probe says what is so, the journal agrees, and a retry makes it exactly one event.
pub(crate) async fn resolve_and_retry(engine: &crate::PostgresEngine, number: u64) -> bool {
    probe(engine, 0).await;
    let committed = exists(engine, number).await;
    let entries = |journal: &[(wardstead_engine::Position, u64)]| journal.iter().filter(|row| row.1 == number).count();
    assert_eq!(entries(&journal_of(engine).await), usize::from(committed), "row and journal entry go together");
    let retried = engine.commit_group(event(number)).await.unwrap();
    assert_eq!(matches!(retried.outcomes[0], Outcome::Lost { .. }), committed);
    let journal = journal_of(engine).await;
    assert_eq!(entries(&journal), 1);
    assert!(journal.windows(2).all(|two| two[0].0.next() == two[1].0), "no hole");
    committed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_before_commit_leaves_nothing() {
    let url = fresh().await;
    let proxy = Proxy::before(Cluster::shared());
    let engine = open(&proxy.url(&url)).await;
    engine.commit_group(event(1)).await.unwrap();
    proxy.on_next_commit(Fault::CutBefore);
    let answer = engine.commit_group(event(2)).await;
    assert!(matches!(answer, Err(EngineError::Unknown(_))), "{answer:?}");
    assert!(!resolve_and_retry(&engine, 2).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_after_commit_is_unknown_and_the_event_is_there_once() {
    let url = fresh().await;
    let proxy = Proxy::before(Cluster::shared());
    let engine = open(&proxy.url(&url)).await;
    proxy.on_next_commit(Fault::CutAfter);
    let answer = engine.commit_group(event(1)).await;
    assert!(matches!(answer, Err(EngineError::Unknown(_))), "{answer:?}");
    assert!(resolve_and_retry(&engine, 1).await);
}

/// The caller is told after a bounded time; the next group goes by on a new connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_unknown_and_others_go_by() {
    let url = fresh().await;
    let proxy = Proxy::before(Cluster::shared());
    let engine = open(&proxy.url(&url)).await;
    proxy.on_next_commit(Fault::NoAnswer);
    let answer = engine.commit_group(event(1)).await;
    assert!(matches!(answer, Err(EngineError::Unknown(_))), "{answer:?}");
    assert!(proxy.is_done() && resolve_and_retry(&engine, 1).await);
    engine.commit_group(event(2)).await.unwrap();
}

/// The backend is stopped when COMMIT reaches it, and the connection is cut: who asks next waits for its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_stopped_at_commit_is_waited_for() {
    let (url, cluster) = (fresh().await, Cluster::shared());
    let proxy = Proxy::before(cluster);
    let engine = open(&proxy.url(&url)).await;
    engine.commit_group(event(1)).await.unwrap();
    proxy.on_next_commit(Fault::HoldThenCut);
    let committing = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.commit_group(event(2)).await })
    };
    let database = name_of(&url);
    let stopped = backend(cluster, &database, "state = 'idle in transaction'").await;
    signal_process(stopped, "STOP");
    proxy.go_on();
    let answer = committing.await.unwrap();
    assert!(matches!(answer, Err(EngineError::Unknown(_))), "{answer:?}");
    let probing = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { resolve_and_retry(&engine, 2).await })
    };
    backend(cluster, &database, "wait_event_type = 'Lock'").await;
    assert!(!probing.is_finished(), "the stopped backend still holds the position row");
    signal_process(stopped, "CONT");
    probing.await.unwrap();
}

/// A node that is killed between its writes and COMMIT leaves nothing, and holds nobody up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_killed_in_the_middle_of_a_group_leaves_nothing() {
    let url = fresh().await;
    let engine = open(&url).await;
    engine.commit_group(event(1)).await.unwrap();
    let config: tokio_postgres::Config = url.parse().unwrap();
    let (killed, connection) = config.connect(NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let halfway = "BEGIN; SELECT 1 FROM wardstead.position FOR UPDATE; \
        INSERT INTO wardstead.journal SELECT generate_series(2, 50), 'x'; INSERT INTO wardstead.point VALUES ('x', 'x')";
    killed.batch_execute(halfway).await.unwrap();
    let committing = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.commit_group(event(2)).await })
    };
    backend(Cluster::shared(), &name_of(&url), "wait_event_type = 'Lock'").await;
    assert_eq!(engine.position().await.unwrap().0, 1, "what is not committed is not seen");
    connection.abort();
    assert_eq!(committing.await.unwrap().unwrap().position.0, 2);
    assert_eq!(journal_of(&engine).await.len(), 2);
}

/// A node that stops while it holds the position row is put out by the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_in_the_middle_of_a_group_is_put_out() {
    let url = fresh().await;
    let engine = open(&url).await;
    let mut stopped = Connection::open(&options(&url), Role::Writer, None).await.unwrap();
    let lock = stopped.statement(Sql::Lock).await.unwrap();
    stopped.client().batch_execute("BEGIN").await.unwrap();
    stopped.client().query_one(&lock, &[]).await.unwrap();
    engine.commit_group(event(1)).await.unwrap();
    assert!(stopped.client().batch_execute("COMMIT").await.is_err());
}

/// While the row is held by somebody whom nothing puts out, groups fail as not written, and all that were given are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_row_that_is_never_free_is_unavailable_and_a_full_queue_busy() {
    let url = fresh().await;
    let engine = open(&url).await;
    let (holder, connection) = url.parse::<tokio_postgres::Config>().unwrap().connect(NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    holder.batch_execute("BEGIN; SELECT 1 FROM wardstead.position FOR UPDATE").await.unwrap();
    let most = u64::try_from(limits::COMMIT_QUEUE_GROUPS).unwrap();
    let mut committing = tokio::task::JoinSet::new();
    for number in 1..=most + 3 {
        let engine = Arc::clone(&engine);
        committing.spawn(async move { engine.commit_group(event(number)).await });
    }
    let mut answers = Vec::new();
    // Those for whom there is no place are answered at once, in whatever order they came.
    while !matches!(answers.last(), Some(Err(EngineError::Unavailable(_)))) {
        answers.push(committing.join_next().await.unwrap().unwrap());
    }
    drop(holder);
    connection.await.unwrap().unwrap();
    let (mut won, mut busy, mut unavailable) = (0, 0, 0);
    answers.extend(committing.join_all().await);
    for answer in answers {
        match answer {
            Ok(_) => won += 1,
            Err(EngineError::Busy(_)) => busy += 1,
            Err(EngineError::Unavailable(_)) => unavailable += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(busy >= 3 && unavailable >= 1, "{won} won, {busy} busy, {unavailable} unavailable");
    assert_eq!(journal_of(&engine).await.len(), won);
}

/// A write that the server refuses: the group is not written, for certain, and the connection goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_the_server_refuses_is_unavailable() {
    let url = fresh().await;
    let engine = open(&url).await;
    engine.commit_group(event(1)).await.unwrap();
    let database = name_of(&url);
    let refuse = "ALTER TABLE wardstead.scan ADD CONSTRAINT refused CHECK (octet_length(v) < 5) NOT VALID";
    blocking({
        let database = database.clone();
        move || Cluster::shared().sql_in(&database, refuse)
    })
    .await;
    let answer = engine.commit_group(event(2)).await;
    assert!(matches!(answer, Err(EngineError::Unavailable(_))), "{answer:?}");
    assert!(!exists(&engine, 2).await);
    blocking(move || Cluster::shared().sql_in(&database, "ALTER TABLE wardstead.scan DROP CONSTRAINT refused")).await;
    engine.commit_group(event(2)).await.unwrap();
}

/// A row that the server itself finds damaged is `Corrupt`; there is no telling which of those asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_engine_is_unavailable_and_closes_again() {
    let url = fresh().await;
    let engine = open(&url).await;
    engine.commit_group(event(1)).await.unwrap();
    engine.close().await;
    engine.close().await;
    assert!(matches!(engine.position().await, Err(EngineError::Unavailable(_))));
    assert!(matches!(engine.commit_group(event(2)).await, Err(EngineError::Unavailable(_))));
    let again = open(&url).await;
    assert!(exists(&again, 1).await && !exists(&again, 2).await);
    until(|| async { again.get_many(wardstead_engine::Position(1), &[key(1)]).await.is_ok() }).await;
}

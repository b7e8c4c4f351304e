//! Durability on a synchronous standby: one that stalls, one that goes, and a server that has none.

use std::sync::{Arc, OnceLock};

use tokio::sync::{Mutex, MutexGuard};
use wardstead_engine::{Engine, EngineError};

use super::{
    blocking, event, exists,
    faults::{backend, resolve_and_retry},
    fresh, open, options,
    proxy::{Fault, Proxy},
    until,
};
use crate::{
    Durability, PostgresEngine, PostgresOptions,
    testing::{Cluster, signal_process},
};

struct Pair {
    primary: Cluster,
    standby: Cluster,
}

/// A primary and its synchronous standby; the tests that stop the standby take turns.
async fn pair() -> (&'static Pair, Turn) {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    let start = || {
        let primary = Cluster::start(&[]);
        let standby = primary.standby();
        Pair { primary, standby }
    };
    let pair = blocking(move || PAIR.get_or_init(start)).await;
    (pair, Turn { pair, _turn: turn })
}

/// Lets the standby go on when a test ends, however it does: the next one needs it.
struct Turn {
    pair: &'static Pair,
    _turn: MutexGuard<'static, ()>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.pair.standby.resume();
    }
}

fn on_standby(url: &str) -> PostgresOptions {
    PostgresOptions { durability: Durability::Standby, ..options(url) }
}

async fn database(pair: &'static Pair) -> (String, String) {
    let url = blocking(|| pair.primary.database()).await;
    let name = url.split('/').nth(3).unwrap().split('?').next().unwrap().to_owned();
    (url, name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_standby_the_engine_does_not_open() {
    let url = fresh().await;
    let error = PostgresEngine::open(on_standby(&url)).await.unwrap_err();
    assert!(error.to_string().contains("synchronous_standby_names is empty"), "{error}");
    drop(open(&url).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_in_a_commit_that_a_stalled_standby_holds_leaves_one_event() {
    let (pair, _turn) = pair().await;
    let (url, name) = database(pair).await;
    let proxy = Proxy::before(&pair.primary);
    let engine = Arc::new(PostgresEngine::open(on_standby(&proxy.url(&url))).await.unwrap());
    engine.commit_group(event(1)).await.unwrap();

    for (number, stop_the_backend) in [(2, false), (3, true)] {
        pair.standby.pause();
        proxy.on_next_commit(Fault::NoAnswer);
        let committing = {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move { engine.commit_group(event(number)).await })
        };
        let waiting = backend(&pair.primary, &name, "wait_event = 'SyncRep'").await;
        if stop_the_backend {
            signal_process(waiting, "STOP");
        }
        proxy.cut_connections();
        let answer = committing.await.unwrap();
        assert!(matches!(answer, Err(EngineError::Unknown(_))), "{answer:?}");
        let resolving = {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move { resolve_and_retry(&engine, number).await })
        };
        backend(&pair.primary, &name, "wait_event_type = 'Lock'").await;
        assert!(!resolving.is_finished(), "nobody may say yet how it ended");
        signal_process(waiting, "CONT");
        pair.standby.resume();
        assert!(resolving.await.unwrap(), "it was in COMMIT, so it is there");
    }
}

/// The server gives up waiting for the standby and says so in a warning: that is no success, and neither is anything else
/// until a later COMMIT has reached the standby.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warning_on_commit_is_unknown() {
    let (pair, _turn) = pair().await;
    let (url, name) = database(pair).await;
    let engine = Arc::new(PostgresEngine::open(on_standby(&url)).await.unwrap());
    pair.standby.pause();
    let committing = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.commit_group(event(1)).await })
    };
    let waiting = backend(&pair.primary, &name, "wait_event = 'SyncRep'").await;
    blocking(move || pair.primary.sql(&format!("SELECT pg_cancel_backend({waiting})"))).await;
    let answer = committing.await.unwrap();
    let why = matches!(&answer, Err(EngineError::Unknown(why)) if why.contains("synchronous replication"));
    assert!(why, "{answer:?}");

    let resolving = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { resolve_and_retry(&engine, 1).await })
    };
    backend(&pair.primary, &name, "wait_event = 'SyncRep'").await;
    assert!(!resolving.is_finished(), "the probe waits for the standby too");
    pair.standby.resume();
    assert!(resolving.await.unwrap());
}

/// An operator takes the standby off the list: from then on PostgreSQL acknowledges without it, and the engine nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_refused_while_no_standby_is_waited_for() {
    let (pair, _turn) = pair().await;
    let (url, _) = database(pair).await;
    let engine = PostgresEngine::open(on_standby(&url)).await.unwrap();
    engine.commit_group(event(1)).await.unwrap();
    let set = |names: &'static str| async move {
        let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'");
        blocking(move || {
            pair.primary.sql(&set);
            pair.primary.sql("SELECT pg_reload_conf()");
            pair.primary.wait_for("SHOW synchronous_standby_names", names);
        })
        .await;
    };
    set("").await;
    // The next group finds it, or the one after it where the backend had not read its settings yet; the monitor would take
    // ten seconds, which are thousands of groups.
    let mut accepted = 0;
    let refused = loop {
        match engine.commit_group(event(10 + accepted)).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, EngineError::Unavailable(_)) && accepted <= 2, "{refused} after {accepted}");
    let status = engine.status();
    assert!(status.reachable && !status.durable && status.problem.is_some(), "{status:?}");
    let answer = engine.commit_group(event(2)).await;
    assert!(matches!(answer, Err(EngineError::Unavailable(_))), "{answer:?}");
    assert!(exists(&engine, 1).await && !exists(&engine, 2).await, "reads go on");
    set("*").await;
    until(|| async { engine.status().durable }).await;
    engine.commit_group(event(2)).await.unwrap();
}

//! The suite that every engine runs.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};
use tokio_postgres::{Config, NoTls, types::ToSql};
use wardstead_engine::{
    Engine, Key,
    conformance::{self, Factory, Installation, Tampering},
};
use wardstead_limits::ManualClock;

use super::options;
use crate::{
    PostgresEngine,
    place::{Place, position_of},
    testing::Cluster,
};

struct Database {
    url: String,
    clock: ManualClock,
    engine: Arc<PostgresEngine>,
    over: std::sync::mpsc::Sender<String>,
}

impl Drop for Database {
    fn drop(&mut self) {
        // After the last case nobody removes any more.
        let _ = self.over.send(std::mem::take(&mut self.url));
    }
}

async fn open(url: &str, clock: &ManualClock) -> Arc<PostgresEngine> {
    Arc::new(PostgresEngine::open_with_clock(options(url), Arc::new(clock.clone())).await.unwrap())
}

#[async_trait]
impl Installation for Database {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine) as Arc<dyn Engine>
    }

    async fn reopen(&mut self) {
        self.engine.close().await;
        self.engine = open(&self.url, &self.clock).await;
    }

    async fn second(&self) -> Arc<dyn Engine> {
        open(&self.url, &self.clock).await
    }

    /// A session that has begun a transaction and forgotten it: no row that it could still see may be cleaned up.
    async fn hold_snapshot(&self) -> Box<dyn Send> {
        let (client, connection) = self.url.parse::<Config>().unwrap().connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        let look = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM wardstead.point";
        client.batch_execute(look).await.unwrap();
        Box::new(client)
    }

    async fn tamper(&mut self, key: &Key, change: Tampering) {
        let (client, connection) = self.url.parse::<Config>().unwrap().connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        let place = Place::of(key);
        let (column, position) = (if place == Place::Journal { "position" } else { "k" }, position_of(key));
        let bytes = key.as_bytes();
        let id: &(dyn ToSql + Sync) = if place == Place::Journal { &position } else { &bytes };
        let read = format!("SELECT v FROM {} WHERE {column} = $1", place.table());
        let mut stored: Vec<u8> = client.query_one(&read, &[id]).await.unwrap().get(0);
        change(&mut stored);
        let write = format!("UPDATE {} SET v = $2 WHERE {column} = $1", place.table());
        assert_eq!(client.execute(&write, &[id, &stored]).await.unwrap(), 1);
    }
}

/// Databases that are made ahead, while cases run, and removed when their case is over.
struct Databases {
    urls: Mutex<mpsc::Receiver<String>>,
    over: std::sync::mpsc::Sender<String>,
}

#[async_trait]
impl Factory for Databases {
    async fn fresh(&self, clock: ManualClock) -> Box<dyn Installation> {
        let url = self.urls.lock().await.recv().await.unwrap();
        let engine = open(&url, &clock).await;
        Box::new(Database { url, clock, engine, over: self.over.clone() })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conformance_suite() {
    let (made, urls) = mpsc::channel(4);
    let (over, ended) = std::sync::mpsc::channel::<String>();
    let making = tokio::task::spawn_blocking(move || {
        while made.blocking_send(Cluster::shared().database()).is_ok() {
            for url in ended.try_iter() {
                Cluster::shared().remove(&url);
            }
        }
    });
    let databases = Databases { urls: Mutex::new(urls), over };
    let count = conformance::run(&databases).await;
    drop(databases);
    making.await.unwrap();
    println!("conformance: {count} cases on engine-postgres");
}

//! A pooler in transaction mode, as far as it matters: sessions of clients share one backend, which belongs to a client from
//! its first message until it has no transaction open.

use std::{path::PathBuf, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::Mutex,
};

use super::{fresh, options};
use crate::{PostgresEngine, testing::Cluster};

async fn message(from: &mut UnixStream, has_kind: bool) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::from(has_kind)];
    from.read_exact(&mut bytes).await.ok()?;
    let length = from.read_u32().await.ok()?;
    bytes.extend(length.to_be_bytes());
    let body = bytes.len();
    bytes.resize(body + length as usize - 4, 0);
    from.read_exact(&mut bytes[body..]).await.ok()?;
    Some(bytes)
}

/// Sends `request` and hands the answers back up to the one that the server is ready; whether a transaction is open.
async fn exchange(request: &[u8], server: &mut UnixStream, client: &mut UnixStream) -> Option<bool> {
    server.write_all(request).await.ok()?;
    loop {
        let answer = message(server, true).await?;
        client.write_all(&answer).await.ok()?;
        if answer[0] == b'Z' {
            return Some(answer[5] != b'I');
        }
    }
}

async fn serve(mut client: UnixStream, backend: Arc<Mutex<Option<UnixStream>>>, server: PathBuf) -> Option<()> {
    let startup = message(&mut client, false).await?;
    // Each client is greeted by a session of its own, which is then thrown away, or is the one that all share.
    let mut own = UnixStream::connect(&server).await.ok()?;
    exchange(&startup, &mut own, &mut client).await?;
    backend.lock().await.get_or_insert(own);
    loop {
        let mut request = message(&mut client, true).await?;
        let mut shared = backend.lock().await;
        let server = shared.as_mut()?;
        loop {
            // Everything up to a Sync is answered as one.
            while !matches!(request[0], b'Q' | b'S') {
                server.write_all(&request).await.ok()?;
                request = message(&mut client, true).await?;
            }
            if !exchange(&request, server, &mut client).await? {
                break;
            }
            request = message(&mut client, true).await?;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_transaction_mode_is_refused() {
    let (url, server) = (fresh().await, Cluster::shared().socket());
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
    tokio::spawn(async move {
        let backend = Arc::default();
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, Arc::clone(&backend), server.clone()));
        }
    });
    let (base, _) = url.split_once('?').unwrap();
    let pooled = format!("{base}?host={}&sslmode=disable", folder.path().display());
    let error = PostgresEngine::open(options(&pooled)).await.unwrap_err();
    assert!(error.to_string().contains("pooler in transaction mode"), "{error}");
    drop(PostgresEngine::open(options(&url)).await.unwrap());
}

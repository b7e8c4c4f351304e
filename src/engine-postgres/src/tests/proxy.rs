//! Stands between the engine and PostgreSQL and does what networks do. It knows messages (PostgreSQL's manual, "Message
//! Formats"), so that faults come at a named one and not at a moment.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, watch},
    task::AbortHandle,
};

use crate::testing::Cluster;

/// What becomes of the next COMMIT; those after it pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection is cut; the server never sees it.
    CutBefore,
    /// The server gets it, the client gets nothing and keeps a connection that says nothing.
    NoAnswer,
    /// The server does it, and the connection is cut before the client hears of it.
    CutAfter,
    /// Held back until [`Proxy::go_on`]; then the server is sent it and the connection is cut.
    HoldThenCut,
}

#[derive(Default)]
struct Rules {
    fault: Mutex<Option<Fault>>,
    go_on: Notify,
    /// How many requests each round trip of a transaction has; answers are held back until all of one were sent.
    trips: Mutex<Option<Vec<usize>>>,
    /// Transactions that went by.
    transactions: AtomicUsize,
    connections: Mutex<Vec<AbortHandle>>,
}

/// The proxy, on a socket of its own.
pub(crate) struct Proxy {
    folder: TempDir,
    rules: Arc<Rules>,
    accepting: AbortHandle,
}

impl Proxy {
    pub(crate) fn before(cluster: &Cluster) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let rules = Arc::<Rules>::default();
        let accepting = tokio::spawn(accept(listener, cluster.socket(), Arc::clone(&rules))).abort_handle();
        Self { folder, rules, accepting }
    }

    /// The URL that leads through it.
    pub(crate) fn url(&self, direct: &str) -> String {
        let (base, _) = direct.split_once('?').unwrap();
        format!("{base}?host={}&sslmode=disable", self.folder.path().display())
    }

    pub(crate) fn on_next_commit(&self, fault: Fault) {
        *self.rules.fault.lock() = Some(fault);
    }

    /// Whether the fault has happened.
    pub(crate) fn is_done(&self) -> bool {
        self.rules.fault.lock().is_none()
    }

    /// Lets a COMMIT through that is held back.
    pub(crate) fn go_on(&self) {
        self.rules.go_on.notify_one();
    }

    /// From here on each transaction must send as many requests at once as stand in `trips`.
    pub(crate) fn allow_trips(&self, trips: &[usize]) {
        *self.rules.trips.lock() = Some(trips.to_vec());
        self.rules.transactions.store(0, Ordering::SeqCst);
    }

    pub(crate) fn transactions(&self) -> usize {
        self.rules.transactions.load(Ordering::SeqCst)
    }

    /// Ends all connections that there are.
    pub(crate) fn cut_connections(&self) {
        self.rules.connections.lock().drain(..).for_each(|connection| connection.abort());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut_connections();
    }
}

async fn accept(listener: UnixListener, server: PathBuf, rules: Arc<Rules>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = UnixStream::connect(&server).await else { continue };
        let task = tokio::spawn(carry(client, server, Arc::clone(&rules)));
        rules.connections.lock().push(task.abort_handle());
    }
}

async fn carry(client: UnixStream, server: UnixStream, rules: Arc<Rules>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (sent, seen) = watch::channel(None);
    let silence = Mutex::new(None);
    tokio::select! {
        _ = requests(from_client, to_server, &rules, &sent, &silence) => {}
        _ = answers(from_server, to_client, &rules, seen, &silence) => {}
    }
}

/// A message: its kind and all its bytes.
async fn message(from: &mut OwnedReadHalf, has_kind: bool) -> std::io::Result<(u8, Vec<u8>)> {
    let mut bytes = Vec::new();
    if has_kind {
        bytes.push(from.read_u8().await?);
    }
    let kind = bytes.first().copied().unwrap_or_default();
    let length = from.read_u32().await?;
    bytes.extend(length.to_be_bytes());
    let body = bytes.len();
    bytes.resize(body + length as usize - 4, 0);
    from.read_exact(&mut bytes[body..]).await?;
    Ok((kind, bytes))
}

/// `sent`: requests since the BEGIN of the transaction that is open. `silence`: the fault for which the client hears no more.
async fn requests(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    rules: &Rules,
    sent: &watch::Sender<Option<usize>>,
    silence: &Mutex<Option<Fault>>,
) -> std::io::Result<()> {
    let (_, startup) = message(&mut client, false).await?;
    server.write_all(&startup).await?;
    loop {
        let (kind, bytes) = message(&mut client, true).await?;
        if kind == b'Q' && bytes[5..].starts_with(b"BEGIN ISO") {
            sent.send_replace(Some(0));
        }
        let fault = if bytes[5..].starts_with(b"COMMIT\0") { rules.fault.lock().take() } else { None };
        if fault == Some(Fault::CutBefore) {
            return Ok(());
        }
        if fault == Some(Fault::HoldThenCut) {
            rules.go_on.notified().await;
        }
        *silence.lock() = fault;
        server.write_all(&bytes).await?;
        match fault {
            Some(Fault::HoldThenCut) => return Ok(()),
            Some(Fault::NoAnswer | Fault::CutAfter) => std::future::pending().await,
            _ => {}
        }
        if matches!(kind, b'Q' | b'S') {
            sent.send_modify(|sent| *sent = sent.map(|sent| sent + 1));
        }
    }
}

async fn answers(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    rules: &Rules,
    mut sent: watch::Receiver<Option<usize>>,
    silence: &Mutex<Option<Fault>>,
) -> std::io::Result<()> {
    let mut answered = 0;
    loop {
        let (kind, bytes) = message(&mut server, true).await?;
        match *silence.lock() {
            // Not before the server has got COMMIT: a connection that ends may take with it what was not read yet.
            Some(Fault::CutAfter) if kind == b'C' && bytes[5..].starts_with(b"COMMIT") => return Ok(()),
            Some(_) => continue,
            None => {}
        }
        let trips = rules.trips.lock().clone();
        if let Some(trips) = trips
            && sent.borrow().is_some()
        {
            let mut end = 0;
            let ends = trips.iter().map(|trip| {
                end += trip;
                end
            });
            let needed = ends.into_iter().find(|end| answered < *end).expect("more requests than allowed");
            let ready = sent.wait_for(|sent| sent.is_none_or(|sent| sent >= needed)).await;
            ready.map_err(std::io::Error::other)?;
            if kind == b'Z' {
                answered += 1;
                if answered == end_of(&trips) {
                    answered = 0;
                    rules.transactions.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
        client.write_all(&bytes).await?;
    }
}

fn end_of(trips: &[usize]) -> usize {
    trips.iter().sum()
}

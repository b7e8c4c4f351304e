//! What an operator's commands ask of a running server: a Unix socket in the data folder, which RocksDB lets no second process
//! open. Whoever can open the socket could read the data itself, so it asks for no token.
//!
//! One request a connection, one line of JSON each way.

use std::{
    fs, io,
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::{Mutex, watch},
    task::JoinSet,
};
use wardstead_engine::EngineError;
use wardstead_engine_rocksdb::RocksEngine;
use wardstead_identity::NewRegistrationToken;
use wardstead_limits::wardstead as limits;
use wardstead_rooms::signing;
use wardstead_store::Store;

use crate::{config::Config, server};

/// Name of the socket in the data folder.
const SOCKET: &str = "control.sock";
/// Beginning of the names of checkpoints, which `verify` reads and then removes.
const CHECKPOINT: &str = "verify-";

/// What a command asks for. Paths are absolute.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// A backup into this folder.
    Backup { to: PathBuf },
    /// A checkpoint, to be verified, whose name ends like this.
    Checkpoint { name: String },
    /// A registration token.
    RegistrationToken { uses: Option<u32>, admin: bool },
    /// A new signing key.
    RotateSigningKey,
}

/// What the server did.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// A backup with this number.
    Backup { number: u32 },
    /// A checkpoint in this folder; the asker removes it.
    Checkpoint { folder: PathBuf },
    /// This token.
    RegistrationToken { token: String },
    /// This key, which signs from then on, in milliseconds since 1970.
    SigningKey { key_id: String, from_ms: u64 },
    /// Nothing, for this reason.
    Failed { why: String },
}

/// The path of the socket in `folder` by way of an open folder: a socket's own path has room for 107 bytes only.
fn address(folder: &Path, name: &str) -> io::Result<(fs::File, PathBuf)> {
    let open = fs::File::open(folder)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd())).join(name);
    Ok((open, path))
}

/// Asks the server that has `folder` open. `None`: there is none.
///
/// # Errors
/// A sentence: the server did not do it, or did not answer.
pub(crate) async fn ask(folder: &Path, request: &Request) -> Result<Option<Answer>, String> {
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", folder.join(SOCKET).display());
    let Ok((_open, path)) = address(folder, SOCKET) else { return Ok(None) };
    let mut stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(said(&error)),
    };
    let mut line = serde_json::to_vec(request).map_err(|error| said(&error))?;
    line.push(b'\n');
    stream.write_all(&line).await.map_err(|error| said(&error))?;
    let answer = read_line(&mut stream).await.map_err(|error| said(&error))?;
    match serde_json::from_slice(&answer) {
        Ok(Answer::Failed { why }) => Err(why),
        Ok(answer) => Ok(Some(answer)),
        Err(_) => Err("the server ended before it was done".to_owned()),
    }
}

async fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut limited = stream.take(limits::CONTROL_BYTES);
    loop {
        if limited.read_buf(&mut line).await? == 0 {
            return Ok(line);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            return Ok(line);
        }
    }
}

/// The server's end.
pub(crate) struct Control {
    listener: UnixListener,
    folder: PathBuf,
    service: Arc<Service>,
}

/// What the socket can do.
struct Service {
    engine: Arc<RocksEngine>,
    store: Store,
    config: Config,
    folder: PathBuf,
    /// Held by the one backup that is made at a time.
    backing: Mutex<()>,
}

impl Control {
    /// Takes the socket in `folder`, which `engine` has open: what lies there was left by a server that was killed.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub(crate) fn listen(folder: &Path, engine: Arc<RocksEngine>, store: Store, config: Config) -> io::Result<Self> {
        remove_checkpoints(folder)?;
        let new = format!("{SOCKET}.new");
        remove(&folder.join(&new))?;
        let (_open, path) = address(folder, &new)?;
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(folder.join(&new), fs::Permissions::from_mode(0o600))?;
        // Under its name only now that nobody else can open it.
        fs::rename(folder.join(new), folder.join(SOCKET))?;
        let folder = std::path::absolute(folder)?;
        let service = Service { engine, store, config, folder: folder.clone(), backing: Mutex::default() };
        Ok(Self { listener, folder, service: Arc::new(service) })
    }

    /// Answers until `stop` says so, then takes the socket away. A backup that is under way then is left unfinished.
    pub(crate) async fn serve(self, mut stop: watch::Receiver<bool>) {
        let mut asking = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    match accepted {
                        Ok((stream, _)) if asking.len() < limits::CONTROL_CONNECTIONS => {
                            asking.spawn(answer(Arc::clone(&self.service), stream));
                        }
                        Ok(_) => tracing::warn!("too many commands at once"),
                        Err(error) => tracing::warn!(%error, "a command could not connect"),
                    }
                }
                Some(_) = asking.join_next() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        if let Err(error) = remove(&self.folder.join(SOCKET)) {
            tracing::warn!(%error, "the control socket is left behind");
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Checkpoints that a killed `verify` left.
fn remove_checkpoints(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(CHECKPOINT.as_bytes()) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

async fn answer(service: Arc<Service>, mut stream: UnixStream) {
    let asked = tokio::time::timeout(Duration::from_millis(limits::CONTROL_ASK_MS), read_line(&mut stream)).await;
    let Ok(Ok(line)) = asked else { return };
    let answer = match serde_json::from_slice(&line) {
        Ok(request) => service.do_it(request).await.unwrap_or_else(|why| Answer::Failed { why }),
        Err(error) => Answer::Failed { why: format!("the server, another version, does not understand: {error}") },
    };
    let mut line = serde_json::to_vec(&answer).unwrap_or_default();
    line.push(b'\n');
    if let Err(error) = stream.write_all(&line).await {
        tracing::warn!(%error, "a command did not wait for its answer");
    }
}

impl Service {
    async fn do_it(&self, request: Request) -> Result<Answer, String> {
        match request {
            Request::Backup { to } => {
                let Ok(_backing) = self.backing.try_lock() else { return Err("a backup is being made".to_owned()) };
                tracing::info!(to = %to.display(), "a backup is asked for");
                let number = self.on_engine(move |engine| engine.back_up(&to)).await?;
                Ok(Answer::Backup { number })
            }
            Request::Checkpoint { name } => {
                if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                    return Err("a checkpoint's name has letters and digits".to_owned());
                }
                let folder = self.folder.join(format!("{CHECKPOINT}{name}"));
                let made = folder.clone();
                self.on_engine(move |engine| engine.checkpoint(&made)).await?;
                Ok(Answer::Checkpoint { folder })
            }
            Request::RegistrationToken { uses, admin } => {
                let token = NewRegistrationToken { uses, admin, expires_ms: None };
                let made = server::registration_token(&self.store, &self.config, token).await;
                Ok(Answer::RegistrationToken { token: made.map_err(|error| error.to_string())? })
            }
            Request::RotateSigningKey => {
                let made = signing::rotate(&self.store).await.map_err(|error| error.to_string())?;
                tracing::info!(key_id = made.key_id, from_ms = made.from_ms, "a new signing key");
                Ok(Answer::SigningKey { key_id: made.key_id, from_ms: made.from_ms })
            }
        }
    }

    async fn on_engine<T: Send + 'static>(
        &self,
        work: impl FnOnce(&RocksEngine) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, String> {
        let engine = Arc::clone(&self.engine);
        let done = tokio::task::spawn_blocking(move || work(&engine)).await;
        done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

//! A server process with its own data folder and port.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Http;
use crate::environment;

/// How long a start may take before it counts as failed. A recovery after a kill takes milliseconds.
const START: Duration = Duration::from_mins(1);
/// How long the answer to SIGTERM may take. The server drains for at most 8 s.
const STOP: Duration = Duration::from_secs(30);

/// What the shim shall do to the server.
#[derive(Clone, Debug)]
pub struct Shim {
    /// The library to preload.
    pub library: PathBuf,
    /// Its log.
    pub log: PathBuf,
    /// Milliseconds that each sync takes longer.
    pub sync_delay_ms: u64,
    /// Name suffix of files whose syncs are overlooked.
    pub overlook: Option<String>,
}

impl Shim {
    /// The library that the calling script compiled, writing `log`.
    ///
    /// # Errors
    /// When the script named none.
    pub fn new(log: &Path) -> Result<Self> {
        Ok(Self {
            library: environment::file("WARDSTEAD_SHIM")?,
            log: log.to_owned(),
            sync_delay_ms: 0,
            overlook: None,
        })
    }
}

/// How to start a server. The same value starts it again on the same data and port.
#[derive(Clone, Debug)]
pub struct Launch {
    binary: PathBuf,
    port: u16,
    data: PathBuf,
    output: PathBuf,
    /// Preloads the shim.
    pub shim: Option<Shim>,
    /// URL of the PostgreSQL that several nodes share; without one, the data is in the folder.
    pub database: Option<String>,
    /// Nothing travels between the nodes but what they read from the database.
    pub cut_bus: bool,
    /// Port of the listener for health and metrics, where there is one.
    observe: Option<u16>,
}

/// Name of every server that is tested.
pub const SERVER_NAME: &str = "ward.example";

impl Launch {
    /// A server below `folder`: data in `data`, what it prints in `server.log`.
    ///
    /// # Errors
    /// When no binary is named or no port is free.
    pub fn new(folder: &Path) -> Result<Self> {
        Ok(Self {
            binary: environment::file("WARDSTEAD_BIN")?,
            port: free_port()?,
            data: folder.join("data"),
            output: folder.join("server.log"),
            shim: None,
            database: None,
            cut_bus: false,
            observe: None,
        })
    }

    /// One of several nodes on the PostgreSQL at `database`. What it prints goes to `name.log` below `folder`. It tells of its
    /// health on a port of its own.
    ///
    /// # Errors
    /// When no binary is named or no port is free.
    pub fn node(folder: &Path, name: &str, database: &str) -> Result<Self> {
        Ok(Self {
            output: folder.join(format!("{name}.log")),
            database: Some(database.to_owned()),
            observe: Some(free_port()?),
            ..Self::new(folder)?
        })
    }

    /// The same program, which answers questions and commands instead of serving.
    #[must_use]
    pub fn program(&self) -> Command {
        Command::new(&self.binary)
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A client of this server.
    #[must_use]
    pub fn http(&self) -> Http {
        Http::new(&self.address())
    }

    /// A client of the listener for health and metrics.
    ///
    /// # Errors
    /// When there is none.
    pub fn observer(&self) -> Result<Http> {
        let port = self.observe.context("this server has no such listener")?;
        Ok(Http::new(&format!("http://127.0.0.1:{port}")))
    }

    /// Starts the process and does not wait for it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self) -> Result<Server> {
        let log = File::options().create(true).append(true).open(&self.output)?;
        let mut command = Command::new(&self.binary);
        command
            .args(["serve", "--dev", "--server-name", SERVER_NAME, "--listen"])
            .arg(format!("127.0.0.1:{}", self.port))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.try_clone()?);
        match &self.database {
            Some(url) => command.args(["--database", url]),
            None => command.arg("--data-dir").arg(&self.data),
        };
        if let Some(port) = self.observe {
            command.arg("--observe").arg(format!("127.0.0.1:{port}"));
        }
        if self.cut_bus {
            command.arg("--dev-cut-bus");
        }
        if let Some(shim) = &self.shim {
            command
                .env("LD_PRELOAD", &shim.library)
                .env("WARDSTEAD_SHIM_LOG", &shim.log)
                .env("WARDSTEAD_SHIM_SYNC_DELAY_MS", shim.sync_delay_ms.to_string());
            if let Some(suffix) = &shim.overlook {
                command.env("WARDSTEAD_SHIM_IGNORE", suffix);
            }
        }
        let started = Instant::now();
        let mut child = command.spawn().with_context(|| format!("cannot start {}", self.binary.display()))?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let (heard, lines) = mpsc::channel();
        std::thread::spawn(move || forward(BufReader::new(stdout), log, &heard));
        let line = format!("listening on {}", self.address());
        Ok(Server { child, lines, started, line, output: self.output.clone() })
    }

    /// Starts the server and waits until it says where it listens.
    ///
    /// # Errors
    /// When it ends, or says nothing within a minute.
    pub fn start(&self) -> Result<Server> {
        let mut server = self.spawn()?;
        server.wait_until_listening()?;
        Ok(server)
    }
}

/// Copies what the server prints to its log, and hands over each line.
fn forward(from: impl BufRead, mut log: File, heard: &mpsc::Sender<String>) {
    for line in from.lines().map_while(Result::ok) {
        if writeln!(log, "{line}").is_err() {
            return;
        }
        // Nobody listens after the start.
        let _ = heard.send(line);
    }
}

/// A running server. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    lines: mpsc::Receiver<String>,
    started: Instant,
    /// What it prints once it listens.
    line: String,
    output: PathBuf,
}

impl Server {
    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// When the process was started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Waits for the line that says where the server listens.
    ///
    /// # Errors
    /// When the process ends first, or a minute passes.
    pub fn wait_until_listening(&mut self) -> Result<()> {
        let end = Instant::now() + START;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(&self.line) => return Ok(()),
                Ok(_) => {}
                Err(_) => bail!("the server did not start; it printed:\n{}", self.tail()),
            }
        }
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// When the process had ended by itself: the test would prove nothing.
    pub fn kill(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended by itself ({status}); it printed:\n{}", self.tail());
        }
        self.child.kill()?;
        let status = self.child.wait()?;
        if status.signal() != Some(9) {
            bail!("killed, but ended with {status}; it printed:\n{}", self.tail());
        }
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When the server does not end in time or with another status than 0.
    pub fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
        let end = Instant::now() + STOP;
        let status: ExitStatus = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > end {
                bail!("still running {} s after SIGTERM; it printed:\n{}", STOP.as_secs(), self.tail());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        if !status.success() {
            bail!("ended with {status} after SIGTERM; it printed:\n{}", self.tail());
        }
        Ok(())
    }

    fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.output).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is left to do when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

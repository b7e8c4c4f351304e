//! A private PostgreSQL: Debian's programs, a folder and a Unix socket of its own, stopped with the test.

use std::fs::File;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, User};
use tempfile::TempDir;

use crate::process::{self, cpu_ns};

/// Where Debian puts the programs of each version.
const PROGRAMS: &str = "/usr/lib/postgresql";
/// The role that owns everything.
const ROLE: &str = "ward";
/// Unprivileged users that root starts it as, the first that there is.
const USERS: [&str; 2] = ["postgres", "nobody"];
/// How long a start may take before it counts as failed, recovery included.
const START: Duration = Duration::from_mins(1);
/// Small: the tests share two cores and a few GiB with it. What makes it durable is left as it is.
const SETTINGS: [&str; 7] = [
    "listen_addresses=",
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
    "shared_buffers=64MB",
    "max_connections=100",
    "max_wal_size=2GB",
];

/// A running cluster. It ends with this value, and with the thread that started it when the test is killed.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    user: Option<User>,
    place: TempDir,
    output: PathBuf,
    child: Option<Child>,
}

impl Postgres {
    /// Makes a cluster and starts it; what it prints goes to `postgres.log` below `folder`.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub fn start(folder: &Path) -> Result<Self> {
        let user = unprivileged()?;
        let place = place(user.as_ref())?;
        let output = folder.join("postgres.log");
        let mut postgres = Self { programs: programs()?, user, place, output, child: None };
        let log = postgres.log()?;
        let data = postgres.data();
        let mut command = postgres.command("initdb");
        command.args(["--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8", "--username", ROLE, "--pgdata"]);
        let made = command.arg(data).stdout(log.try_clone()?).stderr(log).status()?;
        ensure!(made.success(), "initdb failed, see {}", postgres.output.display());
        postgres.start_again()?;
        Ok(postgres)
    }

    /// Starts the server on its data; it must have been stopped.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "PostgreSQL runs already");
        let log = self.log()?;
        let (data, socket) = (self.data(), self.place.path().display().to_string());
        let mut command = self.command("postgres");
        command.arg("-D").arg(data).arg("-c").arg(format!("unix_socket_directories={socket}"));
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        self.child = Some(command.stdout(log.try_clone()?).stderr(log).spawn()?);
        let end = Instant::now() + START;
        while self.sql("postgres", "SELECT 1").is_err() {
            if let Some(status) = self.child.as_mut().context("was started")?.try_wait()? {
                bail!("PostgreSQL ended with {status}, see {}", self.output.display());
            }
            ensure!(Instant::now() < end, "PostgreSQL does not start, see {}", self.output.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Ends the server without saying good-bye to its clients, as a crash does: the next start recovers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn crash(&mut self) -> Result<()> {
        let mut child = self.child.take().context("PostgreSQL runs")?;
        signal(child.id(), Signal::SIGQUIT)?;
        child.wait()?;
        Ok(())
    }

    /// Stops every process of the server where it stands; connections stay open and nothing answers.
    ///
    /// # Errors
    /// When a process cannot be stopped.
    pub fn freeze(&self) -> Result<()> {
        // The postmaster first: from then on there are no new ones.
        signal(self.pid()?, Signal::SIGSTOP)?;
        self.each_backend(Signal::SIGSTOP)
    }

    /// Lets the processes go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> Result<()> {
        self.each_backend(Signal::SIGCONT)?;
        signal(self.pid()?, Signal::SIGCONT)
    }

    fn each_backend(&self, what: Signal) -> Result<()> {
        for backend in process::children(self.pid()?)? {
            // One that has just ended is no fault.
            let _ = signal(backend, what);
        }
        Ok(())
    }

    /// Makes the empty database `name`; its URL.
    ///
    /// # Errors
    /// When there is one already.
    pub fn database(&self, name: &str) -> Result<String> {
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(name))
    }

    /// The URL of database `name`.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("postgres:///{name}?user={ROLE}&host={}", self.place.path().display())
    }

    /// What `query` answers: a line a row, `|` between columns.
    ///
    /// # Errors
    /// When it fails.
    pub fn sql(&self, database: &str, query: &str) -> Result<String> {
        let mut command = self.command("psql");
        command.arg("--host").arg(self.place.path()).args(["--username", ROLE, "--no-psqlrc", "--quiet"]);
        command.args([
            "--no-align",
            "--tuples-only",
            "--set=ON_ERROR_STOP=1",
            "--dbname",
            database,
            "--command",
            query,
        ]);
        let output = command.output()?;
        ensure!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// A base backup, taken while the server goes on, from which another server can be started (PostgreSQL's manual, Making a
    /// Base Backup). That one prints to `log` below `folder`.
    ///
    /// # Errors
    /// When it fails.
    pub fn base_backup(&self, folder: &Path, log: &str) -> Result<Self> {
        let elsewhere = Self {
            programs: self.programs.clone(),
            user: self.user.clone(),
            place: place(self.user.as_ref())?,
            output: folder.join(log),
            child: None,
        };
        let log = elsewhere.log()?;
        let mut command = self.command("pg_basebackup");
        command.arg("--host").arg(self.place.path()).args(["--username", ROLE, "--pgdata"]).arg(elsewhere.data());
        command.args(["--format=plain", "--checkpoint=fast", "--wal-method=stream"]);
        let status = command.stdout(log.try_clone()?).stderr(log).status()?;
        ensure!(status.success(), "pg_basebackup ended with {status}, see {}", elsewhere.output.display());
        Ok(elsewhere)
    }

    /// Nanoseconds of CPU of the server and all its processes, ended ones included.
    ///
    /// # Errors
    /// When it does not run.
    pub fn cpu_ns(&self) -> Result<u64> {
        let postmaster = self.pid()?;
        let mut sum = cpu_ns(postmaster)? + process::ended_children_cpu_ns(postmaster)?;
        for backend in process::children(postmaster)? {
            // One that ends in between counts in the next sum, among the ended.
            sum += cpu_ns(backend).unwrap_or(0);
        }
        Ok(sum)
    }

    fn pid(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("PostgreSQL runs")?.id())
    }

    fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    fn log(&self) -> Result<File> {
        Ok(File::options().create(true).append(true).open(&self.output)?)
    }

    /// `program`, as the unprivileged user, and ended (quickly) when the thread that starts it ends.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        if let Some(user) = &self.user {
            command.arg(format!("--reuid={}", user.uid)).arg(format!("--regid={}", user.gid)).arg("--clear-groups");
        }
        command.args(["--pdeathsig", "QUIT", "--"]).arg(self.programs.join(program));
        // A folder that every user may be in.
        command.current_dir("/").stdin(Stdio::null());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.child.is_some() {
            // It may be stopped; then it would not hear the end.
            let _ = self.thaw();
            let _ = self.crash();
        }
    }
}

/// A folder that `user` can write.
fn place(user: Option<&User>) -> Result<TempDir> {
    // Not the folder for temporary files that the environment names: another user must reach it, and the path of a socket has
    // at most 107 bytes.
    let place = tempfile::Builder::new().prefix("wardstead-postgres-").tempdir_in("/tmp")?;
    if let Some(user) = user {
        chown(place.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    }
    Ok(place)
}

/// The programs of the newest version that is installed.
fn programs() -> Result<PathBuf> {
    let missing = || format!("no PostgreSQL in {PROGRAMS}: apt-get install postgresql");
    let mut versions = Vec::new();
    for entry in std::fs::read_dir(PROGRAMS).with_context(missing)? {
        let path = entry?.path().join("bin");
        let version: Option<u32> = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()?.parse().ok());
        versions.extend(version.filter(|_| path.join("postgres").is_file()).map(|version| (version, path)));
    }
    versions.into_iter().max().map(|(_, path)| path).with_context(missing)
}

/// PostgreSQL refuses to run as root.
fn unprivileged() -> Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in USERS {
        if let Some(user) = User::from_name(name)?.filter(|user| !user.uid.is_root() && user.gid != Gid::from_raw(0)) {
            return Ok(Some(user));
        }
    }
    bail!("none of the users {USERS:?} to run PostgreSQL as")
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    Ok(kill(Pid::from_raw(pid.try_into()?), signal)?)
}

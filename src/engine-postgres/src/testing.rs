//! A private PostgreSQL for tests: a folder and a socket of its own, as an unprivileged user, ended with the process.

#![expect(clippy::unwrap_used, reason = "a test without its database fails by panicking")]

use std::{
    fs,
    io::Write as _,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread::sleep,
    time::Duration,
};

/// Debian's place of PostgreSQL's programs.
const PROGRAMS: &str = "/usr/lib/postgresql";
/// PostgreSQL's own.
const PORT: u16 = 5432;
/// The role that owns the databases: not a superuser, as in an installation.
const ROLE: &str = "wardstead";
/// Looks at something that a server does by itself, a tenth of a second apart.
const LOOKS: usize = 600;

/// A running PostgreSQL with databases to take. Dropping it ends it and removes its folder; so does the end of the process,
/// however it comes.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    databases: AtomicU64,
    /// A shell that waits for the end of its input, which is the end of this process at the latest, and then ends the server
    /// and removes the folder.
    keeper: Child,
}

impl Cluster {
    /// Starts an empty one, with everything at its default but for the settings given (as in `postgresql.conf`). Over its
    /// socket anybody is let in, over TCP with a password.
    ///
    /// # Panics
    /// When PostgreSQL is not there or does not start.
    #[must_use]
    pub fn start(settings: &[&str]) -> Self {
        let mut cluster = Self::folder();
        let port = settings.iter().find_map(|setting| setting.strip_prefix("port = "));
        cluster.port = port.map_or(PORT, |port| port.parse().unwrap());
        let data = cluster.data();
        let initdb = [
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--username=postgres",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
            "-D",
        ];
        run(cluster.program("initdb").args(initdb).arg(&data));
        let ours = ["listen_addresses = ''", "max_connections = 300", "hot_standby = on", "max_wal_size = 128MB"];
        let settings: Vec<&str> = ours.iter().chain(settings).copied().collect();
        cluster.configure(&settings.join("\n"));
        cluster.run();
        cluster.sql(&format!("CREATE ROLE {ROLE} LOGIN; GRANT pg_monitor TO {ROLE}"));
        cluster
    }

    /// The one that all tests of a process share.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// Makes an empty database and gives its URL; its owner is not a superuser.
    #[must_use]
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::SeqCst));
        self.sql(&format!("CREATE DATABASE {name} OWNER {ROLE}"));
        self.url(&name)
    }

    /// Removes the database at `url`, whoever is still connected: a few hundred of them fill a small disk.
    pub fn remove(&self, url: &str) {
        let name = url.split(['/', '?']).nth(3).unwrap_or_default();
        self.sql(&format!("DROP DATABASE {name} WITH (FORCE)"));
    }

    /// The URL of a database on this server: a copy has those of its original.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}@/{database}?host={}&port={}", self.folder.display(), self.port)
    }

    /// The socket; it lies in a folder of its own.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Puts a file that only the server may read among its data.
    ///
    /// # Panics
    /// When that fails.
    pub fn install(&self, name: &str, contents: &str) {
        let file = self.data().join(name);
        fs::write(&file, contents).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((uid, gid)) = self.user {
            chown(&file, Some(uid), Some(gid)).unwrap();
        }
    }

    /// Copies the server while it runs, starts the copy as its synchronous standby, and waits until it is one.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn standby(&self) -> Self {
        let standby = Self::folder();
        let copy = ["-U", "postgres", "-c", "fast", "-X", "stream", "-R", "--no-sync", "-h"];
        run(standby.program("pg_basebackup").args(copy).arg(&self.folder).arg("-D").arg(standby.data()));
        standby.configure("");
        standby.run();
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("SELECT pg_reload_conf()");
        self.wait_for("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", "1");
        standby
    }

    /// Makes a standby the primary of a new timeline.
    pub fn promote(&self) {
        self.sql("ALTER SYSTEM SET synchronous_standby_names = ''");
        self.sql("SELECT pg_promote(true)");
        self.wait_for("SELECT pg_is_in_recovery()", "f");
    }

    /// Ends the server as a crash would.
    pub fn kill(&self) {
        self.signal("KILL");
        let postmaster = self.postmaster();
        wait(|| !Path::new("/proc").join(postmaster.to_string()).exists());
    }

    /// Starts it again.
    pub fn run(&self) {
        let start = ["start", "--wait", "--silent", "--timeout=60", "-D"];
        run(self.program("pg_ctl").args(start).arg(self.data()).arg("-l").arg(self.folder.join("log")));
    }

    /// Stops all its processes where they are.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets them go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Runs a statement as superuser in the database `postgres`, or the one that it starts with `\c`; the answer's text.
    ///
    /// # Panics
    /// When it fails.
    pub fn sql(&self, statement: &str) -> String {
        self.sql_in("postgres", statement)
    }

    /// As [`Self::sql`], in a database.
    ///
    /// # Panics
    /// When it fails.
    pub fn sql_in(&self, database: &str, statement: &str) -> String {
        let quiet = ["-U", "postgres", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h"];
        let mut psql = Command::new(self.programs.join("psql"));
        run(psql
            .env("PGPORT", self.port.to_string())
            .args(quiet)
            .arg(&self.folder)
            .args(["-d", database, "-c", statement]))
    }

    /// Waits until the answer to `statement` is `answer`.
    ///
    /// # Panics
    /// When it is not for a minute.
    pub fn wait_for(&self, statement: &str, answer: &str) {
        wait(|| self.sql(statement) == answer);
    }

    fn folder() -> Self {
        let user = unprivileged();
        let folder = tempfile::Builder::new().prefix("wardstead-pg-").tempdir().unwrap().keep();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        // Whoever ends this process may end its whole group: the keeper is in another, and must outlive it.
        let script = "trap '' HUP INT TERM; cat >/dev/null; pid=$(head -n 1 \"$1/data/postmaster.pid\" 2>/dev/null); \
            if [ -n \"$pid\" ]; then kill -CONT $pid; kill -QUIT $pid; while kill -0 $pid; do sleep 0.1; done; fi 2>/dev/null; \
            rm -rf \"$1\"";
        let mut keeper = Command::new("/bin/sh");
        keeper
            .args(["-c", script, "sh"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let keeper = keeper.process_group(0).spawn().unwrap();
        Self { folder, programs: programs(), user, port: PORT, databases: AtomicU64::new(0), keeper }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn configure(&self, settings: &str) {
        let socket = format!("\n{settings}\nunix_socket_directories = '{}'\n", self.folder.display());
        let mut file = fs::OpenOptions::new().append(true).open(self.data().join("postgresql.conf")).unwrap();
        file.write_all(socket.as_bytes()).unwrap();
    }

    /// One of PostgreSQL's programs, as a user that it accepts.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = match self.user {
            None => Command::new(&program),
            Some((uid, gid)) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
                command.arg("--").arg(&program);
                command
            }
        };
        command.current_dir("/");
        command
    }

    fn postmaster(&self) -> u32 {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        file.lines().next().unwrap().parse().unwrap()
    }

    /// Signals the postmaster first, so that it starts no more, then its children.
    fn signal(&self, signal: &str) {
        let postmaster = self.postmaster();
        let mut all = vec![postmaster];
        all.extend(children(postmaster));
        for process in all {
            signal_process(process, signal);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}

/// Sends `signal` ("STOP", "CONT", "KILL") to a process; one that has ended is no fault.
pub fn signal_process(process: u32, signal: &str) {
    let kill = format!("kill -{signal} {process}");
    drop(Command::new("/bin/sh").args(["-c", &kill]).stderr(Stdio::null()).status());
}

fn children(parent: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let Some(number) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that ends meanwhile has no file any more. After its name, which ends in a bracket: state and parent.
        let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        if after_name.split(' ').nth(1) == Some(&parent.to_string()) {
            children.push(number);
        }
    }
    children
}

/// The newest version that is installed.
fn programs() -> PathBuf {
    let versions = fs::read_dir(PROGRAMS).map(|found| found.flatten().map(|entry| entry.path()).collect());
    let mut versions: Vec<PathBuf> = versions.unwrap_or_default();
    versions.retain(|version| version.join("bin/initdb").exists());
    versions.sort_by_key(|version| version.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    let newest = versions.pop();
    assert!(newest.is_some(), "these tests need PostgreSQL: apt-get install postgresql (programs in {PROGRAMS})");
    newest.unwrap_or_default().join("bin")
}

/// PostgreSQL does not run as root: there its packaged user is taken, or `nobody`.
fn unprivileged() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(ids("postgres").or_else(|| ids("nobody")).unwrap())
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {err}");
    out.trim().to_owned()
}

fn wait(mut done: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if done() {
            return;
        }
        sleep(Duration::from_millis(100));
    }
    assert!(done(), "it did not happen within a minute");
}

//! Backup, restore and verify, as an operator meets them.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::{Value, json};
use wardstead_engine_postgres::testing::Cluster;

use crate::process::{LEAST, Server, run, text};

/// A folder with a configuration and, later, data.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.toml"), format!("{LEAST}[data]\ndir = \"data\"\n")).unwrap();
        Self { folder }
    }

    fn on_database(url: &str) -> Self {
        let home = Self::new();
        fs::write(home.config(), format!("{LEAST}[database]\nurl = \"{url}\"\n")).unwrap();
        home
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, command: &str, more: &[&str]) -> Output {
        run(&[&[command, "--config", self.config().to_str().unwrap()], more].concat())
    }

    fn succeed(&self, command: &str, more: &[&str]) -> String {
        let output = self.run(command, more);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The command's exit code and its last words.
    fn fail(&self, command: &str, more: &[&str]) -> (Option<i32>, String) {
        let output = self.run(command, more);
        (output.status.code(), text(&output.stderr))
    }
}

fn sign(server: &Server, path: &str, mut body: Value) -> String {
    body["auth"] = json!({"type": "m.login.dummy"});
    let (status, answer) = server.ask("POST", &format!("/_matrix/client/v3/{path}"), "", &body);
    assert_eq!(status, 200, "{answer}");
    answer["access_token"].as_str().unwrap().to_owned()
}

fn register(server: &Server, name: &str) -> String {
    sign(server, "register", json!({"username": name, "password": "correct horse"}))
}

fn login(server: &Server, name: &str) -> String {
    let user = json!({"type": "m.id.user", "user": name});
    sign(server, "login", json!({"type": "m.login.password", "identifier": user, "password": "correct horse"}))
}

/// Status, and whether a refusal is a soft logout.
fn lets_in(server: &Server, token: &str) -> (u16, bool) {
    let (status, answer) = server.ask("GET", "/_matrix/client/v3/account/whoami", token, &Value::Null);
    assert!(status == 200 || answer["errcode"] == "M_UNKNOWN_TOKEN", "{answer}");
    (status, answer["soft_logout"] == json!(true))
}

fn end(mut server: Server) {
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn after_a_restore_sessions_end_softly_unless_they_are_kept() {
    let (home, backups) = (Home::new(), tempfile::tempdir().unwrap());
    let to = backups.path().to_str().unwrap();
    let server = Server::dev(&home.data());
    let before = register(&server, "ada");
    let said = home.succeed("backup", &["--to", to]);
    assert!(said.contains("made backup 1 in ") && said.contains("newest position"), "{said}");
    let later = login(&server, "ada");
    let made_up = format!("{}{}", &before[..before.len() - 1], if before.ends_with('x') { 'y' } else { 'x' });
    assert_eq!(lets_in(&server, &before), (200, false), "a backup disturbs nobody");
    assert_eq!(lets_in(&server, &made_up), (401, false));
    end(server);

    let restored = Home::new();
    let said = restored.succeed("restore", &["--from", to]);
    assert!(said.contains("everybody signs in again") && said.contains("one-time keys"), "{said}");
    let server = Server::dev(&restored.data());
    assert_eq!(lets_in(&server, &before), (401, true));
    assert_eq!(lets_in(&server, &later), (401, true), "it is not in the backup; its client must not delete its keys");
    assert_eq!(lets_in(&server, "something"), (401, false), "no token of ours");
    let again = login(&server, "ada");
    assert_eq!(lets_in(&server, &again), (200, false));
    let (status, _) = server.ask("POST", "/_matrix/client/v3/logout", &again, &json!({}));
    assert_eq!((status, lets_in(&server, &again)), (200, (401, false)), "who logs out now is logged out");
    end(server);

    let kept = Home::new();
    let said = kept.succeed("restore", &["--from", to, "--number", "1", "--keep-sessions"]);
    assert!(said.contains("sessions of the backup go on"), "{said}");
    let server = Server::dev(&kept.data());
    assert_eq!((lets_in(&server, &before), lets_in(&server, &later)), ((200, false), (401, true)));
}

#[test]
fn backups_are_made_with_and_without_a_running_server_and_the_oldest_go() {
    let (home, backups) = (Home::new(), tempfile::tempdir().unwrap());
    let to = backups.path().join("new/folder");
    let to = to.to_str().unwrap();
    let (code, said) = home.fail("backup", &["--to", to]);
    assert!(code == Some(2) && said.contains("there is no data in"), "{said}");
    assert!(!home.data().exists(), "and none was made");

    let server = Server::dev(&home.data());
    register(&server, "ada");
    home.succeed("backup", &["--to", to]);
    end(server);
    let said = home.succeed("backup", &["--to", to, "--keep", "1"]);
    assert!(said.contains("made backup 2 in ") && said.contains("backups kept: 1; removed: 1"), "{said}");
    let said = home.succeed("verify", &["--backup", to]);
    assert!(
        said.contains("backup 2: ") && said.contains("(users): 1 rows") && said.contains("nothing is damaged"),
        "{said}"
    );
    let (code, said) = home.fail("restore", &["--from", to, "--number", "1"]);
    assert!(code == Some(2) && said.contains("no backup 1"), "{said}");
    let (code, _) = home.fail("backup", &["--to", to, "--keep", "0"]);
    assert_eq!(code, Some(2));
    let (code, said) = home.fail("backup", &["--to", home.data().join("backups").to_str().unwrap()]);
    assert!(code == Some(2) && said.contains("lost with it"), "{said}");
    let mode = fs::metadata(to).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "a backup is its owner's alone");
}

#[test]
fn only_the_servers_user_can_ask_it_and_a_killed_one_is_asked_no_more() {
    let (home, backups) = (Home::new(), tempfile::tempdir().unwrap());
    let to = backups.path().to_str().unwrap();
    let socket = home.data().join("control.sock");
    let server = Server::dev(&home.data());
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    register(&server, "ada");
    // Killed: the socket stays, and nobody answers.
    drop(server);
    assert!(socket.exists());
    let said = home.succeed("backup", &["--to", to]);
    assert!(said.contains("made backup 1"), "{said}");
    // Left by a verification that was killed, too.
    fs::create_dir(home.data().join("verify-1-2")).unwrap();
    let server = Server::dev(&home.data());
    assert!(!home.data().join("verify-1-2").exists());
    home.succeed("backup", &["--to", to]);
    end(server);
    assert!(!socket.exists());
}

#[test]
fn a_restore_goes_into_an_empty_folder_and_an_unfinished_one_is_told() {
    let (home, backups) = (Home::new(), tempfile::tempdir().unwrap());
    let to = backups.path().to_str().unwrap();
    let server = Server::dev(&home.data());
    register(&server, "ada");
    home.succeed("backup", &["--to", to]);
    end(server);
    let (code, said) = home.fail("restore", &["--from", to]);
    assert!(code == Some(2) && said.contains("an empty folder only"), "{said}");
    let (code, said) = home.fail("restore", &["--from", home.folder.path().to_str().unwrap()]);
    assert!(code == Some(2) && said.contains("no backups in it"), "{said}");

    let other = Home::new();
    fs::write(other.config(), LEAST.replace("example.org", "example.com") + "[data]\ndir = \"data\"\n").unwrap();
    let (code, said) = other.fail("restore", &["--from", to]);
    assert!(code == Some(1) && said.contains("example.org"), "the data of another server: {said}");
    // What is there now is no data folder, for nobody.
    for command in [&["serve"][..], &["verify"], &["restore", "--after-restore"]] {
        let (code, said) = other.fail(command[0], &command[1..]);
        assert!(code == Some(1) && said.contains("a restore into it did not finish"), "{command:?}: {said}");
    }
}

/// Flips a bit of the first large file below `folder` whose name ends in `ending`; gives its name and what it was.
fn flip(folder: &Path, ending: &str) -> (PathBuf, Vec<u8>) {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let path = files.into_iter().find(|path| path.to_str().unwrap().ends_with(ending)).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    bytes[whole.len() / 2] ^= 4;
    fs::write(&path, bytes).unwrap();
    (path, whole)
}

#[test]
fn verify_names_a_damaged_file_in_data_and_backup() {
    let (home, backups) = (Home::new(), tempfile::tempdir().unwrap());
    let to = backups.path().to_str().unwrap();
    let server = Server::dev(&home.data());
    register(&server, "ada");
    let said = home.succeed("verify", &[]);
    assert!(said.contains("made a checkpoint") && said.contains("(users): 1 rows"), "{said}");
    let left = |entry: &fs::DirEntry| entry.file_name().to_str().unwrap().starts_with("verify-");
    assert!(!fs::read_dir(home.data()).unwrap().any(|entry| left(&entry.unwrap())), "the checkpoint is gone");
    home.succeed("backup", &["--to", to]);
    end(server);

    let said = home.succeed("verify", &[]);
    assert!(said.contains("(access_tokens): 1 rows") && said.contains("nothing is damaged"), "{said}");
    let (path, whole) = flip(&home.data(), ".sst");
    let (code, said) = home.fail("verify", &[]);
    assert!(code == Some(1) && said.contains(path.to_str().unwrap()), "{said}");
    fs::write(path, whole).unwrap();
    home.succeed("verify", &[]);

    let (path, _) = flip(&backups.path().join("shared_checksum"), ".sst");
    let (code, said) = home.fail("verify", &["--backup", to]);
    assert!(code == Some(1) && said.contains(path.to_str().unwrap()), "{said}");
    let restored = Home::new();
    let (code, said) = restored.fail("restore", &["--from", to]);
    assert!(
        code == Some(1) && said.contains(path.to_str().unwrap()) && said.contains("nothing was restored"),
        "{said}"
    );
    assert!(!restored.data().exists());
}

#[test]
fn a_log_that_is_damaged_before_its_end_is_cut_only_when_told() {
    let home = Home::new();
    let server = Server::dev(&home.data());
    let before = register(&server, "ada");
    register(&server, "bob");
    // Killed: what was acknowledged is in the log alone.
    drop(server);
    let (path, _) = flip(&home.data(), ".log");
    let (code, said) = home.fail("serve", &[]);
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(code == Some(1) && said.contains(name) && said.contains("--cut-damaged-log"), "{said}");
    let (code, _) = home.fail("restore", &["--after-restore"]);
    assert_eq!(code, Some(1));
    let said = home.succeed("restore", &["--after-restore", "--cut-damaged-log"]);
    assert!(said.contains("cut the damaged log in"), "{said}");
    let server = Server::dev(&home.data());
    assert_eq!(lets_in(&server, &before), (401, true));
}

/// A database that was restored with PostgreSQL's own means.
#[test]
fn a_restored_database_begins_an_epoch_and_is_verified() {
    let database = Cluster::shared().database();
    let home = Home::on_database(&database);
    let start = || {
        let dev = ["--dev", "--server-name", "example.org", "--listen", "127.0.0.1:0", "--database", &database];
        Server::start(&dev, 1)
    };
    let server = start();
    let before = register(&server, "ada");
    let said = home.succeed("verify", &[]);
    let read = ["(users): 1 rows", "(journal): ", "journal from 1 to ", "nothing is damaged"];
    assert!(read.iter().all(|line| said.contains(line)), "beside a running server: {said}");
    let (code, said) = home.fail("backup", &["--to", home.data().to_str().unwrap()]);
    assert!(code == Some(2) && said.contains("pg_basebackup"), "{said}");
    end(server);

    let said = home.succeed("restore", &["--after-restore"]);
    assert!(said.contains("was restored") && said.contains("everybody signs in again"), "{said}");
    let server = start();
    assert_eq!(lets_in(&server, &before), (401, true));
    let again = login(&server, "ada");
    assert_eq!(lets_in(&server, &again), (200, false));
    home.succeed("verify", &[]);
}

//! The command line, as an operator meets it.

use std::{fs, thread, time::Duration};

use serde_json::{Value, json};

use crate::process::{Server, run, text};

fn register(server: &Server, name: &str) -> String {
    let body = json!({"username": name, "password": "correct horse", "auth": {"type": "m.login.dummy"}});
    let (status, answer) = server.ask("POST", "/_matrix/client/v3/register", "", &body);
    assert_eq!(status, 200, "{answer}");
    answer["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn serve_without_anything_says_what_to_do() {
    let output = run(&["serve"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("--config FILE") && said.contains("wardstead init") && said.contains("--dev"), "{said}");
}

#[test]
fn dev_stays_on_loopback_unless_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let dev = ["--dev", "--server-name", "example.org", "--data-dir", data.to_str().unwrap(), "--listen"];
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8008"] {
        let output = run(&[&["serve"], &dev[..], &[address, "--listen", "127.0.0.1:0"]].concat());
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output.stderr);
        assert!(said.contains(address) && said.contains("--dev-allow-any-address"), "{said}");
        assert!(!data.exists(), "refused before anything was made");
    }
    Server::start(&[&dev[..], &["0.0.0.0:0", "--dev-allow-any-address"]].concat(), 1);
}

#[test]
fn dev_takes_a_default_room_version() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let dev = ["--dev", "--server-name", "example.org", "--data-dir", data, "--listen", "127.0.0.1:0"];
    let output = run(&[&["serve"], &dev[..], &["--default-room-version", "5"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no room version that this server offers"), "{output:?}");
    let server = Server::start(&[&dev[..], &["--default-room-version", "11"]].concat(), 1);
    let token = register(&server, "anna");
    let (status, answer) = server.ask("GET", "/_matrix/client/v3/capabilities", &token, &Value::Null);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["capabilities"]["m.room_versions"]["default"], "11");
    let (_, answer) = server.ask("POST", "/_matrix/client/v3/createRoom", &token, &json!({}));
    assert!(answer["room_id"].as_str().unwrap().ends_with(":example.org"), "of version 11: {answer}");
}

#[test]
fn dev_serves_on_every_address() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let dev = ["--dev", "--server-name", "example.org", "--data-dir", data];
    let mut server = Server::start(&[&dev[..], &["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]].concat(), 2);
    register(&server, "ada");
    server.addresses.swap(0, 1);
    let (status, answer) = server.ask("GET", "/_matrix/client/versions", "", &Value::Null);
    assert_eq!(status, 200, "{answer}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::dev(folder.path());
    let taken = server.addresses[0].to_string();
    let other = tempfile::tempdir().unwrap();
    let data = other.path().join("data");
    let output =
        run(&["serve", "--dev", "--server-name", "a.org", "--listen", &taken, "--data-dir", data.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&taken), "{}", text(&output.stderr));
    assert!(!data.exists(), "the data was not touched");
}

#[test]
fn the_data_of_another_server_and_of_a_running_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let mut server = Server::dev(folder.path());
    let start = |name: &str| {
        let output = run(&["serve", "--dev", "--server-name", name, "--listen", "127.0.0.1:0", "--data-dir", data]);
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    let said = start("example.org");
    assert!(said.contains(data), "{said}");
    server.terminate();
    server.wait();
    let said = start("example.com");
    assert!(said.contains("example.org") && said.contains("example.com"), "{said}");
}

#[test]
fn a_wrong_configuration_is_refused_with_file_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    fs::write(&file, "[server]\nname = \"example.org\"\nport = 8008\n[data]\ndir = \"data\"\n").unwrap();
    let output = run(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("config.toml") && said.contains("`port`"), "{said}");
}

#[test]
fn init_makes_configuration_and_folder_once() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("a/home");
    let home = home.to_str().unwrap();
    let made = run(&["init", "--if-missing", "--server-name", "example.org", home]);
    assert!(made.status.success() && text(&made.stdout).contains(home), "{}", text(&made.stderr));
    let config = fs::read_to_string(format!("{home}/config.toml")).unwrap();
    assert!(config.contains("name = \"example.org\"") && fs::metadata(format!("{home}/data")).unwrap().is_dir());

    let again = run(&["init", "--if-missing", "--server-name", "example.com", home]);
    assert!(again.status.success() && again.stdout.is_empty() && again.stderr.is_empty(), "silent when all is there");
    assert_eq!(fs::read_to_string(format!("{home}/config.toml")).unwrap(), config);
    assert_eq!(run(&["init", "--server-name", "example.com", home]).status.code(), Some(2));

    // What it wrote is what `serve` takes; on another port, since others may have that one.
    assert!(config.contains("listen = [\"127.0.0.1:8008\"]"), "{config}");
    let config = config.replace(":8008", ":0") + "[observe]\nlisten = \"127.0.0.1:0\"\n";
    fs::write(format!("{home}/config.toml"), config).unwrap();
    let server = Server::start(&["--config", &format!("{home}/config.toml")], 1);
    assert!(server.banner.iter().any(|line| line.contains(&format!("{home}/data"))), "{:?}", server.banner);
}

#[test]
fn the_start_prints_address_folder_and_first_token() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::configured(folder.path());
    let data = folder.path().join("data");
    assert!(server.banner.iter().any(|line| line.ends_with(data.to_str().unwrap())), "{:?}", server.banner);
    let token = server.first_token().expect("a token is printed while there is no account");

    let account = |name: &str, auth: Value| json!({"username": name, "password": "correct horse", "auth": auth});
    let dummy = account("ada", json!({"type": "m.login.dummy"}));
    let (status, challenge) = server.ask("POST", "/_matrix/client/v3/register", "", &dummy);
    assert_eq!(status, 401, "without a token nobody registers: {challenge}");
    let auth = json!({"type": "m.login.registration_token", "token": token, "session": challenge["session"]});
    let (status, answer) = server.ask("POST", "/_matrix/client/v3/register", "", &account("ada", auth));
    assert_eq!((status, answer["user_id"].as_str()), (200, Some("@ada:example.org")), "{answer}");

    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    let server = Server::configured(folder.path());
    assert_eq!(server.first_token(), None, "there is an account");
}

/// Whether the server takes `token` for a registration.
fn is_valid(server: &Server, token: &str) -> bool {
    let path = format!("/_matrix/client/v1/register/m.login.registration_token/validity?token={token}");
    let (status, answer) = server.ask("GET", &path, "", &Value::Null);
    status == 404 || answer["valid"] == json!(true)
}

#[test]
fn a_registration_token_is_made_whether_the_server_runs_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::configured(folder.path());
    let file = folder.path().join("config.toml");
    let make = || {
        let made = run(&["registration-token", "--config", file.to_str().unwrap()]);
        assert!(made.status.success(), "{}", text(&made.stderr));
        text(&made.stdout).trim().to_owned()
    };
    let while_it_runs = make();
    assert!(is_valid(&server, &while_it_runs));
    server.terminate();
    server.wait();
    let after_it_ran = make();
    assert_ne!(while_it_runs, after_it_ran);
    let server = Server::configured(folder.path());
    assert!(is_valid(&server, &after_it_ran));
}

/// The key is made by the server that runs, or in its data; one that does not sign yet has no successor.
#[test]
fn a_signing_key_is_made_whether_the_server_runs_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::configured(folder.path());
    let published = |server: &Server| {
        let (status, keys) = server.ask("GET", "/_matrix/key/v2/server", "", &Value::Null);
        assert_eq!(status, 200, "{keys}");
        keys["verify_keys"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(published(&server).len(), 1);
    let file = folder.path().join("config.toml");
    let rotate = || run(&["rotate-signing-key", "--config", file.to_str().unwrap()]);
    let made = rotate();
    assert!(made.status.success(), "{}", text(&made.stderr));
    let made = text(&made.stdout).trim().to_owned();
    let keys = published(&server);
    assert!(keys.len() == 2 && keys.contains(&made), "{made}: {keys:?}");
    assert_eq!(rotate().status.code(), Some(1), "the server does not make another one at once");
    server.terminate();
    server.wait();
    let refused = rotate();
    assert_eq!(refused.status.code(), Some(1), "nor is it made without the server");
    assert!(text(&refused.stderr).contains("does not sign yet"), "{}", text(&refused.stderr));
    assert_eq!(published(&Server::configured(folder.path())).len(), 2);
}

#[test]
fn sigterm_answers_a_waiting_sync_and_exits_0() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::dev(folder.path());
    let token = register(&server, "ada");
    let mut waiting = server.connect();
    waiting.send("GET", "/_matrix/client/v3/sync", &token, &Value::Null);
    let (status, first) = waiting.answer();
    assert_eq!(status, 200, "{first}");
    let since = first["next_batch"].as_str().unwrap();
    waiting.send("GET", &format!("/_matrix/client/v3/sync?timeout=300000&since={since}"), &token, &Value::Null);
    // Long enough for the request to be read; if it were not, the test would fail, not pass by mistake.
    thread::sleep(Duration::from_secs(1));
    server.terminate();
    let (status, answer) = waiting.answer();
    assert_eq!(status, 200, "{answer}");
    assert!(answer["next_batch"].is_string(), "{answer}");
    assert_eq!(server.wait().code(), Some(0));
}

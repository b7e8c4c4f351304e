//! Health and metrics, as those who run the server meet them.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    database::wait_for_nodes,
    process::{Server, run, text},
};

fn ready(server: &Server) -> (u16, Value) {
    let (status, body) = server.observe("/health/ready");
    (status, serde_json::from_str(&body).unwrap())
}

#[test]
fn a_server_is_observed_on_an_address_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::configured(folder.path());
    let observed = server.observed().expect("in production it is on");
    assert!(observed.ip().is_loopback() && observed != server.addresses[0]);
    assert_eq!(server.observe("/health/live").0, 200);
    let (status, readiness) = ready(&server);
    assert_eq!((status, &readiness["ready"]), (200, &json!(true)), "{readiness}");
    let names: Vec<&str> =
        readiness["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["engine", "durable", "commits", "tail", "serving"]);
    // Clients find none of it.
    for path in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(server.ask("GET", path, "", &Value::Null).0, 404);
    }

    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Server::dev(folder.path()).observed(), None, "for development only where it is asked for");
}

#[test]
fn a_configuration_can_leave_it_out() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let text = "[server]\nname = \"example.org\"\nlisten = [\"127.0.0.1:0\"]\n[data]\ndir = \"data\"\n";
    std::fs::write(&config, format!("{text}[observe]\nenabled = false\n")).unwrap();
    assert_eq!(Server::start(&["--config", config.to_str().unwrap()], 1).observed(), None);
}

/// The health check of a container: an exit code, without shell and curl.
#[test]
fn health_is_asked_by_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::configured(folder.path());
    // The port that it got is in no configuration: a second one names it.
    let beside = folder.path().join("beside.toml");
    let observed = server.observed().unwrap();
    let text_of =
        |observe: &str| format!("[server]\nname = \"example.org\"\n[data]\ndir = \"data\"\n[observe]\n{observe}\n");
    std::fs::write(&beside, text_of(&format!("listen = \"{observed}\""))).unwrap();
    let ask = || run(&["health", "--config", beside.to_str().unwrap()]);
    let ready = ask();
    assert_eq!((ready.status.code(), text(&ready.stdout).as_str()), (Some(0), "ready\n"));
    drop(server);
    let gone = ask();
    assert_eq!(gone.status.code(), Some(1));
    assert!(text(&gone.stderr).contains(&observed.to_string()), "{gone:?}");
    std::fs::write(&beside, text_of("enabled = false")).unwrap();
    assert_eq!(ask().status.code(), Some(2));
}

#[test]
fn metrics_tell_what_an_operator_needs() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::configured(folder.path());
    server.ask("GET", "/_matrix/client/versions", "", &Value::Null);
    wait_for_nodes(&server, "1");
    let (status, metrics) = server.observe("/metrics");
    assert_eq!(status, 200);
    for line in [
        "wardstead_request_duration_seconds_bucket{le=\"0.001\",method=\"GET\",route=\"/_matrix/client/versions\",status=\"2xx\"}",
        "wardstead_requests_in_flight 0",
        "wardstead_syncs_waiting 0",
        "wardstead_commit_duration_seconds_count",
        "wardstead_commit_group_batches_sum",
        "wardstead_commit_queue_batches 0",
        "wardstead_commit_queue_limit_batches 4096",
        "wardstead_commit_unknown_total 0",
        "wardstead_commit_refused_batches_total 0",
        "wardstead_commit_stalled 0",
        "wardstead_wake_ups_total",
        "wardstead_tail_behind_positions 0",
        "wardstead_tail_behind_seconds 0.0",
        "wardstead_ready 1",
        "wardstead_check{check=\"engine\"} 1",
        "wardstead_nodes 1",
        "wardstead_build_info{version=",
        "wardstead_durability_info{reaches=\"disk\"} 1",
        "wardstead_rocksdb_wal_bytes",
        "process_resident_memory_bytes",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|found| found.starts_with(line)), "{line} is not in:\n{metrics}");
    }
    let bounds =
        ["rocksdb_blocks", "rocksdb_memtables", "events", "event_ids", "rooms", "room_ids", "snapshots", "audience"];
    for cache in bounds.into_iter().chain(["change_window", "joined_rooms", "typing", "presence"]) {
        let figure = |name: &str| -> f64 {
            let start = format!("{name}{{cache=\"{cache}\"}} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
            line.unwrap_or_else(|| panic!("{start} is not in:\n{metrics}")).parse().unwrap()
        };
        assert!(figure("wardstead_cache_bytes") <= figure("wardstead_cache_limit_bytes"), "{cache}");
        assert!(figure("wardstead_cache_limit_bytes") > 0.0, "{cache}");
    }
}

/// A request that is not finished holds the end up, so that there is time to look.
#[test]
fn a_server_that_ends_is_not_ready_before_it_closes() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::configured(folder.path());
    let mut unfinished = server.connect();
    unfinished.begin("PUT", "/_matrix/client/v3/profile/@a:example.org/displayname", 10);
    server.terminate();
    let readiness = loop {
        let (status, readiness) = ready(&server);
        if status != 200 {
            break readiness;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let serving = readiness["checks"].as_array().unwrap().iter().find(|check| check["name"] == "serving").unwrap();
    assert_eq!((&readiness["ready"], &serving["ok"]), (&json!(false), &json!(false)), "{readiness}");
    assert_eq!(server.observe("/health/live").0, 200, "alive to the end");
    drop(unfinished);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn an_address_that_others_reach_is_refused_in_development() {
    let folder = tempfile::tempdir().unwrap();
    let dev = ["serve", "--dev", "--server-name", "example.org", "--listen", "127.0.0.1:0", "--data-dir"];
    let data = folder.path().join("data");
    let output = run(&[&dev[..], &[data.to_str().unwrap(), "--observe", "0.0.0.0:0"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("0.0.0.0:0") && !data.exists(), "{}", text(&output.stderr));
}

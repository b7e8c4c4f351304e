//! What a configuration file can and cannot say.

use std::path::Path;

use super::{Config, LogFormat, RegistrationMode, example};

const LEAST: &str = "[server]\nname = \"example.org\"\n[data]\ndir = \"data\"\n";

fn load(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wardstead.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(&path).map_err(|error| error.to_string())
}

#[test]
fn the_least_configuration_has_name_and_folder() {
    let config = load(LEAST).unwrap();
    assert_eq!(config.server.name, "example.org");
    assert_eq!(config.server.listen, ["127.0.0.1:8008".parse().unwrap()]);
    assert_eq!(config.registration.mode, RegistrationMode::Token);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.data.block_cache_bytes, wardstead_limits::engine::BLOCK_CACHE_BYTES);
    assert!(config.data.dir.is_absolute() && config.data.dir.ends_with("data"), "relative to the file's folder");
}

#[test]
fn an_unknown_key_is_refused_with_its_name_and_file() {
    for (text, key) in [
        (format!("{LEAST}cache = 1\n"), "cache"),
        (format!("listen = []\n{LEAST}"), "listen"),
        (format!("{LEAST}[federation]\non = true\n"), "federation"),
    ] {
        let error = load(&text).unwrap_err();
        assert!(error.contains(&format!("`{key}`")), "{error}");
        assert!(error.contains("wardstead.toml"), "{error}");
    }
}

#[test]
fn a_missing_file_and_a_missing_name_are_said() {
    let error = Config::load(Path::new("/nonexistent/w.toml")).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/w.toml"), "{error}");
    let error = load("[data]\ndir = \"data\"\n").unwrap_err();
    assert!(error.contains("server.name"), "{error}");
}

#[test]
fn wrong_values_are_refused_with_their_key() {
    for (text, key) in [
        (LEAST.replace("example.org", "example org"), "name"),
        (LEAST.replace("[data]", "listen = []\n[data]"), "server.listen"),
        (LEAST.replace("[data]", "listen = [\"localhost\"]\n[data]"), "listen"),
        (LEAST.replace("[data]", "base_url = \"matrix.example.org\"\n[data]"), "server.base_url"),
        (format!("{LEAST}block_cache_bytes = 1\n"), "data.block_cache_bytes"),
    ] {
        let error = load(&text).unwrap_err();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn open_registration_cannot_be_configured() {
    let error = load(&format!("{LEAST}[registration]\nmode = \"open\"\n")).unwrap_err();
    assert!(error.contains("open") && error.contains("token"), "{error}");
}

#[test]
fn the_example_is_a_configuration_once_name_and_folder_are_filled_in() {
    let text = example().replace("#name =", "name = \"example.org\"").replace("#dir =", "dir = \"data\"");
    let config = load(&text).unwrap();
    assert_eq!(config.server.name, "example.org");
    let all_set: String = text.lines().map(|line| uncomment(line) + "\n").collect();
    let config = load(&all_set).unwrap();
    assert_eq!(config.log.filter, "info,ruma_state_res=warn");
}

/// `#key = value` as a setting; comments stay comments.
fn uncomment(line: &str) -> String {
    match line.strip_prefix('#') {
        Some(rest) if rest.contains(" = ") && !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    }
}

//! What a configuration file can and cannot say.

use std::path::Path;

use wardstead_api::{Group, GroupRates, RateLimits};
use wardstead_identity::FailedLogins;

use super::{
    Config, DefaultVersion, Dev, Durability, Environment, LogFormat, People, Place, RegistrationMode, Secret, example,
};

pub(crate) const LEAST: &str = "[server]\nname = \"example.org\"\n[data]\ndir = \"data\"\n";

fn load(text: &str) -> Result<Config, String> {
    load_with(text, Environment::default())
}

fn load_with(text: &str, environment: Environment) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wardstead.toml");
    std::fs::write(&path, text).unwrap();
    Config::load_with(&path, environment).map_err(|error| error.to_string())
}

#[test]
fn the_least_configuration_has_name_and_folder() {
    let config = load(LEAST).unwrap();
    assert_eq!(config.server.name, "example.org");
    assert_eq!(config.server.listen, ["127.0.0.1:8008".parse().unwrap()]);
    assert_eq!(config.registration.mode, RegistrationMode::Token);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.data.block_cache_bytes, wardstead_limits::engine::BLOCK_CACHE_BYTES);
    let Place::Folder(folder) = config.place() else { panic!("{}", config.place()) };
    assert!(folder.is_absolute() && folder.ends_with("data"), "relative to the file's folder");
    assert!(config.observe.enabled && config.observe.listen.ip().is_loopback());
    assert!(!config.presence.enabled);
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
        (LEAST.replace("[data]", "trusted_proxies = [\"10.1.2.3/16\"]\n[data]"), "10.1.0.0/16"),
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
    // A folder or a database, not both.
    let one = all_set.replace("#url =", "# url =").replace("#password_file =", "# ").replace("#ca_file =", "# ");
    let config = load(&one).unwrap();
    assert_eq!(config.log.filter, "info,ruma_state_res=warn");
}

/// `#key = value` as a setting; comments stay comments.
fn uncomment(line: &str) -> String {
    match line.strip_prefix('#') {
        Some(rest) if rest.contains(" = ") && !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    }
}

#[test]
fn the_default_room_version_is_one_on_offer() {
    assert_eq!(load(LEAST).unwrap().rooms.default_version.to_string(), "12");
    let config = load(&format!("{LEAST}[rooms]\ndefault_version = \"11\"\n")).unwrap();
    assert_eq!(*config.rooms.default_version.id(), ruma::RoomVersionId::V11);
    for version in ["5", "13", "org.example.v1"] {
        let error = load(&format!("{LEAST}[rooms]\ndefault_version = \"{version}\"\n")).unwrap_err();
        assert!(error.contains(version) && error.contains("6, 7, 8"), "{error}");
    }
}

const DATABASE: &str =
    "[server]\nname = \"example.org\"\n[database]\nurl = \"postgres://ada@db/ward?sslmode=require\"\n";

fn environment(url: Option<&str>, password: Option<&str>) -> Environment {
    let secret = |text: &str| Secret::new(text.to_owned());
    Environment { url: url.map(secret), password: password.map(secret) }
}

fn url(config: &Config) -> &str {
    config.database.url.as_ref().unwrap().address()
}

fn password(config: &Config) -> Option<&str> {
    config.database.url.as_ref().unwrap().password()
}

#[test]
fn exactly_one_of_folder_and_database_holds_the_data() {
    let config = load(DATABASE).unwrap();
    assert_eq!(config.place().to_string(), "postgres://ada@db/ward?sslmode=require");
    assert_eq!(config.cluster.durability, Durability::Standby, "unless it is written out");
    let config = load(&format!("{DATABASE}[cluster]\ndurability = \"primary\"\n")).unwrap();
    assert_eq!(config.cluster.durability, Durability::Primary);

    let both = load(&format!("{LEAST}[database]\nurl = \"postgres://db/ward\"\n")).unwrap_err();
    assert!(both.contains("not in both") && both.contains("database.url"), "{both}");
    let both = load_with(LEAST, environment(Some("postgres://db/ward"), None)).unwrap_err();
    assert!(both.contains("not in both") && both.contains("WARDSTEAD_DATABASE_URL"), "{both}");
    let none = load("[server]\nname = \"example.org\"\n").unwrap_err();
    assert!(none.contains("data.dir") && none.contains("database.url"), "{none}");
}

#[test]
fn the_environment_names_database_and_password() {
    let bare = "[server]\nname = \"example.org\"\n";
    let config = load_with(bare, environment(Some("postgresql://ada:p%40ss@db/ward"), None)).unwrap();
    assert_eq!((url(&config), password(&config)), ("postgres://ada@db/ward", Some("p@ss")));
    let config = load_with(bare, environment(Some("postgres://db/ward?password=a&host=/run"), Some("b"))).unwrap();
    assert_eq!((url(&config), password(&config)), ("postgres://db/ward?host=/run", Some("b")));
    // What the file says counts more.
    let config = load_with(DATABASE, environment(Some("postgres://other/ward"), Some("b"))).unwrap();
    assert_eq!((url(&config), password(&config)), ("postgres://ada@db/ward?sslmode=require", Some("b")));
}

#[test]
fn the_password_may_stand_in_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "correct horse\n").unwrap();
    let path = folder.path().join("wardstead.toml");
    std::fs::write(&path, format!("{DATABASE}password_file = \"secret\"\n")).unwrap();
    let config = Config::load_with(&path, environment(None, Some("of the environment"))).unwrap();
    assert_eq!(password(&config), Some("correct horse"));
    let error = load(&format!("{DATABASE}password_file = \"missing\"\n")).unwrap_err();
    assert!(error.contains("database.password_file") && error.contains("missing"), "{error}");
}

#[test]
fn a_password_is_never_shown() {
    let text = DATABASE.replace("ada@", "ada:tr0ub4dor@");
    for wrong in [text.clone(), text.replace("ada:tr0ub4dor@db/ward?", "db/ward?password=tr0ub4dor&")] {
        let error = load(&wrong).unwrap_err();
        assert!(error.contains("password_file") && !error.contains("tr0ub4dor"), "{error}");
    }
    for wrong in [text.replace("postgres:", "mysql:"), text.replace("require\"", "require")] {
        let error = load(&wrong).unwrap_err();
        assert!(!error.contains("tr0ub4dor"), "{error}");
    }
    let environment = environment(Some("postgres://ada:tr0ub4dor@db/ward"), Some("c0rrect"));
    let shown = format!("{environment:?}");
    let config = load_with("[server]\nname = \"example.org\"\n", environment).unwrap();
    let shown = format!("{shown} {config:?} {} {:?}", config.place(), config.place());
    assert!(!shown.contains("tr0ub4dor") && !shown.contains("c0rrect") && shown.contains("postgres://ada@db/ward"));
    for wrong in ["mysql://ada:tr0ub4dor@db/ward", "postgres://ada:tr0ub4dor%4@db/ward"] {
        let environment = Environment { url: Some(Secret::new(wrong.to_owned())), password: None };
        let error = load_with("[server]\nname = \"example.org\"\n", environment).unwrap_err();
        assert!(error.contains("WARDSTEAD_DATABASE_URL") && !error.contains("tr0ub4dor"), "{error}");
    }
}

#[test]
fn dev_takes_a_folder_or_a_database() {
    let dev = Dev {
        name: "example.org".try_into().unwrap(),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        data_dir: None,
        database: Some("postgres://db/ward".parse().unwrap()),
        durability: Durability::Primary,
        observe: None,
        default_room_version: DefaultVersion::default(),
        people: People::default(),
        registration_secret: None,
    };
    let config = Config::dev(dev.clone(), Environment::default()).unwrap();
    assert!(matches!(config.place(), Place::Database(_)) && !config.observe.enabled && config.presence.enabled);
    let both = Config::dev(Dev { data_dir: Some("data".into()), ..dev.clone() }, Environment::default()).unwrap_err();
    assert!(both.contains("--database"), "{both}");
    let none = Config::dev(Dev { database: None, ..dev }, Environment::default()).unwrap_err();
    assert!(none.contains("--data-dir"), "{none}");
}

#[test]
fn the_limits_are_those_of_a_hospital_unless_set() {
    let limits = load(LEAST).unwrap().limits;
    assert_eq!(limits.requests(), RateLimits::production());
    assert_eq!(limits.failed_login.limits(), FailedLogins::production());
    let text = format!(
        "{LEAST}[limits.send]\naccount = \"90/min, burst 7\"\naddress = \"50/s, burst 500\"\n\
         [limits.refresh]\ndevice = \"off\"\n[limits.search]\naccount = \"off\"\n[limits.invite]\naccount = 0\n[limits.failed_login]\naddress = \"off\"\n"
    );
    let limits = load(&text).unwrap().limits;
    let send = GroupRates { account: "90/min, burst 7".parse().ok(), address: "50/s, burst 500".parse().ok() };
    let expected = RateLimits::production()
        .with(Group::Send, send)
        .with(Group::Search, GroupRates::default())
        .with(Group::Refresh, GroupRates::default())
        .with(Group::Invite, GroupRates::default());
    assert_eq!(limits.requests(), expected);
    assert_eq!(limits.failed_login.limits(), FailedLogins { address: None, ..FailedLogins::production() });
}

#[test]
fn rates_that_cannot_be_are_refused() {
    for (text, says) in [
        ("[limits.send]\naccount = 10\n", "10"),
        ("[limits.send]\naccount = \"10\"\n", "\"10/s, burst 100\""),
        ("[limits.send]\nroom = \"off\"\n", "`room`"),
        ("[limits.sync]\naccount = \"off\"\n", "`sync`"),
        ("[limits.failed_login]\naccount = \"1/min, burst 61\"\n", "limits.failed_login.account"),
    ] {
        let error = load(&format!("{LEAST}{text}")).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn support_is_checked() {
    let contact = "{ role = \"m.role.admin\", email_address = \"it@example.org\", matrix_id = \"@it:example.com\" }";
    let text = format!(
        "{LEAST}[well_known]\nserver = \"matrix.example.org:443\"\nsupport_page = \"https://example.org/help\"\n\
         support_contacts = [{contact}]\n"
    );
    let config = load(&text).unwrap().well_known;
    assert_eq!(config.server.as_ref().unwrap(), "matrix.example.org:443");
    assert_eq!(config.support().contacts[0].matrix_id.as_ref().unwrap(), "@it:example.com");
    for (text, says) in [
        ("server = \"https://matrix.example.org\"\n", "server"),
        ("support_page = \"example.org/help\"\n", "well_known.support_page"),
        ("support_contacts = [{ role = \"m.role.admin\" }]\n", "well_known.support_contacts"),
        ("support_contacts = [{ email_address = \"it@example.org\" }]\n", "role"),
        ("support_contacts = [{ role = \"m.role.admin\", telephone = \"1\" }]\n", "telephone"),
    ] {
        let error = load(&format!("{LEAST}[well_known]\n{text}")).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn documents_secret_and_guests_of_registration() {
    let with = |more: &str| format!("{LEAST}[registration]\n{more}\n");
    let document = r#"terms = [{ id = "privacy_notice", version = "2", languages = { en = { name = "Notice", url = "https://example.org/n" } } }]"#;
    let config = load(&with(&format!("guests = true\nshared_secret = \"0123456789abcdef\"\n{document}"))).unwrap();
    let identity = config.registration.complete(wardstead_identity::IdentityConfig::default());
    assert_eq!((identity.guests, identity.shared_secret.is_some()), (true, true));
    assert_eq!((identity.terms[0].id.as_str(), identity.terms[0].version.as_str()), ("privacy_notice", "2"));
    assert_eq!(identity.terms[0].languages["en"].url, "https://example.org/n");
    assert!(!format!("{config:?}").contains("0123456789abcdef"), "a secret is never shown");
    for (bad, key) in [
        ("shared_secret = \"0123456789abcde\"", "registration.shared_secret"),
        (&*document.replace("https", "http"), "registration.terms"),
        (
            &*document.replace("{ en = { name = \"Notice\", url = \"https://example.org/n\" } }", "{}"),
            "registration.terms",
        ),
    ] {
        let refused = load(&with(bad)).unwrap_err();
        assert!(refused.contains(key), "{refused}");
    }
}

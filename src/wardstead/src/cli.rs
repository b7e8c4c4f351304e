//! The command line.

mod serve;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use ruma::OwnedServerName;
use wardstead_identity::NewRegistrationToken;
use wardstead_limits::api as limits;

use crate::{
    ask_health, backup,
    config::{self, Config, Secret},
    init, restore, server, verify,
};
use serve::Serve;

/// A Matrix homeserver for clinical teams.
#[derive(Debug, Parser)]
#[command(name = "wardstead", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve(Serve),
    /// Make configuration and data folder of a new server.
    Init {
        /// Name of the server: what stands behind the colon of its user ids. It cannot be changed later.
        #[arg(long, value_name = "NAME")]
        server_name: OwnedServerName,
        /// Address to serve on.
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8008")]
        listen: SocketAddr,
        /// Keep the data in this PostgreSQL database, without a password here; otherwise it is in a folder beside the
        /// configuration.
        #[arg(long, value_name = "URL")]
        database: Option<Secret>,
        /// Do nothing, silently, where there is a configuration already.
        #[arg(long)]
        if_missing: bool,
        /// The folder to make.
        folder: PathBuf,
    },
    /// Make a registration token for one more account and print it. The server may be running.
    RegistrationToken {
        /// Read the configuration from FILE.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// How many accounts it makes.
        #[arg(long, value_name = "NUMBER", default_value_t = 1)]
        uses: u32,
        /// Whether those accounts administer the server.
        #[arg(long)]
        admin: bool,
    },
    /// Make a new key that signs events, print its id, and let it take the place of the old one a minute later. The old one stays
    /// published. The server may be running.
    RotateSigningKey {
        /// Read the configuration from FILE.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Add a backup of the data to a folder of backups, read it back, and remove the oldest. The server may be running. Data
    /// in PostgreSQL is backed up with its own means.
    Backup(backup::Arguments),
    /// Restore the data from a backup. Everybody signs in again.
    Restore(restore::Arguments),
    /// Read all data, or backups, and name what is damaged: exit code 1. The server may be running.
    Verify(verify::Arguments),
    /// Ask a running server whether it is ready: exit code 0 if it is, 1 with the reasons if not. For the health check of a container.
    Health(ask_health::Arguments),
    /// Print a configuration file with every option, its meaning and its default.
    ExampleConfig,
}

/// How a command ended that did not end well.
pub(crate) enum Failure {
    /// What was asked for cannot be done as asked: exit code 2, as for an unknown option.
    Asked(String),
    /// It went wrong: exit code 1.
    Went(String),
}

/// Runs the command that `arguments` (with the program's name first) ask for.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let done = match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Init { server_name, listen, database, if_missing, folder } => {
            let database = database.map(|url| serve::argument(&url)).transpose();
            database
                .map_err(Failure::Asked)
                .and_then(|database| make(&folder, &init::New { server_name, listen, database }, if_missing))
        }
        Command::RegistrationToken { config, uses, admin } => registration_token(&config, uses, admin),
        Command::RotateSigningKey { config } => rotate_signing_key(&config),
        Command::Backup(arguments) => on_a_runtime(backup::run(arguments)).flatten(),
        Command::Restore(arguments) => on_a_runtime(restore::run(arguments)).flatten(),
        Command::Verify(arguments) => on_a_runtime(verify::run(arguments)).flatten(),
        Command::Health(arguments) => on_a_runtime(ask_health::run(arguments)).flatten(),
        Command::ExampleConfig => {
            say(&config::example());
            Ok(())
        }
    };
    let (sentence, code) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Asked(sentence)) => (sentence, 2),
        Err(Failure::Went(sentence)) => (sentence, 1),
    };
    complain(&sentence);
    ExitCode::from(code)
}

fn make(folder: &Path, new: &init::New, if_missing: bool) -> Result<(), Failure> {
    match init::init(folder, new) {
        Ok(Some(config)) => {
            let data = if new.database.is_some() { "" } else { " and the data folder beside it" };
            say(&format!("made {}{data}, for the server {}\n", config.display(), new.server_name));
            Ok(())
        }
        Ok(None) if if_missing => Ok(()),
        Ok(None) => Err(Failure::Asked(format!("{} has a {} already", folder.display(), init::CONFIG_FILE))),
        Err((path, error)) => Err(Failure::Went(format!("{}: {error}", path.display()))),
    }
}

fn registration_token(config: &Path, uses: u32, admin: bool) -> Result<(), Failure> {
    let config = Config::load(config).map_err(|error| Failure::Asked(error.to_string()))?;
    let token = NewRegistrationToken { uses: Some(uses), admin, expires_ms: None };
    let made = on_a_runtime(server::make_registration_token(&config, token))?;
    let made = made.map_err(|error| Failure::Went(config::reasons(&error)))?;
    say(&format!("{made}\n"));
    Ok(())
}

fn rotate_signing_key(config: &Path) -> Result<(), Failure> {
    let config = Config::load(config).map_err(|error| Failure::Asked(error.to_string()))?;
    let rotated = on_a_runtime(server::rotate_signing_key(&config))?;
    let rotated = rotated.map_err(|error| Failure::Went(config::reasons(&error)))?;
    say(&format!("{}\n", rotated.key_id));
    Ok(())
}

fn on_a_runtime<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Went(error.to_string()))?;
    let done = runtime.block_on(work);
    // A password hash that nobody waits for any more need not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(limits::RUNTIME_END_MS));
    Ok(done)
}

/// To standard output. Nobody reading it (any more) is no reason to end a server.
pub(crate) fn say(text: &str) {
    drop(io::stdout().lock().write_all(text.as_bytes()));
}

/// To standard error: the last word of a command that failed. Logs may not have been set up.
pub(crate) fn complain(sentence: &str) {
    drop(writeln!(io::stderr().lock(), "wardstead: {sentence}"));
}

//! The command line.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use ruma::OwnedServerName;
use wardstead_identity::NewRegistrationToken;
use wardstead_limits::api as limits;

use crate::{
    Policy, banner,
    config::{self, Config},
    init, logging,
    server::{self, Server},
    signals,
};

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
        /// Do nothing, silently, where there is a configuration already.
        #[arg(long)]
        if_missing: bool,
        /// The folder to make.
        folder: PathBuf,
    },
    /// Make a registration token for one more account and print it. The server must not be running.
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
    /// Print a configuration file with every option, its meaning and its default.
    ExampleConfig,
}

#[derive(Debug, Args)]
struct Serve {
    /// Read the configuration from FILE.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run without a file, for development and tests: open registration, no rate limits, cheap password hash, human logs,
    /// presence and room publishing on, outgoing requests to private and loopback addresses allowed.
    #[arg(long, conflicts_with = "config", requires_all = ["server_name", "listen", "data_dir"])]
    dev: bool,
    /// With --dev: the server's name.
    #[arg(long, value_name = "NAME", requires = "dev")]
    server_name: Option<OwnedServerName>,
    /// With --dev: an address to serve on; may be given several times.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "dev")]
    listen: Vec<SocketAddr>,
    /// With --dev: the folder of the data.
    #[arg(long, value_name = "DIR", requires = "dev")]
    data_dir: Option<PathBuf>,
    /// With --dev: also serve on addresses that other machines can reach.
    #[arg(long, requires = "dev")]
    dev_allow_any_address: bool,
}

/// How a command ended that did not end well.
enum Failure {
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
        Command::Init { server_name, listen, if_missing, folder } => make(&folder, &server_name, listen, if_missing),
        Command::RegistrationToken { config, uses, admin } => registration_token(&config, uses, admin),
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

fn make(folder: &Path, server_name: &OwnedServerName, listen: SocketAddr, if_missing: bool) -> Result<(), Failure> {
    match init::init(folder, server_name, listen) {
        Ok(Some(config)) => {
            say(&format!("made {} and the data folder beside it, for the server {server_name}\n", config.display()));
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

fn on_a_runtime<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Went(error.to_string()))?;
    let done = runtime.block_on(work);
    // A password hash that nobody waits for any more need not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(limits::RUNTIME_END_MS));
    Ok(done)
}

impl Serve {
    fn run(self) -> Result<(), Failure> {
        let (config, policy) = self.configuration().map_err(Failure::Asked)?;
        logging::start(&config.log).map_err(Failure::Asked)?;
        on_a_runtime(serve(&config, policy))?
    }

    fn configuration(self) -> Result<(Config, Policy), String> {
        match self {
            Self { config: Some(path), .. } => {
                let config = Config::load(&path).map_err(|error| error.to_string())?;
                let policy = Policy::production(config.registration.mode);
                Ok((config, policy))
            }
            Self {
                dev: true, server_name: Some(name), listen, data_dir: Some(folder), dev_allow_any_address, ..
            } => {
                if let Some(address) = listen.iter().find(|address| !address.ip().is_loopback())
                    && !dev_allow_any_address
                {
                    return Err(format!(
                        "--dev lets everybody in, so it does not listen on {address}, which other machines can reach. \
                         Listen on 127.0.0.1 or [::1], or say --dev-allow-any-address"
                    ));
                }
                Ok((Config::dev(name, listen, folder), Policy::dev()))
            }
            _ => Err("what to serve? Give --config FILE; `wardstead init --server-name NAME FOLDER` makes one. For \
                      development: --dev --server-name NAME --listen ADDRESS:PORT --data-dir DIR"
                .to_owned()),
        }
    }
}

async fn serve(config: &Config, policy: Policy) -> Result<(), Failure> {
    let went = |error: &dyn std::error::Error| Failure::Went(config::reasons(error));
    let asked = signals::end_asked_for().map_err(|error| went(&error))?;
    let server = Server::open(config, policy).await.map_err(|error| went(&error))?;
    say(&banner::text(config, &server));
    let end = async {
        let signal = asked.await;
        tracing::info!(signal, "ending: no new connections, finishing what is under way");
    };
    server.run(end).await.map_err(|error| went(&error))?;
    tracing::info!("ended");
    Ok(())
}

/// To standard output. Nobody reading it (any more) is no reason to end a server.
fn say(text: &str) {
    drop(io::stdout().lock().write_all(text.as_bytes()));
}

/// To standard error: the last word of a command that failed. Logs may not have been set up.
fn complain(sentence: &str) {
    drop(writeln!(io::stderr().lock(), "wardstead: {sentence}"));
}

//! `wardstead serve`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use ruma::OwnedServerName;

use super::{Failure, on_a_runtime, say};
use crate::{
    Policy, banner,
    config::{self, Config, DatabaseUrl, DefaultVersion, Dev, Durability, Environment, People, Secret},
    logging,
    server::Server,
    signals,
};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Read the configuration from FILE.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run without a file, for development and tests: open registration, no rate limits, cheap password hash, human logs,
    /// presence and room publishing on, outgoing requests to private and loopback addresses allowed.
    #[arg(long, conflicts_with = "config", requires_all = ["server_name", "listen"])]
    dev: bool,
    /// With --dev: the server's name.
    #[arg(long, value_name = "NAME", requires = "dev")]
    server_name: Option<OwnedServerName>,
    /// With --dev: an address to serve on; may be given several times.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "dev")]
    listen: Vec<SocketAddr>,
    /// With --dev: the folder of the data. Either this or a database.
    #[arg(long, value_name = "DIR", requires = "dev")]
    data_dir: Option<PathBuf>,
    /// With --dev: the PostgreSQL database of the data, such as `postgres://user@host/name`. The password is taken from the
    /// environment, `WARDSTEAD_DATABASE_PASSWORD`.
    #[arg(long, value_name = "URL", requires = "dev")]
    database: Option<Secret>,
    /// With --dev and a database: when a commit counts as durable.
    #[arg(long, value_name = "WHERE", requires = "dev", default_value = "primary")]
    durability: Durability,
    /// With --dev: an address for /health/live, /health/ready and /metrics; without it, they are nowhere.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "dev")]
    observe: Option<SocketAddr>,
    /// With --dev: the version of a room for which its creator asks for none.
    #[arg(long, value_name = "VERSION", requires = "dev", default_value_t)]
    default_room_version: DefaultVersion,
    /// With --dev: whom people find who search for people, "all" or "met".
    #[arg(long, value_name = "WHOM", requires = "dev", default_value_t)]
    people: People,
    /// With --dev: who knows this secret makes accounts at /_synapse/admin/v1/register, as test suites do.
    #[arg(long, value_name = "SECRET", requires = "dev")]
    registration_secret: Option<Secret>,
    /// With --dev: also serve on addresses that other machines can reach.
    #[arg(long, requires = "dev")]
    dev_allow_any_address: bool,
    /// With --dev: hear and tell the other nodes nothing but through the database, as when the bus between them is cut.
    #[arg(long, requires = "dev")]
    dev_cut_bus: bool,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (config, policy) = self.configuration().map_err(Failure::Asked)?;
        logging::start(&config.log).map_err(Failure::Asked)?;
        on_a_runtime(serve(&config, policy))?
    }

    fn configuration(self) -> Result<(Config, Policy), String> {
        match self {
            Self { config: Some(path), .. } => {
                let config = Config::load(&path).map_err(|error| error.to_string())?;
                let policy = Policy::production(&config);
                Ok((config, policy))
            }
            Self { dev: true, server_name: Some(name), listen, dev_allow_any_address, dev_cut_bus, .. } => {
                if let Some(address) = listen.iter().chain(&self.observe).find(|address| !address.ip().is_loopback())
                    && !dev_allow_any_address
                {
                    return Err(format!(
                        "--dev lets everybody in, so it does not listen on {address}, which other machines can reach. \
                         Listen on 127.0.0.1 or [::1], or say --dev-allow-any-address"
                    ));
                }
                let Self {
                    data_dir,
                    database,
                    durability,
                    observe,
                    default_room_version,
                    people,
                    registration_secret,
                    ..
                } = self;
                let database = database.map(|url| argument(&url)).transpose()?;
                let dev = Dev {
                    name,
                    listen,
                    data_dir,
                    database,
                    durability,
                    observe,
                    default_room_version,
                    people,
                    registration_secret,
                };
                let config = Config::dev(dev, Environment::of_this_process())?;
                Ok((config, Policy { cut_bus: dev_cut_bus, ..Policy::dev() }))
            }
            _ => Err("what to serve? Give --config FILE; `wardstead init --server-name NAME FOLDER` makes one. For \
                      development: --dev --server-name NAME --listen ADDRESS:PORT, and --data-dir DIR or --database URL"
                .to_owned()),
        }
    }
}

/// The value of `--database`. Not read by clap, whose errors repeat what was given, a password that should not be there too.
pub(super) fn argument(url: &Secret) -> Result<DatabaseUrl, String> {
    url.reveal().parse().map_err(|error| format!("--database: {error}"))
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

//! Several servers on one PostgreSQL.

use std::path::Path;

use anyhow::{Context, Result};

use crate::{Http, Launch, Postgres, Server};

/// Nodes of one server, and the database that they share.
#[derive(Debug)]
pub struct Nodes {
    /// How each is started.
    pub launches: Vec<Launch>,
    servers: Vec<Option<Server>>,
    http: Http,
    /// The database's server.
    // Last, so that it ends after the nodes.
    pub postgres: Postgres,
}

/// Name of the database that the nodes use.
pub const DATABASE: &str = "wardstead";

impl Nodes {
    /// Starts a PostgreSQL and `count` nodes on it, side by side: they race for the empty database. With `cut_bus` nothing
    /// travels between them but what they read from the database.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start(folder: &Path, count: usize, cut_bus: bool) -> Result<Self> {
        let postgres = Postgres::start(folder)?;
        let url = postgres.database(DATABASE)?;
        let mut launches = Vec::new();
        for number in 1..=count {
            let mut launch = Launch::node(folder, &format!("node-{number}"), &url)?;
            launch.cut_bus = cut_bus;
            launches.push(launch);
        }
        let http = Http::in_turn(launches.iter().map(Launch::address).collect());
        let mut nodes = Self { servers: launches.iter().map(|_| None).collect(), launches, http, postgres };
        for number in 0..count {
            nodes.servers[number] = Some(nodes.launches[number].spawn()?);
        }
        for server in nodes.servers.iter_mut().flatten() {
            server.wait_until_listening()?;
        }
        Ok(nodes)
    }

    /// A client that asks the nodes in turn.
    #[must_use]
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// A client of `node` alone.
    #[must_use]
    pub fn only(&self, node: usize) -> Http {
        self.launches[node].http()
    }

    /// The process of `node`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn server(&self, node: usize) -> Result<&Server> {
        self.servers[node].as_ref().with_context(|| format!("node {} runs", node + 1))
    }

    /// SIGKILL to `node`; from then on its clients ask the others.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub fn kill(&mut self, node: usize) -> Result<()> {
        self.servers[node].take().with_context(|| format!("node {} runs", node + 1))?.kill()?;
        self.http.set_gone(node, true);
        Ok(())
    }

    /// Starts `node` again; its clients ask it again.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&mut self, node: usize) -> Result<()> {
        self.servers[node] = Some(self.launches[node].start()?);
        self.http.set_gone(node, false);
        Ok(())
    }

    /// SIGTERM to `node`, and waits for its end.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn stop_node(&mut self, node: usize) -> Result<()> {
        self.http.set_gone(node, true);
        self.servers[node].take().with_context(|| format!("node {} runs", node + 1))?.stop()
    }

    /// SIGTERM to each node that runs, and waits for their end.
    ///
    /// # Errors
    /// When one does not end well.
    pub fn stop(mut self) -> Result<()> {
        for server in &mut self.servers {
            server.take().map_or(Ok(()), Server::stop)?;
        }
        Ok(())
    }

    /// Nanoseconds of CPU of all nodes that run.
    ///
    /// # Errors
    /// When one is gone.
    pub fn cpu_ns(&self) -> Result<u64> {
        self.servers.iter().flatten().map(|server| crate::process::cpu_ns(server.pid())).sum()
    }
}

//! `wardstead health`: asks a running server whether it is ready, for what watches a container and has no shell.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use wardstead_limits::wardstead as limits;

use crate::{
    cli::{Failure, say},
    config::Config,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Ask the server that runs with the configuration in FILE.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// What `/health/ready` answers.
#[derive(Deserialize)]
struct Readiness {
    ready: bool,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    name: String,
    ok: bool,
    says: Option<String>,
}

/// Succeeds when the server is ready.
///
/// # Errors
/// `Went` with the checks that are red, or with why the server could not be asked; `Asked` when it has no health to ask for.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let config = Config::load(&arguments.config).map_err(|error| Failure::Asked(error.to_string()))?;
    if !config.observe.enabled {
        return Err(Failure::Asked("observe.enabled is false: nothing tells how the server is".to_owned()));
    }
    let address = reachable(config.observe.listen);
    let limit = Duration::from_millis(limits::HEALTH_ASK_MS);
    let answer = tokio::time::timeout(limit, ask(address)).await;
    let answer = answer.map_err(|_| Failure::Went(format!("{address} does not answer")))?;
    let answer = answer.map_err(|error| Failure::Went(format!("{address}: {error}")))?;
    verdict(&answer).map_err(Failure::Went)?;
    say("ready\n");
    Ok(())
}

/// An address that stands for all of this machine is asked on its loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(limits::HEALTH_BYTES).read_to_string(&mut answer).await?;
    Ok(answer)
}

fn verdict(answer: &str) -> Result<(), String> {
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let readiness: Readiness = serde_json::from_str(body)
        .map_err(|_| "what answers there is not the health of a Wardstead server".to_owned())?;
    if readiness.ready && answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    let red = readiness.checks.into_iter().filter(|check| !check.ok);
    let red = red.map(|check| check.says.map_or_else(|| check.name.clone(), |says| format!("{} ({says})", check.name)));
    Err(format!("not ready: {}", red.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_ready_server_is_ready() {
        let ready = "HTTP/1.1 200 OK\r\nx: y\r\n\r\n{\"ready\":true,\"checks\":[]}";
        assert_eq!(verdict(ready), Ok(()));
        let red = "HTTP/1.1 503 Service Unavailable\r\n\r\n{\"ready\":false,\"checks\":[{\"name\":\"tail\",\"ok\":true},\
                   {\"name\":\"engine\",\"ok\":false,\"says\":\"gone\"},{\"name\":\"serving\",\"ok\":false}]}";
        assert_eq!(verdict(red), Err("not ready: engine (gone), serving".to_owned()));
        for other in ["", "HTTP/1.1 200 OK\r\n\r\n<html>", "HTTP/1.1 200 OK\r\n\r\n{\"ready\":true}", "SSH-2.0"] {
            assert!(verdict(other).unwrap_err().contains("not the health"), "{other}");
        }
    }

    #[test]
    fn all_addresses_are_asked_on_the_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:9008", "127.0.0.1:9008"),
            ("[::]:9008", "[::1]:9008"),
            ("10.0.0.1:1", "10.0.0.1:1"),
            ("127.0.0.2:9", "127.0.0.2:9"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }
}

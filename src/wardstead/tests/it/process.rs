//! The server as a process, and the least HTTP that a test needs.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use serde_json::Value;

/// The start of a configuration. Ports are whatever is free: others run beside this.
pub(crate) const LEAST: &str =
    "[server]\nname = \"example.org\"\nlisten = [\"127.0.0.1:0\"]\n[observe]\nlisten = \"127.0.0.1:0\"\n";

/// The command under test with these arguments.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardstead"));
    command.args(arguments);
    command
}

/// Runs the command to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A server that runs. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    /// What it printed before it listened, and where it listens.
    pub(crate) banner: Vec<String>,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Server {
    /// Starts `serve` with these arguments and waits until it listens on as many addresses.
    pub(crate) fn start(arguments: &[&str], addresses: usize) -> Self {
        Self::start_with(arguments, addresses, &[])
    }

    /// As [`Self::start`], with variables in its environment.
    pub(crate) fn start_with(arguments: &[&str], addresses: usize, environment: &[(&str, &str)]) -> Self {
        let mut command = command(&["serve"]);
        command.args(arguments).envs(environment.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut server = Self { child, banner: Vec::new(), addresses: Vec::new() };
        while server.addresses.len() < addresses {
            let line = lines.next().expect("the server ended before it listened").unwrap();
            match line.trim().strip_prefix("listening on http://") {
                Some(address) => server.addresses.push(address.parse().unwrap()),
                None => server.banner.push(line),
            }
        }
        server
    }

    /// A server with the least configuration, in `folder`.
    pub(crate) fn configured(folder: &Path) -> Self {
        let config = folder.join("config.toml");
        std::fs::write(&config, format!("{LEAST}[data]\ndir = \"data\"\n")).unwrap();
        Self::start(&["--config", config.to_str().unwrap()], 1)
    }

    /// A server for development, with its data in `folder`.
    pub(crate) fn dev(folder: &Path) -> Self {
        let folder = folder.to_str().unwrap();
        Self::start(&["--dev", "--server-name", "example.org", "--listen", "127.0.0.1:0", "--data-dir", folder], 1)
    }

    /// The registration token that it printed.
    pub(crate) fn first_token(&self) -> Option<String> {
        let line = self.banner.iter().find(|line| line.contains("registration token"))?;
        line.rsplit(' ').next().map(str::to_owned)
    }

    /// Where health and metrics are.
    pub(crate) fn observed(&self) -> Option<SocketAddr> {
        let lines = self.banner.iter().map(|line| line.trim());
        lines.filter_map(|line| line.strip_prefix("health and metrics on http://")).map(|at| at.parse().unwrap()).next()
    }

    /// Status and text of what is at `path` where health and metrics are.
    pub(crate) fn observe(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.observed().expect("it is observed")).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.child.id())).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection { stream: BufReader::new(TcpStream::connect(self.addresses[0]).unwrap()) }
    }

    /// One request on a connection of its own.
    pub(crate) fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let mut connection = self.connect();
        connection.send(method, path, token, body);
        connection.answer()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already where the test waited for it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A connection that is kept open.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn send(&mut self, method: &str, path: &str, token: &str, body: &Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let authorization = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}Content-Length: {length}\r\n\r\n{body}"
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
    }

    /// A head that promises a body of `length` bytes, which does not come.
    pub(crate) fn begin(&mut self, method: &str, path: &str, length: usize) {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
        self.stream.get_mut().write_all(head.as_bytes()).unwrap();
    }

    /// Status and JSON of the next answer.
    pub(crate) fn answer(&mut self) -> (u16, Value) {
        let mut status = String::new();
        self.stream.read_line(&mut status).unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert_ne!(
                self.stream.read_line(&mut line).unwrap(),
                0,
                "the connection ended before the answer: {status}"
            );
            let line = line.trim().to_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (status.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_slice(&body).unwrap())
    }
}

//! Limits by address, over the real listener.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::process::{LEAST, Server};

/// The status of a login from this machine, whose header says that it comes from elsewhere.
fn login(server: &Server, forwarded: &str) -> u16 {
    let mut stream = TcpStream::connect(server.addresses[0]).unwrap();
    write!(
        stream,
        "POST /_matrix/client/v3/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{forwarded}\
         Content-Length: 2\r\n\r\n{{}}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(!answer.contains(" 429 ") || answer.to_lowercase().contains("\r\nretry-after: "), "{answer}");
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Where nobody is trusted a header makes a client no other; behind a trusted proxy what the client wrote before it counts as little.
#[test]
fn a_forged_address_evades_no_limit() {
    let folder = tempfile::tempdir().unwrap();
    let start = |name: &str, trusted: &str| {
        let config = folder.path().join(format!("{name}.toml"));
        let text = LEAST.replace("[observe]", &format!("trusted_proxies = [{trusted}]\n[observe]"));
        let limits = "[limits.login]\naddress = \"1/h, burst 2\"\n";
        std::fs::write(&config, format!("{text}[data]\ndir = \"{name}\"\n{limits}")).unwrap();
        Server::start(&["--config", config.to_str().unwrap()], 1)
    };
    let bare = start("bare", "");
    let statuses: Vec<u16> =
        (1..=4).map(|client| login(&bare, &format!("X-Forwarded-For: 203.0.113.{client}\r\n"))).collect();
    assert_eq!(statuses, [400, 400, 429, 429]);
    let behind = start("behind", "\"127.0.0.1\"");
    let forged = |client: u8| format!("X-Forwarded-For: 198.51.100.{client}\r\nX-Forwarded-For: 203.0.113.1\r\n");
    let statuses: Vec<u16> = (1..=4).map(|client| login(&behind, &forged(client))).collect();
    assert_eq!(statuses, [400, 400, 429, 429]);
    assert_eq!(login(&behind, "X-Forwarded-For: 203.0.113.1, 203.0.113.2\r\n"), 400, "another client");
    assert_eq!(login(&behind, ""), 400, "the proxy itself");
}

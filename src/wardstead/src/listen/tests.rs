//! Connections that linger, and the end. Time is tokio's, which moves on as soon as everybody waits.

use std::net::Ipv4Addr;

use axum::routing::get;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Notify,
    task::JoinHandle,
};

use super::*;

/// A server with `/slow`, which answers when it is told to, and what it takes to tell it and to end it.
struct Serving {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    entered: Arc<Notify>,
    answer: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Serving {
    async fn start() -> Self {
        let (entered, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let slow = {
            let (entered, answer) = (Arc::clone(&entered), Arc::clone(&answer));
            move || async move {
                entered.notify_one();
                answer.notified().await;
                "slow"
            }
        };
        let router = Router::new().route("/fast", get(|| async { "fast" })).route("/slow", get(slow));
        let listeners = bind(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]).await.unwrap();
        let address = listeners[0].local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(serve(listeners, router, stopping));
        Self { address, stop, entered, answer, task }
    }

    async fn connect(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }
}

/// Everything that comes until the server hangs up, which is a reset where it has not read what was sent.
async fn rest(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said).await {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(start_paused = true)]
async fn who_sends_no_whole_head_is_hung_up_on() {
    let server = Serving::start().await;
    for start in ["", "P", "PRI * HT", "GET /fast HTTP/1.1\r\nHost: a"] {
        let mut stream = server.connect(start).await;
        let said = rest(&mut stream).await;
        assert!(!said.contains("200 OK"), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_hung_up_on_at_last() {
    let server = Serving::start().await;
    let mut stream = server.connect("GET /fast HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let said = rest(&mut stream).await;
    assert!(said.contains("200 OK") && said.ends_with("fast"), "{said}");
}

/// First bytes that come one by one, of either version.
#[tokio::test(start_paused = true)]
async fn the_version_is_known_by_its_first_bytes() {
    let server = Serving::start().await;
    for (start, answer) in [("POST /fast HTTP/1.1\r\nHost: a\r\n\r\n", "405"), ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "")]
    {
        let mut stream = server.connect("").await;
        for byte in start.as_bytes() {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(limits::FIRST_BYTES_RETRY_MS)).await;
        }
        let mut said = vec![0; 12];
        stream.read_exact(&mut said).await.unwrap();
        if answer.is_empty() {
            // SETTINGS, the first frame of a server (RFC 9113, 6.5).
            assert_eq!(said[3], 4, "{said:?}");
        } else {
            assert_eq!(said, format!("HTTP/1.1 {answer}").as_bytes());
        }
    }
}

#[tokio::test]
async fn a_request_under_way_is_answered_after_the_stop() {
    let server = Serving::start().await;
    let mut busy = server.connect("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut idle = server.connect("").await;
    server.entered.notified().await;
    server.stop.send_replace(true);
    assert_eq!(rest(&mut idle).await, "", "who asked nothing does not hold up the end");
    assert!(!server.task.is_finished());
    server.answer.notify_one();
    let said = rest(&mut busy).await;
    assert!(said.contains("200 OK") && said.ends_with("slow"), "{said}");
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "no new connections");
}

#[tokio::test]
async fn an_address_that_is_taken_is_told() {
    let server = Serving::start().await;
    let (address, error) = bind(&[server.address]).await.unwrap_err();
    assert_eq!((address, error.kind()), (server.address, io::ErrorKind::AddrInUse));
}

//! Listeners: HTTP/1.1 and HTTP/2 without TLS.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use hyper::http::{HeaderValue, Uri, Version};
use hyper::{
    Request,
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tower::ServiceExt;
use wardstead_limits::api as limits;

const HEAD_TIMEOUT: Duration = Duration::from_millis(limits::HEAD_TIMEOUT_MS);

/// Opens the addresses. All or none.
///
/// # Errors
/// The first address that cannot be had, and why.
pub(crate) async fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(TcpListener::bind(address).await.map_err(|error| (*address, error))?);
    }
    Ok(listeners)
}

/// Serves until `stop` becomes true, then lets every connection finish the request that it is at.
pub(crate) async fn serve(listeners: Vec<TcpListener>, router: Router, stop: watch::Receiver<bool>) {
    let server = Server {
        router,
        http1: Arc::new(http1()),
        http2: Arc::new(http2()),
        open: Arc::new(GracefulShutdown::new()),
        places: Arc::new(Semaphore::new(limits::CONNECTIONS)),
    };
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(server.clone().accept(listener, stop.clone()));
    }
    while accepting.join_next().await.is_some() {}
    // The tasks that held it have ended.
    if let Some(open) = Arc::into_inner(server.open) {
        open.shutdown().await;
    }
}

fn http1() -> http1::Builder {
    let mut http1 = http1::Builder::new();
    http1.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    http1
}

fn http2() -> http2::Builder<TokioExecutor> {
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::STREAMS_PER_CONNECTION)
        .keep_alive_interval(HEAD_TIMEOUT)
        .keep_alive_timeout(HEAD_TIMEOUT);
    http2
}

#[derive(Clone)]
struct Server {
    router: Router,
    // Shared: each connection holds them as long as it lasts.
    http1: Arc<http1::Builder>,
    http2: Arc<http2::Builder<TokioExecutor>>,
    open: Arc<GracefulShutdown>,
    places: Arc<Semaphore>,
}

impl Server {
    async fn accept(self, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let ending = stop.clone();
        let mut stopped = pin!(async move {
            // An error means that nobody can ask for the end any more: that is an end, too.
            drop(stop.wait_for(|stop| *stop).await);
        });
        loop {
            // A place first: without one, the next client waits in the backlog.
            let next = async {
                let place = Arc::clone(&self.places).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                () = &mut stopped => return,
                next = next => next,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let connection = self.clone().connection(stream, peer, ending.clone());
                    tokio::spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, or a client that left while it waited. Neither gets better by haste.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(limits::ACCEPT_RETRY_MS)).await;
                }
            }
        }
    }

    /// Not an async function: the connection counts as open from here, before its task runs for the first time.
    fn connection(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        mut stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send {
        let watcher = self.open.watcher();
        let Self { router, http1, http2, open, .. } = self;
        drop(open);
        async move {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, %peer, "TCP_NODELAY refused");
            }
            let speaks_http2 = tokio::select! {
                speaks = speaks_http2(&stream) => speaks,
                // Who has not asked anything yet is hung up on.
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(HEAD_TIMEOUT) => return,
            };
            let asked = Arc::new(AtomicBool::new(false));
            let service = service_fn({
                let asked = Arc::clone(&asked);
                move |request| {
                    asked.store(true, Ordering::Relaxed);
                    answer(router.clone(), own_head(request), peer)
                }
            });
            let stream = TokioIo::new(stream);
            let ended = if speaks_http2 {
                let connection = pin!(watcher.watch(http2.serve_connection(stream, service)));
                Box::pin(unless_silent(connection, &asked)).await
            } else {
                let connection = pin!(watcher.watch(http1.serve_connection(stream, service)));
                unless_silent(connection, &asked).await
            };
            if let Err(error) = ended {
                tracing::debug!(%error, %peer, "connection ended");
            }
        }
    }
}

/// Whether the client begins as HTTP/2 does (RFC 9113, 3.4). Looks without taking anything away: a connection that is handed what was
/// read before sets aside twice the memory for what comes, as long as it lasts.
async fn speaks_http2(stream: &TcpStream) -> bool {
    const METHOD: &[u8] = b"PRI";
    let mut start = [0; METHOD.len()];
    loop {
        match stream.peek(&mut start).await {
            // The same is there to be looked at until there is more.
            Ok(length @ 1..) if length < METHOD.len() && METHOD.starts_with(&start[..length]) => {
                tokio::time::sleep(Duration::from_millis(limits::FIRST_BYTES_RETRY_MS)).await;
            }
            Ok(length) => return start[..length] == *METHOD,
            Err(_) => return false,
        }
    }
}

/// The connection to its end, but not longer than [`HEAD_TIMEOUT`] without a first request: before that not all of hyper's own time-outs
/// run.
async fn unless_silent<E>(
    mut connection: Pin<&mut impl Future<Output = Result<(), E>>>,
    asked: &AtomicBool,
) -> Result<(), E> {
    tokio::select! {
        ended = &mut connection => ended,
        () = tokio::time::sleep(HEAD_TIMEOUT) => {
            if asked.load(Ordering::Relaxed) { connection.await } else { Ok(()) }
        }
    }
}

/// The same with a head of its own. The head of HTTP/1 shares the buffer that it was read into, and hyper, which goes on reading to notice a
/// client that hangs up, would set aside another one for as long as the request lasts.
fn own_head(request: Request<Incoming>) -> Request<Incoming> {
    let (mut head, body) = request.into_parts();
    if head.version < Version::HTTP_2 {
        for value in head.headers.values_mut() {
            if let Ok(own) = HeaderValue::from_bytes(value.as_bytes()) {
                *value = own;
            }
        }
        if let Ok(own) = Uri::try_from(head.uri.to_string()) {
            head.uri = own;
        }
    }
    Request::from_parts(head, body)
}

async fn answer(router: Router, request: Request<Incoming>, peer: SocketAddr) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    router.oneshot(request).await
}

#[cfg(test)]
mod tests;

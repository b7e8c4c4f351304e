//! Listeners: HTTP/1.1 and HTTP/2 without TLS.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
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
        protocol: protocol(),
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

fn protocol() -> auto::Builder<TokioExecutor> {
    let mut protocol = auto::Builder::new(TokioExecutor::new());
    protocol.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    protocol
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::STREAMS_PER_CONNECTION)
        .keep_alive_interval(HEAD_TIMEOUT)
        .keep_alive_timeout(HEAD_TIMEOUT);
    protocol
}

#[derive(Clone)]
struct Server {
    router: Router,
    protocol: auto::Builder<TokioExecutor>,
    open: Arc<GracefulShutdown>,
    places: Arc<Semaphore>,
}

impl Server {
    async fn accept(self, listener: TcpListener, mut stop: watch::Receiver<bool>) {
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
                    let connection = self.clone().connection(stream, peer);
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
    fn connection(self, stream: TcpStream, peer: SocketAddr) -> impl Future<Output = ()> + Send {
        let watcher = self.open.watcher();
        let Self { router, protocol, open, .. } = self;
        drop(open);
        async move {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, %peer, "TCP_NODELAY refused");
            }
            let asked = Arc::new(AtomicBool::new(false));
            let service = service_fn({
                let asked = Arc::clone(&asked);
                move |request| {
                    asked.store(true, Ordering::Relaxed);
                    answer(router.clone(), request, peer)
                }
            });
            let connection = protocol.serve_connection(TokioIo::new(stream), service);
            let mut connection = pin!(watcher.watch(connection));
            // Until HTTP's version is known, hyper's own time-out does not run.
            let ended = tokio::select! {
                ended = &mut connection => ended,
                () = tokio::time::sleep(HEAD_TIMEOUT) => {
                    if !asked.load(Ordering::Relaxed) {
                        return;
                    }
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, %peer, "connection ended");
            }
        }
    }
}

async fn answer(router: Router, request: Request<Incoming>, peer: SocketAddr) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    router.oneshot(request).await
}

#[cfg(test)]
mod tests;

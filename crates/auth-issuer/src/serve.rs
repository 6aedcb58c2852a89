//! The listener and its connections.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::header::DATE;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::clock::Clock;

/// Connections that may wait to be accepted: a thousand clients that start at once must not see one refused. The
/// operating system may cap it.
const BACKLOG: u32 = 8192;

/// How long to leave the listener alone when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// A running server. Dropping it stops it, as soon as the runtime runs its task.
#[derive(Debug)]
pub(crate) struct Server {
    task: JoinHandle<()>,
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// Serves `router` on a task of the present runtime.
    pub(crate) fn start(listener: TcpListener, router: Router, clock: Arc<dyn Clock>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(accept(listener, router, clock, stopped));
        Self { task, _stop: stop }
    }

    /// Closes the listener and all connections, and waits until that is done.
    pub(crate) async fn stop(self) {
        let Self { task, _stop: stop } = self;
        drop(stop);
        // It does not panic, and is cancelled only with its runtime.
        let _ = task.await;
    }
}

/// Binds `address`.
///
/// # Errors
///
/// Those of the operating system: the address is in use, is not this machine's, or is not permitted.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    // As `TcpListener::bind` does: a fixed port can be had again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Who sent a request: an extension of every one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// A response that is never sent: the connection is closed in its place.
pub(crate) fn hang_up() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(HangUp);
    response
}

/// Whether `response` is never sent.
pub(crate) fn hangs_up(response: &Response) -> bool {
    response.extensions().get::<HangUp>().is_some()
}

#[derive(Debug, Clone, Copy)]
struct HangUp;

impl fmt::Display for HangUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the script says to hang up")
    }
}

impl std::error::Error for HangUp {}

async fn accept(
    listener: TcpListener,
    router: Router,
    clock: Arc<dyn Clock>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let (router, clock) = (router.clone(), Arc::clone(&clock));
                    connections.spawn(connection(stream, Peer(peer), router, clock));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, peer: Peer, router: Router, clock: Arc<dyn Clock>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let answer = hyper::service::Service::call(&service, request);
        let clock = Arc::clone(&clock);
        async move {
            let Ok(mut response) = answer.await;
            // hyper closes a connection whose service fails, without a byte of an answer.
            if let Some(hang_up) = response.extensions().get::<HangUp>() {
                return Err(*hang_up);
            }
            date(&mut response, &*clock);
            Ok(response)
        }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(error = &*error, "a connection ended early");
    }
}

/// Dates the response by the issuer's clock; hyper would date it by the machine's.
fn date(response: &mut Response, clock: &dyn Clock) {
    if response.headers().contains_key(DATE) {
        return;
    }
    // httpdate panics outside of the years 1970 to 9999.
    let seconds = crate::clock::unix_seconds(clock.now()).min(253_402_300_799);
    let now = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
    if let Ok(now) = HeaderValue::try_from(httpdate::fmt_http_date(now)) {
        response.headers_mut().insert(DATE, now);
    }
}

//! A gRPC server on loopback, and what it asks of its callers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use auth_issuer::Issuer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::service::Interceptor;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Status};

use crate::shipments::shipments_server::ShipmentsServer;
use crate::tracker::Tracker;

/// Serves a [`Tracker`] to callers with a token of an issuer. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    calls: Arc<AtomicU64>,
    serving: JoinHandle<()>,
}

impl Server {
    /// Starts it on a free port of loopback.
    ///
    /// # Errors
    ///
    /// When there is no such port.
    pub async fn start(issuer: &Arc<Issuer>, tracker: Tracker) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let calls = Arc::new(AtomicU64::new(0));
        let guard = Guard { issuer: Arc::clone(issuer), calls: Arc::clone(&calls) };
        let service = ShipmentsServer::with_interceptor(tracker, guard);
        let serving = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpIncoming::from(listener));
        // It ends with an error only if the listener does, and then its callers see that.
        let serving = tokio::spawn(async { drop(serving.await) });
        Ok(Self { address, calls, serving })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many calls arrived, refused ones included.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Lets only calls with a valid token through, and refuses the others as gRPC does: HTTP's 200, and
/// `grpc-status: 16`.
#[derive(Clone)]
struct Guard {
    issuer: Arc<Issuer>,
    calls: Arc<AtomicU64>,
}

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.calls.fetch_add(1, SeqCst);
        let authorization = request.metadata().get("authorization");
        let token = authorization.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        match token {
            Some(token) if self.issuer.is_valid(token) => Ok(request),
            Some(_) => Err(Status::unauthenticated("the token is not valid")),
            None => Err(Status::unauthenticated("there is no token")),
        }
    }
}

//! HTTP/2 has ways to say that a request may be sent again: it is not, since nobody can know what it cost.

use std::pin::Pin;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll};

use auth_core::{Authenticator, ClientCredentials, MemoryStore, Store};
use auth_tower::HyperTransport;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::service_fn;

use crate::peers::http2::{ENDS, server};

/// A connection on which HTTP/2 was agreed, as a TLS connector's ALPN does.
struct Agreed(TokioIo<TcpStream>);

impl Connection for Agreed {
    fn connected(&self) -> Connected {
        Connected::new().negotiated_h2()
    }
}

impl Read for Agreed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Agreed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

// torture: G59
#[tokio::test]
async fn one_request_is_on_the_wire_for_each_unit() {
    for end in ENDS {
        let (address, read) = server(end).await;
        let connector = service_fn(move |_: Uri| {
            Box::pin(async move {
                TcpStream::connect(address).await.map(|stream| Agreed(TokioIo::new(stream)))
            })
        });
        let credentials = ClientCredentials::new("client", "s3cret")
            .token_endpoint(format!("http://{address}/t"))
            .audience("https://api.example");
        let authenticator = Authenticator::builder(credentials)
            .store(Store::new(MemoryStore::new()))
            .transport(HyperTransport::new(connector))
            .insecure_loopback(true)
            .build()
            .unwrap();
        let error = authenticator.authorization().await.unwrap_err();
        assert!(error.is_transient() && !error.is_not_sent(), "{end:?}: {error:?}");
        assert_eq!(read.load(SeqCst), 1, "{end:?}");
        assert_eq!(authenticator.status().await.windows[0].spent, 1, "{end:?}");
    }
}

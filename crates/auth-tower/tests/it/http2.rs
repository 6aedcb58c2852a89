//! HTTP/2 has ways to say that a request may be sent again: it is not, since nobody can know what it cost.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use auth_core::{Authenticator, ClientCredentials, MemoryStore, Store};
use auth_tower::HyperTransport;
use h2::Reason;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tower::service_fn;

/// What becomes of a request that was read to its end.
#[derive(Clone, Copy, Debug)]
enum End {
    /// RST_STREAM with REFUSED_STREAM, which says that nothing was done (RFC 9113 §8.7).
    RefusedStream,
    /// GOAWAY without an error, and the connection is closed.
    GoAway,
    /// GOAWAY with ENHANCE_YOUR_CALM.
    Calm,
    /// The connection is reset.
    Reset,
}

/// A server that reads requests to their end and answers none; how many it read.
async fn server(end: End) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let read = Arc::new(AtomicUsize::new(0));
    let counted = read.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let counted = counted.clone();
            tokio::spawn(async move {
                if matches!(end, End::Reset) {
                    stream.set_zero_linger().unwrap();
                }
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let Some(Ok((request, mut respond))) = connection.accept().await else { return };
                let mut body = request.into_body();
                // The connection has to be driven while its stream is read.
                let whole = async { while let Some(Ok(_)) = body.data().await {} };
                tokio::select! {
                    () = whole => {}
                    _ = connection.accept() => {}
                }
                counted.fetch_add(1, SeqCst);
                match end {
                    End::RefusedStream => respond.send_reset(Reason::REFUSED_STREAM),
                    End::GoAway => connection.abrupt_shutdown(Reason::NO_ERROR),
                    End::Calm => connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM),
                    End::Reset => return,
                }
                while let Some(Ok(_)) = connection.accept().await {
                    counted.fetch_add(1, SeqCst);
                }
            });
        }
    });
    (address, read)
}

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
    for end in [End::RefusedStream, End::GoAway, End::Calm, End::Reset] {
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

//! A server that speaks HTTP/2, reads what it is sent, and ends it without an answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use h2::Reason;
use tokio::net::TcpListener;

pub(crate) const ENDS: [End; 4] = [End::RefusedStream, End::GoAway, End::Calm, End::Reset];

/// What becomes of a request that was read to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
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
pub(crate) async fn server(end: End) -> (SocketAddr, Arc<AtomicUsize>) {
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

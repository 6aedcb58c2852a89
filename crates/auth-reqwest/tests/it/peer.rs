//! An HTTP/1.1 server of a page: it answers what it is told to, and keeps what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// It stops with the runtime of its test.
pub(crate) struct Peer {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    heads: Vec<String>,
}

impl Peer {
    /// Answers every request with what `answer` makes of its head, and closes the connection if that says so.
    pub(crate) async fn start(
        answer: impl Fn(&str) -> String + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let seen = peer.seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                seen.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, seen.clone(), answer.clone()));
            }
        });
        peer
    }

    /// Answers every request with `status` and nothing else.
    pub(crate) async fn with_status(status: &'static str) -> Self {
        Self::start(move |_| plain(status)).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// The heads of the requests, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.exact_heads().iter().map(|head| head.to_ascii_lowercase()).collect()
    }

    /// The heads of the requests, as they came.
    pub(crate) fn exact_heads(&self) -> Vec<String> {
        self.seen.lock().unwrap().heads.clone()
    }
}

/// A status and a reason: of an API that names what is wrong with a token (RFC 6750 §3.1).
pub(crate) const INVALID_TOKEN: &str =
    "401 Unauthorized\r\nwww-authenticate: Bearer error=\"invalid_token\"";

/// An answer without a body.
pub(crate) fn plain(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

/// A redirect.
pub(crate) fn found(location: &str) -> String {
    format!(
        "HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Seen>>, answer: impl Fn(&str) -> String) {
    while let Some(head) = read_head(&mut stream).await {
        seen.lock().unwrap().heads.push(head.clone());
        let answer = answer(&head.to_ascii_lowercase());
        let _ = stream.write_all(answer.as_bytes()).await;
        if answer.contains("connection: close") {
            let _ = stream.shutdown().await;
            // What the client still sends is read, so that closing does not reset what it was sent.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    }
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

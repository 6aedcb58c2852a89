//! An HTTP/1.1 client of a page: it shows what is on the wire, and does nothing of its own accord.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;

use auth_issuer::Issuer;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A request that is to be sent.
#[derive(Clone)]
pub(crate) struct Call {
    head: String,
    body: Vec<u8>,
}

impl Call {
    pub(crate) fn get(path: &str) -> Self {
        Self::to("GET", path, "issuer")
    }

    pub(crate) fn post(path: &str) -> Self {
        Self::to("POST", path, "issuer")
    }

    /// A request that names this host.
    pub(crate) fn to(method: &str, path: &str, host: &str) -> Self {
        Self { head: format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n"), body: Vec::new() }
    }

    /// A token request with this body.
    pub(crate) fn token(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::post("/oauth/token").header("Content-Type", content_type).body(body)
    }

    /// A token request as the vendor's page shows it.
    pub(crate) fn good_token(issuer: &Issuer) -> Self {
        Self::token("application/json", good(issuer).to_string())
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        write!(self.head, "{name}: {value}\r\n").unwrap();
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it on a connection of its own.
    pub(crate) async fn send(&self, issuer: &Issuer) -> io::Result<Answer> {
        self.send_to(issuer.address()).await
    }

    /// The same, from a task that cannot borrow the issuer.
    pub(crate) async fn send_to(&self, address: SocketAddr) -> io::Result<Answer> {
        Wire::to_address(address).await?.exchange(self).await
    }
}

/// The parameters of a token request that succeeds.
pub(crate) fn good(issuer: &Issuer) -> Value {
    json!({
        "client_id": issuer.client_id(),
        "client_secret": issuer.client_secret(),
        "audience": issuer.audience(),
        "grant_type": "client_credentials",
    })
}

/// A fresh token.
pub(crate) async fn token(issuer: &Issuer) -> String {
    let answer = Call::good_token(issuer).send(issuer).await.unwrap();
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// The status that the API answers to `token`.
pub(crate) async fn shipments(issuer: &Issuer, token: &str) -> u16 {
    Call::get("/v2/shipments").bearer(token).send(issuer).await.unwrap().status
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is there twice");
        value
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The `error` of an OAuth error.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap().to_owned())
    }
}

/// A connection that stays open.
pub(crate) struct Wire(pub(crate) BufReader<TcpStream>);

impl Wire {
    pub(crate) async fn to(issuer: &Issuer) -> io::Result<Self> {
        Self::to_address(issuer.address()).await
    }

    pub(crate) async fn to_address(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) async fn exchange(&mut self, call: &Call) -> io::Result<Answer> {
        self.write(call).await?;
        let mut answer = self.head().await?;
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body = vec![0; length];
        self.0.read_exact(&mut answer.body).await?;
        Ok(answer)
    }

    pub(crate) async fn write(&mut self, call: &Call) -> io::Result<()> {
        let mut bytes = call.head.clone().into_bytes();
        bytes.extend(format!("Content-Length: {}\r\n\r\n", call.body.len()).bytes());
        bytes.extend(&call.body);
        self.0.write_all(&bytes).await
    }

    /// Reads up to the empty line.
    pub(crate) async fn head(&mut self) -> io::Result<Answer> {
        let status_line = self.line().await?;
        let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_owned(), value.to_owned()));
        }
        Ok(Answer { status, headers, body: Vec::new() })
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

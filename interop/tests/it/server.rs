//! The issuer: a child process that ends with its test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use auth_core::{Authenticator, Builder, ClientCredentials, MemoryStore, Store, Transport};
use serde_json::Value;

pub(crate) struct Server {
    child: Child,
    // Its end is the child's.
    _stdin: ChildStdin,
    said: Value,
}

impl Server {
    pub(crate) fn start() -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("server");
        let mut child = Command::new("node")
            .arg("server.mjs")
            .current_dir(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need Node");
        let stdin = child.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said = serde_json::from_str(&line).expect(
            "the server says where it is; are its packages there (`npm ci --prefix server`)?",
        );
        Self { child, _stdin: stdin, said }
    }

    /// What the server said of itself, by a JSON pointer.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        let value = self.said.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("the server said nothing of {pointer}"))
    }

    /// Of one of its clients.
    pub(crate) fn client(&self, name: &str, member: &str) -> &str {
        self.text(&format!("/clients/{name}/{member}"))
    }

    /// A client with a secret, and no way to the token endpoint yet.
    pub(crate) fn with_secret(&self, name: &str) -> ClientCredentials {
        ClientCredentials::new(self.client(name, "client_id"), self.client(name, "client_secret"))
    }

    /// The same at the token endpoint.
    pub(crate) fn secret_at_endpoint(&self, name: &str) -> ClientCredentials {
        self.with_secret(name)
            .token_endpoint(self.text("/token_endpoint"))
            .issuer(self.text("/issuer"))
    }

    /// An authenticator for the protected resource on loopback.
    pub(crate) fn builder(
        &self,
        credentials: ClientCredentials,
        transport: impl Transport,
    ) -> Builder {
        let credentials = credentials
            .introspection_endpoint(self.text("/introspection_endpoint"))
            .revocation_endpoint(self.text("/revocation_endpoint"));
        Authenticator::builder(credentials)
            .origin(self.text("/api"))
            .store(Store::new(MemoryStore::new()))
            .transport(transport)
            .insecure_loopback(true)
    }

    /// How many token requests of this client the server has seen, and how many it granted.
    pub(crate) async fn counts(&self, client: &str) -> (u64, u64) {
        let url = format!("{}/counts", self.text("/control"));
        let counts: Value = bare().get(url).send().await.unwrap().json().await.unwrap();
        let of = |member: &str| counts[client][member].as_u64().unwrap();
        (of("requests"), of("granted"))
    }

    /// The API wants another nonce than before.
    pub(crate) async fn rotate_api_nonce(&self) {
        let url = format!("{}/api-nonce", self.text("/control"));
        assert_eq!(bare().post(url).send().await.unwrap().status(), 200);
    }
}

fn bare() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is spent by the ledger.
pub(crate) async fn spent(authenticator: &Authenticator) -> u64 {
    u64::from(authenticator.status().await.windows[0].spent)
}

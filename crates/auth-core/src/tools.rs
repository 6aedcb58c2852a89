//! Calls for a user's own tools: what the issuer says of the token at hand, giving it back before its time, and a new record in
//! the place of a damaged one. Nothing here is called by this crate itself, and nothing is revoked when a process ends.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use crate::authenticator::Authenticator;
use crate::error::Error;
use crate::renewal::exchange;
use crate::store::Written;
use crate::sync::Runtime;
use crate::token::Snapshot;
use crate::wire::ClientAuth;
use crate::wire::endpoint::HttpUrl;
use crate::wire::introspection::{self, Introspection};
use crate::wire::parameters::Field;
use crate::wire::request::Outgoing;

/// How often a token is tried to be taken out of the store, among others who write there.
const ATTEMPTS: usize = 8;

#[derive(Clone, Copy)]
enum Tool {
    Introspection,
    Revocation,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Introspection => "introspection endpoint",
            Self::Revocation => "revocation endpoint",
        }
    }

    fn setting(self) -> &'static str {
        match self {
            Self::Introspection => "introspection_endpoint",
            Self::Revocation => "revocation_endpoint",
        }
    }
}

impl Authenticator {
    /// Asks the issuer what it thinks of the token at hand (RFC 7662). Costs no token request; what else it costs is the issuer's to
    /// say. The endpoint is the credentials' `introspection_endpoint`, or the one of the issuer's metadata.
    ///
    /// # Errors
    ///
    /// [`Error::is_tool`] when there is no token, no endpoint, or no usable answer.
    pub async fn introspect(&self) -> Result<Introspection, Error> {
        let (response, _) = self.ask_about_token(Tool::Introspection).await?;
        introspection::read(&response).map_err(|problem| {
            self.tool_error(&format!("the introspection endpoint failed: {problem}"))
        })
    }

    /// Gives the token at hand back to the issuer (RFC 7009), stops serving it, and takes it out of the store. Never refunds a unit:
    /// the next request needs another token, and other processes that hold this one learn of it by a 401. The endpoint is the
    /// credentials' `revocation_endpoint`, or the one of the issuer's metadata.
    ///
    /// # Errors
    ///
    /// [`Error::is_tool`] when there is no token, no endpoint, or an answer other than 200. The token is served on then.
    pub async fn revoke(&self) -> Result<(), Error> {
        let (response, snapshot) = self.ask_about_token(Tool::Revocation).await?;
        let status = response.status();
        if !status.is_success() {
            let problem = format!("the revocation endpoint answered {}", status.as_u16());
            return Err(self.tool_error(&problem));
        }
        self.give_up(&snapshot);
        if let Err(error) = self.forget(&snapshot).await {
            let credential = self.name();
            tracing::warn!(credential, %error, "a revoked token is still in the store; another process may send it once");
        }
        Ok(())
    }

    /// Takes a token out of the store.
    async fn forget(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let renewal = self.renewal();
        for _ in 0..ATTEMPTS {
            let read = renewal.cell.read().await;
            let (version, mut record) = read.map_err(|error| renewal.store_error(error))?;
            let before = record.tokens.len();
            record.tokens.retain(|_, token| token.id != snapshot.id);
            if record.tokens.len() == before {
                return Ok(());
            }
            let written = renewal.cell.write(version, &mut record).await;
            if let Written::Written(_) = written.map_err(|error| renewal.store_error(error))? {
                return Ok(());
            }
        }
        Err(self.tool_error("others wrote to the store at every attempt"))
    }

    /// The way out of a record that is damaged, lost, or older than one that was seen: puts a new one into the store, which
    /// counts the whole quota as spent, since nobody knows what was. Valid tokens are served on; this authenticator's goes
    /// into the new record, for other processes and restarts.
    ///
    /// Never called by this crate: without it nothing is spent on such a record. Call it in one process only. Takes at most
    /// 5 s, inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the store cannot be written, or is one that cannot replace a record.
    pub async fn start_new_record(&self) -> Result<(), Error> {
        self.start_anew(None).await
    }

    /// As [`start_new_record`](Self::start_new_record), with this many token requests counted as spent just now, for somebody
    /// who knows better: 0 when a window has passed since the last one.
    ///
    /// # Errors
    ///
    /// As [`start_new_record`](Self::start_new_record).
    pub async fn start_new_record_after(&self, spent: u32) -> Result<(), Error> {
        self.start_anew(Some(spent)).await
    }

    async fn start_anew(&self, spent: Option<u32>) -> Result<(), Error> {
        if Runtime::current().is_none() {
            return Err(self.failed("the store cannot be written outside of a tokio runtime"));
        }
        self.renewal().start_anew(spent, self.snapshot().as_deref()).await?;
        self.forget_failure();
        Ok(())
    }

    /// Sends the token to one of the issuer's endpoints, under the client's own authentication.
    async fn ask_about_token(&self, tool: Tool) -> Result<(Response<Bytes>, Arc<Snapshot>), Error> {
        if Runtime::current().is_none() {
            return Err(self.failed("the issuer cannot be asked outside of a tokio runtime"));
        }
        let snapshot = self.snapshot();
        let token = snapshot.as_ref().and_then(|snapshot| snapshot.token());
        let (Some(snapshot), Some(token)) = (snapshot, token) else {
            return Err(self.tool_error("there is no token at hand"));
        };
        let renewal = self.renewal();
        let credential = renewal.credentials.now();
        let endpoint = self.tool_endpoint(tool).await?;
        let mut client = credential.request.client.clone();
        // RFC 7009 §2.1 and RFC 7662 §2.1: a form, whatever the token endpoint speaks.
        if client.auth == ClientAuth::PostJson {
            client.auth = ClientAuth::Post;
        }
        let now = self.clock().now();
        let outgoing = client.post(&endpoint, &credential.request.at, now.wall, |field| {
            field(Field::Text("token", token.expose()));
            field(Field::Text("token_type_hint", "access_token"));
        });
        let Outgoing { request, .. } = outgoing
            .map_err(|error| self.tool_error(&format!("the request cannot be signed: {error}")))?;
        let clock = self.clock();
        let answer =
            exchange(&*renewal.transport, request, clock, now.boot, renewal.deadline).await;
        let answer = answer.map_err(|failure| {
            self.tool_error(&format!("the {} failed: {}", tool.name(), failure.detail))
        })?;
        Ok((answer, snapshot))
    }

    async fn tool_endpoint(&self, tool: Tool) -> Result<HttpUrl, Error> {
        let renewal = self.renewal();
        let credential = renewal.credentials.now();
        let request = &credential.request;
        let named = match tool {
            Tool::Introspection => &request.at.introspection_endpoint,
            Tool::Revocation => &request.at.revocation_endpoint,
        };
        if let Some(named) = named {
            return Ok((**named).clone());
        }
        renewal.discovers(&credential).await?;
        let metadata = renewal.metadata.metadata();
        let mtls = request.client.shows_certificate();
        let found = metadata.as_ref().and_then(|metadata| match tool {
            Tool::Introspection => metadata.introspection_endpoint(mtls),
            Tool::Revocation => metadata.revocation_endpoint(mtls),
        });
        found.cloned().ok_or_else(|| {
            self.tool_error(&format!(
                "there is no {}: set `{}` on the credentials",
                tool.name(),
                tool.setting()
            ))
        })
    }

    fn tool_error(&self, problem: &str) -> Error {
        Error::tool(self.renewal().name.clone(), problem.to_owned())
    }
}

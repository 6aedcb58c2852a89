//! The issuer's metadata (RFC 8414), asked for before anything is spent, and kept for a while.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderValue, Request};

use super::credential::Credential;
use super::exchange::exchange;
use super::found::Known;
use super::means::Renewal;
use crate::error::Error;
use crate::wire::metadata::{self, Metadata};
use crate::wire::request::TokenEndpoint;
use crate::wire::well_known::{Discovery, Issuer};

impl Renewal {
    /// Sees to it that there is metadata, if the token endpoint is taken from it. `true` if it took time.
    ///
    /// What was found before is used when it cannot be had anew.
    pub(crate) async fn discovers(&self, credential: &Credential) -> Result<bool, Error> {
        let at = &credential.request.at;
        let (TokenEndpoint::Discovered(document), Some(issuer)) = (&at.token_endpoint, &at.issuer)
        else {
            return Ok(false);
        };
        let now = self.clock.now();
        match self.metadata.known(now.boot) {
            Known::Metadata(metadata) => {
                return self.suits(credential, &metadata).map(|()| false);
            }
            Known::Failed(problem, left) => {
                return Err(Error::discovery(self.name.clone(), problem, Some(now.wall + left)));
            }
            Known::Nothing => {}
        }
        let fetched = self.fetch(*document, issuer).await;
        let now = self.clock.now();
        match fetched {
            Ok((metadata, lifetime)) => {
                let metadata = Arc::new(metadata);
                self.metadata.found(&metadata, now.boot + lifetime);
                for doubt in metadata.doubts(&credential.request.asked()) {
                    tracing::warn!(credential = %self.name, "{doubt}");
                }
                self.suits(credential, &metadata).map(|()| true)
            }
            Err(problem) => {
                let (pause, has_old) = self.metadata.failed(&problem, now.boot);
                if !has_old {
                    let at = Some(now.wall + pause);
                    return Err(Error::discovery(self.name.clone(), problem, at));
                }
                tracing::warn!(credential = %self.name, problem, "the metadata that was found before is used");
                Ok(true)
            }
        }
    }

    /// The metadata and how long to keep it, or what is wrong, with the URL.
    async fn fetch(
        &self,
        document: Discovery,
        issuer: &Issuer,
    ) -> Result<(Metadata, Duration), String> {
        let url = issuer.url(document);
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = url.clone();
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let begun = self.take_step().boot;
        let answer = exchange(&*self.transport, request, &*self.clock, begun, self.deadline).await;
        self.take_step();
        let read = match answer {
            Ok(response) => metadata::read(&response, issuer, self.insecure_loopback)
                .map(|metadata| (metadata, metadata::lifetime(response.headers()))),
            Err(failure) => Err(failure.detail),
        };
        read.map_err(|problem| {
            format!("the issuer's metadata at {url} cannot be used: {problem}; nothing was spent")
        })
    }

    /// Whether the issuer takes what this client would send.
    fn suits(&self, credential: &Credential, metadata: &Metadata) -> Result<(), Error> {
        match metadata.refuses(&credential.request.asked()) {
            None => Ok(()),
            Some(problem) => {
                let issuer = credential.request.at.name();
                let problem = format!("{problem} in its metadata ({issuer}); nothing was spent");
                Err(Error::discovery(self.name.clone(), problem, None))
            }
        }
    }
}

//! Demonstrating proof of possession (RFC 9449): a proof beside each token, and the nonces that servers ask for in it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::jose::proof::{htu, proof};
use crate::jose::{PublicJwk, SignError, Signer};
use crate::sync::Published;

/// The header that carries the proof (RFC 9449 §4.1).
pub(crate) const PROOF: HeaderName = HeaderName::from_static("dpop");

/// The header that carries a server's nonce (RFC 9449 §8).
pub(crate) const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// No server's nonce is longer.
pub(super) const LONGEST_NONCE: usize = 1024;

/// The key that tokens are bound to, and the last nonce of each server.
pub(crate) struct Dpop {
    signer: Arc<dyn Signer>,
    jwk: PublicJwk,
    thumbprint: String,
    issuer: Published<String>,
    /// Of the credential's origins, in their order. Published by a swap; nothing else is synchronised through it, and of two
    /// nonces that come at a time either may stay.
    origins: Box<[Published<String>]>,
}

impl Dpop {
    /// `None` if the signer does not tell its public key.
    pub(crate) fn new(signer: Arc<dyn Signer>) -> Option<Self> {
        let jwk = signer.public_jwk()?;
        let thumbprint = jwk.thumbprint();
        Some(Self { signer, jwk, thumbprint, issuer: Published::empty(), origins: Box::default() })
    }

    /// With room for a nonce of each of so many origins.
    pub(crate) fn with_origins(mut self, count: usize) -> Self {
        self.origins = (0..count).map(|_| Published::empty()).collect();
        self
    }

    pub(crate) fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    pub(crate) fn algorithm(&self) -> &str {
        self.signer.algorithm()
    }

    /// The proof for a token request (RFC 9449 §5).
    pub(crate) fn for_issuer(
        &self,
        endpoint: &Uri,
        now: Timestamp,
    ) -> Result<HeaderValue, SignError> {
        let (scheme, authority) = (endpoint.scheme_str(), endpoint.authority());
        let authority = authority.map_or("", |authority| authority.as_str());
        let target = htu(scheme.unwrap_or("https"), authority, endpoint.path());
        let nonce = self.issuer.load_full();
        let nonce = nonce.as_ref().map(|nonce| nonce.as_str());
        self.prove(&Method::POST, &target, now, None, nonce)
    }

    /// The proof for a request to an API, beside this token (RFC 9449 §7). `origin` is its number among the credential's.
    pub(crate) fn for_api(
        &self,
        method: &Method,
        destination: &Destination<'_>,
        token: &str,
        now: Timestamp,
    ) -> Result<HeaderValue, SignError> {
        let target = htu(destination.scheme, destination.authority, destination.path);
        let nonce = self.origins.get(destination.origin).and_then(Published::load_full);
        let nonce = nonce.as_ref().map(|nonce| nonce.as_str());
        self.prove(method, &target, now, Some(token), nonce)
    }

    fn prove(
        &self,
        method: &Method,
        htu: &str,
        now: Timestamp,
        token: Option<&str>,
        nonce: Option<&str>,
    ) -> Result<HeaderValue, SignError> {
        let signer = &*self.signer;
        let proof = proof(signer, &self.jwk, method.as_str(), htu, now, token, nonce)?;
        // Whoever holds a proof can replay it to a server that keeps no list: it is shown no more than a token is.
        let text = Zeroizing::new(proof.as_bytes().to_vec());
        let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
            .expect("base64 and full stops are visible ASCII");
        header.set_sensitive(true);
        Ok(header)
    }

    /// Keeps the issuer's nonce for the next proof.
    pub(crate) fn heed_issuer(&self, nonce: String) {
        self.issuer.store(Some(Arc::new(nonce)));
    }

    /// Keeps the nonce of an answer of the API, if it has one (RFC 9449 §9); whether it has.
    pub(crate) fn heed_api(&self, origin: usize, headers: &HeaderMap) -> bool {
        let (Some(nonce), Some(kept)) = (nonce(headers), self.origins.get(origin)) else {
            return false;
        };
        // Most answers repeat the last one.
        if kept.load().as_ref().is_none_or(|kept| kept.as_str() != nonce) {
            kept.store(Some(Arc::new(nonce.to_owned())));
        }
        true
    }
}

impl fmt::Debug for Dpop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dpop({} {})", self.algorithm(), self.thumbprint)
    }
}

/// Where a request to an API goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination<'a> {
    /// The number of its origin among the credential's.
    pub(crate) origin: usize,
    pub(crate) scheme: &'a str,
    pub(crate) authority: &'a str,
    pub(crate) path: &'a str,
}

/// The nonce of an answer: 1*NQCHAR (RFC 9449 §8.1), and one only.
pub(crate) fn nonce(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(NONCE).iter();
    let nonce = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    // %x21 / %x23-5B / %x5D-7E
    let legal = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    (!nonce.is_empty() && nonce.len() <= LONGEST_NONCE && nonce.bytes().all(legal)).then_some(nonce)
}

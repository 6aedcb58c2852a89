//! Tokens that are bound to the client's certificate (RFC 8705 §3).

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::claims::Confirmation;

/// The certificate that the client has shown in the handshake of this connection, in DER. Whoever accepts TLS puts it into the
/// extensions of each request.
///
/// TLS that ends before this process shows no certificate here. One that a proxy hands on in a header is worth as much as the
/// proxy's care to strip that header from what clients send.
#[derive(Clone)]
pub struct PeerCertificate {
    der: Arc<[u8]>,
    thumbprint: Arc<str>,
}

impl PeerCertificate {
    /// Hashes the certificate, so once for a connection is best.
    pub fn new(der: impl Into<Arc<[u8]>>) -> Self {
        let der = der.into();
        let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(&der)).into();
        Self { der, thumbprint }
    }

    /// The certificate.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its SHA-256 in base64url: the `x5t#S256` of the tokens that are bound to it (RFC 8705 §3.1).
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Whether the holder of this certificate may use a token that is bound like this (RFC 8705 §3).
    ///
    /// # Errors
    ///
    /// When the token is bound to a certificate and the connection has none, or another one.
    pub(crate) fn check(
        certificate: Option<&Self>,
        bound_to: &Confirmation,
    ) -> Result<(), CertificateError> {
        let Some(expected) = &bound_to.x5t_s256 else { return Ok(()) };
        let certificate = certificate.ok_or(CertificateError::Missing)?;
        let is_same = certificate.thumbprint.as_bytes().ct_eq(expected.as_bytes());
        if bool::from(is_same) { Ok(()) } else { Err(CertificateError::Other) }
    }
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCertificate")
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}

/// Why a token that is bound to a certificate does not count on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CertificateError {
    /// The client has shown none.
    Missing,
    /// The token is bound to another one.
    Other,
}

impl CertificateError {
    /// For the answer, which says no more than the client knows.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Missing => "the token is bound to a certificate, and this connection has none",
            Self::Other => "the token is bound to another certificate than this connection's",
        }
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl StdError for CertificateError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(thumbprint: &str) -> Confirmation {
        Confirmation { x5t_s256: Some(thumbprint.to_owned()), ..Confirmation::default() }
    }

    #[test]
    fn a_bound_token_counts_with_its_certificate_alone() {
        let own = PeerCertificate::new(*b"own");
        let other = PeerCertificate::new(*b"other");
        let token = bound(own.thumbprint());
        assert_eq!(PeerCertificate::check(Some(&own), &token), Ok(()));
        assert_eq!(PeerCertificate::check(Some(&other), &token), Err(CertificateError::Other));
        assert_eq!(PeerCertificate::check(None, &token), Err(CertificateError::Missing));
        for wrong in ["", &own.thumbprint()[..42], &format!("{}=", own.thumbprint())] {
            let token = bound(wrong);
            assert_eq!(PeerCertificate::check(Some(&own), &token), Err(CertificateError::Other));
        }
    }

    #[test]
    fn a_token_that_is_not_bound_counts_on_every_connection() {
        let token = Confirmation::default();
        assert_eq!(PeerCertificate::check(None, &token), Ok(()));
        assert_eq!(PeerCertificate::check(Some(&PeerCertificate::new(*b"own")), &token), Ok(()));
    }

    #[test]
    fn the_thumbprint_is_the_sha_256_in_base64url() {
        let certificate = PeerCertificate::new(*b"abc");
        assert_eq!(certificate.thumbprint(), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
        assert_eq!(certificate.der(), b"abc");
        assert!(format!("{certificate:?}").contains("ungWv48B"));
    }
}

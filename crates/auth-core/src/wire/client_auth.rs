//! How the client shows the issuer who it is (RFC 6749 §2.3). Chosen by the user and never probed: a wrong guess costs a
//! token request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

/// Everything but the unreserved characters of RFC 3986, so that a space is `%20` and a plus sign `%2B`.
pub(super) const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How the client shows the issuer who it is: the methods of RFC 6749 §2.3, OpenID Connect Core §9 and RFC 8705 §2.
///
/// Which one an issuer takes stands in its documents, or in its metadata under `token_endpoint_auth_methods_supported`
/// (RFC 8414 §2), which is honoured where [`discover`](crate::ClientCredentials::discover) is used.
///
/// # Defaults
///
/// [`ClientAuth::Post`] with a secret, [`ClientAuth::PrivateKeyJwt`] with a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientAuth {
    /// `client_secret_post`: as form fields, in a form (RFC 6749 §2.3.1).
    #[default]
    Post,
    /// `client_secret_post` in a JSON object, as Auth0 and many APIs' own documents show it. Not in any RFC.
    PostJson,
    /// `client_secret_basic`: percent-encoded and in an `Authorization: Basic` header (RFC 6749 §2.3.1). A space becomes
    /// `%20`, which decodes alike by both readings of that section; `+` would not.
    Basic,
    /// As [`Basic`](Self::Basic) without the percent-encoding, for issuers that do not decode.
    BasicRaw,
    /// `client_secret_jwt`: an assertion under the secret, by HMAC with SHA-256 (RFC 7523 §2.2, OpenID Connect Core §9). The
    /// secret itself is not sent.
    SecretJwt,
    /// `private_key_jwt`: an assertion under a private key (RFC 7523 §2.2, OpenID Connect Core §9).
    PrivateKeyJwt,
    /// `tls_client_auth`: by the client certificate of the connection, whose authority the issuer trusts (RFC 8705 §2.1).
    TlsClientAuth,
    /// `self_signed_tls_client_auth`: by the client certificate of the connection, which the issuer knows (RFC 8705 §2.2).
    SelfSignedTlsClientAuth,
    /// `none`: the client says who it is, and proves nothing (RFC 6749 §2.1, a public client).
    None,
}

impl ClientAuth {
    /// A name that tells the ways of sending apart, in the identity of a cached token and in a hold.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PostJson => "client_secret_post+json",
            Self::BasicRaw => "client_secret_basic+raw",
            _ => self.method(),
        }
    }

    /// As it is registered (RFC 7591 §2, RFC 8705 §2), for an issuer's metadata.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Post | Self::PostJson => "client_secret_post",
            Self::Basic | Self::BasicRaw => "client_secret_basic",
            Self::SecretJwt => "client_secret_jwt",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
            Self::None => "none",
        }
    }

    /// Whether there must be a secret.
    pub(crate) fn takes_secret(self) -> bool {
        matches!(self, Self::Post | Self::PostJson | Self::Basic | Self::BasicRaw | Self::SecretJwt)
    }

    /// Whether there must be a private key.
    pub(crate) fn takes_key(self) -> bool {
        self == Self::PrivateKeyJwt
    }

    /// Whether it is the connection that shows who the client is.
    pub(crate) fn is_mtls(self) -> bool {
        matches!(self, Self::TlsClientAuth | Self::SelfSignedTlsClientAuth)
    }

    /// Whether an assertion stands in the body (RFC 7521 §4.2).
    pub(crate) fn asserts(self) -> bool {
        matches!(self, Self::SecretJwt | Self::PrivateKeyJwt)
    }

    /// Whether the client id stands in the body. It does in every way but Basic (RFC 8705 §2, RFC 6749 §3.2.1); with an
    /// assertion it may (RFC 7521 §4.2), and issuers need it to find the client before they read that.
    pub(crate) fn id_in_body(self) -> bool {
        !matches!(self, Self::Basic | Self::BasicRaw)
    }

    pub(crate) fn secret_in_body(self) -> bool {
        matches!(self, Self::Post | Self::PostJson)
    }

    /// The `Authorization` header of the token request, if this way has one.
    pub(crate) fn header(self, id: &str, secret: &str) -> Option<HeaderValue> {
        // Room from the start: a buffer that grows leaves copies of the secret behind. Encoding makes at most three of one.
        let mut pair = Zeroizing::new(String::with_capacity(3 * (id.len() + secret.len()) + 1));
        match self {
            Self::Basic => {
                pair.extend(utf8_percent_encode(id, RESERVED));
                pair.push(':');
                pair.extend(utf8_percent_encode(secret, RESERVED));
            }
            Self::BasicRaw => pair.extend([id, ":", secret]),
            _ => return None,
        }
        let mut text = String::with_capacity("Basic ".len() + pair.len().div_ceil(3) * 4);
        text.push_str("Basic ");
        STANDARD.encode_string(&*pair, &mut text);
        let text = Zeroizing::new(text.into_bytes());
        let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
            .expect("base64 is visible ASCII");
        header.set_sensitive(true);
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(auth: ClientAuth, id: &str, secret: &str) -> String {
        let header = auth.header(id, secret).unwrap();
        assert!(header.is_sensitive());
        let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
    }

    #[test]
    fn basic_is_percent_encoded_and_never_has_a_plus() {
        assert_eq!(sent(ClientAuth::Basic, "a b", "c+d:é~"), "a%20b:c%2Bd%3A%C3%A9~");
    }

    #[test]
    fn raw_is_as_it_stands() {
        assert_eq!(sent(ClientAuth::BasicRaw, "id", "c+d e"), "id:c+d e");
    }
}

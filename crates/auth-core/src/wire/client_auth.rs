//! How the client shows the issuer who it is (RFC 6749 §2.3). Chosen by the user and never probed: a wrong guess costs a
//! token request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

/// Everything but the unreserved characters of RFC 3986, so that a space is `%20` and a plus sign `%2B`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How the client id and the secret are sent.
///
/// # Defaults
///
/// [`ClientAuth::Post`].
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
}

impl ClientAuth {
    /// A name that tells the ways of sending apart, in the identity of a cached token and in a hold.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Post => "client_secret_post",
            Self::PostJson => "client_secret_post+json",
            Self::Basic => "client_secret_basic",
            Self::BasicRaw => "client_secret_basic+raw",
        }
    }

    pub(crate) fn in_body(self) -> bool {
        matches!(self, Self::Post | Self::PostJson)
    }

    /// The `Authorization` header of the token request, if this way has one.
    pub(crate) fn header(self, id: &str, secret: &str) -> Option<HeaderValue> {
        // Room from the start: a buffer that grows leaves copies of the secret behind. Encoding makes at most three of one.
        let mut pair = Zeroizing::new(String::with_capacity(3 * (id.len() + secret.len()) + 1));
        match self {
            Self::Post | Self::PostJson => return None,
            Self::Basic => {
                pair.extend(utf8_percent_encode(id, RESERVED));
                pair.push(':');
                pair.extend(utf8_percent_encode(secret, RESERVED));
            }
            Self::BasicRaw => pair.extend([id, ":", secret]),
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

//! `client_secret_basic`: the client's credentials in the `Authorization` header (RFC 6749 §2.3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;
use secrecy::SecretString;

use super::answer::Refusal;

/// The id and the secret of the header; `None` if there is no such header.
///
/// # Errors
///
/// When the header is of another scheme, is there twice, or is malformed.
pub(super) fn credentials(headers: &HeaderMap) -> Result<Option<(String, SecretString)>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::InvalidRequest("more than one Authorization header"));
    }
    parse(value).map(Some).ok_or(Refusal::InvalidClient { by_header: true })
}

fn parse(value: &HeaderValue) -> Option<(String, SecretString)> {
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    // Both halves were encoded before they were joined, so that the first colon is the separator.
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?.into()))
}

/// Undoes `application/x-www-form-urlencoded`, where a space is a plus sign.
fn form_decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn parsed(text: &str) -> Option<(String, String)> {
        let value = format!("Basic {}", STANDARD.encode(text));
        let (id, secret) = parse(&HeaderValue::try_from(value).unwrap())?;
        Some((id, secret.expose_secret().to_owned()))
    }

    #[test]
    fn both_halves_are_form_decoded() {
        assert_eq!(parsed("a%3Ab:c+d%2Be"), Some(("a:b".into(), "c d+e".into())));
        assert_eq!(parsed("id:a:b"), Some(("id".into(), "a:b".into())));
    }

    #[test]
    fn what_is_not_basic_is_refused() {
        assert_eq!(parsed("no colon"), None);
        assert_eq!(parsed("id:%FF"), None);
        for value in ["Basic", "Basic ???", "Bearer aWQ6c2VjcmV0"] {
            assert!(parse(&HeaderValue::from_static(value)).is_none());
        }
    }
}

//! What a request shows: the credential in its `Authorization` field (RFC 9110 §11.6.2), read and not yet judged.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// A request's credential. It borrows from the header, and does not print.
#[derive(Clone)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(crate) enum Presented<'a> {
    /// None, or one of a scheme that this server does not know, which is the same to it (RFC 6750 §3.1).
    Nothing,
    /// `Bearer`: an access token (RFC 6750 §2.1), or a legacy key in its place.
    Bearer(&'a str),
    /// `DPoP`: an access token that a proof has to be shown with (RFC 9449 §7.1).
    Dpop(&'a str),
    /// `Token token="…"`: a legacy key.
    Key(Cow<'a, str>),
}

/// The scheme that a token came with, and that a refusal names in its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 6750.
    #[default]
    Bearer,
    /// RFC 9449.
    Dpop,
}

impl<'a> Presented<'a> {
    /// Reads the credential of a request with these headers and this query.
    ///
    /// Schemes have no case (RFC 9110 §11.1). A token in the query (RFC 6750 §2.3) is not looked at: it stands in logs. Beside
    /// an `Authorization` field it is a second credential.
    ///
    /// # Errors
    ///
    /// When there are several, or one that is none by its grammar. The error quotes nothing.
    pub(crate) fn read(headers: &'a HeaderMap, query: Option<&str>) -> Result<Self, PresentError> {
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let Some(field) = fields.next() else { return Ok(Self::Nothing) };
        if fields.next().is_some() || query.is_some_and(has_token) {
            return Err(PresentError::Several);
        }
        let field = field.as_bytes();
        let (scheme, rest) = match field.iter().position(|byte| *byte == b' ') {
            Some(space) => field.split_at(space),
            None => (field, &b""[..]),
        };
        let is = |name: &[u8]| scheme.eq_ignore_ascii_case(name);
        // One space or more (RFC 9110 §11.4).
        let rest = rest.trim_ascii_start();
        let (read, scheme) = if is(b"Bearer") {
            (b64token(rest).map(Self::Bearer), Scheme::Bearer)
        } else if is(b"DPoP") {
            (b64token(rest).map(Self::Dpop), Scheme::Dpop)
        } else if is(b"Token") {
            (key(rest).map(Self::Key), Scheme::Bearer)
        } else {
            (Some(Self::Nothing).filter(|_| !is_list(field)), Scheme::Bearer)
        };
        // What fits one scheme's grammar to the end is not looked through for others.
        read.ok_or_else(|| match is_list(field) {
            true => PresentError::Several,
            false => PresentError::Malformed(scheme),
        })
    }

    /// The scheme to refuse it by.
    pub(crate) fn scheme(&self) -> Scheme {
        if matches!(self, Self::Dpop(_)) { Scheme::Dpop } else { Scheme::Bearer }
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Bearer(_) => "Bearer(..)",
            Self::Dpop(_) => "Dpop(..)",
            Self::Key(_) => "Key(..)",
        })
    }
}

/// Why a request's credential cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PresentError {
    /// Two credentials, in two `Authorization` fields, in a list in one, or one there and a token in the query. Which of them
    /// counts, servers see differently (RFC 6750 §2).
    Several,
    /// It is not what its scheme has (RFC 6750 §2.1).
    Malformed(Scheme),
}

impl fmt::Display for PresentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Several => "the request has more than one credential",
            Self::Malformed(_) => "the credential has not the form that its scheme demands",
        })
    }
}

impl StdError for PresentError {}

/// `b64token` (RFC 6750 §2.1).
fn b64token(text: &[u8]) -> Option<&str> {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = &text[..text.len() - padding];
    // To the end, whatever comes: without a way out, the compiler takes many octets at a time.
    let has_other = digits.iter().fold(false, |other, octet| other | !is_digit68(*octet));
    if digits.is_empty() || has_other {
        return None;
    }
    str::from_utf8(text).ok()
}

/// A digit of `token68` (RFC 9110 §11.2). Without a branch.
fn is_digit68(octet: u8) -> bool {
    let within = |low: u8, high: u8| octet.wrapping_sub(low) <= high - low;
    // `-`, `.`, `/` and the decimal digits stand side by side.
    within(b'a', b'z')
        | within(b'A', b'Z')
        | within(b'-', b'9')
        | (octet == b'_')
        | (octet == b'~')
        | (octet == b'+')
}

/// `token="…"`, a parameter whose value may be a `token` or a `quoted-string` (RFC 9110 §11.2). There must be no other one.
fn key(text: &[u8]) -> Option<Cow<'_, str>> {
    let (name, value) = text.split_at(text.iter().position(|byte| *byte == b'=')?);
    if !name.trim_ascii_end().eq_ignore_ascii_case(b"token") {
        return None;
    }
    let value = value[1..].trim_ascii();
    let quoted = value.strip_prefix(b"\"").map(|rest| rest.strip_suffix(b"\""));
    let value = match quoted {
        None if value.iter().all(is_token) => value,
        None | Some(None) => return None,
        Some(Some(value)) => value,
    };
    if value.is_empty() || !value.iter().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return None;
    }
    let value = str::from_utf8(value).ok()?;
    if !value.contains(['"', '\\']) {
        return Some(Cow::Borrowed(value));
    }
    let mut key = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            // It ends the string, so something follows.
            '"' => return None,
            '\\' => key.push(characters.next()?),
            character => key.push(character),
        }
    }
    Some(Cow::Owned(key))
}

/// Whether a field has a second credential after a comma, as a proxy leaves it that makes one field of two (RFC 9110 §5.3). A
/// parameter of the first one has a name and a `=` instead of a scheme (§11.2).
fn is_list(field: &[u8]) -> bool {
    let (mut is_quoted, mut is_escaped) = (false, false);
    field.iter().enumerate().any(|(place, byte)| {
        let is_plain = !std::mem::take(&mut is_escaped);
        match byte {
            b'"' if is_plain => is_quoted = !is_quoted,
            b'\\' if is_plain && is_quoted => is_escaped = true,
            b',' if !is_quoted => return begins_credential(&field[place + 1..]),
            _ => {}
        }
        false
    })
}

/// Whether a scheme comes first (RFC 9110 §11.4).
fn begins_credential(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let name = text.iter().take_while(|byte| is_token(byte)).count();
    name > 0 && text[name..].trim_ascii_start().first() != Some(&b'=')
}

/// `tchar` (RFC 9110 §5.6.2).
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// Whether a query has a token in it, as an HTML form would write it.
fn has_token(query: &str) -> bool {
    // Names alone: to decode a value takes memory.
    query.split('&').any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        form_urlencoded::parse(name.as_bytes()).any(|(name, _)| name == "access_token")
    })
}

#[cfg(test)]
mod tests;

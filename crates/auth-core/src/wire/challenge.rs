//! `WWW-Authenticate`: the challenges of an answer (RFC 9110 §11.6.1), as bearer tokens (RFC 6750 §3) and DPoP
//! (RFC 9449 §7.1) use them.
//!
//! A comma too many is let pass, as its meaning is clear. What cannot be read ends its field line:
//! whatever stands before it counts, and so do the other lines.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// Longer field lines are nobody's.
const LONGEST_FIELD: usize = 8 * 1024;

/// Challenges beyond these are ignored.
const MOST_CHALLENGES: usize = 32;

/// One challenge. A `token68` is read over: none of the schemes that matter here has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// In lower case.
    pub(crate) scheme: String,
    /// Names in lower case, values without their quotes, in the order of the field.
    pub(crate) params: Vec<(String, String)>,
}

impl Challenge {
    /// The parameter of this name, which is in lower case. The first counts if there are several (RFC 9110 §11.2 forbids it).
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        let param = self.params.iter().find(|(known, _)| known == name);
        param.map(|(_, value)| value.as_str())
    }
}

/// The challenges of all lines of the field.
pub(crate) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    for line in headers.get_all(WWW_AUTHENTICATE) {
        read_line(line.as_bytes(), &mut challenges);
    }
    challenges
}

/// The challenges of one line of the field, which may hold what no header value can.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn parse(line: &[u8]) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    read_line(line, &mut challenges);
    challenges
}

/// Whether a `DPoP` challenge says that the proof is not right, rather than the token (RFC 9449 §7.1 and §9).
pub(crate) fn is_about_proof(headers: &HeaderMap) -> bool {
    let about = |challenge: &Challenge| {
        let code = challenge.param("error");
        challenge.scheme == "dpop" && matches!(code, Some("invalid_dpop_proof" | "use_dpop_nonce"))
    };
    challenges(headers).iter().any(about)
}

/// Whether the server wants a DPoP proof with the nonce that it sends along (RFC 9449 §9).
pub(crate) fn wants_dpop_nonce(headers: &HeaderMap) -> bool {
    let wants = |challenge: &Challenge| {
        challenge.scheme == "dpop" && challenge.param("error") == Some("use_dpop_nonce")
    };
    challenges(headers).iter().any(wants)
}

fn read_line(line: &[u8], challenges: &mut Vec<Challenge>) {
    if line.len() <= LONGEST_FIELD {
        // `None` says that the line ended early, which changes nothing: see above.
        let _ = read_challenges(&mut Cursor { rest: line }, challenges);
    }
}

/// A list whose elements are challenges, and in each a list of parameters with the same separator: an element that begins with
/// `name=` belongs to the challenge before it, and any other one begins a challenge.
fn read_challenges(cursor: &mut Cursor<'_>, challenges: &mut Vec<Challenge>) -> Option<()> {
    let before = challenges.len();
    // Whether a scheme has just been read, with more than a comma behind it: its first parameter stands in its own element.
    let mut after_scheme = false;
    loop {
        cursor.skip(is_separator);
        if cursor.rest.is_empty() {
            return Some(());
        }
        let name = lower(cursor.token()?);
        if cursor.is_before_equals() {
            let current = challenges.get_mut(before..)?.last_mut()?;
            current.params.push((name, cursor.value()?));
            after_scheme = false;
        } else {
            let is_scheme = !after_scheme && cursor.is_at_end_of_token();
            if !is_scheme || challenges.len() == MOST_CHALLENGES {
                return None;
            }
            challenges.push(Challenge { scheme: name, params: Vec::new() });
            cursor.skip_token68();
            after_scheme = !cursor.is_at_end_of_element();
        }
        if !after_scheme && !cursor.is_at_end_of_element() {
            return None;
        }
    }
}

/// What is left of a line.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn skip(&mut self, skips: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest;
        let length = rest.iter().position(|byte| !skips(*byte)).unwrap_or(rest.len());
        let (skipped, rest) = rest.split_at(length);
        self.rest = rest;
        skipped
    }

    /// `token` (RFC 9110 §5.6.2).
    fn token(&mut self) -> Option<&'a [u8]> {
        let token = self.skip(is_token);
        (!token.is_empty()).then_some(token)
    }

    /// `BWS "=" BWS ( token / quoted-string )` (RFC 9110 §11.2).
    fn value(&mut self) -> Option<String> {
        self.skip(is_space);
        self.rest = self.rest.strip_prefix(b"=")?;
        self.skip(is_space);
        if let Some(rest) = self.rest.strip_prefix(b"\"") {
            self.rest = rest;
            return self.quoted();
        }
        let value = self.token()?;
        // A URL without quotes, say: half of it would be another value.
        self.is_at_end_of_token().then(|| text(value))
    }

    /// The rest of a `quoted-string` (RFC 9110 §5.6.4), behind its first quote.
    fn quoted(&mut self) -> Option<String> {
        let mut value = Vec::new();
        let mut bytes = self.rest.iter().enumerate();
        while let Some((at, &byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(text(&value));
                }
                b'\\' => value.push(*bytes.next().filter(|(_, byte)| is_text(**byte))?.1),
                byte if is_text(byte) => value.push(byte),
                _ => return None,
            }
        }
        None
    }

    /// Reads over a `token68` (RFC 9110 §11.2), if one is all that stands before the next comma.
    fn skip_token68(&mut self) {
        let mut ahead = Self { rest: self.rest };
        ahead.skip(is_space);
        let is_some = !ahead.skip(is_token68).is_empty();
        ahead.skip(|byte| byte == b'=');
        if is_some && ahead.is_at_end_of_element() {
            self.rest = ahead.rest;
        }
    }

    fn is_before_equals(&self) -> bool {
        self.rest.iter().find(|byte| !is_space(**byte)) == Some(&b'=')
    }

    fn is_at_end_of_element(&self) -> bool {
        matches!(self.rest.iter().find(|byte| !is_space(**byte)), None | Some(b','))
    }

    fn is_at_end_of_token(&self) -> bool {
        self.rest.first().is_none_or(|byte| is_separator(*byte))
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_separator(byte: u8) -> bool {
    is_space(byte) || byte == b','
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte)
}

/// What may stand in quotes, the quote and the backslash aside.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lower(token: &[u8]) -> String {
    text(token).to_ascii_lowercase()
}

#[cfg(test)]
mod tests;

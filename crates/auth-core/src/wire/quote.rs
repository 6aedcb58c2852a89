//! What an issuer wrote, made safe to show: without secrets, without anything that acts on a terminal, and short.

mod view;

use std::collections::HashMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use form_urlencoded::byte_serialize;
use percent_encoding::percent_encode;
use zeroize::Zeroizing;

use self::view::View;
use super::client_auth::RESERVED;

/// So many characters are shown, and an ellipsis if there were more.
const LONGEST: usize = 256;

/// Stands in the place of a secret.
const REDACTED: &str = "[redacted]";

/// A part of a secret that is as long as this many bytes is as secret as the whole: the issuer may have cut it.
const PART: usize = 12;

/// A part of this many base64 characters tells a whole secret from the words of a sentence.
const BLOB: usize = 8;

/// What must not be shown: the secrets of a request, and the tokens of its answer.
#[derive(Default)]
pub(crate) struct Redactions(Vec<Zeroizing<String>>);

impl Redactions {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a secret as it stood in the request, or before it was encoded for it. An empty one is none.
    pub(crate) fn add(&mut self, secret: &str) {
        if !secret.is_empty() {
            self.0.push(Zeroizing::new(secret.to_owned()));
        }
    }

    /// These and one more.
    pub(crate) fn and(&self, secret: Option<&str>) -> Self {
        let mut all = Self(self.0.clone());
        all.add(secret.unwrap_or_default());
        all
    }

    /// The texts to look for in every view of a text. Percent-encoding, form-encoding and JSON's escapes are undone by the
    /// views; base64 cannot be, since nobody says where it begins.
    fn forms(&self) -> Vec<Form> {
        let mut forms = Vec::new();
        for secret in &self.0 {
            forms.push(Form { text: Zeroizing::new(secret.as_bytes().to_vec()), is_blob: false });
            let bytes = secret.as_bytes();
            let form = joined(bytes.len(), byte_serialize(bytes));
            // As in the `Basic` header, whose pair is percent-encoded before it is base64.
            let percent = joined(bytes.len(), percent_encode(bytes, RESERVED));
            for spelled in [bytes, &form, &percent] {
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    forms.extend((0..3).filter_map(|shift| blob(&engine, spelled, shift)));
                }
            }
        }
        forms
    }
}

impl fmt::Debug for Redactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactions(..)")
    }
}

/// Makes what an issuer wrote safe to show between quotation marks, in at most 256 characters and an ellipsis. Empty if there
/// is nothing that could be shown.
///
/// Whatever is secret goes first: [`Redactions`], however they are encoded, also in part; and what looks like a JWT. Then
/// control characters, escapes for terminals, line breaks, bidirectional overrides and whatever else does not print are
/// written as in a Rust literal.
pub(crate) fn quote(text: &str, secrets: &Redactions) -> String {
    let secret = secret_bytes(text, secrets);
    let mut shown = String::new();
    let (mut length, mut redacting) = (0, false);
    for (at, char) in text.char_indices() {
        let is_secret = secret[at..at + char.len_utf8()].contains(&true);
        let again = redacting && is_secret;
        redacting = is_secret;
        if again {
            continue;
        }
        // One piece is shown whole or not at all.
        let piece = if is_secret { REDACTED.to_owned() } else { escaped(char) };
        length += piece.chars().count();
        if length > LONGEST {
            shown.push('…');
            break;
        }
        shown.push_str(&piece);
    }
    // A secret that is a part of the mark itself, or of an escape.
    if secrets.0.iter().any(|secret| shown.contains(secret.as_str())) {
        return String::new();
    }
    shown
}

fn escaped(char: char) -> String {
    if char == '\'' { char.to_string() } else { char.escape_debug().collect() }
}

/// Which bytes of `text` belong to something secret.
fn secret_bytes(text: &str, secrets: &Redactions) -> Vec<bool> {
    let mut secret = vec![false; text.len()];
    jwts(text.as_bytes(), &mut secret);
    let forms = secrets.forms();
    let (long, short): (Vec<_>, Vec<_>) = forms.iter().partition(|form| form.text.len() >= PART);
    let mut parts = HashMap::new();
    for form in long {
        parts.extend(form.text.windows(PART).map(|part| (part, form.is_blob)));
    }
    for view in [View::plain(text), View::percent(text), View::form(text), View::json(text)] {
        view.mark(PART, |part| parts.get(part).copied(), &mut secret);
        for form in &short {
            let is_it = |part: &[u8]| (part == &**form.text).then_some(form.is_blob);
            view.mark(form.text.len(), is_it, &mut secret);
        }
    }
    secret
}

/// Marks what looks like a JWT: `eyJ…` and at least two more parts (RFC 7515 §3.1, RFC 7516 §3.1), or so much of it that the
/// rest may have been cut off.
fn jwts(text: &[u8], secret: &mut [bool]) {
    let mut at = 0;
    while let Some(found) = text[at..].windows(3).position(|part| part == b"eyJ") {
        let start = at + found;
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        let length = text[start..].iter().take_while(|byte| part(byte)).count();
        at = start + length;
        let dots = text[start..at].iter().filter(|byte| **byte == b'.').count();
        if dots >= 2 || length >= 16 {
            secret[start..at].fill(true);
        }
    }
}

/// A text to look for. A part of a blob makes all of the base64 around it secret.
struct Form {
    text: Zeroizing<Vec<u8>>,
    is_blob: bool,
}

/// What stands in every base64 text that holds `bytes` after `shift` others (of each three).
fn blob(engine: &impl Engine, bytes: &[u8], shift: usize) -> Option<Form> {
    let mut shifted = Zeroizing::new(Vec::with_capacity(shift + bytes.len()));
    shifted.resize(shift, 0);
    shifted.extend_from_slice(bytes);
    let mut text = String::with_capacity(shifted.len().div_ceil(3) * 4);
    engine.encode_string(&*shifted, &mut text);
    let text = Zeroizing::new(text.into_bytes());
    // The first and the last characters may hold bits of what stands around.
    let first = (shift * 8).div_ceil(6);
    let last = shifted.len() * 8 / 6;
    let core = text.get(first..last).unwrap_or_default();
    if shift == 0 && core.len() < BLOB {
        // Too short to be known in the middle of something else, but the whole of it can be.
        return Some(Form { text, is_blob: true });
    }
    let core = Zeroizing::new(core.to_vec());
    (core.len() >= BLOB).then_some(Form { text: core, is_blob: true })
}

/// Encoded text in one piece, without copies of it left behind: at most three bytes are made of one.
fn joined<'a>(length: usize, parts: impl Iterator<Item = &'a str>) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(3 * length));
    parts.for_each(|part| text.extend_from_slice(part.as_bytes()));
    text
}

#[cfg(test)]
mod tests;

//! A text as it reads when one way of encoding is undone, and where each of its bytes stands in the text.

use zeroize::Zeroizing;

pub(super) struct View {
    bytes: Zeroizing<Vec<u8>>,
    /// Where each byte stands; and, as the last one, the length of the text.
    places: Vec<usize>,
}

/// What an escape means, and how long it is.
type Undone = ([u8; 4], usize, usize);

impl View {
    pub(super) fn plain(text: &str) -> Self {
        Self::new(text, |_| None)
    }

    /// Percent-encoding undone (RFC 3986 §2.1).
    pub(super) fn percent(text: &str) -> Self {
        Self::new(text, octet)
    }

    /// Form-encoding undone: as percent-encoding, and `+` is a space.
    pub(super) fn form(text: &str) -> Self {
        Self::new(text, |rest| match rest.first() {
            Some(b'+') => Some(meaning(' ', 1)),
            _ => octet(rest),
        })
    }

    /// The escapes of JSON undone (RFC 8259 §7).
    pub(super) fn json(text: &str) -> Self {
        Self::new(text, escape)
    }

    fn new(text: &str, undo: impl Fn(&[u8]) -> Option<Undone>) -> Self {
        let text = text.as_bytes();
        // What is undone is never longer than it was, so that no copy is left behind by growth.
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
        let mut places = Vec::with_capacity(text.len() + 1);
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            let (undone, length, escape) = undo(&text[at..]).unwrap_or(([*byte, 0, 0, 0], 1, 1));
            bytes.extend_from_slice(&undone[..length]);
            places.extend(std::iter::repeat_n(at, length));
            at += escape;
        }
        places.push(text.len());
        Self { bytes, places }
    }

    /// Marks in the text what `known` says is secret, of all parts of this length: the part, or all of the base64 around it.
    pub(super) fn mark(
        &self,
        length: usize,
        known: impl Fn(&[u8]) -> Option<bool>,
        secret: &mut [bool],
    ) {
        let bytes = &self.bytes;
        let is_blob = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(*byte);
        let mut at = 0;
        while at + length <= bytes.len() {
            let (mut start, mut end) = (at, at + length);
            at = match known(&bytes[start..end]) {
                None => {
                    at += 1;
                    continue;
                }
                Some(false) => at + 1,
                Some(true) => {
                    start -= bytes[..start].iter().rev().take_while(is_blob).count();
                    end += bytes[end..].iter().take_while(|b| is_blob(b) || **b == b'=').count();
                    end
                }
            };
            secret[self.places[start]..self.places[end]].fill(true);
        }
    }
}

fn meaning(char: char, escape: usize) -> Undone {
    let mut bytes = [0; 4];
    let length = char.encode_utf8(&mut bytes).len();
    (bytes, length, escape)
}

/// `%2B`.
fn octet(rest: &[u8]) -> Option<Undone> {
    let digits = rest.strip_prefix(b"%")?.get(..2)?;
    Some(([u8::try_from(number(digits)?).ok()?, 0, 0, 0], 1, 3))
}

/// `\n` or `\u00e9`; two of the latter for a character beyond the first 65,536.
fn escape(rest: &[u8]) -> Option<Undone> {
    let after = rest.strip_prefix(b"\\")?;
    let char = match after.first()? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let high = number(after.get(1..5)?)?;
            if let Some(char) = char::from_u32(high) {
                return Some(meaning(char, 6));
            }
            let low = number(after.get(5..)?.strip_prefix(b"\\u")?.get(..4)?)?;
            let units = [high, low].map(|unit| u16::try_from(unit).unwrap_or_default());
            // A pair is one character; anything else begins with a half.
            let char = char::decode_utf16(units).next()?.ok()?;
            return Some(meaning(char, 12));
        }
        mark @ (b'"' | b'\\' | b'/') => char::from(*mark),
        _ => return None,
    };
    Some(meaning(char, 2))
}

fn number(digits: &[u8]) -> Option<u32> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

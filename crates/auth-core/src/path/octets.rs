//! A path's octets, and how each is spelled (RFC 3986 §2, §6.2.2).

use percent_encoding::percent_encode_byte;

/// The path with every octet as the canonical form has it.
pub(super) fn spelled(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for octet in Octets(path.as_bytes()) {
        match octet.encoding() {
            Some(encoding) => text.push_str(encoding),
            None => text.push(char::from(octet.byte)),
        }
    }
    text
}

/// Whether [`spelled`] would change nothing. Allocates nothing.
pub(super) fn is_canonical(path: &str) -> bool {
    let mut octets = Octets(path.as_bytes());
    loop {
        let before = octets.0;
        let Some(octet) = octets.next() else { return true };
        let length = before.len() - octets.0.len();
        let is_as_it_should_be = match octet.encoding() {
            Some(encoding) => &before[..length] == encoding.as_bytes(),
            None => length == 1,
        };
        if !is_as_it_should_be {
            return false;
        }
    }
}

/// A path's octets, each decoded once.
#[derive(Clone)]
pub(super) struct Octets<'a>(pub(super) &'a [u8]);

impl Octets<'_> {
    /// What a second decoding makes of the two that are next, after a percent sign.
    pub(super) fn again(&self) -> Option<u8> {
        let mut next = self.clone();
        Some(digit(next.next()?.byte)? << 4 | digit(next.next()?.byte)?)
    }
}

impl Iterator for Octets<'_> {
    type Item = Octet;

    fn next(&mut self) -> Option<Octet> {
        let (first, rest) = self.0.split_first()?;
        if let [b'%', high, low, rest @ ..] = self.0
            && let Some((high, low)) = digit(*high).zip(digit(*low))
        {
            self.0 = rest;
            return Some(Octet { byte: high << 4 | low, encoded: true });
        }
        self.0 = rest;
        Some(Octet { byte: *first, encoded: false })
    }
}

/// A percent sign that is not encoded begins no encoding.
#[derive(Clone, Copy)]
pub(super) struct Octet {
    pub(super) byte: u8,
    pub(super) encoded: bool,
}

impl Octet {
    /// Whether both mean the same. Of a character that cannot stand in a path, the encoding alone has a meaning: where it
    /// stands all the same, it is that one.
    pub(super) fn means(self, other: Self) -> bool {
        self.byte == other.byte
            && (self.encoded == other.encoded || !(is_reserved(self.byte) || self.byte == b'%'))
    }

    /// How it is encoded in the canonical form; `None` for the character itself.
    fn encoding(self) -> Option<&'static str> {
        let Self { byte, encoded } = self;
        let is_itself = match encoded {
            true => is_unreserved(byte),
            false => is_plain(&byte) || is_reserved(byte),
        };
        (!is_itself).then(|| percent_encode_byte(byte))
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// `unreserved` (RFC 3986 §2.3).
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// `reserved` (RFC 3986 §2.2).
fn is_reserved(byte: u8) -> bool {
    b":/?#[]@!$&'()*+,;=".contains(&byte)
}

/// `pchar` without the encoded ones (RFC 3986 §3.3).
pub(super) fn is_plain(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(byte)
}

//! What is below a path, and which paths have one meaning only (RFC 3986 §3.3, §6.2.2).
//!
//! Whoever chooses a credential by the path, and the server that gets the request, must read the same path. Servers differ:
//! some resolve dot segments before they decode and some after, some decode twice, some merge slashes, some take a backslash for
//! a slash, some cut off `;parameters`. A path that has none of this means the same to all of them.

mod octets;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_encode_byte;

use self::octets::{Octet, Octets, is_canonical, is_plain, is_unreserved, spelled};
use crate::error::ConfigError;

/// A path, and all that is below it.
///
/// Whole segments are compared, with regard to case. A percent-encoded unreserved character is the character itself
/// (RFC 3986 §2.3, §6.2.2.2); of other encodings the case of the digits does not matter (§6.2.2.1). An encoded reserved
/// character is not the character (§2.2). A slash at the end means the same as none.
///
/// ```
/// use auth_core::PathPrefix;
///
/// let prefix: PathPrefix = "/v1/".parse()?;
/// assert!(prefix.covers("/v1") && prefix.covers("/v1/orders") && prefix.covers("/%76%31/orders"));
/// assert!(!prefix.covers("/v10") && !prefix.covers("/V1"));
/// assert!(PathPrefix::check("/v1/../v2").is_err());
/// # Ok::<_, auth_core::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PathPrefix {
    /// In its canonical form, without the slash at the end: empty for `/`.
    text: Box<str>,
}

impl PathPrefix {
    /// Refuses a path that servers are known to read in different ways. Allocates nothing.
    ///
    /// The path is one of a request, without the query. No path at all is `/` (RFC 9110 §4.2.3), and `*` stands for the whole
    /// server (RFC 9112 §3.2.4).
    ///
    /// # Errors
    ///
    /// A path that does not begin with `/`, or that has one of these in it:
    ///
    /// - a dot segment (RFC 3986 §3.3): `.` or `..`, plain or encoded, also with parameters as in `..;x`;
    /// - an empty segment, as in `//v1`, also with parameters as in `/;x/v1`; one slash at the end is none;
    /// - an encoded slash, or a backslash, plain or encoded;
    /// - a percent sign without two hexadecimal digits (§2.1);
    /// - a control character, plain or encoded;
    /// - a space or a character that is not ASCII, unless it is encoded;
    /// - an ASCII character in an overlong encoding of UTF-8 (RFC 3629 §10), as in `%c0%af`;
    /// - a query or a fragment;
    /// - an unreserved character, a percent sign, or one of the encodings above, encoded twice or more (RFC 3986 §2.4), as in
    ///   `%252f`.
    pub fn check(path: &str) -> Result<(), AmbiguousPath> {
        let rest = match path.as_bytes() {
            [] | b"*" => return Ok(()),
            [b'/', rest @ ..] => rest,
            _ => return Err(AmbiguousPath(Kind::NotAbsolute)),
        };
        let mut has_no_name = false;
        for segment in rest.split(|byte| *byte == b'/') {
            if has_no_name {
                return Err(AmbiguousPath(Kind::EmptySegment));
            }
            let first = segment.first();
            has_no_name = match first {
                Some(first) if !b".;".contains(first) && segment.iter().all(is_plain) => false,
                _ => check_segment(segment).map_err(AmbiguousPath)?,
            };
        }
        Ok(())
    }

    /// The path in its canonical form, as [`as_str`](Self::as_str) has it (RFC 3986 §6.2.2): two paths mean the same if theirs is
    /// the same. Allocates nothing where it is canonical already.
    ///
    /// A character that cannot stand in a path is encoded, unless it is a reserved one, whose encoding means something else
    /// (§2.2). No path at all is `/`, and `*` stays as it is.
    ///
    /// ```
    /// use auth_core::PathPrefix;
    ///
    /// assert_eq!(PathPrefix::canonical("/%76%31/a%c3%a9/")?, "/v1/a%C3%A9");
    /// # Ok::<_, auth_core::AmbiguousPath>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A path that [`PathPrefix::check`] refuses.
    pub fn canonical(path: &str) -> Result<Cow<'_, str>, AmbiguousPath> {
        Self::check(path)?;
        let path = match path.strip_suffix('/').unwrap_or(path) {
            "" => "/",
            path => path,
        };
        if is_canonical(path) { Ok(Cow::Borrowed(path)) } else { Ok(Cow::Owned(spelled(path))) }
    }

    /// Whether `path` is this path or below it. Allocates nothing.
    ///
    /// The answer counts for a path that [`PathPrefix::check`] lets pass: others may mean something else to the server. No path
    /// at all is `/`. `*` is covered by `/` alone.
    #[inline]
    pub fn covers(&self, path: &str) -> bool {
        match path.as_bytes().strip_prefix(self.text.as_bytes()) {
            Some([] | [b'/', ..]) => true,
            // Another spelling of it, most often none.
            _ => self.covers_spelled(path),
        }
    }

    #[inline(never)]
    fn covers_spelled(&self, path: &str) -> bool {
        let mut theirs = Octets(path.as_bytes());
        Octets(self.text.as_bytes()).all(|own| theirs.next().is_some_and(|byte| own.means(byte)))
            && (matches!(theirs.0, [] | [b'/', ..]) || (self.is_root() && path == "*"))
    }

    /// Whether a server may take `path` for this path or one below it: one that does not tell upper case from lower, or that cuts
    /// parameters off segments (`/v1;x`).
    pub(crate) fn may_cover(&self, path: &str) -> bool {
        let mut theirs = path.split('/').skip(1);
        let mut own = self.text.split('/').skip(1);
        own.all(|own| {
            let their = theirs.next().unwrap_or_default();
            let names = [own, their].map(|segment| {
                let octets =
                    Octets(segment.as_bytes()).map(|octet| octet.byte.to_ascii_lowercase());
                octets.take_while(|byte| !b";?#".contains(byte))
            });
            let [own, their] = names;
            own.eq(their)
        })
    }

    /// Whether all that `other` covers is covered by this one.
    pub(crate) fn covers_prefix(&self, other: &Self) -> bool {
        self.covers(other.as_str())
    }

    /// Whether it is `/`, which covers every path.
    pub fn is_root(&self) -> bool {
        self.text.is_empty()
    }

    /// The path in its canonical form: what needs no encoding is not encoded, the digits of other encodings are in upper case,
    /// and there is no slash at the end.
    pub fn as_str(&self) -> &str {
        if self.is_root() { "/" } else { &self.text }
    }
}

impl FromStr for PathPrefix {
    type Err = ConfigError;

    /// From an absolute path, such as `/v1`. A path that [`PathPrefix::check`] refuses is none, nor one with a character that a
    /// URL has only in an encoding (RFC 3986 §3.3).
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let fail = |problem: String| Err(ConfigError::new("path", problem));
        if text.is_empty() {
            return fail("is empty; write `/` for all paths".to_owned());
        }
        if text.contains("://") && !text.starts_with('/') {
            return fail("is a URL; write its path alone, such as `/v1`".to_owned());
        }
        if !text.starts_with('/') {
            return fail("does not begin with a slash; write `/v1`, not `v1`".to_owned());
        }
        if let Err(AmbiguousPath(kind)) = Self::check(text) {
            return fail(format!("has {}; {}", kind.what(), kind.instead()));
        }
        if text.ends_with("/*") {
            return fail(
                "ends in a wildcard; write `/v1`, not `/v1/*`: all that is below is covered"
                    .to_owned(),
            );
        }
        let bare = Octets(text.as_bytes())
            .find(|octet| !octet.encoded && octet.byte != b'/' && !is_plain(&octet.byte));
        if let Some(Octet { byte, .. }) = bare {
            return fail(format!(
                "has a character that cannot stand in a path (RFC 3986 §3.3); write `{}` in the place of `{}`",
                percent_encode_byte(byte),
                char::from(byte),
            ));
        }
        let mut canonical = spelled(text);
        if canonical.ends_with('/') {
            canonical.pop();
        }
        Ok(Self { text: canonical.into() })
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PathPrefix").field(&self.as_str()).finish()
    }
}

/// Why servers may read a path in different ways (RFC 3986 §6.2.2). It never quotes the path, which may have secrets in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmbiguousPath(Kind);

impl fmt::Display for AmbiguousPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the path has {}, which servers read in different ways", self.0.what())
    }
}

impl StdError for AmbiguousPath {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    NotAbsolute,
    DotSegment,
    EmptySegment,
    EncodedSlash,
    Backslash,
    Malformed,
    Control,
    Unencoded,
    Overlong,
    Query,
    EncodedTwice,
}

impl Kind {
    /// What the path has.
    fn what(self) -> &'static str {
        match self {
            Self::NotAbsolute => "no slash at its beginning",
            Self::DotSegment => "a segment `.` or `..` in it, plain, encoded or with parameters",
            Self::EmptySegment => {
                "an empty segment in it: two slashes, or parameters alone between them"
            }
            Self::EncodedSlash => "an encoded slash (`%2F`) in it",
            Self::Backslash => "a backslash in it, plain or encoded (`%5C`)",
            Self::Malformed => "a percent sign without two hexadecimal digits in it",
            Self::Control => "a control character in it, plain or encoded",
            Self::Unencoded => "a space or a character that is not ASCII in it",
            Self::Overlong => "a character in an overlong encoding of UTF-8 in it",
            Self::Query => "a query (`?…`) or a fragment (`#…`) in it",
            Self::EncodedTwice => "a character in it that is encoded twice",
        }
    }

    /// What to write in a prefix.
    fn instead(self) -> &'static str {
        match self {
            Self::NotAbsolute => "write `/v1`, not `v1`",
            Self::DotSegment => "write the path that it leads to",
            Self::EmptySegment => "write one slash",
            Self::EncodedSlash => "write the path above that segment, which covers it",
            Self::Backslash => "write `/` if it stands for one",
            Self::Malformed => "write `%25` for the percent sign",
            Self::Control => "write the path without it",
            Self::Unencoded => {
                "write `%20` for a space, and the encoded UTF-8 of others, such as `%C3%A9` for é"
            }
            Self::Overlong => "write the character itself",
            Self::Query => "write the path alone",
            Self::EncodedTwice => "write the character itself, or encode it once",
        }
    }
}

/// Whether the segment has no name: nothing in it but parameters.
fn check_segment(segment: &[u8]) -> Result<bool, Kind> {
    let mut octets = Octets(segment);
    let mut before = 0;
    while let Some(Octet { byte, encoded }) = octets.next() {
        match (byte, encoded) {
            (b'%', false) => return Err(Kind::Malformed),
            (b'%', true) if octets.again().is_some_and(is_refused_again) => {
                return Err(Kind::EncodedTwice);
            }
            (b'/', _) => return Err(Kind::EncodedSlash),
            (b'\\', _) => return Err(Kind::Backslash),
            (0..=0x1f | 0x7f, _) => return Err(Kind::Control),
            (b' ' | 0x80.., false) => return Err(Kind::Unencoded),
            (b'?' | b'#', false) => return Err(Kind::Query),
            (b'%', true) if octets.again().is_some_and(|byte| is_overlong(before, byte)) => {
                return Err(Kind::Overlong);
            }
            _ if is_overlong(before, byte) => return Err(Kind::Overlong),
            _ => {}
        }
        before = byte;
    }

    let mut octets = Octets(segment);
    let mut dots = 0;
    // What the name ends with, now or after a second decoding.
    let end = loop {
        match octets.next().map(|octet| octet.byte) {
            Some(b'.') => dots += 1,
            Some(b'%') => break Some(octets.again().unwrap_or(b'%')),
            end => break end,
        }
    };
    match (dots, end) {
        // A question mark or a number sign ends the path where it is decoded before it is parsed.
        (1 | 2, None | Some(b';' | b'?' | b'#')) => Err(Kind::DotSegment),
        (0, end) => Ok(segment.is_empty() || end == Some(b';')),
        _ => Ok(false),
    }
}

/// Whether an octet must not come of a second decoding. Nothing that a third could begin with is left by the others, so this
/// is enough at any depth.
fn is_refused_again(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'%' | b'/' | b'\\' | 0..=0x1f | 0x7f)
        // Where an overlong encoding begins.
        || matches!(byte, 0xc0 | 0xc1 | 0xe0 | 0xf0)
}

/// Whether a character that needs fewer octets begins like this (RFC 3629 §3). Some decoders take `%c0%af` for a slash.
fn is_overlong(first: u8, second: u8) -> bool {
    matches!(
        (first, second),
        (0xc0 | 0xc1, 0x80..=0xbf) | (0xe0, 0x80..=0x9f) | (0xf0, 0x80..=0x8f)
    )
}

#[cfg(test)]
mod tests;

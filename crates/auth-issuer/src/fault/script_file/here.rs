//! The fields of a table, read with an eye on where they stand.

use std::time::Duration;

use http::HeaderValue;
use toml::Spanned;

use crate::fault::{ScriptError, status};

/// A field with its place in the file.
pub(super) type Field<T> = Option<Spanned<T>>;

/// The table that is read.
#[derive(Clone, Copy)]
pub(super) struct Here<'a> {
    pub(super) source: &'a str,
    /// Where the table begins, which is where a field is missing.
    pub(super) table: usize,
}

/// A time with a sign.
pub(super) enum Offset {
    Ahead(Duration),
    Behind(Duration),
}

impl Here<'_> {
    /// A problem with the field that stands at `place`, a number of bytes.
    pub(super) fn at(self, place: usize, field: &str, problem: impl Into<String>) -> ScriptError {
        ScriptError::new(line(self.source, place), Some(field.to_owned()), problem)
    }

    /// A problem with a field, or with its absence.
    pub(super) fn wrong<T>(
        self,
        name: &str,
        field: Option<&Spanned<T>>,
        problem: impl Into<String>,
    ) -> ScriptError {
        self.at(field.map_or(self.table, |field| field.span().start), name, problem)
    }

    pub(super) fn needed<'a, T>(
        self,
        name: &str,
        field: Option<&'a Spanned<T>>,
    ) -> Result<&'a T, ScriptError> {
        field.map(Spanned::get_ref).ok_or_else(|| self.wrong(name, field, "it is missing"))
    }

    pub(super) fn time(
        self,
        name: &str,
        field: Option<&Spanned<String>>,
    ) -> Result<Option<Duration>, ScriptError> {
        let Some(text) = field else { return Ok(None) };
        let wrong =
            || self.wrong(name, field, "a time such as 200ms, 30s, 15m, 2h or 7d is wanted");
        duration(text.get_ref()).map(Some).ok_or_else(wrong)
    }

    /// How wrong a clock is: `3m`, or `-90s`.
    pub(super) fn offset(self, field: Option<&Spanned<String>>) -> Result<Offset, ScriptError> {
        let text = self.needed("offset", field)?;
        let offset = match text.strip_prefix('-') {
            Some(behind) => duration(behind).map(Offset::Behind),
            None => duration(text).map(Offset::Ahead),
        };
        offset.ok_or_else(|| self.wrong("offset", field, "a time such as -90s is wanted"))
    }

    pub(super) fn status(
        self,
        field: Option<&Spanned<u16>>,
        default: Option<u16>,
    ) -> Result<u16, ScriptError> {
        let code = match (field, default) {
            (None, Some(default)) => default,
            _ => *self.needed("status", field)?,
        };
        let wrong = || self.wrong("status", field, "the status of an answer is from 200 to 999");
        status(code).map(|_| code).ok_or_else(wrong)
    }

    /// Text that can stand in a header.
    pub(super) fn header<'a>(
        self,
        name: &str,
        field: Option<&'a Spanned<String>>,
    ) -> Result<Option<&'a str>, ScriptError> {
        let Some(text) = field.map(|text| text.get_ref().as_str()) else { return Ok(None) };
        match HeaderValue::from_str(text) {
            Ok(_) => Ok(Some(text)),
            Err(_) => Err(self.wrong(name, field, "it cannot be sent in a header")),
        }
    }
}

/// What the parser has to say, with the line and, where there is one, the field.
pub(super) fn not_toml(source: &str, error: &toml::de::Error) -> ScriptError {
    let span = error.span().unwrap_or_default();
    let before = source.get(..span.start).unwrap_or(source);
    let begin = before.rfind('\n').map_or(0, |end| end + 1);
    let text = source.get(begin..).unwrap_or_default().lines().next().unwrap_or_default();
    let field = match text.split_once('=') {
        Some((name, _)) => Some(name.trim()),
        // The name of a table.
        None => source.get(span.clone()).filter(|name| text.starts_with('[') && is_bare(name)),
    };
    let field = field.map(str::to_owned);
    ScriptError::new(line(source, span.start), field, error.message())
}

/// A key of TOML that needs no quotes.
fn is_bare(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// The line that this byte is in, counted from 1.
fn line(source: &str, place: usize) -> usize {
    1 + source.bytes().take(place).filter(|byte| *byte == b'\n').count()
}

/// A whole number with its unit.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_is_read_or_refused_and_never_a_panic(text in "\\PC*|[0-9]{0,25}(ms|s|m|h|d|w)?") {
            let _ = duration(&text);
        }
    }

    #[test]
    fn times_have_a_number_and_a_unit() {
        assert_eq!(duration("200ms"), Some(Duration::from_millis(200)));
        assert_eq!(duration("7d"), Some(Duration::from_secs(7 * 86_400)));
        for text in
            ["", "s", "5", "-5s", "5 s", "1.5s", "5w", "5sec", "18446744073709551615d", "٣s"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}

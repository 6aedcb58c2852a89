//! The members of a JSON object that an issuer publishes, each of its type or an error that names it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::endpoint::HttpUrl;

/// What is shown of a text that an issuer wrote.
const LONGEST_SHOWN: usize = 256;

/// A JSON object. A member that stands twice is refused, since two readers could take different ones; one that is `null` is
/// absent.
pub(super) struct Members(BTreeMap<String, Value>);

impl Members {
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let problem = |error: serde_json::Error| match error.is_data() {
            true => "it is no JSON object, or has a member twice",
            false => "it is not JSON, or cut off",
        };
        serde_json::from_slice(body).map_err(|error| problem(error).to_owned())
    }

    /// `mtls_endpoint_aliases` (RFC 8705 §5) of the object in `body`: read anew, since a [`Value`] does not say what
    /// stood twice.
    pub(super) fn aliases(body: &[u8]) -> Result<Option<Self>, String> {
        #[derive(Deserialize)]
        struct Document {
            mtls_endpoint_aliases: Option<Members>,
        }

        let document: Result<Document, _> = serde_json::from_slice(body);
        document
            .map(|document| document.mtls_endpoint_aliases)
            .map_err(|_| "`mtls_endpoint_aliases` is no object, or has a member twice".to_owned())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{name}` is not a string")),
        }
    }

    /// An endpoint, checked as one that a user sets.
    pub(super) fn url(
        &self,
        name: &'static str,
        insecure_loopback: bool,
    ) -> Result<Option<HttpUrl>, String> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        // `Uri` lets more pass in a path.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("{name}: has a character that no URL has (RFC 3986 §2)"));
        }
        HttpUrl::parse(name, text, insecure_loopback).map(Some).map_err(|error| error.to_string())
    }

    /// A list of strings. One without any is absent: it was to be left out (RFC 8414 §3.2), and says nothing.
    pub(super) fn list(&self, name: &str) -> Result<Option<Vec<String>>, String> {
        let not_a_list = || format!("`{name}` is not a list of strings");
        let values = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(values)) => values,
            Some(_) => return Err(not_a_list()),
        };
        let texts = values.iter().map(|value| value.as_str().map(str::to_owned));
        let texts = texts.collect::<Option<Vec<_>>>().ok_or_else(not_a_list)?;
        Ok((!texts.is_empty()).then_some(texts))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    if members.insert(name, value).is_some() {
                        return Err(de::Error::custom("a member stands twice"));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// What an issuer wrote, so that it can stand in a message: ASCII without control characters, and not much of it.
pub(super) fn shown(text: &str) -> String {
    let mut escaped = text.chars().flat_map(char::escape_default);
    let mut shown: String = escaped.by_ref().take(LONGEST_SHOWN).collect();
    if escaped.next().is_some() {
        shown.push('…');
    }
    shown
}

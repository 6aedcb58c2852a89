//! Reading a token request: JSON or a form, with the client's credentials in it or in a header.

use std::fmt;

use axum::body::to_bytes;
use axum::extract::Request;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::answer::Refusal;
use super::basic;
use crate::jose::{ProofError, unverified_subject};
use crate::possession;
use crate::record::{ClientAuth, TokenRequestRecord};

/// More than any token request needs, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// RFC 7523 §2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a token request asks, as far as it could be understood: the quota is the client's even when the rest is junk.
#[derive(Debug)]
pub(super) struct TokenRequest {
    pub(super) client_id: Option<String>,
    pub(super) secret: Option<SecretString>,
    /// RFC 7523 §2.2. Whoever sees one may send it first.
    pub(super) assertion: Option<SecretString>,
    /// Of DPoP (RFC 9449 §5).
    pub(super) proof: Result<Option<SecretString>, ProofError>,
    /// What is to be revoked (RFC 7009 §2.1).
    pub(super) token: Option<SecretString>,
    pub(super) grant_type: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) scope: Option<String>,
    /// Why it is to be refused, whatever else it says.
    pub(super) problem: Option<Refusal>,
    client_auth: ClientAuth,
    content_type: Option<String>,
    parameters: Vec<String>,
}

impl TokenRequest {
    /// Reads the request to its end.
    pub(super) async fn read(request: Request) -> Self {
        let (parts, body) = request.into_parts();
        let pairs = match to_bytes(body, MAX_BODY).await {
            Ok(body) => pairs(&parts.headers, &body),
            Err(_) => Err(Refusal::InvalidRequest("the body is too long, or broke off")),
        };
        Self::parse(&parts.headers, pairs)
    }

    /// Whether the client's credentials came in the `Authorization` header.
    pub(super) fn used_header(&self) -> bool {
        matches!(self.client_auth, ClientAuth::Basic | ClientAuth::Both)
    }

    /// Whether it tried to prove that it holds a key.
    pub(super) fn has_proof(&self) -> bool {
        !matches!(self.proof, Ok(None))
    }

    /// What may be told of the request, of the client that may be shown as this.
    pub(super) fn record(&self, shown: &str) -> TokenRequestRecord {
        TokenRequestRecord {
            content_type: self.content_type.clone(),
            client_auth: self.client_auth,
            has_dpop_proof: self.has_proof(),
            parameters: self.parameters.clone(),
            client_id: self.client_id.as_ref().map(|_| shown.to_owned()),
            audience: self.audience.clone(),
            grant_type: self.grant_type.clone(),
            scope: self.scope.clone(),
        }
    }

    fn parse(headers: &HeaderMap, pairs: Result<Vec<(String, String)>, Refusal>) -> Self {
        let mut problem = pairs.as_ref().err().copied();
        let pairs = pairs.unwrap_or_default();
        if has_duplicates(pairs.iter().map(|(name, _)| name)) {
            problem.get_or_insert(Refusal::InvalidRequest("a parameter is there twice"));
        }
        let parameters = pairs.iter().map(|(name, _)| told(name).to_owned()).collect();
        let take = |wanted: &str| {
            // "Parameters sent without a value MUST be treated as if they were omitted" (RFC 6749 §3.2).
            let mut values =
                pairs.iter().filter(|(name, value)| name == wanted && !value.is_empty());
            values.next().map(|(_, value)| value.clone())
        };
        let mut client_id = take("client_id");
        let mut secret = take("client_secret").map(SecretString::from);
        let mut client_auth = if secret.is_some() { ClientAuth::Post } else { ClientAuth::None };

        match basic::credentials(headers) {
            Ok(None) => {}
            Ok(Some((id, header_secret))) => {
                client_auth = if secret.is_some() { ClientAuth::Both } else { ClientAuth::Basic };
                if secret.is_some() || client_id.as_ref().is_some_and(|named| *named != id) {
                    problem.get_or_insert(Refusal::InvalidRequest("two clients, or two secrets"));
                }
                client_id = Some(id);
                secret = Some(header_secret);
            }
            Err(refusal) => {
                problem.get_or_insert(refusal);
            }
        }
        let assertion = take("client_assertion").map(SecretString::from);
        if let Some(assertion) = &assertion {
            let subject = unverified_subject(assertion.expose_secret());
            client_auth =
                if secret.is_some() { ClientAuth::Both } else { ClientAuth::PrivateKeyJwt };
            let is_other = match (&client_id, &subject) {
                (Some(named), Some(subject)) => named != subject,
                _ => false,
            };
            if secret.is_some() || is_other {
                problem.get_or_insert(Refusal::InvalidRequest("two clients, or two secrets"));
            }
            // The quota is that of the client that the assertion is about (RFC 7523 §3 (2)), whatever else is wrong.
            client_id = subject.or(client_id);
        }
        match (&assertion, take("client_assertion_type").as_deref()) {
            (None, None) | (Some(_), Some(JWT_BEARER)) => {}
            (None, Some(_)) => {
                problem.get_or_insert(Refusal::InvalidRequest("client_assertion is missing"));
            }
            (Some(_), _) => {
                let how = "client_assertion_type must be that of RFC 7523";
                problem.get_or_insert(Refusal::InvalidRequest(how));
            }
        }
        let proof = possession::proof(headers).map(|proof| proof.map(SecretString::from));
        let content_type = headers
            .get(CONTENT_TYPE)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Self {
            client_id,
            secret,
            assertion,
            proof,
            token: take("token").map(SecretString::from),
            grant_type: take("grant_type"),
            audience: take("audience"),
            scope: take("scope"),
            problem,
            client_auth,
            content_type,
            parameters,
        }
    }
}

/// The parameters of the body, by its content type.
fn pairs(headers: &HeaderMap, body: &[u8]) -> Result<Vec<(String, String)>, Refusal> {
    let Some(content_type) = headers.get(CONTENT_TYPE) else {
        return Err(Refusal::InvalidRequest("Content-Type is missing"));
    };
    let content_type = content_type.to_str().unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        json_pairs(body)
    } else if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Ok(form_urlencoded::parse(body).into_owned().collect())
    } else {
        Err(Refusal::UnsupportedMediaType)
    }
}

fn json_pairs(body: &[u8]) -> Result<Vec<(String, String)>, Refusal> {
    let Ok(Members(members)) = serde_json::from_slice(body) else {
        return Err(Refusal::InvalidRequest("the body is not a JSON object"));
    };
    members
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(value) => Ok((name, value)),
            // As good as omitted.
            Value::Null => Ok((name, String::new())),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Err(Refusal::InvalidRequest("a parameter is not a string"))
            }
        })
        .collect()
}

/// The members of a JSON object as they stand there: of two of the same name, a map would have the last alone.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

/// "Request and response parameters MUST NOT be included more than once" (RFC 6749 §3.2).
fn has_duplicates<'a>(mut names: impl Iterator<Item = &'a String>) -> bool {
    let mut seen = std::collections::HashSet::new();
    !names.all(|name| seen.insert(name))
}

/// The name of a parameter as it may be told. A body that is sent as what it is not becomes one, with all that is in it.
fn told(name: &str) -> &str {
    let is_name = (1..=40).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_name { name } else { "?" }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn debug_omits_the_secret() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("dpop", HeaderValue::from_static("hush"));
        let body =
            br#"{"client_id":"id","client_secret":"hush","client_assertion":"hush","token":"hush"}"#;
        let pairs = pairs(&headers, body);
        let request = TokenRequest::parse(&headers, pairs);
        assert!(request.secret.is_some() && request.assertion.is_some() && request.has_proof());
        assert!(request.token.is_some());
        assert!(!format!("{request:?} {:?}", request.record("id")).contains("hush"));
    }
}

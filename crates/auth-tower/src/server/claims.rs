//! What a verified token says.

use std::fmt;
use std::sync::Arc;

use auth_core::{Apart, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Number;

use super::error::Invalid;

/// The claims of a token (RFC 7519 §4.1, RFC 9068 §2.2) that was verified. Cheap to clone.
///
/// Debug shows who the token is for, and no text of it.
#[derive(Clone)]
pub struct Claims(Arc<Apart<Inner>>);

struct Inner {
    issuer: String,
    subject: Option<String>,
    audience: Vec<String>,
    expires_at: Timestamp,
    not_before: Option<Timestamp>,
    issued_at: Option<Timestamp>,
    id: Option<String>,
    client_id: Option<String>,
    scopes: Vec<String>,
    confirmation: Option<Confirmation>,
    text: Vec<u8>,
}

/// What a sender has to prove besides having the token (RFC 7800 §3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confirmation {
    /// The thumbprint of the key that proofs are signed with (`jkt`, RFC 9449 §6.1).
    pub jkt: Option<String>,
    /// The thumbprint of the certificate that connections are made with (`x5t#S256`, RFC 8705 §3.1).
    pub x5t_s256: Option<String>,
    /// There is a member that is neither of these. A token that is bound in a way which nobody checks is not a bearer token.
    pub other: bool,
}

/// One text, or several.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Texts {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

/// The registered claims. A name that is there twice is an error of the parser's.
#[derive(Deserialize)]
struct Registered {
    #[serde(default)]
    iss: String,
    sub: Option<String>,
    #[serde(default)]
    aud: Texts,
    exp: Option<Number>,
    nbf: Option<Number>,
    iat: Option<Number>,
    jti: Option<String>,
    client_id: Option<String>,
    azp: Option<String>,
    #[serde(default)]
    scope: Texts,
    #[serde(default, deserialize_with = "granted")]
    scp: Texts,
    #[serde(default, deserialize_with = "granted")]
    permissions: Texts,
    #[serde(default, deserialize_with = "is_there")]
    cnf: Option<serde_json::Map<String, serde_json::Value>>,
}

/// These are no registered claims: in another form they grant nothing, and are no fault of the token's.
fn granted<'de, D: Deserializer<'de>>(from: D) -> Result<Texts, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(serde_json::from_value(value).unwrap_or(Texts::Many(Vec::new())))
}

/// `null` is a confirmation as well, of an unknown form, and not the lack of one.
fn is_there<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl Claims {
    /// Claims that nobody has verified, from their JSON: for the tests of a handler that takes claims from its request.
    ///
    /// ```
    /// use auth_tower::server::Claims;
    ///
    /// fn greet(claims: &Claims) -> String {
    ///     format!("hello, {}", claims.client_id().unwrap_or("somebody"))
    /// }
    ///
    /// let claims = Claims::unverified(r#"{ "client_id": "reports", "exp": 1767225600 }"#)?;
    /// assert_eq!(greet(&claims), "hello, reports");
    /// # Ok::<_, serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where those of a token would be malformed: what is no object, has no `exp`, or has a registered claim of another type.
    pub fn unverified(json: &str) -> Result<Self, serde_json::Error> {
        Self::parse(json.as_bytes().to_vec())
            .map_err(|invalid| serde::de::Error::custom(invalid.description()))
    }

    /// Reads the payload of a token; checks their form and nothing else.
    pub(crate) fn parse(text: Vec<u8>) -> Result<Self, Invalid> {
        const MALFORMED: Invalid = Invalid::malformed("the claims of the token are malformed");

        let claims: Registered = object(&text).ok_or(MALFORMED)?;
        let date = |number: Option<Number>| number.map(|n| date(&n).ok_or(MALFORMED)).transpose();
        let Some(expires_at) = date(claims.exp)? else {
            return Err(Invalid::malformed("the token has no expiry"));
        };
        Ok(Self(Arc::new(Apart(Inner {
            issuer: claims.iss,
            subject: claims.sub,
            audience: claims.aud.whole(),
            expires_at,
            not_before: date(claims.nbf)?,
            issued_at: date(claims.iat)?,
            id: claims.jti,
            client_id: claims.client_id.or(claims.azp),
            scopes: scopes([claims.scope, claims.scp, claims.permissions]),
            confirmation: claims.cnf.map(Confirmation::of).transpose()?,
            text,
        }))))
    }

    /// Who issued the token (`iss`).
    pub fn issuer(&self) -> &str {
        &self.0.0.issuer
    }

    /// Whom it is about (`sub`): for a client's own token usually the client.
    pub fn subject(&self) -> Option<&str> {
        self.0.0.subject.as_deref()
    }

    /// Whom it is for (`aud`).
    pub fn audience(&self) -> &[String] {
        &self.0.0.audience
    }

    /// When it ends (`exp`).
    pub fn expires_at(&self) -> Timestamp {
        self.0.0.expires_at
    }

    /// When it begins (`nbf`).
    pub fn not_before(&self) -> Option<Timestamp> {
        self.0.0.not_before
    }

    /// When it was issued (`iat`).
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.0.0.issued_at
    }

    /// Its own name (`jti`).
    pub fn id(&self) -> Option<&str> {
        self.0.0.id.as_deref()
    }

    /// The client that it was issued to: `client_id` (RFC 9068 §2.2), or else `azp`, as some issuers have it.
    pub fn client_id(&self) -> Option<&str> {
        self.0.0.client_id.as_deref()
    }

    /// What it allows: `scope` (RFC 9068 §2.2.3); where there is none, the `scp` or else the `permissions` of some issuers. Never all
    /// of them: where an issuer has both, `permissions` may be what the user has, and `scope` what of that the client was given.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.0.0.scopes.iter().map(String::as_str)
    }

    /// Whether it allows `scope`. Compared exactly (RFC 6749 §3.3).
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.0.scopes.iter().any(|has| has == scope)
    }

    /// What its sender has to prove (`cnf`, RFC 7800 §3.1). A token that has one is no bearer token.
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.0.0.confirmation.as_ref()
    }

    /// All claims as a type of your own.
    pub fn get<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.0.0.text)
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("issuer", &self.0.0.issuer)
            .field("subject", &self.0.0.subject)
            .field("client_id", &self.0.0.client_id)
            .field("scopes", &self.0.0.scopes)
            .field("expires_at", &self.0.0.expires_at)
            .finish_non_exhaustive()
    }
}

impl Confirmation {
    fn of(members: serde_json::Map<String, serde_json::Value>) -> Result<Self, Invalid> {
        // One that names nothing is bound to nothing that could be shown.
        let mut confirmation = Self { other: members.is_empty(), ..Self::default() };
        for (name, value) in members {
            let known = match name.as_str() {
                "jkt" => &mut confirmation.jkt,
                "x5t#S256" => &mut confirmation.x5t_s256,
                _ => {
                    confirmation.other = true;
                    continue;
                }
            };
            let serde_json::Value::String(text) = value else {
                return Err(Invalid::malformed("the confirmation of the token is malformed"));
            };
            *known = Some(text);
        }
        Ok(confirmation)
    }
}

impl Texts {
    fn whole(self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

fn scopes(claims: [Texts; 3]) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    let mut add = |text: &str| {
        if !text.is_empty() && !scopes.iter().any(|has| has == text) {
            scopes.push(text.to_owned());
        }
    };
    // The first that is there, though it be empty.
    match claims.into_iter().find(|claim| !matches!(claim, Texts::None)) {
        None | Some(Texts::None) => {}
        Some(Texts::One(text)) => text.split(' ').for_each(&mut add),
        Some(Texts::Many(texts)) => texts.iter().for_each(|text| add(text)),
    }
    scopes
}

/// A `NumericDate`, which may have a fraction (RFC 7519 §2).
fn date(number: &Number) -> Option<Timestamp> {
    if let Some(seconds) = number.as_i64() {
        return Some(Timestamp::from_secs(seconds));
    }
    // Saturates, as the timestamp itself does.
    let seconds = number.as_f64().filter(|seconds| seconds.is_finite())?;
    Some(Timestamp::from_millis((seconds * 1000.0).floor() as i64))
}

/// A JSON object as `T`, which serde would read from an array as well.
pub(crate) fn object<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Option<T> {
    text.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(text).ok())?
}

#[cfg(test)]
mod tests;

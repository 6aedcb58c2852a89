//! The header of a token, and what it may say before anything else is looked at.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::server::algorithm::Algorithm;
use crate::server::claims;
use crate::server::error::{Invalid, Reason};

/// What counts of a header (RFC 7515 §4.1). A key that comes with the token (`jwk`, `jku`, `x5u`, `x5c`) never does.
#[derive(Deserialize)]
pub(super) struct Header {
    #[serde(default)]
    alg: String,
    typ: Option<String>,
    pub(super) kid: Option<String>,
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

fn is_there<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

impl Header {
    pub(super) fn parse(part: &str) -> Result<Self, Invalid> {
        const MALFORMED: Invalid = Invalid::malformed("the header of the token is malformed");

        let text = URL_SAFE_NO_PAD.decode(part).map_err(|_| MALFORMED)?;
        claims::object(&text).ok_or(MALFORMED)
    }

    /// The algorithm, if it is one of `algorithms` and the token may be an access token.
    pub(super) fn allowed(
        &self,
        algorithms: &[Algorithm],
        only_at_jwt: bool,
    ) -> Result<Algorithm, Invalid> {
        let algorithm = Algorithm::of_name(&self.alg).filter(|alg| algorithms.contains(alg));
        let algorithm = algorithm.ok_or(Reason::Algorithm)?;
        if !self.is_access_token(only_at_jwt) {
            return Err(Reason::Type.into());
        }
        if self.crit {
            return Err(Reason::Critical.into());
        }
        Ok(algorithm)
    }

    /// `typ` is a media type, whose `application/` may be left out (RFC 7515 §4.1.9). A JWT of another declared kind, such as
    /// `dpop+jwt` or `logout+jwt`, is none, though the same issuer may have signed it (RFC 8725 §3.11).
    fn is_access_token(&self, only_at_jwt: bool) -> bool {
        let typ = self.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        let kind = typ.strip_prefix("application/").unwrap_or(&typ);
        match kind {
            "at+jwt" => true,
            _ => !only_at_jwt && !kind.ends_with("+jwt"),
        }
    }
}

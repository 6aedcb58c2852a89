//! The numbers of a private key, out of a JWK (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::error::KeyError;
use super::material::{Ed25519, Material, P256, Rsa, Secret};
use crate::jose::jwk::without_leading_zeros;

/// The numbers are borrowed, so that no copy of them is left behind. None of them needs an escape.
#[derive(Deserialize)]
struct Members<'a> {
    kty: Option<&'a str>,
    crv: Option<&'a str>,
    alg: Option<&'a str>,
    kid: Option<String>,
    d: Option<&'a str>,
    x: Option<&'a str>,
    y: Option<&'a str>,
    n: Option<&'a str>,
    e: Option<&'a str>,
    p: Option<&'a str>,
    q: Option<&'a str>,
    dp: Option<&'a str>,
    dq: Option<&'a str>,
    qi: Option<&'a str>,
    oth: Option<serde::de::IgnoredAny>,
}

/// The key, and the `kid` if it has one.
pub(super) fn read(
    algorithm: Algorithm,
    json: &str,
) -> Result<(Material, Option<String>), KeyError> {
    let members: Members<'_> = serde_json::from_str(json).map_err(|error| {
        // The parser's own words quote what they are about.
        let (line, column) = (error.line(), error.column());
        KeyError::new(format!(
            "this is no JWK: line {line}, column {column} is not as RFC 7517 §4 has it; give one JSON object whose members \
             are texts, each of them once"
        ))
    })?;
    if let Some(alg) = members.alg.filter(|alg| *alg != algorithm.name()) {
        // Only names that are known are shown: anything may stand there.
        let known = ["ES256", "RS256", "PS256", "EdDSA", "Ed25519", "ES384", "ES512", "HS256"];
        let alg = known.iter().find(|known| **known == alg).unwrap_or(&"another algorithm");
        return Err(KeyError::new(format!(
            "the JWK is for {alg} by its `alg`, and {algorithm} is asked for; ask for the algorithm that the issuer knows the \
             key by"
        )));
    }
    let material = match (members.kty, members.crv) {
        (Some("EC"), Some("P-256")) => Material::P256(members.p256()?),
        (Some("RSA"), _) => Material::Rsa(members.rsa()?),
        (Some("OKP"), Some("Ed25519")) => Material::Ed25519(members.ed25519()?),
        (Some("EC"), _) => return Err(algorithm.refuses("an EC key on another curve", ANOTHER)),
        (Some("OKP"), _) => return Err(algorithm.refuses("an OKP key of another kind", ANOTHER)),
        (Some("oct"), _) => {
            return Err(algorithm.refuses(
                "a secret that is shared with the issuer (`oct`)",
                "give it as the client's secret",
            ));
        }
        (Some(_), _) => return Err(algorithm.refuses("a JWK of another `kty`", ANOTHER)),
        (None, _) => {
            return Err(KeyError::new(
                "the JWK has no `kty`; of a JWK Set, give one of its `keys` alone",
            ));
        }
    };
    Ok((material, members.kid))
}

const ANOTHER: &str = "make another key";

impl Members<'_> {
    fn p256(&self) -> Result<P256, KeyError> {
        let d = private("d", self.d)?;
        let (x, y) = (number("x", self.x)?, number("y", self.y)?);
        if x.len() != 32 || y.len() != 32 || d.len() != 32 {
            return Err(KeyError::new(
                "`x`, `y` and `d` of the JWK must have 32 bytes each, leading zeros included (RFC 7518 §6.2); export the key \
                 anew",
            ));
        }
        Ok(P256 { d, point: [&[4], x.as_slice(), &y].concat() })
    }

    fn rsa(&self) -> Result<Rsa, KeyError> {
        if self.oth.is_some() {
            return Err(KeyError::new("the RSA key has more than two primes; make another key"));
        }
        let minimal = |name, value| {
            private(name, value)
                .map(|number| Zeroizing::new(without_leading_zeros(&number).to_vec()))
        };
        Ok(Rsa {
            d: minimal("d", self.d)?,
            n: minimal("n", self.n)?.to_vec(),
            e: minimal("e", self.e)?.to_vec(),
            p: minimal("p", self.p)?,
            q: minimal("q", self.q)?,
            dp: minimal("dp", self.dp)?,
            dq: minimal("dq", self.dq)?,
            qi: minimal("qi", self.qi)?,
        })
    }

    fn ed25519(&self) -> Result<Ed25519, KeyError> {
        Ok(Ed25519 { seed: private("d", self.d)?, public: Some(number("x", self.x)?.to_vec()) })
    }
}

fn private(name: &str, value: Option<&str>) -> Result<Secret, KeyError> {
    match (name, value) {
        ("d", None) => Err(KeyError::new(
            "the JWK is a public key, it has no `d`; give the private key that it was made from",
        )),
        _ => number(name, value),
    }
}

fn number(name: &str, value: Option<&str>) -> Result<Secret, KeyError> {
    let Some(value) = value else {
        return Err(KeyError::new(format!(
            "the JWK has no `{name}`; export the key with all members of RFC 7518 §6"
        )));
    };
    // The decoder's error quotes the byte that it is about.
    URL_SAFE_NO_PAD.decode(value).map(Zeroizing::new).map_err(|_| {
        KeyError::new(format!(
            "`{name}` of the JWK is not base64url without padding (RFC 7515 §2); export the key anew"
        ))
    })
}

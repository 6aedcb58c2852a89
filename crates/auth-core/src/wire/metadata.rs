//! Authorization server metadata (RFC 8414, OpenID Connect Discovery 1.0 §4): where an issuer's endpoints are, and what it
//! says that it takes.
//!
//! The document comes over the network, and decides where a secret goes. So its `issuer` must be the one that was asked for,
//! its endpoints are checked as if a user had set them, and what it wrote gets into a message only escaped and cut.

use std::time::Duration;

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, Response};

use super::LONGEST_ANSWER;
use super::endpoint::HttpUrl;
use super::members::{Members, shown};
use super::response::{is_compressed, is_json};
use super::said;
use super::well_known::Issuer;

/// What an issuer publishes of itself (RFC 8414 §2). A list that is absent, or empty, is `None`: it says nothing.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) issuer: String,
    pub(crate) token_endpoint: HttpUrl,
    /// RFC 7009.
    pub(crate) revocation_endpoint: Option<HttpUrl>,
    /// RFC 7662.
    pub(crate) introspection_endpoint: Option<HttpUrl>,
    /// The endpoints for those who show a client certificate (RFC 8705 §5).
    pub(crate) mtls: MtlsEndpoints,
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    pub(crate) token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
    /// RFC 9449 §5.1.
    pub(crate) dpop_signing_alg_values_supported: Option<Vec<String>>,
    pub(crate) grant_types_supported: Option<Vec<String>>,
    pub(crate) scopes_supported: Option<Vec<String>>,
    /// RFC 9728 §4.
    pub(crate) protected_resources: Option<Vec<String>>,
}

/// `mtls_endpoint_aliases` (RFC 8705 §5).
#[derive(Clone, Debug, Default)]
pub(crate) struct MtlsEndpoints {
    pub(crate) token: Option<HttpUrl>,
    pub(crate) revocation: Option<HttpUrl>,
    pub(crate) introspection: Option<HttpUrl>,
}

impl Metadata {
    /// Where tokens are asked for; with a client certificate (`mtls`), the alias for that if there is one.
    pub(crate) fn token_endpoint(&self, mtls: bool) -> &HttpUrl {
        self.mtls.token.as_ref().filter(|_| mtls).unwrap_or(&self.token_endpoint)
    }

    /// Where tokens are revoked.
    pub(crate) fn revocation_endpoint(&self, mtls: bool) -> Option<&HttpUrl> {
        self.mtls.revocation.as_ref().filter(|_| mtls).or(self.revocation_endpoint.as_ref())
    }

    /// Where tokens are looked up.
    pub(crate) fn introspection_endpoint(&self, mtls: bool) -> Option<&HttpUrl> {
        self.mtls.introspection.as_ref().filter(|_| mtls).or(self.introspection_endpoint.as_ref())
    }
}

/// Reads the answer to a request for the metadata of `issuer`; the error says what is wrong with it, and what to do.
pub(crate) fn read(
    response: &Response<Bytes>,
    issuer: &Issuer,
    insecure_loopback: bool,
) -> Result<Metadata, String> {
    let (status, headers) = (response.status(), response.headers());
    let said = |what: &str| {
        let status = status.as_u16();
        Err(format!("the issuer answered {status} to the request for its metadata{what}"))
    };
    match status.as_u16() {
        200 => {}
        300..=399 => {
            return said(
                ": redirects are not followed; set the issuer that publishes it, letter by letter, as `issuer`",
            );
        }
        404 | 410 => {
            return said(
                ": check `issuer`, and which of the well-known documents it publishes (`Discovery`)",
            );
        }
        _ => return said(""),
    }
    if is_compressed(headers) {
        return said(", with a compressed body, which it was not asked for");
    }
    if !is_json(headers) {
        return said(", with a content type that is not JSON");
    }
    parse(response.body(), issuer, insecure_loopback)
}

/// Reads the document itself.
pub(crate) fn parse(
    body: &[u8],
    issuer: &Issuer,
    insecure_loopback: bool,
) -> Result<Metadata, String> {
    read_members(body, issuer, insecure_loopback)
        .map_err(|what| format!("the issuer's metadata cannot be used: {what}"))
}

/// How long metadata counts that came with these fields: `Cache-Control: max-age` (RFC 9111 §5.2.2.1) within bounds.
///
/// At least 5 minutes, whatever the issuer says: with `no-cache` or `max-age=0`, each request for a token would become two. At
/// most 24 hours, so that an endpoint that moves is found within a day without a restart. One hour if the issuer says nothing,
/// for which no RFC has a figure: few requests, and a mistake at the issuer's end does not last.
pub(crate) fn lifetime(headers: &HeaderMap) -> Duration {
    const LEAST: Duration = Duration::from_secs(5 * 60);
    const MOST: Duration = Duration::from_secs(24 * 60 * 60);
    const DEFAULT: Duration = Duration::from_secs(60 * 60);

    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut max_age = None;
    for directive in lines.flat_map(|line| said::split(line, ',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return LEAST,
            // The first counts (RFC 9111 §4.2.1), and one that cannot be read means that the answer is stale already. Both
            // ways of writing a value are to be taken (§5.2), and one that is too large is as good as the largest (§1.2.2).
            "max-age" if max_age.is_none() => {
                let digits = value.trim().trim_matches('"');
                let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                let seconds = if is_number { digits.parse().unwrap_or(u64::MAX) } else { 0 };
                max_age = Some(Duration::from_secs(seconds));
            }
            _ => {}
        }
    }
    max_age.map_or(DEFAULT, |max_age| max_age.clamp(LEAST, MOST))
}

fn read_members(body: &[u8], issuer: &Issuer, insecure_loopback: bool) -> Result<Metadata, String> {
    if body.len() > LONGEST_ANSWER {
        return Err("it is longer than 64 KiB".to_owned());
    }
    let members = Members::parse(body)?;
    // Before anything else of it counts.
    check_issuer(members.text("issuer")?, issuer.as_str())?;
    let aliases = Members::aliases(body)?;
    let url = |name| members.url(name, insecure_loopback);
    let alias = |name| match &aliases {
        Some(aliases) => aliases.url(name, insecure_loopback),
        None => Ok(None),
    };
    Ok(Metadata {
        issuer: issuer.as_str().to_owned(),
        token_endpoint: url("token_endpoint")?.ok_or("it has no `token_endpoint`")?,
        revocation_endpoint: url("revocation_endpoint")?,
        introspection_endpoint: url("introspection_endpoint")?,
        mtls: MtlsEndpoints {
            token: alias("token_endpoint")?,
            revocation: alias("revocation_endpoint")?,
            introspection: alias("introspection_endpoint")?,
        },
        token_endpoint_auth_methods_supported: members
            .list("token_endpoint_auth_methods_supported")?,
        token_endpoint_auth_signing_alg_values_supported: members
            .list("token_endpoint_auth_signing_alg_values_supported")?,
        dpop_signing_alg_values_supported: members.list("dpop_signing_alg_values_supported")?,
        grant_types_supported: members.list("grant_types_supported")?,
        scopes_supported: members.list("scopes_supported")?,
        protected_resources: members.list("protected_resources")?,
    })
}

/// RFC 8414 §3.3: the metadata of another issuer could lead the secret to another issuer's endpoint.
fn check_issuer(says: Option<&str>, asked: &str) -> Result<(), String> {
    let says = says.ok_or("it has no `issuer`")?;
    if says == asked {
        return Ok(());
    }
    let advice = if says.strip_suffix('/') == Some(asked) {
        "set `issuer` with the trailing slash"
    } else if asked.strip_suffix('/') == Some(says) {
        "set `issuer` without the trailing slash"
    } else {
        "if that is the one that is meant, set it as `issuer`, letter by letter"
    };
    let (asked, says) = (shown(asked), shown(says));
    Err(format!("`{asked}` was asked for, and its `issuer` is `{says}`: {advice}"))
}

#[cfg(test)]
mod tests;

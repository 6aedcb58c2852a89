//! What fuzzers drive (`fuzz/`): everything that reads what a server wrote, and what must hold whatever it wrote.
//!
//! No part of the interface: it is there with the feature `fuzzing`, and in this crate's own tests. Each function panics when a
//! promise is broken, says whether its input was accepted, and gives the same answer every time.

mod checks;

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, DATE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

use self::checks::{
    LONGEST_MESSAGE, LONGEST_NOTICE, check_challenges, check_endpoint, check_header,
    check_lifetime, check_members, check_reading, check_record, check_text, written,
};
use crate::advice::{Given, notices};
use crate::clock::Timestamp;
use crate::jwt::{self, Form};
use crate::lifetime::Lifetime;
use crate::quota::said::Said;
use crate::token::{AccessToken, Scheme};
use crate::wire::asked::Asked;
use crate::wire::quote::Redactions;
use crate::wire::response::{self, QuotaRefusal, Reading, TokenType};
use crate::wire::well_known::{Discovery, Issuer};
use crate::wire::{challenge, metadata};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Stands for the client's secret, and gets into no text.
const SECRET: &str = "kT9_canary-4bXq";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const STATUSES: [u16; 16] =
    [200, 201, 204, 206, 301, 302, 308, 400, 401, 403, 404, 408, 425, 429, 500, 503];

const CONTENT_TYPES: [Option<&str>; 8] = [
    Some("application/json"),
    Some("application/json;charset=UTF-8"),
    Some("Application/Problem+JSON"),
    Some("application/x-www-form-urlencoded"),
    Some("text/html"),
    Some("application/"),
    Some(""),
    None,
];

const AUTH0: HeaderName = HeaderName::from_static("auth0-client-quota-limit");
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Reads the answer of a token endpoint (RFC 6749 §5); whether it has a token.
///
/// Three bytes choose the status, the content type and the options (1: a proof was sent; 2: the body is compressed; 4: a default
/// lifetime is set). Four lines are `Retry-After`, `Date`, `DPoP-Nonce` and `RateLimit`. The rest is the body.
///
/// # Panics
///
/// When the token makes no legal and sensitive header (RFC 6750 §2.1, RFC 9449 §7.1), its lifetime is out of bounds, or a
/// failure says what it must not.
pub fn token_response(data: &[u8]) -> bool {
    let mut input = Input(data);
    let status = STATUSES[usize::from(input.byte()) % STATUSES.len()];
    let content_type = CONTENT_TYPES[usize::from(input.byte()) % CONTENT_TYPES.len()];
    let options = input.byte();
    let (demanded, scheme) = match options & 1 {
        0 => (TokenType::Bearer, Scheme::Bearer),
        _ => (TokenType::Dpop, Scheme::Dpop),
    };
    let mut headers = HeaderMap::new();
    for name in [RETRY_AFTER, DATE, DPOP_NONCE, RATE_LIMIT] {
        append(&mut headers, name, input.line());
    }
    append(&mut headers, CONTENT_TYPE, content_type.unwrap_or_default().as_bytes());
    append(&mut headers, CONTENT_ENCODING, if options & 2 == 0 { b"" } else { b"gzip" });
    let body = input.0;

    let reading = read(status, &headers, body, demanded);
    check_reading(&reading, &headers);
    let Ok(response) = reading.token else { return false };
    assert!(
        (200..300).contains(&status) && options & 2 == 0,
        "a token from an answer that is none"
    );
    check_members(body, response.token.expose(), scheme);
    let fallback = (options & 4 != 0).then_some(DAY);
    let claims = jwt::claims(response.token.expose());
    if let Some(lifetime) = check_lifetime(Lifetime::of(response.expires_in, claims, fallback, NOW))
    {
        check_header(&response.token, scheme, lifetime);
    }
    true
}

/// Reads what a token says of itself (RFC 7519 §4.1, RFC 9068 §2.2), how long it lives, and what is odd about it; whether it is a
/// JWT.
///
/// One byte has the options (1: the rest is the token itself; 2: the issuer gives JWTs; 4: a default lifetime is set). Four lines are
/// the answer's `expires_in`, its `Date` and the time here in Unix seconds, and its `scope`. Then come the header in a line and the
/// claims, which are encoded here, or the token.
///
/// # Panics
///
/// When two readers of one token differ, its lifetime is out of bounds, or a notice says what it must not.
pub fn claims(data: &[u8]) -> bool {
    let mut input = Input(data);
    let options = input.byte();
    let expires_in = input.text().trim().parse::<f64>().ok();
    let date = input.text().trim().parse().ok().filter(|secs| (0..253_402_300_800).contains(secs));
    let now = input.text().trim().parse().map_or(NOW, Timestamp::from_secs);
    let scope = input.text();
    let token = if options & 1 == 0 {
        let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        format!("{}.{}.c2ln", encode(input.line()), encode(input.0))
    } else {
        String::from_utf8_lossy(input.0).into_owned()
    };

    let (form, details, claims) = (jwt::form(&token), jwt::details(&token), jwt::claims(&token));
    assert_eq!(details.is_some(), form == Form::Jwt);
    assert!(claims.is_none() || form == jwt::Form::Jwt, "claims of what is no JWT");
    if let (Some(claims), Some(details)) = (claims, &details) {
        assert_eq!((claims.exp, claims.iat), (details.exp, details.iat));
    }
    let fallback = (options & 4 != 0).then_some(DAY);
    check_lifetime(Lifetime::of(expires_in, claims, fallback, now));

    let scopes = ["read".to_owned(), "write".to_owned()];
    let given = Given {
        token: &token,
        secret: SECRET,
        client_id: "id",
        audience: Some("https://api.example/"),
        resources: &[],
        scopes: &scopes,
        granted_scope: Some(&*scope).filter(|scope| !scope.is_empty()),
        expires_in,
        date: date.map(Timestamp::from_secs),
        now,
        gives_jwts: options & 2 != 0,
    };
    // A short one may be a part of a word.
    let is_known = token.len() >= 24 && AccessToken::parse(token.clone()).is_ok();
    let mut last = None;
    for notice in notices(&given) {
        assert!(last < Some(notice.check as u8), "each once, in their order");
        last = Some(notice.check as u8);
        for text in [&notice.text, &notice.expected, &notice.found] {
            check_text(text, LONGEST_NOTICE);
            assert!(!text.contains(SECRET), "the secret: {text}");
            assert!(!is_known || !text.contains(&token), "the token: {text}");
        }
    }
    form == Form::Jwt
}

/// Reads what an answer's fields say of the clock, the quota and the next proof, and writes it into a record; whether there was
/// something to read.
///
/// Each line is one field line, after a byte that chooses the field: `Retry-After`, `Date` (RFC 9110 §10.2.3, §6.6.1), `RateLimit`,
/// `RateLimit-Policy`, `Auth0-Client-Quota-Limit`, `DPoP-Nonce` (RFC 9449 §8.1), `Cache-Control` (RFC 9111 §5.2), or a content type.
///
/// # Panics
///
/// When a bucket has a name that is not plain, a nonce is none, a pause or a lifetime is out of bounds, or the record cannot be read
/// again.
pub fn headers(data: &[u8]) -> bool {
    const NAMES: [HeaderName; 8] = [
        RETRY_AFTER,
        DATE,
        RATE_LIMIT,
        RATE_LIMIT_POLICY,
        AUTH0,
        DPOP_NONCE,
        CACHE_CONTROL,
        CONTENT_TYPE,
    ];
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let mut input = Input(line);
        let name = &NAMES[usize::from(input.byte()) % NAMES.len()];
        append(&mut headers, name.clone(), input.0);
    }

    let lives = metadata::lifetime(&headers);
    assert!((Duration::from_secs(300)..=DAY).contains(&lives), "metadata lives for {lives:?}");
    let reading = read(429, &headers, b"", TokenType::Bearer);
    check_reading(&reading, &headers);
    let failure = reading.token.expect_err("a body without a byte has no token");
    check_record(&failure, &reading.said);
    let Said { date, buckets } = reading.said;
    failure.retry_after.is_some() || date.is_some() || !buckets.is_empty()
}

/// Reads `WWW-Authenticate` (RFC 9110 §11.6.1); whether there is a challenge. Each line is one field line.
///
/// # Panics
///
/// When a name is none, more comes out than may, or what is read reads differently when it is written again.
pub fn challenges(data: &[u8]) -> bool {
    let mut headers = HeaderMap::new();
    let mut found = false;
    for line in data.split(|byte| *byte == b'\n') {
        append(&mut headers, WWW_AUTHENTICATE, line);
        let read = challenge::parse(line);
        check_challenges(&read);
        // A byte that is no UTF-8 becomes a character of three.
        let text =
            read.iter().flat_map(|one| &one.params).map(|(name, value)| name.len() + value.len());
        assert!(text.sum::<usize>() <= 3 * line.len(), "more than there was");
        let again: Vec<_> = read.iter().map(written).collect();
        let again = again.join(", ");
        // What is written may be longer than a field line may be.
        assert!(challenge::parse(again.as_bytes()) == read || again.len() > 8 * 1024, "{again}");
        found |= !read.is_empty();
    }
    let all = challenge::challenges(&headers);
    check_challenges(&all);
    let wants = all.iter().any(|one| {
        let error = one.params.iter().find(|(name, _)| name == "error");
        one.scheme == "dpop" && error.is_some_and(|(_, code)| code == "use_dpop_nonce")
    });
    assert_eq!(challenge::wants_dpop_nonce(&headers), wants);
    assert!(challenge::is_about_proof(&headers) || !wants);
    found
}

/// Reads an issuer's metadata (RFC 8414 §3.2, OpenID Connect Discovery 1.0 §4); whether it can be used.
///
/// One byte has the options (1: plain http on loopback is allowed). A line is the issuer that is asked for; the rest is the document.
///
/// # Panics
///
/// When the issuer is another one (RFC 8414 §3.3), a secret would go where no user could have sent it, or a message says what it must
/// not.
pub fn metadata(data: &[u8]) -> bool {
    let mut input = Input(data);
    let insecure_loopback = input.byte() & 1 != 0;
    let asked = input.text();
    let issuer = match Issuer::parse(&asked, insecure_loopback) {
        Ok(issuer) => issuer,
        Err(error) => {
            check_text(&error.to_string(), LONGEST_MESSAGE);
            return false;
        }
    };
    for discovery in [Discovery::OAuth, Discovery::OpenId] {
        check_endpoint(&issuer.url(discovery), insecure_loopback);
    }
    let metadata = match metadata::parse(input.0, &issuer, insecure_loopback) {
        Ok(metadata) => metadata,
        Err(error) => {
            check_text(&error, LONGEST_MESSAGE);
            return false;
        }
    };
    assert_eq!(metadata.issuer, asked);
    for mtls in [false, true] {
        let others = [metadata.revocation_endpoint(mtls), metadata.introspection_endpoint(mtls)];
        let endpoints = others.into_iter().flatten().chain([metadata.token_endpoint(mtls)]);
        endpoints.for_each(|endpoint| check_endpoint(endpoint.uri(), insecure_loopback));
    }
    if let Ok(document) = serde_json::from_slice::<Value>(input.0) {
        assert_eq!(document["issuer"], asked.as_ref());
    }
    let asked = Asked {
        method: "client_secret_post",
        assertion_alg: Some("ES256"),
        dpop_alg: Some("ES256"),
        scopes: &["read".to_owned()],
        audience: Some("https://api.example/"),
    };
    let said = metadata.refuses(&asked).into_iter().chain(metadata.doubts(&asked));
    said.for_each(|text| check_text(&text, LONGEST_MESSAGE));
    true
}

/// What is left of an input.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// A byte to choose by; 0 at the end.
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn line(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (&self.0[..end], &self.0[end + 1..]),
            None => (self.0, &[][..]),
        };
        self.0 = rest;
        line
    }

    fn text(&mut self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.line())
    }
}

/// Leaves out what is empty, or what no HTTP client would let pass.
fn append(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    if let Some(value) = HeaderValue::from_bytes(value).ok().filter(|value| !value.is_empty()) {
        headers.append(name, value);
    }
}

fn read(status: u16, headers: &HeaderMap, body: &[u8], demanded: TokenType) -> Reading {
    let mut answer = Response::new(Bytes::copy_from_slice(body));
    *answer.status_mut() = StatusCode::from_u16(status).expect("one of three digits");
    *answer.headers_mut() = headers.clone();
    let refusals = [QuotaRefusal { status: StatusCode::FORBIDDEN, text: "quota".to_owned() }];
    let mut secrets = Redactions::new();
    secrets.add(SECRET);
    response::read(answer, NOW, &refusals, demanded, &secrets)
}

#[cfg(test)]
mod tests;

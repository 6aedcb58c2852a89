//! The token request (RFC 6749 §4.4.2).

use std::sync::Arc;

use bytes::Bytes;
use form_urlencoded::Serializer;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request};
use serde::Serializer as _;
use serde::ser::SerializeMap;
use zeroize::Zeroizing;

use super::asked::Asked;
use super::client_auth::ClientAuth;
use super::dpop::Dpop;
use super::endpoint::HttpUrl;
use super::metadata::Metadata;
use super::parameters::{Field, Parameters};
use super::quote::Redactions;
use super::well_known::{Discovery, Issuer};
use crate::clock::Timestamp;
use crate::fingerprint::Fingerprint;
use crate::jose::assertion::assertion;
use crate::jose::signer::HmacSecret;
use crate::jose::{SignError, Signer};
use crate::seal::Keys;
use crate::secret::ClientSecret;

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// RFC 7523 §2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Extra parameters and headers of so many bytes may be secrets.
const SHORTEST_HIDDEN: usize = 8;

/// Where the issuer is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Where {
    // In boxes, since most have none, and some processes have very many clients.
    pub(crate) issuer: Option<Box<Issuer>>,
    pub(crate) token_endpoint: TokenEndpoint,
    pub(crate) introspection_endpoint: Option<Box<HttpUrl>>,
    pub(crate) revocation_endpoint: Option<Box<HttpUrl>>,
}

/// Where tokens are given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenEndpoint {
    Fixed(HttpUrl),
    /// Where the issuer's metadata says (RFC 8414 §3). There is an issuer then.
    Discovered(Discovery),
}

impl Where {
    /// The issuer, as the ledger and the fingerprint name it.
    pub(crate) fn name(&self) -> String {
        match (&self.token_endpoint, &self.issuer) {
            (TokenEndpoint::Fixed(url), _) => url.normalized(),
            (TokenEndpoint::Discovered(_), issuer) => {
                issuer.as_ref().map_or_else(String::new, |issuer| issuer.as_str().to_owned())
            }
        }
    }

    /// The token endpoint, once the metadata is there if it takes any.
    pub(crate) fn token_endpoint<'a>(
        &'a self,
        metadata: Option<&'a Metadata>,
        mtls: bool,
    ) -> Option<&'a HttpUrl> {
        match &self.token_endpoint {
            TokenEndpoint::Fixed(url) => Some(url),
            TokenEndpoint::Discovered(_) => metadata.map(|metadata| metadata.token_endpoint(mtls)),
        }
    }
}

/// How the client shows who it is, and with what.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) auth: ClientAuth,
    /// For the ways that take a secret.
    pub(crate) secret: Option<ClientSecret>,
    /// For the way that takes a key.
    pub(crate) signer: Option<Arc<dyn Signer>>,
    /// Whether assertions are addressed to the token endpoint and not to the issuer.
    pub(crate) asserts_to_endpoint: bool,
    /// Whether the transport shows a certificate besides.
    pub(crate) has_certificate: bool,
}

/// Everything that decides which token the issuer gives; all of it but the headers is in the fingerprint.
#[derive(Clone)]
pub(crate) struct TokenRequest {
    pub(crate) at: Where,
    pub(crate) client: Client,
    pub(crate) parameters: Parameters,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) dpop: Option<Arc<Dpop>>,
}

/// What goes out, and what must not be shown of it.
pub(crate) struct Outgoing {
    pub(crate) request: Request<Bytes>,
    pub(crate) secrets: Redactions,
}

impl Outgoing {
    /// What may be a secret, unless it is so short that it is a word like any other.
    fn hide(&mut self, value: &str) {
        if value.len() >= SHORTEST_HIDDEN {
            self.secrets.add(value);
        }
    }
}

impl TokenRequest {
    /// A request for a token. Made anew for each attempt, with an assertion and a proof of its own; the body is wiped when the
    /// transport drops it.
    pub(crate) fn to_http(
        &self,
        endpoint: &HttpUrl,
        now: Timestamp,
    ) -> Result<Outgoing, SignError> {
        let scope = self.parameters.scopes.join(" ");
        let mut outgoing = self.client.post(endpoint, &self.at, now, |field| {
            field(Field::Text(GRANT.0, GRANT.1));
            self.parameters.fields(&scope, field);
        })?;
        for (name, value) in &self.headers {
            outgoing.hide(value.to_str().unwrap_or_default());
            outgoing.request.headers_mut().insert(name, value.clone());
        }
        let details = self.parameters.authorization_details.iter();
        let extra = self.parameters.extra.iter().map(|(_, value)| value);
        extra.chain(details).for_each(|value| outgoing.hide(value));
        if let Some(dpop) = &self.dpop {
            let proof = dpop.for_issuer(endpoint.uri(), now)?;
            outgoing.secrets.add(proof.to_str().unwrap_or_default());
            outgoing.request.headers_mut().insert(super::dpop::PROOF, proof);
        }
        Ok(outgoing)
    }

    /// The identity of the token that this request gets.
    pub(crate) fn fingerprint(&self, keys: &Keys) -> Fingerprint {
        let mut fields: Vec<Vec<u8>> = vec![b"request".to_vec(), self.at.name().into_bytes()];
        self.client.identity(|field| fields.push(field.to_vec()));
        self.parameters.identity(|field| fields.push(field.to_vec()));
        for (name, value) in &self.headers {
            fields.extend([name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec()]);
        }
        fields.extend(self.dpop.iter().map(|dpop| dpop.thumbprint().as_bytes().to_vec()));
        let fields = Zeroizing::new(fields);
        keys.fingerprint(fields.iter().map(Vec::as_slice))
    }

    /// The identity of the secret or the key, and the way of using it: what an `invalid_client` is about.
    pub(crate) fn credential(&self, keys: &Keys) -> Fingerprint {
        let mut fields = vec![b"credential".to_vec()];
        self.client.identity(|field| fields.push(field.to_vec()));
        if self.client.auth.asserts() {
            // A wrong audience is refused like a wrong key.
            let issuer = self.at.issuer.as_ref().map_or("", |issuer| issuer.as_str());
            fields.push(issuer.as_bytes().to_vec());
            fields.push(vec![u8::from(self.client.asserts_to_endpoint)]);
        }
        let fields = Zeroizing::new(fields);
        keys.fingerprint(fields.iter().map(Vec::as_slice))
    }

    /// What the issuer's metadata is held against.
    pub(crate) fn asked(&self) -> Asked<'_> {
        Asked {
            method: self.client.auth.method(),
            assertion_alg: self.client.assertion_alg(),
            dpop_alg: self.dpop.as_ref().map(|dpop| dpop.algorithm()),
            scopes: &self.parameters.scopes,
            audience: self.parameters.audience.as_deref(),
        }
    }
}

impl Client {
    /// A form (or JSON, if that is how this client speaks) with the client's own authentication and `fields`.
    pub(crate) fn post<'a>(
        &self,
        endpoint: &HttpUrl,
        at: &Where,
        now: Timestamp,
        fields: impl Fn(&mut dyn FnMut(Field<'a>)),
    ) -> Result<Outgoing, SignError> {
        let assertion = self.assertion(endpoint, at, now)?;
        let secret = self.secret.as_ref().map_or("", ClientSecret::expose);
        let all = |field: &mut dyn FnMut(Field<'_>)| {
            fields(&mut |given| field(given));
            if self.auth.id_in_body() {
                field(Field::Text("client_id", &self.id));
            }
            if self.auth.secret_in_body() {
                field(Field::Text("client_secret", secret));
            }
            if let Some(assertion) = &assertion {
                field(Field::Text("client_assertion_type", JWT_BEARER));
                field(Field::Text("client_assertion", assertion));
            }
        };
        let (content_type, body) = if self.auth == ClientAuth::PostJson {
            ("application/json", json(&all))
        } else {
            ("application/x-www-form-urlencoded", form(&all))
        };
        let mut request = Request::new(Bytes::from_owner(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.uri().clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut secrets = Redactions::new();
        secrets.add(secret);
        secrets.add(assertion.as_deref().map_or("", String::as_str));
        if let Some(header) = self.auth.header(&self.id, secret) {
            secrets.add(header.to_str().unwrap_or_default().trim_start_matches("Basic "));
            headers.insert(AUTHORIZATION, header);
        }
        Ok(Outgoing { request, secrets })
    }

    /// RFC 7523 §2.2.
    fn assertion(
        &self,
        endpoint: &HttpUrl,
        at: &Where,
        now: Timestamp,
    ) -> Result<Option<Zeroizing<String>>, SignError> {
        if !self.auth.asserts() {
            return Ok(None);
        }
        let endpoint = endpoint.uri().to_string();
        let audience = match &at.issuer {
            Some(issuer) if !self.asserts_to_endpoint => issuer.as_str(),
            _ => &endpoint,
        };
        let secret = self.secret.as_ref().map(|secret| HmacSecret::new(secret.clone()));
        let signer: Option<&dyn Signer> = match (&self.signer, &secret) {
            (Some(signer), _) => Some(&**signer),
            (None, Some(secret)) => Some(secret),
            (None, None) => None,
        };
        signer.map(|signer| assertion(signer, &self.id, audience, now)).transpose()
    }

    fn assertion_alg(&self) -> Option<&str> {
        match self.auth {
            ClientAuth::SecretJwt => Some("HS256"),
            ClientAuth::PrivateKeyJwt => self.signer.as_deref().map(Signer::algorithm),
            _ => None,
        }
    }

    /// Whether another key or certificate shows in [`identity`](Self::identity).
    pub(crate) fn shows_change(&self) -> bool {
        match &self.signer {
            Some(signer) => signer.public_jwk().is_some() || signer.key_id().is_some(),
            None => self.secret.is_some(),
        }
    }

    /// Whether the connection has the client's certificate, so that the issuer's aliases for that are used (RFC 8705 §5).
    pub(crate) fn shows_certificate(&self) -> bool {
        self.auth.is_mtls() || self.has_certificate
    }

    /// What tells this client with this secret or key from others.
    fn identity(&self, mut field: impl FnMut(&[u8])) {
        field(self.id.as_bytes());
        field(self.auth.name().as_bytes());
        field(self.secret.as_ref().map_or(b"", |secret| secret.expose().as_bytes()));
        let signer = self.signer.as_deref();
        field(signer.map_or(b"", |signer| signer.algorithm().as_bytes()));
        field(signer.and_then(Signer::key_id).unwrap_or_default().as_bytes());
        let thumbprint = signer.and_then(Signer::public_jwk).map(|jwk| jwk.thumbprint());
        field(thumbprint.unwrap_or_default().as_bytes());
        if self.has_certificate {
            field(b"certificate");
        }
    }
}

/// Everything that is sent, field by field.
type Fields<'f> = dyn Fn(&mut dyn FnMut(Field<'_>)) + 'f;

fn form(fields: &Fields<'_>) -> Zeroizing<Vec<u8>> {
    // Form encoding makes at most three bytes of one; enough room from the start leaves no copy behind.
    let mut target = String::with_capacity(longest_body(fields));
    {
        let mut form = Serializer::new(&mut target);
        fields(&mut |field| match field {
            Field::Text(name, value) | Field::Json(name, value) => {
                form.append_pair(name, value);
            }
            Field::Repeated(name, values) => {
                for value in values {
                    form.append_pair(name, value);
                }
            }
        });
    }
    Zeroizing::new(target.into_bytes())
}

fn json(fields: &Fields<'_>) -> Zeroizing<Vec<u8>> {
    const VECTOR: &str = "a vector takes every write";
    let mut target = Zeroizing::new(Vec::with_capacity(longest_body(fields)));
    let mut json = serde_json::Serializer::new(&mut *target);
    let mut map = json.serialize_map(None).expect(VECTOR);
    fields(&mut |field| match field {
        Field::Text(name, value) => map.serialize_entry(name, value).expect(VECTOR),
        Field::Repeated(name, [value]) => map.serialize_entry(name, value).expect(VECTOR),
        Field::Repeated(name, values) => map.serialize_entry(name, values).expect(VECTOR),
        Field::Json(name, text) => {
            let value: serde_json::Value = serde_json::from_str(text).expect("it was checked");
            map.serialize_entry(name, &value).expect(VECTOR);
        }
    });
    map.end().expect(VECTOR);
    target
}

fn longest_body(fields: &Fields<'_>) -> usize {
    let mut length = 16;
    // JSON makes at most six bytes of one (`\u0000`); quotes and separators are another six per field.
    fields(&mut |field| match field {
        Field::Text(name, value) | Field::Json(name, value) => {
            length += 6 * (name.len() + value.len()) + 6;
        }
        Field::Repeated(name, values) => {
            length += values.iter().map(|value| 6 * (name.len() + value.len()) + 6).sum::<usize>();
        }
    });
    length
}

#[cfg(test)]
mod tests;

//! The token request (RFC 6749 §4.4.2).

use bytes::Bytes;
use form_urlencoded::Serializer;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use serde::Serializer as _;
use zeroize::Zeroizing;

use super::client_auth::ClientAuth;
use super::endpoint::HttpUrl;
use crate::fingerprint::Fingerprint;
use crate::seal::Keys;
use crate::secret::ClientSecret;

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// Everything that decides which token the issuer gives; all of it is in the fingerprint.
#[derive(Clone)]
pub(crate) struct TokenRequest {
    pub(crate) endpoint: HttpUrl,
    pub(crate) client_id: String,
    pub(crate) secret: ClientSecret,
    pub(crate) auth: ClientAuth,
    pub(crate) audience: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) parameters: Vec<(String, String)>,
}

impl TokenRequest {
    /// What is sent. Made anew for each attempt; the body is wiped when the transport drops it.
    pub(crate) fn to_http(&self) -> Request<Bytes> {
        let (content_type, body) = match self.auth {
            ClientAuth::PostJson => ("application/json", self.json()),
            ClientAuth::Post | ClientAuth::Basic | ClientAuth::BasicRaw => {
                ("application/x-www-form-urlencoded", self.form())
            }
        };
        let mut request = Request::new(Bytes::from_owner(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.uri().clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(header) = self.auth.header(&self.client_id, self.secret.expose()) {
            headers.insert(AUTHORIZATION, header);
        }
        request
    }

    /// The identity of the token that this request gets.
    pub(crate) fn fingerprint(&self, keys: &Keys) -> Fingerprint {
        let endpoint = self.endpoint.normalized();
        let mut fields: Vec<&[u8]> =
            vec![b"request", endpoint.as_bytes(), self.client_id.as_bytes()];
        fields.extend([self.secret.expose().as_bytes(), self.auth.name().as_bytes()]);
        // A count before each list, so that a scope cannot pass for a parameter.
        let counts = [self.audience.iter().len(), self.scopes.len(), self.parameters.len()];
        let counts = counts.map(|count| (count as u64).to_be_bytes());
        fields.push(&counts[0]);
        fields.extend(self.audience.iter().map(String::as_bytes));
        fields.push(&counts[1]);
        fields.extend(self.scopes.iter().map(String::as_bytes));
        fields.push(&counts[2]);
        fields.extend(
            self.parameters.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]),
        );
        keys.fingerprint(fields)
    }

    /// The identity of the secret and the way of sending it: what an `invalid_client` is about.
    pub(crate) fn credential(&self, keys: &Keys) -> Fingerprint {
        let fields: [&[u8]; 4] = [
            b"credential",
            self.client_id.as_bytes(),
            self.secret.expose().as_bytes(),
            self.auth.name().as_bytes(),
        ];
        keys.fingerprint(fields)
    }

    /// The names that this crate sends itself, so that an extra parameter cannot repeat one.
    pub(crate) fn is_reserved(name: &str) -> bool {
        matches!(name, "grant_type" | "client_id" | "client_secret" | "audience" | "scope")
    }

    fn form(&self) -> Zeroizing<Vec<u8>> {
        // Form encoding makes at most three bytes of one; enough room from the start leaves no copy behind.
        let mut target = String::with_capacity(self.longest_body());
        {
            let mut form = Serializer::new(&mut target);
            self.fields(|name, value| {
                form.append_pair(name, value);
            });
        }
        Zeroizing::new(target.into_bytes())
    }

    fn json(&self) -> Zeroizing<Vec<u8>> {
        use serde::ser::SerializeMap;

        let mut target = Zeroizing::new(Vec::with_capacity(self.longest_body()));
        let mut json = serde_json::Serializer::new(&mut *target);
        let mut map = json.serialize_map(None).expect("a vector takes every write");
        self.fields(|name, value| {
            map.serialize_entry(name, value).expect("a vector takes every write");
        });
        map.end().expect("a vector takes every write");
        target
    }

    fn fields(&self, mut field: impl FnMut(&str, &str)) {
        field(GRANT.0, GRANT.1);
        if self.auth.in_body() {
            field("client_id", &self.client_id);
            field("client_secret", self.secret.expose());
        }
        if let Some(audience) = &self.audience {
            field("audience", audience);
        }
        if !self.scopes.is_empty() {
            field("scope", &self.scopes.join(" "));
        }
        for (name, value) in &self.parameters {
            field(name, value);
        }
    }

    fn longest_body(&self) -> usize {
        let mut length = 16;
        // JSON makes at most six bytes of one (`\u0000`); quotes and separators are another six per field.
        self.fields(|name, value| length += 6 * (name.len() + value.len()) + 6);
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(auth: ClientAuth) -> TokenRequest {
        TokenRequest {
            endpoint: HttpUrl::parse("token_endpoint", "https://a.example/oauth/token", false)
                .unwrap(),
            client_id: "id".to_owned(),
            secret: ClientSecret::new("s&c \"x\""),
            auth,
            audience: Some("https://a.example".to_owned()),
            scopes: vec!["b".to_owned(), "a".to_owned()],
            parameters: vec![("organization".to_owned(), "ö".to_owned())],
        }
    }

    fn body(auth: ClientAuth) -> (Request<Bytes>, String) {
        let sent = request(auth).to_http();
        let body = String::from_utf8(sent.body().to_vec()).unwrap();
        (sent, body)
    }

    #[test]
    fn post_is_a_form_with_everything_in_it() {
        let (sent, body) = body(ClientAuth::Post);
        assert_eq!(sent.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
        assert!(!sent.headers().contains_key(AUTHORIZATION));
        assert_eq!(
            body,
            "grant_type=client_credentials&client_id=id&client_secret=s%26c+%22x%22&\
             audience=https%3A%2F%2Fa.example&scope=b+a&organization=%C3%B6"
        );
    }

    #[test]
    fn post_json_is_one_flat_object() {
        let (sent, body) = body(ClientAuth::PostJson);
        assert_eq!(sent.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(
            body,
            r#"{"grant_type":"client_credentials","client_id":"id","client_secret":"s&c \"x\"","audience":"https://a.example","scope":"b a","organization":"ö"}"#
        );
    }

    #[test]
    fn basic_has_no_secret_in_its_body() {
        let (sent, body) = body(ClientAuth::Basic);
        assert!(sent.headers()[AUTHORIZATION].is_sensitive());
        assert!(!body.contains("client_id") && !body.contains("client_secret"), "{body}");
    }

    // torture: C21
    #[test]
    fn whatever_differs_makes_another_fingerprint() {
        let of = |change: &dyn Fn(&mut TokenRequest)| {
            let mut changed = request(ClientAuth::Post);
            change(&mut changed);
            // One key for all, so that the fields alone must tell the requests apart.
            changed.fingerprint(&Keys::derive(&ClientSecret::new("key")))
        };
        let url = |text| HttpUrl::parse("token_endpoint", text, false).unwrap();
        let all = [
            of(&|_| {}),
            of(&|r| r.endpoint = url("https://b.example/oauth/token")),
            of(&|r| r.client_id = "id2".to_owned()),
            of(&|r| r.secret = ClientSecret::new("other")),
            of(&|r| r.auth = ClientAuth::PostJson),
            of(&|r| r.auth = ClientAuth::Basic),
            of(&|r| r.audience = None),
            of(&|r| r.audience = Some("https://b.example".to_owned())),
            of(&|r| r.scopes.truncate(1)),
            of(&|r| r.scopes = vec!["b a".to_owned()]),
            of(&|r| r.parameters.clear()),
            of(&|r| r.parameters[0].1 = "x".to_owned()),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

fn request(auth: ClientAuth) -> TokenRequest {
    TokenRequest {
        at: Where {
            issuer: Some(Box::new(Issuer::parse("https://a.example", false).unwrap())),
            token_endpoint: TokenEndpoint::Fixed(url("https://a.example/oauth/token")),
            introspection_endpoint: None,
            revocation_endpoint: None,
        },
        client: Client {
            id: "id".to_owned(),
            auth,
            secret: auth.takes_secret().then(|| ClientSecret::new("s&c \"x\"")),
            signer: None,
            asserts_to_endpoint: false,
            has_certificate: false,
        },
        parameters: Parameters {
            audience: Some("https://a.example".to_owned()),
            scopes: vec!["b".to_owned(), "a".to_owned()],
            extra: vec![("organization".to_owned(), "ö".to_owned())],
            ..Parameters::default()
        },
        headers: Vec::new(),
        dpop: None,
    }
}

fn url(text: &str) -> HttpUrl {
    HttpUrl::parse("token_endpoint", text, false).unwrap()
}

fn sent(request: &TokenRequest) -> (Request<Bytes>, String) {
    let endpoint = request.at.token_endpoint(None, false).unwrap();
    let sent = request.to_http(endpoint, Timestamp::from_secs(1_800_000_000)).unwrap().request;
    let body = String::from_utf8(sent.body().to_vec()).unwrap();
    (sent, body)
}

fn body(auth: ClientAuth) -> (Request<Bytes>, String) {
    sent(&request(auth))
}

#[test]
fn post_is_a_form_with_everything_in_it() {
    let (sent, body) = body(ClientAuth::Post);
    assert_eq!(sent.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
    assert!(!sent.headers().contains_key(AUTHORIZATION));
    assert_eq!(
        body,
        "grant_type=client_credentials&audience=https%3A%2F%2Fa.example&scope=b+a&organization=%C3%B6&\
         client_id=id&client_secret=s%26c+%22x%22"
    );
}

#[test]
fn post_json_is_one_flat_object() {
    let (sent, body) = body(ClientAuth::PostJson);
    assert_eq!(sent.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(
        body,
        r#"{"grant_type":"client_credentials","audience":"https://a.example","scope":"b a","organization":"ö","client_id":"id","client_secret":"s&c \"x\""}"#
    );
}

#[test]
fn basic_has_no_secret_in_its_body() {
    let (sent, body) = body(ClientAuth::Basic);
    assert!(sent.headers()[AUTHORIZATION].is_sensitive());
    assert!(!body.contains("client_id") && !body.contains("client_secret"), "{body}");
}

#[test]
fn several_resources_and_details_are_sent_in_both_dialects() {
    let with = |auth| {
        let mut request = request(auth);
        request.parameters = Parameters {
            resources: vec!["https://a.example".to_owned(), "urn:b".to_owned()],
            authorization_details: Some(r#"[{"type":"t"}]"#.to_owned()),
            ..Parameters::default()
        };
        sent(&request).1
    };
    assert_eq!(
        with(ClientAuth::Basic),
        "grant_type=client_credentials&resource=https%3A%2F%2Fa.example&resource=urn%3Ab&\
         authorization_details=%5B%7B%22type%22%3A%22t%22%7D%5D"
    );
    assert!(with(ClientAuth::PostJson).starts_with(
        r#"{"grant_type":"client_credentials","resource":["https://a.example","urn:b"],"authorization_details":[{"type":"t"}],"#
    ));
}

#[test]
fn who_proves_nothing_or_by_the_connection_sends_the_id_alone() {
    for auth in [ClientAuth::None, ClientAuth::TlsClientAuth, ClientAuth::SelfSignedTlsClientAuth] {
        let (sent, body) = body(auth);
        assert!(!sent.headers().contains_key(AUTHORIZATION));
        assert!(body.ends_with("&client_id=id"), "{body}");
    }
}

#[test]
fn an_assertion_is_another_each_time_and_addressed_to_the_issuer_unless_told_otherwise() {
    let claims = |to_endpoint| {
        let mut request = request(ClientAuth::SecretJwt);
        request.client.asserts_to_endpoint = to_endpoint;
        let (_, body) = sent(&request);
        assert!(!body.contains("client_secret="), "{body}");
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let of = |name: &str| pairs.iter().find(|(key, _)| key == name).unwrap().1.clone();
        assert_eq!(of("client_assertion_type"), JWT_BEARER);
        let assertion = of("client_assertion");
        let claims = assertion.split('.').nth(1).unwrap();
        serde_json::from_slice::<serde_json::Value>(&URL_SAFE_NO_PAD.decode(claims).unwrap())
            .unwrap()
    };
    let (one, other) = (claims(false), claims(true));
    assert_eq!((&one["iss"], &one["sub"]), (&"id".into(), &"id".into()));
    assert_eq!(one["aud"], "https://a.example");
    assert_eq!(other["aud"], "https://a.example/oauth/token");
    assert_ne!(one["jti"], other["jti"]);
    let (iat, exp) = (one["iat"].as_i64().unwrap(), one["exp"].as_i64().unwrap());
    assert!(iat == 1_800_000_000 && exp > iat && exp <= iat + 60, "{one}");
}

#[cfg(feature = "ring")]
#[test]
fn a_proof_goes_with_a_token_request_and_has_the_issuers_nonce() {
    let mut request = request(ClientAuth::Basic);
    let dpop = Arc::new(Dpop::new(Arc::new(crate::jose::SigningKey::generate_es256())).unwrap());
    request.dpop = Some(dpop.clone());
    let proof = |request| {
        let (sent, _) = sent(request);
        let proof = &sent.headers()[super::super::dpop::PROOF];
        assert!(proof.is_sensitive());
        let claims = proof.to_str().unwrap().split('.').nth(1).unwrap().to_owned();
        serde_json::from_slice::<serde_json::Value>(&URL_SAFE_NO_PAD.decode(claims).unwrap())
            .unwrap()
    };
    let first = proof(&request);
    assert_eq!(first["htm"], "POST");
    assert_eq!(first["htu"], "https://a.example/oauth/token");
    assert!(first.get("nonce").is_none() && first.get("ath").is_none());
    dpop.heed_issuer("n-1".to_owned());
    let second = proof(&request);
    assert_eq!(second["nonce"], "n-1");
    assert_ne!(first["jti"], second["jti"]);
}

// torture: C21
#[test]
fn whatever_differs_makes_another_fingerprint() {
    let of = |auth, change: &dyn Fn(&mut TokenRequest)| {
        let mut changed = request(auth);
        change(&mut changed);
        // One key for all, so that the fields alone must tell the requests apart.
        changed.fingerprint(&Keys::derive(b"key"))
    };
    let post = |change: &dyn Fn(&mut TokenRequest)| of(ClientAuth::Post, change);
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let all = [
        post(&|_| {}),
        post(&|r| r.at.token_endpoint = TokenEndpoint::Fixed(url("https://b.example/oauth/token"))),
        post(&|r| r.at.token_endpoint = TokenEndpoint::Discovered(Discovery::OAuth)),
        post(&|r| r.client.id = "id2".to_owned()),
        post(&|r| r.client.secret = Some(ClientSecret::new("other"))),
        of(ClientAuth::PostJson, &|_| {}),
        of(ClientAuth::Basic, &|_| {}),
        of(ClientAuth::SecretJwt, &|_| {}),
        of(ClientAuth::TlsClientAuth, &|_| {}),
        of(ClientAuth::None, &|_| {}),
        post(&|r| r.parameters.audience = None),
        post(&|r| r.parameters.audience = Some("https://b.example".to_owned())),
        post(&|r| r.parameters.scopes.truncate(1)),
        post(&|r| r.parameters.scopes = texts(&["b a"])),
        post(&|r| r.parameters.resources = texts(&["https://a.example"])),
        post(&|r| r.parameters.resources = texts(&["https://a.example", "https://b.example"])),
        post(&|r| r.parameters.authorization_details = Some(r#"[{"type":"a"}]"#.to_owned())),
        post(&|r| r.parameters.extra.clear()),
        post(&|r| r.parameters.extra[0].1 = "x".to_owned()),
    ];
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
}

// torture: C21
#[cfg(feature = "ring")]
#[test]
fn another_key_makes_another_fingerprint() {
    let key = || crate::jose::SigningKey::generate_es256();
    let of = |change: &dyn Fn(&mut TokenRequest)| {
        let mut changed = request(ClientAuth::PrivateKeyJwt);
        change(&mut changed);
        changed.fingerprint(&Keys::derive(b"key"))
    };
    let (one, other) = (key(), key());
    let signs = |key: &crate::jose::SigningKey| {
        let key = key.clone();
        of(&move |r| r.client.signer = Some(Arc::new(key.clone())))
    };
    let binds = |key: &crate::jose::SigningKey| {
        let key = key.clone();
        of(&move |r| r.dpop = Dpop::new(Arc::new(key.clone())).map(Arc::new))
    };
    let all = [of(&|_| {}), signs(&one), signs(&other), binds(&one), binds(&other)];
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert_eq!(signs(&one), signs(&one));
}

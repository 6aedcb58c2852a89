//! Whatever is sent, the answer is an OAuth error (RFC 6749 §5.2), and nothing panics. No socket is in between.

use std::sync::{Arc, LazyLock};
use std::time::UNIX_EPOCH;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Extract};
use axum::response::Response;
use http::HeaderValue;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{revoke, token};
use crate::clock::Clock as _;
use crate::holder::Holder;
use crate::issuer::Issuer;
use crate::state::State;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const ERRORS: [&str; 9] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unsupported_grant_type",
    "access_denied",
    "too_many_requests",
    "invalid_dpop_proof",
    "use_dpop_nonce",
    "invalid_scope",
];

/// An issuer whose client `app` has the key of `holder`.
struct Bench {
    runtime: Runtime,
    issuer: Issuer,
    holder: Holder,
}

static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let holder = Holder::es256();
    let jwk = holder.jwk().to_string();
    let builder = Issuer::builder().client_key("app", &jwk).client("app", "s3cret");
    let issuer = runtime.block_on(builder.unlimited_quota().start()).unwrap();
    Bench { runtime, issuer, holder }
});

impl Bench {
    fn state(&self) -> Arc<State> {
        Arc::clone(self.issuer.state())
    }

    fn now(&self) -> u64 {
        self.state().clock.now().duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    fn assertion(&self) -> String {
        let claims = json!({
            "iss": "app", "sub": "app", "aud": self.issuer.url(), "exp": self.now() + 60,
            "jti": crate::random::hex::<8>().unwrap(),
        });
        self.holder.sign(&json!({"alg": "ES256"}), &claims)
    }

    fn proof(&self) -> String {
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.holder.jwk()});
        let claims = json!({
            "htm": "POST", "htu": self.issuer.token_endpoint(), "iat": self.now(),
            "jti": crate::random::hex::<8>().unwrap(),
        });
        self.holder.sign(&header, &claims)
    }

    /// The parameters of a good request by assertion.
    fn asserted(&self, assertion: &str) -> String {
        form(&[
            ("grant_type", "client_credentials"),
            ("audience", self.issuer.audience()),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ])
    }

    fn secret(&self) -> String {
        form(&[
            ("grant_type", "client_credentials"),
            ("audience", self.issuer.audience()),
            ("client_id", "app"),
            ("client_secret", "s3cret"),
        ])
    }

    /// The status, and the `error` if there is one, at the token endpoint.
    fn token(&self, headers: &[(&'static str, &[u8])], body: &[u8]) -> (u16, Option<String>) {
        let request = request(headers, body);
        self.runtime.block_on(async { seen(token(Extract(self.state()), request).await).await })
    }

    fn revoke(&self, headers: &[(&'static str, &[u8])], body: &[u8]) -> (u16, Option<String>) {
        let request = request(headers, body);
        self.runtime.block_on(async { seen(revoke(Extract(self.state()), request).await).await })
    }

    /// Both endpoints refuse it, as RFC 6749 has it.
    fn refuses(&self, headers: &[(&'static str, &[u8])], body: &[u8]) -> Result<(), TestCaseError> {
        for (status, error) in [self.token(headers, body), self.revoke(headers, body)] {
            prop_assert!((400..500).contains(&status), "{}", status);
            let error = error.unwrap_or_default();
            prop_assert!(ERRORS.contains(&error.as_str()), "{}", error);
        }
        Ok(())
    }
}

fn form(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

fn request(headers: &[(&'static str, &[u8])], body: &[u8]) -> Request {
    let mut request = Request::new(Body::from(body.to_vec()));
    for (name, value) in headers {
        // What is no field value is refused before it gets here.
        if let Ok(value) = HeaderValue::from_bytes(value) {
            request.headers_mut().append(*name, value);
        }
    }
    request
}

async fn seen(response: Response) -> (u16, Option<String>) {
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    (status, body["error"].as_str().map(str::to_owned))
}

/// `text` with another byte in one place.
fn changed(text: &str, index: prop::sample::Index, byte: u8) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let at = index.index(bytes.len());
    bytes[at] = if bytes[at] == byte { byte ^ 1 } else { byte };
    bytes
}

#[test]
fn what_the_properties_change_is_good_before() {
    let bench = &*BENCH;
    let form = ("content-type", FORM.as_bytes());
    let proof = bench.proof();
    let proof = ("dpop", proof.as_bytes());
    assert_eq!(bench.token(&[form, proof], bench.secret().as_bytes()), (200, None));
    let body = bench.asserted(&bench.assertion());
    assert_eq!(bench.token(&[form], body.as_bytes()), (200, None));
    let body = bench.asserted(&bench.assertion()) + "&token=x";
    assert_eq!(bench.revoke(&[form], body.as_bytes()), (200, None));
}

#[test]
fn what_cannot_be_written_down_is_a_server_error_until_there_is_room_again() {
    let scratch = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let builder = Issuer::builder().client("app", "s3cret").directory(scratch.path());
    let issuer = runtime.block_on(builder.start()).unwrap();
    let bench = Bench { runtime, issuer, holder: Holder::es256() };
    let form = ("content-type", FORM.as_bytes());
    let request = request(&[form], bench.secret().as_bytes());
    let response = bench.runtime.block_on(token(Extract(bench.state()), request));
    let body = bench.runtime.block_on(to_bytes(response.into_body(), usize::MAX)).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let issued = body["access_token"].as_str().unwrap();

    let obstacle = scratch.path().join("state.json.new");
    std::fs::create_dir(&obstacle).unwrap();
    bench.state().registry.break_journal();
    let revocation = bench.secret() + "&token=" + issued;
    for failed in 1..3 {
        let answer = bench.token(&[form], bench.secret().as_bytes());
        assert_eq!(answer, (500, Some("server_error".to_owned())));
        assert_eq!(bench.issuer.counters().failed, failed);
        let answer = bench.revoke(&[form], revocation.as_bytes());
        assert_eq!(answer, (503, Some("temporarily_unavailable".to_owned())));
        assert!(!bench.issuer.is_valid(issued), "it is revoked for now");
        assert!(bench.issuer.revoke(issued), "it is one of its own all the same");
    }
    std::fs::remove_dir(&obstacle).unwrap();
    assert_eq!(bench.revoke(&[form], revocation.as_bytes()), (200, None));
    assert_eq!(bench.token(&[form], bench.secret().as_bytes()), (200, None));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_body_of_any_type_is_refused(
        body in prop::collection::vec(any::<u8>(), 0..200),
        content_type in prop_oneof![
            Just(FORM.as_bytes().to_vec()),
            Just(JSON.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..30),
        ],
    ) {
        BENCH.refuses(&[("content-type", &content_type)], &body)?;
        BENCH.refuses(&[], &body)?;
    }

    #[test]
    fn any_value_of_a_known_parameter_is_refused(
        name in "client_id|client_secret|grant_type|audience|scope|client_assertion|client_assertion_type|token",
        value in ".{0,40}",
        json in "[\\[\\]{}\",:0-9a-z.-]{0,20}",
    ) {
        let body = form(&[("client_id", "app"), (&name, &value)]);
        BENCH.refuses(&[("content-type", FORM.as_bytes())], body.as_bytes())?;
        let body = json!({"grant_type": "client_credentials", &name: value}).to_string();
        BENCH.refuses(&[("content-type", JSON.as_bytes())], body.as_bytes())?;
        let body = format!(r#"{{"client_id":"app","{name}":{json}}}"#);
        BENCH.refuses(&[("content-type", JSON.as_bytes())], body.as_bytes())?;
    }

    #[test]
    fn any_authorization_is_refused(
        value in prop::collection::vec(any::<u8>(), 0..60),
        pair in ".{0,30}",
    ) {
        use base64::Engine as _;
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(&pair));
        let body = form(&[("grant_type", "client_credentials")]);
        for value in [value.as_slice(), basic.as_bytes()] {
            let headers = [("content-type", FORM.as_bytes()), ("authorization", value)];
            BENCH.refuses(&headers, body.as_bytes())?;
        }
    }

    #[test]
    fn an_assertion_with_one_byte_changed_is_refused(index: prop::sample::Index, byte: u8) {
        let assertion = changed(&BENCH.assertion(), index, byte);
        let body = BENCH.asserted(&String::from_utf8_lossy(&assertion));
        BENCH.refuses(&[("content-type", FORM.as_bytes())], body.as_bytes())?;
    }

    #[test]
    fn any_claims_of_an_assertion_are_refused(
        name in "iss|sub|aud|exp|nbf|jti",
        number: i64,
        text in ".{0,20}",
    ) {
        for value in [json!(text), json!([text]), json!({&text: number}), json!(null)] {
            let mut claims = json!({"iss": "app", "sub": "app", "aud": "other", "jti": "1"});
            claims["exp"] = number.into();
            claims[&name] = value;
            let body = BENCH.asserted(&BENCH.holder.sign(&json!({"alg": "ES256"}), &claims));
            BENCH.refuses(&[("content-type", FORM.as_bytes())], body.as_bytes())?;
        }
    }

    #[test]
    fn a_proof_with_one_byte_changed_is_refused(index: prop::sample::Index, byte: u8) {
        let proof = changed(&BENCH.proof(), index, byte);
        // What is no field value never gets as far.
        prop_assume!(HeaderValue::from_bytes(&proof).is_ok());
        let headers = [("content-type", FORM.as_bytes()), ("dpop", proof.as_slice())];
        let answer = BENCH.token(&headers, BENCH.secret().as_bytes());
        prop_assert_eq!(answer, (400, Some("invalid_dpop_proof".to_owned())));
    }
}

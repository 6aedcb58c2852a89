//! `private_key_jwt` and DPoP at the token endpoint, and bound tokens at the API.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth_issuer::{ClientAuth, Issuer, IssuerBuilder, ManualClock};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::holder::Holder;
use crate::http::{Answer, Call, good, shipments};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const NOW: u64 = 1_700_000_000;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn builder() -> IssuerBuilder {
    Issuer::builder().clock(ManualClock::at(at(NOW)))
}

/// An issuer whose client `app` has a key.
async fn keyed(holder: &Holder) -> Issuer {
    builder().client_key("app", &holder.jwk().to_string()).start().await.unwrap()
}

fn claims(issuer: &Issuer, jti: &str) -> Value {
    json!({"iss": "app", "sub": "app", "aud": issuer.url(), "exp": NOW + 60, "jti": jti})
}

/// A token request by an assertion with these claims.
fn asserted(issuer: &Issuer, holder: &Holder, claims: &Value) -> Value {
    json!({
        "grant_type": "client_credentials",
        "audience": issuer.audience(),
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": holder.sign(&json!({"alg": holder.algorithm()}), claims),
    })
}

async fn ask(issuer: &Issuer, body: &Value) -> Answer {
    Call::token(JSON, body.to_string()).send(issuer).await.unwrap()
}

fn proof(holder: &Holder, claims: &Value) -> String {
    let header = json!({"typ": "dpop+jwt", "alg": holder.algorithm(), "jwk": holder.jwk()});
    holder.sign(&header, claims)
}

/// A proof for a token request.
fn for_issuer(issuer: &Issuer, holder: &Holder, jti: &str) -> String {
    let htu = issuer.token_endpoint();
    proof(holder, &json!({"jti": jti, "htm": "POST", "htu": htu, "iat": NOW}))
}

/// A request to the API with a bound token.
fn for_api(issuer: &Issuer, holder: &Holder, token: &str, jti: &str, nonce: Option<&str>) -> Call {
    let ath = URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()));
    let htu = format!("{}/v2/shipments", issuer.url());
    let mut claims = json!({"jti": jti, "htm": "GET", "htu": htu, "iat": NOW, "ath": ath});
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    Call::get("/v2/shipments?page=2")
        .header("Authorization", &format!("DPoP {token}"))
        .header("DPoP", &proof(holder, &claims))
}

fn claims_of(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

async fn bound(issuer: &Issuer, holder: &Holder, jti: &str) -> String {
    let call = Call::good_token(issuer).header("DPoP", &for_issuer(issuer, holder, jti));
    let answer = call.send(issuer).await.unwrap();
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_assertion_by_a_registered_key_gets_a_token_once() {
    for holder in Holder::all() {
        let issuer = keyed(&holder).await;
        let body = asserted(&issuer, &holder, &claims(&issuer, "1"));
        let answer = ask(&issuer, &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(claims_of(&token)["azp"], "app");
        assert_eq!(shipments(&issuer, &token).await, 200);
        assert_eq!(ask(&issuer, &body).await.error(), (401, "invalid_client".into()));

        let record = issuer.last_token_request().unwrap();
        assert_eq!(record.client_auth, ClientAuth::PrivateKeyJwt);
        assert_eq!((record.client_id.as_deref(), record.has_dpop_proof), (Some("app"), false));
        let mut more = claims(&issuer, "2");
        more["aud"] = json!(["https://elsewhere", issuer.token_endpoint()]);
        assert_eq!(ask(&issuer, &asserted(&issuer, &holder, &more)).await.status, 200);
    }
}

#[tokio::test]
async fn an_assertion_expires_by_the_issuers_clock() {
    let (holder, clock) = (Holder::es256(), ManualClock::at(at(NOW)));
    let builder = Issuer::builder().client_key("app", &holder.jwk().to_string());
    let issuer = builder.clock(clock.clone()).start().await.unwrap();
    let request = |jti: &str| asserted(&issuer, &holder, &claims(&issuer, jti));
    clock.set(at(NOW + 60));
    assert_eq!(ask(&issuer, &request("1")).await.error(), (401, "invalid_client".into()));
    clock.set(at(NOW + 59));
    assert_eq!(ask(&issuer, &request("1")).await.status, 200);
    clock.set(at(NOW + 60 - 3601));
    assert_eq!(ask(&issuer, &request("2")).await.error(), (401, "invalid_client".into()));
}

#[tokio::test]
async fn an_assertion_that_proves_nothing_spends_the_unit_of_its_subject() {
    let holder = Holder::es256();
    let jwk = holder.jwk().to_string();
    let issuer = builder().client_key("app", &jwk).client("b", "b").quota(1).start().await.unwrap();
    let mut body = asserted(&issuer, &Holder::es256(), &claims(&issuer, "1"));
    // Another client is named, so two are.
    body["client_id"] = "b".into();
    assert_eq!(ask(&issuer, &body).await.error(), (400, "invalid_request".into()));
    assert_eq!(issuer.last_token_request().unwrap().client_id.as_deref(), Some("app"));
    let body = asserted(&issuer, &holder, &claims(&issuer, "2"));
    assert_eq!(ask(&issuer, &body).await.error(), (429, "too_many_requests".into()));
    let mut body = good(&issuer);
    body["client_id"] = "b".into();
    body["client_secret"] = "b".into();
    assert_eq!(ask(&issuer, &body).await.status, 200);
}

#[tokio::test]
async fn an_assertion_beside_another_way_or_of_another_type_is_ambiguous() {
    let holder = Holder::es256();
    let issuer = keyed(&holder).await;
    for (jti, name, value) in [
        ("1", "client_secret", json!("x")),
        ("2", "client_id", json!("other")),
        (
            "3",
            "client_assertion_type",
            json!("urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
        ),
        ("4", "client_assertion_type", json!(null)),
        ("5", "client_assertion", json!("")),
    ] {
        let mut body = asserted(&issuer, &holder, &claims(&issuer, jti));
        body[name] = value;
        assert_eq!(ask(&issuer, &body).await.error(), (400, "invalid_request".into()), "{name}");
    }
    let body = asserted(&issuer, &holder, &claims(&issuer, "6"));
    let call = Call::token(JSON, body.to_string()).header("Authorization", "Basic YTpi");
    assert_eq!(call.send(&issuer).await.unwrap().error(), (400, "invalid_request".into()));
    // Naming the same client again is no contradiction.
    let mut body = asserted(&issuer, &holder, &claims(&issuer, "7"));
    body["client_id"] = "app".into();
    assert_eq!(ask(&issuer, &body).await.status, 200);
}

#[tokio::test]
async fn one_clients_key_is_no_other_clients() {
    let (one, two) = (Holder::es256(), Holder::es256());
    let issuer = builder()
        .client_key("app", &one.jwk().to_string())
        .client_key("other", &two.jwk().to_string())
        .start()
        .await
        .unwrap();
    let answer = ask(&issuer, &asserted(&issuer, &two, &claims(&issuer, "1"))).await;
    assert_eq!(answer.error(), (401, "invalid_client".into()));
    assert_eq!(ask(&issuer, &asserted(&issuer, &one, &claims(&issuer, "1"))).await.status, 200);
}

#[tokio::test]
async fn a_client_key_that_cannot_be_used_is_told_at_the_start() {
    let mut private = Holder::es256().jwk();
    private["d"] = "AQAB".into();
    for jwk in ["", "{}", &private.to_string()] {
        let error = builder().client_key("app", jwk).start().await.unwrap_err();
        assert!(error.is_client_key() && error.to_string().contains("app"), "{error}");
        assert!(!format!("{error:?}").contains("AQAB"));
    }
}

#[tokio::test]
async fn a_proof_binds_the_token_to_its_key() {
    for holder in Holder::all() {
        let issuer = builder().start().await.unwrap();
        let sent = for_issuer(&issuer, &holder, "1");
        let call = Call::good_token(&issuer).header("DPoP", &sent);
        let answer = call.send(&issuer).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("dpop-nonce"), None);
        assert_eq!(answer.json()["token_type"], "DPoP");
        assert!(issuer.last_token_request().unwrap().has_dpop_proof);
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(claims_of(&token)["cnf"]["jkt"].as_str().unwrap().len(), 43);
        // A proof is good for one request.
        let again = call.send(&issuer).await.unwrap();
        assert_eq!(again.error(), (400, "invalid_dpop_proof".into()));

        let call = for_api(&issuer, &holder, &token, "1", None);
        assert_eq!(call.send(&issuer).await.unwrap().status, 200);
        let again = call.send(&issuer).await.unwrap();
        let challenge = r#"DPoP error="invalid_dpop_proof", algs="RS256 PS256 ES256 EdDSA""#;
        assert_eq!((again.status, again.header("www-authenticate")), (401, Some(challenge)));
    }
}

#[tokio::test]
async fn a_stolen_token_opens_nothing() {
    let (holder, thief) = (Holder::es256(), Holder::es256());
    let issuer = builder().start().await.unwrap();
    let token = bound(&issuer, &holder, "1").await;
    let challenge = r#"DPoP error="invalid_token", algs="RS256 PS256 ES256 EdDSA""#;
    for call in
        [Call::get("/v2/shipments").bearer(&token), for_api(&issuer, &thief, &token, "1", None)]
    {
        let answer = call.send(&issuer).await.unwrap();
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(challenge)));
    }
    let bare = Call::get("/v2/shipments").header("Authorization", &format!("DPoP {token}"));
    assert_eq!(bare.send(&issuer).await.unwrap().status, 401);
    // A bearer token gains nothing by a proof.
    let free = crate::http::token(&issuer).await;
    let answer = for_api(&issuer, &holder, &free, "2", None).send(&issuer).await.unwrap();
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(challenge)));
    assert_eq!(
        for_api(&issuer, &holder, &token, "3", None).send(&issuer).await.unwrap().status,
        200
    );
    issuer.revoke(&token);
    assert_eq!(
        for_api(&issuer, &holder, &token, "4", None).send(&issuer).await.unwrap().status,
        401
    );
}

#[tokio::test]
async fn a_bad_proof_is_an_error_and_never_an_unbound_token() {
    let (holder, issuer) = (Holder::es256(), builder().start().await.unwrap());
    let good = json!({"jti": "1", "htm": "POST", "htu": issuer.token_endpoint(), "iat": NOW});
    for (name, value) in [
        ("htm", json!("GET")),
        ("htu", json!(issuer.url())),
        ("iat", json!(NOW - 301)),
        ("jti", json!("")),
    ] {
        let mut claims = good.clone();
        claims[name] = value;
        let call = Call::good_token(&issuer).header("DPoP", &proof(&holder, &claims));
        let answer = call.send(&issuer).await.unwrap();
        assert_eq!(answer.error(), (400, "invalid_dpop_proof".into()), "{name}");
    }
    let twice = Call::good_token(&issuer)
        .header("DPoP", &for_issuer(&issuer, &holder, "2"))
        .header("DPoP", &for_issuer(&issuer, &holder, "3"));
    assert_eq!(twice.send(&issuer).await.unwrap().error(), (400, "invalid_dpop_proof".into()));
    assert_eq!(issuer.counters().bad_request, 5);
}

#[tokio::test]
async fn a_nonce_is_asked_for_and_then_taken() {
    let (holder, issuer) = (Holder::es256(), builder().dpop_nonces(true).start().await.unwrap());
    let call = Call::good_token(&issuer).header("DPoP", &for_issuer(&issuer, &holder, "1"));
    let answer = call.send(&issuer).await.unwrap();
    assert_eq!(answer.error(), (400, "use_dpop_nonce".into()));
    let nonce = answer.header("dpop-nonce").unwrap().to_owned();
    let claims = json!({
        "jti": "1", "htm": "POST", "htu": issuer.token_endpoint(), "iat": NOW, "nonce": nonce,
    });
    let call = Call::good_token(&issuer).header("DPoP", &proof(&holder, &claims));
    let answer = call.send(&issuer).await.unwrap();
    assert_eq!((answer.status, answer.header("dpop-nonce")), (200, Some(nonce.as_str())));
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();

    let answer = for_api(&issuer, &holder, &token, "1", None).send(&issuer).await.unwrap();
    let challenge = r#"DPoP error="use_dpop_nonce", algs="RS256 PS256 ES256 EdDSA""#;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(challenge)));
    let nonce = answer.header("dpop-nonce").unwrap().to_owned();
    let answer = for_api(&issuer, &holder, &token, "2", Some(&nonce)).send(&issuer).await.unwrap();
    assert_eq!((answer.status, answer.header("dpop-nonce")), (200, Some(nonce.as_str())));
    // Without a proof there is no nonce to speak of.
    let answer = Call::good_token(&issuer).send(&issuer).await.unwrap();
    assert_eq!((answer.status, answer.header("dpop-nonce")), (200, None));
}

#[tokio::test]
async fn a_form_may_hold_an_assertion() {
    let holder = Holder::es256();
    let issuer = keyed(&holder).await;
    let body = asserted(&issuer, &holder, &claims(&issuer, "1"));
    let pairs =
        body.as_object().unwrap().iter().map(|(name, value)| (name, value.as_str().unwrap()));
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    assert_eq!(Call::token(FORM, body).send(&issuer).await.unwrap().status, 200);
}

#[tokio::test]
async fn an_issuer_that_is_known_by_another_url_goes_by_it_everywhere() {
    let holder = Holder::es256();
    let builder = builder().client_key("app", &holder.jwk().to_string());
    let issuer = builder.url("https://issuer.test/").start().await.unwrap();
    let listens_on = format!("http://{}", issuer.address());
    assert_eq!((issuer.url(), issuer.audience()), ("https://issuer.test", "https://issuer.test"));
    assert_eq!(issuer.token_endpoint(), "https://issuer.test/oauth/token");
    let metadata =
        Call::get("/.well-known/oauth-authorization-server").send(&issuer).await.unwrap();
    let metadata = metadata.json();
    assert_eq!(metadata["issuer"], "https://issuer.test");
    assert_eq!(metadata["jwks_uri"], issuer.jwks_uri());
    assert!(!metadata.to_string().contains(&listens_on), "{metadata}");
    // The page stays where it can be had.
    assert!(issuer.settings_url().starts_with(&listens_on));

    let mut wrong = claims(&issuer, "1");
    wrong["aud"] = listens_on.into();
    let answer = ask(&issuer, &asserted(&issuer, &holder, &wrong)).await;
    assert_eq!(answer.error(), (401, "invalid_client".into()));
    let body = asserted(&issuer, &holder, &claims(&issuer, "2"));
    assert_eq!(ask(&issuer, &body).await.status, 200);
    let token = bound(&issuer, &holder, "3").await;
    assert_eq!(claims_of(&token)["iss"], "https://issuer.test");
    let call = for_api(&issuer, &holder, &token, "4", None);
    assert_eq!(call.send(&issuer).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_url_that_no_issuer_can_have_is_told_at_the_start() {
    let error = Issuer::builder().url("https://issuer.test/path").start().await.unwrap_err();
    assert!(error.is_url() && error.to_string().contains("path"), "{error}");
}

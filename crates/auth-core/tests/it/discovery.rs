//! The token endpoint comes from the issuer's metadata: asked for before anything is spent, kept, and never guessed at.

use std::time::Duration;

use auth_core::{Authenticator, ClientAuth, ClientCredentials, Discovery, MemoryStore, Store};
use bytes::Bytes;
use http::Response;

use crate::support::*;

fn credentials() -> ClientCredentials {
    ClientCredentials::new("client", SECRET)
        .issuer("https://issuer.example/tenant")
        .discover(Discovery::OAuth)
        .audience("https://api.example")
}

fn metadata(members: &str) -> Option<Response<Bytes>> {
    let body = format!(
        r#"{{"issuer":"https://issuer.example/tenant","token_endpoint":"https://tokens.example/t"{members}}}"#
    );
    Some(answer(200, "application/json", &body))
}

async fn spent(auth: &Authenticator) -> u32 {
    auth.status().await.windows[0].spent
}

#[tokio::test(start_paused = true)]
async fn the_metadata_is_asked_for_once_and_costs_no_unit() {
    let issuer = Issuer::new([]);
    issuer.publish(metadata(""));
    let (builder, _) = builder_for(&issuer, credentials());
    let auth = builder.build().unwrap();
    auth.authorization().await.unwrap();
    auth.renew().await.unwrap();
    let url = "https://issuer.example/.well-known/oauth-authorization-server/tenant";
    assert_eq!(issuer.metadata_urls(), [url]);
    assert_eq!(issuer.sent()[0].uri(), "https://tokens.example/t");
    assert_eq!(spent(&auth).await, 2);
}

#[tokio::test(start_paused = true)]
async fn openids_document_is_another_one() {
    let issuer = Issuer::new([]);
    issuer.publish(metadata(""));
    let (builder, _) = builder_for(&issuer, credentials().discover(Discovery::OpenId));
    builder.build().unwrap().authorization().await.unwrap();
    let url = "https://issuer.example/tenant/.well-known/openid-configuration";
    assert_eq!(issuer.metadata_urls(), [url]);
}

#[tokio::test(start_paused = true)]
async fn metadata_that_cannot_be_had_is_an_error_with_its_url_and_costs_nothing() {
    let issuer = Issuer::new([]);
    let (builder, clock) = builder_for(&issuer, credentials());
    let auth = builder.build().unwrap();
    let mut waits = Vec::new();
    for _ in 0..3 {
        let error = auth.authorization().await.unwrap_err();
        assert!(error.is_discovery() && error.is_transient(), "{error:?}");
        assert!(error.to_string().contains("https://issuer.example/.well-known/"), "{error}");
        let wait = clock.until(error.retry_at().unwrap());
        // Whoever comes before that costs the issuer nothing either.
        let asked = issuer.metadata_urls().len();
        tokio::time::advance(wait / 2).await;
        assert!(auth.authorization().await.unwrap_err().is_discovery());
        assert_eq!(issuer.metadata_urls().len(), asked);
        waits.push(wait);
        tokio::time::advance(clock.until(error.retry_at().unwrap())).await;
    }
    assert!(waits[0] < waits[1] && waits[1] < waits[2], "{waits:?}");
    assert_eq!((issuer.requests(), spent(&auth).await), (0, 0));
    issuer.publish(metadata(""));
    auth.authorization().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn metadata_of_another_issuer_is_refused() {
    let issuer = Issuer::new([]);
    let foreign =
        r#"{"issuer":"https://issuer.example/tenant/","token_endpoint":"https://evil.example/t"}"#;
    issuer.publish(Some(answer(200, "application/json", foreign)));
    let (builder, _) = builder_for(&issuer, credentials());
    let auth = builder.build().unwrap();
    let error = auth.authorization().await.unwrap_err();
    assert!(error.is_discovery() && error.to_string().contains("issuer"), "{error}");
    assert_eq!((issuer.requests(), spent(&auth).await), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_the_issuer_does_not_take_is_an_error_before_it_is_spent_on() {
    let cases = [
        (r#","token_endpoint_auth_methods_supported":["private_key_jwt"]"#, "client_secret_post"),
        (r#","grant_types_supported":["authorization_code"]"#, "client_credentials"),
    ];
    for (members, named) in cases {
        let issuer = Issuer::new([]);
        issuer.publish(metadata(members));
        let (builder, _) = builder_for(&issuer, credentials());
        let auth = builder.build().unwrap();
        let error = auth.authorization().await.unwrap_err();
        assert!(error.is_discovery() && !error.is_transient(), "{error:?}");
        assert!(error.to_string().contains(named), "{error}");
        assert_eq!((issuer.requests(), spent(&auth).await), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn old_metadata_is_asked_for_again_and_used_if_it_cannot_be_had() {
    let issuer = Issuer::new([]);
    issuer.publish(metadata(""));
    let (builder, _) = builder_for(&issuer, credentials());
    let auth = builder.build().unwrap();
    auth.authorization().await.unwrap();
    issuer.publish(None);
    tokio::time::advance(2 * HOUR).await;
    auth.renew().await.unwrap();
    assert_eq!(issuer.metadata_urls().len(), 2);
    let moved =
        r#"{"issuer":"https://issuer.example/tenant","token_endpoint":"https://moved.example/t"}"#;
    issuer.publish(Some(answer(200, "application/json", moved)));
    tokio::time::advance(2 * HOUR).await;
    auth.renew().await.unwrap();
    let endpoints: Vec<_> = issuer.sent().iter().map(|sent| sent.uri().to_string()).collect();
    assert_eq!(
        endpoints,
        ["https://tokens.example/t", "https://tokens.example/t", "https://moved.example/t"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_with_a_certificate_goes_to_the_alias() {
    let issuer = Issuer::new([]);
    issuer.publish(metadata(
        r#","mtls_endpoint_aliases":{"token_endpoint":"https://mtls.example/t"}"#,
    ));
    let with_certificate = ClientCredentials::with_certificate("client")
        .issuer("https://issuer.example/tenant")
        .discover(Discovery::OAuth)
        .audience("https://api.example");
    let (builder, _) = builder_for(&issuer, with_certificate);
    builder.build().unwrap().authorization().await.unwrap();
    assert_eq!(issuer.sent()[0].uri(), "https://mtls.example/t");
    assert_eq!(issuer.last_field("client_id").unwrap(), "client");
    assert!(issuer.last_field("client_secret").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_token_in_the_store_is_used_without_a_look_at_the_issuer() {
    let store = Store::new(MemoryStore::new());
    let issuer = Issuer::new([]);
    issuer.publish(metadata(""));
    let clock = SharedClock::new();
    let build = || {
        Authenticator::builder(credentials())
            .store(store.clone())
            .transport(issuer.clone())
            .clock(clock.clone())
            .build()
            .unwrap()
    };
    build().authorization().await.unwrap();
    issuer.publish(None);
    tokio::time::advance(Duration::from_secs(60)).await;
    build().authorization().await.unwrap();
    assert_eq!((issuer.requests(), issuer.metadata_urls().len()), (1, 1));
}

#[test]
fn the_ways_that_do_not_fit_are_named_when_it_is_built() {
    let field = |credentials: ClientCredentials| {
        let issuer = Issuer::new([]);
        builder_for(&issuer, credentials).0.build().unwrap_err().field()
    };
    assert_eq!(field(credentials().token_endpoint("https://a.example/t")), "token_endpoint");
    let plain = || ClientCredentials::new("client", SECRET).audience("https://api.example");
    assert_eq!(field(plain().discover(Discovery::OAuth)), "issuer");
    assert_eq!(field(plain().issuer("https://issuer.example")), "token_endpoint");
    let fixed = || plain().token_endpoint("https://a.example/t");
    assert_eq!(field(fixed().client_auth(ClientAuth::SecretJwt)), "issuer");
    assert_eq!(field(fixed().client_auth(ClientAuth::PrivateKeyJwt)), "client_auth");
    assert_eq!(field(fixed().client_auth(ClientAuth::TlsClientAuth)), "client_auth");
    assert_eq!(field(fixed().client_auth(ClientAuth::None)), "client_auth");
    let public = ClientCredentials::public("client")
        .token_endpoint("https://a.example/t")
        .audience("https://api.example");
    assert_eq!(field(public.client_auth(ClientAuth::Basic)), "client_auth");
}

#[cfg(unix)]
#[test]
fn tokens_are_not_stored_where_nothing_could_seal_them() {
    let directory = tempfile::tempdir().unwrap();
    let build = |credentials: ClientCredentials| {
        Authenticator::builder(credentials)
            .store(Store::file(directory.path().join("state")).unwrap())
            .transport(Issuer::new([]))
            .build()
    };
    let bare = || {
        ClientCredentials::with_certificate("client")
            .token_endpoint("https://a.example/t")
            .audience("https://api.example")
    };
    assert_eq!(build(bare()).unwrap_err().field(), "sealing_key");
    build(bare().sealing_key("0123456789abcdef0123456789abcdef")).unwrap();
}

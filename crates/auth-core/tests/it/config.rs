//! Bad input is refused when it is configured, by the name of the setting.

use std::time::Duration;

use auth_core::{Authenticator, Builder, Calendar, ClientCredentials, MemoryStore, Quota, Store};

use crate::support::*;

const ENDPOINT: &str = "https://issuer.example/oauth/token";

fn with(credentials: ClientCredentials) -> Builder {
    Authenticator::builder(credentials)
        .store(Store::new(MemoryStore::new()))
        .transport(Issuer::new([]))
}

fn field(builder: Builder) -> &'static str {
    let error = builder.build().expect_err("it must be refused");
    assert!(error.to_string().starts_with(error.field()), "{error}");
    error.field()
}

#[test]
fn every_bad_setting_is_named() {
    let new = |id: &str, secret: &str| ClientCredentials::new(id, secret).token_endpoint(ENDPOINT);
    let audience = |audience: &str| new("id", "secret").audience(audience);
    let good = || audience("https://api.example");

    assert_eq!(field(with(new("", "secret").audience("https://api.example"))), "client_id");
    assert_eq!(field(with(new(" id", "secret").audience("https://api.example"))), "client_id");
    assert_eq!(field(with(new("id", "").audience("https://api.example"))), "client_secret");
    assert_eq!(field(with(new("id", "secret\n").audience("https://api.example"))), "client_secret");
    let no_endpoint = ClientCredentials::new("id", "secret").audience("https://api.example");
    assert_eq!(field(with(no_endpoint.clone())), "token_endpoint");
    for url in [
        "",
        "issuer.example",
        "http://issuer.example/t",
        "ftp://issuer.example/",
        "https://u:p@issuer.example/",
    ] {
        assert_eq!(field(with(no_endpoint.clone().token_endpoint(url))), "token_endpoint", "{url}");
    }
    assert_eq!(field(with(audience(""))), "audience");
    assert_eq!(field(with(audience("https://api.example /"))), "audience");
    assert_eq!(field(with(audience("http://api.example"))), "audience");
    for url in ["https://u:p@api.example", "https://api.example/#f"] {
        assert_eq!(field(with(audience(url)).origin("https://api.example")), "audience", "{url}");
    }
    assert_eq!(field(with(audience("urn-like-name"))), "origin");
    assert_eq!(field(with(new("id", "secret"))), "origin");
    assert_eq!(field(with(good()).origin("http://api.example")), "origin");
    assert_eq!(field(with(good().scope("two words"))), "scope");
    assert_eq!(field(with(good().scope(""))), "scope");
    assert_eq!(field(with(good().parameter("scope", "a"))), "parameter");
    assert_eq!(field(with(good().parameter("a", ""))), "parameter");
    assert_eq!(field(with(good().parameter("a", "1").parameter("a", "2"))), "parameter");
    assert_eq!(field(with(good()).quota(Quota::per_day(0))), "quota");
    assert_eq!(field(with(good()).quota(Quota::per_day(10).and(Quota::per_hour(0)))), "quota");
    assert_eq!(field(with(good()).quota(Quota::per_day(10_001))), "quota");
    assert_eq!(field(with(good()).quota(Quota::rolling(1, Duration::ZERO))), "quota");
    let month = Duration::from_secs(32 * 86_400);
    assert_eq!(field(with(good()).quota(Quota::rolling(1, month))), "quota");
    let day = Quota::calendar(10, Calendar::Day);
    assert_eq!(field(with(good()).quota(day.in_time_zone("Atlantis/Poseidonis"))), "quota");
    assert_eq!(field(with(good()).quota(Quota::per_day(10).with_reserve(10))), "quota");
    for share in [0, 11] {
        let quota = Quota::per_day(10).with_refused_share(share);
        assert_eq!(field(with(good()).quota(quota)), "quota");
    }
    for status in [0, 200, 302, 401, 1000] {
        let refusal = with(good()).quota_refusal(status, "quota");
        assert_eq!(field(refusal), "quota_refusal", "{status}");
    }
    assert_eq!(field(with(good()).deadline(Duration::ZERO)), "deadline");
    assert_eq!(field(with(good()).default_lifetime(Duration::ZERO)), "default_lifetime");
    assert_eq!(field(with(good()).name("")), "name");
    assert_eq!(field(Authenticator::builder(good()).transport(Issuer::new([]))), "store");
    let no_transport = Authenticator::builder(good()).store(Store::new(MemoryStore::new()));
    assert_eq!(field(no_transport), "transport");
}

#[test]
fn good_settings_need_no_runtime_and_send_nothing() {
    let issuer = Issuer::new([]);
    let credentials = ClientCredentials::new("id", "secret")
        .token_endpoint("http://127.0.0.1:1/token")
        .audience("an audience that is no URL".replace(' ', "-"))
        .scope("a:b")
        .parameter("organization", "acme corp");
    let auth = Authenticator::builder(credentials)
        .store(Store::memory())
        .transport(issuer.clone())
        .insecure_loopback(true)
        .origin("https://api.example/v2")
        .name("acme")
        .build()
        .unwrap();
    assert_eq!(auth.name(), "acme");
    assert_eq!(auth.origins()[0].to_string(), "https://api.example:443");
    assert_eq!(issuer.requests(), 0);
}

// torture: E41
#[test]
fn a_loopback_issuer_needs_the_switch() {
    let credentials = ClientCredentials::new("id", "secret")
        .token_endpoint("http://127.0.0.1:1/token")
        .audience("https://api.example");
    assert_eq!(field(with(credentials.clone())), "token_endpoint");
    with(credentials).insecure_loopback(true).build().unwrap();
}

#[test]
fn the_origins_of_those_resources_count_that_are_of_http() {
    let credentials = ClientCredentials::new("id", "secret")
        .token_endpoint(ENDPOINT)
        .resource("https://api.example/a")
        .resource("api://0123")
        .resource("https://other.example");
    let auth = with(credentials).build().unwrap();
    let origins: Vec<_> = auth.origins().iter().map(ToString::to_string).collect();
    assert_eq!(origins.len(), 2, "{origins:?}");
}

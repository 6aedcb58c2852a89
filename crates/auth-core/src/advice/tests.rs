use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn jwt(claims: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", encode(r#"{"alg":"RS256"}"#), encode(claims), encode("signature"))
}

fn given(token: &str) -> Given<'_> {
    Given {
        token,
        secret: "s3cr3t",
        client_id: "id",
        audience: Some("https://api.example"),
        resources: &[],
        scopes: &[],
        granted_scope: None,
        expires_in: Some(86_400.0),
        date: Some(NOW),
        now: NOW,
        gives_jwts: true,
    }
}

fn only(given: &Given<'_>) -> Notice {
    let mut notices = notices(given);
    assert_eq!(notices.len(), 1, "{notices:?}");
    notices.remove(0)
}

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

#[test]
fn a_token_as_it_was_asked_for_gives_no_notice() {
    let claims = r#"{"iss":"https://issuer.example/","sub":"id@clients","aud":"https://api.example","iat":1800000000,
        "exp":1800086400,"azp":"id","gty":"client-credentials","scope":"write read"}"#;
    let token = jwt(claims);
    let scopes = strings(&["read", "write"]);
    for granted_scope in [None, Some("read write")] {
        let given = Given { scopes: &scopes, granted_scope, ..given(&token) };
        assert_eq!(notices(&given), []);
    }
}

#[test]
fn a_token_for_another_api_is_noticed() {
    let token = jwt(r#"{"aud":["account","https://other.example"]}"#);
    let notice = only(&given(&token));
    assert_eq!(notice.check, Check::Audience);
    assert_eq!(notice.expected, r#""https://api.example""#);
    assert_eq!(notice.found, r#""account", "https://other.example""#);
    assert!(notice.text.contains(&notice.expected) && notice.text.contains(&notice.found));

    let slash = jwt(r#"{"aud":"https://api.example/"}"#);
    assert!(only(&given(&slash)).text.contains("slash"));
    assert!(only(&given(&jwt("{}"))).text.contains("names no audience"));
    assert_eq!(notices(&Given { audience: None, ..given(&token) }), []);
}

#[test]
fn every_resource_that_was_asked_for_is_looked_for() {
    let resources = strings(&["https://a.example", "https://b.example"]);
    let token = jwt(r#"{"aud":["https://api.example","https://a.example"]}"#);
    let notice = only(&Given { resources: &resources, ..given(&token) });
    assert!(notice.text.contains(r#"not for "https://b.example";"#), "{}", notice.text);
}

#[test]
fn a_token_of_another_client_is_noticed() {
    for claim in ["azp", "client_id"] {
        let token = jwt(&format!(r#"{{"aud":"https://api.example","{claim}":"other"}}"#));
        let notice = only(&given(&token));
        assert_eq!(notice.check, Check::AuthorizedParty);
        assert_eq!((&*notice.expected, &*notice.found), (r#""id""#, r#""other""#));
        assert!(notice.text.contains(&format!("`{claim}`")), "{}", notice.text);
    }
}

// torture: D29
#[test]
fn lifetimes_that_disagree_are_noticed() {
    let aud = r#""aud":"https://api.example""#;
    let with_iat = jwt(&format!(r#"{{{aud},"iat":1700000000,"exp":1700003600}}"#));
    let notice = only(&given(&with_iat));
    assert_eq!(notice.check, Check::Expiry);
    assert_eq!((&*notice.expected, &*notice.found), ("86400 s", "3600 s"));
    for expires_in in [None, Some(3541.0), Some(3660.0), Some(f64::NAN), Some(f64::INFINITY)] {
        assert_eq!(notices(&Given { expires_in, ..given(&with_iat) }), [], "{expires_in:?}");
    }
    assert_eq!(notices(&Given { expires_in: Some(1e300), ..given(&with_iat) }).len(), 1);

    // Without `iat` the issuer's clock is asked, so that a wrong one here is not told twice.
    let without = jwt(&format!(r#"{{{aud},"exp":1800086400}}"#));
    assert_eq!(notices(&given(&without)), []);
    let wrong = Timestamp::from_secs(1_800_007_200);
    assert_eq!(only(&Given { now: wrong, ..given(&without) }).check, Check::ClockSkew);
    assert_eq!(only(&Given { now: wrong, date: None, ..given(&without) }).check, Check::Expiry);
}

// torture: D30
#[test]
fn a_clock_that_is_wrong_is_noticed_with_the_way_it_is_wrong() {
    let token = jwt(r#"{"aud":"https://api.example"}"#);
    let at = |seconds: i64| Given {
        now: Timestamp::from_secs(1_800_000_000 + seconds),
        ..given(&token)
    };
    for seconds in [-60, 0, 60] {
        assert_eq!(notices(&at(seconds)), [], "{seconds}");
    }
    for (seconds, says) in [
        (61, "61 seconds ahead of"),
        (-119, "119 seconds behind"),
        (7_199, "119 minutes ahead of"),
        (-7_200, "2 hours behind"),
        (1_000_000, "11 days ahead of"),
    ] {
        let notice = only(&at(seconds));
        assert_eq!(notice.check, Check::ClockSkew);
        assert!(notice.text.contains(says), "{}", notice.text);
    }
    assert_eq!(notices(&Given { date: None, ..at(7_200) }), []);
}

// torture: D32
#[test]
fn an_opaque_token_is_noticed_of_an_issuer_that_gives_jwts() {
    let forgotten = only(&Given { audience: None, ..given("opaque") });
    assert_eq!(forgotten.check, Check::Opaque);
    assert!(forgotten.text.contains("set `audience`"), "{}", forgotten.text);
    assert!(only(&given("opaque")).text.contains("letter by letter"));
    assert_eq!(notices(&Given { gives_jwts: false, ..given("opaque") }), []);
    let jwe = format!("{}.a.b.c.d", URL_SAFE_NO_PAD.encode(r#"{"alg":"dir","enc":"A256GCM"}"#));
    assert_eq!(notices(&given(&jwe)), []);
}

#[test]
fn a_scope_that_differs_is_named() {
    let scopes = strings(&["read", "write"]);
    let of = |granted_scope, token: &str| {
        notices(&Given { scopes: &scopes, granted_scope, gives_jwts: false, ..given(token) })
    };
    let says = |granted, text: &str| {
        let notices = of(Some(granted), "opaque");
        assert_eq!(notices[0].check, Check::Scope);
        assert!(notices[0].text.contains(text), "{}", notices[0].text);
    };
    says("read", r#"did not grant "write":"#);
    says("", r#"did not grant "read", "write":"#);
    says("write read admin", r#"granted "admin" as well"#);
    says("read Write", r#"did not grant "write", and granted "Write" instead"#);
    assert_eq!(of(Some("write  read read"), "opaque"), []);
    assert_eq!(of(None, "opaque"), [], "it is the one that was asked for (RFC 6749 section 5.1)");

    // The token's own claim counts where the answer says nothing.
    let token = jwt(r#"{"aud":"https://api.example","scp":["read"]}"#);
    assert_eq!(of(None, &token)[0].found, r#""read""#);
    assert_eq!(of(Some("read write"), &token), []);
    let unasked = Given { granted_scope: Some("read"), ..given(&token) };
    assert_eq!(notices(&unasked), [], "nothing was asked for");
}

// torture: E44
#[test]
fn what_the_issuer_wrote_is_escaped_cut_and_redacted() {
    let long = "é".repeat(65);
    let claims = serde_json::json!({
        "aud": ["\u{1b}[31m\r\n\u{202e}", "has s3cr3t in it", long],
    });
    let token = jwt(&claims.to_string());
    let notice = only(&given(&token));
    let cut = format!("\"{}…\"", "é".repeat(64));
    let shown = format!(r#""\u{{1b}}[31m\r\n\u{{202e}}", (redacted), {cut}"#);
    assert_eq!(notice.found, shown);
    assert!(notice.text.contains(&shown));

    let many: Vec<_> = (0..1000).map(|i| i.to_string()).collect();
    let token = jwt(&serde_json::json!({ "aud": many }).to_string());
    assert!(only(&given(&token)).found.ends_with(r#""7" and 992 more"#));

    let opaque = Given { scopes: &strings(&["read"]), gives_jwts: false, ..given("opaque-token") };
    let echoed = only(&Given { granted_scope: Some("read opaque-token"), ..opaque });
    assert!(!echoed.text.contains("opaque-token"), "{}", echoed.text);
}

#[test]
fn each_check_is_first_once() {
    let checks = [
        Check::Audience,
        Check::AuthorizedParty,
        Check::Expiry,
        Check::ClockSkew,
        Check::Opaque,
        Check::Scope,
    ];
    let once = Once::new();
    for check in checks {
        assert!(once.first(check) && !once.first(check), "{}", check.name());
    }
}

fn claim() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,80}".prop_map(Into::into),
        prop::collection::vec(".{0,8}", 0..12).prop_map(Into::into),
        Just(serde_json::Value::Null),
    ]
}

proptest! {
    /// Nothing panics, whatever the claims and the clocks are, and no text has a control character, the token or the
    /// secret in it.
    #[test]
    fn any_claims_are_borne(
        claims in prop::collection::btree_map(
            prop::sample::select(vec!["aud", "azp", "client_id", "scope", "scp", "exp", "iat"]), claim(), 0..7),
        expires_in in prop::option::of(any::<f64>()),
        date in prop::option::of(any::<i64>()),
        now in any::<i64>(),
        granted in prop::option::of(".{0,40}"),
    ) {
        let token = jwt(&serde_json::to_string(&claims).unwrap());
        let scopes = strings(&["read"]);
        let given = Given {
            scopes: &scopes,
            resources: &scopes,
            granted_scope: granted.as_deref(),
            expires_in,
            date: date.map(Timestamp::from_millis),
            now: Timestamp::from_millis(now),
            ..given(&token)
        };
        for Notice { text, expected, found, .. } in notices(&given) {
            for text in [text, expected, found] {
                prop_assert!(!text.chars().any(char::is_control), "{text:?}");
                prop_assert!(!text.contains(&token) && !text.contains("s3cr3t"));
            }
        }
    }
}

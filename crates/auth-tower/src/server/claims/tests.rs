use proptest::prelude::*;

use super::*;
use crate::server::error::Reason;

fn parse(text: &str) -> Result<Claims, Invalid> {
    Claims::parse(text.as_bytes().to_vec())
}

#[test]
fn the_registered_claims_are_read_in_every_form_they_have() {
    let claims = parse(
        r#"{"iss":"https://i.example/","sub":"c@clients","aud":["a","b"],"exp":1767225600.5,"nbf":1,"iat":2,
            "jti":"j","azp":"c","scope":" read  write","scp":["write","admin"],"permissions":["p:1"],
            "cnf":{"jkt":"t","x5t#S256":"x"},"tenant":7}"#,
    )
    .unwrap();
    assert_eq!((claims.issuer(), claims.subject()), ("https://i.example/", Some("c@clients")));
    assert_eq!(claims.audience(), ["a", "b"]);
    assert_eq!(claims.expires_at().as_millis(), 1_767_225_600_500);
    assert_eq!(claims.not_before(), Some(Timestamp::from_secs(1)));
    assert_eq!(claims.issued_at(), Some(Timestamp::from_secs(2)));
    assert_eq!((claims.id(), claims.client_id()), (Some("j"), Some("c")));
    assert_eq!(claims.scopes().collect::<Vec<_>>(), ["read", "write"]);
    assert!(claims.has_scope("write") && !claims.has_scope("writ") && !claims.has_scope(""));
    let confirmation = claims.confirmation().unwrap();
    assert_eq!(confirmation.jkt.as_deref(), Some("t"));
    assert_eq!((confirmation.x5t_s256.as_deref(), confirmation.other), (Some("x"), false));

    #[derive(Deserialize)]
    struct Own {
        tenant: u32,
    }
    assert_eq!(claims.get::<Own>().unwrap().tenant, 7);
    assert!(claims.get::<Vec<u8>>().is_err());

    let one = parse(r#"{"aud":"a","exp":1,"client_id":"x","azp":"y","cnf":{"kid":"k"}}"#).unwrap();
    assert_eq!((one.audience(), one.client_id()), (&["a".to_owned()][..], Some("x")));
    assert!(one.confirmation().unwrap().other);
    let empty = parse(r#"{"exp":1,"cnf":{}}"#).unwrap();
    assert!(empty.confirmation().unwrap().other, "bound, and nobody can say to what");
}

/// What a user may do is not what a client was given of it.
#[test]
fn scopes_are_of_one_claim_and_never_of_two() {
    let scopes = |json: &str| parse(json).unwrap().scopes().collect::<Vec<_>>().join(" ");
    for (json, expected) in [
        (r#"{"exp":1,"scope":"a","scp":["b"],"permissions":["c"]}"#, "a"),
        (r#"{"exp":1,"scope":"","scp":["b"],"permissions":["c"]}"#, ""),
        (r#"{"exp":1,"scope":null,"scp":["b", "b d"],"permissions":["c"]}"#, "b b d"),
        (r#"{"exp":1,"scp":"b d","permissions":["c"]}"#, "b d"),
        (r#"{"exp":1,"permissions":["c","d"]}"#, "c d"),
        (r#"{"exp":1}"#, ""),
        (r#"{"exp":1,"scope":"a","permissions":[{"id":1}]}"#, "a"),
        (r#"{"exp":1,"scp":7,"permissions":["c"]}"#, ""),
        (r#"{"exp":1,"permissions":{"c":true}}"#, ""),
    ] {
        assert_eq!(scopes(json), expected, "{json}");
    }
}

// torture: D28, D31
#[test]
fn claims_of_the_wrong_type_or_twice_are_malformed_and_not_absent() {
    let bad = [
        "",
        "[]",
        "null",
        r#"["i",null,"a",1]"#,
        r#"{"exp":"1"}"#,
        r#"{"exp":[1]}"#,
        r#"{"exp":null}"#,
        r#"{"iss":"i"}"#,
        r#"{"exp":1e999}"#,
        r#"{"exp":1,"nbf":"2"}"#,
        r#"{"exp":1,"iat":true}"#,
        r#"{"exp":1,"iss":7}"#,
        r#"{"exp":1,"aud":{"a":1}}"#,
        r#"{"exp":1,"aud":["a",1]}"#,
        r#"{"exp":1,"cnf":"x"}"#,
        r#"{"exp":1,"cnf":null}"#,
        r#"{"exp":1,"cnf":{"jkt":5}}"#,
        r#"{"exp":1,"exp":2}"#,
        r#"{"exp":1,"iss":"a","iss":"b"}"#,
        r#"{"exp":1} x"#,
    ];
    for text in bad {
        assert_eq!(parse(text).expect_err(text).reason(), Reason::Malformed);
    }
    for (text, millis) in [("18446744073709551615", i64::MAX), ("-1e300", i64::MIN)] {
        let claims = parse(&format!(r#"{{"exp":{text}}}"#)).unwrap();
        assert_eq!(claims.expires_at().as_millis(), millis);
    }
}

// torture: E43
#[test]
fn debug_has_no_text_of_the_token() {
    let claims = parse(r#"{"exp":1,"jti":"canary","secret":"canary","sub":"s"}"#).unwrap();
    let shown = format!("{claims:?}");
    assert!(!shown.contains("canary") && shown.contains('s'), "{shown}");
}

proptest! {
    #[test]
    fn no_claims_panic(text in "\\PC*", number in any::<f64>()) {
        let _ = parse(&text);
        let _ = parse(&format!(r#"{{"exp":{number},"aud":["{number}"]}}"#));
    }
}

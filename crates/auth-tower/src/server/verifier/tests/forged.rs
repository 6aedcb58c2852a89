//! Tokens that somebody else made, or for something else.

use base64::engine::general_purpose::STANDARD;

use super::*;

/// The token of a forger who has the public key only, and uses its text as the secret of an HMAC (RFC 8725 §2.1).
fn hmac(header: &Value, secret: &[u8], algorithm: jsonwebtoken::Algorithm) -> String {
    let message = message(header, &claims());
    let key = jsonwebtoken::EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
    format!("{message}.{signature}")
}

// torture: D32
#[tokio::test(start_paused = true)]
async fn no_hmac_and_no_none_is_taken_for_a_signature() {
    let rsa = Pair::rsa();
    let x5 = |text: &str| URL_SAFE_NO_PAD.decode(rsa.jwk[text].as_str().unwrap()).unwrap();
    let (n, e) = (x5("n"), x5("e"));
    let pkcs1 =
        [&[0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00][..], &n, &[0x02, 0x03], &e]
            .concat();
    let algorithm = [0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    let spki = [&[0x30, 0x82, 1, 0x22][..], &algorithm, &[3, 0x82, 1, 0x0f, 0], &pkcs1].concat();
    let pem = |der: &[u8], kind: &str| {
        let text = STANDARD.encode(der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n")).into_bytes()
    };
    let secrets = [
        pem(&spki, "PUBLIC KEY"),
        pem(&pkcs1, "RSA PUBLIC KEY"),
        spki.clone(),
        pkcs1.clone(),
        n.clone(),
        rsa.jwk.to_string().into_bytes(),
        rsa.named("k").to_string().into_bytes(),
        set(&[rsa.named("k")]).into_bytes(),
        rsa.jwk["n"].as_str().unwrap().as_bytes().to_vec(),
        Vec::new(),
        b"secret".to_vec(),
    ];
    // A set that has a symmetric key as well, which nobody may use.
    let oct = json!({ "kty": "oct", "kid": "o", "k": URL_SAFE_NO_PAD.encode(b"secret") });
    let (_, verifier) = of(&[rsa.named("k"), oct]);
    let good = rsa.sign(&json!({ "kid": "k" }), &claims());
    assert!(verifier.cached(&good).unwrap().is_ok());

    let mut tried = 0;
    for secret in &secrets {
        for kid in [json!({}), json!({ "kid": "k" }), json!({ "kid": "o" })] {
            // Under its own name it is refused before a key is looked for.
            for (name, algorithm) in [
                ("HS256", jsonwebtoken::Algorithm::HS256),
                ("HS384", jsonwebtoken::Algorithm::HS384),
                ("HS512", jsonwebtoken::Algorithm::HS512),
            ] {
                let mut header = kid.clone();
                header["alg"] = json!(name);
                let token = hmac(&header, secret, algorithm);
                assert_eq!(reason(&verifier, &token), Reason::Algorithm);
                // Under another one it is no signature of that kind.
                header["alg"] = json!("RS256");
                let token = hmac(&header, secret, algorithm);
                assert!(verifier.cached(&token).unwrap().is_err());
                tried += 2;
            }
        }
    }
    assert_eq!(tried, secrets.len() * 18);

    let (signed, signature) = good.rsplit_once('.').unwrap();
    let payload = signed.split_once('.').unwrap().1;
    for name in ["none", "None", "NONE", "nOnE", "", "none\u{0}", "rs256", "ES512", "HS256", "dir"]
    {
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": name, "kid": "k" }).to_string());
        for signature in ["", signature] {
            let token = format!("{header}.{payload}.{signature}");
            assert_eq!(reason(&verifier, &token), Reason::Algorithm, "{name}");
        }
    }
    let nameless = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode("{}"));
    assert_eq!(reason(&verifier, &nameless), Reason::Algorithm);
    assert_eq!(reason(&verifier, &format!("{signed}.")), Reason::Signature);
}

#[tokio::test(start_paused = true)]
async fn only_the_listed_algorithms_count_and_only_with_keys_of_their_kind() {
    let (rsa, p256, p384) = (Pair::rsa(), Pair::p256(), Pair::p384());
    let (_, verifier) = of(&[rsa.named("r"), p256.named("e"), p384.named("f")]);
    // Not listed, though the key could.
    let token = rsa.sign_with(Algorithm::Ps256, &json!({ "kid": "r" }), &claims());
    assert_eq!(reason(&verifier, &token), Reason::Algorithm);
    let token = p384.sign(&json!({ "kid": "f" }), &claims());
    assert_eq!(reason(&verifier, &token), Reason::Algorithm);
    // Listed, with the wrong key.
    let token = p256.sign(&json!({ "kid": "r" }), &claims());
    assert_eq!(reason(&verifier, &token), Reason::Algorithm);
    // A header that says otherwise than the signature.
    let token = p256.sign(&json!({ "kid": "e", "alg": "RS256" }), &claims());
    assert_eq!(reason(&verifier, &token), Reason::Algorithm);
    let token = rsa.sign_with(Algorithm::Ps256, &json!({ "kid": "r", "alg": "RS256" }), &claims());
    assert_eq!(reason(&verifier, &token), Reason::Signature);
    // A key of the sender's own.
    let forger = Pair::p256();
    for header in [
        json!({ "kid": "e", "jwk": forger.jwk }),
        json!({ "kid": "e", "jku": "https://forger.example/jwks" }),
        json!({ "kid": "e", "x5c": ["MA=="] }),
        json!({ "jwk": forger.jwk }),
    ] {
        assert_eq!(reason(&verifier, &forger.sign(&header, &claims())), Reason::Signature);
    }
}

#[tokio::test(start_paused = true)]
async fn every_part_is_signed() {
    let pair = Pair::p256();
    let (_, verifier) = of(&[pair.named("k")]);
    let token = pair.sign(&json!({ "kid": "k" }), &claims());
    assert!(verifier.cached(&token).unwrap().is_ok());
    let mut refused = 0;
    for at in 0..token.len() {
        for other in ["A", "z", "_"] {
            let mut forged = token.clone();
            forged.replace_range(at..=at, other);
            // A header that is another one may ask for another key, which is not known.
            if forged != token {
                assert!(matches!(verifier.cached(&forged), Some(Err(_))), "{forged}");
                refused += 1;
            }
        }
    }
    assert!(refused > token.len());
    let elsewhere = pair.sign(&json!({ "kid": "k" }), &claims_but(json!({ "scope": "admin" })));
    let (signed, _) = elsewhere.rsplit_once('.').unwrap();
    let (_, signature) = token.rsplit_once('.').unwrap();
    assert_eq!(reason(&verifier, &format!("{signed}.{signature}")), Reason::Signature);
}

#[tokio::test(start_paused = true)]
async fn a_jwt_of_another_kind_is_no_access_token() {
    let pair = Pair::p256();
    let (_, verifier) = of(&[pair.named("k")]);
    let (_, mut strict) = settings(Jwks::from_json(&set(&[pair.named("k")])));
    strict.only_at_jwt = true;
    let strict = Verifier::new(strict).unwrap();
    let typed = |typ: Value| pair.sign(&json!({ "kid": "k", "typ": typ }), &claims());
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        assert!(verifier.cached(&typed(json!(typ))).unwrap().is_ok(), "{typ}");
        assert!(strict.cached(&typed(json!(typ))).unwrap().is_ok(), "{typ}");
    }
    for typ in [json!("JWT"), json!("jwt"), json!(""), json!(null)] {
        assert!(verifier.cached(&typed(typ.clone())).unwrap().is_ok(), "{typ}");
        assert_eq!(reason(&strict, &typed(typ)), Reason::Type);
    }
    for typ in ["dpop+jwt", "DPoP+JWT", "secevent+jwt", "logout+jwt", "application/logout+jwt"] {
        assert_eq!(reason(&verifier, &typed(json!(typ))), Reason::Type, "{typ}");
        assert_eq!(reason(&strict, &typed(json!(typ))), Reason::Type, "{typ}");
    }
}

#[tokio::test(start_paused = true)]
async fn headers_that_must_be_understood_or_cannot_be_are_refused() {
    let pair = Pair::p256();
    let (_, verifier) = of(&[pair.named("k")]);
    for crit in [json!(["b64"]), json!([]), json!(null), json!("x")] {
        let token = pair.sign(&json!({ "kid": "k", "crit": crit, "b64": false }), &claims());
        assert_eq!(reason(&verifier, &token), Reason::Critical, "{crit}");
    }
    let raw = |header: &str| {
        let payload = URL_SAFE_NO_PAD.encode(claims().to_string());
        format!("{}.{payload}.AAAA", URL_SAFE_NO_PAD.encode(header))
    };
    for header in [
        "",
        "[]",
        r#"["ES256",null,"k"]"#,
        r#"{"alg":"ES256","alg":"none"}"#,
        r#"{"alg":7}"#,
        r#"{"alg":"ES256","kid":7}"#,
        r#"{"alg":"ES256"} x"#,
    ] {
        assert_eq!(reason(&verifier, &raw(header)), Reason::Malformed, "{header}");
    }
}

// torture: D32, D36
#[tokio::test(start_paused = true)]
async fn what_is_no_jwt_is_refused_and_what_is_long_is_not_read() {
    let pair = Pair::p256();
    let (_, verifier) = of(&[pair.named("k")]);
    let token = pair.sign(&json!({ "kid": "k" }), &claims());
    for text in ["", ".", "..", "...", "opaque", "a.b", "a.b.c", "a.b.c.d.e", "\r\n..", "é.é.é"]
    {
        assert_eq!(reason(&verifier, text), Reason::Malformed, "{text}");
    }
    for text in [format!(" {token}"), format!("{token}."), format!(".{token}"), format!("{token}=")]
    {
        assert!(verifier.cached(&text).unwrap().is_err(), "{text}");
    }
    let long = |length: usize| {
        let padded = |pad: usize| {
            pair.sign(&json!({ "kid": "k" }), &claims_but(json!({ "pad": "x".repeat(pad) })))
        };
        let short = padded(0).len();
        padded((length - short) * 3 / 4 - 6)
    };
    let longest = long(LONGEST_TOKEN);
    assert!(longest.len() <= LONGEST_TOKEN && longest.len() > LONGEST_TOKEN - 20);
    assert!(verifier.cached(&longest).unwrap().is_ok());
    assert_eq!(reason(&verifier, &long(LONGEST_TOKEN + 40)), Reason::TooLong);
    assert_eq!(reason(&verifier, &"x".repeat(1 << 20)), Reason::TooLong);
}

proptest! {
    #[test]
    fn no_token_panics_and_none_that_is_not_signed_is_good(
        text in "\\PC*",
        header in "\\{(\"(alg|typ|kid|crit)\":(\"(ES256|RS256|k|at\\+jwt)\"|null|7|\\[\\]),?){0,3}\\}?",
        payload in "\\{?(\"(iss|aud|exp)\":(\"x\"|null|7|\\[\\]),?){0,3}\\}?",
        signature in "[A-Za-z0-9_-]{0,90}",
    ) {
        let pair = Pair::p256();
        let (_, verifier) = {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { of(&[pair.named("k")]) })
        };
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for token in [
            text.clone(),
            format!("{}.{}.{signature}", part(&header), part(&payload)),
            format!("{}.{payload}.{signature}", part(&header)),
            format!("{}.{}.{text}", part(r#"{"alg":"ES256"}"#), part(&payload)),
            // Well signed, whatever is in it.
            {
                let signed = format!("{}.{}", part(r#"{"alg":"ES256"}"#), part(&payload));
                let key = jsonwebtoken::EncodingKey::from_ec_der(&pair.pkcs8);
                let made = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, jsonwebtoken::Algorithm::ES256);
                format!("{signed}.{}", made.unwrap())
            },
        ] {
            prop_assert!(matches!(verifier.cached(&token), Some(Err(_))), "{}", token);
        }
    }
}

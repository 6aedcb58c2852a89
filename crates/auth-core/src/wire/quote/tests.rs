use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::*;

fn secrets(secrets: &[&str]) -> Redactions {
    let mut all = Redactions::new();
    secrets.iter().for_each(|secret| all.add(secret));
    all
}

fn shown(text: &str, secret: &str) -> String {
    quote(text, &secrets(&[secret]))
}

#[test]
fn plain_words_stay_as_they_are() {
    let text = "Client isn't granted scopes: läsa, 読む; see <https://a.example/?b=c&d=%20>";
    assert_eq!(shown(text, "s3cr3t"), text);
    assert_eq!(quote("", &Redactions::new()), "");
}

// torture: E44
#[test]
fn a_secret_is_redacted_wherever_it_stands_and_however_it_is_written() {
    let secret = "pa+ss/w\"o\\rd é&=";
    let percent = "pa%2Bss%2Fw%22o%5Crd%20%C3%A9%26%3D";
    for written in [
        secret.to_owned(),
        percent.to_owned(),
        percent.to_lowercase(),
        percent.replace("%20", "+"),
        percent.replace("%2F", "/"),
        r#"pa+ss/w\"o\\rd é&="#.to_owned(),
        r#"pa\u002bss\/w\u0022o\\rd \u00e9\u0026="#.to_owned(),
        STANDARD.encode(secret),
        URL_SAFE.encode(secret),
        STANDARD.encode(format!("id:{secret}")),
        STANDARD.encode(format!("id2:{secret}")),
        STANDARD.encode(format!("a-client:{percent}")),
        URL_SAFE_NO_PAD.encode(format!("{{\"s\":\"{secret}\",\"t\":1}}")),
    ] {
        for (before, after) in
            [("", ""), ("bad secret ", "!"), ("(", ") twice: "), ("\u{1f511}", "\n")]
        {
            let text = format!("{before}{written}{after}");
            let expected = format!("{before}[redacted]{}", after.replace('\n', "\\n"));
            assert_eq!(shown(&text, secret), expected, "{text}");
        }
        assert_eq!(shown(&format!("{written} {written}"), secret), "[redacted] [redacted]");
    }
}

// torture: E44
#[test]
fn a_part_of_a_secret_is_as_secret_as_the_whole() {
    let secret = "0123456789abcdefghijklmnopqrstuvwxyz";
    assert_eq!(shown("not 0123456789abcdef", secret), "not [redacted]");
    assert_eq!(shown("opqrstuvwxyz, not", secret), "[redacted], not");
    assert_eq!(shown("456789abcdefgh...", secret), "[redacted]...");
    assert_eq!(shown("0123456789a", secret), "0123456789a");
    // Two that overlap are one.
    assert_eq!(shown("abcabcabc", "abcabc"), "[redacted]");
    assert_eq!(shown("aBcabc", "abc"), "aBc[redacted]");
}

#[test]
fn the_pair_of_a_basic_header_is_a_secret_like_others() {
    let pair = STANDARD.encode("client:s3");
    let all = secrets(&["s3", &pair]);
    assert_eq!(
        quote(&format!("Authorization: Basic {pair} is wrong"), &all),
        "Authorization: Basic [redacted] is wrong"
    );
}

// torture: E44
#[test]
fn what_looks_like_a_jwt_is_redacted() {
    let none = Redactions::new();
    for jwt in ["eyJh.eyJz.c2ln", "eyJh.eyJz.", "eyJl..aXY.Y3Q.dGFn", "eyJhbGciOiJSUzI1NiJ9"] {
        assert_eq!(
            quote(&format!("token \"{jwt}\" is bad"), &none),
            "token \\\"[redacted]\\\" is bad"
        );
    }
    for other in ["eyJ", "eyJude", "keyJar.example", "a.b.c"] {
        assert_eq!(quote(other, &none), other);
    }
}

// torture: E44
#[test]
fn what_acts_on_a_terminal_or_hides_is_written_out() {
    let none = Redactions::new();
    assert_eq!(
        quote("\u{1b}[31mred\u{1b}[0m\u{9b}1m\0", &none),
        r"\u{1b}[31mred\u{1b}[0m\u{9b}1m\0"
    );
    assert_eq!(quote("a\r\nb\tc\"d\\", &none), r#"a\r\nb\tc\"d\\"#);
    for hidden in [
        '\u{7f}',
        '\u{85}',
        '\u{a0}',
        '\u{ad}',
        '\u{61c}',
        '\u{180e}',
        '\u{200b}',
        '\u{200e}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{e000}',
        '\u{feff}',
        '\u{fff9}',
        '\u{e0041}',
    ] {
        assert_eq!(quote(&hidden.to_string(), &none), format!("\\u{{{:x}}}", u32::from(hidden)));
    }
}

#[test]
fn what_is_long_is_cut_between_characters_and_after_secrets_are_gone() {
    let none = Redactions::new();
    assert_eq!(quote(&"é".repeat(256), &none), "é".repeat(256));
    assert_eq!(quote(&"é".repeat(257), &none), format!("{}…", "é".repeat(256)));
    let text = format!("{}s3cr3t-s3cr3t", "x".repeat(250));
    assert_eq!(shown(&text, "s3cr3t-s3cr3t"), format!("{}…", "x".repeat(250)));
    assert_eq!(shown(&"s3cr3t".repeat(10_000), "s3cr3t"), "[redacted]");
}

#[test]
fn where_the_mark_itself_would_tell_the_secret_nothing_is_shown() {
    assert_eq!(shown("the secret is e", "e"), "");
    assert_eq!(shown("redact", "redact"), "");
    assert_eq!(shown("\u{1b}", "u{1b}"), "");
    assert_eq!(shown("anything", ""), "anything");
}

#[test]
fn secrets_are_not_shown_by_their_own_debug() {
    assert_eq!(format!("{:?}", secrets(&["s3cr3t"])), "Redactions(..)");
}

/// The ways in which an issuer may repeat a secret.
fn written(secret: &str, way: usize) -> String {
    match way {
        0 => secret.to_owned(),
        1 => byte_serialize(secret.as_bytes()).collect(),
        2 => percent_encode(secret.as_bytes(), RESERVED).to_string(),
        3 => serde_json::to_string(secret).unwrap().trim_matches('"').to_owned(),
        4 => secret.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect(),
        5 => STANDARD.encode(secret),
        _ => URL_SAFE_NO_PAD.encode(format!("{}{secret}", "x".repeat(way - 6))),
    }
}

proptest! {
    // torture: E44
    #[test]
    fn no_quote_has_a_secret_or_a_control_character_or_is_too_long(
        before in "(\\PC|[\\x00-\\x1f%+\\\\u]){0,300}",
        secret in "(\\PC|[\\x00-\\x1f%+\\\\u\"]){1,40}",
        after in any::<String>(),
        way in 0usize..9,
    ) {
        let written = written(&secret, way);
        let shown = quote(&format!("{before}{written}{after}"), &secrets(&[&secret]));
        prop_assert!(!shown.contains(&secret), "{}", shown);
        prop_assert!(!shown.contains(char::is_control));
        prop_assert!(shown.chars().count() <= LONGEST + 1);
        // A secret that is no word of a sentence is not there in its other clothes either.
        if written.len() >= 16 && way < 6 {
            prop_assert!(!shown.contains(&written), "{}", shown);
        }
    }

    #[test]
    fn no_text_panics(text in "[%+\\\\ueyJ0-9a-f.\"/é😀]{0,60}", secret in "[%+\\\\u0-9a-fé😀]{1,20}") {
        quote(&text, &secrets(&[&secret]));
    }
}

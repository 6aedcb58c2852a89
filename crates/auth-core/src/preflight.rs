//! Checks before anything is spent: what a careless copy, an unset variable or a template leaves behind costs a token
//! request each time it is sent, and often a hold of a day.
//!
//! No message repeats a secret, and nothing here copies one.

use crate::error::ConfigError;
use crate::profile::Profile;

/// What stands for a value that somebody was to fill in, without regard to case and to anything but letters and digits.
const FILL_IN: &[&str] =
    &["changeme", "replaceme", "fillmein", "placeholder", "todo", "fixme", "tbd", "redacted"];

/// What languages and shells print for a value that is not there.
const NO_VALUE: &[&str] = &["undefined", "null", "none", "nil"];

/// How advice to fill something in begins; what follows tells what.
const ADVICE: &[&str] = &["your", "insert", "enter", "paste", "put", "replace", "change"];

/// What is to be filled in, by that advice.
const SOUGHT: &[&str] =
    &["secret", "api_key", "api-key", "api key", "apikey", "your_key", "your-key", "your key"];

/// Around a placeholder that is known by these alone.
const TEMPLATES: &[(&str, &str)] = &[("${", "}"), ("{{", "}}"), ("$(", ")")];

/// Around a placeholder if there is a name between them.
const BRACKETS: &[(&str, &str)] = &[("<", ">"), ("{", "}"), ("[", "]"), ("%", "%"), ("$", "")];

/// Checks a text that anything may stand in.
pub(crate) fn text(field: &'static str, text: &str) -> Result<(), ConfigError> {
    if text.trim().is_empty() {
        return Err(ConfigError::new(field, "is empty"));
    }
    if text.trim() != text {
        return Err(ConfigError::new(
            field,
            "begins or ends with white space, as after a careless copy",
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(ConfigError::new(field, "has control characters in it"));
    }
    Ok(())
}

/// Checks the public half of a credential. It may be any word, so only what stands in brackets is no identifier.
pub(crate) fn identifier(field: &'static str, id: &str) -> Result<(), ConfigError> {
    text(field, id)?;
    refuse(field, bracketed(id))
}

/// Checks the secret half of a credential.
pub(crate) fn secret(field: &'static str, secret: &str) -> Result<(), ConfigError> {
    text(field, secret)?;
    refuse(field, bracketed(secret).or_else(|| masked(secret)).or_else(|| word(secret)))
}

/// What may be right and is most often wrong, in words.
///
/// `issuer` is the issuer identifier that was given, if it is not the profile's.
pub(crate) fn doubts(
    profile: &Profile,
    issuer: Option<&str>,
    secret: &str,
    audience: Option<&str>,
) -> Vec<String> {
    let mut doubts = Vec::new();
    if profile.looks_like_legacy_key(secret) {
        doubts.push(
            "the client secret looks like an API key of this vendor's: a key is a bearer token itself and buys none; make \
             API credentials, and take their client id and client secret"
                .to_owned(),
        );
    }
    let known = [
        ("the issuer identifier", issuer.or(profile.issuer.as_deref())),
        ("the audience that this issuer's documentation names", profile.audience.as_deref()),
    ];
    for (what, other) in known {
        let (Some(audience), Some(other)) = (audience, other) else { continue };
        let spelling = if is_with_slash(other, audience) {
            "without"
        } else if is_with_slash(audience, other) {
            "with"
        } else {
            continue;
        };
        doubts.push(format!(
            "the audience is {what} {spelling} its trailing slash, {audience:?} and {other:?}: audiences are compared letter \
             by letter (RFC 7519 section 4.1.3), so check which of the two the API goes by"
        ));
    }
    doubts
}

/// Why a text can be no value.
#[derive(Clone, Copy)]
enum Placeholder {
    Template,
    Masked,
    Word,
    NoValue,
}

fn refuse(field: &'static str, found: Option<Placeholder>) -> Result<(), ConfigError> {
    let problem = match found {
        None => return Ok(()),
        Some(Placeholder::Template) => {
            "looks like a placeholder in brackets or a variable that nobody filled in (`<…>`, `${…}`): put the real value in \
             its place, or see that the shell or the template does before this program starts"
        }
        Some(Placeholder::Masked) => {
            "looks like a value that was masked (`****`, `xxxx`): copy the real one, with the issuer's copy button rather \
             than off the screen"
        }
        Some(Placeholder::Word) => {
            "looks like a placeholder, such as `changeme` or `YOUR_CLIENT_SECRET`: put the value that the issuer gave in its \
             place"
        }
        Some(Placeholder::NoValue) => {
            "is what stands for a missing value (`null`, `undefined`, `none`): see that the place it comes from has it, such \
             as the environment or the secret store"
        }
    };
    Err(ConfigError::new(field, problem))
}

fn bracketed(text: &str) -> Option<Placeholder> {
    let between = |&(open, close): &(&str, &str)| {
        text.strip_prefix(open)?.strip_suffix(close).filter(|name| !name.is_empty())
    };
    // A password may have any of these around it: one pair of characters is a placeholder only with a name in it.
    let is_template = TEMPLATES.iter().filter_map(between).next().is_some()
        || BRACKETS.iter().filter_map(between).any(is_name);
    is_template.then_some(Placeholder::Template)
}

/// Words that say what should stand here, with nothing but `_`, `-`, `.` and spaces between them.
fn is_name(text: &str) -> bool {
    const TELLING: &[&str] = &[
        "secret",
        "client",
        "password",
        "token",
        "credential",
        "your",
        "api_key",
        "api-key",
        "api key",
        "apikey",
    ];
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-. ".contains(&byte);
    text.bytes().all(legal) && TELLING.iter().any(|word| contains(text, word))
}

/// One mark again and again, or marks in the middle of what was shown of a value.
fn masked(text: &str) -> Option<Placeholder> {
    let is_mark = |char: char| matches!(char, '*' | '•' | '●' | '…');
    let mut run = 0;
    let in_the_middle = text.chars().any(|char| {
        run = if is_mark(char) { run + 1 } else { 0 };
        run == 4
    });
    let is_filler =
        |char: char| is_mark(char) || matches!(char, 'x' | 'X' | '.' | '-' | '_' | '?' | '#');
    let is_masked = in_the_middle || (text.chars().all(is_filler) && text.chars().nth(2).is_some());
    is_masked.then_some(Placeholder::Masked)
}

fn word(text: &str) -> Option<Placeholder> {
    let is = |word: &&str| letters(text).eq(word.bytes());
    if NO_VALUE.iter().any(is) {
        return Some(Placeholder::NoValue);
    }
    let starts = |word: &&str| {
        let mut letters = letters(text);
        word.bytes().all(|byte| letters.next() == Some(byte))
    };
    // `your-client-secret`, `insert_secret_here`, and no text that has a digit in it.
    let is_advice = text.bytes().all(|byte| byte.is_ascii_alphabetic() || b"_-. ".contains(&byte))
        && ADVICE.iter().any(starts)
        && SOUGHT.iter().any(|word| contains(text, word));
    (is_advice || FILL_IN.iter().any(is)).then_some(Placeholder::Word)
}

/// The letters and digits, in lower case. What is not ASCII stands for itself, so it is in no word.
fn letters(text: &str) -> impl Iterator<Item = u8> + '_ {
    let counts = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    text.bytes().filter(counts).map(|byte| byte.to_ascii_lowercase())
}

fn contains(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

fn is_with_slash(longer: &str, shorter: &str) -> bool {
    longer.strip_suffix('/') == Some(shorter)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    fn problem(text: &str) -> String {
        let error = secret("client_secret", text).expect_err(text);
        assert_eq!(error.field(), "client_secret");
        error.to_string()
    }

    #[test]
    fn a_careless_copy_is_refused() {
        assert!(problem("").contains("empty") && problem(" \t").contains("empty"));
        assert!(problem(" s3cr3t").contains("white space"));
        assert!(problem("s3cr3t\n").contains("white space"));
        assert!(problem("s3\0cr3t").contains("control characters"));
    }

    #[test]
    fn a_placeholder_is_refused_with_what_it_looks_like() {
        let templates = [
            "<client_secret>",
            "<Your Client-Secret>",
            "${CLIENT_SECRET}",
            "${CLIENT_SECRET:-}",
            "${{ secrets.CLIENT_SECRET }}",
            "$(cat secret)",
            "$CLIENT_SECRET",
            "$client_secret",
            "{{ secret }}",
            "{{.Values.secret}}",
            "{yourClientSecret}",
            "[client-secret]",
            "<api_key>",
            "$API_KEY",
            "%CLIENT_SECRET%",
        ];
        for text in templates {
            assert!(problem(text).contains("placeholder in brackets"), "{text}");
        }
        for text in
            ["xxx", "XXXXXXXXXXXXXXXXXXXXXXXX", "****", "abc****", "••••", "xxxx-xxxx", "..."]
        {
            assert!(problem(text).contains("masked"), "{text}");
        }
        let words = [
            "YOUR_CLIENT_SECRET",
            "your-client-secret",
            "yourClientSecretHere",
            "insert secret here",
            "replace-with-your-secret",
            "changeme",
            "Change-Me",
            "YOUR_API_KEY",
            "insert-api-key-here",
            "your-key",
            "replace_me",
            "PLACEHOLDER",
            "todo",
            "ToDo",
        ];
        for text in words {
            assert!(problem(text).contains("YOUR_CLIENT_SECRET"), "{text}");
        }
        for text in ["undefined", "null", "NULL", "None"] {
            assert!(problem(text).contains("missing value"), "{text}");
        }
    }

    #[test]
    fn what_a_fake_issuer_or_a_strong_password_has_is_let_pass() {
        let good = [
            "client-secret",
            "secret",
            "another secret",
            "s3cr3t",
            "s&c \"x\"",
            "a",
            "x",
            "xx",
            "your",
            "yoursecret1",
            "nullify",
            "None of your business, as they say 1",
            "<k3#p>",
            "{9d!}",
            "$2b$12$abcdefghijklmnopqrstuv",
            "pass*word*with*stars",
            "пароль",
        ];
        for text in good {
            assert_eq!(secret("client_secret", text), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_client_id_may_be_any_word_and_no_template() {
        for id in ["todo", "null", "your-secret-service", "id"] {
            assert_eq!(identifier("client_id", id), Ok(()), "{id}");
        }
        for id in ["<client_id>", "${CLIENT_ID}", "$CLIENT_ID", "{yourClientId}", " id", ""] {
            assert_eq!(identifier("client_id", id).unwrap_err().field(), "client_id", "{id}");
        }
    }

    #[test]
    fn a_key_in_the_place_of_the_secret_is_doubted() {
        let of = |secret| doubts(&Profile::flexport(), None, secret, None);
        let doubt = of("shltm_0123456789abcdefghij0123456789abcdefghij").remove(0);
        assert!(doubt.contains("API key") && !doubt.contains("shltm_"), "{doubt}");
        assert!(of("0123456789abcdefghij").is_empty());
    }

    #[test]
    fn an_audience_that_a_slash_tells_from_what_is_known_is_doubted() {
        let flexport = Profile::flexport();
        let auth0 = Profile::auth0("acme.auth0.com");
        let of = |profile: &Profile, issuer, audience| doubts(profile, issuer, "s3cr3t", audience);
        let doubt = of(&auth0, None, Some("https://acme.auth0.com")).remove(0);
        assert!(doubt.contains("issuer identifier without its trailing slash"), "{doubt}");
        let doubt = of(&flexport, None, Some("https://api.flexport.com/")).remove(0);
        assert!(doubt.contains("names with its trailing slash"), "{doubt}");
        let given =
            of(&auth0, Some("https://login.acme.example"), Some("https://login.acme.example/"));
        assert_eq!(given.len(), 1);
        for audience in [None, Some("https://acme.auth0.com/"), Some("https://acme.auth0.com/api")]
        {
            assert!(of(&auth0, None, audience).is_empty(), "{audience:?}");
        }
    }

    proptest! {
        #[test]
        fn random_secrets_are_let_pass(bytes in prop::collection::vec(any::<u8>(), 16..64)) {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            for text in [hex, STANDARD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
                prop_assert_eq!(secret("client_secret", &text), Ok(()));
                prop_assert_eq!(identifier("client_id", &text), Ok(()));
            }
        }

        /// Nothing panics, and no message has the text in it.
        #[test]
        fn no_text_gets_into_a_message(text in "[ -~\u{80}-\u{2100}]{12,40}") {
            prop_assume!(text.trim().len() > 8);
            for checked in [secret("client_secret", &text), identifier("client_id", &text)] {
                if let Err(error) = checked {
                    prop_assert!(!error.to_string().contains(text.trim()));
                }
            }
        }
    }
}

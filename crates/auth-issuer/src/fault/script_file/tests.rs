//! Script files, right and wrong.

use std::time::Duration;

use proptest::prelude::*;

use crate::fault::{Event, Place, Script};

fn refused(source: &str) -> String {
    Script::from_toml(source).unwrap_err().to_string()
}

#[test]
fn every_kind_and_every_field_is_read() {
    let script = Script::from_toml(
        r#"
        fault = [
            { kind = "status", status = 503, retry_after = "30s", headers = { a = "b" }, next = 3 },
            { kind = "status", status = 200, body = "b", content_type = "text/html", place = "token" },
            { kind = "error", code = "server_error", probability = 1, seed = 9 },
            { kind = "redirect", location = "/elsewhere", during = "1m" },
            { kind = "junk", place = "keys" },
            { kind = "html", place = "api", from = "1m" },
            { kind = "delay", after = "200ms", to = "1m" },
            { kind = "hang", place = "everywhere", from = "1m", to = "61s" },
            { kind = "hang-after-headers" },
            { kind = "truncate" },
            { kind = "trickle", every = "2s" },
            { kind = "drop", counted = false, after = "1s" },
            { kind = "lose-answer", counted = true },
            { kind = "slow", every = "3s" },
            { kind = "slow" },
            { kind = "clock", offset = "-90s", next = 2 },
            { kind = "clock", offset = "3m", place = "everywhere" },
            { kind = "early-revocation", lives = "5m", probability = 0.5, seed = 3 },
            { kind = "early-revocation" },
            { kind = "rotate-keys", during = "1h" },
        ]
        [[event]]
        at = "0s"
        action = "clock"
        offset = "-90s"
        [[event]]
        at = "0s"
        action = "clock"
        offset = "3m"
        [[event]]
        at = "1d"
        action = "revoke-all"
        [[event]]
        at = "1d"
        action = "rotate-keys"
        [[event]]
        at = "500ms"
        action = "api-status"
        status = 401
        [[event]]
        at = "2h"
        action = "api-normal"
        "#,
    )
    .unwrap();
    let places: Vec<_> = script.faults.iter().map(|(place, ..)| *place).collect();
    assert_eq!(
        places[3..8],
        [Place::Token, Place::Keys, Place::Api, Place::Token, Place::Everywhere,]
    );
    // As the same by code looks.
    let seen = format!("{:?}", script.faults);
    for part in [
        "Next(3)",
        "\"retry-after\": \"30\"",
        "\"a\": \"b\"",
        "Sometimes { probability: 1.0, draws: Draws(9) }",
        "\"location\": \"/elsewhere\"",
        "During(60s)",
        "Between(0ns, 60s)",
        "Between(60s, 61s)",
        "wait: Some(For(200ms)), action: Proceed",
        "Trickle(2s)",
        "wait: Some(For(1s)), action: Drop, is_counted: false",
        "action: Lose, is_counted: true",
        "Slow(3s)",
        "Slow(1s)",
        "Twist(ClockBehind(90s))",
        "Twist(ClockAhead(180s))",
        "Twist(Revoked(300s))",
        "Twist(Revoked(0ns))",
        "Twist(NewKey)",
        "\"content-type\": \"text/html\"",
        "server_error",
    ] {
        assert!(seen.contains(part), "{part} is not in {seen}");
    }
    let day = Duration::from_secs(86_400);
    assert_eq!(
        script.events,
        [
            (Duration::ZERO, Event::ClockBehind(Duration::from_secs(90))),
            (Duration::ZERO, Event::ClockAhead(Duration::from_secs(180))),
            (day, Event::RevokeAll),
            (day, Event::RotateKeys),
            (Duration::from_millis(500), Event::ApiStatus(Some(401))),
            (day / 12, Event::ApiStatus(None)),
        ]
    );
}

#[test]
fn an_error_names_the_line_and_the_field() {
    for (source, line, field) in [
        ("[[fault]]\nkind = \"nope\"", 2, "kind"),
        ("\n[[fault]]\nnext = 1", 2, "kind"),
        ("[[fault]]\nkind = \"status\"", 1, "status"),
        ("[[fault]]\nkind = \"status\"\nstatus = 99", 3, "status"),
        ("[[fault]]\nkind = \"status\"\nstatus = \"503\"", 3, "status"),
        ("[[fault]]\nkind = \"status\"\nstatus = 70000", 3, "status"),
        ("[[fault]]\nkind = \"hang\"\nstatus = 503", 3, "status"),
        ("[[fault]]\nkind = \"hang\"\nplaice = \"api\"", 3, "plaice"),
        ("[[fault]]\nkind = \"hang\"\nplace = \"api endpoint\"", 3, "place"),
        ("[[fault]]\nkind = \"hang\"\nnext = -1", 3, "next"),
        ("[[fault]]\nkind = \"hang\"\nnext = 1\nduring = \"1s\"", 4, "during"),
        ("[[fault]]\nkind = \"hang\"\nnext = 1\nto = \"1s\"", 4, "from"),
        ("[[fault]]\nkind = \"hang\"\nprobability = 1.5", 3, "probability"),
        ("[[fault]]\nkind = \"hang\"\nprobability = nan", 3, "probability"),
        ("[[fault]]\nkind = \"hang\"\nseed = 3", 3, "seed"),
        ("[[fault]]\nkind = \"hang\"\nfrom = \"2s\"\nto = \"2s\"", 4, "to"),
        ("[[fault]]\nkind = \"hang\"\nafter = \"soon\"", 3, "after"),
        ("[[fault]]\nkind = \"hang\"\ncounted = 1", 3, "counted"),
        ("[[fault]]\nkind = \"delay\"", 1, "after"),
        ("[[fault]]\nkind = \"error\"", 1, "code"),
        ("[[fault]]\nkind = \"redirect\"", 1, "location"),
        ("[[fault]]\nkind = \"redirect\"\nlocation = \"\\n\"", 3, "location"),
        ("[[fault]]\nkind = \"junk\"\nheaders = { \"a b\" = \"c\" }", 3, "headers"),
        ("[[fault]]\nkind = \"junk\"\nheaders = { a = \"\\n\" }", 3, "headers"),
        ("[[fault]]\nkind = \"clock\"", 1, "offset"),
        ("[[fault]]\nkind = \"clock\"\noffset = \"+1s\"", 3, "offset"),
        ("[[fault]]\nkind = \"rotate-keys\"\nplace = \"api\"", 3, "place"),
        ("[[fault]]\nkind = \"hang\"\nlives = \"1s\"", 3, "lives"),
        ("[[fault]]\nkind = \"slow\"\nstatus = 200", 3, "status"),
        ("[[event]]\naction = \"revoke-all\"", 1, "at"),
        ("[[event]]\nat = \"1s\"", 1, "action"),
        ("[[event]]\nat = \"1s\"\naction = \"explode\"", 3, "action"),
        ("[[event]]\nat = \"1s\"\naction = \"clock\"\noffset = \"--1s\"", 4, "offset"),
        ("[[event]]\nat = \"1s\"\naction = \"clock\"", 1, "offset"),
        ("[[event]]\nat = \"1s\"\naction = \"revoke-all\"\noffset = \"1s\"", 4, "offset"),
        ("[[event]]\nat = \"1s\"\naction = \"api-normal\"\nstatus = 401", 4, "status"),
        ("[[event]]\nat = \"1s\"\naction = \"api-status\"\nstatus = 100", 4, "status"),
        ("fault = 1", 1, "fault"),
        ("[[faults]]\nkind = \"hang\"", 1, "faults"),
    ] {
        let error = Script::from_toml(source).unwrap_err();
        assert_eq!((error.line(), error.field()), (line, Some(field)), "{source}: {error}");
        assert!(error.to_string().starts_with(&format!("line {line}, `{field}`: ")));
    }
}

#[test]
fn what_is_not_toml_is_refused_at_its_line() {
    assert!(refused("\n\n[[fault").starts_with("line 3: "));
    assert!(refused("[[fault]]\nkind = 'hang'\nkind = 'drop'").starts_with("line 3, `kind`: "));
    assert_eq!(Script::from_toml("").unwrap().faults.len(), 0);
}

fn line() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "kind",
        "place",
        "after",
        "counted",
        "status",
        "code",
        "body",
        "content_type",
        "location",
        "every",
        "headers",
        "retry_after",
        "next",
        "probability",
        "seed",
        "during",
        "from",
        "to",
        "at",
        "action",
        "offset",
        "lives",
    ]);
    let value = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}").to_lowercase()),
        prop::sample::select(vec![
            "\"status\"",
            "\"error\"",
            "\"redirect\"",
            "\"junk\"",
            "\"delay\"",
            "\"trickle\"",
            "\"slow\"",
            "\"early-revocation\"",
            "\"rotate-keys\"",
            "\"drop\"",
            "\"clock\"",
            "\"api-status\"",
            "\"api\"",
            "\"1s\"",
            "\"-5m\"",
            "\"18446744073709551615s\"",
            "{ a = \"b\" }",
            "503",
            "100",
            "true",
            "\"\\u0000\"",
            "\"é\"",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,10}",
    ];
    prop_oneof![
        1 => Just("[[fault]]".to_owned()),
        1 => Just("[[event]]".to_owned()),
        6 => (name, value).prop_map(|(name, value)| format!("{name} = {value}")),
        1 => "\\PC{0,20}",
    ]
}

proptest! {
    /// Nor is a fault that a file asks for one of those that constructors panic on.
    #[test]
    fn no_file_is_a_panic(lines in prop::collection::vec(line(), 0..8)) {
        let source = lines.join("\n");
        if let Err(error) = Script::from_toml(&source) {
            prop_assert!((1..=lines.len().max(1)).contains(&error.line()), "{error}");
        }
    }
}

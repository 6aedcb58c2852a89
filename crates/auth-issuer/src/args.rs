//! The command line of the program.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use auth_issuer::{Issuer, IssuerBuilder, Quota, Refusal, Resource, Script, Window};
use lexopt::{Arg, Parser};

pub(crate) const HELP: &str = "\
A development OAuth 2.0 issuer with a token quota, and a small API that its tokens open.

Usage: auth-issuer [OPTIONS]

  --port PORT            port to listen on; 0 is a free one         [default: 8400]
  --bind ADDRESS         address to listen on                       [default: 127.0.0.1]
  --url URL              what clients know it by, behind a proxy or bound to all addresses
                                                                    [default: http:// and where it listens]
  --client-id ID         the client's id; its secret is always generated
                                                                    [default: generated]
  --audience AUDIENCE    an audience to serve; may be repeated      [default: the issuer's URL]
  --lifetime TIME        how long tokens live: 90s, 15m, 24h, 7d    [default: 24h]
  --quota N[/PERIOD]     token requests of a client in a rolling time (24h if none is said), or in
                         the present utc-hour, utc-day or utc-month; `unlimited`; may be repeated
                         for several windows: --quota 3/10m --quota 100/utc-month
                                                                    [default: 10/24h]
  --quota-lag TIME       how long a spent unit goes unseen          [default: 0s]
  --quota-spares-failures
                         a token request that is refused spends no unit
  --quota-refusal HOW    retry-after, auth0 (quota headers too), bare, or words (400)
                                                                    [default: retry-after]
  --directory PATH       keep credentials, keys and counts there, over restarts; a directory that is yours, and that
                         nobody else can write to
                                                                    [default: in memory]
  --script FILE          faults and events, in TOML
  --i-know-this-is-for-development
                         permit an address that other machines can reach: they get tokens and the
                         API; the settings page and the admin API stay with this machine
  --help                 print this
";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Serve(Box<IssuerBuilder>),
}

impl Command {
    /// Reads the arguments that follow the program's name.
    ///
    /// # Errors
    ///
    /// A message for the user when a flag is unknown, lacks its value or has one that it does not take, when a value makes
    /// no sense, and when two of them contradict each other.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut parser = Parser::from_args(arguments);
        let mut ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut port = 8400;
        let mut client = None;
        let mut quota = QuotaFlags::default();
        let mut builder = Issuer::builder();
        while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
            let Arg::Long(flag) = argument else {
                match argument {
                    Arg::Short('h') => return Self::help(&mut parser),
                    other => return Err(unknown(other)),
                }
            };
            let flag = flag.to_owned();
            let wrong = |wanted: &str| format!("--{flag} needs {wanted}");
            let mut value = || text(&mut parser);
            match flag.as_str() {
                "help" => return Self::help(&mut parser),
                "port" => port = value()?.parse().map_err(|_| wrong("a port number"))?,
                "bind" => ip = value()?.parse().map_err(|_| wrong("an IP address"))?,
                "url" => builder = builder.url(value()?),
                "client-id" => client = Some(value()?),
                "audience" => builder = builder.audience(value()?),
                "lifetime" => {
                    let time = duration(&value()?).filter(|time| !time.is_zero());
                    let time = time.ok_or_else(|| wrong("a time such as 24h, and not zero"))?;
                    builder = builder.lifetime(time);
                }
                "quota" => match value()?.as_str() {
                    "unlimited" => quota.is_unlimited = true,
                    text => {
                        let window = window(text);
                        let wanted = "a number, as in 10, 10/24h or 10/utc-day, or `unlimited`";
                        quota.windows.push(window.ok_or_else(|| wrong(wanted))?);
                    }
                },
                "quota-lag" => {
                    quota.lag = duration(&value()?).ok_or_else(|| wrong("a time such as 90s"))?;
                }
                "quota-spares-failures" => quota.spares_failures = true,
                "quota-refusal" => {
                    quota.refusal = match value()?.as_str() {
                        "retry-after" => Refusal::RetryAfter,
                        "auth0" => Refusal::Auth0Headers,
                        "bare" => Refusal::Bare,
                        "words" => Refusal::BadRequest("The token quota is exhausted".to_owned()),
                        _ => return Err(wrong("retry-after, auth0, bare or words")),
                    };
                }
                "directory" => builder = builder.directory(path(&mut parser)?),
                "script" => {
                    let path = path(&mut parser)?;
                    let shown = path.display();
                    let file = std::fs::read_to_string(&path)
                        .map_err(|error| format!("--{flag}: {shown} cannot be read: {error}"))?;
                    let script = Script::from_toml(&file);
                    builder = builder.script(script.map_err(|error| format!("{shown}: {error}"))?);
                }
                "i-know-this-is-for-development" => builder = builder.allow_non_loopback(),
                _ => return Err(unknown(Arg::Long(&flag))),
            }
        }
        if let Some(id) = client {
            builder = builder.client_id(id);
        }
        // As the page makes them, so that a token of the program's own says what it opens.
        let builder = builder.resources(Resource::ALL);
        let builder = builder.quotas(quota.quota()?).bind(SocketAddr::new(ip, port));
        Ok(Self::Serve(Box::new(builder)))
    }

    fn help(parser: &mut Parser) -> Result<Self, String> {
        match parser.optional_value() {
            None => Ok(Self::Help),
            Some(_) => Err("--help takes no value".to_owned()),
        }
    }
}

fn unknown(argument: Arg<'_>) -> String {
    format!("{}; --help lists what there is", argument.unexpected())
}

/// Any name that the machine has for a file.
fn path(parser: &mut Parser) -> Result<PathBuf, String> {
    parser.value().map(PathBuf::from).map_err(|error| error.to_string())
}

fn text(parser: &mut Parser) -> Result<String, String> {
    let value = parser.value().map_err(|error| error.to_string())?;
    value.into_string().map_err(|value| format!("{} is not Unicode", value.display()))
}

/// What is said of the quota, in any order.
#[derive(Default)]
struct QuotaFlags {
    windows: Vec<Window>,
    is_unlimited: bool,
    lag: Duration,
    spares_failures: bool,
    refusal: Refusal,
}

impl QuotaFlags {
    fn quota(mut self) -> Result<Quota, String> {
        match (self.is_unlimited, self.windows.is_empty()) {
            (true, false) => {
                return Err("--quota unlimited and a limit exclude each other".to_owned());
            }
            (false, true) => self.windows.push(Window::rolling(10, DAY)),
            (true, true) | (false, false) => {}
        }
        let quota = self.windows.into_iter().fold(Quota::unlimited(), Quota::and);
        Ok(quota.lag(self.lag).count_failures(!self.spares_failures).refusal(self.refusal))
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `10`, `10/24h`, `10/utc-day`.
fn window(text: &str) -> Option<Window> {
    let (limit, period) = match text.split_once('/') {
        Some((limit, period)) => (limit, Some(period)),
        None => (text, None),
    };
    let limit = limit.parse().ok()?;
    Some(match period {
        None => Window::rolling(limit, DAY),
        Some("utc-hour") => Window::utc_hour(limit),
        Some("utc-day") => Window::utc_day(limit),
        Some("utc-month") => Window::utc_month(limit),
        Some(time) => Window::rolling(limit, duration(time).filter(|time| !time.is_zero())?),
    })
}

/// A whole number with a unit: `s`, `m`, `h` or `d`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(OsString::from))
    }

    #[track_caller]
    fn is_seen(line: &str, parts: &[&str]) {
        let Ok(Command::Serve(builder)) = parse(line) else { panic!("{line} is refused") };
        let seen = format!("{builder:?}");
        for part in parts {
            assert!(seen.contains(part), "{part} is not in {seen}");
        }
    }

    #[test]
    fn every_flag_reaches_the_builder() {
        is_seen(
            "--port 0 --bind=::1 --url https://issuer.test --client-id app --audience https://api --lifetime 15m --quota=3/12h \
             --i-know-this-is-for-development",
            &[
                "[::1]:0",
                "https://issuer.test",
                "app",
                "https://api",
                "900s",
                "limit: 3",
                "43200s",
                "loopback_only: false",
            ],
        );
        is_seen(
            "--directory state --quota-refusal words --quota 3/utc-month --quota 2/10m --quota-lag 90s \
             --quota-spares-failures",
            &["\"state\"", "BadRequest", "Month", "600s", "lag: 90s", "count_failures: false"],
        );
        is_seen("", &["limit: 10", "86400s", "127.0.0.1:8400", "count_failures: true"]);
        is_seen("--quota unlimited", &["windows: []"]);
    }

    #[test]
    fn mistakes_are_told() {
        for line in [
            "--port",
            "--port x",
            "--port 70000",
            "--bind home",
            "--quota -1",
            "--quota 10/",
            "--quota 10/0s",
            "--quota /utc-day",
            "--quota 10/utc-week",
            "--quota 10 --quota unlimited",
            "--quota-lag soon",
            "--quota-spares-failures=no",
            "--lifetime 24",
            "--lifetime 0s",
            "--lifetime h",
            "--lifetime 5w",
            "--verbose",
            "-v",
            "--quota-refusal never",
            "--script",
            "--script /no/such/file",
            // A file, but not a script.
            concat!("--script ", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
            "serve",
            "--i-know-this-is-for-development=no",
            "--i-know-this-is-for-development=",
            "--help=no",
            "-h=no",
        ] {
            let message = parse(line).unwrap_err();
            assert!(!message.is_empty() && !message.contains("Error"), "{line}: {message}");
        }
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStringExt as _;
            let odd = || OsString::from_vec(b"caf\xe9".to_vec());
            for flag in ["--client-id", "--port", "--quota"] {
                let message = Command::parse([flag.into(), odd()]).unwrap_err();
                assert!(message.contains("is not Unicode"), "{message}");
            }
            let message = Command::parse([odd()]).unwrap_err();
            assert!(message.contains("--help lists"), "{message}");
            // A file may be called so.
            assert!(matches!(Command::parse(["--directory".into(), odd()]), Ok(Command::Serve(_))));
            let message = Command::parse(["--script".into(), odd()]).unwrap_err();
            assert!(message.contains("cannot be read"), "{message}");
        }
        assert!(matches!(parse("--quota unlimited --help"), Ok(Command::Help)));
        assert!(matches!(parse("-h"), Ok(Command::Help)));
    }
}

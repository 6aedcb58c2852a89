//! The command line of the binary, read by hand: a dozen flags need no parser's dependency tree.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use auth_issuer::{Issuer, IssuerBuilder, Quota, Refusal, Script, Window};

pub(crate) const HELP: &str = "\
A development OAuth 2.0 issuer with a token quota, and a small API that its tokens open.

Usage: auth-issuer [OPTIONS]

  --port PORT            port to listen on; 0 is a free one         [default: 8400]
  --bind ADDRESS         address to listen on                       [default: 127.0.0.1]
  --client-id ID         the client's id; its secret is always generated
                                                                    [default: generated]
  --audience AUDIENCE    an audience to serve; may be repeated      [default: the issuer's URL]
  --lifetime TIME        how long tokens live: 90s, 15m, 24h, 7d    [default: 24h]
  --quota N              token requests per window, or `unlimited`  [default: 10]
  --quota-window TIME    how long a spent request counts            [default: 24h]
  --quota-calendar PERIOD
                         the window is the present utc-hour, utc-day or utc-month
  --quota-refusal HOW    retry-after, auth0 (quota headers too), bare, or words (400)
                                                                    [default: retry-after]
  --directory PATH       keep credentials, keys and counts there, over restarts
                                                                    [default: in memory]
  --script FILE          faults and events, in TOML
  --i-know-this-is-for-development
                         permit an address that other machines can reach
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
    /// A message for the user when a flag is unknown, lacks its value, or has one that makes no sense.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut arguments = arguments.into_iter();
        let mut ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut port = 8400;
        let mut client = None;
        let mut quota = QuotaFlags::default();
        let mut builder = Issuer::builder();
        while let Some(argument) = arguments.next() {
            // Both `--flag value` and `--flag=value`.
            let (flag, inline) = match argument.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let mut value = || {
                inline.clone().or_else(|| arguments.next()).ok_or(format!("{flag} needs a value"))
            };
            let wrong = |wanted: &str| format!("{flag} needs {wanted}");
            match flag {
                "--help" | "-h" => return Ok(Self::Help),
                "--port" => port = value()?.parse().map_err(|_| wrong("a port number"))?,
                "--bind" => ip = value()?.parse().map_err(|_| wrong("an IP address"))?,
                "--client-id" => client = Some(value()?),
                "--audience" => builder = builder.audience(value()?),
                "--lifetime" => {
                    let time = duration(&value()?).ok_or_else(|| wrong("a time such as 24h"))?;
                    builder = builder.lifetime(time);
                }
                "--quota-window" => {
                    let time = duration(&value()?).ok_or_else(|| wrong("a time such as 24h"))?;
                    quota.window = Some(time);
                }
                "--quota" => {
                    quota.limit = match value()?.as_str() {
                        "unlimited" => None,
                        limit => {
                            Some(limit.parse().map_err(|_| wrong("a number, or `unlimited`"))?)
                        }
                    };
                }
                "--quota-calendar" => {
                    quota.calendar = Some(match value()?.as_str() {
                        "utc-hour" => Window::utc_hour,
                        "utc-day" => Window::utc_day,
                        "utc-month" => Window::utc_month,
                        _ => return Err(wrong("utc-hour, utc-day or utc-month")),
                    });
                }
                "--quota-refusal" => {
                    quota.refusal = match value()?.as_str() {
                        "retry-after" => Refusal::RetryAfter,
                        "auth0" => Refusal::Auth0Headers,
                        "bare" => Refusal::Bare,
                        "words" => Refusal::BadRequest("The token quota is exhausted".to_owned()),
                        _ => return Err(wrong("retry-after, auth0, bare or words")),
                    };
                }
                "--directory" => builder = builder.directory(value()?),
                "--script" => {
                    let path = value()?;
                    let file = std::fs::read_to_string(&path)
                        .map_err(|error| format!("{flag}: {path} cannot be read: {error}"))?;
                    let script = Script::from_toml(&file);
                    builder = builder.script(script.map_err(|error| format!("{path}: {error}"))?);
                }
                "--i-know-this-is-for-development" => builder = builder.allow_non_loopback(),
                _ => return Err(format!("unknown argument {flag}; --help lists them")),
            }
        }
        if let Some(id) = client {
            builder = builder.client_id(id);
        }
        let builder = builder.quotas(quota.quota()?).bind(SocketAddr::new(ip, port));
        Ok(Self::Serve(Box::new(builder)))
    }
}

/// What is said of the quota, in any order.
struct QuotaFlags {
    /// `None` is without limit.
    limit: Option<u32>,
    window: Option<Duration>,
    calendar: Option<fn(u32) -> Window>,
    refusal: Refusal,
}

impl Default for QuotaFlags {
    fn default() -> Self {
        Self { limit: Some(10), window: None, calendar: None, refusal: Refusal::RetryAfter }
    }
}

impl QuotaFlags {
    fn quota(self) -> Result<Quota, String> {
        let Some(limit) = self.limit else { return Ok(Quota::unlimited()) };
        let window = match (self.window, self.calendar) {
            (Some(_), Some(_)) => {
                return Err("--quota-window and --quota-calendar exclude each other".to_owned());
            }
            (None, Some(calendar)) => calendar(limit),
            (window, None) => Window::rolling(limit, window.unwrap_or(DAY)),
        };
        Ok(Quota::unlimited().and(window).refusal(self.refusal))
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

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
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn every_flag_reaches_the_builder() {
        let line = "--port 0 --bind=::1 --client-id app --audience https://api --lifetime 15m --quota=3 \
                    --quota-window 12h --i-know-this-is-for-development";
        let Ok(Command::Serve(builder)) = parse(line) else { panic!("refused") };
        let seen = format!("{builder:?}");
        for part in
            ["[::1]:0", "app", "https://api", "900s", "limit: 3", "43200s", "loopback_only: false"]
        {
            assert!(seen.contains(part), "{part} is not in {seen}");
        }
        let line = "--directory state --quota-refusal words --quota-calendar utc-month --quota 3";
        let Ok(Command::Serve(builder)) = parse(line) else { panic!("refused") };
        let seen = format!("{builder:?}");
        for part in ["\"state\"", "BadRequest", "Month"] {
            assert!(seen.contains(part), "{part} is not in {seen}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        for line in [
            "--port",
            "--port x",
            "--port 70000",
            "--bind home",
            "--quota -1",
            "--lifetime 24",
            "--lifetime h",
            "--lifetime 5w",
            "--verbose",
            "--quota-calendar utc-week",
            "--quota-refusal never",
            "--quota-calendar utc-day --quota-window 3h",
            "--script",
            "--script /no/such/file",
            // A file, but not a script.
            concat!("--script ", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
            "serve",
        ] {
            parse(line).unwrap_err();
        }
        assert!(matches!(parse("--quota unlimited --help"), Ok(Command::Help)));
    }
}

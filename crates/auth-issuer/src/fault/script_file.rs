//! A script in a TOML file.

mod event_entry;
mod fault_entry;
mod here;

use serde::Deserialize;
use toml::Spanned;

use self::event_entry::EventEntry;
use self::fault_entry::FaultEntry;
use self::here::{Here, not_toml};
use super::script::Script;
use super::script_error::ScriptError;

impl Script {
    /// Reads a script from TOML: tables `[[fault]]` and `[[event]]`.
    ///
    /// Times are whole numbers with a unit: `200ms`, `30s`, `15m`, `2h`, `7d`. Those of `from`, `to` and `at` count from the
    /// start of the issuer.
    ///
    /// ```
    /// # let file = r#"
    /// ## Of several faults that apply to a request, it meets the first.
    /// [[fault]]
    /// kind = "status"          # an answer of this status
    /// status = 503
    /// retry_after = "30s"
    /// body = "busy"
    /// content_type = "text/plain"
    /// headers = { X-Request-Id = "17" }
    /// next = 3                 # for the next three token requests
    ///
    /// [[fault]]
    /// kind = "delay"           # the normal answer, but late
    /// after = "2s"
    /// place = "api"            # token (the default), api, keys or everywhere
    /// probability = 0.1        # for one request in ten
    /// seed = 42
    ///
    /// [[fault]]
    /// kind = "drop"            # down for four minutes: nobody gets through,
    /// counted = false          # and nobody pays
    /// place = "everywhere"
    /// from = "1m"
    /// to = "5m"
    ///
    /// [[fault]]
    /// kind = "lose-answer"     # the token is made and counted, the answer is lost
    /// next = 1
    ///
    /// [[fault]]
    /// kind = "early-revocation" # one token in twenty is refused after five minutes
    /// lives = "5m"
    /// probability = 0.05
    /// seed = 7
    ///
    /// [[event]]
    /// at = "10m"
    /// action = "clock"         # wrong from now on, for tokens and `Date`
    /// offset = "-90s"
    ///
    /// [[event]]
    /// at = "1h"
    /// action = "revoke-all"    # every token issued so far
    ///
    /// [[event]]
    /// at = "2h"
    /// action = "rotate-keys"
    ///
    /// [[event]]
    /// at = "3h"
    /// action = "api-status"    # the API answers everything with it
    /// status = 401
    ///
    /// [[event]]
    /// at = "4h"
    /// action = "api-normal"
    /// # "#;
    /// # auth_issuer::Script::from_toml(file)?;
    /// # Ok::<(), auth_issuer::ScriptError>(())
    /// ```
    ///
    /// # Faults
    ///
    /// | `kind`               | what it is, and its fields                                                             |
    /// |----------------------|----------------------------------------------------------------------------------------|
    /// | `status`             | an answer of that `status`, with `body` and `content_type` if they are there           |
    /// | `error`              | `{"error": code}` (RFC 6749 §5.2), with `status` (400 unless it is there) and `code`   |
    /// | `redirect`           | a `Location`: `location`, and `status` (307 unless it is there)                        |
    /// | `junk`, `html`       | 200 with bytes that are no JSON, or with a page                                        |
    /// | `delay`              | the normal answer after the wait of `after`                                            |
    /// | `hang`               | no answer, and the connection stays open                                               |
    /// | `hang-after-headers` | the head of a good answer, and no body                                                 |
    /// | `truncate`           | the head of a good answer, and a part of its body                                      |
    /// | `trickle`            | the head of a good answer, and a byte `every` so often (a second unless it is there)   |
    /// | `slow`               | the normal answer, a byte `every` so often (a second unless it is there)               |
    /// | `clock`              | a token whose times are by a clock that is wrong by `offset`                           |
    /// | `early-revocation`   | a token that is revoked once it `lives` so long (`0s` unless it is there)              |
    /// | `rotate-keys`        | a token that a new key signs, as all after it                                          |
    /// | `drop`               | the connection is closed without an answer                                             |
    /// | `lose-answer`        | the same, after all was done that the request asked                                    |
    ///
    /// Those that answer take `headers` and `retry_after`. All take `place`, of which `clock`, `early-revocation` and
    /// `rotate-keys` know `token` and `everywhere` only, since they befall tokens; `after`, a wait before it happens; `counted`,
    /// which is false where a token request that meets it is to spend no unit; and one of `next`, `probability` (with
    /// `seed`), `during`, or `from` and `to` (one of the two is enough). Without any of these it is for always.
    ///
    /// # Errors
    ///
    /// With the line and the field, when it is not TOML, has a field that is not known, or one that makes no sense.
    pub fn from_toml(source: &str) -> Result<Self, ScriptError> {
        let file: File = toml::from_str(source).map_err(|error| not_toml(source, &error))?;
        let mut script = Self::new();
        for entry in file.fault {
            let here = Here { source, table: entry.span().start };
            let (place, when, fault) = entry.into_inner().read(here)?;
            script = script.fault(place, when, fault);
        }
        for entry in file.event {
            let here = Here { source, table: entry.span().start };
            let (at, event) = entry.into_inner().read(here)?;
            script = script.event(at, event);
        }
        Ok(script)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    fault: Vec<Spanned<FaultEntry>>,
    #[serde(default)]
    event: Vec<Spanned<EventEntry>>,
}

#[cfg(test)]
mod tests;

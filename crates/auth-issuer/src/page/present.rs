//! Pure: from what the registry tells of a credential to what the page shows of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::view::{CredentialView, QuotaView, RequestView, SpentView, Status};
use crate::clock::{unix_seconds, unix_seconds_up};
use crate::info::CredentialInfo;
use crate::past::PastRequest;
use crate::quota::Standing;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A credential as one row.
pub(super) fn credential(
    info: &CredentialInfo,
    standing: Standing,
    now: SystemTime,
) -> CredentialView {
    CredentialView {
        id: info.client_id.clone(),
        name: info.name.clone(),
        resources: info.resources.iter().map(|resource| resource.title()).collect(),
        status: if info.is_enabled { Status::Active } else { Status::Disabled },
        created: date(info.created),
        quota: quota(&info.requests, standing, now),
        requests: info.requests.iter().map(request).collect(),
    }
}

/// `25 Nov 2026, 10:31 UTC`.
pub(super) fn date(time: SystemTime) -> String {
    let Parts { day, clock } = parts(time);
    format!("{day}, {} UTC", &clock[..5])
}

fn quota(requests: &[PastRequest], standing: Standing, now: SystemTime) -> QuotaView {
    // The last ones first, as they are remembered; the dots run the other way.
    let known = requests.iter().filter(|past| past.spent && Some(past.at) <= standing.last);
    let mut spends: Vec<SpentView> = known
        .take(standing.spent as usize)
        .map(|request| SpentView {
            at: near(request.at, now),
            cause: Some(request.cause.to_string()),
            outcome: outcome(request),
        })
        .collect();
    spends.reverse();
    QuotaView {
        limit: standing.limit,
        spent: standing.spent,
        spends,
        next_opens: standing.next.map(|next| format!("{} UTC", opens(next, now))),
    }
}

fn request(request: &PastRequest) -> RequestView {
    let Parts { day, clock } = parts(request.at);
    RequestView {
        at: format!("{}, {clock}", &day[..6]),
        cause: Some(request.cause.to_string()),
        outcome: outcome(request),
        spent: request.spent,
    }
}

fn outcome(request: &PastRequest) -> String {
    request.outcome.map_or_else(|| "no answer yet".to_owned(), |outcome| outcome.to_string())
}

/// `10:31`, and the day before it if that is another one.
fn near(time: SystemTime, now: SystemTime) -> String {
    let Parts { day, clock } = parts(time);
    let clock = &clock[..5];
    if day == parts(now).day { clock.to_owned() } else { format!("{}, {clock}", &day[..6]) }
}

/// When something opens: never a time at which it is still closed. To the minute, or to the second where that is how long
/// people wait.
fn opens(time: SystemTime, now: SystemTime) -> String {
    let wait = time.duration_since(now).unwrap_or_default();
    let step = if wait < HOUR { 1 } else { 60 };
    let time =
        UNIX_EPOCH + Duration::from_secs(unix_seconds_up(time).div_ceil(step).saturating_mul(step));
    if step > 1 {
        return near(time, now);
    }
    let Parts { day, clock } = parts(time);
    if day == parts(now).day { clock } else { format!("{}, {clock}", &day[..6]) }
}

struct Parts {
    /// `25 Nov 2026`.
    day: String,
    /// `10:31:07`.
    clock: String,
}

fn parts(time: SystemTime) -> Parts {
    // httpdate panics outside of the years 1970 to 9999.
    let seconds = unix_seconds(time).min(253_402_300_799);
    // `Wed, 25 Nov 2026 10:31:07 GMT`, of one length always (RFC 9110 §5.6.7).
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    Parts { day: text[5..16].to_owned(), clock: text[17..25].to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::past::{Cause, Outcome};

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    proptest! {
        #[test]
        fn no_time_is_too_far_away(seconds in 0_u64..1 << 50, now in 0_u64..1 << 50) {
            prop_assert!(date(at(seconds)).ends_with(" UTC"));
            prop_assert!(near(at(seconds), at(now)).ends_with(&date(at(seconds))[13..18]));
        }
    }

    #[test]
    fn the_day_is_told_when_it_is_another_one() {
        let noon = at(1_795_608_660);
        assert_eq!(date(noon), "25 Nov 2026, 12:11 UTC");
        assert_eq!(near(noon, noon + Duration::from_secs(3600)), "12:11");
        assert_eq!(near(noon, noon + Duration::from_secs(86_400)), "25 Nov, 12:11");
        assert_eq!(date(UNIX_EPOCH - Duration::from_secs(1)), "01 Jan 1970, 00:00 UTC");
    }

    #[test]
    fn a_unit_is_never_said_to_be_back_before_it_is() {
        let day = Duration::from_secs(86_400);
        let noon = at(43_200);
        let said = |after: Duration| opens(noon + after, noon);
        assert_eq!(said(day), "02 Jan, 12:00");
        assert_eq!(said(day + Duration::from_secs(1)), "02 Jan, 12:01");
        assert_eq!(said(day + Duration::from_millis(1)), "02 Jan, 12:01");
        assert_eq!(said(Duration::from_secs(43_199)), "02 Jan, 00:00");
        assert_eq!(said(HOUR), "13:00");
        // A minute is long for who waits for ten.
        assert_eq!(said(Duration::from_secs(599)), "12:09:59");
        assert_eq!(said(Duration::from_millis(599_001)), "12:10:00");
        assert_eq!(opens(at(86_400), at(86_390)), "02 Jan, 00:00:00");
        assert_eq!(opens(noon, noon), "12:00:00");
    }

    proptest! {
        #[test]
        fn nor_is_it_said_to_be_much_later(millis in 0_u64..1 << 40, wait in 0_u64..1 << 33) {
            let (now, next) = (UNIX_EPOCH + Duration::from_millis(millis), Duration::from_millis(millis + wait));
            let said = opens(UNIX_EPOCH + next, now);
            let shown = if wait < 3_600_000 { next.as_millis().div_ceil(1000) } else { next.as_millis().div_ceil(60_000) * 60 };
            let shown = parts(at(u64::try_from(shown).unwrap()));
            prop_assert!(shown.clock.starts_with(said.rsplit(' ').next().unwrap()), "{said} {}", shown.clock);
        }
    }

    #[test]
    fn the_dots_are_the_last_requests_that_spent_and_run_forward() {
        let past = |seconds, spent| PastRequest {
            at: at(seconds),
            cause: Cause::Start,
            outcome: Some(Outcome::Issued),
            spent,
        };
        let requests = [past(240, false), past(180, true), past(120, true), past(60, true)];
        let (last, next) = (Some(at(180)), Some(at(300)));
        let standing = Standing { limit: Some(10), spent: 2, last, next };
        let view = quota(&requests, standing, at(250));
        let times: Vec<&str> = view.spends.iter().map(|spend| spend.at.as_str()).collect();
        assert_eq!(times, ["00:02", "00:03"]);
        assert_eq!(view.next_opens.as_deref(), Some("00:05:00 UTC"));
        // The lag hides the last.
        let lagging = Standing { spent: 1, last: Some(at(120)), ..standing };
        assert_eq!(quota(&requests, lagging, at(250)).spends[0].at, "00:02");
        assert_eq!(request(&past(60, false)).at, "01 Jan, 00:01:00");
        let waiting = PastRequest { outcome: None, ..past(60, true) };
        assert_eq!(request(&waiting).outcome, "no answer yet");
    }
}

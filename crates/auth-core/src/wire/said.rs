//! What an answer says of the issuer's clock and quota: `Date`, `RateLimit` and `RateLimit-Policy`
//! (draft-ietf-httpapi-ratelimit-headers), and Auth0's `Auth0-Client-Quota-Limit`.
//!
//! What cannot be read is ignored, bucket by bucket.

use std::time::Duration;

use http::HeaderMap;
use http::header::DATE;

use crate::clock::Timestamp;
use crate::quota::said::{Bucket, Said};

const AUTH0: &str = "auth0-client-quota-limit";
const RATE_LIMIT: &str = "ratelimit";
const RATE_LIMIT_POLICY: &str = "ratelimit-policy";

/// Longer fields are nobody's.
const LONGEST_FIELD: usize = 4096;

/// Longer names are cut off.
const LONGEST_NAME: usize = 32;

pub(crate) fn read(headers: &HeaderMap) -> Said {
    let date = headers.get(DATE).and_then(|value| value.to_str().ok());
    let date = date.and_then(|text| httpdate::parse_http_date(text).ok());
    let mut buckets = auth0(headers);
    buckets.extend(rate_limit(headers));
    Said { date: date.map(Timestamp::from), buckets }
}

/// `b=per_day;q=10;r=7;t=43200, b=per_hour;q=3;r=3;t=1800`: name (optional), quota, remaining, seconds until the reset.
fn auth0(headers: &HeaderMap) -> Vec<Bucket> {
    let members = members(headers, AUTH0);
    let bucket = |(index, member): (usize, Vec<&str>)| {
        let params = Params(&member);
        let name = params.text("b").map_or_else(|| index.to_string(), plain);
        bucket("auth0", &name, params.number("q"), params.number("r")?, params.number("t")?)
    };
    members.into_iter().enumerate().filter_map(bucket).collect()
}

/// `"default";r=50;t=30` with the policy `"default";q=100;w=60`, or as the seventh draft had it:
/// `limit=100, remaining=50, reset=30`.
fn rate_limit(headers: &HeaderMap) -> Vec<Bucket> {
    let members = members(headers, RATE_LIMIT);
    let firsts: Vec<_> = members.iter().filter_map(|member| member.first().copied()).collect();
    let seventh = Params(&firsts);
    if let (Some(left), Some(resets)) = (seventh.number("remaining"), seventh.number("reset")) {
        return bucket("ratelimit", "", seventh.number("limit"), left, resets)
            .into_iter()
            .collect();
    }
    let policies = self::members(headers, RATE_LIMIT_POLICY);
    let bucket = |member: &Vec<&str>| {
        let (name, params) = (*member.first()?, Params(member));
        let policy = policies.iter().find(|policy| policy.first() == Some(&name));
        let policy = Params(policy.map_or(&[], Vec::as_slice));
        let resets = params.number("t").or_else(|| policy.number("w"))?;
        bucket("ratelimit", &plain(name), policy.number("q"), params.number("r")?, resets)
    };
    members.iter().filter_map(bucket).collect()
}

fn bucket(field: &str, name: &str, limit: Option<u32>, left: u32, resets: u32) -> Option<Bucket> {
    // A bucket that is counted anew at once says nothing.
    (resets > 0).then(|| Bucket {
        name: format!("{field}:{name}"),
        limit,
        left,
        resets_in: Duration::from_secs(resets.into()),
    })
}

/// The members of a list, from all lines of the field, each as its parts between semicolons.
fn members<'a>(headers: &'a HeaderMap, field: &str) -> Vec<Vec<&'a str>> {
    let lines = headers.get_all(field).iter().filter_map(|value| value.to_str().ok());
    let lines = lines.filter(|line| line.len() <= LONGEST_FIELD);
    lines
        .flat_map(|line| split(line, ','))
        .map(|member| split(member, ';').map(str::trim).collect())
        .collect()
}

/// Splits where the separator does not stand in a quoted string (RFC 9651 §3.3.3).
pub(super) fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |char: char| {
        let splits = char == separator && !quoted;
        if !escaped && char == '"' {
            quoted = !quoted;
        }
        escaped = quoted && !escaped && char == '\\';
        splits
    })
}

/// The parameters of a member. One that stands twice is read as its last (RFC 9651 §3.1.2).
struct Params<'a>(&'a [&'a str]);

impl<'a> Params<'a> {
    fn text(&self, key: &str) -> Option<&'a str> {
        let pairs = self.0.iter().rev().filter_map(|part| part.split_once('='));
        pairs
            .map(|(name, value)| (name.trim(), value.trim()))
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    /// A whole number. One beyond 32 bits is as good as the largest.
    fn number(&self, key: &str) -> Option<u32> {
        let text = self.text(key)?;
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(u32::MAX))
    }
}

/// A name that can be shown: its plain characters, and not many of them.
fn plain(name: &str) -> String {
    let plain = |char: &char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
    name.chars().filter(plain).take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn buckets(fields: &[(&'static str, &str)]) -> Vec<(String, Option<u32>, u32, u64)> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let buckets = read(&headers).buckets.into_iter();
        buckets.map(|b| (b.name, b.limit, b.left, b.resets_in.as_secs())).collect()
    }

    fn expect(
        name: &str,
        limit: Option<u32>,
        left: u32,
        resets: u64,
    ) -> (String, Option<u32>, u32, u64) {
        (name.to_owned(), limit, left, resets)
    }

    #[test]
    fn auth0_has_several_buckets_and_may_leave_the_name_out() {
        let read = buckets(&[(AUTH0, "b=per_hour;q=3;r=2;t=1800, b=per_day;q=10;r=7;t=43200")]);
        let hour = expect("auth0:per_hour", Some(3), 2, 1800);
        assert_eq!(read, [hour, expect("auth0:per_day", Some(10), 7, 43_200)]);
        assert_eq!(
            buckets(&[(AUTH0, "q=10;r=7;t=43200")]),
            [expect("auth0:0", Some(10), 7, 43_200)]
        );
    }

    #[test]
    fn rate_limit_takes_the_quota_and_the_window_from_its_policy() {
        let read = buckets(&[
            (RATE_LIMIT_POLICY, r#""day";q=10;w=86400, "a,b;c";q=5;w=60"#),
            (RATE_LIMIT, r#""day";r=3"#),
            (RATE_LIMIT, r#""a,b;c";r=0;t=30;pk=:cHs=:"#),
        ]);
        let day = expect("ratelimit:day", Some(10), 3, 86_400);
        assert_eq!(read, [day, expect("ratelimit:abc", Some(5), 0, 30)]);
        let seventh = buckets(&[(RATE_LIMIT, "limit=100, remaining=50, reset=30")]);
        assert_eq!(seventh, [expect("ratelimit:", Some(100), 50, 30)]);
    }

    #[test]
    fn what_cannot_be_read_is_ignored_bucket_by_bucket() {
        for junk in
            ["", "r", "r=;t=1", "r=-1;t=60", "r=1.5;t=60", "r=1;t=0", "r=1", "t=60", "r=x;t=60"]
        {
            assert_eq!(buckets(&[(AUTH0, junk)]), [], "{junk}");
            assert_eq!(buckets(&[(RATE_LIMIT, &format!("\"a\";{junk}"))]), [], "{junk}");
        }
        let mixed = buckets(&[(AUTH0, "b=bad;r=no;t=1, b=good;r=1;t=99999999999999999999")]);
        assert_eq!(mixed, [expect("auth0:good", None, 1, u64::from(u32::MAX))]);
    }

    proptest! {
        /// No field panics, and no name has a character that does harm where it is shown.
        #[test]
        fn any_field_is_read_or_ignored(text in "[ -~]{0,80}") {
            for (name, _, _, resets) in buckets(&[(AUTH0, &text), (RATE_LIMIT, &text), (RATE_LIMIT_POLICY, &text)]) {
                prop_assert!(name.len() <= 50 && resets > 0);
                prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c)));
            }
        }
    }
}

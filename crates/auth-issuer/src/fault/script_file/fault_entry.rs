//! A `[[fault]]` of a script file.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use toml::Spanned;

use super::here::{Field, Here, Offset};
use crate::fault::{Fault, Place, ScriptError, When};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultEntry {
    kind: Field<String>,
    place: Field<String>,
    after: Field<String>,
    counted: Option<bool>,

    status: Field<u16>,
    code: Field<String>,
    body: Field<String>,
    content_type: Field<String>,
    location: Field<String>,
    every: Field<String>,
    offset: Field<String>,
    lives: Field<String>,
    headers: Field<BTreeMap<String, String>>,
    retry_after: Field<String>,

    next: Field<u32>,
    probability: Field<f64>,
    seed: Field<u64>,
    during: Field<String>,
    from: Field<String>,
    to: Field<String>,
}

impl FaultEntry {
    pub(super) fn read(self, here: Here<'_>) -> Result<(Place, When, Fault), ScriptError> {
        let place = match self.place.as_ref().map(|place| place.get_ref().as_str()) {
            None | Some("token") => Place::Token,
            Some("api") => Place::Api,
            Some("keys") => Place::Keys,
            Some("everywhere") => Place::Everywhere,
            Some(_) => {
                let wanted = "one of token, api, keys, everywhere is wanted";
                return Err(here.wrong("place", self.place.as_ref(), wanted));
            }
        };
        let when = self.when(here)?;
        let mut fault = self.what(here)?;
        if fault.twist().is_some() && matches!(place, Place::Api | Place::Keys) {
            let wanted = "what befalls a token does so where it is issued: token";
            return Err(here.wrong("place", self.place.as_ref(), wanted));
        }
        if let Some(time) = here.time("after", self.after.as_ref())? {
            fault = fault.after(time);
        }
        if self.counted == Some(false) {
            fault = fault.uncounted();
        }
        Ok((place, when, fault))
    }

    fn when(&self, here: Here<'_>) -> Result<When, ScriptError> {
        let given = [
            ("next", self.next.as_ref().map(Spanned::span)),
            ("probability", self.probability.as_ref().map(Spanned::span)),
            ("during", self.during.as_ref().map(Spanned::span)),
            ("from", self.from.as_ref().or(self.to.as_ref()).map(Spanned::span)),
        ];
        let mut given = given.into_iter().filter_map(|(name, span)| Some((name, span?)));
        given.next();
        if let Some((name, span)) = given.next() {
            let wanted = "only one of next, probability, during, from and to is wanted";
            return Err(here.at(span.start, name, wanted));
        }
        if self.probability.is_none() && self.seed.is_some() {
            return Err(here.wrong("seed", self.seed.as_ref(), "it needs a probability"));
        }
        if let Some(times) = &self.next {
            return Ok(When::next(usize::try_from(*times.get_ref()).unwrap_or(usize::MAX)));
        }
        if let Some(probability) = &self.probability {
            if !(0.0..=1.0).contains(probability.get_ref()) {
                return Err(here.at(probability.span().start, "probability", "it is from 0 to 1"));
            }
            let seed = self.seed.as_ref().map_or(0, |seed| *seed.get_ref());
            return Ok(When::probability(*probability.get_ref(), seed));
        }
        if let Some(time) = here.time("during", self.during.as_ref())? {
            return Ok(When::during(time));
        }
        let from = here.time("from", self.from.as_ref())?;
        let to = here.time("to", self.to.as_ref())?;
        if from.is_none() && to.is_none() {
            return Ok(When::always());
        }
        let (from, to) = (from.unwrap_or(Duration::ZERO), to.unwrap_or(Duration::MAX));
        if to <= from {
            return Err(here.wrong("to", self.to.as_ref(), "it is not later than from"));
        }
        Ok(When::between(from, to))
    }

    fn what(&self, here: Here<'_>) -> Result<Fault, ScriptError> {
        let kind = here.needed("kind", self.kind.as_ref())?;
        let fields: &[&str] = match kind.as_str() {
            "status" => &["status", "body", "content_type", "headers", "retry_after"],
            "error" => &["status", "code", "headers", "retry_after"],
            "redirect" => &["status", "location", "headers", "retry_after"],
            "junk" | "html" | "hang-after-headers" | "truncate" => &["headers", "retry_after"],
            "trickle" => &["every", "headers", "retry_after"],
            "slow" => &["every"],
            "clock" => &["offset"],
            "early-revocation" => &["lives"],
            "rotate-keys" => &[],
            "delay" | "hang" | "drop" | "lose-answer" => &[],
            _ => {
                return Err(here.wrong(
                    "kind",
                    self.kind.as_ref(),
                    "there is no such kind of fault",
                ));
            }
        };
        self.has_only(fields, kind, here)?;

        let status = |default| here.status(self.status.as_ref(), default);
        let second = Duration::from_secs(1);
        let mut fault = match kind.as_str() {
            "status" => {
                let code = status(None)?;
                let body = self.body.as_ref().map(|body| body.get_ref().clone());
                let content_type = here.header("content_type", self.content_type.as_ref())?;
                match (body, content_type) {
                    (None, None) => Fault::status(code),
                    (body, content_type) => {
                        let content_type = content_type.unwrap_or("text/plain");
                        Fault::body(code, content_type, body.unwrap_or_default())
                    }
                }
            }
            "error" => {
                Fault::oauth_error(status(Some(400))?, here.needed("code", self.code.as_ref())?)
            }
            "redirect" => {
                here.needed("location", self.location.as_ref())?;
                let location = here.header("location", self.location.as_ref())?;
                Fault::redirect(status(Some(307))?, location.unwrap_or_default())
            }
            "junk" => Fault::junk(),
            "html" => Fault::html(),
            "hang-after-headers" => Fault::hang_after_headers(),
            "truncate" => Fault::truncate(),
            "trickle" => Fault::trickle(here.time("every", self.every.as_ref())?.unwrap_or(second)),
            "slow" => Fault::slow(here.time("every", self.every.as_ref())?.unwrap_or(second)),
            "clock" => match here.offset(self.offset.as_ref())? {
                Offset::Ahead(by) => Fault::clock_ahead(by),
                Offset::Behind(by) => Fault::clock_behind(by),
            },
            "early-revocation" => {
                let lives = here.time("lives", self.lives.as_ref())?;
                Fault::early_revocation(lives.unwrap_or_default())
            }
            "rotate-keys" => Fault::key_rotation(),
            "hang" => Fault::hang(),
            "drop" => Fault::drop_connection(),
            "lose-answer" => Fault::lose_answer(),
            // The wait itself is read with that of all others.
            _ => {
                here.needed("after", self.after.as_ref())?;
                Fault::delay(Duration::ZERO)
            }
        };
        if let Some(time) = here.time("retry_after", self.retry_after.as_ref())? {
            fault = fault.retry_after(time);
        }
        for (name, value) in self.headers.iter().flat_map(|headers| headers.get_ref()) {
            if HeaderName::try_from(name).is_err() || HeaderValue::try_from(value).is_err() {
                return Err(here.wrong(
                    "headers",
                    self.headers.as_ref(),
                    "one of them cannot be sent",
                ));
            }
            fault = fault.header(name, value);
        }
        Ok(fault)
    }

    /// A field that would be without effect is a mistake of whoever wrote it.
    fn has_only(&self, fields: &[&str], kind: &str, here: Here<'_>) -> Result<(), ScriptError> {
        let given = [
            ("status", self.status.as_ref().map(Spanned::span)),
            ("code", self.code.as_ref().map(Spanned::span)),
            ("body", self.body.as_ref().map(Spanned::span)),
            ("content_type", self.content_type.as_ref().map(Spanned::span)),
            ("location", self.location.as_ref().map(Spanned::span)),
            ("every", self.every.as_ref().map(Spanned::span)),
            ("offset", self.offset.as_ref().map(Spanned::span)),
            ("lives", self.lives.as_ref().map(Spanned::span)),
            ("headers", self.headers.as_ref().map(Spanned::span)),
            ("retry_after", self.retry_after.as_ref().map(Spanned::span)),
        ];
        for (name, span) in given {
            if let Some(span) = span.filter(|_| !fields.contains(&name)) {
                return Err(here.at(
                    span.start,
                    name,
                    format!("a fault of the kind {kind} has none"),
                ));
            }
        }
        Ok(())
    }
}

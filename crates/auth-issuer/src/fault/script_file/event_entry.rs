//! An `[[event]]` of a script file.

use std::time::Duration;

use serde::Deserialize;

use super::here::{Field, Here, Offset};
use crate::fault::{Event, ScriptError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventEntry {
    at: Field<String>,
    action: Field<String>,
    offset: Field<String>,
    status: Field<u16>,
}

impl EventEntry {
    pub(super) fn read(self, here: Here<'_>) -> Result<(Duration, Event), ScriptError> {
        let action = here.needed("action", self.action.as_ref())?;
        here.needed("at", self.at.as_ref())?;
        let at = here.time("at", self.at.as_ref())?.unwrap_or_default();
        let event = match action.as_str() {
            "clock" => match here.offset(self.offset.as_ref())? {
                Offset::Ahead(by) => Event::ClockAhead(by),
                Offset::Behind(by) => Event::ClockBehind(by),
            },
            "revoke-all" => Event::RevokeAll,
            "rotate-keys" => Event::RotateKeys,
            "api-status" => Event::ApiStatus(Some(here.status(self.status.as_ref(), None)?)),
            "api-normal" => Event::ApiStatus(None),
            _ => return Err(here.wrong("action", self.action.as_ref(), "there is no such action")),
        };
        let none = format!("the action {action} has none");
        if self.offset.is_some() && action != "clock" {
            return Err(here.wrong("offset", self.offset.as_ref(), none));
        }
        if self.status.is_some() && action != "api-status" {
            return Err(here.wrong("status", self.status.as_ref(), none));
        }
        Ok((at, event))
    }
}

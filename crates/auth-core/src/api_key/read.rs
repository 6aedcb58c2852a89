//! Reading the source of a key again: one read at a time, whoever asks, in a task of its own.
//!
//! The task may be dropped with its runtime, which all who wait notice; or it is not driven any more, and then it is given
//! up after a while.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::ApiKey;
use super::reads::{Ended, Found, GIVEN_UP_AFTER, Reads, Report};
use crate::clock::BootTime;
use crate::error::Error;
use crate::source::SecretSource;
use crate::sync::{MutexGuard, Runtime, timeout};
use crate::token::{Authorization, Generation};

/// A source that is slower than this has nothing to say; the key at hand is used. A command has 5 s.
const PATIENCE: Duration = Duration::from_secs(6);

/// The cause of a read that the user asks for.
const RELOAD: &str = "reload";

/// One read, which is spawned once the lock is free.
struct Read {
    key: ApiKey,
    source: SecretSource,
    number: u64,
    /// What was in use when it began.
    replaces: Generation,
    cause: &'static str,
    report: Report,
}

impl ApiKey {
    /// Reads the source again, now, and puts to use what it has; whether the key has changed since the call. A literal never
    /// does. A read that is under way is waited for first, since it may have seen what was there before.
    ///
    /// # Errors
    ///
    /// When the source cannot be read within 6 s, or has something that cannot be a key (RFC 9110 §5.5); outside of a tokio
    /// runtime. The key at hand stays in use.
    ///
    /// # Cancel safety
    ///
    /// A read that has begun goes on when the future is dropped.
    pub async fn reload(&self) -> Result<bool, Error> {
        let Some(source) = &self.0.source else { return Ok(false) };
        let fail = |problem: &str| Error::tool(self.shared_name(), problem.to_owned());
        let Some(runtime) = Runtime::current() else {
            return Err(fail("the API key is not read again outside of a tokio runtime"));
        };
        let before = self.generation();
        let ended = loop {
            match self.begin_alone(source, &runtime) {
                Ok(ended) => break ended,
                Err(other) => drop(outcome(other).await),
            }
        };
        match outcome(ended).await {
            Some(Ok(_)) => Ok(self.generation() > before),
            Some(Err(problem)) => Err(fail(&problem)),
            None => Err(fail("the API key is not read again: the read was cut off")),
        }
    }

    /// An API refused the key of this generation (RFC 9110 §15.5.2): the one that follows it, if there is one or the source
    /// has one.
    ///
    /// Cancel safe: a read that has begun goes on when the future is dropped.
    pub(crate) async fn replacement(&self, refused: Generation) -> Option<Authorization> {
        if let Some(ended) = self.begin(refused) {
            outcome(ended).await;
        }
        self.newer(refused)
    }

    /// The same, for a request that is not sent again.
    pub(crate) fn refuse(&self, refused: Generation) {
        drop(self.begin(refused));
    }

    /// Joins the read under way, or starts one; `None` if there is a newer key, or nothing to be had.
    fn begin(&self, refused: Generation) -> Option<Ended> {
        let source = self.0.source.as_ref()?;
        if self.generation() > refused {
            return None;
        }
        let Some(runtime) = Runtime::current() else {
            tracing::debug!(
                credential = self.name(),
                "the API key is not read again outside of a tokio runtime"
            );
            return None;
        };
        let now = self.0.clock.now().boot;
        let reads = self.lock();
        // Once more: a read may have ended in the meantime.
        if self.generation() > refused {
            return None;
        }
        if let Some(under_way) = reads.under_way(now) {
            return Some(under_way);
        }
        if reads.pauses(now) {
            return None;
        }
        Some(self.start(reads, source, "refused", now, &runtime))
    }

    /// Starts a read; the one that is under way if there is one.
    fn begin_alone(&self, source: &SecretSource, runtime: &Runtime) -> Result<Ended, Ended> {
        let now = self.0.clock.now().boot;
        let reads = self.lock();
        match reads.under_way(now) {
            Some(under_way) => Err(under_way),
            None => Ok(self.start(reads, source, RELOAD, now, runtime)),
        }
    }

    fn start(
        &self,
        mut reads: MutexGuard<'_, Reads>,
        source: &SecretSource,
        cause: &'static str,
        now: BootTime,
        runtime: &Runtime,
    ) -> Ended {
        let (number, report, ended) = reads.begin(now);
        let replaces = self.generation();
        drop(reads);
        let (key, source) = (self.clone(), source.clone());
        runtime.spawn(Read { key, source, number, replaces, cause, report }.run());
        ended
    }
}

impl Read {
    async fn run(self) {
        let read = self.text().await;
        let found = self.land(read);
        self.report.send_replace(Some(found));
    }

    /// What the source has now, as it stands in the header.
    async fn text(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let source = &self.source;
        // A disk that hangs keeps one thread, and not one more with each refusal.
        if Arc::strong_count(&self.key.0.at_work) > 1 {
            return Err(format!("{source:?} cannot be read: the read before has not ended"));
        }
        let (blocking, at_work) = (source.clone(), self.key.0.at_work.clone());
        let read = tokio::task::spawn_blocking(move || {
            let read = blocking.read();
            drop(at_work);
            read
        });
        let secret = match timeout(PATIENCE, read).await {
            Ok(Ok(read)) => read?,
            Ok(Err(_)) => return Err(format!("{source:?} cannot be read: the reader was cut off")),
            Err(_) => return Err(format!("{source:?} cannot be read in time")),
        };
        let value = self.key.0.format.value(&secret);
        value.map_err(|error| format!("{source:?} has no key: {error}"))
    }

    /// Puts to use what was read. A read that comes late does not take the place of what came in the meantime.
    fn land(&self, read: Result<Zeroizing<Vec<u8>>, String>) -> Found {
        let key = &self.key;
        let now = key.0.clock.now().boot;
        let mut reads = key.lock();
        let is_overtaken = key.generation() != self.replaces;
        if !reads.end(self.number) {
            return Ok(is_overtaken);
        }
        let read = read.map_err(Arc::<str>::from);
        let is_news = reads.note(read.as_ref().err());
        let mut found = Ok(is_overtaken);
        let mut put = None;
        match read {
            Ok(text) if !is_overtaken => {
                // After a 401, what was set by code is replaced by what is new in the source, and not by what it had before.
                let has_changed = reads.has_changed(&text) || self.cause == RELOAD;
                put = if has_changed { key.put(&reads, text).ok() } else { None };
                found = Ok(put.is_some());
            }
            // Not put to use, so it is as new as before.
            Ok(_) => {}
            Err(problem) => found = Err(problem),
        }
        if put.is_none() && !is_overtaken {
            reads.pause_from(now);
        }
        drop(reads);
        if let Some(generation) = put {
            key.say_replaced(generation, self.cause);
        }
        if let Err(problem) = &found {
            self.say_problem(problem, is_news);
        }
        found
    }

    /// Loudly once for each thing that goes wrong, not for each read while it lasts.
    fn say_problem(&self, problem: &str, is_news: bool) {
        let credential = self.key.name();
        if is_news {
            tracing::warn!(
                credential,
                problem,
                "the API key is not read again; the one at hand is used"
            );
        } else {
            tracing::debug!(credential, problem, "the API key is still not read again");
        }
    }
}

/// What the read came to; `None` if nobody knows.
async fn outcome(mut ended: Ended) -> Option<Found> {
    let found = timeout(GIVEN_UP_AFTER, ended.wait_for(Option::is_some)).await;
    found.ok()?.ok()?.clone()
}

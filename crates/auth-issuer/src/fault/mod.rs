//! Misbehaviour to order: what a request gets instead of its answer, or what befalls that.

mod body;
mod draw;
mod event;
mod gate;
mod script;
mod script_error;
mod script_file;
mod stage;
mod twist;
mod when;

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use self::body::FaultBody;
pub use self::event::Event;
pub use self::gate::Gate;
pub use self::script::Script;
pub use self::script_error::ScriptError;
pub(crate) use self::stage::Stage;
pub(crate) use self::twist::Twist;
pub use self::when::{Place, When};
use crate::serve;

/// What befalls a request; see [`Issuer::fail_next`](crate::Issuer::fail_next) and [`Issuer::fault`](crate::Issuer::fault).
///
/// ```
/// use std::time::Duration;
///
/// use auth_issuer::Fault;
///
/// let busy = Fault::status(503).retry_after(Duration::from_secs(30));
/// let slow_proxy = Fault::body(502, "text/html", "<h1>Bad gateway</h1>").after(Duration::from_millis(50));
/// let liar = Fault::body(200, "application/json", r#"{"error":"server_error"}"#);
/// # let _ = (busy, slow_proxy, liar);
/// ```
///
/// # Panics
///
/// The constructors and setters panic on what cannot be sent: a status outside of 200 to 999, or a header name or value
/// with characters that are not allowed in one.
#[derive(Debug, Clone)]
#[must_use]
pub struct Fault {
    wait: Option<Wait>,
    action: Action,
    /// Whether a token request that meets it may spend a unit.
    is_counted: bool,
}

#[derive(Debug, Clone)]
enum Wait {
    For(Duration),
    Until(Gate),
}

#[derive(Debug, Clone)]
enum Action {
    /// The normal answer.
    Proceed,
    /// The same, with something done to its token.
    Twist(Twist),
    /// The same, a byte at a time.
    Slow(Duration),
    /// The normal answer, which gets lost.
    Lose,
    Respond {
        status: StatusCode,
        headers: HeaderMap,
        content: Content,
    },
    Drop,
    Hang,
}

#[derive(Debug, Clone)]
enum Content {
    Full(Bytes),
    Hang,
    Truncated,
    Trickle(Duration),
}

/// What a client may have begun to believe when the truncated body breaks off.
const TRUNCATED: &str = r#"{"access_token":"ey"#;

/// Neither JSON nor UTF-8.
const JUNK: &[u8] = b"\x00\xff{\"access_token\": \xfe\xfe";

const PAGE: &[u8] =
    b"<!DOCTYPE html><title>Welcome</title><p>Please accept the terms of this network.";

impl Fault {
    /// Waits for `time` (on tokio's clock), then answers normally. The quota is spent, and counted, on arrival.
    pub fn delay(time: Duration) -> Self {
        Self::of(Action::Proceed).after(time)
    }

    /// Waits until `gate` is opened, then answers normally: a delay whose end the test decides.
    pub fn until(gate: &Gate) -> Self {
        Self::of(Action::Proceed).after_gate(gate)
    }

    /// Answers with `status` and an empty body.
    #[track_caller]
    pub fn status(status: u16) -> Self {
        Self::respond(must_be_status(status), Content::Full(Bytes::new()))
    }

    /// Answers with `status` and `body`: junk, HTML, a huge body, an error with a status of 200.
    #[track_caller]
    pub fn body(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::respond(must_be_status(status), Content::Full(body.into()))
            .header(CONTENT_TYPE.as_str(), content_type)
    }

    /// Answers with `status` and `{"error": code}` (RFC 6749 §5.2).
    #[track_caller]
    pub fn oauth_error(status: u16, code: &str) -> Self {
        let body = serde_json::json!({ "error": code }).to_string();
        Self::body(status, "application/json", body)
    }

    /// Answers with `status` and `Location: location`.
    #[track_caller]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header(LOCATION.as_str(), location)
    }

    /// Answers 200 with bytes that are not the JSON that `Content-Type` says.
    pub fn junk() -> Self {
        Self::json(Content::Full(Bytes::from_static(JUNK)))
    }

    /// Answers 200 with a page, as a captive portal does.
    pub fn html() -> Self {
        Self::respond(StatusCode::OK, Content::Full(Bytes::from_static(PAGE)))
            .header(CONTENT_TYPE.as_str(), "text/html; charset=utf-8")
    }

    /// Closes the connection without a byte of an answer. On HTTP/2 only the request's stream is reset.
    ///
    /// No token is made; the unit is spent all the same, as if the connection broke behind the count. For one that breaks
    /// before it, add [`uncounted`](Self::uncounted).
    pub fn drop_connection() -> Self {
        Self::of(Action::Drop)
    }

    /// Does all that the request asks, and closes the connection without a byte of the answer: the token is made and
    /// counted, and nobody has it.
    pub fn lose_answer() -> Self {
        Self::of(Action::Lose)
    }

    /// As if nobody were there: the connection is closed, and nothing is spent. The same as
    /// [`drop_connection`](Self::drop_connection) and [`uncounted`](Self::uncounted).
    pub fn down() -> Self {
        Self::drop_connection().uncounted()
    }

    /// Never answers, and keeps the connection open.
    pub fn hang() -> Self {
        Self::of(Action::Hang)
    }

    /// Sends the head of a good answer, and never its body.
    pub fn hang_after_headers() -> Self {
        Self::json(Content::Hang)
    }

    /// Sends the head of a good answer and the beginning of its body, and closes the connection before it is as long as
    /// `Content-Length` said.
    pub fn truncate() -> Self {
        Self::json(Content::Truncated).header(CONTENT_LENGTH.as_str(), "1024")
    }

    /// Sends the head of a good answer, and then one byte of white space `every` so often, without end.
    pub fn trickle(every: Duration) -> Self {
        Self::json(Content::Trickle(every))
    }

    /// Answers normally, a byte `every` so often (on tokio's clock): a slow answer that ends.
    pub fn slow(every: Duration) -> Self {
        Self::of(Action::Slow(every))
    }

    /// Issues a token whose `iat` and `exp` are by a clock that is ahead by this much. As what follows, it befalls token
    /// requests; of any other place the answer stays the normal one. For all tokens, and `Date`, there is
    /// [`Event::ClockAhead`].
    pub fn clock_ahead(by: Duration) -> Self {
        Self::of(Action::Twist(Twist::ClockAhead(by)))
    }

    /// The same in the other direction: a token can be expired when it arrives.
    pub fn clock_behind(by: Duration) -> Self {
        Self::of(Action::Twist(Twist::ClockBehind(by)))
    }

    /// Issues a token that is revoked so long after it was issued, by the issuer's clock, whatever its `exp` says; zero is
    /// before it arrives. What is still to be revoked when the issuer stops is not.
    pub fn early_revocation(after: Duration) -> Self {
        Self::of(Action::Twist(Twist::Revoked(after)))
    }

    /// Signs with a new key from this token on; see [`Event::RotateKeys`].
    pub fn key_rotation() -> Self {
        Self::of(Action::Twist(Twist::NewKey))
    }

    /// Waits for `time` (on tokio's clock) before it happens. Replaces the wait that was set before.
    pub fn after(mut self, time: Duration) -> Self {
        self.wait = Some(Wait::For(time));
        self
    }

    /// Waits until `gate` is opened before it happens. Replaces the wait that was set before.
    pub fn after_gate(mut self, gate: &Gate) -> Self {
        self.wait = Some(Wait::Until(gate.clone()));
        self
    }

    /// Spends no unit, whatever [`faults_spend_quota`](crate::IssuerBuilder::faults_spend_quota) says.
    pub fn uncounted(mut self) -> Self {
        self.is_counted = false;
        self
    }

    /// Adds `Retry-After` in whole seconds. For a date, or for junk, use [`header`](Self::header).
    pub fn retry_after(self, time: Duration) -> Self {
        self.header(RETRY_AFTER.as_str(), &time.as_secs().to_string())
    }

    /// Sets a header of the answer, in the place of one of that name. Without effect on faults that send no head of
    /// their own.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
        else {
            panic!("not a header: {name:?}: {value:?}");
        };
        if let Action::Respond { headers, .. } = &mut self.action {
            headers.insert(name, value);
        }
        self
    }

    /// Whether something else stands in the place of the normal answer, so that no token is made.
    pub(crate) fn replaces_answer(&self) -> bool {
        !matches!(self.action, Action::Proceed | Action::Twist(_) | Action::Slow(_) | Action::Lose)
    }

    /// What befalls the token of the normal answer.
    pub(crate) fn twist(&self) -> Option<Twist> {
        match self.action {
            Action::Twist(twist) => Some(twist),
            _ => None,
        }
    }

    /// Whether a token request that meets it spends a unit, if those that get no normal answer do so.
    pub(crate) fn is_charged(&self, faults_spend_quota: bool) -> bool {
        self.is_counted && (faults_spend_quota || !self.replaces_answer())
    }

    /// Lets the fault happen to a request whose normal answer would be `answer`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the client leaves: a fault is scripted for requests that arrive, not for answers.
    pub(crate) async fn strike(self, answer: impl Future<Output = Response>) -> Response {
        match self.wait {
            Some(Wait::For(time)) => tokio::time::sleep(time).await,
            Some(Wait::Until(gate)) => gate.opened().await,
            None => {}
        }
        match self.action {
            Action::Proceed | Action::Twist(_) => answer.await,
            Action::Slow(every) => {
                let (head, body) = answer.await.into_parts();
                // What is sent from here has all of its body at hand.
                let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
                Response::from_parts(head, Body::new(FaultBody::slow(body, every)))
            }
            Action::Lose => {
                answer.await;
                serve::hang_up()
            }
            Action::Respond { status, headers, content } => {
                let mut response = Response::new(content.into_body());
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                response
            }
            Action::Drop => serve::hang_up(),
            Action::Hang => std::future::pending().await,
        }
    }

    /// The status that it answers with, if it does: what the tests of a script tell faults apart by.
    #[cfg(test)]
    fn status_code(&self) -> Option<u16> {
        match &self.action {
            Action::Respond { status, .. } => Some(status.as_u16()),
            _ => None,
        }
    }

    fn of(action: Action) -> Self {
        Self { wait: None, action, is_counted: true }
    }

    fn json(content: Content) -> Self {
        Self::respond(StatusCode::OK, content).header(CONTENT_TYPE.as_str(), "application/json")
    }

    fn respond(status: StatusCode, content: Content) -> Self {
        Self::of(Action::Respond { status, headers: HeaderMap::new(), content })
    }
}

/// `code` as the status of an answer.
fn status(code: u16) -> Option<StatusCode> {
    StatusCode::from_u16(code).ok().filter(|status| !status.is_informational())
}

/// The same for constructors, which panic.
#[track_caller]
fn must_be_status(code: u16) -> StatusCode {
    status(code).unwrap_or_else(|| panic!("not the status of an answer: {code}"))
}

impl Content {
    fn into_body(self) -> Body {
        match self {
            Self::Full(bytes) => bytes.into(),
            Self::Hang => Body::new(FaultBody::Hang),
            Self::Truncated => Body::new(FaultBody::truncated(TRUNCATED)),
            Self::Trickle(every) => Body::new(FaultBody::trickle(every)),
        }
    }
}

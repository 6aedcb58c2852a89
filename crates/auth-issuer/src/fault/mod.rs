//! Misbehaviour to order: what a token request gets instead of its answer.

mod body;
mod gate;
mod script;

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use self::body::FaultBody;
pub use self::gate::Gate;
pub(crate) use self::script::Script;
use crate::serve;

/// What befalls a token request; see [`Issuer::fail_next`](crate::Issuer::fail_next).
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

impl Fault {
    /// Waits for `time` (on tokio's clock), then answers normally. The quota is spent, and counted, on arrival.
    pub fn delay(time: Duration) -> Self {
        Self { wait: Some(Wait::For(time)), action: Action::Proceed }
    }

    /// Waits until `gate` is opened, then answers normally: a delay whose end the test decides.
    pub fn until(gate: &Gate) -> Self {
        Self { wait: Some(Wait::Until(gate.clone())), action: Action::Proceed }
    }

    /// Answers with `status` and an empty body.
    #[track_caller]
    pub fn status(status: u16) -> Self {
        Self::respond(status, Content::Full(Bytes::new()))
    }

    /// Answers with `status` and `body`: junk, HTML, a huge body, an error with a status of 200.
    #[track_caller]
    pub fn body(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::respond(status, Content::Full(body.into()))
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

    /// Closes the connection without a byte of an answer. On HTTP/2 only the request's stream is reset.
    pub fn drop_connection() -> Self {
        Self { wait: None, action: Action::Drop }
    }

    /// Never answers, and keeps the connection open.
    pub fn hang() -> Self {
        Self { wait: None, action: Action::Hang }
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

    /// Whether the request never gets its normal answer.
    pub(crate) fn replaces_answer(&self) -> bool {
        !matches!(self.action, Action::Proceed)
    }

    /// Lets the fault happen; `None` when the normal answer is to follow.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the client leaves: a fault is scripted for requests that arrive, not for answers.
    pub(crate) async fn strike(self) -> Option<Response> {
        match self.wait {
            Some(Wait::For(time)) => tokio::time::sleep(time).await,
            Some(Wait::Until(gate)) => gate.opened().await,
            None => {}
        }
        match self.action {
            Action::Proceed => None,
            Action::Respond { status, headers, content } => {
                let mut response = Response::new(content.into_body());
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                Some(response)
            }
            Action::Drop => Some(serve::hang_up()),
            Action::Hang => std::future::pending().await,
        }
    }

    fn json(content: Content) -> Self {
        Self::respond(200, content).header(CONTENT_TYPE.as_str(), "application/json")
    }

    #[track_caller]
    fn respond(status: u16, content: Content) -> Self {
        let status = match StatusCode::from_u16(status) {
            Ok(status) if !status.is_informational() => status,
            _ => panic!("not the status of an answer: {status}"),
        };
        Self { wait: None, action: Action::Respond { status, headers: HeaderMap::new(), content } }
    }
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

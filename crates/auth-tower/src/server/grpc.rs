//! Refusals as gRPC has them: its clients look at `grpc-status`, and at the HTTP status only where there is none.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};

use super::challenge::Answer;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The content type, and the beginning of those with a format of messages.
const GRPC: &[u8] = b"application/grpc";

/// Whether a request is one of gRPC's: a `POST` with its content type, which has no case (RFC 9110 §8.3.1). That of gRPC-Web is
/// another one, whose clients look at the HTTP status.
pub(super) fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let parts = content_type.and_then(|text| text.split_at_checked(GRPC.len()));
    request.method() == Method::POST
        && parts.is_some_and(|(name, rest)| {
            name.eq_ignore_ascii_case(GRPC) && matches!(rest, [] | [b'+' | b';' | b' ' | b'\t', ..])
        })
}

/// The answer without messages ("Trailers-Only"), with the challenge as metadata.
pub(super) fn response(answer: Answer) -> Response<Bytes> {
    let status = match answer.status {
        StatusCode::UNAUTHORIZED => "16",
        StatusCode::FORBIDDEN => "7",
        StatusCode::SERVICE_UNAVAILABLE => "14",
        _ => "3",
    };
    let description =
        answer.error.map_or("the request shows no credential", |error| error.description);
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(GRPC_STATUS, HeaderValue::from_static(status));
    headers.insert(GRPC_MESSAGE, message(description));
    if let Some(challenge) = answer.challenge {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = answer.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// As `grpc-message` has it: visible ASCII and spaces as they are but for the `%`, and all other octets as `%` and two digits.
fn message(text: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b' '..=b'~' if octet != b'%' => encoded.push(octet.into()),
            _ => write!(encoded, "%{octet:02X}").expect("a string takes all that is written"),
        }
    }
    HeaderValue::from_str(&encoded).expect("encoding leaves nothing but visible ASCII and spaces")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_of_grpcs_is_a_post_with_its_content_type() {
        for (method, content_type, expected) in [
            ("POST", "application/grpc", true),
            ("POST", "Application/gRPC", true),
            ("POST", "application/grpc+proto", true),
            ("POST", "application/grpc+json; charset=utf-8", true),
            ("POST", "application/grpc;x=y", true),
            ("POST", "application/grpc ; x=y", true),
            ("POST", "application/grpc-web", false),
            ("POST", "application/grpc-web+proto", false),
            ("POST", "application/grpc-web-text", false),
            ("POST", "application/grpcx", false),
            ("POST", "application/grp", false),
            ("POST", "application/json", false),
            ("GET", "application/grpc", false),
            ("PUT", "application/grpc", false),
            ("post", "application/grpc", false),
        ] {
            let request = Request::builder().method(method).header("content-type", content_type);
            assert_eq!(is_grpc(&request.body(()).unwrap()), expected, "{method} {content_type}");
        }
        assert!(!is_grpc(&Request::post("/").body(()).unwrap()));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_message_can_be_read_back(text: String) {
            let encoded = message(&text);
            let encoded = encoded.to_str().unwrap();
            let mut octets = Vec::new();
            let mut rest = encoded.bytes();
            while let Some(octet) = rest.next() {
                octets.push(match octet {
                    b'%' => {
                        let digits = [rest.next().unwrap(), rest.next().unwrap()];
                        u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
                    }
                    octet => octet,
                });
            }
            prop_assert_eq!(String::from_utf8(octets).unwrap(), text);
        }
    }
}

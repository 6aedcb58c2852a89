//! An issuer that repeats what it was sent.

use bytes::Bytes;
use http::{Request, Response};

use crate::support::answer;

pub(crate) fn echo(request: &Request<Bytes>) -> Response<Bytes> {
    let headers = request.headers().values().map(|value| value.to_str().unwrap().to_owned());
    let body = std::str::from_utf8(request.body()).unwrap().to_owned();
    // Each value on its own as well: what is long is cut.
    let values = body.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    let values: Vec<_> = values.map(str::to_owned).collect();
    let said: Vec<_> = headers.chain(values).chain([body]).collect();
    // Of what is signed, the signature alone: it does not look like a JWT.
    let signatures = said.iter().filter_map(|text| text.rsplit_once('.'));
    let signatures = signatures.map(|(_, signature)| signature.split('&').next().unwrap());
    let code = signatures.collect::<Vec<_>>().join(" ");
    let said = format!("\u{1b}[31m{}\r\n", said.join("\n"));
    let error = serde_json::json!({ "error": code, "error_description": said });
    answer(400, "application/json", &error.to_string())
}

//! The body of an answer, and not a byte more.

use std::pin::pin;

use auth_core::{LONGEST_ANSWER, TransportError};
use bytes::{Buf, Bytes, BytesMut};
use http::Response;
use http_body::Body;

use crate::error::BoxError;

/// Reads a whole answer, and stops at the first byte too many.
pub(super) async fn collect<B>(response: Response<B>) -> Result<Response<Bytes>, TransportError>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let (head, body) = response.into_parts();
    let mut body = pin!(body);
    // Allocated once: a buffer that grows leaves copies of the token behind that nobody wipes.
    let mut answer = BytesMut::with_capacity(LONGEST_ANSWER);
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(mut data) = frame.map_err(TransportError::in_doubt)?.into_data() else { continue };
        if data.remaining() > LONGEST_ANSWER - answer.len() {
            return Err(TransportError::body_too_long());
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            answer.extend_from_slice(chunk);
            let read = chunk.len();
            data.advance(read);
        }
    }
    Ok(Response::from_parts(head, answer.freeze()))
}

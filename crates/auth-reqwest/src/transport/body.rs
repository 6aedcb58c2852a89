//! The body of an answer, and not a byte more.

use auth_core::{LONGEST_ANSWER, TransportError};
use bytes::{Bytes, BytesMut};
use reqwest::Response;

use super::failure;

/// Reads chunk by chunk, and gives up on the first that is too much; the connection goes with the response.
pub(super) async fn read(response: &mut Response) -> Result<Bytes, TransportError> {
    // Allocated once: a buffer that grows leaves copies of the token behind that nobody wipes.
    let mut body = BytesMut::with_capacity(LONGEST_ANSWER);
    while let Some(chunk) = response.chunk().await.map_err(failure::of_reading)? {
        if chunk.len() > LONGEST_ANSWER - body.len() {
            return Err(TransportError::body_too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

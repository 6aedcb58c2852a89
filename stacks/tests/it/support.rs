//! An authenticator for a server on loopback, and calls that can be sent twice.

use auth_core::{Authenticator, Builder, ClientCredentials, MemoryStore, RequestOptions, Store};
use auth_issuer::Issuer;
use auth_tower::HyperTransport;
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::Full;
use prost::Message;
use tonic::body::Body;

/// With the token of `issuer`, bound to the origin of `url`.
pub(crate) fn builder(issuer: &Issuer, url: &str) -> Builder {
    let credentials = ClientCredentials::new(issuer.client_id(), issuer.client_secret())
        .token_endpoint(issuer.token_endpoint())
        .audience(issuer.audience());
    Authenticator::builder(credentials)
        .origin(url)
        .store(Store::new(MemoryStore::new()))
        .transport(HyperTransport::plain())
        .insecure_loopback(true)
}

pub(crate) fn authenticator(issuer: &Issuer, url: &str) -> Authenticator {
    builder(issuer, url).build().unwrap()
}

/// A call that brings its message once more.
pub(crate) fn replayable<M: Message>(message: M) -> tonic::Request<M> {
    let frame = frame(&message);
    let again = move || Body::new(Full::new(frame.clone()));
    let mut request = tonic::Request::new(message);
    request.extensions_mut().insert(RequestOptions::new().replay_with(again));
    request
}

/// The message as it goes over the wire: not compressed, and its length before it.
fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    frame.put_u32(length.try_into().unwrap());
    message.encode(&mut frame).unwrap();
    frame.freeze()
}

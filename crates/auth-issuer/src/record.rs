//! What a token request looked like, without its secret.

/// How the last token request was put; see [`Issuer::last_token_request`](crate::Issuer::last_token_request).
///
/// It never holds the secret, nor the value of a parameter that is not named here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenRequestRecord {
    /// `Content-Type` as it was sent.
    pub content_type: Option<String>,
    /// How the client showed who it is.
    pub client_auth: ClientAuth,
    /// Whether there was a DPoP proof with it, good or not (RFC 9449 §5).
    pub has_dpop_proof: bool,
    /// The names of the body's parameters, in their order; empty if the body is malformed. What is no word of small letters
    /// and underscores is told as `?`: a body under the wrong content type can be a name, secret and all.
    pub parameters: Vec<String>,
    /// The client that the request named; `unknown` if none is registered with that id, which may be a secret in the wrong
    /// place.
    pub client_id: Option<String>,
    /// The audience that was asked for.
    pub audience: Option<String>,
    /// The grant that was asked for.
    pub grant_type: Option<String>,
    /// The scope that was asked for.
    pub scope: Option<String>,
}

/// How the client of a token request showed who it is (RFC 6749 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuth {
    /// In an `Authorization: Basic` header: `client_secret_basic`.
    Basic,
    /// In the body: `client_secret_post`.
    Post,
    /// By an assertion in the body: `private_key_jwt` (RFC 7523 §2.2).
    PrivateKeyJwt,
    /// In more than one way, which the issuer refuses (RFC 6749 §2.3).
    Both,
    /// Nowhere.
    None,
}

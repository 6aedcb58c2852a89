//! What a request to the API carries besides its token where tokens are bound to a key (RFC 9449).

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode, Uri};

use crate::authenticator::Authenticator;
use crate::error::Error;
use crate::origin::Origin;
use crate::token::token_of;
use crate::wire::challenge;
use crate::wire::dpop::{Destination, Dpop, PROOF};

impl Authenticator {
    /// Whether tokens are bound to a key, so that each request needs a proof of its own ([`prove`](Self::prove)).
    #[inline]
    pub fn proves(&self) -> bool {
        self.renewal().dpop.is_some()
    }

    /// Puts the proof for this request beside the token that is in `headers` (RFC 9449 §7.1), in place of one that is there. Does
    /// nothing where tokens are not bound to a key.
    ///
    /// To be called for each attempt, after the token was put in: a proof is for one request, one token and one server's nonce. `assumed`
    /// is the origin of a relative `uri`.
    ///
    /// # Errors
    ///
    /// When the key does not sign, the headers have no token, or the URI is of none of the credential's origins.
    pub fn prove(
        &self,
        method: &Method,
        uri: &Uri,
        assumed: Option<&Origin>,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        let Some(dpop) = &self.renewal().dpop else { return Ok(()) };
        let fail = |problem: &str| Err(Error::runtime(self.renewal().name.clone(), problem));
        let Some(token) = headers.get(AUTHORIZATION).and_then(token_of) else {
            return fail("there is no token in the headers that a proof could be made for");
        };
        let Some((origin, authority)) = self.place(uri, assumed) else {
            return fail("a proof is made for requests to the credential's own origins only");
        };
        let scheme = self.origins()[origin].scheme();
        let destination = Destination { origin, scheme, authority: &authority, path: uri.path() };
        let proof = dpop.for_api(method, &destination, token, self.clock().now().wall);
        let proof = proof.map_err(|error| Error::proof(self.renewal().name.clone(), error))?;
        headers.insert(PROOF, proof);
        Ok(())
    }

    /// Takes the server's nonce for the next proof from an answer to a request to `uri` (RFC 9449 §9). `true` if the server refused the
    /// request for want of it: it may then be sent again, once, with the same token and a new proof, and no token was refused.
    pub fn heed_nonce(
        &self,
        uri: &Uri,
        assumed: Option<&Origin>,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> bool {
        let Some(dpop) = &self.renewal().dpop else { return false };
        let Some((origin, _)) = self.place(uri, assumed) else { return false };
        let heeded = Dpop::heed_api(dpop, origin, headers);
        heeded && status == StatusCode::UNAUTHORIZED && challenge::wants_dpop_nonce(headers)
    }

    /// Whether a 401 with these headers is about the proof and not about the token (RFC 9449 §7.1): another token would meet the same. A
    /// clock that is wrong, or a proxy that rewrites URLs, makes APIs say so.
    pub fn is_about_proof(&self, headers: &HeaderMap) -> bool {
        self.proves() && challenge::is_about_proof(headers)
    }

    /// The number of a request's origin among the credential's, and its authority as it is sent.
    fn place(&self, uri: &Uri, assumed: Option<&Origin>) -> Option<(usize, String)> {
        match uri.authority() {
            Some(authority) => Some((self.bound().position(uri)?, authority.as_str().to_owned())),
            None => {
                let assumed = assumed?;
                Some((self.bound().position_of(assumed)?, assumed.authority()))
            }
        }
    }
}

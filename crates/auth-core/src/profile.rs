//! What is known of an issuer beforehand.

use std::fmt;

use http::{HeaderName, HeaderValue};

use crate::quota::Quota;
use crate::wire::ClientAuth;

/// What an issuer wants and says, so that its users need not find out: a wrong guess costs a token request.
///
/// It is plain data. Take the one that is nearest, and change what differs; what is not known of an issuer stays `None` or
/// empty.
///
/// ```
/// use auth_core::{ClientAuth, Profile, Quota};
///
/// let mut mine = Profile::generic();
/// mine.token_endpoint = Some("https://login.example/oauth2/token".to_owned());
/// mine.client_auth = ClientAuth::Basic;
/// mine.quota = Quota::per_hour(100);
/// // This issuer says so with a status that has another meaning elsewhere.
/// mine.quota_refusals.push((400, "rate limit".to_owned()));
/// # assert_eq!(mine.quota.to_string(), "100 per 1 h");
/// ```
///
/// # Defaults
///
/// [`Profile::generic`].
#[derive(Clone)]
#[non_exhaustive]
pub struct Profile {
    /// The issuer identifier: an https URL (RFC 8414 §2), and the `iss` of its tokens (RFC 7519 §4.1.1).
    pub issuer: Option<String>,
    /// Where tokens are given (RFC 6749 §3.2).
    pub token_endpoint: Option<String>,
    /// How the client id and the secret are sent (RFC 6749 §2.3).
    pub client_auth: ClientAuth,
    /// Which API the tokens are for, where an issuer has only one.
    pub audience: Option<String>,
    /// How many token requests are allowed.
    pub quota: Quota,
    /// How this issuer says that its quota is spent, if not with status 429 or the error `too_many_requests` or `slow_down`:
    /// a status, and a text that stands somewhere in the body, as in [`Builder::quota_refusal`](crate::Builder::quota_refusal).
    pub quota_refusals: Vec<(u16, String)>,
    /// What is sent with each token request besides. A value that nobody may see should be marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether its access tokens are JWTs (RFC 7519). One that is none then means that something was forgotten, most often
    /// the audience.
    pub gives_jwts: bool,
    /// How the keys begin that this vendor gave out before it had client credentials, in upper and lower case as here. They
    /// are bearer tokens themselves (RFC 6750), so one of them in the place of a client secret can only be a mix-up.
    pub legacy_key_prefixes: Vec<String>,
}

impl Profile {
    /// An issuer that does as RFC 6749 says, and of which nothing else is known: a form that has the secret in it
    /// ([`ClientAuth::Post`], §2.3.1), and any kind of token (§1.4).
    ///
    /// Its quota is the default of the [`Builder`](crate::Builder), 10 a day: an unknown limit is rather kept too well. Say
    /// [`Quota::unlimited`] for an issuer that has none.
    pub fn generic() -> Self {
        Self {
            issuer: None,
            token_endpoint: None,
            client_auth: ClientAuth::Post,
            audience: None,
            quota: Quota::per_day(10),
            quota_refusals: Vec::new(),
            headers: Vec::new(),
            gives_jwts: false,
            legacy_key_prefixes: Vec::new(),
        }
    }

    /// Flexport's API, version 2.
    ///
    /// | value | source |
    /// |---|---|
    /// | token endpoint `https://api.flexport.com/oauth/token`, audience `https://api.flexport.com`, JSON, JWTs, 10 token requests a day | its tutorial [Using API Credentials] |
    /// | `shltm_`, how a key begins | public scanners for leaked secrets. They have it of the keys of the logistics API; how a key of the freight API looks is published nowhere, so one that begins otherwise is not known |
    ///
    /// Published nowhere are the `iss` of its tokens, what it answers when the quota is spent, when its day begins, and
    /// whether failed requests count. So there is no issuer and no quota refusal here, and the quota is right for any
    /// beginning of the day and counts all requests.
    ///
    /// The header `Flexport-Version` belongs to the requests to the API, not to those for a token.
    ///
    /// [Using API Credentials]: https://developers.flexport.com/tutorials/using-api-credentials/
    ///
    /// ```
    /// let flexport = auth_core::Profile::flexport();
    /// assert_eq!(flexport.audience.as_deref(), Some("https://api.flexport.com"));
    /// assert_eq!(flexport.quota.to_string(), "10 per 24 h");
    /// ```
    pub fn flexport() -> Self {
        Self {
            token_endpoint: Some("https://api.flexport.com/oauth/token".to_owned()),
            client_auth: ClientAuth::PostJson,
            audience: Some("https://api.flexport.com".to_owned()),
            quota: Quota::per_day(10),
            gives_jwts: true,
            legacy_key_prefixes: vec!["shltm_".to_owned()],
            ..Self::generic()
        }
    }

    /// An Auth0 tenant, by its domain or its custom domain: `acme.eu.auth0.com`. The audience is the identifier of your API,
    /// which is for you to set.
    ///
    /// | value | source |
    /// |---|---|
    /// | token endpoint `https://{domain}/oauth/token` | Auth0's [Get Access Tokens] |
    /// | JSON | its Python SDK, and APIs behind it; its own pages show a form, which it takes as well |
    /// | issuer `https://{domain}/`, with the slash | the same page: `iss` is of the domain that was asked |
    /// | JWTs | the same page: for an API of one's own; without an audience the token is opaque |
    /// | 10 a day | no one: the default of the [`Builder`](crate::Builder). A tenant's quota for a client is what its administrator set, if any ([Token Quotas]); set [`quota`](Self::quota) to that |
    ///
    /// Over its quota Auth0 answers 429 `too_many_requests` with `Retry-After`, which needs no quota refusal; what is left it
    /// says with each answer (`Auth0-Client-Quota-Limit`), which is heeded without a setting. Its `access_denied` is none of
    /// the quota's: it says that the client may not ask for this audience, or that the tenant as a whole is too busy.
    ///
    /// [Get Access Tokens]: https://auth0.com/docs/secure/tokens/access-tokens/get-access-tokens
    /// [Token Quotas]: https://auth0.com/docs/fine-grained-m2m-token-quotas
    ///
    /// ```
    /// use auth_core::{Profile, Quota};
    ///
    /// let mut acme = Profile::auth0("acme.eu.auth0.com");
    /// assert_eq!(acme.token_endpoint.as_deref(), Some("https://acme.eu.auth0.com/oauth/token"));
    /// acme.audience = Some("https://orders.acme.example".to_owned());
    /// acme.quota = Quota::per_hour(10).and(Quota::per_day(50));
    /// ```
    pub fn auth0(domain: &str) -> Self {
        // Copied out of a browser's address bar, it has more around it.
        let domain = domain.trim();
        let domain = domain.strip_prefix("https://").unwrap_or(domain).trim_end_matches('/');
        Self {
            issuer: Some(format!("https://{domain}/")),
            token_endpoint: Some(format!("https://{domain}/oauth/token")),
            client_auth: ClientAuth::PostJson,
            gives_jwts: true,
            ..Self::generic()
        }
    }

    /// Whether a secret begins as this vendor's old keys do.
    pub(crate) fn looks_like_legacy_key(&self, secret: &str) -> bool {
        let mut prefixes = self.legacy_key_prefixes.iter();
        prefixes.any(|prefix| !prefix.is_empty() && secret.starts_with(prefix.as_str()))
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::generic()
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value of a header may be a secret that nobody marked as one.
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Profile")
            .field("issuer", &self.issuer)
            .field("token_endpoint", &self.token_endpoint)
            .field("client_auth", &self.client_auth)
            .field("audience", &self.audience)
            .field("quota", &self.quota)
            .field("quota_refusals", &self.quota_refusals)
            .field("headers", &headers)
            .field("gives_jwts", &self.gives_jwts)
            .field("legacy_key_prefixes", &self.legacy_key_prefixes)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::endpoint::HttpUrl;

    #[test]
    fn every_url_of_a_profile_is_one_that_may_be_used() {
        for profile in [Profile::flexport(), Profile::auth0("acme.eu.auth0.com")] {
            let urls = [&profile.token_endpoint, &profile.issuer, &profile.audience];
            for url in urls.into_iter().flatten() {
                HttpUrl::parse("url", url, false).unwrap();
            }
            assert!(profile.token_endpoint.is_some() && profile.gives_jwts);
            profile.quota.check().unwrap();
        }
    }

    #[test]
    fn an_auth0_domain_may_be_copied_with_what_is_around_it() {
        for domain in ["acme.auth0.com", "https://acme.auth0.com/", " acme.auth0.com/ "] {
            let profile = Profile::auth0(domain);
            assert_eq!(profile.issuer.as_deref(), Some("https://acme.auth0.com/"), "{domain}");
            let endpoint = profile.token_endpoint.as_deref();
            assert_eq!(endpoint, Some("https://acme.auth0.com/oauth/token"), "{domain}");
        }
    }

    #[test]
    fn a_legacy_key_is_known_by_its_beginning_alone() {
        let flexport = Profile::flexport();
        assert!(flexport.looks_like_legacy_key("shltm_0123456789abcdefghij0123456789abcdefghij"));
        for secret in ["", "shltm", "SHLTM_0123", "x-shltm_0123", "0123456789abcdef"] {
            assert!(!flexport.looks_like_legacy_key(secret), "{secret}");
        }
        let mut mine = Profile::default();
        mine.legacy_key_prefixes.push(String::new());
        assert!(!mine.looks_like_legacy_key("anything"), "an empty prefix fits nothing");
    }

    // torture: E43
    #[test]
    fn debug_shows_no_value_of_a_header() {
        let mut mine = Profile::generic();
        let canary = HeaderValue::from_static("canary");
        mine.headers.push((HeaderName::from_static("x-api-key"), canary));
        let shown = format!("{mine:?}");
        assert!(shown.contains("x-api-key") && !shown.contains("canary"), "{shown}");
    }
}

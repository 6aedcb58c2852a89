//! Servers of several origins on loopback: they redirect as a request's path says, and keep what
//! they were sent.

use std::collections::HashSet;
use std::fmt::Write;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use auth_core::{ApiKey, Authenticator, ClientCredentials, MemoryStore, Routes, SigningKey, Store};
use auth_reqwest::ReqwestTransport;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::ClientBuilder;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::peer::Peer;

/// The API, and what differs from it in one thing.
const ORIGINS: Range<usize> = 0..4;
/// Two paths of the API, and one of them elsewhere.
const PATHS: Range<usize> = 4..7;

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// The place that a request goes to, and the redirects that it meets: their statuses, and where
/// they lead.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) first: usize,
    pub(super) hops: Vec<(u16, usize)>,
}

/// A credential, and where it belongs.
struct Secret {
    text: &'static str,
    home: usize,
    proves: bool,
}

/// Credentials in a table, and where a chain may lead.
pub(super) struct Case {
    pub(super) routes: Routes,
    secrets: Vec<Secret>,
    pub(super) places: Range<usize>,
}

/// What a server was sent.
#[derive(Debug)]
pub(super) struct Seen {
    uri: String,
    /// Each as it came.
    fields: Vec<String>,
}

#[derive(Default)]
struct Record {
    seen: Vec<Seen>,
    /// What has failed once.
    failed: HashSet<String>,
}

/// The servers.
pub(super) struct World {
    pub(super) places: Arc<Vec<String>>,
    record: Arc<Mutex<Record>>,
    client: fn(ClientBuilder, &[u8]) -> ClientBuilder,
    authority: Vec<u8>,
}

/// One over plain HTTP, and one over TLS in builds that have it.
pub(super) async fn worlds() -> Vec<World> {
    vec![
        World::start(["http://127.0.0.1", "http://localhost", "http://sub.localhost"], |c, _| c)
            .await,
        #[cfg(any(feature = "rustls", feature = "native-tls"))]
        World::start(["https://a.test", "https://b.test", "http://a.test"], |client, authority| {
            client.tls_certs_merge([reqwest::Certificate::from_der(authority).unwrap()])
        })
        .await,
    ]
}

impl World {
    /// Of three hosts, the API first: each listener is all of them, with TLS and without.
    async fn start(
        [api, other, third]: [&str; 3],
        client: fn(ClientBuilder, &[u8]) -> ClientBuilder,
    ) -> Self {
        let listeners = [
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        ];
        let [port, second] = listeners.each_ref().map(|one| one.local_addr().unwrap().port());
        let places = vec![
            format!("{api}:{port}"),
            format!("{other}:{port}"),
            format!("{third}:{port}"),
            format!("{api}:{second}"),
            format!("{api}:{port}/v1"),
            format!("{api}:{port}/v2"),
            format!("{other}:{port}/v1"),
        ];
        let (acceptor, authority) = tls();
        let world = Self { places: Arc::new(places), record: Arc::default(), client, authority };
        for listener in listeners {
            let (places, record) = (world.places.clone(), world.record.clone());
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (places, record) = (places.clone(), record.clone());
                    tokio::spawn(accept(stream, acceptor.clone(), places, record));
                }
            });
        }
        world
    }

    /// What finds the hosts here, and trusts them.
    pub(super) fn client(&self) -> ClientBuilder {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let hosts = ["a.test", "b.test", "localhost", "sub.localhost"];
        let client = reqwest::Client::builder().no_proxy();
        let client = hosts.iter().fold(client, |client, host| client.resolve(host, here));
        (self.client)(client, &self.authority)
    }

    /// The URL of a chain's first request. Its path says how it goes on, and whether each of the
    /// servers fails at first.
    pub(super) fn uri(&self, chain: &Chain, fails_once: bool) -> String {
        let mut uri = self.places[chain.first].clone();
        uri.push_str(if fails_once { ONCE } else { "" });
        for (status, place) in &chain.hops {
            write!(uri, "/{status}.{place}").unwrap();
        }
        uri
    }

    /// What arrived since the last time.
    pub(super) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.record.lock().unwrap()).seen
    }

    /// One credential for the whole API: a token, a token that is bound to a key, and keys in two
    /// headers. Then two at one origin.
    pub(super) async fn cases(&self) -> [Case; 6] {
        let [token, proved] = [self.tokens("Bearer").await, self.tokens("DPoP").await];
        let custom = || ApiKey::builder("custom", "key-one").in_header("X-Api-Key");
        let custom = || custom().build().unwrap();
        let usual = ApiKey::new("usual", "key-one").unwrap();
        let keyed = |key: ApiKey| {
            let routes = Routes::builder().insecure_loopback(true);
            routes.route(&self.places[0], key).build().unwrap()
        };
        let one = |routes: Routes, text, proves| {
            let secrets = vec![Secret { text, home: 0, proves }];
            Case { routes, secrets, places: ORIGINS }
        };
        let two = |tokens: &Authenticator, proves| {
            let routes = Routes::builder()
                .insecure_loopback(true)
                .route(&self.places[4], custom())
                .route(&self.places[5], tokens.clone());
            let key = Secret { text: "key-one", home: 4, proves: false };
            let token = Secret { text: "token-1", home: 5, proves };
            Case { routes: routes.build().unwrap(), secrets: vec![key, token], places: PATHS }
        };
        [
            one(token.clone().into(), "token-1", false),
            one(proved.clone().into(), "token-1", true),
            one(keyed(custom()), "key-one", false),
            one(keyed(usual), "key-one", false),
            two(&token, false),
            two(&proved, true),
        ]
    }

    /// For the API, from an issuer of such tokens.
    async fn tokens(&self, kind: &'static str) -> Authenticator {
        let issuer = Peer::start(move |_| {
            let body = format!(
                r#"{{"access_token":"token-1","token_type":"{kind}","expires_in":86400}}"#
            );
            let length = body.len();
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
        })
        .await;
        let credentials = ClientCredentials::new("client", "s3cret")
            .token_endpoint(format!("{}/token", issuer.url()))
            .audience(&self.places[0]);
        let credentials = match kind {
            "DPoP" => credentials.dpop(SigningKey::generate_es256()),
            _ => credentials,
        };
        Authenticator::builder(credentials)
            .store(Store::new(MemoryStore::new()))
            .transport(ReqwestTransport::new().unwrap())
            .insecure_loopback(true)
            .build()
            .unwrap()
    }
}

impl Case {
    /// Every chain of one to so many redirects from this place, by the statuses in turn.
    pub(super) fn chains(&self, first: usize, most: u32) -> impl Iterator<Item = Chain> {
        let (start, count) = (self.places.start, self.places.len());
        let numbers = (1..=most).flat_map(move |hops| (0..count.pow(hops)).map(move |n| (hops, n)));
        numbers.map(move |(hops, number)| {
            let place = |at| start + number / count.pow(at) % count;
            let hop = |at: u32| (STATUSES[(number + at as usize) % STATUSES.len()], place(at));
            Chain { first, hops: (0..hops).map(hop).collect() }
        })
    }

    /// Whether a redirect from this place to itself is to be followed: where there are rules, and the API
    /// takes no proofs, as each is for one URL.
    pub(super) fn stays(&self, place: usize) -> bool {
        let is_home = [ORIGINS.start, PATHS.start, PATHS.start + 1].contains(&place);
        is_home && !self.secrets.iter().any(|secret| secret.proves)
    }

    /// How many redirects of this chain lead to where they came from, and are to be followed.
    pub(super) fn followed(&self, chain: &Chain) -> usize {
        let stays = |(_, place): &&(u16, usize)| *place == chain.first && self.stays(*place);
        chain.hops.iter().take_while(stays).count()
    }

    /// What is not where it belongs in these requests: in words, and empty if all is well.
    pub(super) fn leaks(&self, world: &World, all: &[Seen]) -> Vec<String> {
        let mut leaks = Vec::new();
        for seen in all {
            for secret in &self.secrets {
                if seen.has(secret.text) && !secret.is_home(world, &seen.uri) {
                    leaks.push(format!("{} at {}", secret.text, seen.uri));
                }
            }
            for proof in seen.proofs() {
                let is_home = |secret: &Secret| secret.proves && secret.is_home(world, &seen.uri);
                if proof["htu"] != *seen.uri || !self.secrets.iter().any(is_home) {
                    leaks.push(format!("a proof at {}", seen.uri));
                }
            }
        }
        leaks
    }

    /// That nothing is astray, and that no request lacks what it should have. How many requests
    /// these were.
    pub(super) fn check(&self, world: &World, all: &[Seen]) -> usize {
        assert_eq!(self.leaks(world, all), [""; 0], "{all:?}");
        for seen in all {
            for secret in self.secrets.iter().filter(|secret| secret.is_home(world, &seen.uri)) {
                assert!(seen.has(secret.text), "{} is missing: {seen:?}", secret.text);
                assert_eq!(seen.proofs().len(), usize::from(secret.proves), "{seen:?}");
            }
        }
        all.len()
    }
}

impl Secret {
    fn is_home(&self, world: &World, uri: &str) -> bool {
        let rest = uri.strip_prefix(&world.places[self.home]);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Seen {
    fn has(&self, text: &str) -> bool {
        self.fields.iter().any(|field| field.contains(text))
    }

    /// The claims of the proofs, whatever their fields are.
    fn proofs(&self) -> Vec<Value> {
        let decode = |part: &str| -> Option<Value> {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
        };
        let proof = |word: &str| {
            let mut parts = word.split('.');
            let head = decode(parts.next()?)?;
            (head["typ"] == "dpop+jwt").then(|| decode(parts.next()?))?
        };
        self.fields.iter().flat_map(|field| field.split_whitespace()).filter_map(proof).collect()
    }
}

/// What the path begins with where each server fails at first.
const ONCE: &str = "/once";

/// An acceptor for the hosts that have TLS, and the authority that vouches for them.
fn tls() -> (TlsAcceptor, Vec<u8>) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    use tokio_rustls::rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivatePkcs8KeyDer};

    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let params = CertificateParams::new(["a.test".to_owned(), "b.test".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        );
    (Arc::new(config.unwrap()).into(), authority.der().to_vec())
}

async fn accept(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    places: Arc<Vec<String>>,
    record: Arc<Mutex<Record>>,
) {
    let mut first = [0];
    // The first byte of a handshake is 22 (RFC 8446 §5.1), and no method begins with that.
    match stream.peek(&mut first).await {
        Ok(1) if first == [22] => {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, "https", &places, &record).await;
            }
        }
        _ => serve(stream, "http", &places, &record).await,
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    scheme: &str,
    places: &[String],
    record: &Mutex<Record>,
) {
    let mut stream = BufStream::new(stream);
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8(std::mem::take(&mut head)).unwrap();
        let (line, rest) = text.split_once("\r\n").unwrap();
        let path = line.split(' ').nth(1).unwrap();
        let fields: Vec<_> = rest.trim_end().split("\r\n").map(ToOwned::to_owned).collect();
        let host = fields.iter().find_map(|field| field.strip_prefix("host: ")).unwrap();
        let uri = format!("{scheme}://{host}{path}");
        let answer = {
            let mut record = record.lock().unwrap();
            let fails = path.contains(ONCE) && record.failed.insert(uri.clone());
            record.seen.push(Seen { uri, fields });
            if fails { "503 Service Unavailable".to_owned() } else { answer(path, places) }
        };
        let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// The first redirect that is written in the path, or 200.
fn answer(path: &str, places: &[String]) -> String {
    let steps: Vec<_> = path.split('/').filter(|step| step.contains('.')).collect();
    let Some((step, rest)) = steps.split_first() else { return "200 OK".to_owned() };
    let (status, place) = step.split_once('.').unwrap();
    let once = if path.contains(ONCE) { ONCE } else { "" };
    let mut location = format!("{}{once}", places[place.parse::<usize>().unwrap()]);
    rest.iter().for_each(|step| write!(location, "/{step}").unwrap());
    format!("{status} Elsewhere\r\nlocation: {location}")
}

//! How many token requests each crate spends where it should spend one, or none.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::http::policies::Policy;
use azure_core::http::{Context, Method, Request, StatusCode};
use benches::credential::{API, Ahead};
use benches::{Section, Table};
use gcp_auth::TokenProvider;
use http::Extensions;
use middle::Authorizer;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clients::{self, NEARLY_OVER, azure, reqsign, smithy};
use crate::issuer::Issuer;

const METHOD: &str = "Token requests that reached an issuer on loopback, each time from new. 100 callers at once, the issuer answers \
after 50 ms: with a token, with 503, with 429 (of those who have not ended after 10 s nobody knows the end). Leader dropped: the \
first caller goes after 10 ms, and another asks. Nearly over: the token is valid, inside the crate's own window for an early renewal, \
and the issuer is down; how many of 100 callers get a token. Outage: a caller every 20 ms for 3 s, without a token. `*`: the crate \
fetches when it is built, so building it again is its next caller. kube-client reads tokens from files and programs, and makes no \
token requests.";

const STORM: &str = "Each of 20 requests is answered with 401; or the runtime on which the client was built is gone, its token is \
over, and another runtime asks: `served` with a token request is a new token, and without one a token that is over. Crates that \
are not named have no answer to a 401 of their own.";

const CALLERS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(10);
const DELAY: Duration = Duration::from_millis(50);

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// Asks for a token; whether there was one.
type Ask = Arc<dyn Fn() -> BoxFuture<bool> + Send + Sync>;
/// Builds a client; `None` if it fetches then, and failed.
type Build = Box<dyn Fn(Arc<Issuer>) -> BoxFuture<Option<Ask>> + Send + Sync>;

struct Peer {
    name: &'static str,
    /// Whether it fetches when it is built.
    eager: bool,
    /// Only ours and huskarl ask it.
    clock: Ahead,
    build: Build,
}

impl Peer {
    fn new<B, A>(
        name: &'static str,
        eager: bool,
        build: impl Fn(Arc<Issuer>) -> B + Send + Sync + 'static,
    ) -> Self
    where
        B: Future<Output = Option<A>> + Send + 'static,
        A: Fn() -> BoxFuture<bool> + Send + Sync + 'static,
    {
        let build: Build = Box::new(move |issuer| {
            let client = build(issuer);
            Box::pin(async move { client.await.map(|ask| Arc::new(ask) as Ask) })
        });
        Self { name, eager, clock: Ahead::default(), build }
    }
}

/// All cases of all crates, one after the other.
pub async fn spent() -> Section {
    let mut section = Section::new("peers: token requests spent", METHOD);
    let mut table = Table::new([
        "crate",
        "cold, 200",
        "cold, 503",
        "cold, 429",
        "leader dropped",
        "nearly over, 503",
        "served",
        "outage of 3 s",
    ]);
    for peer in peers() {
        let nearly = nearly_over(&peer).await;
        table.row([
            format!("{}{}", peer.name, if peer.eager { " *" } else { "" }),
            burst(&peer, 200).await.to_string(),
            burst(&peer, 503).await.to_string(),
            burst(&peer, 429).await.to_string(),
            leader_dropped(&peer).await.to_string(),
            nearly.0.to_string(),
            nearly.1.to_string(),
            outage(&peer).await.to_string(),
        ]);
    }
    section.tables.push(table);
    section
}

async fn burst(peer: &Peer, status: u16) -> u64 {
    let issuer = Issuer::start().await;
    issuer.set(status, DELAY);
    if let Ok(Some(ask)) = timeout(PATIENCE, (peer.build)(issuer.clone())).await {
        all_at_once(&ask).await;
    }
    issuer.take_requests()
}

/// How many were served.
async fn all_at_once(ask: &Ask) -> usize {
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let ask = ask.clone();
        callers.spawn(async move { timeout(PATIENCE, ask()).await.unwrap_or(false) });
    }
    callers.join_all().await.into_iter().filter(|served| *served).count()
}

async fn leader_dropped(peer: &Peer) -> u64 {
    let issuer = Issuer::start().await;
    issuer.set(200, DELAY);
    let moment = Duration::from_millis(10);
    if peer.eager {
        // The one who builds it is the leader.
        let _ = timeout(moment, (peer.build)(issuer.clone())).await;
        let _ = timeout(PATIENCE, (peer.build)(issuer.clone())).await;
    } else if let Some(ask) = (peer.build)(issuer.clone()).await {
        let _ = timeout(moment, ask()).await;
        let _ = timeout(PATIENCE, ask()).await;
    }
    tokio::time::sleep(2 * DELAY).await;
    issuer.take_requests()
}

async fn nearly_over(peer: &Peer) -> (u64, usize) {
    let issuer = Issuer::start().await;
    if let Some((_, lifetime)) = NEARLY_OVER.iter().find(|(name, _)| peer.name.starts_with(name)) {
        issuer.set_lifetime(*lifetime);
    }
    let Some(ask) = (peer.build)(issuer.clone()).await else { return (0, 0) };
    ask().await;
    tokio::time::sleep(4 * DELAY).await;
    issuer.take_requests();
    issuer.set(503, DELAY);
    // Of those that ask it the clock is moved on into the window, which begins long after the token came.
    peer.clock.forward(issuer.lifetime() / 100 * 95);
    let served = all_at_once(&ask).await;
    tokio::time::sleep(4 * DELAY).await;
    (issuer.take_requests(), served)
}

async fn outage(peer: &Peer) -> u64 {
    let issuer = Issuer::start().await;
    issuer.set(503, Duration::from_millis(20));
    let ask = if peer.eager { None } else { (peer.build)(issuer.clone()).await };
    let mut callers = JoinSet::new();
    for _ in 0..150 {
        match &ask {
            Some(ask) => callers.spawn(ask()),
            None => {
                let build = (peer.build)(issuer.clone());
                callers.spawn(async move { build.await.is_some() })
            }
        };
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    issuer.take_requests()
}

/// A function that asks a client, which is cloned for each call.
macro_rules! ask {
    ($client:expr, |$cloned:ident| $served:expr) => {{
        let client = $client;
        Some(move || {
            let $cloned = client.clone();
            Box::pin(async move { $served }) as BoxFuture<bool>
        })
    }};
}

fn peers() -> Vec<Peer> {
    let clock = Ahead::default();
    let ahead = clock.clone();
    let ours = Peer::new("ours", false, move |issuer| {
        let authenticator = clients::ours(&issuer, ahead.clone());
        async { ask!(authenticator, |ours| ours.authorization().await.is_ok()) }
    });
    let ours = Peer { clock, ..ours };
    let clock = Ahead::default();
    let ahead = clock.clone();
    let huskarl = Peer::new("huskarl", false, move |issuer| {
        let authorizer = Arc::new(clients::huskarl::authorizer(&issuer, ahead.clone()));
        async {
            ask!(authorizer, |huskarl| {
                let uri = API.parse().expect("a URI");
                huskarl.get_headers(&http::Method::GET, &uri).await.is_ok()
            })
        }
    });
    let huskarl = Peer { clock, ..huskarl };
    vec![
        ours,
        Peer::new("google-cloud-auth", false, |issuer| async move {
            ask!(clients::google(&issuer), |google| google.headers(Extensions::new()).await.is_ok())
        }),
        Peer::new("azure_identity", false, |issuer| async move {
            ask!(azure::credential(&issuer), |azure| {
                azure.get_token(&azure::SCOPES, None).await.is_ok()
            })
        }),
        Peer::new("azure_core, policy", false, |issuer| async move {
            ask!(Arc::new(azure::policy(&issuer)), |policy| {
                through(&*policy, StatusCode::Ok).await
            })
        }),
        Peer::new("aws-smithy-runtime, lazy cache", false, |issuer| async move {
            ask!(Arc::new(smithy::Client::new(&issuer)), |smithy| smithy.token().await.is_ok())
        }),
        Peer::new("yup-oauth2", false, |issuer| async move {
            ask!(clients::yup(&issuer).await, |yup| yup.token(&["s"]).await.is_ok())
        }),
        Peer::new("gcp_auth", false, |issuer| async move {
            ask!(Arc::new(clients::gcp(&issuer)), |gcp| gcp.token(&["s"]).await.is_ok())
        }),
        Peer::new("object_store (azure)", false, |issuer| async move {
            ask!(clients::objects::provider(&issuer), |objects| {
                objects.get_credential().await.is_ok()
            })
        }),
        Peer::new("reqsign-core", false, |issuer| async move {
            ask!(Arc::new(reqsign::signer(&issuer)), |signer| {
                signer.sign(&mut reqsign::request(), None).await.is_ok()
            })
        }),
        Peer::new("middle", true, |issuer| async move {
            let middle = clients::middle(&issuer).await.ok()?;
            ask!(middle, |middle| middle.authorization_header().is_ok())
        }),
        Peer::new("aliri_tokens", true, |issuer| async move {
            use aliri_tokens::TokenStatus;
            let aliri = clients::aliri::watcher(&issuer).await.ok()?;
            ask!(aliri, |aliri| !matches!(aliri.token().token_status(), TokenStatus::Expired))
        }),
        huskarl,
        Peer::new("cf-gears-toolkit-auth", false, |issuer| async move {
            ask!(clients::gears::provider(&issuer), |gears| gears.get().await.is_ok())
        }),
    ]
}

/// Whether a request through the policy was sent, to an API that answers with this status.
async fn through(policy: &impl Policy, status: StatusCode) -> bool {
    let next: [Arc<dyn Policy>; 1] = [Arc::new(azure::Api(status))];
    let mut request = Request::new(API.parse().expect("a URL"), Method::Get);
    policy.send(&Context::new(), &mut request, &next).await.is_ok()
}

/// What 401s cost, and what is left of a client whose runtime is gone. Outside of any runtime.
pub fn storms() -> Section {
    let mut section = Section::new("peers: 401s, and a runtime that is gone", STORM);
    let mut table = Table::new(["case", "what came of it"]);
    let (server, clock) = (new_runtime(), Ahead::default());
    let issuer = server.block_on(Issuer::start());
    let ours = clients::ours(&issuer, clock.clone());
    server.block_on(async {
        ours.authorization().await.expect("a token");
        issuer.take_requests();
        for _ in 0..20 {
            let refused = ours.authorization().await.expect("a token").generation();
            // The API refuses whatever comes.
            let _ = ours.replacement(refused).await;
        }
    });
    let cost = |count| format!("{count} token requests for 20 answers of 401");
    table.row(["ours".to_owned(), cost(issuer.take_requests())]);
    server.block_on(async {
        let policy = azure::policy(&issuer);
        through(&policy, StatusCode::Ok).await;
        issuer.take_requests();
        for _ in 0..20 {
            through(&policy, StatusCode::Unauthorized).await;
        }
    });
    table.row(["azure_core, policy".to_owned(), cost(issuer.take_requests())]);

    let ours = clients::ours(&issuer, clock.clone());
    gone(async { ours.authorization().await.expect("a token") });
    clock.forward(2 * issuer.lifetime());
    issuer.take_requests();
    let outcome = afterwards(async { ours.authorization().await.is_ok() });
    let requests = issuer.take_requests();
    table.row(["ours, runtime gone".to_owned(), format!("{outcome}, {requests} token requests")]);

    // These ask the real clock, so their tokens are short.
    let life = Duration::from_secs(2);
    issuer.set_lifetime(life);
    issuer.set(200, Duration::ZERO);
    let google = gone(async {
        let google = clients::google(&issuer);
        google.headers(Extensions::new()).await.expect("a token");
        google
    });
    let middle = gone(async { clients::middle(&issuer).await.expect("a token") });
    let gears = gone(async {
        let gears = clients::gears::provider(&issuer);
        gears.get().await.expect("a token");
        gears
    });
    benches::clock::sleep(2 * life);
    issuer.take_requests();
    let came = |outcome: String| format!("{outcome}, {} token requests", issuer.take_requests());
    let outcome = afterwards(async { google.headers(Extensions::new()).await.is_ok() });
    table.row(["google-cloud-auth, runtime gone".to_owned(), came(outcome)]);
    let outcome = afterwards(async { middle.authorization_header().is_ok() });
    table.row(["middle, runtime gone".to_owned(), came(outcome)]);
    let outcome = afterwards(async { gears.get().await.is_ok() });
    table.row(["cf-gears-toolkit-auth, runtime gone".to_owned(), came(outcome)]);
    section.tables.push(table);
    section
}

fn new_runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a runtime")
}

/// Builds a client on a runtime that does not outlive this.
fn gone<T>(build: impl Future<Output = T>) -> T {
    new_runtime().block_on(build)
}

/// What a client says on another runtime.
fn afterwards(ask: impl Future<Output = bool>) -> String {
    let ask = std::panic::AssertUnwindSafe(ask);
    let asked = std::panic::catch_unwind(move || {
        new_runtime().block_on(async move { timeout(PATIENCE, { ask }.0).await })
    });
    match asked {
        Ok(Ok(true)) => "served",
        Ok(Ok(false)) => "an error",
        Ok(Err(_)) => "no answer within 10 s",
        Err(_) => "a panic",
    }
    .to_owned()
}

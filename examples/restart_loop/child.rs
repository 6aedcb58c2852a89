//! One of the processes: needs a token, and has the patience that a job would have.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use auth_core::{Authenticator, ClientAuth, ClientCredentials, Quota, Store};
use auth_tower::HyperTransport;

/// Tells a process that it is one of the many.
pub(crate) const ARGUMENT: &str = "one-of-many";

/// How long it waits for the next attempt that the error names.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run() -> ExitCode {
    match token().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn token() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(2).ok_or("the state directory is missing")?;
    let credentials =
        ClientCredentials::new(std::env::var("CLIENT_ID")?, std::env::var("CLIENT_SECRET")?)
            .token_endpoint(std::env::var("TOKEN_ENDPOINT")?)
            .audience(std::env::var("AUDIENCE")?)
            .client_auth(ClientAuth::PostJson);
    let authenticator = Authenticator::builder(credentials)
        .quota(Quota::per_day(10))
        .store(Store::file(directory)?)
        .transport(HyperTransport::plain())
        .insecure_loopback(true)
        .deadline(Duration::from_secs(1))
        .build()?;
    let mut patience = PATIENCE;
    loop {
        let error = match authenticator.authorization().await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let at = error.retry_at().ok_or_else(|| error.clone())?;
        let wait = at.duration_since(now()).unwrap_or_default() + Duration::from_millis(10);
        patience = patience.checked_sub(wait).ok_or(error)?;
        tokio::time::sleep(wait).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a program waits by the real clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

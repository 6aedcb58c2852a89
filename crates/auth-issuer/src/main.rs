//! The issuer as a program, for trying clients out by hand.

mod args;

use std::future::poll_fn;
use std::pin::pin;
use std::process::ExitCode;

use auth_issuer::{Issuer, IssuerBuilder};

use crate::args::{Command, HELP};

#[tokio::main]
async fn main() -> ExitCode {
    // Never what is below a warning: that may name what a request has sent.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .init();
    let result = match Command::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => {
            print!("{HELP}");
            Ok(())
        }
        Ok(Command::Serve(builder)) => serve(*builder).await,
        Err(message) => Err(message),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("auth-issuer: {message}");
            ExitCode::from(2)
        }
    }
}

async fn serve(builder: IssuerBuilder) -> Result<(), String> {
    let issuer =
        builder.start().await.map_err(|error| match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None if error.is_not_loopback() => {
                format!("{error} with --i-know-this-is-for-development")
            }
            None => error.to_string(),
        })?;
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    let mut is_told = false;
    // The first poll sets the handler up, before anybody is told of it.
    let interrupted = poll_fn(|cx| {
        let poll = interrupted.as_mut().poll(cx);
        if !is_told {
            print!("{}", greeting(&issuer));
            is_told = true;
        }
        poll
    });
    interrupted.await.map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?;
    let kept = issuer.shutdown().await;
    kept.map_err(|error| format!("keys and revocations could not be written down: {error}"))
}

/// All that a client needs.
fn greeting(issuer: &Issuer) -> String {
    let (url, endpoint) = (issuer.url(), issuer.token_endpoint());
    let (settings, admin_token) = (issuer.settings_url(), issuer.admin_token());
    let warning = match issuer.address().ip().is_loopback() {
        true => "",
        false => {
            "WARNING: this issuer is for development. Other machines can reach it here, and secrets and
tokens go over the network as they are. The settings page is for this machine alone (ssh -L).

"
        }
    };
    let (id, audience) = (issuer.client_id(), issuer.audience());
    let (secret, of_secret) = match (issuer.client_secret(), issuer.is_kept()) {
        ("", _) => (
            "SECRET",
            "(made in an earlier run, which told it once; the settings page can make another one)",
        ),
        (secret, true) => (secret, "(for development only; told this once, and kept as a hash)"),
        (secret, false) => (
            secret,
            "(made for this run, for development only: it opens nothing else, and is gone on exit)",
        ),
    };
    format!(
        "{warning}Issuer:         {url}
Token endpoint: {endpoint}
API:            {url}/v2/shipments
Audience:       {audience}
Settings:       {settings}
                (credentials and the API key, in a browser; whoever has this address has all of them)
Admin API:      {url}/admin
Admin token:    {admin_token}
Client id:      {id}
Client secret:  {secret}
                {of_secret}

A token:

  curl {endpoint} -H 'Content-Type: application/json' \\
    -d '{{\"client_id\":\"{id}\",\"client_secret\":\"{secret}\",\"audience\":\"{audience}\",\"grant_type\":\"client_credentials\"}}'

Ctrl-C stops it.
"
    )
}

//! The issuer as a program, for trying clients out by hand.

mod args;

use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::pin;
use std::process::ExitCode;
use std::task::Poll;

use auth_issuer::{Issuer, IssuerBuilder};

use crate::args::{Command, HELP};

#[tokio::main]
async fn main() -> ExitCode {
    // Never what is below a warning: that may name what a request has sent.
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(io::stderr).init();
    let result = match Command::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => tell(&mut io::stdout(), HELP),
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
            Some(source) if is_in_use(source) => {
                format!("{error}: {source}; --port names another one, and --port 0 a free one")
            }
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
        let poll = poll.map_err(|error| format!("cannot wait for Ctrl-C: {error}"));
        if !is_told {
            is_told = true;
            if let Err(message) = tell(&mut io::stdout(), &greeting(&issuer)) {
                return Poll::Ready(Err(message));
            }
        }
        poll
    });
    interrupted.await?;
    let kept = issuer.shutdown().await;
    kept.map_err(|error| format!("keys and revocations could not be written down: {error}"))
}

/// Whether somebody else listens there: often an earlier run in another window.
fn is_in_use(source: &(dyn std::error::Error + 'static)) -> bool {
    source.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// Writes `text`. A reader who left, as `head` does, has read what it wanted.
fn tell(out: &mut impl Write, text: &str) -> Result<(), String> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write: {error}"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// All that a client needs.
fn greeting(issuer: &Issuer) -> String {
    let (url, endpoint) = (issuer.url(), issuer.token_endpoint());
    let (settings, admin_token) = (issuer.settings_url(), issuer.admin_token());
    // The address that is let in: `url` may be a proxy's, or none to go to.
    let own = settings.split_once("/settings/").map_or(url, |(own, _)| own);
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
            "(for development only; made in an earlier run, which told it once; the settings page can make
                another one)",
        ),
        (secret, true) => (secret, "(for development only; told this once, and kept as a hash)"),
        (secret, false) => (
            secret,
            "(made for this run, for development only: it opens nothing else, and is gone on exit)",
        ),
    };
    let body = shell_quoted(&format!(
        r#"{{"client_id":{},"client_secret":{},"audience":{},"grant_type":"client_credentials"}}"#,
        json_quoted(id),
        json_quoted(secret),
        json_quoted(audience)
    ));
    format!(
        "{warning}Issuer:         {url}
Token endpoint: {endpoint}
API:            {url}/v2/shipments
Audience:       {audience}
Settings:       {settings}
                (credentials and the API key, in a browser; whoever has this address has all of them)
Admin API:      {own}/admin
Admin token:    {admin_token}
Client id:      {id}
Client secret:  {secret}
                {of_secret}

A token:

  curl {endpoint} -H 'Content-Type: application/json' \\
    -d {body}

Ctrl-C stops it.
"
    )
}

/// `text` as a string of JSON (RFC 8259 §7).
fn json_quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `text` as one word of a POSIX shell.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_has_left_is_no_error_and_a_full_disk_is() {
        assert_eq!(tell(&mut Broken(io::ErrorKind::BrokenPipe), "text"), Ok(()));
        assert!(tell(&mut Broken(io::ErrorKind::StorageFull), "text").is_err());
        let mut out = Vec::new();
        assert_eq!(tell(&mut out, "text"), Ok(()));
        assert_eq!(out, b"text");
    }
}

//! Two hundred short-lived processes, half of them killed, one budget.
//!
//! Starts an issuer that allows ten token requests a day, and 200 processes, eight at a time, that all need a token and share
//! one state directory. Every other one is sent SIGKILL at a random moment. Exits non-zero if the issuer saw more than ten
//! token requests, or if a process that was not killed failed although there was a valid token.
//!
//! `cargo run --example restart_loop`

mod child;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use auth_issuer::Issuer;
use tokio::process::Command;
use tokio::task::JoinSet;

const PROCESSES: usize = 200;
const AT_A_TIME: usize = 8;
const QUOTA: u32 = 10;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some(child::ARGUMENT) {
        return Ok(child::run().await);
    }
    let directory = tempfile::tempdir()?;
    let issuer = Issuer::builder().quota(QUOTA).start().await?;
    let (mut killed, mut failed_with_a_token) = (0, 0);
    let mut running = JoinSet::new();
    for number in 0..PROCESSES {
        if running.len() == AT_A_TIME
            && let Some(ended) = running.join_next().await
        {
            count(ended??, &mut killed, &mut failed_with_a_token);
        }
        let command = command(&issuer, directory.path())?;
        // A token that was given lives for 24 hours: from then on nobody has a reason to fail.
        let has_token = issuer.counters().issued > 0;
        let kill_after = (number % 2 == 1).then(random_moment);
        running.spawn(async move {
            process(command, kill_after).await.map(|status| (status, has_token))
        });
    }
    while let Some(ended) = running.join_next().await {
        count(ended??, &mut killed, &mut failed_with_a_token);
    }
    let requests = issuer.token_requests();
    if failed_with_a_token > 0 {
        eprintln!("{failed_with_a_token} processes failed although there was a valid token");
    }
    println!(
        "restart_loop: {PROCESSES} processes, {killed} killed, {requests} token requests, {QUOTA} allowed"
    );
    let held = (1..=u64::from(QUOTA)).contains(&requests) && failed_with_a_token == 0;
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn count(
    (status, has_token): (ExitStatus, bool),
    killed: &mut usize,
    failed_with_a_token: &mut usize,
) {
    if status.signal() == Some(9) {
        *killed += 1;
    } else if !status.success() && has_token {
        *failed_with_a_token += 1;
    }
}

fn command(issuer: &Issuer, directory: &Path) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    // The secret goes by the environment: an argument list is for everybody to read.
    command
        .arg(child::ARGUMENT)
        .arg(directory)
        .env("TOKEN_ENDPOINT", issuer.token_endpoint())
        .env("AUDIENCE", issuer.audience())
        .env("CLIENT_ID", issuer.client_id())
        .env("CLIENT_SECRET", issuer.client_secret())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}

async fn process(
    mut command: Command,
    kill_after: Option<Duration>,
) -> std::io::Result<ExitStatus> {
    let mut child = command.spawn()?;
    if let Some(moment) = kill_after
        && tokio::time::timeout(moment, child.wait()).await.is_err()
    {
        child.start_kill()?;
    }
    child.wait().await
}

/// Within the time that such a process lives.
fn random_moment() -> Duration {
    let mut byte = [0];
    getrandom::fill(&mut byte).expect("the operating system gives randomness");
    Duration::from_micros(u64::from(byte[0]) * 150)
}

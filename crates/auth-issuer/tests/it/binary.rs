//! The program.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_auth-issuer");

/// Killed when the test ends, whichever way.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(arguments: &[&(impl AsRef<OsStr> + ?Sized)]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

/// A program that serves, and what it has printed until then.
fn serving(arguments: &[&str]) -> (Running, String) {
    let mut command = Command::new(PROGRAM);
    let mut running = Running(command.args(arguments).stdout(Stdio::piped()).spawn().unwrap());
    let output = wait_until_it_serves(&mut running.0);
    (running, output)
}

/// What it has printed until then.
fn wait_until_it_serves(child: &mut Child) -> String {
    let mut output = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        output.push_str(&line);
        output.push('\n');
        if line.starts_with("Ctrl-C") {
            break;
        }
    }
    output
}

fn value(output: &str, name: &str) -> String {
    let line = output.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_once(':').unwrap().1.trim().to_owned()
}

#[cfg(unix)]
#[test]
fn it_prints_what_a_client_needs_and_serves_until_it_is_interrupted() {
    let arguments = ["--port", "0", "--client-id", "app", "--quota", "3", "--lifetime", "1h"];
    let (mut running, output) = serving(&arguments);
    let value = |name: &str| value(&output, name);
    assert_eq!(value("Client id"), "app");
    assert!(value("Client secret").len() >= 32);
    assert!(value("Token endpoint").starts_with("http://127.0.0.1:"));
    assert!(value("Settings").starts_with(&format!("{}/settings/api/", value("Issuer"))));
    assert!(!value("Settings").contains(&value("Admin token")));
    assert!(output.contains("for development only"));
    assert!(output.contains(&format!("curl {}", value("Token endpoint"))));
    let address = value("Issuer").trim_start_matches("http://").to_owned();
    std::net::TcpStream::connect(address).unwrap();

    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert!(running.0.wait().unwrap().success());
}

#[test]
fn a_directory_keeps_the_secret_that_was_told_once_even_if_the_program_is_killed() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().to_str().unwrap();
    let arguments = ["--port", "0", "--client-id", "app", "--directory", directory];
    let (running, output) = serving(&arguments);
    assert!(value(&output, "Client secret").len() >= 32);
    assert!(output.contains("told this once"));
    // Killed.
    drop(running);
    let (_running, output) = serving(&arguments);
    assert_eq!(value(&output, "Client secret"), "SECRET");
    assert!(output.contains("made in an earlier run") && output.contains("for development only"));
}

#[test]
fn an_address_that_others_can_reach_comes_with_a_warning_and_no_page_for_them() {
    let flag = "--i-know-this-is-for-development";
    let (_running, output) = serving(&["--port", "0", "--bind", "0.0.0.0", flag]);
    assert!(output.starts_with("WARNING: this issuer is for development."), "{output}");
    for own in ["Settings", "Admin API"] {
        assert!(value(&output, own).starts_with("http://127.0.0.1:"), "{output}");
    }
    let known = ["--port", "0", "--url", "https://issuer.test"];
    let (_running, output) = serving(&known);
    assert_eq!(value(&output, "Issuer"), "https://issuer.test");
    assert!(value(&output, "Admin API").starts_with("http://127.0.0.1:"), "{output}");
    let (_running, output) = serving(&["--port", "0"]);
    assert!(!output.contains("WARNING"));
}

#[test]
fn it_refuses_an_address_that_others_can_reach() {
    let output = run(&["--port", "0", "--bind", "0.0.0.0"]);
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("--i-know-this-is-for-development"), "{message}");
}

#[cfg(unix)]
#[test]
fn what_goes_wrong_is_logged_and_a_state_that_could_not_be_kept_is_a_failure() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().to_str().unwrap();
    let arguments = ["--port", "0", "--directory", directory];
    let mut command = Command::new(PROGRAM);
    let child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running(child.spawn().unwrap());
    wait_until_it_serves(&mut running.0);
    std::fs::create_dir(scratch.path().join("state.json.new")).unwrap();
    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let mut told = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(running.0.wait().unwrap().code(), Some(2));
    assert!(told.contains("ERROR auth_issuer::state"), "{told}");
    assert!(told.contains("auth-issuer: keys and revocations could not be written down"), "{told}");
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_no_text_is_a_mistake_and_no_panic() {
    use std::os::unix::ffi::OsStrExt as _;
    let output = run(&[OsStr::new("--client-id"), OsStr::from_bytes(b"caf\xe9")]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("auth-issuer: ") && message.contains("Unicode"), "{message}");
}

#[test]
fn it_tells_mistakes_and_helps() {
    let output = run(&["--quota", "many"]);
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("--quota needs a number"));
    let output = run(&["--port", "0", "--url", "http://issuer/path"]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("must not have a path"), "{message}");
    let output = run(&["--help"]);
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("--quota-lag"));
}

#[cfg(unix)]
#[test]
fn the_printed_command_works_in_a_shell_whatever_the_id_is() {
    let (_running, output) = serving(&["--port", "0", "--client-id", r#"a"b'c \d"#]);
    let (_, command) = output.split_once("    -d ").unwrap();
    let (body, _) = command.split_once("\n\n").unwrap();
    let echo = format!("printf %s {body}");
    let printed = Command::new("sh").args(["-c", &echo]).output().unwrap();
    assert!(printed.status.success());
    let body: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(body["client_id"], r#"a"b'c \d"#);
    assert_eq!(body["client_secret"], value(&output, "Client secret"));
    assert_eq!(body["audience"], value(&output, "Issuer"));
}

#[test]
fn a_reader_who_leaves_makes_no_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(PROGRAM).arg("--help").stdout(writer).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty());
}

#[test]
fn a_port_that_is_taken_comes_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(&["--port", &port]);
    assert!(!output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains(&port) && message.contains("--port 0"), "{message}");
}

#[tokio::test]
async fn the_tokens_of_the_programs_own_client_say_what_they_open() {
    let (_running, output) = serving(&["--port", "0"]);
    let body = serde_json::json!({
        "client_id": value(&output, "Client id"),
        "client_secret": value(&output, "Client secret"),
        "audience": value(&output, "Audience"),
        "grant_type": "client_credentials",
    });
    let address = value(&output, "Issuer").trim_start_matches("http://").parse().unwrap();
    let call = crate::http::Call::token("application/json", body.to_string());
    let answer = call.send_to(address).await.unwrap().json();
    let all = auth_issuer::Resource::ALL.map(auth_issuer::Resource::name).join(" ");
    assert_eq!(answer["scope"], all);
}

//! The program.

use std::io::{BufRead, BufReader};
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

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

#[cfg(unix)]
#[test]
fn it_prints_what_a_client_needs_and_serves_until_it_is_interrupted() {
    let mut command = Command::new(PROGRAM);
    command.args(["--port", "0", "--client-id", "app", "--quota", "3", "--lifetime", "1h"]);
    let mut running = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut output = String::new();
    for line in BufReader::new(running.0.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        output.push_str(&line);
        output.push('\n');
        if line.starts_with("Ctrl-C") {
            break;
        }
    }
    let value = |name: &str| {
        let line = output.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_once(':').unwrap().1.trim().to_owned()
    };
    assert_eq!(value("Client id"), "app");
    assert!(value("Client secret").len() >= 32);
    assert!(value("Token endpoint").starts_with("http://127.0.0.1:"));
    assert!(output.contains("for development only"));
    assert!(output.contains(&format!("curl {}", value("Token endpoint"))));
    let address = value("Issuer").trim_start_matches("http://").to_owned();
    std::net::TcpStream::connect(address).unwrap();

    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert!(running.0.wait().unwrap().success());
}

#[test]
fn it_refuses_an_address_that_others_can_reach() {
    let output = run(&["--port", "0", "--bind", "0.0.0.0"]);
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("--i-know-this-is-for-development"), "{message}");
}

#[test]
fn it_tells_mistakes_and_helps() {
    let output = run(&["--quota", "many"]);
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("--quota needs a number"));
    let output = run(&["--help"]);
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("--quota-window"));
}

//! Where a client secret lives: in the program, in the environment, in a file, or behind a command.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::secret::ClientSecret;

/// No secret is longer.
const LONGEST: u64 = 64 * 1024;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a client secret is read from, when the authenticator is built and again when it may have been rotated.
///
/// | source | read again |
/// |---|---|
/// | a literal | never |
/// | [`file`](Self::file) | before each token request |
/// | [`env`](Self::env), [`command`](Self::command) | once when the issuer answers `invalid_client`, and by [`Authenticator::renew`](crate::Authenticator::renew) |
///
/// All of them are read again on `invalid_client` and on any other 401 (RFC 6749 §5.2). A secret that differs then is a new attempt, which costs
/// a token request of its own; the same secret is not sent twice. A source that fails, or has something that cannot be a secret,
/// leaves the secret at hand in use, with a warning.
///
/// ```
/// use auth_core::{ClientCredentials, SecretSource};
///
/// let credentials = ClientCredentials::new("client-id", SecretSource::file("/run/secrets/api"));
/// let credentials = ClientCredentials::new("client-id", SecretSource::env("API_SECRET"));
/// let credentials = ClientCredentials::new(
///     "client-id",
///     SecretSource::command("vault", ["read", "-field=secret", "kv/api"]),
/// );
/// ```
#[derive(Clone)]
pub struct SecretSource(Kind);

#[derive(Clone)]
enum Kind {
    Literal(ClientSecret),
    Env(OsString),
    File(PathBuf),
    Command(OsString, Vec<OsString>),
}

impl SecretSource {
    /// The value of an environment variable.
    pub fn env(name: impl Into<OsString>) -> Self {
        Self(Kind::Env(name.into()))
    }

    /// The contents of a file of at most 64 KiB, without the line break at its end. Replacing the file by a rename, as
    /// Kubernetes does, is seen like any other change.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::File(path.into()))
    }

    /// What a program prints on its standard output, without the line break at its end. It is run without a shell, has 5 s
    /// and no input, and must exit with 0. What it prints on its standard error is dropped.
    pub fn command<A: Into<OsString>>(
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self(Kind::Command(program.into(), arguments))
    }

    /// Whether it never changes.
    pub(crate) fn is_literal(&self) -> bool {
        matches!(self.0, Kind::Literal(_))
    }

    /// Whether a look costs next to nothing.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.0, Kind::File(_))
    }

    /// Reads it; blocks. The error says what failed and where, and shows nothing that was read.
    pub(crate) fn read(&self) -> Result<ClientSecret, String> {
        let text = match &self.0 {
            Kind::Literal(secret) => return Ok(secret.clone()),
            Kind::Env(name) => {
                let value = std::env::var_os(name);
                let missing = || format!("the environment variable {} is not set", name.display());
                Zeroizing::new(value.ok_or_else(missing)?.into_encoded_bytes())
            }
            Kind::File(path) => {
                let fail = |error: io::Error| format!("{} cannot be read: {error}", path.display());
                let mut file = File::open(path).map_err(fail)?;
                read_to_end(&mut file).map_err(fail)?
            }
            Kind::Command(program, arguments) => run(program, arguments)
                .map_err(|problem| format!("the command {}: {problem}", program.display()))?,
        };
        if text.len() as u64 > LONGEST {
            return Err(format!("{self:?} has more than 64 KiB, which is no secret"));
        }
        let Ok(text) = std::str::from_utf8(&text) else {
            return Err(format!("{self:?} has something that is not UTF-8"));
        };
        let line = text.strip_suffix('\n').unwrap_or(text);
        Ok(ClientSecret::new(line.strip_suffix('\r').unwrap_or(line)))
    }
}

/// One byte more than is allowed, so that the excess shows. The room is there from the start: a buffer that grows leaves
/// copies behind.
fn read_to_end(from: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let room = usize::try_from(LONGEST + 64).expect("it is small");
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    from.take(LONGEST + 1).read_to_end(&mut text)?;
    Ok(text)
}

fn run(program: &OsString, arguments: &[OsString]) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
    let mut stdout = child.stdout.take().expect("it is piped");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody listens any more when it took too long.
        let _ = sender.send(read_to_end(&mut stdout));
    });
    let Ok(text) = receiver.recv_timeout(PATIENCE) else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("it said nothing to its end within {} s", PATIENCE.as_secs()));
    };
    let status = child.wait().map_err(|error| format!("it cannot be waited for: {error}"))?;
    if !status.success() {
        return Err(format!("it failed ({status})"));
    }
    text.map_err(|error| format!("its output cannot be read: {error}"))
}

impl From<ClientSecret> for SecretSource {
    fn from(secret: ClientSecret) -> Self {
        Self(Kind::Literal(secret))
    }
}

impl From<String> for SecretSource {
    fn from(secret: String) -> Self {
        ClientSecret::from(secret).into()
    }
}

impl From<&str> for SecretSource {
    fn from(secret: &str) -> Self {
        ClientSecret::from(secret).into()
    }
}

/// Says where, and never what. The arguments of a command are not shown, since they may be secrets.
impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Literal(_) => f.write_str("ClientSecret(..)"),
            Kind::Env(name) => write!(f, "the environment variable {}", name.display()),
            Kind::File(path) => write!(f, "the file {}", path.display()),
            Kind::Command(program, _) => write!(f, "the command {}", program.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_line_break_at_its_end_or_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let source = SecretSource::file(&path);
        let missing = source.read().unwrap_err();
        assert!(missing.contains("secret cannot be read"), "{missing}");
        for (text, secret) in
            [("a\n", "a"), ("a\r\n", "a"), ("a", "a"), ("a\n\n", "a\n"), (" a ", " a "), ("", "")]
        {
            std::fs::write(&path, text).unwrap();
            assert_eq!(source.read().unwrap().expose(), secret, "{text:?}");
        }
        std::fs::write(&path, [0xff]).unwrap();
        assert!(source.read().unwrap_err().contains("UTF-8"));
        std::fs::write(&path, vec![b'a'; 65 * 1024]).unwrap();
        assert!(source.read().unwrap_err().contains("64 KiB"));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let source = SecretSource::env("AUTH_CORE_NO_SUCH_VARIABLE");
        let problem = source.read().unwrap_err();
        assert_eq!(problem, "the environment variable AUTH_CORE_NO_SUCH_VARIABLE is not set");
        // One that every system has.
        assert!(!SecretSource::env("PATH").read().unwrap().expose().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn a_command_prints_the_secret_and_must_succeed() {
        let of = |script: &str| SecretSource::command("sh", ["-c", script]);
        assert_eq!(of("echo s3cr3t").read().unwrap().expose(), "s3cr3t");
        let failed = of("echo canary; echo canary >&2; exit 3").read().unwrap_err();
        assert!(failed.contains("the command sh: it failed (exit status: 3)"), "{failed}");
        assert!(!failed.contains("canary"));
        let absent = SecretSource::command("/no/such/program", ["canary"]);
        assert!(absent.read().unwrap_err().contains("cannot be started"));
        assert!(!format!("{absent:?}").contains("canary"));
    }
}

//! chromedriver as a child process: it starts and steers Chromium.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// How long a start may take, on a busy machine too.
const START: Duration = Duration::from_secs(60);

/// How long Chromium may take to end.
const END: Duration = Duration::from_secs(10);

/// Where the two programs are.
pub(crate) struct Programs {
    pub(crate) chromium: PathBuf,
    chromedriver: PathBuf,
}

impl Programs {
    /// Looks for them on the path; `None` if one is missing.
    pub(crate) fn find() -> Option<Self> {
        Some(Self { chromium: on_path("chromium")?, chromedriver: on_path("chromedriver")? })
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A running chromedriver. Dropping it ends its session, and kills it.
pub(crate) struct Driver {
    // Killed when it is dropped.
    _child: Child,
    port: u16,
    /// The one session, once there is one.
    pub(crate) session: Option<String>,
}

impl Driver {
    /// Starts it on a free port of its own choice, which it prints. Whatever it and Chromium leave is left in `folder`.
    pub(crate) async fn start(programs: &Programs, folder: &Path) -> Result<Self> {
        let mut child = Command::new(&programs.chromedriver)
            .arg("--port=0")
            .env("TMPDIR", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("chromedriver does not start")?;
        let stdout = child.stdout.take().context("stdout is a pipe")?;
        let mut lines = BufReader::new(stdout).lines();
        let port =
            timeout(START, port(&mut lines)).await.context("chromedriver names no port")??;
        // A full pipe would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { _child: child, port, session: None })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends the session, and waits until Chromium has ended: without the runtime, which a panic has left behind.
    fn end(&self, session: &str) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(END))?;
        write!(
            stream,
            "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
            self.port
        )?;
        stream.read(&mut [0; 1024]).map(drop)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // If that fails, Chromium ends when its pipe to the driver breaks.
        let _ = self.session.take().map(|session| self.end(&session));
    }
}

async fn port(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<u16> {
    while let Some(line) = lines.next_line().await? {
        // "ChromeDriver was started successfully on port 40607."
        if let Some((_, port)) = line.split_once("successfully on port ") {
            return port.trim_end_matches('.').parse().context("chromedriver's port");
        }
    }
    anyhow::bail!("chromedriver ended before it was ready")
}

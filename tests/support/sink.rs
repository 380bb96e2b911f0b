//! A real mail server (Python's aiosmtpd, `tests/peers/smtp.py`) on loopback, with a certificate of its own authority.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{free_port, peer_module, program::Program, wait_for};

/// How the way to it becomes private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkTls {
    /// It does not.
    None,
    /// By STARTTLS.
    StartTls,
    /// From the first byte.
    Implicit,
}

/// A mail server; it ends when it is dropped.
pub struct Sink {
    /// Its port.
    pub port: u16,
    folder: PathBuf,
    options: Vec<String>,
    program: Option<Program>,
}

impl Sink {
    /// A server that does not run yet. `login` is `(user, password, the only mechanism or "")`.
    pub fn new(folder: &Path, tls: SinkTls, login: Option<(&str, &str, &str)>) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let port = free_port();
        let mut options = Vec::new();
        let mut add = |words: &[&str]| options.extend(words.iter().map(|word| (*word).to_owned()));
        if tls != SinkTls::None {
            let made = Command::new("bash").arg(script("https.sh")).arg(folder).args(["30", "1"]).output();
            let made = made.expect("bash runs");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            let word = if tls == SinkTls::StartTls { "starttls" } else { "implicit" };
            let file = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
            add(&["--tls", word, "--cert", &file("cert.pem"), "--key", &file("key.pem")]);
        }
        if let Some((user, password, only)) = login {
            add(&["--auth", &format!("{user}:{password}")]);
            if !only.is_empty() {
                add(&["--only", only]);
            }
        }
        Self { port, folder: folder.to_owned(), options, program: None }
    }

    /// Starts it and waits until it answers.
    pub fn serve(&mut self) {
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script("smtp.py")).arg(&self.folder).arg(self.port.to_string()).args(&self.options);
        command.env("PYTHONPATH", peer_module("aiosmtpd")).stdin(Stdio::null());
        self.program = Some(Program::start("smtp.py", &mut command, &self.folder.join("smtp.log")));
        wait_for("the mail server listens", Duration::from_secs(20), || {
            let program = self.program.as_mut().expect("it was started");
            assert!(program.ended().is_none(), "the mail server ended:\n{}", program.log_text());
            std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
    }

    /// Ends it.
    pub fn kill(&mut self) {
        self.program = None;
    }

    /// How it behaves from the next message on; see the script.
    pub fn behaves(&self, how: &str) {
        let new = self.folder.join("behave.new");
        std::fs::write(&new, how).and_then(|()| std::fs::rename(&new, self.folder.join("behave"))).expect("behave");
    }

    /// The authority that signed its certificate.
    pub fn root(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// What it kept, in order.
    pub fn mails(&self) -> Vec<Value> {
        self.lines("mails.jsonl")
    }

    /// Each content that came, and what was answered.
    pub fn tried(&self) -> Vec<Value> {
        self.lines("tried.jsonl")
    }

    /// Each log-in.
    pub fn logins(&self) -> Vec<Value> {
        self.lines("logins.jsonl")
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        // A line that is being written is read the next time.
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}

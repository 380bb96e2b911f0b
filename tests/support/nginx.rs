//! A real nginx that serves TLS with certificates of a test CA of its own (`tests/peers/https.sh`).

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    peer,
    program::{self, Program},
    wait_for,
};

/// nginx. One process: it ends with its handle, however the test ends.
pub struct Nginx {
    work: tempfile::TempDir,
    port: u16,
    program: Option<Program>,
}

/// Who signs a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// The authority of the test.
    Authority,
    /// Its own key, as devices do it.
    Itself,
}

impl Nginx {
    /// One that does not run yet.
    pub fn at(port: u16) -> Self {
        Self { work: tempfile::TempDir::new().expect("a folder"), port, program: None }
    }

    /// From here on `/private` is for this user alone.
    pub fn user(&self, name: &str, password: &str) {
        program::write(&self.work.path().join("htpasswd"), &format!("{name}:{{PLAIN}}{password}\n"));
    }

    /// Where its certificate is.
    pub fn certificate(&self) -> PathBuf {
        self.work.path().join("cert.pem")
    }

    /// Serves with a new key and a certificate that ends in so many days, in place of the one before.
    pub fn certify(&mut self, days: i32, signer: Signer) {
        drop(self.program.take());
        certify(self.work.path(), days, self.port, signer);
        let mut command = Command::new(peer("nginx"));
        command.args(["-e", "stderr", "-p"]).arg(self.work.path()).arg("-c").arg(self.work.path().join("nginx.conf"));
        let mut program = Program::start("nginx", &mut command, &self.work.path().join("log"));
        wait_for("nginx listens", Duration::from_secs(10), || {
            assert!(program.ended().is_none(), "nginx ended: {}", program.log_text());
            std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
        self.program = Some(program);
    }
}

fn certify(work: &Path, days: i32, port: u16, signer: Signer) {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers/https.sh");
    let openssl = peer("openssl");
    let path = std::env::join_paths(
        openssl
            .parent()
            .map(Path::to_owned)
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let mut command = Command::new("bash");
    command.arg(script).arg(work).arg(days.to_string()).arg(port.to_string()).env("PATH", path.expect("a PATH"));
    if signer == Signer::Itself {
        command.arg("self");
    }
    let (code, out, err) = program::run(&mut command);
    assert_eq!(code, Some(0), "{out}{err}\n{}", std::fs::read_to_string(work.join("openssl.log")).unwrap_or_default());
}

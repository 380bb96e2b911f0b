//! `net.http` and a real nginx whose certificates are made by openssl (`tests/peers/https.sh`).

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use upheld_tests::{Program, free_port, peer, program, wait_for};

use super::{check_now, look, site};

#[test]
fn a_servers_certificate_is_judged_by_its_days_and_a_renewed_one_is_seen() {
    let port = free_port();
    let url = |path: &str| format!("kind = \"net.http\", url = \"https://127.0.0.1:{port}{path}\"");
    let checks = [
        format!("name = \"page\", {}", url("/health")),
        format!("name = \"patient\", {}, tls_bad = \"3d\"", url("/health")),
        format!("name = \"broken\", {}", url("/500")),
    ];
    let (_collector, agent) = site(&checks, &format!("loopback_ports = [{port}]\n"));
    let mut server = Nginx { work: tempfile::TempDir::new().expect("a folder"), port, program: None };

    for (days, page, patient, words) in [
        (90, "ok", "ok", ""),
        (5, "bad", "warn", "the certificate expires in 5.0 days"),
        (-1, "bad", "bad", "the certificate expired 1.0 days ago"),
        (90, "ok", "ok", ""),
    ] {
        server.certify(days);
        let seen = look(&mut check_now(&agent));
        let [first, second, third] = &seen[..] else { panic!("three checks: {seen:?}") };
        println!("{days} days: {} {:?}, {}, {} {:?}", first.is, first.evidence, second.is, third.is, third.evidence);
        assert_eq!((first.name.as_str(), first.is.as_str()), ("page", page), "{days} days: {first:?}");
        assert_eq!((second.name.as_str(), second.is.as_str()), ("patient", patient), "{days} days: {second:?}");
        assert!(first.evidence.contains(words), "{words} is not in {first:?}");
        assert_eq!((third.is.as_str(), &third.values["status"]), ("bad", &500.0.into()), "{third:?}");
    }
}

/// nginx with a test CA of its own. One process: it ends with its handle, however the test ends.
struct Nginx {
    work: tempfile::TempDir,
    port: u16,
    program: Option<Program>,
}

impl Nginx {
    /// Serves with a certificate that ends in so many days, in place of the one before.
    fn certify(&mut self, days: i32) {
        drop(self.program.take());
        certify(self.work.path(), days, self.port);
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

fn certify(work: &Path, days: i32, port: u16) {
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
    let (code, out, err) = program::run(&mut command);
    assert_eq!(code, Some(0), "{out}{err}\n{}", std::fs::read_to_string(work.join("openssl.log")).unwrap_or_default());
}

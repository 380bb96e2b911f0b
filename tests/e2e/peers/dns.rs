//! `net.dns` and a real resolver (dnsmasq) that knows the names of a file and no other.

use std::{net::UdpSocket, path::Path, process::Command, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use upheld_tests::{Program, free_port, peer, wait_for};

use super::{check_now, look, site};

#[test]
fn names_at_a_resolver_are_seen_as_they_change_and_a_dead_resolver_is_bad() {
    let port = free_port();
    let ask = |name: &str, more: &str| {
        format!("name = \"{name}\", kind = \"net.dns\", target = \"127.0.0.1\", port = {port}, {more}")
    };
    let checks = [
        ask("nvr", "look_up = \"nvr.site.test\", expect = \"10.0.0.5\""),
        ask("six", "look_up = \"nvr.site.test\", contains = [\"fd00::5\"]"),
        ask("many", "look_up = \"many.site.test\", contains = \"10.1.1.99\""),
        ask("none", "look_up = \"nobody.site.test\""),
    ];
    let (_collector, agent) = site(&checks, &format!("loopback_ports = [{port}]\n"));
    let resolver = Dnsmasq::start(port);
    let seen = |outcomes: [&str; 4], words: [&str; 4]| {
        let seen = look(&mut check_now(&agent));
        for ((seen, outcome), words) in seen.iter().zip(outcomes).zip(words) {
            println!("{}: {} {:?} {}", seen.name, seen.is, seen.evidence, seen.values);
            assert_eq!(seen.is, outcome, "{seen:?}");
            assert!(seen.evidence.contains(words), "{words} is not in {seen:?}");
        }
        seen
    };

    let nobody = "127.0.0.1 says that nobody.site.test does not exist (NXDOMAIN)";
    let first = seen(["ok", "ok", "ok", "bad"], ["", "", "", nobody]);
    assert_eq!((&first[0].values["answer"], &first[0].values["via"]), (&"10.0.0.5".into(), &"udp".into()));
    assert_eq!((&first[2].values["addresses"], &first[2].values["via"]), (&100.0.into(), &"tcp".into()));

    resolver.knows("10.0.0.66 nvr.site.test\n");
    let moved = "nvr.site.test is 10.0.0.66 at 127.0.0.1: expected 10.0.0.5";
    let no_aaaa = "knows nvr.site.test, but no AAAA record of it";
    seen(["bad", "bad", "bad", "bad"], [moved, no_aaaa, "many.site.test does not exist", nobody]);

    signal(&resolver.program, Signal::STOP);
    seen(["bad"; 4], ["no answer from port"; 4]);
    signal(&resolver.program, Signal::CONT);
    drop(resolver);
    seen(["bad"; 4], ["Connection refused"; 4]);
}

/// A dnsmasq without an upstream: it knows the names of its file. Ends with its handle.
struct Dnsmasq {
    work: tempfile::TempDir,
    port: u16,
    program: Program,
}

impl Dnsmasq {
    /// Knows `nvr.site.test` with one address of each kind, and `many.site.test` with a hundred.
    fn start(port: u16) -> Self {
        let work = tempfile::TempDir::new().expect("a folder");
        let many: String = (0..100).map(|n| format!("10.1.1.{n} many.site.test\n")).collect();
        write_hosts(work.path(), &format!("10.0.0.5 nvr.site.test\nfd00::5 nvr.site.test\n{many}"));
        let mut command = Command::new(peer("dnsmasq"));
        command
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--local=/#/"])
            .args(["--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file=", "--log-facility=-"])
            .arg(format!("--port={port}"))
            .arg(format!("--addn-hosts={}", work.path().join("hosts").display()));
        let program = Program::start("dnsmasq", &mut command, &work.path().join("log"));
        let resolver = Self { work, port, program };
        resolver.wait_for("nvr.site.test", "10.0.0.5");
        resolver
    }

    /// Knows the names of this text from now on, and no others.
    fn knows(&self, hosts: &str) {
        write_hosts(self.work.path(), hosts);
        signal(&self.program, Signal::HUP);
        let (address, name) = hosts.trim().split_once(' ').expect("an address and a name");
        self.wait_for(name, address);
    }

    /// Waits until it says so itself, asked by hand.
    fn wait_for(&self, name: &str, address: &str) {
        let labels = name.split('.').flat_map(|label| [&[label.len() as u8][..], label.as_bytes()].concat());
        let question: Vec<u8> =
            b"\0\x07\x01\0\0\x01\0\0\0\0\0\0".iter().copied().chain(labels).chain(*b"\0\0\x01\0\x01").collect();
        let wanted = address.parse::<std::net::Ipv4Addr>().expect("an address").octets();
        wait_for(&format!("dnsmasq says {name} is {address}"), Duration::from_secs(15), || {
            let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
            socket.connect(("127.0.0.1", self.port)).ok()?;
            socket.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
            socket.send(&question).ok()?;
            let mut answer = [0; 512];
            let length = socket.recv(&mut answer).ok()?;
            answer[..length].ends_with(&wanted).then_some(())
        });
    }
}

/// dnsmasq reads as another user once it has begun.
fn write_hosts(folder: &Path, hosts: &str) {
    use std::os::unix::fs::PermissionsExt;
    let place = folder.join("hosts");
    std::fs::write(&place, hosts).expect("the file of names");
    for (path, mode) in [(folder, 0o755), (&place, 0o644)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("readable by all");
    }
}

fn signal(program: &Program, signal: Signal) {
    let pid = i32::try_from(program.pid()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("sending a signal");
}

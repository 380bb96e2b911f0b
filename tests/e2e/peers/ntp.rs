//! `net.ntp` and a real chrony whose own clock libfaketime shifts: this machine's is never touched.

use std::{net::UdpSocket, process::Command, time::Duration};

use upheld_tests::{Program, free_port, peer, peers::peer_library, wait_for};

use super::{check_now, look, site};

#[test]
fn this_hosts_clock_is_held_against_a_time_server_in_the_right_direction() {
    let port = free_port();
    let check = format!("name = \"clock\", kind = \"net.ntp\", target = \"127.0.0.1\", port = {port}");
    let (_collector, agent) = site(&[check], &format!("loopback_ports = [{port}]\n"));
    for (shift, outcome, words) in [
        ("+0", "ok", ""),
        ("+3", "warn", "this host's clock is 3.0 s behind 127.0.0.1 (stratum 3)"),
        ("-300", "bad", "this host's clock is 5.0 min ahead of 127.0.0.1 (stratum 3)"),
    ] {
        let _server = Chrony::start(port, shift, "local stratum 3");
        let seen = look(&mut check_now(&agent)).remove(0);
        println!("{shift} s: {} {:?} {}", seen.is, seen.evidence, seen.values);
        assert_eq!(seen.is, outcome, "{seen:?}");
        assert!(seen.evidence.contains(words), "{words} is not in {seen:?}");
        let (offset, meant) = (seen.values["offset_ms"].as_f64().unwrap(), shift.parse::<f64>().unwrap() * 1e3);
        assert!((offset - meant).abs() < 500.0, "{seen:?}");
    }
    // Without a source of its own it says that it has no time.
    let server = Chrony::start(port, "+300", "");
    let seen = look(&mut check_now(&agent)).remove(0);
    assert_eq!((seen.is.as_str(), seen.reason.as_deref()), ("unknown", Some("stale")), "{seen:?}");
    assert!(seen.evidence.contains("it is not synchronised"), "{seen:?}");
    drop(server);
    let seen = look(&mut check_now(&agent)).remove(0);
    assert_eq!(seen.is, "unknown", "a silent server says nothing about this clock: {seen:?}");
    println!("no server: {:?}", seen.evidence);
    assert!(seen.evidence.contains("nothing is known of this host's clock"), "{seen:?}");
}

/// A chronyd that serves its own time. Ends with its handle.
struct Chrony {
    _program: Program,
    _work: tempfile::TempDir,
}

impl Chrony {
    fn start(port: u16, shift: &str, source: &str) -> Self {
        let work = tempfile::TempDir::new().expect("a folder");
        let folder = work.path().display();
        let config = format!(
            "port {port}\nbindaddress 127.0.0.1\nallow 127.0.0.1\n{source}\ncmdport 0\nbindcmdaddress /\n\
             pidfile {folder}/pid\ndriftfile {folder}/drift\n"
        );
        let file = work.path().join("chrony.conf");
        std::fs::write(&file, config).expect("its configuration");
        let mut command = Command::new(peer("chronyd"));
        command
            .args(["-d", "-x", "-u", "root", "-f"])
            .arg(file)
            .env("LD_PRELOAD", peer_library("faketime/libfaketimeMT.so.1"))
            .env("FAKETIME", shift);
        let mut program = Program::start("chronyd", &mut command, &work.path().join("log"));
        wait_for("chronyd answers", Duration::from_secs(15), || {
            assert!(program.ended().is_none(), "chronyd ended: {}", program.log_text());
            let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
            socket.connect(("127.0.0.1", port)).ok()?;
            socket.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
            let mut question = [0; 48];
            question[0] = 0x23;
            socket.send(&question).ok()?;
            socket.recv(&mut [0; 48]).ok().map(drop)
        });
        Self { _program: program, _work: work }
    }
}

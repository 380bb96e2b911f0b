//! `net.tls` and a real nginx whose certificates and keys are made by openssl (`tests/peers/https.sh`).

use std::{path::Path, process::Command, time::Duration};

use upheld_tests::{Nginx, free_port, nginx::Signer, peer, program, wait_for};

use super::{check_now, look, site};

#[test]
fn a_devices_own_certificate_is_good_until_another_key_stands_in_its_place() {
    let port = free_port();
    let tls = |name: &str, more: &str| {
        format!("name = \"{name}\", kind = \"net.tls\", target = \"127.0.0.1\", port = {port}, every = \"1s\"{more}")
    };
    let nobody = format!("sha256//{}=", "A".repeat(43));
    let checks = [tls("device", ""), tls("pinned", &format!(", pin = \"{nobody}\""))];
    let (_collector, mut agent) = site(&checks, &format!("loopback_ports = [{port}]\n"));
    let mut server = Nginx::at(port);

    for (days, signer, is, words) in [
        (90, Signer::Itself, "ok", ""),
        (15, Signer::Authority, "warn", "the certificate expires in 15.0 days"),
        (5, Signer::Authority, "bad", "the certificate expires in 5.0 days"),
        (-1, Signer::Authority, "bad", "the certificate expired 1.0 days ago"),
    ] {
        server.certify(days, signer);
        let seen = look(&mut check_now(&agent));
        let key = fingerprint(&server.certificate());
        println!("{days} days, {signer:?}: {} {:?} {}", seen[0].is, seen[0].evidence, seen[0].values);
        assert_eq!((seen[0].is.as_str(), &seen[0].values["key"]), (is, &key.clone().into()), "{seen:?}");
        assert!(seen[0].evidence.contains(words), "{seen:?}");
        assert_eq!(seen[0].values["tls_trusted"], 0.0);
        assert_eq!(seen[1].is, "bad", "{seen:?}");
        assert!(seen[1].evidence.contains(&nobody) && seen[1].evidence.contains(&key), "both in words: {seen:?}");
    }

    // A running agent remembers the first key, also when it is started anew.
    server.certify(90, Signer::Itself);
    let first = fingerprint(&server.certificate());
    agent.run();
    let state = |agent: &upheld_tests::Agent, is: &'static str| {
        let status = agent.status()?;
        let device = status["checks"].as_array()?.iter().find(|check| check["check"] == "a/device")?.clone();
        (device["state"] == is).then_some(())
    };
    wait_for("the device is watched", Duration::from_secs(20), || state(&agent, "ok"));
    agent.program().stop();
    server.certify(90, Signer::Itself);
    let second = fingerprint(&server.certificate());
    agent.run();
    wait_for("another key is confirmed", Duration::from_secs(20), || state(&agent, "failed"));
    agent.program().stop();
    let seen = look(&mut check_now(&agent)).remove(0);
    println!("another key: {:?}", seen.evidence);
    assert!(seen.evidence.contains(&format!("it was {first}, it is {second}")), "{seen:?}");
}

/// The fingerprint as openssl makes it.
fn fingerprint(certificate: &Path) -> String {
    let script = "set -o pipefail; \"$1\" x509 -in \"$2\" -pubkey -noout | \"$1\" pkey -pubin -outform der | \"$1\" dgst -sha256 -binary | base64";
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash"]).arg(peer("openssl")).arg(certificate);
    let (code, out, err) = program::run(&mut command);
    assert_eq!(code, Some(0), "{err}");
    format!("sha256//{}", out.trim())
}

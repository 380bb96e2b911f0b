//! `net.http` and a real nginx whose certificates are made by openssl (`tests/peers/https.sh`).

use upheld_tests::{Nginx, free_port, nginx::Signer};

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
    let mut server = Nginx::at(port);

    for (days, page, patient, words) in [
        (90, "ok", "ok", ""),
        (5, "bad", "warn", "the certificate expires in 5.0 days"),
        (-1, "bad", "bad", "the certificate expired 1.0 days ago"),
        (90, "ok", "ok", ""),
    ] {
        server.certify(days, Signer::Authority);
        let seen = look(&mut check_now(&agent));
        let [first, second, third] = &seen[..] else { panic!("three checks: {seen:?}") };
        println!("{days} days: {} {:?}, {}, {} {:?}", first.is, first.evidence, second.is, third.is, third.evidence);
        assert_eq!((first.name.as_str(), first.is.as_str()), ("page", page), "{days} days: {first:?}");
        assert_eq!((second.name.as_str(), second.is.as_str()), ("patient", patient), "{days} days: {second:?}");
        assert!(first.evidence.contains(words), "{words} is not in {first:?}");
        assert_eq!((third.is.as_str(), &third.values["status"]), ("bad", &500.0.into()), "{third:?}");
    }
}

//! The data door and callers that hold a certificate, but ask too much, belong elsewhere, or have no right any more.

use std::{
    fs,
    time::{Duration, Instant},
};

use upheld_tests::{Agent, Collector, door::DataDoor, program, wait_for};
use upheld_wire::v1::{codes, limits};

#[test]
fn a_body_too_large_and_a_bomb_are_refused_and_cost_no_memory() {
    let mut collector = super::collector(1);
    let agent = Agent::enroll(&collector.link(collector.port), "");
    let door = |collector: &Collector| DataDoor::connect(collector.port, &agent.state(), &agent.state()).expect("TLS");
    // The first request warms what every connection needs.
    let config = door(&collector).ask("GET", "/v1/config", &[], b"").expect("an answer");
    assert_eq!(config.status, 200, "{config:?}");

    let pid = collector.program().pid();
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("the kernel forgets the peak");
    let before = peak_kib(pid);
    let over = limits::WIRE_BYTES_MAX + 1;
    let announced = door(&collector).announce("POST", "/v1/deliver", over).expect("an answer");
    // A whole mebibyte and one byte, without saying so before.
    let chunked = door(&collector).pour("/v1/deliver", &vec![b' '; over]).expect("an answer");
    let bomb = gibibyte();
    let exploded = door(&collector).ask("POST", "/v1/deliver", &["content-encoding: zstd"], &bomb).expect("an answer");
    for (what, refused) in [("announced", announced), ("chunked", chunked), ("a bomb", exploded)] {
        assert_eq!((refused.status, &refused.body["code"]), (413, &codes::TOO_LARGE.into()), "{what}: {refused:?}");
        let detail = refused.body["detail"].as_str().expect("what the bound is");
        println!("{what}: {detail}");
        assert!(detail.contains(|letter: char| letter.is_ascii_digit()), "{what} does not say its bound: {detail}");
    }
    let grown = peak_kib(pid) - before;
    println!("three bodies too large, one of them a gibibyte in {} bytes: {grown} KiB more", bomb.len());
    assert!(grown < 16 << 10, "{grown} KiB");
    assert_eq!(door(&collector).ask("GET", "/v1/config", &[], b"").expect("an answer").status, 200);
}

#[test]
fn a_certificate_of_another_provider_is_refused_in_tls() {
    let (ours, theirs) = (super::collector(1), super::collector(1));
    let agent = Agent::enroll(&ours.link(ours.port), "");
    let stranger = Agent::enroll(&theirs.link(theirs.port), "");
    let own = DataDoor::connect(ours.port, &agent.state(), &agent.state());
    assert_eq!(own.and_then(|mut door| door.ask("GET", "/v1/config", &[], b"")).expect("an answer").status, 200);
    let refused = DataDoor::connect(ours.port, &stranger.state(), &agent.state())
        .and_then(|mut door| door.ask("GET", "/v1/config", &[], b""))
        .expect_err("a stranger was answered");
    assert!(refused.to_string().to_lowercase().contains("unknownca"), "{refused}");
    println!("a stranger's certificate: {refused}");
}

#[test]
fn a_revoked_agent_is_refused_on_its_open_connection_within_five_seconds_and_says_so() {
    let port = upheld_tests::free_port();
    let collector = super::collector(port);
    let mut agent = Agent::enroll(&collector.link(collector.port), &super::allow(port));
    agent.run();
    wait_for("reports are taken", Duration::from_secs(20), || {
        (agent.status()?["standing"]["is"] == "good").then_some(())
    });
    let mut open = DataDoor::connect(collector.port, &agent.state(), &agent.state()).expect("TLS");
    assert_eq!(open.ask("GET", "/v1/config", &[], b"").expect("an answer").status, 200);

    let revoked = collector.cli_json(&["agent", "revoke", &agent.id()]);
    assert_eq!(revoked["changed"], true);
    let started = Instant::now();
    let refused = wait_for("the open connection is refused", Duration::from_secs(5), || {
        let answer = open.ask("GET", "/v1/config", &[], b"").expect("an answer");
        (answer.status != 200).then_some(answer)
    });
    println!("403 on the open connection after {} ms", started.elapsed().as_millis());
    assert_eq!((refused.status, &refused.body["code"]), (403, &codes::REVOKED.into()), "{refused:?}");
    let renewal = open.ask("POST", "/v1/renew", &[], br#"{"csr_pem":"x"}"#).expect("an answer");
    assert_eq!(renewal.status, 403, "a revoked agent cannot renew: {renewal:?}");

    // A heartbeat is due every 30 s; a transition is sent at once.
    let _service = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the service's port");
    let status = wait_for("the agent itself is refused", Duration::from_secs(5), || {
        let status = agent.status()?;
        (status["standing"]["is"] == "refused").then_some(status)
    });
    assert_eq!(status["standing"]["code"], codes::REVOKED);
    let (code, out, err) = program::run(&mut agent.command(&["status"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains(&format!("refused by 127.0.0.1:{} (revoked)", collector.port)), "{out}");
    agent.program().stop();
}

/// The most memory a program ever had, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("Linux tells");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// A gibibyte of spaces in 32 KiB: a zstd frame of 8,192 blocks that each say "this byte, 131,072 times" (RFC 8878,
/// 3.1.1.2), with a window of 1 MiB.
fn gibibyte() -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 10 << 3];
    for block in 1..=8_192_u32 {
        let header = u32::from(block == 8_192) | 1 << 1 | (128 << 10) << 3;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(b' ');
    }
    frame
}

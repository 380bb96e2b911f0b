//! Devices that misbehave, in one run of the real agent: whatever they say, each check ends in time with a sentence,
//! the process stays small, and nothing that moves a cursor or turns a line around is printed (SECURITY 6, 21).

#[path = "hostile/servers.rs"]
mod servers;
#[path = "hostile/snmp.rs"]
mod snmp;

use std::{
    io::Read,
    net::TcpListener,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{check_now, site};

/// The time that each check has.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The time of a check that works for its answer, and does not wait for it.
const LONG: Duration = Duration::from_secs(9);
/// What the agent may ever hold, of some 20 MiB that it holds anyway.
const MEMORY_KIB_MAX: u64 = 64 << 10;

/// A check of a device, and what must come of it.
struct Case {
    name: &'static str,
    check: String,
    port: Option<u16>,
    /// `unknown`, `bad`, `warn`, `ok`.
    is: &'static str,
    words: &'static str,
    /// How long it may take.
    timeout: Duration,
}

fn case(name: &'static str, check: impl Into<String>, port: u16, is: &'static str, words: &'static str) -> Case {
    Case { name, check: check.into(), port: Some(port), is, words, timeout: TIMEOUT }
}

fn nut() -> Vec<Case> {
    let case = |name, port, words| {
        case(
            name,
            format!("kind = \"ups.nut\", target = \"127.0.0.1\", port = {port}, ups = \"u\""),
            port,
            "unknown",
            words,
        )
    };
    let line = servers::says([b"BEGIN LIST VAR u\nVAR u ups.status \"", &b"O".repeat(1 << 20)[..], b"\"\n"].concat());
    let list = servers::never_ends(b"BEGIN LIST VAR u\n", b"VAR u ups.status \"OL\"\n");
    vec![
        case("nut-line", line, "cannot be understood: a line of its answer does not end"),
        case("nut-list", list, "cannot be understood: its list does not end"),
        case("nut-drip", servers::drips(b"VAR u ups.status \"OL\""), "does not answer in time"),
        case("nut-escape", servers::says("ERR \u{1b}[2J\u{202e}GNAL\n"), r"refuses: \u{1b}[2J\u{202e}GNAL"),
    ]
}

fn apcupsd() -> Vec<Case> {
    let case = |name, port, words| {
        case(name, format!("kind = \"ups.apcupsd\", target = \"127.0.0.1\", port = {port}"), port, "unknown", words)
    };
    vec![
        case("apc-length", servers::says(vec![0xff; 10 << 20]), "a line of its answer is too long"),
        case("apc-endless", servers::never_ends(b"", b"\x00\x06A : b\n"), "its answer does not end"),
        case("apc-short", servers::says(&b"\x00\x40STATUS : ONLINE\n"[..]), "does not answer in time"),
        case("apc-drip", servers::drips(b"\x00\x10STATUS : ONLINE\n"), "does not answer in time"),
    ]
}

fn snmp() -> Vec<Case> {
    let port_of = |name, port: u16, words| {
        let check = format!("kind = \"snmp\", target = \"127.0.0.1\", udp_port = {port}, port = \"7\"");
        case(name, check, port, "unknown", words)
    };
    let supply = |name, port: u16, words| {
        case(name, format!("kind = \"ups.snmp\", target = \"127.0.0.1\", udp_port = {port}"), port, "unknown", words)
    };
    // With the time for all the rows that a table may have, on a slow machine too.
    let endless = |name, port| Case { timeout: LONG, ..port_of(name, port, "its table does not end") };
    vec![
        port_of("snmp-same", snmp::same_row(), "its table goes round in circles"),
        port_of("snmp-back", snmp::backwards(), "its table goes round in circles"),
        endless("snmp-endless", snmp::endless(b"\x04\x01x")),
        endless("snmp-nothing", snmp::endless(b"\x05\x00")),
        supply("snmp-huge", snmp::huge_text(), "it does not say what it is"),
        supply("snmp-number", snmp::other_number(), "does not answer"),
        supply("snmp-types", snmp::other_types(), r"it calls itself"),
        supply("snmp-noise", snmp::noise(), "does not answer"),
    ]
}

fn dns() -> Vec<Case> {
    let case = |name, port, words| {
        let check = format!("kind = \"net.dns\", target = \"127.0.0.1\", port = {port}, look_up = \"nvr.site.test\"");
        case(name, check, port, "bad", words)
    };
    /// The question as an answer, with so many answers announced and these bytes in their place.
    fn answer(asked: &[u8], answers: u16, records: &[u8]) -> Vec<u8> {
        let mut answer = asked.to_vec();
        answer[2] = 0x84;
        answer[6..8].copy_from_slice(&answers.to_be_bytes());
        answer.extend_from_slice(records);
        answer
    }
    const RECORD: &[u8] = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x05";
    // A name that is a pointer to itself, behind the question.
    let loops = servers::udp(|asked| {
        let here = 0xc000 | u16::try_from(asked.len()).expect("short");
        vec![answer(asked, 1, &[&here.to_be_bytes()[..], &RECORD[2..]].concat())]
    });
    let promised = servers::udp(|asked| vec![answer(asked, u16::MAX, RECORD)]);
    let other = servers::udp(|asked| {
        let mut other = answer(asked, 1, RECORD);
        other[0] ^= 0xff;
        vec![other; 20]
    });
    // As many as fit into a message, which is said to be longer than it is; and more of them than anybody reads.
    let million = servers::dns_by_tcp(|asked| {
        let message = answer(asked, u16::MAX, &RECORD.repeat(1_000_000));
        [&u16::MAX.to_be_bytes()[..], &message].concat()
    });
    let short = servers::dns_by_tcp(|asked| [&u16::MAX.to_be_bytes()[..], &answer(asked, 1, RECORD)].concat());
    vec![
        case("dns-loop", loops, "its answer cannot be read"),
        case("dns-promised", promised, "its answer cannot be read"),
        case("dns-other", other, "only "),
        case("dns-million", million, "it cannot be read"),
        case("dns-short", short, "no whole answer came in time"),
    ]
}

fn ntp() -> Vec<Case> {
    let case = |name, port, words| {
        case(name, format!("kind = \"net.ntp\", target = \"127.0.0.1\", port = {port}"), port, "unknown", words)
    };
    /// The answer to a question, of this stratum and code.
    fn answer(asked: &[u8], stratum: u8, code: &[u8]) -> Vec<u8> {
        let mut answer = vec![0x24, stratum, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        answer.extend_from_slice(code);
        answer.extend([1; 8]);
        answer.extend_from_slice(&asked[40..48]);
        answer.extend([2; 16]);
        answer
    }
    let other = servers::udp(|asked| {
        let mut other = answer(asked, 2, b"LOCL");
        other[24] ^= 0xff;
        vec![other; 20]
    });
    vec![
        case("ntp-origin", other, "no answer from port"),
        case("ntp-kiss", servers::udp(|asked| vec![answer(asked, 0, b"RATE")]), "it is asked too often"),
        case("ntp-code", servers::udp(|asked| vec![answer(asked, 0, b"\x1b[2J")]), "it is not synchronised"),
        case("ntp-long", servers::udp(|_| vec![vec![0x24; 60_000]]), "no answer from port"),
    ]
}

fn tls() -> Vec<Case> {
    let case = |name, port, is, words| {
        let check = format!("kind = \"net.tls\", target = \"127.0.0.1\", port = {port}");
        case(name, check, port, is, words)
    };
    let show = |years, count| {
        let (certificate, key) = servers::certificate(years, 1);
        servers::tls(vec![certificate; count], &key)
    };
    let (large, key) = servers::certificate([2020, 2040], 450_000);
    assert!(large.len() > 10 << 20, "{}", large.len());
    vec![
        case("tls-1950", show([1950, 1951], 1), "bad", "the certificate expired 27"),
        case("tls-9999", show([1950, 9999], 1), "ok", ""),
        case("tls-later", show([9998, 9999], 1), "warn", "becomes valid only in"),
        case("tls-chain", show([2020, 2040], 1_000), "bad", "is longer than 64 KiB"),
        case("tls-long", show([2020, 2040], 100), "ok", ""),
        case("tls-names", servers::tls(vec![large], &key), "bad", "is longer than 64 KiB"),
        case("tls-drip", servers::drips(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"), "bad", "no whole TLS handshake"),
        case("tls-silent", servers::silent(), "bad", "no whole TLS handshake"),
    ]
}

/// `elsewhere` is a port of this host that no file allows.
fn http(elsewhere: u16) -> Vec<Case> {
    let case = |name, port, is, words| {
        case(name, format!("kind = \"net.http\", url = \"http://127.0.0.1:{port}/\""), port, is, words)
    };
    const HEAD: &str = "HTTP/1.1 200 OK\r\n";
    let gzip = [format!("{HEAD}Content-Encoding: gzip\r\n\r\n").into_bytes(), vec![0x1f; 10 << 20]].concat();
    let away = format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{elsewhere}/\r\nContent-Length: 0\r\n\r\n");
    let itself = "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n";
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx";
    vec![
        case(
            "http-headers",
            servers::never_ends(HEAD.as_bytes(), b"X-More: and more\r\n"),
            "bad",
            "gave no HTTP answer",
        ),
        case("http-header", servers::never_ends(b"HTTP/1.1 200 OK\r\nX: ", b"x"), "bad", "gave no HTTP answer"),
        case(
            "http-hundreds",
            servers::never_ends(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            "bad",
            "no whole answer within",
        ),
        case("http-body", servers::never_ends(b"HTTP/1.1 200 OK\r\n\r\n", b"body "), "ok", ""),
        case("http-gzip", servers::says(gzip), "ok", ""),
        case("http-chunk", servers::says(chunk), "bad", "but the body broke off"),
        case("http-drip", servers::drips(b"HTTP/1.1 200 OK\r\nX: \x1b[2J"), "bad", "no whole answer within"),
        case("http-away", servers::says(away), "ok", ""),
        case("http-round", servers::says(itself), "ok", ""),
        case("http-noise", servers::says("\u{1b}[2J".repeat(1 << 20)), "bad", "gave no HTTP answer"),
        case("http-silent", servers::silent(), "bad", "no whole answer within"),
    ]
}

/// Plugins, with what allow.toml spells out.
const PLUGINS: &[(&str, &str, &str, &str)] = &[
    ("prints", "while :; do echo on and on; done", "unknown", "prints did not end in time"),
    ("floods", "yes | head -c 20000000; exit 1", "warn", "of more than 8 KiB that it printed"),
    ("stays", "trap '' TERM INT HUP; while :; do sleep 1; done", "unknown", "stays did not end in time"),
    // What leaves the group is not followed; it ends by itself here, and holds nobody up.
    ("leaves", "(setsid sleep 4 &) ; echo LEFT; exit 2", "bad", "leaves: LEFT"),
    ("colours", r"printf '\033[2J\342\200\256 | \342\200\256a=1'; exit 1", "warn", r"\u{1b}[2J\u{202e}"),
];

#[test]
fn security_21_no_device_holds_the_agent_up_fills_it_or_writes_on_its_terminal() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a port");
    elsewhere.set_nonblocking(true).expect("a listener");
    let mut cases = nut();
    cases.extend(apcupsd());
    cases.extend(snmp());
    cases.extend(dns());
    cases.extend(ntp());
    cases.extend(tls());
    cases.extend(http(elsewhere.local_addr().expect("its address").port()));
    cases.extend(PLUGINS.iter().map(|(name, _, is, words)| {
        let check = format!("kind = \"exec.nagios\", command = \"{name}\"");
        Case { name, check, port: None, is, words, timeout: if *name == "floods" { LONG } else { TIMEOUT } }
    }));
    let checks: Vec<String> = cases
        .iter()
        .map(|Case { name, check, timeout, .. }| {
            format!("name = \"{name}\", {check}, every = \"10s\", timeout = \"{}s\"", timeout.as_secs())
        })
        .collect();
    let ports: Vec<u16> = cases.iter().filter_map(|case| case.port).collect();
    let commands: String =
        PLUGINS.iter().map(|(name, script, ..)| format!("{name} = ['/bin/sh', '-c', '''{script}''']\n")).collect();
    let (_collector, agent) = site(&checks, &format!("loopback_ports = {ports:?}\n[commands]\n{commands}"));

    let ran = run(&mut check_now(&agent));
    assert!(ran.err.is_empty(), "nothing is logged: {}", ran.err);
    println!("{} KiB at most", ran.peak_kib);
    let seen = super::read(&serde_json::from_str(&ran.out).expect("JSON"));
    assert_eq!(seen.len(), cases.len());
    let mut wrong = Vec::new();
    for (case, seen) in cases.iter().zip(&seen) {
        println!("{:14} {:8} {:>5} ms  {}", seen.name, seen.is, seen.took_ms, seen.evidence);
        let in_time = Duration::from_millis(seen.took_ms) < case.timeout + Duration::from_secs(1);
        if seen.name != case.name || seen.is != case.is || !seen.evidence.contains(case.words) || !in_time {
            wrong.push(format!("{}: meant {:?} {:?}, seen {seen:?}", case.name, case.is, case.words));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ran.peak_kib < MEMORY_KIB_MAX, "{} KiB", ran.peak_kib);
    let hostile = |c: char| upheld_model::text::is_hostile(c) && c != '\n';
    assert!(!ran.out.contains(hostile), "what moves a cursor is not printed as JSON");
    assert_eq!(elsewhere.accept().expect_err("nobody came").kind(), std::io::ErrorKind::WouldBlock);

    let for_people = run(&mut agent.command(&["check", "now"]));
    assert!(!for_people.out.contains(hostile) && for_people.out.contains("does not answer"), "{}", for_people.out);
}

/// A run of the agent, and the most memory that it had.
struct Ran {
    out: String,
    err: String,
    peak_kib: u64,
}

fn run(command: &mut Command) -> Ran {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the agent starts");
    let mut pipes = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
    let out = std::thread::spawn(move || {
        let mut text = String::new();
        pipes.0.read_to_string(&mut text).map(|_| text)
    });
    let err = std::thread::spawn(move || {
        let mut text = String::new();
        pipes.1.read_to_string(&mut text).map(|_| text)
    });
    let (started, mut peak_kib) = (Instant::now(), 0);
    let status = loop {
        // It only grows: the last that is seen is the most.
        peak_kib = peak_kib.max(high_water_kib(child.id()).unwrap_or_default());
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if started.elapsed() > Duration::from_secs(60) {
            child.kill().expect("a child");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let text = |pipe: std::thread::JoinHandle<std::io::Result<String>>| pipe.join().expect("no panic").expect("UTF-8");
    let (out, err) = (text(out), text(err));
    assert!(status.success(), "{status}: {err}");
    Ran { out, err, peak_kib }
}

/// The most memory that a process ever had.
fn high_water_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

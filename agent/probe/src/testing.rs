//! Helpers of this crate's tests: checks, servers on loopback, namespaces.

use std::{
    net::{TcpListener, TcpStream, UdpSocket},
    path::Path,
    process::Command,
};

use upheld_model::{CheckSpec, ProbeSpec, sample::Value};

use crate::{AllowList, ProbeResult, Prober};

pub(crate) fn prober(allow: &str) -> Prober {
    Prober::new(AllowList::parse(allow, Path::new("allow.toml")).unwrap(), vec![])
}

pub(crate) fn check(probe: ProbeSpec) -> CheckSpec {
    let check = CheckSpec::with_defaults("nvr-02/check".parse().unwrap(), probe);
    check.validate().unwrap();
    check
}

pub(crate) fn tcp(target: &str, port: u16) -> CheckSpec {
    check(ProbeSpec::NetTcp { target: target.to_owned(), port })
}

pub(crate) fn spec(check: CheckSpec, timeout_ms: u64) -> CheckSpec {
    CheckSpec { timeout_ms, ..check }
}

pub(crate) fn number(result: &ProbeResult, name: &str) -> f64 {
    match result.values.get(name) {
        Some(Value::Number(number)) => *number,
        other => panic!("{name} is {other:?} in {result:?}"),
    }
}

pub(crate) fn evidence(result: &ProbeResult) -> &str {
    result.evidence.as_ref().map(|text| text.as_str()).unwrap_or_default()
}

pub(crate) fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// A port that was free a moment ago and on which nothing listens.
pub(crate) fn closed_port() -> u16 {
    listener().local_addr().unwrap().port()
}

/// A listener that answers no further connection: its backlog is full, so the kernel drops what comes.
pub(crate) struct FullBacklog {
    pub(crate) port: u16,
    _listener: socket2::Socket,
    _waiting: Vec<socket2::Socket>,
}

pub(crate) fn full_backlog() -> FullBacklog {
    let socket = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let listener = socket();
    listener.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let connect = |_| {
        let waiting = socket();
        waiting.set_nonblocking(true).unwrap();
        // In progress, or dropped by the kernel: both are what is wanted.
        let _ = waiting.connect(&address);
        waiting
    };
    let waiting = (0..4).map(connect).collect();
    FullBacklog { port: address.as_socket().unwrap().port(), _listener: listener, _waiting: waiting }
}

/// Whether this process is root; says what is not tested when it is not.
pub(crate) fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("NOT TESTED: needs root (ICMP sockets, network namespaces)");
    }
    is_root
}

/// Runs `body` in a network namespace of its own that `setup` (shell) has prepared: this test starts itself once
/// more inside it. `name` is the test's full name.
pub(crate) fn in_namespace(name: &str, setup: &str, body: impl AsyncFnOnce()) {
    in_namespaces(name, &["--net"], setup, body);
}

/// The same in namespaces of its own of these kinds.
pub(crate) fn in_namespaces(name: &str, kinds: &[&str], setup: &str, body: impl AsyncFnOnce()) {
    in_namespaces_as(name, kinds, setup, "exec \"$@\"", body);
}

/// The same in a mount namespace of its own.
pub(crate) fn in_mount_namespace(name: &str, setup: &str, body: impl AsyncFnOnce()) {
    in_namespaces(name, &["--mount"], setup, body);
}

/// The same without any right: as `nobody`.
pub(crate) fn in_namespace_as_nobody(name: &str, setup: &str, body: impl AsyncFnOnce()) {
    in_namespaces_as(name, &["--net"], setup, "exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"", body);
}

/// The same as the package's unit runs the agent: as a user of its own, with the right to send echoes.
pub(crate) fn in_namespace_as_the_service(name: &str, setup: &str, body: impl AsyncFnOnce()) {
    let exec =
        "exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=+net_raw --ambient-caps=+net_raw \"$@\"";
    in_namespaces_as(name, &["--net"], setup, exec, body);
}

fn in_namespaces_as(name: &str, kinds: &[&str], setup: &str, exec: &str, body: impl AsyncFnOnce()) {
    const INSIDE: &str = "UPHELD_TEST_INSIDE";
    const SEEN: &str = "the body ran to its end";
    if std::env::var(INSIDE).as_deref() == Ok(name) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(body());
        println!("{SEEN}");
        return;
    }
    if !is_root() {
        return;
    }
    let output = Command::new("unshare")
        .args(kinds)
        .args(["sh", "-ec", &format!("{setup}\n{exec}"), "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, name)
        .current_dir("/")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains(SEEN), "{said}");
}

/// A server by UDP that sends to each question what `answer` makes of it.
pub(crate) fn serve_udp(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            for message in answer(&buffer[..length]) {
                // Whoever asked may have what it wanted.
                let _ = socket.send_to(&message, from);
            }
        }
    });
    port
}

/// Serves `answer` to each connection in a thread of its own until the test ends.
pub(crate) fn serve(answer: impl Fn(TcpStream) + Send + Clone + 'static) -> u16 {
    let listener = listener();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

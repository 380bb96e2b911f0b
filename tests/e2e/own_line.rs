//! S6 of DETECTION with the real programs: when the collector's own line goes away, that is its own incident and nobody's
//! silence; and its heartbeat goes out while it works.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use upheld_tests::{Agent, Collector, book, wait_for};

/// Somebody who takes every heartbeat.
fn taker() -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let port = listener.local_addr().expect("its address").port();
    let taken = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = [0; 4_096];
            let read = stream.read(&mut request).unwrap_or_default();
            if request[..read].starts_with(b"POST /beat ") {
                count.fetch_add(1, Ordering::SeqCst);
            }
            // Who closed meanwhile has had his answer.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    (port, taken)
}

/// The open incidents: client, title, state.
fn queue(collector: &Collector) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let queue = collector.cli_json(&["queue"]);
    let rows = queue["queue"]["rows"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| (text(&row["incident"]), text(&row["title"]), text(&row["state"]))).collect()
}

#[test]
fn a_collector_without_its_line_says_so_itself_and_calls_nobody_silent() {
    let anchors = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a loopback port"));
    let ports = anchors.each_ref().map(|anchor| anchor.local_addr().expect("its address").port());
    let (beat_port, taken) = taker();
    let mut collector = Collector::new();
    let config = collector.data().join("collector.toml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let allowed = text.replace("webhook_private_hosts = []", "webhook_private_hosts = [\"127.0.0.1\"]");
    assert_ne!(text, allowed);
    std::fs::write(&config, allowed).expect("writing the configuration");
    let folder = collector.folder().join("book");
    let assets = "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [{ kind = \"host\" }]\n";
    book::write_book(&folder, assets, None);
    let provider = folder.join("provider.toml");
    let text = std::fs::read_to_string(&provider).expect("the provider");
    let more = format!(
        "anchors = [\"127.0.0.1:{}\", \"127.0.0.1:{}\"]\nanchors_every = \"1s\"\n\
         heartbeat = {{ url = \"http://127.0.0.1:{beat_port}/beat\", every = \"10s\" }}\n",
        ports[0], ports[1]
    );
    std::fs::write(&provider, text + &more).expect("writing the provider");
    collector.apply(&folder);
    collector.serve();
    let mut agent = Agent::enroll(&collector.link(collector.port), "");
    agent.run();
    let soon = Duration::from_secs(25);
    wait_for("a heartbeat is taken", soon, || (taken.load(Ordering::SeqCst) > 0).then_some(()));
    assert_eq!(queue(&collector), []);

    let [one, other] = anchors;
    drop(one);
    // One anchor that answers is a line that is well: more looks at it pass than an outage would take.
    other.set_nonblocking(true).expect("a socket that need not wait");
    while other.accept().is_ok() {}
    for _ in 0..5 {
        wait_for("the other anchor is asked", soon, || other.accept().ok());
    }
    assert_eq!(queue(&collector), []);
    drop(other);
    let told = wait_for("the line is lost", soon, || Some(queue(&collector)).filter(|rows| !rows.is_empty()));
    agent.program().kill();
    let title = "collector: its own line is out; nobody else is called silent meanwhile";
    assert_eq!(told, [("collector/INC-1".to_owned(), title.to_owned(), "open".to_owned())]);

    let _back = TcpListener::bind(("127.0.0.1", ports[0])).expect("the anchor's port");
    wait_for("the line is back", soon, || {
        Some(queue(&collector)).filter(|rows| rows.len() == 1 && rows[0].2 == "watching")
    });
    collector.kill();
}

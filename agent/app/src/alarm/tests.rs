//! A real receiver on loopback, and another implementation of the signature.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
};

use standardwebhooks::Webhook;
use upheld_model::Finding;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test]
async fn a_failure_is_told_signed_unmatched_and_under_the_collectors_name_for_it() {
    let (port, received) = receive("204 No Content");
    let now = Timestamp::now();
    let (line, identity) = (line(port), crate::testing::identity());
    assert!(line.tell(&identity, &alarm(What::Opened), ObservedAt(now), now).await);
    let (headers, body) = received.recv().unwrap();
    Webhook::new(SECRET).unwrap().verify(body.as_bytes(), &headers).unwrap();
    let message: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(message["type"], "upheld.agent-alarm.opened");
    let data = &message["data"];
    assert_eq!((&data["matched"], &data["asset"]), (&false.into(), &"nvr-02".into()));
    assert_eq!(data["finding"], serde_json::to_value(alarm(What::Opened).finding.id()).unwrap());
    assert!(data["why"].as_str().unwrap().contains("away since"), "{body}");
    let id = headers["webhook-id"].to_str().unwrap();
    assert!(id.starts_with("alarm_") && !id.contains('.'), "{id}");

    for (what, is_same) in [(What::Opened, true), (What::Restored, false)] {
        assert!(line.tell(&identity, &alarm(what), ObservedAt(now), now).await);
        let (again, _) = received.recv().unwrap();
        assert_eq!(again["webhook-id"] == headers["webhook-id"], is_same, "a repetition is recognised");
    }
}

#[tokio::test]
async fn an_answer_that_takes_nothing_and_a_silent_address_are_tried_again() {
    let (port, _received) = receive("503 Service Unavailable");
    let now = Timestamp::now();
    let identity = crate::testing::identity();
    assert!(!line(port).tell(&identity, &alarm(What::Opened), ObservedAt(now), now).await);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert!(!line(closed).tell(&identity, &alarm(What::Opened), ObservedAt(now), now).await);
}

#[test]
fn only_an_https_address_without_credentials_is_taken_and_the_secret_is_never_printed() {
    for (url, secret, words) in [
        ("http://example.net/x", SECRET, "must begin with https://"),
        ("http://localhost/x", SECRET, "must begin with https://"),
        ("https://u:p@example.net/x", SECRET, "no user and no password"),
        ("example.net", SECRET, "no address"),
        ("https://example.net/x", "whsec_c2hvcnQ=", "24 to 64 bytes"),
        ("https://example.net/x", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_"),
    ] {
        let refused = AlarmTarget::new(&raw(url, secret)).unwrap_err();
        assert!(refused.contains(words), "{url}: {refused}");
    }
    let raw = raw("https://example.net/x", SECRET);
    let printed = format!("{raw:?} {:?}", AlarmTarget::new(&raw).unwrap());
    assert!(printed.contains("REDACTED") && !printed.contains("MfKQ"), "{printed}");
}

fn raw(url: &str, secret: &str) -> RawTarget {
    RawTarget { url: url.to_owned(), secret: secret.to_owned() }
}

fn line(port: u16) -> AlarmLine {
    let target = AlarmTarget::new(&raw(&format!("http://127.0.0.1:{port}/alarm"), SECRET)).unwrap();
    AlarmLine::new(target, &Arc::new(rustls::crypto::ring::default_provider())).unwrap()
}

fn alarm(what: What) -> Alarm {
    let at = ObservedAt("2026-11-16T16:10:07.25Z".parse().unwrap());
    let check = "nvr-02/host".parse().unwrap();
    Alarm {
        finding: Finding { check, last_ok: None, first_bad: at, confirmed_at: at, evidence: None, culprit: None },
        what,
    }
}

/// A receiver that answers each request with `status`, and what it received.
fn receive(status: &'static str) -> (u16, mpsc::Receiver<(reqwest::header::HeaderMap, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let mut headers = reqwest::header::HeaderMap::new();
            loop {
                let mut line = String::new();
                lines.read_line(&mut line).unwrap();
                match line.trim().split_once(": ") {
                    Some((name, value)) => {
                        let name: reqwest::header::HeaderName = name.parse().unwrap();
                        headers.insert(name, value.parse().unwrap());
                    }
                    None if line.trim().is_empty() => break,
                    None => {}
                }
            }
            let length = headers["content-length"].to_str().unwrap().parse().unwrap();
            let mut body = vec![0; length];
            lines.read_exact(&mut body).unwrap();
            let _ = write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\n\r\n");
            let _ = sender.send((headers, String::from_utf8(body).unwrap()));
        }
    });
    (port, received)
}

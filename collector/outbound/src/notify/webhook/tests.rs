//! A real receiver on loopback, plain and over TLS, with the faults that real ones have.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
};

use jiff::SignedDuration;
use rcgen::{CertificateParams, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer};

use super::*;
use crate::EventKind;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// One request as it arrived.
#[derive(Debug)]
struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// What the receiver does with a request.
#[derive(Clone)]
enum Does {
    Answers(String),
    /// Reads and closes without a word.
    Drops,
    /// Reads and stays silent.
    Hangs,
}

fn answers(status: &str, headers: &str, body: &str) -> Does {
    Does::Answers(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

fn now() -> Timestamp {
    "2026-11-16T16:10:00Z".parse().unwrap()
}

fn delivery() -> Delivery {
    let kind = EventKind::IncidentOpened;
    let body = Delivery::payload(kind, now(), &serde_json::json!({"incident": "northgate/INC-2041"})).unwrap();
    Delivery { key: "inc-2041-opened".parse().unwrap(), kind, body, created: now() }
}

fn config(url: &str) -> WebhookConfig {
    WebhookConfig {
        url: url.parse().unwrap(),
        secret: SECRET.parse().unwrap(),
        look_up_url: None,
        host: HostRule::PrivateAllowed,
        timeout: Duration::from_millis(600),
    }
}

/// A receiver that does the same with each request; gives its port and what arrives.
fn receiver(does: Does) -> (u16, Receiver<Request>) {
    serve(move |stream, seen| handle(stream, &does, &seen))
}

fn serve(handle: impl Fn(TcpStream, Sender<Request>) + Send + 'static) -> (u16, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tx, rx) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            handle(stream, tx.clone());
        }
    });
    (port, rx)
}

fn handle(mut stream: impl Read + Write, does: &Does, seen: &Sender<Request>) {
    let Some(request) = read(&mut stream) else { return };
    let _ = seen.send(request);
    match does {
        Does::Answers(text) => drop(stream.write_all(text.as_bytes()).and_then(|()| stream.flush())),
        Does::Drops => {}
        Does::Hangs => drop(stream.read_to_end(&mut Vec::new())),
    }
}

fn read(stream: &mut impl Read) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or("0", |(_, value)| value);
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line: line.trim_end().to_owned(), headers, body: String::from_utf8(body).unwrap() })
}

async fn send(does: Does) -> Outcome {
    let (port, _seen) = receiver(does);
    Webhook::new(config(&format!("http://127.0.0.1:{port}/hook"))).unwrap().send(&delivery(), now()).await
}

#[tokio::test]
async fn security_32_a_message_arrives_signed_and_its_receiver_can_verify_it() {
    let (port, seen) = receiver(answers("200 OK", "", r#"{"reference": "TKT-17"}"#));
    let webhook = Webhook::new(config(&format!("http://127.0.0.1:{port}/hook?a=b"))).unwrap();
    let outcome = webhook.send(&delivery(), now()).await;
    assert_eq!(outcome, Outcome::Delivered { reference: "TKT-17".into(), known_as: None });
    let request = seen.recv().unwrap();
    assert_eq!(request.line, "POST /hook?a=b HTTP/1.1");
    assert_eq!(
        request.body,
        r#"{"type":"incident.opened","timestamp":"2026-11-16T16:10:00Z","data":{"incident":"northgate/INC-2041"}}"#
    );
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let later = now() + SignedDuration::from_secs(60);
    assert_eq!(
        verify(&SECRET.parse().unwrap(), headers.clone(), request.body.as_bytes(), later),
        Ok("inc-2041-opened")
    );
    let names: Vec<_> = headers.map(|(name, _)| name).collect();
    assert!(names.contains(&"content-type") && !names.contains(&"authorization") && !names.contains(&"cookie"));
}

#[tokio::test]
async fn a_repetition_has_the_same_id_and_a_new_time_and_signature() {
    let (port, seen) = receiver(answers("503 No", "", ""));
    let webhook = Webhook::new(config(&format!("http://127.0.0.1:{port}/"))).unwrap();
    for at in [now(), now() + SignedDuration::from_secs(7)] {
        assert!(matches!(webhook.send(&delivery(), at).await, Outcome::Retry { .. }));
    }
    let header = |request: &Request, name| request.headers.iter().find(|(known, _)| known == name).unwrap().1.clone();
    let [first, second] = [seen.recv().unwrap(), seen.recv().unwrap()];
    assert_eq!(header(&first, HEADER_ID), header(&second, HEADER_ID));
    assert_eq!(first.body, second.body);
    for name in [HEADER_TIMESTAMP, HEADER_SIGNATURE] {
        assert_ne!(header(&first, name), header(&second, name));
    }
}

#[tokio::test]
async fn every_status_has_its_outcome() {
    let word = |outcome: &Outcome| match outcome {
        Outcome::Delivered { .. } => "delivered",
        Outcome::Retry { .. } => "retry",
        Outcome::Permanent { .. } => "permanent",
        Outcome::Unclear { .. } => "unclear",
    };
    for (expected, statuses) in [
        ("delivered", "200 201 202 204 299"),
        ("retry", "401 403 404 408 421 423 425 429 500 503 507 599 302 303 307"),
        ("unclear", "502 504"),
        ("permanent", "400 405 409 410 413 415 422 451 301 308 304"),
    ] {
        for status in statuses.split(' ') {
            let outcome = send(answers(&format!("{status} X"), "location: http://127.0.0.1:1/\r\n", "")).await;
            assert_eq!(word(&outcome), expected, "{status}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let outcome = send(answers("429 Slow down", "retry-after: 7\r\n", "")).await;
    let not_before = Some(now() + SignedDuration::from_secs(7));
    assert_eq!(outcome, Outcome::Retry { why: "answered with 429 Too Many Requests".into(), not_before });
}

#[tokio::test]
async fn without_a_reference_the_key_stands_for_it_and_a_hostile_one_is_cut() {
    let hostile = serde_json::json!({"reference": format!("\u{1b}[2J{}", "x".repeat(500))}).to_string();
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(300_000));
    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"refer".to_owned();
    for (does, reference) in [
        (answers("204 No Content", "", ""), "inc-2041-opened".to_owned()),
        (answers("200 OK", "", "[]"), "inc-2041-opened".to_owned()),
        (answers("200 OK", "", &hostile), format!("[2J{}", "x".repeat(125))),
        (Does::Answers(endless), "inc-2041-opened".to_owned()),
        (Does::Answers(broken), "inc-2041-opened".to_owned()),
    ] {
        assert_eq!(send(does).await, Outcome::Delivered { reference, known_as: None });
    }
}

#[tokio::test]
async fn a_message_that_was_taken_without_an_answer_is_unclear() {
    for does in [Does::Drops, Does::Hangs, Does::Answers("HTTP/1.1 20".into()), Does::Answers("hello\r\n\r\n".into())] {
        let started = std::time::Instant::now();
        let outcome = send(does).await;
        assert!(matches!(outcome, Outcome::Unclear { .. }), "{outcome:?}");
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_receiver_that_cannot_be_connected_to_is_tried_again() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let webhook = Webhook::new(config(&format!("http://127.0.0.1:{closed}/token-in-path"))).unwrap();
    let Outcome::Retry { why, not_before: None } = webhook.send(&delivery(), now()).await else { panic!() };
    assert!(why.contains("refused") && !why.contains("token"), "{why}");
}

#[tokio::test]
async fn security_31_a_private_receiver_is_not_even_connected_to() {
    let (port, seen) = receiver(answers("200 OK", "", ""));
    let public = WebhookConfig { host: HostRule::Public, ..config(&format!("https://127.0.0.1:{port}/")) };
    let Outcome::Permanent { why } = Webhook::new(public).unwrap().send(&delivery(), now()).await else { panic!() };
    assert!(why.contains("administrator"), "{why}");
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn security_31_a_redirect_to_another_host_is_not_followed() {
    let (other, at_other) = receiver(answers("200 OK", "", ""));
    let outcome = send(answers("307 Go", &format!("location: http://127.0.0.2:{other}/\r\n"), "")).await;
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    assert!(at_other.try_recv().is_err());
}

#[tokio::test]
async fn after_something_unclear_what_is_there_is_not_sent_again() {
    let look_up = |does: Does| async {
        let (port, seen) = receiver(does);
        let look_up_url = Some(format!("http://127.0.0.1:{port}/hook?key={{reference}}"));
        let config = WebhookConfig { look_up_url, ..config(&format!("http://127.0.0.1:{port}/hook")) };
        let outcome = Webhook::new(config).unwrap().look_up_then_send(&delivery(), &[], now()).await;
        let lines: Vec<_> = seen.try_iter().map(|request| request.line).collect();
        (outcome, lines)
    };
    let get = "GET /hook?key=inc-2041-opened HTTP/1.1";
    let (found, lines) = look_up(answers("200 OK", "", r#"{"reference": "TKT-17"}"#)).await;
    assert_eq!(
        (found, lines),
        (Outcome::Delivered { reference: "TKT-17".into(), known_as: None }, vec![get.to_owned()])
    );
    let (missing, lines) = look_up(answers("404 Not Found", "", "")).await;
    assert!(matches!(missing, Outcome::Retry { .. }), "{missing:?}");
    assert_eq!(lines, [get, "POST /hook HTTP/1.1"]);
    let (found, lines) = look_up(answers("200 OK", "", r#"[{"external_ref": "inc-2041-opened"}]"#)).await;
    assert_eq!(
        (found, lines),
        (Outcome::Delivered { reference: "inc-2041-opened".into(), known_as: None }, vec![get.to_owned()])
    );
    // An empty list: it is sent, and the same answer takes it.
    let (sent, lines) = look_up(answers("200 OK", "", "[]")).await;
    assert!(matches!(sent, Outcome::Delivered { .. }), "{sent:?}");
    assert_eq!(lines, [get, "POST /hook HTTP/1.1"]);
    let long = format!("[{}\"inc-2041-opened\"]", "0,".repeat(40_000));
    for does in [
        answers("500 No", "", ""),
        answers("401 No", "", ""),
        answers("429 Later", "retry-after: 1\r\n", ""),
        answers("204 No Content", "", ""),
        answers("200 OK", "", "<html>"),
        answers("200 OK", "", &long),
        Does::Answers("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n[]".into()),
        Does::Drops,
        Does::Hangs,
    ] {
        let (failed, lines) = look_up(does).await;
        assert!(matches!(failed, Outcome::Unclear { .. }), "{failed:?}");
        assert_eq!(lines, [get]);
    }
}

#[tokio::test]
async fn what_the_receiver_has_under_another_key_is_not_sent_and_one_that_does_not_say_is_asked_again() {
    let keys: Vec<DeliveryKey> = (0..16).map(|at| format!("inc-2041-{at:02}").parse().unwrap()).collect();
    let look_up = |has: &'static str, fails: &'static str| {
        let keys = keys.clone();
        async move {
            let (port, seen) = serve(move |mut stream, seen| {
                let Some(request) = read(&mut stream) else { return };
                let is_about = |key: &str| !key.is_empty() && request.line.contains(key);
                let does = match (is_about(has), is_about(fails)) {
                    (true, _) => answers("200 OK", "", r#"{"reference": "TKT-17"}"#),
                    (_, true) => answers("503 Later", "", ""),
                    (false, false) if request.line.starts_with("POST") => answers("200 OK", "", ""),
                    (false, false) => answers("404 Not Found", "", ""),
                };
                let _ = seen.send(request);
                let Does::Answers(text) = does else { return };
                drop(stream.write_all(text.as_bytes()));
            });
            let look_up_url = Some(format!("http://127.0.0.1:{port}/{{reference}}"));
            let url = format!("http://127.0.0.1:{port}/hook");
            let config = WebhookConfig { look_up_url, timeout: Duration::from_secs(20), ..config(&url) };
            let outcome = Webhook::new(config).unwrap().look_up_then_send(&delivery(), &keys, now()).await;
            let is_sent = seen.try_iter().any(|request| request.line.starts_with("POST"));
            (outcome, is_sent)
        }
    };
    let found = Outcome::Delivered { reference: "TKT-17".into(), known_as: Some(keys[13].clone()) };
    assert_eq!(look_up("inc-2041-13", "").await, (found, false));
    let (failed, is_sent) = look_up("", "inc-2041-13").await;
    assert!(matches!(failed, Outcome::Unclear { .. }) && !is_sent, "{failed:?}");
    // Nothing is known of it by any name.
    let sent = Outcome::Delivered { reference: "inc-2041-opened".into(), known_as: None };
    assert_eq!(look_up("", "").await, (sent, true));
}

#[tokio::test]
async fn security_31_a_look_up_goes_to_no_private_host_and_follows_no_redirect() {
    let asked = |url: String, host: HostRule| async move {
        let look_up_url = Some(format!("{url}?key={{reference}}"));
        let config = WebhookConfig { look_up_url, host, ..config(&url) };
        Webhook::new(config).unwrap().look_up(&delivery().key, now()).await
    };
    let (port, seen) = receiver(answers("200 OK", "", "[]"));
    let refused = asked(format!("https://127.0.0.1:{port}/"), HostRule::Public).await;
    assert!(matches!(&refused, LookUp::Failed { why } if why.contains("administrator")), "{refused:?}");
    assert!(seen.try_recv().is_err());
    let (moved, _) = receiver(answers("302 Found", &format!("location: http://127.0.0.1:{port}/\r\n"), ""));
    let refused = asked(format!("http://127.0.0.1:{moved}/"), HostRule::PrivateAllowed).await;
    assert!(matches!(refused, LookUp::Failed { .. }), "{refused:?}");
    assert!(seen.try_recv().is_err());
}

#[test]
fn a_key_is_its_own_percent_encoding() {
    let key: DeliveryKey = "AZaz09-_".parse().unwrap();
    let url = Url::parse(&"https://a.example/{reference}?b={reference}".replace(REFERENCE_PLACE, key.as_str()));
    assert_eq!(url.unwrap().as_str(), "https://a.example/AZaz09-_?b=AZaz09-_");
    for strange in ["key 0000", "key&0000", "key%0000", "key/0000", "k\u{e9}y00000"] {
        assert!(strange.parse::<DeliveryKey>().is_err(), "{strange}");
    }
}

#[tokio::test]
async fn a_look_up_is_signed_over_an_empty_body() {
    let (port, seen) = receiver(answers("404 Not Found", "", ""));
    let look_up_url = Some(format!("http://127.0.0.1:{port}/{{reference}}"));
    let config = WebhookConfig { look_up_url, ..config(&format!("http://127.0.0.1:{port}/")) };
    assert_eq!(Webhook::new(config).unwrap().look_up(&delivery().key, now()).await, LookUp::NotFound);
    let request = seen.recv().unwrap();
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    assert_eq!(verify(&SECRET.parse().unwrap(), headers, b"", now()), Ok("inc-2041-opened"));
    let without = Webhook::new(self::config(&format!("http://127.0.0.1:{port}/"))).unwrap();
    assert_eq!(without.look_up(&delivery().key, now()).await, LookUp::Unsupported);
}

#[tokio::test]
async fn over_tls_only_a_trusted_receiver_gets_the_message() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let der = certificate.der().clone();
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let tls = Arc::new(tls);
    let (port, seen) = serve(move |stream, seen| {
        let connection = ServerConnection::new(Arc::clone(&tls)).unwrap();
        handle(StreamOwned::new(connection, stream), &answers("200 OK", "", ""), &seen);
    });
    let url = format!("https://localhost:{port}/");
    let untrusted = Webhook::new(config(&url)).unwrap().send(&delivery(), now()).await;
    assert!(matches!(untrusted, Outcome::Retry { .. }), "{untrusted:?}");
    assert!(seen.try_recv().is_err());
    let trusted = Webhook::with_roots(config(&url), vec![der]).unwrap().send(&delivery(), now()).await;
    assert!(matches!(trusted, Outcome::Delivered { .. }), "{trusted:?}");
    assert_eq!(seen.recv().unwrap().line, "POST / HTTP/1.1");
}

#[test]
fn configurations_that_cannot_be_meant_are_refused_by_name() {
    let refused = |config| Webhook::new(config).unwrap_err().to_string();
    let public = |url: &str| WebhookConfig { host: HostRule::Public, ..config(url) };
    assert!(refused(public("http://hooks.example/secret-path")).contains("hooks.example must begin with https://"));
    assert!(refused(config("ftp://hooks.example/")).contains("https://"));
    assert!(refused(config("https://user:pw@hooks.example/")).contains("credentials"));
    for (template, why) in [
        ("https://hooks.example/", "{reference}"),
        ("https://other.example/{reference}", "on the host and port"),
        ("https://hooks.example:8443/{reference}", "on the host and port"),
        ("http://hooks.example/{reference}", "on the host and port"),
        ("{reference}", "no address"),
        ("https://hooks.example/#{reference}", "in its path or query"),
        ("https://user:{reference}@hooks.example/?a={reference}", "credentials"),
    ] {
        let config = WebhookConfig { look_up_url: Some(template.to_owned()), ..public("https://hooks.example/") };
        assert!(refused(config).contains(why), "{template}");
    }
    assert!(!format!("{:?}", Webhook::new(public("https://hooks.example/")).unwrap()).contains("MfKQ"));
}

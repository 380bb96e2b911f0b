//! Real servers on loopback: plain ones in a few lines, TLS ones with certificates made for the test.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring};
use upheld_model::{
    CheckSpec, ProbeSpec,
    check::{HttpAuth, HttpScheme, HttpTrust},
};

use super::*;
use crate::{
    testing::{self, evidence, number, serve, spec},
    tls::testing::{chain, versions},
};

fn get(url: &str, status: Option<u16>) -> CheckSpec {
    testing::check(ProbeSpec::NetHttp { url: url.to_owned(), status, tls_warn_days: 21, tls_bad_days: 7, auth: None })
}

async fn run(port: u16, check: CheckSpec) -> ProbeResult {
    testing::prober(&format!("loopback_ports = [{port}]")).run(&check).await
}

/// Reads one request's head and writes `answer`.
fn answer(mut stream: impl Read + Write, answer: &str) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
        head.push(byte[0]);
    }
    let _ = stream.write_all(answer.as_bytes());
    let _ = stream.flush();
    String::from_utf8_lossy(&head).into_owned()
}

fn plain(text: &'static str) -> u16 {
    serve(move |stream| drop(answer(stream, text)))
}

#[tokio::test]
async fn a_page_is_ok_with_its_status_times_and_size() {
    let port = plain("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let result = run(port, get(&format!("http://127.0.0.1:{port}/status?x=1"), None)).await;
    assert_eq!(result.outcome, Outcome::Ok, "{result:?}");
    assert_eq!((number(&result, "status"), number(&result, "body_bytes")), (200.0, 5.0));
    let times = ["connect_ms", "first_byte_ms", "total_ms"].map(|name| number(&result, name));
    assert!(times[0] > 0.0 && times[2] >= times[0] && times[2] >= times[1], "{times:?}");
}

#[tokio::test]
async fn the_request_says_who_asks_and_closes_and_carries_nothing_else() {
    let (tx, rx) = std::sync::mpsc::channel();
    let port = serve(move |stream| tx.send(answer(stream, "HTTP/1.1 204 No Content\r\n\r\n")).unwrap());
    let result = run(port, get(&format!("http://127.0.0.1:{port}/a%20b?c=d#fragment"), Some(204))).await;
    assert_eq!(result.outcome, Outcome::Ok, "{result:?}");
    let head = rx.recv().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let mut lines: Vec<&str> = head.trim_end().lines().collect();
    assert_eq!(lines.remove(0), "GET /a%20b?c=d HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: 127.0.0.1:{port}");
    let agent = format!("user-agent: upheld-agent/{version}");
    assert_eq!(lines, ["accept: */*", "connection: close", &host, &agent]);
}

/// A check that logs in with the secret `nvr-web`.
fn get_as(url: &str, scheme: HttpScheme, trust: HttpTrust, status: Option<u16>) -> CheckSpec {
    let auth = Some(HttpAuth { scheme, secret: "nvr-web".parse().unwrap(), trust });
    testing::check(ProbeSpec::NetHttp { url: url.to_owned(), status, tls_warn_days: 21, tls_bad_days: 7, auth })
}

fn viewer() -> HttpScheme {
    HttpScheme::Basic { user: "viewer".to_owned() }
}

fn with_secret(allow: &str, value: &str) -> crate::Prober {
    let prober = testing::prober(allow);
    let mut secrets = crate::Secrets::default();
    secrets.insert("nvr-web".parse().unwrap(), crate::Secret::new(value.to_owned()));
    prober.secrets_are(secrets);
    prober
}

#[tokio::test]
async fn a_login_is_sent_as_basic_or_bearer_and_nothing_of_it_is_in_the_result() {
    for (scheme, sent) in [
        (viewer(), "authorization: Basic dmlld2VyOmNhbmFyeS1wYXNz"),
        (HttpScheme::Bearer, "authorization: Bearer canary-pass"),
    ] {
        let (tx, rx) = std::sync::mpsc::channel();
        let port =
            serve(move |stream| tx.send(answer(stream, "HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n")).unwrap());
        let prober = with_secret(&format!("loopback_ports = [{port}]"), "canary-pass");
        let check = get_as(&format!("http://127.0.0.1:{port}/"), scheme, HttpTrust::Certificate, None);
        let result = prober.run(&check).await;
        assert_eq!(result.outcome, Outcome::Bad, "{result:?}");
        let head = rx.recv().unwrap();
        assert!(head.lines().any(|line| line == sent), "{head}");
        let printed = format!("{result:?}");
        assert!(!printed.contains("canary") && !printed.contains("dmlld2VyOm"), "{printed}");
    }
}

#[tokio::test]
async fn a_missing_secret_asks_nobody_and_is_unknown_with_the_command() {
    let port = serve(|_| panic!("somebody connected"));
    let check = get_as(&format!("http://127.0.0.1:{port}/"), viewer(), HttpTrust::Certificate, None);
    let result = run(port, check).await;
    assert_eq!(result.outcome, Outcome::unknown(UnknownReason::SecretMissing), "{result:?}");
    assert!(evidence(&result).contains("upheld-agent secret set nvr-web"), "{result:?}");
}

#[tokio::test]
async fn a_page_that_refuses_the_login_is_unknown_and_one_that_should_is_ok() {
    let port = plain("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n");
    let prober = with_secret(&format!("loopback_ports = [{port}]"), "canary-pass");
    let url = format!("http://127.0.0.1:{port}/");
    for (status, outcome) in [
        (None, Outcome::unknown(UnknownReason::Credentials)),
        (Some(200), Outcome::unknown(UnknownReason::Credentials)),
        (Some(401), Outcome::Ok),
    ] {
        let result = prober.run(&get_as(&url, viewer(), HttpTrust::Certificate, status)).await;
        assert_eq!(result.outcome, outcome, "{status:?} {result:?}");
        assert_eq!(number(&result, "status"), 401.0);
    }
    let result = prober.run(&get_as(&url, viewer(), HttpTrust::Certificate, None)).await;
    assert!(evidence(&result).contains("refuses the user viewer with the secret nvr-web"), "{result:?}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed_with_the_login() {
    let elsewhere = serve(|_| panic!("the redirect was followed"));
    let text = format!("HTTP/1.1 302 There\r\nlocation: http://127.0.0.1:{elsewhere}/\r\ncontent-length: 0\r\n\r\n");
    let port = serve(move |stream| drop(answer(stream, &text)));
    let prober = with_secret(&format!("loopback_ports = [{port}, {elsewhere}]"), "canary-pass");
    let check = get_as(&format!("http://127.0.0.1:{port}/"), viewer(), HttpTrust::Certificate, None);
    assert_eq!(number(&prober.run(&check).await, "status"), 302.0);
}

#[tokio::test]
async fn the_collector_is_never_sent_a_secret() {
    let port = serve(|stream| panic!("sent: {}", answer(stream, "HTTP/1.1 200 Ok\r\n\r\n")));
    let prober = with_secret(&format!("loopback_ports = [{port}]"), "canary-pass");
    prober.collector_is_at(vec![([127, 0, 0, 1], port).into()]);
    let check = get_as(&format!("http://127.0.0.1:{port}/"), viewer(), HttpTrust::Network, None);
    let result = prober.run(&check).await;
    assert_eq!(result.outcome, Outcome::unknown(UnknownReason::NotAllowed), "{result:?}");
    assert!(evidence(&result).contains("no secret is ever sent there"), "{result:?}");
}

#[tokio::test]
async fn a_token_that_would_add_a_header_is_not_sent() {
    let port = serve(|stream| panic!("sent: {}", answer(stream, "HTTP/1.1 200 Ok\r\n\r\n")));
    let prober = with_secret(&format!("loopback_ports = [{port}]"), "canary\r\nx-other: 1");
    let check = get_as(&format!("http://127.0.0.1:{port}/"), HttpScheme::Bearer, HttpTrust::Certificate, None);
    let result = prober.run(&check).await;
    assert_eq!(result.outcome, Outcome::unknown(UnknownReason::Credentials), "{result:?}");
    assert!(!format!("{result:?}").contains("canary"), "{result:?}");
}

#[test]
fn a_login_goes_to_this_host_or_to_whom_an_authority_vouches_for_or_where_the_book_trusts_the_network() {
    let shelf = crate::secret::Shelf::default();
    let mut secrets = crate::Secrets::default();
    secrets.insert("nvr-web".parse().unwrap(), crate::Secret::new("canary".to_owned()));
    shelf.put(secrets);
    let login = |trust| {
        Login::of(&HttpAuth { scheme: viewer(), secret: "nvr-web".parse().unwrap(), trust }, &shelf).ok().unwrap()
    };
    let (here, there) = ("127.0.0.1".parse().unwrap(), "10.0.0.9".parse().unwrap());
    let unknown = certificate::Certificate::default();
    for (trust, peer, certificate, is_sent) in [
        (HttpTrust::Certificate, here, None, true),
        (HttpTrust::Certificate, there, None, false),
        (HttpTrust::Certificate, there, Some(&unknown), false),
        (HttpTrust::Network, there, None, true),
        (HttpTrust::Network, there, Some(&unknown), true),
    ] {
        let header = login(trust).for_peer(peer, certificate);
        assert_eq!(header.is_ok(), is_sent, "{trust:?} {peer}");
        match header {
            Ok(header) => assert_eq!(format!("{header:?}"), "Sensitive"),
            Err(result) => assert!(evidence(&result).contains("trust = \"network\""), "{result:?}"),
        }
    }
}

#[tokio::test]
async fn the_status_rule_decides() {
    for (text, wanted, outcome) in [
        ("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", None, Outcome::Bad),
        ("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", Some(404), Outcome::Ok),
        ("HTTP/1.1 200 Ok\r\ncontent-length: 0\r\n\r\n", Some(404), Outcome::Bad),
        ("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", None, Outcome::unknown(UnknownReason::Credentials)),
        ("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", Some(401), Outcome::Ok),
        ("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", Some(200), Outcome::Bad),
    ] {
        let port = plain(text);
        let result = run(port, get(&format!("http://127.0.0.1:{port}/"), wanted)).await;
        assert_eq!(result.outcome, outcome, "{text} {wanted:?} {result:?}");
    }
}

#[tokio::test]
async fn security_3_a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = testing::listener();
    let to = elsewhere.local_addr().unwrap().port();
    let port = serve(move |stream| {
        drop(answer(
            stream,
            &format!("HTTP/1.1 302 Go\r\nlocation: http://127.0.0.1:{to}/\r\ncontent-length: 0\r\n\r\n"),
        ));
    });
    let prober = testing::prober(&format!("loopback_ports = [{port}, {to}]"));
    let result = prober.run(&get(&format!("http://127.0.0.1:{port}/"), None)).await;
    assert_eq!((result.outcome.clone(), number(&result, "status")), (Outcome::Ok, 302.0));
    elsewhere.set_nonblocking(true).unwrap();
    assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn an_endless_body_is_read_up_to_its_limit_only() {
    let port = serve(|mut stream: TcpStream| {
        drop(answer(&stream, "HTTP/1.1 200 OK\r\n\r\n"));
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let result = run(port, get(&format!("http://127.0.0.1:{port}/"), None)).await;
    assert_eq!(result.outcome, Outcome::Ok, "{result:?}");
    assert_eq!(number(&result, "body_bytes"), BODY_MAX as f64);
}

#[tokio::test]
async fn servers_that_hang_break_off_or_talk_nonsense_are_bad_within_the_timeout() {
    let hang = |text: &'static str| {
        move |stream: TcpStream| {
            drop(answer(&stream, text));
            let _ = (&stream).read_to_end(&mut Vec::new());
        }
    };
    for (port, why) in [
        (serve(hang("")), "no whole answer within"),
        (serve(hang("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal")), "no whole answer within"),
        (plain("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal"), "broke off"),
        (plain(""), "no HTTP answer"),
        (plain("SSH-2.0-OpenSSH_9.2\r\n"), "no HTTP answer"),
    ] {
        let result = run(port, spec(get(&format!("http://127.0.0.1:{port}/"), None), 400)).await;
        assert_eq!(result.outcome, Outcome::Bad, "{why}: {result:?}");
        assert!(evidence(&result).contains(why), "{why}: {result:?}");
        assert!(result.took < Duration::from_secs(3), "{:?}", result.took);
    }
}

#[tokio::test]
async fn an_address_that_may_not_or_cannot_be_asked_is_unknown() {
    let prober = testing::prober("");
    for (url, reason) in [
        ("http://127.0.0.1:80/", UnknownReason::NotAllowed),
        ("http://169.254.169.254/latest/meta-data/", UnknownReason::NotAllowed),
        ("http://[fe80::1]/", UnknownReason::NotAllowed),
        ("http://0x7f.1/", UnknownReason::NotAllowed),
        ("http://user:secret@10.0.0.1/", UnknownReason::CannotProbe),
        ("http://:80/", UnknownReason::CannotProbe),
    ] {
        let result = prober.run(&get(url, None)).await;
        assert_eq!(result.outcome, Outcome::unknown(reason), "{url}: {result:?}");
    }
}

/// A server with a certificate that begins `from` and ends `to` days from this moment.
fn tls(names: &[&str], from: i64, to: i64, issuer_to: Option<i64>) -> u16 {
    let (chain, key) = chain(names, from, to, issuer_to);
    let config = versions().with_no_client_auth().with_single_cert(chain, key).unwrap();
    serve_tls(config)
}

fn serve_tls(config: ServerConfig) -> u16 {
    let config = Arc::new(config);
    serve(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        drop(answer(StreamOwned::new(connection, stream), "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    })
}

#[tokio::test]
async fn certificates_are_judged_by_the_days_they_have_left() {
    for (to, outcome, why) in [
        (90, Outcome::Ok, ""),
        (15, Outcome::Warn, "the certificate expires in 1"),
        (5, Outcome::Bad, "the certificate expires in"),
        (-3, Outcome::Bad, "the certificate expired"),
    ] {
        let port = tls(&["127.0.0.1"], -30, to, None);
        let result = run(port, get(&format!("https://127.0.0.1:{port}/"), None)).await;
        assert_eq!(result.outcome, outcome, "{to} days: {result:?}");
        assert!(evidence(&result).contains(why), "{to} days: {result:?}");
        let left = number(&result, "tls_days_left");
        assert!(left <= to as f64 + 0.1 && left > to as f64 - 1.1, "{left} of {to}");
        assert_eq!(number(&result, "status"), 200.0);
        assert!(number(&result, "tls_ms") > 0.0);
    }
}

#[tokio::test]
async fn a_self_made_certificate_is_normal_and_flagged_and_its_name_is_looked_at_apart() {
    let port = tls(&["127.0.0.1"], -1, 90, None);
    let fits = run(port, get(&format!("https://127.0.0.1:{port}/"), None)).await;
    assert_eq!((number(&fits, "tls_trusted"), number(&fits, "tls_name_fits")), (0.0, 1.0));
    let port = tls(&["nvr.example"], -1, 90, None);
    let differs = run(port, get(&format!("https://127.0.0.1:{port}/"), None)).await;
    assert_eq!(differs.outcome, Outcome::Ok);
    assert_eq!((number(&differs, "tls_trusted"), number(&differs, "tls_name_fits")), (0.0, 0.0));
}

#[tokio::test]
async fn an_issuer_that_ends_soon_counts_like_the_certificate_where_the_public_does_not_trust_it() {
    let port = tls(&["127.0.0.1"], -1, 90, Some(4));
    let result = run(port, get(&format!("https://127.0.0.1:{port}/"), None)).await;
    assert_eq!(result.outcome, Outcome::Bad, "{result:?}");
    assert!(evidence(&result).contains("issuer"), "{result:?}");
    assert!(number(&result, "tls_issuer_days_left") < 5.0 && number(&result, "tls_days_left") > 80.0);
}

#[tokio::test]
async fn a_certificate_of_the_future_warns() {
    let port = tls(&["127.0.0.1"], 3, 90, None);
    let result = run(port, get(&format!("https://127.0.0.1:{port}/"), None)).await;
    assert_eq!(result.outcome, Outcome::Warn, "{result:?}");
    assert!(evidence(&result).contains("clock"), "{result:?}");
}

#[tokio::test]
async fn a_plain_server_behind_https_is_bad() {
    // Such a server answers as soon as it sees what is no HTTP.
    let port = serve(|mut stream: TcpStream| drop(stream.write_all(b"HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n")));
    let result = run(port, spec(get(&format!("https://127.0.0.1:{port}/"), None), 500)).await;
    assert_eq!(result.outcome, Outcome::Bad, "{result:?}");
    assert!(evidence(&result).contains("TLS"), "{result:?}");
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_is_unknown() {
    let (chain, key) = chain(&["127.0.0.1"], -1, 90, Some(90));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(chain[1].clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let port = serve_tls(versions().with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap());
    let result = run(port, get(&format!("https://127.0.0.1:{port}/"), None)).await;
    assert_eq!(result.outcome, Outcome::unknown(UnknownReason::Credentials), "{result:?}");
    assert_eq!(number(&result, "tls_name_fits"), 1.0, "its certificate is looked at all the same");
}

#[tokio::test]
async fn a_server_too_old_for_our_tls_is_our_limit_and_not_its_fault() {
    // The alert `protocol_version` (70), fatal, in a record of TLS 1.0.
    let port = serve(|mut stream: TcpStream| {
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).unwrap();
        let mut rest = vec![0; usize::from(u16::from_be_bytes([hello[3], hello[4]]))];
        stream.read_exact(&mut rest).unwrap();
        stream.write_all(&[0x15, 3, 1, 0, 2, 2, 70]).unwrap();
    });
    let result = run(port, get(&format!("https://127.0.0.1:{port}/"), None)).await;
    assert_eq!(result.outcome, Outcome::unknown(UnknownReason::CannotProbe), "{result:?}");
    assert!(evidence(&result).contains("1.2"), "{result:?}");
}

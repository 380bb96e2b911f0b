//! Servers with certificates made for the test. A real one (nginx) is asked in `tests/e2e/peers/tls.rs`.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned, version};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use upheld_model::{CheckSpec, ProbeSpec};

use super::*;
use crate::{
    Prober,
    testing::{self as tests, evidence, number, serve},
};
use testing::{chain, versions};

type Chain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn serve_tls(config: ServerConfig) -> u16 {
    let config = Arc::new(config);
    serve(move |stream| {
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
        // Until whoever asked has seen enough.
        let _ = stream.read(&mut [0]);
    })
}

fn with((certificates, key): &Chain) -> u16 {
    serve_tls(versions().with_no_client_auth().with_single_cert(certificates.clone(), key.clone_key()).unwrap())
}

fn spec(port: u16) -> TlsSpec {
    TlsSpec { target: "127.0.0.1".to_owned(), port, server_name: None, pin: None, tls_warn_days: 21, tls_bad_days: 7 }
}

async fn look_with(prober: &Prober, spec: TlsSpec) -> ProbeResult {
    prober.run(&CheckSpec { timeout_ms: 3_000, ..tests::check(ProbeSpec::NetTls(spec)) }).await
}

async fn look(spec: TlsSpec) -> ProbeResult {
    look_with(&tests::prober(&format!("loopback_ports = [{}]", spec.port)), spec).await
}

fn key(result: &ProbeResult) -> String {
    match &result.values["key"] {
        upheld_model::sample::Value::Text(text) => text.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_device_that_signed_its_own_certificate_for_another_name_is_good_and_told_as_it_is() {
    let seen = look(spec(with(&chain(&["nvr.local"], -30, 90, None)))).await;
    assert_eq!(seen.outcome, Outcome::Ok, "{seen:?}");
    assert_eq!((number(&seen, "tls_trusted"), number(&seen, "tls_name_fits")), (0.0, 0.0));
    assert_eq!((number(&seen, "tls_chain"), &seen.values["tls_version"]), (1.0, &"1.3".into()));
    assert!((number(&seen, "tls_days_left") - 90.0).abs() < 2.0, "{seen:?}");
    let named =
        TlsSpec { server_name: Some("nvr.local".to_owned()), ..spec(with(&chain(&["nvr.local"], -1, 90, None))) };
    assert_eq!(number(&look(named).await, "tls_name_fits"), 1.0);
}

#[tokio::test]
async fn leaf_and_issuer_are_judged_by_their_days() {
    for (to, issuer_to, outcome, words) in [
        (90, None, Outcome::Ok, ""),
        (15, None, Outcome::Warn, "the certificate expires in 1"),
        (5, None, Outcome::Bad, "the certificate expires in"),
        (-3, None, Outcome::Bad, "the certificate expired"),
        (90, Some(5), Outcome::Bad, "its issuer's expires in"),
        (90, Some(15), Outcome::Warn, "its issuer's expires in"),
    ] {
        let seen = look(spec(with(&chain(&["127.0.0.1"], -30, to, issuer_to)))).await;
        assert_eq!(seen.outcome, outcome, "{to} {issuer_to:?}: {seen:?}");
        assert!(evidence(&seen).contains(words), "{seen:?}");
    }
}

#[tokio::test]
async fn the_key_that_was_seen_first_is_remembered_and_another_one_is_bad_until_a_person_names_it() {
    let (first, second) = (chain(&["nvr.local"], -1, 90, None), chain(&["nvr.local"], -1, 90, None));
    // The device is replaced behind the same address.
    let (before, after) = (with(&first), with(&second));
    let prober = tests::prober(&format!("loopback_ports = [{before}, {after}]"));
    let seen = look_with(&prober, spec(before)).await;
    let first_key = key(&seen);
    assert_eq!(seen.outcome, Outcome::Ok, "{seen:?}");
    let mut memory = prober.memory();
    memory.keys.values_mut().for_each(|seen| seen.server = format!("127.0.0.1:{after} "));
    // What is remembered outlives the process.
    let kept = serde_json::to_string(&memory).unwrap();
    let prober = tests::prober(&format!("loopback_ports = [{before}, {after}]"));
    prober.recall(serde_json::from_str(&kept).unwrap());
    for _ in 0..2 {
        let seen = look_with(&prober, spec(after)).await;
        let second_key = key(&seen);
        assert_eq!(seen.outcome, Outcome::Bad, "{seen:?}");
        let said = evidence(&seen);
        assert!(said.contains(&first_key) && said.contains(&second_key) && second_key != first_key, "{said}");
        assert!(said.contains("name it as the check's pin"), "not cut: {said}");
    }
    let meant = TlsSpec { pin: Some(key(&look_with(&prober, spec(after)).await)), ..spec(after) };
    assert_eq!(look_with(&prober, meant).await.outcome, Outcome::Ok);
    assert_eq!(look_with(&prober, spec(after)).await.outcome, Outcome::Ok, "it is the one that is remembered now");
}

#[tokio::test]
async fn a_pin_of_the_check_is_held_from_the_first_look() {
    let pin = format!("{}{}=", upheld_model::check::PIN_PREFIX, "A".repeat(43));
    let seen = look(TlsSpec { pin: Some(pin.clone()), ..spec(with(&chain(&["127.0.0.1"], -1, 90, None))) }).await;
    assert_eq!(seen.outcome, Outcome::Bad, "{seen:?}");
    assert!(evidence(&seen).contains(&pin) && evidence(&seen).contains(&key(&seen)), "{seen:?}");
}

#[test]
fn a_trusted_certificate_may_come_with_another_key_and_one_that_is_not_may_not() {
    let tls = Tls::new();
    let check = "a/net.tls".parse().unwrap();
    let certificate = |key: &str, is_trusted| {
        let mut certificate = Certificate::default();
        certificate.key = Some(key.to_owned());
        (certificate.is_trusted, certificate.is_named) = (is_trusted, true);
        certificate
    };
    let now = "2026-11-16T16:00:00Z".parse().unwrap();
    let judge = |key: &str, is_trusted| {
        tls.judge_key(&check, &spec(443), &certificate(key, is_trusted), ProbeResult::new(Outcome::Ok), now)
    };
    assert_eq!(judge("one", true).outcome, Outcome::Ok);
    assert_eq!(judge("two", true).outcome, Outcome::Ok, "renewed");
    let seen = judge("three", false);
    assert_eq!(seen.outcome, Outcome::Bad, "somebody stands in its place");
    assert!(evidence(&seen).contains("since 2026-11-16: it was two, it is three"), "{seen:?}");
}

/// A chain whose leaf lasts from one year to another, with so many certificates above it.
fn years(from: i32, to: i32, above: usize) -> Chain {
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    (leaf.not_before, leaf.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(to, 1, 1));
    let leaf = leaf.self_signed(&key).unwrap().der().clone();
    (std::iter::repeat_n(leaf, above + 1).collect(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
}

#[tokio::test]
async fn odd_certificates_and_endless_chains_are_bounded_and_have_a_reason() {
    let seen = look(spec(with(&years(1950, 1951, 0)))).await;
    assert_eq!(seen.outcome, Outcome::Bad, "{seen:?}");
    assert!(evidence(&seen).contains("the certificate expired 2"), "{seen:?}");
    // RFC 5280 4.1.2.5: the end of 9999 stands for "never".
    let seen = look(spec(with(&years(1950, 9999, 0)))).await;
    assert_eq!(seen.outcome, Outcome::Ok, "{seen:?}");
    assert!(number(&seen, "tls_days_left") > 2_000_000.0);
    let seen = look(spec(with(&years(2020, 2900, 100)))).await;
    assert_eq!((seen.outcome.clone(), number(&seen, "tls_chain")), (Outcome::Ok, 101.0), "{seen:?}");
    // More than a handshake may have.
    let seen = look(spec(with(&years(2020, 2900, 400)))).await;
    assert_eq!(seen.outcome, Outcome::Bad, "{seen:?}");
    assert!(evidence(&seen).contains("TLS with 127.0.0.1"), "{seen:?}");
    assert!(seen.took < Duration::from_secs(5), "{seen:?}");
}

#[tokio::test]
async fn what_speaks_no_tls_or_speaks_it_for_ever_ends_in_time() {
    let flood = serve(|mut stream: TcpStream| {
        // A handshake record that promises 16 MiB and never ends, 10 MB of it.
        let record = [&[0x16, 3, 3, 0x40, 0, 0x0b, 0xff, 0xff, 0xff][..], &[0x41; 16_380]].concat();
        (0..640).take_while(|_| stream.write_all(&record).is_ok()).for_each(drop);
    });
    let slow = serve(|mut stream: TcpStream| {
        while stream.write_all(&[0x16]).is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let plain = serve(|mut stream: TcpStream| drop(stream.write_all(b"220 mail.example ESMTP\r\n")));
    for port in [flood, slow, plain] {
        let prober = tests::prober(&format!("loopback_ports = [{port}]"));
        let seen = prober.run(&CheckSpec { timeout_ms: 500, ..tests::check(ProbeSpec::NetTls(spec(port))) }).await;
        assert_eq!(seen.outcome, Outcome::Bad, "{seen:?}");
        assert!(evidence(&seen).contains("TLS"), "{seen:?}");
        assert!(seen.took < Duration::from_secs(3), "{seen:?}");
    }
}

#[tokio::test]
async fn the_older_version_is_told() {
    let (certificates, key) = chain(&["127.0.0.1"], -1, 90, None);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let old = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&version::TLS12]).unwrap();
    let port = serve_tls(old.with_no_client_auth().with_single_cert(certificates, key).unwrap());
    assert_eq!(look(spec(port)).await.values["tls_version"], "1.2".into());
}

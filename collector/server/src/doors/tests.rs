//! The doors over real TLS on loopback. Named after the numbers of SECURITY.

use std::{path::Path, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    routing::{get, post},
};
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::*;
use crate::{
    pki::{Peer, Pki},
    testing::{Identity, client, connect},
};

const DATA: &[u8] = b"upheld-data/1";
const ENROLL: &[u8] = b"upheld-enroll/1";

#[tokio::test]
async fn security_13_alpn_chooses_the_door_and_the_data_door_knows_its_peer() {
    let house = House::open(Limits::default()).await;
    let agent = house.agent("a-1", Timestamp::now());
    assert_eq!(house.ask(DATA, Some(&agent), "/who").await.unwrap(), "data a-1");
    assert_eq!(house.ask(ENROLL, None, "/who").await.unwrap(), "enrolment");
    assert_eq!(house.ask(b"", None, "/who").await.unwrap(), "portal");
    assert_eq!(
        house.ask(ENROLL, Some(&agent), "/who").await.unwrap(),
        "enrolment",
        "a certificate opens no other door"
    );
}

#[tokio::test]
async fn security_13_strangers_certificates_are_refused_in_tls() {
    let house = House::open(Limits::default()).await;
    let now = Timestamp::now();
    let elsewhere = House::open(Limits::default()).await;
    for (who, client) in [
        ("no certificate", None),
        ("self-signed", Some(house.self_signed())),
        ("another CA", Some(elsewhere.agent("a-1", now))),
        ("expired", Some(house.agent("a-1", now - SignedDuration::from_hours(24 * 46)))),
        ("not yet valid", Some(house.agent("a-1", now + SignedDuration::from_hours(48)))),
        ("serverAuth", Some(house.leaf("a-1", &[ExtendedKeyUsagePurpose::ServerAuth]))),
        ("no extended key usage", Some(house.leaf("a-1", &[]))),
        (
            "clientAuth and more",
            Some(house.leaf("a-1", &[ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth])),
        ),
    ] {
        let answer = house.ask(DATA, client.as_ref(), "/who").await;
        assert!(answer.is_err(), "{who} was let in: {answer:?}");
    }
    let agent = house.agent("a-1", now);
    assert_eq!(house.ask(DATA, Some(&agent), "/who").await.unwrap(), "data a-1", "the doors still work");
}

#[tokio::test]
async fn security_13_a_session_begun_at_another_door_does_not_resume_at_the_data_door() {
    let house = House::open(Limits::default()).await;
    let mut config = house.client(None);
    config.alpn_protocols = vec![ENROLL.to_vec(), b"http/1.1".to_vec()];
    let store = Arc::new(rustls::client::ClientSessionMemoryCache::new(8));
    config.resumption = rustls::client::Resumption::store(store);
    let mut data = config.clone();
    data.alpn_protocols = vec![DATA.to_vec(), b"http/1.1".to_vec()];
    let name = "enroll.upheld.internal";
    assert_eq!(ask_over(house.connect(config, name).await.unwrap(), "/who").await.unwrap(), "enrolment");
    // The client offers the ticket it was given at the enrolment door, under the same server name.
    let refused = match house.connect(data, name).await {
        Ok(stream) => ask_over(stream, "/who").await,
        Err(refused) => Err(refused),
    };
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn security_14_the_enrolment_door_presents_the_root_last() {
    let house = House::open(Limits::default()).await;
    let mut config = house.client(None);
    config.alpn_protocols = vec![ENROLL.to_vec(), b"http/1.1".to_vec()];
    let stream = house.connect(config, "enroll.upheld.internal").await.unwrap();
    let presented = stream.get_ref().1.peer_certificates().unwrap();
    assert_eq!(presented.last(), Some(&house.pki.root()));
}

#[tokio::test]
async fn security_14_a_swapped_certificate_is_presented_to_the_next_connection() {
    let house = House::open(Limits::default()).await;
    let leaf = |stream: &TlsStream<TcpStream>| stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
    let config = || {
        let mut config = house.client(None);
        config.alpn_protocols = vec![ENROLL.to_vec(), b"http/1.1".to_vec()];
        config
    };
    let before = house.connect(config(), "enroll.upheld.internal").await.unwrap();
    let soon = Timestamp::now() + SignedDuration::from_hours(24 * 61);
    let next = house.pki.renewed(soon).unwrap().expect("the doors' certificate is due by then");
    // Made for a later time, the certificate is not valid yet: look at it through a client that does not mind.
    house.tls.send_replace(Arc::new(TlsSet::new(&next).unwrap()));
    let refused = house.connect(config(), "enroll.upheld.internal").await.unwrap_err();
    assert!(refused.contains("not valid yet"), "{refused}");
    assert_eq!(leaf(&before), house.pki.data_door().chain[0]);
    assert_eq!(ask_over(before, "/who").await.unwrap(), "enrolment", "the open connection goes on");
}

#[tokio::test]
async fn security_19_a_handshake_or_request_that_does_not_come_closes_the_connection() {
    let house = House::open(Limits { header: Duration::from_millis(300), ..Limits::default() }).await;
    let mut silent = TcpStream::connect(house.address).await.unwrap();
    let mut half = TcpStream::connect(house.address).await.unwrap();
    half.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00]).await.unwrap();
    let mut garbage = TcpStream::connect(house.address).await.unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut no_request = house.connect(house.client(None), "data.upheld.internal").await.unwrap();
    let mut half_header = house.connect(house.client(None), "data.upheld.internal").await.unwrap();
    half_header.write_all(b"GET / HTTP/1.1\r\nx-slow: ").await.unwrap();
    for (what, closed) in [
        ("silent", ends(&mut silent).await),
        ("half a hello", ends(&mut half).await),
        ("garbage", ends(&mut garbage).await),
        ("no request", ends(&mut no_request).await),
        ("half a header", ends(&mut half_header).await),
    ] {
        assert!(closed, "{what} stayed open");
    }
    let agent = house.agent("a-1", Timestamp::now());
    assert_eq!(house.ask(DATA, Some(&agent), "/who").await.unwrap(), "data a-1");
}

#[tokio::test]
async fn security_18_a_body_over_the_bound_is_refused_with_the_bound() {
    let house = House::open(Limits::default()).await;
    let agent = house.agent("a-1", Timestamp::now());
    let stream = house.to_data(&agent).await.unwrap();
    let request = format!(
        "POST /eat HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2000\r\n\r\n{}",
        "x".repeat(2000)
    );
    let answer = exchange(stream, &request).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("at most 1000 bytes"), "{answer}");
    let stream = house.to_data(&agent).await.unwrap();
    let chunked = format!(
        "POST /eat HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n{}\r\n0\r\n\r\n",
        "x".repeat(2000)
    );
    let answer = exchange(stream, &chunked).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn security_40_a_panic_ends_only_its_own_connection() {
    let house = House::open(Limits::default()).await;
    let agent = house.agent("a-1", Timestamp::now());
    let other = house.to_data(&agent).await.unwrap();
    assert!(house.ask(DATA, Some(&agent), "/panic").await.is_err());
    assert_eq!(ask_over(other, "/who").await.unwrap(), "data a-1");
}

#[tokio::test]
async fn security_14_a_connection_ends_before_its_client_certificate_does() {
    let house = House::open(Limits::default()).await;
    // Forty-five days less two seconds ago: two seconds are left, of which a tenth is the margin.
    let made = Timestamp::now() - SignedDuration::from_secs(45 * 86_400 - 2);
    let agent = house.agent("a-1", made);
    let mut stream = house.to_data(&agent).await.unwrap();
    stream.write_all(b"GET /who HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(ends(&mut stream).await, "an idle connection with an ended certificate stayed open");
}

#[tokio::test]
async fn stopping_lets_a_request_in_flight_finish_and_takes_no_more() {
    let house = House::open(Limits::default()).await;
    let agent = house.agent("a-1", Timestamp::now());
    let mut stream = house.to_data(&agent).await.unwrap();
    stream.write_all(b"POST /eat HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab").await.unwrap();
    stream.flush().await.unwrap();
    // An answer on a second connection shows that the server has been running since the first bytes came.
    assert_eq!(house.ask(DATA, Some(&agent), "/who").await.unwrap(), "data a-1");
    house.stop.send_replace(true);
    stream.write_all(b"cd").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("ate 4"), "{answer}");
    timeout(Duration::from_secs(5), house.serving).await.expect("serve returns").unwrap();
    assert!(TcpStream::connect(house.address).await.is_err());
}

/// Open doors on a free port of loopback.
struct House {
    pki: Pki,
    folder: tempfile::TempDir,
    address: SocketAddr,
    tls: watch::Sender<Arc<TlsSet>>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl House {
    async fn open(limits: Limits) -> Self {
        // A second call only says that the provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::create(folder.path(), &["127.0.0.1".into()], Timestamp::now()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tls, tls_now) = watch::channel(Arc::new(TlsSet::new(&pki).unwrap()));
        let (stop, stopped) = watch::channel(false);
        let doors = Doors::new(listener, tls_now, routers(), limits);
        let serving = tokio::spawn(doors.serve(stopped));
        Self { pki, folder, address, tls, stop, serving }
    }

    fn agent(&self, id: &str, now: Timestamp) -> Identity {
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        let issued = self.pki.issue(&request, &id.parse().unwrap(), now).unwrap();
        let chain = CertificateDer::pem_slice_iter(issued.chain_pem.as_bytes()).map(Result::unwrap).collect();
        Identity { chain, key: key.serialize_der() }
    }

    /// A certificate by the true intermediate that our code would never give.
    fn leaf(&self, id: &str, uses: &[ExtendedKeyUsagePurpose]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut wanted = CertificateParams::default();
        wanted.subject_alt_names = vec![SanType::URI(format!("upheld:agent:{id}").try_into().unwrap())];
        wanted.extended_key_usages = uses.to_vec();
        let made = wanted.signed_by(&key, &intermediate(self.folder.path())).unwrap();
        let issuer = self.pki.data_door().chain[1].clone();
        Identity { chain: vec![made.der().clone(), issuer], key: key.serialize_der() }
    }

    fn self_signed(&self) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut wanted = CertificateParams::default();
        wanted.subject_alt_names = vec![SanType::URI("upheld:agent:a-1".try_into().unwrap())];
        wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Identity { chain: vec![wanted.self_signed(&key).unwrap().der().clone()], key: key.serialize_der() }
    }

    fn client(&self, identity: Option<&Identity>) -> ClientConfig {
        client(&self.pki, identity)
    }

    async fn connect(&self, config: ClientConfig, name: &str) -> Result<TlsStream<TcpStream>, String> {
        connect(self.address, config, name).await
    }

    async fn to_data(&self, identity: &Identity) -> Result<TlsStream<TcpStream>, String> {
        let mut config = self.client(Some(identity));
        config.alpn_protocols = vec![DATA.to_vec(), b"http/1.1".to_vec()];
        self.connect(config, "data.upheld.internal").await
    }

    async fn ask(&self, marker: &[u8], identity: Option<&Identity>, path: &str) -> Result<String, String> {
        let mut config = self.client(identity);
        if !marker.is_empty() {
            config.alpn_protocols = vec![marker.to_vec(), b"http/1.1".to_vec()];
        }
        let name = if marker == DATA { "data.upheld.internal" } else { "enroll.upheld.internal" };
        ask_over(self.connect(config, name).await?, path).await
    }
}

fn routers() -> Routers {
    let who = get(|Extension(peer): Extension<Arc<Peer>>| async move { format!("data {}", peer.agent) });
    let data = Router::new()
        .route("/who", who)
        .route("/eat", post(|body: String| async move { format!("ate {}", body.len()) }))
        .route(
            "/panic",
            get(|| async {
                if Timestamp::now() > Timestamp::UNIX_EPOCH {
                    panic!("on purpose")
                }
            }),
        );
    Routers {
        data: bounded(data, 1000),
        enrolment: Router::new().route("/who", get(|| async { "enrolment" })),
        portal: Router::new().route("/who", get(|| async { "portal" })),
    }
}

fn intermediate(folder: &Path) -> Issuer<'static, KeyPair> {
    let text = std::fs::read_to_string(folder.join("intermediate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).unwrap();
    let certificate = CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
    Issuer::from_ca_cert_der(&certificate, KeyPair::try_from(&key).unwrap()).unwrap()
}

async fn ask_over(stream: TlsStream<TcpStream>, path: &str) -> Result<String, String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let answer = exchange(stream, &request).await?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or(format!("no answer: {answer:?}"))?;
    Ok(body.to_owned())
}

async fn exchange(mut stream: TlsStream<TcpStream>, request: &str) -> Result<String, String> {
    stream.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
    let mut answer = String::new();
    // A refused client certificate arrives as an alert in place of the answer.
    stream.read_to_string(&mut answer).await.map_err(|e| e.to_string())?;
    Ok(answer)
}

/// Whether the other side closes within ten seconds, whatever it says before.
async fn ends(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> bool {
    let mut rest = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.is_ok()
}

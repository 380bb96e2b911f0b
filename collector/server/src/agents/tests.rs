//! From a token to a report, over real TLS, with a real store. Named after the numbers of SECURITY.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};
use upheld_agreement::book::Files;
use upheld_delivery::intake;
use upheld_desk::{Actor, Desk};
use upheld_evidence::{SigningKey, sign_enrolment};
use upheld_model::{BootId, Mono, ObservedAt};
use upheld_wire::v1::{ClockReading, DeliverRequest, Now, PROTOCOL, codes, record};

use super::*;
use crate::{
    doors::{Doors, Limits, Routers, TlsSet},
    testing::{Answer, Identity, Line, client, connect},
};

#[tokio::test]
async fn a_dictionary_is_named_read_and_refused_by_a_code_where_it_is_not_known() {
    let house = House::open().await;
    let (identity, _) = house.enroll(&house.token().await).await.unwrap();
    let mut line = house.data(&identity).await;
    let named = line.deliver().await;
    let best = named.body["dictionary"].as_u64().and_then(|id| u16::try_from(id).ok());
    assert!(best.is_some(), "{}", named.body);
    let packed = line.deliver_with(best).await;
    assert_eq!(packed.status, 200, "{}", packed.body);
    // A frame of one raw block that names dictionary 40,999.
    let unknown = [0x28, 0xb5, 0x2f, 0xfd, 0x22, 0x27, 0xa0, 0x02, 0x11, 0x00, 0x00, b'{', b'}'];
    let refused = line.deliver_packed(&unknown).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (415, Some("dictionary-unknown")), "{}", refused.body);
    assert_eq!(line.deliver().await.status, 200);
}

#[tokio::test]
async fn security_11_a_token_makes_one_agent_and_its_reuse_is_refused() {
    let house = House::open().await;
    let token = house.token().await;
    let (identity, answer) = house.enroll(&token).await.unwrap();
    assert_eq!(answer["collectors"], json!(["collector.example:7443", "b.example:7443"]));
    assert_eq!(answer["client"], "north");
    assert_eq!(answer["config"]["checks"][0]["id"], "srv-1/net.tcp");
    let mut line = house.data(&identity).await;
    let config = line.ask("GET", "/v1/config", &[], b"").await;
    assert_eq!((config.status, &config.body["agent"]), (200, &answer["agent"]));
    assert_eq!(line.deliver().await.status, 200);
    let refused = house.enroll(&token).await.err().expect("a token makes one agent");
    assert_eq!((refused.status, refused.body["code"].as_str()), (403, Some(codes::TOKEN_USED)));
    let refused = house.enroll(&"x".repeat(43)).await.err().expect("nobody gave this token");
    assert_eq!((refused.status, refused.body["code"].as_str()), (403, Some(codes::TOKEN_UNKNOWN)));
}

#[tokio::test]
async fn security_12_a_request_without_proof_of_the_signing_key_is_refused() {
    let house = House::open().await;
    let token = house.token().await;
    let other = signing_key(9);
    let refused = house.enroll_as(&token, &other).await.err().expect("the proof is of another key");
    assert!(matches!(refused.status, 400 | 403), "{refused:?}");
    house.enroll(&token).await.expect("the token is still good");
}

#[tokio::test]
async fn security_14_revocation_works_on_the_open_connection_and_forbids_renewal() {
    let house = House::open().await;
    let (identity, answer) = house.enroll(&house.token().await).await.unwrap();
    let mut line = house.data(&identity).await;
    assert_eq!(line.deliver().await.status, 200);
    let id = answer["agent"].as_str().unwrap().parse().unwrap();
    assert!(house.desk.revoke_agent(&id, &Actor::person("test"), Timestamp::now()).await.unwrap());
    for refused in [
        line.deliver().await,
        line.ask("GET", "/v1/config", &[], b"").await,
        line.ask("POST", "/v1/renew", &[], renewal().as_bytes()).await,
    ] {
        assert_eq!((refused.status, refused.body["code"].as_str()), (403, Some(codes::REVOKED)));
    }
}

#[tokio::test]
async fn security_14_a_certificate_renews_for_another_key_and_ends_on_an_open_connection() {
    let house = House::open().await;
    let (identity, answer) = house.enroll(&house.token().await).await.unwrap();
    let mut line = house.data(&identity).await;
    let renewed = line.ask("POST", "/v1/renew", &[], renewal().as_bytes()).await;
    assert_eq!(renewed.status, 200);
    let chain = renewed.body["chain_pem"].as_str().unwrap();
    let leaf = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
    assert_eq!(crate::pki::agent::identify(&leaf).unwrap().agent.as_str(), answer["agent"]);
    house.clock_moved_s.store(46 * 86_400, Ordering::Relaxed);
    let refused = line.deliver().await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (403, Some(codes::CERTIFICATE_EXPIRED)));
}

#[tokio::test]
async fn an_agent_without_a_row_is_told_so() {
    let house = House::open().await;
    let key = KeyPair::generate().unwrap();
    let issued = house.pki.borrow().issue(&request_of(&key), &"ghost".parse().unwrap(), Timestamp::now()).unwrap();
    let mut line = house.data(&identity(&issued.chain_pem, &key)).await;
    let refused = line.deliver().await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (403, Some(codes::UNKNOWN_AGENT)));
}

#[tokio::test]
async fn security_18_bombs_and_nonsense_are_refused_and_the_line_goes_on() {
    let house = House::open().await;
    let (identity, _) = house.enroll(&house.token().await).await.unwrap();
    let mut line = house.data(&identity).await;
    let bomb = zstd::encode_all(&vec![b' '; 64 << 20][..], 1).unwrap();
    assert!(bomb.len() < limits::WIRE_BYTES_MAX, "it must get through the door to be refused behind it");
    let zstd = "content-encoding: zstd";
    for (what, headers, body, status, code) in [
        ("a bomb", &[zstd][..], &bomb[..], 413, codes::TOO_LARGE),
        ("no zstd", &[zstd], b"nonsense", 400, codes::MALFORMED),
        ("no request", &[], b"{}", 400, codes::MALFORMED),
        ("another encoding", &["content-encoding: gzip"], b"x", 400, codes::MALFORMED),
    ] {
        let refused = line.ask("POST", "/v1/deliver", headers, body).await;
        assert_eq!((refused.status, refused.body["code"].as_str()), (status, Some(code)), "{what}: {refused:?}");
    }
    assert_eq!(line.deliver().await.status, 200);
}

#[tokio::test]
async fn security_20_an_agent_that_asks_too_often_is_told_how_long_to_wait() {
    let house = House::open().await;
    let (identity, _) = house.enroll(&house.token().await).await.unwrap();
    let mut line = house.data(&identity).await;
    let mut last = line.ask("GET", "/v1/config", &[], b"").await;
    for _ in 0..2_000 {
        if last.status != 200 {
            break;
        }
        last = line.ask("GET", "/v1/config", &[], b"").await;
    }
    assert_eq!((last.status, last.body["code"].as_str()), (429, Some(codes::TOO_MANY)));
    assert!(last.head.contains("retry-after: 1\r\n"), "{}", last.head);
}

#[tokio::test]
async fn who_is_told_that_nothing_is_taken_at_the_moment_is_told_when_to_ask_again() {
    let house = House::open().await;
    let (identity, _) = house.enroll(&house.token().await).await.unwrap();
    let mut line = house.data(&identity).await;
    let who = Actor::person("test");
    let now = Timestamp::now();
    house.desk.declare_recovery(now - SignedDuration::from_hours(1), &who, now).await.unwrap();
    let refused = line.deliver().await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (503, Some(codes::UNAVAILABLE)));
    let wait = refused.head.split("retry-after: ").nth(1).and_then(|rest| rest.lines().next()).expect("a wait");
    assert!((5..15).contains(&wait.parse::<u32>().unwrap()), "{wait}");
    house.desk.accept_recovery(&who, now).await.unwrap();
    assert_eq!(line.deliver().await.status, 200);
}

/// A collector on a free port of loopback, with a book of one site and a clock that can be moved.
struct House {
    desk: Desk,
    pki: watch::Sender<Arc<Pki>>,
    address: SocketAddr,
    clock_moved_s: Arc<AtomicI64>,
    _stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl House {
    async fn open() -> Self {
        // A second call only says that the provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::create(&folder.path().join("pki"), &["127.0.0.1".into()], Timestamp::now()).unwrap();
        let desk = Desk::new(upheld_store::sqlite::open(&folder.path().join("upheld.db")).unwrap());
        desk.apply_book(book(), &Actor::person("test"), Timestamp::now()).await.unwrap();
        desk.start_run(Timestamp::now()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_, tls) = watch::channel(Arc::new(TlsSet::new(&pki).unwrap()));
        let pki = watch::Sender::new(Arc::new(pki));
        let clock_moved_s = Arc::new(AtomicI64::new(0));
        let moved = Arc::clone(&clock_moved_s);
        let clock = move || Timestamp::now() + SignedDuration::from_secs(moved.load(Ordering::Relaxed));
        let others = vec!["collector.example:7443".to_owned(), "b.example:7443".to_owned()];
        let agents = Agents::new(desk.clone(), pki.subscribe(), Arc::new(clock), others, AgentBounds::default());
        let routers = Routers { data: agents.data(), enrolment: agents.enrolment(), portal: Router::new() };
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(Doors::new(listener, tls, routers, Limits::default()).serve(stopped));
        Self { desk, pki, address, clock_moved_s, _stop: stop, _folder: folder }
    }

    async fn token(&self) -> String {
        let (client, site) = ("north".parse().unwrap(), "plant".parse().unwrap());
        let (hour, who) = (SignedDuration::from_hours(1), Actor::person("test"));
        self.desk.new_token(&client, &site, hour, &who, Timestamp::now()).await.unwrap().token
    }

    async fn enroll(&self, token: &str) -> Result<(Identity, Value), Answer> {
        self.enroll_as(token, &signing_key(7)).await
    }

    /// Enrols with the evidence key of seed 7 and a proof by `prover`.
    async fn enroll_as(&self, token: &str, prover: &SigningKey) -> Result<(Identity, Value), Answer> {
        let key = KeyPair::generate().unwrap();
        let csr_pem = request_of(&key);
        let body = json!({
            "protocol": PROTOCOL,
            "token": token,
            "csr_pem": csr_pem,
            "signing_key": signing_key(7).public().to_string(),
            "signing_proof": sign_enrolment(prover, token, &csr_pem).to_string(),
            "host": "host-1",
            "version": "0.1.0",
            "wall": Timestamp::now(),
        });
        let mut config = client(&self.pki.borrow(), None);
        config.alpn_protocols = vec![b"upheld-enroll/1".to_vec(), b"http/1.1".to_vec()];
        let mut line = Line::over(connect(self.address, config, "enroll.upheld.internal").await.unwrap());
        let answer = line.ask("POST", "/v1/enroll", &[], body.to_string().as_bytes()).await;
        if answer.status != 200 {
            return Err(answer);
        }
        Ok((identity(answer.body["chain_pem"].as_str().unwrap(), &key), answer.body))
    }

    async fn data(&self, identity: &Identity) -> Line {
        let mut config = client(&self.pki.borrow(), Some(identity));
        config.alpn_protocols = vec![b"upheld-data/1".to_vec(), b"http/1.1".to_vec()];
        Line::over(connect(self.address, config, "data.upheld.internal").await.unwrap())
    }
}

impl Line {
    /// A heartbeat.
    async fn deliver(&mut self) -> Answer {
        self.deliver_with(None).await
    }

    /// A heartbeat, packed with this dictionary.
    async fn deliver_with(&mut self, dictionary: Option<u16>) -> Answer {
        let request = DeliverRequest {
            protocol: PROTOCOL,
            heads: Vec::new(),
            clock: ClockReading {
                wall: ObservedAt(Timestamp::now()),
                mono: Mono(1),
                boot: "boot-1".parse::<BootId>().unwrap(),
            },
            seen_checkpoint: None,
            now: Now::default(),
            records: Vec::new(),
            batch_digest: record::batch_digest(&[]),
            clock_of_records: None,
        };
        self.deliver_packed(&intake::deflate(&request, dictionary).unwrap()).await
    }

    async fn deliver_packed(&mut self, body: &[u8]) -> Answer {
        self.ask("POST", "/v1/deliver", &["content-encoding: zstd"], body).await
    }
}

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).unwrap()
}

fn request_of(key: &KeyPair) -> String {
    CertificateParams::default().serialize_request(key).unwrap().pem().unwrap()
}

fn renewal() -> String {
    json!({ "csr_pem": request_of(&KeyPair::generate().unwrap()) }).to_string()
}

fn identity(chain_pem: &str, key: &KeyPair) -> Identity {
    let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).map(Result::unwrap).collect();
    Identity { chain, key: key.serialize_der() }
}

fn book() -> Files {
    [
        ("provider.toml", "name = \"Example\"\ncurrency = \"USD\"\ntime_zone = \"UTC\"\n"),
        ("catalogue.toml", "[[issue]]\nid = \"ANY\"\nname = \"Anything\"\ncategory = \"hardware\"\nmatch = {}\nurgency = \"medium\"\n"),
        ("clients/north/client.toml", "name = \"North\"\n"),
        (
            "clients/north/sites/plant.toml",
            "name = \"Plant\"\ntime_zone = \"UTC\"\ncommissioned = 2026-01-01\n\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [{ kind = \"net.tcp\", target = \"127.0.0.1\", port = 1 }]\n",
        ),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .into()
}

//! A collector of the tests: the real wire, the real intake and receiver, a PKI of its own, everything in memory.
//! What the real one stores and judges beyond that is tested end to end, with the real one.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use getrandom::SysRng;
use jiff::{SignedDuration, Timestamp};
use rand_core::UnwrapErr;
use ring::digest;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, server::WebPkiClientVerifier};
use serde::Serialize;
use serde_json::json;
use upheld_delivery::{
    intake,
    receiver::{self, Content, Held, Records, Verdict},
};
use upheld_evidence::{PublicKey, Signature, verify_enrolment};
use upheld_model::{AgentEvent, CheckSpec, Digest, Epoch, RecordId, Sample, SecretName};
use upheld_sealing::Purpose;
use upheld_wire::v1::{
    self, AgentConfig, DeliverRequest, Delivered, Now, codes,
    enroll::EnrollRequest,
    secrets::{SealedSecret, SecretsAnswer, SecretsAt, SecretsRequest},
};

use crate::pki::Pki;

/// A listening collector; ends with its value.
pub(crate) struct Collector {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    pki: Pki,
    is_over: AtomicBool,
    state: Mutex<State>,
}

/// What the collector knows and does.
#[derive(Default)]
pub(crate) struct State {
    /// Tokens that may be used.
    pub(crate) tokens: BTreeSet<String>,
    /// Answer to the next uses of any token, instead of a judgement.
    pub(crate) token_refusal: Option<&'static str>,
    /// Answer to everything on the data door.
    pub(crate) data_refusal: Option<(u16, &'static str)>,
    /// Whether connections are taken and closed at once.
    pub(crate) is_deaf: bool,
    /// What the agent is to watch.
    pub(crate) config: Vec<CheckSpec>,
    /// Its version.
    pub(crate) config_version: u64,
    /// A body that is given out for the configuration, whatever it is.
    pub(crate) config_body: Option<String>,
    /// How old a certificate is when it is given out.
    pub(crate) certificate_age_days: i64,
    /// Requests by path, in order.
    pub(crate) requests: Vec<String>,
    /// Every record that was taken, in order, once.
    pub(crate) samples: Vec<Sample>,
    /// Every event that was taken, in order, once.
    pub(crate) events: Vec<AgentEvent>,
    /// The last "now" header.
    pub(crate) now: Option<Now>,
    /// What it seals to the agent, by name, and how often that changed; `None` for an older collector.
    pub(crate) secrets: Option<(u64, BTreeMap<&'static str, &'static str>)>,
    /// The agent's key, once it told it.
    pub(crate) sealing_key: Option<String>,
    known: BTreeSet<(RecordId, Digest)>,
    held: Held,
}

impl Collector {
    /// Listens on a free port of loopback.
    pub(crate) fn start() -> Self {
        Self::start_on("127.0.0.1:0", Pki::new())
    }

    /// Goes on where another left off: same PKI and port, nothing of its state.
    pub(crate) fn start_on(address: &str, pki: Pki) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = State { config_version: 1, ..State::default() };
        let shared = Arc::new(Shared { pki, is_over: AtomicBool::new(false), state: Mutex::new(state) });
        let serving = Arc::clone(&shared);
        thread::spawn(move || serving.serve(&listener));
        Self { shared, address }
    }

    /// A new link.
    pub(crate) fn link(&self) -> String {
        let token = BASE64_URL_SAFE_NO_PAD.encode(rand());
        self.state().tokens.insert(token.clone());
        format!("https://{}/e/{token}#{}.{}", self.address, self.shared.pki.fingerprint(), Timestamp::now().as_second())
    }

    /// What it knows and does.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no test panics while it holds the state")
    }

    /// Waits until the state shows what is looked for; fails with `what` after half a minute.
    pub(crate) fn wait<T>(&self, what: &str, look: impl Fn(&State) -> Option<T>) -> T {
        crate::wait(what, || look(&self.state()))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the accept loop, which then sees that it is over.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn serve(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            let shared = Arc::clone(self);
            let stream = stream.expect("a connection");
            // A client that is refused in TLS, or killed, ends its connection; that is what some tests are about.
            thread::spawn(move || shared.connection(stream));
        }
    }

    fn connection(&self, stream: TcpStream) -> std::io::Result<()> {
        if self.state().is_deaf {
            return Ok(());
        }
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut accepted = rustls::server::Acceptor::default();
        let mut stream = stream;
        let hello = loop {
            accepted.read_tls(&mut stream)?;
            if let Some(hello) = accepted.accept().map_err(|(error, _)| std::io::Error::other(error))? {
                break hello;
            }
        };
        let is_data = hello.client_hello().alpn().is_some_and(|mut alpn| alpn.next() == Some(v1::ALPN_DATA));
        let config = if is_data { self.data_door() } else { self.enroll_door() };
        let tls = hello.into_connection(Arc::new(config)).map_err(|(error, _)| std::io::Error::other(error))?;
        let mut stream = BufReader::new(StreamOwned::new(tls, stream));
        while let Some((path, body)) = read_request(&mut stream)? {
            if self.is_over.load(Ordering::SeqCst) || self.state().is_deaf {
                return Ok(());
            }
            let (status, answer) = self.answer(is_data, &path, &body);
            write_answer(stream.get_mut(), status, &answer)?;
        }
        Ok(())
    }

    fn answer(&self, is_data: bool, path: &str, body: &[u8]) -> (u16, String) {
        let mut state = self.state();
        state.requests.push(path.to_owned());
        if is_data && let Some((status, code)) = state.data_refusal {
            return problem(status, code);
        }
        match (is_data, path) {
            (false, "/v1/enroll") => state.enroll(&self.pki, body),
            (true, "/v1/config") => match &state.config_body {
                Some(body) => (200, body.clone()),
                None => (200, text(&state.config())),
            },
            (true, "/v1/renew") => {
                let request: serde_json::Value = serde_json::from_slice(body).expect("JSON");
                let csr = request["csr_pem"].as_str().expect("a request");
                (200, text(&json!({ "chain_pem": self.pki.certify(csr, 0), "roots_pem": self.pki.root_pem() })))
            }
            (true, "/v1/deliver") => {
                let inflated = intake::inflate(body).expect("zstd");
                let request = intake::read_request(&inflated).expect("a request");
                state.deliver(&request)
            }
            (true, "/v1/secrets") if state.secrets.is_some() => {
                let request: SecretsRequest = serde_json::from_slice(body).expect("a request");
                let answer = state.seal(&request.key);
                state.sealing_key = Some(request.key);
                (200, text(&answer))
            }
            (true | false, _) => problem(404, "unknown"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the state")
    }

    fn data_door(&self) -> ServerConfig {
        let mut anchors = RootCertStore::empty();
        anchors.add(self.pki.root_der()).expect("a root");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), ring());
        let (chain, key) = self.pki.server(false);
        plain(
            ServerConfig::builder_with_provider(ring())
                .with_protocol_versions(&[&rustls::version::TLS13])
                .expect("TLS 1.3")
                .with_client_cert_verifier(verifier.build().expect("a verifier"))
                .with_single_cert(chain, key)
                .expect("a certificate"),
        )
    }

    fn enroll_door(&self) -> ServerConfig {
        let (chain, key) = self.pki.server(true);
        plain(
            ServerConfig::builder_with_provider(ring())
                .with_protocol_versions(&[&rustls::version::TLS13])
                .expect("TLS 1.3")
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .expect("a certificate"),
        )
    }
}

/// Records that were taken, by what they are known by; what the chain was after each is not asked here.
struct Known<'a>(&'a BTreeSet<(RecordId, Digest)>);

impl Records for Known<'_> {
    type Error = Infallible;

    fn is_known(&mut self, id: &RecordId, content: &Digest) -> Result<bool, Infallible> {
        Ok(self.0.contains(&(*id, *content)))
    }

    fn chain_after(&mut self, _: Epoch, _: u64) -> Result<Option<Digest>, Infallible> {
        Ok(None)
    }
}

impl State {
    fn enroll(&mut self, pki: &Pki, body: &[u8]) -> (u16, String) {
        let request: EnrollRequest = serde_json::from_slice(body).expect("an enrolment request");
        if let Some(code) = self.token_refusal {
            return problem(403, code);
        }
        if !self.tokens.remove(&request.token) {
            return problem(403, codes::TOKEN_USED);
        }
        let key: PublicKey = request.signing_key.parse().expect("a key");
        let proof: Signature = request.signing_proof.parse().expect("a signature");
        verify_enrolment(&key, &request.token, &request.csr_pem, &proof).expect("a proof of the key");
        self.held = Held { signing_key: Some(key), ..Held::default() };
        let answer = json!({
            "agent": "a-1", "client": "northgate", "client_name": "Northgate Foods", "site": "plant-2",
            "site_name": "Plant 2", "provider_name": "Example Security",
            "chain_pem": pki.certify(&request.csr_pem, self.certificate_age_days), "roots_pem": pki.root_pem(),
            "config": self.config(), "collector_time": Timestamp::now(),
        });
        (200, text(&answer))
    }

    fn config(&self) -> AgentConfig {
        AgentConfig {
            version: self.config_version,
            agent: "a-1".parse().expect("an id"),
            heartbeat_ms: 1_000,
            checks: self.config.clone(),
            relations: Default::default(),
            jobs: ["srv-1/nightly".parse().unwrap()].into(),
        }
    }

    fn seal(&self, key: &str) -> SecretsAnswer {
        let key = key.parse().expect("a key");
        let (version, values) = self.secrets.as_ref().expect("it seals");
        let [client, site, agent] = ["northgate", "plant-2", "a-1"];
        let (client, site) = (client.parse().expect("an id"), site.parse().expect("an id"));
        let agent = agent.parse().expect("an id");
        let boxes = values.iter().map(|(name, value)| {
            let name: SecretName = name.parse().expect("a name");
            let purpose = Purpose { client: &client, site: &site, agent: &agent, name: &name };
            let sealed = upheld_sealing::seal(&key, purpose, value, &mut UnwrapErr(SysRng)).expect("a key");
            SealedSecret { sealed: sealed.as_str().to_owned(), set_at: Timestamp::now(), name }
        });
        SecretsAnswer { version: *version, boxes: boxes.collect() }
    }

    fn deliver(&mut self, request: &DeliverRequest) -> (u16, String) {
        self.now = Some(request.now.clone());
        let Ok(verdict) = receiver::judge(&self.held, request, &mut Known(&self.known));
        let head = match &verdict {
            Verdict::Heartbeat => None,
            Verdict::Accept(accepted) => {
                for fresh in &accepted.fresh {
                    let record = &request.records[fresh.index];
                    self.known.insert((record.record_id, record.content_hash));
                    match &fresh.content {
                        Content::Body(body) => {
                            self.samples.extend(body.samples.iter().cloned());
                            self.events.extend(body.events.iter().cloned());
                        }
                        Content::Omitted(_) | Content::Poison { .. } => panic!("nothing is thinned here: {fresh:?}"),
                    }
                }
                self.held.heads.insert(accepted.head.epoch, accepted.head);
                if accepted.begins.is_some() {
                    self.held.newest = Some(accepted.head.epoch);
                }
                Some(accepted.head)
            }
            Verdict::Behind { .. } | Verdict::Fork(_) => return (409, text(&verdict.conflict())),
            Verdict::Clone(_) | Verdict::Malformed(_) | Verdict::TooLarge { .. } => panic!("{verdict:?}"),
        };
        let delivered = Delivered {
            renew: false,
            present: None,
            dictionary: None,
            secrets: self
                .secrets
                .as_ref()
                .map(|(version, _)| SecretsAt { version: *version, key: self.sealing_key.clone() }),
            batch_digest: request.batch_digest,
            head,
            refused: Vec::new(),
            receipt: None,
            config_version: self.config_version,
            collector_time: Timestamp::now(),
        };
        (200, text(&delivered))
    }
}

fn problem(status: u16, code: &str) -> (u16, String) {
    let body = json!({ "type": "about:blank", "title": format!("refused: {code}"), "status": status, "code": code });
    (status, text(&body))
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("JSON")
}

fn ring() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn plain(mut config: ServerConfig) -> ServerConfig {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.send_tls13_tickets = 0;
    config
}

fn read_request(
    stream: &mut BufReader<StreamOwned<ServerConnection, TcpStream>>,
) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        match line.trim().to_ascii_lowercase().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().expect("a length"),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some((path, body)))
}

fn write_answer(stream: &mut StreamOwned<ServerConnection, TcpStream>, status: u16, body: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()
}

/// The day that lies `days` before today.
pub(crate) fn days_ago(days: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(24 * days)
}

/// Base64url SHA-256 of a public key.
pub(crate) fn fingerprint(spki: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, spki))
}

fn rand() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("randomness");
    bytes
}

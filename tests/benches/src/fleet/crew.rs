//! Agents that are enrolled in this process, through the desk over the collector's own database and by its own
//! intermediate, before the collector serves: a hundred to a site, each with a row, a signing key and a certificate of
//! its own. They share one TLS key, which costs the collector nothing less.

use std::{path::Path, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::{ClientConfig, RootCertStore, client::Resumption, crypto::ring, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use upheld_desk::{Actor, Desk, enroll::Certificate};
use upheld_evidence::{SigningKey, sign_enrolment};
use upheld_model::{AgentId, ClientId, SiteId};
use upheld_tests::{Collector, book, program::write};
use upheld_wire::v1::{self, enroll::EnrollRequest};

use super::held;

/// Agents of one site.
const PER_SITE: usize = 100;

/// One agent: its key for its journal, and how it shows itself.
pub struct Member {
    seed: [u8; 32],
    /// TLS as the agent speaks it: 1.3, ALPN of the data door, no session kept.
    pub tls: Arc<ClientConfig>,
}

impl Member {
    /// What signs its journal.
    pub fn key(&self) -> SigningKey {
        SigningKey::from_seed(&self.seed).expect("a key")
    }
}

/// Writes a book with a site for each hundred agents into `folder`.
pub fn book_of(folder: &Path, agents: usize) {
    let server = "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [{ kind = \"host\" }]\n";
    book::write_book(folder, server, None);
    for number in 0..agents.div_ceil(PER_SITE) {
        let (client, _) = place(number);
        let own = folder.join("clients").join(client.as_str());
        write(&own.join("client.toml"), &format!("name = \"Client {number}\"\n"));
        let ssa = format!(
            "number = \"SSA-B-{number}\"\nsites = [\"{}\"]\nfee = \"100.00/month\"\n\n[[version]]\n\
             effective_from = 2026-01-01\nplan = \"round-the-clock\"\n",
            book::SITE
        );
        write(&own.join("ssa.toml"), &ssa);
        let site = format!("name = \"Site\"\ntime_zone = \"America/Chicago\"\ncommissioned = 2026-01-15\n{server}");
        write(&own.join(format!("sites/{}.toml", book::SITE)), &site);
    }
}

fn place(number: usize) -> (ClientId, SiteId) {
    (format!("bench-{number:04}").parse().expect("an id"), book::SITE.parse().expect("an id"))
}

/// Enrols so many agents at a collector that has the book of [`book_of`] and does not serve yet.
pub async fn enrol(collector: &Collector, agents: usize) -> Vec<Member> {
    let store = upheld_store::sqlite::open(&collector.database_file()).expect("the collector's database");
    let desk = Desk::new(store);
    let authority = Arc::new(Authority::of(&collector.data().join("pki")));
    // As many side by side as share a commit.
    let mut members = Vec::with_capacity(agents);
    for first in (0..agents).step_by(256) {
        let group = (first..agents.min(first + 256)).map(|number| {
            let (desk, authority) = (desk.clone(), Arc::clone(&authority));
            tokio::spawn(async move { enrol_one(&desk, &authority, number).await })
        });
        for member in group.collect::<Vec<_>>() {
            members.push(member.await.expect("the agent is enrolled"));
        }
    }
    members
}

async fn enrol_one(desk: &Desk, authority: &Authority, number: usize) -> Member {
    let (client, site) = place(number / PER_SITE);
    let now = Timestamp::now();
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
    let key = SigningKey::from_seed(&seed).expect("a key");
    let (ttl, who) = (SignedDuration::from_hours(1), Actor::person("bench"));
    let token = desk.new_token(&client, &site, ttl, &who, now).await.expect("a token").token;
    let csr_pem = "not looked at here: the certificate is made below".to_owned();
    let request = EnrollRequest {
        protocol: 1,
        signing_key: key.public().to_string(),
        signing_proof: sign_enrolment(&key, &token, &csr_pem).to_string(),
        token,
        csr_pem,
        host: format!("bench-{number}"),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        wall: now,
    };
    let ends = now.saturating_add(SignedDuration::from_hours(24 * 45)).expect("45 days");
    let certificate =
        Certificate { chain_pem: String::new(), roots_pem: String::new(), issued_at: whole_seconds(now), ends };
    let loopback = std::net::Ipv4Addr::LOCALHOST.into();
    let answer =
        desk.enroll(request, loopback, now, |_: &_, _: &_| Ok(certificate)).await.expect("the agent is enrolled");
    Member { seed, tls: authority.shown_by(&answer.agent, now) }
}

/// What signs the agents' certificates, and the key that all of them have.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    intermediate: CertificateDer<'static>,
    roots: Arc<RootCertStore>,
    key: KeyPair,
}

impl Authority {
    fn of(pki: &Path) -> Self {
        let (intermediate, key) = held(&pki.join("intermediate.pem"));
        let key = KeyPair::try_from(&key).expect("a key");
        let issuer = Issuer::from_ca_cert_der(&intermediate, key).expect("the intermediate");
        let mut roots = RootCertStore::empty();
        roots.add(held(&pki.join("root.pem")).0).expect("the root");
        Self { issuer, intermediate, roots: Arc::new(roots), key: KeyPair::generate().expect("a key") }
    }

    /// A certificate as the collector gives it, in the configuration of its agent.
    fn shown_by(&self, agent: &AgentId, now: Timestamp) -> Arc<ClientConfig> {
        let mut wanted = CertificateParams::default();
        wanted.distinguished_name = DistinguishedName::new();
        wanted.distinguished_name.push(DnType::CommonName, agent.as_str());
        let begins = std::time::SystemTime::from(whole_seconds(now) - SignedDuration::from_hours(1));
        wanted.not_before = begins.into();
        wanted.not_after = (begins + std::time::Duration::from_secs(45 * 86_400)).into();
        wanted.subject_alt_names = vec![SanType::URI(format!("upheld:agent:{agent}").try_into().expect("a name"))];
        wanted.is_ca = IsCa::ExplicitNoCa;
        wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        wanted.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        wanted.use_authority_key_identifier_extension = true;
        let made = wanted.signed_by(&self.key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(Arc::clone(&self.roots))
            .with_client_auth_cert(vec![made.der().clone(), self.intermediate.clone()], key)
            .expect("a key that fits its certificate");
        config.alpn_protocols = vec![v1::ALPN_DATA.to_vec(), b"http/1.1".to_vec()];
        config.resumption = Resumption::disabled();
        Arc::new(config)
    }
}

fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).expect("in range")
}

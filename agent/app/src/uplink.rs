//! The line to the collector: one client, one connection kept, the requests of wire v1.
//!
//! It sends and reads; what to send and what an answer means is decided elsewhere ([`upheld_delivery`]).

use std::{net::SocketAddr, sync::Arc};

use reqwest::{Client, header};
use rustls::{crypto::CryptoProvider, pki_types::CertificateDer};
use upheld_model::DrillId;
use upheld_wire::v1::{
    enroll::{RenewRequest, ReturnRequest},
    proposals::ProposalRequest,
    secrets::SecretsRequest,
};
use url::Url;

use crate::{
    clocks,
    failure::{Code, Failure},
    files,
    http::{self, Answer, NoAnswer},
    identity::{self, TlsIdentity},
    state::{Identity, StateFolder},
    tls::{self, clock::BoundedClock, rotating::RotatingIdentity},
};

/// The data door of the collector.
#[derive(Debug)]
pub(crate) struct Uplink {
    client: Client,
    base: String,
    shown: Arc<RotatingIdentity>,
    provider: Arc<CryptoProvider>,
}

impl Uplink {
    /// Prepares the line from the state folder; connects nothing yet.
    pub(crate) fn open(state: &StateFolder, reach: &Reach) -> Result<Self, Failure> {
        let Reach { collector, proxy, clock, provider } = reach;
        let tls_identity = TlsIdentity::load(state)?;
        let roots = roots(state)?;
        let unusable = || roots_unusable(state);
        let shown = RotatingIdentity::new(&tls_identity, provider).map_err(|error| unusable().because(error))?;
        let shown = Arc::new(shown);
        let config = tls::data(&roots, &shown, clock, provider).map_err(|error| unusable().because(error))?;
        let client = http::client(config, proxy.as_ref())
            .map_err(|error| Failure::new(Code::Failed, "cannot set up a connection").because(error))?;
        let base = format!("https://{collector}");
        Ok(Self { client, base, shown, provider: Arc::clone(provider) })
    }

    /// `POST /v1/deliver`; the body is compressed already.
    pub(crate) async fn deliver(&self, body: Vec<u8>) -> Result<Answer, NoAnswer> {
        let request = self
            .client
            .post(format!("{}/v1/deliver", self.base))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_ENCODING, "zstd")
            .body(body);
        http::send(request).await
    }

    /// `GET /v1/config`.
    pub(crate) async fn fetch_config(&self) -> Result<Answer, NoAnswer> {
        http::send(self.client.get(format!("{}/v1/config", self.base))).await
    }

    /// `GET /v1/drill/ID`.
    pub(crate) async fn fetch_drill(&self, id: DrillId) -> Result<Answer, NoAnswer> {
        http::send(self.client.get(format!("{}/v1/drill/{id}", self.base))).await
    }

    /// `POST /v1/secrets`.
    pub(crate) async fn fetch_secrets(&self, request: &SecretsRequest) -> Result<Answer, NoAnswer> {
        http::send(self.client.post(format!("{}/v1/secrets", self.base)).json(request)).await
    }

    /// `POST /v1/proposals`.
    pub(crate) async fn propose(&self, request: &ProposalRequest) -> Result<Answer, NoAnswer> {
        http::send(self.client.post(format!("{}/v1/proposals", self.base)).json(request)).await
    }

    /// `POST /v1/renew`.
    pub(crate) async fn renew(&self, request: &RenewRequest) -> Result<Answer, NoAnswer> {
        http::send(self.client.post(format!("{}/v1/renew", self.base)).json(request)).await
    }

    /// Shows `identity` on connections opened from here on.
    pub(crate) fn show(&self, identity: &TlsIdentity) -> Result<(), rustls::Error> {
        self.shown.set(identity, &self.provider)
    }
}

/// `POST /v1/return` at the enrolment door, by the stored roots and without a certificate: a connection of its own.
pub(crate) async fn ask_back(
    state: &StateFolder,
    reach: &Reach,
    request: &ReturnRequest,
) -> Result<Result<Answer, NoAnswer>, Failure> {
    let Reach { collector, proxy, clock, provider } = reach;
    let config =
        tls::returning(&roots(state)?, clock, provider).map_err(|error| roots_unusable(state).because(error))?;
    let client = http::client(config, proxy.as_ref())
        .map_err(|error| Failure::new(Code::Failed, "cannot set up a connection").because(error))?;
    Ok(http::send(client.post(format!("https://{collector}/v1/return")).json(request)).await)
}

/// What every connection to the collector needs.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    /// `host` or `host:port`, as the link had it.
    pub(crate) collector: String,
    /// The configured proxy.
    pub(crate) proxy: Option<Url>,
    /// This host's clock.
    pub(crate) clock: Arc<BoundedClock>,
    /// The cryptography.
    pub(crate) provider: Arc<CryptoProvider>,
}

impl Reach {
    /// The collector that this host is enrolled at, by a clock that knows when that was.
    pub(crate) fn of(identity: &Identity, proxy: Option<Url>, provider: &Arc<CryptoProvider>) -> Self {
        let clock = Arc::new(BoundedClock::new(clocks::wall, identity.link_issued));
        Self { collector: identity.collector.clone(), proxy, clock, provider: Arc::clone(provider) }
    }
}

fn roots(state: &StateFolder) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let pem = files::read_if_there(&state.roots_pem()).map_err(|error| state.unusable(error))?;
    let roots = identity::certificates(&pem.unwrap_or_default()).map_err(|why| roots_unusable(state).why(why))?;
    if roots.is_empty() {
        return Err(roots_unusable(state).why("it holds no certificate"));
    }
    Ok(roots)
}

fn roots_unusable(state: &StateFolder) -> Failure {
    Failure::new(Code::Invalid, format!("cannot use {}", state.roots_pem().display()))
        .help("restore it from a backup, or get a new link and enroll again with --replace")
}

/// Where the collector's name leads at this moment, for the rule that lets checks reach it (SECURITY 3).
pub(crate) async fn addresses(collector: &str) -> Vec<SocketAddr> {
    let Ok(url) = Url::parse(&format!("https://{collector}")) else { return Vec::new() };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Vec::new() };
    match tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            tracing::debug!(%error, "The collector's name does not resolve.");
            Vec::new()
        }
    }
}

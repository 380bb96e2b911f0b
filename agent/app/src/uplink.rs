//! The line to the collector: one client, one connection kept, the requests of wire v1.
//!
//! It sends and reads; what to send and what an answer means is decided elsewhere ([`upheld_delivery`]).

use std::{net::SocketAddr, sync::Arc};

use reqwest::{Client, RequestBuilder, header};
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
    collectors::Collectors,
    failure::{Code, Failure},
    files,
    http::{self, Answer, NoAnswer},
    identity::{self, TlsIdentity},
    settings::Settings,
    state::{Identity, StateFolder},
    tls::{self, clock::BoundedClock, rotating::RotatingIdentity},
};

/// The data door of the collector.
#[derive(Debug)]
pub(crate) struct Uplink {
    client: Client,
    collectors: Arc<Collectors>,
    shown: Arc<RotatingIdentity>,
    provider: Arc<CryptoProvider>,
}

impl Uplink {
    /// Prepares the line from the state folder; connects nothing yet.
    pub(crate) fn open(state: &StateFolder, reach: &Reach) -> Result<Self, Failure> {
        let Reach { collectors, proxy, clock, provider } = reach;
        let tls_identity = TlsIdentity::load(state)?;
        let roots = roots(state)?;
        let unusable = || roots_unusable(state);
        let shown = RotatingIdentity::new(&tls_identity, provider).map_err(|error| unusable().because(error))?;
        let shown = Arc::new(shown);
        let config = tls::data(&roots, &shown, clock, provider).map_err(|error| unusable().because(error))?;
        let client = http::client(config, proxy.as_ref())
            .map_err(|error| Failure::new(Code::Failed, "cannot set up a connection").because(error))?;
        Ok(Self { client, collectors: Arc::clone(collectors), shown, provider: Arc::clone(provider) })
    }

    /// Asks the collector that is asked at present.
    async fn ask(&self, path: &str, ask: impl FnOnce(&Client, String) -> RequestBuilder) -> Result<Answer, NoAnswer> {
        let (place, address) = self.collectors.present();
        let answer = http::send(ask(&self.client, format!("https://{address}{path}"))).await;
        self.collectors.answered(place, &answer);
        answer
    }

    /// `POST /v1/deliver`; the body is compressed already.
    pub(crate) async fn deliver(&self, body: Vec<u8>) -> Result<Answer, NoAnswer> {
        self.ask("/v1/deliver", |client, url| {
            let request = client.post(url).header(header::CONTENT_TYPE, "application/json");
            request.header(header::CONTENT_ENCODING, "zstd").body(body)
        })
        .await
    }

    /// `GET /v1/config`.
    pub(crate) async fn fetch_config(&self) -> Result<Answer, NoAnswer> {
        self.ask("/v1/config", |client, url| client.get(url)).await
    }

    /// `GET /v1/drill/ID`.
    pub(crate) async fn fetch_drill(&self, id: DrillId) -> Result<Answer, NoAnswer> {
        self.ask(&format!("/v1/drill/{id}"), |client, url| client.get(url)).await
    }

    /// `POST /v1/secrets`.
    pub(crate) async fn fetch_secrets(&self, request: &SecretsRequest) -> Result<Answer, NoAnswer> {
        self.ask("/v1/secrets", |client, url| client.post(url).json(request)).await
    }

    /// `POST /v1/proposals`.
    pub(crate) async fn propose(&self, request: &ProposalRequest) -> Result<Answer, NoAnswer> {
        self.ask("/v1/proposals", |client, url| client.post(url).json(request)).await
    }

    /// `POST /v1/renew`.
    pub(crate) async fn renew(&self, request: &RenewRequest) -> Result<Answer, NoAnswer> {
        self.ask("/v1/renew", |client, url| client.post(url).json(request)).await
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
    let Reach { collectors, proxy, clock, provider } = reach;
    let config =
        tls::returning(&roots(state)?, clock, provider).map_err(|error| roots_unusable(state).because(error))?;
    let client = http::client(config, proxy.as_ref())
        .map_err(|error| Failure::new(Code::Failed, "cannot set up a connection").because(error))?;
    let (place, address) = collectors.present();
    let answer = http::send(client.post(format!("https://{address}/v1/return")).json(request)).await;
    collectors.answered(place, &answer);
    Ok(answer)
}

/// What every connection to the collector needs.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    /// Where it is.
    pub(crate) collectors: Arc<Collectors>,
    /// The configured proxy.
    pub(crate) proxy: Option<Url>,
    /// This host's clock.
    pub(crate) clock: Arc<BoundedClock>,
    /// The cryptography.
    pub(crate) provider: Arc<CryptoProvider>,
}

impl Reach {
    /// The collector that this host is enrolled at, by a clock that knows when that was.
    pub(crate) fn of(identity: &Identity, settings: &Settings, provider: &Arc<CryptoProvider>) -> Self {
        let clock = Arc::new(BoundedClock::new(clocks::wall, identity.link_issued));
        let collectors = Arc::new(settings.all_collectors(identity));
        Self { collectors, proxy: settings.proxy.clone(), clock, provider: Arc::clone(provider) }
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

/// Where the collectors' names lead at this moment, for the rule that lets checks reach them (SECURITY 3).
pub(crate) async fn addresses(collectors: &Collectors) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for collector in collectors.named() {
        let Ok(url) = Url::parse(&format!("https://{collector}")) else { continue };
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { continue };
        match tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await {
            Ok(addresses) => found.extend(addresses),
            Err(error) => tracing::debug!(%error, collector, "The collector's name does not resolve."),
        }
    }
    found
}

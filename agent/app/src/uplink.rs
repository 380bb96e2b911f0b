//! The line to the collector: one client, one connection kept, four requests of wire v1.
//!
//! It sends and reads; what to send and what an answer means is decided elsewhere ([`upheld_delivery`]).

use std::{net::SocketAddr, sync::Arc};

use reqwest::{Client, header};
use rustls::crypto::CryptoProvider;
use upheld_model::DrillId;
use upheld_wire::v1::enroll::RenewRequest;
use url::Url;

use crate::{
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
    pub(crate) fn open(
        state: &StateFolder,
        identity: &Identity,
        proxy: Option<&Url>,
        clock: &Arc<BoundedClock>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Failure> {
        let tls_identity = TlsIdentity::load(state)?;
        let roots_file = state.roots_pem();
        let unusable = || {
            Failure::new(Code::Invalid, format!("cannot use {}", roots_file.display()))
                .help("restore it from a backup, or get a new link and enroll again with --replace")
        };
        let pem = files::read_if_there(&roots_file).map_err(|error| state.unusable(error))?;
        let roots = identity::certificates(&pem.unwrap_or_default()).map_err(|why| unusable().why(why))?;
        if roots.is_empty() {
            return Err(unusable().why("it holds no certificate"));
        }
        let shown = RotatingIdentity::new(&tls_identity, provider).map_err(|error| unusable().because(error))?;
        let shown = Arc::new(shown);
        let config = tls::data(&roots, &shown, clock, provider).map_err(|error| unusable().because(error))?;
        let client = http::client(config, proxy)
            .map_err(|error| Failure::new(Code::Failed, "cannot set up a connection").because(error))?;
        let base = format!("https://{}", identity.collector);
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

    /// `POST /v1/renew`.
    pub(crate) async fn renew(&self, request: &RenewRequest) -> Result<Answer, NoAnswer> {
        http::send(self.client.post(format!("{}/v1/renew", self.base)).json(request)).await
    }

    /// Shows `identity` on connections opened from here on.
    pub(crate) fn show(&self, identity: &TlsIdentity) -> Result<(), rustls::Error> {
        self.shown.set(identity, &self.provider)
    }
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

//! Outgoing webhooks by the Standard Webhooks specification 1.0.0 (SECURITY 31, 32).
//!
//! One try is one signed POST over a connection of its own, to an address that was judged after the name was
//! resolved. No redirect is followed, no proxy used, at most 64 KiB of the answer read. The outcome says whether
//! the receiver certainly has the message, certainly has not, or may have it; only the last needs a look-up.
//!
//! What a receiver must do: recognise a repetition by `webhook-id` and answer it with 2xx again; answer 2xx only
//! after it has kept the message. It may name its own reference in a JSON body, `{"reference": "TKT-17"}`, and may
//! answer `GET` on a look-up address (`found.rs` says how); that request carries the same three headers, signed over
//! an empty body.

pub(crate) mod answer;
mod found;
mod signature;

pub use signature::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Secret, TOLERANCE, VerifyError, verify};

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use jiff::Timestamp;
use reqwest::{Client, ClientBuilder, Method, header::CONTENT_TYPE, redirect};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};
use url::{Position, Url};

use super::destination::{self, Refusal};
use crate::{Delivery, DeliveryKey, LookUp, Outcome};

pub use super::destination::HostRule;

/// The text in a look-up address that the key stands for. A key has only characters that stand for themselves in any
/// part of an address (RFC 3986, 2.3; see [`DeliveryKey`]): it is its own percent-encoding.
const REFERENCE_PLACE: &str = "{reference}";

/// How many look-ups for one message are on their way at once: a ticket system is not to take them for an attack.
const LOOK_UPS_AT_ONCE: usize = 4;

/// Where a channel's messages go.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// `https://…`; `http://` only to this host itself, and only with [`HostRule::PrivateAllowed`].
    pub url: Url,
    /// What the messages are signed with.
    pub secret: Secret,
    /// Where one can ask for a key; `{reference}` stands for it. On the same host and port as `url`.
    pub look_up_url: Option<String>,
    /// Whether an administrator allowed this very host to be private (SECURITY 31).
    pub host: HostRule,
    /// The longest one try may take; the specification recommends 15 to 30 s.
    pub timeout: Duration,
}

/// Why a webhook is refused before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The secret has another form.
    #[error(
        "the webhook secret must be whsec_ followed by the base64 of 24 to 64 bytes; \
         make one with: echo whsec_$(openssl rand -base64 32)"
    )]
    Secret,
    /// The address is neither `https` nor allowed to be `http`.
    #[error(
        "the webhook to {host} must begin with https://; http:// is taken only for this host itself, \
         and only when an administrator allowed it as a private host"
    )]
    Scheme {
        /// The host.
        host: String,
    },
    /// The address holds a user name or password.
    #[error("the webhook to {host} has credentials in its address; messages are signed, leave them out")]
    Credentials {
        /// The host.
        host: String,
    },
    /// The look-up address cannot be one.
    #[error("the look-up address of the webhook to {host} {why}")]
    LookUp {
        /// The host of the webhook.
        host: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// TLS cannot be set up.
    #[error("TLS for the webhook to {host} cannot be set up: {why}")]
    Tls {
        /// The host.
        host: String,
        /// What the library said.
        why: String,
    },
}

/// Sends to one receiver.
#[derive(Debug, Clone)]
pub struct Webhook {
    config: WebhookConfig,
    tls: ClientConfig,
}

impl Webhook {
    /// Checks the configuration; sends nothing. Receivers are trusted by the public's roots.
    pub fn new(config: WebhookConfig) -> Result<Self, WebhookError> {
        Self::with_roots(config, vec![])
    }

    /// The same, trusting further roots: for a receiver whose certificate a private authority signed.
    pub fn with_roots(config: WebhookConfig, roots: Vec<CertificateDer<'static>>) -> Result<Self, WebhookError> {
        let host = host_of(&config.url);
        let is_http = config.url.scheme() == "http" && config.host == HostRule::PrivateAllowed;
        if config.url.scheme() != "https" && !is_http {
            return Err(WebhookError::Scheme { host });
        }
        if !config.url.username().is_empty() || config.url.password().is_some() {
            return Err(WebhookError::Credentials { host });
        }
        if let Some(template) = &config.look_up_url {
            check_look_up(template, &config.url).map_err(|why| WebhookError::LookUp { host: host.clone(), why })?;
        }
        let tls = tls(roots).map_err(|error| WebhookError::Tls { host, why: error.to_string() })?;
        Ok(Self { config, tls })
    }

    /// One try: a signed POST. Ends within the configured timeout.
    pub async fn send(&self, delivery: &Delivery, now: Timestamp) -> Outcome {
        let url = &self.config.url;
        let client = match self.client(url).await {
            Ok(client) => client,
            Err(refusal) => return refusal.into_outcome(),
        };
        let request = self.signed(&client, Method::POST, url, &delivery.key, now, &delivery.body);
        let request = request.header(CONTENT_TYPE, "application/json").body(delivery.body.clone());
        match request.send().await {
            Ok(response) => answer::to_message(response, &delivery.key, now).await,
            Err(error) => answer::none(&error, &host_of(url)),
        }
    }

    /// Asks the receiver whether it has a delivery.
    pub async fn look_up(&self, key: &DeliveryKey, now: Timestamp) -> LookUp {
        let Some(template) = &self.config.look_up_url else { return LookUp::Unsupported };
        let Ok(url) = Url::parse(&template.replace(REFERENCE_PLACE, key.as_str())) else {
            return LookUp::Failed { why: "the look-up address is no address".to_owned() };
        };
        let client = match self.client(&url).await {
            Ok(client) => client,
            Err(refusal) => return LookUp::Failed { why: refusal.to_string() },
        };
        match self.signed(&client, Method::GET, &url, key, now, "").send().await {
            Ok(response) => found::to_look_up(response, key).await,
            Err(error) => LookUp::Failed { why: format!("the look-up failed: {}", answer::in_words(&error)) },
        }
    }

    /// The try after anything unclear: asks first, and sends only what is not there, neither under its own key nor under
    /// one of `known_as`, by which the receiver may have the same since before. Asking ends within the configured timeout,
    /// sending within another one.
    pub async fn look_up_then_send(&self, delivery: &Delivery, known_as: &[DeliveryKey], now: Timestamp) -> Outcome {
        let asking = self.look_up_any(&delivery.key, known_as, now);
        let (key, answer) = match tokio::time::timeout(self.config.timeout, asking).await {
            Ok(answered) => answered,
            Err(_) => {
                let (number, seconds) = (known_as.len() + 1, self.config.timeout.as_secs());
                return Outcome::Unclear {
                    why: format!("not all look-ups ({number}) were answered within {seconds} s; nothing was sent"),
                };
            }
        };
        match answer {
            LookUp::Found { reference } => Outcome::Delivered { reference, known_as: key.cloned() },
            LookUp::NotFound | LookUp::Unsupported => self.send(delivery, now).await,
            LookUp::Failed { why } => Outcome::Unclear { why: format!("{why}; nothing was sent") },
        }
    }

    /// The first answer, in the order of the keys, that is not "not there"; and to which of `others` it belongs.
    async fn look_up_any<'a>(
        &self,
        own: &DeliveryKey,
        others: &'a [DeliveryKey],
        now: Timestamp,
    ) -> (Option<&'a DeliveryKey>, LookUp) {
        let first = self.look_up(own, now).await;
        if first != LookUp::NotFound {
            return (None, first);
        }
        for some in others.chunks(LOOK_UPS_AT_ONCE) {
            let mut asked = Vec::with_capacity(some.len());
            for key in some {
                asked.push(self.look_up(key, now));
            }
            let answers = join_all(asked).await;
            if let Some((key, answer)) = some.iter().zip(answers).find(|(_, answer)| *answer != LookUp::NotFound) {
                return (Some(key), answer);
            }
        }
        (None, LookUp::NotFound)
    }

    /// A client that can connect to the judged addresses of one host and to nothing else. It lives for one request:
    /// messages are rare, and a kept connection would outlive the judgement.
    async fn client(&self, url: &Url) -> Result<Client, Refusal> {
        client(url, self.config.host, self.config.timeout, self.tls.clone()).await
    }

    fn signed(
        &self,
        client: &Client,
        method: Method,
        url: &Url,
        key: &DeliveryKey,
        now: Timestamp,
        body: &str,
    ) -> reqwest::RequestBuilder {
        client
            .request(method, url.clone())
            .header(HEADER_ID, key.as_str())
            .header(HEADER_TIMESTAMP, now.as_second())
            .header(HEADER_SIGNATURE, self.config.secret.sign(key.as_str(), now, body))
    }
}

/// A client for one request to one host: no other address, no redirect, no proxy, ended within `timeout`.
pub(crate) async fn client(url: &Url, host: HostRule, timeout: Duration, tls: ClientConfig) -> Result<Client, Refusal> {
    let started = std::time::Instant::now();
    let addresses = destination::judged_url(url, host, timeout / 2).await?;
    let left = timeout.saturating_sub(started.elapsed());
    let builder = ClientBuilder::new()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .pool_max_idle_per_host(0)
        .connect_timeout(left / 2)
        .timeout(left)
        .user_agent(concat!("upheld-collector/", env!("CARGO_PKG_VERSION")))
        .resolve_to_addrs(url.host_str().unwrap_or_default(), &addresses);
    builder.build().map_err(|error| Refusal::Local { why: answer::in_words(&error) })
}

/// The host for messages: the path may hold a token that belongs in no log.
pub(crate) fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or("a host without a name").to_owned()
}

fn check_look_up(template: &str, webhook: &Url) -> Result<(), &'static str> {
    let filled = Url::parse(&template.replace(REFERENCE_PLACE, "key-0000")).map_err(|_| "is no address")?;
    if !filled[Position::BeforePath..Position::AfterQuery].contains("key-0000") {
        return Err("must contain {reference} in its path or query, where the webhook-id is to stand");
    }
    if !filled.username().is_empty() || filled.password().is_some() {
        return Err("has credentials in it; look-ups are signed, leave them out");
    }
    let place = |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
    if place(&filled) == place(webhook) { Ok(()) } else { Err("must be on the host and port that the messages go to") }
}

pub(crate) fn tls(roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in roots {
        store.add(root)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(builder.with_safe_default_protocol_versions()?.with_root_certificates(store).with_no_client_auth())
}

#[cfg(test)]
mod tests;

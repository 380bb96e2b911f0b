//! The one address to which this agent itself tells a failure while its collector is away (DETECTION 4.10): a signed
//! webhook by Standard Webhooks, whose id names the failure, so that a repetition is recognised.
//!
//! Where it is stands in `agent.toml`, which only this host's administrator writes: `alarm = { url = "https://…", secret =
//! "whsec_…" }`. When to send is [`upheld_engine::alarm`]'s business.

use std::{fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use reqwest::Client;
use ring::hmac;
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};
use serde::{Deserialize, Serialize};
use upheld_engine::alarm::{Alarm, What};
use upheld_model::{DeviceText, FindingId, ObservedAt};
use url::{Host, Url};

use crate::{http, state::Identity};

/// Where alarms go. Prints no secret.
#[derive(Clone)]
pub(crate) struct AlarmTarget {
    url: Url,
    secret: hmac::Key,
}

impl fmt::Debug for AlarmTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlarmTarget").field("host", &self.host()).field("secret", &"REDACTED").finish()
    }
}

/// As it stands in the settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTarget {
    url: String,
    secret: String,
}

/// A secret that must not be printed with the settings.
impl fmt::Debug for RawTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawTarget").field("secret", &"REDACTED").finish_non_exhaustive()
    }
}

impl AlarmTarget {
    /// Checks what the settings say.
    pub(crate) fn new(raw: &RawTarget) -> Result<Self, &'static str> {
        let url = Url::parse(&raw.url).map_err(|_| "alarm.url is no address")?;
        let is_this_host = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(_)) | None => false,
        };
        if !(url.scheme() == "https" || (url.scheme() == "http" && is_this_host)) {
            return Err("alarm.url must begin with https:// (http:// only for a relay on this host, by its address)");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("alarm.url must hold no user and no password: the message is signed with alarm.secret");
        }
        let bytes = raw.secret.trim().strip_prefix("whsec_").and_then(|encoded| BASE64_STANDARD.decode(encoded).ok());
        let bytes = bytes.filter(|bytes| (24..=64).contains(&bytes.len()));
        let bytes = bytes.ok_or("alarm.secret must be whsec_ followed by the base64 of 24 to 64 bytes")?;
        Ok(Self { url, secret: hmac::Key::new(hmac::HMAC_SHA256, &bytes) })
    }

    /// Who is told; the rest of the address may be a secret.
    pub(crate) fn host(&self) -> String {
        self.url.host_str().unwrap_or_default().to_owned()
    }

    fn sign(&self, id: &str, at: Timestamp, body: &str) -> String {
        let content = format!("{id}.{}.{body}", at.as_second());
        format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(&self.secret, content.as_bytes())))
    }
}

/// Sends alarms.
#[derive(Debug, Clone)]
pub(crate) struct AlarmLine {
    target: AlarmTarget,
    client: Client,
}

/// The body of a message.
#[derive(Debug, Serialize)]
struct Message<'a> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Debug, Serialize)]
struct Data<'a> {
    /// No agreement was matched: no priority, no clock, no ticket of the collector stands behind this.
    matched: bool,
    why: String,
    client: &'a str,
    site: &'a str,
    agent: &'a str,
    asset: &'a str,
    check: &'a str,
    /// The name by which the collector will know the failure, once it is back: the same in its own incident.
    finding: FindingId,
    last_ok: Option<ObservedAt>,
    first_bad: ObservedAt,
    confirmed_at: ObservedAt,
    evidence: Option<&'a DeviceText>,
}

impl AlarmLine {
    /// A line to the target; connects nothing yet.
    pub(crate) fn new(target: AlarmTarget, provider: &Arc<CryptoProvider>) -> Result<Self, Box<dyn std::error::Error>> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { target, client: http::client(tls, None)? })
    }

    /// Sends one message; whether it was taken.
    pub(crate) async fn tell(
        &self,
        identity: &Identity,
        alarm: &Alarm,
        away_since: ObservedAt,
        now: Timestamp,
    ) -> bool {
        let finding = &alarm.finding;
        let (kind, word) = match alarm.what {
            What::Opened => ("upheld.agent-alarm.opened", "opened"),
            What::Restored => ("upheld.agent-alarm.restored", "restored"),
        };
        let why =
            format!("told by the agent itself: its collector {} has been away since {away_since}", identity.collector);
        let message = Message {
            r#type: kind,
            timestamp: now,
            data: Data {
                matched: false,
                why,
                client: identity.client.as_str(),
                site: identity.site.as_str(),
                agent: identity.agent.as_str(),
                asset: finding.check.asset.as_str(),
                check: finding.check.name.as_str(),
                finding: finding.id(),
                last_ok: finding.last_ok,
                first_bad: finding.first_bad,
                confirmed_at: finding.confirmed_at,
                evidence: finding.evidence.as_ref(),
            },
        };
        let id = message_id(&format!("{}:{}:{word}", identity.agent, finding.id()));
        // Names, instants and text: there is nothing in it that JSON cannot say.
        let body = serde_json::to_string(&message).unwrap_or_default();
        let request = self
            .client
            .post(self.target.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", now.as_second().to_string())
            .header("webhook-signature", self.target.sign(&id, now, &body))
            .body(body);
        match http::send(request).await {
            Ok(answer) if (200..300).contains(&answer.status) => {
                tracing::warn!(finding = %finding.id(), "The collector is away: this agent told the failure itself.");
                true
            }
            Ok(answer) => {
                tracing::warn!(status = answer.status, "An alarm of this agent was not taken; it is tried again.");
                false
            }
            Err(error) => {
                tracing::warn!(error = error.words(), "An alarm of this agent could not be sent; it is tried again.");
                false
            }
        }
    }
}

/// The same for the same message, after a restart too, and without the full stops that the specification forbids.
fn message_id(name: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let hex: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("alarm_{hex}")
}

#[cfg(test)]
mod tests;

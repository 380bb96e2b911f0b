//! Outgoing webhooks by the Standard Webhooks specification 1.0.0 (SECURITY 31, 32).

mod signature;

use std::time::Duration;

use jiff::Timestamp;
use url::Url;

pub use signature::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Secret, TOLERANCE, VerifyError, verify};

use crate::{Delivery, DeliveryKey, LookUp, Outcome};

/// Where a channel's messages go.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// `https://…`; `http://` only to a loopback address of a private host that is allowed.
    pub url: Url,
    /// What the messages are signed with.
    pub secret: Secret,
    /// Where one can ask for a key; `{key}` stands for it. Same host as `url`.
    pub look_up_url: Option<String>,
    /// An administrator allowed this very host to be private or loopback (SECURITY 31).
    pub host: HostRule,
    /// The longest one try may take; the specification recommends 15 to 30 s.
    pub timeout: Duration,
}

/// Which addresses the receiver's host may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostRule {
    /// Public addresses only.
    Public,
    /// Private and loopback addresses too; link-local and cloud metadata never.
    PrivateAllowed,
}

/// Why a webhook is refused before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The secret has another form.
    #[error(
        "the webhook secret must be whsec_ followed by the base64 of 24 to 64 bytes; make one with: echo whsec_$(openssl rand -base64 32)"
    )]
    Secret,
}

/// Sends to one receiver.
#[derive(Debug, Clone)]
pub struct Webhook {
    config: WebhookConfig,
}

impl Webhook {
    /// Checks the configuration; sends nothing.
    pub fn new(config: WebhookConfig) -> Result<Self, WebhookError> {
        Ok(Self { config })
    }

    /// One try: a signed POST. Ends within the configured timeout.
    pub async fn send(&self, delivery: &Delivery, now: Timestamp) -> Outcome {
        let _ = (&self.config, now);
        Outcome::Permanent { why: format!("webhooks are not built yet ({})", delivery.kind) }
    }

    /// Asks the receiver whether it has a delivery.
    pub async fn look_up(&self, key: &DeliveryKey, now: Timestamp) -> LookUp {
        let _ = (key, now);
        LookUp::Unsupported
    }

    /// The try after anything unclear: asks first, and sends only what is not there.
    pub async fn look_up_then_send(&self, delivery: &Delivery, now: Timestamp) -> Outcome {
        match self.look_up(&delivery.key, now).await {
            LookUp::Found { reference } => Outcome::Delivered { reference },
            LookUp::NotFound | LookUp::Unsupported => self.send(delivery, now).await,
            LookUp::Failed { why } => Outcome::Unclear { why },
        }
    }
}

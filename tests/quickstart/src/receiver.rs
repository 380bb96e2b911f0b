//! The demonstration's ticket system: it takes webhooks on loopback, verifies each signature with an implementation
//! that is not ours, and keeps one ticket per id.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use jiff::Timestamp;
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// One delivery whose signature was right.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    /// When the receiver had it whole.
    pub(crate) at: Timestamp,
    /// The `webhook-id` header: the same on every repeat.
    pub(crate) id: String,
    /// The event's name, `incident.opened` and so on.
    pub(crate) kind: String,
    /// The body.
    pub(crate) body: Value,
}

/// What has come so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inbox {
    /// By id: a repeat of one delivery is the same ticket.
    pub(crate) posted: BTreeMap<String, Posted>,
    /// Deliveries whose signature or form was wrong, in words.
    pub(crate) refused: Vec<String>,
    /// Repeats of an id that was already here.
    pub(crate) repeats: u32,
}

/// A running receiver.
pub(crate) struct Receiver {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// `whsec_…`, for the collector's secrets.
    pub(crate) secret: String,
    inbox: watch::Receiver<Inbox>,
    server: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Desk {
    verifier: standardwebhooks::Webhook,
    inbox: watch::Sender<Inbox>,
}

impl Receiver {
    /// Starts on a free loopback port with a fresh secret.
    pub(crate) async fn start() -> Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).context("asking the kernel for random bytes")?;
        let secret = format!("whsec_{}", base64::Engine::encode(&base64::prelude::BASE64_STANDARD, key));
        let (sender, inbox) = watch::channel(Inbox::default());
        let desk = Desk { verifier: standardwebhooks::Webhook::new(&secret)?, inbox: sender };
        let listener = TcpListener::bind("127.0.0.1:0").await.context("opening the receiver's port")?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/hooks/upheld", post(take)).with_state(Arc::new(desk));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the receiver stopped: {error}");
            }
        });
        Ok(Self { address, secret, inbox, server })
    }

    /// The address that the book names.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks/upheld", self.address)
    }

    /// What has come so far.
    pub(crate) fn inbox(&self) -> Inbox {
        self.inbox.borrow().clone()
    }
}

async fn take(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let at = Timestamp::now();
    match read(&desk.verifier, &headers, &body, at) {
        Ok(posted) => {
            desk.inbox.send_modify(|inbox| {
                if inbox.posted.contains_key(&posted.id) {
                    inbox.repeats += 1;
                } else {
                    inbox.posted.insert(posted.id.clone(), posted);
                }
            });
            StatusCode::OK
        }
        Err(why) => {
            desk.inbox.send_modify(|inbox| inbox.refused.push(format!("{why:#}")));
            StatusCode::UNAUTHORIZED
        }
    }
}

fn read(verifier: &standardwebhooks::Webhook, headers: &HeaderMap, body: &[u8], at: Timestamp) -> Result<Posted> {
    verifier.verify(body, headers).context("the signature does not fit")?;
    let id = headers.get("webhook-id").context("no webhook-id")?.to_str()?.to_owned();
    let body: Value = serde_json::from_slice(body).context("the body is not JSON")?;
    let kind = body["type"].as_str().context("the body has no type")?.to_owned();
    Ok(Posted { at, id, kind, body })
}

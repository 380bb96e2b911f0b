//! Empties the outbox (DELIVERY 3): lease → intent → look up → send → mark.

use std::{future::Future, pin::Pin};

use jiff::Timestamp;

use crate::{Desk, DeskError, Secrets, tasks::Report};

/// A boxed future, so that [`Channel`] can be a trait object.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How a message leaves the house.
pub trait Channel: Send + Sync {
    /// Sends one message and says what came of it.
    fn send<'a>(&'a self, message: &'a Message, now: Timestamp) -> Boxed<'a, Result<Option<String>, String>>;
}

/// One message, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The key by which the receiver recognises it: the same for every attempt.
    pub key: String,
    /// The event's name.
    pub event: String,
    /// The JSON body.
    pub body: String,
    /// Where to.
    pub url: String,
    /// The name of the secret that signs it.
    pub secret: String,
}

impl Desk {
    /// Sends what is due, at most `limit` messages. `worker` names this worker in leases and attempts.
    pub async fn deliver_outbox_once(
        &self,
        worker: &str,
        channel: &dyn Channel,
        secrets: &dyn Secrets,
        limit: u32,
        now: Timestamp,
    ) -> Result<Report, DeskError> {
        let _ = (worker, channel, secrets, limit, now);
        Err(DeskError::NotBuilt("deliver_outbox_once"))
    }
}

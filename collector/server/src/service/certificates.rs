//! The certificates in use: looked at each hour, replaced in time, swapped without dropping a connection
//! (SECURITY 14).

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{sync::watch, time::sleep};
use tracing::{error, info};

use crate::{
    doors::TlsSet,
    failure::{Exit, Failure},
    pki::Pki,
};

/// An hour is nothing beside the 30 days that are left when a certificate is replaced.
const EVERY: Duration = Duration::from_secs(3600);

/// The authority and the doors' configurations, as they are at this moment.
pub(super) struct Certificates {
    pki: watch::Sender<Arc<Pki>>,
    tls: watch::Sender<Arc<TlsSet>>,
}

impl Certificates {
    pub(super) fn new(pki: Pki) -> Result<Self, Failure> {
        let tls = TlsSet::new(&pki).map_err(|error| Failure::of(Exit::Config, &error))?;
        Ok(Self { pki: watch::Sender::new(Arc::new(pki)), tls: watch::Sender::new(Arc::new(tls)) })
    }

    pub(super) fn pki(&self) -> watch::Receiver<Arc<Pki>> {
        self.pki.subscribe()
    }

    pub(super) fn tls(&self) -> watch::Receiver<Arc<TlsSet>> {
        self.tls.subscribe()
    }

    /// Never returns. What cannot be renewed is said at each attempt; what is in use stays in use.
    pub(super) async fn keep_fresh(&self, clock: &Arc<dyn Fn() -> Timestamp + Send + Sync>) {
        loop {
            sleep(EVERY).await;
            let (pki, now) = (Arc::clone(&self.pki.borrow()), clock());
            let outcome = tokio::task::spawn_blocking(move || renewed(&pki, now)).await;
            match outcome {
                Ok(Ok(None)) => {}
                Ok(Ok(Some((pki, tls)))) => {
                    self.pki.send_replace(Arc::new(pki));
                    self.tls.send_replace(Arc::new(tls));
                    info!("the collector's certificates were renewed; connections move to them within a day");
                }
                Ok(Err(failure)) => error!("certificates could not be renewed: {}", failure.text(false)),
                Err(join) => error!("certificates could not be renewed: {join}"),
            }
        }
    }
}

fn renewed(pki: &Pki, now: Timestamp) -> Result<Option<(Pki, TlsSet)>, Failure> {
    let Some(next) = pki.renewed(now)? else { return Ok(None) };
    let tls = TlsSet::new(&next).map_err(|error| Failure::of(Exit::Config, &error))?;
    Ok(Some((next, tls)))
}

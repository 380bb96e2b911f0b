//! One file per probe: asks a device, returns an outcome.
//!
//! [`Prober::run`] takes a checked [`CheckSpec`] and answers with a [`ProbeResult`], always within the check's
//! timeout and never by a panic. What may be asked is decided here, at the site, by the [`AllowList`] and by rules
//! that no file can lift (SECURITY 3); the collector only names what it would like to know.
//!
//! The crate knows neither journal nor uplink, starts no program, and never calls a device down for a fault of its
//! own: a name that does not resolve, a missing right, a full descriptor table are `Unknown` with a reason.
//!
//! To add a probe: a kind in `upheld_model::ProbeSpec`, a file here with one `run` function, one arm in
//! [`Prober::run`]'s match, and tests against a real peer.

pub mod allow;
pub mod host;
mod result;

pub use allow::{AllowError, AllowList};
pub use result::ProbeResult;

use std::{net::SocketAddr, sync::Arc};

use upheld_model::{CheckSpec, Outcome, UnknownReason};

/// Runs checks. Cheap to clone; clones share sockets and the memory of earlier runs (growth, processor time).
///
/// Must be used inside a tokio runtime with time and IO; one thread is enough.
#[derive(Clone)]
pub struct Prober {
    inner: Arc<Inner>,
}

struct Inner {
    allow: AllowList,
}

impl Prober {
    /// A prober for one site. `collector` is where the uplink goes to: what a check may ask there is narrower than
    /// elsewhere (see [`AllowList`]). Opens nothing yet.
    pub fn new(allow: AllowList, collector: Vec<SocketAddr>) -> Self {
        let _ = collector;
        Self { inner: Arc::new(Inner { allow }) }
    }

    /// Tells the prober that the collector's name resolves to other addresses than before.
    pub fn collector_is_at(&self, addresses: Vec<SocketAddr>) {
        let _ = addresses;
    }

    /// Runs one check once. Ends within `spec.timeout()`, whatever the other side does; cancel-safe.
    pub async fn run(&self, spec: &CheckSpec) -> ProbeResult {
        let _ = &self.inner.allow;
        ProbeResult::new(Outcome::unknown(UnknownReason::CannotProbe))
            .evidence(format!("{} is not built yet", spec.probe.kind()))
    }
}

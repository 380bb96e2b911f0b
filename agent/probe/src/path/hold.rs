//! What a way out that ends says of other checks: a failure behind that step is not the target's.
//!
//! The check is made all the same. One that answers is good, whatever the verdict says; one that fails is unknown
//! (path), so that a line that is down is one finding and not fifty. What lies before that step is judged as ever.

use std::{
    cell::RefCell,
    net::IpAddr,
    time::{Duration, Instant},
};

use upheld_model::{Culprit, Outcome, UnknownReason, address::Place};

use super::{Paths, Way, lock};
use crate::{ProbeResult, surroundings};

/// So many addresses are remembered that were reached.
const LATELY_MAX: usize = 256;

tokio::task_local! {
    /// The addresses that the run at hand was permitted to reach: the probes need not hand them up one by one.
    pub(crate) static REACHED: RefCell<Vec<IpAddr>>;
}

/// Where the way ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    culprit: Culprit,
    interface: Option<String>,
    gateway: Option<IpAddr>,
    sentence: String,
    until: Instant,
}

impl Standing {
    /// `None` where nothing lies behind the step.
    pub(super) fn new(culprit: Culprit, way: &Way, sentence: String, good_for: Duration) -> Option<Self> {
        let is_in_the_way = match culprit {
            Culprit::OwnLink | Culprit::Switch | Culprit::Gateway | Culprit::IspAccess | Culprit::IspRouting => true,
            // Names that cannot be looked up are unknown (resolver) by themselves.
            Culprit::Dns | Culprit::Collector => false,
        };
        let Way { interface, gateway, has_route: _ } = way.clone();
        let until = Instant::now() + good_for;
        is_in_the_way.then_some(Self { culprit, interface, gateway, sentence, until })
    }

    /// Whether the address lies behind the step.
    fn holds(&self, address: IpAddr) -> bool {
        let Some(way) = surroundings::way_to(address) else { return false };
        let is_over_it = Some(&way.interface) == self.interface.as_ref();
        let is_routed = way.gateway.is_some() && way.gateway == self.gateway;
        match self.culprit {
            Culprit::OwnLink => is_over_it,
            Culprit::Switch => is_over_it && (is_routed || Some(address) == self.gateway),
            Culprit::Gateway => is_over_it && is_routed,
            // Another network of the site may lie behind the gateway too.
            Culprit::IspAccess | Culprit::IspRouting => {
                is_over_it && is_routed && matches!(Place::of(address), Place::Public | Place::Shared)
            }
            Culprit::Dns | Culprit::Collector => false,
        }
    }
}

impl Paths {
    /// Judges the result of a check that reached for these addresses, and remembers who answered.
    pub(crate) fn judge(&self, result: ProbeResult, reached: &[IpAddr]) -> ProbeResult {
        match result.outcome {
            Outcome::Ok | Outcome::Warn => {
                let now = Instant::now();
                let mut lately = lock(&self.lately);
                lately.extend(reached.iter().map(|address| (*address, now)));
                while lately.len() > LATELY_MAX {
                    let oldest = lately.iter().min_by_key(|(_, at)| **at).map(|(address, _)| *address);
                    oldest.and_then(|address| lately.remove(&address));
                }
                result
            }
            Outcome::Bad => match self.held(reached) {
                Some(sentence) => {
                    let what = result.evidence.as_ref().map_or("it failed", |evidence| evidence.as_str());
                    let why = format!("{what}; not judged, since the way there is broken: {sentence}");
                    ProbeResult { outcome: Outcome::unknown(UnknownReason::Path), ..result.evidence(why) }
                }
                None => result,
            },
            Outcome::Unknown { .. } => result,
        }
    }

    fn held(&self, reached: &[IpAddr]) -> Option<String> {
        let standing = lock(&self.standing).clone().filter(|standing| Instant::now() < standing.until)?;
        let are_behind = !reached.is_empty() && reached.iter().all(|address| standing.holds(*address));
        are_behind.then_some(standing.sentence)
    }
}

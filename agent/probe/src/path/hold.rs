//! What a way out that ends says of other checks: a failure behind that step is not the target's.
//!
//! The check is made all the same. One that answers is good, whatever the verdict says; one that fails is unknown
//! (path), so that a line that is down is one finding and not fifty. What lies before that step is judged as ever.

use std::{
    cell::RefCell,
    collections::BTreeMap,
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

/// Half at once: to look for the oldest one at each answer took a fifth of the time of a sweep.
fn forget_the_older_half(lately: &mut BTreeMap<IpAddr, Instant>) {
    let mut times: Vec<Instant> = lately.values().copied().collect();
    let middle = times.len() / 2;
    let (_, middle, _) = times.select_nth_unstable(middle);
    lately.retain(|_, at| *at >= *middle);
    while lately.len() > LATELY_MAX {
        // All of one instant.
        lately.pop_first();
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
                if lately.len() > LATELY_MAX {
                    forget_the_older_half(&mut lately);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_reached_last_is_remembered() {
        let (start, mut lately) = (Instant::now(), BTreeMap::new());
        for place in 0..1_000_u32 {
            lately.insert(IpAddr::V4(place.into()), start + Duration::from_millis(u64::from(place)));
            if lately.len() > LATELY_MAX {
                forget_the_older_half(&mut lately);
            }
            assert!((1..=LATELY_MAX).contains(&lately.len()));
            assert!(lately.contains_key(&IpAddr::V4(place.into())));
        }
        assert!((900..1_000_u32).all(|place| lately.contains_key(&IpAddr::V4(place.into()))));
        let mut at_once: BTreeMap<_, _> = (0..400_u32).map(|place| (IpAddr::V4(place.into()), start)).collect();
        forget_the_older_half(&mut at_once);
        assert_eq!(at_once.len(), LATELY_MAX);
    }
}

//! From a name to addresses that may be connected to.
//!
//! A name is resolved once per run, every answer is judged, and the probe connects to one of the judged addresses
//! and to nothing else: what the name says a moment later does not matter (SECURITY 3).

use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;
use upheld_model::{UnknownReason, check::RESOLVER};

use crate::{
    AllowList, ProbeResult,
    allow::{Reach, Refusal, Surroundings},
    deadline::Deadline,
    path::REACHED,
    surroundings,
};

/// At most so many look-ups at a time: the system's resolver cannot be interrupted, and each holds a thread.
const LOOK_UPS_MAX: usize = 4;
/// At most so many addresses of one name are tried.
const ADDRESSES_MAX: usize = 4;
/// The routing table and the resolver's file are read again after this.
const SURROUNDINGS_KEPT: Duration = Duration::from_secs(30);

/// Judges targets for one site.
pub(crate) struct Targets {
    allow: AllowList,
    around: Mutex<(Arc<Surroundings>, Option<Instant>)>,
    look_ups: Arc<Semaphore>,
    is_proxied: AtomicBool,
}

impl Targets {
    pub(crate) fn new(allow: AllowList, collector: Vec<SocketAddr>) -> Self {
        let around = Surroundings { collector, ..Surroundings::default() };
        Self {
            allow,
            around: Mutex::new((Arc::new(around), None)),
            look_ups: Arc::new(Semaphore::new(LOOK_UPS_MAX)),
            is_proxied: AtomicBool::new(false),
        }
    }

    pub(crate) fn allow(&self) -> &AllowList {
        &self.allow
    }

    /// Whether a connection to the collector says whether it is reached.
    pub(crate) fn is_collector_direct(&self) -> bool {
        !self.is_proxied.load(Relaxed)
    }

    pub(crate) fn collector_is_behind_a_proxy(&self) {
        self.is_proxied.store(true, Relaxed);
    }

    /// The network that this host is in.
    pub(crate) fn surroundings(&self) -> Arc<Surroundings> {
        self.around()
    }

    /// Whether a check may reach an address, without any name.
    pub(crate) fn permits(&self, asked: &str, address: IpAddr, reach: Reach) -> Result<(), Refusal> {
        self.allow.permits(&self.around(), asked, address, reach)
    }

    pub(crate) fn collector_is_at(&self, addresses: Vec<SocketAddr>) {
        let mut around = self.around.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut around.0).collector = addresses;
    }

    /// Refuses to send a secret to the collector, which asks for checks and must not come to know one: to any of its ports,
    /// on this host to its own. The error is the result of the run.
    pub(crate) fn may_have_secrets(&self, address: IpAddr, port: u16) -> Result<(), ProbeResult> {
        let address = address.to_canonical();
        let around = self.around.lock().unwrap_or_else(PoisonError::into_inner);
        let is_collector = around
            .0
            .collector
            .iter()
            .any(|known| known.ip().to_canonical() == address && (known.port() == port || !address.is_loopback()));
        if is_collector {
            let why = format!("{address} is the collector: no secret is ever sent there");
            return Err(ProbeResult::unknown(UnknownReason::NotAllowed, why));
        }
        Ok(())
    }

    /// The addresses of `target` that a check may reach, in the resolver's order; never empty. `gateway` is the
    /// default gateway, `resolver` the first one that this host is configured with. The error is the result of the run.
    pub(crate) async fn addresses(
        &self,
        target: &str,
        reach: Reach,
        deadline: Deadline,
    ) -> Result<Vec<IpAddr>, ProbeResult> {
        let found = if target == "gateway" {
            let gateway = self.around().gateways.first().copied();
            vec![gateway.ok_or_else(|| {
                ProbeResult::unknown(
                    UnknownReason::Local,
                    "this host has no default gateway, or it cannot be read here",
                )
            })?]
        } else if target == RESOLVER {
            let resolver = self.around().resolvers.first().copied();
            vec![resolver.ok_or_else(|| {
                let why = "this host is configured with no resolver, or it cannot be read here";
                ProbeResult::unknown(UnknownReason::Local, why)
            })?]
        } else if let Ok(address) = target.trim_start_matches('[').trim_end_matches(']').parse() {
            vec![address]
        } else {
            Box::pin(self.resolve(target, deadline)).await?
        };
        self.permitted(target, found, reach).map_err(|refusal| {
            ProbeResult::unknown(UnknownReason::NotAllowed, format!("{target} is not allowed: {refusal}"))
        })
    }

    fn permitted(&self, target: &str, found: Vec<IpAddr>, reach: Reach) -> Result<Vec<IpAddr>, Refusal> {
        let around = self.around();
        let mut permitted = Vec::new();
        let mut refused = None;
        for address in found {
            match self.allow.permits(&around, target, address, reach) {
                Ok(()) => permitted.push(address.to_canonical()),
                Err(refusal) if refusal.taints_the_name() => return Err(refusal),
                Err(refusal) => refused = Some(refusal),
            }
        }
        permitted.dedup();
        permitted.truncate(ADDRESSES_MAX);
        // Outside of a run nobody wants to know.
        let _ = REACHED.try_with(|reached| reached.borrow_mut().extend(&permitted));
        match refused {
            Some(refusal) if permitted.is_empty() => Err(refusal),
            Some(_) | None => Ok(permitted),
        }
    }

    async fn resolve(&self, name: &str, deadline: Deadline) -> Result<Vec<IpAddr>, ProbeResult> {
        let unknown = |why: String| ProbeResult::unknown(UnknownReason::Resolver, why);
        let slot = deadline.bound(Arc::clone(&self.look_ups).acquire_owned()).await;
        // The semaphore is never closed, so the inner error cannot occur; it reads as a resolver that is busy.
        let Some(Ok(slot)) = slot else {
            return Err(unknown(format!("looking up {name}: the resolver is busy with {LOOK_UPS_MAX} other names")));
        };
        let owned = name.to_owned();
        let look_up = tokio::task::spawn_blocking(move || {
            let answers = (owned.as_str(), 0).to_socket_addrs().map(|all| all.map(|a| a.ip()).collect::<Vec<_>>());
            drop(slot);
            answers
        });
        match deadline.bound(look_up).await {
            Some(Ok(Ok(addresses))) if !addresses.is_empty() => Ok(addresses),
            Some(Ok(Ok(_))) => Err(unknown(format!("{name} has no address"))),
            Some(Ok(Err(error))) => Err(unknown(format!("looking up {name}: {error}"))),
            Some(Err(_)) => Err(unknown(format!("looking up {name} was interrupted"))),
            None => Err(unknown(format!("looking up {name} took too long"))),
        }
    }

    fn around(&self) -> Arc<Surroundings> {
        let mut guard = self.around.lock().unwrap_or_else(PoisonError::into_inner);
        let (around, read_at) = &mut *guard;
        if read_at.is_none_or(|at| at.elapsed() > SURROUNDINGS_KEPT) {
            let around = Arc::make_mut(around);
            around.gateways = surroundings::gateways();
            around.resolvers = surroundings::resolvers();
            *read_at = Some(Instant::now());
        }
        Arc::clone(around)
    }
}

#[cfg(test)]
mod tests {
    use upheld_model::Outcome;

    use super::*;

    fn targets(allow: &str) -> Targets {
        Targets::new(AllowList::parse(allow, std::path::Path::new("allow.toml")).unwrap(), vec![])
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn security_3_a_name_that_also_answers_with_a_forbidden_address_is_refused_whole() {
        let targets = targets("");
        for second in ["127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "0.0.0.0"] {
            let refused = targets.permitted("nvr.example", ips(&["10.0.0.5", second]), Reach::Connect(80));
            assert!(refused.is_err(), "{second}");
        }
    }

    #[test]
    fn a_private_address_is_used_although_the_name_has_a_public_one_too() {
        let permitted = targets("").permitted("nvr.example", ips(&["2606:4700::1", "10.0.0.5"]), Reach::Connect(80));
        assert_eq!(permitted, Ok(ips(&["10.0.0.5"])));
        assert!(targets("").permitted("nvr.example", ips(&["2606:4700::1"]), Reach::Connect(80)).is_err());
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_unknown_and_not_bad() {
        let deadline = Deadline::after(Duration::from_secs(20));
        // RFC 6761: .invalid never resolves.
        let result = targets("").addresses("nvr.invalid", Reach::Echo, deadline).await.unwrap_err();
        assert_eq!(result.outcome, Outcome::unknown(UnknownReason::Resolver));
        assert!(result.evidence.unwrap().as_str().contains("nvr.invalid"));
    }

    #[tokio::test]
    async fn a_look_up_that_waits_behind_others_ends_at_the_deadline() {
        let targets = targets("");
        let _all = targets.look_ups.acquire_many(4).await.unwrap();
        let result = targets.resolve("nvr.invalid", Deadline::after(Duration::from_millis(20))).await.unwrap_err();
        assert_eq!(result.outcome, Outcome::unknown(UnknownReason::Resolver));
    }

    #[tokio::test]
    async fn other_spellings_of_loopback_are_judged_by_what_they_resolve_to() {
        let deadline = Deadline::after(Duration::from_secs(5));
        for spelling in ["localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]"] {
            let result = targets("").addresses(spelling, Reach::Http(80), deadline).await.unwrap_err();
            assert_eq!(result.outcome, Outcome::unknown(UnknownReason::NotAllowed), "{spelling}");
        }
        let listed = targets("loopback_ports = [80]").addresses("127.1", Reach::Http(80), deadline).await;
        assert_eq!(listed, Ok(ips(&["127.0.0.1"])));
    }
}

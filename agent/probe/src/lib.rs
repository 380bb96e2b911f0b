//! One file per probe: asks a device, returns an outcome.
//!
//! [`Prober::run`] takes a checked [`CheckSpec`] and answers with a [`ProbeResult`], always within the check's
//! timeout and never by a panic. What may be asked is decided here, at the site, by the [`AllowList`] and by rules
//! that no file can lift (SECURITY 3); the collector only names what it would like to know.
//!
//! The crate knows neither the agent's journal nor its uplink, starts no program but what the site's own file spells out, and never calls
//! a device down for a fault of its own: a name that does not resolve, a missing right, a full descriptor table are
//! `Unknown` with a reason.
//!
//! To add a probe: a kind in `upheld_model::ProbeSpec`, a file here with one `run` function, one arm in
//! the dispatch below, and tests against a real peer.

// Tests start what they need: a namespace, a shell.
#![cfg_attr(test, allow(clippy::disallowed_methods, clippy::disallowed_types))]

pub mod allow;
mod apcupsd;
mod blocking;
mod boot;
mod deadline;
pub mod discover;
mod dns;
mod eventlog;
mod exec;
mod fault;
mod freshness;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod host;
mod http;
mod icmp;
mod link;
mod log;
mod memory;
mod ntp;
mod nut;
mod path;
mod port;
mod process;
mod result;
mod secret;
mod service;
mod smart;
mod snmp;
mod surroundings;
mod switch;
#[cfg(windows)]
mod tables;
mod target;
mod tcp;
#[cfg(test)]
mod testing;
mod tls;
mod udp;
mod ups;
mod ups_kernel;
mod ups_snmp;
mod words;

pub use allow::{AllowError, AllowList};
pub use memory::Memory;
pub use result::ProbeResult;
pub use secret::{Secret, Secrets};

use std::{
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use upheld_model::{CheckSpec, ProbeSpec, UnknownReason};

use apcupsd::Apcupsd;
use blocking::Blocking;
use boot::Boots;
use deadline::Deadline;
use eventlog::EventLogs;
use exec::Plugins;
use freshness::Freshness;
use host::Host;
use http::{Expectation, Http, Login};
use icmp::{Echoes, Quality};
use link::Links;
use log::Logs;
use nut::{Looks, Nut};
use path::{Paths, REACHED};
use process::Processes;
use secret::Shelf;
use service::Services;
use smart::Disks;
use snmp::Sessions;
use switch::Ports;
use target::Targets;
use tls::Tls;
use ups::battery::{Batteries, Moment};
use ups_kernel::KernelSupplies;
use ups_snmp::SnmpSupplies;

/// Runs checks. Cheap to clone; clones share sockets and the memory of earlier runs (growth, processor time).
///
/// Must be used inside a tokio runtime with time and IO; one thread is enough. Sockets are opened when a check first
/// needs them and belong to the runtime they were opened on.
#[derive(Clone)]
pub struct Prober {
    inner: Arc<Inner>,
}

struct Inner {
    targets: Targets,
    blocking: Blocking,
    host: Host,
    http: Http,
    echoes: Echoes,
    quality: Quality,
    freshness: Freshness,
    links: Links,
    nut: Nut,
    sessions: Sessions,
    snmp_supplies: SnmpSupplies,
    switch_ports: Ports,
    secrets: Shelf,
    apcupsd: Apcupsd,
    kernel_supplies: KernelSupplies,
    services: Services,
    tls: Tls,
    plugins: Plugins,
    processes: Processes,
    logs: Logs,
    smart: Disks,
    paths: Paths,
    boots: Boots,
    batteries: Batteries,
    event_logs: EventLogs,
}

impl Prober {
    /// A prober for one site. `collector` is where the uplink goes to: what a check may ask there is narrower than
    /// elsewhere (see [`AllowList`]). Opens nothing yet.
    pub fn new(allow: AllowList, collector: Vec<SocketAddr>) -> Self {
        let inner = Inner {
            targets: Targets::new(allow, collector),
            blocking: Blocking::default(),
            host: Host::new(),
            http: Http::new(),
            echoes: Echoes::new(),
            quality: Quality::new(),
            freshness: Freshness::new(),
            links: Links::new(),
            nut: Nut::new(),
            sessions: Sessions::default(),
            snmp_supplies: SnmpSupplies::default(),
            switch_ports: Ports::default(),
            secrets: Shelf::default(),
            apcupsd: Apcupsd::new(),
            kernel_supplies: KernelSupplies::new(),
            services: Services::new(),
            tls: Tls::new(),
            plugins: Plugins::new(),
            processes: Processes::new(),
            logs: Logs::default(),
            smart: Disks::default(),
            paths: Paths::default(),
            boots: Boots::default(),
            batteries: Batteries::new(host::boot_id().as_str()),
            event_logs: EventLogs::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Tells the prober that the collector's name resolves to other addresses than before.
    pub fn collector_is_at(&self, addresses: Vec<SocketAddr>) {
        self.inner.targets.collector_is_at(addresses);
    }

    /// Gives the prober the secrets of this host, in place of those before: runs that begin from here on see them.
    pub fn secrets_are(&self, secrets: Secrets) {
        self.inner.secrets.put(secrets);
    }

    /// Tells the prober that the uplink goes over a proxy: whether the collector takes a connection then says nothing.
    pub fn collector_is_behind_a_proxy(&self) {
        self.inner.targets.collector_is_behind_a_proxy();
    }

    /// What is to outlive this process.
    pub fn memory(&self) -> Memory {
        let (switch_ports, mut snmp_boots) = self.inner.switch_ports.memory();
        snmp_boots.extend(self.inner.snmp_supplies.memory());
        Memory {
            links: self.inner.links.memory(),
            snmp_boots,
            switch_ports,
            services: self.inner.services.memory(),
            keys: self.inner.tls.memory(),
            disks: self.inner.host.memory(),
            paths: self.inner.paths.memory(),
            boots: self.inner.boots.memory(),
            processes: self.inner.processes.memory(),
            batteries: self.inner.batteries.memory(),
            event_logs: self.inner.event_logs.memory(),
            logs: self.inner.logs.memory(),
            smart: self.inner.smart.memory(),
        }
    }

    /// Goes on with what outlived the last one.
    pub fn recall(&self, memory: Memory) {
        let Memory {
            links,
            snmp_boots,
            switch_ports,
            services,
            keys,
            disks,
            paths,
            boots,
            processes,
            logs,
            batteries,
            smart,
            event_logs,
        } = memory;
        self.inner.links.recall(links);
        self.inner.snmp_supplies.recall(snmp_boots.clone());
        self.inner.switch_ports.recall(switch_ports, snmp_boots);
        self.inner.services.recall(services);
        self.inner.tls.recall(keys);
        self.inner.host.recall(disks);
        self.inner.paths.recall(paths);
        self.inner.boots.recall(boots);
        self.inner.processes.recall(processes);
        self.inner.batteries.recall(batteries);
        self.inner.event_logs.recall(event_logs);
        self.inner.logs.recall(logs);
        self.inner.smart.recall(smart);
    }

    /// Tells that this host's agent starts, once, after [`Prober::recall`]; `alive` is the last moment at which it is known
    /// to have lived before.
    pub fn wake(&self, alive: Option<jiff::Timestamp>) {
        self.inner.boots.wake(alive);
    }

    /// Tells that the agent was asked to end, and why; what is remembered after this says so.
    pub fn end(&self, reason: &str) {
        self.inner.boots.end(reason);
        self.inner.batteries.end();
    }

    /// Whether a supply that this agent watches was on battery when it was heard last, and it was no test.
    pub fn is_on_battery(&self) -> bool {
        self.inner.batteries.is_any_open()
    }

    /// Runs one check once. Ends within `spec.timeout()`, whatever the other side does; cancel-safe.
    pub async fn run(&self, spec: &CheckSpec) -> ProbeResult {
        let started = Instant::now();
        // The probes' own phases end a little earlier, so that the result names the phase that was slow.
        let reserve = (spec.timeout() / 20).min(Duration::from_millis(50));
        let work = self.inner.judged(spec, Deadline::after(spec.timeout().saturating_sub(reserve)));
        let result = match tokio::time::timeout(spec.timeout(), without_panic(Box::pin(work))).await {
            Ok(Some(result)) => result,
            Ok(None) => {
                tracing::error!(check.id = %spec.id, probe.kind = spec.probe.kind(), "a probe panicked: please report this");
                ProbeResult::unknown(UnknownReason::CannotProbe, "the probe itself failed; the agent's log says where")
            }
            Err(_) => {
                let why = "this host was too busy to end the probe in time";
                ProbeResult::unknown(UnknownReason::Local, why)
            }
        };
        ProbeResult { took: started.elapsed(), ..result }
    }
}

impl Inner {
    /// Runs the check, and judges its failure by the way there.
    async fn judged(&self, spec: &CheckSpec, deadline: Deadline) -> ProbeResult {
        let work = async {
            let result = self.dispatch(spec, deadline).await;
            (result, REACHED.with(std::cell::RefCell::take))
        };
        let (result, reached) = REACHED.scope(std::cell::RefCell::default(), work).await;
        // That one judges the way itself.
        if matches!(spec.probe, ProbeSpec::NetPath(_)) { result } else { self.paths.judge(result, &reached) }
    }

    /// A future is as large as its largest part: all but the echo's are boxed, for of those thousands may be due at once,
    /// and what is larger than a kilobyte costs the allocator more than the echo costs us.
    async fn dispatch(&self, spec: &CheckSpec, deadline: Deadline) -> ProbeResult {
        match &spec.probe {
            ProbeSpec::Host { disk_bad_percent } => {
                Box::pin(self.host.run(&self.blocking, *disk_bad_percent, deadline)).await
            }
            ProbeSpec::NetIcmp { target, tcp_port } => {
                icmp::run(&self.echoes, &self.targets, target, *tcp_port, deadline).await
            }
            ProbeSpec::NetTcp { target, port } => Box::pin(tcp::run(&self.targets, target, *port, deadline)).await,
            ProbeSpec::NetHttp { url, status, tls_warn_days, tls_bad_days, auth } => {
                let login = match auth.as_ref().map(|auth| Login::of(auth, &self.secrets)).transpose() {
                    Ok(login) => login,
                    Err(missing) => return missing,
                };
                let certificate = tls::certificate::Days { warn: *tls_warn_days, bad: *tls_bad_days };
                let expected = Expectation { status: *status, certificate };
                Box::pin(self.http.run(&self.targets, url, login, expected, deadline)).await
            }
            ProbeSpec::NetQuality { target } => {
                Box::pin(self.quality.run(&self.echoes, &self.targets, &spec.id, target, deadline)).await
            }
            ProbeSpec::NetDns(spec) => Box::pin(dns::run(&self.targets, spec, deadline)).await,
            ProbeSpec::NetNtp(spec) => Box::pin(ntp::run(&self.targets, spec, deadline)).await,
            ProbeSpec::NetTls(tls) => Box::pin(self.tls.run(&self.targets, &spec.id, tls, deadline)).await,
            ProbeSpec::NetLink { interface, speed_mbps } => {
                Box::pin(self.links.run(&self.blocking, &spec.id, interface.as_deref(), *speed_mbps, deadline)).await
            }
            ProbeSpec::NetPath(path) => {
                // Until the next run but one: a run may be late.
                let good_for = 2 * spec.every() + spec.timeout();
                Box::pin(self.paths.run(&self.targets, &self.echoes, path, good_for, deadline)).await
            }
            ProbeSpec::PowerBoot {} => self.boots.run(jiff::Timestamp::now()),
            ProbeSpec::UpsNut { target, port, ups } => {
                let address = nut::Address { target: target.clone(), port: *port, ups: ups.clone() };
                let result =
                    Box::pin(self.nut.run(&self.targets, &spec.id, &address, Looks::at(spec.every()), deadline)).await;
                self.supply(spec, result)
            }
            ProbeSpec::UpsApcupsd { target, port } => {
                let result = Box::pin(self.apcupsd.run(&self.targets, &spec.id, target, *port, deadline)).await;
                self.supply(spec, result)
            }
            ProbeSpec::UpsSnmp(access) => {
                let Self { sessions, targets, secrets, .. } = self;
                let result =
                    Box::pin(self.snmp_supplies.run(sessions, targets, secrets, &spec.id, access, deadline)).await;
                self.supply(spec, result)
            }
            ProbeSpec::UpsBattery { battery } => {
                let result = self.kernel_supplies.run(&self.blocking, &spec.id, battery.as_deref(), deadline).await;
                self.supply(spec, result)
            }
            ProbeSpec::Snmp(port) => {
                let Self { sessions, targets, secrets, .. } = self;
                Box::pin(self.switch_ports.run(sessions, targets, secrets, &spec.id, port, deadline)).await
            }
            ProbeSpec::Service { unit } => {
                Box::pin(self.services.run(&self.blocking, &spec.id, unit.as_deref(), deadline)).await
            }
            ProbeSpec::ExecNagios { command } => {
                Box::pin(self.plugins.run(self.targets.allow(), command, deadline)).await
            }
            ProbeSpec::Process(process) => self.processes.run(&self.blocking, &spec.id, process, deadline).await,
            ProbeSpec::EventLog(log) => {
                self.event_logs.run(&self.blocking, self.targets.allow(), &spec.id, log, deadline).await
            }
            ProbeSpec::Log(log) => {
                let Self { blocking, plugins, targets, .. } = self;
                Box::pin(self.logs.run(blocking, plugins, targets.allow(), &spec.id, log, deadline)).await
            }
            ProbeSpec::HostSmart { command } => {
                self.smart.run(&self.plugins, self.targets.allow(), &spec.id, command, deadline).await
            }
            ProbeSpec::RecFreshness(freshness) | ProbeSpec::BackupFiles(freshness) => {
                Box::pin(self.freshness.run(&self.blocking, self.targets.allow(), &spec.id, freshness, deadline)).await
            }
            ProbeSpec::Later(later) => ProbeResult::unknown(UnknownReason::CannotProbe, later.words()),
        }
    }
}

impl Inner {
    /// What a look at a supply means for this host's power, and for its battery.
    fn supply(&self, spec: &CheckSpec, result: ProbeResult) -> ProbeResult {
        self.boots.supply(&spec.id, &result);
        self.batteries.note(&spec.id, result, Moment::now())
    }
}

/// Runs `work`; `None` when it panicked. What it held is dropped with it, and what it shares is behind locks that
/// pass a poisoning on as it is.
async fn without_panic<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_inside_a_probe_stays_inside() {
        let panics = async {
            tokio::task::yield_now().await;
            panic!("a test's panic")
        };
        assert_eq!(without_panic::<()>(panics).await, None);
        assert_eq!(without_panic(async { 7 }).await, Some(7));
    }

    #[tokio::test]
    async fn a_run_that_is_dropped_leaves_the_prober_usable() {
        let full = testing::full_backlog();
        let listener = testing::listener();
        let port = listener.local_addr().unwrap().port();
        let prober = testing::prober(&format!("loopback_ports = [{port}, {}]", full.port));
        let silent = testing::tcp("127.0.0.1", full.port);
        let dropped = tokio::time::timeout(Duration::from_millis(20), prober.run(&silent)).await;
        assert!(dropped.is_err());
        assert_eq!(prober.run(&testing::tcp("127.0.0.1", port)).await.outcome, upheld_model::Outcome::Ok);
    }

    #[test]
    fn a_prober_can_be_shared_between_tasks() {
        fn is_shareable<T: Clone + Send + Sync + 'static>() {}
        is_shareable::<Prober>();
    }
}

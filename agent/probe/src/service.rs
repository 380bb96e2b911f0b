//! `service`: a service of this host as its service manager tells: systemd over the system bus, Windows' manager.
//!
//! One unit by name, or, where none is named, all that are to start with this host: those that do not run are named.
//! The agent only asks (SECURITY 1): it starts, stops and resets nothing. Looked at each time the check runs; what
//! happens between two looks is in systemd's own count of restarts. `NRestarts` begins anew when somebody starts the
//! unit, and each restart has another `InvocationID`: so the counter's epoch is the boot, and a count that went back is
//! no difference ([`upheld_model::Counter::since`]).

#[cfg(all(target_os = "linux", any(test, feature = "fuzzing")))]
pub(crate) mod fuzzing;
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
mod judge;
#[cfg(any(windows, test))]
mod scm;
#[cfg(target_os = "linux")]
mod systemd;
#[cfg(windows)]
mod windows;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use upheld_model::{CheckId, Outcome, UnknownReason};

use crate::{ProbeResult, blocking::Blocking, deadline::Deadline};
#[cfg(target_os = "linux")]
use judge::Restarts;

/// The units that checks have found, each by the name it was found under: one that is gone was there.
pub(crate) type ServiceMemory = BTreeMap<CheckId, String>;

/// The checks of services.
pub(crate) struct Services {
    state: Arc<Mutex<State>>,
}

/// What is kept between runs.
#[derive(Debug, Default)]
struct State {
    found: ServiceMemory,
    /// The restarts of the last ten minutes, by check and unit. Not over a restart of the agent: it learns them again.
    #[cfg(target_os = "linux")]
    restarts: BTreeMap<(CheckId, String), Restarts>,
}

impl Services {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default() }
    }

    /// Asks about `unit`, or about all services that are to start with this host.
    #[cfg(target_os = "linux")]
    pub(crate) async fn run(
        &self,
        _: &Blocking,
        check: &CheckId,
        unit: Option<&str>,
        deadline: Deadline,
    ) -> ProbeResult {
        systemd::run(&self.state, check, unit, deadline).await
    }

    #[cfg(windows)]
    pub(crate) async fn run(
        &self,
        blocking: &Blocking,
        check: &CheckId,
        unit: Option<&str>,
        deadline: Deadline,
    ) -> ProbeResult {
        let Some(unit) = unit.map(str::to_owned) else {
            return blocking.run(&check.to_string(), deadline, windows::all).await;
        };
        let (state, owned) = (Arc::clone(&self.state), check.clone());
        blocking.run(&check.to_string(), deadline, move || windows::look(&state, &owned, &unit)).await
    }

    #[cfg(not(any(target_os = "linux", windows)))]
    pub(crate) async fn run(&self, _: &Blocking, _: &CheckId, _: Option<&str>, _: Deadline) -> ProbeResult {
        ProbeResult::unknown(UnknownReason::CannotProbe, "services are asked of systemd and of Windows only")
    }

    /// What is to outlive this process.
    pub(crate) fn memory(&self) -> ServiceMemory {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).found.clone()
    }

    /// Goes on with what outlived the last one.
    pub(crate) fn recall(&self, memory: ServiceMemory) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).found = memory;
    }
}

/// So many are named of those that do not run.
#[cfg(any(target_os = "linux", windows))]
const NAMED_MAX: usize = 10;

/// What is told of all services that start with this host: those that do not run as they should, and those that are about to.
#[cfg(any(target_os = "linux", windows))]
fn all_that_start(looked_at: usize, wrong: &[String], turning: &[String]) -> ProbeResult {
    let result = match (wrong, turning) {
        ([], []) => ProbeResult::new(Outcome::Ok)
            .evidence(format!("all {looked_at} services that start with this host are as they should be")),
        ([], turning) => ProbeResult::new(Outcome::Warn).evidence(listed(turning)),
        (wrong, _) => ProbeResult::bad(format!(
            "{} of the {looked_at} services that start with this host do not run: {}",
            wrong.len(),
            listed(wrong)
        )),
    };
    result.value("services", looked_at as f64).value("not_running", wrong.len() as f64)
}

/// The first of them, and how many more there are.
#[cfg(any(target_os = "linux", windows))]
fn listed(all: &[String]) -> String {
    let named = all.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join("; ");
    match all.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}

/// A unit that is not there is bad where it was, and a mistake in the book where it never was.
#[cfg(any(target_os = "linux", windows))]
fn missing(state: &Mutex<State>, check: &CheckId, unit: &str) -> ProbeResult {
    let was_there = state.lock().unwrap_or_else(PoisonError::into_inner).found.get(check).is_some_and(|it| it == unit);
    if was_there {
        return ProbeResult::bad(format!("{unit} is gone: this host has no such service any more"));
    }
    let why = format!("this host has no service {unit}; correct `unit` in the book");
    ProbeResult::unknown(UnknownReason::CannotProbe, why)
}

#[cfg(any(target_os = "linux", windows))]
fn found(state: &Mutex<State>, check: &CheckId, unit: &str) {
    state.lock().unwrap_or_else(PoisonError::into_inner).found.insert(check.clone(), unit.to_owned());
}

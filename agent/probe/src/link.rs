//! `net.link`: a port of this host: carrier, speed, duplex, and what the kernel counts at it.
//!
//! Drops are the kernel's own count (`carrier_down_count`, Linux 4.16), so that three drops between two looks are three.
//! When each began and ended the kernel announces (rtnetlink), to the millisecond for drops of a second and more.
//! A speed is judged by what the check asks for, else by the best that was ever seen of this adapter, which outlives a
//! restart ([`crate::Memory`]).
//!
//! Read from `/sys/class/net`, which shows the network namespace in which it was mounted: where that is another than
//! ours the check is unknown. Windows tells of its interfaces by a table (`GetIfTable2`), and counts no drops there: a
//! drop that no look falls into is not seen.

#[cfg(any(target_os = "linux", windows))]
mod diagnose;
#[cfg(any(target_os = "linux", windows))]
#[cfg_attr(windows, allow(dead_code))]
mod drops;
#[cfg(any(target_os = "linux", windows))]
mod judge;
#[cfg(target_os = "linux")]
mod netlink;
#[cfg(any(target_os = "linux", windows))]
mod seen;
#[cfg(target_os = "linux")]
mod sysfs;
#[cfg(target_os = "linux")]
mod watch;
#[cfg(any(target_os = "linux", windows))]
mod window;
#[cfg(windows)]
mod windows;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use upheld_model::{CheckId, UnknownReason};

use crate::{ProbeResult, blocking::Blocking, deadline::Deadline};
#[cfg(any(target_os = "linux", windows))]
use seen::Unseen;
#[cfg(target_os = "linux")]
use sysfs::read;
#[cfg(windows)]
use windows::read;

/// What the checks of ports remember.
pub(crate) type LinkMemory = BTreeMap<CheckId, Usual>;

/// What is usual at one port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usual {
    /// The interface's name: a default route is gone with its link.
    interface: String,
    /// The adapter's own address; with another adapter everything begins anew.
    address: String,
    /// The best speed that was seen.
    speed_mbps: Option<u32>,
}

/// The checks of ports.
#[derive(Clone)]
pub(crate) struct Links {
    memory: Arc<Mutex<LinkMemory>>,
    #[cfg(any(target_os = "linux", windows))]
    windows: Arc<Mutex<BTreeMap<CheckId, window::Window>>>,
    #[cfg(target_os = "linux")]
    watch: watch::Watch,
}

impl Links {
    pub(crate) fn new() -> Self {
        Self {
            memory: Arc::default(),
            #[cfg(any(target_os = "linux", windows))]
            windows: Arc::default(),
            #[cfg(target_os = "linux")]
            watch: watch::Watch::default(),
        }
    }

    pub(crate) async fn run(
        &self,
        blocking: &Blocking,
        check: &CheckId,
        interface: Option<&str>,
        meant_mbps: Option<u32>,
        deadline: Deadline,
    ) -> ProbeResult {
        #[cfg(target_os = "linux")]
        self.watch.begin();
        let (links, owned, interface) = (self.clone(), check.clone(), interface.map(str::to_owned));
        blocking.run(&check.to_string(), deadline, move || look(&links, &owned, interface, meant_mbps)).await
    }

    /// What is to outlive this process.
    pub(crate) fn memory(&self) -> LinkMemory {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes on with what outlived the last one.
    pub(crate) fn recall(&self, memory: LinkMemory) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = memory;
    }
}

/// Whether an interface has carrier; `None` where that cannot be read.
#[cfg(any(target_os = "linux", windows))]
pub(crate) fn has_carrier(interface: &str) -> Option<bool> {
    read(interface).ok().map(|seen| seen.is_enabled && seen.has_carrier)
}

/// Not built here: see the head of this file.
#[cfg(not(any(target_os = "linux", windows)))]
pub(crate) fn has_carrier(_: &str) -> Option<bool> {
    None
}

#[cfg(any(target_os = "linux", windows))]
fn look(links: &Links, check: &CheckId, named: Option<String>, meant_mbps: Option<u32>) -> ProbeResult {
    let Links { memory, windows, .. } = links;
    let usual = memory.lock().unwrap_or_else(PoisonError::into_inner).get(check).cloned().unwrap_or_default();
    let by_route = || crate::surroundings::default_interface();
    let remembered = || Some(usual.interface.clone()).filter(|name| !name.is_empty());
    let Some(interface) = named.or_else(by_route).or_else(remembered) else {
        return ProbeResult::unknown(UnknownReason::Local, "this host has no default route; name the interface");
    };
    let seen = match read(&interface) {
        Ok(seen) => seen,
        Err(Unseen::Missing { others }) => return judge::missing(&interface, &usual, &others),
        #[cfg(target_os = "linux")]
        Err(Unseen::OtherNamespace) => {
            let why = "/sys shows another network namespace than the agent's: mount it in the agent's own";
            return ProbeResult::unknown(UnknownReason::CannotProbe, why);
        }
        Err(Unseen::Unreadable { error }) => {
            let why = format!("{interface}: {}", crate::fault::in_words(&error));
            return ProbeResult::unknown(UnknownReason::Local, why);
        }
    };
    let usual = judge::learn(usual, &interface, &seen);
    let mut windows = windows.lock().unwrap_or_else(PoisonError::into_inner);
    let lately = windows.entry(check.clone()).or_default().take(&seen, std::time::Instant::now());
    #[cfg(target_os = "linux")]
    let told = links.watch.tell(check, &seen);
    // Nothing announces drops there.
    #[cfg(windows)]
    let told = drops::Told::default();
    let result = judge::judge(&interface, &seen, meant_mbps, &usual, lately, &told);
    memory.lock().unwrap_or_else(PoisonError::into_inner).insert(check.clone(), usual);
    result
}

#[cfg(not(any(target_os = "linux", windows)))]
fn look(_: &Links, _: &CheckId, _: Option<String>, _: Option<u32>) -> ProbeResult {
    ProbeResult::unknown(UnknownReason::CannotProbe, "net.link is built for Linux and Windows in this version")
}

#[cfg(all(test, target_os = "linux"))]
mod tests;

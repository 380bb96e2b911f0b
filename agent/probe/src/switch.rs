//! `snmp`: a port of a switch, as the switch tells by SNMP (PROBES 19): link, speed, duplex, errors, and whether it feeds
//! what hangs on it (IF-MIB, EtherLike-MIB, POWER-ETHERNET-MIB of RFC 3621).
//!
//! It says what `net.link` says of a port of this host, in the same names, so that the same rules hold. A switch counts no
//! drops, but tells when the port changed last: each change of it between two looks is a drop, counted here.
//!
//! A port of the book is one by its `ifName`, `ifDescr` or `ifIndex`, in this order. Ports that feed have numbers of their
//! own (group and port): the one whose port is the last number of the name is taken, unless the check names it.

mod find;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod judge;
mod words;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::{CheckId, snmp::SwitchPort};

use crate::{
    ProbeResult,
    deadline::Deadline,
    secret::Shelf,
    snmp::{BootMemory, Boots, Oid, Sessions, Table},
    target::Targets,
};
use find::Found;
use judge::{Drops, Seen};

/// What the checks of switches' ports remember.
pub(crate) type SwitchMemory = BTreeMap<CheckId, Usual>;

/// What is usual at one port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usual {
    /// As the switch names it; at another port everything begins anew.
    name: String,
    /// The best speed that was seen.
    speed_mbps: Option<u32>,
    /// Whether it has ever fed what hangs on it.
    has_fed: bool,
}

/// The checks of switches' ports.
#[derive(Default)]
pub(crate) struct Ports {
    ports: Mutex<BTreeMap<CheckId, Port>>,
    usual: Mutex<SwitchMemory>,
    boots: Mutex<Boots>,
}

/// What is known of one check's port since this agent runs.
struct Port {
    spec: SwitchPort,
    found: Found,
    drops: Drops,
}

impl Ports {
    pub(crate) async fn run(
        &self,
        sessions: &Sessions,
        targets: &Targets,
        shelf: &Shelf,
        check: &CheckId,
        spec: &SwitchPort,
        deadline: Deadline,
    ) -> ProbeResult {
        let heard = async {
            let asked = sessions.with(targets, shelf, &spec.access, deadline).await?;
            if let Some(found) = self.found(check, spec) {
                let table = asked.get(&objects(&found)).await?;
                if found.is_still(&table) {
                    return Ok((found, table));
                }
            }
            // Never looked for, or the switch numbers its ports anew since it was started again.
            let found = find::port(&asked, spec).await?;
            let table = asked.get(&objects(&found)).await?;
            Ok((found, table))
        };
        match heard.await {
            Ok((found, table)) => self.judge(check, spec, found, &table, Timestamp::now()),
            Err(result) => result,
        }
    }

    fn found(&self, check: &CheckId, spec: &SwitchPort) -> Option<Found> {
        self.ports().get(check).filter(|port| port.spec == *spec).map(|port| port.found.clone())
    }

    fn judge(&self, check: &CheckId, spec: &SwitchPort, found: Found, table: &Table, now: Timestamp) -> ProbeResult {
        let boot = locked(&self.boots).of(check, table, now).map(|boot| boot.epoch());
        let seen = Seen::read(table, &found, boot.as_deref());
        let mut ports = self.ports();
        let begin = || Port { spec: spec.clone(), found: found.clone(), drops: Drops::new() };
        let port = ports.entry(check.clone()).or_insert_with(begin);
        if port.spec != *spec || port.found.name != found.name {
            *port = begin();
        }
        port.found = found;
        port.drops.note(&seen);
        let mut memory = locked(&self.usual);
        let usual = judge::learn(memory.get(check).cloned().unwrap_or_default(), &port.found.name, &seen);
        let result = judge::judge(spec, &port.found, &seen, &usual, &port.drops);
        memory.insert(check.clone(), usual);
        result
    }

    /// What is to outlive this process.
    pub(crate) fn memory(&self) -> (SwitchMemory, BootMemory) {
        (locked(&self.usual).clone(), locked(&self.boots).0.clone())
    }

    /// Goes on with what outlived the last one.
    pub(crate) fn recall(&self, ports: SwitchMemory, boots: BootMemory) {
        *locked(&self.usual) = ports;
        locked(&self.boots).0 = boots;
    }

    fn ports(&self) -> MutexGuard<'_, BTreeMap<CheckId, Port>> {
        locked(&self.ports)
    }
}

/// What each look asks for.
fn objects(found: &Found) -> Vec<Oid> {
    let of_port = judge::OF_PORT.iter().map(|base| Oid::of(base, &[found.index]));
    let feeding = found.feeding.map(|(group, port)| Oid::of(judge::POE_STATUS, &[group, port]));
    of_port.chain(feeding).chain([Boots::object()]).collect()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

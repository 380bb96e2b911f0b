//! `ups.snmp`: a power supply with a battery, as its network card tells by SNMP (PROBES 3): the standard UPS-MIB (RFC 1628),
//! and APC's PowerNet where the card says that it is APC's.
//!
//! What it says is translated into the names of NUT and judged as `ups.nut` is ([`crate::ups`]). Alarms are walked: they are
//! rows of a table that name an identity, and an identity itself can never be read. `upsInputLineBads` counts what happens
//! between two looks, since the card's own boot; where a card does not have it, transfers are counted here as for NUT.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod ietf;
mod powernet;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use jiff::Timestamp;
use upheld_model::{CheckId, Counter, UnknownReason, snmp::SnmpAccess};

use crate::{
    ProbeResult,
    deadline::Deadline,
    secret::Shelf,
    snmp::{Asked, BootMemory, Boots, Oid, Sessions, Table},
    target::Targets,
    ups::{self, Counted, Held, Variables},
};

const SYS_DESCR: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 1];
const SYS_OBJECT_ID: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 2];
/// What APC's devices are named beneath.
const APC: &[u32] = &[1, 3, 6, 1, 4, 1, 318];

/// What the checks of supplies remember of their earlier runs.
#[derive(Default)]
pub(crate) struct SnmpSupplies {
    supplies: Mutex<BTreeMap<CheckId, Supply>>,
    boots: Mutex<Boots>,
}

/// One check's supply.
struct Supply {
    access: SnmpAccess,
    held: Held,
    counted: Counted,
    status: String,
}

/// What a card told of its supply.
#[derive(Debug, Default)]
struct Told {
    /// In NUT's names; without a status it is no supply.
    said: Variables,
    /// Whether the card has lost the supply behind it.
    has_lost_its_supply: bool,
    /// `upsInputLineBads`.
    line_bads: Option<u64>,
}

impl Told {
    fn status(&self) -> &str {
        self.said.get("ups.status").map_or("", String::as_str)
    }

    fn put(&mut self, name: &str, value: Option<impl ToString>) {
        self.said.extend(value.map(|value| (name.to_owned(), value.to_string())));
    }
}

impl SnmpSupplies {
    pub(crate) async fn run(
        &self,
        sessions: &Sessions,
        targets: &Targets,
        shelf: &Shelf,
        check: &CheckId,
        access: &SnmpAccess,
        deadline: Deadline,
    ) -> ProbeResult {
        let heard = async {
            let asked = sessions.with(targets, shelf, access, deadline).await?;
            let system = asked.get(&[object(SYS_OBJECT_ID), object(SYS_DESCR), Boots::object()]).await?;
            Ok((ask(&asked, &system).await?, system))
        };
        match heard.await {
            Ok((told, system)) => self.judge(check, access, &told, &system, Instant::now()),
            Err(result) => ups::add_last_words(result, self.supplies().get(check).map(|supply| &supply.held)),
        }
    }

    /// What is to outlive this process.
    pub(crate) fn memory(&self) -> BootMemory {
        self.boots.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Goes on with what outlived the last one.
    pub(crate) fn recall(&self, memory: BootMemory) {
        self.boots.lock().unwrap_or_else(PoisonError::into_inner).0 = memory;
    }

    fn judge(&self, check: &CheckId, access: &SnmpAccess, told: &Told, system: &Table, now: Instant) -> ProbeResult {
        let boot = self.boots.lock().unwrap_or_else(PoisonError::into_inner).of(check, system, Timestamp::now());
        let mut supplies = self.supplies();
        let begin =
            || Supply { access: access.clone(), held: Held::new(), counted: Counted::default(), status: String::new() };
        let supply = supplies.entry(check.clone()).or_insert_with(begin);
        if supply.access != *access {
            *supply = begin();
        }
        supply.judge(told, boot.map(|boot| boot.epoch()), now)
    }

    fn supplies(&self) -> MutexGuard<'_, BTreeMap<CheckId, Supply>> {
        self.supplies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Supply {
    fn judge(&mut self, told: &Told, epoch: Option<String>, now: Instant) -> ProbeResult {
        if told.has_lost_its_supply {
            let why = "the network card has lost its supply: it is off, or the cable between them is out";
            return ups::add_last_words(ProbeResult::unknown(UnknownReason::Stale, why), Some(&self.held));
        }
        let judged = ups::judge(&mut self.held, &told.said, now);
        let (missed, counter) = match (told.line_bads, epoch) {
            (Some(count), Some(epoch)) => {
                let missed = self.counted.note(&epoch, count, false);
                (missed, Counter(epoch.as_str().into(), count))
            }
            (None, _) | (_, None) => (0, Counter(self.held.epoch().into(), self.held.transfers())),
        };
        let missed = match missed {
            0 => None,
            1 => Some("its input was bad once since the last look".to_owned()),
            times => Some(format!("its input was bad {times} times since the last look")),
        };
        let is_new = self.status != told.status();
        told.status().clone_into(&mut self.status);
        ups::tell(judged, &told.said, missed, is_new).counter("transfers", counter)
    }
}

/// APC's own tables where the card is APC's and has them; else the standard's.
async fn ask(asked: &Asked, system: &Table) -> Result<Told, ProbeResult> {
    let is_apc = system.oid(SYS_OBJECT_ID, &[0]).is_some_and(|oid| oid.beneath(APC).is_some());
    if is_apc {
        let told = powernet::read(&asked.get(&powernet::objects()).await?);
        if !told.status().is_empty() || told.has_lost_its_supply {
            return Ok(told);
        }
    }
    let mut table = asked.get(&ietf::objects()).await?;
    if ietf::has_alarms(&table) {
        table.extend(asked.walk(ietf::ALARMS).await?);
    }
    let told = ietf::read(&table);
    if told.said.is_empty() {
        let tables = if is_apc { "neither by PowerNet nor by UPS-MIB (RFC 1628)" } else { "by UPS-MIB (RFC 1628)" };
        let named = system.text(SYS_DESCR, &[0]).map(|name| format!("it calls itself {name:?}"));
        let named = named.unwrap_or_else(|| "it does not say what it is".to_owned());
        let why = format!("{} tells of no supply {tables}; {named}", asked.at());
        return Err(ProbeResult::unknown(UnknownReason::CannotProbe, why));
    }
    Ok(told)
}

/// An object that is no table.
fn object(base: &[u32]) -> Oid {
    Oid::of(base, &[0])
}

#[cfg(test)]
mod tests;

//! What a switch says of a port, and what that is worth.

use upheld_model::{Counter, Outcome, UnknownReason, snmp::SwitchPort};

use super::{Usual, find::Found, words::shortcomings};
use crate::{ProbeResult, snmp::Table};

pub(super) const IF_DESCR: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1, 2];
const ADMIN_STATUS: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1, 7];
const OPER_STATUS: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1, 8];
const LAST_CHANGE: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1, 9];
const IN_ERRORS: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1, 14];
const OUT_ERRORS: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1, 20];
pub(super) const IF_NAME: &[u32] = &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1];
const HIGH_SPEED: &[u32] = &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 15];
const ALIAS: &[u32] = &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 18];
const DISCONTINUITY: &[u32] = &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 19];
const ALIGNMENT_ERRORS: &[u32] = &[1, 3, 6, 1, 2, 1, 10, 7, 2, 1, 2];
const FCS_ERRORS: &[u32] = &[1, 3, 6, 1, 2, 1, 10, 7, 2, 1, 3];
const DUPLEX: &[u32] = &[1, 3, 6, 1, 2, 1, 10, 7, 2, 1, 19];
/// `pethPsePortDetectionStatus`, by group and port.
pub(super) const POE_STATUS: &[u32] = &[1, 3, 6, 1, 2, 1, 105, 1, 1, 1, 6];

/// What is asked for of each port.
pub(super) const OF_PORT: &[&[u32]] = &[
    IF_DESCR,
    ADMIN_STATUS,
    OPER_STATUS,
    LAST_CHANGE,
    IN_ERRORS,
    OUT_ERRORS,
    IF_NAME,
    HIGH_SPEED,
    ALIAS,
    DISCONTINUITY,
    ALIGNMENT_ERRORS,
    FCS_ERRORS,
    DUPLEX,
];
/// Counters, by the names that the kernel has for them where it has one.
const COUNTERS: &[(&[u32], &str)] = &[
    (FCS_ERRORS, "rx_crc_errors"),
    (ALIGNMENT_ERRORS, "rx_frame_errors"),
    (IN_ERRORS, "rx_errors"),
    (OUT_ERRORS, "tx_errors"),
];

/// Whether a port feeds what hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feeding {
    SwitchedOff,
    /// It looks for something to feed, and finds nothing.
    Searching,
    Delivering,
    Fault,
    Testing,
}

/// A port at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    is_switched_off: bool,
    /// The number of `ifOperStatus`.
    state: Option<i64>,
    last_change: Option<u64>,
    speed_mbps: Option<u32>,
    is_half_duplex: Option<bool>,
    alias: Option<String>,
    feeding: Option<Feeding>,
    /// Since the switch's boot.
    counters: Vec<(&'static str, Counter)>,
    boot: Option<String>,
}

impl Seen {
    pub(super) fn read(table: &Table, found: &Found, boot: Option<&str>) -> Self {
        let number = |base: &[u32]| table.number(base, &[found.index]);
        let counters = COUNTERS.iter().filter_map(|(base, name)| {
            let count = table.count(base, &[found.index])?;
            let epoch = format!("{}/{}/{}", boot?, found.index, number(DISCONTINUITY).unwrap_or(0));
            Some((*name, Counter(epoch.as_str().into(), count)))
        });
        let poe = found.feeding.and_then(|(group, port)| table.number(POE_STATUS, &[group, port]));
        Self {
            is_switched_off: number(ADMIN_STATUS) == Some(2),
            state: number(OPER_STATUS),
            last_change: table.count(LAST_CHANGE, &[found.index]),
            speed_mbps: number(HIGH_SPEED).and_then(|speed| u32::try_from(speed).ok()).filter(|speed| *speed > 0),
            is_half_duplex: match number(DUPLEX) {
                Some(2) => Some(true),
                Some(3) => Some(false),
                _ => None,
            },
            alias: table.text(ALIAS, &[found.index]),
            feeding: match poe {
                Some(1) => Some(Feeding::SwitchedOff),
                Some(2) => Some(Feeding::Searching),
                Some(3) => Some(Feeding::Delivering),
                Some(4 | 6) => Some(Feeding::Fault),
                Some(5) => Some(Feeding::Testing),
                _ => None,
            },
            counters: counters.collect(),
            boot: boot.map(str::to_owned),
        }
    }

    fn is_up(&self) -> bool {
        self.state == Some(1) && !self.is_switched_off
    }
}

/// Drops of a port, counted since this agent runs.
#[derive(Debug)]
pub(super) struct Drops {
    epoch: String,
    count: u64,
    last: Option<(bool, Option<u64>, Option<String>)>,
}

impl Drops {
    pub(super) fn new() -> Self {
        // Without random bytes the process id marks the epoch.
        let epoch = getrandom::u64().unwrap_or_else(|_| std::process::id().into());
        Self { epoch: format!("agent-{epoch:016x}"), count: 0, last: None }
    }

    /// A port whose state says nothing is as it was; what a start of the switch did to it is no drop of the port.
    pub(super) fn note(&mut self, seen: &Seen) {
        if matches!(seen.state, None | Some(4)) {
            return;
        }
        let now = (seen.is_up(), seen.last_change, seen.boot.clone());
        if let Some((was_up, before, boot)) = self.last.replace(now)
            && boot == seen.boot
        {
            let has_changed = before != seen.last_change;
            let has_dropped = match (was_up, seen.is_up()) {
                (true, false) => true,
                (true, true) | (false, false) => has_changed,
                (false, true) => false,
            };
            self.count += u64::from(has_dropped);
        }
    }
}

/// What is usual, with what is seen: the best speed, however long ago, and whether it has ever fed.
pub(super) fn learn(usual: Usual, name: &str, seen: &Seen) -> Usual {
    let before = if usual.name == name { usual } else { Usual::default() };
    let now = if seen.is_up() { seen.speed_mbps } else { None };
    Usual {
        name: name.to_owned(),
        speed_mbps: before.speed_mbps.max(now),
        has_fed: before.has_fed || seen.feeding == Some(Feeding::Delivering),
    }
}

/// Down is bad, with what that means for what hangs on it; slower than meant or usual, or half duplex, is a warning.
pub(super) fn judge(spec: &SwitchPort, found: &Found, seen: &Seen, usual: &Usual, drops: &Drops) -> ProbeResult {
    let alias = seen.alias.as_ref().filter(|alias| **alias != found.name && **alias != spec.port);
    let alias = alias.map(|alias| format!(" ({alias})")).unwrap_or_default();
    let port = format!("port {} of the switch{alias}", spec.port);
    let mut result = match (seen.is_switched_off, seen.state) {
        (true, _) => ProbeResult::bad(format!("{port} is switched off at the switch (administratively down)")),
        (false, Some(1)) => up(&port, spec, seen, usual, drops),
        (false, Some(2)) => ProbeResult::bad(format!("{port} {}", down(seen, usual))),
        (false, Some(3)) => ProbeResult::bad(format!("{port} lets nothing through: the switch is testing it")),
        (false, Some(5)) => {
            ProbeResult::bad(format!("{port} lets nothing through: it waits, as for a log-in by 802.1X (dormant)"))
        }
        (false, Some(6)) => ProbeResult::bad(format!("{port} is not there: its module was taken out, or has failed")),
        (false, Some(7)) => ProbeResult::bad(format!("{port} is down because the ports that it consists of are down")),
        (false, Some(_) | None) => {
            let why = format!("the switch does not say whether {port} is up");
            return ProbeResult::unknown(UnknownReason::CannotProbe, why);
        }
    };
    result = result.value("up", f64::from(u8::from(seen.is_up()))).value("interface", found.name.as_str());
    if let Some(speed) = seen.speed_mbps.filter(|_| seen.is_up()) {
        result = result.value("speed_mbps", f64::from(speed));
    }
    if let Some(is_half) = seen.is_half_duplex.filter(|_| seen.is_up()) {
        result = result.value("duplex", if is_half { "half" } else { "full" });
    }
    if let (Some(feeding), Some((group, port))) = (seen.feeding, found.feeding) {
        result = result.value("poe", feeding.word()).value("poe_port", format!("{group}.{port}").as_str());
    }
    result = result.counter("carrier_down", Counter(drops.epoch.as_str().into(), drops.count));
    let counters = seen.counters.iter().cloned();
    counters.fold(result, |result, (name, counter)| result.counter(name, counter))
}

fn up(port: &str, spec: &SwitchPort, seen: &Seen, usual: &Usual, drops: &Drops) -> ProbeResult {
    let mut why = shortcomings(seen.speed_mbps, spec.speed_mbps, usual.speed_mbps, seen.is_half_duplex);
    if seen.feeding == Some(Feeding::Fault) {
        why.push("gives no power (PoE fault) although it has a link".to_owned());
    }
    let counted = match drops.count {
        0 => String::new(),
        1 => "; it was down once since this agent looks".to_owned(),
        count => format!("; it was down {count} times since this agent looks"),
    };
    if why.is_empty() {
        let speed = seen.speed_mbps.map(|speed| format!(" at {speed} Mbit/s")).unwrap_or_default();
        let power = if seen.feeding == Some(Feeding::Delivering) { " and gives power" } else { "" };
        return ProbeResult::new(Outcome::Ok).evidence(format!("{port} is up{speed}{power}{counted}"));
    }
    ProbeResult::new(Outcome::Warn).evidence(format!("{port} {}{counted}", why.join(", and ")))
}

/// Where to look: at the switch, at the cable, or at what hangs on it.
fn down(seen: &Seen, usual: &Usual) -> &'static str {
    match (seen.feeding, usual.has_fed) {
        (Some(Feeding::Fault), _) => {
            "gives no power: the switch reports a PoE fault (a short in the cable or device, too much drawn, or the port itself); no link"
        }
        (Some(Feeding::SwitchedOff), true) => "gives no power any more: PoE is switched off at the switch; no link",
        (Some(Feeding::SwitchedOff), false) => {
            "has no link, and PoE is switched off there: a device that it should feed gets no power"
        }
        (Some(Feeding::Searching), true) => {
            "gives no power any more: it finds nothing to feed; the cable is out or broken, or the device at its end is dead"
        }
        (Some(Feeding::Searching), false) => {
            "has no link and finds nothing to feed: the cable is out or broken, or the device at its end is off"
        }
        (Some(Feeding::Delivering), _) => {
            "has no link although it gives power: the device at its end hangs or starts, or the cable is damaged"
        }
        (Some(Feeding::Testing), _) => "gives no power: the switch is testing its PoE; no link",
        (None, _) => "has no link: the cable is out or broken, or the device at its end is off",
    }
}

impl Feeding {
    fn word(self) -> &'static str {
        match self {
            Self::SwitchedOff => "off",
            Self::Searching => "searching",
            Self::Delivering => "delivering",
            Self::Fault => "fault",
            Self::Testing => "testing",
        }
    }
}

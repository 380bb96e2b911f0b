//! Since when an agent's counters count: `sysUpTime` as an epoch.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::CheckId;

use super::{Oid, Table};

/// `sysUpTime`, in hundredths of a second since the agent began.
const UPTIME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 3];
/// Two looks at one boot may differ by so much: clocks that drift, answers that come late.
const TOLERANCE_S: i64 = 30;

/// A boot of an agent, as it was seen first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Boot {
    /// In seconds since 1970, by this host's clock.
    at_s: i64,
    /// The greatest uptime that was seen of it, in hundredths of a second.
    uptime_cs: u64,
}

impl Boot {
    /// Within which the counters of this agent only grow.
    pub(crate) fn epoch(&self) -> String {
        format!("up-since-{}", self.at_s)
    }
}

/// The boots of the agents that checks ask.
pub(crate) type BootMemory = BTreeMap<CheckId, Boot>;

/// What was seen of boots so far.
#[derive(Debug, Default)]
pub(crate) struct Boots(pub(crate) BootMemory);

impl Boots {
    /// What must be asked for.
    pub(crate) fn object() -> Oid {
        Oid::of(UPTIME, &[0])
    }

    /// The boot that the agent of this check runs since; `None` when it tells no uptime. An uptime that has fallen is a new
    /// boot, and one after which the boot would be another is too. Where that errs (this host's clock was set, or the count
    /// began anew after 497 days) one difference of counters is not counted, and none is made up.
    pub(crate) fn of(&mut self, check: &CheckId, told: &Table, now: Timestamp) -> Option<Boot> {
        let uptime_cs = told.count(UPTIME, &[0])?;
        let at_s = now.as_second().saturating_sub(i64::try_from(uptime_cs / 100).unwrap_or(i64::MAX));
        let known = self.0.entry(check.clone()).or_insert(Boot { at_s, uptime_cs });
        if uptime_cs < known.uptime_cs || at_s.abs_diff(known.at_s) > TOLERANCE_S.unsigned_abs() {
            *known = Boot { at_s, uptime_cs };
        }
        known.uptime_cs = uptime_cs;
        Some(known.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snmp::Value;

    #[test]
    fn an_epoch_lasts_through_drift_and_restarts_of_the_agent_and_ends_with_a_boot() {
        let mut boots = Boots::default();
        let mut epoch = |now: i64, uptime_s: u64| {
            let mut told = Table::default();
            told.insert(Boots::object(), Value::Count(uptime_s * 100));
            let boot = boots.of(&"sw-1/port".parse().unwrap(), &told, Timestamp::from_second(now).unwrap());
            boot.unwrap().epoch()
        };
        let first = epoch(1_000_000, 500);
        assert_eq!(first, "up-since-999500");
        assert_eq!(epoch(1_000_060, 560), first);
        assert_eq!(epoch(1_000_125, 620), first, "an answer that came late");
        let second = epoch(1_000_180, 20);
        assert_ne!(second, first, "it has begun anew");
        assert_ne!(epoch(1_000_181, 5), second, "and once more at once");
        assert_ne!(epoch(1_000_500, 200), second, "it was up for longer, and yet began anew since");
    }

    #[test]
    fn what_tells_no_uptime_has_no_epoch() {
        let check = "sw-1/port".parse().unwrap();
        assert_eq!(Boots::default().of(&check, &Table::default(), Timestamp::UNIX_EPOCH), None);
        let mut told = Table::default();
        told.insert(Boots::object(), Value::Octets(b"1 day".to_vec()));
        assert_eq!(Boots::default().of(&check, &told, Timestamp::UNIX_EPOCH), None);
        told.insert(Boots::object(), Value::Count(u64::MAX));
        assert_eq!(Boots::default().of(&check, &told, Timestamp::UNIX_EPOCH), None, "no agent counts so far");
    }
}

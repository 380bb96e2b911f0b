//! `host.smart`: what a disk says of its own health, by `smartctl --json` as the site's own file spells it out.
//!
//! The command stands in `allow.toml` and is started as a monitoring plugin is ([`crate::exec`]): without a shell, without
//! rights. Asking a disk needs root, so what is spelt out is mostly `cat` of a file that a timer of root writes; the report
//! itself says when it was made and how smartctl ended, and is judged by that and never by the program's own exit status.
//! What a disk counts (sectors that it gave up, errors that it could not mend) matters by its growth: the counts are
//! counters under the disk's serial number, and growth within a week is a warning.

mod judge;
mod report;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use upheld_model::{CheckId, UnknownReason};

use crate::{AllowList, ProbeResult, deadline::Deadline, exec::Plugins};
pub(crate) use judge::{Disk, SmartMemory};
use report::Report;

/// A report of a disk with long logs has some 30 KiB.
const OUT_MAX: usize = 128 << 10;

/// The checks of disks.
#[derive(Debug, Default)]
pub(crate) struct Disks {
    known: Mutex<SmartMemory>,
}

impl Disks {
    pub(crate) async fn run(
        &self,
        plugins: &Plugins,
        allow: &AllowList,
        check: &CheckId,
        command: &str,
        deadline: Deadline,
    ) -> ProbeResult {
        let example = "[\"/usr/bin/cat\", \"/run/upheld-smart/sda.json\"]";
        match plugins.print(allow, command, example, OUT_MAX, deadline).await {
            Ok(printed) => self.judge(check, command, &printed.out, &printed.complaint, Timestamp::now()),
            Err(result) => result,
        }
    }

    /// What is to outlive this process.
    pub(crate) fn memory(&self) -> SmartMemory {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes on with what outlived the last one.
    pub(crate) fn recall(&self, memory: SmartMemory) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = memory;
    }

    fn judge(&self, check: &CheckId, command: &str, out: &[u8], complaint: &str, now: Timestamp) -> ProbeResult {
        let report = match serde_json::from_slice::<Report>(out) {
            Ok(report) => report,
            Err(error) => {
                let said = if complaint.is_empty() { String::new() } else { format!("; it complained: {complaint}") };
                let why = format!("{command} printed no report of smartctl --json ({error}){said}");
                return ProbeResult::unknown(UnknownReason::CannotProbe, why);
            }
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        judge::judge(&report, known.entry(check.clone()).or_default(), now)
    }
}

/// Of each check its disk.
pub(crate) type ByCheck = BTreeMap<CheckId, Disk>;

#[cfg(test)]
mod tests;

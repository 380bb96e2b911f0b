//! `power.boot` by what a Linux host leaves behind: another boot id, a record in pstore.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use upheld_model::{Outcome, UnknownReason};

use super::{Boots, Story, Traces, how, sentence};
use crate::{ProbeResult, host::boot_id};

/// Where the system tells of its start, and of the end before it.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The name of this run of the kernel.
    pub(super) boot_id: PathBuf,
    /// Its `btime` line is the start.
    pub(super) stat: PathBuf,
    /// Folders in which a panic leaves its record: the kernel's, and systemd's, which clears that one at each start.
    pub(super) panics: Vec<PathBuf>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            boot_id: "/proc/sys/kernel/random/boot_id".into(),
            stat: "/proc/stat".into(),
            panics: vec!["/sys/fs/pstore".into(), "/var/lib/systemd/pstore".into()],
        }
    }
}

impl Boots {
    /// The agent starts; `alive` is the last moment at which it is known to have lived before.
    pub(crate) fn wake(&self, alive: Option<Timestamp>) {
        let mut memory = self.lock();
        let id = self.id();
        if let Some(_before) = memory.id.as_ref().filter(|before| **before != id) {
            let has_panicked = self.places.panics.iter().any(|folder| has_record(folder, alive));
            let traces = Traces { asked: memory.asked.as_deref(), has_panicked, is_on_battery: memory.is_on_battery };
            memory.story = Some(Story { how: how(traces), alive, says: None });
            memory.is_on_battery = false;
        }
        (memory.id, memory.asked) = (Some(id), None);
    }

    pub(crate) fn run(&self, now: Timestamp) -> ProbeResult {
        let Some(started) = self.started() else {
            let why = "when this host started cannot be read here (/proc/stat)";
            return ProbeResult::unknown(UnknownReason::CannotProbe, why);
        };
        let memory = self.lock().clone();
        let result = ProbeResult::new(Outcome::Ok)
            .value("boot_id", self.id().as_str())
            .value("uptime_s", now.duration_since(started).as_secs_f64().max(0.0));
        match memory.story {
            None => {
                result.evidence(format!("this host runs since {started}; it has not started while this agent watched"))
            }
            Some(story) => result.value("ended", story.how.as_str()).evidence(sentence(&story, started)),
        }
    }

    fn id(&self) -> String {
        let id = std::fs::read_to_string(&self.places.boot_id).ok().map(|id| id.trim().to_owned());
        id.filter(|id| !id.is_empty()).unwrap_or_else(|| boot_id().as_str().to_owned())
    }

    fn started(&self) -> Option<Timestamp> {
        let text = std::fs::read_to_string(&self.places.stat).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
        Timestamp::from_second(line.trim().parse().ok()?).ok()
    }
}

/// Whether a panic left a record in a folder since then. A folder that may not be read holds none that we know of.
fn has_record(folder: &Path, since: Option<Timestamp>) -> bool {
    // A clock that was set meanwhile, and a record that is dated by its archiving.
    let since = since.and_then(|at| at.checked_sub(SignedDuration::from_mins(1)).ok());
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let dated = entries.filter_map(|entry| Timestamp::try_from(entry.metadata().ok()?.modified().ok()?).ok());
    dated.into_iter().any(|at| since.is_none_or(|since| since <= at))
}

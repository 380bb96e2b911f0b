//! `rec.freshness` and `backup.files`: the newest file of a folder, its age, size and growth.
//!
//! A name and a time prove little: a recorder with a frozen camera keeps a 48-byte header as its newest file, and a
//! file from a wrong clock stays the newest for ever. So a file counts as fresh only with its least size, files of
//! the future do not count as fresh, and what was written between two runs is measured. Only folders beneath
//! `paths` of `allow.toml` are looked at, and only sizes and times are read, never contents.

mod judge;
mod walk;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use jiff::Timestamp;
use upheld_model::{CheckId, Counter, UnknownReason, check::FreshnessSpec};

use crate::{AllowList, ProbeResult, blocking::Blocking, deadline::Deadline};
use judge::Look;
use walk::{Entry, Refused};

/// The sizes of so many recently changed files are kept to measure growth; with more the growth is not told.
const RECENT_MAX: usize = 1_024;

/// What the freshness checks remember of their earlier runs.
pub(crate) struct Freshness {
    epoch: String,
    memory: Arc<Mutex<BTreeMap<CheckId, Memory>>>,
}

/// One check's last look.
struct Memory {
    at: Instant,
    /// The sizes of the files that had changed within `age_max_s`; `None` when they were too many.
    recent: Option<BTreeMap<PathBuf, u64>>,
    /// All that was written since the first look.
    written: u64,
}

impl Freshness {
    pub(crate) fn new() -> Self {
        // Counters begin at 0 with each process. Without random bytes the process id marks the epoch.
        let epoch = getrandom::u64().unwrap_or_else(|_| std::process::id().into());
        Self { epoch: format!("{epoch:016x}"), memory: Arc::default() }
    }

    pub(crate) async fn run(
        &self,
        blocking: &Blocking,
        allow: &AllowList,
        check: &CheckId,
        spec: &FreshnessSpec,
        deadline: Deadline,
    ) -> ProbeResult {
        let root = match allow.root_of(Path::new(&spec.path)) {
            Ok(root) => root.to_owned(),
            Err(refusal) => return ProbeResult::unknown(UnknownReason::NotAllowed, refusal.to_string()),
        };
        let (memory, epoch, check, spec) = (Arc::clone(&self.memory), self.epoch.clone(), check.clone(), spec.clone());
        // Two checks of one folder may look at the same time; one check never looks twice at once.
        blocking
            .run(&check.to_string(), deadline, move || look(&memory, &epoch, check.clone(), &spec, &root, deadline))
            .await
    }
}

fn look(
    memory: &Mutex<BTreeMap<CheckId, Memory>>,
    epoch: &str,
    check: CheckId,
    spec: &FreshnessSpec,
    root: &Path,
    deadline: Deadline,
) -> ProbeResult {
    let now = Timestamp::now();
    let mut look = Look::new(spec, now);
    let mut recent = Some(BTreeMap::new());
    let visit = |entry: Entry<'_>| {
        if spec.ends_with.as_ref().is_some_and(|end| !entry.name.as_encoded_bytes().ends_with(end.as_bytes())) {
            return;
        }
        look.see(&entry);
        let has_changed_lately = now.as_second().saturating_sub(entry.modified.as_second()) <= spec.age_max_s as i64;
        if has_changed_lately && let Some(sizes) = &mut recent {
            sizes.insert(entry.folder.join(entry.name), entry.bytes);
            if sizes.len() > RECENT_MAX {
                recent = None;
            }
        }
    };
    let walked = match walk::walk(root, Path::new(&spec.path), deadline, visit) {
        Ok(walked) => walked,
        Err(refused) => return judge_refused(&refused, &spec.path),
    };
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    let before = memory.get(&check);
    let grown = before.and_then(|before| Some(growth(before, recent.as_ref()?)));
    let hours = before.map(|before| before.at.elapsed().as_secs_f64() / 3_600.0);
    let written = before.map_or(0, |before| before.written).saturating_add(grown.unwrap_or(0));
    memory.insert(check, Memory { at: Instant::now(), recent, written });
    drop(memory);
    let mut result = look.judge(&walked, grown).counter("bytes_written", Counter(epoch.into(), written));
    if let (Some(grown), Some(hours)) = (grown, hours.filter(|hours| *hours > 0.0)) {
        result = result.value("bytes_per_h", (grown as f64 / hours).round());
    }
    result
}

/// What was written between two looks: what known files grew by, and all of a file that appeared. A file that was
/// quiet for longer than `age_max_s` and then grew counts as one that appeared.
fn growth(before: &Memory, recent: &BTreeMap<PathBuf, u64>) -> u64 {
    let Some(known) = &before.recent else { return 0 };
    recent.iter().map(|(file, bytes)| bytes.saturating_sub(known.get(file).copied().unwrap_or(0))).sum()
}

fn judge_refused(refused: &Refused, path: &str) -> ProbeResult {
    match refused {
        Refused::Missing { part } => ProbeResult::bad(format!("{} does not exist", part.display())),
        Refused::NotAFolder { part } => ProbeResult::bad(format!("{} is not a folder", part.display())),
        Refused::Link { part } => ProbeResult::unknown(
            UnknownReason::NotAllowed,
            format!(
                "{} is a link, which is not followed; name the folder it leads to in paths of allow.toml",
                part.display()
            ),
        ),
        Refused::Outside => {
            ProbeResult::unknown(UnknownReason::NotAllowed, format!("{path} leads out of its folder with \"..\""))
        }
        Refused::Permission { part } => ProbeResult::unknown(
            UnknownReason::Permission,
            format!("{} may not be read by the agent's user; upheld-agent doctor says what to change", part.display()),
        ),
        Refused::Io { part, error } => {
            ProbeResult::unknown(UnknownReason::Local, format!("{}: {error}", part.display()))
        }
    }
}

#[cfg(test)]
mod tests;

//! `log`: lines of a log of this host that match, by the name under which the site's own file spells the log out.
//!
//! Which file it is stands in `allow.toml` alone (SECURITY 1): a check of the book says a name and patterns, so a
//! provider cannot have a file read that the site did not mean. A log is read from where the last look ended, also over
//! a restart of the agent; what was there before the first look is not read. It is followed over renaming and over being
//! emptied and written anew (`tail`). What matches is counted, and the first lines of a bout are quoted; one bout is
//! one finding, however many lines it has (`bout`).

mod bout;
mod lines;
mod open;
mod tail;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use upheld_model::{
    CheckId, Counter, Outcome, UnknownReason,
    check::{LogSpec, compiled},
};

use crate::{AllowList, ProbeResult, blocking::Blocking, deadline::Deadline};
use bout::{Bout, Matched, Verdict};
use open::Refused;
use tail::{Limits, Place, Tailed};

/// A log that is renamed is missing until its program opens the next one; for longer than this it is gone.
const MISSING_MAX: SignedDuration = SignedDuration::from_mins(10);

/// How far each check has read, and what matched lately.
pub(crate) type LogMemory = BTreeMap<CheckId, Kept>;

/// What is kept of one check.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Kept {
    path: PathBuf,
    asked: LogSpec,
    /// `None` while there was no such file yet.
    place: Option<Place>,
    missing_since: Option<Timestamp>,
    bout: Option<Bout>,
    /// The epoch of the counts: they begin anew where this was lost.
    epoch: String,
    matched: u64,
    skipped_bytes: u64,
}

/// The checks of logs.
#[derive(Default)]
pub(crate) struct Logs {
    memory: Arc<Mutex<LogMemory>>,
}

impl Logs {
    /// Reads what came since the last look, if the site's administrator has named the log.
    pub(crate) async fn run(
        &self,
        blocking: &Blocking,
        allow: &AllowList,
        check: &CheckId,
        spec: &LogSpec,
        deadline: Deadline,
    ) -> ProbeResult {
        let Some(path) = allow.log(&spec.log).map(Path::to_owned) else {
            let log = &spec.log;
            let why = format!(
                "the site's allow.toml has no log {log}; its administrator would write there: [logs] {log} = \
                 \"/var/log/{log}.log\""
            );
            return ProbeResult::unknown(UnknownReason::NotAllowed, why);
        };
        let (memory, owned, spec) = (Arc::clone(&self.memory), check.clone(), spec.clone());
        let work = move || {
            let lock = || memory.lock().unwrap_or_else(PoisonError::into_inner);
            // Not held while the disk is read: other checks read other logs, and only this one writes here.
            let before = lock().get(&owned).cloned();
            let mut kept = Kept::of(before, &path, &spec);
            let result = kept.look(&spec, Timestamp::now(), Limits::default(), deadline);
            lock().insert(owned, kept);
            result
        };
        blocking.run(&check.to_string(), deadline, work).await
    }

    /// What is to outlive this process.
    pub(crate) fn memory(&self) -> LogMemory {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes on with what outlived the last one.
    pub(crate) fn recall(&self, memory: LogMemory) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = memory;
    }
}

impl Kept {
    /// What is kept of a check that reads this file now: another file begins anew, other patterns go on reading.
    fn of(before: Option<Self>, path: &Path, spec: &LogSpec) -> Self {
        match before.filter(|before| before.path == path) {
            Some(before) if before.asked == *spec => before,
            Some(before) => Self { asked: spec.clone(), bout: None, ..before },
            None => {
                // Without random bytes the process id marks the epoch.
                let epoch = getrandom::u64().unwrap_or_else(|_| std::process::id().into());
                Self {
                    path: path.to_owned(),
                    asked: spec.clone(),
                    place: None,
                    missing_since: None,
                    bout: None,
                    epoch: format!("{epoch:016x}"),
                    matched: 0,
                    skipped_bytes: 0,
                }
            }
        }
    }

    /// Reads on, and judges.
    fn look(&mut self, spec: &LogSpec, now: Timestamp, limits: Limits, deadline: Deadline) -> ProbeResult {
        let (patterns, ignore) = match (compiled(&spec.patterns), compiled(&spec.ignore)) {
            (Ok(patterns), Ok(ignore)) => (patterns, ignore),
            // Validated when they were configured.
            (Err(why), _) | (_, Err(why)) => {
                return ProbeResult::unknown(UnknownReason::CannotProbe, format!("a pattern cannot be used: {why}"));
            }
        };
        let mut seen = Matched::default();
        let see = |line: &[u8]| {
            if patterns.is_match(line) && !ignore.is_match(line) {
                seen.add(line);
            }
        };
        // Before the first look of all there is no place, and no moment since when the file was missed.
        let is_first = self.place.is_none() && self.missing_since.is_none();
        let tailed = match tail::read_on(&self.path, self.place.as_ref(), is_first, limits, deadline, see) {
            Ok(tailed) => tailed,
            Err(refused) => return self.refused(refused, spec),
        };
        match tailed.is_missing {
            true => _ = self.missing_since.get_or_insert(now),
            false => self.missing_since = None,
        }
        self.place = tailed.place.clone().or(self.place.take());
        self.matched += seen.count;
        self.skipped_bytes += tailed.skipped_bytes;
        let (bout, verdict) = bout::judge(self.bout.take(), &seen, spec, now);
        self.bout = bout;
        self.told(spec, is_first, &tailed, verdict, now)
    }

    fn told(&self, spec: &LogSpec, is_first: bool, tailed: &Tailed, verdict: Verdict, now: Timestamp) -> ProbeResult {
        let log = &spec.log;
        let gone_for = self.missing_since.map(|since| now.duration_since(since));
        let notes = tailed.notes();
        let result = match verdict {
            Verdict::Bad(words) => ProbeResult::bad(format!("{log}: {words}{notes}")),
            Verdict::Warn(words) => ProbeResult::new(Outcome::Warn).evidence(format!("{log}: {words}{notes}")),
            Verdict::Quiet => match gone_for {
                Some(_) if self.place.is_none() => {
                    let why = format!(
                        "{log}: there is no {} yet; it is read from its beginning once there is",
                        self.path.display()
                    );
                    return ProbeResult::unknown(UnknownReason::CannotProbe, why);
                }
                Some(gone) if gone > MISSING_MAX => {
                    let why = format!("{log}: {} is gone, and nothing writes it anew", self.path.display());
                    return ProbeResult::unknown(UnknownReason::CannotProbe, why);
                }
                Some(_) => ProbeResult::new(Outcome::Ok).evidence(format!("{log}: not there at the moment{notes}")),
                None if is_first => ProbeResult::new(Outcome::Ok)
                    .evidence(format!("{log}: read from here on; what was there before is not read")),
                None => {
                    ProbeResult::new(Outcome::Ok).evidence(format!("{log}: no line of {} matches{notes}", tailed.lines))
                }
            },
        };
        let mut result = result
            .value("lines_read", tailed.lines as f64)
            .value("skipped_bytes", tailed.skipped_bytes as f64)
            .counter("matches", Counter(self.epoch.as_str().into(), self.matched))
            .counter("skipped_bytes", Counter(self.epoch.as_str().into(), self.skipped_bytes));
        if let Some(bout) = &self.bout {
            result = result.value("matches", bout.count(spec, now) as f64);
            for (number, line) in bout.quoted().iter().enumerate() {
                result = result.value(format!("line {}", number + 1), line.as_str());
            }
        }
        result
    }

    /// A file that cannot be read says nothing, neither that all is well nor that it is not.
    fn refused(&self, refused: Refused, spec: &LogSpec) -> ProbeResult {
        let (log, path) = (&spec.log, self.path.display());
        let (reason, why) = match refused {
            Refused::Link { part } => (
                UnknownReason::NotAllowed,
                format!(
                    "{} is a link, which is not followed; name the file that it leads to in [logs]",
                    part.display()
                ),
            ),
            Refused::NotAFile => (
                UnknownReason::NotAllowed,
                format!("{path} is no ordinary file: folders, pipes and devices are not read"),
            ),
            Refused::Permission { part } => (
                UnknownReason::Permission,
                format!(
                    "{} may not be read by the agent's user: setfacl -m u:upheld:rX {}, also for the logs that come \
                     after it (logrotate: create)",
                    part.display(),
                    part.display()
                ),
            ),
            Refused::Io { part, error } => {
                (UnknownReason::Local, format!("{}: {}", part.display(), crate::fault::in_words(&error)))
            }
        };
        ProbeResult::unknown(reason, format!("{log}: {why}"))
    }
}

#[cfg(all(test, unix))]
mod tests;

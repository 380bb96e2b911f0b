//! `log`: lines of a log of this host that match, by the name under which the site's own file spells the log out.
//!
//! Which file it is, or whose lines of the systemd journal (`journal`), stands in `allow.toml` alone (SECURITY 1): a check of the book says a name and patterns, so a
//! provider cannot have a file read that the site did not mean. A log is read from where the last look ended, also over
//! a restart of the agent; what was there before the first look is not read. It is followed over renaming and over being
//! emptied and written anew (`tail`). What matches is counted, and the first lines of a bout are quoted; one bout is
//! one finding, however many lines it has (`bout`).

mod bout;
#[cfg(target_os = "linux")]
pub(crate) mod journal;
mod lines;
mod open;
mod tail;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use regex::bytes::RegexSet;
use upheld_model::{
    CheckId, Counter, Outcome, UnknownReason,
    check::{LogSpec, compiled},
};

use crate::{AllowList, ProbeResult, allow::LogSource, blocking::Blocking, deadline::Deadline, exec::Plugins};
use bout::{Bout, Matched, Verdict};
use open::Refused;
use tail::{Limits, Place};

/// A log that is renamed is missing until its program opens the next one; for longer than this it is gone.
const MISSING_MAX: SignedDuration = SignedDuration::from_mins(10);

/// How far each check has read, and what matched lately.
pub(crate) type LogMemory = BTreeMap<CheckId, Kept>;

/// What is kept of one check.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Kept {
    #[serde(rename = "path")]
    source: LogSource,
    asked: LogSpec,
    /// `None` while there was no such file yet, and of the journal.
    place: Option<Place>,
    /// How far the journal was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<Cursor>,
    missing_since: Option<Timestamp>,
    bout: Option<Bout>,
    /// The epoch of the counts: they begin anew where this was lost.
    epoch: String,
    matched: u64,
    skipped_bytes: u64,
}

/// An entry of the systemd journal, in journald's own words.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Cursor {
    text: String,
    /// Whether it is one of this log: before there was one, it is that which was the last of all.
    is_of_log: bool,
}

/// Which lines matter, and those that were found.
struct Matcher {
    patterns: RegexSet,
    ignore: RegexSet,
    seen: Matched,
}

impl Matcher {
    fn new(spec: &LogSpec) -> Result<Self, ProbeResult> {
        match (compiled(&spec.patterns), compiled(&spec.ignore)) {
            (Ok(patterns), Ok(ignore)) => Ok(Self { patterns, ignore, seen: Matched::default() }),
            // Validated when they were configured.
            (Err(why), _) | (_, Err(why)) => {
                Err(ProbeResult::unknown(UnknownReason::CannotProbe, format!("a pattern cannot be used: {why}")))
            }
        }
    }

    fn see(&mut self, line: &[u8]) {
        if self.patterns.is_match(line) && !self.ignore.is_match(line) {
            self.seen.add(line);
        }
    }
}

/// What a look read, beside the lines that matter.
struct Read {
    is_first: bool,
    lines: u64,
    /// The journal does not count them.
    skipped_bytes: Option<u64>,
    /// What is to be said beside the judgement.
    notes: String,
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
        plugins: &Plugins,
        allow: &AllowList,
        check: &CheckId,
        spec: &LogSpec,
        deadline: Deadline,
    ) -> ProbeResult {
        let Some(source) = allow.log(&spec.log) else {
            let log = &spec.log;
            let why = format!(
                "the site's allow.toml has no log {log}; its administrator would write there: [logs] {log} = \
                 \"/var/log/{log}.log\""
            );
            return ProbeResult::unknown(UnknownReason::NotAllowed, why);
        };
        let path = match source {
            LogSource::File(path) => path.clone(),
            LogSource::Journal { journal } => {
                return self.journal(plugins, check, source, journal, spec, deadline).await;
            }
        };
        let (memory, owned, source, spec) = (Arc::clone(&self.memory), check.clone(), source.clone(), spec.clone());
        let work = move || {
            let lock = || memory.lock().unwrap_or_else(PoisonError::into_inner);
            // Not held while the disk is read: other checks read other logs, and only this one writes here.
            let before = lock().get(&owned).cloned();
            let mut kept = Kept::of(before, &source, &spec);
            let result = kept.look(&path, &spec, Timestamp::now(), Limits::default(), deadline);
            lock().insert(owned, kept);
            result
        };
        blocking.run(&check.to_string(), deadline, work).await
    }

    /// The same of the systemd journal.
    #[cfg(target_os = "linux")]
    async fn journal(
        &self,
        plugins: &Plugins,
        check: &CheckId,
        source: &LogSource,
        unit: &str,
        spec: &LogSpec,
        deadline: Deadline,
    ) -> ProbeResult {
        let lock = || self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = Kept::of(lock().get(check).cloned(), source, spec);
        let read = match Matcher::new(spec) {
            Ok(matcher) => journal::read_on(plugins, unit, kept.cursor.clone(), matcher, deadline).await,
            Err(result) => return result,
        };
        let result = match read {
            Ok(journal::Followed { cursor, is_first, lines, matcher, notes }) => {
                kept.cursor = Some(cursor);
                let read = Read { is_first, lines, skipped_bytes: None, notes };
                kept.judged(spec, &matcher.seen, &read, Timestamp::now())
            }
            Err(result) => return result,
        };
        lock().insert(check.clone(), kept);
        result
    }

    #[cfg(not(target_os = "linux"))]
    async fn journal(
        &self,
        _: &Plugins,
        _: &CheckId,
        source: &LogSource,
        _: &str,
        spec: &LogSpec,
        _: Deadline,
    ) -> ProbeResult {
        let why = format!("{}: {source} can be read on Linux only", spec.log);
        ProbeResult::unknown(UnknownReason::CannotProbe, why)
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
    /// What is kept of a check that reads this log now: another file begins anew, other patterns go on reading.
    fn of(before: Option<Self>, source: &LogSource, spec: &LogSpec) -> Self {
        match before.filter(|before| before.source == *source) {
            Some(before) if before.asked == *spec => before,
            Some(before) => Self { asked: spec.clone(), bout: None, ..before },
            None => {
                // Without random bytes the process id marks the epoch.
                let epoch = getrandom::u64().unwrap_or_else(|_| std::process::id().into());
                Self {
                    source: source.clone(),
                    asked: spec.clone(),
                    place: None,
                    cursor: None,
                    missing_since: None,
                    bout: None,
                    epoch: format!("{epoch:016x}"),
                    matched: 0,
                    skipped_bytes: 0,
                }
            }
        }
    }

    /// Reads on in the file, and judges.
    fn look(&mut self, path: &Path, spec: &LogSpec, now: Timestamp, limits: Limits, deadline: Deadline) -> ProbeResult {
        let mut matcher = match Matcher::new(spec) {
            Ok(matcher) => matcher,
            Err(result) => return result,
        };
        // Before the first look of all there is no place, and no moment since when the file was missed.
        let is_first = self.place.is_none() && self.missing_since.is_none();
        let see = |line: &[u8]| matcher.see(line);
        let tailed = match tail::read_on(path, self.place.as_ref(), is_first, limits, deadline, see) {
            Ok(tailed) => tailed,
            Err(refused) => return refused_to_read(path, refused, spec),
        };
        match tailed.is_missing {
            true => _ = self.missing_since.get_or_insert(now),
            false => self.missing_since = None,
        }
        self.place = tailed.place.clone().or(self.place.take());
        self.skipped_bytes += tailed.skipped_bytes;
        let skipped_bytes = Some(tailed.skipped_bytes);
        let read = Read { is_first, lines: tailed.lines, skipped_bytes, notes: tailed.notes() };
        self.judged(spec, &matcher.seen, &read, now)
    }

    /// What a look comes to.
    fn judged(&mut self, spec: &LogSpec, seen: &Matched, read: &Read, now: Timestamp) -> ProbeResult {
        self.matched += seen.count;
        let (bout, verdict) = bout::judge(self.bout.take(), seen, spec, now);
        self.bout = bout;
        let log = &spec.log;
        let gone_for = self.missing_since.map(|since| now.duration_since(since));
        let notes = &read.notes;
        let result = match verdict {
            Verdict::Bad(words) => ProbeResult::bad(format!("{log}: {words}{notes}")),
            Verdict::Warn(words) => ProbeResult::new(Outcome::Warn).evidence(format!("{log}: {words}{notes}")),
            Verdict::Quiet => match gone_for {
                Some(_) if self.place.is_none() => {
                    let why =
                        format!("{log}: there is no {} yet; it is read from its beginning once there is", self.source);
                    return ProbeResult::unknown(UnknownReason::CannotProbe, why);
                }
                Some(gone) if gone > MISSING_MAX => {
                    let why = format!("{log}: {} is gone, and nothing writes it anew", self.source);
                    return ProbeResult::unknown(UnknownReason::CannotProbe, why);
                }
                Some(_) => ProbeResult::new(Outcome::Ok).evidence(format!("{log}: not there at the moment{notes}")),
                None if read.is_first => ProbeResult::new(Outcome::Ok)
                    .evidence(format!("{log}: read from here on; what was there before is not read")),
                None => {
                    ProbeResult::new(Outcome::Ok).evidence(format!("{log}: no line of {} matches{notes}", read.lines))
                }
            },
        };
        let mut result = result
            .value("lines_read", read.lines as f64)
            .counter("matches", Counter(self.epoch.as_str().into(), self.matched));
        if let Some(skipped) = read.skipped_bytes {
            result = result
                .value("skipped_bytes", skipped as f64)
                .counter("skipped_bytes", Counter(self.epoch.as_str().into(), self.skipped_bytes));
        }
        if let Some(bout) = &self.bout {
            result = result.value("matches", bout.count(spec, now) as f64);
            for (number, line) in bout.quoted().iter().enumerate() {
                result = result.value(format!("line {}", number + 1), line.as_str());
            }
        }
        result
    }
}

/// A file that cannot be read says nothing, neither that all is well nor that it is not.
fn refused_to_read(path: &Path, refused: Refused, spec: &LogSpec) -> ProbeResult {
    let (log, path) = (&spec.log, path.display());
    let (reason, why) = match refused {
        Refused::Link { part } => (
            UnknownReason::NotAllowed,
            format!("{} is a link, which is not followed; name the file that it leads to in [logs]", part.display()),
        ),
        Refused::NotAFile => {
            (UnknownReason::NotAllowed, format!("{path} is no ordinary file: folders, pipes and devices are not read"))
        }
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
#[cfg(all(test, unix))]
mod tests;

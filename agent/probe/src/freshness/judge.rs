//! Whether a folder is fresh, from the files that were seen in it. Pure.

use jiff::Timestamp;
use upheld_model::{Outcome, UnknownReason, check::FreshnessSpec};

use super::walk::{Entry, Walked};
use crate::ProbeResult;

/// A file may be this far ahead of our clock before it is of the future: two clocks on one network differ.
const AHEAD_S: f64 = 2.0;
/// How long a small newest file is given to grow, at most: a recorder writes its header first.
const GRACE_MAX_S: f64 = 120.0;

/// What was seen of a folder.
pub(super) struct Look<'a> {
    spec: &'a FreshnessSpec,
    now: Timestamp,
    files: u64,
    /// The newest file that is not of the future.
    newest: Option<Seen>,
    /// The newest of those that has the least size.
    newest_whole: Option<Seen>,
    /// The newest of the future that has the least size.
    ahead: Option<Seen>,
}

#[derive(Debug, Clone)]
struct Seen {
    name: String,
    bytes: u64,
    modified: Timestamp,
}

impl<'a> Look<'a> {
    pub(super) fn new(spec: &'a FreshnessSpec, now: Timestamp) -> Self {
        Self { spec, now, files: 0, newest: None, newest_whole: None, ahead: None }
    }

    /// Takes note of one file.
    pub(super) fn see(&mut self, entry: &Entry<'_>) {
        self.files += 1;
        let is_whole = entry.bytes >= self.spec.bytes_min;
        let is_ahead = self.age_s(entry.modified) < -AHEAD_S;
        let note = |slot: &mut Option<Seen>| {
            if slot.as_ref().is_none_or(|known| known.modified < entry.modified) {
                let name = entry.name.to_string_lossy().into_owned();
                *slot = Some(Seen { name, bytes: entry.bytes, modified: entry.modified });
            }
        };
        match (is_ahead, is_whole) {
            (true, true) => note(&mut self.ahead),
            (true, false) => {}
            (false, true) => {
                note(&mut self.newest);
                note(&mut self.newest_whole);
            }
            (false, false) => note(&mut self.newest),
        }
    }

    /// The result of the run. `grown` is what was written since the last one; `None` when that is not known.
    pub(super) fn judge(&self, walked: &Walked, grown: Option<u64>) -> ProbeResult {
        let mut result = self.verdict(walked, grown).value("files", self.files as f64);
        if let Some(newest) = &self.newest {
            let age_s = (self.age_s(newest.modified).max(0.0) * 10.0).round() / 10.0;
            result = result.value("newest_age_s", age_s).value("newest_bytes", newest.bytes as f64);
        }
        if let Some(ahead) = &self.ahead {
            result = result.value("newest_ahead_s", (-self.age_s(ahead.modified)).round());
        }
        result
    }

    fn verdict(&self, walked: &Walked, grown: Option<u64>) -> ProbeResult {
        let fresh = self.newest_whole.as_ref().filter(|seen| self.age_s(seen.modified) <= self.spec.age_max_s as f64);
        match (fresh, &self.ahead) {
            (Some(fresh), ahead) => self.stuck_after(fresh).unwrap_or_else(|| match ahead {
                None => ProbeResult::new(Outcome::Ok),
                Some(ahead) => self.warn_ahead(ahead),
            }),
            (None, Some(ahead)) if grown.is_none_or(|bytes| bytes > 0) => self.warn_ahead(ahead),
            (None, ahead) => self.stale(walked, ahead.as_ref()),
        }
    }

    /// A newest file that stays below its least size, although the one before it is still young enough.
    fn stuck_after(&self, fresh: &Seen) -> Option<ProbeResult> {
        let newest = self.newest.as_ref().filter(|newest| newest.modified > fresh.modified)?;
        let grace_s = (self.spec.age_max_s as f64 / 2.0).min(GRACE_MAX_S);
        (newest.bytes < self.spec.bytes_min && self.age_s(newest.modified) > grace_s).then(|| self.too_small(newest))
    }

    /// Nothing is fresh; that is bad only if everything was looked at.
    fn stale(&self, walked: &Walked, ahead: Option<&Seen>) -> ProbeResult {
        if let Some(folder) = &walked.unreadable {
            let why = format!("{} may not be read by the agent's user; nothing fresh in what may", folder.display());
            return ProbeResult::unknown(UnknownReason::Permission, why);
        }
        if let Some(bound) = walked.cut_short {
            let why = format!("{} holds more than can be looked at ({bound}); name a narrower folder", self.spec.path);
            return ProbeResult::unknown(UnknownReason::Local, why);
        }
        match (&self.newest_whole, &self.newest, ahead) {
            (Some(whole), _, _) => ProbeResult::bad(format!(
                "the newest file {} is {} old, at most {} is allowed",
                whole.name,
                in_words(self.age_s(whole.modified)),
                in_words(self.spec.age_max_s as f64),
            )),
            (None, Some(small), _) => self.too_small(small),
            (None, None, Some(ahead)) => ProbeResult::bad(format!(
                "nothing was written since the last look, and {} is {} in the future",
                ahead.name,
                in_words(-self.age_s(ahead.modified)),
            )),
            (None, None, None) => ProbeResult::bad(match &self.spec.ends_with {
                Some(end) => format!("{} holds no file that ends with {end}", self.spec.path),
                None => format!("{} holds no file", self.spec.path),
            }),
        }
    }

    fn too_small(&self, seen: &Seen) -> ProbeResult {
        let (name, bytes, age) = (&seen.name, seen.bytes, in_words(self.age_s(seen.modified)));
        let min = self.spec.bytes_min;
        ProbeResult::bad(format!("the newest file {name} has {bytes} bytes after {age}, at least {min} are expected"))
    }

    fn warn_ahead(&self, ahead: &Seen) -> ProbeResult {
        let far = in_words(-self.age_s(ahead.modified));
        let why = format!("{} is {far} in the future: the clock of this host or of the writer is wrong", ahead.name);
        ProbeResult::new(Outcome::Warn).evidence(why)
    }

    fn age_s(&self, modified: Timestamp) -> f64 {
        self.now.duration_since(modified).as_secs_f64()
    }
}

/// Two units at most (UX 2.7).
fn in_words(seconds: f64) -> String {
    let s = seconds.max(0.0).round() as u64;
    match s {
        0..120 => format!("{s} s"),
        120..7_200 => format!("{} min {} s", s / 60, s % 60),
        7_200..172_800 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        172_800.. => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, path::Path};

    use super::*;

    const NOW: &str = "2026-11-16T16:10:00Z";

    fn spec() -> FreshnessSpec {
        FreshnessSpec { path: "/srv/rec".into(), age_max_s: 120, bytes_min: 1_000, ends_with: None }
    }

    /// `files` are (name, age in seconds, bytes).
    fn judged(files: &[(&str, i64, u64)], grown: Option<u64>) -> (Outcome, String) {
        judged_of(files, grown, &Walked::default())
    }

    fn judged_of(files: &[(&str, i64, u64)], grown: Option<u64>, walked: &Walked) -> (Outcome, String) {
        let (spec, now): (_, Timestamp) = (spec(), NOW.parse().unwrap());
        let mut look = Look::new(&spec, now);
        for (name, age_s, bytes) in files {
            let modified = now - jiff::SignedDuration::from_secs(*age_s);
            look.see(&Entry { folder: Path::new(""), name: OsStr::new(name), bytes: *bytes, modified });
        }
        let result = look.judge(walked, grown);
        (result.outcome, result.evidence.map(|text| text.as_str().to_owned()).unwrap_or_default())
    }

    #[test]
    fn the_newest_whole_file_decides() {
        assert_eq!(judged(&[("a", 5_000, 9_000), ("b", 120, 9_000)], None).0, Outcome::Ok);
        let stale = (Outcome::Bad, "the newest file b is 2 min 1 s old, at most 2 min 0 s is allowed".to_owned());
        assert_eq!(judged(&[("a", 5_000, 9_000), ("b", 121, 9_000)], None), stale);
        assert_eq!(judged(&[], None), (Outcome::Bad, "/srv/rec holds no file".to_owned()));
    }

    #[test]
    fn a_header_that_does_not_grow_is_bad_and_one_that_was_just_begun_is_not() {
        let frozen = "the newest file b has 48 bytes after 1 min 1 s, at least 1000 are expected";
        let frozen = frozen.replace("1 min 1 s", "61 s");
        assert_eq!(judged(&[("a", 90, 9_000), ("b", 61, 48)], None), (Outcome::Bad, frozen));
        assert_eq!(judged(&[("a", 90, 9_000), ("b", 1, 48)], None).0, Outcome::Ok);
        // A recorder that begins a new header every second never gets to a recording.
        assert_eq!(judged(&[("a", 130, 9_000), ("b", 2, 48), ("c", 1, 48)], None).0, Outcome::Bad);
        assert_eq!(judged(&[("c", 1, 48)], None).0, Outcome::Bad);
        // The camera before it is whole and newer: that one is recording.
        assert_eq!(judged(&[("b", 100, 48), ("a", 3, 9_000)], None).0, Outcome::Ok);
    }

    #[test]
    fn a_file_of_the_future_warns_while_something_is_written_and_does_not_hide_that_nothing_is() {
        let warned = judged(&[("a", 3, 9_000), ("f", -3_600, 9_000)], Some(5));
        assert_eq!(warned.0, Outcome::Warn);
        assert!(warned.1.starts_with("f is 60 min 0 s in the future"), "{}", warned.1);
        assert_eq!(judged(&[("f", -3_600, 9_000)], None).0, Outcome::Warn);
        assert_eq!(judged(&[("f", -3_600, 9_000)], Some(0)).0, Outcome::Bad);
        assert_eq!(judged(&[("a", 300, 9_000), ("f", -3_600, 9_000)], Some(0)).0, Outcome::Bad);
        assert_eq!(judged(&[("a", -2, 9_000)], Some(0)).0, Outcome::Ok, "two clocks differ a little");
    }

    #[test]
    fn what_was_not_looked_at_cannot_be_called_stale() {
        let unreadable = Walked { unreadable: Some("/srv/rec/cam-2".into()), ..Walked::default() };
        let cut_short = Walked { cut_short: Some("100000 entries"), ..Walked::default() };
        for (walked, reason) in [(unreadable, UnknownReason::Permission), (cut_short, UnknownReason::Local)] {
            assert_eq!(judged_of(&[("a", 500, 9_000)], None, &walked).0, Outcome::unknown(reason));
            assert_eq!(
                judged_of(&[("a", 5, 9_000)], None, &walked).0,
                Outcome::Ok,
                "a fresh file is fresh all the same"
            );
        }
    }
}

//! Lines that match, as one bout: from the first of them until it has been quiet for long enough.
//!
//! A log that says the same thing a thousand times is one trouble. So what a check says changes when enough lines came
//! within its stretch, and not again before none came for `clear_after`: few findings, and each has an end.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use upheld_model::check::{LogSeverity, LogSpec};

use crate::words;

/// So many lines of a bout are quoted.
const QUOTED_MAX: usize = 3;
/// So many characters of each.
const QUOTED_CHARS: usize = 200;
/// So many characters of the first one stand in the evidence, beside what else it says.
const IN_EVIDENCE: usize = 110;
/// A stretch is counted in so many parts.
const PARTS: u64 = 60;

/// Lines that one look found.
#[derive(Debug, Default)]
pub(super) struct Matched {
    pub(super) count: u64,
    lines: Vec<String>,
}

impl Matched {
    /// Takes a line; the first ones are kept as text.
    pub(super) fn add(&mut self, line: &[u8]) {
        self.count += 1;
        if self.lines.len() < QUOTED_MAX {
            self.lines.push(quoted(line));
        }
    }
}

/// What stands of a line that is not text becomes the sign for that.
fn quoted(line: &[u8]) -> String {
    // A character has at most four bytes.
    let start = &line[..line.len().min(4 * QUOTED_CHARS)];
    let text = String::from_utf8_lossy(start);
    let cut: String = text.trim().chars().take(QUOTED_CHARS).collect();
    if cut.len() < text.trim().len() || start.len() < line.len() { format!("{cut}…") } else { cut }
}

/// Lines that matched, without a quiet stretch between them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Bout {
    since: Timestamp,
    last: Timestamp,
    /// It was bad, and is until it ends.
    is_bad: bool,
    /// How many lines in each part of the stretch, by the part's number since 1970.
    parts: VecDeque<(u64, u64)>,
    lines: Vec<String>,
}

impl Bout {
    /// How many lines lie within the stretch.
    pub(super) fn count(&self, spec: &LogSpec, now: Timestamp) -> u64 {
        let oldest = part(spec, now).saturating_sub(PARTS);
        self.parts.iter().filter(|(part, _)| *part > oldest).fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The first lines of it.
    pub(super) fn quoted(&self) -> &[String] {
        &self.lines
    }
}

/// What a look is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Bad(String),
    Warn(String),
    Quiet,
}

/// The bout after a look that found `seen`, and what it is worth. The clock of the host may step back: a bout never
/// ends sooner for it.
pub(super) fn judge(before: Option<Bout>, seen: &Matched, spec: &LogSpec, now: Timestamp) -> (Option<Bout>, Verdict) {
    let clear_after = SignedDuration::from_secs(i64::try_from(spec.clear_after_s).unwrap_or(i64::MAX));
    let mut bout = match before {
        Some(bout) if seen.count == 0 && now.duration_since(bout.last) >= clear_after => return (None, Verdict::Quiet),
        Some(bout) => bout,
        None if seen.count == 0 => return (None, Verdict::Quiet),
        None => Bout { since: now, last: now, is_bad: false, parts: VecDeque::new(), lines: Vec::new() },
    };
    if now < bout.last {
        bout.parts.retain(|(at, _)| *at <= part(spec, now));
        (bout.last, bout.since) = (now, bout.since.min(now));
    }
    if seen.count > 0 {
        bout.last = now;
        let part = part(spec, now);
        match bout.parts.back_mut().filter(|(last, _)| *last == part) {
            Some((_, count)) => *count = count.saturating_add(seen.count),
            None => bout.parts.push_back((part, seen.count)),
        }
        let room = QUOTED_MAX - bout.lines.len().min(QUOTED_MAX);
        bout.lines.extend(seen.lines.iter().take(room).cloned());
    }
    let oldest = part(spec, now).saturating_sub(PARTS);
    bout.parts.retain(|(part, _)| *part > oldest);
    let count = bout.count(spec, now);
    bout.is_bad |= spec.severity == LogSeverity::Bad && count >= u64::from(spec.bad_after);
    let words = words(&bout, count, spec);
    let verdict = if bout.is_bad { Verdict::Bad(words) } else { Verdict::Warn(words) };
    (Some(bout), verdict)
}

/// `3 lines match within 10 min, since 2026-11-16T16:10:07Z: worker process 17 exited on signal 11`.
fn words(bout: &Bout, count: u64, spec: &LogSpec) -> String {
    let verb = if count == 1 { "line matches" } else { "lines match" };
    let since = bout.since.strftime("%Y-%m-%dT%H:%M:%SZ");
    let line = bout.lines.first().map(String::as_str).unwrap_or_default();
    let first: String = line.chars().take(IN_EVIDENCE).collect();
    let first = if first.len() < line.len() && !first.ends_with('…') { first + "…" } else { first };
    format!("{count} {verb} within {}, since {since}: {first}", words::whole(spec.within_s))
}

/// The part of the stretch in which an instant lies.
fn part(spec: &LogSpec, at: Timestamp) -> u64 {
    let width = (spec.within_s / PARTS).max(1);
    u64::try_from(at.as_second()).unwrap_or(0) / width
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(bad_after: u32) -> LogSpec {
        LogSpec { bad_after, ..LogSpec::new("nginx".to_owned(), vec!["x".to_owned()]) }
    }

    fn lines(count: u64) -> Matched {
        let mut seen = Matched::default();
        (0..count).for_each(|number| seen.add(format!("line {number}").as_bytes()));
        seen
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_017_600 + second).unwrap()
    }

    fn letter(verdict: &Verdict) -> char {
        match verdict {
            Verdict::Bad(_) => '-',
            Verdict::Warn(_) => '~',
            Verdict::Quiet => '+',
        }
    }

    /// What each look at these seconds, with so many lines, comes to.
    fn looks(spec: &LogSpec, looks: &[(i64, u64)]) -> String {
        let mut bout = None;
        let mut said = String::new();
        for (second, count) in looks {
            let (next, verdict) = judge(bout, &lines(*count), spec, at(*second));
            bout = next;
            said.push(letter(&verdict));
        }
        said
    }

    #[test]
    fn fewer_lines_warn_enough_are_bad_and_only_quiet_ends_it() {
        assert_eq!(looks(&spec(1), &[(0, 0), (30, 1), (60, 0), (629, 0), (630, 0)]), "+---+");
        assert_eq!(looks(&spec(3), &[(0, 2), (30, 0), (60, 1), (600, 0), (659, 0), (660, 0)]), "~~---+");
        assert_eq!(looks(&spec(3), &[(0, 2), (599, 0), (600, 1)]), "~~~", "two are older than the stretch");
        // Below the bound but never quiet: one bout, and one end.
        assert_eq!(looks(&spec(3), &[(0, 3), (500, 1), (1_000, 1), (1_500, 1), (2_099, 0), (2_100, 0)]), "-----+");
        let warn = LogSpec { severity: LogSeverity::Warn, ..spec(1) };
        assert_eq!(looks(&warn, &[(0, 50_000), (600, 0)]), "~+");
    }

    #[test]
    fn the_first_lines_of_a_bout_are_quoted_and_the_rest_is_counted() {
        let (bout, verdict) = judge(None, &lines(12), &spec(3), at(0));
        let Verdict::Bad(words) = verdict else { panic!("{verdict:?}") };
        assert_eq!(words, "12 lines match within 10 min, since 2026-11-18T16:00:00Z: line 0");
        assert_eq!(bout.unwrap().quoted(), ["line 0", "line 1", "line 2"]);
    }

    #[test]
    fn a_quote_is_short_text_whatever_the_line_is() {
        assert_eq!(quoted(b"  caf\xc3\xa9 \xff\xfe \t"), "café \u{fffd}\u{fffd}");
        assert_eq!(quoted(&[0xff; 9_000]).chars().count(), QUOTED_CHARS + 1);
        assert!(quoted("ü".repeat(9_000).as_bytes()).ends_with('…'));
    }

    proptest! {
        /// What is kept is bounded, a bout with a line in it is never quiet, and one is bad just as enough were counted.
        #[test]
        fn a_bout_is_small_and_says_what_it_counted(
            steps in proptest::collection::vec((-100i64..400, 0u64..5), 1..200), bad_after in 1u32..20,
        ) {
            let (spec, mut bout, mut now) = (spec(bad_after), None::<Bout>, 0);
            for (step, count) in steps {
                now += step;
                let was_bad = bout.as_ref().is_some_and(|bout| bout.is_bad);
                let (next, verdict) = judge(bout, &lines(count), &spec, at(now));
                prop_assert!(count == 0 || verdict != Verdict::Quiet);
                if let Some(next) = &next {
                    prop_assert!(next.parts.len() <= PARTS as usize && next.lines.len() <= QUOTED_MAX);
                    let is_enough = next.count(&spec, at(now)) >= u64::from(bad_after);
                    prop_assert_eq!(letter(&verdict) == '-', was_bad || is_enough);
                }
                bout = next;
            }
        }
    }
}

//! Runs that have begun and have not ended: when they began, and what they printed so far.
//!
//! Kept in memory: a run over which the agent restarts has its end, without its begin. So few are kept that nobody fills
//! the memory; the oldest goes first.

use std::collections::BTreeMap;

use upheld_model::{CheckId, DeviceText, ObservedAt};

/// The most that is kept of what one run printed, in bytes: its end, which says what went wrong.
pub(crate) const PRINTED_MAX: usize = 4 << 10;
/// So many runs are open at once.
const RUNS_MAX: usize = 64;

/// By job and, where it says one, the run's own name.
#[derive(Debug, Default)]
pub(crate) struct OpenRuns {
    runs: BTreeMap<(CheckId, Option<String>), Run>,
}

/// A run that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    /// When it was first heard of.
    heard: ObservedAt,
    began: Option<ObservedAt>,
    printed: String,
}

impl OpenRuns {
    /// A run begins; one of the same name that was open is forgotten.
    pub(crate) fn begin(&mut self, job: CheckId, run: Option<String>, printed: &str, now: ObservedAt) {
        self.runs.remove(&(job.clone(), run.clone()));
        self.say(job.clone(), run.clone(), printed, now);
        if let Some(open) = self.runs.get_mut(&(job, run)) {
            open.began = Some(now);
        }
    }

    /// A run says something.
    pub(crate) fn say(&mut self, job: CheckId, run: Option<String>, printed: &str, now: ObservedAt) {
        let key = (job, run);
        if !self.runs.contains_key(&key) && self.runs.len() >= RUNS_MAX {
            let oldest = self.runs.iter().min_by_key(|(_, open)| open.heard).map(|(key, _)| key.clone());
            oldest.map(|oldest| self.runs.remove(&oldest));
        }
        let new = Run { heard: now, began: None, printed: String::new() };
        let open = self.runs.entry(key).or_insert(new);
        add(&mut open.printed, printed);
    }

    /// A run ends: when it began, and the end of all that it printed.
    pub(crate) fn end(
        &mut self,
        job: &CheckId,
        run: Option<String>,
        printed: &str,
    ) -> (Option<ObservedAt>, Vec<DeviceText>) {
        let open = self.runs.remove(&(job.clone(), run));
        let (began, mut all) = open.map_or((None, String::new()), |open| (open.began, open.printed));
        add(&mut all, printed);
        (began, all.lines().filter(|line| !line.trim().is_empty()).map(DeviceText::new).collect())
    }
}

/// Adds to a text and keeps its end.
fn add(text: &mut String, more: &str) {
    if !text.is_empty() && !text.ends_with('\n') && !more.is_empty() {
        text.push('\n');
    }
    text.push_str(more);
    let surplus = text.len().saturating_sub(PRINTED_MAX);
    if let Some(at) = (surplus..=text.len()).find(|at| text.is_char_boundary(*at)) {
        text.drain(..at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> ObservedAt {
        ObservedAt(jiff::Timestamp::from_second(second).unwrap())
    }

    fn job() -> CheckId {
        "srv-1/nightly".parse().unwrap()
    }

    fn words(printed: &[DeviceText]) -> Vec<&str> {
        printed.iter().map(DeviceText::as_str).collect()
    }

    #[test]
    fn an_end_has_its_own_begin_and_what_was_said_on_the_way() {
        let mut runs = OpenRuns::default();
        let run = |name: &str| Some(name.to_owned());
        runs.begin(job(), run("a"), "", at(10));
        runs.begin(job(), run("b"), "", at(20));
        runs.say(job(), run("a"), "half\n\nway", at(30));
        let (began, printed) = runs.end(&job(), run("a"), "done");
        assert_eq!((began, words(&printed)), (Some(at(10)), vec!["half", "way", "done"]));
        assert_eq!(runs.end(&job(), run("b"), ""), (Some(at(20)), vec![]));
        assert_eq!(runs.end(&job(), run("a"), ""), (None, vec![]), "once");
    }

    #[test]
    fn a_begin_that_comes_twice_is_the_later_one() {
        let mut runs = OpenRuns::default();
        runs.begin(job(), None, "first", at(10));
        runs.begin(job(), None, "", at(99));
        assert_eq!(runs.end(&job(), None, ""), (Some(at(99)), vec![]));
    }

    #[test]
    fn neither_text_nor_runs_grow_without_bound() {
        let mut runs = OpenRuns::default();
        for number in 0..1_000 {
            runs.say(job(), Some(number.to_string()), &"é".repeat(PRINTED_MAX), at(number));
            runs.say(job(), Some(number.to_string()), "the end", at(number));
        }
        assert_eq!(runs.runs.len(), RUNS_MAX);
        assert!(runs.runs.values().all(|open| open.printed.len() <= PRINTED_MAX));
        assert!(runs.end(&job(), Some("999".to_owned()), "").1.last().unwrap().as_str().ends_with("the end"));
    }
}

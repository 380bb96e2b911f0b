//! What is kept of samples that are given up for room: a summary of real samples, none of them computed.
//!
//! Of each check one sample in five minutes, and the first and the last of each stretch that says something else, at most
//! eight in five minutes. Counters only grow within their epoch, so none of their counts is lost; states do not depend on
//! samples, for every change of one is a transition of its own.

use std::collections::BTreeMap;

use upheld_model::{CheckId, Sample, sample::Value};

/// The length of a cell, in seconds.
const CELL_S: i64 = 300;
/// What one check may keep in one cell, so that a device that never says the same twice frees room as well.
const KEPT_MAX: u32 = 8;

/// Samples on their way to a summary, in the order of the journal.
#[derive(Debug, Default)]
pub(super) struct Summary {
    kept: Vec<Sample>,
    latest: BTreeMap<CheckId, Latest>,
    /// Samples that were looked at.
    pub(super) seen: u64,
}

#[derive(Debug)]
struct Latest {
    sample: Sample,
    is_kept: bool,
    cell: i64,
    kept_in_cell: u32,
}

impl Summary {
    /// Looks at one sample.
    pub(super) fn take(&mut self, sample: Sample) {
        self.seen += 1;
        let cell = cell_of(&sample);
        let check = sample.check.clone();
        let Some(latest) = self.latest.get_mut(&check) else {
            self.kept.push(sample.clone());
            self.latest.insert(check, Latest { sample, is_kept: true, cell, kept_in_cell: 1 });
            return;
        };
        let changes = !says_the_same(&latest.sample, &sample);
        if changes && !latest.is_kept && latest.kept_in_cell < KEPT_MAX {
            self.kept.push(latest.sample.clone());
            latest.kept_in_cell += 1;
        }
        if latest.cell != cell {
            (latest.cell, latest.kept_in_cell) = (cell, 0);
        }
        latest.is_kept = latest.kept_in_cell == 0 || (changes && latest.kept_in_cell < KEPT_MAX);
        if latest.is_kept {
            self.kept.push(sample.clone());
            latest.kept_in_cell += 1;
        }
        latest.sample = sample;
    }

    /// The samples that stay, oldest first.
    pub(super) fn finish(mut self) -> Vec<Sample> {
        let last = self.latest.into_values().filter(|latest| !latest.is_kept).map(|latest| latest.sample);
        self.kept.extend(last);
        self.kept.sort_by(|a, b| (a.at, &a.check).cmp(&(b.at, &b.check)));
        self.kept
    }
}

fn cell_of(sample: &Sample) -> i64 {
    sample.at.0.as_second().div_euclid(CELL_S)
}

/// Whether two samples differ in numbers alone: those have no end.
fn says_the_same(a: &Sample, b: &Sample) -> bool {
    let words = |sample: &Sample| -> Vec<(String, Value)> {
        let texts = sample.values.iter().filter(|(_, value)| matches!(value, Value::Text(_)));
        texts.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let epochs = |sample: &Sample| -> Vec<_> {
        sample.counters.iter().map(|(name, counter)| (name.clone(), counter.0.clone())).collect()
    };
    a.outcome == b.outcome && words(a) == words(b) && epochs(a) == epochs(b)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use upheld_model::{ObservedAt, Outcome, UnknownReason};

    use super::*;
    use crate::storage::sim::next;

    fn sample(check: u8, second: i64, outcome: Outcome) -> Sample {
        Sample {
            check: format!("a{check}/net.tcp").parse().unwrap(),
            at: ObservedAt(Timestamp::from_second(1_795_300_200 + second).unwrap()),
            took_us: 1,
            outcome,
            values: BTreeMap::new(),
            counters: BTreeMap::new(),
            evidence: None,
        }
    }

    fn summary(samples: &[Sample]) -> Vec<Sample> {
        let mut summary = Summary::default();
        samples.iter().cloned().for_each(|sample| summary.take(sample));
        summary.finish()
    }

    #[test]
    fn an_hour_that_says_the_same_leaves_one_sample_of_each_five_minutes_and_the_last() {
        let hour: Vec<Sample> = (0..360).map(|round| sample(1, 10 * round, Outcome::Ok)).collect();
        let kept = summary(&hour);
        assert_eq!(kept.len(), 13);
        assert!(kept.windows(2).all(|pair| pair[0].at < pair[1].at));
        assert_eq!((kept.first(), kept.last()), (hour.first(), hour.last()));
    }

    #[test]
    fn a_summary_is_of_real_samples_has_each_cell_and_each_change_and_is_bounded() {
        for seed in 0..300 {
            let mut dice = seed;
            let mut roll = |sides: u64| next(&mut dice) % sides;
            let (mut second, steadiness, mut all) = (0, 2 + roll(30), Vec::new());
            for _ in 0..300 {
                second += 1 + i64::try_from(roll(40)).unwrap();
                let outcome = match roll(steadiness) {
                    0 => {
                        [Outcome::Bad, Outcome::Warn, Outcome::unknown(UnknownReason::Local)][roll(3) as usize].clone()
                    }
                    _ => Outcome::Ok,
                };
                all.push(sample(u8::try_from(roll(3)).unwrap(), second, outcome));
            }
            let kept = summary(&all);
            assert!(kept.iter().all(|kept| all.contains(kept)), "seed {seed}: nothing is made up");
            let (before, after) = (cells(&all), cells(&kept));
            assert!(before.keys().eq(after.keys()), "seed {seed}: five minutes of a check have no sample left");
            // One more: the last of all.
            assert!(after.values().all(|count| *count <= KEPT_MAX + 1), "seed {seed}: {after:?}");
            // Where nothing was left out for its number, a change of what is said is there from both its sides.
            for (check, cell) in after.iter().filter(|(_, count)| **count < KEPT_MAX).map(|(name, _)| name) {
                let own: Vec<&Sample> = all.iter().filter(|sample| sample.check == *check).collect();
                for pair in own.windows(2).filter(|pair| !says_the_same(pair[0], pair[1])) {
                    for side in pair.iter().filter(|side| cell_of(side) == *cell) {
                        assert!(kept.contains(side), "seed {seed}: {side:?} is a change and gone");
                    }
                }
            }
        }
    }

    fn cells(samples: &[Sample]) -> BTreeMap<(CheckId, i64), u32> {
        let mut cells = BTreeMap::new();
        for sample in samples {
            *cells.entry((sample.check.clone(), cell_of(sample))).or_default() += 1;
        }
        cells
    }
}

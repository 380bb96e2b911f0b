//! What waits to be said: whole jobs that have ended, and the one that stands. Pure: it holds no connection.

use super::{
    line::{Part, Say, UNDO},
    many::Make,
};
use crate::{StoreError, sql::Value};

/// More bytes than this do not wait for the next question.
const WAITING_MAX: usize = 1 << 20;

/// What waits, in the order in which it is to be said.
#[derive(Default)]
pub(super) struct Waiting {
    jobs: Vec<Job>,
    undone: Vec<(usize, StoreError)>,
    bytes: usize,
}

struct Job {
    number: usize,
    /// What begins it, until that was said.
    opens: Option<&'static str>,
    changes: Vec<Change>,
    /// What ends it, once that is known. Only the last job has not ended.
    ends: Option<&'static str>,
}

/// A change whose outcome nobody waits for.
pub(super) struct Change {
    pub(super) name: &'static str,
    pub(super) text: String,
    pub(super) sets: Vec<Vec<Owned>>,
    pub(super) make: Option<Make>,
}

impl Change {
    fn values(&self) -> Vec<Vec<Value<'_>>> {
        self.sets.iter().map(|set| set.iter().map(Owned::value).collect()).collect()
    }
}

/// A [`Value`] that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owned {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Owned {
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Int(value) => Value::Int(*value),
            Self::Text(value) => Value::Text(value),
            Self::Blob(value) => Value::Blob(value),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Null | Self::Int(_) => 8,
            Self::Text(value) => value.len(),
            Self::Blob(value) => value.len(),
        }
    }
}

impl From<Value<'_>> for Owned {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Int(value) => Self::Int(value),
            Value::Text(value) => Self::Text(value.to_owned()),
            Value::Blob(value) => Self::Blob(value.to_owned()),
        }
    }
}

impl Waiting {
    /// A job begins with these words.
    pub(super) fn open(&mut self, number: usize, words: &'static str) {
        self.jobs.push(Job { number, opens: Some(words), changes: Vec::new(), ends: None });
    }

    /// Whether a change may wait, and has a job whose it is.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < WAITING_MAX && self.jobs.last().is_some_and(|job| job.ends.is_none())
    }

    /// Keeps a change of the job that stands.
    pub(super) fn keep(&mut self, change: Change) {
        self.bytes += change.sets.iter().flatten().map(Owned::bytes).sum::<usize>();
        if let Some(job) = self.jobs.last_mut() {
            job.changes.push(change);
        }
    }

    /// The job that stands ends with these words. One that said nothing leaves nothing to say.
    pub(super) fn end(&mut self, words: &'static str) {
        let Some(job) = self.jobs.pop_if(|job| job.ends.is_none()) else { return };
        if job.opens.is_none() || !job.changes.is_empty() {
            self.jobs.push(Job { ends: Some(words), ..job });
        }
    }

    /// The job that stands is undone.
    pub(super) fn undo(&mut self) {
        let Some(job) = self.jobs.last_mut().filter(|job| job.ends.is_none()) else { return };
        job.changes.clear();
        self.end(UNDO);
    }

    /// All of it was said.
    pub(super) fn were_said(&mut self) {
        self.jobs.retain(|job| job.ends.is_none());
        if let Some(job) = self.jobs.last_mut() {
            job.opens = None;
            job.changes.clear();
        }
        self.bytes = 0;
    }

    /// The line at `place` failed, and was the standing job's or nobody's; those before it were said. Whether that job can be
    /// undone alone: what opens it goes with the end of the one before, or is the first line of all.
    pub(super) fn were_said_up_to(&mut self, place: usize) -> bool {
        let opens_first = self.jobs.first().is_some_and(|job| job.opens.is_some() && job.ends.is_none());
        self.were_said();
        place > 0 || !opens_first
    }

    /// Whether a job has ended.
    pub(super) fn has_ended(&self, job: usize) -> bool {
        self.jobs.get(job).is_some_and(|job| job.ends.is_some())
    }

    /// A job that had ended was undone, and those before it were said.
    pub(super) fn undone_later(&mut self, job: usize, why: StoreError) {
        if let Some(job) = self.jobs.drain(..=job).next_back() {
            self.undone.push((job.number, why));
        }
    }

    /// The jobs that were undone after they had ended, and why.
    pub(super) fn take_undone(&mut self) -> Vec<(usize, StoreError)> {
        std::mem::take(&mut self.undone)
    }

    /// The values of all changes, in their order.
    pub(super) fn sets(&self) -> Vec<Vec<Vec<Value<'_>>>> {
        let changes = self.jobs.iter().flat_map(|job| &job.changes);
        changes.map(Change::values).collect()
    }

    /// All that is to be said, with [`Waiting::sets`], and whose job each is. Words that follow each other are one line,
    /// of the first's job: the second alone would not fail.
    pub(super) fn lines<'a>(&'a self, sets: &'a [Vec<Vec<Value<'a>>>]) -> (Vec<usize>, Vec<Part<'a>>) {
        let (mut owners, mut lines, mut sets) = (Vec::new(), Vec::new(), sets.iter());
        for (index, job) in self.jobs.iter().enumerate() {
            let words = |owners: &mut Vec<usize>, lines: &mut Vec<Part<'a>>, words: Option<&'static str>| {
                let Some(words) = words else { return };
                if let Some(Part::Words(before)) = lines.last_mut() {
                    before.push_str("; ");
                    before.push_str(words);
                } else {
                    owners.push(index);
                    lines.push(Part::Words(words.to_owned()));
                }
            };
            words(&mut owners, &mut lines, job.opens);
            for (change, sets) in job.changes.iter().zip(&mut sets) {
                let Change { name, text, make, .. } = change;
                owners.push(index);
                lines.push(Part::Queued(Say::Ask { name, text, sets, make: *make }));
            }
            words(&mut owners, &mut lines, job.ends);
        }
        (owners, lines)
    }
}

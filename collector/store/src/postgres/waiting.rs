//! What waits to be said: whole jobs that have ended, and the one that stands. Pure: it holds no connection.

use std::{collections::HashSet, sync::Arc};

use super::{
    line::UNDO,
    many::{Make, insert_many},
    texts::{Changes, Conflict, Spoken},
};
use crate::{
    StoreError,
    sql::{Owned, Value},
};

/// More bytes than this do not wait for the next question.
const WAITING_MAX: usize = 1 << 20;

/// What waits, in the order in which it is to be said.
#[derive(Default)]
pub(super) struct Waiting {
    jobs: Vec<Job>,
    undone: Vec<(usize, StoreError)>,
    bytes: usize,
    /// Whether each job is said for itself: together they failed.
    is_parted: bool,
    /// Whether what failed is still to be undone, before anything else.
    undoes: bool,
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
    pub(super) spoken: Arc<Spoken>,
    pub(super) sets: Vec<Vec<Owned>>,
}

/// One thing to say of what waits.
pub(super) struct Step<'a> {
    pub(super) whose: Whose,
    pub(super) what: What<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of one job, by its place in the queue.
    Job(usize),
    /// Of all that have ended from this one on.
    AllFrom(usize),
    /// Of none that waits: what undoes the one before them.
    Nobody,
}

pub(super) enum What<'a> {
    Words(String),
    /// Changes of one text.
    Changes(Vec<&'a Change>),
}

impl What<'_> {
    /// All their values, in order.
    pub(super) fn sets(&self) -> Vec<Vec<Value<'_>>> {
        match self {
            Self::Words(_) => Vec::new(),
            Self::Changes(changes) => {
                let sets = changes.iter().flat_map(|change| &change.sets);
                sets.map(|set| set.iter().map(Owned::value).collect()).collect()
            }
        }
    }

    /// What makes one statement of them all.
    pub(super) fn make(sets: &[Vec<Value<'_>>]) -> Option<Make> {
        (sets.len() > 1).then_some(insert_many as Make)
    }
}

/// The changes of several jobs, those of one text together. None comes before one that it may depend on: of its own table,
/// or of one that its text names.
fn together<'a>(changes: impl Iterator<Item = &'a Change>) -> Vec<Vec<&'a Change>> {
    let mut all: Vec<Together<'a>> = Vec::new();
    for change in changes {
        let before = all.iter_mut().rfind(|before| before.touches(change));
        let rest = match before {
            Some(before) => before.take(change),
            None => Some(change),
        };
        if let Some(change) = rest {
            let mut new = Together { text: &change.spoken, changes: Vec::new(), keys: HashSet::new() };
            let _first = new.take(change);
            all.push(new);
        }
    }
    all.into_iter().map(|together| together.changes).collect()
}

struct Together<'a> {
    text: &'a Arc<Spoken>,
    changes: Vec<&'a Change>,
    /// Of which rows, where one statement may change each but once.
    keys: HashSet<Vec<Option<&'a Owned>>>,
}

impl<'a> Together<'a> {
    fn touches(&self, change: &Change) -> bool {
        let (Changes::Table(own), Changes::Table(other)) = (self.text.changes, change.spoken.changes) else {
            return true;
        };
        self.text.names(other) || change.spoken.names(own)
    }

    /// Takes a change in; hands it back where it does not fit.
    fn take(&mut self, change: &'a Change) -> Option<&'a Change> {
        if !self.changes.is_empty() && self.text.plain != change.spoken.plain {
            return Some(change);
        }
        match &change.spoken.conflict {
            Conflict::Never => {}
            Conflict::Unknown if self.changes.is_empty() => {}
            Conflict::Unknown => return Some(change),
            Conflict::By(key) => {
                let keys: Vec<Vec<Option<&Owned>>> =
                    change.sets.iter().map(|set| key.iter().map(|at| set.get(*at)).collect()).collect();
                if keys.iter().any(|key| self.keys.contains(key)) {
                    return Some(change);
                }
                self.keys.extend(keys);
            }
        }
        self.changes.push(change);
        None
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
        self.undoes = false;
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

    /// A job that had ended is undone with what is said next, and those before it were said.
    pub(super) fn undone_later(&mut self, job: usize, why: StoreError) {
        self.undoes = true;
        if let Some(job) = self.jobs.drain(..=job).next_back() {
            self.undone.push((job.number, why));
        }
    }

    /// The jobs that were undone after they had ended, and why.
    pub(super) fn take_undone(&mut self) -> Vec<(usize, StoreError)> {
        std::mem::take(&mut self.undone)
    }

    /// The jobs from this one on failed together and are undone with what is said next, those before them were said: each
    /// is said for itself from now on.
    pub(super) fn part(&mut self, first: usize) {
        self.undoes = true;
        self.jobs.drain(..first);
        self.is_parted = true;
    }

    /// All that is to be said, and whose it is. Jobs that are whole and have ended are said as one, since few fail. Words
    /// that follow each other are one step, of the first's job: the second alone would not fail.
    pub(super) fn steps(&self) -> Vec<Step<'_>> {
        let mut steps = Vec::new();
        words(&mut steps, Whose::Nobody, self.undoes.then_some(UNDO));
        let is_whole = |job: &Job| job.opens.is_some() && job.ends.is_some();
        let first = self.jobs.iter().position(is_whole).unwrap_or(self.jobs.len());
        let whole = self.jobs[first..].iter().take_while(|job| is_whole(job)).count();
        let whole = if self.is_parted || whole < 2 { first..first } else { first..first + whole };
        for (index, job) in self.jobs.iter().enumerate() {
            let (whose, changes) = if index == whole.start && !whole.is_empty() {
                let all = self.jobs[whole.clone()].iter().flat_map(|job| &job.changes);
                (Whose::AllFrom(index), together(all))
            } else if whole.contains(&index) {
                continue;
            } else {
                (Whose::Job(index), job.changes.iter().map(|change| vec![change]).collect())
            };
            words(&mut steps, whose, job.opens);
            steps.extend(changes.into_iter().map(|changes| Step { whose, what: What::Changes(changes) }));
            words(&mut steps, whose, job.ends);
        }
        steps
    }
}

fn words(steps: &mut Vec<Step<'_>>, whose: Whose, words: Option<&'static str>) {
    let Some(words) = words else { return };
    if let Some(Step { what: What::Words(before), .. }) = steps.last_mut() {
        before.push_str("; ");
        before.push_str(words);
    } else {
        steps.push(Step { whose, what: What::Words(words.to_owned()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::texts::Texts;

    const RECORD: &str = "/* r.insert */ INSERT INTO records (agent, seq) VALUES (?1, ?2)";
    const HEAD: &str = "/* h.put */ INSERT INTO heads (agent, len) VALUES (?1, ?2) ON CONFLICT (agent) DO UPDATE SET len = excluded.len";
    const CLEAR: &str = "/* h.clear */ DELETE FROM heads WHERE agent = ?1 AND len < ?2";

    /// The queue after these jobs, each with its changes, all but the last `standing` of which have ended.
    fn waiting(jobs: &[&[(&'static str, &str)]], standing: usize) -> Waiting {
        let (texts, mut waiting) = (Texts::default(), Waiting::default());
        for (number, changes) in jobs.iter().enumerate() {
            waiting.open(number, "SAVEPOINT job");
            for (sql, agent) in *changes {
                let sets = vec![vec![Owned::Text((*agent).to_owned()), Owned::Int(1)]];
                waiting.keep(Change { name: "change", spoken: texts.of(sql), sets });
            }
            if number + standing < jobs.len() {
                waiting.end("RELEASE job");
            }
        }
        waiting
    }

    /// All steps in short: words as they are, changes by their table and agents.
    fn said(waiting: &Waiting) -> Vec<String> {
        let agents = |sets: &[Vec<Value<'_>>]| -> String {
            sets.iter().map(|set| format!(" {}", set[0].text().unwrap())).collect()
        };
        let step = |step: &Step<'_>| match &step.what {
            What::Words(words) => words.clone(),
            What::Changes(changes) => {
                let name = changes[0].spoken.plain.split("*/ ").next().unwrap();
                format!("{}{}", name.trim_start_matches("/* ").trim_end(), agents(&step.what.sets()))
            }
        };
        waiting.steps().iter().map(step).collect()
    }

    #[test]
    fn jobs_that_have_ended_are_said_as_one_and_the_one_that_stands_for_itself() {
        let jobs: [&[_]; 3] = [&[(RECORD, "a"), (HEAD, "a")], &[(RECORD, "b"), (HEAD, "b")], &[(HEAD, "c")]];
        let mut waiting = waiting(&jobs, 1);
        let together = ["SAVEPOINT job", "r.insert a b", "h.put a b", "RELEASE job; SAVEPOINT job", "h.put c"];
        assert_eq!(said(&waiting), together);
        assert_eq!(waiting.steps()[3].whose, Whose::AllFrom(0));
        assert_eq!(waiting.steps()[4].whose, Whose::Job(2));
        waiting.part(0);
        let begins = format!("{UNDO}; SAVEPOINT job");
        let apart = [&*begins, "r.insert a", "h.put a", "RELEASE job; SAVEPOINT job", "r.insert b", "h.put b"];
        assert_eq!(said(&waiting)[..6], apart, "whose fault it is shows");
        assert_eq!(waiting.steps()[0].whose, Whose::Nobody);
    }

    #[test]
    fn no_change_comes_before_one_that_it_may_depend_on() {
        let jobs: [&[_]; 3] = [&[(HEAD, "a"), (CLEAR, "a")], &[(HEAD, "b")], &[(RECORD, "b"), (CLEAR, "b")]];
        let ordered = ["SAVEPOINT job", "h.put a", "h.clear a", "h.put b", "r.insert b", "h.clear b", "RELEASE job"];
        assert_eq!(said(&waiting(&jobs, 0)), ordered);
    }

    #[test]
    fn one_statement_changes_each_row_but_once() {
        let jobs: [&[_]; 3] = [&[(HEAD, "a")], &[(HEAD, "a"), (RECORD, "a")], &[(HEAD, "b"), (RECORD, "a")]];
        let apart = ["SAVEPOINT job", "h.put a", "h.put a b", "r.insert a a", "RELEASE job"];
        assert_eq!(said(&waiting(&jobs, 0)), apart);
    }

    #[test]
    fn a_job_that_was_begun_ends_before_others_are_said_together() {
        let mut waiting = waiting(&[&[(HEAD, "a")]], 1);
        waiting.were_said();
        let texts = Texts::default();
        let change = |agent: &str| Change {
            name: "change",
            spoken: texts.of(RECORD),
            sets: vec![vec![Owned::Text(agent.to_owned()), Owned::Int(1)]],
        };
        waiting.keep(change("a"));
        waiting.end("RELEASE job");
        for agent in ["b", "c"] {
            waiting.open(1, "SAVEPOINT job");
            waiting.keep(change(agent));
            waiting.end("RELEASE job");
        }
        let words = ["r.insert a", "RELEASE job; SAVEPOINT job", "r.insert b c", "RELEASE job"];
        assert_eq!(said(&waiting), words);
        assert_eq!(waiting.steps()[1].whose, Whose::Job(0));
        assert_eq!(waiting.steps()[2].whose, Whose::AllFrom(1));
    }
}

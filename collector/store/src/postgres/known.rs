//! What was answered before it is asked, for as long as it is true: a change of the same transaction makes it untrue, of
//! its table, or of an agent's rows in it alone where both texts name the agent.

use std::sync::Arc;

use tokio_postgres::Row as PgRow;

use super::texts::{Changes, Spoken};
use crate::sql::{Cells, Owned, Read, Value};

/// For whom something was asked ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// For the jobs of a group; it outlives each.
    Group,
    /// For the job that stands.
    Job,
}

/// The answer to one question.
pub(super) struct Answer {
    pub(super) rows: Vec<PgRow>,
    /// Where its columns stand in these rows.
    pub(super) columns: Arc<[usize]>,
}

/// Everything that was answered.
#[derive(Default)]
pub(super) struct Known(Vec<Question>);

struct Question {
    sql: &'static str,
    spoken: Arc<Spoken>,
    answers: Vec<(Vec<Owned>, For, Arc<Answer>)>,
}

impl Known {
    /// The answer to a question with these values.
    pub(super) fn find(&self, sql: &str, values: &[Value<'_>]) -> Option<Arc<Answer>> {
        let question = self.0.iter().find(|question| question.sql == sql)?;
        let is_it = |of: &[Owned]| of.iter().map(Owned::value).eq(values.iter().copied());
        question.answers.iter().find(|(of, ..)| is_it(of)).map(|(.., answer)| Arc::clone(answer))
    }

    pub(super) fn keep(&mut self, sql: &'static str, spoken: &Arc<Spoken>, of: Vec<Owned>, whose: For, answer: Answer) {
        let answer = (of, whose, Arc::new(answer));
        match self.0.iter_mut().find(|question| question.sql == sql) {
            Some(question) => question.answers.push(answer),
            None => self.0.push(Question { sql, spoken: Arc::clone(spoken), answers: vec![answer] }),
        }
    }

    /// A job begins or ends: what was answered for the one before is not for the next.
    pub(super) fn forget_of_job(&mut self) {
        for question in &mut self.0 {
            question.answers.retain(|(_, whose, _)| *whose == For::Group);
        }
    }

    pub(super) fn forget_all(&mut self) {
        self.0.clear();
    }

    /// What is about to change is not true any more.
    pub(super) fn change(&mut self, change: &Spoken, sets: &[Vec<Value<'_>>]) {
        let table = match change.changes {
            Changes::Nothing => return,
            Changes::Table(table) => table,
            Changes::Anything => return self.forget_all(),
        };
        for question in self.0.iter_mut().filter(|question| question.spoken.names(table)) {
            let (Some(changed), Some(asked)) = (change.agent, question.spoken.agent) else {
                question.answers.clear();
                continue;
            };
            question.answers.retain(|(of, ..)| {
                let agent = of.get(asked).map(Owned::value);
                agent.is_some() && sets.iter().all(|set| set.get(changed).is_some_and(|value| Some(*value) != agent))
            });
        }
    }
}

/// A row of an answer that stands among those of others.
pub(super) struct Among<'a> {
    pub(super) row: &'a PgRow,
    pub(super) columns: &'a [usize],
}

impl Cells for Among<'_> {
    fn cell(&self, column: usize) -> Read<Value<'_>> {
        // A column that the question has not: the row says what is wrong.
        self.row.cell(self.columns.get(column).copied().unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::texts::Texts;

    #[test]
    fn a_change_of_one_agents_rows_leaves_what_was_answered_of_others() {
        let texts = Texts::default();
        let asked = "/* t.get */ SELECT a FROM t WHERE client = ?1 AND agent = ?2";
        let mut known = Known::default();
        let keep = |known: &mut Known, agent: &str| {
            let of = vec![Owned::Text("acme".to_owned()), Owned::Text(agent.to_owned())];
            known.keep(asked, &texts.of(asked), of, For::Group, Answer { rows: Vec::new(), columns: Arc::new([]) });
        };
        let is_known = |known: &Known, agent| known.find(asked, &[Value::Text("acme"), Value::Text(agent)]).is_some();
        keep(&mut known, "a-1");
        keep(&mut known, "a-2");
        let put = texts.of("/* t.put */ INSERT INTO t (agent, a) VALUES (?1, ?2) ON CONFLICT DO NOTHING");
        known.change(&put, &[vec![Value::Text("a-3"), Value::Int(1)]]);
        assert!(is_known(&known, "a-1") && is_known(&known, "a-2"));
        known.change(&put, &[vec![Value::Text("a-3"), Value::Int(1)], vec![Value::Text("a-2"), Value::Int(1)]]);
        assert!(is_known(&known, "a-1") && !is_known(&known, "a-2"));
        known.change(&texts.of("/* u.put */ DELETE FROM u WHERE agent = ?1"), &[vec![Value::Text("a-1")]]);
        assert!(is_known(&known, "a-1"), "another table");
        known.change(&texts.of("/* t.all */ UPDATE t SET a = ?1"), &[vec![Value::Int(1)]]);
        assert!(!is_known(&known, "a-1"), "all of its table");
        keep(&mut known, "a-1");
        known.change(&texts.of("/* w */ WITH x AS (SELECT 1) DELETE FROM u"), &[vec![]]);
        assert!(!is_known(&known, "a-1"), "who knows");
    }
}

//! What is decided of a site's expected runs at an instant: who listened, until when that is known, and what follows.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use upheld_detection::{
    incident::Stage,
    jobs::{Listener, heard, voices},
    plan::Site,
    schedule::{Expected, Job, Outcome, Run, resume},
    uptime::Span,
};
use upheld_model::AgentId;
use upheld_store::{
    ReadTx, Tx,
    agents::{AgentNowRow, AgentStatus},
    facts::SiteKey,
    jobs::{ExpectedRow, JobRow},
};

use super::{DECIDED_FOR, read_expected, read_text, seen::read_run};
use crate::{
    DeskError,
    case::text,
    facts::{Said, read_said},
    maintenance::{self, Stretch},
    site::UNHEARD_AFTER,
};

/// While what is due cannot be decided yet, since an agent's records are still on their way.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(10);
/// An agent whose oldest record waits for longer has a backlog.
const BACKLOG: SignedDuration = SignedDuration::from_secs(60);
/// Runs may be a little early.
const EARLY: SignedDuration = SignedDuration::from_secs(60);

/// Decides what can be decided of the site's jobs, and stores what that changes. When to look again.
pub(crate) fn settle(tx: &mut dyn Tx, plan: &Site, now: Timestamp) -> Result<Option<Timestamp>, DeskError> {
    let key = SiteKey { client: &plan.client, site: &plan.site };
    let mut wake = None;
    for looked in look(&*tx, plan, now)? {
        for row in &looked.changed {
            tx.put_expected_run(key, row)?;
        }
        for at in &looked.gone {
            tx.unexpect_run(key, &looked.job.check, *at)?;
        }
        wake = wake.into_iter().chain(looked.wake).min();
    }
    Ok(wake)
}

/// One job as of an instant.
pub(super) struct Looked {
    pub(super) job: JobRow,
    /// What is expected, from the first run on that may still change; what is pending too.
    pub(super) expected: Vec<Expected>,
    changed: Vec<ExpectedRow>,
    gone: Vec<Timestamp>,
    wake: Option<Timestamp>,
}

/// Every job of the plan that was watched lately.
pub(super) fn look(tx: &dyn ReadTx, plan: &Site, now: Timestamp) -> Result<Vec<Looked>, DeskError> {
    let key = SiteKey { client: &plan.client, site: &plan.site };
    let from = now.saturating_sub(DECIDED_FOR).unwrap_or(Timestamp::MIN);
    let rows = tx.jobs(key, from)?;
    let mut all = Vec::new();
    if rows.is_empty() {
        return Ok(all);
    }
    let agents = agents(tx, key, from, now)?;
    let work = maintenance::stretches(tx, key.client, key.site, from, now)?;
    for row in rows.into_iter().filter(|row| plan.checks.contains_key(&row.check)) {
        let job = job_of(plan, &row)?;
        all.push(Look { tx, key, agents: &agents, work: &work, from, now }.at(row, job)?);
    }
    Ok(all)
}

fn job_of(plan: &Site, row: &JobRow) -> Result<Job, DeskError> {
    let since = match plan.stage {
        Stage::Commissioned { since } => row.since.max(since),
        Stage::Commissioning => row.since,
    };
    let job = read_text(row)?.job(&row.check, since);
    let unreadable = |why| DeskError::Unreadable { what: "job", why };
    Ok(Job { until: row.until.unwrap_or(Timestamp::MAX), ..job.map_err(unreadable)? })
}

/// An agent of the site: when it listened, and until when that is known.
struct Agent {
    id: AgentId,
    heard: Vec<Span>,
    /// Nothing that it says of before is on its way any more.
    known_until: Timestamp,
    has_backlog: bool,
}

fn agents(tx: &dyn ReadTx, key: SiteKey<'_>, from: Timestamp, now: Timestamp) -> Result<Vec<Agent>, DeskError> {
    let mut gaps: BTreeMap<AgentId, Vec<Span>> = BTreeMap::new();
    for row in tx.said(key, from, Timestamp::MAX)? {
        let said = read_said(&row)?;
        let gap = match said.said {
            Said::Gap { to, reason: _ } => Span { from: said.at, to },
            Said::Started { last_alive: Some(last_alive), .. } => Span { from: last_alive, to: said.at },
            Said::Started { last_alive: None, .. } | Said::Stopping { .. } | Said::Boot { .. } => continue,
        };
        // A restart within the time in which nobody is called silent is no absence: who tells of a run waits for it.
        if gap.to.duration_since(gap.from) > UNHEARD_AFTER {
            gaps.entry(said.agent).or_default().push(gap);
        }
    }
    let mut all = Vec::new();
    for row in tx.agents(Some(key.client))? {
        if row.site != *key.site || row.status != AgentStatus::Active {
            continue;
        }
        let (Some(begin), Some(present)) = (row.first_seen, tx.agent_now(key.client, &row.agent)?) else { continue };
        let through = through(&present);
        let is_heard = now.duration_since(present.last_seen) <= UNHEARD_AFTER;
        let gaps = gaps.remove(&row.agent).unwrap_or_default();
        all.push(Agent {
            heard: without(Span { from: begin, to: through }, gaps),
            known_until: if is_heard { through } else { now },
            has_backlog: is_heard && present.last_seen.duration_since(through) > BACKLOG,
            id: row.agent,
        });
    }
    Ok(all)
}

/// Up to when everything that the agent wrote is here: what waits was written later.
fn through(present: &AgentNowRow) -> Timestamp {
    let offset = SignedDuration::from_millis(present.offset_ms);
    let waits = present.oldest_waiting.filter(|_| present.waiting > 0);
    let waits = waits.map(|at| at.saturating_add(offset).unwrap_or(at));
    waits.map_or(present.last_seen, |at| at.min(present.last_seen))
}

fn without(whole: Span, mut gaps: Vec<Span>) -> Vec<Span> {
    gaps.sort_by_key(|gap| gap.from);
    let (mut spans, mut from) = (Vec::new(), whole.from);
    for gap in gaps {
        spans.push(Span { from, to: gap.from.min(whole.to) });
        from = from.max(gap.to);
    }
    spans.push(Span { from, to: whole.to });
    spans.retain(|span| span.from < span.to);
    spans
}

/// What looking at one job needs.
struct Look<'a> {
    tx: &'a dyn ReadTx,
    key: SiteKey<'a>,
    agents: &'a [Agent],
    work: &'a [Stretch],
    from: Timestamp,
    now: Timestamp,
}

impl Look<'_> {
    fn at(&self, row: JobRow, mut job: Job) -> Result<Looked, DeskError> {
        let mut stored: BTreeMap<Timestamp, (ExpectedRow, Expected)> = BTreeMap::new();
        for known in self.tx.expected_runs(self.key, &row.check, self.from, Timestamp::MAX)? {
            if job.since <= known.expected_at && known.expected_at < job.until {
                let expected = read_expected(&known)?;
                stored.insert(known.expected_at, (known, expected));
            }
        }
        let known = stored.keys().next().copied();
        if known.is_none() {
            job.since = job.since.max(self.from);
        }
        let begin = known.unwrap_or(job.since).saturating_sub(EARLY).unwrap_or(Timestamp::MIN);
        let told = self.tx.job_runs(self.key, &row.check, begin, Timestamp::MAX)?;
        let runs: Vec<Run> = told.iter().map(read_run).collect();
        let spoke = |agent: &Agent| told.iter().filter(|run| run.agent == agent.id).map(|run| run.at).max();
        let listeners: Vec<Listener> =
            (self.agents.iter()).map(|agent| Listener { heard: agent.heard.clone(), spoke: spoke(agent) }).collect();
        let voices = voices(self.agents, spoke);
        let until = voices.iter().map(|agent| agent.known_until).min().unwrap_or(self.now);
        let work = self.work.iter().filter(|stretch| stretch.upon.check(&row.check));
        let work = work.map(|stretch| Span { from: stretch.from.max(stretch.entered_at), to: stretch.to });
        let excused: Vec<Span> = work.filter(|span| span.from < span.to).collect();
        let (mut expected, next) = resume(&job, known, &runs, &heard(&listeners), &excused, until);
        let mut changed = Vec::new();
        for one in expected.iter_mut().filter(|one| one.outcome != Outcome::Pending) {
            let before = stored.remove(&one.at);
            self.date(one, before.as_ref().map(|(_, before)| before));
            changed.extend(self.changed(&row, one, before)?);
        }
        let pending = expected.iter().filter(|one| one.outcome == Outcome::Pending);
        let deadlines = pending.map(|one| one.until).filter(|due| *due > until).chain(next);
        let soon = self.now.saturating_add(AGAIN_AFTER).unwrap_or(Timestamp::MAX);
        let deadlines = deadlines.map(|at| if at > self.now { at } else { soon });
        let backlog = voices.iter().any(|agent| agent.has_backlog).then_some(soon);
        let wake = deadlines.chain(backlog).min();
        // What was decided for longer than is known again stays; what is expected no more does not.
        let is_here = |at: &Timestamp| *at <= until && !expected.iter().any(|one| one.at == *at);
        let gone = stored.keys().copied().filter(is_here).collect();
        Ok(Looked { job: row, expected, changed, gone, wake })
    }

    /// Dates what is concluded by when it was known (F11): its deadline, while its agent is heard; else now, when what
    /// that agent kept has arrived. What was known keeps its date.
    fn date(&self, one: &mut Expected, before: Option<&Expected>) {
        let before = before.filter(|before| match before.outcome {
            Outcome::Ok { .. } | Outcome::Late { .. } | Outcome::Failed { .. } | Outcome::Missed { .. } => true,
            Outcome::Pending | Outcome::Excused | Outcome::Unknown => false,
        });
        let known = |deadline: Timestamp| {
            if self.now.duration_since(deadline) <= UNHEARD_AFTER { deadline } else { self.now }
        };
        one.overdue = before.map_or_else(|| known(one.until), |before| before.overdue);
        match one.outcome {
            Outcome::Missed { .. } => one.received = one.overdue,
            // It never said that it was done.
            Outcome::Failed { at } if one.failed.is_none() => {
                let same = before.filter(|before| before.outcome == one.outcome);
                one.received = same.map_or_else(|| known(at), |same| same.received);
            }
            Outcome::Ok { .. }
            | Outcome::Late { .. }
            | Outcome::Failed { .. }
            | Outcome::Pending
            | Outcome::Excused
            | Outcome::Unknown => {}
        }
    }

    fn changed(
        &self,
        job: &JobRow,
        one: &Expected,
        before: Option<(ExpectedRow, Expected)>,
    ) -> Result<Option<ExpectedRow>, DeskError> {
        let was = match &before {
            Some((_, before)) if before == one => return Ok(None),
            Some((row, before)) if before.outcome.word() == one.outcome.word() => row.was.clone(),
            Some((_, before)) => Some(before.outcome.word().to_owned()),
            None => None,
        };
        let body = text("expected run", one)?;
        Ok(Some(ExpectedRow { check: job.check.clone(), expected_at: one.at, decided_at: self.now, body, was }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_away_listened_before_and_after() {
        let (at, span) = (
            |second| Timestamp::from_second(second).unwrap(),
            |from, to| Span { from: Timestamp::from_second(from).unwrap(), to: Timestamp::from_second(to).unwrap() },
        );
        assert_eq!(without(span(10, 100), vec![]), [span(10, 100)]);
        assert_eq!(
            without(span(10, 100), vec![span(50, 60), span(0, 20), span(55, 58)]),
            [span(20, 50), span(60, 100)]
        );
        assert_eq!(without(span(10, 100), vec![span(90, 300)]), [span(10, 90)]);
        assert_eq!(without(Span { from: at(5), to: at(5) }, vec![]), []);
    }
}

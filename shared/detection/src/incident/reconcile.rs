//! What the facts of a site amount to, against the incidents that are stored and what people did to them.
//!
//! [`reconcile`] may be asked whenever something arrived or fell due. The facts decide what happened; people decide what
//! becomes of it: what somebody took stays his, what was merged, dismissed or closed stays so. An incident keeps the key
//! it was born with; when late facts make the judgement know it by another one, that is noted beside it
//! ([`Incident::judged`]). So once all has arrived the stored incidents are those of the judgement, whatever the order.
//!
//! The way: every judged incident finds its stored one by key, else by what it is about and what is in it (`places`);
//! the stored one lives on (`life`), or a new one is born (`birth`). A stored one that the judgement no longer has was
//! explained by a better cause, or passed (`orphan`).

mod birth;
mod life;
mod orphan;
mod places;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use upheld_model::{
    CheckId, FindingId, IncidentKind, ProbeSpec,
    mutant::{Rule, is_broken},
};

use super::{
    Change, DedupKey, Desk, Handling, Incident, IncidentEffect, IncidentKey, OpeningCause, Root, Rules, SiteView,
    Symptom, title,
};
use crate::{
    correlate::{Judged, Subject},
    facts::{FindingFact, SiteFacts},
    plan::plus,
};

/// Says what changes, in the order in which to store it. Asked again with its own result it changes nothing.
pub fn reconcile(
    view: &SiteView,
    judged: &[Judged],
    facts: &SiteFacts,
    rules: &Rules,
    now: Timestamp,
) -> Vec<IncidentEffect> {
    let mut desk = Table::new(view, facts, rules, now);
    // What one of them changes may concern another that was looked at before.
    for _ in 0..ROUNDS_MAX {
        let told = desk.effects.len();
        once(&mut desk, judged);
        if desk.effects.len() == told {
            break;
        }
    }
    desk.effects
}

/// Rounds after which what still changes is left to the next judgement.
const ROUNDS_MAX: usize = 4;

fn once(desk: &mut Table<'_>, judged: &[Judged]) {
    let places = places::find(desk, judged);
    for (judged, place) in judged.iter().zip(&places.of_judged) {
        match place.filter(|_| !is_broken(Rule::LateDataAmends)) {
            Some(at) => life::go_on(desk, at, judged),
            None => birth::be_born(desk, judged, &places),
        }
    }
    places.superseded.iter().for_each(|(over, open)| orphan::supersede(desk, *over, *open));
    orphan::part(desk, judged, &places);
}

/// The incidents as they change.
struct Table<'a> {
    view: &'a SiteView,
    rules: &'a Rules,
    now: Timestamp,
    findings: BTreeMap<&'a FindingId, &'a FindingFact>,
    incidents: Vec<Incident>,
    effects: Vec<IncidentEffect>,
}

impl<'a> Table<'a> {
    fn new(view: &'a SiteView, facts: &'a SiteFacts, rules: &'a Rules, now: Timestamp) -> Self {
        let findings = facts.checks.values().flat_map(|check| &check.findings);
        Self {
            view,
            rules,
            now,
            findings: findings.map(|finding| (&finding.id, finding)).collect(),
            incidents: view.incidents.clone(),
            effects: Vec::new(),
        }
    }

    /// Stores a changed incident and tells of it.
    fn say(&mut self, incident: Incident, change: Change, desk: Desk, due_at: Timestamp) {
        match self.incidents.iter_mut().find(|known| known.key == incident.key) {
            Some(known) => known.clone_from(&incident),
            None => self.incidents.push(incident.clone()),
        }
        let due_at = due_at.min(self.now);
        self.effects.push(IncidentEffect { incident, change, desk, due_at, noticed_at: self.now });
    }

    /// The findings of a judgement, as an incident keeps them.
    fn symptoms(&self, judged: &Judged) -> BTreeMap<FindingId, Symptom> {
        let known = judged.symptoms.iter().filter_map(|id| self.findings.get_key_value(id));
        known.map(|(id, fact)| ((*id).clone(), symptom(fact))).collect()
    }

    /// When everything in it worked again, as far as that is past.
    fn restored(&self, judged: &Judged) -> Option<Timestamp> {
        judged.restored.filter(|at| *at <= self.now)
    }

    /// The judgement's sentence; of what a check found itself, in the words of what that check asks.
    fn title(&self, judged: &Judged) -> String {
        let Some(root @ Root::Check { check }) = &root(judged) else { return judged.title.clone() };
        let cause = OpeningCause::Concluded { source: "finding".to_owned(), occurrence: judged.started.not_after };
        let is_found = judged.key == IncidentKey::new(&self.view.client, &self.view.site, root, &cause);
        let Some(probe) = self.view.checks.get(check).filter(|_| is_found && judged.kind == IncidentKind::Down) else {
            return judged.title.clone();
        };
        if matches!(probe, ProbeSpec::NetPath(_)) {
            // Its title names the culprit, which the check's own words do not know.
            return judged.title.clone();
        }
        let rest = judged.title.split_once("; ").map(|(_, rest)| format!("; {rest}")).unwrap_or_default();
        format!("{}{rest}", title(self.view, root))
    }

    fn watched_until(&self, restored: Timestamp) -> Timestamp {
        plus(restored, self.rules.watch)
    }
}

fn symptom(fact: &FindingFact) -> Symptom {
    Symptom {
        started: fact.started,
        detected: fact.detected,
        received: fact.received,
        restored: fact.ended.map(|ended| ended.restored),
    }
}

/// Whether people deal with it, and how.
fn handling(judged: &Judged) -> Handling {
    match judged.handling {
        Handling::Desk if !judged.is_ticketed => Handling::Cause,
        handling @ (Handling::Desk | Handling::Cause | Handling::Retroactive | Handling::AsFound) => handling,
    }
}

/// The root of an incident; a cause that no check saw is its host's.
fn root(judged: &Judged) -> Option<Root> {
    match &judged.root {
        Subject::Asset { asset, check: Some(check) } => {
            debug_assert_eq!(&check.asset, asset);
            Some(Root::Check { check: check.clone() })
        }
        Subject::Asset { asset, check: None } => {
            // A word of letters is a check's name.
            let name = "host".parse().ok()?;
            Some(Root::Check { check: CheckId { asset: asset.clone(), name } })
        }
        Subject::Agent { agent, host, site: _ } => Some(Root::Agent { agent: agent.clone(), host: host.clone() }),
        Subject::Site { .. } | Subject::Collector => None,
    }
}

fn dedup(view: &SiteView, judged: &Judged) -> Option<DedupKey> {
    Some(DedupKey::new(&view.client, &view.site, &root(judged)?, judged.class, judged.kind))
}

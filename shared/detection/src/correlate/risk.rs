//! What is about to fail, and what falls short of what was promised: `at-risk` and `noncompliant` (DETECTION 3).
//!
//! Judged once a day, at the site's midnight, from the days before it; so nothing flaps within a day. A question that
//! is answered with yes opens (`question`), and two days in a row with a clear no close, dated from the first. A day of
//! which nothing is known neither opens nor closes. One incident an asset, class and kind; none while something of its
//! asset and class is down, which says more, and none that begins in agreed work.

mod question;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan as _, civil::Date};
use upheld_model::{AssetId, Cause, CheckId, IncidentClass, IncidentKind};

use super::{Case, Correlated, Judged, Subject, unstable::midnights};
use crate::incident::{Bounds, Handling, Root};
use question::{Answer, Question};

/// So many days in a row must say no. Doubled, what was mended stays on the list for two days longer; one would let a
/// disk at the threshold open and close by turns.
const CLEAR_DAYS: usize = 2;

/// A time in which a question was answered with yes.
struct Spell<'a> {
    check: &'a CheckId,
    words: String,
    from: Timestamp,
    to: Option<Timestamp>,
}

pub(super) fn add(case: &Case<'_>, correlated: &mut Correlated) {
    let mut all: BTreeMap<(&AssetId, IncidentClass, IncidentKind), Vec<Spell<'_>>> = BTreeMap::new();
    for (check, facts) in &case.facts.checks {
        let Some(planned) = case.site.checks.get(check) else { continue };
        let class = case.class(check);
        let is_held = |at: Timestamp| is_held(case, &check.asset, class, at, &correlated.incidents);
        for question in question::of(planned, &facts.measured) {
            let found = spells(case, check, &question, &is_held);
            all.entry((&check.asset, class, question.kind())).or_default().extend(found);
        }
    }
    for ((_, class, kind), spells) in all {
        correlated.incidents.extend(apart(spells).into_iter().map(|spell| judged(case, class, kind, spell)));
    }
}

/// Whether something that says more is open, or work is done.
fn is_held(case: &Case<'_>, asset: &AssetId, class: IncidentClass, at: Timestamp, incidents: &[Judged]) -> bool {
    let says_more = |incident: &Judged| match incident.kind {
        IncidentKind::Down | IncidentKind::Degraded => {
            incident.root.name() == asset.as_str()
                && incident.class == class
                && incident.opened <= at
                && incident.restored.is_none_or(|restored| at < restored)
        }
        IncidentKind::Unstable
        | IncidentKind::AtRisk
        | IncidentKind::Noncompliant
        | IncidentKind::Silent
        | IncidentKind::Lingering
        | IncidentKind::Reported => false,
    };
    let is_worked_on = case.asset(asset).is_some_and(|asset| asset.maintained_until(at).is_some());
    is_worked_on || incidents.iter().any(says_more)
}

fn spells<'a>(
    case: &Case<'a>,
    check: &'a CheckId,
    question: &Question<'_>,
    is_held: &dyn Fn(Timestamp) -> bool,
) -> Vec<Spell<'a>> {
    let mut spells: Vec<Spell<'a>> = Vec::new();
    let days = question.days(case.site.zone.to_datetime(case.facts.until).date());
    // What an open spell compares with, and since when its answers are no.
    let mut open: Option<(f64, Vec<Timestamp>)> = None;
    for (midnight, day) in midnights(case, days.iter()) {
        let Ok(day) = day.checked_sub(1.day()) else { continue };
        let answer = question.ask(day, open.as_ref().map(|(usual, _)| *usual));
        match (answer, &mut open) {
            (Answer::Yes { words, usual }, None) if !is_held(midnight) => {
                spells.push(Spell { check, words, from: midnight, to: None });
                open = Some((usual, Vec::new()));
            }
            (Answer::Yes { .. } | Answer::Unclear, Some((_, clear))) => clear.clear(),
            (Answer::No, Some((_, clear))) => {
                clear.push(midnight);
                if clear.len() >= CLEAR_DAYS {
                    spells.last_mut().into_iter().for_each(|spell| spell.to = clear.first().copied());
                    open = None;
                }
            }
            (Answer::Unknown, Some(_))
            | (Answer::Yes { .. } | Answer::No | Answer::Unclear | Answer::Unknown, None) => {}
        }
    }
    spells
}

/// Spells of one asset that overlap are one.
fn apart(mut spells: Vec<Spell<'_>>) -> Vec<Spell<'_>> {
    spells.sort_by(|a, b| (a.from, a.check, &a.words).cmp(&(b.from, b.check, &b.words)));
    let mut apart: Vec<Spell<'_>> = Vec::new();
    for spell in spells {
        match apart.last_mut() {
            Some(last) if last.to.is_none_or(|to| spell.from <= to) => {
                last.to = last.to.zip(spell.to).map(|(one, other)| one.max(other));
            }
            Some(_) | None => apart.push(spell),
        }
    }
    apart
}

fn judged(case: &Case<'_>, class: IncidentClass, kind: IncidentKind, spell: Spell<'_>) -> Judged {
    let Spell { check, words, from, to } = spell;
    let handling = case.handling(from);
    let root = Root::Check { check: check.clone() };
    let is_critical = case.asset(&check.asset).is_some_and(|asset| asset.is_critical);
    Judged {
        key: case.key(&root, kind.to_string(), from),
        class,
        kind,
        root: Subject::Asset { asset: check.asset.clone(), check: Some(check.clone()) },
        started: Bounds { not_before: None, not_after: from },
        detected: from,
        received: from,
        opened: from,
        restored: to,
        parent: None,
        symptoms: BTreeSet::new(),
        title: format!("{}: {words}", check.asset),
        cause: Cause::Undetermined,
        critical: is_critical.then(|| check.asset.clone()).into_iter().collect(),
        handling,
        is_ticketed: handling == Handling::Desk,
        is_paged: false,
    }
}

/// The days from the first to the last one.
fn every_day(first: Date, last: Date) -> Vec<Date> {
    std::iter::successors(Some(first), |day| day.checked_add(1.day()).ok()).take_while(|day| *day <= last).collect()
}

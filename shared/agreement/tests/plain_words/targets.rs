//! What is promised by when, held against the matcher and the clock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan};
use upheld_agreement::{
    book::{Book, Client, Version},
    clock::{Clock, ClockStart, Fact, FactKind},
    explain::TargetClaim,
    matching::{Affected, Detected, MatchQuery, resolve},
    terms::{PinnedTerms, Target, Within},
    words::{Level, Manner, MeasuredFrom, PauseReason, Priority, SatisfiedBy, Stage},
};
use upheld_model::{AssetId, IncidentClass, IncidentKind, SiteId};

use super::{Case, read};

pub(crate) fn hold(case: &Case, claim: &TargetClaim, text: &str) {
    numbers(claim, text);
    let mut found = 0;
    for said in &claim.cases {
        for site in &said.sites {
            for complexity in &said.complexity {
                for priority in &claim.priorities {
                    let Some(terms) = incident(case, site, *complexity, *priority) else { continue };
                    let target = own(&terms, claim).unwrap_or_else(|| panic!("{text}\nnot pinned: {priority} {site}"));
                    assert_eq!(target.within, said.within, "{text}: {priority} {complexity:?} {site}");
                    if *priority == claim.priorities[0] {
                        due(case, claim, &alone(&terms, claim), said.within);
                    }
                    has_another(claim, &terms, text);
                    found += 1;
                }
            }
        }
    }
    assert!(found >= claim.cases.len(), "no incident of the book reaches: {text}");
    if let Some(terms) = any(case, claim) {
        answers(claim, &alone(&terms, claim), text, case.at);
        pauses(claim, &alone(&terms, claim), text, case);
    }
    for priority in Priority::ALL.iter().filter(|priority| !claim.priorities.contains(priority)) {
        for site in claim.cases.iter().flat_map(|said| &said.sites) {
            if let Some(terms) = incident(case, site, None, *priority) {
                assert!(own(&terms, claim).is_none(), "{text}\nholds for {priority} too");
            }
        }
    }
}

/// The sentence says these durations, shares and priorities and no others.
fn numbers(claim: &TargetClaim, text: &str) {
    let target = &claim.target;
    let covered = claim.cases.iter().filter_map(|said| match said.within {
        Within::Covered { seconds } => Some(seconds.0),
        Within::NextBusinessDay { .. } => None,
    });
    let after = target.after.map(|after| after.unresolved_for.0);
    let grace = Some(target.grace_s).filter(|grace| *grace > 0);
    let expected: BTreeSet<u64> = covered.chain(after).chain(target.longest_pause_s).chain(grace).collect();
    assert_eq!(read::durations(text), expected, "{text}");
    assert_eq!(read::percents(text), target.warn_at, "{text}");
    let words = read::words(text);
    for priority in Priority::ALL {
        let is_said = words.contains(&priority.as_str()) || text.to_lowercase().contains("for every priority");
        assert_eq!(is_said, claim.priorities.contains(priority), "{text}");
    }
    assert_eq!(text.contains("somebody of ours has taken"), target.satisfied_by == SatisfiedBy::Acknowledge);
}

/// The clock is due when a person with the sentence in hand would say so, on every kind of day.
fn due(case: &Case, claim: &TargetClaim, terms: &PinnedTerms, within: Within) {
    for step in 0..40 {
        // Every hour of the day and every day of the week is met, over seven weeks with their holidays.
        let received = case.at + (step * (29 * 60 + 7)).minutes();
        let start = ClockStart::new(received - 7.minutes(), received);
        // What follows a visit begins with one.
        let visit = FactKind::Responded { manner: Manner::OnSite, with_whom: None };
        let came = Some(received + 3.hours()).filter(|_| claim.target.stage == Stage::VisitReport);
        let facts: Vec<Fact> = came.map(|at| fact(at, visit)).into_iter().collect();
        let clock = Clock::replay(terms, claim.target.stage, &start, &facts).unwrap();
        let view = clock.view(came.unwrap_or(received));
        let from = match (claim.target.after, claim.target.measured_from) {
            (Some(after), _) => {
                let first = Clock::replay(terms, after.stage, &start, &[]).unwrap().view(received);
                let first = first.due.instant().unwrap();
                case.hours[claim.target.calendar.as_str()].due(first, after.unresolved_for.0)
            }
            (None, _) if came.is_some() => received + 3.hours(),
            (None, MeasuredFrom::Received | MeasuredFrom::Reported) => received,
            (None, MeasuredFrom::Detected) => received - 7.minutes(),
        };
        let hours = &case.hours[claim.target.calendar.as_str()];
        let expected = match within {
            Within::Covered { seconds } => hours.due(from, seconds.0),
            Within::NextBusinessDay { by, received_by } => {
                let is_past = received_by.is_some_and(|cut_off| hours.zone.to_datetime(from).time() > cut_off);
                hours.due_by(from, by, if is_past { 2 } else { 1 })
            }
        };
        // What waits for an answer is due from the answer's due only once that has passed.
        let seen = if claim.target.after.is_some() { clock.view(from) } else { view };
        assert_eq!(seen.due.instant(), Some(expected), "{} received {received}", claim.target.source);
    }
}

/// What satisfies it is what the sentence says.
fn answers(claim: &TargetClaim, terms: &PinnedTerms, text: &str, at: Timestamp) {
    let is_met = |kind: FactKind| {
        let start = ClockStart::new(at, at);
        let view = Clock::replay(terms, claim.target.stage, &start, &[fact(at, kind)]).unwrap().view(at + 1.minutes());
        view.satisfied_by.is_some()
    };
    let responded = |manner| FactKind::Responded { manner, with_whom: None };
    if claim.target.stage == Stage::Respond {
        let restricts = text.contains("nothing else counts as an answer");
        for (manner, said) in [(Manner::Remote, "remotely"), (Manner::Phone, "by phone"), (Manner::OnSite, "on site")] {
            let is_said = text.split_once("We answer ").is_some_and(|(_, list)| list.contains(said));
            assert_eq!(is_met(responded(manner)), is_said || !restricts, "{text}: {manner}");
        }
        assert_eq!(is_met(FactKind::Acknowledged), text.contains("It is enough"), "{text}");
    }
    if claim.target.stage == Stage::Acknowledge {
        assert!(is_met(FactKind::Acknowledged));
    }
    if claim.target.stage == Stage::Resolve {
        assert!(is_met(FactKind::Restored) && !is_met(FactKind::Acknowledged));
    }
}

/// A pause for a reason that is said moves the due by what counted in it, and ends by itself at the longest; another
/// reason moves nothing.
fn pauses(claim: &TargetClaim, terms: &PinnedTerms, text: &str, case: &Case) {
    let (Within::Covered { seconds }, None) = (claim.target.within, claim.target.after) else { return };
    // What comes again or after a visit allows no pause in the sample; the other stages have it.
    if matches!(claim.target.stage, Stage::Update | Stage::VisitReport) {
        assert!(claim.target.pause_for.is_empty());
        return;
    }
    let start = ClockStart::new(case.at, case.at);
    let due = |reason: &PauseReason| {
        let paused = fact(case.at, FactKind::Paused { reason: reason.clone(), note: None });
        let much_later = case.at + (24 * 60).hours();
        Clock::replay(terms, claim.target.stage, &start, &[paused]).unwrap().view(much_later).due.instant()
    };
    let hours = &case.hours[claim.target.calendar.as_str()];
    for reason in &claim.target.pause_for {
        assert!(text.contains(&format!("\"{}\"", reason.as_str().replace('-', " "))), "{text}");
        let longest = claim.target.longest_pause_s.expect("every pause of the sample ends by itself");
        let resumes = case.at + i64::try_from(longest / 60).unwrap().minutes();
        assert_eq!(due(reason), Some(hours.due(resumes, seconds.0)), "{text}");
    }
    let other = "weather".parse().unwrap();
    assert_eq!(due(&other), Some(hours.due(case.at, seconds.0)), "{text}");
    assert_eq!(text.contains("stands still"), !claim.target.pause_for.is_empty(), "{text}");
}

fn has_another(claim: &TargetClaim, terms: &PinnedTerms, text: &str) {
    let count = terms.targets_of(claim.target.stage).count();
    if count > 1 {
        assert!(text.contains("the earlier of the two counts"), "{text}");
    }
    assert!(claim.has_another || count == 1, "{text}");
}

fn own<'t>(terms: &'t PinnedTerms, claim: &TargetClaim) -> Option<&'t Target> {
    let same = |target: &&Target| {
        target.source == claim.target.source
            && target.manners == claim.target.manners
            && target.warn_at == claim.target.warn_at
    };
    terms.targets.iter().find(same)
}

/// The terms with this promise only, and what it waits for.
fn alone(terms: &PinnedTerms, claim: &TargetClaim) -> PinnedTerms {
    let mut terms = terms.clone();
    let first = claim.target.after.map(|after| after.stage);
    terms.targets.retain(|target| target.source == claim.target.source || Some(target.stage) == first);
    terms.amendments.clear();
    terms
}

fn any(case: &Case, claim: &TargetClaim) -> Option<PinnedTerms> {
    // The claim's own target is that of its first case.
    let said = &claim.cases[0];
    claim.priorities.iter().find_map(|priority| incident(case, &said.sites[0], said.complexity[0], *priority))
}

/// The terms of an incident of the book with that complexity and priority, where one can be.
fn incident(case: &Case, site: &SiteId, complexity: Option<Level>, priority: Priority) -> Option<PinnedTerms> {
    case.incidents.get(&(site.clone(), complexity, priority)).cloned()
}

/// What incidents there can be at a client's sites, one of each kind that makes a difference to the terms.
pub(crate) type Incidents = BTreeMap<(SiteId, Option<Level>, Priority), PinnedTerms>;

pub(crate) fn incidents(book: &Book, client: &Client, version: &Version, at: Timestamp) -> Incidents {
    let affected = [(1, true), (1, false), (0, false)].map(|(of_kind, critical_symptom)| Affected {
        of_kind,
        of_kind_total: Some(100),
        critical_symptom,
    });
    let mut found = Incidents::new();
    for site in version.sites.iter().map(|site| &client.sites[&site.value]) {
        let is_left_out = |asset: &AssetId| {
            version.not_covered.iter().any(|path| path.site == site.id && path.asset == *asset)
                || book.is_critical(&client.id, &site.id, asset)
        };
        let mut classes = Vec::new();
        for asset in site.assets.values().filter(|asset| !is_left_out(&asset.id)) {
            // One asset of each class is enough.
            if classes.contains(&asset.class) {
                continue;
            }
            classes.push(asset.class);
            for issue in &book.catalogue.issues {
                let class = issue.matches.class.first().copied().unwrap_or(IncidentClass::Environment);
                let kind = issue.matches.kind.first().copied().unwrap_or(IncidentKind::Down);
                for affected in affected {
                    let query = MatchQuery {
                        client: client.id.clone(),
                        site: site.id.clone(),
                        asset: Some(asset.id.clone()),
                        detected: Detected::at(at),
                        class,
                        kind,
                        check: None,
                        affected,
                    };
                    let terms = resolve(book, &query).unwrap();
                    assert_eq!(terms.version, version.number);
                    found.insert((site.id.clone(), terms.issue.complexity, terms.priority), terms);
                }
            }
        }
    }
    found
}

fn fact(at: Timestamp, kind: FactKind) -> Fact {
    Fact { number: 1, effective_at: at, recorded_at: at, who: "ana".to_owned(), kind }
}

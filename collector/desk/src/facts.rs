//! The facts of a site, read from the store as detection and uptime want them: the same ones that a replay of the same
//! samples has, whatever they were received in.

mod backlog;
mod history;
mod hours;
mod off;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_detection::{
    facts::{Boot, CheckFacts, Ended, FindingFact, SiteFacts},
    incident::Bounds,
    keep::{self, Hour, Kept, Stretch},
    observe::{Reading, Unfolded, unfolded},
    plan::Site,
    uptime::Span,
};
use upheld_model::{
    AgentId, AssetId, BootEnd, BootId, CheckId, Finding, FindingEnd, ObservedAt, ReceivedAt, UnknownReason,
    finding::CheckState,
    mutant::{Rule, is_broken},
};
use upheld_store::{
    ReadTx,
    agents::AgentStatus,
    facts::{SaidRow, SiteKey},
    findings::FindingRow,
};

use crate::{DeskError, case::text, jobs, plan::host_of};

pub use history::SiteHistory;
pub(crate) use history::history;
pub(crate) use hours::{CellCache, DayCells};

/// How long before a period something may have begun that still matters in it.
const BEFORE: jiff::SignedDuration = jiff::SignedDuration::from_hours(31 * 24);

/// What an agent said beside its samples, in the collector's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub(crate) enum Said {
    /// It started.
    Started {
        /// The machine's boot.
        boot: BootId,
        /// The last moment at which it is known to have been alive before.
        last_alive: Option<Timestamp>,
        /// Whether its previous run ended by request.
        clean: bool,
    },
    /// Its last words.
    Stopping {
        /// Who or what asked.
        reason: String,
    },
    /// A stretch that nobody watched, or whose records were lost; it begins when it is said.
    Gap {
        /// Until when.
        to: Timestamp,
        /// Why.
        reason: UnknownReason,
    },
    /// A host started.
    Boot {
        /// Which.
        asset: AssetId,
        /// When it was seen last before that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Timestamp>,
        /// How it ended then, where a check could say that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended: Option<BootEnd>,
    },
}

impl Said {
    fn word(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Stopping { .. } => "stopping",
            Self::Gap { .. } => "gap",
            Self::Boot { .. } => "boot",
        }
    }
}

/// The row of something that was said.
pub(crate) fn said_row(
    agent: &AgentId,
    at: Timestamp,
    received_at: Timestamp,
    said: &Said,
) -> Result<SaidRow, DeskError> {
    let body = text("what an agent said", said)?;
    Ok(SaidRow { at, agent: agent.clone(), kind: said.word().to_owned(), received_at, body })
}

/// Reads the sums of an hour.
pub(crate) fn read_hour(body: &str) -> Result<Hour, DeskError> {
    serde_json::from_str(body).map_err(|error| DeskError::unreadable("hour", &error))
}

/// Where facts end that are looked at, and which of those later ones is the first. Only a collector whose clock stood
/// ahead dates any later than it looks.
pub(crate) struct Ahead {
    /// The end of the period.
    to: Timestamp,
    /// Until when facts are read.
    reach: Timestamp,
    /// When the first one begins that is read and not in the period.
    pub(crate) first: Option<Timestamp>,
}

impl Ahead {
    /// Nothing later is looked for.
    pub(crate) fn ignored(period: Span) -> Self {
        Self { to: period.to, reach: period.to, first: None }
    }

    /// The first later one is looked for.
    pub(crate) fn noted(period: Span) -> Self {
        Self { to: period.to, reach: Timestamp::MAX, first: None }
    }

    /// Whether what happened then is in the period already.
    fn is_in(&mut self, at: Timestamp) -> bool {
        let is_in = at < self.to;
        if !is_in {
            self.first = self.first.into_iter().chain([at]).min();
        }
        is_in
    }
}

/// What is known of a site in a period, as far as judging incidents needs it: without the changes of state, which are
/// uptime's ([`changes`]). The hours of the day are an argument: they change once a day.
pub(crate) fn of_site(
    tx: &dyn ReadTx,
    plan: &Site,
    period: Span,
    cells: &DayCells,
    ahead: &mut Ahead,
) -> Result<SiteFacts, DeskError> {
    let key = SiteKey { client: &plan.client, site: &plan.site };
    let mut checks: BTreeMap<CheckId, CheckFacts> = BTreeMap::new();
    for (check, seen) in beyond_findings(tx, plan, period, ahead)? {
        let Unfolded { on_battery, counts, degraded } = seen;
        let hours = cells.of(&check);
        checks.insert(check, CheckFacts { on_battery, counts, degraded, hours, ..CheckFacts::default() });
    }
    for (check, days) in cells.measured().filter(|(check, _)| plan.checks.contains_key(*check)) {
        checks.entry(check.clone()).or_default().measured = Arc::clone(days);
    }
    let mut said = tx.said(key, period.from.saturating_sub(BEFORE).unwrap_or(Timestamp::MIN), ahead.reach)?;
    said.retain(|row| ahead.is_in(row.at));
    let said = said.iter().map(read_said).collect::<Result<Vec<_>, DeskError>>()?;
    let off = off::stretches(&hosts(tx, plan)?, &said);
    for row in tx.findings_between(key.client, key.site, period.from, ahead.reach)? {
        let mut fact = finding_fact(&row)?;
        if !ahead.is_in(fact.started.not_after) {
            continue;
        }
        if fact.ended.is_none() && !is_broken(Rule::ForgottenFindingEnds) {
            fact.ended = ended_unsaid(tx, key, &row, &fact, ahead)?;
        }
        let Some(mut fact) = off::apart(fact, &off) else { continue };
        let untold = if fact.ended.is_none() { backlog::told_until(tx, key, &row, &fact)? } else { None };
        fact.recovering = recovering(tx, key, &fact, period.to)?.into_iter().chain(untold).min();
        checks.entry(row.id.check.clone()).or_default().findings.push(fact);
    }
    checks.extend(jobs::facts(tx, plan, period, BEFORE)?);
    for facts in checks.values_mut() {
        facts.findings.sort_by_key(|finding| finding.started.not_after);
    }
    let mut boots: Vec<Boot> = boots(&said).filter(|boot| period.from <= boot.at).collect();
    boots.sort_by(|a, b| (&a.asset, a.at).cmp(&(&b.asset, b.at)));
    boots.retain(|boot| !off.iter().any(|off| off.asset == boot.asset && off.until == Some(boot.at)));
    boots.dedup_by(|later, first| first.is_told_again_by(later));
    Ok(SiteFacts { until: period.to, checks, boots, off })
}

/// The assets on which the site's agents run.
fn hosts(tx: &dyn ReadTx, plan: &Site) -> Result<BTreeMap<AgentId, AssetId>, DeskError> {
    let mut agents = tx.agents(Some(&plan.client))?;
    agents.retain(|agent| agent.site == plan.site);
    let active = agents.iter().filter(|agent| agent.status == AgentStatus::Active).count();
    let known = agents.into_iter().filter_map(|agent| {
        let host = host_of(plan, &agent, active)?;
        Some((agent.agent, host))
    });
    Ok(known.collect())
}

/// When each check of the plan warned in a period; checks that did not are left out.
pub(crate) fn degraded(tx: &dyn ReadTx, plan: &Site, period: Span) -> Result<BTreeMap<CheckId, Vec<Span>>, DeskError> {
    let clipped = |span: Span| Span { from: span.from.max(period.from), to: span.to.min(period.to) };
    let mut degraded = BTreeMap::new();
    for (check, seen) in beyond_findings(tx, plan, period, &mut Ahead::ignored(period))? {
        let spans: Vec<Span> = seen.degraded.into_iter().map(clipped).filter(|span| span.from < span.to).collect();
        if !spans.is_empty() {
            degraded.insert(check, spans);
        }
    }
    Ok(degraded)
}

/// Every change of a check's state in a period, and the state before.
pub(crate) fn changes(
    tx: &dyn ReadTx,
    key: SiteKey<'_>,
    check: &CheckId,
    period: Span,
) -> Result<Vec<(Timestamp, CheckState)>, DeskError> {
    let rows = tx.changes(key, check, period.from, period.to)?;
    rows.into_iter().map(|row| Ok((row.at, read_state(&row.state)?))).collect()
}

/// Batteries, counters and warnings of each check of the plan.
fn beyond_findings(
    tx: &dyn ReadTx,
    plan: &Site,
    period: Span,
    ahead: &mut Ahead,
) -> Result<BTreeMap<CheckId, Unfolded>, DeskError> {
    let key = SiteKey { client: &plan.client, site: &plan.site };
    let mut stretches: BTreeMap<CheckId, Vec<Stretch>> = BTreeMap::new();
    for row in tx.stretches(key, period.from, ahead.reach)? {
        let seen =
            serde_json::from_str(&row.seen).map_err(|error| DeskError::unreadable("stretch of samples", &error))?;
        let stretch = Stretch { from: row.from, to: row.to, received: row.received_at, seen };
        stretches.entry(row.check).or_default().push(stretch);
    }
    for (_, body) in tx.kept_of_site(key)? {
        for (check, stretch) in read_kept(&body)?.latest() {
            stretches.entry(check.clone()).or_default().push(stretch.clone());
        }
    }
    let known = |(check, stretches): (CheckId, Vec<Stretch>)| {
        let planned = plan.checks.get(&check)?;
        let mut readings: Vec<Reading> = keep::readings(stretches.iter());
        readings.retain(|reading| ahead.is_in(reading.at));
        readings.sort_by_key(|reading| (reading.at, reading.received));
        Some((check, unfolded(planned, &readings)))
    };
    Ok(stretches.into_iter().filter_map(known).collect())
}

pub(crate) fn read_kept(body: &str) -> Result<Kept, DeskError> {
    serde_json::from_str(body).map_err(|error| DeskError::unreadable("fold of samples", &error))
}

fn read_state(state: &str) -> Result<CheckState, DeskError> {
    serde_json::from_str(state).map_err(|error| DeskError::unreadable("state of a check", &error))
}

/// Something said, with who and when.
pub(crate) struct SaidAt {
    pub(crate) at: Timestamp,
    pub(crate) received: Timestamp,
    pub(crate) agent: AgentId,
    pub(crate) said: Said,
}

pub(crate) fn read_said(row: &SaidRow) -> Result<SaidAt, DeskError> {
    let said = serde_json::from_str(&row.body).map_err(|error| DeskError::unreadable("agent's words", &error))?;
    Ok(SaidAt { at: row.at, received: row.received_at, agent: row.agent.clone(), said })
}

fn boots(said: &[SaidAt]) -> impl Iterator<Item = Boot> {
    said.iter().filter_map(|said| match &said.said {
        Said::Boot { asset, after, ended } => {
            Some(Boot { asset: asset.clone(), at: said.at, received: said.received, after: *after, ended: *ended })
        }
        Said::Started { .. } | Said::Stopping { .. } | Said::Gap { .. } => None,
    })
}

/// The end of a finding of which its agent knows nothing any more, since its machine was set back to before it: the check
/// was called good after it was confirmed. An agent that knows of a finding ends it as it says so.
fn ended_unsaid(
    tx: &dyn ReadTx,
    key: SiteKey<'_>,
    row: &FindingRow,
    fact: &FindingFact,
    ahead: &mut Ahead,
) -> Result<Option<Ended>, DeskError> {
    for change in tx.changes(key, &fact.id.check, fact.detected, ahead.reach)? {
        if !ahead.is_in(change.at) {
            break;
        }
        let is_own = change.agent == row.agent && fact.detected < change.at;
        if is_own && read_state(&change.state)? == CheckState::Ok {
            let restored = Bounds { not_before: Some(fact.detected), not_after: change.at };
            return Ok(Some(Ended { restored, confirmed: change.at, received: change.received_at.max(change.at) }));
        }
    }
    Ok(None)
}

/// Since when an open finding looks as if it ended.
fn recovering(
    tx: &dyn ReadTx,
    key: SiteKey<'_>,
    fact: &FindingFact,
    until: Timestamp,
) -> Result<Option<Timestamp>, DeskError> {
    if fact.ended.is_some() {
        return Ok(None);
    }
    let latest = tx.changes(key, &fact.id.check, until, until)?.into_iter().next_back();
    Ok(match latest {
        Some(row) if read_state(&row.state)? == CheckState::Recovering => Some(row.at),
        Some(_) | None => None,
    })
}

/// A finding in the collector's time. Rows of a version that did not keep that have it from their text.
fn finding_fact(row: &FindingRow) -> Result<FindingFact, DeskError> {
    let opened: Finding =
        serde_json::from_str(&row.opened).map_err(|error| DeskError::unreadable("finding", &error))?;
    let offset = jiff::SignedDuration::from_millis(row.offset_ms);
    let corrected = |at: ObservedAt| crate::clock::stored(at.corrected(offset, ReceivedAt(row.received_at)));
    let (started, detected) = match row.begun {
        Some(begun) => (Bounds { not_before: begun.after, not_after: begun.by }, begun.detected),
        None => (
            Bounds { not_before: opened.last_ok.map(corrected), not_after: corrected(opened.first_bad) },
            corrected(opened.confirmed_at),
        ),
    };
    let ended = match (row.over, &row.ended) {
        (Some(over), _) => Some(Ended {
            restored: Bounds { not_before: over.after, not_after: over.by },
            confirmed: over.confirmed,
            received: over.received,
        }),
        (None, Some(ended)) => {
            let end: FindingEnd =
                serde_json::from_str(ended).map_err(|error| DeskError::unreadable("finding's end", &error))?;
            Some(Ended {
                restored: Bounds { not_before: Some(corrected(end.last_bad)), not_after: corrected(end.first_ok) },
                confirmed: corrected(end.confirmed_at),
                // When it was received was not kept; it was not over when it arrived.
                received: row.received_at.max(corrected(end.confirmed_at)),
            })
        }
        (None, None) => None,
    };
    Ok(FindingFact {
        id: row.id.clone(),
        started,
        detected,
        received: row.received_at.max(detected),
        ended,
        recovering: None,
        evidence: opened.evidence,
        culprit: opened.culprit,
    })
}

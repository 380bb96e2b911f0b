//! One site in one transaction: gathers what deciding needs, has detection decide, and carries out what it says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use upheld_detection::{
    correlate::correlate,
    incident::{
        AssetView, Begun, Bounds, Change, DedupKey, Desk, Incident, IncidentEffect, OpeningCause, Root, Rules,
        SiteView, Stage, Trigger, decide, next_wake, reconcile,
    },
    plan::Site,
    uptime::Span,
};
use upheld_model::{
    AgentId, CheckId, ClientId, IncidentClass, IncidentKind, SiteId,
    finding::CheckState,
    mutant::{Rule, is_broken},
};
use upheld_store::{ReadTx, Tx, agents::AgentNowRow, facts::SiteKey};
use upheld_wire::v1::CheckNow;

use crate::{
    AgentPeer, DeskError,
    book::{CurrentBook, HEARTBEAT_MS},
    case::{self, messages::SilentTogether},
    facts, jobs, plan,
};

/// Three heartbeats (DETECTION 4.6): not heard for longer, an agent's checks are unknown meanwhile.
pub(crate) const UNHEARD_AFTER: SignedDuration = SignedDuration::from_millis(3 * HEARTBEAT_MS.cast_signed());

/// Judges the site by its facts as they are now, and stores what that changes. How many changes that made.
pub(crate) fn judge(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    client: &ClientId,
    site: &SiteId,
    now: Timestamp,
) -> Result<u64, DeskError> {
    let rules = Rules::live();
    let key = SiteKey { client, site };
    let from = now.saturating_sub(plan::LOOK_BACK).unwrap_or(Timestamp::MIN);
    let plan = match book.sites.plan(&book.book, client, site, now)? {
        Some(plan) => {
            let mut plan = Site::clone(&plan);
            plan::enter_windows(&mut plan, &*tx, Span { from, to: now })?;
            plan
        }
        // The book has it no more: what failed there is still told.
        None => nowhere(client, site),
    };
    let due = jobs::settle(tx, &plan, now)?;
    let cells = book.sites.cells.of(&*tx, &plan, now)?;
    // Facts of this very instant belong in.
    let to = now.saturating_add(SignedDuration::from_micros(1)).unwrap_or(now);
    let mut ahead = facts::Ahead::noted(Span { from, to });
    let mut facts = facts::of_site(&*tx, &plan, Span { from, to }, &cells, &mut ahead)?;
    facts.until = now;
    let judged = correlate(&plan, &facts, &rules).incidents;
    let view = gather(&*tx, book, client, site, &rules, now)?;
    let effects = reconcile(&view, &judged, &facts, &rules, now);
    for effect in &effects {
        case::apply(tx, book, effect)?;
    }
    let next = next_wake(&plan, &facts, &rules).into_iter().chain(due).chain(ahead.first).min();
    tx.put_site_due(key, next.filter(|_| !is_broken(Rule::DeadlineIsStored)))?;
    Ok(u64::try_from(effects.len()).unwrap_or(u64::MAX))
}

/// A site of which nothing is known.
fn nowhere(client: &ClientId, site: &SiteId) -> Site {
    Site {
        client: client.clone(),
        site: site.clone(),
        zone: jiff::tz::TimeZone::UTC,
        stage: Stage::Commissioning,
        assets: BTreeMap::new(),
        checks: BTreeMap::new(),
    }
}

/// Judges a site at a deadline: what its facts say first, then what falls due on its incidents by itself.
pub(crate) fn wake(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    client: &ClientId,
    site: &SiteId,
    now: Timestamp,
) -> Result<u64, DeskError> {
    let judged = judge(tx, book, client, site, now)?;
    let fell_due = react(tx, book, client, site, &[Trigger::Deadline], now)?;
    // What waited for the place of an incident that is over now may have it.
    let again = if fell_due > 0 { judge(tx, book, client, site, now)? } else { 0 };
    Ok(judged + fell_due + again)
}

/// Lets detection decide on each trigger in turn and stores what it says. How many changes that made.
pub(crate) fn react(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    client: &ClientId,
    site: &SiteId,
    triggers: &[Trigger],
    now: Timestamp,
) -> Result<u64, DeskError> {
    react_in(tx, book, client, site, triggers, None, now)
}

/// The same for a silence that is told with those of other sites.
pub(crate) fn react_in(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    client: &ClientId,
    site: &SiteId,
    triggers: &[Trigger],
    group: Option<&SilentTogether>,
    now: Timestamp,
) -> Result<u64, DeskError> {
    let rules = Rules::default();
    let mut view = gather(&*tx, book, client, site, &rules, now)?;
    let mut changes = 0;
    for trigger in triggers {
        for effect in decide(&view, trigger, &rules, now) {
            match group {
                None => case::apply(tx, book, &effect).map(drop)?,
                Some(group) => case::apply_together(tx, book, &effect, group)?,
            }
            remember(&mut view.incidents, effect.incident);
            changes += 1;
        }
    }
    Ok(changes)
}

fn remember(incidents: &mut Vec<Incident>, changed: Incident) {
    match incidents.iter_mut().find(|incident| incident.key == changed.key) {
        Some(incident) => *incident = changed,
        None => incidents.push(changed),
    }
}

fn gather(
    tx: &dyn ReadTx,
    book: &CurrentBook,
    client: &ClientId,
    site: &SiteId,
    rules: &Rules,
    now: Timestamp,
) -> Result<SiteView, DeskError> {
    let since = now.saturating_sub(rules.look_back).unwrap_or(Timestamp::MIN);
    let mut incidents = Vec::new();
    for row in tx.incidents_of_site(client, site, since)? {
        incidents.push(case::read_incident(&row)?);
    }
    let entry = book.book.site(client, site);
    let stage = match entry.and_then(|site| site.commissioned_at()) {
        Some(since) => Stage::Commissioned { since },
        None => Stage::Commissioning,
    };
    let assets = entry.into_iter().flat_map(|site| &site.assets).map(|(id, asset)| {
        let view = AssetView { class: asset.class, is_critical: book.book.is_critical(client, site, id) };
        (id.clone(), view)
    });
    let checks = entry.map(|site| site.checks()).unwrap_or_default();
    let checks: BTreeMap<_, _> = checks.into_iter().map(|check| (check.id, check.probe)).collect();
    let unbuilt = entry.into_iter().flat_map(|site| site.unbuilt()).map(|check| &check.id);
    Ok(SiteView {
        client: client.clone(),
        site: site.clone(),
        stage,
        assets: assets.collect(),
        // A check that no agent can run is judged by nobody.
        unknown: unknown_checks(tx, client, site, checks.keys().chain(unbuilt), now)?,
        checks,
        incidents,
    })
}

/// The checks that no agent of the site judges at present: nothing of theirs resolves.
pub(crate) fn unknown_checks<'a>(
    tx: &dyn ReadTx,
    client: &ClientId,
    site: &SiteId,
    checks: impl Iterator<Item = &'a CheckId>,
    now: Timestamp,
) -> Result<BTreeSet<CheckId>, DeskError> {
    let mut judged: BTreeSet<CheckId> = BTreeSet::new();
    for agent in tx.agents(Some(client))?.into_iter().filter(|agent| agent.site == *site) {
        let Some(present) = tx.agent_now(client, &agent.agent)? else { continue };
        if now.duration_since(present.last_seen) > 3 * SignedDuration::from_millis(HEARTBEAT_MS.cast_signed()) {
            continue;
        }
        judged.extend(states(&present)?.into_iter().filter(|(_, now)| is_judged(now.state)).map(|(check, _)| check));
    }
    Ok(checks.filter(|check| !judged.contains(*check)).cloned().collect())
}

/// How an agent's checks stand.
pub(crate) fn states(present: &AgentNowRow) -> Result<BTreeMap<CheckId, CheckNow>, DeskError> {
    serde_json::from_str(&present.checks).map_err(|error| DeskError::unreadable("agent's present state", &error))
}

fn is_judged(state: CheckState) -> bool {
    match state {
        CheckState::Ok | CheckState::Suspect | CheckState::Failed | CheckState::Recovering => true,
        CheckState::Unknown { .. } => false,
    }
}

/// The dedup key of an agent's silence.
fn silence_key(client: &ClientId, site: &SiteId, agent: &AgentId) -> DedupKey {
    let root = Root::Agent { agent: agent.clone(), host: None };
    DedupKey::new(client, site, &root, IncidentClass::Monitoring, IncidentKind::Silent)
}

/// Whether an open incident says that this agent is silent, and has not been told yet that it is back.
pub(crate) fn open_silence(tx: &dyn ReadTx, peer: &AgentPeer) -> Result<bool, DeskError> {
    let key = silence_key(&peer.client, &peer.site, &peer.agent);
    match tx.open_incident(&peer.client, key.as_str())? {
        None => Ok(false),
        Some(row) => Ok(case::read_incident(&row)?.restored.is_none()),
    }
}

/// The agents whose silences end when this one is heard, which was last heard at `before`: its own, and that of the
/// last of its site to be heard when nobody of it was.
pub(crate) fn silences_ended(
    tx: &dyn ReadTx,
    peer: &AgentPeer,
    before: Option<Timestamp>,
) -> Result<Vec<AgentId>, DeskError> {
    let mut ended = Vec::new();
    for row in tx.incidents_of_site(&peer.client, &peer.site, Timestamp::MAX)? {
        let incident = case::read_incident(&row)?;
        let Root::Agent { agent, host: _ } = &incident.root else { continue };
        if incident.kind != IncidentKind::Silent || incident.restored.is_some() {
            continue;
        }
        let since = incident.started.not_before.unwrap_or(incident.started.not_after);
        let unheard = since.saturating_add(UNHEARD_AFTER).unwrap_or(Timestamp::MAX);
        if *agent == peer.agent || before.is_none_or(|before| before <= unheard) {
            ended.push(agent.clone());
        }
    }
    Ok(ended)
}

/// Opens the incident that tells people of two hosts with one identity, unless one is open already (SECURITY 17).
pub(crate) fn tell_of_clone(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    peer: &AgentPeer,
    now: Timestamp,
) -> Result<(), DeskError> {
    let AgentPeer { agent, client, site } = peer;
    let root = Root::Agent { agent: agent.clone(), host: None };
    let (class, kind) = (IncidentClass::Monitoring, IncidentKind::Degraded);
    let dedup = DedupKey::new(client, site, &root, class, kind);
    if tx.open_incident(client, dedup.as_str())?.is_some() {
        return Ok(());
    }
    let cause = OpeningCause::Concluded { source: format!("clone/{agent}"), occurrence: now };
    let title = format!("{site}: two hosts report as agent {agent}; nothing of either is taken");
    let incident = Incident::begun(Begun {
        client,
        site,
        class,
        kind,
        root,
        opening: &cause,
        rule: "clone",
        title,
        started: Bounds { not_before: None, not_after: now },
        detected: now,
        received: now,
    });
    let desk = Desk::Begins { detected: now, received: now };
    let opened = IncidentEffect { incident, change: Change::Opened, desk, due_at: now, noticed_at: now };
    case::apply(tx, book, &opened).map(drop)
}

//! Who is silent as of now: whole sites, single agents, and which sites fell silent together.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use upheld_detection::{
    incident::{Incident, SilenceSeen},
    silence::{
        ANNOUNCED, Deaf, Extent, GUARD_MAX, LastHeard, LastWords, TOGETHER, Together, UNKNOWN_AFTER_HEARTBEATS,
        Verdict, incident_after, is_together, judge,
    },
};
use upheld_model::{
    AgentId, AssetId, ClientId, IncidentKind, ProbeSpec, SiteId,
    mutant::{Rule, is_broken},
};
use upheld_store::{
    ReadTx,
    agents::{AgentRow, AgentStatus},
    facts::SiteKey,
};

use crate::{
    AgentPeer, DeskError,
    book::{CurrentBook, HEARTBEAT_MS},
    case::{self, messages::SilentTogether},
    facts::{self, Said},
    own,
    plan::host_among,
    site,
    tasks::run::{ALIVE_GAP_MAX, Run, gaps},
};

/// Agents that one run looks at, the longest silent first.
const AGENTS_MAX: u32 = 10_000;
const HEARTBEAT: Duration = Duration::from_millis(HEARTBEAT_MS);

/// A silence whose incident is due and not open yet.
pub(super) struct Due {
    pub(super) client: ClientId,
    pub(super) site: SiteId,
    pub(super) seen: SilenceSeen,
    /// The sites with which it is told.
    pub(super) group: Option<Group>,
}

/// Sites that fell silent together, as one of them is told, and all of them.
pub(super) struct Group {
    pub(super) message: SilentTogether,
    pub(super) told: Told,
}

/// Sites that were told of in one message. What is due soon after joins them without another one, also when the first
/// of them is heard again meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    first_due: Timestamp,
    since: Timestamp,
    places: BTreeSet<(ClientId, SiteId)>,
}

impl Told {
    fn is_joined_at(&self, due: Timestamp) -> bool {
        self.first_due <= due && is_together(self.first_due, due, HEARTBEAT)
    }
}

/// An agent of whom nothing was heard for more than three heartbeats.
struct Quiet {
    row: AgentRow,
    /// When it was last heard, or enrolled.
    at: Timestamp,
    /// When its silence is an incident.
    due: Timestamp,
}

/// What is silent at one site.
struct Silence {
    quiet: Quiet,
    extent: Extent,
    said_power: bool,
    host: Option<AssetId>,
    /// Whether people are told: its site is commissioned.
    is_told: bool,
}

/// Every silence whose incident is due by `now` and not open yet, in the order of the deadlines.
pub(super) fn silent(
    tx: &dyn ReadTx,
    book: &CurrentBook,
    run: &Run,
    told: Option<&Told>,
    now: Timestamp,
) -> Result<Vec<Due>, DeskError> {
    let mut silences = Vec::new();
    for ((client, site), quiet) in quiet(tx, run, now)? {
        silences.extend(at_site(tx, book, &client, &site, quiet)?);
    }
    silences.sort_by_key(|silence| silence.quiet.due);
    let mut due = Vec::new();
    for (silence, group) in grouped(silences, told) {
        let AgentRow { client, site, agent, .. } = silence.quiet.row;
        let peer = AgentPeer { agent: agent.clone(), client: client.clone(), site: site.clone() };
        if now < silence.quiet.due || site::open_silence(tx, &peer)? {
            continue;
        }
        let zone = book.book.site(&client, &site).and_then(|site| TimeZone::get(&site.zone).ok());
        let seen = SilenceSeen {
            agent,
            host: silence.host,
            extent: silence.extent,
            zone: zone.unwrap_or(TimeZone::UTC),
            said_power: silence.said_power,
            together: group.as_ref().map(|group| group.message.together.clone()),
            last_heard: silence.quiet.at,
            expected_by: later(silence.quiet.at, HEARTBEAT),
            deadline: silence.quiet.due,
        };
        due.push(Due { client, site, seen, group });
    }
    Ok(due)
}

/// The quiet agents of each site. While the collector's own guard lasts there are none.
fn quiet(tx: &dyn ReadTx, run: &Run, now: Timestamp) -> Result<BTreeMap<(ClientId, SiteId), Vec<Quiet>>, DeskError> {
    let mut deaf = own::deaf(tx, now)?;
    let down = run.started_at.saturating_sub(run.was_down).unwrap_or(run.started_at);
    deaf.push(Deaf { from: down, until: Some(run.started_at) });
    // Those before earlier starts: their guards go on after another start.
    let runs = tx.runs_since(now.saturating_sub(GUARD_MAX).unwrap_or(now))?;
    deaf.extend(gaps(&runs).into_iter().map(|(from, until)| Deaf { from, until: Some(until) }));
    deaf.retain(|_| !is_broken(Rule::OwnOutageExcuses));
    deaf.extend(others_gone(tx, run, now)?);
    let cutoff = now.saturating_sub(SignedDuration::from_millis(HEARTBEAT_MS.cast_signed())).unwrap_or(now);
    let mut unheard = tx.agents_unseen_since(cutoff, AGENTS_MAX)?;
    unheard.extend(tx.agents_unheard_since(cutoff, AGENTS_MAX)?.into_iter().map(|row| {
        let enrolled = row.enrolled_at;
        (row, enrolled)
    }));
    let mut by_site: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (row, at) in unheard {
        let due = match judge(&LastHeard { at, heartbeat: HEARTBEAT }, &deaf, now) {
            Verdict::Unknown { next, .. } => next,
            Verdict::Silent { due_at, .. } => due_at,
            Verdict::Heard { .. } | Verdict::Guarded { .. } => continue,
        };
        by_site.entry((row.client.clone(), row.site.clone())).or_default().push(Quiet { row, at, due });
    }
    Ok(by_site)
}

/// Other collectors of this database that ended while this one ran: those whom they heard need time to come here.
fn others_gone(tx: &dyn ReadTx, run: &Run, now: Timestamp) -> Result<Vec<Deaf>, DeskError> {
    let runs = tx.runs_since(now.saturating_sub(GUARD_MAX).unwrap_or(now))?;
    let gone = runs.into_iter().filter(|other| {
        other.run != run.number
            && other.last_alive > run.started_at
            && now.duration_since(other.last_alive) > ALIVE_GAP_MAX
    });
    let until = |from: Timestamp| from.saturating_add(ALIVE_GAP_MAX).ok();
    Ok(gone.map(|other| Deaf { from: other.last_alive, until: until(other.last_alive) }).collect())
}

/// While nobody of a site is heard the site is silent, by the agent that was heard last; while another one is, it is
/// that agent's host.
fn at_site(
    tx: &dyn ReadTx,
    book: &CurrentBook,
    client: &ClientId,
    site: &SiteId,
    quiet: Vec<Quiet>,
) -> Result<Vec<Silence>, DeskError> {
    let is_here = |row: &AgentRow| row.site == *site && row.status == AgentStatus::Active;
    let all: Vec<AgentRow> = tx.agents(Some(client))?.into_iter().filter(is_here).collect();
    let is_heard = all.iter().any(|row| quiet.iter().all(|quiet| quiet.row.agent != row.agent));
    let last = quiet.iter().max_by_key(|quiet| (quiet.at, Reverse(&quiet.row.agent)));
    let Some(last) = last.map(|last| (last.at, last.row.agent.clone())) else { return Ok(Vec::new()) };
    let words = words(tx, SiteKey { client, site }, last.0.min(quiet.iter().map(|q| q.at).min().unwrap_or(last.0)))?;
    let supplies = on_battery(tx, SiteKey { client, site })?;
    let incidents = open_silences(tx, client, site)?;
    let is_told = |due: Timestamp| {
        let commissioned = book.book.site(client, site).and_then(|site| site.commissioned_at());
        commissioned.is_some_and(|since| since <= due)
    };
    let mut found = Vec::new();
    for quiet in quiet {
        let unheard = later(quiet.at, HEARTBEAT.saturating_mul(UNKNOWN_AFTER_HEARTBEATS));
        let is_alone = is_heard || unheard < last.0;
        if !is_alone && quiet.row.agent != last.1 {
            continue; // the site's silence tells of it
        }
        let own = |words: &&Words| words.agent == quiet.row.agent && words.received >= quiet.at;
        let host = host_of(book, &quiet.row, all.len());
        let is_announced = words.iter().filter(own).any(|words| words.what == LastWords::Requested);
        if is_announced && host.is_some() {
            continue; // switched off as announced: judged by the hours in which the host is expected to run
        }
        let name = host.as_ref().map_or(quiet.row.agent.as_str(), |host| host.as_str()).to_owned();
        let said_power = words
            .iter()
            .filter(|words| if is_alone { own(words) } else { later(words.at, TOGETHER) >= quiet.at })
            .any(|words| words.what == LastWords::Power);
        let on_battery = supplies
            .iter()
            .filter(|(agent, _)| !is_alone || *agent == quiet.row.agent)
            .any(|(_, at)| later(*at, TOGETHER) >= quiet.at);
        let said_power = said_power || on_battery;
        let extent = if is_alone { Extent::Agent { name } } else { Extent::Site };
        let due = if is_alone { quiet.due.max(had_time(&incidents, &quiet)) } else { quiet.due };
        // Of a host that the book does not have nobody can say when it is expected to run.
        let due = if is_announced { due.max(later(quiet.at, ANNOUNCED)) } else { due };
        let is_told = is_told(due);
        found.push(Silence { quiet: Quiet { due, ..quiet }, extent, said_power, host, is_told });
    }
    Ok(found)
}

/// When the site was silent and is heard again, an agent that is not has its time from then on.
fn had_time(incidents: &[Incident], quiet: &Quiet) -> Timestamp {
    let since = incidents.iter().filter(|incident| {
        let last_heard = incident.started.not_before.unwrap_or(incident.started.not_after);
        last_heard <= later(quiet.at, TOGETHER) && quiet.at <= later(last_heard, TOGETHER)
    });
    let back = since.filter_map(|incident| incident.restored).filter(|back| quiet.at < *back).max();
    back.map_or(Timestamp::MIN, |back| later(back, incident_after(HEARTBEAT)))
}

/// Silences of a site that are open or watched.
fn open_silences(tx: &dyn ReadTx, client: &ClientId, site: &SiteId) -> Result<Vec<Incident>, DeskError> {
    let rows = tx.incidents_of_site(client, site, Timestamp::MAX)?;
    let incidents = rows.iter().map(case::read_incident).collect::<Result<Vec<_>, _>>()?;
    Ok(incidents.into_iter().filter(|incident| incident.kind == IncidentKind::Silent).collect())
}

/// Last words of the site's agents.
struct Words {
    agent: AgentId,
    at: Timestamp,
    received: Timestamp,
    what: LastWords,
}

fn words(tx: &dyn ReadTx, key: SiteKey<'_>, since: Timestamp) -> Result<Vec<Words>, DeskError> {
    let from = since.saturating_sub(TOGETHER).unwrap_or(since);
    let mut words = Vec::new();
    for row in tx.said(key, from, Timestamp::MAX)? {
        let said = facts::read_said(&row)?;
        if let Said::Stopping { reason } = &said.said {
            let (agent, at, received) = (said.agent, said.at, said.received);
            words.push(Words { agent, at, received, what: LastWords::of(reason) });
        }
    }
    Ok(words)
}

/// When an agent of the site heard last of a supply that was on battery then.
fn on_battery(tx: &dyn ReadTx, key: SiteKey<'_>) -> Result<Vec<(AgentId, Timestamp)>, DeskError> {
    let mut found = Vec::new();
    for (agent, body) in tx.kept_of_site(key)? {
        let at = facts::read_kept(&body)?.on_battery_at();
        found.extend(at.map(|at| (agent, at)));
    }
    Ok(found)
}

/// The asset on which an agent runs, by the book.
fn host_of(book: &CurrentBook, agent: &AgentRow, active: usize) -> Option<AssetId> {
    let site = book.book.site(&agent.client, &agent.site)?;
    let checks = site.checks();
    let hosts =
        checks.iter().filter(|check| matches!(check.probe, ProbeSpec::Host { .. })).map(|check| &check.id.asset);
    host_among(agent, active, |asset| site.assets.contains_key(asset), hosts)
}

/// Each silence with the sites that fell silent with it. `silences` are in the order of their deadlines; `told` are those
/// of the last message, if it was lately.
fn grouped(silences: Vec<Silence>, told: Option<&Told>) -> Vec<(Silence, Option<Group>)> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (at, silence) in silences.iter().enumerate() {
        if silence.extent != Extent::Site || !silence.is_told {
            continue;
        }
        let is_next = |group: &&mut Vec<usize>| {
            let first = group.first().map(|first| silences[*first].quiet.due);
            first.is_some_and(|first| is_together(first, silence.quiet.due, HEARTBEAT))
        };
        match groups.last_mut().filter(is_next) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
    }
    let mut found: BTreeMap<usize, Group> = BTreeMap::new();
    for group in groups {
        let Some(first) = group.first().map(|first| &silences[*first].quiet) else { continue };
        let before = told.filter(|told| told.is_joined_at(first.due));
        let since = group.iter().map(|at| silences[*at].quiet.at).min().unwrap_or(first.at);
        let mut all = before.cloned().unwrap_or(Told { first_due: first.due, since, places: BTreeSet::new() });
        all.since = all.since.min(since);
        let rows = group.iter().map(|at| &silences[*at].quiet.row);
        all.places.extend(rows.map(|row| (row.client.clone(), row.site.clone())));
        if all.places.len() < 2 {
            continue;
        }
        let clients: BTreeSet<_> = all.places.iter().map(|(client, _)| client).collect();
        let together = Together { sites: all.places.len(), clients: clients.len(), since: all.since };
        for at in &group {
            let own = &silences[*at].quiet.row.client;
            let sites = all.places.iter().filter(|(client, _)| client == own).map(|(_, site)| site.clone()).collect();
            let is_first = before.is_none() && group.first() == Some(at);
            let message = SilentTogether { together: together.clone(), sites, is_first };
            found.insert(*at, Group { message, told: all.clone() });
        }
    }
    silences.into_iter().enumerate().map(|(at, silence)| (silence, found.remove(&at))).collect()
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

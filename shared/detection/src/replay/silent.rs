//! Who was not heard: each silent site its own incident, told together; the collector's own trouble told as such
//! (DETECTION 4.6, 4.7).

mod heard;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use upheld_model::{AgentId, AssetId, Cause, ClientId, IncidentClass, IncidentKind};

use super::{Placed, Trace, line::EventWord, trace::Said};
use crate::{
    correlate::{Judged, Subject},
    incident::{Bounds, Handling, IncidentKey, OpeningCause, Root, Stage},
    plan::plus,
    silence::{self, Extent, TOGETHER, Together, Told, UNKNOWN_AFTER_HEARTBEATS},
};
use heard::{Agent, Outages, Silence};

/// Every silence of a trace that has heartbeats, and how many messages tell them.
/// `judged` are the incidents of each site that its checks saw.
pub(super) fn incidents(
    trace: &Trace,
    placed: &[Placed<'_>],
    judged: &[Vec<Judged>],
    until: Timestamp,
) -> (Vec<(ClientId, Judged)>, u64) {
    if !trace.said.iter().any(|said| said.word == EventWord::Heartbeat) {
        return (Vec::new(), 0);
    }
    let outages = Outages::of(&trace.collector, until);
    let mut found: Vec<(usize, Silence)> = Vec::new();
    for (at, site) in placed.iter().enumerate() {
        let mut agents = agents(site);
        let mut receipts = receipts(site);
        if let [only] = agents.as_mut_slice() {
            only.hear(std::mem::take(&mut receipts));
        }
        let silences = heard::silences(&agents, &receipts, &site.site.assets, &outages, until);
        let told = silences.into_iter().filter(|silence| !is_known_down(&judged[at], silence));
        found.extend(told.map(|silence| (at, silence)));
    }
    found.sort_by_key(|(at, silence)| (silence.due, *at));
    let mut pages = 0;
    let mut all = Vec::new();
    for group in groups(&found) {
        let is_paged = group.iter().any(|(at, silence)| is_commissioned(&placed[*at], silence.due));
        pages += u64::from(is_paged);
        all.extend(group.iter().map(|(at, silence)| {
            let together = together(placed, group);
            let told =
                Judged { parent: cause_of(&judged[*at], silence), ..told(&placed[*at], silence, together.as_ref()) };
            (placed[*at].site.client.clone(), told)
        }));
    }
    let (own, own_pages) = collector(placed, &outages);
    all.extend(own);
    (all, pages + own_pages)
}

/// When samples of a site were received.
fn receipts(at: &Placed<'_>) -> Vec<Timestamp> {
    let readings = at.series.values().flatten().flat_map(|series| &series.readings);
    let mut receipts: Vec<Timestamp> = readings.map(|reading| reading.received).collect();
    receipts.sort();
    receipts.dedup();
    receipts
}

/// Whether an incident says already that the host of a single silent agent is down: one asset, one incident.
fn is_known_down(judged: &[Judged], silence: &Silence) -> bool {
    let Some(host) = silence.host.as_ref().filter(|_| silence.is_alone) else { return false };
    judged.iter().any(|incident| {
        incident.kind == IncidentKind::Down
            && incident.opened <= silence.due
            && incident.restored.is_none_or(|restored| restored > silence.since)
            && (incident.root.name() == host.as_str()
                || incident.symptoms.iter().any(|finding| finding.check.asset == *host))
    })
}

/// The power failure that was open when the site fell silent.
fn cause_of(judged: &[Judged], silence: &Silence) -> Option<IncidentKey> {
    let is_cause = |incident: &&Judged| {
        incident.class == IncidentClass::Power
            && incident.kind == IncidentKind::Down
            && incident.opened <= silence.due
            && incident.restored.is_none_or(|restored| restored > silence.since)
    };
    judged.iter().find(is_cause).map(|incident| incident.key)
}

fn agents(at: &Placed<'_>) -> Vec<Agent> {
    let mut by_agent: BTreeMap<&str, Vec<&Said>> = BTreeMap::new();
    for said in &at.said {
        if let Some(agent) = &said.agent {
            by_agent.entry(agent).or_default().push(said);
        }
    }
    let beats = |said: &[&Said]| said.iter().any(|said| said.word == EventWord::Heartbeat);
    by_agent.into_iter().filter(|(_, said)| beats(said)).map(|(agent, said)| Agent::of(agent, &said)).collect()
}

/// Silences that begin together, in the order of their deadlines.
fn groups(found: &[(usize, Silence)]) -> impl Iterator<Item = &[(usize, Silence)]> {
    let mut first: Option<Timestamp> = None;
    found.chunk_by(move |a, b| {
        let begin = *first.get_or_insert(a.1.due);
        let is_together = silence::is_together(begin, b.1.due, b.1.heartbeat.max(a.1.heartbeat));
        if !is_together {
            first = None;
        }
        is_together
    })
}

/// The sites that fell silent together; `None` for one alone.
fn together(placed: &[Placed<'_>], group: &[(usize, Silence)]) -> Option<Together> {
    let whole = || group.iter().filter(|(_, silence)| !silence.is_alone);
    let sites: BTreeSet<usize> = whole().map(|(at, _)| *at).collect();
    let clients: BTreeSet<&ClientId> = sites.iter().map(|at| &placed[*at].site.client).collect();
    let since = whole().map(|(_, silence)| silence.since).min()?;
    (sites.len() > 1).then_some(Together { sites: sites.len(), clients: clients.len(), since })
}

fn is_commissioned(at: &Placed<'_>, when: Timestamp) -> bool {
    match at.site.stage {
        Stage::Commissioned { since } => when >= since,
        Stage::Commissioning => false,
    }
}

fn told(at: &Placed<'_>, silence: &Silence, together: Option<&Together>) -> Judged {
    let site = &at.site;
    let host: Option<AssetId> = silence.host.clone().filter(|asset| site.assets.contains_key(asset));
    let handling = if is_commissioned(at, silence.due) { Handling::Desk } else { Handling::AsFound };
    let root = Root::Agent { agent: silence.agent.clone(), host: host.clone() };
    let cause = OpeningCause::concluded(format!("silence/{}", silence.agent), silence.since);
    let (subject, extent) = if silence.is_alone {
        let name = host.as_ref().map_or(silence.agent.as_str(), |host| host.as_str()).to_owned();
        (Subject::Agent { site: site.site.clone(), agent: silence.agent.clone(), host }, Extent::Agent { name })
    } else {
        (Subject::Site { site: site.site.clone() }, Extent::Site)
    };
    let is_power = silence.said_power || on_battery_before(at, silence.since);
    let (since, went_on) = (silence.since, silence.went_on);
    let told = Told { site: &site.site, zone: &site.zone, extent: &extent, since, is_power, went_on, together };
    let (title, blamed) = told.sentence();
    Judged {
        key: IncidentKey::new(&site.client, &site.site, &root, &cause),
        class: IncidentClass::Monitoring,
        kind: IncidentKind::Silent,
        root: subject,
        started: Bounds { not_before: Some(silence.since), not_after: silence.expected_by },
        detected: silence.due,
        received: silence.due,
        opened: silence.due,
        restored: silence.back,
        parent: None,
        symptoms: BTreeSet::new(),
        title,
        cause: blamed,
        critical: BTreeSet::new(),
        handling,
        is_ticketed: handling == Handling::Desk,
        // Told by the message of its group.
        is_paged: false,
    }
}

/// Whether the last word of one of the site's supplies was that it runs on battery.
fn on_battery_before(at: &Placed<'_>, since: Timestamp) -> bool {
    let grace = plus(since, TOGETHER);
    at.series.values().any(|series| {
        let supplies = series.iter().flat_map(|series| &series.readings).filter(|reading| reading.at <= grace);
        let last = supplies.filter(|reading| reading.supply.is_some()).max_by_key(|reading| reading.at);
        last.is_some_and(|reading| matches!(reading.supply, Some(crate::observe::Supply::Battery { .. })))
    })
}

/// The collector's own trouble: one incident each, told once.
fn collector(placed: &[Placed<'_>], outages: &Outages) -> (Vec<(ClientId, Judged)>, u64) {
    // Our own incident is no client's; it is kept with the first of them, and counted for none.
    let Some(first) = placed.first() else { return (Vec::new(), 0) };
    let agent: AgentId = "collector".parse().expect("letters are an agent's name");
    let root = Root::Agent { agent, host: None };
    let all: Vec<_> = outages
        .worth_telling(UNKNOWN_AFTER_HEARTBEATS)
        .map(|outage| {
            let cause = OpeningCause::Concluded { source: outage.word().to_owned(), occurrence: outage.from };
            let judged = Judged {
                key: IncidentKey::new(&first.site.client, &first.site.site, &root, &cause),
                class: IncidentClass::Monitoring,
                kind: IncidentKind::Down,
                root: Subject::Collector,
                started: Bounds { not_before: Some(outage.from), not_after: outage.from },
                detected: outage.told,
                received: outage.told,
                opened: outage.told,
                restored: outage.to,
                parent: None,
                symptoms: BTreeSet::new(),
                title: format!("collector: {}; nobody else is to blame for silence meanwhile", outage.word()),
                cause: Cause::Collector,
                critical: BTreeSet::new(),
                handling: Handling::Desk,
                is_ticketed: true,
                is_paged: false,
            };
            (first.site.client.clone(), judged)
        })
        .collect();
    let pages = all.len() as u64;
    (all, pages)
}

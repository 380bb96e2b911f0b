//! Who was not heard: each silent site its own incident, told together; the collector's own trouble told as such
//! (DETECTION 4.6, 4.7).

mod heard;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use upheld_model::{AgentId, AssetId, Cause, ClientId, IncidentClass, IncidentKind};

use super::{Placed, Trace, line::EventWord, trace::Said};
use crate::{
    correlate::{Judged, Subject},
    incident::{Bounds, Handling, IncidentKey, OpeningCause, Root, Stage},
    plan::plus,
    silence::UNKNOWN_AFTER_HEARTBEATS,
};
use heard::{Agent, Outages, Silence};

/// Sites that fall silent within this of each other are told in one message.
const TOGETHER: Duration = Duration::from_secs(2 * 60);

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
            let together = together(placed, group, &placed[*at].site.zone);
            let told = Judged { parent: cause_of(&judged[*at], silence), ..told(&placed[*at], silence, &together) };
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
        // What goes out within a minute is last heard up to a heartbeat before.
        let within = TOGETHER.max(b.1.heartbeat.max(a.1.heartbeat).saturating_add(Duration::from_secs(60)));
        let is_together = b.1.due <= plus(begin, within);
        if !is_together {
            first = None;
        }
        is_together
    })
}

/// What to say about sites that fell silent together; empty for one alone.
fn together(placed: &[Placed<'_>], group: &[(usize, Silence)], zone: &TimeZone) -> String {
    let whole = || group.iter().filter(|(_, silence)| !silence.is_alone);
    let sites: BTreeSet<usize> = whole().map(|(at, _)| *at).collect();
    if sites.len() < 2 {
        return String::new();
    }
    let clients: BTreeSet<&ClientId> = sites.iter().map(|at| &placed[*at].site.client).collect();
    let since = whole().map(|(_, silence)| silence.since).min().unwrap_or(Timestamp::MIN);
    let clients = match clients.len() {
        1 => "1 client".to_owned(),
        number => format!("{number} clients"),
    };
    format!("; {} sites of {clients} silent since {}: regional power or internet", sites.len(), clock(since, zone))
}

/// A time of day as people at the site read it.
fn clock(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M").to_string()
}

fn is_commissioned(at: &Placed<'_>, when: Timestamp) -> bool {
    match at.site.stage {
        Stage::Commissioned { since } => when >= since,
        Stage::Commissioning => false,
    }
}

fn told(at: &Placed<'_>, silence: &Silence, together: &str) -> Judged {
    let site = &at.site;
    let host: Option<AssetId> = silence.host.clone().filter(|asset| site.assets.contains_key(asset));
    let handling = if is_commissioned(at, silence.due) { Handling::Desk } else { Handling::AsFound };
    let root = Root::Agent { agent: silence.agent.clone(), host: host.clone() };
    let cause = OpeningCause::Concluded { source: format!("silence/{}", silence.agent), occurrence: silence.since };
    let since = clock(silence.since, &site.zone);
    let (subject, what) = if silence.is_alone {
        let name = host.as_ref().map_or(silence.agent.as_str(), |host| host.as_str()).to_owned();
        let subject = Subject::Agent { site: site.site.clone(), agent: silence.agent.clone(), host };
        (subject, format!("{}: {name} silent since {since}, the site is heard", site.site))
    } else {
        (Subject::Site { site: site.site.clone() }, format!("{}: silent since {since}", site.site))
    };
    let is_power = silence.said_power || on_battery_before(at, silence.since);
    let (why, blamed) = match (is_power, silence.went_on) {
        (true, _) => ("; on battery before: power", Cause::Utility),
        (false, true) => ("; it ran on and told later: its line was out", Cause::Isp),
        (false, false) => ("", Cause::Undetermined),
    };
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
        title: format!("{what}{why}{together}"),
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

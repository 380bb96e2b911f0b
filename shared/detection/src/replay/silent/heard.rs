//! When each agent was heard, when the collector could hear, and what follows.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use upheld_model::{AgentId, AssetId};

use super::super::{
    line::{CollectorWord, EventWord},
    trace::Said,
};
use crate::{
    observe::usual_gap,
    plan::{Asset, plus},
    silence::{GUARD_MAX, UNKNOWN_AFTER_HEARTBEATS, incident_after},
};

/// Heartbeats of an agent that was heard once.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// An announced shutdown is given this long.
const ANNOUNCED: Duration = Duration::from_secs(15 * 60);

/// One agent.
pub(super) struct Agent {
    id: AgentId,
    host: Option<AssetId>,
    heard: Vec<Timestamp>,
    heartbeat: Duration,
    last_words: Vec<(Timestamp, LastWords)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastWords {
    Requested,
    Power,
    Other,
}

/// One silence.
#[derive(Debug, Clone)]
pub(super) struct Silence {
    /// Whose, or the first of a site's.
    pub(super) agent: AgentId,
    pub(super) host: Option<AssetId>,
    /// Whether another agent of the site was heard meanwhile.
    pub(super) is_alone: bool,
    pub(super) since: Timestamp,
    pub(super) expected_by: Timestamp,
    /// When it became an incident.
    pub(super) due: Timestamp,
    pub(super) back: Option<Timestamp>,
    pub(super) said_power: bool,
}

impl Agent {
    pub(super) fn of(agent: &str, said: &[&Said]) -> Self {
        let mut heard: Vec<Timestamp> = said.iter().map(|said| said.at).collect();
        heard.sort();
        heard.dedup();
        let usual = usual_gap(heard.iter().copied());
        let heartbeat = if usual.is_zero() { HEARTBEAT } else { usual };
        let words = |said: &&&Said| said.word == EventWord::LastGasp;
        let last_words = said.iter().filter(words).map(|said| (said.at, last_words(said.reason.as_deref())));
        let mut last_words: Vec<_> = last_words.collect();
        last_words.sort_by_key(|(at, _)| *at);
        let host = said.iter().filter_map(|said| said.asset.as_ref()?.parse().ok()).min();
        Self {
            // A name that is no agent's cannot be said by one: it is shown as it can be.
            id: agent.parse().unwrap_or_else(|_| "unnamed".parse().expect("letters are an agent's name")),
            host: host.or_else(|| agent.parse().ok()),
            heard,
            heartbeat,
            last_words,
        }
    }

    fn was_heard_within(&self, from: Timestamp, to: Timestamp) -> bool {
        let next = self.heard.partition_point(|at| *at <= from);
        self.heard.get(next).is_some_and(|at| *at < to)
    }

    /// Whether it fell silent because its host was switched off as announced: that is judged by the hours in which the
    /// host is expected to run, as an asset that is off.
    fn was_switched_off(&self, at: Timestamp, assets: &BTreeMap<AssetId, Asset>) -> bool {
        self.words_at(at) == Some(LastWords::Requested)
            && self.host.as_ref().is_some_and(|host| assets.contains_key(host))
    }

    fn words_at(&self, at: Timestamp) -> Option<LastWords> {
        self.last_words.iter().find(|(said, _)| *said == at).map(|(_, words)| *words)
    }
}

fn last_words(reason: Option<&str>) -> LastWords {
    let reason = reason.unwrap_or_default().to_ascii_lowercase();
    if reason.contains("request") {
        LastWords::Requested
    } else if reason.contains("battery") || reason.contains("power") {
        LastWords::Power
    } else {
        LastWords::Other
    }
}

/// The silences of a site's agents that became incidents before `until`.
pub(super) fn silences(
    agents: &[Agent],
    assets: &BTreeMap<AssetId, Asset>,
    outages: &Outages,
    until: Timestamp,
) -> Vec<Silence> {
    let mut found: Vec<Silence> = Vec::new();
    for agent in agents {
        let ends = agent.heard.iter().skip(1).map(|at| Some(*at)).chain([None]);
        for (since, back) in agent.heard.iter().copied().zip(ends) {
            if agent.was_switched_off(since, assets) {
                continue;
            }
            let words = agent.words_at(since);
            let wait = incident_after(agent.heartbeat).max(match words {
                Some(LastWords::Requested) => ANNOUNCED,
                Some(LastWords::Power | LastWords::Other) | None => Duration::ZERO,
            });
            let due = outages.fair(plus(since, wait), agent.heartbeat);
            if due > until || back.is_some_and(|back| back <= due) {
                continue;
            }
            let unheard = plus(since, agent.heartbeat.saturating_mul(UNKNOWN_AFTER_HEARTBEATS));
            let others = agents.iter().filter(|other| other.id != agent.id);
            let is_alone = others.clone().any(|other| other.was_heard_within(unheard, due));
            found.push(Silence {
                agent: agent.id.clone(),
                host: agent.host.clone(),
                is_alone,
                since,
                expected_by: plus(since, agent.heartbeat),
                due,
                back,
                said_power: words == Some(LastWords::Power),
            });
        }
    }
    found.sort_by(|a, b| (a.due, &a.agent).cmp(&(b.due, &b.agent)));
    one_per_site(found)
}

/// When all agents of a site are silent, the site is: one incident, until one of them is heard again.
fn one_per_site(found: Vec<Silence>) -> Vec<Silence> {
    let mut kept: Vec<Silence> = Vec::new();
    for silence in found {
        let covers = |site: &&mut Silence| {
            !site.is_alone && !silence.is_alone && site.back.is_none_or(|back| silence.due < back)
        };
        match kept.iter_mut().find(covers) {
            Some(site) => {
                site.back = [site.back, silence.back].into_iter().flatten().min();
                site.said_power |= silence.said_power;
            }
            None => kept.push(silence),
        }
    }
    kept
}

/// When the collector could not hear.
pub(super) struct Outages(Vec<Outage>);

/// One such stretch.
pub(super) struct Outage {
    pub(super) from: Timestamp,
    pub(super) to: Option<Timestamp>,
    /// When somebody could be told.
    pub(super) told: Timestamp,
    how: CollectorWord,
}

impl Outage {
    /// What happened, in words.
    pub(super) fn word(&self) -> &'static str {
        match self.how {
            CollectorWord::AnchorsLost | CollectorWord::AnchorsBack => "its own line was out",
            CollectorWord::Down | CollectorWord::Up => "it was down",
        }
    }

    fn lasted(&self) -> Duration {
        self.to.map_or(Duration::MAX, |to| self.from.duration_until(to).try_into().unwrap_or_default())
    }
}

impl Outages {
    pub(super) fn of(said: &[(Timestamp, CollectorWord)], until: Timestamp) -> Self {
        let mut said = said.to_vec();
        said.sort();
        said.dedup();
        let mut all = Vec::new();
        for (begins, ends) in
            [(CollectorWord::Down, CollectorWord::Up), (CollectorWord::AnchorsLost, CollectorWord::AnchorsBack)]
        {
            let mut open: Option<Timestamp> = None;
            for (at, word) in &said {
                if *word == begins {
                    open.get_or_insert(*at);
                } else if *word == ends
                    && let Some(from) = open.take()
                {
                    all.push(Outage { from, to: Some(*at), told: told(begins, from, Some(*at), until), how: begins });
                }
            }
            all.extend(open.map(|from| Outage { from, to: None, told: told(begins, from, None, until), how: begins }));
        }
        all.sort_by_key(|outage| outage.from);
        Self(all)
    }

    /// The first instant, from `due` on, at which the collector may blame somebody else.
    fn fair(&self, due: Timestamp, heartbeat: Duration) -> Timestamp {
        let mut due = due;
        while let Some(guard) = self.0.iter().filter_map(|outage| guard(outage, due, heartbeat)).max() {
            due = guard;
        }
        due
    }

    /// Those that lasted so long that clients' time became unknown.
    pub(super) fn worth_telling(&self, heartbeats: u32) -> impl Iterator<Item = &Outage> {
        self.0.iter().filter(move |outage| outage.lasted() >= HEARTBEAT.saturating_mul(heartbeats))
    }
}

/// A collector that is down tells when it is up; one whose line is out when that is sure.
fn told(how: CollectorWord, from: Timestamp, to: Option<Timestamp>, until: Timestamp) -> Timestamp {
    match how {
        CollectorWord::Down | CollectorWord::Up => to.unwrap_or(until),
        CollectorWord::AnchorsLost | CollectorWord::AnchorsBack => {
            plus(from, HEARTBEAT.saturating_mul(UNKNOWN_AFTER_HEARTBEATS))
        }
    }
}

/// The end of an outage's guard, if `due` falls before it.
fn guard(outage: &Outage, due: Timestamp, heartbeat: Duration) -> Option<Timestamp> {
    let Some(to) = outage.to else { return (outage.from <= due).then_some(Timestamp::MAX).filter(|max| due < *max) };
    let listens = heartbeat.saturating_mul(UNKNOWN_AFTER_HEARTBEATS).max(outage.lasted()).min(GUARD_MAX);
    let end = plus(to, listens);
    (outage.from <= due && due < end).then_some(end)
}

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
    plan::{Asset, minus, plus},
    silence::{ANNOUNCED, Deaf, GUARD_MAX, LastWords, TOGETHER, UNKNOWN_AFTER_HEARTBEATS, incident_after, listened},
};

/// Heartbeats of an agent that was heard once.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// One agent. It is heard when something of it is received, whenever that was said.
pub(super) struct Agent {
    id: AgentId,
    host: Option<AssetId>,
    heard: Vec<Timestamp>,
    /// When it lived, as far as it said so, then or later.
    lived: Vec<Timestamp>,
    heartbeat: Duration,
    last_words: Vec<Words>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Words {
    at: Timestamp,
    received: Timestamp,
    what: LastWords,
}

/// One silence.
#[derive(Debug, Clone)]
pub(super) struct Silence {
    /// Whose, or the last one of a site's to be heard.
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
    /// Whether it told afterwards that it had been there all the time.
    pub(super) went_on: bool,
    pub(super) heartbeat: Duration,
}

impl Agent {
    pub(super) fn of(agent: &str, said: &[&Said]) -> Self {
        let sorted = |instants: &mut Vec<Timestamp>| {
            instants.sort();
            instants.dedup();
        };
        let mut heard: Vec<Timestamp> = said.iter().map(|said| said.received).collect();
        let mut lived: Vec<Timestamp> = said.iter().map(|said| said.at).collect();
        sorted(&mut heard);
        sorted(&mut lived);
        let usual = usual_gap(lived.iter().copied());
        let heartbeat = if usual.is_zero() { HEARTBEAT } else { usual };
        let words = said.iter().filter(|said| said.word == EventWord::LastGasp);
        let words = words.map(|said| Words {
            at: said.at,
            received: said.received,
            what: LastWords::of(said.reason.as_deref().unwrap_or_default()),
        });
        let mut last_words: Vec<_> = words.collect();
        last_words.sort_by_key(|words| words.at);
        let host = said.iter().filter_map(|said| said.asset.as_ref()?.parse().ok()).min();
        Self {
            // A name that is no agent's cannot be said by one: it is shown as it can be.
            id: agent.parse().unwrap_or_else(|_| "unnamed".parse().expect("letters are an agent's name")),
            host: host.or_else(|| agent.parse().ok()),
            heard,
            lived,
            heartbeat,
            last_words,
        }
    }

    /// Samples tell of the only agent that can have taken them.
    pub(super) fn hear(&mut self, receipts: Vec<Timestamp>) {
        self.heard.extend(receipts);
        self.heard.sort();
        self.heard.dedup();
    }

    fn was_heard_within(&self, from: Timestamp, to: Timestamp) -> bool {
        let next = self.heard.partition_point(|at| *at <= from);
        self.heard.get(next).is_some_and(|at| *at < to)
    }

    /// Whether it lived on well into a silence.
    fn went_on(&self, since: Timestamp, until: Timestamp) -> bool {
        let unheard = plus(since, self.heartbeat);
        let next = self.lived.partition_point(|at| *at <= unheard);
        self.lived.get(next).is_some_and(|at| *at < until)
    }

    /// Its last words before or in a silence; they may have come later.
    fn words_at(&self, since: Timestamp, back: Option<Timestamp>) -> Option<Words> {
        let back = back.unwrap_or(Timestamp::MAX);
        let own =
            self.last_words.iter().filter(|words| words.received == since || (since <= words.at && words.at < back));
        own.copied().next()
    }

    /// A silence of this agent; `None` when it is none: heard again in time, or its host was switched off as
    /// announced, which is judged by the hours in which the host is expected to run.
    fn silence(
        &self,
        (since, back): (Timestamp, Option<Timestamp>),
        assets: &BTreeMap<AssetId, Asset>,
        outages: &Outages,
        until: Timestamp,
    ) -> Option<Silence> {
        let words = self.words_at(since, back);
        let is_requested = |words: &Words| words.what == LastWords::Requested;
        let wait = incident_after(self.heartbeat);
        let announced = words.filter(is_requested).filter(|words| words.received <= plus(since, wait));
        if announced.is_some() && self.host.as_ref().is_some_and(|host| assets.contains_key(host)) {
            return None;
        }
        let wait = if announced.is_some() { wait.max(ANNOUNCED) } else { wait };
        let due = outages.fair(outages.listened(since, wait), self.heartbeat);
        if due > until || back.is_some_and(|back| back <= due) {
            return None;
        }
        Some(Silence {
            agent: self.id.clone(),
            host: self.host.clone(),
            is_alone: false,
            since,
            expected_by: plus(since, self.heartbeat),
            due,
            back,
            said_power: words.is_some_and(|words| words.what == LastWords::Power),
            went_on: self.went_on(since, back.unwrap_or(until)),
            heartbeat: self.heartbeat,
        })
    }
}

/// The silences of a site that became incidents before `until`: of the whole site, and of single agents while the site
/// was heard. `receipts` are those of its samples, in order.
pub(super) fn silences(
    agents: &[Agent],
    receipts: &[Timestamp],
    assets: &BTreeMap<AssetId, Asset>,
    outages: &Outages,
    until: Timestamp,
) -> Vec<Silence> {
    let mut found = of_site(agents, receipts, assets, outages, until);
    let sites = found.len();
    for agent in agents.iter().filter(|_| agents.len() > 1) {
        for gap in gaps(&agent.heard) {
            let Some(silence) = agent.silence(gap, assets, outages, until) else { continue };
            let unheard = plus(silence.since, agent.heartbeat.saturating_mul(UNKNOWN_AFTER_HEARTBEATS));
            let others = agents.iter().filter(|other| other.id != agent.id);
            let is_alone = others.clone().any(|other| other.was_heard_within(unheard, silence.due));
            let site =
                found[..sites].iter().find(|site| site.due <= plus(silence.due, TOGETHER) && silence.since < site.due);
            let due = match site.filter(|_| !is_alone) {
                None => silence.due,
                // The site is heard again, this one is not: it has its time from then on.
                Some(Silence { back: Some(back), .. }) => {
                    outages.fair(plus(*back, incident_after(agent.heartbeat)), agent.heartbeat)
                }
                Some(Silence { back: None, .. }) => continue,
            };
            if due <= until && silence.back.is_none_or(|back| due < back) {
                found.push(Silence { is_alone: true, due, ..silence });
            }
        }
    }
    found.sort_by(|a, b| (a.due, &a.agent).cmp(&(b.due, &b.agent)));
    found
}

/// While nobody of a site is heard, the site is silent: one incident, until one of them is heard again.
fn of_site(
    agents: &[Agent],
    receipts: &[Timestamp],
    assets: &BTreeMap<AssetId, Asset>,
    outages: &Outages,
    until: Timestamp,
) -> Vec<Silence> {
    let mut heard: Vec<Timestamp> = agents.iter().flat_map(|agent| &agent.heard).chain(receipts).copied().collect();
    heard.sort();
    heard.dedup();
    let last_heard = |at: Timestamp| {
        let latest =
            |agent: &&Agent| agent.heard.partition_point(|heard| *heard <= at).checked_sub(1).map(|n| agent.heard[n]);
        agents
            .iter()
            .filter(|agent| latest(agent).is_some())
            .max_by_key(|agent| (latest(agent), std::cmp::Reverse(&agent.id)))
    };
    let of_gap = |gap: (Timestamp, Option<Timestamp>)| {
        let last = last_heard(gap.0)?;
        let silence = last.silence(gap, assets, outages, until)?;
        let in_gap = |agent: &Agent| {
            agent.words_at(minus(gap.0, TOGETHER), gap.1).is_some_and(|words| words.what == LastWords::Power)
        };
        Some(Silence {
            said_power: silence.said_power || agents.iter().any(in_gap),
            went_on: agents.iter().any(|agent| agent.went_on(gap.0, gap.1.unwrap_or(until))),
            ..silence
        })
    };
    // Short gaps are most of them: no gap under the shortest wait can be a silence.
    let shortest = agents.iter().map(|agent| incident_after(agent.heartbeat)).min().unwrap_or_default();
    gaps(&heard)
        .filter(|(since, back)| back.is_none_or(|back| plus(*since, shortest) < back))
        .filter_map(of_gap)
        .collect()
}

fn gaps(heard: &[Timestamp]) -> impl Iterator<Item = (Timestamp, Option<Timestamp>)> + '_ {
    heard.iter().copied().zip(heard.iter().skip(1).map(|at| Some(*at)).chain([None]))
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
                } else if *word == CollectorWord::Up && ends == CollectorWord::Up {
                    // A start of which nobody saw the stop before: it has its guard.
                    all.push(Outage { from: *at, to: Some(*at), told: *at, how: begins });
                }
            }
            all.extend(open.map(|from| Outage { from, to: None, told: told(begins, from, None, until), how: begins }));
        }
        all.sort_by_key(|outage| outage.from);
        Self(all)
    }

    /// When the collector had listened for so long.
    fn listened(&self, since: Timestamp, long: Duration) -> Timestamp {
        let deaf: Vec<_> = self.0.iter().map(|outage| Deaf { from: outage.from, until: outage.to }).collect();
        listened(since, long, &deaf)
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

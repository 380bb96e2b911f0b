//! `net.path`: one look at the whole way out of the site, from this host's port to the collector, and at which step it
//! ends.
//!
//! Every step is asked at once, within the run's time. What is asked is little: an echo each of the gateway, of two
//! neighbours that other checks of this agent reach anyway, and towards the first router beyond the gateway; one
//! question to the resolver; a TCP connection to each anchor and to the collector. A step that never answered is
//! unknown when it is silent: many routers take no echoes.
//!
//! While the way ends somewhere, a failure of a check whose target lies behind that step is unknown (path), see
//! [`hold`]: the check is made all the same, and what answers is good.

mod hold;
mod judge;
mod resolver;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use upheld_model::{Culprit, Outcome, UnknownReason, address::Place, check::PathSpec};

use crate::{
    ProbeResult,
    allow::Reach,
    deadline::Deadline,
    icmp::{Beyond, Echo, Echoes, beyond},
    link, surroundings,
    target::Targets,
    tcp,
};
pub(crate) use hold::REACHED;
use hold::Standing;
use judge::{Answer, Seen, Verdict, verdict};
use resolver::{Resolved, ask};
use words::{Names, sentence};

/// So many devices of the local network are asked beside the gateway.
const NEIGHBOURS_MAX: usize = 2;
/// So many resolvers are asked; one that answers is enough.
const RESOLVERS_MAX: usize = 2;
/// So many addresses are remembered that answered.
const ANSWERED_MAX: usize = 64;

/// What is known of the way out from before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PathMemory {
    /// The port and the gateway of the default route: both are gone with the link on many hosts.
    interface: Option<String>,
    gateway: Option<IpAddr>,
    /// The router that was first beyond the gateway.
    hop: Option<IpAddr>,
    /// What has answered an echo: its silence says something.
    answered: BTreeSet<IpAddr>,
}

/// The checks of the way out.
#[derive(Default)]
pub(crate) struct Paths {
    memory: Mutex<PathMemory>,
    /// Where the way ends at present.
    standing: Mutex<Option<Standing>>,
    /// What checks have reached, and when.
    lately: Mutex<BTreeMap<IpAddr, Instant>>,
}

impl Paths {
    pub(crate) async fn run(
        &self,
        targets: &Targets,
        echoes: &Echoes,
        path: &PathSpec,
        good_for: Duration,
        deadline: Deadline,
    ) -> ProbeResult {
        let way = self.way(targets);
        let steps = match way.interface.as_deref().and_then(link::has_carrier) {
            // Nothing needs to be waited for: other checks are about to be confirmed.
            Some(false) => Steps::default(),
            Some(true) | None => self.ask(targets, echoes, path, &way, deadline).await,
        };
        let (seen, names) = self.weigh(&way, &steps);
        let verdict = verdict(&seen);
        *lock(&self.standing) = match verdict {
            Verdict::Ends(culprit) => Standing::new(culprit, &way, sentence(verdict, &seen, &names), good_for),
            Verdict::Ok | Verdict::Partly | Verdict::Unknown => None,
        };
        let outcome = match verdict {
            // A collector that is away is not a fault of this site's way out.
            Verdict::Ok | Verdict::Ends(Culprit::Collector) => Outcome::Ok,
            Verdict::Partly => Outcome::Warn,
            Verdict::Ends(_) => Outcome::Bad,
            Verdict::Unknown => Outcome::unknown(UnknownReason::Local),
        };
        let result = ProbeResult::new(outcome).value("verdict", verdict.word());
        steps.measured(result).evidence(sentence(verdict, &seen, &names))
    }

    /// What is to outlive this process.
    pub(crate) fn memory(&self) -> PathMemory {
        lock(&self.memory).clone()
    }

    /// Goes on with what outlived the last one.
    pub(crate) fn recall(&self, memory: PathMemory) {
        *lock(&self.memory) = memory;
    }

    /// The default route, or the last one that there was.
    fn way(&self, targets: &Targets) -> Way {
        let mut memory = lock(&self.memory);
        let gateway = targets.surroundings().gateways.first().copied();
        let interface = surroundings::default_interface();
        if gateway.is_some() && gateway != memory.gateway {
            memory.hop = None;
        }
        memory.interface = interface.or(memory.interface.take());
        memory.gateway = gateway.or(memory.gateway);
        Way { interface: memory.interface.clone(), gateway: memory.gateway, has_route: gateway.is_some() }
    }

    async fn ask(&self, targets: &Targets, echoes: &Echoes, path: &PathSpec, way: &Way, deadline: Deadline) -> Steps {
        let around = targets.surroundings();
        let collector = around.collector.iter().find(|known| Place::of(known.ip()) != Place::Loopback).copied();
        let neighbours = self.neighbours(way);
        let echo = async |address: Option<IpAddr>| match address {
            Some(address) => echo_of(targets, echoes, address, deadline).await,
            None => Step::not_asked(None),
        };
        let anchors = async {
            let (first, second) = (path.anchors.first(), path.anchors.get(1));
            let connect = async |anchor: Option<&String>| match anchor {
                Some(anchor) => Some(connect(targets, anchor, deadline).await),
                None => None,
            };
            let (first, second) = tokio::join!(connect(first), connect(second));
            first.into_iter().chain(second).collect()
        };
        let resolver = resolve(targets, &around.resolvers, deadline);
        let to_collector = async {
            match collector.filter(|_| targets.is_collector_direct()) {
                Some(at) => connect(targets, &at.to_string(), deadline).await,
                None => Step::not_asked(None),
            }
        };
        let hop = self.hop(targets, echoes, path, way, collector.map(|at| at.ip()), deadline);
        let (gateway, first, second, hop, resolver, anchors, to_collector) = tokio::join!(
            echo(way.gateway),
            echo(neighbours.first().copied()),
            echo(neighbours.get(1).copied()),
            hop,
            resolver,
            anchors,
            to_collector
        );
        Steps {
            is_collector_beyond: collector.is_some_and(|at| way.leads_to(at.ip())),
            neighbours: [first, second].into_iter().filter(|step| !step.name.is_empty()).collect(),
            gateway,
            hop,
            resolver,
            anchors,
            collector: to_collector,
        }
    }

    /// The first router beyond the gateway: named, or found on the way to something far away.
    async fn hop(
        &self,
        targets: &Targets,
        echoes: &Echoes,
        path: &PathSpec,
        way: &Way,
        collector: Option<IpAddr>,
        deadline: Deadline,
    ) -> Step {
        if let Some(Ok(named)) = path.hop.as_ref().map(|hop| hop.parse()) {
            return echo_of(targets, echoes, named, deadline).await;
        }
        let anchors = path.anchors.iter().filter_map(|anchor| PathSpec::anchor(anchor)?.0.parse().ok());
        let far = anchors.chain(collector).find(|address| way.leads_to(*address));
        let Some(far) = far.filter(|far| targets.permits(&far.to_string(), *far, Reach::Echo).is_ok()) else {
            return Step::not_asked(None);
        };
        let known = lock(&self.memory).hop;
        let name = known.map_or_else(|| "that is two hops away".to_owned(), |hop| hop.to_string());
        match beyond(far, deadline).await {
            Beyond::Answers { by, rtt } if Some(by) != way.gateway => {
                lock(&self.memory).hop = Some(by);
                Step { name: by.to_string(), address: Some(by), is_heard: Some(true), took: Some(rtt), why_not: None }
            }
            Beyond::Answers { .. } | Beyond::Refused { .. } | Beyond::Silent => {
                Step { name, address: known, is_heard: Some(false), took: None, why_not: None }
            }
            Beyond::NotAsked => Step::not_asked(None),
        }
    }

    /// Devices of the local network that checks of this agent reached last.
    fn neighbours(&self, way: &Way) -> Vec<IpAddr> {
        let mut known: Vec<(IpAddr, Instant)> = lock(&self.lately).iter().map(|(ip, at)| (*ip, *at)).collect();
        known.sort_by_key(|(_, at)| std::cmp::Reverse(*at));
        let answered = lock(&self.memory).answered.clone();
        // Those that take echoes first.
        known.sort_by_key(|(address, _)| !answered.contains(address));
        let is_near = |address: &IpAddr| Some(*address) != way.gateway && way.is_on_link(*address);
        known.into_iter().map(|(address, _)| address).filter(is_near).take(NEIGHBOURS_MAX).collect()
    }

    /// What the steps say, in the light of what answered before.
    fn weigh(&self, way: &Way, steps: &Steps) -> (Seen, Names) {
        let mut memory = lock(&self.memory);
        let heard =
            [&steps.gateway, &steps.hop].into_iter().chain(&steps.neighbours).filter(|s| s.is_heard == Some(true));
        memory.answered.extend(heard.filter_map(|step| step.address));
        while memory.answered.len() > ANSWERED_MAX {
            memory.answered.pop_first();
        }
        let by_echo = |step: &Step| match (step.is_heard, step.address) {
            (Some(true), _) => Answer::Yes,
            (Some(false), Some(address)) if memory.answered.contains(&address) => Answer::No,
            (Some(false) | None, _) => Answer::Unknown,
        };
        let asked =
            |step: &Step| step.is_heard.map_or(Answer::Unknown, |yes| if yes { Answer::Yes } else { Answer::No });
        let neighbours: Vec<Answer> = steps.neighbours.iter().map(by_echo).collect();
        let lan = [Answer::Yes, Answer::No].into_iter().find(|answer| neighbours.contains(answer));
        let lan = lan.unwrap_or(Answer::Unknown);
        let told = steps.neighbours.iter().zip(&neighbours).filter(|(_, answer)| **answer == lan);
        let seen = Seen {
            link: way.interface.as_deref().and_then(link::has_carrier).map_or(Answer::Unknown, yes_or_no),
            neighbour: way.neighbour().map_or(Answer::Unknown, yes_or_no),
            lan,
            // Without a default route nobody knows that the old one is meant.
            gateway: if way.has_route { by_echo(&steps.gateway) } else { Answer::Unknown },
            hop: by_echo(&steps.hop),
            resolver: asked(&steps.resolver),
            anchors: steps.anchors.iter().map(asked).collect(),
            collector: asked(&steps.collector),
            is_collector_beyond: steps.is_collector_beyond,
        };
        let names = Names {
            interface: way.interface.clone().unwrap_or_else(|| "this host's port".to_owned()),
            gateway: if way.has_route { steps.gateway.name.clone() } else { String::new() },
            lan: told.map(|(step, _)| step.name.clone()).collect(),
            hop: steps.hop.name.clone(),
            resolver: steps.resolver.name.clone(),
            anchors: steps.anchors.iter().map(|step| step.name.clone()).collect(),
            collector: steps.collector.name.clone(),
            not_asked: steps.all().filter_map(|step| step.why_not.clone()).collect(),
        };
        (seen, names)
    }
}

fn yes_or_no(is_so: bool) -> Answer {
    if is_so { Answer::Yes } else { Answer::No }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The default route.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    interface: Option<String>,
    gateway: Option<IpAddr>,
    /// Whether it is there at present.
    has_route: bool,
}

impl Way {
    /// Whether the address is reached over the gateway.
    fn leads_to(&self, address: IpAddr) -> bool {
        let hop = surroundings::way_to(address);
        hop.is_some_and(|hop| hop.gateway.is_some() && hop.gateway == self.gateway)
    }

    /// Whether the address is in the network of the gateway's port.
    fn is_on_link(&self, address: IpAddr) -> bool {
        let hop = surroundings::way_to(address);
        hop.is_some_and(|hop| hop.gateway.is_none() && Some(&hop.interface) == self.interface.as_ref())
    }

    /// Whether the gateway's hardware address is known.
    fn neighbour(&self) -> Option<bool> {
        surroundings::has_neighbour(self.gateway?, self.interface.as_deref()?)
    }
}

/// What one step came to.
#[derive(Debug, Clone, Default, PartialEq)]
struct Step {
    /// What it is called; empty where there is none.
    name: String,
    address: Option<IpAddr>,
    /// `None` where it was not asked.
    is_heard: Option<bool>,
    took: Option<Duration>,
    /// Why it was not asked, where somebody may want to know.
    why_not: Option<String>,
}

impl Step {
    fn not_asked(why_not: Option<String>) -> Self {
        Self { why_not, ..Self::default() }
    }
}

/// All steps.
#[derive(Debug, Default)]
struct Steps {
    is_collector_beyond: bool,
    gateway: Step,
    neighbours: Vec<Step>,
    hop: Step,
    resolver: Step,
    anchors: Vec<Step>,
    collector: Step,
}

impl Steps {
    fn all(&self) -> impl Iterator<Item = &Step> {
        [&self.gateway, &self.hop, &self.resolver].into_iter().chain(&self.anchors).chain([&self.collector])
    }

    /// Times, and how many anchors answer.
    fn measured(&self, mut result: ProbeResult) -> ProbeResult {
        let named = [
            ("gateway_ms", &self.gateway),
            ("hop_ms", &self.hop),
            ("resolver_ms", &self.resolver),
            ("collector_ms", &self.collector),
        ];
        for (name, took) in named.into_iter().filter_map(|(name, step)| Some((name, step.took?))) {
            result = result.millis(name, took);
        }
        // What is far away tells of the line: judged by the hour of the day like any round-trip time.
        if let Some(took) = [&self.hop].into_iter().chain(&self.anchors).find_map(|step| step.took) {
            result = result.millis("rtt_ms", took);
        }
        if !self.anchors.is_empty() {
            let heard = self.anchors.iter().filter(|anchor| anchor.is_heard == Some(true)).count();
            result = result.value("anchors_ok", heard as f64);
        }
        result
    }
}

async fn echo_of(targets: &Targets, echoes: &Echoes, address: IpAddr, deadline: Deadline) -> Step {
    let name = address.to_string();
    let step = Step { name: name.clone(), address: Some(address), ..Step::default() };
    if let Err(refusal) = targets.permits(&name, address, Reach::Echo) {
        return Step { why_not: Some(format!("{name} is not allowed: {refusal}")), ..step };
    }
    match echoes.echo(address, deadline).await {
        Echo::Reply { rtt } => Step { is_heard: Some(true), took: Some(rtt), ..step },
        Echo::Silent { .. } | Echo::Refused { .. } => Step { is_heard: Some(false), ..step },
        Echo::Failed(result) if result.outcome == Outcome::Bad => Step { is_heard: Some(false), ..step },
        Echo::Failed(result) => Step { why_not: result.evidence.map(|why| why.to_string()), ..step },
        Echo::NoRight => {
            let why = format!("{name}: the agent may not open an ICMP socket (CAP_NET_RAW)");
            Step { why_not: Some(why), ..step }
        }
    }
}

/// Connects to `host:port`. Who refuses has not answered.
async fn connect(targets: &Targets, to: &str, deadline: Deadline) -> Step {
    let step = Step { name: to.to_owned(), ..Step::default() };
    let Some((host, port)) = PathSpec::anchor(to) else { return step };
    let addresses = match targets.addresses(host, Reach::Connect(port), deadline).await {
        Ok(addresses) => addresses,
        Err(result) => return Step { why_not: result.evidence.map(|why| why.to_string()), ..step },
    };
    match tcp::connect(&addresses, port, deadline).await {
        Ok(connected) => Step { is_heard: Some(true), took: Some(connected.took), ..step },
        Err(result) if result.outcome == Outcome::Bad => Step { is_heard: Some(false), ..step },
        Err(result) => Step { why_not: result.evidence.map(|why| why.to_string()), ..step },
    }
}

/// Asks the resolvers; the first that answers is the step.
async fn resolve(targets: &Targets, resolvers: &[IpAddr], deadline: Deadline) -> Step {
    let (mut asked, mut tasks) = (Vec::new(), JoinSet::new());
    let mut why_not = None;
    for resolver in resolvers.iter().copied().take(RESOLVERS_MAX) {
        match targets.permits(&resolver.to_string(), resolver, Reach::Connect(53)) {
            Ok(()) => {
                asked.push(resolver.to_string());
                tasks.spawn(async move { (resolver, ask(resolver, deadline).await) });
            }
            Err(refusal) => why_not = Some(format!("the resolver {resolver} is not allowed: {refusal}")),
        }
    }
    let mut is_heard = None;
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok((by, Resolved::Answers { took })) => {
                return Step { name: by.to_string(), is_heard: Some(true), took: Some(took), ..Step::default() };
            }
            Ok((_, Resolved::Fails)) => is_heard = Some(false),
            Ok((_, Resolved::NotAsked(why))) => why_not = Some(why),
            // A task that panicked says nothing of its resolver.
            Err(_) => {}
        }
    }
    Step { name: asked.join(" and "), is_heard, why_not: why_not.filter(|_| is_heard.is_none()), ..Step::default() }
}

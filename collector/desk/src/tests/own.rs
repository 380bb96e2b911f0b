//! The collector watches itself: what is its own fault is nobody's silence (S6 of DETECTION, in virtual time).

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use upheld_agreement::{account::Stretch, availability::UnknownWhy};
use upheld_detection::own::{Reading, Trouble};
use upheld_model::{AgentEvent, Cause, IncidentKind, Mono};
use upheld_store::StoreError;

use super::world::{Agent, Receiver, World, at, book};
use crate::{
    Command, Given, IncidentView, Scope,
    deliverer::Boxed,
    tasks::{Outside, Report},
};

/// The world outside: whether anchors answer and heartbeats are taken.
#[derive(Default)]
struct Sky {
    is_dark: AtomicBool,
    beats: Mutex<u32>,
}

impl Outside for Sky {
    fn ask<'a>(&'a self, _: &'a str) -> Boxed<'a, Result<bool, String>> {
        Box::pin(std::future::ready(Ok(!self.is_dark.load(Ordering::SeqCst))))
    }

    fn beat<'a>(&'a self, _: &'a str) -> Boxed<'a, Result<(), String>> {
        *self.beats.lock().unwrap() += 1;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A collector whose tasks run every five seconds, with one agent of each of two clients.
struct Life {
    world: World,
    agents: Vec<Agent>,
    sky: Arc<Sky>,
    /// The monotonic clock, in seconds.
    mono: u64,
}

impl Life {
    async fn new() -> Self {
        Self::beside(&[]).await
    }

    /// The same beside clients that have a site and no agent.
    async fn beside(others: &[&str]) -> Self {
        let mut files = book();
        let provider = files.get_mut("provider.toml").unwrap();
        let anchors =
            "anchors = [\"192.0.2.53:53\", \"198.51.100.7:443\"]\nheartbeat = { url = \"https://beat.example/x\" }\n";
        *provider = provider.replace("\n\n[channels", &format!("\n{anchors}\n[channels"));
        for client in ["third"].iter().chain(others) {
            files.insert(format!("clients/{client}/client.toml"), "name = \"Third\"\n".into());
            let site = files["clients/other/sites/north.toml"].clone();
            files.insert(format!("clients/{client}/sites/north.toml"), site);
        }
        let world = World::with(files).await;
        let mut agents = Vec::new();
        for client in ["acme", "other", "third"] {
            let mut agent = world.agent(client, "north").await;
            world.take(&mut agent, Vec::new()).await;
            agents.push(agent);
        }
        Self { world, agents, sky: Arc::default(), mono: 1_000 }
    }

    /// Lets the tasks run until then; the agents that are heard send a heartbeat every ten seconds.
    async fn until(&mut self, until: Timestamp, is_heard: impl Fn(usize) -> bool) {
        let mut n = 0;
        while self.world.now < until {
            self.world.pass(5);
            self.mono += 5;
            n += 1;
            self.tick(n % 2 == 0, &is_heard).await;
        }
    }

    async fn tick(&mut self, is_beat: bool, is_heard: &impl Fn(usize) -> bool) {
        let now = self.world.now;
        let desk = self.world.desk.clone();
        let outside: Arc<dyn Outside> = self.sky.clone();
        desk.observe(Reading { wall: now, mono: Mono(self.mono * 1_000_000_000) });
        for (n, agent) in self.agents.iter_mut().enumerate() {
            if is_beat && is_heard(n) {
                self.world.take(agent, Vec::new()).await;
            }
        }
        // The worst order: who judges comes before who finds out.
        let ran = [
            desk.silence_once(now).await,
            desk.clocks_once(now).await,
            desk.line_once(&outside, now).await,
            desk.own_once(now).await,
            desk.alive_once(now).await,
        ];
        for ran in ran {
            assert_eq!(ran.unwrap().failures, Vec::<String>::new());
        }
    }

    /// Incidents of clients, oldest first.
    async fn told(&self) -> Vec<IncidentView> {
        let mut all = self.world.all().await;
        all.retain(|incident| incident.incident.client.as_str() != "collector");
        all.reverse();
        all
    }

    async fn messages(&self) -> Vec<(String, String, bool)> {
        let receiver = Receiver::new();
        self.world.send(&receiver).await;
        let bodies = receiver.bodies.lock().unwrap().clone();
        let told = bodies.iter().map(|body| (body["data"]["title"].to_string(), body["data"]["page"] == true));
        receiver.events().into_iter().zip(told).map(|(event, (title, page))| (event, title, page)).collect()
    }

    fn later(&self, seconds: i64) -> Timestamp {
        self.world.now + SignedDuration::from_secs(seconds)
    }
}

#[tokio::test]
async fn our_own_line_out_is_our_own_incident_and_who_went_meanwhile_is_told_after_the_guard() {
    let mut life = Life::new().await;
    life.until(life.later(60), |_| true).await;
    let out = life.world.now;
    life.sky.is_dark.store(true, Ordering::SeqCst);
    life.until(life.later(600), |_| false).await;
    assert_eq!(life.told().await.len(), 0, "nobody is called silent while our line is out");
    let own = life.world.view("collector/INC-1").await;
    assert_eq!((own.kind, own.cause.cause, own.restored_at), (IncidentKind::Down, Cause::Collector, None));
    assert!(own.title.contains("its own line is out"), "{}", own.title);
    assert!(out.duration_until(own.received_at) <= SignedDuration::from_secs(60), "{}", own.received_at);
    assert_eq!(own.clocks, []);
    let messages = life.messages().await;
    assert_eq!(
        messages.iter().map(|(event, _, page)| (event.as_str(), *page)).collect::<Vec<_>>(),
        [("incident.opened", true)]
    );
    let queue = |scope: Scope| {
        let (desk, now) = (life.world.desk.clone(), life.world.now);
        async move { desk.queue(&scope, now).await.unwrap().rows.len() }
    };
    assert_eq!(queue(Scope::Provider).await, 1);
    assert_eq!(queue(Scope::Client("acme".parse().unwrap())).await, 0, "a client never sees it");
    assert_eq!(life.world.desk.health().await.unwrap().own.troubles, [Trouble::Line]);

    life.sky.is_dark.store(false, Ordering::SeqCst);
    let back = life.world.now;
    // The first client's agent was killed meanwhile.
    life.until(life.later(590), |n| n != 0).await;
    assert_eq!(life.told().await.len(), 0, "the guard lasts as long as the line was out");
    life.until(life.later(60), |n| n != 0).await;
    let told = life.told().await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!((told[0].incident.client.as_str(), told[0].kind), ("acme", IncidentKind::Silent));
    let late = back.duration_until(told[0].received_at).as_secs();
    assert!((590..=660).contains(&late), "{late}");
    assert_eq!(life.world.view("collector/INC-1").await.state, "watching");
    assert!(life.world.desk.health().await.unwrap().own.troubles.is_empty());
}

#[tokio::test]
async fn what_nobody_could_hear_is_unknown_by_the_collector() {
    let mut life = Life::new().await;
    life.until(life.later(60), |_| true).await;
    let out = life.world.now;
    life.sky.is_dark.store(true, Ordering::SeqCst);
    life.until(life.later(300), |_| false).await;
    life.sky.is_dark.store(false, Ordering::SeqCst);
    life.until(life.later(120), |_| true).await;
    let period = Stretch { from: out, to: life.world.now };
    let (desk, now) = (life.world.desk.clone(), life.world.now);
    let assets = desk.uptime(&Scope::Provider, &"other".parse().unwrap(), None, period, now).await.unwrap();
    let sums = assets[0].timeline.sums(period.from, period.to);
    let unknown = sums.unknown[&UnknownWhy::Collector];
    assert!((290..=330).contains(&unknown), "{unknown} {:?}", assets[0].timeline);
}

#[tokio::test]
async fn a_line_that_is_out_over_a_restart_stays_out_until_an_anchor_answers() {
    let mut life = Life::new().await;
    life.sky.is_dark.store(true, Ordering::SeqCst);
    life.until(life.later(120), |_| false).await;
    let Life { world, agents, sky, mono } = life;
    let world = world.restarted();
    world.desk.start_run(world.now).await.unwrap();
    let mut life = Life { world, agents, sky, mono: mono / 100 };
    life.until(life.later(900), |_| false).await;
    assert_eq!(life.told().await.len(), 0);
    life.sky.is_dark.store(false, Ordering::SeqCst);
    life.until(life.later(120), |_| true).await;
    assert_eq!(life.told().await.len(), 0);
    let own = life.world.view("collector/INC-1").await;
    assert!(own.restored_at.is_some());
    assert_eq!(life.world.all().await.len(), 1);
}

#[tokio::test]
async fn a_clock_that_jumps_calls_nobody_silent_and_breaches_nothing() {
    let mut life = Life::new().await;
    life.until(life.later(60), |_| true).await;
    let record = {
        let finding = life.agents[0].finding(life.world.now);
        life.agents[0].record(vec![AgentEvent::FindingOpened { finding }])
    };
    life.world.take(&mut life.agents[0], vec![record]).await;
    let before = life.messages().await.len();
    // Two hours ahead: a respond clock of one hour would be broken, and every agent silent for two hours.
    life.world.pass(7_200);
    life.until(life.later(120), |_| false).await;
    let told = life.told().await;
    assert_eq!(told.len(), 1, "{told:#?}");
    // Somebody looks at the incident meanwhile; that announces nothing either.
    let (desk, now) = (life.world.desk.clone(), life.world.now);
    let note = Given { note: Some("looking".into()), ..Given::now(Command::Note) };
    desk.give(&Scope::Provider, &told[0].incident, note, &super::world::ana(), now).await.unwrap();
    let messages = life.messages().await;
    let new: Vec<_> = messages.iter().skip(before).collect();
    assert!(messages.iter().all(|(event, _, _)| !event.starts_with("clock.")), "{new:?}");
    let own = life.world.view("collector/INC-1").await;
    assert!(own.title.contains("its clock is in doubt"), "{}", own.title);
    // It is set back.
    life.world.pass(-7_200);
    life.until(life.later(300), |_| true).await;
    assert!(life.world.desk.health().await.unwrap().own.troubles.is_empty());
    assert_eq!(life.told().await.len(), 1);
    // From now on it is believed: who goes is told, and the clock runs out as promised.
    life.until(life.later(420), |n| n != 1).await;
    let told = life.told().await;
    assert_eq!(told.iter().filter(|one| one.kind == IncidentKind::Silent).count(), 1, "{told:#?}");
    life.until(life.later(3_000), |n| n != 1).await;
    assert!(life.messages().await.iter().any(|(event, _, _)| event == "clock.breached"));
}

#[tokio::test]
async fn a_clock_that_was_wrong_is_believed_when_the_agents_agree() {
    let mut life = Life::new().await;
    life.until(life.later(60), |_| true).await;
    life.world.pass(3_600);
    life.until(life.later(30), |_| true).await;
    assert!(life.world.desk.health().await.unwrap().own.troubles.is_empty(), "three agents say the same time");
    assert!(life.world.view("collector/INC-1").await.restored_at.is_some());
    life.until(life.later(900), |_| true).await;
    assert_eq!(life.told().await.len(), 0);
}

/// What was made of facts by a wrong clock may not hold by the right one: some of them lie ahead again.
#[tokio::test]
async fn every_site_is_judged_again_when_a_clock_is_believed() {
    let mut life = Life::beside(&["quiet"]).await;
    let due = async |life: &Life| {
        let now = life.world.now;
        let due =
            life.world.desk.store().read::<_, StoreError, _>("due", move |tx| tx.sites_due(now, 10)).await.unwrap();
        due.into_iter().map(|(client, _)| client.to_string()).collect::<BTreeSet<_>>()
    };
    life.until(life.later(60), |_| true).await;
    life.world.desk.watch_once(life.world.now).await.unwrap();
    assert_eq!(due(&life).await, BTreeSet::new());
    life.world.pass(3_600);
    life.until(life.later(30), |_| true).await;
    assert!(life.world.desk.health().await.unwrap().own.troubles.is_empty());
    assert_eq!(due(&life).await, ["acme", "other", "quiet", "third"].map(str::to_owned).into());
}

#[tokio::test]
async fn a_collector_that_starts_by_a_clock_an_hour_back_judges_nothing_by_it() {
    let mut life = Life::new().await;
    life.world.desk.start_run(life.world.now).await.unwrap();
    life.until(life.later(60), |_| true).await;
    let Life { world, mut agents, sky, mono } = life;
    let mut world = world.restarted();
    world.pass(60 - 3_600);
    world.desk.start_run(world.now).await.unwrap();
    assert!(world.desk.is_clock_in_doubt(), "it was alive later than that");
    // The agents' clocks are right; they are heard before any task has turned.
    agents.iter_mut().for_each(|agent| agent.slow_by = SignedDuration::from_hours(-1));
    let finding = agents[0].finding(world.now);
    let (seen, record) = (finding.confirmed_at.0, agents[0].record(vec![AgentEvent::FindingOpened { finding }]));
    world.take(&mut agents[0], vec![record]).await;
    let opened = world.view("acme/INC-1").await;
    assert!(seen.duration_since(opened.detected_at).abs() < SignedDuration::from_secs(90), "{}", opened.detected_at);
    let mut life = Life { world, agents, sky, mono: mono / 100 };
    life.until(life.later(60), |_| false).await;
    assert!(life.world.view("collector/INC-1").await.title.contains("its clock is in doubt"));
    // It is set right, and the agents say so.
    life.world.pass(3_600);
    life.agents.iter_mut().for_each(|agent| agent.slow_by = SignedDuration::ZERO);
    life.until(life.later(60), |_| true).await;
    assert!(life.world.desk.health().await.unwrap().own.troubles.is_empty());
    assert!(life.world.view("collector/INC-1").await.restored_at.is_some());
    let again = life.world.restarted();
    again.desk.start_run(again.now).await.unwrap();
    assert!(!again.desk.is_clock_in_doubt());
}

#[tokio::test]
async fn a_collector_that_is_started_again_while_its_clock_is_off_knows_by_how_much() {
    for by in [-3_600, 3_600, 315_576_000] {
        let mut life = Life::new().await;
        life.until(life.later(60), |_| true).await;
        life.world.pass(by / 2);
        life.until(life.later(10), |_| false).await;
        life.world.pass(by / 2);
        life.until(life.later(10), |_| false).await;
        let Life { world, mut agents, sky, mono } = life;
        let mut world = world.restarted();
        world.pass(60);
        world.desk.start_run(world.now).await.unwrap();
        // The agents' clocks are right.
        agents.iter_mut().for_each(|agent| agent.slow_by = SignedDuration::from_secs(by));
        let finding = agents[0].finding(world.now);
        let (seen, record) = (finding.confirmed_at.0, agents[0].record(vec![AgentEvent::FindingOpened { finding }]));
        world.take(&mut agents[0], vec![record]).await;
        assert_eq!(world.view("acme/INC-1").await.detected_at, seen, "off by {by} s");
        let mut life = Life { world, agents, sky, mono: mono / 100 };
        life.until(life.later(10), |_| false).await;
        life.world.pass(-by);
        life.until(life.later(10), |_| false).await;
        assert!(life.world.desk.health().await.unwrap().own.troubles.is_empty(), "it is as it was before it was set");
    }
}

#[tokio::test]
async fn a_collector_that_starts_by_the_right_clock_after_one_that_ran_ahead_is_in_doubt_once() {
    let mut life = Life::new().await;
    life.world.desk.start_run(life.later(315_576_000)).await.unwrap();
    for is_first in [true, false] {
        let Life { world, agents, sky, mono } = life;
        let world = world.restarted();
        world.desk.start_run(world.now).await.unwrap();
        assert_eq!(world.desk.is_clock_in_doubt(), is_first);
        life = Life { world, agents, sky, mono };
        life.until(life.later(60), |_| true).await;
        assert!(!life.world.desk.is_clock_in_doubt(), "the agents agree with it");
    }
}

#[tokio::test]
async fn what_comes_while_the_clock_is_in_doubt_is_dated_as_if_it_had_not_jumped() {
    for by in [3_600, -3_600, 315_576_000, -315_576_000] {
        let mut life = Life::new().await;
        life.until(life.later(60), |_| true).await;
        life.world.pass(by);
        life.agents.iter_mut().for_each(|agent| agent.slow_by = SignedDuration::from_secs(by));
        life.until(life.later(10), |_| false).await;
        assert!(life.world.desk.is_clock_in_doubt());
        let truth = life.world.now - SignedDuration::from_secs(by);
        let finding = life.agents[0].finding(life.world.now);
        let record = life.agents[0].record(vec![AgentEvent::FindingOpened { finding }]);
        life.world.take(&mut life.agents[0], vec![record]).await;
        let opened = life.world.view("acme/INC-1").await;
        assert_eq!(opened.detected_at, truth - SignedDuration::from_secs(2), "by {by} s");
        assert_eq!(opened.received_at, truth, "by {by} s");
    }
}

#[tokio::test]
async fn a_door_that_refuses_is_our_own_outage() {
    let mut life = Life::new().await;
    life.until(life.later(60), |_| true).await;
    for _ in 0..40 {
        for agent in &life.agents {
            life.world.desk.refused_upload(&agent.peer.agent, life.world.now);
        }
        life.until(life.later(10), |_| false).await;
    }
    assert_eq!(life.told().await.len(), 0, "who was refused is not silent");
    let own = life.world.view("collector/INC-1").await;
    assert!(own.title.contains("refuses"), "{}", own.title);
    life.until(life.later(30), |n| n != 0).await;
    assert!(life.world.view("collector/INC-1").await.restored_at.is_none(), "one is not taken yet");
    life.until(life.later(120), |n| n != 0).await;
    assert!(life.world.view("collector/INC-1").await.restored_at.is_some(), "it went away");
    life.until(life.later(700), |n| n != 0).await;
    let told = life.told().await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0].incident.client.as_str(), "acme");
}

#[tokio::test]
async fn the_heartbeat_stops_when_a_task_is_stuck() {
    let life = Life::new().await;
    let Life { mut world, sky, .. } = life;
    let outside: Arc<dyn Outside> = sky.clone();
    let desk = world.desk.clone();
    let mut minute = async |stuck: &[&str]| {
        for _ in 0..12 {
            world.pass(5);
            for task in ["alive", "seen", "clocks", "watch", "silence", "own", "deliverer"] {
                if !stuck.contains(&task) {
                    desk.note_run(task, &Ok(Report { task, ..Report::default() }), world.now);
                }
            }
            desk.beat_once(&outside, world.now).await.unwrap();
        }
        let beats = *sky.beats.lock().unwrap();
        (beats, desk.own_health().beat.failure)
    };
    assert_eq!(minute(&[]).await, (1, None));
    assert_eq!(minute(&[]).await, (2, None));
    minute(&["clocks"]).await;
    minute(&["clocks"]).await;
    let (before, _) = minute(&["clocks"]).await;
    let (after, why) = minute(&["clocks"]).await;
    assert_eq!(before, after, "a stuck clock driver holds the switch back");
    assert_eq!(why.as_deref(), Some("held back: clocks did no work for too long"));
    assert_eq!(minute(&[]).await, (after + 1, None));
}

#[tokio::test]
async fn no_client_may_be_called_as_the_collector_is() {
    let mut files = book();
    files.insert("clients/collector/client.toml".into(), "name = \"Collectors Ltd\"\n".into());
    let world = World::new().await;
    let refused = world.desk.apply_book(files, &super::world::ana(), at(super::world::START)).await;
    assert!(format!("{:?}", refused.unwrap_err()).contains("the collector itself"));
}

//! Agents and sites that are not heard any more: S6 of DETECTION, live and in virtual time.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use upheld_model::{AgentEvent, Cause, DeviceText, IncidentKind};

use super::world::{Agent, Receiver, World, at, book};
use crate::{IncidentView, Scope};

/// S6: providers of 1, 3 and 10 sites, one of them out.
#[tokio::test]
async fn one_site_out_is_one_incident_and_one_page_about_it_alone() {
    for sites in [1, 3, 10] {
        let mut town = Town::new(sites).await;
        let out = town.world.now;
        let told = town.live_until(out + SignedDuration::from_secs(900), |site, _| site != 0).await;
        assert_eq!(told.len(), 1, "{sites} sites: {told:#?}");
        let late = out.duration_until(told[0].received_at).as_secs();
        assert!((270..=360).contains(&late), "{late} s after the last heartbeat");
        assert_eq!((told[0].title.as_str(), told[0].restored_at), ("north: silent since 10:00", None));
        assert_eq!(told[0].kind, IncidentKind::Silent);
        assert_eq!(town.messages().await, [("incident.opened".to_owned(), true)]);
    }
}

/// S6: six sites of four clients within a minute.
#[tokio::test]
async fn a_town_out_is_an_incident_and_a_ticket_each_and_one_message() {
    for sites in [3, 10] {
        let mut town = Town::new(sites).await;
        let out = town.world.now;
        let hit = sites.min(6);
        let dark = |site: usize, now: Timestamp| {
            let begins = out + SignedDuration::from_secs(10 * i64::try_from(site).unwrap());
            hit <= site || now < begins || out + SignedDuration::from_secs(1_800) <= now
        };
        let told = town.live_until(out + SignedDuration::from_secs(900), dark).await;
        assert_eq!(told.len(), hit, "{told:#?}");
        let clients =
            told.iter().map(|incident| incident.incident.client.clone()).collect::<std::collections::BTreeSet<_>>();
        let sentence =
            format!("{hit} sites of {} clients silent since 10:00: regional power or internet", clients.len());
        for incident in &told {
            assert!(incident.title.ends_with(&sentence), "{}", incident.title);
            assert!(
                !incident.clocks.is_empty() || incident.incident.client.as_str() != "acme",
                "each has its own clock"
            );
            let late = incident.started_by.duration_until(incident.received_at).as_secs();
            assert!((240..=330).contains(&late), "{late} s");
        }
        let messages = town.messages().await;
        let of =
            |event: &str| messages.iter().filter(|(name, _)| name == event).map(|(_, page)| *page).collect::<Vec<_>>();
        assert_eq!(of("sites.silent"), [true], "told in one message");
        assert_eq!(of("incident.opened"), vec![false; hit], "a ticket each, which disturbs nobody");
        let told = town.live_until(out + SignedDuration::from_secs(2_000), dark).await;
        assert!(told.iter().all(|incident| incident.restored_at.is_some()), "{told:#?}");
    }
}

/// The message went out with the first deadline; the first site is heard again before the others' deadlines.
#[tokio::test]
async fn a_town_whose_first_site_is_back_at_once_is_still_told_in_one_message() {
    let mut town = Town::new(3).await;
    let out = town.world.now;
    let mut first_told = None;
    let mut told = Vec::new();
    // Each step a heartbeat's slot long.
    for step in 1..=60 {
        let is_back = first_told.is_some();
        let dark = move |site: usize, now: Timestamp| match site {
            0 => is_back,
            site => now < out + SignedDuration::from_secs(20 + 40 * i64::try_from(site).unwrap()),
        };
        told = town.live_until(out + SignedDuration::from_secs(10 * step), dark).await;
        first_told = first_told.or_else(|| told.first().map(|incident| incident.received_at));
    }
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(
        told[0].restored_at.is_some_and(|back| told.iter().skip(1).all(|late| back < late.received_at)),
        "{told:#?}"
    );
    let messages = town.messages().await;
    let of = |event: &str| messages.iter().filter(|(name, _)| name == event).map(|(_, page)| *page).collect::<Vec<_>>();
    assert_eq!((of("sites.silent"), of("incident.opened")), (vec![true], vec![false; 3]));
    assert!(told[2].title.contains("3 sites of 3 clients silent since"), "{}", told[2].title);
}

/// S6: the collector is down while its clients are well.
#[tokio::test]
async fn the_collectors_own_absence_is_nobodys_silence() {
    for sites in [1, 3, 10] {
        let mut town = Town::new(sites).await;
        town.live_until(town.world.now + SignedDuration::from_secs(60), |_, _| true).await;
        let Town { world, agents } = town;
        let mut world = world.restarted();
        world.pass(7_200);
        world.desk.start_run(world.now).await.unwrap();
        let mut town = Town { world, agents };
        let back = town.world.now;
        // Clients find the collector again one after the other.
        let told = town
            .live_until(back + SignedDuration::from_secs(1_200), |site, now| {
                back + SignedDuration::from_secs(60 * i64::try_from(site).unwrap()) <= now
            })
            .await;
        assert!(told.is_empty(), "{told:#?}");
    }
}

/// The guard of the first start goes on after a second one.
#[tokio::test]
async fn a_second_start_forgets_no_absence_of_our_own() {
    let mut town = Town::new(1).await;
    town.live_until(town.world.now + SignedDuration::from_secs(60), |_, _| true).await;
    for (away, lives) in [(600, 30), (5, 400)] {
        let Town { world, agents } = town;
        let mut world = world.restarted();
        world.pass(away);
        world.desk.start_run(world.now).await.unwrap();
        town = Town { world, agents };
        let told = town.live_until(town.world.now + SignedDuration::from_secs(lives), |_, _| false).await;
        assert!(told.is_empty(), "{told:#?}");
    }
}

#[tokio::test]
async fn one_of_two_agents_is_its_host_and_both_are_the_site() {
    let mut world = World::new().await;
    let mut first = world.agent("acme", "north").await;
    let mut second = world.agent("acme", "north").await;
    world.take(&mut first, Vec::new()).await;
    for _ in 0..12 {
        world.take(&mut second, Vec::new()).await;
        world.lives(30).await;
        world.desk.silence_once(world.now).await.unwrap();
    }
    let told = world.all().await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0].title, "north: srv-1 silent since 10:00, the site is heard");
    for _ in 0..12 {
        world.lives(30).await;
        world.desk.silence_once(world.now).await.unwrap();
    }
    let told = world.all().await;
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(told[0].title, "north: silent since 10:05");
    // The first is heard again: the site is.
    world.take(&mut first, Vec::new()).await;
    let told = world.all().await;
    assert!(told.iter().all(|incident| incident.restored_at == Some(world.now)), "{told:#?}");
    world.take(&mut first, Vec::new()).await;
    world.lives(299).await;
    world.take(&mut first, Vec::new()).await;
    world.desk.silence_once(world.now).await.unwrap();
    assert_eq!(world.all().await[0].restored_at, Some(world.now - SignedDuration::from_secs(299)), "it has its time");
    world.lives(2).await;
    world.desk.silence_once(world.now).await.unwrap();
    assert_eq!(world.all().await[0].restored_at, None, "it was not heard since");
}

#[tokio::test]
async fn last_words_say_power_and_an_announced_shutdown_is_no_silence() {
    for (reason, title) in [
        ("battery low", Some("north: silent since 10:00; on battery before: power")),
        ("SIGTERM", Some("north: silent since 10:00")),
        ("shutdown requested", None),
    ] {
        let mut world = World::new().await;
        let mut agent = world.agent("acme", "north").await;
        let stopping = AgentEvent::Stopping { at: agent.claims(world.now), reason: DeviceText::new(reason) };
        let record = agent.record(vec![stopping]);
        world.take(&mut agent, vec![record]).await;
        world.lives(301).await;
        world.desk.silence_once(world.now).await.unwrap();
        let mut told = world.all().await;
        told.retain(|incident| incident.kind == IncidentKind::Silent);
        assert_eq!(told.first().map(|incident| incident.title.as_str()), title, "{reason}");
        if reason == "battery low" {
            assert_eq!(told[0].cause.cause, Cause::Utility);
        }
    }
}

#[tokio::test]
async fn an_agent_that_falls_silent_is_one_incident_dated_by_its_deadline() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.take(&mut agent, Vec::new()).await;
    world.lives(299).await;
    assert_eq!(world.desk.silence_once(world.now).await.unwrap().changed, 0);
    world.lives(151).await;
    assert_eq!(world.now, at("2026-11-16T16:07:30Z"));
    assert_eq!(world.desk.silence_once(world.now).await.unwrap().changed, 1);
    assert_eq!(world.desk.silence_once(world.now).await.unwrap().changed, 0);
    let incidents = world.all().await;
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].received_at, at("2026-11-16T16:05:00Z"), "not the moment at which somebody looked");
    assert_eq!(incidents[0].asset.as_ref().map(ToString::to_string).as_deref(), Some("srv-1"));
    assert!(incidents[0].title.contains("silent"), "{}", incidents[0].title);
    assert_eq!(incidents[0].clocks[0].due, Some(at("2026-11-16T17:05:00Z")));

    world.lives(60).await;
    world.take(&mut agent, Vec::new()).await;
    let view = world.all().await.remove(0);
    assert_eq!((view.state.as_str(), view.restored_at), ("watching", Some(world.now)));
    world.lives(10).await;
    world.take(&mut agent, Vec::new()).await;
    assert_eq!(world.all().await[0].restored_at, Some(at("2026-11-16T16:08:30Z")), "heard again says nothing new");
}

#[tokio::test]
async fn an_agent_that_was_never_heard_after_its_enrolment_is_silent_too() {
    let mut world = World::new().await;
    let agent = world.agent("acme", "north").await;
    world.lives(301).await;
    assert_eq!(world.desk.silence_once(world.now).await.unwrap().changed, 1);
    world.desk.revoke_agent(&agent.peer.agent, &super::world::ana(), world.now).await.unwrap();
    world.agent("other", "north").await;
    world.lives(10).await;
    assert_eq!(world.desk.silence_once(world.now).await.unwrap().seen, 0);
}

#[tokio::test]
async fn after_a_start_nobody_is_called_silent_before_he_had_time_to_report() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.take(&mut agent, Vec::new()).await;
    let mut world = world.restarted();
    assert_eq!(world.desk.silence_once(world.now).await.unwrap().seen, 0, "without a run nobody listens");
    world.now = at("2026-11-16T16:10:00Z");
    world.desk.start_run(world.now).await.unwrap();
    for _ in 0..59 {
        world.lives(10).await;
        assert_eq!(
            world.desk.silence_once(world.now).await.unwrap().seen,
            0,
            "it was down for ten minutes: {}",
            world.now
        );
    }
    world.lives(10).await;
    world.take(&mut agent, Vec::new()).await;
    world.lives(1).await;
    world.desk.silence_once(world.now).await.unwrap();
    assert!(world.desk.queue(&Scope::Provider, world.now).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn a_silent_agents_checks_resolve_nothing() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let finding = world.fail(&mut agent).await;
    world.lives(60).await;
    world.mend(&mut agent, &finding).await;
    world.lives(20 * 60).await;
    world.desk.watch_once(world.now).await.unwrap();
    assert_eq!(world.view("acme/INC-1").await.state, "watching", "nothing could be measured at the end of the watch");
    world.take(&mut agent, Vec::new()).await;
    world.lives(20).await;
    for _ in 0..90 {
        world.take(&mut agent, Vec::new()).await;
        world.desk.watch_once(world.now).await.unwrap();
        world.lives(30).await;
    }
    assert_eq!(world.view("acme/INC-1").await.state, "resolved");
}

/// A provider of some sites, of which about two are a client's, and an agent at each.
struct Town {
    world: World,
    agents: Vec<Agent>,
}

impl Town {
    async fn new(sites: usize) -> Self {
        let world = World::with(town(sites)).await;
        let mut agents = Vec::new();
        for site in 0..sites {
            let (client, site) = place(site);
            let mut agent = world.agent(&client, &site).await;
            world.take(&mut agent, Vec::new()).await;
            agents.push(agent);
        }
        Self { world, agents }
    }

    /// Heartbeats of the sites that are up, and the tasks, every ten seconds; what was told of by then.
    async fn live_until(&mut self, until: Timestamp, is_up: impl Fn(usize, Timestamp) -> bool) -> Vec<IncidentView> {
        while self.world.now < until {
            let second = self.world.now.as_second();
            for (site, agent) in self.agents.iter_mut().enumerate() {
                // Heartbeats of different sites fall on different tens of seconds.
                let is_time = (second / 10 + i64::try_from(site).unwrap()) % 3 == 0;
                if is_time && is_up(site, self.world.now) {
                    self.world.take(agent, Vec::new()).await;
                }
            }
            self.world.desk.alive_once(self.world.now).await.unwrap();
            let report = self.world.desk.silence_once(self.world.now).await.unwrap();
            assert_eq!(report.failures, Vec::<String>::new());
            self.world.pass(10);
        }
        let mut all = self.world.all().await;
        all.reverse();
        all
    }

    /// Every message so far: its event and whether it disturbs somebody.
    async fn messages(&self) -> Vec<(String, bool)> {
        let receiver = Receiver::new();
        self.world.send(&receiver).await;
        let bodies = receiver.bodies.lock().unwrap().clone();
        receiver.events().into_iter().zip(bodies.iter().map(|body| body["data"]["page"] == true)).collect()
    }
}

/// The client and site of a number: two sites each of acme and other, then one each of further clients.
fn place(site: usize) -> (String, String) {
    let client = match site {
        0 | 4 => "acme".to_owned(),
        1 | 5 => "other".to_owned(),
        further => format!("client-{further}"),
    };
    (client, if site < 4 { "north" } else { "south" }.to_owned())
}

fn town(sites: usize) -> BTreeMap<String, String> {
    let mut files = book();
    let north = files["clients/acme/sites/north.toml"].clone();
    for (client, site) in (0..sites).map(place) {
        let text = north.replace("North", if site == "north" { "North" } else { "South" });
        files.insert(format!("clients/{client}/sites/{site}.toml"), text);
        files.entry(format!("clients/{client}/client.toml")).or_insert_with(|| format!("name = \"{client}\"\n"));
    }
    let terms = files.get_mut("clients/acme/ssa.toml").unwrap();
    if sites > 4 {
        *terms = terms.replace("[\"north\"]", "[\"north\", \"south\"]");
    }
    files
}

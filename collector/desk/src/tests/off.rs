//! Hosts that were switched off as announced (DETECTION 3).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use upheld_agreement::{account::Stretch, availability::UnknownWhy};
use upheld_model::{AgentEvent, BootId, DeviceText, IncidentKind, finding::CheckState};

use super::world::{Agent, Receiver, World, at, book};
use crate::{IncidentView, Scope};

#[tokio::test]
async fn a_shutdown_that_was_announced_is_noticed_and_opens_when_it_is_missed() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    watches(&world, &mut agent).await;
    let off = world.now;
    says_goodbye(&world, &mut agent).await;
    for seconds in [301, 898] {
        looked_at(&mut world, off, seconds).await;
        let [noted] = world.all().await.try_into().unwrap();
        assert_eq!((noted.state.as_str(), noted.clocks.len()), ("candidate", 0), "{seconds} s: {noted:#?}");
        assert_eq!(world.desk.queue(&Scope::Provider, world.now).await.unwrap().rows.len(), 0, "{seconds} s");
        assert_eq!(sent(&world).await, [""; 0], "{seconds} s");
    }
    looked_at(&mut world, off, 905).await;
    let [opened] = world.all().await.try_into().unwrap();
    let due = off + SignedDuration::from_secs(900);
    assert_eq!((opened.state.as_str(), opened.kind), ("open", IncidentKind::Down));
    assert_eq!((opened.detected_at, opened.received_at, opened.opened_at), (due, due, due), "its deadline dates it");
    assert_eq!(opened.clocks[0].due, Some(due + SignedDuration::from_hours(1)));
    assert_eq!(opened.title, "srv-1: switched off as announced, and not back when it was expected to run");
    assert_eq!(sent(&world).await, ["incident.opened"]);

    looked_at(&mut world, off, 1_200).await;
    let back = world.now;
    comes_back(&world, &mut agent).await;
    let [restored] = world.all().await.try_into().unwrap();
    assert_eq!((restored.state.as_str(), restored.restored_at), ("watching", Some(back)));
    assert_eq!(unknown(&world, off, back).await, BTreeMap::from([(UnknownWhy::Off, 1_200)]), "counted nowhere");
}

#[tokio::test]
async fn a_shutdown_that_is_over_in_time_was_no_incident() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    watches(&world, &mut agent).await;
    let off = world.now;
    says_goodbye(&world, &mut agent).await;
    looked_at(&mut world, off, 600).await;
    let back = world.now;
    comes_back(&world, &mut agent).await;
    looked_at(&mut world, off, 800).await;
    world.take(&mut agent, Vec::new()).await;
    looked_at(&mut world, off, 950).await;
    let all = world.all().await;
    assert!(all.iter().all(|incident| incident.state == "dismissed"), "{all:#?}");
    assert_eq!(sent(&world).await, [""; 0]);
    assert_eq!(unknown(&world, off, back).await, BTreeMap::from([(UnknownWhy::Off, 600)]));
}

#[tokio::test]
async fn what_is_off_for_the_night_is_missed_in_the_morning() {
    let mut files = book();
    let site = files.get_mut("clients/acme/sites/north.toml").unwrap();
    *site = site.replace("class = \"server\"", "class = \"server\"\nexpected = \"business\"");
    let mut world = World::with(files).await;
    let mut agent = world.agent("acme", "north").await;
    world.now = at("2026-11-16T23:50:00Z");
    watches(&world, &mut agent).await;
    let off = world.now;
    says_goodbye(&world, &mut agent).await;
    // Ten minutes of its hours are left; they begin again at 08:00 in Chicago.
    let morning = at("2026-11-17T14:15:00Z");
    for (late, state) in [(-60, "candidate"), (5, "open")] {
        looked_at(&mut world, morning, late).await;
        let [told] = world.all().await.try_into().unwrap();
        assert_eq!((told.state.as_str(), told.started_by), (state, off), "{late} s");
    }
    assert_eq!(world.all().await[0].detected_at, morning);
    assert_eq!(unknown(&world, off, morning).await.into_keys().collect::<Vec<_>>(), [UnknownWhy::Off]);
}

#[tokio::test]
async fn of_two_hosts_the_one_whose_agent_said_so_is_off() {
    let mut files = book();
    let second = "\n[[asset]]\nid = \"srv-2\"\nclass = \"server\"\nchecks = [{ kind = \"host\" }]\n";
    files.get_mut("clients/acme/sites/north.toml").unwrap().push_str(second);
    let mut world = World::with(files).await;
    let mut first = world.agent("acme", "north").await;
    let mut leaves = world.second_agent("acme", "north").await;
    watches(&world, &mut first).await;
    let off = world.now;
    says_goodbye(&world, &mut leaves).await;
    for (seconds, state) in [(301, "candidate"), (898, "candidate"), (905, "open")] {
        let already = world.now.duration_since(off).as_secs();
        for heard in (already..seconds).step_by(60) {
            looked_at(&mut world, off, heard).await;
            world.take(&mut first, Vec::new()).await;
        }
        looked_at(&mut world, off, seconds).await;
        let told: Vec<(String, String)> = world.all().await.into_iter().map(asset_and_state).collect();
        assert_eq!(told, [("srv-2".to_owned(), state.to_owned())], "{seconds} s");
    }
}

#[tokio::test]
async fn a_host_that_the_book_does_not_have_is_given_as_long() {
    let mut world = World::new().await;
    let mut first = world.agent("acme", "north").await;
    let mut leaves = world.second_agent("acme", "north").await;
    watches(&world, &mut first).await;
    let off = world.now;
    says_goodbye(&world, &mut leaves).await;
    for seconds in (60..=840).step_by(60).chain([898]) {
        looked_at(&mut world, off, seconds).await;
        world.take(&mut first, Vec::new()).await;
        assert_eq!(world.all().await.len(), 0, "{seconds} s");
    }
    looked_at(&mut world, off, 905).await;
    let [silent] = world.all().await.try_into().unwrap();
    assert_eq!((silent.kind, silent.received_at), (IncidentKind::Silent, off + SignedDuration::from_secs(900)));
}

fn asset_and_state(incident: IncidentView) -> (String, String) {
    (incident.asset.map(|asset| asset.to_string()).unwrap_or_default(), incident.state)
}

/// Every check of `srv-1` is well.
async fn watches(world: &World, agent: &mut Agent) {
    let at = agent.claims(world.now);
    let well = ["srv-1/host", "srv-1/net.tcp"].map(|check| {
        let check = check.parse().unwrap();
        agent.say(&check, CheckState::Ok, at);
        AgentEvent::StateChanged { check, state: CheckState::Ok, at }
    });
    let record = agent.record(well.into());
    world.take(agent, vec![record]).await;
}

async fn says_goodbye(world: &World, agent: &mut Agent) {
    let reason = DeviceText::new("shutting down, requested");
    let record = agent.record(vec![AgentEvent::Stopping { at: agent.claims(world.now), reason }]);
    world.take(agent, vec![record]).await;
}

async fn comes_back(world: &World, agent: &mut Agent) {
    let boot: BootId = "boot-2".parse().unwrap();
    let at = agent.claims(world.now);
    let record = agent.record(vec![AgentEvent::Started { at, boot, last_alive: None, clean: true }]);
    world.take(agent, vec![record]).await;
}

/// Lets the collector live until so many seconds after an instant, and its tasks look.
async fn looked_at(world: &mut World, from: Timestamp, seconds: i64) {
    let until = from + SignedDuration::from_secs(seconds);
    if until.duration_since(world.now) > SignedDuration::from_hours(1) {
        // A night passes unseen by the loops.
        world.now = until - SignedDuration::from_secs(600);
    }
    world.lives(until.duration_since(world.now).as_secs()).await;
    world.desk.watch_once(world.now).await.unwrap();
    world.desk.silence_once(world.now).await.unwrap();
}

/// The messages that are waiting to be sent, sent.
async fn sent(world: &World) -> Vec<String> {
    let receiver = Receiver::new();
    world.send(&receiver).await;
    receiver.events()
}

/// For how long nobody knew how `srv-1` was; nothing else may be said of the stretch.
async fn unknown(world: &World, from: Timestamp, to: Timestamp) -> BTreeMap<UnknownWhy, u64> {
    let client = "acme".parse().unwrap();
    let period = Stretch { from, to };
    let known = world.desk.uptime(&Scope::Provider, &client, None, period, world.now).await.unwrap();
    let sums = known[0].timeline.sums(from, to);
    assert_eq!((sums.up_s, sums.degraded_s, sums.down_s), (0, 0, 0));
    sums.unknown
}

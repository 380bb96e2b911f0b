//! The running collector against a replay of the same samples: what was delivered bit by bit, judged at every arrival
//! and deadline, is what the whole history says at once.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use upheld_detection::{
    fold::CheckFold,
    plan::Site,
    replay::{Document, Trace, Unknown, replay},
    uptime::Span,
};
use upheld_model::{
    AgentEvent, CheckId, Counter, IncidentClass, IncidentKind, ObservedAt, Outcome, Sample, UnknownReason,
    finding::CheckState, sample::Value,
};
use upheld_store::StoreError;
use upheld_wire::v1::Body;

use super::world::{Agent, Receiver, World, book};
use crate::Scope;

#[tokio::test]
async fn a_finding_of_a_machine_that_was_set_back_ends_when_its_check_is_good_again() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let finding = world.fail(&mut agent).await;
    world.pass(600);
    // The machine is set back to before the finding: a new epoch, which knows nothing of it.
    agent.new_epoch(2);
    let at = agent.claims(world.now);
    let pending = CheckState::Unknown { reason: UnknownReason::Pending };
    for state in [pending, CheckState::Ok] {
        let record = agent.record(vec![AgentEvent::StateChanged { check: finding.check.clone(), state, at }]);
        agent.say(&finding.check, state, at);
        world.take(&mut agent, vec![record]).await;
        world.pass(60);
        assert_eq!(world.view("acme/INC-1").await.restored_at.is_some(), state == CheckState::Ok);
    }
    assert_eq!(world.view("acme/INC-1").await.restored_at, Some(at.0));
}

#[tokio::test]
async fn what_a_clock_that_stood_ahead_has_dated_is_looked_at_when_its_time_has_come() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.pass(3_600);
    let finding = world.fail(&mut agent).await;
    // It is set right, and what failed works again: judged then, nothing of it has begun.
    world.pass(600 - 3_600);
    world.mend(&mut agent, &finding).await;
    let begins = finding.first_bad.0;
    for (at, is_due) in [(begins - SignedDuration::from_secs(1), false), (begins, true)] {
        let due = world.desk.store().read::<_, StoreError, _>("test.due", move |tx| tx.sites_due(at, 10)).await;
        assert_eq!(due.unwrap().iter().any(|(client, _)| client.as_str() == "acme"), is_due, "{at}");
    }
}

/// S3: one dip of 3 s; everything behind it fails and comes back, one camera does not.
#[tokio::test]
async fn a_power_dip_is_one_incident_and_one_ticket_for_what_stays_down() {
    let mut site = Watched::new(plant()).await;
    let dip = 600;
    site.live_through(2_400, |check, second| {
        let is_after = |from: i64, to: i64| dip + from <= second && second < dip + to;
        let is_down = match check.asset.as_str() {
            "ups-2" => return (Outcome::Ok, Some(if is_after(0, 3) { "OB DISCHRG" } else { "OL CHRG" }), None),
            "sw-1" => is_after(0, 90),
            "srv-1" => is_after(0, 130),
            "cam-4" => is_after(0, 100_000),
            _ => is_after(0, 150),
        };
        (if is_down { Outcome::Bad } else { Outcome::Ok }, None, None)
    })
    .await;
    let replayed = site.replayed();
    assert_eq!(replayed.incidents.len(), 2, "{:#?}", replayed.incidents);
    let all = site.world.all().await;
    let told: Vec<_> =
        all.iter().map(|incident| (incident.asset.as_ref().unwrap().as_str(), incident.state.as_str())).collect();
    assert_eq!(told, [("cam-4", "open"), ("ups-2", "resolved")], "{all:#?}");
    assert_eq!(all[1].deliveries.len(), 0, "a dip pages nobody by itself");
    for incident in &all {
        let replayed = replayed.incidents.iter().find(|replayed| replayed.key == incident.key).unwrap();
        assert_eq!(incident.asset.as_ref().unwrap().as_str(), replayed.root);
        assert_eq!(incident.restored_at, replayed.restored);
        assert_eq!((incident.class, incident.kind), (replayed.class, replayed.kind));
    }
    assert!(all[1].title.contains("did not come back: cam-4"), "{}", all[1].title);
    let (child, parent) = (&all[0], &all[1]);
    let by = child.brought_about_by.as_ref().map(|by| (&by.incident, by.title.as_str()));
    assert_eq!(by, Some((&parent.incident, parent.title.as_str())));
    let left: Vec<_> = parent.did_not_come_back.iter().map(|left| &left.incident).collect();
    assert_eq!(left, [&child.incident]);
    assert!(child.did_not_come_back.is_empty() && parent.brought_about_by.is_none());
    let said = site.world.desk.explain(&Scope::Provider, &child.incident, site.world.now).await.unwrap().text;
    assert!(said.contains(&format!("brought about by {}: {}", parent.incident, parent.title)), "{said}");
    let receiver = Receiver::new();
    site.world.send(&receiver).await;
    assert_eq!(receiver.events(), ["incident.opened"], "one ticket");
}

/// S1: a port that drops again and again between its samples; only its counter sees it.
#[tokio::test]
async fn a_bad_port_is_one_unstable_link_from_its_third_drop_on() {
    let mut site = Watched::new(plant()).await;
    let drops = [500, 1_700, 3_100, 4_000];
    site.live_through(5_000, |check, second| match (check.asset.as_str(), check.name.as_str()) {
        ("sw-1", "net.link") => {
            let counted = drops.iter().filter(|drop| **drop <= second).count();
            (Outcome::Ok, None, Some(("carrier_down", u64::try_from(counted).unwrap())))
        }
        ("ups-2", _) => (Outcome::Ok, Some("OL CHRG"), None),
        _ => (Outcome::Ok, None, None),
    })
    .await;
    let replayed = site.replayed();
    let all = site.world.all().await;
    assert_eq!((all.len(), replayed.incidents.len()), (1, 1), "{all:#?}");
    assert_eq!(all[0].kind, IncidentKind::Unstable);
    assert_eq!(
        (all[0].key.as_str(), all[0].started_by),
        (replayed.incidents[0].key.as_str(), replayed.incidents[0].started.1)
    );
    let third = site.begun + SignedDuration::from_secs(3_100);
    let late = third.duration_until(all[0].detected_at).as_secs();
    assert!((0..=60).contains(&late), "{late} s after the third drop");
    assert_eq!(all[0].title, "sw-1: unstable link, 4 drops", "it holds what follows");
    let digest = site.world.desk.digest(&Scope::Provider, None, site.begun, site.world.now).await.unwrap();
    let why: Vec<_> = digest.sites.iter().flat_map(|site| &site.incidents).map(|incident| incident.why).collect();
    assert_eq!(why, [crate::digest::Why::Unstable], "it pages nobody and is on the digest");
}

/// A disk that fills for two weeks and is emptied: told a week before, by the day, and over two days after.
#[tokio::test]
async fn a_disk_that_fills_is_at_risk_as_a_replay_says() {
    let mut site = Watched::new(book()).await;
    let host: CheckId = "srv-1/host".parse().unwrap();
    for hour in 0..20 * 24 {
        let at = site.begun + SignedDuration::from_hours(hour);
        let day = f64::from(i32::try_from(hour).unwrap()) / 24.0;
        // Eighths: a trace and an agent say the same number.
        let used = (if day < 15.0 { 30.0 + 4.5 * day } else { 35.0 } * 8.0).round() / 8.0;
        site.lines.push(format!(
            r#"{{"t":"{at}","asset":"srv-1","check":"host","outcome":"ok","values":{{"disk_used_percent /":{used}}}}}"#
        ));
        let sample = Sample {
            check: host.clone(),
            at: ObservedAt(at),
            took_us: 500,
            outcome: Outcome::Ok,
            values: [("disk_used_percent /".to_owned(), Value::from(used))].into(),
            counters: BTreeMap::new(),
            evidence: None,
        };
        site.world.now = at;
        site.agent.say(&host, CheckState::Ok, ObservedAt(site.begun));
        let record = site.agent.sampled(vec![sample]);
        site.world.take(&mut site.agent, vec![record]).await;
        site.world.desk.watch_once(at).await.unwrap();
    }
    let replayed = site.replayed();
    let [expected] = replayed.incidents.as_slice() else { panic!("{:#?}", replayed.incidents) };
    let all = site.world.all().await;
    let told: Vec<_> = all.iter().filter(|incident| incident.kind == IncidentKind::AtRisk).collect();
    let [incident] = told.as_slice() else { panic!("{all:#?}") };
    assert_eq!((&incident.key, &incident.title), (&expected.key, &expected.title));
    assert_eq!((incident.detected_at, incident.restored_at), (expected.detected, expected.restored));
    assert!(incident.restored_at.is_some());
}

/// S1 in full: 12 drops of 15 to 45 s a day for 14 days, sampled every minute, delivered every hour and when the
/// counter has counted.
#[tokio::test]
async fn a_bad_port_of_two_weeks_is_one_incident_from_its_third_drop_on() {
    let days = 14;
    let drops = drops(days * 86_400);
    let gaps = drops.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(drops.len() > 120 && gaps.max() < Some(86_400), "one bad port that is never quiet for a day");
    let mut site = Watched::new(only("sw-1", "switch", "{ kind = \"net.link\", interface = \"eth0\" }")).await;
    site.live_at(days * 86_400, Pace { sampled: 60, delivered: 3_600 }, |_, second| {
        let begun = drops.partition_point(|(from, _)| *from <= second);
        let is_down = begun > 0 && second < drops[begun - 1].1;
        let counter = Some(("carrier_down", u64::try_from(begun).unwrap()));
        (if is_down { Outcome::Bad } else { Outcome::Ok }, None, counter)
    })
    .await;
    let [told] = site.world.all().await.try_into().unwrap();
    assert_eq!((told.kind, told.class), (IncidentKind::Unstable, IncidentClass::NetworkLan));
    let third = site.begun + SignedDuration::from_secs(drops[2].0);
    let late = third.duration_until(told.detected_at).as_secs();
    assert!((0..=60).contains(&late), "{late} s after the third drop");
    assert_eq!(told.opened_at, told.detected_at);
    assert_eq!(told.title, format!("sw-1: unstable link, {} drops", drops.len()));
    assert_eq!(site.pages().await, 0);
}

/// S4 in full: 60 dips of 1.2 s in two hours, polled every second.
#[tokio::test]
async fn sixty_dips_are_one_unstable_power_and_page_nobody() {
    let mut dice = Dice(4);
    // Tenths of a second.
    let dips: Vec<i64> = (0..60).map(|n| 600 + n * 1_100 + dice.below(600)).collect();
    let ups = only("ups-2", "ups", "{ kind = \"ups.nut\", target = \"10.0.0.9\", ups = \"ups\" }");
    let mut site = Watched::new(ups).await;
    site.live_through(7_200, |_, second| {
        let on_battery = dips.iter().any(|from| *from <= second * 10 && second * 10 < from + 12);
        (Outcome::Ok, Some(if on_battery { "OB DISCHRG" } else { "OL CHRG" }), None)
    })
    .await;
    let all = site.world.all().await;
    let open: Vec<_> = all.iter().filter(|incident| incident.state != "dismissed").collect();
    let [told] = open.as_slice() else { panic!("{all:#?}") };
    assert_eq!((told.kind, told.class), (IncidentKind::Unstable, IncidentClass::Power));
    assert!(told.title.contains("60"), "all of them: {}", told.title);
    let third = site.begun + SignedDuration::from_secs((dips[2] + 9) / 10);
    let late = third.duration_until(told.detected_at).as_secs();
    assert!((0..=60).contains(&late), "{late} s after the third dip");
    assert_eq!(site.pages().await, 0);
}

/// From when to when a link is down, in seconds.
fn drops(until: i64) -> Vec<(i64, i64)> {
    let mut dice = Dice(1);
    let mut drops: Vec<(i64, i64)> = Vec::new();
    let mut at = 0;
    loop {
        // In the mean two hours apart, and never two at once.
        at += 60 + dice.exponential(7_140.0);
        if at >= until {
            return drops;
        }
        drops.push((at, at + 15 + dice.below(31)));
    }
}

/// Chance with a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap()) / 4_294_967_296.0
    }

    #[expect(clippy::cast_possible_truncation, reason = "a wait in seconds is small")]
    fn exponential(&mut self, mean: f64) -> i64 {
        (-(1.0 - self.unit()).ln() * mean) as i64
    }

    #[expect(clippy::cast_possible_truncation, reason = "it is below the bound")]
    fn below(&mut self, bound: u32) -> i64 {
        (self.unit() * f64::from(bound)) as i64
    }
}

/// The world's site with one asset and one check.
fn only(id: &str, class: &str, check: &str) -> BTreeMap<String, String> {
    let text = format!(
        "name = \"North\"\ntime_zone = \"America/Chicago\"\ncommissioned = 2026-01-15\n\n\
         [[asset]]\nid = \"{id}\"\nclass = \"{class}\"\nchecks = [{check}]\n"
    );
    let mut files = book();
    files.insert("clients/acme/sites/north.toml".to_owned(), text);
    files
}

/// What a check sees: outcome, status, counter.
type Seen = (Outcome, Option<&'static str>, Option<(&'static str, u64)>);

/// How often a check that is sure is sampled, and how often the agent delivers, in seconds.
#[derive(Clone, Copy)]
struct Pace {
    sampled: i64,
    delivered: i64,
}

/// A site, its agent with the real folds, and everything that was sampled.
struct Watched {
    world: World,
    agent: Agent,
    begun: Timestamp,
    plan: Site,
    folds: BTreeMap<CheckId, CheckFold>,
    lines: Vec<String>,
}

impl Watched {
    async fn new(files: BTreeMap<String, String>) -> Self {
        let world = World::with(files).await;
        let agent = world.agent("acme", "north").await;
        let begun = world.now;
        let (client, site) = (&agent.peer.client, &agent.peer.site);
        let period = Span { from: begun, to: begun };
        let plan = world.desk.site_history(client, site, period, begun).await.unwrap().unwrap().plan;
        let fold = |(id, check): (&CheckId, &upheld_detection::plan::Check)| {
            (id.clone(), CheckFold::new(id.clone(), check.rule, ObservedAt(begun)))
        };
        let folds = plan.checks.iter().map(fold).collect();
        Self { world, agent, begun, plan, folds, lines: Vec::new() }
    }

    /// Samples every check as an agent does, delivers every ten seconds, and lets the tasks run.
    async fn live_through(&mut self, seconds: i64, see: impl Fn(&CheckId, i64) -> Seen) {
        self.live_at(seconds, Pace { sampled: 10, delivered: 10 }, see).await;
    }

    /// The same at another pace; what a counter counted is delivered at once.
    async fn live_at(&mut self, seconds: i64, pace: Pace, see: impl Fn(&CheckId, i64) -> Seen) {
        let mut body = Body::default();
        let mut counted: BTreeMap<CheckId, u64> = BTreeMap::new();
        for second in 0..=seconds {
            let at = self.begun + SignedDuration::from_secs(second);
            let mut is_news = second % pace.delivered == 0;
            for (id, fold) in &mut self.folds {
                let is_unsure = matches!(fold.state().word(), "suspect" | "recovering");
                let every = match id.name.as_str() {
                    "ups.nut" => 1,
                    // Its `fail_after` stands for a minute.
                    "net.link" => pace.sampled,
                    _ if is_unsure => 2,
                    _ => pace.sampled,
                };
                if second % every != 0 {
                    continue;
                }
                let (outcome, status, counter) = see(id, second);
                self.lines.push(line(id, at, &outcome, status, counter));
                if let Some((_, count)) = counter {
                    is_news |= counted.insert(id.clone(), count).is_some_and(|before| before < count);
                }
                let sample = Sample {
                    check: id.clone(),
                    at: ObservedAt(at),
                    took_us: 500,
                    outcome,
                    values: status.map(|status| ("status".to_owned(), Value::from(status))).into_iter().collect(),
                    counters: counter
                        .map(|(name, count)| (name.to_owned(), Counter("boot-1".into(), count)))
                        .into_iter()
                        .collect(),
                    evidence: None,
                };
                let events: Vec<AgentEvent> = fold.handle(&sample);
                body.samples.push(sample);
                body.events.extend(events);
            }
            if is_news {
                for fold in self.folds.values() {
                    self.agent.say(fold.check(), fold.state(), fold.since());
                }
                self.world.now = at;
                let record = self.agent.bodied(&std::mem::take(&mut body));
                self.world.take(&mut self.agent, vec![record]).await;
                self.world.desk.watch_once(self.world.now).await.unwrap();
            }
        }
    }

    /// How many messages disturbed somebody.
    async fn pages(&self) -> usize {
        let receiver = Receiver::new();
        self.world.send(&receiver).await;
        let bodies = receiver.bodies.lock().unwrap();
        bodies.iter().filter(|body| body["data"]["page"] == true).count()
    }

    fn replayed(&self) -> Document {
        let mut trace = Trace::default();
        self.lines.iter().for_each(|line| trace.line(line).unwrap());
        replay(&trace, std::slice::from_ref(&self.plan), Unknown::Refuse).unwrap()
    }
}

fn line(id: &CheckId, at: Timestamp, outcome: &Outcome, status: Option<&str>, counter: Option<(&str, u64)>) -> String {
    let word = match outcome {
        Outcome::Ok => "ok",
        Outcome::Warn => "warn",
        Outcome::Bad => "bad",
        Outcome::Unknown { .. } => "unknown",
    };
    let values = status.map(|status| format!(r#","values":{{"status":"{status}"}}"#)).unwrap_or_default();
    let counters =
        counter.map(|(name, count)| format!(r#","counters":{{"{name}":["boot-1",{count}]}}"#)).unwrap_or_default();
    format!(r#"{{"t":"{at}","asset":"{}","check":"{}","outcome":"{word}"{values}{counters}}}"#, id.asset, id.name)
}

/// A supply, a switch on it, and behind it a server and four cameras.
fn plant() -> BTreeMap<String, String> {
    let mut text = "name = \"North\"\ntime_zone = \"America/Chicago\"\ncommissioned = 2026-01-15\n".to_owned();
    let mut asset = |id: &str, class: &str, edges: &str, checks: &str| {
        text.push_str(&format!("\n[[asset]]\nid = \"{id}\"\nclass = \"{class}\"\n{edges}checks = [{checks}]\n"));
    };
    let ping = "{ kind = \"net.icmp\", target = \"10.0.0.5\" }";
    asset("ups-2", "ups", "", "{ kind = \"ups.nut\", target = \"10.0.0.9\", ups = \"ups\" }");
    let link = format!("{ping}, {{ kind = \"net.link\", interface = \"eth0\" }}");
    asset("sw-1", "switch", "powered_by = [\"ups-2\"]\n", &link);
    let behind = "powered_by = [\"ups-2\"]\nconnected_to = [\"sw-1\"]\n";
    asset("srv-1", "server", behind, ping);
    (1..=4).for_each(|n| asset(&format!("cam-{n}"), "camera", "connected_to = [\"sw-1\"]\n", ping));
    let mut files = book();
    files.insert("clients/acme/sites/north.toml".to_owned(), text);
    files
}

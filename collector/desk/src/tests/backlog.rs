//! A backlog that takes several uploads: what the first of them leaves open the next may end.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use upheld_model::{AgentEvent, CheckId, Finding, FindingEnd, ObservedAt, finding::CheckState};
use upheld_wire::v1::{DeliverRequest, Now};

use super::world::{Agent, World, book, delivered};

const SWITCH: &str = "sw-1/net.icmp";
const CAMERA: &str = "cam-1/net.icmp";

/// A switch, and a camera behind it.
fn plant() -> BTreeMap<String, String> {
    let ping = "checks = [{ kind = \"net.icmp\", target = \"10.0.0.5\" }]\n";
    let site = format!(
        "name = \"North\"\ntime_zone = \"America/Chicago\"\ncommissioned = 2026-01-15\n\n\
         [[asset]]\nid = \"sw-1\"\nclass = \"switch\"\n{ping}\n\
         [[asset]]\nid = \"cam-1\"\nclass = \"camera\"\nconnected_to = [\"sw-1\"]\n{ping}"
    );
    let mut files = book();
    files.insert("clients/acme/sites/north.toml".to_owned(), site);
    files
}

/// What an agent saw while its line was down, and tells by and by.
struct Backlog {
    world: World,
    agent: Agent,
    begun: Timestamp,
}

impl Backlog {
    async fn new() -> Self {
        let world = World::with(plant()).await;
        let agent = world.agent("acme", "north").await;
        let begun = world.now;
        Self { world, agent, begun }
    }

    fn at(&self, second: i64) -> ObservedAt {
        ObservedAt(self.begun + SignedDuration::from_secs(second))
    }

    fn finding(&self, check: &str, second: i64) -> Finding {
        Finding {
            check: check.parse().unwrap(),
            last_ok: Some(self.at(second - 10)),
            first_bad: self.at(second),
            confirmed_at: self.at(second + 2),
            evidence: Some("no answer".into()),
            culprit: None,
        }
    }

    fn failed(&self, check: &str, second: i64) -> AgentEvent {
        AgentEvent::FindingOpened { finding: self.finding(check, second) }
    }

    fn over(&self, check: &str, began: i64, second: i64) -> AgentEvent {
        let end = FindingEnd {
            last_bad: self.at(second - 10),
            first_ok: self.at(second),
            confirmed_at: self.at(second + 10),
        };
        AgentEvent::FindingClosed { id: self.finding(check, began).id(), end }
    }

    /// One upload, with so many records waiting that are not in it, the first of which was made then.
    async fn tells(&mut self, events: Vec<AgentEvent>, rest: u64, rest_from: Option<i64>) {
        let records: Vec<_> = events.into_iter().map(|event| self.agent.record(vec![event])).collect();
        let waiting = records.len() as u64 + rest;
        let request = self.agent.request(records, self.world.now);
        let oldest_waiting = rest_from.map(|second| self.at(second));
        let now = Now { waiting, oldest_waiting, ..request.now };
        let answer = self.world.deliver(&self.agent, DeliverRequest { now, ..request }).await;
        self.agent.believe(&delivered(answer));
    }

    fn says(&mut self, check: &str, state: CheckState, second: i64) {
        let since = self.at(second);
        self.agent.say(&check.parse::<CheckId>().unwrap(), state, since);
    }

    /// Of each incident its asset, its state, and what was sent of it.
    async fn told(&self) -> Vec<(String, String, Vec<String>)> {
        let all = self.world.all().await.into_iter();
        let told = all.map(|one| {
            let sent = one.deliveries.into_iter().map(|one| one.event).collect();
            (one.asset.unwrap().to_string(), one.state, sent)
        });
        told.collect()
    }

    async fn titles(&self) -> Vec<String> {
        self.world.all().await.into_iter().map(|one| one.title).collect()
    }
}

const NO_ANSWER: &str = "10.0.0.5 does not answer ping";

/// The first of two uploads: a switch was away for a while, and the camera behind it has not been good since, as far as
/// that was told.
async fn half_told(camera_since: i64) -> Backlog {
    let mut story = Backlog::new().await;
    story.world.pass(7_300);
    story.says(SWITCH, CheckState::Ok, 110);
    story.says(CAMERA, CheckState::Failed, camera_since);
    let first = vec![story.failed(SWITCH, 0), story.failed(CAMERA, 5), story.over(SWITCH, 0, 100)];
    story.tells(first, 2, Some(0)).await;
    story
}

#[tokio::test]
async fn what_came_back_by_the_next_upload_did_not_stay_away() {
    // It fails once more now: the present does not say that it was good in between.
    let mut story = half_told(7_202).await;
    assert_eq!(story.titles().await, [format!("sw-1: {NO_ANSWER}; 1 check on 1 asset failed")]);
    story.world.pass(1);
    let second = vec![story.over(CAMERA, 5, 150), story.failed(CAMERA, 7_200)];
    story.tells(second, 0, Some(150)).await;
    let told = story.told().await;
    assert_eq!(told[0], ("cam-1".into(), "candidate".into(), Vec::new()), "{told:?}: it has three minutes");
    story.world.pass(82);
    story.world.desk.watch_once(story.world.now).await.unwrap();
    let told = story.told().await;
    assert_eq!(told[0], ("cam-1".into(), "open".into(), vec!["incident.opened".into()]), "{told:?}");
    assert_eq!((told.len(), story.world.all().await[0].started_by), (2, story.at(7_200).0));
}

#[tokio::test]
async fn what_the_rest_of_a_backlog_does_not_end_did_stay_away() {
    // The rest has come, nothing of it is left, or it has come as far as the camera's time.
    for (is_told_by_records, rest, rest_from) in [(true, 0, None), (false, 0, None), (false, 1, Some(400))] {
        // It was unknown for a while, and so its present state is younger than its failure.
        let mut story = half_told(7_000).await;
        assert_eq!(story.told().await.len(), 1);
        story.world.pass(1);
        let quiet = AgentEvent::Configured { at: story.at(6_900), version: 1, refused: None };
        let records = if is_told_by_records { vec![quiet] } else { Vec::new() };
        story.tells(records, rest, rest_from).await;
        story.world.desk.watch_once(story.world.now).await.unwrap();
        let told = story.told().await;
        assert_eq!(told[0], ("cam-1".into(), "open".into(), vec!["incident.opened".into()]), "{told:?}");
        let title = format!("sw-1: {NO_ANSWER}; 1 check on 1 asset failed; did not come back: cam-1");
        assert_eq!(story.titles().await[1], title);
    }
}

#[tokio::test]
async fn what_fails_ever_since_waits_for_no_backlog() {
    let story = half_told(7).await;
    assert_eq!(story.titles().await[0], format!("cam-1: {NO_ANSWER}"));
}

#[tokio::test]
async fn a_line_that_is_down_again_takes_nothing_back() {
    let mut story = Backlog::new().await;
    story.world.pass(7_300);
    story.says(SWITCH, CheckState::Ok, 7_210);
    story.says(CAMERA, CheckState::Failed, 7_250);
    let all = vec![story.failed(SWITCH, 7_000), story.failed(CAMERA, 7_005), story.over(SWITCH, 7_000, 7_200)];
    story.tells(all, 0, None).await;
    assert_eq!(story.titles().await.len(), 1, "the camera has four minutes from there");
    // Then its line is down, and it is judged by what was told.
    story.world.pass(200);
    story.world.desk.watch_once(story.world.now).await.unwrap();
    let before = story.told().await;
    assert_eq!(before[0], ("cam-1".into(), "open".into(), vec!["incident.opened".into()]), "{before:?}");
    story.world.pass(600);
    story.tells(Vec::new(), 300, Some(7_310)).await;
    story.world.desk.watch_once(story.world.now).await.unwrap();
    assert_eq!(story.told().await, before);
}

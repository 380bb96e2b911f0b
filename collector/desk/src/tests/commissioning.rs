//! A site that is being set up, and what needs somebody's eye afterwards.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use upheld_model::{AgentEvent, ClientId, FindingEnd, IncidentRef, ObservedAt, Outcome, Sample, SiteId};

use super::world::{Agent, Receiver, World, ana, book};
use crate::{AsFound, CommissionError, Scope, commissioning::Stands, digest::Why, views::TermsView};

#[tokio::test]
async fn what_was_found_is_listed_and_opened_by_people_once_commissioning_has_ended() {
    let mut world = World::with(site(None)).await;
    let mut agent = world.agent("acme", "north").await;
    warns(&mut world, &mut agent).await;
    let passed = world.fail(&mut agent).await;
    world.pass(600);
    world.mend(&mut agent, &passed).await;
    world.pass(8 * 86_400 - 1_200);
    world.desk.watch_once(world.now).await.unwrap();
    let failed = world.fail(&mut agent).await;
    world.pass(600);
    assert!(world.desk.queue(&Scope::Provider, world.now).await.unwrap().rows.is_empty(), "nothing is ticketed");

    let found = report(&world).await;
    assert!(!found.is_over && found.commissioned.is_none());
    let server = &found.assets[0];
    assert_eq!(server.asset.as_ref().unwrap().as_str(), "srv-1");
    let stands: Vec<_> = server.incidents.iter().map(|found| (found.incident.to_string(), found.stands)).collect();
    assert_eq!(stands, [("acme/INC-2".to_owned(), Stands::Failing), ("acme/INC-1".to_owned(), Stands::Passed)]);
    let said = server.sentences.join("\n");
    for part in [
        "Fails since 2026-11-24 09:51 CST (INC-2): srv-1: TCP service on port 8080 does not answer.",
        "Failed from 2026-11-16 10:01 CST to 2026-11-16 10:12 CST (INC-1): srv-1: TCP service",
        "host warned for 1 min in all between 2026-11-16 10:00 CST and 2026-11-16 10:01 CST.",
        "host, net.tcp are unknown: no agent judges them at present.",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    let refused = open(&world, "acme/INC-2").await.unwrap_err();
    assert!(matches!(refused, CommissionError::Still { from: None, .. }), "{refused}");

    world.desk.apply_book(site(Some("2026-12-01")), &ana(), world.now).await.unwrap();
    let refused = open(&world, "acme/INC-2").await.unwrap_err();
    assert!(refused.to_string().contains("until 2026-12-01T06:00:00Z"), "{refused}");
    world.desk.apply_book(site(Some("2026-11-24")), &ana(), world.now).await.unwrap();
    world.desk.watch_once(world.now).await.unwrap();
    let receiver = Receiver::new();
    world.send(&receiver).await;
    assert!(receiver.events().is_empty(), "that it ended opens nothing by itself");
    assert!(report(&world).await.is_over);

    let opened = open(&world, "acme/INC-2").await.unwrap();
    assert!(matches!(&opened.terms, TermsView::Pinned { priority, .. } if priority == "P1"), "{:?}", opened.terms);
    assert_eq!((opened.received_at, opened.detected_at), (world.now, world.now), "until then nothing was promised");
    assert_eq!(opened.started_by, failed.first_bad.0, "it fails since it did");
    assert_eq!(opened.clocks[0].due, Some(world.now + SignedDuration::from_hours(1)));
    world.pass(60);
    world.desk.watch_once(world.now).await.unwrap();
    let again = open(&world, "acme/INC-2").await.unwrap();
    assert_eq!((again.clocks[0].due, again.revision), (opened.clocks[0].due, opened.revision), "once");
    world.send(&receiver).await;
    assert_eq!(receiver.events(), ["incident.opened"]);
    let found = report(&world).await;
    assert_eq!(found.assets[0].incidents.iter().filter(|found| found.stands == Stands::Opened).count(), 1);

    assert!(matches!(open(&world, "acme/INC-1").await, Err(CommissionError::Over { state: "resolved", .. })));
    assert!(matches!(open(&world, "acme/INC-9").await, Err(CommissionError::NotFoundThere { .. })));
    assert!(matches!(open(&world, "other/INC-2").await, Err(CommissionError::NotFoundThere { .. })));
}

#[tokio::test]
async fn a_site_stays_in_commissioning_for_seven_days_before_somebody_is_reminded() {
    let mut world = World::with(site(None)).await;
    world.agent("acme", "north").await;
    let sites = async |world: &World, scope: Scope| {
        let queue = world.desk.queue(&scope, world.now).await.unwrap();
        queue.commissioning.into_iter().map(|site| format!("{}/{}", site.client, site.site)).collect::<Vec<_>>()
    };
    world.pass(7 * 86_400 - 1);
    assert!(sites(&world, Scope::Provider).await.is_empty());
    world.pass(1);
    assert_eq!(sites(&world, Scope::Provider).await, ["acme/north"]);
    assert!(sites(&world, Scope::Client("acme".parse().unwrap())).await.is_empty(), "it is the provider's to do");
    world.desk.apply_book(site(Some("2026-12-24")), &ana(), world.now).await.unwrap();
    assert!(sites(&world, Scope::Provider).await.is_empty(), "a date is set");
}

#[tokio::test]
async fn the_digest_has_what_was_over_when_it_was_told_and_what_warned() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let begun = world.now;
    warns(&mut world, &mut agent).await;
    world.pass(7_200);
    let finding = agent.finding(begun + SignedDuration::from_secs(600));
    let good = |minutes: i64| ObservedAt(begun + SignedDuration::from_mins(minutes));
    let end = FindingEnd { last_bad: good(19), first_ok: good(20), confirmed_at: good(21) };
    let closed = AgentEvent::FindingClosed { id: finding.id(), end };
    let record = agent.record(vec![AgentEvent::FindingOpened { finding }, closed]);
    world.take(&mut agent, vec![record]).await;
    let digest = |scope: Scope, client: Option<ClientId>, since: Timestamp| {
        let (desk, now) = (world.desk.clone(), world.now);
        async move { desk.digest(&scope, client.as_ref(), since, now).await }
    };
    let all = digest(Scope::Provider, None, begun).await.unwrap();
    assert_eq!(all.sites.len(), 1, "of the other client there is nothing to say");
    let north = &all.sites[0];
    assert_eq!(north.incidents.iter().map(|incident| incident.why).collect::<Vec<_>>(), [Why::Retroactive]);
    assert_eq!(
        north.sentences,
        [
            "Over when it was told from 2026-11-16 10:09 CST to 2026-11-16 10:20 CST (INC-1, resolved): srv-1: TCP \
             service on port 8080 does not answer.",
            "srv-1: host warned for 1 min in all between 2026-11-16 10:00 CST and 2026-11-16 10:01 CST.",
        ]
    );
    let later = digest(Scope::Provider, Some("acme".parse().unwrap()), begun + SignedDuration::from_hours(1)).await;
    assert!(later.unwrap().sites.iter().all(|site| site.degraded.is_empty()), "what warned before is not of it");
    let other: ClientId = "other".parse().unwrap();
    assert!(digest(Scope::Client(other.clone()), None, begun).await.unwrap().sites.is_empty());
    assert!(digest(Scope::Client(other), Some("acme".parse().unwrap()), begun).await.is_err(), "another client's");
}

/// A minute in which the host's check warns; it is good afterwards.
async fn warns(world: &mut World, agent: &mut Agent) {
    let begun = world.now;
    let sample = |second: i64, outcome| Sample {
        check: "srv-1/host".parse().unwrap(),
        at: ObservedAt(begun + SignedDuration::from_secs(second)),
        took_us: 500,
        outcome,
        values: BTreeMap::new(),
        counters: BTreeMap::new(),
        evidence: None,
    };
    let samples = vec![
        sample(0, Outcome::Warn),
        sample(30, Outcome::Warn),
        sample(60, Outcome::Ok),
        sample(90, Outcome::Ok),
        sample(120, Outcome::Ok),
    ];
    let record = agent.sampled(samples);
    world.pass(120);
    world.take(agent, vec![record]).await;
}

async fn report(world: &World) -> AsFound {
    let (client, site) = place();
    world.desk.as_found(&client, &site, world.now).await.unwrap()
}

async fn open(world: &World, incident: &str) -> Result<crate::IncidentView, CommissionError> {
    let (client, site) = place();
    let incident: IncidentRef = incident.parse().unwrap();
    let opened = world.desk.open_as_found((&client, &site), &[incident], &ana(), world.now).await;
    opened.map(|mut opened| opened.remove(0))
}

fn place() -> (ClientId, SiteId) {
    ("acme".parse().unwrap(), "north".parse().unwrap())
}

/// The book with this date on which acme's site is commissioned.
fn site(commissioned: Option<&str>) -> BTreeMap<String, String> {
    let mut files = book();
    let text = files.get_mut("clients/acme/sites/north.toml").unwrap();
    let line = commissioned.map(|date| format!("commissioned = {date}\n")).unwrap_or_default();
    *text = text.replace("commissioned = 2026-01-15\n", &line);
    files
}

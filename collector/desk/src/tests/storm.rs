//! So much at once that people cannot be told of it one by one (DETECTION 4.9).

use std::collections::BTreeMap;

use upheld_model::{AgentEvent, Finding};

use super::world::{Receiver, World, book};

#[tokio::test]
async fn past_the_twentieth_opening_tickets_become_one_message_and_clocks_go_on() {
    let mut world = World::with(hall(30)).await;
    let mut agent = world.agent("acme", "north").await;
    // Twenty-five at once, five more a quarter of a minute later.
    for assets in [1..=25, 26..=30] {
        let findings = assets.map(|n| failed(&agent.finding(world.now), n));
        let events = findings.map(|finding| AgentEvent::FindingOpened { finding }).collect();
        let record = agent.record(events);
        world.take(&mut agent, vec![record]).await;
        world.pass(15);
    }
    let all = world.all().await;
    assert_eq!(all.len(), 30);
    assert!(all.iter().all(|incident| !incident.clocks.is_empty()), "each keeps its clocks");
    let braked: Vec<_> = all.iter().filter(|incident| incident.deliveries.is_empty()).collect();
    let noted =
        |said: &str| all.iter().filter(|one| one.timeline.iter().any(|entry| entry.text.contains(said))).count();
    assert_eq!(noted("told with the others in one message"), 10);
    assert_eq!(braked.len(), 9, "the message lies with the first of them");

    let receiver = Receiver::new();
    world.send(&receiver).await;
    assert_eq!(receiver.events(), vec!["incident.opened"; 20]);
    world.pass(30);
    world.send(&receiver).await;
    assert_eq!(receiver.events().len(), 21);
    assert_eq!(receiver.events()[20], "incidents.storm");
    let body = receiver.bodies.lock().unwrap()[20].clone();
    let listed = body["data"]["incidents"].as_array().unwrap().clone();
    assert_eq!((listed.len(), body["data"]["number"].as_u64(), &body["data"]["page"]), (10, Some(10), &true.into()));
    let mut names: Vec<_> = listed.iter().map(|one| one["incident"].as_str().unwrap().to_owned()).collect();
    names.dedup();
    assert_eq!(names.len(), 10, "each is listed once");

    // What comes after the message has left is told in the next one; a quarter of an hour later each has its ticket.
    let finding = failed(&agent.finding(world.now), 31);
    let record = agent.record(vec![AgentEvent::FindingOpened { finding }]);
    world.take(&mut agent, vec![record]).await;
    world.pass(61);
    world.send(&receiver).await;
    assert_eq!(receiver.events()[21..], ["incidents.storm"]);
    world.pass(900);
    let finding = failed(&agent.finding(world.now), 32);
    let record = agent.record(vec![AgentEvent::FindingOpened { finding }]);
    world.take(&mut agent, vec![record]).await;
    world.send(&receiver).await;
    assert_eq!(receiver.events().last().unwrap(), "incident.opened");
}

fn failed(like: &Finding, number: usize) -> Finding {
    Finding { check: format!("srv-{number}/net.tcp").parse().unwrap(), ..like.clone() }
}

/// A hall of servers that have nothing to do with each other.
fn hall(servers: usize) -> BTreeMap<String, String> {
    let mut files = book();
    let mut text = "name = \"North\"\ntime_zone = \"America/Chicago\"\ncommissioned = 2026-01-15\n".to_owned();
    for number in 1..=servers + 2 {
        text.push_str(&format!(
            "\n[[asset]]\nid = \"srv-{number}\"\nclass = \"server\"\n\
             checks = [{{ kind = \"net.tcp\", target = \"10.0.0.{number}\", port = 8080 }}]\n"
        ));
    }
    files.insert("clients/acme/sites/north.toml".to_owned(), text);
    files
}

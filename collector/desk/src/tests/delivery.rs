//! DELIVERY 2, from the collector's side.

use upheld_model::{AgentEvent, Digest, RecordId};
use upheld_wire::v1::{Conflict, DeliverRequest, Head, codes};

use super::world::{World, ana, conflict, delivered, problem};
use crate::Scope;

#[tokio::test]
async fn the_same_batch_twice_is_taken_once() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let finding = agent.finding(world.now);
    let records = vec![agent.record(vec![AgentEvent::FindingOpened { finding }]), agent.record(Vec::new())];
    let request = agent.request(records, world.now);
    let first = delivered(world.deliver(&agent, request.clone()).await);
    let second = delivered(world.deliver(&agent, request).await);
    assert_eq!((first.batch_digest, first.head), (second.batch_digest, second.head));
    assert_eq!(world.held(&agent).await, 2);
    let incidents = world.all().await;
    assert_eq!((incidents.len(), incidents[0].deliveries.len()), (1, 1));
}

#[tokio::test]
async fn a_collector_that_stops_between_commit_and_answer_takes_it_once() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let finding = agent.finding(world.now);
    let record = agent.record(vec![AgentEvent::FindingOpened { finding }]);
    let request = agent.request(vec![record], world.now);
    delivered(world.deliver(&agent, request.clone()).await);
    let world = world.restarted();
    let again = delivered(world.deliver(&agent, request).await);
    assert_eq!(again.head.unwrap().len, 1);
    assert_eq!((world.held(&agent).await, world.all().await.len()), (1, 1));
}

#[tokio::test]
async fn twenty_of_the_same_upload_at_once_are_one() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.take(&mut agent, Vec::new()).await;
    let finding = agent.finding(world.now);
    let record = agent.record(vec![AgentEvent::FindingOpened { finding }]);
    let request = agent.request(vec![record], world.now);
    let uploads: Vec<_> = (0..20)
        .map(|_| {
            let (desk, peer, request, now) = (world.desk.clone(), agent.peer.clone(), request.clone(), world.now);
            tokio::spawn(async move { desk.deliver(&peer, request, now).await })
        })
        .collect();
    for upload in uploads {
        delivered(upload.await.unwrap());
    }
    assert_eq!((world.held(&agent).await, world.all().await.len()), (1, 1));
}

#[tokio::test]
async fn records_that_come_before_their_predecessors_are_asked_for_again() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let (first, second) = (agent.record(Vec::new()), agent.record(Vec::new()));
    let answer = world.deliver(&agent, agent.request(vec![second.clone()], world.now)).await;
    assert_eq!(conflict(answer), Conflict::Behind { heads: Vec::new() });
    assert_eq!(world.held(&agent).await, 0);
    world.take(&mut agent, vec![first, second]).await;
    assert_eq!(world.held(&agent).await, 2);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_goes_to_the_dead_letters_and_holds_up_nothing() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let poison = agent.record_with(RecordId([9; 16]), r#"{"samples":"none"}"#.to_owned());
    let finding = agent.finding(world.now);
    let good = agent.record(vec![AgentEvent::FindingOpened { finding }]);
    let answer = world.take(&mut agent, vec![poison, good]).await;
    assert_eq!(answer.refused.iter().map(|refused| refused.seq.0).collect::<Vec<_>>(), [0]);
    assert_eq!(answer.head.unwrap().len, 2);
    assert_eq!(world.all().await.len(), 1);
    let letters = world.desk.dead_letters(&Scope::Provider, Some(&agent.peer.agent)).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].seq.0, letters[0].body.as_str()), (0, r#"{"samples":"none"}"#));
    assert!(letters[0].reason.contains("invalid type"), "{}", letters[0].reason);
    let other = Scope::Client("other".parse().unwrap());
    assert_eq!(world.desk.dead_letters(&other, None).await.unwrap(), [], "another client's people see none");
}

#[tokio::test]
async fn a_forked_history_is_refused_and_its_new_epoch_is_taken_once() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let finding = agent.finding(world.now);
    let opened = agent.record(vec![AgentEvent::FindingOpened { finding }]);
    world.take(&mut agent, vec![opened.clone()]).await;
    // The machine is restored from a snapshot: the same place in the journal, another content.
    let mut restored = world.agent("acme", "north").await;
    restored.peer = agent.peer.clone();
    let other = restored.record_with(RecordId([8; 16]), "{}".to_owned());
    let answer = world.deliver(&restored, restored.request(vec![other.clone()], world.now)).await;
    assert!(matches!(conflict(answer), Conflict::Fork { .. }));
    assert_eq!(world.held(&agent).await, 1);
    agent.new_epoch(2);
    let again = [agent.retag(&opened), agent.retag(&other)].to_vec();
    world.take(&mut agent, again).await;
    assert_eq!(world.held(&agent).await, 2, "what is known under its old name is not stored again");
    assert_eq!(world.all().await.len(), 1);
}

#[tokio::test]
async fn a_claim_inside_what_is_held_is_held_against_the_record_there() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let records = vec![agent.record(Vec::new()), agent.record(Vec::new())];
    let first = Head { epoch: records[0].epoch, len: 1, chain: records[0].chain };
    world.take(&mut agent, records).await;
    let claiming = |head| DeliverRequest { heads: vec![head], ..agent.request(Vec::new(), world.now) };
    delivered(world.deliver(&agent, claiming(first)).await);
    // What a copy of this host wrote instead, once the collector had lost what it held of this one.
    let answer = world.deliver(&agent, claiming(Head { chain: Digest([1; 32]), ..first })).await;
    assert!(matches!(conflict(answer), Conflict::Fork { held, .. } if held == first), "with what is held there");
}

#[tokio::test]
async fn five_different_forks_are_a_clone_and_nothing_more_is_taken() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let record = agent.record(Vec::new());
    world.take(&mut agent, vec![record]).await;
    for fork in 1..=5_u8 {
        let mut clone = world.agent("acme", "north").await;
        clone.peer = agent.peer.clone();
        let other = clone.record_with(RecordId([fork; 16]), "{}".to_owned());
        let request = clone.request(vec![other], world.now);
        // A lost answer makes the same fork twice; it counts once.
        let answers = [world.deliver(&clone, request.clone()).await, world.deliver(&clone, request).await];
        for answer in answers {
            if fork < 5 {
                assert!(matches!(conflict(answer), Conflict::Fork { .. }), "fork {fork}");
            } else {
                assert_eq!(problem(answer).code, codes::QUARANTINED);
            }
        }
    }
    let honest = world.deliver(&agent, agent.request(Vec::new(), world.now)).await;
    assert_eq!((problem(honest.clone()).status, problem(honest).code.as_str()), (423, codes::QUARANTINED));
    assert_eq!(world.audit().await.iter().filter(|what| *what == "agent.quarantined").count(), 1);
    let incidents = world.all().await;
    assert_eq!(incidents.len(), 1);
    assert!(incidents[0].title.contains("two hosts report as agent"), "{}", incidents[0].title);
    assert_eq!(incidents[0].deliveries.len(), 1);

    assert_eq!(world.all().await[0].state, "open", "a person says when it is over");
}

#[tokio::test]
async fn a_revoked_agent_is_told_so_on_its_next_request() {
    let world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.take(&mut agent, Vec::new()).await;
    assert!(world.desk.revoke_agent(&agent.peer.agent, &ana(), world.now).await.unwrap());
    assert!(!world.desk.revoke_agent(&agent.peer.agent, &ana(), world.now).await.unwrap());
    let record = agent.record(Vec::new());
    let refused = problem(world.deliver(&agent, agent.request(vec![record], world.now)).await);
    assert_eq!((refused.status, refused.code.as_str()), (403, codes::REVOKED));
    assert_eq!(world.desk.admit(&agent.peer).await.unwrap_err().code, codes::REVOKED);
    assert_eq!(world.held(&agent).await, 0);
    assert_eq!(world.audit().await.iter().filter(|what| *what == "agent.revoked").count(), 1);
}

#[tokio::test]
async fn an_identity_that_says_another_site_is_nobody() {
    let world = World::new().await;
    let agent = world.agent("acme", "north").await;
    let mut liar = world.agent("acme", "north").await;
    liar.peer.client = "other".parse().unwrap();
    let refused = problem(world.deliver(&liar, liar.request(Vec::new(), world.now)).await);
    assert_eq!((refused.status, refused.code.as_str()), (403, codes::UNKNOWN_AGENT));
    delivered(world.deliver(&agent, agent.request(Vec::new(), world.now)).await);
}

//! Agents whose certificate ended, and hosts that only say so (SECURITY 15).

use upheld_evidence::{SigningKey, sign_return};
use upheld_model::{AgentId, Digest};
use upheld_wire::v1::{PROTOCOL, Problem, codes, enroll::ReturnAnswer, enroll::ReturnRequest};

use super::world::{Agent, HOST, World, ana, certificate, delivered};
use crate::{Asking, DecideError, Decided, Scope, Shown};

const DAY: i64 = 86_400;

/// A host that holds the keys of an agent, and asks with a TLS key of its own.
fn asking(agent: &Agent, tls_key: u8, now: jiff::Timestamp) -> Asking {
    let csr_pem = format!("request of key {tls_key}");
    let request = ReturnRequest {
        protocol: PROTOCOL,
        agent: agent.peer.agent.clone(),
        proof: sign_return(agent.key(), &agent.peer.agent, &csr_pem).to_string(),
        csr_pem,
        host: format!("host-{tls_key}"),
        version: "0.1.0".into(),
        wall: now,
    };
    Asking { request, key: Digest([tls_key; 32]), address: HOST }
}

async fn ask(world: &World, asking: Asking) -> Result<ReturnAnswer, Problem> {
    let issued_at = jiff::Timestamp::from_second(world.now.as_second() + 1).unwrap();
    world.desk.take_back(asking, world.now, |_| Ok(certificate("it", issued_at))).await
}

fn code(answer: Result<ReturnAnswer, Problem>) -> (u16, String) {
    answer.map_or_else(|problem| (problem.status, problem.code), |_| (200, String::new()))
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn security_15_an_agent_off_for_sixty_days_comes_back_by_itself_and_its_backlog_is_taken_once() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    let first = agent.record(Vec::new());
    world.take(&mut agent, vec![first]).await;
    let waiting = [agent.record(Vec::new()), agent.record(Vec::new())];
    world.pass(60 * DAY);
    assert_eq!(code(ask(&world, asking(&agent, 1, world.now)).await), (200, String::new()));
    assert_eq!(world.desk.waiting_hosts(&Scope::Provider).await.unwrap(), []);
    world.take(&mut agent, waiting.to_vec()).await;
    assert_eq!(world.held(&agent).await, 3);
    let audit = world.audit().await;
    assert_eq!(audit.iter().filter(|what| *what == "agent.returned").count(), 1);
}

#[tokio::test]
async fn security_15_a_certificate_that_has_not_ended_may_be_anothers_and_a_person_decides() {
    let mut world = World::new().await;
    let agent = world.agent("acme", "north").await;
    world.pass(44 * DAY);
    assert_eq!(code(ask(&world, asking(&agent, 1, world.now)).await), refused(403, codes::RETURN_WAITS));
    // It asks again; that is the same host and one question.
    world.pass(60);
    assert_eq!(code(ask(&world, asking(&agent, 1, world.now)).await), refused(403, codes::RETURN_WAITS));
    let waiting = world.desk.waiting_hosts(&Scope::Provider).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].host.as_str(), waiting[0].address.as_str()), (1, "host-1", "10.20.0.5"));
    let other = Scope::Client("other".parse().unwrap());
    assert_eq!(world.desk.waiting_hosts(&other).await.unwrap(), [], "another client's hosts are not seen");
    // Even when the certificate has ended meanwhile, a question that was asked stands until it is answered.
    let id = agent.peer.agent.clone();
    assert_eq!(world.desk.approve_agent(&id, None, &ana(), world.now).await.unwrap(), Decided::Returning);
    let before = world.now - jiff::SignedDuration::from_secs(1);
    assert_eq!(world.desk.peer_showing(&id, before).await.unwrap(), Shown::Void, "from the approval on");
    assert_eq!(world.desk.approve_agent(&id, None, &ana(), world.now).await.unwrap(), Decided::Nothing);
    assert_eq!(code(ask(&world, asking(&agent, 1, world.now)).await), (200, String::new()));
    assert_eq!(code(ask(&world, asking(&agent, 1, world.now)).await), (200, String::new()), "the answer was lost");
    let issued = jiff::Timestamp::from_second(world.now.as_second() + 1).unwrap();
    assert_eq!(world.desk.peer_showing(&id, issued).await.unwrap(), Shown::Good(agent.peer.clone()));
    // The other host, whose certificate is void now, asks in its turn and waits.
    assert_eq!(code(ask(&world, asking(&agent, 2, world.now)).await), refused(403, codes::RETURN_WAITS));
    assert_eq!(world.desk.refuse_agent(&id, None, &ana(), world.now).await.unwrap(), Decided::Returning);
    world.pass(100 * DAY);
    assert_eq!(code(ask(&world, asking(&agent, 2, world.now)).await), refused(403, codes::RETURN_REFUSED));
    assert_eq!(code(ask(&world, asking(&agent, 3, world.now)).await), (200, String::new()), "the agent itself may");
}

#[tokio::test]
async fn security_15_of_two_hosts_of_one_identity_that_ask_at_once_one_waits() {
    let mut world = World::new().await;
    let agent = world.agent("acme", "north").await;
    world.pass(60 * DAY);
    let meet = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    let both = [1, 2].map(|host| {
        let (desk, now, one, meet) = (world.desk.clone(), world.now, asking(&agent, host, world.now), meet.clone());
        tokio::spawn(async move {
            meet.wait().await;
            code(desk.take_back(one, now, |_| Ok(certificate("it", now))).await)
        })
    });
    let mut answers = Vec::new();
    for answer in both {
        answers.push(answer.await.unwrap());
    }
    answers.sort();
    assert_eq!(answers, [(200, String::new()), refused(403, codes::RETURN_WAITS)]);
}

#[tokio::test]
async fn security_15_revoked_is_never_taken_back_and_a_stranger_learns_nothing() {
    let mut world = World::new().await;
    let agent = world.agent("acme", "north").await;
    world.pass(60 * DAY);
    let mut stranger = asking(&agent, 1, world.now);
    stranger.request.proof =
        sign_return(&SigningKey::from_seed(&[99; 32]).unwrap(), &agent.peer.agent, &stranger.request.csr_pem)
            .to_string();
    let unproven = ask(&world, stranger).await.unwrap_err();
    let mut nobody = asking(&agent, 1, world.now);
    nobody.request.agent = "a-0000000000000000".parse::<AgentId>().unwrap();
    assert_eq!(unproven, ask(&world, nobody).await.unwrap_err(), "whether the agent exists cannot be told");
    // A proof is for one certificate request.
    let mut replayed = asking(&agent, 1, world.now);
    replayed.request.csr_pem = "request of a thief".into();
    assert_eq!(code(ask(&world, replayed).await), refused(403, codes::UNKNOWN_AGENT));

    assert!(world.desk.revoke_agent(&agent.peer.agent, &ana(), world.now).await.unwrap());
    assert_eq!(code(ask(&world, asking(&agent, 1, world.now)).await), refused(403, codes::REVOKED));
    let never = world.desk.approve_agent(&agent.peer.agent, None, &ana(), world.now).await.unwrap_err();
    assert!(matches!(never, DecideError::Revoked(_)), "{never}");
    assert_eq!(world.desk.waiting_hosts(&Scope::Provider).await.unwrap(), []);
    let audit = world.audit().await;
    for what in ["agent.return-unproven", "agent.return-refused"] {
        assert!(audit.iter().any(|entry| entry == what), "{what} is not in {audit:?}");
    }
}

#[tokio::test]
async fn security_15_in_quarantine_a_person_names_the_real_host_and_the_other_stays_out() {
    let mut world = World::new().await;
    let mut agent = world.agent("acme", "north").await;
    world.take(&mut agent, Vec::new()).await;
    let id = agent.peer.agent.clone();
    world.quarantine(&mut agent).await;
    let early = world.desk.approve_agent(&id, None, &ana(), world.now).await.unwrap_err();
    assert!(matches!(early, DecideError::NobodyAsks(_)), "{early}");
    for host in [1, 2] {
        assert_eq!(code(ask(&world, asking(&agent, host, world.now)).await), refused(423, codes::QUARANTINED));
    }
    let two = world.desk.approve_agent(&id, None, &ana(), world.now).await.unwrap_err();
    assert!(matches!(&two, DecideError::Several { requests, .. } if requests.len() == 2), "{two}");
    let wrong = world.desk.approve_agent(&id, Some("ffffffff"), &ana(), world.now).await.unwrap_err();
    assert!(matches!(wrong, DecideError::NoSuchRequest { .. }), "{wrong}");
    let real = Some("01010101");
    assert_eq!(world.desk.approve_agent(&id, real, &ana(), world.now).await.unwrap(), Decided::Returning);
    assert_eq!(code(ask(&world, asking(&agent, 2, world.now)).await), refused(403, codes::RETURN_REFUSED));
    assert_eq!(code(ask(&world, asking(&agent, 1, world.now)).await), (200, String::new()));
    delivered(world.deliver(&agent, agent.request(Vec::new(), world.now)).await);
    world.pass(200 * DAY);
    assert_eq!(
        code(ask(&world, asking(&agent, 2, world.now)).await),
        refused(403, codes::RETURN_REFUSED),
        "however long it waits"
    );
}

#[tokio::test]
async fn hosts_that_ask_for_one_identity_are_bounded_and_the_oldest_makes_room() {
    let mut world = World::new().await;
    let agent = world.agent("acme", "north").await;
    for host in 0..8 {
        assert_eq!(code(ask(&world, asking(&agent, host, world.now)).await), refused(403, codes::RETURN_WAITS));
    }
    assert_eq!(code(ask(&world, asking(&agent, 8, world.now)).await), refused(403, codes::RETURN_REFUSED));
    world.pass(DAY + 1);
    assert_eq!(code(ask(&world, asking(&agent, 8, world.now)).await), refused(403, codes::RETURN_WAITS));
    assert_eq!(world.desk.waiting_hosts(&Scope::Provider).await.unwrap().len(), 8);
}

//! Tokens for several hosts of a site, and hosts that wait for a person (SECURITY 11).

use std::{
    net::IpAddr,
    sync::{Arc, Barrier},
};

use jiff::SignedDuration;
use upheld_evidence::SigningKey;
use upheld_wire::v1::{Problem, codes, enroll::EnrollAnswer};

use super::world::{HOST, World, ana, enrolment, issue};
use crate::{
    AgentPeer, DecideError, Decided, DeskError, Scope, TokenError,
    agents::AgentStatus,
    enroll::{SiteTokenTerms, WaitsAs},
};

fn terms(uses: u32, rule: &[&str]) -> SiteTokenTerms {
    SiteTokenTerms {
        uses,
        ttl: SignedDuration::from_hours(24 * 14),
        networks: vec!["10.20.0.0/16".parse().unwrap()],
        rule: rule.iter().map(|part| part.parse().unwrap()).collect(),
    }
}

async fn token(world: &World, terms: SiteTokenTerms) -> Result<String, TokenError> {
    let (client, site) = ("acme".parse().unwrap(), "north".parse().unwrap());
    world.desk.new_site_token(&client, &site, terms, &ana(), world.now).await.map(|made| made.token)
}

async fn come(world: &World, token: &str, host: u8, from: IpAddr) -> Result<EnrollAnswer, Problem> {
    let mut request = enrolment(token, &SigningKey::from_seed(&[host; 32]).unwrap(), world.now);
    request.host = format!("nvr-{host}");
    world.desk.enroll(request, from, world.now, issue).await
}

async fn peer(world: &World, answer: &EnrollAnswer) -> AgentPeer {
    world.desk.peer(&answer.agent).await.unwrap().unwrap()
}

#[tokio::test]
async fn security_11_a_host_of_a_site_token_waits_learns_nothing_and_is_taken_from_the_approval_on() {
    let mut world = World::new().await;
    let token = token(&world, terms(2, &[])).await.unwrap();
    let answer = come(&world, &token, 1, HOST).await.unwrap();
    assert!(answer.pending && answer.config.checks.is_empty(), "{:?}", answer.config);
    let peer = peer(&world, &answer).await;
    let refused = world.desk.admit(&peer).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (403, codes::PENDING));
    let waiting = world.desk.waiting_hosts(&Scope::Provider).await.unwrap();
    let seen = waiting.iter().map(|host| (host.waits_as, host.host.as_str(), host.address.as_str(), &host.agent));
    assert_eq!(seen.collect::<Vec<_>>(), [(WaitsAs::New, "nvr-1", "10.20.0.5", &answer.agent)]);

    // Another client's agent, enrolled at the same moment and never heard, is missed; who waits is not.
    world.agent("other", "north").await;
    world.lives(1_200).await;
    world.desk.silence_once(world.now).await.unwrap();
    let missed = |all: Vec<crate::IncidentView>| all.iter().map(|one| one.incident.to_string()).collect::<Vec<_>>();
    assert_eq!(missed(world.all().await), ["other/INC-1"]);
    for decided in [Decided::New, Decided::Nothing] {
        let did = world.desk.approve_agent(&answer.agent, None, &ana(), world.now).await.unwrap();
        assert_eq!(did, decided, "twice is no error");
    }
    assert_eq!(world.desk.admit(&peer).await, Ok(()));
    world.desk.silence_once(world.now).await.unwrap();
    assert_eq!(missed(world.all().await), ["other/INC-1"], "who was let in a moment ago is not late");
    assert_eq!(world.desk.waiting_hosts(&Scope::Provider).await.unwrap(), []);

    let second = come(&world, &token, 2, HOST).await.unwrap();
    assert_eq!(world.desk.refuse_agent(&second.agent, None, &ana(), world.now).await.unwrap(), Decided::New);
    let never = world.desk.approve_agent(&second.agent, None, &ana(), world.now).await.unwrap_err();
    assert!(matches!(never, DecideError::Revoked(_)), "{never}");
    let unknown = world.desk.approve_agent(&"a-0".parse().unwrap(), None, &ana(), world.now).await.unwrap_err();
    assert!(matches!(unknown, DecideError::Desk(DeskError::NoSuchAgent(_))), "{unknown}");
    let audit = world.audit().await;
    for what in ["token.made", "agent.enrolled", "agent.approved", "agent.refused"] {
        assert!(audit.iter().any(|entry| entry == what), "{what} is not in {audit:?}");
    }
}

#[tokio::test]
async fn security_11_a_rule_approves_whom_it_names_and_the_others_wait() {
    let world = World::new().await;
    let token = token(&world, terms(3, &["net:10.20.0.0/24", "host:nvr-1*"])).await.unwrap();
    let by_rule = come(&world, &token, 11, HOST).await.unwrap();
    assert!(!by_rule.pending && by_rule.config.checks.len() == 2);
    let other_name = come(&world, &token, 2, HOST).await.unwrap();
    let other_net = come(&world, &token, 12, "10.20.7.7".parse().unwrap()).await.unwrap();
    assert!(other_name.pending && other_net.pending);
    let agents = world.desk.agents(&Scope::Provider).await.unwrap();
    assert_eq!(agents.iter().filter(|agent| agent.status == AgentStatus::Active).count(), 1);
}

#[tokio::test]
async fn security_11_a_site_token_is_refused_elsewhere_used_up_taken_back_and_after_its_time() {
    let mut world = World::new().await;
    let good = token(&world, terms(1, &[])).await.unwrap();
    for (address, code) in [("10.21.0.5", codes::TOKEN_NETWORK), ("2001:db8::1", codes::TOKEN_NETWORK)] {
        assert_eq!(come(&world, &good, 1, address.parse().unwrap()).await.unwrap_err().code, code);
    }
    come(&world, &good, 1, "::ffff:10.20.0.9".parse().unwrap()).await.unwrap();
    assert_eq!(come(&world, &good, 2, HOST).await.unwrap_err().code, codes::TOKEN_USED_UP);

    let taken_back = token(&world, terms(5, &[])).await.unwrap();
    let name = world.desk.open_tokens(&Scope::Provider, world.now).await.unwrap()[0].name.clone();
    assert!(world.desk.revoke_token(&name, &ana(), world.now).await.unwrap());
    assert!(!world.desk.revoke_token(&name, &ana(), world.now).await.unwrap());
    assert_eq!(come(&world, &taken_back, 3, HOST).await.unwrap_err().code, codes::TOKEN_REVOKED);
    assert_eq!(world.desk.open_tokens(&Scope::Provider, world.now).await.unwrap(), []);

    let old = token(&world, terms(5, &[])).await.unwrap();
    world.pass(14 * 86_400);
    assert_eq!(come(&world, &old, 4, HOST).await.unwrap_err().code, codes::TOKEN_EXPIRED);
    let audit = world.audit().await;
    for (what, times) in [("token.wrong-network", 2), ("token.reused", 1), ("token.taken-back", 1), ("token.ended", 1)]
    {
        assert_eq!(audit.iter().filter(|entry| *entry == what).count(), times, "{what}");
    }
}

#[tokio::test]
async fn a_host_token_is_listed_and_taken_back_as_well() {
    let world = World::new().await;
    let (client, site) = ("acme".parse().unwrap(), "north".parse().unwrap());
    let hour = SignedDuration::from_hours(1);
    let made = world.desk.new_token(&client, &site, hour, &ana(), world.now).await.unwrap();
    let open = world.desk.open_tokens(&Scope::Provider, world.now).await.unwrap();
    assert_eq!((open.len(), open[0].uses_max, &open[0].rule), (1, 1, &None));
    assert!(!open[0].name.contains(&made.token[..8]));
    assert!(world.desk.revoke_token(&open[0].name, &ana(), world.now).await.unwrap());
    assert_eq!(come(&world, &made.token, 1, HOST).await.unwrap_err().code, codes::TOKEN_EXPIRED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 20)]
async fn security_11_of_twenty_hosts_at_once_exactly_one_gets_the_last_use() {
    let world = World::new().await;
    let token = token(&world, terms(3, &[])).await.unwrap();
    for host in [1, 2] {
        come(&world, &token, host, HOST).await.unwrap();
    }
    let all_have_looked = Arc::new(Barrier::new(20));
    let uses: Vec<_> = (0..20)
        .map(|n: u8| {
            let (desk, now, meet) = (world.desk.clone(), world.now, Arc::clone(&all_have_looked));
            let request = enrolment(&token, &SigningKey::from_seed(&[n + 50; 32]).unwrap(), now);
            tokio::spawn(async move {
                let issue_together = |agent: &upheld_model::AgentId, request: &_| {
                    meet.wait();
                    issue(agent, request)
                };
                desk.enroll(request, HOST, now, issue_together).await.map_err(|problem| problem.code)
            })
        })
        .collect();
    let mut let_in = 0;
    for used in uses {
        match used.await.unwrap() {
            Ok(_) => let_in += 1,
            Err(code) => assert_eq!(code, codes::TOKEN_USED_UP),
        }
    }
    assert_eq!(let_in, 1);
    assert_eq!(world.desk.agents(&Scope::Provider).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_site_token_that_is_too_wide_too_long_or_for_nobody_is_not_made() {
    let world = World::new().await;
    let longer = SiteTokenTerms { ttl: SignedDuration::from_hours(24 * 14 + 1), ..terms(1, &[]) };
    assert!(matches!(token(&world, longer).await, Err(TokenError::SiteTtl(_))));
    assert!(matches!(token(&world, terms(0, &[])).await, Err(TokenError::Uses(0))));
    assert!(matches!(token(&world, terms(501, &[])).await, Err(TokenError::Uses(501))));
    let nowhere = SiteTokenTerms { networks: Vec::new(), ..terms(1, &[]) };
    assert!(matches!(token(&world, nowhere).await, Err(TokenError::Networks(_))));
    for _ in 0..100 {
        token(&world, terms(1, &[])).await.unwrap();
    }
    assert!(matches!(token(&world, terms(1, &[])).await, Err(TokenError::TooMany(100))));
}

//! Secrets that are sealed to a site's agents (SECURITY 4).

use getrandom::SysRng;
use rand_core::UnwrapErr;
use upheld_model::{ClientId, SecretName, SiteId};
use upheld_sealing::{Purpose, SealedBox, SealingKey};
use upheld_wire::v1::secrets::{SECRETS_MAX, SecretsAnswer, SecretsAt};
use zeroize::Zeroizing;

use super::world::{Agent, World, ana, delivered};
use crate::{
    AgentPeer,
    sealed::{LackingWhy, SealedError, SealedView},
};

const CANARY: &str = "canary-word";

fn key() -> SealingKey {
    SealingKey::generate(&mut UnwrapErr(SysRng))
}

fn place() -> (ClientId, SiteId) {
    ("acme".parse().unwrap(), "north".parse().unwrap())
}

async fn set(world: &World, name: &str, value: &str) -> Result<SealedView, SealedError> {
    let ((client, site), name) = (place(), name.parse().unwrap());
    world.desk.seal_secret(&client, &site, &name, Zeroizing::new(value.to_owned()), &ana(), world.now).await
}

async fn told(world: &World, peer: &AgentPeer, key: &SealingKey) -> SecretsAnswer {
    world.desk.secrets_for(peer, key.public(), world.now).await.unwrap()
}

async fn said_with_a_report(world: &World, agent: &Agent) -> SecretsAt {
    delivered(world.deliver(agent, agent.request(Vec::new(), world.now)).await).secrets.unwrap()
}

fn opened(peer: &AgentPeer, key: &SealingKey, answer: &SecretsAnswer) -> Vec<(String, Option<String>)> {
    let AgentPeer { client, site, agent } = peer;
    let open = |name: &SecretName, sealed: &str| {
        let purpose = Purpose { client, site, agent, name };
        upheld_sealing::open(key, purpose, &SealedBox::from_text(sealed.to_owned())).ok().map(|value| value.to_string())
    };
    answer.boxes.iter().map(|one| (one.name.to_string(), open(&one.name, &one.sealed))).collect()
}

#[tokio::test]
async fn security_4_a_secret_is_sealed_to_the_sites_active_agents_and_nobody_else_opens_it() {
    let world = World::new().await;
    let (agent, other) = (world.agent("acme", "north").await, world.agent("other", "north").await.peer);
    let one = agent.peer.clone();
    let refused = set(&world, "nvr-web", CANARY).await.unwrap_err();
    assert!(refused.to_string().contains("told no key yet"), "{refused}");
    assert_eq!(said_with_a_report(&world, &agent).await.key, None);

    let (mine, theirs) = (key(), key());
    assert_eq!(told(&world, &one, &mine).await.boxes, []);
    told(&world, &other, &theirs).await;
    let at = said_with_a_report(&world, &agent).await;
    assert_eq!((at.version, at.key), (0, Some(mine.public().to_string())));
    let view = set(&world, "nvr-web", CANARY).await.unwrap();
    assert_eq!((view.sealed_to, view.lacking), (vec![one.agent.clone()], vec![]));
    assert_eq!(said_with_a_report(&world, &agent).await.version, 1);

    let answer = told(&world, &one, &mine).await;
    assert_eq!(opened(&one, &mine, &answer), [("nvr-web".to_owned(), Some(CANARY.to_owned()))]);
    assert_eq!(opened(&other, &theirs, &answer), [("nvr-web".to_owned(), None)]);
    assert_eq!(told(&world, &other, &theirs).await, SecretsAnswer::default(), "another client's site has none");
    assert!(!format!("{answer:?}").contains(CANARY));
}

#[tokio::test]
async fn an_agent_that_came_or_made_its_key_after_the_secret_was_set_lacks_it_until_it_is_set_again() {
    let world = World::new().await;
    let first = world.agent("acme", "north").await.peer;
    let first_key = key();
    told(&world, &first, &first_key).await;
    set(&world, "nvr-web", CANARY).await.unwrap();
    let later = world.second_agent("acme", "north").await.peer;
    let lacking = async || {
        let (client, site) = place();
        let views = world.desk.sealed_secrets(&client, &site).await.unwrap();
        views[0].lacking.iter().map(|one| (one.agent.clone(), one.why)).collect::<Vec<_>>()
    };
    assert_eq!(lacking().await, [(later.agent.clone(), LackingWhy::NoKey)]);
    let later_key = key();
    assert_eq!(told(&world, &later, &later_key).await.boxes, []);
    assert_eq!(lacking().await, [(later.agent.clone(), LackingWhy::SetBefore)]);
    let view = set(&world, "nvr-web", "another").await.unwrap();
    assert_eq!((view.sealed_to.len(), view.lacking.len()), (2, 0));
    let answer = told(&world, &later, &later_key).await;
    assert_eq!(opened(&later, &later_key, &answer), [("nvr-web".to_owned(), Some("another".to_owned()))]);

    // The first host's disk is lost with its key: what was sealed to the old one is not given to the new one.
    let new_key = key();
    assert_eq!(told(&world, &first, &new_key).await.boxes, []);
    assert_eq!(lacking().await, [(first.agent.clone(), LackingWhy::SetBefore)]);
    world.desk.revoke_agent(&first.agent, &ana(), world.now).await.unwrap();
    assert_eq!(lacking().await, [], "who is revoked need not have it");
    assert_eq!(set(&world, "nvr-web", "third").await.unwrap().sealed_to, [later.agent]);
}

#[tokio::test]
async fn what_is_removed_is_gone_and_who_did_it_is_in_the_audit_without_the_value() {
    let world = World::new().await;
    let (peer, key) = (world.agent("acme", "north").await.peer, key());
    told(&world, &peer, &key).await;
    set(&world, "nvr-web", CANARY).await.unwrap();
    let (client, site) = place();
    let name: SecretName = "nvr-web".parse().unwrap();
    world.desk.remove_secret(&client, &site, &name, &ana(), world.now).await.unwrap();
    assert_eq!(told(&world, &peer, &key).await, SecretsAnswer { version: 2, boxes: vec![] });
    let again = world.desk.remove_secret(&client, &site, &name, &ana(), world.now).await.unwrap_err();
    assert!(matches!(again, SealedError::NoSuchSecret { .. }), "{again}");
    let page = world.desk.audit(&crate::Scope::Provider, crate::audit::AuditWanted::default()).await.unwrap();
    let of = |what: &str| page.entries.iter().filter(|entry| entry.what == what).count();
    assert_eq!([of("secret.set"), of("secret.removed"), of("agent.sealing-key")], [1, 1, 1]);
    assert!(!format!("{page:?}").contains(CANARY));
}

#[tokio::test]
async fn what_is_no_secret_or_one_too_many_is_refused_without_its_value() {
    let world = World::new().await;
    let (peer, key) = (world.agent("acme", "north").await.peer, key());
    told(&world, &peer, &key).await;
    for bad in ["", "canary\nx", &"canary".repeat(1_000)] {
        let refused = set(&world, "nvr-web", bad).await.unwrap_err();
        assert!(matches!(refused, SealedError::Value(_)) && !format!("{refused:?}{refused}").contains("canary"));
    }
    for number in 0..SECRETS_MAX {
        set(&world, &format!("s{number}"), "x").await.unwrap();
    }
    assert!(matches!(set(&world, "one-more", "x").await.unwrap_err(), SealedError::TooMany { .. }));
    set(&world, "s7", "y").await.unwrap();
    let (client, site, name) = ("acme".parse().unwrap(), "nowhere".parse().unwrap(), "nvr-web".parse().unwrap());
    let nowhere =
        world.desk.seal_secret(&client, &site, &name, Zeroizing::new("x".to_owned()), &ana(), world.now).await;
    assert!(nowhere.unwrap_err().to_string().contains("no site acme/nowhere"));
}

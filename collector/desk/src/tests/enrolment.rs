//! Tokens and books.

use std::sync::{Arc, Barrier};

use jiff::SignedDuration;
use upheld_evidence::SigningKey;
use upheld_wire::v1::codes;

use super::world::{HOST, World, ana, book, enrolment, issue};
use crate::{ApplyError, Scope, TokenError};

#[tokio::test(flavor = "multi_thread", worker_threads = 20)]
async fn of_twenty_uses_of_a_token_at_once_exactly_one_succeeds() {
    let world = World::new().await;
    let (client, site) = ("acme".parse().unwrap(), "north".parse().unwrap());
    let token = world.desk.new_token(&client, &site, SignedDuration::from_hours(1), &ana(), world.now).await.unwrap();
    assert_eq!(token.token.len(), 43);
    // All have found the token good before the first one uses it.
    let all_have_looked = Arc::new(Barrier::new(20));
    let uses: Vec<_> = (0..20)
        .map(|n: u8| {
            let (desk, now, meet) = (world.desk.clone(), world.now, Arc::clone(&all_have_looked));
            let request = enrolment(&token.token, &SigningKey::from_seed(&[n; 32]).unwrap(), now);
            tokio::spawn(async move {
                let issue_together = |agent: &upheld_model::AgentId, request: &_| {
                    meet.wait();
                    issue(agent, request)
                };
                desk.enroll(request, HOST, now, issue_together).await
            })
        })
        .collect();
    let mut taken_in = Vec::new();
    for used in uses {
        match used.await.unwrap() {
            Ok(answer) => taken_in.push(answer.agent),
            Err(problem) => assert_eq!((problem.status, problem.code.as_str()), (403, codes::TOKEN_USED)),
        }
    }
    assert_eq!(taken_in.len(), 1);
    let agents = world.desk.agents(&Scope::Provider).await.unwrap();
    assert_eq!(agents.into_iter().map(|agent| agent.agent).collect::<Vec<_>>(), taken_in);
    let audit = world.audit().await;
    assert_eq!(audit.iter().filter(|what| *what == "token.reused").count(), 19);
}

#[tokio::test]
async fn a_token_that_ended_or_was_never_given_out_takes_nobody_in_and_signs_nothing() {
    let mut world = World::new().await;
    let (client, site) = ("acme".parse().unwrap(), "north".parse().unwrap());
    let key = SigningKey::from_seed(&[1; 32]).unwrap();
    let token = world.desk.new_token(&client, &site, SignedDuration::from_secs(60), &ana(), world.now).await.unwrap();
    world.pass(60);
    let never = |_: &upheld_model::AgentId, _: &upheld_wire::v1::enroll::EnrollRequest| {
        std::panic::panic_any("the authority was asked to sign")
    };
    for (token, code) in [(token.token.as_str(), codes::TOKEN_EXPIRED), (&"x".repeat(43), codes::TOKEN_UNKNOWN)] {
        let refused = world.desk.enroll(enrolment(token, &key, world.now), HOST, world.now, never).await.unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (403, code));
    }
    assert_eq!(world.desk.agents(&Scope::Provider).await.unwrap(), []);
}

#[tokio::test]
async fn a_key_that_is_not_proven_is_refused_and_the_token_stays_good() {
    let world = World::new().await;
    let (client, site) = ("acme".parse().unwrap(), "north".parse().unwrap());
    let (mine, other) = (SigningKey::from_seed(&[1; 32]).unwrap(), SigningKey::from_seed(&[2; 32]).unwrap());
    let token = world.desk.new_token(&client, &site, SignedDuration::from_hours(1), &ana(), world.now).await.unwrap();
    let good = enrolment(&token.token, &mine, world.now);
    let mut bad = good.clone();
    bad.signing_key = other.public().to_string();
    let refused = world.desk.enroll(bad, HOST, world.now, issue).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (400, codes::MALFORMED));
    let answer = world.desk.enroll(good, HOST, world.now, issue).await.unwrap();
    assert_eq!((answer.client_name.as_str(), answer.site_name.as_str()), ("Acme Foods", "North"));
    assert_eq!(answer.config.checks.len(), 2);
}

#[tokio::test]
async fn a_token_is_for_a_client_and_site_of_the_book_and_at_most_a_day() {
    let world = World::new().await;
    let make = |client: &str, site: &str, hours| {
        let (desk, now) = (world.desk.clone(), world.now);
        let (client, site) = (client.parse().unwrap(), site.parse().unwrap());
        async move { desk.new_token(&client, &site, SignedDuration::from_hours(hours), &ana(), now).await }
    };
    assert!(matches!(make("nobody", "north", 1).await, Err(TokenError::NoSuchClient(_))));
    assert!(matches!(make("acme", "south", 1).await, Err(TokenError::NoSuchSite { .. })));
    assert!(matches!(make("acme", "north", 25).await, Err(TokenError::Ttl(_))));
    assert!(matches!(make("acme", "north", 0).await, Err(TokenError::Ttl(_))));
    make("acme", "north", 24).await.unwrap();
}

#[tokio::test]
async fn a_version_in_force_is_followed_and_never_changed() {
    let world = World::new().await;
    let again = world.desk.apply_book(book(), &ana(), world.now).await.unwrap();
    assert_eq!((again.version, again.changed), (1, false));

    let with = |path: &str, edit: &dyn Fn(&str) -> String| {
        let mut files = book();
        let text = edit(&files[path]);
        files.insert(path.to_owned(), text);
        files
    };
    let cheaper = with("plans/gold.toml", &|text| text.replace("1h", "2h"));
    let refused = world.desk.apply_book(cheaper, &ana(), world.now).await.unwrap_err();
    assert!(matches!(refused, ApplyError::VersionChanged { version: 1, .. }), "{refused}");

    let gone: std::collections::BTreeMap<_, _> =
        book().into_iter().filter(|(path, _)| !path.starts_with("clients/other")).collect();
    let refused = world.desk.apply_book(gone, &ana(), world.now).await.unwrap_err();
    assert!(matches!(refused, ApplyError::ClientMissing { .. }), "{refused}");

    let amended = with("clients/acme/ssa.toml", &|text| {
        format!("{text}\n[[version]]\neffective_from = 2027-01-01\nsigned = 2026-11-01\nnote = \"as before\"\n")
    });
    let applied = world.desk.apply_book(amended, &ana(), world.now).await.unwrap();
    assert_eq!((applied.version, applied.changed), (2, true));
    assert_eq!(world.desk.current_book().await.unwrap().version, 2);
    let renamed = with("clients/acme/ssa.toml", &|text| {
        format!("{text}\n[[version]]\neffective_from = 2027-01-01\nsigned = 2026-11-01\nnote = \"better\"\n")
    });
    assert_eq!(world.desk.apply_book(renamed, &ana(), world.now).await.unwrap().version, 3, "it has not begun");
}

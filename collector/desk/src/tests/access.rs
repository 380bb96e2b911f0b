//! Links, sessions, tokens.

use jiff::SignedDuration;
use upheld_model::ClientId;
use upheld_store::users::UserRow;

use super::world::{World, ana};
use crate::{
    Actor, Rights, Role, Scope,
    access::{SESSION_IDLE, SESSION_MAX},
    roles::{self, Action},
};

#[tokio::test]
async fn a_login_link_works_once_and_for_a_quarter_of_an_hour() {
    let mut world = World::new().await;
    let link = world.desk.new_login_link("ana", &ana(), world.now).await.unwrap();
    assert_eq!(link.len(), 43);
    let session = world.desk.sign_in(&link, world.now).await.unwrap().unwrap();
    assert_eq!(world.desk.sign_in(&link, world.now).await.unwrap(), None);
    assert_eq!(world.desk.sign_in("unknown", world.now).await.unwrap(), None);
    let who = world.desk.session(&session, world.now).await.unwrap().unwrap();
    assert_eq!((who.actor, who.scope), (ana(), Scope::Provider));
    let late = world.desk.new_login_link("ana", &ana(), world.now).await.unwrap();
    world.pass(15 * 60);
    assert_eq!(world.desk.sign_in(&late, world.now).await.unwrap(), None);
}

#[tokio::test]
async fn a_login_link_makes_an_account_with_all_rights_for_who_has_none_and_no_second_one() {
    let world = World::new().await;
    for name in ["Ana Example", "ana example", "ANA  EXAMPLE"] {
        let link = world.desk.new_login_link(name, &ana(), world.now).await.unwrap();
        let session = world.desk.sign_in(&link, world.now).await.unwrap().unwrap();
        let who = world.desk.session(&session, world.now).await.unwrap().unwrap();
        assert_eq!(who.actor, Actor::person("Ana Example"), "{name}");
    }
    let users = world.desk.store().read::<_, crate::DeskError, _>("users", |tx| Ok(tx.users(None)?)).await.unwrap();
    let made: Vec<_> = users.iter().map(|user| (user.role, user.client.clone(), user.password.clone())).collect();
    assert_eq!(made, [(Role::ProviderAdmin, None, None)]);
    let refused = world.desk.new_login_link("Ana\u{202e}", &ana(), world.now).await.unwrap_err();
    assert!(refused.to_string().contains("turns the text around"), "{refused}");
}

#[tokio::test]
async fn a_session_ends_when_idle_when_old_and_when_asked() {
    let mut world = World::new().await;
    let begin = |world: &World| {
        let (desk, now) = (world.desk.clone(), world.now);
        async move {
            let link = desk.new_login_link("ana", &ana(), now).await.unwrap();
            desk.sign_in(&link, now).await.unwrap().unwrap()
        }
    };
    let idle = begin(&world).await;
    world.now += SESSION_IDLE;
    assert_eq!(world.desk.session(&idle, world.now).await.unwrap(), None);

    let busy = begin(&world).await;
    let began = world.now;
    while world.now.duration_since(began) < SESSION_MAX {
        assert!(world.desk.session(&busy, world.now).await.unwrap().is_some());
        world.now += SESSION_IDLE - SignedDuration::from_secs(1);
    }
    assert_eq!(world.desk.session(&busy, world.now).await.unwrap(), None);

    let asked = begin(&world).await;
    world.desk.sign_out(&asked, world.now).await.unwrap();
    assert_eq!(world.desk.session(&asked, world.now).await.unwrap(), None);
}

#[tokio::test]
async fn an_api_token_has_a_scope_rights_and_an_end() {
    let mut world = World::new().await;
    let scope = Scope::Client("acme".parse().unwrap());
    let hour = Some(SignedDuration::from_hours(1));
    let token = world.desk.new_api_token("portal", &scope, Rights::Read, hour, &ana(), world.now).await.unwrap();
    assert!(!format!("{token:?}").contains(&token.token));
    let who = world.desk.api_token(&token.token, world.now).await.unwrap().unwrap();
    assert_eq!((who.actor, who.scope, who.rights), (Actor::Token("portal".into()), scope.clone(), Rights::Read));
    let other =
        world.desk.new_api_token("ci", &Scope::Provider, Rights::Respond, None, &ana(), world.now).await.unwrap();
    world.pass(3_600);
    assert_eq!(world.desk.api_token(&token.token, world.now).await.unwrap(), None);
    assert!(world.desk.api_token(&other.token, world.now).await.unwrap().is_some());
    assert_eq!(world.desk.revoke_api_token("ci", &ana(), world.now).await.unwrap(), 1);
    assert_eq!(world.desk.api_token(&other.token, world.now).await.unwrap(), None);
}

/// Gives the account another role, or takes it from its person, behind the back of his session.
async fn change(world: &World, login: &str, change: impl FnOnce(&mut UserRow) + Send + 'static) {
    let login = login.to_owned();
    let write = world.desk.store().write("test.change_user", move |tx| {
        let person = tx.person_of_login(&login)?.unwrap();
        let mut row = tx.user(&person)?.unwrap();
        let seen = row.changed_at;
        change(&mut row);
        assert!(tx.change_user(&row, seen)?);
        Ok::<_, crate::DeskError>(())
    });
    write.await.unwrap();
}

#[tokio::test]
async fn security_26_a_role_is_read_at_each_request_and_a_disabled_account_does_nothing() {
    let world = World::new().await;
    let link = world.desk.new_login_link("ana", &ana(), world.now).await.unwrap();
    let session = world.desk.sign_in(&link, world.now).await.unwrap().unwrap();
    let seen = async || world.desk.session(&session, world.now).await.unwrap();
    let admin = seen().await.unwrap();
    assert_eq!((admin.role, &admin.scope), (Role::ProviderAdmin, &Scope::Provider));
    assert!(admin.may(Action::Users));
    let acme: ClientId = "acme".parse().unwrap();
    let client = acme.clone();
    change(&world, "ana", move |row| (row.role, row.client) = (Role::ClientReader, Some(client))).await;
    let reader = seen().await.unwrap();
    assert_eq!((reader.role, &reader.scope), (Role::ClientReader, &Scope::Client(acme)));
    assert!(!reader.may(Action::Give("note")) && reader.may(Action::Report));
    let now = world.now;
    change(&world, "ana", move |row| row.disabled_at = Some(now)).await;
    assert_eq!(seen().await, None);
}

#[tokio::test]
async fn security_28_a_token_never_does_what_is_for_people_only() {
    let world = World::new().await;
    let acme = Scope::Client("acme".parse().unwrap());
    for (scope, role) in [(Scope::Provider, Role::Dispatcher), (acme, Role::ClientOwner)] {
        for rights in [Rights::Read, Rights::Respond] {
            let token = world.desk.new_api_token("t", &scope, rights, None, &ana(), world.now).await.unwrap();
            let who = world.desk.api_token(&token.token, world.now).await.unwrap().unwrap();
            assert_eq!((who.role, &who.scope), (role, &scope));
            for action in Action::all() {
                let is_within = roles::may(role, action) && (rights == Rights::Respond || action.is_look());
                assert_eq!(who.may(action), is_within && !action.is_persons(), "{role} {rights} {action}");
            }
            assert!(!who.may(Action::Agents) && !who.may(Action::Readers));
        }
    }
}

//! What every database must do with accounts.

use upheld_model::ClientId;

use super::at;
use crate::{
    Store, StoreError,
    users::{Role, UserRow},
};

pub(super) async fn all(open: impl Fn() -> Store) {
    an_account_is_a_persons_and_its_login_name_is_nobody_elses(open()).await;
    accounts_are_listed_by_login_and_by_client(open()).await;
    a_change_of_an_account_that_somebody_else_changed_changes_nothing(open()).await;
    a_clients_role_has_a_client_and_no_other_role_has(open()).await;
}

async fn an_account_is_a_persons_and_its_login_name_is_nobody_elses(store: Store) {
    store
        .write::<_, StoreError, _>("users", |tx| {
            tx.insert_person("p-1", "Ana Example")?;
            tx.insert_person("p-2", "Ben Example")?;
            assert_eq!(tx.login_of("p-1")?, None);
            tx.set_login("p-1", "ana@example.net")?;
            assert_eq!(tx.login_of("p-1")?.as_deref(), Some("ana@example.net"));
            assert_eq!(tx.person_of_login("ana@example.net")?.as_deref(), Some("p-1"));
            assert_eq!(tx.person_of_login("ben@example.net")?, None);
            let taken = tx.set_login("p-2", "ana@example.net");
            assert!(matches!(taken, Err(StoreError::Exists { .. })), "{taken:?}");
            assert_eq!(tx.user("p-1")?, None);
            tx.insert_user(&user("p-1", Role::ProviderAdmin, None))?;
            assert_eq!(tx.user("p-1")?, Some(user("p-1", Role::ProviderAdmin, None)));
            let twice = tx.insert_user(&user("p-1", Role::Technician, None));
            assert!(matches!(twice, Err(StoreError::Exists { .. })), "{twice:?}");
            Ok(())
        })
        .await
        .unwrap();
}

async fn accounts_are_listed_by_login_and_by_client(store: Store) {
    store
        .write::<_, StoreError, _>("users", |tx| {
            for (person, login, role, client) in [
                ("p-1", "zoe", Role::ClientOwner, Some("acme")),
                ("p-2", "ben", Role::Dispatcher, None),
                ("p-3", "ana", Role::ClientReader, Some("acme")),
                ("p-4", "eve", Role::ClientReader, Some("other")),
            ] {
                tx.insert_person(person, login)?;
                tx.set_login(person, login)?;
                tx.insert_user(&user(person, role, client))?;
            }
            let people = |rows: Vec<UserRow>| rows.into_iter().map(|row| row.person).collect::<Vec<_>>();
            assert_eq!(people(tx.users(None)?), ["p-3", "p-2", "p-4", "p-1"]);
            let acme: ClientId = "acme".parse().unwrap();
            assert_eq!(people(tx.users(Some(&acme))?), ["p-3", "p-1"]);
            assert_eq!(tx.users(Some(&"nobody".parse().unwrap()))?, []);
            Ok(())
        })
        .await
        .unwrap();
}

async fn a_change_of_an_account_that_somebody_else_changed_changes_nothing(store: Store) {
    store
        .write::<_, StoreError, _>("users", |tx| {
            let made = user("p-1", Role::Technician, None);
            tx.insert_user(&made)?;
            let changed = UserRow {
                role: Role::ClientOwner,
                client: Some("acme".parse().unwrap()),
                password: Some("$argon2id$".to_owned()),
                changed_at: at(20),
                disabled_at: Some(at(20)),
                ..made.clone()
            };
            assert!(tx.change_user(&changed, made.changed_at)?);
            assert_eq!(tx.user("p-1")?, Some(changed.clone()));
            assert!(!tx.change_user(&made, made.changed_at)?, "it was changed since");
            assert_eq!(tx.user("p-1")?, Some(changed.clone()));
            assert!(!format!("{changed:?}").contains("argon2"), "no hash in a log");
            Ok(())
        })
        .await
        .unwrap();
}

async fn a_clients_role_has_a_client_and_no_other_role_has(store: Store) {
    for role in Role::ALL.iter().copied() {
        let client = (!role.is_of_a_client()).then_some("acme");
        let wrong = store.write("users", move |tx| tx.insert_user(&user("p-1", role, client))).await;
        assert!(matches!(wrong, Err(StoreError::Database { .. })), "{role}: {wrong:?}");
    }
}

fn user(person: &str, role: Role, client: Option<&str>) -> UserRow {
    UserRow {
        person: person.to_owned(),
        role,
        client: client.map(|client| client.parse().unwrap()),
        password: None,
        created_at: at(10),
        created_by: "p-0".to_owned(),
        changed_at: at(10),
        disabled_at: None,
    }
}

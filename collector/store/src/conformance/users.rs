//! What every database must do with accounts.

use upheld_model::{ClientId, Digest};

use super::at;
use crate::{
    Store, StoreError,
    access::{ApiTokenRow, LoginLinkRow, PasswordLinkRow, SessionRow},
    audit::{AuditAsked, AuditRow},
    users::{Role, UserRow},
};

pub(super) async fn all(open: impl Fn() -> Store) {
    an_account_is_a_persons_and_its_login_name_is_nobody_elses(open()).await;
    accounts_are_listed_by_login_and_by_client(open()).await;
    a_change_of_an_account_that_somebody_else_changed_changes_nothing(open()).await;
    a_clients_role_has_a_client_and_no_other_role_has(open()).await;
    a_password_link_works_once_until_it_ends_or_is_made_void(open()).await;
    a_persons_sessions_end_together_but_for_the_one_he_is_in(open()).await;
    a_persons_own_tokens_are_his_to_revoke(open()).await;
    the_audit_is_read_page_by_page_by_what_is_asked(open()).await;
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

async fn a_password_link_works_once_until_it_ends_or_is_made_void(store: Store) {
    let link = |hash: u8, person: &str| PasswordLinkRow {
        hash: Digest([hash; 32]),
        person: person.to_owned(),
        kind: "invite".to_owned(),
        created_at: at(10),
        created_by: "p-0".to_owned(),
        expires_at: at(100),
        used_at: None,
    };
    store
        .write::<_, StoreError, _>("links", move |tx| {
            for (hash, person) in [(1, "p-1"), (2, "p-1"), (3, "p-2")] {
                tx.insert_password_link(&link(hash, person))?;
            }
            assert_eq!(tx.password_link(&Digest([1; 32]))?, Some(link(1, "p-1")));
            assert_eq!(tx.use_password_link(&Digest([1; 32]), at(100))?, None, "it has ended");
            assert_eq!(tx.use_password_link(&Digest([1; 32]), at(99))?.as_deref(), Some("p-1"));
            assert_eq!(tx.use_password_link(&Digest([1; 32]), at(99))?, None, "used once");
            assert_eq!(tx.password_link(&Digest([1; 32]))?.unwrap().used_at, Some(at(99)));
            assert_eq!(tx.void_password_links_of("p-1", at(50))?, 1);
            assert_eq!(tx.use_password_link(&Digest([2; 32]), at(50))?, None, "void");
            assert_eq!(tx.use_password_link(&Digest([9; 32]), at(50))?, None, "unknown");
            assert_eq!(tx.void_credentials(at(60))?, [0, 1, 0, 0]);
            assert_eq!(tx.use_password_link(&Digest([3; 32]), at(61))?, None, "void after a restore");
            let login =
                LoginLinkRow { hash: Digest([4; 32]), who: "p-1".to_owned(), created_at: at(10), expires_at: at(100) };
            tx.insert_login_link(&login)?;
            assert_eq!(tx.void_login_links_of("p-2", at(50))?, 0);
            assert_eq!(tx.void_login_links_of("p-1", at(50))?, 1);
            assert_eq!(tx.use_login_link(&Digest([4; 32]), at(51))?, None);
            Ok(())
        })
        .await
        .unwrap();
}

async fn a_persons_sessions_end_together_but_for_the_one_he_is_in(store: Store) {
    let session = |hash: u8, who: &str, begun: i64| SessionRow {
        hash: Digest([hash; 32]),
        who: who.to_owned(),
        begun_at: at(begun),
        last_used_at: at(begun),
        ended_at: None,
    };
    store
        .write::<_, StoreError, _>("sessions", move |tx| {
            for (hash, who, begun) in [(1, "p-1", 10), (2, "p-1", 20), (3, "p-1", 30), (4, "p-2", 40)] {
                tx.insert_session(&session(hash, who, begun))?;
            }
            assert_eq!(tx.sessions_of("p-1")?, [session(3, "p-1", 30), session(2, "p-1", 20), session(1, "p-1", 10)]);
            assert_eq!(tx.end_sessions_of("p-1", Some(&Digest([2; 32])), at(50))?, 2);
            assert_eq!(tx.sessions_of("p-1")?, [session(2, "p-1", 20)]);
            assert_eq!(tx.end_sessions_of("p-1", None, at(50))?, 1);
            assert_eq!(tx.sessions_of("p-1")?, []);
            assert_eq!(tx.sessions_of("p-2")?, [session(4, "p-2", 40)]);
            Ok(())
        })
        .await
        .unwrap();
}

async fn a_persons_own_tokens_are_his_to_revoke(store: Store) {
    let token = |hash: u8, owner: Option<&str>| ApiTokenRow {
        hash: Digest([hash; 32]),
        name: "ci".to_owned(),
        client: None,
        rights: "read".to_owned(),
        owner: owner.map(str::to_owned),
        created_at: at(i64::from(hash)),
        created_by: "p-1".to_owned(),
        expires_at: None,
        revoked_at: None,
    };
    store
        .write::<_, StoreError, _>("tokens", move |tx| {
            for (hash, owner) in [(1, Some("p-1")), (2, Some("p-1")), (3, Some("p-2")), (4, None)] {
                tx.insert_api_token(&token(hash, owner))?;
            }
            assert_eq!(tx.api_tokens_of("p-1")?, [token(2, Some("p-1")), token(1, Some("p-1"))]);
            assert!(!tx.revoke_own_api_token(&Digest([3; 32]), "p-1", at(9))?, "another's");
            assert!(!tx.revoke_own_api_token(&Digest([4; 32]), "p-1", at(9))?, "the host's");
            assert!(tx.revoke_own_api_token(&Digest([2; 32]), "p-1", at(9))?);
            assert!(!tx.revoke_own_api_token(&Digest([2; 32]), "p-1", at(9))?, "once");
            assert_eq!(tx.api_tokens_of("p-1")?, [token(1, Some("p-1"))]);
            assert_eq!(tx.api_token(&Digest([2; 32]))?.unwrap().revoked_at, Some(at(9)));
            Ok(())
        })
        .await
        .unwrap();
}

async fn the_audit_is_read_page_by_page_by_what_is_asked(store: Store) {
    let row = |at_s: i64, who: &str, client: Option<&str>, what: &str| AuditRow {
        at: at(at_s),
        who: who.to_owned(),
        client: client.map(|client| client.parse().unwrap()),
        what: what.to_owned(),
        detail: "{}".to_owned(),
    };
    store
        .write::<_, StoreError, _>("audit", move |tx| {
            assert_eq!(tx.audit_kinds()?, Vec::<String>::new());
            for entry in [
                row(10, "p-1", None, "user.made"),
                row(20, "p-2", Some("acme"), "login.refused"),
                row(30, "p-1", Some("acme"), "user.made"),
                row(40, "p-1", Some("other"), "session.begun"),
            ] {
                tx.append_audit(&entry)?;
            }
            assert_eq!(tx.audit_kinds()?, ["login.refused", "session.begun", "user.made"]);
            let all = tx.audit_page(&AuditAsked::default(), 9)?;
            assert_eq!(all.iter().map(|(_, row)| row.at).collect::<Vec<_>>(), [at(40), at(30), at(20), at(10)]);
            let first = tx.audit_page(&AuditAsked::default(), 3)?;
            assert_eq!(first, all[..3]);
            let next = AuditAsked { before: Some(first[2].0), ..AuditAsked::default() };
            assert_eq!(tx.audit_page(&next, 3)?, all[3..]);
            let acme = Some("acme".parse().unwrap());
            let asked = |client: &Option<ClientId>, who: Option<&str>, what: Option<&str>| AuditAsked {
                client: client.clone(),
                who: who.map(str::to_owned),
                what: what.map(str::to_owned),
                ..AuditAsked::default()
            };
            let times = |asked: &AuditAsked| {
                let page = tx.audit_page(asked, 9).unwrap();
                page.into_iter().map(|(_, row)| row.at.as_second() - at(0).as_second()).collect::<Vec<_>>()
            };
            assert_eq!(times(&asked(&acme, None, None)), [30, 20]);
            assert_eq!(times(&asked(&None, Some("p-1"), None)), [40, 30, 10]);
            assert_eq!(times(&asked(&acme, Some("p-1"), None)), [30]);
            assert_eq!(times(&asked(&None, None, Some("user.made"))), [30, 10]);
            assert_eq!(times(&asked(&acme, Some("p-2"), Some("user.made"))), Vec::<i64>::new());
            let between = AuditAsked { from: Some(at(20)), to: Some(at(40)), ..AuditAsked::default() };
            assert_eq!(times(&between), [30, 20]);
            Ok(())
        })
        .await
        .unwrap();
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

//! Certificates, returns, site tokens and arrivals.

use upheld_model::Digest;

use super::{agent, at};
use crate::{
    Store, StoreError,
    agents::AgentStatus,
    certificates::{CertificateRow, ReturnRow, ReturnState},
    site_tokens::{ArrivalRow, SiteTokenRow},
};

pub(super) async fn all(open: &impl Fn() -> Store) {
    the_last_certificate_stands_and_those_that_end_are_found(open()).await;
    hosts_that_ask_are_told_apart_by_their_key(open()).await;
    a_site_token_has_so_many_uses_and_an_end(open()).await;
    a_pending_agent_is_let_in_once(open()).await;
}

async fn the_last_certificate_stands_and_those_that_end_are_found(store: Store) {
    let row = |id: &str, ends_s: i64| CertificateRow {
        client: "acme".parse().unwrap(),
        agent: id.parse().unwrap(),
        ends: at(ends_s),
        void_before: Some(at(1)),
        root: Some("root".into()),
    };
    store
        .write::<_, StoreError, _>("certificates", move |tx| {
            assert_eq!(tx.certificate(&row("a-1", 0).client, &row("a-1", 0).agent)?, None);
            for one in [row("a-1", 5), row("a-1", 9), row("a-2", 7)] {
                tx.put_certificate(&one)?;
            }
            assert_eq!(tx.certificate(&row("a-1", 0).client, &row("a-1", 0).agent)?, Some(row("a-1", 9)));
            assert_eq!(tx.certificates_ending(at(9), 10)?, [row("a-2", 7)]);
            assert_eq!(tx.certificates_ending(at(10), 10)?, [row("a-2", 7), row("a-1", 9)]);
            tx.certificates_end_no_sooner(at(8))?;
            assert_eq!(tx.certificates_ending(at(10), 10)?, [row("a-2", 8), row("a-1", 9)]);
            Ok(())
        })
        .await
        .unwrap();
}

async fn hosts_that_ask_are_told_apart_by_their_key(store: Store) {
    let row = |key: u8, asked_s: i64| ReturnRow {
        client: "acme".parse().unwrap(),
        agent: "a-1".parse().unwrap(),
        key: Digest([key; 32]),
        host: "nvr-02".into(),
        address: "10.20.0.5".into(),
        why: "because".into(),
        state: ReturnState::Waiting,
        asked_at: at(asked_s),
        last_asked: at(asked_s),
        decided: None,
    };
    let approved = ReturnRow { state: ReturnState::Approved, decided: Some((at(9), "p-1".into())), ..row(1, 0) };
    store
        .write::<_, StoreError, _>("returns", move |tx| {
            tx.put_return(&row(2, 1))?;
            tx.put_return(&row(1, 0))?;
            assert_eq!(tx.returns_of(&row(1, 0).client, &row(1, 0).agent)?, [row(1, 0), row(2, 1)]);
            tx.put_return(&approved)?;
            assert_eq!(tx.returns_in(ReturnState::Waiting, 10)?, [row(2, 1)]);
            assert_eq!(tx.returns_in(ReturnState::Approved, 10)?, std::slice::from_ref(&approved));
            tx.delete_return(&row(2, 1).client, &row(2, 1).agent, &row(2, 1).key)?;
            assert_eq!(tx.returns_of(&row(1, 0).client, &row(1, 0).agent)?, std::slice::from_ref(&approved));
            Ok(())
        })
        .await
        .unwrap();
}

async fn a_site_token_has_so_many_uses_and_an_end(store: Store) {
    let row = |hash: u8| SiteTokenRow {
        hash: Digest([hash; 32]),
        client: "acme".parse().unwrap(),
        site: "north".parse().unwrap(),
        created_at: at(i64::from(hash)),
        created_by: "p-1".into(),
        expires_at: at(60),
        uses_max: 2,
        uses: 0,
        networks: "[]".into(),
        rule: "[]".into(),
        revoked_at: None,
    };
    store
        .write::<_, StoreError, _>("site_tokens", move |tx| {
            tx.insert_site_token(&row(1))?;
            tx.insert_site_token(&row(2))?;
            let used = [30, 30, 30].map(|second| tx.use_site_token(&Digest([1; 32]), at(second)));
            assert_eq!(used.map(Result::unwrap), [true, true, false], "two uses");
            assert_eq!(tx.site_token(&Digest([1; 32]))?, Some(SiteTokenRow { uses: 2, ..row(1) }));
            assert!(!tx.use_site_token(&Digest([2; 32]), at(60))?, "its time is over");
            assert!(
                tx.revoke_site_token(&Digest([2; 32]), at(40))? && !tx.revoke_site_token(&Digest([2; 32]), at(41))?
            );
            assert!(!tx.use_site_token(&Digest([2; 32]), at(30))?, "it was taken back");
            let names: Vec<_> = tx.site_tokens()?.into_iter().map(|token| token.hash.0[0]).collect();
            assert_eq!(names, [2, 1], "the newest first");
            Ok(())
        })
        .await
        .unwrap();
}

async fn a_pending_agent_is_let_in_once(store: Store) {
    store
        .write::<_, StoreError, _>("arrivals", |tx| {
            let mut row = agent("acme", "a-1");
            row.status = AgentStatus::Pending;
            tx.insert_agent(&row)?;
            let arrival = ArrivalRow {
                client: row.client.clone(),
                agent: row.agent.clone(),
                token: Digest([1; 32]),
                address: "10.20.0.5".into(),
                asked_at: at(1),
                decided: None,
            };
            tx.insert_arrival(&arrival)?;
            assert_eq!(tx.arrivals_waiting(10)?, std::slice::from_ref(&arrival));
            assert_eq!(tx.agents_unheard_since(at(9), 10)?, [], "who waits is not missed");
            assert!(tx.admit_agent(&row.agent, at(5))? && !tx.admit_agent(&row.agent, at(6))?);
            let now = tx.agent(&row.agent)?.unwrap();
            assert_eq!((now.status, now.enrolled_at), (AgentStatus::Active, at(5)));
            assert!(tx.decide_arrival(&row.client, &row.agent, at(5), "p-1")?);
            assert!(!tx.decide_arrival(&row.client, &row.agent, at(6), "p-2")?);
            assert_eq!(tx.arrivals_waiting(10)?, []);
            let decided = Some((at(5), "p-1".to_owned()));
            assert_eq!(tx.arrival(&row.client, &row.agent)?, Some(ArrivalRow { decided, ..arrival }));
            Ok(())
        })
        .await
        .unwrap();
}

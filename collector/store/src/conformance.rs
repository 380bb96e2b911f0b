//! What every database behind a [`Store`] must do. Each function takes a store with nothing in it; a second backend
//! runs the same list.

mod enrolment;
mod facts;
mod forgotten;
mod jobs;
mod leases;
mod proposals;
mod records;
mod retention;
mod sealed;
mod users;

use jiff::{SignedDuration, Timestamp};
use upheld_model::{Digest, IncidentNumber, IncidentRef, RecordId, Seq};

use crate::{
    Store, StoreError,
    acceptances::AcceptanceRow,
    agents::{AgentNowRow, AgentRow, AgentStatus, SeenRow},
    audit::AuditRow,
    clocks::ClockRow,
    findings::{FindingRow, Over},
    incidents::IncidentRow,
    ledger::LedgerRow,
    maintenance::MaintenanceRow,
    outbox::{AttemptRow, OutboxRow, OutboxStatus, Settled},
    records::{AgentKey, HeadRow, RecordRow},
    tokens::TokenRow,
};

/// The whole list, each on a store of its own.
pub(crate) async fn all(open: impl Fn() -> Store) {
    an_error_undoes_all_that_its_transaction_wrote_and_nothing_else(open()).await;
    a_panic_ends_one_transaction_and_not_the_store(open()).await;
    a_reader_sees_one_moment(open()).await;
    an_agent_is_unheard_until_its_first_request_and_unseen_after_its_last(open()).await;
    one_of_many_uses_of_a_token_wins(open()).await;
    records::all(&open).await;
    a_record_is_known_by_id_and_content_together(open()).await;
    at_most_one_incident_is_open_for_a_dedup_key(open()).await;
    numbers_count_per_client_without_holes(open()).await;
    a_change_against_an_old_revision_changes_nothing(open()).await;
    due_clocks_come_oldest_first_and_only_when_due(open()).await;
    the_ledger_keeps_the_order_of_recording(open()).await;
    a_message_is_leased_by_one_worker_until_its_lease_ends(open()).await;
    a_message_changes_only_while_nobody_may_take_it(open()).await;
    one_client_never_sees_another_ones_rows(open()).await;
    a_finding_opens_once_and_ends_once(open()).await;
    runs_tell_when_the_collector_was_down(open()).await;
    troubles_of_the_collector_have_an_end_each(open()).await;
    names_are_kept_apart_from_what_people_did(open()).await;
    a_command_is_known_by_its_giver_and_key_for_a_time(open()).await;
    a_window_of_work_ends_once_and_is_found_while_it_holds(open()).await;
    what_was_accepted_is_never_changed(open()).await;
    a_week_is_told_by_whoever_moves_its_due(open()).await;
    lists_are_in_the_order_of_their_bytes(open()).await;
    leases::all(&open).await;
    enrolment::all(&open).await;
    facts::all(&open).await;
    forgotten::all(&open).await;
    jobs::all(&open).await;
    proposals::all(&open).await;
    retention::all(&open).await;
    sealed::all(&open).await;
    users::all(open).await;
}

async fn lists_are_in_the_order_of_their_bytes(store: Store) {
    store
        .write::<_, StoreError, _>("agents", |tx| {
            // A database's locale would sort these otherwise.
            for (client, id) in [("ab", "a-1"), ("a-c", "z"), ("ab", "a1"), ("ab", "a-b"), ("a-c", "ab"), ("ab", "ab")]
            {
                tx.insert_agent(&agent(client, &format!("{client}.{id}")))?;
            }
            let found: Vec<_> = tx.agents(None)?.into_iter().map(|row| row.agent.to_string()).collect();
            assert_eq!(found, ["a-c.ab", "a-c.z", "ab.a-1", "ab.a-b", "ab.a1", "ab.ab"]);
            Ok(())
        })
        .await
        .unwrap();
}

async fn a_week_is_told_by_whoever_moves_its_due(store: Store) {
    store
        .write::<_, StoreError, _>("digests", move |tx| {
            let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
            assert!(tx.move_digest(&acme, None, at(7))?);
            assert!(!tx.move_digest(&acme, None, at(8))?, "it is there");
            assert!(tx.move_digest(&other, None, at(9))?);
            assert!(tx.move_digest(&acme, Some(at(7)), at(14))?);
            assert!(!tx.move_digest(&acme, Some(at(7)), at(21))?, "another has moved it");
            let dues: Vec<_> = tx.digests()?.into_iter().map(|row| (row.client, row.due_at)).collect();
            assert_eq!(dues, [(acme.clone(), at(14)), (other, at(9))]);
            tx.remove_digest(&acme)?;
            assert_eq!(tx.digests()?.len(), 1);
            Ok(())
        })
        .await
        .unwrap();
}

async fn what_was_accepted_is_never_changed(store: Store) {
    let row = |client: &str, version: u32, hash: u8, at_s: i64| AcceptanceRow {
        client: client.parse().unwrap(),
        agreement: "SSA-1".to_owned(),
        version,
        hash: Digest([hash; 32]),
        accepted_by: "p-1".to_owned(),
        accepted_at: at(at_s),
        entered_by: "p-2".to_owned(),
    };
    let again = row("acme", 1, 7, 9);
    store
        .write::<_, StoreError, _>("accept", move |tx| {
            tx.insert_acceptance(&row("acme", 2, 8, 2))?;
            tx.insert_acceptance(&row("acme", 1, 7, 1))?;
            tx.insert_acceptance(&row("other", 1, 7, 1))?;
            let found = tx.acceptances(&"acme".parse().unwrap())?;
            assert_eq!(found, [row("acme", 1, 7, 1), row("acme", 2, 8, 2)]);
            Ok(())
        })
        .await
        .unwrap();
    let twice = store.write("accept", move |tx| tx.insert_acceptance(&again)).await.unwrap_err();
    assert!(matches!(twice, StoreError::Exists { .. }), "{twice}");
}

async fn a_window_of_work_ends_once_and_is_found_while_it_holds(store: Store) {
    let window = |client: &str, over: Option<i64>| MaintenanceRow {
        client: client.parse().unwrap(),
        number: 0,
        site: "north".parse().unwrap(),
        origin: "person".to_owned(),
        body: "{}".to_owned(),
        entered_at: at(1),
        entered_by: "p-1".to_owned(),
        over_at: over.map(at),
        ended_by: None,
    };
    store
        .write::<_, StoreError, _>("windows", move |tx| {
            let (acme, north) = ("acme".parse().unwrap(), "north".parse().unwrap());
            assert_eq!(tx.insert_maintenance(&window("acme", None))?, 1);
            assert_eq!(tx.insert_maintenance(&window("acme", Some(50)))?, 2);
            assert_eq!(tx.insert_maintenance(&window("other", None))?, 1, "numbers are each client's own");
            let numbers = |rows: Vec<MaintenanceRow>| rows.into_iter().map(|row| row.number).collect::<Vec<_>>();
            assert_eq!(numbers(tx.maintenance_of_site(&acme, &north, at(49))?), [1, 2]);
            assert_eq!(numbers(tx.maintenance_of_site(&acme, &north, at(50))?), [1]);
            assert!(!tx.end_maintenance(&acme, 2, at(60), "p-2")?, "it is over by itself");
            assert!(tx.end_maintenance(&acme, 2, at(40), "p-2")?);
            assert!(!tx.end_maintenance(&acme, 2, at(30), "p-3")?, "ended once");
            assert!(tx.end_maintenance(&acme, 1, at(60), "p-2")?);
            assert_eq!(numbers(tx.maintenance_of_site(&acme, &north, at(45))?), [1]);
            let ended = tx.maintenance(&acme, 2)?.unwrap();
            assert_eq!((ended.over_at, ended.ended_by.as_deref()), (Some(at(40)), Some("p-2")));
            assert_eq!(numbers(tx.all_maintenance(Some(&acme))?), [1, 2]);
            assert_eq!(tx.all_maintenance(None)?.len(), 3);
            Ok(())
        })
        .await
        .unwrap();
}

async fn an_error_undoes_all_that_its_transaction_wrote_and_nothing_else(store: Store) {
    store.write::<_, StoreError, _>("before", |tx| tx.insert_agent(&agent("acme", "a-1"))).await.unwrap();
    let refused = store
        .write::<(), Refused, _>("refused", |tx| {
            tx.insert_agent(&agent("acme", "a-2"))?;
            Err(Refused::No)
        })
        .await;
    assert!(matches!(refused, Err(Refused::No)));
    let duplicate = store.write("twice", |tx| tx.insert_agent(&agent("acme", "a-1"))).await;
    assert!(matches!(duplicate, Err(StoreError::Exists { .. })), "{duplicate:?}");
    let agents = store.read::<_, StoreError, _>("read", |tx| tx.agents(None)).await.unwrap();
    assert_eq!(agents, [agent("acme", "a-1")]);
}

async fn a_panic_ends_one_transaction_and_not_the_store(store: Store) {
    let panicked = store
        .write::<(), StoreError, _>("panics", |tx| {
            tx.insert_agent(&agent("acme", "a-1"))?;
            std::panic::panic_any("a panic on purpose")
        })
        .await;
    assert!(matches!(panicked, Err(StoreError::Stopped { name: "panics" })));
    let panicked = store.read::<(), StoreError, _>("reader panics", |_| std::panic::panic_any("on purpose")).await;
    assert!(matches!(panicked, Err(StoreError::Stopped { .. })));
    store.write::<_, StoreError, _>("after", |tx| tx.insert_agent(&agent("acme", "a-2"))).await.unwrap();
    let agents = store.read::<_, StoreError, _>("read", |tx| tx.agents(None)).await.unwrap();
    assert_eq!(agents, [agent("acme", "a-2")]);
}

async fn a_reader_sees_one_moment(store: Store) {
    let (begun, wait_begun) = std::sync::mpsc::channel();
    let (go_on, wait_go_on) = std::sync::mpsc::channel::<()>();
    let reading = {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .read::<_, StoreError, _>("read twice", move |tx| {
                    let before = tx.agents(None)?.len();
                    begun.send(()).ok();
                    wait_go_on.recv().ok();
                    Ok((before, tx.agents(None)?.len()))
                })
                .await
        })
    };
    tokio::task::spawn_blocking(move || wait_begun.recv()).await.unwrap().unwrap();
    store.write::<_, StoreError, _>("meanwhile", |tx| tx.insert_agent(&agent("acme", "a-1"))).await.unwrap();
    go_on.send(()).unwrap();
    assert_eq!(reading.await.unwrap().unwrap(), (0, 0));
    assert_eq!(store.read::<_, StoreError, _>("after", |tx| tx.agents(None)).await.unwrap().len(), 1);
}

async fn an_agent_is_unheard_until_its_first_request_and_unseen_after_its_last(store: Store) {
    store
        .write::<_, StoreError, _>("agents", |tx| {
            let row = agent("acme", "a-1");
            tx.insert_agent(&row)?;
            assert_eq!(tx.agents_unheard_since(at(0), 10)?, []);
            assert_eq!(tx.agents_unheard_since(at(1), 10)?, std::slice::from_ref(&row));
            tx.note_first_seen(&row.client, &row.agent, at(5))?;
            tx.note_first_seen(&row.client, &row.agent, at(6))?;
            assert_eq!(tx.agents_unheard_since(at(9), 10)?, []);
            tx.put_agent_now(&present(&row, 5))?;
            tx.put_agent_now(&present(&row, 7))?;
            assert_eq!(tx.agents_unseen_since(at(7), 10)?, []);
            let seen = AgentRow { first_seen: Some(at(5)), ..row.clone() };
            assert_eq!(tx.agents_unseen_since(at(8), 10)?, [(seen, at(7))]);
            assert_eq!(tx.last_seen_of_any()?, Some(at(7)));
            assert_eq!(tx.agent_now(&row.client, &row.agent)?, Some(present(&row, 7)));
            let other = agent("acme", "a-2");
            tx.note_seen(&[signs(&row, 6), signs(&other, 6)])?;
            assert_eq!(tx.agent_now(&row.client, &row.agent)?, Some(present(&row, 7)), "it was heard since");
            assert_eq!(tx.agent_now(&other.client, &other.agent)?, None, "of whom nothing is kept, nothing is noted");
            tx.note_seen(&[signs(&row, 8), signs(&row, 9)])?;
            let AgentNowRow { last_seen, wall, mono, offset_ms, .. } = present(&row, 9);
            let seen = AgentNowRow { last_seen, wall, mono, offset_ms, ..present(&row, 7) };
            assert_eq!(tx.agent_now(&row.client, &row.agent)?, Some(seen), "the rest stays as it was said");
            tx.put_agent_now(&present(&row, 7))?;
            assert!(tx.change_agent_status(&row.agent, AgentStatus::Active, AgentStatus::Revoked, at(9))?);
            assert!(!tx.change_agent_status(&row.agent, AgentStatus::Active, AgentStatus::Revoked, at(9))?);
            assert_eq!(tx.agents_unseen_since(at(8), 10)?, [], "a revoked agent is nobody's silence");
            Ok(())
        })
        .await
        .unwrap();
}

async fn one_of_many_uses_of_a_token_wins(store: Store) {
    let token = TokenRow {
        hash: Digest([7; 32]),
        client: "acme".parse().unwrap(),
        site: "north".parse().unwrap(),
        created_at: at(0),
        created_by: "p-1".into(),
        expires_at: at(60),
        used: None,
    };
    let row = token.clone();
    store.write::<_, StoreError, _>("token", move |tx| tx.insert_token(&row)).await.unwrap();
    let uses = (0..20).map(|n| {
        let (store, agent) = (store.clone(), format!("a-{n}").parse().unwrap());
        tokio::spawn(async move {
            store.write::<_, StoreError, _>("use", move |tx| tx.use_token(&Digest([7; 32]), &agent, at(30))).await
        })
    });
    let mut won = Vec::new();
    for (n, handle) in uses.collect::<Vec<_>>().into_iter().enumerate() {
        if handle.await.unwrap().unwrap() {
            won.push(format!("a-{n}").parse().unwrap());
        }
    }
    assert_eq!(won.len(), 1);
    let held = store.read::<_, StoreError, _>("held", |tx| tx.token(&Digest([7; 32]))).await.unwrap().unwrap();
    assert_eq!(held, TokenRow { used: Some((at(30), won.remove(0))), ..token.clone() });

    let late = TokenRow { hash: Digest([8; 32]), ..token };
    let ended = store.write::<_, StoreError, _>("late", move |tx| {
        tx.insert_token(&late)?;
        tx.use_token(&late.hash, &"a-1".parse().unwrap(), at(60))
    });
    assert!(!ended.await.unwrap(), "a token ends at its end");
}

async fn a_record_is_known_by_id_and_content_together(store: Store) {
    store
        .write::<_, StoreError, _>("records", |tx| {
            let (client, agent) = ("acme".parse().unwrap(), "a-1".parse().unwrap());
            let key = AgentKey { client: &client, agent: &agent };
            tx.insert_records(key, &[])?;
            tx.insert_records(key, &[record(0, 1), record(1, 4)])?;
            let name = |id, content| (RecordId([id; 16]), Digest([content; 32]));
            // Same id and other content, other id and same content, and two that are held.
            let asked = [name(1, 2), name(4, 4), name(2, 1), name(1, 1)];
            assert_eq!(tx.known_records(key, &asked)?, [name(1, 1), name(4, 4)].into());
            assert_eq!(tx.known_records(key, &[])?, [].into());
            let other = "a-2".parse().unwrap();
            assert_eq!(tx.known_records(AgentKey { client: &client, agent: &other }, &asked)?, [].into());
            for (ordinal, epoch) in [9, 4].into_iter().enumerate() {
                let head = HeadRow {
                    epoch: upheld_model::Epoch(epoch),
                    len: 1,
                    chain: Digest([1; 32]),
                    ordinal: ordinal as u64,
                };
                tx.put_head(key, &head, at(0))?;
                tx.put_head(key, &HeadRow { len: 2, ..head }, at(1))?;
            }
            let heads: Vec<_> = tx.heads(key)?.into_iter().map(|head| (head.epoch.0, head.len)).collect();
            assert_eq!(heads, [(9, 2), (4, 2)], "in the order in which the epochs began");
            assert_eq!(tx.records(key, upheld_model::Epoch(9), Seq(0), 2)?, [record(0, 1), record(1, 4)]);
            tx.note_fork(key, &Digest([5; 32]), at(10))?;
            tx.note_fork(key, &Digest([5; 32]), at(11))?;
            assert_eq!(tx.forks_since(key, at(10))?, [Digest([5; 32])]);
            assert_eq!(tx.forks_since(key, at(11))?, []);
            Ok(())
        })
        .await
        .unwrap();
}

async fn at_most_one_incident_is_open_for_a_dedup_key(store: Store) {
    store
        .write::<_, StoreError, _>("incidents", |tx| {
            let first = incident("acme", 1, 1);
            tx.insert_incident(&first)?;
            let second = incident("acme", 2, 2);
            assert!(matches!(tx.insert_incident(&second), Err(StoreError::Exists { .. })));
            let same_key = IncidentRow { dedup: "other".into(), number: IncidentNumber(3), ..first.clone() };
            assert!(matches!(tx.insert_incident(&same_key), Err(StoreError::Exists { .. })));
            tx.insert_incident(&incident("other", 1, 1))?;
            assert!(tx.update_incident(&IncidentRow { over_at: Some(at(9)), ..first.clone() })?);
            tx.insert_incident(&second)?;
            assert_eq!(tx.open_incident(&first.client, "dedup")?.unwrap().number, IncidentNumber(2));
            let of_site = |tx: &dyn crate::Tx, since| -> Result<Vec<u32>, StoreError> {
                let rows = tx.incidents_of_site(&first.client, &first.site, since)?;
                Ok(rows.into_iter().map(|row| row.number.0).collect())
            };
            assert_eq!(of_site(tx, at(9))?, [2, 1]);
            assert_eq!(of_site(tx, at(10))?, [2]);
            assert_eq!(tx.incident_by_key(&first.client, &first.incident_key)?.unwrap().revision, 1);
            Ok(())
        })
        .await
        .unwrap();
}

async fn numbers_count_per_client_without_holes(store: Store) {
    let take = |client: &'static str, keep: bool| {
        store.write::<_, Refused, _>("number", move |tx| {
            let number = tx.next_number(&client.parse().unwrap())?;
            if keep { Ok(number.0) } else { Err(Refused::No) }
        })
    };
    assert_eq!(take("acme", true).await.unwrap(), 1);
    assert!(take("acme", false).await.is_err());
    assert_eq!(take("acme", true).await.unwrap(), 2);
    assert_eq!(take("other", true).await.unwrap(), 1);
}

async fn a_change_against_an_old_revision_changes_nothing(store: Store) {
    store
        .write::<_, StoreError, _>("revisions", |tx| {
            let row = incident("acme", 1, 1);
            tx.insert_incident(&row)?;
            assert!(tx.update_incident(&IncidentRow { state: "taken".into(), ..row.clone() })?);
            assert!(!tx.update_incident(&IncidentRow { state: "resolved".into(), ..row.clone() })?);
            assert_eq!(tx.incident(&row.client, row.number)?.unwrap().state, "taken");
            let clock = clock("respond", Some(at(5)));
            tx.insert_clock(&clock)?;
            assert!(tx.update_clock(&ClockRow { state: "met".into(), ..clock.clone() })?);
            assert!(!tx.update_clock(&ClockRow { state: "running".into(), ..clock.clone() })?);
            assert_eq!(tx.clocks(&clock.client, clock.number)?[0].state, "met");
            Ok(())
        })
        .await
        .unwrap();
}

async fn due_clocks_come_oldest_first_and_only_when_due(store: Store) {
    store
        .write::<_, StoreError, _>("clocks", |tx| {
            for (name, deadline) in [("b", Some(at(20))), ("a", Some(at(10))), ("c", Some(at(30))), ("d", None)] {
                tx.insert_clock(&clock(name, deadline))?;
            }
            let due = |tx: &dyn crate::Tx, now| -> Result<Vec<String>, StoreError> {
                Ok(tx.clocks_due(now, 10)?.into_iter().map(|clock| clock.clock).collect())
            };
            assert_eq!(due(tx, at(9))?, Vec::<String>::new());
            assert_eq!(due(tx, at(20))?, ["a", "b"]);
            assert_eq!(tx.next_clock_deadline()?, Some(at(10)));
            Ok(())
        })
        .await
        .unwrap();
}

async fn the_ledger_keeps_the_order_of_recording(store: Store) {
    let client = "acme".parse().unwrap();
    store
        .write::<_, StoreError, _>("ledger", move |tx| {
            for (effective, recorded) in [(20, 20), (5, 30), (10, 40)] {
                tx.append_fact(&client, IncidentNumber(1), &fact(effective, recorded))?;
            }
            tx.append_fact(&client, IncidentNumber(2), &fact(1, 1))?;
            let rows = tx.ledger(&client, IncidentNumber(1))?;
            let seen: Vec<_> = rows.iter().map(|row| (row.ordinal, row.effective_at)).collect();
            assert_eq!(seen, [(0, at(20)), (1, at(5)), (2, at(10))]);
            Ok(())
        })
        .await
        .unwrap();
}

async fn a_message_changes_only_while_nobody_may_take_it(store: Store) {
    store
        .write::<_, StoreError, _>("outbox.amend", |tx| {
            let row = OutboxRow { next_attempt_at: Some(at(60)), ..message("k-1") };
            assert!(tx.insert_message(&row)?);
            assert!(tx.amend_message(&row.client, "k-1", "{\"n\":2}", at(59))?);
            assert!(!tx.amend_message(&row.client, "k-1", "{\"n\":3}", at(60))?, "it is about to leave");
            assert!(!tx.amend_message(&"other".parse().unwrap(), "k-1", "{}", at(1))?);
            assert!(tx.lease_message(&row.client, "k-1", "w-1", at(60), at(90))?);
            assert!(!tx.amend_message(&row.client, "k-1", "{\"n\":4}", at(61))?, "somebody has it");
            assert_eq!(tx.message(&row.client, "k-1")?.unwrap().body, "{\"n\":2}");
            Ok(())
        })
        .await
        .unwrap();
}

async fn a_message_is_leased_by_one_worker_until_its_lease_ends(store: Store) {
    store
        .write::<_, StoreError, _>("outbox", |tx| {
            let row = message("k-1");
            assert!(tx.insert_message(&row)?);
            assert!(!tx.insert_message(&OutboxRow { body: "{}".into(), ..row.clone() })?, "a key is written once");
            assert!(tx.lease_message(&row.client, "k-1", "w-1", at(1), at(31))?);
            assert!(!tx.lease_message(&row.client, "k-1", "w-2", at(1), at(31))?);
            assert_eq!(tx.messages_due(at(30), 10)?, []);
            let attempt =
                AttemptRow { attempt: 1, worker: "w-1".into(), started_at: at(1), ended_at: None, outcome: None };
            tx.begin_attempt(&row.client, "k-1", &attempt)?;
            assert!(tx.lease_message(&row.client, "k-1", "w-2", at(31), at(61))?, "a lease that ended is free");
            let done = Settled {
                status: OutboxStatus::Delivered,
                next_attempt_at: None,
                reference: Some("T-9".into()),
                delivered_at: Some(at(32)),
                last_error: None,
            };
            assert!(!tx.settle_message(&row.client, "k-1", "w-1", &done)?, "w-1 has lost its lease");
            tx.end_attempt(&row.client, "k-1", 1, at(40), "\"late\"")?;
            assert!(tx.settle_message(&row.client, "k-1", "w-2", &done)?);
            let held = tx.message(&row.client, "k-1")?.unwrap();
            assert_eq!((held.status, held.attempts, held.body.as_str()), (OutboxStatus::Delivered, 1, "{\"a\":1}"));
            assert_eq!(tx.next_message_at()?, None);
            assert_eq!(tx.attempts(&row.client, "k-1")?[0].ended_at, Some(at(40)));
            Ok(())
        })
        .await
        .unwrap();
}

async fn one_client_never_sees_another_ones_rows(store: Store) {
    store
        .write::<_, StoreError, _>("two clients", |tx| {
            for client in ["acme", "other"] {
                tx.insert_agent(&agent(client, &format!("a-{client}")))?;
                tx.insert_incident(&incident(client, 1, 1))?;
                tx.append_fact(&client.parse().unwrap(), IncidentNumber(1), &fact(1, 1))?;
            }
            let acme = "acme".parse().unwrap();
            assert_eq!(tx.agents(Some(&acme))?, [agent("acme", "a-acme")]);
            assert_eq!(tx.open_incidents(Some(&acme))?, [incident("acme", 1, 1)]);
            assert_eq!(tx.newest_incidents(Some(&acme), 10)?, [incident("acme", 1, 1)]);
            assert_eq!(tx.open_incidents(None)?.len(), 2);
            // Page by page is the list as a whole.
            let whole = tx.newest_incidents(None, 10)?;
            let named = |row: &IncidentRow| IncidentRef { client: row.client.clone(), number: row.number };
            assert_eq!(tx.older_incidents(None, &named(&whole[0]), 10)?, whole[1..]);
            assert_eq!(tx.older_incidents(None, &named(&whole[1]), 10)?, []);
            assert_eq!(tx.older_incidents(Some(&acme), &named(&incident("other", 1, 1)), 10)?, []);
            let nobody = "nobody".parse().unwrap();
            assert_eq!(tx.incident(&nobody, IncidentNumber(1))?, None);
            assert_eq!(tx.ledger(&nobody, IncidentNumber(1))?, []);
            Ok(())
        })
        .await
        .unwrap();
}

async fn a_finding_opens_once_and_ends_once(store: Store) {
    store
        .write::<_, StoreError, _>("findings", |tx| {
            let row = finding();
            assert!(tx.insert_finding(&row)?);
            assert!(!tx.insert_finding(&FindingRow { opened: "again".into(), ..row.clone() })?);
            assert_eq!(tx.open_findings(&row.client, &row.site)?, std::slice::from_ref(&row));
            tx.assign_finding(&row.client, &row.site, &row.id, IncidentNumber(4))?;
            let over = Over { after: Some(at(7)), by: at(8), confirmed: at(9), received: at(10) };
            assert!(tx.end_finding(&row.client, &row.site, &row.id, "end", &over)?);
            assert!(!tx.end_finding(&row.client, &row.site, &row.id, "another end", &over)?);
            assert_eq!(tx.open_findings(&row.client, &row.site)?, []);
            let held = tx.finding(&row.client, &row.site, &row.id)?.unwrap();
            let ended = FindingRow { ended: Some("end".into()), over: Some(over), ..row };
            assert_eq!(held, FindingRow { incident: Some(IncidentNumber(4)), ..ended });
            Ok(())
        })
        .await
        .unwrap();
}

async fn runs_tell_when_the_collector_was_down(store: Store) {
    store
        .write::<_, StoreError, _>("runs", |tx| {
            let first = tx.begin_run(at(0))?;
            tx.run_is_alive(first, at(50))?;
            tx.run_is_alive(first, at(40))?;
            let second = tx.begin_run(at(100))?;
            tx.end_run(second, at(200))?;
            let third = tx.begin_run(at(300))?;
            let of = |rows: Vec<crate::runs::RunRow>| rows.into_iter().map(|row| row.run).collect::<Vec<_>>();
            assert_eq!(of(tx.runs_since(at(350))?), [third]);
            assert_eq!(of(tx.runs_since(at(60))?), [third, second, first], "back to the one alive before");
            assert_eq!(tx.runs_since(at(60))?[2].last_alive, at(50));
            tx.runs_at_most(at(150))?;
            let runs: Vec<_> =
                tx.runs_since(at(0))?.into_iter().map(|run| (run.run, run.started_at, run.last_alive)).collect();
            assert_eq!(runs, [(third, at(150), at(150)), (second, at(100), at(150)), (first, at(0), at(50))]);
            Ok(())
        })
        .await
        .unwrap();
}

async fn troubles_of_the_collector_have_an_end_each(store: Store) {
    store
        .write::<_, StoreError, _>("outages", |tx| {
            tx.begin_own_outage("line", at(10))?;
            tx.begin_own_outage("line", at(20))?;
            tx.begin_own_outage("clock", at(15))?;
            assert_eq!(tx.own_outage_open("line")?, Some(at(10)), "it lasts already");
            tx.end_own_outage("line", at(40))?;
            tx.end_own_outage("line", at(50))?;
            tx.end_own_outage("door", at(50))?;
            assert_eq!(tx.own_outage_open("line")?, None);
            tx.begin_own_outage("line", at(10))?;
            assert_eq!(tx.own_outage_open("line")?, None, "the same one does not begin twice");
            let of = |rows: Vec<crate::outages::OutageRow>| {
                rows.into_iter().map(|row| (row.trouble, row.since, row.until)).collect::<Vec<_>>()
            };
            let clock = ("clock".to_owned(), at(15), None);
            assert_eq!(of(tx.own_outages(at(40))?), [("line".to_owned(), at(10), Some(at(40))), clock.clone()]);
            assert_eq!(of(tx.own_outages(at(41))?), [clock]);
            Ok(())
        })
        .await
        .unwrap();
}

async fn names_are_kept_apart_from_what_people_did(store: Store) {
    store
        .write::<_, StoreError, _>("people", |tx| {
            tx.insert_person("p-1", "alice")?;
            assert_eq!(tx.person("alice")?.as_deref(), Some("p-1"));
            assert_eq!(tx.name_of("p-1")?.as_deref(), Some("alice"));
            assert!(matches!(tx.insert_person("p-2", "alice"), Err(StoreError::Exists { .. })));
            let entry = AuditRow {
                at: at(1),
                who: "p-1".into(),
                client: None,
                what: "agent.revoked".into(),
                detail: "{}".into(),
            };
            tx.append_audit(&entry)?;
            assert_eq!(tx.audit(5)?, [entry]);
            Ok(())
        })
        .await
        .unwrap();
}

async fn a_command_is_known_by_its_giver_and_key_for_a_time(store: Store) {
    store
        .write::<_, StoreError, _>("commands", |tx| {
            tx.put_command("p-1", "k", &Digest([1; 32]), at(10))?;
            assert_eq!(tx.command("p-1", "k", at(10))?, Some(Digest([1; 32])));
            assert_eq!(tx.command("p-1", "k", at(11))?, None, "too long ago");
            assert_eq!(tx.command("p-2", "k", at(0))?, None, "somebody else's key");
            tx.put_command("p-1", "k", &Digest([2; 32]), at(20))?;
            assert_eq!(tx.forget_commands(at(20))?, 0);
            assert_eq!(tx.command("p-1", "k", at(0))?, Some(Digest([2; 32])));
            assert_eq!(tx.lived()?, None);
            tx.set_lived(at(20))?;
            assert_eq!(tx.forget_commands(at(21))?, 1);
            assert_eq!(tx.lived()?, Some(at(20)), "it is no key");
            tx.set_lived(at(30))?;
            assert_eq!(tx.lived()?, Some(at(30)));
            Ok(())
        })
        .await
        .unwrap();
}

#[derive(Debug)]
enum Refused {
    No,
    Store,
}

impl From<StoreError> for Refused {
    fn from(_: StoreError) -> Self {
        Self::Store
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_795_000_000 + seconds)
}

pub(crate) fn agent(client: &str, id: &str) -> AgentRow {
    AgentRow {
        client: client.parse().unwrap(),
        agent: id.parse().unwrap(),
        site: "north".parse().unwrap(),
        host: "nvr-02".into(),
        status: AgentStatus::Active,
        signing_key: [3; 32],
        enrolled_at: at(0),
        status_at: at(0),
        first_seen: None,
    }
}

pub(crate) fn present(agent: &AgentRow, seconds: i64) -> AgentNowRow {
    AgentNowRow {
        client: agent.client.clone(),
        agent: agent.agent.clone(),
        last_seen: at(seconds),
        wall: at(seconds - 3),
        mono: upheld_model::Mono(u64::MAX),
        boot: "b-1".parse().unwrap(),
        offset_ms: 3_000,
        version: "0.1.0".into(),
        config_version: 2,
        waiting: 1,
        oldest_waiting: Some(at(seconds - 4)),
        checks: "{}".into(),
        ailments: "[]".into(),
    }
}

fn signs(agent: &AgentRow, seconds: i64) -> SeenRow {
    let AgentNowRow { client, agent, last_seen, wall, mono, offset_ms, .. } = present(agent, seconds);
    SeenRow { client, agent, last_seen, wall, mono, offset_ms }
}

pub(crate) fn record(seq: u64, content: u8) -> RecordRow {
    RecordRow {
        epoch: upheld_model::Epoch(9),
        seq: Seq(seq),
        record_id: RecordId([content; 16]),
        content_hash: Digest([content; 32]),
        chain: Digest([content; 32]),
        salt: RecordId([0; 16]),
        sig: None,
        previous: None,
        received_at: at(0),
        offset_ms: -3,
        body: "{}".into(),
        is_fact: false,
    }
}

fn finding() -> FindingRow {
    FindingRow {
        client: "acme".parse().unwrap(),
        site: "north".parse().unwrap(),
        id: upheld_model::FindingId {
            check: "nvr-02/net.tcp".parse().unwrap(),
            first_bad: upheld_model::ObservedAt("2026-11-16T16:10:07.123456789Z".parse().unwrap()),
        },
        agent: "a-1".parse().unwrap(),
        record_id: RecordId([1; 16]),
        content_hash: Digest([1; 32]),
        received_at: at(0),
        offset_ms: 0,
        opened: "{}".into(),
        ended: None,
        incident: None,
        begun: None,
        over: None,
    }
}

fn incident(client: &str, number: u32, key: u8) -> IncidentRow {
    IncidentRow {
        client: client.parse().unwrap(),
        number: IncidentNumber(number),
        site: "north".parse().unwrap(),
        incident_key: Digest([key; 32]),
        dedup: "dedup".into(),
        over_at: None,
        state: "open".into(),
        opened_at: at(0),
        next_deadline: None,
        revision: 0,
        body: "{}".into(),
        terms: None,
        refusal: Some("{}".into()),
    }
}

fn clock(name: &str, next_deadline: Option<Timestamp>) -> ClockRow {
    ClockRow {
        client: "acme".parse().unwrap(),
        number: IncidentNumber(1),
        clock: name.into(),
        state: "running".into(),
        due: next_deadline,
        next_deadline,
        revision: 0,
        target: "{}".into(),
        announced: "[]".into(),
    }
}

fn fact(effective: i64, recorded: i64) -> LedgerRow {
    LedgerRow {
        ordinal: 99,
        effective_at: at(effective),
        recorded_at: at(recorded),
        kind: "note".into(),
        who: "p-1".into(),
        body: "{}".into(),
    }
}

fn message(key: &str) -> OutboxRow {
    OutboxRow {
        client: "acme".parse().unwrap(),
        key: key.into(),
        number: IncidentNumber(1),
        event: "incident.opened".into(),
        channel: "desk".into(),
        body: "{\"a\":1}".into(),
        created_at: at(0),
        status: OutboxStatus::Pending,
        next_attempt_at: Some(at(0)),
        lease_owner: None,
        attempts: 0,
        reference: None,
        delivered_at: None,
        last_error: None,
    }
}

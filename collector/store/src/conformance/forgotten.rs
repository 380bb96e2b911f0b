//! What every database must do with facts whose time is over.

use upheld_model::{ClientId, IncidentNumber, Seq, SiteId};

use super::{agent, at, clock, fact, finding, message, record};
use crate::{
    ReadTx, Store, StoreError, Tx,
    books::BookRow,
    facts::{ChangeRow, SaidRow, SiteKey, StretchRow, UnheardRow},
    findings::{FindingRow, Over},
    outbox::{AttemptRow, OutboxRow, OutboxStatus},
    records::{AgentKey, RecordRow},
};

pub(super) async fn all(open: impl Fn() -> Store) {
    what_is_over_goes_and_what_stands_on_it_stays(open()).await;
}

/// In each year that begins so many seconds in: an incident with all that hangs on it, and facts of every kind.
const YEARS: [i64; 3] = [0, 1_000, 2_000];

async fn what_is_over_goes_and_what_stands_on_it_stays(store: Store) {
    store
        .write::<_, StoreError, _>("fill", |tx| {
            let book = BookRow {
                version: 1,
                hash: upheld_model::Digest([1; 32]),
                files: "{}".into(),
                applied_at: at(-5),
                applied_by: "p-1".into(),
            };
            tx.insert_book(&book)?;
            fill(tx, "acme")?;
            fill(tx, "other")
        })
        .await
        .unwrap();
    store
        .write::<_, StoreError, _>("forget", |tx| {
            let acme = "acme".parse().unwrap();
            assert_eq!((tx.first_book_at()?, tx.forgotten(&acme)?), (Some(at(-5)), None));
            let gone = tx.forget_facts(&acme, at(1_500))?;
            // Of the first year all, with its incident and what hangs on it (5), and six facts; of the second four facts, its
            // incident is open and holds its finding, and its state is the last one; the week's message with its attempt.
            assert_eq!((gone, tx.forgotten(&acme)?), (17, Some(at(1_500))));
            assert_eq!(tx.forget_facts(&acme, at(1_500))?, 0, "once");
            assert_eq!(tx.forget_facts(&acme, at(900))?, 0);
            assert_eq!(tx.forgotten(&acme)?, Some(at(1_500)), "it never goes back");
            Ok(())
        })
        .await
        .unwrap();
    store
        .read::<_, StoreError, _>("look", |tx| {
            assert_eq!(
                left(tx, "acme")?,
                [
                    "incidents [2, 3]",
                    "findings 2",
                    "changes 2",
                    "stretches 1",
                    "said 1",
                    "unheard 1",
                    "records 1",
                    "hanging [0, 3, 3]",
                    "weekly 0"
                ]
            );
            assert_eq!(
                left(tx, "other")?,
                [
                    "incidents [1, 2, 3]",
                    "findings 3",
                    "changes 3",
                    "stretches 3",
                    "said 3",
                    "unheard 3",
                    "records 3",
                    "hanging [3, 3, 3]",
                    "weekly 1"
                ]
            );
            let (client, site) = place("acme");
            let check = "nvr-02/net.tcp".parse().unwrap();
            let before = tx.changes(SiteKey { client: &client, site: &site }, &check, at(1_500), at(1_600))?;
            assert_eq!(before.len(), 1, "the state in which the check was when the kept time begins");
            Ok(())
        })
        .await
        .unwrap();
}

fn place(client: &str) -> (ClientId, SiteId) {
    (client.parse().unwrap(), "north".parse().unwrap())
}

fn fill(tx: &mut dyn Tx, name: &str) -> Result<(), StoreError> {
    let (client, site) = place(name);
    let key = SiteKey { client: &client, site: &site };
    let who = agent(name, "a-1").agent;
    for (number, begin) in (1..).zip(YEARS) {
        let of = IncidentNumber(number);
        let over_at = (number != 2).then_some(at(begin + 100));
        let row = super::incident(name, number, u8::try_from(number).unwrap());
        tx.insert_incident(&crate::incidents::IncidentRow { dedup: format!("d-{number}"), over_at, ..row })?;
        tx.append_fact(&client, of, &fact(begin, begin))?;
        tx.insert_clock(&crate::clocks::ClockRow { client: client.clone(), number: of, ..clock("respond", None) })?;
        send(tx, &client, &format!("m-{number}"), of, begin)?;
        let over = Over { after: None, by: at(begin + 50), confirmed: at(begin + 50), received: at(begin + 51) };
        let mut found = FindingRow { client: client.clone(), incident: Some(of), over: Some(over), ..finding() };
        found.ended = Some("{}".into());
        found.id.first_bad = upheld_model::ObservedAt(at(begin));
        tx.insert_finding(&found)?;
        let check = found.id.check.clone();
        let change = ChangeRow {
            check: check.clone(),
            at: at(begin),
            agent: who.clone(),
            received_at: at(begin),
            state: "\"ok\"".into(),
        };
        tx.put_change(key, &change)?;
        let stretch = StretchRow {
            check,
            from: at(begin),
            to: at(begin + 90),
            agent: who.clone(),
            received_at: at(begin),
            seen: "{}".into(),
        };
        tx.insert_stretches(key, &[stretch])?;
        let said = SaidRow {
            at: at(begin),
            agent: who.clone(),
            kind: "gap".into(),
            received_at: at(begin),
            body: "{}".into(),
        };
        tx.insert_said(key, &said)?;
        tx.insert_unheard(key, &UnheardRow { agent: who.clone(), since: at(begin), until: at(begin + 60) })?;
        let told = u8::try_from(number).unwrap();
        let row = RecordRow { received_at: at(begin), is_fact: true, ..record(u64::from(number), told) };
        tx.insert_records(AgentKey { client: &client, agent: &who }, &[row])?;
    }
    send(tx, &client, "week", IncidentNumber(0), 5)
}

/// A message that was sent at the first try.
fn send(tx: &mut dyn Tx, client: &ClientId, key: &str, of: IncidentNumber, begin: i64) -> Result<(), StoreError> {
    let row = OutboxRow {
        client: client.clone(),
        number: of,
        created_at: at(begin),
        status: OutboxStatus::Delivered,
        next_attempt_at: None,
        ..message(key)
    };
    tx.insert_message(&row)?;
    let tried = AttemptRow {
        attempt: 1,
        worker: "w-1".into(),
        started_at: at(begin),
        ended_at: Some(at(begin)),
        outcome: None,
    };
    tx.begin_attempt(client, key, &tried)
}

fn left(tx: &dyn ReadTx, name: &str) -> Result<Vec<String>, StoreError> {
    let (client, site) = place(name);
    let key = SiteKey { client: &client, site: &site };
    let who = agent(name, "a-1").agent;
    let (begin, end) = (at(-10_000), at(10_000));
    let mut numbers: Vec<u32> = tx.newest_incidents(Some(&client), 9)?.iter().map(|row| row.number.0).collect();
    numbers.sort_unstable();
    let mut changes = 0;
    for year in YEARS {
        changes += tx
            .changes(key, &finding().id.check, at(year), at(year + 1))?
            .iter()
            .filter(|row| row.at == at(year))
            .count();
    }
    let mut hanging = Vec::new();
    for number in 1..=3 {
        let of = IncidentNumber(number);
        let of_message = tx.attempts(&client, &format!("m-{number}"))?.len();
        hanging.push(tx.ledger(&client, of)?.len() + tx.clocks(&client, of)?.len() + of_message);
    }
    Ok(vec![
        format!("incidents {numbers:?}"),
        format!("findings {}", tx.findings_between(&client, &site, begin, end)?.len()),
        format!("changes {changes}"),
        format!("stretches {}", tx.stretches(key, begin, end)?.len()),
        format!("said {}", tx.said(key, begin, end)?.len()),
        format!("unheard {}", tx.unheard(key, begin, end)?.len()),
        format!(
            "records {}",
            tx.records(AgentKey { client: &client, agent: &who }, record(1, 1).epoch, Seq(0), 9)?.len()
        ),
        format!("hanging {hanging:?}"),
        format!("weekly {}", tx.messages_of(&client, IncidentNumber(0))?.len()),
    ])
}

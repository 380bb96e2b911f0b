//! What every database must do with data whose time is over.

use jiff::{SignedDuration, Timestamp};
use upheld_model::{AgentId, ClientId, Digest, Epoch, RecordId, Seq, SiteId};

use super::at;
use crate::{
    Store, StoreError,
    facts::{HourRow, SiteKey},
    records::{AgentKey, HeadRow, RecordRow},
};

pub(super) async fn all(open: impl Fn() -> Store) {
    a_record_is_recognised_after_its_row_is_gone_and_facts_stay(open()).await;
    years_of_an_agent_grow_by_its_facts_alone(open()).await;
}

fn of_samples(number: u64, at: Timestamp) -> RecordRow {
    let mut name = [0; 16];
    name[..8].copy_from_slice(&number.to_be_bytes());
    RecordRow {
        epoch: Epoch(1),
        seq: Seq(number),
        record_id: RecordId(name),
        content_hash: Digest([7; 32]),
        chain: Digest([8; 32]),
        salt: RecordId([1; 16]),
        sig: None,
        previous: None,
        received_at: at,
        offset_ms: 0,
        body: "x".repeat(400),
        is_fact: false,
    }
}

fn place() -> (ClientId, SiteId, AgentId) {
    ("acme".parse().unwrap(), "north".parse().unwrap(), "acme.a-1".parse().unwrap())
}

async fn a_record_is_recognised_after_its_row_is_gone_and_facts_stay(store: Store) {
    store
        .write::<_, StoreError, _>("retention", |tx| {
            let (client, _, agent) = place();
            let key = AgentKey { client: &client, agent: &agent };
            let other = "other".parse().unwrap();
            let others = AgentKey { client: &other, agent: &agent };
            for number in 0..10 {
                let row = of_samples(number, at(i64::try_from(number).unwrap() / 2));
                tx.insert_records(key, &[RecordRow { is_fact: number == 3, ..row.clone() }])?;
                tx.insert_records(others, &[row])?;
            }
            tx.put_head(key, &HeadRow { epoch: Epoch(1), len: 10, chain: Digest([9; 32]), ordinal: 0 }, at(0))?;
            assert_eq!(tx.forget_samples(key, at(4), 1)?, 2, "what came together goes together");
            assert_eq!(tx.forget_samples(key, at(4), 100)?, 5);
            assert_eq!(tx.forget_samples(key, at(4), 100)?, 0, "nothing is left that is older");
            let left: Vec<_> = tx.records(key, Epoch(1), Seq(0), 100)?.into_iter().map(|row| row.seq.0).collect();
            assert_eq!(left, [3, 8, 9]);
            for number in 0..10 {
                let row = of_samples(number, at(0));
                let (name, other) = ((row.record_id, row.content_hash), (row.record_id, Digest([6; 32])));
                let known = tx.known_records(key, &[name, other])?;
                assert!(known.iter().eq([&name]), "record {number}: {known:?}");
            }
            assert_eq!(tx.forget_identities(key, at(2), 100)?, 3);
            let row = of_samples(2, at(0));
            assert!(tx.known_records(key, &[(row.record_id, row.content_hash)])?.is_empty());
            assert_eq!(tx.heads(key)?[0].len, 10, "how long the epoch is stays for ever");
            assert_eq!(tx.count_records(others)?, 10, "another client's");
            tx.note_fork(key, &Digest([1; 32]), at(1))?;
            tx.note_fork(key, &Digest([2; 32]), at(5))?;
            assert_eq!((tx.forget_forks(key, at(5))?, tx.forks_since(key, at(0))?.len()), (1, 1));
            Ok(())
        })
        .await
        .unwrap();
}

/// Four years of an agent that sends every six hours: samples 30 days, identities 45, hours 400.
async fn years_of_an_agent_grow_by_its_facts_alone(store: Store) {
    const DAYS: i64 = 4 * 365;
    let day = |number: i64| at(0) + SignedDuration::from_hours(24 * number);
    let mut rows = Vec::new();
    for today in 0..DAYS {
        store.write::<_, StoreError, _>("a day", move |tx| a_day(tx, today, day(today))).await.unwrap();
        if today % 7 == 6 {
            let forgotten = move |tx: &mut dyn crate::Tx| {
                let (client, site, agent) = place();
                let key = AgentKey { client: &client, agent: &agent };
                while tx.forget_samples(key, day(today - 30), 50)? > 0 {}
                while tx.forget_identities(key, day(today - 45), 50)? > 0 {}
                tx.forget_hours(SiteKey { client: &client, site: &site }, day(today - 400))?;
                Ok(())
            };
            store.write::<_, StoreError, _>("retention", forgotten).await.unwrap();
        }
        if today % 365 == 364 {
            rows.push(store.read::<_, StoreError, _>("count", count).await.unwrap());
        }
    }
    println!("an agent by the end of each year: (records, of them facts, hours) {rows:?}");
    for (year, (records, facts, hours)) in (1..).zip(rows) {
        assert_eq!(facts, 365 * year, "no fact is lost");
        assert!(records - facts <= 4 * 38, "{records} records in year {year}");
        assert!(hours <= 407, "{hours} hours in year {year}");
    }
}

/// Four batches of samples, one fact, one hour.
fn a_day(tx: &mut dyn crate::Tx, today: i64, begin: Timestamp) -> Result<(), StoreError> {
    let (client, site, agent) = place();
    let key = AgentKey { client: &client, agent: &agent };
    for part in 0..5 {
        let number = u64::try_from(5 * today + part).unwrap();
        let row = of_samples(number, begin + SignedDuration::from_hours(5 * part));
        tx.insert_records(key, &[RecordRow { is_fact: part == 4, ..row }])?;
    }
    let hour = HourRow { from: begin, agent: agent.clone(), body: "{}".to_owned() };
    tx.put_hour(SiteKey { client: &client, site: &site }, &hour)
}

fn count(tx: &dyn crate::ReadTx) -> Result<(usize, usize, usize), StoreError> {
    let (client, site, agent) = place();
    let key = AgentKey { client: &client, agent: &agent };
    let records = tx.records(key, Epoch(1), Seq(0), u32::MAX)?;
    let facts = records.iter().filter(|row| row.is_fact).count();
    let (begin, end) = (Timestamp::MIN, Timestamp::MAX);
    Ok((records.len(), facts, tx.hours(SiteKey { client: &client, site: &site }, begin, end)?.len()))
}

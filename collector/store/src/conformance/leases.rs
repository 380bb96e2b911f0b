//! A task has one holder at a time, and whoever lost it writes nothing.

use jiff::{SignedDuration, Timestamp};

use super::agent;
use crate::{Store, StoreError, leases::CollectorRow};

pub(super) async fn all(open: &impl Fn() -> Store) {
    a_task_is_taken_once_until_its_lease_ends(open()).await;
    who_lost_a_task_writes_nothing_and_sees_why(open()).await;
    collectors_are_listed_while_they_live(open()).await;
}

fn later(at: Timestamp, ms: i64) -> Timestamp {
    at + SignedDuration::from_millis(ms)
}

async fn a_task_is_taken_once_until_its_lease_ends(store: Store) {
    store
        .write::<_, StoreError, _>("leases", |tx| {
            let now = tx.database_now()?;
            let skew = now.duration_since(Timestamp::now()).abs();
            assert!(skew < SignedDuration::from_mins(1), "the database's clock is the one of this host: {skew}");
            let a = tx.take_lease("clocks", "a", None, now, later(now, 6_000))?.expect("nobody had it");
            assert_eq!(tx.take_lease("clocks", "b", None, now, later(now, 6_000))?, None, "it is there");
            assert_eq!(tx.take_lease("clocks", "b", Some(a), later(now, 5_999), later(now, 12_000))?, None, "it lasts");
            assert!(tx.keep_lease("clocks", a, later(now, 5_000), later(now, 11_000))?);
            assert_eq!(
                tx.take_lease("clocks", "b", Some(a), later(now, 6_000), later(now, 12_000))?,
                None,
                "it was kept"
            );
            let b = tx.take_lease("clocks", "b", Some(a), later(now, 11_000), later(now, 17_000))?.expect("it is over");
            assert!(b > a, "{b} after {a}");
            assert_eq!(tx.take_lease("clocks", "c", Some(a), later(now, 20_000), later(now, 26_000))?, None);
            assert!(!tx.keep_lease("clocks", a, later(now, 12_000), later(now, 60_000))?, "it is b's");
            tx.end_lease("clocks", a, now)?;
            let rows = tx.leases()?;
            let [row] = rows.as_slice() else { panic!("{rows:?}") };
            assert_eq!((row.holder.as_str(), row.fence), ("b", b));
            assert_eq!((row.taken_at, row.until), (later(now, 11_000), later(now, 17_000)));
            tx.end_lease("clocks", b, later(now, 12_000))?;
            assert!(!tx.keep_lease("clocks", b, later(now, 12_000), later(now, 60_000))?, "it was handed back");
            let again = tx.take_lease("clocks", "a", Some(b), later(now, 12_000), later(now, 18_000))?;
            assert!(again.is_some_and(|again| again > b), "{again:?} after {b}");
            Ok(())
        })
        .await
        .unwrap();
}

async fn who_lost_a_task_writes_nothing_and_sees_why(store: Store) {
    let take = |was: Option<i64>, from_ms: i64, until_ms: i64| {
        let store = store.clone();
        async move {
            let taken = store.write::<_, StoreError, _>("take", move |tx| {
                let now = tx.database_now()?;
                tx.take_lease("silence", "a", was, later(now, from_ms), later(now, until_ms))
            });
            taken.await.unwrap().expect("nobody has it")
        }
    };
    let insert = |store: Store, id: &'static str| async move {
        store.write::<_, StoreError, _>("insert", move |tx| tx.insert_agent(&agent("acme", id))).await
    };
    let first = take(None, 0, 60_000).await;
    let held = store.fenced("silence", first);
    insert(held.clone(), "a-1").await.unwrap();
    // Frozen here, while a minute passes and another takes it: its clock is a minute ahead in this test.
    let second = take(Some(first), 60_001, 120_000).await;
    let late = insert(held, "a-2").await;
    assert!(matches!(late, Err(StoreError::Fenced { task: "silence" })), "{late:?}");
    insert(store.fenced("silence", second), "a-3").await.unwrap();
    // One that ended and that nobody took is over as well.
    let third = take(Some(second), 120_001, -1).await;
    let ended = insert(store.fenced("silence", third), "a-4").await;
    assert!(matches!(ended, Err(StoreError::Fenced { .. })), "{ended:?}");
    let ids = store.read::<_, StoreError, _>("held", |tx| tx.agents(None)).await.unwrap();
    assert_eq!(ids.iter().map(|row| row.agent.as_str()).collect::<Vec<_>>(), ["a-1", "a-3"]);
}

async fn collectors_are_listed_while_they_live(store: Store) {
    store
        .write::<_, StoreError, _>("collectors", |tx| {
            let now = tx.database_now()?;
            let row = |name: &str, seen: i64| CollectorRow {
                name: name.to_owned(),
                address: format!("https://{name}.example"),
                started_at: now,
                seen_at: later(now, seen),
            };
            tx.note_collector(&row("a", 0), later(now, -10))?;
            tx.note_collector(&row("b", 5), later(now, -10))?;
            tx.note_collector(&row("b", 20), later(now, -10))?;
            assert_eq!(tx.collectors(now)?, [row("a", 0), row("b", 20)]);
            assert_eq!(tx.collectors(later(now, 1))?, [row("b", 20)]);
            tx.note_collector(&row("c", 30), later(now, 15))?;
            assert_eq!(tx.collectors(now)?, [row("b", 20), row("c", 30)], "who is long gone is forgotten");
            tx.remove_collector("b")?;
            assert_eq!(tx.collectors(now)?, [row("c", 30)]);
            Ok(())
        })
        .await
        .unwrap();
}

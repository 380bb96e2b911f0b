//! What every database must do with jobs and their expected runs.

use upheld_model::{CheckId, ClientId, SiteId};

use super::at;
use crate::{
    Store, StoreError,
    facts::SiteKey,
    jobs::{ExpectedRow, JobRow, JobRunRow},
};

pub(super) async fn all(open: impl Fn() -> Store) {
    a_job_is_in_force_once_and_keeps_its_past(open()).await;
    what_was_said_twice_of_a_run_is_said_once(open()).await;
    an_expected_run_is_decided_once_and_may_be_decided_again(open()).await;
}

async fn a_job_is_in_force_once_and_keeps_its_past(store: Store) {
    let job = |since, until: Option<i64>, body: &str| JobRow {
        check: nightly(),
        since: at(since),
        until: until.map(at),
        body: body.to_owned(),
    };
    store
        .write::<_, StoreError, _>("jobs", move |tx| {
            let (client, site) = place();
            let key = SiteKey { client: &client, site: &site };
            tx.insert_job(key, &job(10, None, "a"))?;
            tx.end_job(key, &nightly(), at(20))?;
            tx.insert_job(key, &job(20, None, "b"))?;
            assert_eq!(tx.jobs(key, at(15))?, [job(10, Some(20), "a"), job(20, None, "b")]);
            assert_eq!(tx.jobs(key, at(20))?, [job(20, None, "b")]);
            assert_eq!(tx.jobs_in_force(&client)?, [(site.clone(), job(20, None, "b"))]);
            let other = "other".parse().unwrap();
            assert_eq!(tx.jobs_in_force(&other)?, []);
            assert_eq!(tx.jobs(SiteKey { client: &other, site: &site }, at(0))?, []);
            Ok(())
        })
        .await
        .unwrap();
    let twice = store
        .write::<_, StoreError, _>("jobs", move |tx| {
            let (client, site) = place();
            tx.insert_job(SiteKey { client: &client, site: &site }, &job(30, None, "c"))
        })
        .await;
    assert!(matches!(twice, Err(StoreError::Exists { .. })), "{twice:?}");
}

async fn what_was_said_twice_of_a_run_is_said_once(store: Store) {
    store
        .write::<_, StoreError, _>("runs", |tx| {
            let (client, site) = place();
            let key = SiteKey { client: &client, site: &site };
            let run = |second, said: &str, received| JobRunRow {
                check: nightly(),
                at: at(second),
                said: said.to_owned(),
                agent: "a-1".parse().unwrap(),
                source: "told".to_owned(),
                received_at: at(received),
            };
            assert!(tx.insert_job_run(key, &run(10, "start", 11))?);
            assert!(tx.insert_job_run(key, &run(30, "ok", 31))?);
            assert!(!tx.insert_job_run(key, &run(30, "ok", 99))?);
            assert!(tx.insert_job_run(key, &run(30, "fail", 32))?);
            let all = [run(10, "start", 11), run(30, "fail", 32), run(30, "ok", 31)];
            assert_eq!(tx.job_runs(key, &nightly(), at(10), at(31))?, all);
            assert_eq!(tx.job_runs(key, &nightly(), at(11), at(30))?, []);
            assert_eq!(tx.latest_job_run(key, &nightly())?, Some(run(30, "ok", 31)));
            assert_eq!(tx.latest_job_run(key, &"srv-1/other".parse().unwrap())?, None);
            Ok(())
        })
        .await
        .unwrap();
}

async fn an_expected_run_is_decided_once_and_may_be_decided_again(store: Store) {
    store
        .write::<_, StoreError, _>("expected", |tx| {
            let (client, site) = place();
            let key = SiteKey { client: &client, site: &site };
            let run = |expected, decided, body: &str, was: Option<&str>| ExpectedRow {
                check: nightly(),
                expected_at: at(expected),
                decided_at: at(decided),
                body: body.to_owned(),
                was: was.map(str::to_owned),
            };
            for expected in [10, 20, 30] {
                tx.put_expected_run(key, &run(expected, expected + 5, "unknown", None))?;
            }
            tx.put_expected_run(key, &run(20, 90, "missed", Some("unknown")))?;
            let again = [run(20, 90, "missed", Some("unknown")), run(30, 35, "unknown", None)];
            assert_eq!(
                tx.expected_runs(key, &nightly(), at(20), at(31))?,
                [&[run(10, 15, "unknown", None)], &again[..]].concat()
            );
            assert_eq!(
                tx.expected_runs(key, &nightly(), at(25), at(30))?,
                again[..1],
                "the latest before a period tells how it began"
            );
            tx.unexpect_run(key, &nightly(), at(30))?;
            assert_eq!(tx.expected_runs(key, &nightly(), at(30), at(99))?, again[..1]);
            Ok(())
        })
        .await
        .unwrap();
}

fn place() -> (ClientId, SiteId) {
    ("acme".parse().unwrap(), "north".parse().unwrap())
}

fn nightly() -> CheckId {
    "srv-1/nightly".parse().unwrap()
}

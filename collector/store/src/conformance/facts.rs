//! What every database must do with facts.

use upheld_model::{AgentId, CheckId, ClientId, FindingId, ObservedAt, SiteId};

use super::{at, finding};
use crate::{
    Store, StoreError,
    facts::{ChangeRow, HourRow, SaidRow, SiteKey, StretchRow, UnheardRow},
    findings::{Begun, FindingRow, Over},
};

pub(super) async fn all(open: impl Fn() -> Store) {
    a_period_has_the_findings_that_touch_it(open()).await;
    what_was_first_known_of_an_end_stays(open()).await;
    a_period_has_the_changes_in_it_and_the_state_before(open()).await;
    facts_that_are_received_twice_are_one(open()).await;
    a_site_is_due_when_it_says_so(open()).await;
}

async fn a_period_has_the_findings_that_touch_it(store: Store) {
    store
        .write::<_, StoreError, _>("findings", |tx| {
            let (client, site) = place();
            for (begin, end) in [(0, Some(5)), (2, Some(20)), (12, Some(13)), (14, None), (1, None), (30, None)] {
                tx.insert_finding(&failing(begin, end))?;
            }
            let begins = |from, to| -> Result<Vec<_>, StoreError> {
                let found = tx.findings_between(&client, &site, at(from), at(to))?;
                Ok(found.iter().map(|row| row.begun.unwrap().by).collect::<Vec<_>>())
            };
            assert_eq!(begins(10, 20)?, [at(1), at(2), at(12), at(14)]);
            assert_eq!(begins(0, 2)?, [at(0), at(1)]);
            assert_eq!(begins(6, 7)?, [at(1), at(2)]);
            let other = "other".parse().unwrap();
            assert_eq!(tx.findings_between(&other, &site, at(0), at(99))?, []);
            Ok(())
        })
        .await
        .unwrap();
}

async fn what_was_first_known_of_an_end_stays(store: Store) {
    store
        .write::<_, StoreError, _>("findings", |tx| {
            let (client, site) = place();
            let row = failing(0, Some(5));
            tx.insert_finding(&row)?;
            assert_eq!(tx.open_findings(&client, &site)?.len(), 1, "its record is still on its way");
            let over = Over { after: Some(at(3)), by: at(4), confirmed: at(6), received: at(60) };
            assert!(tx.end_finding(&client, &site, &row.id, "end", &over)?);
            let held = tx.finding(&client, &site, &row.id)?.unwrap();
            assert_eq!(held.over, Some(Over { received: at(6), ..over }));
            Ok(())
        })
        .await
        .unwrap();
}

async fn a_period_has_the_changes_in_it_and_the_state_before(store: Store) {
    store
        .write::<_, StoreError, _>("changes", |tx| {
            let (client, site) = place();
            let key = SiteKey { client: &client, site: &site };
            for second in [0, 10, 20, 30] {
                tx.put_change(key, &change("nvr-02/net.tcp", second, "a"))?;
                tx.put_change(key, &change("nvr-02/other", second + 1, "b"))?;
            }
            tx.put_change(key, &ChangeRow { agent: agent("a-2"), ..change("nvr-02/net.tcp", 10, "c") })?;
            tx.put_change(key, &change("nvr-02/net.tcp", 10, "later"))?;
            let told = |from, to| -> Result<Vec<_>, StoreError> {
                let rows = tx.changes(key, &check("nvr-02/net.tcp"), at(from), at(to))?;
                Ok(rows.into_iter().map(|row| (row.at, row.state)).collect::<Vec<_>>())
            };
            let ten = [(at(10), "later".to_owned()), (at(10), "c".to_owned())];
            assert_eq!(told(11, 20)?, ten);
            assert_eq!(told(10, 20)?, [&[(at(0), "a".to_owned())], ten.as_slice()].concat());
            assert_eq!(told(0, 1)?, [(at(0), "a".to_owned())]);
            assert_eq!(told(40, 50)?, [(at(30), "a".to_owned())]);
            Ok(())
        })
        .await
        .unwrap();
}

async fn facts_that_are_received_twice_are_one(store: Store) {
    store
        .write::<_, StoreError, _>("facts", |tx| {
            let (client, site) = place();
            let key = SiteKey { client: &client, site: &site };
            let stretch = StretchRow {
                check: check("ups-2/ups.nut"),
                from: at(10),
                to: at(20),
                agent: agent("a-1"),
                received_at: at(21),
                seen: "{}".into(),
            };
            let said =
                SaidRow { at: at(5), agent: agent("a-1"), kind: "gap".into(), received_at: at(6), body: "{}".into() };
            let unheard = UnheardRow { agent: agent("a-1"), since: at(10), until: at(200) };
            for received in [21, 22] {
                let later = StretchRow { received_at: at(received), ..stretch.clone() };
                tx.insert_stretches(key, &[later.clone(), StretchRow { to: at(5), ..later }])?;
                tx.insert_said(key, &SaidRow { received_at: at(received - 15), ..said.clone() })?;
                tx.insert_unheard(key, &unheard)?;
                let body = format!("{received}");
                tx.put_hour(key, &HourRow { from: at(0), agent: agent("a-1"), body: body.clone() })?;
                tx.put_kept_now(key, &agent("a-1"), &body)?;
            }
            assert_eq!(tx.stretches(key, at(20), at(30))?, std::slice::from_ref(&stretch));
            assert_eq!(tx.stretches(key, at(0), at(10))?, []);
            assert_eq!(tx.stretches(key, at(21), at(30))?, []);
            assert_eq!(tx.said(key, at(5), at(6))?, [said]);
            assert_eq!(tx.unheard(key, at(199), at(300))?, std::slice::from_ref(&unheard));
            assert_eq!(tx.unheard(key, at(200), at(300))?, []);
            assert_eq!(tx.hours(key, at(0), at(1))?.iter().map(|row| row.body.as_str()).collect::<Vec<_>>(), ["22"]);
            assert_eq!(tx.hour(key, &agent("a-1"), at(0))?.as_deref(), Some("22"));
            assert_eq!(tx.kept_of_site(key)?, [(agent("a-1"), "22".to_owned())]);
            assert_eq!(tx.kept_now(key, &agent("a-2"))?, None);
            let other = "other".parse().unwrap();
            let theirs = SiteKey { client: &other, site: &site };
            assert_eq!(tx.stretches(theirs, at(0), at(99))?, []);
            assert_eq!(tx.kept_of_site(theirs)?, []);
            Ok(())
        })
        .await
        .unwrap();
}

async fn a_site_is_due_when_it_says_so(store: Store) {
    store
        .write::<_, StoreError, _>("due", |tx| {
            let (client, site) = place();
            let other: ClientId = "other".parse().unwrap();
            let (key, theirs) = (SiteKey { client: &client, site: &site }, SiteKey { client: &other, site: &site });
            tx.put_site_due(key, Some(at(10)))?;
            tx.put_site_due(theirs, Some(at(5)))?;
            assert_eq!(tx.sites_due(at(4), 9)?, []);
            assert_eq!(tx.sites_due(at(10), 9)?, [(other.clone(), site.clone()), (client.clone(), site.clone())]);
            assert_eq!(tx.sites_due(at(10), 1)?, [(other.clone(), site.clone())]);
            tx.put_site_due(theirs, Some(at(20)))?;
            tx.put_site_due(key, None)?;
            assert_eq!(tx.sites_due(at(19), 9)?, []);
            Ok(())
        })
        .await
        .unwrap();
}

fn place() -> (ClientId, SiteId) {
    ("acme".parse().unwrap(), "north".parse().unwrap())
}

fn agent(id: &str) -> AgentId {
    id.parse().unwrap()
}

fn check(name: &str) -> CheckId {
    name.parse().unwrap()
}

fn change(name: &str, second: i64, state: &str) -> ChangeRow {
    let state = state.to_owned();
    ChangeRow { check: check(name), at: at(second), agent: agent("a-1"), received_at: at(second + 1), state }
}

fn failing(begin: i64, end: Option<i64>) -> FindingRow {
    let over = |end| Over { after: None, by: at(end), confirmed: at(end), received: at(end + 1) };
    FindingRow {
        id: FindingId { check: check("nvr-02/net.tcp"), first_bad: ObservedAt(at(begin)) },
        begun: Some(Begun { after: None, by: at(begin), detected: at(begin + 1) }),
        over: end.map(over),
        ..finding()
    }
}

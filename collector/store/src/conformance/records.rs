//! Records: what is in the way of one is said, and undoes what came with it.

use super::record;
use crate::{ReadTx, Store, StoreError, Tx, facts::SiteKey, records::AgentKey};

pub(super) async fn all(open: &impl Fn() -> Store) {
    a_place_is_taken_once_and_who_comes_second_stores_nothing(open()).await;
}

async fn a_place_is_taken_once_and_who_comes_second_stores_nothing(store: Store) {
    let first = |tx: &mut dyn Tx| {
        let (client, agent) = ("acme".parse().unwrap(), "a-1".parse().unwrap());
        tx.insert_records(AgentKey { client: &client, agent: &agent }, &[record(0, 1), record(1, 4)])
    };
    store.write::<_, StoreError, _>("first", first).await.unwrap();
    // Seen at once, by the next question, or at the end; or overlooked.
    for (asks, overlooks) in [(false, false), (true, false), (true, true)] {
        let second = store.write::<_, StoreError, _>("second", move |tx| {
            let (client, agent) = ("acme".parse().unwrap(), "a-1".parse().unwrap());
            let key = AgentKey { client: &client, agent: &agent };
            tx.put_kept_now(SiteKey { client: &client, site: &"north".parse().unwrap() }, &agent, "{}")?;
            tx.insert_records(key, &[record(2, 5), record(0, 3)])?;
            let asked = if asks { tx.heads(key).map(drop) } else { Ok(()) };
            if overlooks { Ok(()) } else { asked }
        });
        let second = second.await;
        assert!(matches!(second, Err(StoreError::Exists { name: "records.insert", .. })), "{asks}: {second:?}");
    }
    let held = |tx: &dyn ReadTx| {
        let (client, agent) = ("acme".parse().unwrap(), "a-1".parse().unwrap());
        let site = "north".parse().unwrap();
        let kept = tx.kept_now(SiteKey { client: &client, site: &site }, &agent)?;
        Ok((tx.count_records(AgentKey { client: &client, agent: &agent })?, kept))
    };
    assert_eq!(store.read::<_, StoreError, _>("held", held).await.unwrap(), (2, None));
}

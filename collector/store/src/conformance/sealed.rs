//! Sealed secrets of sites.

use super::at;
use crate::{
    Store, StoreError,
    sealed::{BoxRow, SealedRow},
};

pub(super) async fn all(open: &impl Fn() -> Store) {
    a_secret_stands_in_the_place_of_the_one_before_with_its_boxes(open()).await;
}

async fn a_secret_stands_in_the_place_of_the_one_before_with_its_boxes(store: Store) {
    let secret =
        |name: &str, set_s: i64| SealedRow { name: name.parse().unwrap(), set_at: at(set_s), set_by: "p-1".to_owned() };
    let sealed = |name: &str, agent: &str, sealed: &str| BoxRow {
        name: name.parse().unwrap(),
        agent: agent.parse().unwrap(),
        key: "k".to_owned(),
        sealed: sealed.to_owned(),
    };
    store
        .write::<_, StoreError, _>("sealed", move |tx| {
            let (acme, plant, other) = ("acme".parse().unwrap(), "plant".parse().unwrap(), "other".parse().unwrap());
            let agent = "a-1".parse().unwrap();
            assert_eq!((tx.sealing_key(&acme, &agent)?, tx.sealed_version(&acme, &plant)?), (None, 0));
            assert!(tx.put_sealing_key(&acme, &agent, "k", at(1))?);
            assert!(!tx.put_sealing_key(&acme, &agent, "k", at(2))?, "the same key is no news");
            assert!(tx.put_sealing_key(&acme, &agent, "l", at(3))?);
            assert_eq!(tx.sealing_key(&acme, &agent)?.as_deref(), Some("l"));

            let both = [sealed("nvr", "a-1", "x"), sealed("nvr", "a-2", "y")];
            tx.put_sealed(&acme, &plant, &secret("nvr", 1), &both)?;
            tx.put_sealed(&acme, &plant, &secret("cam", 2), &[])?;
            tx.put_sealed(&acme, &other, &secret("nvr", 3), &[sealed("nvr", "a-3", "z")])?;
            assert_eq!(tx.sealed_secrets(&acme, &plant)?, [secret("cam", 2), secret("nvr", 1)]);
            assert_eq!(tx.sealed_boxes(&acme, &plant)?, both);
            tx.put_sealed(&acme, &plant, &secret("nvr", 4), &[sealed("nvr", "a-2", "w")])?;
            assert_eq!(tx.sealed_secrets(&acme, &plant)?, [secret("cam", 2), secret("nvr", 4)]);
            assert_eq!(tx.sealed_boxes(&acme, &plant)?, [sealed("nvr", "a-2", "w")]);
            assert_eq!(tx.sealed_version(&acme, &plant)?, 3);

            assert!(tx.remove_sealed(&acme, &plant, &"nvr".parse().unwrap())?);
            assert!(!tx.remove_sealed(&acme, &plant, &"nvr".parse().unwrap())?);
            assert_eq!(tx.sealed_boxes(&acme, &plant)?, []);
            assert_eq!((tx.sealed_version(&acme, &plant)?, tx.sealed_version(&acme, &other)?), (4, 1));
            assert_eq!(tx.sealed_boxes(&acme, &other)?.len(), 1);
            assert_eq!(tx.sealed_secrets(&"nobody".parse().unwrap(), &plant)?, []);
            Ok(())
        })
        .await
        .unwrap();
}

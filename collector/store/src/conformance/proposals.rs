//! What hosts propose, and what was decided of it.

use super::at;
use crate::{
    Store, StoreError,
    proposals::{DecisionRow, ProposalRow},
};

pub(super) async fn all(open: &impl Fn() -> Store) {
    the_last_proposal_of_an_agent_and_the_last_decision_of_an_item_stand(open()).await;
}

async fn the_last_proposal_of_an_agent_and_the_last_decision_of_an_item_stand(store: Store) {
    let proposal = |client: &str, agent: &str, sent_s: i64, assets: &str| ProposalRow {
        client: client.parse().unwrap(),
        site: "plant".parse().unwrap(),
        agent: agent.parse().unwrap(),
        sent_at: at(sent_s),
        assets: assets.to_owned(),
    };
    let decision = |item: &str, is_taken: bool, decided_s: i64| DecisionRow {
        item: item.to_owned(),
        is_taken,
        decided_at: at(decided_s),
        decided_by: "p-1".to_owned(),
    };
    store
        .write::<_, StoreError, _>("proposals", move |tx| {
            let (acme, other, plant) = ("acme".parse().unwrap(), "other".parse().unwrap(), "plant".parse().unwrap());
            assert_eq!(tx.proposals(None)?, []);
            for row in [
                proposal("other", "a-1", 1, "[]"),
                proposal("acme", "a-2", 2, "[2]"),
                proposal("acme", "a-1", 3, "[1]"),
                proposal("acme", "a-2", 4, "[2, 3]"),
            ] {
                tx.put_proposal(&row)?;
            }
            let of_acme = [proposal("acme", "a-1", 3, "[1]"), proposal("acme", "a-2", 4, "[2, 3]")];
            assert_eq!(tx.proposals(Some((&acme, &plant)))?, of_acme);
            assert_eq!(tx.proposals(None)?.len(), 3);
            assert_eq!(tx.proposals(Some((&acme, &"nowhere".parse().unwrap())))?, []);

            for row in [decision("b", true, 5), decision("a", false, 6), decision("b", false, 7)] {
                tx.put_proposal_decision(&acme, &plant, &row)?;
            }
            let decided = [decision("a", false, 6), decision("b", false, 7)];
            assert_eq!(tx.proposal_decisions(&acme, &plant)?, decided);
            assert_eq!(tx.proposal_decisions(&other, &plant)?, []);
            Ok(())
        })
        .await
        .unwrap();
}

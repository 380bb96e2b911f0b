//! The storm brake: each incident keeps itself and its clocks; tickets and messages become one (DETECTION 4.9).

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use upheld_model::ClientId;

use crate::{
    correlate::Judged,
    plan::plus,
    storm::{WITHIN, is_storm},
};

/// Joins the tickets and messages of each storm; how many messages are left of those that page.
pub(super) fn brake(incidents: &mut [(ClientId, Judged)]) -> u64 {
    let mut of_client: BTreeMap<ClientId, Vec<usize>> = BTreeMap::new();
    for (at, (client, incident)) in incidents.iter().enumerate() {
        if incident.is_ticketed {
            of_client.entry(client.clone()).or_default().push(at);
        }
    }
    let mut pages = 0;
    for mut own in of_client.into_values() {
        own.sort_by_key(|at| (incidents[*at].1.opened, incidents[*at].1.key));
        pages += brake_one(&own, incidents);
    }
    pages
}

fn brake_one(own: &[usize], incidents: &mut [(ClientId, Judged)]) -> u64 {
    let mut recent: VecDeque<Timestamp> = VecDeque::new();
    let (mut pages, mut in_storm) = (0, false);
    for at in own {
        let incident = &mut incidents[*at].1;
        while recent.front().is_some_and(|first| plus(*first, WITHIN) < incident.opened) {
            recent.pop_front();
        }
        recent.push_back(incident.opened);
        let was_in_storm = in_storm;
        in_storm = is_storm(recent.len());
        if in_storm && was_in_storm {
            incident.is_ticketed = false;
            incident.is_paged = false;
        }
        pages += u64::from(incident.is_paged);
    }
    pages
}

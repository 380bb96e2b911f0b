//! What uptime is counted from: every check's states, findings and stretches that nobody watched (DETECTION 7).

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use upheld_detection::{
    facts::SiteFacts,
    plan::Site,
    uptime::{CheckHistory, Span},
};
use upheld_model::{AgentId, CheckId, ClientId, SiteId, UnknownReason};
use upheld_store::{ReadTx, agents::AgentStatus, facts::SiteKey};

use super::{Ahead, BEFORE, DayCells, Said, changes, of_site, read_said};
use crate::{Desk, DeskError, book::HEARTBEAT_MS, clock, jobs, plan, tasks::refuse_forgotten};

/// Three heartbeats: not heard for longer, an agent watches nothing that is known.
const UNHEARD_AFTER: SignedDuration = SignedDuration::from_millis(3 * HEARTBEAT_MS.cast_signed());

/// A site over a period, as its facts tell it.
#[derive(Debug, Clone)]
pub struct SiteHistory {
    /// What stands there.
    pub plan: Site,
    /// Its facts: findings with their three dates, counts, batteries, boots, announced shutdowns.
    pub facts: SiteFacts,
    /// Each check of the plan, ready for [`upheld_detection::uptime::partition`]. A check of which nothing is known
    /// has no changes, and so is unknown (not monitored).
    pub checks: BTreeMap<CheckId, CheckHistory>,
}

type Unwatched = Vec<(Span, UnknownReason)>;

impl Desk {
    /// What is known of a site in a period that ends now or earlier; `None` when the book has no such site. Facts that
    /// arrive later change the answer.
    pub async fn site_history(
        &self,
        client: &ClientId,
        site: &SiteId,
        period: Span,
        now: Timestamp,
    ) -> Result<Option<SiteHistory>, DeskError> {
        let now = clock::stored(now);
        let (client, site, shared) = (client.clone(), site.clone(), Arc::clone(&self.shared));
        let period = Span { from: period.from, to: period.to.min(now) };
        self.store
            .read("desk.site_history", move |tx| {
                refuse_forgotten(tx, &client, period.from)?;
                let book = shared.books.current(tx)?;
                let Some(entry) = book.book.site(&client, &site) else { return Ok(None) };
                let mut plan = plan::site_of(&book.book, &client, entry, period)?;
                plan::enter_windows(&mut plan, tx, period)?;
                let cells = book.sites.cells.of(tx, &plan, now)?;
                history(tx, plan, period, now, &cells).map(Some)
            })
            .await
    }
}

/// The same inside a transaction.
pub(crate) fn history(
    tx: &dyn ReadTx,
    plan: Site,
    period: Span,
    now: Timestamp,
    cells: &DayCells,
) -> Result<SiteHistory, DeskError> {
    let key = SiteKey { client: &plan.client, site: &plan.site };
    let mut facts = of_site(tx, &plan, period, cells, &mut Ahead::ignored(period))?;
    let unwatched = unwatched(tx, key, period, now)?;
    let mut checks = BTreeMap::new();
    for (check, planned) in &plan.checks {
        let own = facts.checks.entry(check.clone()).or_default();
        // A job is as its expected runs say, and no agent folds it.
        if !jobs::is_job(planned) {
            own.changes = changes(tx, key, check, period)?;
        }
        let mut history = own.history(period.to);
        history.unwatched.clone_from(&unwatched);
        let off = facts.off.iter().filter(|off| off.asset == check.asset);
        history
            .unwatched
            .extend(off.map(|off| (Span { from: off.from, to: off.until.unwrap_or(period.to) }, UnknownReason::Off)));
        checks.insert(check.clone(), history);
    }
    Ok(SiteHistory { plan, facts, checks })
}

/// When no agent of the site watched, and why.
fn unwatched(tx: &dyn ReadTx, key: SiteKey<'_>, period: Span, now: Timestamp) -> Result<Unwatched, DeskError> {
    let mut of_agent: BTreeMap<AgentId, Unwatched> = BTreeMap::new();
    for row in tx.agents(Some(key.client))?.into_iter().filter(|row| row.site == *key.site) {
        let present = tx.agent_now(key.client, &row.agent)?;
        let own = match present {
            Some(present) if now.duration_since(present.last_seen) > UNHEARD_AFTER => {
                vec![(Span { from: present.last_seen, to: now }, UnknownReason::AgentSilent)]
            }
            Some(_) => Vec::new(),
            // One that never reported watches nothing; it takes no other's watch away.
            None => continue,
        };
        if row.status == AgentStatus::Active || !own.is_empty() {
            of_agent.insert(row.agent, own);
        }
    }
    let before = period.from.saturating_sub(BEFORE).unwrap_or(Timestamp::MIN);
    for row in tx.said(key, before, period.to)? {
        let said = read_said(&row)?;
        if let (Said::Gap { to, reason }, Some(own)) = (said.said, of_agent.get_mut(&said.agent)) {
            own.push((Span { from: said.at, to }, reason));
        }
    }
    Ok(of_agent.into_values().reduce(|all, own| both(&all, &own)).unwrap_or_default())
}

/// The stretches that lie in both.
fn both(all: &Unwatched, own: &Unwatched) -> Unwatched {
    let cut = |(a, reason): &(Span, UnknownReason), (b, _): &(Span, UnknownReason)| {
        let span = Span { from: a.from.max(b.from), to: a.to.min(b.to) };
        (span.from < span.to).then_some((span, *reason))
    };
    all.iter().flat_map(|one| own.iter().filter_map(move |other| cut(one, other))).collect()
}

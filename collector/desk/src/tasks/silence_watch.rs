//! Opens incidents for agents that are not heard any more, and blames nobody for the collector's own absence
//! (DETECTION 4.6, 4.7).

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use upheld_detection::{
    incident::{SilenceSeen, Trigger},
    silence::{CollectorRun, LastHeard, Verdict, judge},
};
use upheld_model::{AssetId, ClientId, ProbeSpec, SiteId};
use upheld_store::{ReadTx, agents::AgentRow};

use super::{Report, run::Run};
use crate::{
    AgentPeer, Desk, DeskError,
    book::{CurrentBook, HEARTBEAT_MS},
    clock, site,
};

/// Agents that one run looks at, the longest silent first.
const AGENTS_MAX: u32 = 10_000;

impl Desk {
    /// Opens an incident for each agent whose silence has lasted long enough, dated by its deadline. Without a run
    /// ([`Desk::start_run`]) it does nothing: only a collector that listens may call anybody silent.
    pub async fn silence_once(&self, now: Timestamp) -> Result<Report, DeskError> {
        let now = clock::stored(now);
        let mut report = Report::of("silence");
        let Some(run) = self.this_run() else { return Ok(report) };
        let silent = self.store.read("silence.look", move |tx| silent_agents(tx, &run, now)).await?;
        for (row, seen) in silent {
            report.seen += 1;
            let (shared, agent) = (Arc::clone(&self.shared), row.agent.clone());
            let reacted = self
                .store
                .write("silence.react", move |tx| {
                    let book = shared.books.current(&*tx)?;
                    let host = host_of(&book, &row.client, &row.site);
                    let trigger = Trigger::AgentSilent(SilenceSeen { host, ..seen });
                    site::react(tx, &book, &row.client, &row.site, &[trigger], now)
                })
                .await;
            match reacted {
                Ok(changes) => report.changed += changes,
                Err(error) => report.failures.push(format!("{agent}: {error}")),
            }
        }
        if report.changed > 0 {
            self.shared.wake.all();
        }
        Ok(report)
    }
}

/// The agents whose silence is an incident that is not open yet.
fn silent_agents(tx: &dyn ReadTx, run: &Run, now: Timestamp) -> Result<Vec<(AgentRow, SilenceSeen)>, DeskError> {
    let heartbeat = Duration::from_millis(HEARTBEAT_MS);
    let collector = CollectorRun {
        started: run.started_at,
        was_down: Duration::try_from(run.was_down).unwrap_or_default(),
        drained: Some(run.started_at),
    };
    let cutoff = now.saturating_sub(SignedDuration::from_millis(HEARTBEAT_MS.cast_signed())).unwrap_or(now);
    let mut quiet = tx.agents_unseen_since(cutoff, AGENTS_MAX)?;
    quiet.extend(tx.agents_unheard_since(cutoff, AGENTS_MAX)?.into_iter().map(|row| {
        let enrolled = row.enrolled_at;
        (row, enrolled)
    }));
    let mut silent = Vec::new();
    for (row, at) in quiet {
        let Verdict::Silent { since, expected_by, due_at } = judge(&LastHeard { at, heartbeat }, &collector, now)
        else {
            continue;
        };
        let peer = AgentPeer { agent: row.agent.clone(), client: row.client.clone(), site: row.site.clone() };
        if !site::open_silence(tx, &peer)? {
            let seen = SilenceSeen { agent: peer.agent, host: None, last_heard: since, expected_by, deadline: due_at };
            silent.push((row, seen));
        }
    }
    Ok(silent)
}

/// The asset on which a site's agent runs: the one whose `host` check the site has, if it has just one.
fn host_of(book: &CurrentBook, client: &ClientId, site: &SiteId) -> Option<AssetId> {
    let checks = book.book.site(client, site)?.checks();
    let mut hosts = checks.into_iter().filter(|check| matches!(check.probe, ProbeSpec::Host { .. }));
    match (hosts.next(), hosts.next()) {
        (Some(one), None) => Some(one.id.asset),
        (Some(_), Some(_)) | (None, _) => None,
    }
}

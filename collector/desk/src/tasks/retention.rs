//! Takes away what is past its time (DELIVERY 4). Facts on which judgements rest stay: records that tell of more than
//! samples, states, stretches, findings, runs, the ledger. No incident, uptime or credit depends on what goes.

use jiff::{SignedDuration, Timestamp};
use upheld_model::{AgentId, ClientId, SiteId};
use upheld_store::{Tx, facts::SiteKey, records::AgentKey};

use super::Report;
use crate::{Desk, DeskError, clock};

/// Samples as their agents sent them. So long a site can be judged again under other rules of detection.
const SAMPLES_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// What a record was called and held: so long it is recognised when it is sent again.
const IDENTITIES_FOR: SignedDuration = SignedDuration::from_hours(45 * 24);
/// Sums by the hour.
const HOURS_FOR: SignedDuration = SignedDuration::from_hours(400 * 24);
/// Rows that one transaction takes away.
const ROWS: u32 = 1_000;
/// Transactions for one agent in one run: the rest waits for the next hour.
const BATCHES: u32 = 500;

/// One kind of data of one agent or site.
#[derive(Debug, Clone)]
enum Kind {
    Samples(ClientId, AgentId),
    Identities(ClientId, AgentId),
    Forks(ClientId, AgentId),
    Hours(ClientId, SiteId),
}

impl Desk {
    /// Takes away samples older than 30 days, identities and forks older than 45, sums of hours older than 400. Ages are
    /// counted back from the latest report of any agent: a clock that runs ahead, and a collector that nobody has spoken
    /// to for a year, throw nothing away.
    pub async fn retention_once(&self, now: Timestamp) -> Result<Report, DeskError> {
        let now = clock::stored(now);
        let mut report = Report::of("retention");
        if self.is_clock_in_doubt() {
            return Ok(report);
        }
        let (heard, agents) = self
            .store
            .read("retention.look", |tx| Ok::<_, DeskError>((tx.last_seen_of_any()?, tx.agents(None)?)))
            .await?;
        let Some(now) = heard.map(|heard| heard.min(now)) else { return Ok(report) };
        let mut sites = std::collections::BTreeSet::new();
        for row in agents {
            if sites.insert((row.client.clone(), row.site.clone())) {
                self.forget(Kind::Hours(row.client.clone(), row.site), now, &mut report).await;
            }
            self.forget(Kind::Samples(row.client.clone(), row.agent.clone()), now, &mut report).await;
            self.forget(Kind::Identities(row.client.clone(), row.agent.clone()), now, &mut report).await;
            self.forget(Kind::Forks(row.client, row.agent), now, &mut report).await;
        }
        Ok(report)
    }

    /// Goes on until nothing is left that is old enough. What fails is told, and tried again in the next run.
    async fn forget(&self, kind: Kind, now: Timestamp, report: &mut Report) {
        report.seen += 1;
        for _ in 0..BATCHES {
            let one = kind.clone();
            match self.store.write("retention.forget", move |tx| one.forget(tx, now)).await {
                Ok(rows) => {
                    report.changed += rows;
                    if rows < u64::from(ROWS) {
                        return;
                    }
                }
                Err(error) => return report.failures.push(format!("{kind:?}: {error}")),
            }
        }
    }
}

impl Kind {
    fn forget(&self, tx: &mut dyn Tx, now: Timestamp) -> Result<u64, DeskError> {
        let before = |age: SignedDuration| now.saturating_sub(age).unwrap_or(Timestamp::MIN);
        let rows = match self {
            Self::Samples(client, agent) => tx.forget_samples(AgentKey { client, agent }, before(SAMPLES_FOR), ROWS)?,
            Self::Identities(client, agent) => {
                tx.forget_identities(AgentKey { client, agent }, before(IDENTITIES_FOR), ROWS)?
            }
            Self::Forks(client, agent) => tx.forget_forks(AgentKey { client, agent }, before(IDENTITIES_FOR))?,
            Self::Hours(client, site) => tx.forget_hours(SiteKey { client, site }, before(HOURS_FOR))?,
        };
        Ok(rows)
    }
}

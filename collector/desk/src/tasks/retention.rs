//! Takes away what is past its time (DELIVERY 4). Facts on which judgements rest (records that tell of more than samples,
//! states, stretches, findings, runs, incidents with their ledgers) stay for years after the agreement under which they
//! happened ([`upheld_agreement::book::Book::facts_needed_from`]); until then no incident, uptime or credit depends on what goes. What was asked for
//! by its time is refused afterwards, and not counted as unknown ([`refuse_forgotten`]).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use upheld_model::{AgentId, ClientId, SiteId};
use upheld_store::{ReadTx, Tx, facts::SiteKey, records::AgentKey};

use super::Report;
use crate::{Actor, Desk, DeskError, audit, clock};

/// What a record was called and held, so that it is recognised when it is sent again: at least so long, and so much longer
/// than its row.
const IDENTITIES_FOR: SignedDuration = SignedDuration::from_hours(45 * 24);
const IDENTITIES_AFTER: SignedDuration = SignedDuration::from_hours(15 * 24);
/// Sums by the hour.
const HOURS_FOR: SignedDuration = SignedDuration::from_hours(400 * 24);
/// Rows that one transaction takes away.
const ROWS: u32 = 1_000;
/// Transactions for one agent in one run: the rest waits for the next hour.
const BATCHES: u32 = 500;
/// Facts of so much time go in one transaction, and not before so much of it can go.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// One kind of data of one agent or site, and how long it is kept.
#[derive(Debug, Clone)]
enum Kind {
    Samples(ClientId, AgentId, SignedDuration),
    Identities(ClientId, AgentId, SignedDuration),
    Forks(ClientId, AgentId),
    Hours(ClientId, SiteId),
}

impl Desk {
    /// Forgets keys of commands ([`Desk::live`]), and takes away samples older than 30 days (or as the book says), identities and forks older than 45, sums of hours older
    /// than 400, and facts as the book says. Ages are counted back from the latest report of any agent: a clock that runs
    /// ahead, and a collector that nobody has spoken to for a year, throw nothing away.
    pub async fn retention_once(&self, now: Timestamp) -> Result<Report, DeskError> {
        let now = clock::stored(now);
        let mut report = Report::of("retention");
        report.changed += self.live(now).await?;
        if self.is_clock_in_doubt() {
            return Ok(report);
        }
        let (heard, agents) = self
            .store
            .read("retention.look", |tx| Ok::<_, DeskError>((tx.last_seen_of_any()?, tx.agents(None)?)))
            .await?;
        let Some(now) = heard.map(|heard| heard.min(now)) else { return Ok(report) };
        let book = self.current_book().await?;
        let samples = book.book.samples_for();
        let identities = IDENTITIES_FOR.max(samples.saturating_add(IDENTITIES_AFTER));
        let mut sites = BTreeSet::new();
        let clients: BTreeSet<ClientId> = book.book.clients.keys().cloned().collect();
        for row in agents {
            if sites.insert((row.client.clone(), row.site.clone())) {
                self.forget(Kind::Hours(row.client.clone(), row.site), now, &mut report).await;
            }
            self.forget(Kind::Samples(row.client.clone(), row.agent.clone(), samples), now, &mut report).await;
            self.forget(Kind::Identities(row.client.clone(), row.agent.clone(), identities), now, &mut report).await;
            self.forget(Kind::Forks(row.client, row.agent), now, &mut report).await;
        }
        for client in clients {
            let needed = book.book.facts_needed_from(&client, now);
            if let Some(needed) = needed
                && let Err(error) = self.forget_facts(&client, needed, now, &mut report).await
            {
                report.failures.push(format!("facts of {client}: {error}"));
            }
        }
        Ok(report)
    }

    /// Takes away a client's facts from before `needed`, a week in a transaction, the oldest first.
    async fn forget_facts(
        &self,
        client: &ClientId,
        needed: Timestamp,
        now: Timestamp,
        report: &mut Report,
    ) -> Result<(), DeskError> {
        let of = client.clone();
        let look = move |tx: &dyn ReadTx| Ok::<_, DeskError>((tx.forgotten(&of)?, tx.first_book_at()?));
        let (forgotten, first_book) = self.store.read("retention.facts", look).await?;
        let Some(begin) = forgotten.or(first_book) else { return Ok(()) };
        let week = |from: Timestamp| from.saturating_add(WEEK).unwrap_or(Timestamp::MAX);
        if needed < week(begin) {
            return Ok(());
        }
        report.seen += 1;
        let (mut to, mut rows) = (begin, 0);
        while to < needed {
            to = week(to).min(needed);
            let (of, before) = (client.clone(), rows);
            let forget = move |tx: &mut dyn Tx| {
                let gone = before + tx.forget_facts(&of, to)?;
                if to == needed && gone > 0 {
                    let detail = json!({ "before": needed, "rows": gone });
                    audit::note(tx, now, &Actor::Collector, Some(&of), "facts.forgotten", &detail)?;
                }
                Ok::<_, DeskError>(gone)
            };
            rows = self.store.write("retention.forget_facts", forget).await?;
        }
        report.changed += rows;
        Ok(())
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
            Self::Samples(client, agent, kept) => tx.forget_samples(AgentKey { client, agent }, before(*kept), ROWS)?,
            Self::Identities(client, agent, kept) => {
                tx.forget_identities(AgentKey { client, agent }, before(*kept), ROWS)?
            }
            Self::Forks(client, agent) => tx.forget_forks(AgentKey { client, agent }, before(IDENTITIES_FOR))?,
            Self::Hours(client, site) => tx.forget_hours(SiteKey { client, site }, before(HOURS_FOR))?,
        };
        Ok(rows)
    }
}

/// Refuses a question about a time whose facts were taken away: counted as unknown they would make a figure that nobody can
/// stand by.
pub(crate) fn refuse_forgotten(tx: &dyn ReadTx, client: &ClientId, from: Timestamp) -> Result<(), DeskError> {
    match tx.forgotten(client)?.filter(|before| from < *before) {
        Some(before) => Err(DeskError::Forgotten { client: client.clone(), before }),
        None => Ok(()),
    }
}

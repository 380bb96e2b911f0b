//! The way in: one upload of one agent, answered as DELIVERY 2 orders.
//!
//! The request is judged twice over: on a snapshot first, on a thread that may take its time (hashes, signatures and
//! bodies cost the most), and then inside the writing transaction, where the verdict is believed only if the history
//! it was made from is still the one that is held. So the writer's thread does nothing but write.

mod arrivals;
mod judged;
mod keeping;
mod seen;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use upheld_delivery::receiver::{Accepted, Content, Fork, Verdict};
use upheld_detection::incident::Trigger;
use upheld_model::{
    AgentId, CheckId, ObservedAt, PresentId,
    finding::CheckState,
    mutant::{Rule, is_broken},
};
use upheld_store::{
    ReadTx, StoreError, Tx,
    agents::{AgentNowRow, AgentRow, AgentStatus, SeenRow},
    ahead::Ask,
    facts::{SiteKey, UnheardRow},
    records::{AgentKey, DeadLetterRow, HeadRow, RecordRow},
};
use upheld_wire::v1::{Conflict, DeliverRequest, Delivered, Head, Problem, codes, present};

use crate::{
    Actor, AgentPeer, Desk, DeskError, Shown,
    agents::{self, refusal_of},
    audit,
    book::{BookCache, CurrentBook},
    case::text,
    clock,
    own::Inside,
    problem::{problem, unavailable},
    site::{self, UNHEARD_AFTER},
};
use judged::Judged;
pub(crate) use seen::Seen;

/// How long after it came an upload is taken where several collectors serve: one that was frozen with it in hand would date
/// what it brings before what another has taken since. The agent sends again.
const FRESH: Duration = Duration::from_secs(10);
/// The present of an agent of whose checks nothing is known.
const NO_STATES: &str = "{}";

/// The answer to an upload.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliverAnswer {
    /// 200: committed and synced.
    Delivered(Delivered),
    /// 409: nothing was stored.
    Conflict(Conflict),
    /// The problem's own status: nothing was stored.
    Problem(Problem),
}

impl Desk {
    /// Takes one upload. Steps 1 and 3 to 6 of DELIVERY 2 in one transaction; size limits (step 2) are the door's.
    /// The answer is given after the commit, but for a heartbeat that says nothing new ([`Desk::seen_once`]). A store
    /// that cannot commit is a 503 problem, never a panic.
    pub async fn deliver(&self, peer: &AgentPeer, request: DeliverRequest, now: Timestamp) -> DeliverAnswer {
        let shown = Shown::Good(peer.clone());
        self.take(&peer.agent, move |_, _| Ok((shown, None)), request, now).await.unwrap_or_else(|_| {
            // Only a certificate that is worth nothing is no peer's.
            DeliverAnswer::Problem(problem(403, codes::UNKNOWN_AGENT, "this agent is not known here", ""))
        })
    }

    /// The same of whoever shows a certificate of this agent that was issued at this instant
    /// ([`Desk::peer_showing`]), in one look. `Err` is what the certificate is worth instead of [`Shown::Good`].
    pub async fn deliver_showing(
        &self,
        agent: &AgentId,
        issued_at: Timestamp,
        request: DeliverRequest,
        now: Timestamp,
    ) -> Result<DeliverAnswer, Shown> {
        let shown = agent.clone();
        let who = move |tx: &dyn ReadTx, request: &DeliverRequest| {
            agents::showing(tx, &shown, issued_at, |key, site| {
                judged::ahead(tx, Ask::Certificate(key), key, site, request)
            })
        };
        self.take(agent, who, request, now).await
    }

    async fn take(
        &self,
        agent: &AgentId,
        who: impl FnOnce(&dyn ReadTx, &DeliverRequest) -> Result<(Shown, Option<AgentRow>), DeskError> + Send + 'static,
        request: DeliverRequest,
        now: Timestamp,
    ) -> Result<DeliverAnswer, Shown> {
        // The clock itself is held against the agents'; what they bring is dated by what it should show.
        let shown = clock::stored(now);
        let (now, offset) = (self.dated(now, Some(request.clock.wall.0)), shown.duration_since(request.clock.wall.0));
        let inside = Inside::came(self, agent, shown);
        let came = Instant::now();
        let request = Arc::new(request);
        let looked = {
            let (request, shared) = (Arc::clone(&request), Arc::clone(&self.shared));
            self.store
                .read("desk.judge", move |tx| Looked::new(tx, &shared.books, who(tx, &request)?, &request, now))
                .await
        };
        let taken = match looked {
            Err(error) => Err(error),
            Ok(Looked::NoPeer(shown)) => {
                inside.told();
                return Err(shown);
            }
            Ok(Looked::Peer { peer, judged, sign }) => {
                let kept = sign.filter(|_| came.elapsed() <= FRESH).and_then(|answered| {
                    let (sign, taken) = *answered;
                    let is_kept = self.seen().keep(sign, Instant::now());
                    is_kept.then_some(taken)
                });
                match kept {
                    Some(taken) => Ok(taken),
                    None => self.write(peer, request, *judged, came, now).await,
                }
            }
        };
        match taken {
            Ok(taken) => {
                inside.took(offset);
                if taken.has_news {
                    self.shared.wake.all();
                }
                Ok(taken.answer)
            }
            Err(error) => {
                tracing::warn!(%error, "an upload was not taken");
                Ok(DeliverAnswer::Problem(unavailable(&error)))
            }
        }
    }

    /// What the simulator breaks [`Rule::JudgedInTransaction`] with: the site is judged in a transaction of its own.
    async fn judge_afterwards(&self, peer: AgentPeer, now: Timestamp) {
        let shared = Arc::clone(&self.shared);
        let judged = self.store.write("desk.judge_afterwards", move |tx| {
            let book = shared.books.current(&*tx)?;
            site::judge(tx, &book, &peer.client, &peer.site, now)
        });
        if let Err(error) = judged.await {
            tracing::warn!(%error, "a site was not judged");
        }
    }

    async fn write(
        &self,
        peer: AgentPeer,
        request: Arc<DeliverRequest>,
        judged: Judged,
        came: Instant,
        now: Timestamp,
    ) -> Result<Taken, DeskError> {
        let shared = Arc::clone(&self.shared);
        let (place, is_late) = (peer.clone(), judged.keeping.is_late);
        let foreseen = judged.foreseen(&peer);
        let written = self
            .store
            .write_foreseeing("desk.deliver", foreseen, move |tx| {
                if shared.is_among_others.get().is_some() && came.elapsed() > FRESH {
                    return Err(StoreError::Undone { name: "desk.deliver" }.into());
                }
                let judged = judged.confirm(tx, &shared.books, &peer, &request, now)?;
                let book = shared.books.current(&*tx)?;
                Upload { book: &book, peer: &peer, request: &request, now }.take(tx, judged)
            })
            .await;
        if is_late {
            self.shared.books.forget_hours(&place.client, &place.site);
        }
        if is_broken(Rule::JudgedInTransaction) && written.as_ref().is_ok_and(|taken| taken.has_news) {
            self.judge_afterwards(place, now).await;
        }
        written
    }
}

/// What a first look at an upload says of it.
enum Looked {
    /// Its certificate is not of a peer.
    NoPeer(Shown),
    /// What it means, and the answer if it is a sign of life that may wait to be written.
    Peer { peer: AgentPeer, judged: Box<Judged>, sign: Option<Box<(SeenRow, Taken)>> },
}

impl Looked {
    fn new(
        tx: &dyn ReadTx,
        books: &BookCache,
        (shown, row): (Shown, Option<AgentRow>),
        request: &DeliverRequest,
        now: Timestamp,
    ) -> Result<Self, DeskError> {
        let Shown::Good(peer) = shown else { return Ok(Self::NoPeer(shown)) };
        let judged = match row {
            Some(_) => Judged::of(tx, books, &peer, row, request, now)?,
            None => Judged::new(tx, books, &peer, request, now)?,
        };
        let mut sign = None;
        if matches!(judged.verdict, Some(Verdict::Heartbeat)) {
            let book = books.current(tx)?;
            let upload = Upload { book: &book, peer: &peer, request, now };
            sign = seen::sign(tx, &upload, &judged)?.map(|(sign, present)| {
                let heard = Heard { has_news: false, present };
                Box::new((sign, upload.delivered(None, &judged, heard)))
            });
        }
        Ok(Self::Peer { peer, judged: Box::new(judged), sign })
    }
}

/// What an upload came to.
struct Taken {
    answer: DeliverAnswer,
    /// Whether incidents, clocks or messages changed.
    has_news: bool,
}

impl Taken {
    fn refused(problem: Problem) -> Self {
        Self { answer: DeliverAnswer::Problem(problem), has_news: false }
    }
}

/// What was noted of the present.
struct Heard {
    /// Whether that changed an incident.
    has_news: bool,
    /// The name of the checks' states that are held from here on.
    present: PresentId,
}

/// One upload inside its transaction.
struct Upload<'a> {
    book: &'a CurrentBook,
    peer: &'a AgentPeer,
    request: &'a DeliverRequest,
    now: Timestamp,
}

impl Upload<'_> {
    fn take(&self, tx: &mut dyn Tx, judged: Judged) -> Result<Taken, DeskError> {
        let Some(verdict) = &judged.verdict else {
            let unknown = || problem(403, codes::UNKNOWN_AGENT, "this agent is not known here", "");
            return Ok(Taken::refused(refusal_of(judged.row.as_ref(), self.peer).unwrap_or_else(unknown)));
        };
        if judged.row.as_ref().is_some_and(|row| row.first_seen.is_none()) {
            tx.note_first_seen(&self.peer.client, &self.peer.agent, self.now)?;
        }
        match verdict {
            Verdict::Heartbeat => {
                let heard = self.heard(tx)?;
                Ok(self.delivered(None, &judged, heard))
            }
            Verdict::Accept(accepted) => self.accept(tx, accepted, &judged),
            Verdict::Behind { .. } => Ok(self.conflict(verdict)),
            Verdict::Fork(fork) => {
                tx.note_fork(self.key(), &fork.id, self.now)?;
                tracing::warn!(agent.id = %self.peer.agent, reason = %fork.reason, "an agent's history forks");
                Ok(self.conflict(verdict))
            }
            Verdict::Clone(fork) => self.quarantine(tx, fork),
            Verdict::Malformed(what) => {
                let title = "this request is not of this protocol";
                Ok(Taken::refused(problem(400, codes::MALFORMED, title, &what.to_string())))
            }
            Verdict::TooLarge { limit } => {
                Ok(Taken::refused(problem(413, codes::TOO_LARGE, "this request is too large", limit)))
            }
        }
    }

    fn accept(&self, tx: &mut dyn Tx, accepted: &Accepted, judged: &Judged) -> Result<Taken, DeskError> {
        let rows: Vec<_> =
            accepted.fresh.iter().map(|fresh| self.row(fresh.index, &fresh.content)).collect::<Result<_, _>>()?;
        tx.insert_records(self.key(), &rows)?;
        for fresh in &accepted.fresh {
            self.bury(tx, fresh.index, &fresh.content)?;
        }
        let Head { epoch, len, chain } = accepted.head;
        let heads = &judged.heads;
        let held = heads.iter().find(|head| head.epoch == epoch);
        if held.is_none_or(|held| held.len != len) {
            let next = heads.iter().map(|head| head.ordinal + 1).max().unwrap_or(0);
            let ordinal = held.map_or(next, |held| held.ordinal);
            tx.put_head(self.key(), &HeadRow { epoch, len, chain, ordinal }, self.now)?;
        }
        judged.keeping.write(tx, self.peer)?;
        let mut heard = self.heard(tx)?;
        if judged.keeping.is_late {
            tx.note_late_hours(self.site())?;
            self.book.sites.cells.forget(&self.peer.client, &self.peer.site);
        }
        if arrivals::take_events(tx, self, accepted)? || judged.keeping.is_news {
            heard.has_news = true;
            if !is_broken(Rule::JudgedInTransaction) {
                site::judge(tx, self.book, &self.peer.client, &self.peer.site, self.now)?;
            }
        }
        Ok(self.delivered(Some(accepted), judged, heard))
    }

    fn row(&self, index: usize, content: &Content) -> Result<RecordRow, DeskError> {
        let record = &self.request.records[index];
        let previous = record.previous.as_ref().map(|link| text("epoch link", link)).transpose()?;
        Ok(RecordRow {
            epoch: record.epoch,
            seq: record.seq,
            record_id: record.record_id,
            content_hash: record.content_hash,
            chain: record.chain,
            salt: record.salt,
            sig: record.sig.clone(),
            previous,
            received_at: self.now,
            offset_ms: self.records_offset_ms(),
            body: record.body.get().to_owned(),
            is_fact: match content {
                Content::Body(body) => !body.events.is_empty(),
                Content::Omitted(_) => false,
                // What it says may be a fact for a version that can read it.
                Content::Poison { .. } => true,
            },
        })
    }

    /// Keeps what could not be read beside the records, for people.
    fn bury(&self, tx: &mut dyn Tx, index: usize, content: &Content) -> Result<(), DeskError> {
        let record = &self.request.records[index];
        let Content::Poison { reason } = content else { return Ok(()) };
        let row = DeadLetterRow {
            epoch: record.epoch,
            seq: record.seq,
            received_at: self.now,
            reason: reason.clone(),
            body: record.body.get().to_owned(),
        };
        Ok(tx.insert_dead_letter(self.key(), &row)?)
    }

    /// Notes the present that the agent tells of, and ends its silence if it was silent.
    fn heard(&self, tx: &mut dyn Tx) -> Result<Heard, DeskError> {
        let held = tx.agent_now(&self.peer.client, &self.peer.agent)?;
        let before = held.as_ref().map(|held| held.last_seen);
        let checks = self.states(held.as_ref())?;
        let name = present::name_of(&checks);
        // Another collector may have heard it since.
        let last_seen = before.map_or(self.now, |before| before.max(self.now));
        let is_back = before.is_none_or(|before| self.now.duration_since(before) > UNHEARD_AFTER);
        let ended = if is_back && !is_broken(Rule::SilenceEndsWhenHeard) {
            site::silences_ended(&*tx, self.peer, before)?
        } else {
            Vec::new()
        };
        if let Some(since) = before.filter(|_| is_back) {
            let row = UnheardRow { agent: self.peer.agent.clone(), since, until: self.now };
            tx.insert_unheard(self.site(), &row)?;
            // What was unknown of the time in between may be known now.
            tx.put_site_due(self.site(), Some(self.now))?;
        }
        if held.as_ref().is_some_and(|held| held.waiting > 0)
            && !tx.open_findings(&self.peer.client, &self.peer.site)?.is_empty()
        {
            // What might have ended in the rest of a backlog may be known to go on (`facts/backlog.rs`).
            tx.put_site_due(self.site(), Some(self.now))?;
        }
        tx.put_agent_now(&self.present(last_seen, checks)?)?;
        let back: Vec<_> = ended.into_iter().map(|agent| Trigger::AgentBack { agent, heard: self.now }).collect();
        if !back.is_empty() {
            site::react(tx, self.book, &self.peer.client, &self.peer.site, &back, self.now)?;
        }
        Ok(Heard { has_news: !back.is_empty(), present: name })
    }

    /// The present that the agent tells of, as it is kept, with how its checks stand.
    fn present(&self, last_seen: Timestamp, checks: String) -> Result<AgentNowRow, DeskError> {
        let DeliverRequest { clock, now: told, .. } = self.request;
        Ok(AgentNowRow {
            client: self.peer.client.clone(),
            agent: self.peer.agent.clone(),
            last_seen,
            wall: clock.wall.0,
            mono: clock.mono,
            boot: clock.boot.clone(),
            offset_ms: self.offset_ms(),
            version: told.version.chars().take(64).collect(),
            config_version: told.config_version,
            // It counts what this upload brings.
            waiting: told.waiting.saturating_sub(self.request.records.len() as u64),
            oldest_waiting: told.oldest_waiting.map(|at| at.0),
            checks,
            ailments: text("agent's ailments", &told.ailments)?,
        })
    }

    /// How the checks stand, JSON: as the request tells, or as they are held under the name that it calls them by. Under
    /// another name than is held nothing is known of any.
    fn states(&self, held: Option<&AgentNowRow>) -> Result<String, DeskError> {
        match self.request.now.unchanged {
            None => text("agent's present state", &self.request.now.checks),
            Some(name) => {
                let held = held.map(|held| held.checks.as_str()).filter(|checks| present::name_of(checks) == name);
                Ok(held.unwrap_or(NO_STATES).to_owned())
            }
        }
    }

    /// Two hosts with one identity: from here on nothing of either is taken until a person decides (SECURITY 17).
    fn quarantine(&self, tx: &mut dyn Tx, fork: &Fork) -> Result<Taken, DeskError> {
        tx.note_fork(self.key(), &fork.id, self.now)?;
        tx.change_agent_status(&self.peer.agent, AgentStatus::Active, AgentStatus::Quarantined, self.now)?;
        let detail = json!({ "agent": self.peer.agent, "epoch": fork.epoch, "reason": fork.reason.to_string() });
        audit::note(tx, self.now, &Actor::Collector, Some(&self.peer.client), "agent.quarantined", &detail)?;
        tracing::error!(agent.id = %self.peer.agent, client.id = %self.peer.client, "an agent is in quarantine as a clone");
        site::tell_of_clone(tx, self.book, self.peer, self.now)?;
        let row = tx.agent(&self.peer.agent)?;
        let unknown = || problem(423, codes::QUARANTINED, "this agent is in quarantine", "");
        let answer = DeliverAnswer::Problem(refusal_of(row.as_ref(), self.peer).unwrap_or_else(unknown));
        Ok(Taken { answer, has_news: true })
    }

    fn delivered(&self, accepted: Option<&Accepted>, judged: &Judged, heard: Heard) -> Taken {
        let delivered = Delivered {
            batch_digest: self.request.batch_digest,
            head: accepted.map(|accepted| accepted.head),
            refused: accepted.map(|accepted| accepted.refused.clone()).unwrap_or_default(),
            receipt: None,
            renew: false,
            secrets: judged.secrets.clone(),
            present: Some(heard.present),
            dictionary: None,
            config_version: self.book.version,
            collector_time: self.now,
        };
        Taken { answer: DeliverAnswer::Delivered(delivered), has_news: heard.has_news }
    }

    fn conflict(&self, verdict: &Verdict) -> Taken {
        let answer = match verdict.conflict() {
            Some(conflict) => DeliverAnswer::Conflict(conflict),
            None => DeliverAnswer::Problem(problem(400, codes::MALFORMED, "this request cannot be judged", "")),
        };
        Taken { answer, has_news: false }
    }

    fn site(&self) -> SiteKey<'_> {
        SiteKey { client: &self.peer.client, site: &self.peer.site }
    }

    fn key(&self) -> AgentKey<'_> {
        AgentKey { client: &self.peer.client, agent: &self.peer.agent }
    }

    /// The collector's clock minus the agent's as it sent. The time on the line is inside it, which moves an instant
    /// later by as much and never beyond its receipt.
    fn offset(&self) -> SignedDuration {
        self.now.duration_since(self.request.clock.wall.0)
    }

    fn offset_ms(&self) -> i64 {
        i64::try_from(self.offset().as_millis()).unwrap_or(i64::MAX)
    }

    /// By how much the agent's clock was set since it made the last of the records.
    fn set_since(&self) -> SignedDuration {
        if is_broken(Rule::StepIsCounted) { SignedDuration::ZERO } else { self.request.set_since() }
    }

    /// The collector's clock minus the agent's as it stood when the last of the records was made.
    fn records_offset_ms(&self) -> i64 {
        i64::try_from(self.offset().saturating_add(self.set_since()).as_millis()).unwrap_or(i64::MAX)
    }

    /// Since when the check has been good in the present that was noted of this agent; `None` when it is not.
    fn good_since(&self, tx: &dyn ReadTx, check: &CheckId) -> Result<Option<ObservedAt>, DeskError> {
        let Some(held) = tx.agent_now(&self.peer.client, &self.peer.agent)? else { return Ok(None) };
        let states = site::states(&held)?;
        Ok(states.get(check).filter(|now| now.state == CheckState::Ok).map(|now| now.since))
    }
}

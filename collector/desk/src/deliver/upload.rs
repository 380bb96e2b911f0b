//! One upload inside its transaction: what is held of it, what was heard by it, and what it is answered.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use upheld_delivery::receiver::{Accepted, Content, Fork, Verdict};
use upheld_detection::incident::Trigger;
use upheld_model::{
    CheckId, ObservedAt, PresentId,
    finding::CheckState,
    mutant::{Rule, is_broken},
};
use upheld_store::{
    ReadTx, Tx,
    agents::{AgentNowRow, AgentStatus},
    facts::{SiteKey, UnheardRow},
    records::{AgentKey, DeadLetterRow, HeadRow, RecordRow},
};
use upheld_wire::v1::{DeliverRequest, Delivered, Head, codes, present};

use super::{DeliverAnswer, Taken, arrivals, judged::Judged};
use crate::{
    Actor, AgentPeer, DeskError,
    agents::refusal_of,
    audit,
    book::CurrentBook,
    case::text,
    problem::problem,
    site::{self, UNHEARD_AFTER},
};

/// The present of an agent of whose checks nothing is known.
const NO_STATES: &str = "{}";

/// What was noted of the present.
pub(super) struct Heard {
    /// Whether that changed an incident.
    pub(super) has_news: bool,
    /// The name of the checks' states that are held from here on.
    pub(super) present: PresentId,
}

/// One upload inside its transaction.
pub(super) struct Upload<'a> {
    pub(super) book: &'a CurrentBook,
    pub(super) peer: &'a AgentPeer,
    pub(super) request: &'a DeliverRequest,
    pub(super) now: Timestamp,
}

impl Upload<'_> {
    pub(super) fn take(&self, tx: &mut dyn Tx, judged: Judged) -> Result<Taken, DeskError> {
        let Some(verdict) = &judged.verdict else {
            let unknown = || problem(403, codes::UNKNOWN_AGENT, "this agent is not known here", "");
            return Ok(Taken::refused(refusal_of(judged.row.as_ref(), self.peer).unwrap_or_else(unknown)));
        };
        if judged.row.as_ref().is_some_and(|row| row.first_seen.is_none()) {
            tx.note_first_seen(&self.peer.client, &self.peer.agent, self.now)?;
        }
        match verdict {
            Verdict::Heartbeat => {
                let heard = self.heard(tx, false)?;
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
        let mut heard = self.heard(tx, !accepted.fresh.is_empty())?;
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

    /// Notes the present that the agent tells of, and ends its silence if it was silent. `is_longer`: the upload brings
    /// records that were not held.
    fn heard(&self, tx: &mut dyn Tx, is_longer: bool) -> Result<Heard, DeskError> {
        let held = tx.agent_now(&self.peer.client, &self.peer.agent)?;
        let before = held.as_ref().map(|held| held.last_seen);
        let newer = held.clone().filter(|held| !is_longer && self.is_overtaken(held));
        let checks = match &newer {
            Some(newer) => newer.checks.clone(),
            None => self.states(held.as_ref())?,
        };
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
        let present = match newer {
            Some(newer) => AgentNowRow { last_seen, ..newer },
            None => self.present(last_seen, checks)?,
        };
        // What might have ended in the rest of a backlog may be known to go on (`facts/backlog.rs`), and a check that
        // failed may be on its way back.
        let may_tell = held.as_ref().is_some_and(|held| held.waiting > 0 || held.checks != present.checks);
        if may_tell && !tx.open_findings(&self.peer.client, &self.peer.site)?.is_empty() {
            tx.put_site_due(self.site(), Some(self.now))?;
        }
        tx.put_agent_now(&present)?;
        let back: Vec<_> = ended.into_iter().map(|agent| Trigger::AgentBack { agent, heard: self.now }).collect();
        if !back.is_empty() {
            site::react(tx, self.book, &self.peer.client, &self.peer.site, &back, self.now)?;
        }
        Ok(Heard { has_news: !back.is_empty(), present: name })
    }

    /// Whether what is held of the agent was said later than this upload, which was under way for longer. A machine that was
    /// set back to a snapshot looks the same up to its next record, which is of another history.
    pub(super) fn is_overtaken(&self, held: &AgentNowRow) -> bool {
        let clock = &self.request.clock;
        clock.boot == held.boot && clock.mono < held.mono
    }

    /// The present that the agent tells of, as it is kept, with how its checks stand.
    pub(super) fn present(&self, last_seen: Timestamp, checks: String) -> Result<AgentNowRow, DeskError> {
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
    pub(super) fn states(&self, held: Option<&AgentNowRow>) -> Result<String, DeskError> {
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

    pub(super) fn delivered(&self, accepted: Option<&Accepted>, judged: &Judged, heard: Heard) -> Taken {
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

    pub(super) fn site(&self) -> SiteKey<'_> {
        SiteKey { client: &self.peer.client, site: &self.peer.site }
    }

    fn key(&self) -> AgentKey<'_> {
        AgentKey { client: &self.peer.client, agent: &self.peer.agent }
    }

    /// The collector's clock minus the agent's as it sent. The time on the line is inside it, which moves an instant
    /// later by as much and never beyond its receipt.
    pub(super) fn offset(&self) -> SignedDuration {
        self.now.duration_since(self.request.clock.wall.0)
    }

    fn offset_ms(&self) -> i64 {
        i64::try_from(self.offset().as_millis()).unwrap_or(i64::MAX)
    }

    /// By how much the agent's clock was set since it made the last of the records.
    pub(super) fn set_since(&self) -> SignedDuration {
        if is_broken(Rule::StepIsCounted) { SignedDuration::ZERO } else { self.request.set_since() }
    }

    /// The collector's clock minus the agent's as it stood when the last of the records was made.
    pub(super) fn records_offset_ms(&self) -> i64 {
        i64::try_from(self.offset().saturating_add(self.set_since()).as_millis()).unwrap_or(i64::MAX)
    }

    /// Since when the check has been good in the present that was noted of this agent; `None` when it is not.
    pub(super) fn good_since(&self, tx: &dyn ReadTx, check: &CheckId) -> Result<Option<ObservedAt>, DeskError> {
        let Some(held) = tx.agent_now(&self.peer.client, &self.peer.agent)? else { return Ok(None) };
        let states = site::states(&held)?;
        Ok(states.get(check).filter(|now| now.state == CheckState::Ok).map(|now| now.since))
    }
}

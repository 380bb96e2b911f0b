//! What an upload's fresh records say happened, in the collector's time.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use upheld_delivery::receiver::{Accepted, Content};
use upheld_detection::{incident::Bounds, schedule};
use upheld_model::{
    AgentEvent, Finding, FindingEnd, FindingId, ObservedAt, ReceivedAt, RunEnd,
    finding::CheckState,
    mutant::{Rule, is_broken},
};
use upheld_store::{
    ReadTx, Tx,
    facts::ChangeRow,
    findings::{Begun, FindingRow, Over},
};
use upheld_wire::v1::Record;

use super::Upload;
use crate::{
    DeskError,
    case::text,
    drill,
    facts::{Said, said_row},
    jobs,
};

/// Stores what the fresh records say happened, in the order of the journal. Whether judging has something new.
pub(super) fn take_events(tx: &mut dyn Tx, upload: &Upload<'_>, accepted: &Accepted) -> Result<bool, DeskError> {
    let told = told_events(upload, accepted);
    let mut ends: BTreeMap<&FindingId, Bounds> = BTreeMap::new();
    for Told { event, moved, .. } in &told {
        if let AgentEvent::FindingClosed { id, end } = event {
            ends.insert(id, upload.restored(end, *moved));
        }
    }
    let mut is_news = false;
    for Told { event, record, moved } in &told {
        match event {
            AgentEvent::FindingOpened { finding } => {
                let seen = upload.seen(tx, finding, *moved, &ends)?;
                is_news |= upload.keep_finding(tx, finding, record, &seen)?;
            }
            AgentEvent::FindingClosed { id, end } => {
                let ended = text("finding's end", end)?;
                let restored = upload.restored(end, *moved);
                let over = Over {
                    after: restored.not_before,
                    by: restored.not_after,
                    confirmed: upload.corrected(end.confirmed_at, *moved),
                    received: upload.now,
                };
                is_news |= tx.end_finding(&upload.peer.client, &upload.peer.site, id, &ended, &over)?;
            }
            AgentEvent::StateChanged { check, state, at } => {
                // It may end a finding that its agent knows nothing of any more.
                is_news |= *state == CheckState::Ok;
                let row = ChangeRow {
                    check: check.clone(),
                    at: upload.corrected(*at, *moved),
                    agent: upload.peer.agent.clone(),
                    received_at: upload.now,
                    state: text("state of a check", state)?,
                };
                tx.put_change(upload.site(), &row)?;
            }
            AgentEvent::Started { at, boot, last_alive, clean } => {
                let last_alive = last_alive.map(|at| upload.corrected(at, *moved));
                is_news = true;
                upload.note(tx, *at, *moved, &Said::Started { boot: boot.clone(), last_alive, clean: *clean })?;
            }
            AgentEvent::Stopping { at, reason } => {
                is_news = true;
                upload.note(tx, *at, *moved, &Said::Stopping { reason: reason.to_string() })?;
            }
            AgentEvent::Gap { from, to, reason } => {
                let to = upload.corrected(*to, *moved);
                upload.note(tx, *from, *moved, &Said::Gap { to, reason: *reason })?;
            }
            // What it printed stands in the record, for people.
            AgentEvent::Ran { at, job, ended, started, printed: _ } => {
                let end = match ended {
                    RunEnd::Ok => schedule::Said::Ok,
                    RunEnd::Failed => schedule::Said::Fail,
                };
                let begun = started.map(|at| (at, schedule::Said::Start));
                for (at, said) in begun.into_iter().chain([(*at, end)]) {
                    let word = (upload.corrected(at, *moved), said);
                    is_news |= jobs::note(tx, upload.peer, job, word, upload.now)?;
                }
            }
            AgentEvent::Drill { at, id } => {
                let began = upload.corrected(*at, *moved);
                is_news |= drill::take(tx, upload.book, upload.peer, *id, began, upload.now)?;
            }
            // In the record they stand for people; nothing is judged by them.
            AgentEvent::ClockStepped { .. } | AgentEvent::Configured { .. } | AgentEvent::Journal { .. } => {}
        }
    }
    Ok(is_news)
}

/// A finding in the collector's time, and its end when that is known as it arrives.
struct Seen {
    begun: Begun,
    over: Option<Bounds>,
}

/// One event, the record that carries it, and by how much the agent's clock was set after it.
struct Told<'a> {
    event: &'a AgentEvent,
    record: &'a Record,
    moved: SignedDuration,
}

/// The events in order. The offset measured at the upload holds for the clock as it is then: instants before a step
/// of that clock lie in the old time, and the step is added to theirs. Steps after the last record the agent says beside
/// its clock, for the records that tell of them are still on their way.
fn told_events<'a>(upload: &Upload<'a>, accepted: &'a Accepted) -> Vec<Told<'a>> {
    let mut told = Vec::new();
    let mut moved = upload.set_since();
    for fresh in accepted.fresh.iter().rev() {
        let Content::Body(body) = &fresh.content else { continue };
        let record = &upload.request.records[fresh.index];
        for event in body.events.iter().rev() {
            told.push(Told { event, record, moved });
            if let AgentEvent::ClockStepped { by_ms, .. } = event
                && !is_broken(Rule::StepIsCounted)
            {
                moved = moved.saturating_add(SignedDuration::from_millis(*by_ms));
            }
        }
    }
    told.reverse();
    told
}

impl Upload<'_> {
    fn note(&self, tx: &mut dyn Tx, at: ObservedAt, moved: SignedDuration, said: &Said) -> Result<(), DeskError> {
        let row = said_row(&self.peer.agent, self.corrected(at, moved), self.now, said)?;
        Ok(tx.insert_said(self.site(), &row)?)
    }

    fn keep_finding(
        &self,
        tx: &mut dyn Tx,
        finding: &Finding,
        record: &Record,
        seen: &Seen,
    ) -> Result<bool, DeskError> {
        let over = |restored: &Bounds| Over {
            after: restored.not_before,
            by: restored.not_after,
            confirmed: restored.not_after.max(seen.begun.detected),
            received: self.now,
        };
        let row = FindingRow {
            client: self.peer.client.clone(),
            site: self.peer.site.clone(),
            id: finding.id(),
            agent: self.peer.agent.clone(),
            record_id: record.record_id,
            content_hash: record.content_hash,
            received_at: self.now,
            offset_ms: self.records_offset_ms(),
            opened: text("finding", finding)?,
            ended: None,
            incident: None,
            begun: Some(seen.begun),
            over: seen.over.as_ref().map(over),
        };
        Ok(tx.insert_finding(&row)?)
    }

    fn seen(
        &self,
        tx: &dyn ReadTx,
        finding: &Finding,
        moved: SignedDuration,
        ends: &BTreeMap<&FindingId, Bounds>,
    ) -> Result<Seen, DeskError> {
        let over = match ends.get(&finding.id()) {
            Some(end) => Some(*end),
            None => self.over_by_now(tx, finding, moved)?,
        };
        Ok(Seen {
            begun: Begun {
                after: finding.last_ok.map(|at| self.corrected(at, moved)),
                by: self.corrected(finding.first_bad, moved),
                detected: self.corrected(finding.confirmed_at, moved),
            },
            over,
        })
    }

    /// Whether the "now" header says that the check has been good since after the finding was confirmed, although the
    /// record of its end is still on its way.
    fn over_by_now(
        &self,
        tx: &dyn ReadTx,
        finding: &Finding,
        moved: SignedDuration,
    ) -> Result<Option<Bounds>, DeskError> {
        let confirmed = self.corrected(finding.confirmed_at, moved);
        let since = self.good_since(tx, &finding.check)?.map(|since| self.corrected(since, SignedDuration::ZERO));
        Ok(since.filter(|since| *since > confirmed).map(|since| Bounds { not_before: None, not_after: since }))
    }

    fn restored(&self, end: &FindingEnd, moved: SignedDuration) -> Bounds {
        Bounds { not_before: Some(self.corrected(end.last_bad, moved)), not_after: self.corrected(end.first_ok, moved) }
    }

    pub(super) fn corrected(&self, at: ObservedAt, moved: SignedDuration) -> jiff::Timestamp {
        let offset = if is_broken(Rule::ClaimIsCorrected) { SignedDuration::ZERO } else { self.offset() };
        crate::clock::stored(at.corrected(offset.saturating_add(moved), ReceivedAt(self.now)))
    }
}

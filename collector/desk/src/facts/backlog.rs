//! What a backlog that is still on its way leaves open: a finding came, and the record of its end may come yet.

use jiff::{SignedDuration, Timestamp};
use upheld_detection::facts::FindingFact;
use upheld_model::{Finding, finding::CheckState};
use upheld_store::{ReadTx, agents::AgentNowRow, facts::SiteKey, findings::FindingRow};

use super::read_kept;
use crate::{DeskError, site};

/// Until when it is known that an open finding goes on, where its agent has told less than it had seen when this arrived;
/// `None` where that is no question. Once the agent has told as much, what it does not tell did not happen: nothing that
/// was judged is taken back because a line is down again.
pub(super) fn told_until(
    tx: &dyn ReadTx,
    key: SiteKey<'_>,
    row: &FindingRow,
    fact: &FindingFact,
) -> Result<Option<Timestamp>, DeskError> {
    let Some(present) = tx.agent_now(key.client, &row.agent)?.filter(|present| present.waiting > 0) else {
        return Ok(None);
    };
    let offset = SignedDuration::from_millis(present.offset_ms);
    let waits = present.oldest_waiting.and_then(|at| at.saturating_add(offset).ok());
    let sampled = match tx.kept_now(key, &row.agent)? {
        Some(body) => read_kept(&body)?.latest().find(|(check, _)| **check == fact.id.check).map(|(_, last)| last.to),
        None => None,
    };
    let told = [waits, sampled].into_iter().flatten().max().unwrap_or(fact.detected).max(fact.detected);
    if fact.received <= told || fails_since(&present, row, offset, fact)? {
        return Ok(None);
    }
    Ok(Some(told))
}

/// Whether the present says that the check has failed ever since.
fn fails_since(
    present: &AgentNowRow,
    row: &FindingRow,
    offset: SignedDuration,
    fact: &FindingFact,
) -> Result<bool, DeskError> {
    let states = site::states(present)?;
    let Some(now) = states.get(&fact.id.check).filter(|now| now.state == CheckState::Failed) else { return Ok(false) };
    let finding: Finding =
        serde_json::from_str(&row.opened).map_err(|error| DeskError::unreadable("finding", &error))?;
    let corrected = now.since.0.saturating_add(offset).unwrap_or(now.since.0);
    Ok(now.since <= finding.confirmed_at || corrected <= fact.detected)
}

//! Recovery: a collector that was restored and may lack facts waits for a person (DELIVERY 4).
//!
//! Until he has seen which stretch may be missing, no agent's report is taken (one of them may have been revoked in
//! that stretch; agents keep their journals), no task runs, nothing is announced or breached. People's commands work:
//! what he knows to be missing is entered before he accepts.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;
use upheld_model::mutant::{Rule, is_broken};
use upheld_store::{
    ReadTx, StoreError, Tx,
    postgres::{Lost, WentBack},
    restores::RestoreRow,
};

use crate::{Actor, Desk, DeskError, audit, clock};

/// How long an agent's certificate lives (SECURITY 14).
const CERTIFICATE_LIFE: SignedDuration = SignedDuration::from_hours(45 * 24);

/// A restore that waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// When the backup was restored.
    pub restored_at: Timestamp,
    /// Facts born at the collector from this instant on may be missing.
    pub missing_from: Timestamp,
    /// Up to this one.
    pub missing_to: Timestamp,
}

/// What a restore ended because a missing fact may have used it up or taken it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Voided {
    /// Enrolment tokens that were unused.
    pub tokens: usize,
    /// Log-in links that were unused.
    pub login_links: usize,
    /// Sessions.
    pub sessions: usize,
    /// API tokens.
    pub api_tokens: usize,
    /// Messages that waited, and whose receiver is asked before they are sent.
    pub doubted: usize,
}

impl Desk {
    /// The restore that waits for a person; `None` in normal service.
    pub async fn recovery(&self) -> Result<Option<Recovery>, DeskError> {
        self.store.read("desk.recovery", |tx| waiting(tx)).await
    }

    /// Begins recovery after a restore that may lack what was written from `missing_from` on: the gap is an audit
    /// fact, and whatever a missing fact may have used up or taken back is void.
    pub async fn begin_recovery(&self, missing_from: Timestamp, now: Timestamp) -> Result<Voided, DeskError> {
        let now = clock::stored(now);
        let missing_from = clock::stored(missing_from).min(now);
        self.store.write("desk.begin_recovery", move |tx| begin(tx, missing_from, &Actor::Collector, now)).await
    }

    /// The same for a database that `who` says was put back to an earlier moment; the desk may be serving.
    pub async fn declare_recovery(
        &self,
        missing_from: Timestamp,
        who: &Actor,
        now: Timestamp,
    ) -> Result<(Voided, Recovery), DeskError> {
        let (now, who) = (clock::stored(now), who.clone());
        let missing_from = clock::stored(missing_from).min(now);
        let recovery = Recovery { restored_at: now, missing_from, missing_to: now };
        let voided = self.store.write("desk.declare_recovery", move |tx| begin(tx, missing_from, &who, now)).await?;
        Ok((voided, recovery))
    }

    /// Notes a restore of which a person says that nothing was written after `up_to`: no recovery, the audit holds his
    /// word.
    pub async fn note_whole_restore(&self, up_to: Timestamp, who: &Actor, now: Timestamp) -> Result<(), DeskError> {
        let (now, up_to, who) = (clock::stored(now), clock::stored(up_to), who.clone());
        self.store
            .write("desk.note_whole_restore", move |tx| {
                audit::note(tx, now, &who, None, "restore.whole", &json!({ "up_to": up_to }))
            })
            .await
    }

    /// Ends recovery, since this person has seen which facts may be missing. Whether there was anything to accept.
    pub async fn accept_recovery(&self, who: &Actor, now: Timestamp) -> Result<Option<Recovery>, DeskError> {
        let (now, who) = (clock::stored(now), who.clone());
        let accepted = self
            .store
            .write("desk.accept_recovery", move |tx| {
                let Some(recovery) = waiting(&*tx)? else { return Ok(None) };
                let by = who.id(tx)?;
                tx.accept_restores(now, &by)?;
                // Which certificates were given out in the gap nobody knows; the longest that one lives is this.
                tx.certificates_end_no_sooner(now.saturating_add(CERTIFICATE_LIFE).unwrap_or(now))?;
                let detail = json!({ "missing_from": recovery.missing_from, "missing_to": recovery.missing_to });
                audit::note(tx, now, &who, None, "recovery.accepted", &detail)?;
                Ok::<_, DeskError>(Some(recovery))
            })
            .await?;
        self.shared.wake.all();
        Ok(accepted)
    }
}

fn begin(tx: &mut dyn Tx, missing_from: Timestamp, who: &Actor, now: Timestamp) -> Result<Voided, DeskError> {
    tx.insert_restore(&RestoreRow { restored_at: now, missing_from, missing_to: now })?;
    let [tokens, login_links, sessions, api_tokens] = tx.void_credentials(now)?;
    let voided = Voided { tokens, login_links, sessions, api_tokens, doubted: tx.doubt_waiting_messages(now)? };
    let detail = json!({ "missing_from": missing_from, "missing_to": now, "voided": voided });
    audit::note(tx, now, who, None, "recovery.begun", &detail)?;
    Ok(voided)
}

/// Whether what a transaction of this name writes comes again by itself when a database loses it: agents send it again, or
/// it is computed again; a message whose mark is gone is asked after before it is sent. All else (what people did,
/// credentials, books, certificates) is gone for good, and a person has to see that.
pub fn comes_again(transaction: &str) -> bool {
    matches!(
        transaction,
        "desk.deliver"
            | "desk.seen"
            | "clocks.settle"
            | "silence.react"
            | "watch.react"
            | "own.store"
            | "desk.alive"
            | "desk.session_used"
            | "deliverer.take"
            | "deliverer.hold"
            | "deliverer.mark"
            | "digests.move"
            | "digests.remove"
            | "digests.tell"
            | "leases.keep"
            | "leases.hand_back"
            | "retention.forget"
            | "retention.forget_facts"
    )
}

/// Commits are gone: a replica took over without the last ones, or the database was restored. When only such are gone that
/// come again, the desk goes on and the audit has it; else it is in recovery.
pub fn went_back(tx: &mut dyn Tx, back: &WentBack) -> Result<(), StoreError> {
    let WentBack { missing_from, now, lost } = *back;
    let (missing_from, now) = (clock::stored(missing_from), clock::stored(now));
    let gap = RestoreRow { restored_at: now, missing_from, missing_to: now };
    let noted = match lost {
        // What a receiver was told by another collector may be gone all the same: tickets are looked up first.
        Lost::NothingSeen => return tx.insert_gap(&gap, "collector"),
        Lost::ComesAgain => {
            tx.insert_gap(&gap, "collector")?;
            let doubted = tx.doubt_waiting_messages(now)?;
            let detail = json!({ "missing_from": missing_from, "missing_to": now, "doubted": doubted });
            audit::note(tx, now, &Actor::Collector, None, "database.went_back", &detail)
        }
        Lost::ForAPerson => begin(tx, missing_from, &Actor::Collector, now).map(drop),
    };
    match noted {
        Ok(()) => Ok(()),
        Err(DeskError::Store(error)) => Err(error),
        Err(_of_a_row_that_is_only_written) => Err(StoreError::Undone { name: "desk.went_back" }),
    }
}

/// The restore that waits, in this transaction.
pub(crate) fn waiting<T: ReadTx + ?Sized>(tx: &T) -> Result<Option<Recovery>, DeskError> {
    let row = tx.open_restore()?;
    Ok(row.map(|RestoreRow { restored_at, missing_from, missing_to }| Recovery {
        restored_at,
        missing_from,
        missing_to,
    }))
}

/// How far an agent's corrected instant may be off what it would have been in another upload.
const CORRECTED_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// What receivers may know of a fault from commits that were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MayBeKnown {
    /// It began before that.
    Likely,
    /// It is dated after that. By a clock that is right then and there they know nothing of it; that clock may be wrong.
    ByAWrongClock,
}

/// Whether receivers may know of a fault that began at this instant from commits that were lost since.
pub(crate) fn may_be_known<T: ReadTx + ?Sized>(tx: &T, began: Timestamp) -> Result<Option<MayBeKnown>, DeskError> {
    let Some(gap) = tx.last_gap()?.filter(|_| !is_broken(Rule::LostIsLookedUp)) else { return Ok(None) };
    let is_before = began <= gap.missing_to.saturating_add(CORRECTED_WITHIN).unwrap_or(Timestamp::MAX);
    Ok(Some(if is_before { MayBeKnown::Likely } else { MayBeKnown::ByAWrongClock }))
}

/// Refuses in recovery.
pub(crate) fn refuse<T: ReadTx + ?Sized>(tx: &T) -> Result<(), DeskError> {
    match waiting(tx)? {
        None => Ok(()),
        Some(Recovery { missing_from: from, missing_to: to, .. }) => Err(DeskError::Recovering { from, to }),
    }
}

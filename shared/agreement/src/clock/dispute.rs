//! Disputes (TERMS F13): what the client says is not so is shown as such, and counted both ways until settled.

use super::ledger::{Fact, FactKind};

/// Whether the client may dispute such a fact: a pause, a cause that excludes time, or a resolution.
pub(super) fn can_be_disputed(kind: &FactKind) -> bool {
    match kind {
        FactKind::Paused { .. }
        | FactKind::CauseSet { cause: Some(_), .. }
        | FactKind::Restored
        | FactKind::Resolved => true,
        FactKind::Opened
        | FactKind::Acknowledged
        | FactKind::Responded { .. }
        | FactKind::WorkedAround
        | FactKind::Resumed
        | FactKind::Reopened
        | FactKind::Cancelled { .. }
        | FactKind::Updated { .. }
        | FactKind::VisitReported
        | FactKind::RestoreTested
        | FactKind::TermsChanged { .. }
        | FactKind::Disputed { .. }
        | FactKind::DisputeSettled { .. }
        | FactKind::CauseSet { cause: None, .. }
        | FactKind::HandedOver { .. }
        | FactKind::ManufacturerAnswered { .. }
        | FactKind::Worked { .. } => false,
    }
}

/// Whether a fact was ever disputed.
pub(super) fn was_disputed(ledger: &[Fact], item: u64) -> bool {
    ledger.iter().any(|fact| matches!(&fact.kind, FactKind::Disputed { item: disputed, .. } if *disputed == item))
}

/// Whether a fact is in dispute.
pub(super) fn is_open(ledger: &[Fact], item: u64) -> bool {
    let is_settled =
        |fact: &Fact| matches!(&fact.kind, FactKind::DisputeSettled { item: settled, .. } if *settled == item);
    was_disputed(ledger, item) && !ledger.iter().any(is_settled)
}

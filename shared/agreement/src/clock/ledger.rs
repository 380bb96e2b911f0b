//! The ledger of an incident: facts, appended and never rewritten (TERMS F7, F11, F12).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    book::Exclusion,
    terms::PinnedTerms,
    words::{BookName, Manner, PauseReason},
};

/// Something that happened to an incident. When it happened and when it was written down are two instants: a late
/// fact is placed at its effective time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Its place in the incident's ledger, from 1, unique within the incident. The same number twice is one fact.
    pub number: u64,
    /// When it happened.
    pub effective_at: Timestamp,
    /// When the collector wrote it down; never before `effective_at` once [`super::admit`] let it in.
    pub recorded_at: Timestamp,
    /// The person, agent or rule that says so.
    pub who: String,
    /// What happened.
    #[serde(flatten)]
    pub kind: FactKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum FactKind {
    /// The incident was opened. It changes no clock: clocks start as [`super::ClockStart`] says.
    Opened,
    /// Somebody took the incident. Satisfies `acknowledge` and, unless the agreement says so, nothing else.
    Acknowledged,
    /// Somebody answered: a response fact.
    Responded {
        /// How.
        manner: Manner,
        /// With whom, by telephone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        with_whom: Option<String>,
    },
    /// A workaround is in place.
    WorkedAround,
    /// The incident waits for a reason that the terms allow.
    Paused {
        /// Why.
        reason: PauseReason,
        /// In the author's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// It waits no longer: every open pause ends.
    Resumed,
    /// The service is back. The resolution clock stands from here, unless [`FactKind::Reopened`] takes it back
    /// because the fault returned inside the watch.
    Restored,
    /// The incident is done with. Where the watch confirmed a restoration, its effective time is that of the
    /// restoration.
    Resolved,
    /// The fault is back, or the client says that it never went: clocks that the end had stopped run on.
    Reopened,
    /// There is nothing to answer.
    Cancelled {
        /// Why not.
        why: CancelReason,
    },
    /// The client was told how it stands: one period of an "update every…" is kept.
    Updated {
        /// What he was told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// The report of a visit is with the client.
    VisitReported,
    /// A backup was restored and opened.
    RestoreTested,
    /// Other terms hold from here on (F3). Made by [`crate::matching::reprioritised`] and
    /// [`crate::matching::expedited`].
    TermsChanged {
        /// Why.
        why: TermsChange,
        /// The terms, complete and pinned as those at the start are (F2).
        terms: Box<PinnedTerms>,
    },
    /// The client says that an earlier fact is not so (F13). It is counted both ways until settled.
    Disputed {
        /// The number of the fact: a pause, a cause, or a resolution.
        item: u64,
        /// Why not, in his words.
        why: String,
    },
    /// A dispute has ended.
    DisputeSettled {
        /// The number of the fact that was disputed.
        item: u64,
        /// Who was right.
        outcome: DisputeOutcome,
    },
    /// What it was. Availability may leave out what the client or a utility caused; no clock does.
    CauseSet {
        /// Whose; `None` takes an earlier one back.
        cause: Option<Exclusion>,
        /// On what that rests.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// The manufacturer has it too: his own clock begins, beside ours.
    HandedOver {
        /// Who.
        maker: BookName,
        /// His number for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// The manufacturer answered. It ends his clock and satisfies none of ours.
    ManufacturerAnswered {
        /// Who there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        with_whom: Option<String>,
    },
    /// Somebody worked on it. Rates charge it; it changes no clock.
    Worked {
        /// Who: [`Fact::who`] is the one who entered it.
        worker: String,
        /// How.
        manner: Manner,
        /// From when.
        from: Timestamp,
        /// Until when.
        to: Timestamp,
        /// As what, where rates tell roles apart.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<BookName>,
        /// The number of the entry in whose place this one stands; without any time it takes that one back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        corrects: Option<u64>,
    },
}

upheld_model::vocabulary!(
    /// Why other terms hold for an open incident.
    TermsChange, "change of terms", {
        /// Its priority is another one: seconds that were counted are carried over (F3).
        Priority = "priority",
        /// It carries another incident on, whose terms were the more pressing.
        Merge = "merge",
        /// A rider was bought for it alone: its targets stand beside the others from then on, and lengthen none.
        Expedite = "expedite",
    }
);

upheld_model::vocabulary!(
    /// How a dispute ended (F13).
    DisputeOutcome, "outcome of a dispute", {
        /// It counts as if the fact had not been.
        ClientIsRight = "client-is-right",
        /// It counts as the fact says.
        ProviderIsRight = "provider-is-right",
        /// The client took it back: it counts as the fact says.
        Withdrawn = "withdrawn",
    }
);

upheld_model::vocabulary!(
    /// Why a clock is cancelled (TERMS 5).
    CancelReason, "reason to cancel", {
        /// Another incident carries on.
        Merged = "merged",
        /// It was there twice.
        Duplicate = "duplicate",
        /// Nothing was wrong.
        FalseAlarm = "false-alarm",
        /// The agreement does not cover it.
        NotCovered = "not-covered",
        /// Nothing was wrong: somebody saw whether a real one would be told.
        Drill = "drill",
        /// The incident was resolved before this stage was due: nothing was left to do.
        Resolved = "resolved",
    }
);

impl FactKind {
    /// The fact as a word: `responded`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Acknowledged => "acknowledged",
            Self::Responded { .. } => "responded",
            Self::WorkedAround => "worked around",
            Self::Paused { .. } => "paused",
            Self::Resumed => "resumed",
            Self::Restored => "restored",
            Self::Resolved => "resolved",
            Self::Reopened => "reopened",
            Self::Cancelled { .. } => "cancelled",
            Self::Updated { .. } => "updated",
            Self::VisitReported => "visit reported",
            Self::RestoreTested => "restore tested",
            Self::TermsChanged { .. } => "terms changed",
            Self::Disputed { .. } => "disputed",
            Self::DisputeSettled { .. } => "dispute settled",
            Self::CauseSet { .. } => "cause set",
            Self::HandedOver { .. } => "handed over",
            Self::ManufacturerAnswered { .. } => "manufacturer answered",
            Self::Worked { .. } => "worked",
        }
    }

    /// The terms that hold from this fact on.
    pub fn changed_terms(&self) -> Option<&PinnedTerms> {
        if let Self::TermsChanged { terms, .. } = self { Some(terms) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ledgers that were written stay as they were written: these lines never change, lines are only added.
    #[test]
    fn a_fact_reads_and_writes_as_the_same_flat_line() {
        for kind in [
            r#""fact":"opened""#,
            r#""fact":"acknowledged""#,
            r#""fact":"responded","manner":"remote""#,
            r#""fact":"responded","manner":"phone","with_whom":"plant manager""#,
            r#""fact":"worked-around""#,
            r#""fact":"paused","reason":"site-access""#,
            r#""fact":"paused","reason":"site-access","note":"gate is shut""#,
            r#""fact":"resumed""#,
            r#""fact":"restored""#,
            r#""fact":"resolved""#,
            r#""fact":"reopened""#,
            r#""fact":"cancelled","why":"merged""#,
            r#""fact":"updated""#,
            r#""fact":"updated","note":"part is on its way""#,
            r#""fact":"visit-reported""#,
            r#""fact":"restore-tested""#,
            r#""fact":"disputed","item":3,"why":"the gate was open""#,
            r#""fact":"dispute-settled","item":3,"outcome":"client-is-right""#,
            r#""fact":"cause-set","cause":"utility","note":"outage map""#,
            r#""fact":"cause-set","cause":null"#,
            r#""fact":"handed-over","maker":"example-recorders","reference":"RMA-77""#,
            r#""fact":"handed-over","maker":"example-recorders""#,
            r#""fact":"manufacturer-answered","with_whom":"second level""#,
            r#""fact":"worked","worker":"ben","manner":"on-site","from":"2026-11-16T15:00:00Z","to":"2026-11-16T16:00:00Z","role":"engineer""#,
            r#""fact":"worked","worker":"ben","manner":"phone","from":"2026-11-16T15:00:00Z","to":"2026-11-16T15:00:00Z","corrects":2"#,
        ] {
            let text = format!(
                r#"{{"number":3,"effective_at":"2026-11-16T16:10:00Z","recorded_at":"2026-11-16T16:11:00Z","who":"ana",{kind}}}"#
            );
            let fact: Fact = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&fact).unwrap(), text);
        }
    }
}

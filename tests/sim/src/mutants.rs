//! The rules that a run may break, to show that the simulator would notice.

use upheld_model::mutant::Rule;

use crate::Room;

/// What is broken in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Nothing.
    Nothing,
    /// A rule of the product, at its own line.
    Rule(Rule),
    /// A rule that the shell or the store keeps, broken where the simulator stands for it.
    Seam(Seam),
}

/// Rules that stand where the simulator has something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seam {
    /// An answer leaves before the commit.
    AckBeforeCommit,
    /// What has a known id is known, whatever it says.
    DedupById,
    /// Messages are written in a transaction after the one of what they tell of.
    MessagesAfterwards,
    /// A collector that starts again has forgotten whom it quarantined.
    QuarantineForgotten,
}

/// Every mutant that must be caught.
pub const ALL: &[Broken] = &[
    Broken::Seam(Seam::AckBeforeCommit),
    Broken::Seam(Seam::DedupById),
    Broken::Rule(Rule::AcknowledgedByAnswer),
    Broken::Rule(Rule::AcknowledgedByDigest),
    Broken::Rule(Rule::ForkBeginsEpoch),
    Broken::Rule(Rule::KnownByContent),
    Broken::Rule(Rule::ForkIsAnswered),
    Broken::Rule(Rule::OldEpochIsClosed),
    Broken::Rule(Rule::CloneIsQuarantined),
    Broken::Rule(Rule::SyncedBeforeItCounts),
    Broken::Rule(Rule::FailedSyncIsNotBelieved),
    Broken::Rule(Rule::TornTailIsCutBehindGood),
    Broken::Rule(Rule::AcknowledgedIsKept),
    Broken::Rule(Rule::TransitionsGoLast),
    Broken::Rule(Rule::JudgedInTransaction),
    Broken::Rule(Rule::UnknownIsNotUp),
    Broken::Rule(Rule::OwnOutageExcuses),
    Broken::Rule(Rule::LateDataAmends),
    Broken::Rule(Rule::ForgottenFindingEnds),
    Broken::Rule(Rule::DeadlineIsStored),
    Broken::Rule(Rule::SilenceEndsWhenHeard),
    Broken::Rule(Rule::ClaimIsCorrected),
    Broken::Rule(Rule::StepIsCounted),
    Broken::Seam(Seam::MessagesAfterwards),
    Broken::Rule(Rule::LookedUpBeforeSent),
    Broken::Rule(Rule::UnclearWaits),
    Broken::Rule(Rule::KeyIsContent),
    Broken::Rule(Rule::IntentIsCommitted),
    Broken::Rule(Rule::MarkedAfterEffect),
    Broken::Rule(Rule::AnnouncedIsStored),
    Broken::Rule(Rule::DoubtIsSilent),
    Broken::Rule(Rule::RecoveryIsSilent),
    Broken::Rule(Rule::CommandIsOnce),
    Broken::Rule(Rule::LostIsLookedUp),
    Broken::Rule(Rule::HeadsAreClaimed),
    Broken::Rule(Rule::BehindIsBelieved),
    Broken::Rule(Rule::LossIsTold),
    Broken::Rule(Rule::GapIsToldAgain),
    Broken::Rule(Rule::SummaryIsKept),
    Broken::Rule(Rule::RetryAfterIsKept),
    Broken::Rule(Rule::PoisonGoesAside),
    Broken::Rule(Rule::ChainTakesRefused),
    Broken::Seam(Seam::QuarantineForgotten),
];

/// Mutants that short runs do not catch yet: what would show them must still be simulated (README.md).
pub const UNSEEN: &[Broken] = &[];

/// A short seed that is known to notice, tried before all others: where it is no longer true it costs time alone.
/// `cargo sim --short --seeds 100 --all-mutants` says them anew.
const FIRST_SEEDS: &[(Broken, u64)] = &[
    (Broken::Seam(Seam::DedupById), 13),
    (Broken::Rule(Rule::AcknowledgedByAnswer), 1),
    (Broken::Rule(Rule::ForkBeginsEpoch), 1),
    (Broken::Rule(Rule::KnownByContent), 1),
    (Broken::Rule(Rule::ForkIsAnswered), 2),
    (Broken::Rule(Rule::OldEpochIsClosed), 2),
    (Broken::Rule(Rule::CloneIsQuarantined), 9),
    (Broken::Rule(Rule::SyncedBeforeItCounts), 2),
    (Broken::Rule(Rule::FailedSyncIsNotBelieved), 3),
    (Broken::Rule(Rule::TornTailIsCutBehindGood), 11),
    (Broken::Rule(Rule::AcknowledgedIsKept), 23),
    (Broken::Rule(Rule::TransitionsGoLast), 63),
    (Broken::Rule(Rule::HeadsAreClaimed), 3),
    (Broken::Rule(Rule::GapIsToldAgain), 46),
    (Broken::Rule(Rule::SummaryIsKept), 63),
    (Broken::Rule(Rule::RetryAfterIsKept), 1),
    (Broken::Seam(Seam::QuarantineForgotten), 1),
    (Broken::Rule(Rule::JudgedInTransaction), 1),
    (Broken::Rule(Rule::DeadlineIsStored), 3),
    (Broken::Rule(Rule::ForgottenFindingEnds), 8),
    (Broken::Rule(Rule::ClaimIsCorrected), 11),
    (Broken::Rule(Rule::StepIsCounted), 26),
];

impl Broken {
    /// The room in which it must be noticed.
    pub fn room(self) -> Room {
        match self {
            #[cfg(feature = "desk")]
            Self::Rule(
                Rule::JudgedInTransaction
                | Rule::UnknownIsNotUp
                | Rule::OwnOutageExcuses
                | Rule::LateDataAmends
                | Rule::ForgottenFindingEnds
                | Rule::DeadlineIsStored
                | Rule::SilenceEndsWhenHeard
                | Rule::ClaimIsCorrected
                | Rule::StepIsCounted,
            ) => Room::Desk,
            #[cfg(feature = "desk")]
            Self::Seam(Seam::MessagesAfterwards)
            | Self::Rule(
                Rule::LookedUpBeforeSent
                | Rule::UnclearWaits
                | Rule::KeyIsContent
                | Rule::IntentIsCommitted
                | Rule::MarkedAfterEffect
                | Rule::AnnouncedIsStored
                | Rule::DoubtIsSilent
                | Rule::RecoveryIsSilent
                | Rule::CommandIsOnce
                | Rule::LostIsLookedUp,
            ) => Room::Tickets,
            #[cfg(not(feature = "desk"))]
            Self::Seam(Seam::MessagesAfterwards) => Room::Line,
            Self::Nothing
            | Self::Rule(_)
            | Self::Seam(Seam::AckBeforeCommit | Seam::DedupById | Seam::QuarantineForgotten) => Room::Line,
        }
    }

    /// The first short seed that notices it, where that is not one of the very first.
    pub fn first_seed(self) -> Option<u64> {
        FIRST_SEEDS.iter().find(|(broken, _)| *broken == self).map(|(_, seed)| *seed)
    }

    /// Its name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Rule(rule) => rule.word(),
            Self::Seam(Seam::AckBeforeCommit) => "ack-before-commit",
            Self::Seam(Seam::DedupById) => "dedup-by-id-only",
            Self::Seam(Seam::MessagesAfterwards) => "messages-in-a-transaction-of-their-own",
            Self::Seam(Seam::QuarantineForgotten) => "quarantine-forgotten-on-restart",
        }
    }
}

/// The mutant of this name.
pub fn named(word: &str) -> Option<Broken> {
    ALL.iter().chain(UNSEEN).copied().find(|broken| broken.word() == word)
}

/// Breaks a rule of the product for the whole process, until the next call.
#[cfg(feature = "mutants")]
pub fn switch(broken: Broken) {
    let rule = match broken {
        Broken::Rule(rule) => Some(rule),
        Broken::Nothing | Broken::Seam(_) => None,
    };
    upheld_model::mutant::break_rule(rule);
}

//! The rules that a run may break, to show that the simulator would notice.

use upheld_model::mutant::Rule;

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
];

/// Mutants that short runs do not catch yet: what would show them must still be simulated (README.md).
pub const UNSEEN: &[Broken] =
    &[Broken::Rule(Rule::HeadsAreClaimed), Broken::Rule(Rule::BehindIsBelieved), Broken::Rule(Rule::LossIsTold)];

impl Broken {
    /// Its name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Rule(rule) => rule.word(),
            Self::Seam(Seam::AckBeforeCommit) => "ack-before-commit",
            Self::Seam(Seam::DedupById) => "dedup-by-id-only",
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

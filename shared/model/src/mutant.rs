//! Rules that the simulator breaks on purpose, to show that it would notice (DELIVERY 5).
//!
//! [`is_broken`] stands at the very line that keeps a rule. Without the feature `mutants`, which no program of ours turns
//! on, it is the constant `false` and the compiler leaves nothing of it.

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $word:literal),+ $(,)?) => {
        /// A rule that can be broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Rule {
            $($(#[$doc])* $rule),+
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$rule),+];

            /// Its name on the simulator's command line: what goes wrong.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$rule => $word),+
                }
            }
        }
    };
}

rules! {
    /// A request's records count as acknowledged once they are sent.
    AcknowledgedByAnswer = "delete-on-send",
    /// An answer acknowledges the batch whose digest it names.
    AcknowledgedByDigest = "cumulative-ack",
    /// A request claims what the agent believes to be held.
    HeadsAreClaimed = "no-heads",
    /// An agent believes a collector that holds less.
    BehindIsBelieved = "behind-not-believed",
    /// After a fork the records go under a new epoch.
    ForkBeginsEpoch = "no-new-epoch",
    /// A record is known by its id and content, under whatever epoch.
    KnownByContent = "dedup-by-sequence-only",
    /// Another chain is a fork.
    ForkIsAnswered = "no-fork-check",
    /// Only the newest epoch grows.
    OldEpochIsClosed = "old-epoch-grows",
    /// Five distinct forks are a clone.
    CloneIsQuarantined = "no-quarantine",
    /// A record counts once it is synced.
    SyncedBeforeItCounts = "no-fsync-before-it-counts",
    /// A failed sync is not believed.
    FailedSyncIsNotBelieved = "failed-fsync-believed",
    /// A torn tail is cut behind the last good record.
    TornTailIsCutBehindGood = "good-record-cut-with-the-tail",
    /// Acknowledged records stay for 72 hours.
    AcknowledgedIsKept = "no-72-h-retention",
    /// What is given up or lost is told by a gap.
    LossIsTold = "gap-not-told",
    /// A gap is told once more when the record that told it may be lost.
    GapIsToldAgain = "gap-told-once",
    /// Samples are given up before transitions.
    TransitionsGoLast = "thinning-drops-transitions",
    /// What may have arrived is looked up before it is sent again.
    LookedUpBeforeSent = "ticket-without-look-up",
    /// After anything unclear a search index has its time.
    UnclearWaits = "retried-at-once-after-a-timeout",
    /// A ticket's key derives from content that a re-send does not change.
    KeyIsContent = "reference-changes-on-a-re-send",
    /// The intent to send is committed before anything is sent.
    IntentIsCommitted = "intent-after-the-call",
    /// A message is marked after its effect.
    MarkedAfterEffect = "mark-before-the-effect",
    /// What was announced stands in the database.
    AnnouncedIsStored = "announced-again-after-a-restart",
    /// By a clock in doubt nothing is announced.
    DoubtIsSilent = "clock-in-doubt-announces",
    /// In recovery nothing is announced or sent.
    RecoveryIsSilent = "recovery-announces",
    /// A command given again under its key is the same command.
    CommandIsOnce = "command-not-idempotent",
    /// A ticket that may have been opened before commits were lost is looked up.
    LostIsLookedUp = "told-again-after-a-restore",
    /// An incident is written in the transaction of the record that opened it.
    JudgedInTransaction = "incident-outside-the-transaction",
    /// What nobody knows is not up.
    UnknownIsNotUp = "unknown-counts-as-up",
    /// Who could not be heard because the collector was out is not silent.
    OwnOutageExcuses = "own-downtime-not-excused",
    /// What arrives late goes into the incident that is there.
    LateDataAmends = "late-data-opens-a-second-incident",
    /// A finding of a machine that was set back ends when its check is good again.
    ForgottenFindingEnds = "forgotten-finding-stays-open",
    /// When a site must be judged again is stored.
    DeadlineIsStored = "deadline-not-stored",
    /// A silence ends when its agent is heard.
    SilenceEndsWhenHeard = "silence-never-ends",
    /// An agent's claim becomes an instant by the offset of its clock.
    ClaimIsCorrected = "agents-clock-believed",
    /// Of what lies before a step of an agent's clock the step is taken off.
    StepIsCounted = "clock-step-not-counted",
    /// Of samples that are given up for room some stay.
    SummaryIsKept = "thinning-without-summary",
    /// Nothing is sent before the time that the collector asks for is over.
    RetryAfterIsKept = "retry-after-ignored",
    /// A record that cannot be read goes to the dead letters, and those behind it advance.
    PoisonGoesAside = "poison-stops-the-batch",
    /// The chain goes on over a record that was refused.
    ChainTakesRefused = "chain-not-advanced-over-refused",
}

#[cfg(feature = "mutants")]
mod switch {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Rule;

    static BROKEN: AtomicU8 = AtomicU8::new(u8::MAX);

    /// Whether this rule is broken in this process.
    pub fn is_broken(rule: Rule) -> bool {
        BROKEN.load(Ordering::Relaxed) == rule as u8
    }

    /// Breaks this rule for the whole process, or none.
    pub fn break_rule(rule: Option<Rule>) {
        BROKEN.store(rule.map_or(u8::MAX, |rule| rule as u8), Ordering::SeqCst);
    }
}

#[cfg(feature = "mutants")]
pub use switch::{break_rule, is_broken};

/// Whether this rule is broken: never, in a program.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub const fn is_broken(_: Rule) -> bool {
    false
}

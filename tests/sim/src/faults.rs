//! The faults of DELIVERY 6, by name, and how often each happened.

use std::collections::BTreeMap;

macro_rules! faults {
    ($($fault:ident = $words:literal),+ $(,)?) => {
        /// Something that goes wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $(
                #[doc = $words]
                $fault
            ),+
        }

        impl Fault {
            /// Every fault.
            pub const ALL: &'static [Self] = &[$(Self::$fault),+];

            /// What it is, in words.
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$fault => $words),+
                }
            }
        }
    };
}

faults! {
    RequestLost = "a request is lost",
    RequestDoubled = "a request arrives twice",
    Delayed = "a message is delayed by up to 90 s, and overtaken",
    AnswerLost = "an answer is lost",
    AnswerMixedUp = "a late answer is handed to another request",
    Partition = "the line is down for minutes",
    LongPartition = "the line is down for 8 hours or longer",
    AgentKilled = "the agent is killed in a call to its disk",
    PowerLost = "power loss: all that was not synced is gone",
    Torn512 = "power loss: sectors of 512 bytes are torn",
    Torn4096 = "power loss: sectors of 4 KiB are torn",
    SyncFails = "a sync fails with EIO",
    DiskFull = "the agent's disk is full (ENOSPC)",
    DiskReadOnly = "the agent's disk is read-only",
    ByteFlipped = "a byte on the agent's disk flips",
    Suspended = "the agent's machine sleeps",
    ClockStepped = "the agent's wall clock is set",
    RolledBack = "the agent's machine is set back to a snapshot",
    RolledBackAlike = "the same, and its random generator repeats itself",
    Cloned = "a copy of the agent's machine runs beside it",
    CollectorDown = "the collector is down",
    Busy = "the collector asks for a pause (429 with Retry-After)",
    Poison = "a record that the collector cannot read",
    KilledBeforeCommit = "the collector is killed before a commit",
    KilledAfterCommit = "the collector is killed between commit and answer",
    CollectorSetBack = "the collector's database loses its last commits",
    CollectorClockStepped = "the collector's wall clock is set",
    CollectorKilled = "the collector is killed before or after a commit of the desk's",
    RestoredWhole = "the collector is restored with all that was written",
    RestoredWithoutSegments = "the collector is restored to an old backup, and waits for a person",
    TicketsDown = "the ticket system does not answer",
    TicketsBusy = "the ticket system wants to be left alone (429)",
    TicketRefusedFirst = "the ticket system answers 503 and has done nothing",
    TicketTimeoutBefore = "no answer, and nothing was done",
    TicketTimeoutAfter = "no answer, and the ticket is there",
    TicketRefusedForGood = "the ticket system refuses a message for good (400)",
    TicketIndexLags = "a ticket is not found for up to 100 s after it was made",
    LookUpFails = "the ticket system cannot be asked",
    TicketDeleted = "a ticket is deleted by hand",
    TicketClosed = "a ticket is closed by hand",
    SetBackWhileIdle = "the same, up to two days of them, while its agents have nothing to send",
}

/// How often each fault happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<Fault, u64>);

impl Counts {
    pub(crate) fn count(&mut self, fault: Fault) {
        *self.0.entry(fault).or_default() += 1;
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (fault, count) in &other.0 {
            *self.0.entry(*fault).or_default() += count;
        }
    }

    /// How often this one happened.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0.get(&fault).copied().unwrap_or(0)
    }
}

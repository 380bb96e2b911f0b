//! When to send what, and what an answer means (DELIVERY 2). Pure: it reads no journal and opens no connection.

use std::{collections::VecDeque, time::Duration};

use upheld_model::{Epoch, Mono, Seq};
use upheld_wire::v1::{Conflict, Delivered, Head};

/// The machine.
#[derive(Debug)]
pub struct Sender {
    effects: VecDeque<Effect>,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The configuration sets the time between two heartbeats.
    Pace {
        /// The time between two heartbeats.
        heartbeat: Duration,
    },
    /// The present state changed in a way that should not wait for the next heartbeat.
    StateChanged,
    /// A post was answered, or failed.
    Answered {
        /// Which post.
        no: u64,
        /// What came back.
        answer: Answer,
    },
}

/// What came back for a post.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// 200.
    Delivered(Delivered),
    /// 409.
    Conflict(Conflict),
    /// Any other status, with `Problem::code` if the body had one, and Retry-After.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The problem's code; empty when the body was none of ours.
        code: String,
        /// Retry-After.
        retry_after: Option<Duration>,
    },
    /// No answer that could be read: no connection, a timeout, a proxy's page, an unreadable journal.
    Failed {
        /// In words, for the status page.
        what: String,
    },
}

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Build the request with `Courier::request` and send it.
    Post(Post),
    /// The collector names another configuration than the one in use: ask `GET /v1/config`.
    FetchConfig {
        /// The version it names.
        version: u64,
    },
    /// The certificate's time is over: renew, or enrol again.
    Renew,
    /// What the collector thinks of this agent changed: for the status page and the log.
    Standing(Standing),
}

/// One request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Its number, to name it in [`Event::Answered`].
    pub no: u64,
    /// Which records; none: a heartbeat.
    pub batch: Option<Batch>,
    /// The claim of what is held.
    pub heads: Vec<Head>,
}

/// A stretch of records to read from the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Their epoch.
    pub epoch: Epoch,
    /// The first.
    pub from: Seq,
    /// How many at most.
    pub records_max: usize,
    /// How many bytes of bodies at most, though always one record.
    pub bytes_max: usize,
}

/// How this agent stands with its collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// No answer yet since the start.
    Unknown,
    /// Requests are answered.
    Good,
    /// No answer, or a passing refusal.
    Unreachable {
        /// In words.
        why: String,
    },
    /// 403: revoked, unknown or not allowed; nothing is sent but a rare question whether that has changed.
    Refused {
        /// The problem's code.
        code: String,
    },
    /// 423: two hosts use one identity; a person must say which is real.
    Quarantined,
}

impl Sender {
    /// A sender that says hello at once. `seed` spreads the retries of many agents.
    pub fn new(seed: u64, now: Mono) -> Self {
        let _ = (seed, now);
        Self { effects: VecDeque::new() }
    }

    /// Takes an event in.
    pub fn handle(&mut self, event: Event, now: Mono) {
        let _ = (event, now);
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Sender::handle_timeout`] must be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        None
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Mono) {
        let _ = now;
    }
}

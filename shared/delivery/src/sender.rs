//! When to send what, and what an answer means (DELIVERY 2). Pure: it reads no journal and opens no connection.
//!
//! One request is under way at a time. Transitions go at once, samples with the next heartbeat, a backlog without
//! pause, oldest epoch first; every request carries the present state, so that a backlog never hides it. After an outage
//! the present goes alone before any record does, and the backlog begins small: many agents that come back at once first
//! say how things stand. An answer acknowledges exactly the batch whose digest it names, and nothing else ever does.

use std::{collections::VecDeque, time::Duration};

use upheld_model::{
    Digest, Epoch, Mono, PresentId, Seq,
    mutant::{Rule, is_broken},
};
use upheld_wire::v1::{
    Conflict, Delivered, Head, codes, dictionary,
    limits::{HEADS_MAX, RECORDS_MAX},
};

use crate::journal::EpochView;

/// The time between two heartbeats before a configuration says otherwise.
const PACE: Duration = Duration::from_secs(30);
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The first and the longest wait after a failure; each further failure doubles it. Doubled, I1 (a live transition
/// committed within ten seconds) no longer survives one lost request.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often a refused or quarantined agent asks whether that has changed.
const ASK_AGAIN: Duration = Duration::from_secs(300);
/// The longest Retry-After that is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// How soon the same configuration version is asked for again.
const FETCH_AGAIN: Duration = Duration::from_secs(300);
/// Bodies of one request, uncompressed: what building it costs an agent in memory.
const BATCH_BYTES: usize = 512 << 10;
/// So many waiting samples do not wait for a heartbeat.
const BACKLOG: u64 = 50;
/// After so many failures one after another (some fifteen seconds) it is an outage: the first request that may be taken
/// again carries the present alone, which costs a disk and a line little however long it lasts.
const OUTAGE: u32 = 5;
/// So many conflicts one after another are not settled by answering at once.
const CONFLICTS_AT_ONCE: u32 = 3;

/// The machine.
#[derive(Debug)]
pub struct Sender {
    steps: VecDeque<Step>,
    phase: Phase,
    view: Vec<EpochView>,
    pace: Duration,
    next_heartbeat: Mono,
    /// Nothing is sent before.
    hold_until: Option<Mono>,
    failures: u32,
    conflicts: u32,
    records_max: usize,
    standing: Standing,
    wants_to_speak: bool,
    asked_config: Option<(u64, Mono)>,
    asked_renewal: Option<Mono>,
    /// The checks' states that the collector said it holds with its latest answer.
    held: Option<PresentId>,
    /// The dictionary that it named with that answer, where it is known here.
    dictionary: Option<u16>,
    next_no: u64,
    dice: u64,
}

#[derive(Debug)]
enum Phase {
    Idle,
    /// A post is out; `sent` once its request was built.
    Waiting {
        no: u64,
        until: Mono,
        sent: Option<Sent>,
    },
    /// The journal must carry out a task before anything is sent.
    Settling,
}

/// What a request said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) digest: Digest,
    /// What an acknowledgement makes held; `None` for a heartbeat.
    pub(crate) head: Option<Head>,
    pub(crate) config_version: u64,
    /// The states of the checks that it called by their name in place of telling them.
    pub(crate) unchanged: Option<PresentId>,
}

/// What the machine wants: something of the shell, or something of the journal.
#[derive(Debug)]
pub(crate) enum Step {
    Shell(Effect),
    Acknowledge(Head),
    Believe(Vec<Head>),
    Part(Head),
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
    /// The agent holds another certificate: what was refused or failed before says nothing of it.
    CertificateChanged,
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
    /// The certificate's time is over: ask to be taken back.
    Renew,
    /// The collector wants the certificate renewed before its day.
    RenewEarly,
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
        Self {
            steps: VecDeque::new(),
            phase: Phase::Idle,
            view: Vec::new(),
            pace: PACE,
            next_heartbeat: now,
            hold_until: None,
            failures: 0,
            conflicts: 0,
            records_max: RECORDS_MAX,
            standing: Standing::Unknown,
            wants_to_speak: false,
            asked_config: None,
            asked_renewal: None,
            held: None,
            dictionary: None,
            next_no: 0,
            dice: seed,
        }
    }

    /// Takes an event in.
    pub fn handle(&mut self, event: Event, now: Mono) {
        match event {
            Event::Pace { heartbeat } => {
                self.pace = heartbeat;
                self.next_heartbeat = self.next_heartbeat.min(now.plus(heartbeat));
            }
            Event::StateChanged => self.wants_to_speak = true,
            Event::CertificateChanged => {
                self.hold_until = None;
                self.failures = 0;
                self.wants_to_speak = true;
            }
            Event::Answered { no, answer } => self.answered(no, answer, now),
        }
        self.decide(now);
    }

    /// Looks at the journal as it stands; called after each change of it.
    pub(crate) fn look(&mut self, view: Vec<EpochView>, now: Mono) {
        self.view = view;
        if matches!(self.phase, Phase::Settling) {
            self.phase = Phase::Idle;
        }
        self.decide(now);
    }

    /// The request of this post was built and says this.
    pub(crate) fn sent(&mut self, post: u64, what: Sent) {
        if let Phase::Waiting { no, sent, .. } = &mut self.phase
            && *no == post
        {
            *sent = Some(what);
            if is_broken(Rule::AcknowledgedByAnswer) {
                self.steps.extend(what.head.map(Step::Acknowledge));
            }
        }
    }

    /// Whether the collector's latest answer said that it holds the states of this name.
    pub(crate) fn is_held(&self, present: PresentId) -> bool {
        self.held == Some(present)
    }

    /// The dictionary that the next request may be packed with.
    pub(crate) fn dictionary(&self) -> Option<u16> {
        self.dictionary
    }

    /// The next thing to do.
    #[must_use]
    pub(crate) fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// When [`Sender::handle_timeout`] must be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        match &self.phase {
            Phase::Waiting { until, .. } => Some(*until),
            Phase::Settling => None,
            Phase::Idle => Some(self.due()),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Mono) {
        if let Phase::Waiting { no, until, .. } = self.phase
            && until <= now
        {
            let what = format!("no answer within {} seconds", ANSWER_WITHIN.as_secs());
            self.answered(no, Answer::Failed { what }, now);
        }
        self.decide(now);
    }

    fn due(&self) -> Mono {
        let wanted = if self.is_wanted_at_once() { Mono(0) } else { self.next_heartbeat };
        self.hold_until.map_or(wanted, |hold| hold.max(wanted))
    }

    fn is_wanted_at_once(&self) -> bool {
        let is_urgent = self.view.iter().any(|epoch| epoch.acked.len < epoch.urgent_to.min(epoch.len));
        self.wants_to_speak || (self.may_send_records() && (is_urgent || self.waiting() >= BACKLOG))
    }

    fn may_send_records(&self) -> bool {
        match self.standing {
            Standing::Unknown | Standing::Good | Standing::Unreachable { .. } => true,
            Standing::Refused { .. } | Standing::Quarantined => false,
        }
    }

    fn waiting(&self) -> u64 {
        self.view.iter().map(|epoch| epoch.len.saturating_sub(epoch.acked.len)).sum()
    }

    /// Posts if it is time.
    fn decide(&mut self, now: Mono) {
        if !matches!(self.phase, Phase::Idle) || now < self.due() {
            return;
        }
        let no = self.next_no;
        self.next_no += 1;
        self.phase = Phase::Waiting { no, until: now.plus(ANSWER_WITHIN), sent: None };
        self.next_heartbeat = now.plus(self.pace);
        self.hold_until = None;
        self.wants_to_speak = false;
        let takes_records = self.may_send_records() && self.failures < OUTAGE;
        let oldest = self.view.iter().find(|epoch| epoch.acked.len < epoch.len).filter(|_| takes_records);
        let batch = oldest.map(|epoch| Batch {
            epoch: epoch.acked.epoch,
            from: Seq(epoch.acked.len),
            records_max: self.records_max,
            bytes_max: BATCH_BYTES,
        });
        let held = self.view.iter().map(|epoch| epoch.acked).filter(|head| head.len > 0);
        let heads: Vec<Head> = held.filter(|_| !is_broken(Rule::HeadsAreClaimed)).collect();
        let heads = heads[heads.len().saturating_sub(HEADS_MAX)..].to_vec();
        self.steps.push_back(Step::Shell(Effect::Post(Post { no, batch, heads })));
    }

    fn answered(&mut self, answered: u64, answer: Answer, now: Mono) {
        let Phase::Waiting { no, sent, .. } = &self.phase else { return };
        if *no != answered {
            return;
        }
        let sent = *sent;
        self.phase = Phase::Idle;
        // Whatever is no answer to what was sent leaves open what is held, and who answers next: all is told anew, and as
        // everybody reads it.
        (self.held, self.dictionary) = (None, None);
        match answer {
            Answer::Delivered(delivered) => self.delivered(sent, &delivered, now),
            Answer::Conflict(conflict) => self.conflict(conflict, now),
            Answer::Refused { status, code, retry_after } => self.refused(status, &code, retry_after, now),
            Answer::Failed { what } => {
                // A line that is too slow for a batch would be too slow for it for ever.
                self.records_max = (self.records_max / 2).max(1);
                self.fail(what, None, now);
            }
        }
    }

    fn delivered(&mut self, sent: Option<Sent>, delivered: &Delivered, now: Mono) {
        let Some(sent) =
            sent.filter(|sent| sent.digest == delivered.batch_digest || is_broken(Rule::AcknowledgedByDigest))
        else {
            return self.fail("an answer to another request".to_owned(), None, now);
        };
        self.failures = 0;
        self.conflicts = 0;
        self.held = delivered.present;
        self.dictionary = delivered.dictionary.filter(|id| dictionary::bytes(*id).is_some());
        if sent.unchanged.is_some_and(|named| delivered.present != Some(named)) {
            // It takes the checks for unknown until they are told.
            self.wants_to_speak = true;
        }
        self.records_max = (self.records_max * 2).min(RECORDS_MAX);
        self.stand(Standing::Good);
        if delivered.renew && self.asked_renewal.is_none_or(|at| now.since(at) >= FETCH_AGAIN) {
            self.asked_renewal = Some(now);
            self.steps.push_back(Step::Shell(Effect::RenewEarly));
        } else if !delivered.renew {
            // It was done: the next wish is another one, and is not made to wait for the last.
            self.asked_renewal = None;
        }
        if let Some(head) = sent.head {
            self.steps.push_back(Step::Acknowledge(head));
            self.phase = Phase::Settling;
        }
        let wanted = delivered.config_version;
        let is_asked = self.asked_config.is_some_and(|(version, at)| version == wanted && now.since(at) < FETCH_AGAIN);
        if wanted != sent.config_version && !is_asked {
            self.asked_config = Some((wanted, now));
            self.steps.push_back(Step::Shell(Effect::FetchConfig { version: wanted }));
        }
    }

    fn conflict(&mut self, conflict: Conflict, now: Mono) {
        self.conflicts += 1;
        if self.conflicts > CONFLICTS_AT_ONCE {
            self.failures = self.failures.max(1);
            self.fail("history is disputed again and again".to_owned(), None, now);
        } else {
            self.wants_to_speak = true;
        }
        if is_broken(Rule::BehindIsBelieved) && matches!(conflict, Conflict::Behind { .. }) {
            return;
        }
        self.steps.push_back(match conflict {
            Conflict::Behind { heads } => Step::Believe(heads),
            Conflict::Fork { held, .. } if is_broken(Rule::ForkBeginsEpoch) => Step::Believe(vec![held]),
            Conflict::Fork { held, epoch, .. } => Step::Part(Head { epoch, ..held }),
        });
        self.phase = Phase::Settling;
    }

    fn refused(&mut self, status: u16, code: &str, retry_after: Option<Duration>, now: Mono) {
        match status {
            403 if code == codes::CERTIFICATE_EXPIRED => {
                self.steps.push_back(Step::Shell(Effect::Renew));
                self.fail("403 certificate-expired".to_owned(), retry_after, now);
            }
            403 => {
                self.stand(Standing::Refused { code: code.to_owned() });
                // Sooner where the collector asks for it: who waits for a person is let in when the person has come.
                self.hold_until =
                    Some(now.plus(retry_after.map_or(ASK_AGAIN, |asked| asked.clamp(BACKOFF.0, ASK_AGAIN))));
            }
            423 => {
                self.stand(Standing::Quarantined);
                self.hold_until = Some(now.plus(ASK_AGAIN));
            }
            413 => {
                self.records_max = (self.records_max / 4).max(1);
                self.fail("413 too large: the next request is smaller".to_owned(), None, now);
            }
            _ => self.fail(format!("{status} {code}").trim_end().to_owned(), retry_after, now),
        }
    }

    /// Waits before the next request: as long as the collector asks, or longer with each failure.
    fn fail(&mut self, why: String, retry_after: Option<Duration>, now: Mono) {
        self.failures = self.failures.saturating_add(1);
        let doubled = BACKOFF.0.saturating_mul(1 << (self.failures - 1).min(10)).min(BACKOFF.1);
        // Between half and all of it, so that many agents do not come back together.
        let part = u32::try_from(self.roll() % 512).unwrap_or(0);
        let spread = doubled * (part + 512) / 1024;
        // Never sooner than asked, and up to a quarter of it later: all were told the same number.
        let wait = retry_after.filter(|_| !is_broken(Rule::RetryAfterIsKept)).map_or(spread, |asked| {
            let asked = asked.clamp(BACKOFF.0, RETRY_AFTER_MAX);
            asked + asked * part / 2048 + spread / 4
        });
        self.hold_until = Some(now.plus(wait));
        self.wants_to_speak = true;
        self.stand(Standing::Unreachable { why });
    }

    fn stand(&mut self, standing: Standing) {
        if self.standing != standing {
            self.standing = standing.clone();
            self.steps.push_back(Step::Shell(Effect::Standing(standing)));
        }
    }

    fn roll(&mut self) -> u64 {
        crate::spread::next(&mut self.dice)
    }
}

#[cfg(test)]
mod tests;

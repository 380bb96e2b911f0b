//! The line: what travels, is lost, doubled, delayed and mixed up, and what arrives.

use upheld_delivery::sender::Answer;
use upheld_wire::v1::{DeliverRequest, Head, codes};

use super::{collector::Reply, world::World};
use crate::{Broken, Seam, faults::Fault};

/// Who sent: the agent's number, and whether its copy did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender {
    pub(super) post: usize,
    pub(super) is_clone: bool,
}

pub(super) enum Travel {
    Request {
        from: Sender,
        no: u64,
        request: Box<DeliverRequest>,
    },
    /// `restores`: how often the collector had been set back as it answered.
    Answer {
        to: Sender,
        no: u64,
        reply: Box<Reply>,
        restores: u32,
    },
}

impl World {
    pub(super) fn send(&mut self, from: Sender, no: u64, request: DeliverRequest) {
        let now_ms = self.now_ms;
        let pauses = self.posts[from.post].who(from.is_clone).is_some_and(|agent| now_ms < agent.pause_until);
        if pauses {
            self.noticed = Some(format!("agent {} was asked for a pause and sends within it", from.post));
        }
        if self.now_ms < self.posts[from.post].line_down_until {
            return;
        }
        let copies = if self.faulty() && self.dice.once_in(12) { 2 } else { 1 };
        if copies == 2 {
            self.counts.count(Fault::RequestDoubled);
        }
        for _ in 0..copies {
            if self.faulty() && self.dice.once_in(12) {
                self.counts.count(Fault::RequestLost);
                continue;
            }
            let request = Box::new(request.clone());
            self.travel(Travel::Request { from, no, request });
        }
    }

    /// Whether the line loses, doubles and delays.
    pub(super) fn faulty(&self) -> bool {
        self.now_ms < self.plan.faulty_ms
    }

    fn travel(&mut self, what: Travel) {
        let mut delay = self.dice.roll(800);
        if self.faulty() && self.dice.once_in(12) {
            delay = self.dice.roll(90_000);
            self.counts.count(Fault::Delayed);
        }
        self.next_travel += 1;
        self.travelling.insert((self.now_ms + delay, self.next_travel), what);
    }

    pub(super) fn arrive(&mut self, what: Travel) -> Result<(), String> {
        match what {
            Travel::Request { from, no, request } => {
                if self.now_ms < self.collector_down_until {
                    return Ok(());
                }
                let quarantines = &mut self.posts[from.post].quarantines;
                if let Some(ended) = quarantines.last_mut().filter(|one| one.released.is_some() && !from.is_clone) {
                    ended.asked.get_or_insert(self.now_ms);
                }
                if let Some(more) = self.busy_until.checked_sub(self.now_ms).filter(|more| *more > 0) {
                    let reply = Reply::Busy(more.div_ceil(1_000));
                    self.travel(Travel::Answer { to: from, no, reply: Box::new(reply), restores: self.restores });
                    return Ok(());
                }
                let key = self.key;
                let by_id = self.broken == Broken::Seam(Seam::DedupById);
                let tables = &mut self.posts[from.post].tables;
                let before = tables.mark();
                let reply = tables.deliver(&request, key, self.now_ms, by_id);
                if let Some(problem) = tables.problems.first() {
                    return Err(format!("the collector could not read what an agent sent: {problem}"));
                }
                let is_killed = self.faulty() && self.dice.once_in(25);
                let is_before = self.dice.once_in(2);
                if is_killed && is_before {
                    self.posts[from.post].tables.set_back(before);
                    self.counts.count(Fault::KilledBeforeCommit);
                    if self.broken != Broken::Seam(Seam::AckBeforeCommit) {
                        return Ok(());
                    }
                } else if is_killed {
                    self.counts.count(Fault::KilledAfterCommit);
                    return Ok(());
                } else if self.faulty() && self.dice.once_in(12) {
                    self.counts.count(Fault::AnswerLost);
                    return Ok(());
                }
                let restores = self.restores;
                self.travel(Travel::Answer { to: from, no, reply: Box::new(reply), restores });
            }
            Travel::Answer { to, no, reply, restores } => {
                let before = self.believed(to);
                self.answer(to, no, *reply);
                if restores == self.restores {
                    return self.check_acknowledged(to, &before);
                }
            }
        }
        Ok(())
    }

    fn believed(&mut self, of: Sender) -> Vec<Head> {
        let agent = self.posts[of.post].who(of.is_clone);
        agent.and_then(|agent| agent.status()).map(|status| status.heads).unwrap_or_default()
    }

    /// I2: what an answer made the agent believe is committed at that moment.
    fn check_acknowledged(&mut self, to: Sender, before: &[Head]) -> Result<(), String> {
        let now = self.believed(to);
        let is_fresh = |head: &&Head| before.iter().all(|old| old.epoch != head.epoch || old.len < head.len);
        match now.iter().filter(is_fresh).find(|head| !self.posts[to.post].holds(head)) {
            Some(head) => Err(format!("I2: agent {}: {head:?} was acknowledged and is not committed", to.post)),
            None => Ok(()),
        }
    }

    fn answer(&mut self, to: Sender, no: u64, reply: Reply) {
        let (now_ms, is_mixed_up) = (self.now_ms, self.faulty());
        let Some(agent) = self.posts[to.post].who(to.is_clone).filter(|agent| !agent.is_asleep(now_ms)) else { return };
        let Some((current, _)) = agent.under_way else { return };
        // A careless proxy hands a late answer to the request that waits for one.
        let is_other = is_mixed_up && no != current;
        let answer = match reply {
            Reply::Delivered(delivered) => Answer::Delivered(delivered),
            Reply::Conflict(conflict) => Answer::Conflict(conflict),
            Reply::Refused(status, code) => Answer::Refused { status, code, retry_after: None },
            Reply::Busy(seconds) => {
                let retry_after = Some(std::time::Duration::from_secs(seconds));
                Answer::Refused { status: 429, code: codes::TOO_MANY.to_owned(), retry_after }
            }
        };
        agent.answered(if is_other { current } else { no }, answer, now_ms);
        if is_other {
            self.counts.count(Fault::AnswerMixedUp);
        }
        self.trace.note(now_ms, no);
        // As the real shell does: what an answer brings about is done at once, not when something falls due.
        self.work(to);
    }
}

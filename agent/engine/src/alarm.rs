//! What an agent tells by itself while its collector is away (DETECTION 4.10).
//!
//! After [`AWAY`] without an answer, each confirmed failure of a critical asset that the collector cannot know of is told
//! to the one address that this host's administrator has written down, and its end too. Told once; tried again while it is
//! not taken; not told any more once the collector is back, which then hears of it by itself, under the same name.
//! Nothing here sends: [`Alarms::look`] says what is to be sent, [`Alarms::said`] how that ended.

use std::{collections::BTreeMap, time::Duration};

use upheld_model::{Finding, FindingId, Mono};

/// For how long the collector must have been away. Halved, each reboot of it would wake people up.
pub const AWAY: Duration = Duration::from_secs(15 * 60);
/// After a message that was not taken the next try waits, twice as long each time up to the second of these.
const RETRY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// The failure; its name is what the collector will know it by.
    pub finding: Finding,
    /// What of it.
    pub what: What,
}

/// What a message says of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It is confirmed.
    Opened,
    /// It is over.
    Restored,
}

/// What was told, and when the collector was there last.
#[derive(Debug)]
pub struct Alarms {
    reached: Mono,
    failures: BTreeMap<FindingId, Failure>,
}

#[derive(Debug)]
struct Failure {
    finding: Finding,
    /// When it was seen first: the collector knows of what was seen before it answered.
    seen: Mono,
    is_open: bool,
    opened: Message,
    restored: Message,
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Unsaid { tries: u32, not_before: Mono },
    OnItsWay { tries: u32 },
    Said,
}

const NEVER_TRIED: Message = Message::Unsaid { tries: 0, not_before: Mono(0) };

impl Alarms {
    /// Begins; the collector counts as away from this moment on, until it answers.
    pub fn new(now: Mono) -> Self {
        Self { reached: now, failures: BTreeMap::new() }
    }

    /// The collector answered: it knows, or will know in a moment, of everything up to here.
    pub fn reached(&mut self, now: Mono) {
        self.reached = now;
        self.failures.retain(|_, failure| failure.is_open);
        for failure in self.failures.values_mut() {
            (failure.opened, failure.restored) = (NEVER_TRIED, NEVER_TRIED);
        }
    }

    /// Since when the collector is away, once that is long enough.
    pub fn away_since(&self, now: Mono) -> Option<Mono> {
        (now.since(self.reached) >= AWAY).then_some(self.reached)
    }

    /// Compares with the failures of critical assets that are open; what is to be sent now.
    pub fn look<'a>(&mut self, open: impl IntoIterator<Item = &'a Finding>, now: Mono) -> Vec<Alarm> {
        self.failures.values_mut().for_each(|failure| failure.is_open = false);
        for finding in open {
            let fresh = || Failure {
                finding: finding.clone(),
                seen: now,
                is_open: true,
                opened: NEVER_TRIED,
                restored: NEVER_TRIED,
            };
            self.failures.entry(finding.id()).or_insert_with(fresh).is_open = true;
        }
        let is_away = self.away_since(now).is_some();
        self.failures.retain(|_, failure| failure.is_open || failure.owes_an_end());
        let reached = self.reached;
        let due = self.failures.values_mut().filter(|failure| is_away && failure.seen > reached);
        due.filter_map(|failure| failure.next(now)).collect()
    }

    /// How a message ended; one that was not taken is tried again.
    pub fn said(&mut self, alarm: &Alarm, is_taken: bool, now: Mono) {
        if let Some(failure) = self.failures.get_mut(&alarm.finding.id()) {
            let message = match alarm.what {
                What::Opened => &mut failure.opened,
                What::Restored => &mut failure.restored,
            };
            // Of a message from before the collector came back nobody waits to hear.
            if let Message::OnItsWay { tries } = *message {
                *message = if is_taken { Message::Said } else { again(tries, now) };
            }
        }
    }
}

impl Failure {
    /// Whether its end must still be told: it was told that it had begun.
    fn owes_an_end(&self) -> bool {
        match self.opened {
            Message::Unsaid { .. } => false,
            Message::OnItsWay { .. } => true,
            Message::Said => self.restored != Message::Said,
        }
    }

    fn next(&mut self, now: Mono) -> Option<Alarm> {
        let (what, message) = match (self.is_open, self.opened) {
            (true, _) => (What::Opened, &mut self.opened),
            (false, Message::Said) => (What::Restored, &mut self.restored),
            (false, Message::Unsaid { .. } | Message::OnItsWay { .. }) => return None,
        };
        match *message {
            Message::Unsaid { tries, not_before } if not_before <= now => {
                *message = Message::OnItsWay { tries };
                Some(Alarm { finding: self.finding.clone(), what })
            }
            Message::Unsaid { .. } | Message::OnItsWay { .. } | Message::Said => None,
        }
    }
}

fn again(tries: u32, now: Mono) -> Message {
    let wait = RETRY.0.saturating_mul(1 << tries.min(10)).min(RETRY.1);
    Message::Unsaid { tries: tries + 1, not_before: now.plus(wait) }
}

#[cfg(test)]
mod tests {
    use upheld_model::ObservedAt;

    use super::*;

    #[test]
    fn a_failure_is_told_after_fifteen_minutes_without_a_collector_and_once() {
        let mut site = Site::new();
        site.reach(100);
        site.fails("nvr-02/host", 160);
        for second in (160..1_000).step_by(30) {
            assert_eq!(site.look(second), "", "after {second} s");
        }
        assert_eq!(site.look(1_000), "opened nvr-02/host");
        site.said(true, 1_001);
        assert_eq!(site.look(4_000), "");
        site.recovers("nvr-02/host");
        assert_eq!(site.look(4_030), "restored nvr-02/host");
        site.said(true, 4_031);
        assert_eq!(site.look(9_000), "");
    }

    #[test]
    fn what_the_collector_knows_is_not_told_and_what_comes_while_it_is_away_is_told_at_once() {
        let mut site = Site::new();
        site.fails("nvr-02/host", 10);
        site.look(30);
        site.reach(60);
        assert_eq!(site.look(5_000), "", "it was told before the collector went away");
        site.fails("ups-2/ups.nut", 5_010);
        assert_eq!(site.look(5_030), "opened ups-2/ups.nut");
    }

    #[test]
    fn what_is_over_before_it_is_told_is_not_told() {
        let mut site = Site::new();
        site.fails("nvr-02/host", 10);
        site.look(30);
        site.recovers("nvr-02/host");
        assert_eq!(site.look(2_000), "");
    }

    #[test]
    fn a_message_that_is_not_taken_is_tried_again_less_and_less_often() {
        let mut site = Site::new();
        site.fails("nvr-02/host", 10);
        site.look(30);
        let mut tries = Vec::new();
        for second in (900..9_000).step_by(30) {
            if !site.look(second).is_empty() {
                tries.push(second);
                site.said(false, second);
            }
        }
        let waits: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(waits[..6], [30, 60, 120, 240, 480, 600], "{tries:?}");
        assert!(waits[6..].iter().all(|wait| *wait == 600));
    }

    #[test]
    fn a_collector_that_is_back_speaks_for_itself() {
        let mut site = Site::new();
        site.fails("nvr-02/host", 10);
        site.look(30);
        assert_eq!(site.look(1_000), "opened nvr-02/host");
        site.reach(1_010);
        // The answer comes after the collector did.
        site.said(true, 1_020);
        site.recovers("nvr-02/host");
        assert_eq!(site.look(3_000), "");
        site.fails("nvr-02/host", 3_100);
        assert_eq!(site.look(3_130), "opened nvr-02/host", "away again, and another failure");
    }

    #[test]
    fn an_agent_that_starts_without_a_collector_waits_as_long() {
        let mut site = Site::new();
        site.fails("nvr-02/host", 0);
        assert_eq!(site.look(1), "");
        assert_eq!(site.look(899), "");
        assert_eq!(site.look(901), "opened nvr-02/host");
    }

    /// A site in virtual seconds.
    struct Site {
        alarms: Alarms,
        open: Vec<Finding>,
        last: Option<Alarm>,
    }

    impl Site {
        fn new() -> Self {
            Self { alarms: Alarms::new(at(0)), open: Vec::new(), last: None }
        }

        fn reach(&mut self, second: u64) {
            self.alarms.reached(at(second));
        }

        fn fails(&mut self, check: &str, second: i64) {
            let observed = ObservedAt(jiff::Timestamp::from_second(1_800_000_000 + second).unwrap());
            let check = check.parse().unwrap();
            let finding = Finding {
                check,
                last_ok: None,
                first_bad: observed,
                confirmed_at: observed,
                evidence: None,
                culprit: None,
            };
            self.open.push(finding);
        }

        fn recovers(&mut self, check: &str) {
            self.open.retain(|finding| finding.check.to_string() != check);
        }

        fn look(&mut self, second: u64) -> String {
            let alarms = self.alarms.look(&self.open, at(second));
            self.last = alarms.last().cloned();
            let words = |alarm: &Alarm| {
                let what = match alarm.what {
                    What::Opened => "opened",
                    What::Restored => "restored",
                };
                format!("{what} {}", alarm.finding.check)
            };
            alarms.iter().map(words).collect::<Vec<_>>().join(", ")
        }

        fn said(&mut self, is_taken: bool, second: u64) {
            let alarm = self.last.clone().unwrap();
            self.alarms.said(&alarm, is_taken, at(second));
        }
    }

    fn at(second: u64) -> Mono {
        Mono(second * 1_000_000_000)
    }
}

//! The drill that a person plays at this host, as the running agent carries it (UX 3.2).
//!
//! The collector is asked first whether it knows drills; only then the journal tells of it. What becomes of it is asked
//! for as often as the person's command looks, and no longer: nothing here waits by itself.

use std::time::Duration;

use upheld_model::{DrillId, Mono};
use upheld_wire::v1::drill::DrillReport;

use super::{Agent, link};
use crate::{
    clocks,
    drill::{Answer, PATIENCE, Phase, Refusal},
    http::{self, NoAnswer},
};

/// The collector is asked no more often than this.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// The drill that was played last.
#[derive(Debug)]
pub(super) struct Play {
    id: DrillId,
    begun: Mono,
    phase: Phase,
    is_asking: bool,
    asked: Mono,
}

/// What is to be done after an answer of the collector.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    /// Nothing but to wait for the next look.
    Wait,
    /// The journal may tell of it.
    Record,
}

impl Play {
    fn begin(id: DrillId, now: Mono) -> Self {
        Self { id, begun: now, phase: Phase::Asking, is_asking: true, asked: now }
    }

    /// Whether somebody may still wait for it.
    fn is_under_way(&self, now: Mono) -> bool {
        !self.phase.is_over() && now.since(self.begun) < PATIENCE
    }

    /// Whether the collector is to be asked as a person looks.
    fn asks(&mut self, now: Mono) -> bool {
        let is_due = !self.is_asking && !self.phase.is_over() && now.since(self.asked) >= AGAIN_AFTER;
        if is_due {
            (self.is_asking, self.asked) = (true, now);
        }
        is_due
    }

    fn heard(&mut self, answer: Result<DrillReport, Refusal>) -> Then {
        self.is_asking = false;
        match (&mut self.phase, answer) {
            (Phase::Asking, Ok(_)) => return Then::Record,
            (Phase::Asking, Err(refusal)) => self.phase = Phase::Refused(refusal),
            (Phase::Recorded { report, trouble }, Ok(new)) => {
                (*report, *trouble) = (Some(Box::new(new)), None);
            }
            // It is in the journal: the next answer may be better.
            (Phase::Recorded { trouble, .. }, Err(refusal)) => *trouble = Some(refusal.why),
            (Phase::Refused(_), _) => {}
        }
        Then::Wait
    }
}

impl Agent {
    /// A person's command asks: to begin one, or for the one of this name.
    pub(super) fn drill(&mut self, wanted: Option<DrillId>) -> Answer {
        let now = clocks::mono();
        match (wanted, &mut self.play) {
            (None, Some(play)) if play.is_under_way(now) => {
                Answer::UnderWay { id: play.id, for_s: now.since(play.begun).as_secs() }
            }
            (None, _) => {
                let mut id = [0; 16];
                if let Err(error) = getrandom::fill(&mut id) {
                    return Answer::Refused(Refusal::local(format!("the system has no randomness: {error}")));
                }
                let id = DrillId(id);
                self.play = Some(Play::begin(id, now));
                self.link.fetch_drill(id);
                Answer::Begun { id }
            }
            (Some(wanted), Some(play)) if play.id == wanted => {
                if play.asks(now) {
                    self.link.fetch_drill(wanted);
                }
                Answer::Stands(play.phase.clone())
            }
            (Some(_), _) => Answer::Refused(Refusal::local("another drill took its place".to_owned())),
        }
    }

    /// What the collector said of a drill.
    pub(super) fn drill_heard(&mut self, id: DrillId, answer: Result<http::Answer, NoAnswer>) {
        let Some(play) = self.play.as_mut().filter(|play| play.id == id) else { return };
        if play.heard(read(answer)) == Then::Record {
            play.phase = match self.engine.drill(id, clocks::reading()) {
                Some(_) => Phase::Recorded { report: None, trouble: None },
                None => Phase::Refused(Refusal::local("the agent is stopping".to_owned())),
            };
        }
    }
}

/// An answer of `GET /v1/drill/ID`, or why it is none.
fn read(answer: Result<http::Answer, NoAnswer>) -> Result<DrillReport, Refusal> {
    let answer = answer.map_err(|error| Refusal::unreachable(error.words()))?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body)
            .map_err(|error| Refusal::unreachable(format!("the answer cannot be read: {error}"))),
        404 => Err(Refusal::older()),
        503 => Err(Refusal::unavailable(said(&answer))),
        _ => Err(Refusal::refused(said(&answer))),
    }
}

fn said(answer: &http::Answer) -> String {
    let problem = answer.problem();
    if problem.detail.is_empty() { problem.title } else { format!("{}: {}", problem.title, problem.detail) }
}

impl link::Link {
    /// Asks what became of a drill.
    fn fetch_drill(&self, id: DrillId) {
        let uplink = std::rc::Rc::clone(&self.uplink);
        self.spawn(async move { link::Heard::Drill { id, answer: uplink.fetch_drill(id).await } });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: DrillId = DrillId([7; 16]);

    fn at(milliseconds: u64) -> Mono {
        Mono(milliseconds * 1_000_000)
    }

    fn report() -> DrillReport {
        DrillReport { id: ID, now: jiff::Timestamp::UNIX_EPOCH, notes: Vec::new(), opened: None }
    }

    #[test]
    fn nothing_is_recorded_before_the_collector_has_said_that_it_knows_drills() {
        let mut play = Play::begin(ID, at(0));
        assert_eq!(play.heard(read(Ok(answer(404, "{}")))), Then::Wait);
        assert!(matches!(&play.phase, Phase::Refused(refusal) if refusal.why.contains("older")), "{:?}", play.phase);
        assert!(!play.is_under_way(at(1)), "the next one may begin at once");
        let mut play = Play::begin(ID, at(0));
        assert_eq!(play.heard(Ok(report())), Then::Record);
    }

    #[test]
    fn the_collector_is_asked_only_as_somebody_looks_and_not_twice_at_once() {
        let mut play = Play::begin(ID, at(0));
        assert!(!play.asks(at(1_000)), "the first question is under way");
        play.heard(Ok(report()));
        play.phase = Phase::Recorded { report: None, trouble: None };
        assert!(!play.asks(at(200)));
        assert!(play.asks(at(300)) && !play.asks(at(301)));
        play.heard(Err(Refusal::unreachable("cut".to_owned())));
        assert!(matches!(&play.phase, Phase::Recorded { trouble: Some(why), .. } if why == "cut"));
        play.asks(at(600));
        play.heard(Ok(report()));
        assert!(matches!(&play.phase, Phase::Recorded { trouble: None, report: Some(_) }));
    }

    #[test]
    fn a_second_drill_waits_for_the_first_and_for_a_minute_at_most() {
        let play = Play::begin(ID, at(0));
        assert!(play.is_under_way(at(59_000)));
        assert!(!play.is_under_way(at(60_000)));
    }

    #[test]
    fn a_refusal_says_what_the_collector_said() {
        let body = r#"{"type":"about:blank","title":"In recovery","detail":"a person must accept the gap","status":503,"code":"unavailable"}"#;
        let refused = read(Ok(answer(503, body))).unwrap_err();
        assert!(refused.why.contains("In recovery: a person must accept the gap"), "{}", refused.why);
    }

    fn answer(status: u16, body: &str) -> http::Answer {
        http::Answer { status, retry_after: None, date: None, body: body.into() }
    }
}

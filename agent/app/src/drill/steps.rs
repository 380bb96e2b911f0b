//! The steps of a drill, read off what the collector reports.

use std::time::Duration;

use serde::Serialize;
use upheld_wire::v1::drill::{DrillDelivered, DrillDelivery, DrillOpened, DrillReport, DrillTerms};

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum End {
    /// It did what it should.
    Ok,
    /// There was nothing to do, and there should be.
    Missing,
    /// It did not.
    Failed,
}

impl End {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Failed => "failed",
        }
    }
}

/// One step that ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Step {
    pub(super) step: &'static str,
    #[serde(rename = "result")]
    pub(super) end: End,
    /// Seconds since the drill began, to a tenth.
    pub(super) after_s: f64,
    pub(super) said: String,
    /// A command, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) todo: Option<String>,
}

/// What has been seen of a drill.
#[derive(Debug, Default)]
pub(super) struct Watch {
    steps: Vec<Step>,
    notes: Vec<String>,
    incident: Option<String>,
    /// Why channels that were told have not taken it yet.
    waits: Option<String>,
}

const STEPS: [&str; 4] = ["detect", "match", "clock", "delivery"];

impl Watch {
    /// Takes what the collector reports; the steps that ended with it.
    pub(super) fn look(&mut self, report: Option<&DrillReport>, after: Duration) -> &[Step] {
        let before = self.steps.len();
        if let Some(report) = report {
            self.notes.clone_from(&report.notes);
            if let Some(opened) = &report.opened {
                self.take(opened, after);
            }
        }
        &self.steps[before..]
    }

    fn take(&mut self, opened: &DrillOpened, after: Duration) {
        let client = opened.incident.split('/').next().unwrap_or_default();
        if self.steps.is_empty() {
            self.incident = Some(opened.incident.clone());
            self.end(
                "detect",
                End::Ok,
                after,
                format!("recorded here, taken by the collector: {}", opened.incident),
                None,
            );
            match &opened.terms {
                DrillTerms::Found { agreement, plan, priority } => {
                    self.end("match", End::Ok, after, format!("{agreement}, plan {plan}, priority {priority}"), None);
                }
                DrillTerms::None { refusal, why } => {
                    let todo = format!("ask the provider: upheld-collector book explain {client}");
                    self.end("match", End::Failed, after, format!("{refusal}: {why}"), Some(todo));
                }
            }
            match opened.clocks.first() {
                Some(first) => self.end("clock", End::Ok, after, first.said.clone(), None),
                None => {
                    let todo = format!("ask the provider: upheld-collector book explain {client}");
                    let said = "no clock runs: no terms promise a time".to_owned();
                    self.end("clock", End::Missing, after, said, Some(todo));
                }
            }
        }
        if self.steps.len() == 3 {
            self.deliver(&opened.deliveries, after);
        }
    }

    fn deliver(&mut self, deliveries: &[DrillDelivery], after: Duration) {
        if deliveries.is_empty() {
            let said = "nobody is told: the book names no channel that carries a message".to_owned();
            let todo = "ask the provider to write [channels.NAME] with a webhook into provider.toml: \
                        upheld-collector book apply book/";
            return self.end("delivery", End::Missing, after, said, Some(todo.to_owned()));
        }
        let of = |wanted: fn(&DrillDelivered) -> Option<String>| {
            let said = deliveries.iter().filter_map(|one| Some((one, wanted(&one.state)?)));
            said.map(|(one, said)| format!("{}{said}", one.channel)).collect::<Vec<_>>().join(", ")
        };
        let failed = of(|state| match state {
            DrillDelivered::Failed { why } => Some(format!(" gave up: {why}")),
            DrillDelivered::Pending { .. } | DrillDelivered::Taken { .. } => None,
        });
        self.waits = Some(of(|state| match state {
            DrillDelivered::Pending { why: Some(why) } => Some(format!(": {why}")),
            DrillDelivered::Pending { why: None } => Some(": not tried yet".to_owned()),
            DrillDelivered::Failed { .. } | DrillDelivered::Taken { .. } => None,
        }));
        if !failed.is_empty() {
            self.end("delivery", End::Failed, after, failed, Some(look_at_receiver()));
        } else if deliveries.iter().all(is_settled) {
            let taken = of(|state| match state {
                DrillDelivered::Taken { attempts: 1, .. } => Some(String::new()),
                DrillDelivered::Taken { attempts, .. } => Some(format!(" at the {attempts}. try")),
                DrillDelivered::Pending { .. } | DrillDelivered::Failed { .. } => None,
            });
            self.end("delivery", End::Ok, after, format!("taken by {taken}"), None);
        }
    }

    /// Ends the step that has not ended by itself, with what is known of why. `None` when all have.
    pub(super) fn give_up(&mut self, trouble: Option<String>, after: Duration) -> Option<&Step> {
        let step = *STEPS.get(self.steps.len())?;
        let waits = self.waits.take().filter(|waits| !waits.is_empty());
        let (why, todo) = match waits {
            Some(waits) => (waits, look_at_receiver()),
            None => {
                let nothing = "nothing came back from the collector".to_owned();
                (trouble.unwrap_or(nothing), "upheld-agent doctor".to_owned())
            }
        };
        self.end(step, End::Failed, after, format!("not within {} s: {why}", after.as_secs()), Some(todo));
        self.steps.last()
    }

    fn end(&mut self, step: &'static str, end: End, after: Duration, said: String, todo: Option<String>) {
        let after_s = (after.as_secs_f64() * 10.0).round() / 10.0;
        self.steps.push(Step { step, end, after_s, said, todo });
    }

    pub(super) fn is_over(&self) -> bool {
        self.steps.len() == STEPS.len()
    }

    /// The first of the steps that ended worst; `None` when all are well.
    pub(super) fn worst(&self) -> Option<&Step> {
        let worst = self.steps.iter().map(|step| step.end).max().filter(|end| *end != End::Ok)?;
        self.steps.iter().find(|step| step.end == worst)
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn incident(&self) -> Option<&str> {
        self.incident.as_deref()
    }
}

/// Whether nothing more comes of it.
pub(super) fn is_settled(delivery: &DrillDelivery) -> bool {
    match delivery.state {
        DrillDelivered::Taken { .. } | DrillDelivered::Failed { .. } => true,
        DrillDelivered::Pending { .. } => false,
    }
}

fn look_at_receiver() -> String {
    "ask the provider to look at that receiver, then: upheld-agent drill".to_owned()
}

#[cfg(test)]
mod tests {
    use upheld_model::DrillId;
    use upheld_wire::v1::drill::DrillClock;

    use super::*;

    fn report(deliveries: &[(&str, DrillDelivered)]) -> DrillReport {
        let clock = DrillClock {
            stage: "respond".to_owned(),
            is_counting: true,
            counts_from: None,
            due: None,
            due_local: None,
            said: "response 1:00:00".to_owned(),
        };
        let deliveries = deliveries
            .iter()
            .map(|(channel, state)| DrillDelivery { channel: (*channel).to_owned(), state: state.clone() });
        let now = jiff::Timestamp::UNIX_EPOCH;
        DrillReport {
            id: DrillId([1; 16]),
            now,
            notes: vec!["a window of work".to_owned()],
            opened: Some(DrillOpened {
                incident: "acme/INC-1".to_owned(),
                title: "DRILL".to_owned(),
                received: now,
                ends: now,
                terms: DrillTerms::Found {
                    agreement: "SSA-1 v1".to_owned(),
                    plan: "Gold".to_owned(),
                    priority: "P3".to_owned(),
                },
                clocks: vec![clock],
                deliveries: deliveries.collect(),
            }),
        }
    }

    fn words(steps: &[Step]) -> Vec<String> {
        steps.iter().map(|step| format!("{} {} {}", step.step, step.end.word(), step.after_s)).collect()
    }

    fn taken() -> DrillDelivered {
        DrillDelivered::Taken { at: jiff::Timestamp::UNIX_EPOCH, attempts: 1 }
    }

    #[test]
    fn each_step_is_said_once_with_its_seconds_and_the_last_is_the_receivers() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(None, Duration::from_millis(100)), []);
        let waiting = report(&[("desk", DrillDelivered::Pending { why: None })]);
        let first = words(watch.look(Some(&waiting), Duration::from_millis(440)));
        assert_eq!(first, ["detect ok 0.4", "match ok 0.4", "clock ok 0.4"]);
        assert!(watch.look(Some(&waiting), Duration::from_millis(500)).is_empty() && !watch.is_over());
        let done = report(&[("desk", taken())]);
        assert_eq!(words(watch.look(Some(&done), Duration::from_millis(1_410))), ["delivery ok 1.4"]);
        assert!(watch.is_over() && watch.worst().is_none());
        assert_eq!(watch.steps()[3].said, "taken by desk");
        assert_eq!(watch.notes(), ["a window of work"]);
    }

    #[test]
    fn a_collector_that_never_takes_it_is_the_first_step_that_fails() {
        let mut watch = Watch::default();
        watch.look(None, Duration::from_secs(59));
        let step = watch.give_up(Some("no connection".to_owned()), PATIENCE).unwrap();
        assert_eq!((step.step, step.said.as_str()), ("detect", "not within 60 s: no connection"));
        assert_eq!(watch.worst().unwrap().todo.as_deref(), Some("upheld-agent doctor"));
    }

    #[test]
    fn a_receiver_that_does_not_answer_is_named_with_what_it_said() {
        let mut watch = Watch::default();
        let why = Some("503 Service Unavailable".to_owned());
        let waiting = report(&[("desk", DrillDelivered::Pending { why }), ("mail", taken())]);
        watch.look(Some(&waiting), Duration::from_secs(1));
        let step = watch.give_up(None, PATIENCE).unwrap();
        assert_eq!(step.said, "not within 60 s: desk: 503 Service Unavailable");
    }

    #[test]
    fn no_terms_are_worse_than_no_channel_and_both_are_said() {
        let mut report = report(&[]);
        let opened = report.opened.as_mut().unwrap();
        opened.terms =
            DrillTerms::None { refusal: "no-agreement".to_owned(), why: "`acme` has no agreement".to_owned() };
        opened.clocks.clear();
        let mut watch = Watch::default();
        let steps = words(watch.look(Some(&report), Duration::from_secs(1)));
        assert_eq!(steps, ["detect ok 1", "match failed 1", "clock missing 1", "delivery missing 1"]);
        let worst = watch.worst().unwrap();
        assert_eq!(worst.step, "match");
        assert_eq!(worst.todo.as_deref(), Some("ask the provider: upheld-collector book explain acme"));
    }

    #[test]
    fn a_message_that_was_given_up_ends_at_once() {
        let mut watch = Watch::default();
        let failed = report(&[("desk", DrillDelivered::Failed { why: "410 Gone".to_owned() })]);
        watch.look(Some(&failed), Duration::from_secs(2));
        assert!(watch.is_over());
        assert_eq!(watch.worst().unwrap().said, "desk gave up: 410 Gone");
    }

    const PATIENCE: Duration = super::super::PATIENCE;
}

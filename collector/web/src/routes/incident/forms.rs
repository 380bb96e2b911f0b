//! The forms by which a person does something to an incident: those that it offers as it stands, and no others.

use jiff::Timestamp;
use upheld_agreement::{
    clock::DisputeOutcome,
    words::{Manner, Priority},
};
use upheld_desk::{IncidentView, commands::DismissReason};
use upheld_model::Cause;

use super::answer::Typed;
use crate::words;

/// One command as a form.
pub(super) struct Form {
    /// The command's name, which is the last part of its address.
    pub(super) name: &'static str,
    /// What is written on it while it is shut.
    pub(super) title: &'static str,
    pub(super) fields: Vec<Field>,
    pub(super) button: &'static str,
    /// Whether it was sent and not done: it stands open with what was typed.
    pub(super) is_open: bool,
}

/// One field.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: String,
    pub(super) kind: Kind,
    pub(super) value: String,
    pub(super) is_required: bool,
}

/// How a field is filled in.
pub(super) enum Kind {
    /// One of these: what is sent, and what is shown.
    Choice(Vec<(String, String)>),
    /// A line.
    Line,
    /// A few lines.
    Text,
    /// A wall time of the agreement's zone, not before the first and not after the second.
    Time { earliest: String, latest: String },
}

/// The forms of an incident in the order in which they are offered. `sent` is the one that was not done.
pub(super) fn of(view: &IncidentView, zone: &str, now: Timestamp, sent: Option<(&str, &Typed)>) -> Vec<Form> {
    let offered = view.offers.commands.iter().copied();
    let wanted = ORDER.iter().filter(|name| offered.clone().any(|offered| offered == **name));
    wanted.filter_map(|name| Some(draw(name, view, zone, now)?.with(sent))).collect()
}

/// Everything but what stands above them: acknowledge and respond.
const ORDER: &[&str] = &[
    "update",
    "note",
    "assign",
    "pause",
    "resume",
    "worked-around",
    "visit-reported",
    "resolve",
    "close",
    "reopen",
    "set-cause",
    "set-priority",
    "hand-over",
    "manufacturer-answered",
    "expedite",
    "merge",
    "dismiss",
    "dispute",
    "settle",
];

fn draw(name: &str, view: &IncidentView, zone: &str, now: Timestamp) -> Option<Form> {
    let offers = &view.offers;
    let said = |label: &str| Field::new("note", label, Kind::Text).required();
    let note = || Field::new("note", "Note", Kind::Line);
    let at = || Field::at(view, zone, now);
    let same =
        |words: &[String]| Kind::Choice(words.iter().map(|word| (word.clone(), word.replace('-', " "))).collect());
    let form = match name {
        "update" => Form::new(
            "update",
            "Tell the client how it stands…",
            "Tell the client",
            vec![said("What he is told"), at()],
        ),
        "note" => Form::new("note", "Write a note…", "Write it down", vec![said("Note")]),
        "assign" => Form::new(
            "assign",
            "Assign to somebody…",
            "Assign",
            vec![Field::new("to", "To whom", Kind::Line).required(), note()],
        ),
        "pause" => {
            let reason = Field::new("reason", "Reason that the terms allow", same(&offers.pause_reasons)).required();
            Form::new("pause", "Pause the clock…", "Pause", vec![reason, said("What it waits for"), at()])
        }
        "resume" => Form::new("resume", "End the pause…", "End the pause", vec![at(), note()]),
        "worked-around" => Form::new("worked-around", "A workaround is in place…", "Record it", vec![at(), note()]),
        "visit-reported" => {
            Form::new("visit-reported", "The visit report is with the client…", "Record it", vec![at(), note()])
        }
        "resolve" => {
            let label = if view.restored_at.is_some() {
                "Note"
            } else {
                "It still fails: on what does your word rest that it is over"
            };
            let note = Field::new("note", label, Kind::Line);
            let note = if view.restored_at.is_some() { note } else { note.required() };
            Form::new("resolve", "Resolve…", "Resolve", vec![note, at()])
        }
        "close" => Form::new("close", "Close for good…", "Close", vec![note()]),
        "reopen" => Form::new("reopen", "Open it again…", "Open it again", vec![note()]),
        "set-cause" => {
            let causes: Vec<_> = Cause::ALL.iter().map(ToString::to_string).collect();
            let cause = Field::new("cause", "What brought it about", same(&causes)).required();
            Form::new(
                "set-cause",
                "Set the cause…",
                "Set the cause",
                vec![cause.holding(view.cause.cause.as_str()), note()],
            )
        }
        "set-priority" => {
            let all: Vec<_> = Priority::ALL.iter().map(ToString::to_string).collect();
            let priority = Field::new("priority", "Priority", same(&all)).required();
            Form::new("set-priority", "Change the priority…", "Change the priority", vec![priority, note()])
        }
        "hand-over" => {
            let maker = offers.manufacturer.clone().unwrap_or_default();
            let maker = Field::new("maker", "Manufacturer", Kind::Choice(vec![(maker.clone(), maker)])).required();
            let reference = Field::new("reference", "His number for it", Kind::Line);
            Form::new("hand-over", "Hand over to the manufacturer…", "Hand over", vec![maker, reference, at()])
        }
        "manufacturer-answered" => {
            let with = Field::new("with_whom", "Who there", Kind::Line);
            Form::new("manufacturer-answered", "The manufacturer answered…", "Record it", vec![with, at()])
        }
        "expedite" => {
            let rider = Field::new("rider", "Rider", same(&offers.riders)).required();
            Form::new("expedite", "Buy a rider for this incident…", "Buy it", vec![rider, note()])
        }
        "merge" => {
            let into = Field::new("into", "The open incident that carries on, INC-7", Kind::Line).required();
            Form::new("merge", "Merge into another…", "Merge", vec![into, note()])
        }
        "dismiss" => {
            let reasons: Vec<_> = DismissReason::ALL.iter().map(ToString::to_string).collect();
            let reason = Field::new("reason", "Why it is none", same(&reasons)).required();
            Form::new("dismiss", "It is no incident…", "Dismiss", vec![reason, note()])
        }
        "dispute" => {
            let local = |at: Timestamp| words::local(at, zone);
            let items = offers.disputable.iter().rev();
            let items = items.map(|(item, what, at)| (item.to_string(), format!("{what}, {}", local(*at)))).collect();
            let item = Field::new("item", "What is not so", Kind::Choice(items)).required();
            Form::new(
                "dispute",
                "The client disputes…",
                "Record the dispute",
                vec![item, said("Why not, in his words")],
            )
        }
        "settle" => {
            let items: Vec<_> = offers.disputed.iter().map(ToString::to_string).collect();
            let item = Field::new("item", "Disputed fact", same(&items)).required();
            let outcomes: Vec<_> = DisputeOutcome::ALL.iter().map(ToString::to_string).collect();
            let outcome = Field::new("outcome", "How it ended", same(&outcomes)).required();
            Form::new("settle", "Settle the dispute…", "Settle", vec![item, outcome, note()])
        }
        _ => return None,
    };
    Some(form)
}

/// Every manner, those first that a clock is waiting for: a call may be logged though only a visit would satisfy.
pub(super) fn manners(view: &IncidentView) -> Vec<&'static str> {
    let is_awaited = |manner: &str| {
        let mut waiting = view.clocks.iter().filter(|clock| clock.satisfied_at.is_none());
        waiting.any(|clock| clock.manner.iter().any(|accepted| accepted == manner))
    };
    let mut manners: Vec<&str> = Manner::ALL.iter().map(|manner| manner.as_str()).collect();
    manners.sort_by_key(|manner| !is_awaited(manner));
    manners
}

impl Form {
    fn new(name: &'static str, title: &'static str, button: &'static str, fields: Vec<Field>) -> Self {
        Self { name, title, fields, button, is_open: false }
    }

    /// The same with what was typed, where it is the one that was sent.
    fn with(mut self, sent: Option<(&str, &Typed)>) -> Self {
        if let Some((_, typed)) = sent.filter(|(name, _)| *name == self.name) {
            self.is_open = true;
            for field in &mut self.fields {
                field.value = typed.field(field.name).to_owned();
            }
        }
        self
    }
}

impl Field {
    fn new(name: &'static str, label: &str, kind: Kind) -> Self {
        Self { name, label: label.to_owned(), kind, value: String::new(), is_required: false }
    }

    fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    fn holding(self, value: &str) -> Self {
        Self { value: value.to_owned(), ..self }
    }

    fn at(view: &IncidentView, zone: &str, now: Timestamp) -> Self {
        let earliest = words::civil(view.started_after.unwrap_or(view.started_by), zone);
        let label = format!("When, in {}; empty for now", words::zone_now(zone, now));
        Self::new("at", &label, Kind::Time { earliest, latest: words::civil(now, zone) })
    }
}

//! The commands that people give about one incident, and how they are read from words.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_agreement::{
    clock::{CancelReason, DisputeOutcome},
    words::{BookName, Manner, PauseReason, Priority},
};
use upheld_model::{Cause, ClientId, IncidentNumber};
use utoipa::ToSchema;

use super::{CommandError, words};

/// The longest name of a person.
const NAME_CHARS_MAX: usize = 200;

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// Acknowledge it and own it. Satisfies `acknowledge` only (F12).
    Acknowledge,
    /// A response fact (F12).
    Respond {
        /// How.
        manner: Manner,
        /// With whom, for a call.
        with_whom: Option<String>,
    },
    /// Acknowledge it and have somebody else own it.
    Assign {
        /// Whom.
        to: String,
    },
    /// Pause the clocks whose targets allow the reason (F4).
    Pause {
        /// A reason that the terms allow.
        reason: PauseReason,
    },
    /// End the pause.
    Resume,
    /// Write something down.
    Note,
    /// A workaround is in place.
    WorkedAround,
    /// Tell the client how it stands: one period of an "update every…" is kept.
    Update,
    /// Say that it is over.
    Resolve,
    /// Close the ticket for good.
    Close,
    /// Say that it is not over after all.
    Reopen,
    /// Make it a part of another open incident of the same client, which carries on.
    Merge {
        /// Which one.
        into: IncidentNumber,
    },
    /// Say that it is no incident.
    Dismiss {
        /// Why.
        reason: DismissReason,
    },
    /// Say what brought it about.
    SetCause {
        /// What.
        cause: Cause,
    },
    /// Give it another priority, whatever the matrix says (F3).
    SetPriority {
        /// Which.
        priority: Priority,
    },
    /// Hand it over to the manufacturer: his own clock begins.
    HandOver {
        /// Which; the one that the terms name when absent.
        maker: Option<BookName>,
        /// His number for it.
        reference: Option<String>,
    },
    /// The manufacturer answered.
    ManufacturerAnswered {
        /// Who there.
        with_whom: Option<String>,
    },
    /// Buy a rider for this incident alone.
    Expedite {
        /// Which.
        rider: BookName,
    },
    /// The client says that a pause, a cause or a resolution is not so (F13).
    Dispute {
        /// The number of the fact, as the timeline shows it; the last that can be disputed when absent.
        item: Option<u64>,
    },
    /// End a dispute.
    Settle {
        /// The number of the disputed fact; the only open dispute's when absent.
        item: Option<u64>,
        /// Who was right.
        outcome: DisputeOutcome,
    },
    /// The report of a visit is with the client.
    VisitReported,
    /// Somebody worked on it; made by [`crate::Desk::add_work`], which checks it.
    Work {
        /// Who.
        worker: String,
        /// How.
        manner: Manner,
        /// From when.
        from: Timestamp,
        /// Until when.
        to: Timestamp,
        /// The entry in whose place this one stands.
        corrects: Option<u64>,
    },
}

upheld_model::vocabulary!(
    /// Why something is no incident.
    DismissReason, "reason to dismiss", {
        /// Nothing was wrong.
        FalseAlarm = "false-alarm",
        /// It is there twice.
        Duplicate = "duplicate",
        /// The agreement does not cover it.
        NotCovered = "not-covered",
    }
);

impl DismissReason {
    /// What it is to the clocks.
    pub(super) fn cancels(self) -> CancelReason {
        match self {
            Self::FalseAlarm => CancelReason::FalseAlarm,
            Self::Duplicate => CancelReason::Duplicate,
            Self::NotCovered => CancelReason::NotCovered,
        }
    }
}

/// A command with what stands beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Which.
    pub command: Command,
    /// When it took effect; as it is given when absent. It may lie before that, never after.
    pub at: Option<Timestamp>,
    /// In the giver's words.
    pub note: Option<String>,
    /// The revision that its giver had seen: another one since then refuses the command.
    pub revision: Option<u64>,
}

impl Given {
    /// A command that takes effect as it is given.
    pub fn now(command: Command) -> Self {
        Self { command, at: None, note: None, revision: None }
    }
}

/// A command's fields as they are sent, by a form or in JSON; an empty one is an absent one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// When it took effect.
    #[serde(default, alias = "at")]
    pub effective_at: Option<Timestamp>,
    /// In the giver's words; `text` is the same.
    #[serde(default, alias = "text")]
    pub note: Option<String>,
    /// `phone`, `remote`, `on-site`.
    #[serde(default)]
    pub manner: Option<String>,
    /// With whom.
    #[serde(default)]
    pub with_whom: Option<String>,
    /// To whom.
    #[serde(default)]
    pub to: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// Into which incident: `INC-7`.
    #[serde(default)]
    pub into: Option<String>,
    /// What brought it about.
    #[serde(default)]
    pub cause: Option<String>,
    /// `P1` to `P5`.
    #[serde(default)]
    pub priority: Option<String>,
    /// The manufacturer.
    #[serde(default)]
    pub maker: Option<String>,
    /// Somebody's number for it.
    #[serde(default)]
    pub reference: Option<String>,
    /// The rider.
    #[serde(default)]
    pub rider: Option<String>,
    /// The number of a fact.
    #[serde(default)]
    pub item: Option<u64>,
    /// How a dispute ended.
    #[serde(default)]
    pub outcome: Option<String>,
}

impl Words {
    /// The command of this name about an incident of this client's; `Ok(None)` where no command has the name.
    pub fn read(self, name: &str, client: &ClientId) -> Result<Option<Given>, CommandError> {
        let command = match name {
            "acknowledge" | "take" => Command::Acknowledge,
            "respond" => Command::Respond {
                manner: word("manner", self.manner.as_deref(), Manner::ALL.iter().map(|manner| manner.as_str()))?,
                with_whom: said(self.with_whom.as_deref()),
            },
            "assign" => Command::Assign { to: person("to", self.to.as_deref())? },
            "pause" => Command::Pause { reason: named("reason", self.reason.as_deref(), "the reasons of the terms")? },
            "resume" => Command::Resume,
            "note" => Command::Note,
            "worked-around" => Command::WorkedAround,
            "update" => Command::Update,
            "resolve" => Command::Resolve,
            "close" => Command::Close,
            "reopen" => Command::Reopen,
            "merge" => Command::Merge { into: number(self.into.as_deref(), client)? },
            "dismiss" => Command::Dismiss {
                reason: word("reason", self.reason.as_deref(), DismissReason::ALL.iter().map(|known| known.as_str()))?,
            },
            "set-cause" => Command::SetCause {
                cause: word("cause", self.cause.as_deref(), Cause::ALL.iter().map(|known| known.as_str()))?,
            },
            "set-priority" => Command::SetPriority {
                priority: word("priority", self.priority.as_deref(), Priority::ALL.iter().map(|it| it.as_str()))?,
            },
            "hand-over" => Command::HandOver {
                maker: self.maker.as_deref().filter(|maker| !maker.trim().is_empty()).map(maker).transpose()?,
                reference: said(self.reference.as_deref()),
            },
            "manufacturer-answered" => Command::ManufacturerAnswered { with_whom: said(self.with_whom.as_deref()) },
            "expedite" => Command::Expedite { rider: named("rider", self.rider.as_deref(), "the riders of the book")? },
            "dispute" => Command::Dispute { item: self.item },
            "settle" => Command::Settle {
                item: self.item,
                outcome: word("outcome", self.outcome.as_deref(), DisputeOutcome::ALL.iter().map(|it| it.as_str()))?,
            },
            "visit-reported" => Command::VisitReported,
            _ => return Ok(None),
        };
        let note = said(self.note.as_deref());
        if note.is_none() && command.needs_words() {
            return Err(CommandError::Missing { field: "note", allowed: "a sentence".to_owned() });
        }
        Ok(Some(Given { command, at: self.effective_at, note, revision: None }))
    }
}

impl Command {
    /// Every command's name, as addresses and messages say it.
    pub const NAMES: &'static [&'static str] = &[
        "acknowledge",
        "respond",
        "assign",
        "pause",
        "resume",
        "note",
        "worked-around",
        "update",
        "resolve",
        "close",
        "reopen",
        "merge",
        "dismiss",
        "set-cause",
        "set-priority",
        "hand-over",
        "manufacturer-answered",
        "expedite",
        "dispute",
        "settle",
        "visit-reported",
    ];

    /// Whether it says nothing without its giver's words.
    pub fn needs_words(&self) -> bool {
        match self {
            Self::Pause { .. } | Self::Note | Self::Update | Self::Dispute { .. } => true,
            Self::Acknowledge
            | Self::Respond { .. }
            | Self::Assign { .. }
            | Self::Resume
            | Self::WorkedAround
            | Self::Resolve
            | Self::Close
            | Self::Reopen
            | Self::Merge { .. }
            | Self::Dismiss { .. }
            | Self::SetCause { .. }
            | Self::SetPriority { .. }
            | Self::HandOver { .. }
            | Self::ManufacturerAnswered { .. }
            | Self::Expedite { .. }
            | Self::Settle { .. }
            | Self::VisitReported
            | Self::Work { .. } => false,
        }
    }

    /// Its name: one of [`Command::NAMES`], or `work`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Respond { .. } => "respond",
            Self::Assign { .. } => "assign",
            Self::Pause { .. } => "pause",
            Self::Resume => "resume",
            Self::Note => "note",
            Self::WorkedAround => "worked-around",
            Self::Update => "update",
            Self::Resolve => "resolve",
            Self::Close => "close",
            Self::Reopen => "reopen",
            Self::Merge { .. } => "merge",
            Self::Dismiss { .. } => "dismiss",
            Self::SetCause { .. } => "set-cause",
            Self::SetPriority { .. } => "set-priority",
            Self::HandOver { .. } => "hand-over",
            Self::ManufacturerAnswered { .. } => "manufacturer-answered",
            Self::Expedite { .. } => "expedite",
            Self::Dispute { .. } => "dispute",
            Self::Settle { .. } => "settle",
            Self::VisitReported => "visit-reported",
            Self::Work { .. } => "work",
        }
    }
}

fn said(text: Option<&str>) -> Option<String> {
    text.map(words).filter(|text| !text.is_empty())
}

/// A person's name.
pub(super) fn person(field: &'static str, text: Option<&str>) -> Result<String, CommandError> {
    let name = said(text).ok_or(CommandError::Missing { field, allowed: "a name".to_owned() })?;
    if name.chars().count() > NAME_CHARS_MAX {
        let given = name.chars().take(80).collect();
        return Err(CommandError::NotAllowed {
            what: field,
            given,
            allowed: format!("1 to {NAME_CHARS_MAX} characters"),
        });
    }
    Ok(name)
}

/// A word of a closed vocabulary.
fn word<T: std::str::FromStr>(
    field: &'static str,
    text: Option<&str>,
    known: impl Iterator<Item = &'static str>,
) -> Result<T, CommandError> {
    let allowed = known.collect::<Vec<_>>().join(", ");
    named(field, text, &allowed)
}

fn named<T: std::str::FromStr>(field: &'static str, text: Option<&str>, allowed: &str) -> Result<T, CommandError> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| CommandError::Missing { field, allowed: allowed.to_owned() })?;
    text.parse().map_err(|_| CommandError::NotAllowed {
        what: field,
        given: words(&text.chars().take(80).collect::<String>()),
        allowed: allowed.to_owned(),
    })
}

fn maker(text: &str) -> Result<BookName, CommandError> {
    named("maker", Some(text), "the manufacturers of the book")
}

/// `INC-7`, or `northgate/INC-7` for an incident of northgate's.
fn number(text: Option<&str>, client: &ClientId) -> Result<IncidentNumber, CommandError> {
    let own = format!("{client}/");
    let bare = text.map(|text| text.trim().strip_prefix(&own).unwrap_or(text));
    named("into", bare, "an open incident of the same client, INC-7")
}

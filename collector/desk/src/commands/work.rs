//! Work for an incident: entered, corrected by a further entry, never rewritten (TERMS 2, rates).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use upheld_agreement::{rate, words::Manner};
use upheld_model::IncidentRef;

use super::{Command, CommandError, Given, words};
use crate::{
    Actor, Desk, DeskError, IncidentView, Scope,
    case::{Case, entry},
    views,
};

/// The longest single entry: longer is a slip of the date.
const WORK_MAX: SignedDuration = SignedDuration::from_hours(24 * 7);

/// An entry of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkEntry {
    /// Who worked.
    pub worker: String,
    /// How.
    pub manner: Manner,
    /// From when.
    pub from: Timestamp,
    /// Until when; the same instant takes the corrected entry back.
    pub to: Timestamp,
    /// The number of the entry in whose place this one stands.
    #[serde(default)]
    pub corrects: Option<u64>,
    /// A note.
    #[serde(default)]
    pub note: Option<String>,
}

impl Desk {
    /// Enters work, or corrects an entry.
    pub async fn add_work(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        work: WorkEntry,
        who: &Actor,
        now: Timestamp,
    ) -> Result<IncidentView, CommandError> {
        let WorkEntry { worker, manner, from, to, corrects, note } = work;
        let (from, to) = (crate::clock::stored(from), crate::clock::stored(to));
        let wrong = |effective_at, why| CommandError::Time { what: "work", effective_at, why };
        if to < from || (to == from && corrects.is_none()) {
            return Err(wrong(to, "it ends before it begins, or takes no time"));
        }
        if to > crate::clock::stored(now) {
            return Err(wrong(to, "it lies in the future: work is entered when it is done"));
        }
        if from.duration_until(to) > WORK_MAX {
            return Err(wrong(from, "one entry is at most seven days long"));
        }
        if let Some(corrects) = corrects {
            self.can_be_corrected(scope, incident, corrects, now).await?;
        }
        let worker = words(&worker);
        let given = Given {
            // A correction takes effect when it is made.
            at: corrects.is_none().then_some(to),
            note: note.map(|text| words(&text)),
            ..Given::now(Command::Work { worker, manner, from, to, corrects })
        };
        self.give(scope, incident, given, who, now).await
    }

    /// The entries of work of an incident.
    pub async fn work_of(&self, scope: &Scope, incident: &IncidentRef) -> Result<Vec<rate::Entry>, DeskError> {
        let (scope, incident) = (scope.clone(), incident.clone());
        self.store
            .read("desk.work_of", move |tx| {
                let case = Case::open(tx, views::find(tx, &scope, &incident)?)?;
                Ok(rate::entries(&entry::facts(&case.ledger)))
            })
            .await
    }

    /// Only an entry that stands can be corrected: a chain of corrections has one end.
    async fn can_be_corrected(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        number: u64,
        now: Timestamp,
    ) -> Result<(), CommandError> {
        self.note_denial(scope, incident, &Actor::Collector, now).await?;
        let entries = self.work_of(scope, incident).await?;
        let standing = || {
            let standing = entries.iter().filter(|entry| entry.is_charged()).map(|entry| entry.fact.to_string());
            let standing: Vec<String> = standing.collect();
            if standing.is_empty() { "none".to_owned() } else { standing.join(", ") }
        };
        if entries.iter().any(|entry| entry.fact == number && entry.is_charged()) {
            return Ok(());
        }
        Err(CommandError::NotAllowed { what: "entry to correct", given: number.to_string(), allowed: standing() })
    }
}

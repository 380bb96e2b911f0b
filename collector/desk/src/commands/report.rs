//! What a person reports: an incident of its own with the same terms and the same clock, or one more voice about an
//! asset that has an open one (DETECTION 4, TERMS F11).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use upheld_detection::incident::{Change, Desk as Begin, IncidentEffect, Who, report};
use upheld_model::{AssetId, ClientId, Digest, IncidentClass, SiteId};
use upheld_store::{ReadTx, Tx};
use utoipa::ToSchema;

use super::{CommandError, ask, command::person, words};
use crate::{
    Actor, Desk, DeskError, IncidentView, Scope, audit,
    book::CurrentBook,
    case::{self, Case, Deed},
    clock, random, views,
};

/// How far back a call may lie. Doubled, a slip of the pen is believed that much longer.
const CALLED_BEFORE_MAX: SignedDuration = SignedDuration::from_hours(31 * 24);

/// A problem as a person reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProblemReport {
    /// About which asset, where he says so.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub asset: Option<AssetId>,
    /// What is wrong, in his words.
    pub text: String,
    /// Who reports it.
    #[serde(default)]
    pub by: String,
    /// When he says he called; as it is entered when absent.
    #[serde(default)]
    pub called_at: Option<Timestamp>,
    /// What it is about; a request when absent.
    #[serde(default)]
    #[schema(schema_with = views::schema::optional_class)]
    pub class: Option<IncidentClass>,
    /// Whether it is an incident of its own although the asset has an open one.
    #[serde(default)]
    pub new: bool,
}

impl Desk {
    /// Enters a person's report. About an asset with an open incident it joins that one; else, or when it is said to be
    /// new, it is an incident of its own. Another client's site is as one that does not exist.
    pub async fn report_problem(
        &self,
        scope: &Scope,
        (client, site): (&ClientId, &SiteId),
        report: ProblemReport,
        who: &Actor,
        now: Timestamp,
    ) -> Result<IncidentView, CommandError> {
        let now = clock::stored(now);
        self.note_denied(scope, client, serde_json::json!(format!("{client}/{site}")), who, now).await?;
        let text = words(&report.text);
        if text.is_empty() {
            return Err(CommandError::Missing { field: "text", allowed: "what is wrong, in a sentence".to_owned() });
        }
        let by = person("by", Some(&report.by))?;
        let called_at = report.called_at.map_or(now, clock::stored);
        let entry = Entry {
            client: client.clone(),
            site: site.clone(),
            id: random::id("r-")?,
            report: ProblemReport { text, by, called_at: report.called_at.map(clock::stored), ..report },
            called_at,
            who: who.clone(),
            now,
        };
        let (scope, shared, once) = (scope.clone(), Arc::clone(&self.shared), self.once.clone());
        let view = self
            .store
            .write("desk.report_problem", move |tx| {
                let book = shared.books.current(&*tx)?;
                let known = book.book.site(&entry.client, &entry.site).filter(|_| scope.includes(&entry.client));
                let site = known.ok_or_else(|| DeskError::NoSuchPlace(format!("{}/{}", entry.client, entry.site)))?;
                if let Some(asset) = entry.report.asset.as_ref().filter(|asset| !site.assets.contains_key(*asset)) {
                    let there = site.assets.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                    return Err(CommandError::NotAllowed { what: "asset", given: asset.to_string(), allowed: there });
                }
                let case = match once {
                    Some(key) => entry.once(tx, &book, &key)?,
                    None => entry.enter(tx, &book)?,
                };
                views::incident_view(&*tx, &book, &case, now).map_err(CommandError::from)
            })
            .await?;
        self.shared.wake.all();
        Ok(view)
    }
}

/// A report on its way into the store.
struct Entry {
    client: ClientId,
    site: SiteId,
    id: String,
    report: ProblemReport,
    called_at: Timestamp,
    who: Actor,
    now: Timestamp,
}

impl Entry {
    /// Enters it once under this key of its giver's: the id follows from both, so that a repetition finds it.
    fn once(mut self, tx: &mut dyn Tx, book: &CurrentBook, key: &str) -> Result<Case, CommandError> {
        let asked = json!(["incident.reported", self.client, self.site, self.report]);
        let is_repeated = ask::is_repeated(tx, &self.who, key, &asked, self.now)?;
        let digest = Digest(Sha256::digest(json!([self.who.id(tx)?, key, asked]).to_string()).into());
        self.id = format!("r-{}", &digest.to_string()[..32]);
        let before = if is_repeated { self.entered(&*tx)? } else { None };
        match before {
            Some(case) => Ok(case),
            None => self.enter(tx, book),
        }
    }

    /// The incident into which it was entered before, whenever that was: the clock may have been set since.
    fn entered(&self, tx: &dyn ReadTx) -> Result<Option<Case>, CommandError> {
        for row in tx.incidents_of_site(&self.client, &self.site, Timestamp::MIN)? {
            let case = Case::open(tx, row)?;
            if case.ledger.iter().any(|entry| reported_as(entry.said.change.as_ref()) == Some(&self.id)) {
                return Ok(Some(case));
            }
        }
        Ok(None)
    }

    /// Enters it; a call in the future, or too far back, is refused.
    fn enter(self, tx: &mut dyn Tx, book: &CurrentBook) -> Result<Case, CommandError> {
        let impossible = |why| CommandError::Time { what: "incident.reported", effective_at: self.called_at, why };
        if self.called_at > self.now {
            return Err(impossible("it lies in the future"));
        }
        if self.now.duration_since(self.called_at) > CALLED_BEFORE_MAX {
            return Err(impossible("it lies more than 31 days back"));
        }
        let joined = if self.report.new { None } else { self.open_incident(&*tx)? };
        let (incident, begun) = match joined {
            Some(case) => (case.incident, false),
            None => (self.open(tx, book)?.incident, true),
        };
        let entered_by = Who::Person(self.who.id(tx)?);
        let effect = IncidentEffect {
            incident,
            change: Change::Reported { id: self.id.clone(), text: self.report.text.clone(), entered_by },
            desk: Begin::AsBefore,
            due_at: self.called_at,
            noticed_at: self.now,
        };
        let reporter = Actor::person(&self.report.by);
        let mut case = case::apply_as(tx, book, &effect, Deed { fact: None, who: reporter, note: None })?;
        if !begun {
            case.reported_before(tx, book, self.called_at, self.now)?;
        }
        let detail = json!({
            "incident": case.reference(),
            "report": self.id,
            "called_at": self.called_at,
            "is_new": begun,
        });
        audit::note(tx, self.now, &self.who, Some(&self.client), "incident.reported", &detail)?;
        Ok(case)
    }

    /// The oldest open incident in which the asset is.
    fn open_incident(&self, tx: &dyn ReadTx) -> Result<Option<Case>, CommandError> {
        let Some(asset) = &self.report.asset else { return Ok(None) };
        for row in tx.incidents_of_site(&self.client, &self.site, self.now)? {
            let case = Case::open(tx, row)?;
            let is_people_s = case.incident.is_open() && case.incident.is_ticketed();
            if is_people_s && case.incident.assets().contains(&asset) {
                return Ok(Some(case));
            }
        }
        Ok(None)
    }

    fn open(&self, tx: &mut dyn Tx, book: &CurrentBook) -> Result<Case, CommandError> {
        let effect = report::opened(&report::Report {
            id: self.id.clone(),
            client: self.client.clone(),
            site: self.site.clone(),
            asset: self.report.asset.clone(),
            class: self.report.class.unwrap_or(IncidentClass::Request),
            text: self.report.text.clone(),
            called_at: self.called_at,
            entered_at: self.now,
        });
        Ok(case::apply(tx, book, &effect)?)
    }
}

fn reported_as(change: Option<&Change>) -> Option<&String> {
    match change {
        Some(Change::Reported { id, .. }) => Some(id),
        Some(_) | None => None,
    }
}

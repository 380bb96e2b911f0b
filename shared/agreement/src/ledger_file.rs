//! Ledgers as lines of a file: what `what-if --ledger` reads and `--export-ledger` writes (TERMS 6).
//!
//! One JSON object a line, UTF-8. `is` says what a line is; without it a line is an incident. Keys that are not known
//! are ignored, blank lines too. The order of lines does not matter.
//!
//! | `is` | keys |
//! |---|---|
//! | `ledger` | `schema` = `upheld.ledger/1`, `as_of`: what is known as of when; at most one |
//! | `book` | `files`: path within the book → text: what was agreed, for the fee, credits and rates of the first column; at most one |
//! | `incident` | `incident`: its name; `query`: what the matcher is asked; `start`: the instants from which clocks count; `facts`: its ledger; `pinned`: the terms pinned to it, or null |
//! | `asset` | `client`, `site`, `asset`, `class`, `pieces`: its time without gaps, `maintenance`, `causes` |
//!
//! `query` is `{"client","site","asset","detected","class","kind","check"?,"affected"?}`; `detected` is an instant or a
//! pair of bounds; `affected` is `{"of_kind","of_kind_total"?,"critical_symptom"?}`, one asset when left out. Facts read
//! as the incident's ledger writes them. A line that does not read is an error with its number; nothing is guessed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::{AssetClass, AssetId, CheckName, ClientId, IncidentClass, IncidentKind, SiteId};

use crate::{
    availability::{AssetUptime, ExcludedSpan, Maintenance, Piece, Timeline},
    book::Files,
    clock::{ClockStart, Fact},
    matching::{Affected, Detected, MatchQuery},
    terms::PinnedTerms,
    what_if::PastIncident,
};

/// The name of the format and its version.
pub const SCHEMA: &str = "upheld.ledger/1";
/// The most bytes of one line: a book of 1,000 clients has some megabytes.
pub const LINE_BYTES_MAX: usize = 64 << 20;

/// One line.
#[derive(Debug, Clone)]
pub enum LedgerLine {
    /// As of when the file knows.
    Head {
        /// When.
        as_of: Timestamp,
    },
    /// What was agreed.
    Book {
        /// The book's files.
        files: Files,
    },
    /// An incident.
    Incident(Box<PastIncident>),
    /// An asset's time.
    Asset {
        /// Whose.
        client: ClientId,
        /// Its time.
        uptime: AssetUptime,
    },
}

/// Why a line does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is longer than is read.
    #[error("the line has {bytes} bytes, at most {LINE_BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is not such a line.
    #[error("not a line of a ledger: {0}")]
    NotALine(String),
    /// It is of another version of the format.
    #[error("the schema is {0:?}, and {SCHEMA:?} is read")]
    Schema(String),
}

impl LedgerLine {
    /// Reads a line that is not blank.
    pub fn read(text: &str) -> Result<Self, LineError> {
        if text.len() > LINE_BYTES_MAX {
            return Err(LineError::TooLong { bytes: text.len() });
        }
        let wrong = |error: serde_json::Error| LineError::NotALine(error.to_string());
        let kind: Kind = serde_json::from_str(text).map_err(wrong)?;
        Ok(match kind.is.unwrap_or(Is::Incident) {
            Is::Ledger => {
                let head: Head = serde_json::from_str(text).map_err(wrong)?;
                if head.schema != SCHEMA {
                    return Err(LineError::Schema(head.schema.chars().take(80).collect()));
                }
                Self::Head { as_of: head.as_of }
            }
            Is::Book => Self::Book { files: serde_json::from_str::<BookLine>(text).map_err(wrong)?.files },
            Is::Incident => {
                let incident: IncidentLine = serde_json::from_str(text).map_err(wrong)?;
                Self::Incident(Box::new(incident.into()))
            }
            Is::Asset => {
                let AssetLine { is: _, client, site, asset, class, pieces, maintenance, causes } =
                    serde_json::from_str(text).map_err(wrong)?;
                let timeline = Timeline::new(pieces).map_err(|error| LineError::NotALine(error.to_string()))?;
                Self::Asset { client, uptime: AssetUptime { site, asset, class, timeline, maintenance, causes } }
            }
        })
    }

    /// The line, without its end.
    pub fn write(&self) -> String {
        let written = match self {
            Self::Head { as_of } => {
                serde_json::to_string(&Head { is: Is::Ledger, schema: SCHEMA.to_owned(), as_of: *as_of })
            }
            Self::Book { files } => serde_json::to_string(&BookLine { is: Is::Book, files: files.clone() }),
            Self::Incident(incident) => serde_json::to_string(&IncidentLine::of(incident)),
            Self::Asset { client, uptime } => {
                let AssetUptime { site, asset, class, timeline, maintenance, causes } = uptime.clone();
                let (client, pieces) = (client.clone(), timeline.pieces().to_vec());
                serde_json::to_string(&AssetLine {
                    is: Is::Asset,
                    client,
                    site,
                    asset,
                    class,
                    pieces,
                    maintenance,
                    causes,
                })
            }
        };
        // Every key is a text and every number finite: there is nothing that JSON cannot say.
        written.unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Is {
    Ledger,
    Book,
    Incident,
    Asset,
}

#[derive(Deserialize)]
struct Kind {
    is: Option<Is>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    is: Is,
    schema: String,
    as_of: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct BookLine {
    is: Is,
    files: Files,
}

#[derive(Serialize, Deserialize)]
struct AssetLine {
    is: Is,
    client: ClientId,
    site: SiteId,
    asset: AssetId,
    class: AssetClass,
    pieces: Vec<Piece>,
    #[serde(default)]
    maintenance: Vec<Maintenance>,
    #[serde(default)]
    causes: Vec<ExcludedSpan>,
}

#[derive(Serialize, Deserialize)]
struct IncidentLine {
    #[serde(default = "incident")]
    is: Is,
    incident: String,
    query: QueryLine,
    start: ClockStart,
    #[serde(default)]
    facts: Vec<Fact>,
    #[serde(default)]
    pinned: Option<PinnedTerms>,
}

fn incident() -> Is {
    Is::Incident
}

#[derive(Serialize, Deserialize)]
struct QueryLine {
    client: ClientId,
    site: SiteId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asset: Option<AssetId>,
    detected: DetectedLine,
    class: IncidentClass,
    kind: IncidentKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    check: Option<CheckName>,
    #[serde(default)]
    affected: AffectedLine,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum DetectedLine {
    At(Timestamp),
    Between(Timestamp, Timestamp),
}

#[derive(Serialize, Deserialize)]
struct AffectedLine {
    of_kind: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of_kind_total: Option<u32>,
    #[serde(default)]
    critical_symptom: bool,
}

impl Default for AffectedLine {
    fn default() -> Self {
        let Affected { of_kind, of_kind_total, critical_symptom } = Affected::one();
        Self { of_kind, of_kind_total, critical_symptom }
    }
}

impl IncidentLine {
    fn of(incident: &PastIncident) -> Self {
        let PastIncident { name, query, start, facts, pinned } = incident.clone();
        let MatchQuery { client, site, asset, detected, class, kind, check, affected } = query;
        let detected = if detected.earliest == detected.latest {
            DetectedLine::At(detected.latest)
        } else {
            DetectedLine::Between(detected.earliest, detected.latest)
        };
        let Affected { of_kind, of_kind_total, critical_symptom } = affected;
        let affected = AffectedLine { of_kind, of_kind_total, critical_symptom };
        let query = QueryLine { client, site, asset, detected, class, kind, check, affected };
        Self { is: Is::Incident, incident: name, query, start, facts, pinned }
    }
}

impl From<IncidentLine> for PastIncident {
    fn from(line: IncidentLine) -> Self {
        let IncidentLine { is: _, incident, query, start, facts, pinned } = line;
        let QueryLine { client, site, asset, detected, class, kind, check, affected } = query;
        let detected = match detected {
            DetectedLine::At(at) => Detected::at(at),
            DetectedLine::Between(earliest, latest) => Detected { earliest, latest },
        };
        let AffectedLine { of_kind, of_kind_total, critical_symptom } = affected;
        let affected = Affected { of_kind, of_kind_total, critical_symptom };
        let query = MatchQuery { client, site, asset, detected, class, kind, check, affected };
        Self { name: incident, query, start, facts, pinned }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_by_hand_reads_with_everything_left_out_that_can_be() {
        let text = r#"{"incident":"acme/INC-1","query":{"client":"acme","site":"north","asset":"srv-1","detected":"2026-11-16T16:00:00Z","class":"service","kind":"down"},"start":{"detected":"2026-11-16T16:00:00Z","received":"2026-11-16T16:00:02Z"}}"#;
        let LedgerLine::Incident(incident) = LedgerLine::read(text).unwrap() else { panic!() };
        assert_eq!(
            (incident.name.as_str(), incident.query.affected, incident.pinned.is_none()),
            ("acme/INC-1", Affected::one(), true)
        );
        let written = LedgerLine::Incident(incident.clone()).write();
        let LedgerLine::Incident(again) = LedgerLine::read(&written).unwrap() else { panic!() };
        assert_eq!(format!("{again:?}"), format!("{incident:?}"));
    }

    #[test]
    fn what_is_no_line_is_said() {
        for (text, why) in [
            ("{", "not a line of a ledger"),
            (r#"{"is":"ticket"}"#, "unknown variant"),
            (r#"{"is":"ledger","schema":"upheld.ledger/9","as_of":"2026-11-16T16:00:00Z"}"#, "upheld.ledger/9"),
            (r#"{"incident":"a/INC-1"}"#, "missing field `query`"),
        ] {
            let refused = LedgerLine::read(text).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
        let gap = r#"{"is":"asset","client":"a","site":"n","asset":"s","class":"server","pieces":[{"from":"2026-11-16T16:00:00Z","to":"2026-11-16T17:00:00Z","state":{"is":"up"}},{"from":"2026-11-16T17:00:01Z","to":"2026-11-16T18:00:00Z","state":{"is":"down"}}]}"#;
        assert!(LedgerLine::read(gap).unwrap_err().to_string().contains("piece 1 begins at"));
    }
}

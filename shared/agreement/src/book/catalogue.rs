//! `catalogue.toml`: what an incident is, and how pressing. The first entry that matches wins.

use serde::Serialize;
use toml::{Spanned, de::DeTable};
use upheld_model::{AssetClass, CheckName, IncidentClass, IncidentKind};

use super::{
    fields::{Fields, Node, Read, Reading},
    scalar::PlainSeconds,
    source::{Located, Place},
};
use crate::words::{Category, Level, Manner};

/// The most entries: each is compared with those before it.
const ISSUES_MAX: usize = 2_000;

/// The issue catalogue, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Catalogue {
    /// Its entries.
    pub issues: Vec<IssueEntry>,
    /// Its file.
    #[serde(skip)]
    pub place: Place,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IssueEntry {
    /// `HW-07`.
    pub id: Located<String>,
    /// What people call it.
    pub name: String,
    /// Hardware, software or a request.
    pub category: Category,
    /// What it matches.
    pub matches: IssueMatch,
    /// How pressing it is.
    pub urgency: Level,
    /// How hard it is; a plan's factors hang on it.
    pub complexity: Option<Level>,
    /// How it is usually handled.
    pub manner: Option<Manner>,
    /// How long the work usually takes.
    pub service_time_s: Option<PlainSeconds>,
}

/// What an entry matches: all that is given must fit; an empty list fits everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IssueMatch {
    /// Classes of incidents.
    pub class: Vec<IncidentClass>,
    /// Kinds of incidents.
    pub kind: Vec<IncidentKind>,
    /// Names of checks.
    pub check: Vec<CheckName>,
    /// Classes of assets.
    pub asset: Vec<AssetClass>,
}

impl Catalogue {
    /// Stands in where `catalogue.toml` could not be read, so that reading goes on.
    pub(crate) fn empty() -> Self {
        Self { issues: Vec::new(), place: Place { file: "catalogue.toml".into(), from: 0, to: 0 } }
    }
}

impl IssueMatch {
    /// Whether it matches everything.
    pub fn is_catch_all(&self) -> bool {
        self.class.is_empty() && self.kind.is_empty() && self.check.is_empty() && self.asset.is_empty()
    }

    /// Whether an incident fits.
    pub fn fits(&self, class: IncidentClass, kind: IncidentKind, check: Option<&CheckName>, asset: AssetClass) -> bool {
        let check_fits = self.check.is_empty() || check.is_some_and(|check| self.check.contains(check));
        (self.class.is_empty() || self.class.contains(&class))
            && (self.kind.is_empty() || self.kind.contains(&kind))
            && (self.asset.is_empty() || self.asset.contains(&asset))
            && check_fits
    }
}

pub(crate) fn read(table: &Spanned<DeTable<'_>>, reading: &mut Reading<'_>) -> Option<Catalogue> {
    let place = reading.start_of_file();
    let mut fields = Fields::top(table, "the catalogue", reading);
    let issues = fields.list_up_to(ISSUES_MAX, "issue", reading);
    fields.finish(reading);
    Some(Catalogue { issues, place })
}

impl Read for IssueEntry {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "an issue", reading)?;
        let id = fields.required("id", reading);
        let name = fields.required("name", reading);
        let category = fields.required("category", reading);
        let matches = fields.required("match", reading);
        let urgency = fields.required("urgency", reading);
        let complexity = fields.optional("complexity", reading);
        let manner = fields.optional("manner", reading);
        let service_time_s = fields.optional("service_time", reading);
        fields.finish(reading);
        Some(Self {
            id: id?,
            name: name?,
            category: category?,
            matches: matches?,
            urgency: urgency?,
            complexity,
            manner,
            service_time_s,
        })
    }
}

impl Read for IssueMatch {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "what an issue matches", reading)?;
        let class = fields.list("class", reading);
        let kind = fields.list("kind", reading);
        let check = fields.list("check", reading);
        let asset = fields.list("asset", reading);
        fields.finish(reading);
        Some(Self { class, kind, check, asset })
    }
}

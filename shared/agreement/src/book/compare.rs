//! Two versions of a client's agreement in plain words: the sentences of `book explain` that go and come, and the terms
//! beside them. The versions may stand in one book or in two.

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use upheld_model::ClientId;

use super::{Agreement, Book, Client, Plan, Version};
use crate::explain;

/// One version of a client's agreement, in a book.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The book.
    pub book: &'a Book,
    /// Which version, from 1.
    pub version: u32,
}

/// How two versions differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionDiff {
    /// Whose.
    pub client: ClientId,
    /// His name.
    pub name: String,
    /// `SSA-2026-014 v1, from 1 Jan 2026`.
    pub before: String,
    /// `SSA-2026-014 v2, from 3 Nov 2026`.
    pub after: String,
    /// Sentences that hold no longer.
    pub gone: Vec<String>,
    /// Sentences that are new.
    pub new: Vec<String>,
    /// How many sentences stay as they are.
    pub same: usize,
    /// The terms that differ, whether a sentence says them or not.
    pub terms: Vec<String>,
}

/// Why two versions cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchVersion {
    /// The book has no such client.
    #[error("the book has no client `{client}`; it has {known}")]
    Client {
        /// The client.
        client: ClientId,
        /// The clients of the book.
        known: String,
    },
    /// He has no agreement.
    #[error("client `{client}` has no agreement")]
    Agreement {
        /// The client.
        client: ClientId,
    },
    /// The agreement has no version of this number.
    #[error("{agreement} has no version {version}; it has {known}")]
    Version {
        /// The agreement's number.
        agreement: String,
        /// The version that was asked for.
        version: u32,
        /// Those that it has.
        known: String,
    },
}

/// What changes from one version to the other.
pub fn versions(client: &ClientId, before: Side<'_>, after: Side<'_>) -> Result<VersionDiff, NoSuchVersion> {
    let (old, new) = (Found::of(client, before)?, Found::of(client, after)?);
    let (old_said, new_said) = (old.sentences(), new.sentences());
    let not_in = |these: &[String], others: &[String]| -> Vec<String> {
        these.iter().filter(|sentence| !others.contains(sentence)).cloned().collect()
    };
    let came = not_in(&new_said, &old_said);
    Ok(VersionDiff {
        client: client.clone(),
        name: new.client.name.clone(),
        before: old.label(),
        after: new.label(),
        gone: not_in(&old_said, &new_said),
        same: new_said.len() - came.len(),
        new: came,
        terms: old.terms_that_differ(&new),
    })
}

impl VersionDiff {
    /// Whether nothing of what is promised differs.
    pub fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.new.is_empty() && self.terms.is_empty()
    }

    /// What differs, a line each: `-` what holds no longer, `+` what is new, `*` terms.
    pub fn lines(&self) -> Vec<String> {
        let gone = self.gone.iter().map(|sentence| format!("- {sentence}"));
        let new = self.new.iter().map(|sentence| format!("+ {sentence}"));
        gone.chain(new).chain(self.terms.iter().map(|term| format!("* {term}"))).collect()
    }

    /// The difference for people, without a newline at its end.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("{}: {} → {}", self.name, self.before, self.after)];
        lines.extend(self.lines().iter().map(|line| format!("  {line}")));
        match (self.is_empty(), self.same) {
            (true, _) => lines.push("  nothing that is promised differs".to_owned()),
            (false, 1) => lines.push("  1 sentence stays as it is".to_owned()),
            (false, same) => lines.push(format!("  {same} sentences stay as they are")),
        }
        lines.join("\n")
    }
}

/// A version with what belongs to it.
struct Found<'a> {
    book: &'a Book,
    client: &'a Client,
    agreement: &'a Agreement,
    version: &'a Version,
}

impl<'a> Found<'a> {
    fn of(client: &ClientId, side: Side<'a>) -> Result<Self, NoSuchVersion> {
        let Side { book, version } = side;
        let found = book.client(client).ok_or_else(|| NoSuchVersion::Client {
            client: client.clone(),
            known: book.clients.keys().map(ClientId::as_str).collect::<Vec<_>>().join(", "),
        })?;
        let agreement = found.agreement.as_ref().ok_or_else(|| NoSuchVersion::Agreement { client: client.clone() })?;
        let known = || agreement.versions.iter().map(|known| known.number.to_string()).collect::<Vec<_>>().join(", ");
        let version = agreement
            .versions
            .iter()
            .find(|known| known.number == version)
            .ok_or_else(|| NoSuchVersion::Version { agreement: agreement.number.clone(), version, known: known() })?;
        Ok(Self { book, client: found, agreement, version })
    }

    fn label(&self) -> String {
        format!("{} v{}, from {}", self.agreement.number, self.version.number, day(self.book, self.version.from))
    }

    /// What `book explain` says of the version, sentence by sentence.
    fn sentences(&self) -> Vec<String> {
        match explain::plain(self.book, &self.client.id, self.version.from) {
            Ok(said) => {
                said.sections.into_iter().flat_map(|section| section.sentences).map(|sentence| sentence.text).collect()
            }
            // A version without a day in force: its terms are compared all the same.
            Err(_) => Vec::new(),
        }
    }

    fn plan(&self) -> Option<&'a Plan> {
        self.book.plans.get(&self.version.plan.value)
    }

    fn terms_that_differ(&self, new: &Self) -> Vec<String> {
        let mut terms = Vec::new();
        let mut differ = |what: &str, old: String, new: String| {
            if old != new {
                terms.push(format!("{what}: {old} → {new}"));
            }
        };
        let list = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        let riders = |of: &Self| list(of.version.riders.iter().map(|rider| rider.value.as_str()).collect());
        let sites = |of: &Self| list(of.version.sites.iter().map(|site| site.value.as_str()).collect());
        let left_out = |of: &Self| {
            let paths: Vec<String> =
                of.version.not_covered.iter().map(|path| format!("{}/{}", path.site, path.asset)).collect();
            list(paths.iter().map(String::as_str).collect())
        };
        let ends = |of: &Self| or_none(of.agreement.ends(of.version).map(|end| day(of.book, end)));
        differ("plan", self.version.plan.value.to_string(), new.version.plan.value.to_string());
        differ("riders", riders(self), riders(new));
        differ("sites", sites(self), sites(new));
        differ("not covered", left_out(self), left_out(new));
        let fee = |of: &Self| or_none(of.version.fee.map(|fee| fee.to_string()));
        differ("fee", fee(self), fee(new));
        let treatment = |of: &Self| of.version.open_incidents.to_string();
        differ("open incidents", treatment(self), treatment(new));
        if self.version.number == new.version.number {
            differ("in force until", ends(self), ends(new));
            differ("in force from", day(self.book, self.version.from), day(new.book, new.version.from));
        }
        terms.extend(self.plan().zip(new.plan()).into_iter().flat_map(|(old, new)| parts_that_differ(old, new)));
        if self.agreement.asset_terms != new.agreement.asset_terms {
            terms.push("what is agreed for single assets differs".to_owned());
        }
        if self.agreement.dispute_within_s != new.agreement.dispute_within_s {
            terms.push("the days within which the client may dispute differ".to_owned());
        }
        if self.book.catalogue != new.book.catalogue {
            terms.push("the issue catalogue differs: some incidents get another urgency".to_owned());
        }
        terms
    }
}

/// The parts of two plans that differ and that no sentence may say.
fn parts_that_differ(old: &Plan, new: &Plan) -> Vec<String> {
    let Plan {
        name: _,
        matrix,
        targets: _,
        modifiers,
        availability,
        credits,
        credit_limits,
        rates,
        included_hours,
        escalation,
        prevention,
        extends: _,
        place: _,
    } = old;
    [
        ("the priority matrix", *matrix != new.matrix),
        ("the factors by distance and complexity", *modifiers != new.modifiers),
        ("the objective of availability", *availability != new.availability),
        ("what is owed when a promise is not kept", *credits != new.credits || *credit_limits != new.credit_limits),
        ("the rates", *rates != new.rates || *included_hours != new.included_hours),
        ("the escalation", *escalation != new.escalation),
        ("prevention", *prevention != new.prevention),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(what, _)| format!("{what}: another than before"))
    .collect()
}

/// `3 Nov 2026`, in the provider's zone.
fn day(book: &Book, at: Timestamp) -> String {
    let zone = TimeZone::get(&book.provider.zone).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%-d %b %Y").to_string()
}

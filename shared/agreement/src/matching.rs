//! Finding the terms that hold for an incident (TERMS F1, F2): which version, which issue, which priority, which
//! targets, and why not others.
//!
//! The version is chosen by the instant of detection, never by "now". Exactly one version matches or the outcome has a
//! name ([`NoMatch`]); an incident without terms still opens, its clocks say "none promised". The result is
//! self-contained and is pinned to the incident. Nothing here reads a clock or changes the book.

use jiff::{Timestamp, tz::TimeZone};
use upheld_model::{AssetId, CheckName, ClientId, IncidentClass, IncidentKind, SiteId};

use crate::{
    book::{Agreement, Asset, Book, Client, Site, Version},
    terms::{PinnedTerms, Target, Why},
    words::{Level, OpenIncidents, Priority},
};

mod change;
mod favour;
mod issue;
mod pin;
mod targets;

use change::Asked;
pub use change::{CannotChange, Set, expedited, reprioritised};
pub(crate) use targets::in_words;

/// What is asked: an incident as detection describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchQuery {
    /// Whose.
    pub client: ClientId,
    /// Where.
    pub site: SiteId,
    /// The root asset; `None` where a person reports something about the site as a whole.
    pub asset: Option<AssetId>,
    /// When it was detected, within what can be known.
    pub detected: Detected,
    /// What it is about.
    pub class: IncidentClass,
    /// In what way something is wrong.
    pub kind: IncidentKind,
    /// The check that found it.
    pub check: Option<CheckName>,
    /// How much of the site it takes.
    pub affected: Affected,
}

/// The bounds of an instant: the agent's wall time corrected by the offset measured at upload is only as good as that
/// measurement (F1). Both are never later than received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detected {
    /// Not before.
    pub earliest: Timestamp,
    /// Not after.
    pub latest: Timestamp,
}

impl Detected {
    /// An instant that is known.
    pub fn at(at: Timestamp) -> Self {
        Self { earliest: at, latest: at }
    }
}

/// How many assets of the root asset's class at the site are affected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Affected {
    /// So many of them; at least the root asset itself.
    pub of_kind: u32,
    /// Of so many; as many as the book lists, when `None`.
    pub of_kind_total: Option<u32>,
    /// Whether an asset of high criticality is among the symptoms.
    pub critical_symptom: bool,
}

impl Affected {
    /// The root asset alone.
    pub fn one() -> Self {
        Self { of_kind: 1, of_kind_total: None, critical_symptom: false }
    }
}

/// Why no terms hold. Each has a name that is stored, shown and printed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoMatch {
    /// The client has no agreement, or is not in the book.
    #[error("`{client}` has no agreement")]
    NoAgreement {
        /// The client.
        client: ClientId,
    },
    /// No version of the agreement holds at that instant.
    #[error("no version of {agreement} is in force at {}", utc(at))]
    NotInForce {
        /// The agreement's number.
        agreement: String,
        /// The instant of detection.
        at: Timestamp,
    },
    /// The version does not name the site.
    #[error("{agreement} v{version} does not cover site `{site}`")]
    SiteNotCovered {
        /// The agreement's number.
        agreement: String,
        /// The version.
        version: u32,
        /// The site.
        site: SiteId,
    },
    /// The version leaves the asset out, or the site has no such asset.
    #[error("{agreement} v{version} does not cover asset `{site}/{asset}`")]
    AssetNotCovered {
        /// The agreement's number.
        agreement: String,
        /// The version.
        version: u32,
        /// The site.
        site: SiteId,
        /// The asset.
        asset: AssetId,
    },
    /// More than one version holds, which `book check` refuses.
    #[error(
        "versions {versions:?} of {agreement} are all in force at {}: `upheld-collector book check` says where",
        utc(at)
    )]
    Ambiguous {
        /// The agreement's number.
        agreement: String,
        /// The versions.
        versions: Vec<u32>,
        /// The instant of detection.
        at: Timestamp,
    },
    /// A part of the book is missing that `book check` would have missed too.
    #[error("{agreement} v{version} names the plan `{plan}`, which the book does not have")]
    PlanMissing {
        /// The agreement's number.
        agreement: String,
        /// The version.
        version: u32,
        /// The plan.
        plan: String,
    },
}

impl NoMatch {
    /// The refusal's name: `no-agreement`, `not-in-force`, …
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoAgreement { .. } => "no-agreement",
            Self::NotInForce { .. } => "not-in-force",
            Self::SiteNotCovered { .. } => "site-not-covered",
            Self::AssetNotCovered { .. } => "asset-not-covered",
            Self::Ambiguous { .. } => "ambiguous",
            Self::PlanMissing { .. } => "plan-missing",
        }
    }
}

/// The terms for an incident. Where the uncertainty of its detection straddles an amendment, the version with the
/// earlier due holds, because that is the one more favourable to the client.
pub fn resolve(book: &Book, query: &MatchQuery) -> Result<PinnedTerms, NoMatch> {
    let found = candidates(book, query)?;
    let asked = Asked::default();
    let pinned = found.iter().map(|candidate| pin::pin(book, query, candidate, &asked)).collect::<Vec<_>>();
    let terms = favour::most_favourable(book, pinned, query)?;
    Ok(amended(book, query, terms))
}

/// Pinned terms with the amendments that act on open incidents (F2), as the book has them. [`resolve`] has asked it; who
/// stores terms asks it again when the book changes. Versions that do not cover the asset leave the incident its terms.
/// What a person set, and what was bought for the incident, holds under them too.
pub fn amended(book: &Book, query: &MatchQuery, terms: PinnedTerms) -> PinnedTerms {
    let Some((client, agreement)) = book.client(&query.client).and_then(|it| Some((it, it.agreement.as_ref()?))) else {
        return terms;
    };
    let ended_at = ended_at(book, client);
    let acting = agreement.versions.iter().filter(|version| {
        version.open_incidents != OpenIncidents::Pin
            && version.from > query.detected.latest.max(terms.in_force_from)
            && ended_at.is_none_or(|ended_at| version.from < ended_at)
    });
    let asked = Asked::of(&terms);
    let amendments = acting
        .filter_map(|version| {
            let version = asked.with_riders(version);
            pin::pin(book, query, &covered(client, agreement, &version, query), &asked).ok()
        })
        .map(|mut amendment| {
            let what = format!(
                "amended by v{} from {} on ({}); opened under v{}",
                amendment.version,
                moment(book, amendment.in_force_from),
                amendment.open_incidents,
                terms.version
            );
            amendment.explanation.because.insert(0, Why::because(what));
            amendment
        })
        .collect();
    PinnedTerms { amendments, ..terms }
}

/// What a version promises at a site, for issues of a complexity and a priority: as [`resolve`] pins it. Nothing, where the
/// site has no asset that an incident could be about.
pub(crate) fn promised(
    book: &Book,
    client: &Client,
    version: &Version,
    site: &Site,
    complexity: Option<Level>,
    priority: Priority,
) -> Vec<Target> {
    let asset = site.assets.values().next();
    match (&client.agreement, asset, book.plans.get(&version.plan.value)) {
        (Some(agreement), Some(asset), Some(plan)) => {
            let candidate = Candidate { client, agreement, version, site, asset: Some(asset) };
            targets::targets(book, plan, &candidate, complexity, priority).0
        }
        (_, _, _) => Vec::new(),
    }
}

/// A version that may hold, with what it covers looked up.
pub(crate) struct Candidate<'a> {
    pub(crate) client: &'a Client,
    pub(crate) agreement: &'a Agreement,
    pub(crate) version: &'a Version,
    pub(crate) site: &'a Site,
    pub(crate) asset: Option<&'a Asset>,
}

/// The versions in force within the bounds of detection: one, or those on both sides of an amendment.
fn candidates<'a>(book: &'a Book, query: &MatchQuery) -> Result<Vec<Result<Candidate<'a>, NoMatch>>, NoMatch> {
    let none = || NoMatch::NoAgreement { client: query.client.clone() };
    let client = book.client(&query.client).ok_or_else(none)?;
    let agreement = client.agreement.as_ref().ok_or_else(none)?;
    let Detected { earliest, latest } = query.detected;
    // Every amendment within the bounds is a side that detection may have been on.
    let changes =
        agreement.versions.iter().map(|version| version.from).filter(|from| (earliest..=latest).contains(from));
    let mut instants: Vec<Timestamp> = [earliest, latest].into_iter().chain(changes).collect();
    instants.sort();
    instants.dedup();
    // A client who has ceased to be one is promised nothing more, whatever his versions say.
    let ended_at = ended_at(book, client);
    instants.retain(|at| ended_at.is_none_or(|ended_at| *at < ended_at));
    let mut versions: Vec<&Version> = Vec::new();
    for at in instants {
        let in_force: Vec<&Version> = agreement.in_force(at).collect();
        if in_force.len() > 1 {
            let versions = in_force.iter().map(|version| version.number).collect();
            return Err(NoMatch::Ambiguous { agreement: agreement.number.clone(), versions, at });
        }
        for version in in_force {
            if !versions.iter().any(|known| known.number == version.number) {
                versions.push(version);
            }
        }
    }
    if versions.is_empty() {
        return Err(NoMatch::NotInForce { agreement: agreement.number.clone(), at: latest });
    }
    Ok(versions.into_iter().map(|version| covered(client, agreement, version, query)).collect())
}

/// An instant inside a reason, in the zone in which the book's dates are read: `2026-11-03 00:00:00 CST`.
fn moment(book: &Book, at: Timestamp) -> String {
    let zone = TimeZone::get(&book.provider.zone).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// An instant inside a refusal, which knows no book: `2026-11-03 06:00:00 UTC`.
fn utc(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// 00:00 of the day on which the client ceased to be one, in the provider's zone.
fn ended_at(book: &Book, client: &Client) -> Option<Timestamp> {
    let zone = TimeZone::get(&book.provider.zone).ok()?;
    Some(client.ended?.to_zoned(zone).ok()?.timestamp())
}

/// A version with what it covers looked up, or the refusal.
fn covered<'a>(
    client: &'a Client,
    agreement: &'a Agreement,
    version: &'a Version,
    query: &MatchQuery,
) -> Result<Candidate<'a>, NoMatch> {
    let named = version.sites.iter().any(|site| site.value == query.site);
    let site = client.sites.get(&query.site).filter(|_| named).ok_or_else(|| NoMatch::SiteNotCovered {
        agreement: agreement.number.clone(),
        version: version.number,
        site: query.site.clone(),
    })?;
    let is_left_out =
        |asset: &AssetId| version.not_covered.iter().any(|path| path.site == query.site && path.asset == *asset);
    let asset = query.asset.as_ref().map(|asset| {
        site.assets.get(asset).filter(|_| !is_left_out(asset)).ok_or_else(|| NoMatch::AssetNotCovered {
            agreement: agreement.number.clone(),
            version: version.number,
            site: query.site.clone(),
            asset: asset.clone(),
        })
    });
    let asset = asset.transpose()?;
    Ok(Candidate { client, agreement, version, site, asset })
}

//! Terms that change while their incident is open (F3): another priority, or a rider bought for it alone.
//!
//! The version stays the one that was pinned: what changes is which of its targets hold. The result is complete, is put
//! into the ledger as [`crate::clock::FactKind::TermsChanged`], and takes effect when that fact does.

use jiff::Timestamp;
use upheld_model::ClientId;

use super::{Candidate, MatchQuery, NoMatch, amended, covered, pin};
use crate::{
    book::{Book, Version},
    terms::{Expedited, Input, Inputs, PinnedTerms, SetBy, Why},
    words::{BookName, Level, Priority},
};

/// What a person sets. The rest stays as it was set or found before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Set {
    /// What the incident does to the site.
    pub impact: Option<Level>,
    /// How pressing it is for the client.
    pub urgency: Option<Level>,
    /// How hard it is.
    pub complexity: Option<Level>,
    /// The priority, whatever the matrix says.
    pub priority: Option<Priority>,
}

/// Why terms cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotChange {
    /// The pinned version gives no terms any more.
    #[error(transparent)]
    NoMatch(#[from] NoMatch),
    /// The book says something else under the number of the pinned version.
    #[error("the book's {version} is not the one that was pinned: `upheld-collector book check` says what differs")]
    VersionDiffers {
        /// `SSA-2026-014 v2`.
        version: String,
    },
    /// No such rider.
    #[error("the book has no rider `{rider}`; it has {known}")]
    NoSuchRider {
        /// The name.
        rider: BookName,
        /// Those that it has.
        known: String,
    },
    /// The incident has it already.
    #[error("`{rider}` holds for the incident already")]
    HasRider {
        /// The rider.
        rider: BookName,
    },
}

/// The terms under another impact, urgency, complexity or priority, set by somebody.
pub fn reprioritised(
    book: &Book,
    query: &MatchQuery,
    pinned: &PinnedTerms,
    set: Set,
    who: &str,
) -> Result<PinnedTerms, CannotChange> {
    let mut asked = Asked::of(pinned);
    let by = |level: Level| (level, who.to_owned());
    asked.impact = set.impact.map(by).or(asked.impact);
    asked.urgency = set.urgency.map(by).or(asked.urgency);
    asked.complexity = set.complexity.map(by).or(asked.complexity);
    asked.priority = set.priority.map(|priority| (priority, who.to_owned())).or(asked.priority);
    let mut terms = again(book, query, pinned, &asked)?;
    let what = format!("priority {}, before {}: changed by {who}", terms.priority, pinned.priority);
    terms.explanation.because.insert(0, Why::because(what));
    Ok(terms)
}

/// The terms with a rider bought for this incident alone, from an instant on.
pub fn expedited(
    book: &Book,
    query: &MatchQuery,
    pinned: &PinnedTerms,
    rider: &BookName,
    from: Timestamp,
    who: &str,
) -> Result<PinnedTerms, CannotChange> {
    let Some(bought) = book.riders.get(rider) else {
        let known: Vec<&str> = book.riders.keys().map(BookName::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(CannotChange::NoSuchRider { rider: rider.clone(), known });
    };
    if pinned.riders.contains(rider) {
        return Err(CannotChange::HasRider { rider: rider.clone() });
    }
    let mut asked = Asked::of(pinned);
    asked.expedited.push(Expedited { rider: rider.clone(), price: bought.price, from, who: who.to_owned() });
    let mut terms = again(book, query, pinned, &asked)?;
    let what = format!("{} was bought for this incident by {who}: it lengthens no target", bought.name);
    terms.explanation.because.insert(0, Why::because(what).at(format!("plans/{rider}.toml")));
    Ok(terms)
}

/// The pinned version once more, as it is asked for.
fn again(book: &Book, query: &MatchQuery, pinned: &PinnedTerms, asked: &Asked) -> Result<PinnedTerms, CannotChange> {
    let differs = || CannotChange::VersionDiffers { version: pinned.version_label() };
    let (client, agreement) = of(book, &query.client)?;
    let mut summaries = book.versions_of(client).into_iter();
    let is_pinned = summaries.any(|summary| (summary.version, summary.hash) == (pinned.version, pinned.version_hash));
    let version = agreement.versions.iter().find(|version| version.number == pinned.version && is_pinned);
    let version = asked.with_riders(version.ok_or_else(differs)?);
    let candidate: Result<Candidate<'_>, NoMatch> = covered(client, agreement, &version, query);
    Ok(amended(book, query, pin::pin(book, query, &candidate, asked)?))
}

fn of<'a>(book: &'a Book, client: &ClientId) -> Result<(&'a crate::book::Client, &'a crate::book::Agreement), NoMatch> {
    let found = book.client(client).and_then(|found| Some((found, found.agreement.as_ref()?)));
    found.ok_or_else(|| NoMatch::NoAgreement { client: client.clone() })
}

/// What people have set and bought so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) impact: Option<(Level, String)>,
    pub(super) urgency: Option<(Level, String)>,
    pub(super) complexity: Option<(Level, String)>,
    pub(super) priority: Option<(Priority, String)>,
    pub(super) expedited: Vec<Expedited>,
}

impl Asked {
    pub(super) fn of(pinned: &PinnedTerms) -> Self {
        let expedited = pinned.expedited.clone();
        let Some(Inputs { impact, urgency, priority, complexity, distance: _ }) = &pinned.inputs else {
            return Self { expedited, ..Self::default() };
        };
        Self {
            impact: by_person(impact),
            urgency: by_person(urgency),
            complexity: complexity.as_ref().and_then(by_person),
            priority: by_person(priority),
            expedited,
        }
    }

    /// A version with the riders that were bought for the incident.
    pub(super) fn with_riders(&self, version: &Version) -> Version {
        let mut version = version.clone();
        for Expedited { rider, .. } in &self.expedited {
            if !version.riders.iter().any(|known| known.value == *rider) {
                let place = version.place.clone();
                version.riders.push(crate::book::Located { value: rider.clone(), place });
            }
        }
        version
    }
}

fn by_person<T: Copy>(input: &Input<T>) -> Option<(T, String)> {
    match &input.by {
        SetBy::Person { who } => Some((input.value, who.clone())),
        SetBy::Book { .. } => None,
    }
}

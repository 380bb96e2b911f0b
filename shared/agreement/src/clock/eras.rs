//! The terms that an incident meets in its life: those it was opened under, then amendments of the agreement (F2) and
//! changes for it alone (F3).

use jiff::Timestamp;

use super::{
    Promised,
    ledger::{Fact, FactKind, TermsChange},
};
use crate::{amendment::AmendMode, terms::PinnedTerms, words::Stage};

/// Terms that take over from an instant on.
#[derive(Debug, Clone)]
pub(super) struct Amendment {
    pub(super) at: Timestamp,
    pub(super) how: How,
    pub(super) promised: Vec<Promised>,
}

/// How terms meet a clock that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// They take the place of those before.
    Instead(AmendMode),
    /// They stand beside those before: a rider that was bought for the incident, counted from when it was bought.
    Beside,
}

/// Where terms come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// They were pinned when the incident was opened.
    Opening,
    /// The amendment of that index among the pinned terms.
    Amendment(usize),
    /// The fact of that number, or an amendment of the terms that it holds.
    Change { fact: u64, amendment: Option<usize> },
}

impl Origin {
    /// The terms themselves.
    pub(crate) fn terms<'a>(self, pinned: &'a PinnedTerms, facts: &'a [Fact]) -> &'a PinnedTerms {
        let of = |terms: &'a PinnedTerms, amendment: usize| terms.amendments.get(amendment).unwrap_or(terms);
        match self {
            Self::Opening => pinned,
            Self::Amendment(amendment) => of(pinned, amendment),
            Self::Change { fact, amendment } => {
                let changed =
                    facts.iter().find(|known| known.number == fact).and_then(|known| known.kind.changed_terms());
                let changed = changed.unwrap_or(pinned);
                amendment.map_or(changed, |amendment| of(changed, amendment))
            }
        }
    }
}

/// Terms that take over, as they are written.
pub(crate) struct Era<'a> {
    pub(crate) at: Timestamp,
    pub(super) how: How,
    pub(crate) origin: Origin,
    pub(crate) terms: &'a PinnedTerms,
}

/// What takes over from the pinned terms, ascending; `facts` in effective order.
///
/// A change brings the amendments that it was resolved with: from then on those of the terms before it do not act.
pub(crate) fn eras<'a>(pinned: &'a PinnedTerms, facts: &'a [Fact]) -> Vec<Era<'a>> {
    let mut found = Vec::new();
    let (mut holder, mut since, mut change) = (pinned, None, None);
    for fact in facts {
        let FactKind::TermsChanged { why, terms } = &fact.kind else { continue };
        let at = fact.effective_at;
        found.extend(amendments(holder, change).filter(|era| since < Some(era.at) && era.at < at));
        (holder, since, change) = (terms, Some(at), Some(fact.number));
        let in_effect = amendments(holder, change).take_while(|era| era.at <= at).last();
        let (origin, terms) = match in_effect {
            Some(era) => (era.origin, era.terms),
            None => (Origin::Change { fact: fact.number, amendment: None }, holder),
        };
        let how = match why {
            TermsChange::Priority | TermsChange::Merge => How::Instead(AmendMode::CarryElapsed),
            TermsChange::Expedite => How::Beside,
        };
        found.push(Era { at, how, origin, terms });
    }
    found.extend(amendments(holder, change).filter(|era| since < Some(era.at)));
    found
}

fn amendments(holder: &PinnedTerms, change: Option<u64>) -> impl Iterator<Item = Era<'_>> {
    holder.amendments.iter().enumerate().map(move |(index, terms)| Era {
        at: terms.in_force_from,
        how: How::Instead(terms.open_incidents.into()),
        origin: match change {
            None => Origin::Amendment(index),
            Some(fact) => Origin::Change { fact, amendment: Some(index) },
        },
        terms,
    })
}

/// The terms that somebody who changes them starts from: the last that were changed, or the pinned ones.
pub fn current_terms<'a>(pinned: &'a PinnedTerms, facts: &'a [Fact]) -> &'a PinnedTerms {
    let changes = facts.iter().filter_map(|fact| Some(((fact.effective_at, fact.number), fact.kind.changed_terms()?)));
    changes.max_by_key(|(at, _)| *at).map_or(pinned, |(_, terms)| terms)
}

impl Amendment {
    /// What it promises for a stage.
    pub(super) fn own(&self, stage: Stage) -> impl Iterator<Item = &Promised> {
        self.promised.iter().filter(move |promised| promised.target.stage == stage)
    }
}

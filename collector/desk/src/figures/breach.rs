//! What is owed when an incident's promises are missed, in the agreement's own sentences (TERMS 2).

use jiff::Timestamp;
use upheld_agreement::{
    book::CreditWhen,
    explain::{Claim, plain},
    words::Stage,
};

use crate::{book::CurrentBook, case::Case, views::ClockView};

/// The sentences of the version in force that bear on this incident: what each late promise is worth, then downtime,
/// then how far all of it goes. A month's availability is the client's page's. None where it is over, or where nothing is promised.
pub(crate) fn owed_if_missed(book: &CurrentBook, case: &Case, clocks: &[ClockView], now: Timestamp) -> Vec<String> {
    if !case.incident.is_open() || clocks.is_empty() {
        return Vec::new();
    }
    let Ok(agreement) = plain(&book.book, &case.incident.client, now) else { return Vec::new() };
    let runs = |stage: Stage| clocks.iter().any(|clock| clock.stage == stage.as_str() && clock.satisfied_at.is_none());
    let has_asset = case.incident.root.asset().is_some();
    let (mut said, mut limits) = (Vec::new(), Vec::new());
    for sentence in agreement.sections.into_iter().flat_map(|section| section.sentences) {
        match sentence.claim {
            Some(Claim::Credit(credit)) => match credit.tier.when {
                CreditWhen::Missed(stage) if runs(stage) => said.insert(0, sentence.text),
                CreditWhen::DowntimeAbove(_) if has_asset => said.push(sentence.text),
                CreditWhen::Missed(_) | CreditWhen::DowntimeAbove(_) | CreditWhen::AvailabilityBelow(_) => {}
            },
            Some(Claim::Cap(_)) => limits.push(sentence.text),
            Some(_) | None => {}
        }
    }
    if said.is_empty() {
        return vec!["The agreement names no credit for a late promise.".to_owned()];
    }
    said.extend(limits);
    said
}

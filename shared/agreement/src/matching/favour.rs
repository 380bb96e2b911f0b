//! F1: where the uncertainty of detection straddles an amendment, the version more favourable to the client holds.

use jiff::Timestamp;

use super::{MatchQuery, NoMatch, moment};
use crate::{
    book::Book,
    clock::{Clock, ClockStart},
    terms::{PinnedTerms, Why},
    words::Stage,
};

/// The one with the earlier due. Terms are always more favourable than none; of two refusals the first is the answer.
pub(super) fn most_favourable(
    book: &Book,
    found: Vec<Result<PinnedTerms, NoMatch>>,
    query: &MatchQuery,
) -> Result<PinnedTerms, NoMatch> {
    let is_straddled = found.len() > 1;
    let mut best: Option<Result<PinnedTerms, NoMatch>> = None;
    for terms in found {
        best = Some(match (best, terms) {
            (None, terms) | (Some(Err(_)), terms @ Ok(_)) => terms,
            (Some(Ok(best)), Ok(terms)) => Ok(if dues(&terms, query) < dues(&best, query) { terms } else { best }),
            (Some(best), Err(_)) => best,
        });
    }
    // `candidates` gives at least one version or a refusal of its own.
    let best = best.unwrap_or_else(|| Err(NoMatch::NoAgreement { client: query.client.clone() }));
    best.map(|mut terms| {
        if is_straddled {
            let what = format!(
                "v{} is more favourable to the client: detection cannot be told apart from an amendment between {} and {}, and its due is the earlier one",
                terms.version, moment(book, query.detected.earliest), moment(book, query.detected.latest)
            );
            terms.explanation.because.insert(0, Why::because(what));
        }
        terms
    })
}

/// The due of each stage for a clock that starts when detection was at the latest, the response first. A stage without
/// a due sorts last.
fn dues(terms: &PinnedTerms, query: &MatchQuery) -> Vec<Timestamp> {
    let start = ClockStart::new(query.detected.latest, query.detected.latest);
    let order = [Stage::Respond, Stage::Resolve, Stage::OnSite, Stage::Workaround, Stage::Acknowledge, Stage::Update];
    order
        .into_iter()
        .map(|stage| {
            let clock = Clock::replay(terms, stage, &start, &[]).ok();
            clock.and_then(|clock| clock.view(query.detected.latest).due.instant()).unwrap_or(Timestamp::MAX)
        })
        .collect()
}

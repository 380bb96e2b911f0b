//! Why each clock is due when it is, as the page draws it: the same cells and sentences as the text.

use upheld_agreement::explain::{Cells, Explanation};
use upheld_desk::{IncidentView, views::Explained};

use super::plot::{self, Plot};
use crate::words;

/// Rows of one clock on the page; the text beneath has them all.
const ROWS: usize = 60;

/// One clock's explanation.
pub(super) struct Why {
    /// What the address's fragment calls it: `why-respond`.
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) headline: String,
    pub(super) plot: Option<Plot>,
    pub(super) rows: Vec<WhyRow>,
    /// Rows that are not drawn.
    pub(super) hidden: usize,
    pub(super) notes: Vec<String>,
}

/// One stretch of time, or the line between what was and what is to come.
pub(super) enum WhyRow {
    Stretch { cells: Cells, look: &'static str },
    Divider(&'static str),
}

/// One line of why these terms.
pub(super) struct Reason {
    /// How deep it stands below what it is a reason for, at most 4.
    pub(super) depth: usize,
    pub(super) text: String,
}

/// One for each clock, in the order of the page's clocks.
pub(super) fn of(view: &IncidentView, explained: &Explained) -> Vec<Why> {
    let place = |explanation: &&Explanation| {
        view.clocks.iter().position(|clock| clock.stage == explanation.stage().as_str()).unwrap_or(usize::MAX)
    };
    let mut ordered: Vec<&Explanation> = explained.clocks.iter().collect();
    ordered.sort_by_key(place);
    ordered.into_iter().map(Why::of).collect()
}

impl Why {
    fn of(explanation: &Explanation) -> Self {
        let hidden = explanation.rows.len().saturating_sub(ROWS);
        let divided_at = explanation.rows.iter().position(|row| !row.is_past);
        let mut rows = Vec::new();
        for (index, (row, cells)) in explanation.rows.iter().zip(explanation.cells()).enumerate().skip(hidden) {
            if divided_at == Some(index) {
                rows.push(WhyRow::Divider(explanation.divider()));
            }
            let look = match (row.counted_s > 0, row.is_past) {
                (true, true) => "counts",
                (true, false) => "will",
                (false, _) => "stands",
            };
            rows.push(WhyRow::Stretch { cells, look });
        }
        Self {
            id: id(explanation.stage().as_str()),
            name: explanation.name(),
            headline: explanation.headline(),
            plot: plot::of(explanation, &id(explanation.stage().as_str())),
            rows,
            hidden,
            notes: explanation.notes(),
        }
    }
}

/// Each promise that holds, and where it is written.
pub(super) fn rules(explained: &Explained) -> Vec<(String, String)> {
    let of = |clock: &Explanation| {
        let beside = clock.beside.iter().map(|beside| (words::sentence(&beside.rule), beside.source.clone()));
        std::iter::once((words::sentence(&clock.rule), clock.source.clone())).chain(beside).collect::<Vec<_>>()
    };
    explained.clocks.iter().flat_map(of).collect()
}

/// The fragment under which a stage's explanation stands.
pub(super) fn id(stage: &str) -> String {
    format!("why-{stage}")
}

/// The tree of reasons from its indented lines.
pub(super) fn reasons(lines: &[String]) -> Vec<Reason> {
    let reason = |line: &String| {
        let text = line.trim_start();
        Reason { depth: ((line.len() - text.len()) / 2).min(4), text: text.to_owned() }
    };
    lines.iter().map(reason).collect()
}

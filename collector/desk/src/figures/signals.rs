//! What was seen around an incident: how each check that bears on it stood over 24 hours, gap-free, from the facts that are
//! stored. What nobody knows is said as such.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use upheld_detection::uptime::{Piece, Span, Status};
use upheld_model::{AssetId, CheckId, IncidentRef};

use super::uptime::of_checks;
use crate::{Desk, DeskError, Scope, book::CurrentBook, case::Case, said, views};

/// How much is shown.
const SHOWN: SignedDuration = SignedDuration::from_hours(24);
/// What is over is shown up to this long after it was restored.
const AFTERWARDS: SignedDuration = SignedDuration::from_hours(1);
/// More checks than these are no picture any more.
const CHECKS_MAX: usize = 8;

/// What was seen over a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signals {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// The checks: of the incident's own assets first, then of what they hang on.
    pub signals: Vec<Signal>,
    /// How many checks bear on it and are not shown.
    pub hidden: usize,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signal {
    /// Which.
    pub check: CheckId,
    /// The finding, in words: `down since Mon 16:10 CST`.
    pub said: String,
    /// Its time, in order and without gaps.
    pub stretches: Vec<Stretch>,
}

/// A stretch of one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// `up`, `degraded`, `down` or `unknown`.
    pub state: &'static str,
    /// Why nobody knows.
    pub why: Option<String>,
}

impl Desk {
    /// What was seen around an incident in the 24 hours before `now`, or before it was long over.
    pub async fn signals(&self, scope: &Scope, incident: &IncidentRef, now: Timestamp) -> Result<Signals, DeskError> {
        let (scope, incident, shared) = (scope.clone(), incident.clone(), Arc::clone(&self.shared));
        self.store
            .read("desk.signals", move |tx| {
                let book = shared.books.current(tx)?;
                let case = Case::open(tx, views::find(tx, &scope, &incident)?)?;
                let over = case.incident.restored.and_then(|at| at.saturating_add(AFTERWARDS).ok());
                let to = over.map_or(now, |over| over.min(now));
                let span = Span { from: to.saturating_sub(SHOWN).unwrap_or(to), to };
                let wanted = bearing(&book, &case);
                let known = of_checks(tx, &book, (&case.incident.client, &case.incident.site), span, now)?;
                let zone = book.book.site(&case.incident.client, &case.incident.site).map_or("UTC", |site| &site.zone);
                let all: Vec<Signal> = wanted
                    .into_iter()
                    .filter_map(|check| {
                        let pieces = known.get(&check)?;
                        Some(Signal { said: in_words(pieces, span, zone, now), stretches: stretches(pieces), check })
                    })
                    .collect();
                let hidden = all.len().saturating_sub(CHECKS_MAX);
                let signals = all.into_iter().take(CHECKS_MAX).collect();
                Ok(Signals { from: span.from, to: span.to, signals, hidden })
            })
            .await
    }
}

/// The checks that bear on a case: the one that opened it, those of its assets, those of what they hang on.
fn bearing(book: &CurrentBook, case: &Case) -> Vec<CheckId> {
    let incident = &case.incident;
    let Some(site) = book.book.site(&incident.client, &incident.site) else { return Vec::new() };
    let mut assets: Vec<&AssetId> = incident.root.asset().into_iter().chain(incident.assets()).collect();
    let own = assets.clone();
    let edges = own.into_iter().filter_map(|asset| site.assets.get(asset)).flat_map(|asset| &asset.edges);
    assets.extend(edges.map(|edge| &edge.to.value));
    let checks = assets.into_iter().filter_map(|asset| site.assets.get(asset)).flat_map(|asset| &asset.checks);
    let mut wanted: Vec<CheckId> = incident.root.check().cloned().into_iter().collect();
    for check in checks {
        if !wanted.contains(&check.id) {
            wanted.push(check.id.clone());
        }
    }
    wanted
}

fn stretches(pieces: &[Piece]) -> Vec<Stretch> {
    let stretch = |piece: &Piece| {
        let (state, why) = match piece.status {
            Status::Up => ("up", None),
            Status::Degraded => ("degraded", None),
            Status::Down => ("down", None),
            Status::Unknown { reason } => ("unknown", Some(reason.to_string())),
        };
        Stretch { from: piece.span.from, to: piece.span.to, state, why }
    };
    pieces.iter().map(stretch).collect()
}

/// The finding of one strip.
fn in_words(pieces: &[Piece], span: Span, zone: &str, now: Timestamp) -> String {
    let of = |wanted: fn(&Status) -> bool| {
        let seconds = |piece: &&Piece| piece.span.from.duration_until(piece.span.to).as_secs().max(0).unsigned_abs();
        let those: Vec<&Piece> = pieces.iter().filter(|piece| wanted(&piece.status)).collect();
        (those.len(), those.iter().map(seconds).sum::<u64>())
    };
    let word = |status: &Status| match status {
        Status::Up => "up",
        Status::Degraded => "degraded",
        Status::Down => "down",
        Status::Unknown { .. } => "nobody knows",
    };
    let Some(last) = pieces.last() else { return "nobody knows".to_owned() };
    let mut said = if last.span.from <= span.from {
        format!("{} all the time", word(&last.status))
    } else {
        format!("{} since {}", word(&last.status), said::local_short(last.span.from, zone, now))
    };
    let downs = of(|status| matches!(status, Status::Down));
    if downs.0 > 0 && !matches!(last.status, Status::Down) {
        said.push_str(&format!(", down {} in all", said::two_units(downs.1)));
    }
    let unknown = of(|status| matches!(status, Status::Unknown { .. }));
    if unknown.0 > 0 && !matches!(last.status, Status::Unknown { .. }) {
        said.push_str(&format!(", nobody knows of {}", said::two_units(unknown.1)));
    }
    said
}

#[cfg(test)]
mod tests {
    use upheld_model::UnknownReason;

    use super::*;

    #[test]
    fn a_strip_says_how_it_ends_and_what_was_before() {
        let at = |minute: i64| Timestamp::from_second(1_763_300_000 + minute * 60).unwrap();
        let piece = |from, to, status| Piece { span: Span { from: at(from), to: at(to) }, status };
        let said = |pieces: &[Piece]| in_words(pieces, Span { from: at(0), to: at(100) }, "UTC", at(100));
        assert_eq!(said(&[piece(0, 100, Status::Up)]), "up all the time");
        let unknown = Status::Unknown { reason: UnknownReason::AgentSilent };
        let mixed = [piece(0, 10, Status::Down), piece(10, 40, unknown), piece(40, 100, Status::Up)];
        assert_eq!(said(&mixed), "up since 14:13:20 UTC, down 10 min in all, nobody knows of 30 min");
        assert_eq!(said(&[piece(0, 90, Status::Up), piece(90, 100, Status::Down)]), "down since 15:03:20 UTC");
        assert_eq!(said(&[]), "nobody knows");
    }
}

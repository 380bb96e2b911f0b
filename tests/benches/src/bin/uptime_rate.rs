//! A year's uptime of a client with 500 assets and of one with ten times as many: seconds, and the exponent.
//!
//! Each asset has three checks with a year of changes, findings, degraded stretches and silences; it is parted into
//! gap-free pieces and measured against the objective inside office hours with a holiday list. The facts are made
//! beforehand: they come from the store.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use upheld_agreement::{
    availability::{AssetUptime, Piece, Rules, Seen, Timeline, UnknownWhy},
    book::{AvailabilityPer, CountsAs},
    calendar::{Calendar, CalendarDef, Hours, Weekly},
    ratio::Ratio,
};
use upheld_benches::median;
use upheld_detection::uptime::{CheckHistory, Span, Status, partition};
use upheld_model::{AssetClass, UnknownReason, finding::CheckState};

const ASSETS: usize = 500;
const YEAR_S: i64 = 365 * 86_400;
const ROUNDS: usize = 5;

fn main() {
    let from = Timestamp::from_second(1_767_225_600).expect("the first of January 2026");
    let period = Span { from, to: from + SignedDuration::from_secs(YEAR_S) };
    let rules = rules();
    let mut seconds = Vec::new();
    for assets in [ASSETS, ASSETS * 10] {
        let facts: Vec<[CheckHistory; 3]> = (0..assets).map(|asset| of_asset(asset, from)).collect();
        let rounds = (0..ROUNDS).map(|_| {
            let began = Instant::now();
            let measured: Vec<AssetUptime> =
                facts.iter().enumerate().map(|(asset, checks)| uptime(asset, period, checks)).collect();
            let figures = rules.measure(period.from, period.to, &measured);
            let took = began.elapsed().as_secs_f64();
            assert_eq!(figures.len(), assets, "one figure an asset");
            let all: u64 = measured.iter().map(|asset| asset.timeline.sums(period.from, period.to).total_s()).sum();
            assert_eq!(all, YEAR_S.unsigned_abs() * assets as u64, "every asset's parts sum to the year");
            took
        });
        let took = median(rounds.collect());
        println!("{assets:>6} assets, a year: {:8.1} ms", took * 1000.0);
        seconds.push(took);
    }
    if let [small, large] = seconds.as_slice() {
        println!("exponent of ten times as many: {:.2}", (large / small).log10());
    }
}

/// A failure every nine days or so, each with its suspicion before and its recovery after; a silence a month, a
/// degraded hour a week.
fn of_asset(asset: usize, from: Timestamp) -> [CheckHistory; 3] {
    std::array::from_fn(|check| {
        let at = |second: i64| from + SignedDuration::from_secs(second);
        let shift = i64::try_from(asset * 131 + check * 7_919).unwrap_or(0) % 86_400;
        let mut history = CheckHistory { changes: vec![(at(-60), CheckState::Ok)], ..CheckHistory::default() };
        for day in (3..365).step_by(9) {
            let begins = day * 86_400 + shift;
            history.changes.extend([
                (at(begins), CheckState::Suspect),
                (at(begins + 4), CheckState::Failed),
                (at(begins + 600), CheckState::Recovering),
                (at(begins + 610), CheckState::Ok),
            ]);
            history.down.push(Span { from: at(begins), to: at(begins + 600) });
        }
        for week in 0..52 {
            let begins = week * 7 * 86_400 + shift + 40_000;
            history.degraded.push(Span { from: at(begins), to: at(begins + 3_600) });
        }
        for month in 0..12 {
            let begins = month * 30 * 86_400 + shift + 70_000;
            history.unwatched.push((Span { from: at(begins), to: at(begins + 1_200) }, UnknownReason::AgentSilent));
        }
        history
    })
}

fn uptime(asset: usize, period: Span, checks: &[CheckHistory; 3]) -> AssetUptime {
    let pieces = partition(period, checks).into_iter().map(|piece| Piece {
        from: piece.span.from,
        to: piece.span.to,
        state: match piece.status {
            Status::Up => Seen::Up,
            Status::Degraded => Seen::Degraded,
            Status::Down => Seen::Down,
            Status::Unknown { reason: _ } => Seen::Unknown(UnknownWhy::AgentSilent),
        },
    });
    AssetUptime {
        site: format!("site-{}", asset / 50).parse().expect("a name"),
        asset: format!("srv-{asset}").parse().expect("a name"),
        class: AssetClass::Server,
        timeline: Timeline::new(pieces.collect()).expect("pieces that touch"),
        maintenance: Vec::new(),
        causes: Vec::new(),
    }
}

fn rules() -> Rules {
    let office = || vec![Hours("08:00".to_owned(), "18:00".to_owned())];
    let weekly =
        Weekly { mon: office(), tue: office(), wed: office(), thu: office(), fri: office(), ..Weekly::default() };
    let def = CalendarDef { tz: "America/Chicago".to_owned(), weekly, ..CalendarDef::default() };
    Rules {
        objective: Ratio::percent("99.5%").expect("a percentage"),
        per: AvailabilityPer::Asset,
        class: Vec::new(),
        coverage: Calendar::compile(&def).expect("a calendar"),
        exclude: Vec::new(),
        maintenance_notice_s: 0,
        unknown: CountsAs::Exclude,
        degraded: CountsAs::AsUp,
        not_proven_above: None,
    }
}

//! Availability case files (TERMS 8, F8). One JSON case a line, one JSON answer a line.
//!
//! Readings of the page, where it leaves a choice. The denominator is `counted_s = up_s + down_s`: what is neither
//! excluded nor unknown. So `counted_s + unknown_s + excluded_s` is the period, and `as_up` or `as_down` leave
//! `unknown_s` at 0 by moving those seconds into `up_s` or `down_s`, from where they count. The availability is
//! `up_s/counted_s`, not reduced, and null when nothing counted. How degraded and unknown were treated is printed.
//! Without `coverage` the whole period is covered; with an empty list nothing is. Of two states at one second the one
//! written last holds. What lies outside `[0, period_s)` is cut off.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::cases::{Answered, LINE_BYTES_MAX, id_of, is_object, line, refused};

/// Answers one line: `{"counted_s","up_s","down_s","unknown_s","excluded_s","availability"}`, or `error`.
pub fn answer_line(text: &str) -> Answered {
    let id = id_of(text);
    match UptimeCase::read(text).and_then(|case| case.count().map(|uptime| (case, uptime))) {
        Ok((case, uptime)) => line(&uptime_line(id, &case, uptime)),
        Err(error) => refused(id, &error),
    }
}

/// A period, what was seen in it, and how the agreement counts it. All times are seconds since its beginning.
#[derive(Debug, Clone, Deserialize)]
pub struct UptimeCase {
    /// How long the period is.
    pub period_s: u64,
    /// From when which state held; before the first it is [`UptimeState::None`].
    #[serde(default)]
    pub states: Vec<(i64, UptimeState)>,
    /// Agreed maintenance: leaves both sides of the fraction.
    #[serde(default)]
    pub maintenance: Vec<(i64, i64)>,
    /// The hours in which availability is measured; `None` for all.
    #[serde(default)]
    pub coverage: Option<Vec<(i64, i64)>>,
    /// How the formula treats unknown.
    #[serde(default)]
    pub unknown: UnknownAs,
    /// How the formula treats degraded.
    #[serde(default)]
    pub degraded: DegradedAs,
}

/// What was known of the asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UptimeState {
    /// It worked.
    Up,
    /// It worked in part.
    Degraded,
    /// It did not work.
    Down,
    /// Nobody knows: never shown as up.
    Unknown,
    /// Not yet monitored: unknown.
    None,
}

/// How the formula treats seconds of which nobody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownAs {
    /// They leave both sides of the fraction.
    #[default]
    Exclude,
    /// As up.
    AsUp,
    /// As down.
    AsDown,
}

/// How the formula treats degraded seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DegradedAs {
    /// As up.
    #[default]
    AsUp,
    /// As down.
    AsDown,
}

/// A period in seconds: the parts sum up to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uptime {
    /// Up, as the formula counts.
    pub up_s: u64,
    /// Down, as the formula counts.
    pub down_s: u64,
    /// Unknown, where the formula excludes it.
    pub unknown_s: u64,
    /// Maintenance, or outside coverage.
    pub excluded_s: u64,
}

/// A period in seconds as it was seen, before any formula: the parts sum up to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// It worked.
    pub up_s: u64,
    /// It worked in part.
    pub degraded_s: u64,
    /// It did not work.
    pub down_s: u64,
    /// Nobody knows.
    pub unknown_s: u64,
    /// Maintenance, or outside coverage.
    pub excluded_s: u64,
}

impl Uptime {
    /// The denominator.
    pub fn counted_s(&self) -> u64 {
        self.up_s + self.down_s
    }
}

/// Why a case is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UptimeError {
    /// The line is longer than is read.
    #[error("the line has {bytes} bytes, at most {LINE_BYTES_MAX} are read")]
    LineTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The line is not JSON, or not such a case.
    #[error("not a case: {0}")]
    NotACase(String),
    /// The period does not fit a signed number.
    #[error("period_s is {period_s}, at most {} is allowed", i64::MAX)]
    PeriodTooLong {
        /// As written.
        period_s: u64,
    },
    /// A window ends before it begins.
    #[error("{key}[{index}] ends before it begins")]
    WindowBackwards {
        /// `maintenance` or `coverage`.
        key: &'static str,
        /// Which one.
        index: usize,
    },
}

impl UptimeCase {
    /// Parses one line.
    pub fn read(text: &str) -> Result<Self, UptimeError> {
        if text.len() > LINE_BYTES_MAX {
            return Err(UptimeError::LineTooLong { bytes: text.len() });
        }
        if !is_object(text) {
            return Err(UptimeError::NotACase("expected a JSON object".to_owned()));
        }
        serde_json::from_str(text).map_err(|error| UptimeError::NotACase(error.to_string()))
    }

    /// Counts every second of the period once, as the agreement says.
    pub fn count(&self) -> Result<Uptime, UptimeError> {
        Ok(self.tally()?.counted(self.unknown, self.degraded))
    }

    /// Counts every second of the period once, as it was seen.
    pub fn tally(&self) -> Result<Tally, UptimeError> {
        let period_s = self.period_s;
        let period = i64::try_from(period_s).map_err(|_| UptimeError::PeriodTooLong { period_s })?;
        // A stable sort by the time written: of those before the period the latest holds at its beginning.
        let mut states = self.states.clone();
        states.sort_by_key(|(at, _)| *at);
        let mut changes: Vec<_> =
            states.into_iter().map(|(at, state)| (at.clamp(0, period), Change::State(state))).collect();
        changes
            .extend(windows("maintenance", &self.maintenance, period)?.map(|(at, by)| (at, Change::Maintenance(by))));
        match &self.coverage {
            Some(coverage) => {
                changes.extend(windows("coverage", coverage, period)?.map(|(at, by)| (at, Change::Coverage(by))));
            }
            None => changes.push((0, Change::Coverage(1))),
        }
        changes.sort_by_key(|(at, _)| *at);
        Ok(Self::sweep(&changes, period))
    }

    fn sweep(changes: &[(i64, Change)], period: i64) -> Tally {
        let mut tally = Tally::default();
        let (mut state, mut maintenance, mut coverage, mut reached) = (UptimeState::None, 0, 0, 0);
        for (at, change) in changes.iter().copied().chain([(period, Change::State(UptimeState::None))]) {
            let is_excluded = maintenance > 0 || coverage == 0;
            *tally.share(state, is_excluded) += at.abs_diff(reached);
            reached = at;
            match change {
                Change::State(next) => state = next,
                Change::Maintenance(by) => maintenance += by,
                Change::Coverage(by) => coverage += by,
            }
        }
        tally
    }
}

impl Tally {
    /// Where a second of that state belongs.
    fn share(&mut self, state: UptimeState, is_excluded: bool) -> &mut u64 {
        if is_excluded {
            return &mut self.excluded_s;
        }
        match state {
            UptimeState::Up => &mut self.up_s,
            UptimeState::Degraded => &mut self.degraded_s,
            UptimeState::Down => &mut self.down_s,
            UptimeState::Unknown | UptimeState::None => &mut self.unknown_s,
        }
    }

    /// The same seconds as a formula counts them (F8).
    pub fn counted(&self, unknown: UnknownAs, degraded: DegradedAs) -> Uptime {
        let Self { up_s, degraded_s, down_s, unknown_s, excluded_s } = *self;
        let mut uptime = Uptime { up_s, down_s, unknown_s: 0, excluded_s };
        match degraded {
            DegradedAs::AsUp => uptime.up_s += degraded_s,
            DegradedAs::AsDown => uptime.down_s += degraded_s,
        }
        match unknown {
            UnknownAs::Exclude => uptime.unknown_s = unknown_s,
            UnknownAs::AsUp => uptime.up_s += unknown_s,
            UnknownAs::AsDown => uptime.down_s += unknown_s,
        }
        uptime
    }
}

#[derive(Debug, Clone, Copy)]
enum Change {
    State(UptimeState),
    /// One window more or less; they may overlap.
    Maintenance(i64),
    Coverage(i64),
}

fn windows<'w>(
    key: &'static str,
    windows: &'w [(i64, i64)],
    period: i64,
) -> Result<impl Iterator<Item = (i64, i64)> + 'w, UptimeError> {
    match windows.iter().position(|(from, to)| to < from) {
        Some(index) => Err(UptimeError::WindowBackwards { key, index }),
        None => {
            Ok(windows.iter().flat_map(move |(from, to)| [((*from).clamp(0, period), 1), ((*to).clamp(0, period), -1)]))
        }
    }
}

#[derive(Serialize)]
struct UptimeLine<'l> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'l RawValue>,
    counted_s: u64,
    up_s: u64,
    down_s: u64,
    unknown_s: u64,
    excluded_s: u64,
    availability: Option<String>,
    unknown: UnknownAs,
    degraded: DegradedAs,
}

fn uptime_line<'l>(id: Option<&'l RawValue>, case: &UptimeCase, uptime: Uptime) -> UptimeLine<'l> {
    let counted_s = uptime.counted_s();
    let Uptime { up_s, down_s, unknown_s, excluded_s } = uptime;
    let availability = (counted_s > 0).then(|| format!("{up_s}/{counted_s}"));
    let UptimeCase { unknown, degraded, .. } = *case;
    UptimeLine { id, counted_s, up_s, down_s, unknown_s, excluded_s, availability, unknown, degraded }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn ask(case: Value) -> Value {
        let answered = answer_line(&case.to_string());
        let answer: Value = serde_json::from_str(&answered.json).unwrap();
        assert_eq!(answer.get("error").is_some(), answered.is_error, "{answer}");
        answer
    }

    /// counted, up, down, unknown, excluded, availability.
    fn figures(case: Value) -> (Value, Value) {
        let answer = ask(case);
        let seconds = ["counted_s", "up_s", "down_s", "unknown_s", "excluded_s"].map(|key| answer[key].clone());
        (json!(seconds), answer["availability"].clone())
    }

    #[test]
    fn the_fraction_is_exact_and_not_reduced() {
        let case = json!({"id": "u", "period_s": 3600, "states": [[0, "up"], [1800, "down"]], "maintenance": [],
            "coverage": [[0, 3600]], "unknown": "exclude", "degraded": "as_up"});
        let expected = json!({"id": "u", "counted_s": 3600, "up_s": 1800, "down_s": 1800, "unknown_s": 0,
            "excluded_s": 0, "availability": "1800/3600", "unknown": "exclude", "degraded": "as_up"});
        assert_eq!(ask(case), expected);
    }

    #[test]
    fn unknown_is_not_up_unless_the_formula_says_so() {
        let case = |unknown| json!({"period_s": 100, "states": [[20, "up"], [60, "unknown"], [70, "down"]], "unknown": unknown});
        assert_eq!(figures(case("exclude")), (json!([70, 40, 30, 30, 0]), json!("40/70")));
        assert_eq!(figures(case("as_up")), (json!([100, 70, 30, 0, 0]), json!("70/100")));
        assert_eq!(figures(case("as_down")), (json!([100, 40, 60, 0, 0]), json!("40/100")));
    }

    #[test]
    fn degraded_counts_as_the_agreement_says() {
        let states = json!([[0, "degraded"], [30, "up"]]);
        let of = |degraded| figures(json!({"period_s": 100, "states": states, "degraded": degraded}));
        assert_eq!(of("as_up"), (json!([100, 100, 0, 0, 0]), json!("100/100")));
        assert_eq!(of("as_down"), (json!([100, 70, 30, 0, 0]), json!("70/100")));
        assert_eq!(ask(json!({"period_s": 1}))["degraded"], json!("as_up"));
    }

    #[test]
    fn maintenance_and_uncovered_time_leave_both_sides() {
        let case = json!({"period_s": 100, "states": [[0, "up"], [40, "down"]],
            "maintenance": [[45, 60], [-10, 5], [50, 70], [90, 500]], "coverage": [[60, 95], [10, 65], [20, 30], [300, 400]]});
        // Covered 10-95; maintained 0-5, 45-70, 90-100: counted 10-45 and 70-90.
        assert_eq!(figures(case), (json!([55, 30, 25, 0, 45]), json!("30/55")));
    }

    #[test]
    fn nothing_counted_has_no_availability() {
        let states = json!([[0, "up"]]);
        assert_eq!(
            figures(json!({"period_s": 50, "states": states, "coverage": []})),
            (json!([0, 0, 0, 0, 50]), Value::Null)
        );
        assert_eq!(figures(json!({"period_s": 0, "states": states})), (json!([0, 0, 0, 0, 0]), Value::Null));
        assert_eq!(figures(json!({"period_s": 50})), (json!([0, 0, 0, 50, 0]), Value::Null));
    }

    #[test]
    fn states_may_come_in_any_order_and_from_before_the_period() {
        let case =
            json!({"period_s": 100, "states": [[60, "down"], [-5, "up"], [-9, "down"], [200, "down"], [80, "none"]]});
        assert_eq!(figures(case), (json!([80, 60, 20, 20, 0]), json!("60/80")));
        let twice = json!({"period_s": 10, "states": [[0, "up"], [0, "down"]]});
        assert_eq!(figures(twice), (json!([10, 0, 10, 0, 0]), json!("0/10")));
    }

    #[test]
    fn a_bad_line_is_answered_in_place() {
        for case in [
            json!({"id": 3, "period_s": -1}),
            json!({"id": 3}),
            json!({"id": 3, "period_s": 1.5}),
            json!({"id": 3, "period_s": 10, "states": [[0, "broken"]]}),
            json!({"id": 3, "period_s": 10, "unknown": "ignore"}),
            json!({"id": 3, "period_s": 10, "maintenance": [[5, 1]]}),
            json!({"id": 3, "period_s": u64::MAX}),
        ] {
            let answer = ask(case);
            assert_eq!((&answer["id"], answer["error"].is_string()), (&json!(3), true), "{answer}");
        }
        assert!(answer_line("nonsense").is_error);
    }

    /// One case for each thing that a page leaves to the reader's care; every figure by hand.
    #[test]
    fn cases_by_hand() {
        let all = |value: Value| figures(value);
        for (case, seconds, availability) in [
            // Windows that touch, overlap and repeat are their union: 10-40 maintained.
            (
                json!({"period_s": 100, "states": [[0, "up"]], "maintenance": [[10, 30], [20, 40], [20, 40], [30, 30], [40, 40]]}),
                json!([70, 70, 0, 0, 30]),
                json!("70/70"),
            ),
            // A gap in coverage with an outage across its edge: covered 0-30 and 60-100, down 20-70.
            (
                json!({"period_s": 100, "states": [[0, "up"], [20, "down"], [70, "up"]], "coverage": [[60, 100], [0, 30]]}),
                json!([70, 50, 20, 0, 30]),
                json!("50/70"),
            ),
            // Before the first state nothing was monitored: unknown, and not up.
            (json!({"period_s": 100, "states": [[90, "up"]]}), json!([10, 10, 0, 90, 0]), json!("10/10")),
            (
                json!({"period_s": 100, "states": [[90, "up"]], "unknown": "as_up"}),
                json!([100, 100, 0, 0, 0]),
                json!("100/100"),
            ),
            (
                json!({"period_s": 100, "states": [[90, "up"]], "unknown": "as_down"}),
                json!([100, 10, 90, 0, 0]),
                json!("10/100"),
            ),
            // None is unknown too, and treated like it.
            (
                json!({"period_s": 60, "states": [[0, "up"], [20, "none"], [40, "unknown"]], "unknown": "as_down"}),
                json!([60, 20, 40, 0, 0]),
                json!("20/60"),
            ),
            // Excluded unknown is excluded, whatever the formula makes of unknown.
            (
                json!({"period_s": 60, "maintenance": [[0, 20]], "unknown": "as_up"}),
                json!([40, 40, 0, 0, 20]),
                json!("40/40"),
            ),
            // Degraded and unknown at once, each treated for itself.
            (
                json!({"period_s": 40, "states": [[0, "degraded"], [10, "unknown"], [20, "down"], [30, "up"]], "unknown": "as_up", "degraded": "as_down"}),
                json!([40, 20, 20, 0, 0]),
                json!("20/40"),
            ),
            // Of equal instants the last written holds, before and after sorting.
            (
                json!({"period_s": 30, "states": [[10, "down"], [0, "up"], [10, "up"], [20, "up"], [20, "down"]]}),
                json!([30, 20, 10, 0, 0]),
                json!("20/30"),
            ),
            // All down is a fraction all the same; nothing counted is none.
            (json!({"period_s": 30, "states": [[0, "down"]]}), json!([30, 0, 30, 0, 0]), json!("0/30")),
            (
                json!({"period_s": 30, "states": [[0, "up"]], "maintenance": [[0, 30]]}),
                json!([0, 0, 0, 0, 30]),
                Value::Null,
            ),
            (json!({"period_s": 30, "states": [[0, "unknown"]]}), json!([0, 0, 0, 30, 0]), Value::Null),
            (
                json!({"period_s": 0, "states": [[0, "up"]], "maintenance": [[0, 0]], "coverage": [[0, 0]], "unknown": "as_up"}),
                json!([0, 0, 0, 0, 0]),
                Value::Null,
            ),
            // Two years of seconds, not reduced.
            (
                json!({"period_s": 63_072_000_u64, "states": [[0, "up"], [31_536_000, "down"]]}),
                json!([63_072_000_u64, 31_536_000, 31_536_000, 0, 0]),
                json!("31536000/63072000"),
            ),
        ] {
            assert_eq!(all(case.clone()), (seconds, availability), "{case}");
        }
    }

    proptest::proptest! {
        /// An oracle of another kind: every second is asked by itself.
        #[test]
        fn every_second_is_counted_once(
            period in 0_i64..80,
            states in proptest::collection::vec((-20_i64..100, 0_usize..5), 0..8),
            maintenance in proptest::collection::vec((-20_i64..100, 0_i64..40), 0..4),
            coverage in proptest::option::of(proptest::collection::vec((-20_i64..100, 0_i64..40), 0..4)),
            (unknown, degraded) in (0_usize..3, 0_usize..2),
        ) {
            let words = ["up", "degraded", "down", "unknown", "none"];
            let windows = |list: &[(i64, i64)]| -> Vec<(i64, i64)> { list.iter().map(|(a, b)| (*a, a + b)).collect() };
            let (maintenance, coverage) = (windows(&maintenance), coverage.as_deref().map(windows));
            let (unknown, degraded) = (["exclude", "as_up", "as_down"][unknown], ["as_up", "as_down"][degraded]);
            let written: Vec<(i64, &str)> = states.iter().map(|(at, state)| (*at, words[*state])).collect();
            let mut case = json!({"period_s": period, "states": written, "maintenance": maintenance, "unknown": unknown, "degraded": degraded});
            if let Some(coverage) = &coverage {
                case["coverage"] = json!(coverage);
            }
            let (mut up, mut down, mut unknown_s, mut excluded) = (0, 0, 0, 0);
            for second in 0..period {
                let holds = |list: &[(i64, i64)]| list.iter().any(|(a, b)| *a <= second && second < *b);
                if holds(&maintenance) || coverage.as_ref().is_some_and(|coverage| !holds(coverage)) {
                    excluded += 1;
                    continue;
                }
                let latest = written.iter().filter(|(at, _)| *at <= second).max_by_key(|(at, _)| *at).map(|(at, _)| *at);
                let state = latest.and_then(|at| written.iter().rfind(|(other, _)| *other == at)).map_or("none", |(_, state)| *state);
                match (state, degraded, unknown) {
                    ("up", _, _) | ("degraded", "as_up", _) | ("unknown" | "none", _, "as_up") => up += 1,
                    ("down", _, _) | ("degraded", _, _) | ("unknown" | "none", _, "as_down") => down += 1,
                    _ => unknown_s += 1,
                }
            }
            let availability = if up + down > 0 { json!(format!("{up}/{}", up + down)) } else { Value::Null };
            proptest::prop_assert_eq!(figures(case), (json!([up + down, up, down, unknown_s, excluded]), availability));
        }
    }
}

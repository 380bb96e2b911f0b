//! Named bands of time on a calendar: business, after hours, weekend, holiday (TERMS 2, coverage).
//!
//! The bands of a calendar stand in an order, and the first that matches an instant is its band, so they never
//! overlap. [`Bands::compile`] refuses a list that leaves an instant without a band and a band that can never match:
//! what it accepts partitions all time, and the bands of a period sum up to the period. It asks no clock.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::calendar::{Calendar, CalendarDef, CalendarError, ExtraHours, Hours, Weekly};

/// A named band of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// `after-hours`.
    pub name: String,
    /// Which time.
    pub when: BandRule,
}

/// Which time a band is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BandRule {
    /// The calendar's holidays, whole or in part, whatever its hours.
    Holidays,
    /// Its covered hours: weekly and extra ones, less the holidays (R1, R3).
    Weekly,
    /// Whole local days of the week, 0 is Monday.
    Days(Vec<usize>),
    /// What no band before it took.
    Rest,
}

/// The bands of one calendar, compiled.
#[derive(Debug, Clone)]
pub struct Bands {
    names: Vec<String>,
    /// In the order of the author; the last matches always or completes the others.
    matchers: Vec<Matcher>,
}

/// A stretch of time in one band.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BandStretch<'b> {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// The band's name.
    pub band: &'b str,
}

/// Why bands are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BandsError {
    /// The calendar itself does not compile.
    #[error("the calendar cannot be used")]
    Calendar(#[from] CalendarError),
    /// No band at all.
    #[error("there are no bands")]
    None,
    /// Two bands of one name.
    #[error("band `{name}` is there twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// Some instants are in no band.
    #[error("the bands leave time without a band")]
    LeavesTime,
    /// Everything before it took all time.
    #[error("band `{name}` can never match: the bands before it take all time")]
    Unreachable {
        /// The band.
        name: String,
    },
}

/// Whether an instant is in a band, and until when that holds.
#[derive(Debug, Clone)]
enum Matcher {
    Inside(Calendar),
    Outside(Calendar),
    Always,
}

impl Bands {
    /// Compiles the bands of a calendar, its holidays inside.
    pub fn compile(def: &CalendarDef, bands: &[Band]) -> Result<Self, BandsError> {
        Calendar::compile(def)?;
        let mut whole = Whole::default();
        for (index, band) in bands.iter().enumerate() {
            if bands[..index].iter().any(|other| other.name == band.name) {
                return Err(BandsError::Twice { name: band.name.clone() });
            }
            if whole.is_all_time(def)? {
                return Err(BandsError::Unreachable { name: band.name.clone() });
            }
            whole.add(&band.when);
        }
        if bands.is_empty() {
            return Err(BandsError::None);
        }
        if !whole.is_all_time(def)? {
            return Err(BandsError::LeavesTime);
        }
        let matchers = bands.iter().map(|band| Matcher::new(def, &band.when)).collect::<Result<_, _>>()?;
        Ok(Self { names: bands.iter().map(|band| band.name.clone()).collect(), matchers })
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The band of an instant.
    pub fn at(&self, at: Timestamp) -> &str {
        &self.names[self.index_at(at).0]
    }

    /// `[from, to)` cut at every change of band; neighbours are of different bands.
    pub fn stretches(&self, from: Timestamp, to: Timestamp) -> Vec<BandStretch<'_>> {
        let mut found: Vec<BandStretch<'_>> = Vec::new();
        let mut reached = from;
        while reached < to {
            let (index, changes) = self.index_at(reached);
            let end = changes.map_or(to, |at| at.min(to));
            let band = self.names[index].as_str();
            match found.last_mut() {
                Some(last) if last.band == band => last.to = end,
                Some(_) | None => found.push(BandStretch { from: reached, to: end, band }),
            }
            reached = end;
        }
        found
    }

    /// How long each band is within `[from, to)`, in the order of the bands, those of no time too.
    pub fn totals(&self, from: Timestamp, to: Timestamp) -> Vec<(&str, SignedDuration)> {
        let stretches = self.stretches(from, to);
        let total = |name: &str| {
            let own = stretches.iter().filter(|stretch| stretch.band == name);
            own.map(|stretch| stretch.to.duration_since(stretch.from)).sum()
        };
        self.names.iter().map(|name| (name.as_str(), total(name))).collect()
    }

    /// The first band that matches, and the earliest instant at which another may.
    fn index_at(&self, at: Timestamp) -> (usize, Option<Timestamp>) {
        let mut changes: Option<Timestamp> = None;
        for (index, matcher) in self.matchers.iter().enumerate() {
            let (is_inside, until) = matcher.look(at);
            changes = [changes, until].into_iter().flatten().min();
            if is_inside {
                return (index, changes);
            }
        }
        // Compiled bands leave no time: the last one is the one that completes the others.
        (self.matchers.len() - 1, changes)
    }
}

impl Matcher {
    fn new(def: &CalendarDef, rule: &BandRule) -> Result<Self, CalendarError> {
        let derived = |weekly: Weekly, keep_holidays: bool| CalendarDef {
            weekly,
            extra: Vec::<ExtraHours>::new(),
            holidays: if keep_holidays { def.holidays.clone() } else { Vec::new() },
            yearly_holidays: if keep_holidays { def.yearly_holidays.clone() } else { Vec::new() },
            ..def.clone()
        };
        Ok(match rule {
            BandRule::Weekly => Self::Inside(Calendar::compile(def)?),
            BandRule::Days(days) => Self::Inside(Calendar::compile(&derived(whole_days(days), false))?),
            // All time but the holidays, asked the other way round.
            BandRule::Holidays => Self::Outside(Calendar::compile(&derived(whole_days(&ALL_DAYS), true))?),
            BandRule::Rest => Self::Always,
        })
    }

    fn look(&self, at: Timestamp) -> (bool, Option<Timestamp>) {
        match self {
            Self::Inside(calendar) => (calendar.is_open(at), calendar.next_change(at)),
            Self::Outside(calendar) => (!calendar.is_open(at), calendar.next_change(at)),
            Self::Always => (true, None),
        }
    }
}

const ALL_DAYS: [usize; 7] = [0, 1, 2, 3, 4, 5, 6];

fn whole_days(days: &[usize]) -> Weekly {
    let hours = |day| if days.contains(&day) { vec![Hours("00:00".into(), "24:00".into())] } else { Vec::new() };
    Weekly { mon: hours(0), tue: hours(1), wed: hours(2), thu: hours(3), fri: hours(4), sat: hours(5), sun: hours(6) }
}

/// What some bands take together. A week without a gap is all time but for holidays, which take time out of the
/// covered hours and out of nothing else.
#[derive(Default)]
struct Whole {
    days: Vec<usize>,
    has_weekly: bool,
    has_holidays: bool,
    has_rest: bool,
}

impl Whole {
    fn add(&mut self, rule: &BandRule) {
        match rule {
            BandRule::Holidays => self.has_holidays = true,
            BandRule::Weekly => self.has_weekly = true,
            BandRule::Days(days) => self.days.extend(days),
            BandRule::Rest => self.has_rest = true,
        }
    }

    fn is_all_time(&self, def: &CalendarDef) -> Result<bool, CalendarError> {
        let has_holiday = !(def.holidays.is_empty() && def.yearly_holidays.is_empty());
        let weekly_is_whole = self.has_weekly && (self.has_holidays || !has_holiday);
        let days_alone = ALL_DAYS.iter().all(|day| self.days.contains(day));
        Ok(self.has_rest || days_alone || (weekly_is_whole && self.has_no_gap(&def.weekly)?))
    }

    /// Whether the days and the weekly hours together leave no second of a week.
    fn has_no_gap(&self, weekly: &Weekly) -> Result<bool, CalendarError> {
        let days = whole_days(&self.days);
        let [mon, tue, wed, thu, fri, sat, sun] =
            std::array::from_fn(|day| [weekly.days()[day], days.days()[day]].concat());
        let weekly = Weekly { mon, tue, wed, thu, fri, sat, sun };
        let calendar = Calendar::compile(&CalendarDef { tz: "UTC".into(), weekly, ..CalendarDef::default() })?;
        const WEEK_S: i64 = 7 * 86_400;
        let week = |number: i64| Timestamp::from_second(number * WEEK_S).unwrap_or_default();
        Ok(calendar.elapsed_s(week(1), week(2), &[]) == WEEK_S.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Holiday;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn office() -> CalendarDef {
        let weekly = Weekly { sat: vec![], sun: vec![], ..Weekly::every_day(&[Hours("08:00".into(), "18:00".into())]) };
        let eve = Holiday { date: "2026-12-24".into(), from: Some("12:00".into()), ..Holiday::default() };
        let christmas = Holiday { date: "12-25".into(), ..Holiday::default() };
        CalendarDef {
            tz: "America/Chicago".into(),
            weekly,
            holidays: vec![eve],
            yearly_holidays: vec![christmas],
            ..CalendarDef::default()
        }
    }

    fn band(name: &str, when: BandRule) -> Band {
        Band { name: name.to_owned(), when }
    }

    fn usual() -> Vec<Band> {
        vec![
            band("holiday", BandRule::Holidays),
            band("business", BandRule::Weekly),
            band("weekend", BandRule::Days(vec![5, 6])),
            band("after-hours", BandRule::Rest),
        ]
    }

    #[test]
    fn the_first_band_that_matches_wins() {
        let bands = Bands::compile(&office(), &usual()).unwrap();
        for (instant, expected) in [
            ("2026-12-24T17:59:59Z", "business"),
            ("2026-12-24T18:00:00Z", "holiday"),
            ("2026-12-26T05:59:59Z", "holiday"),
            ("2026-12-26T06:00:00Z", "weekend"),
            ("2026-12-28T13:59:59Z", "after-hours"),
            ("2026-12-28T14:00:00Z", "business"),
            ("2027-12-25T12:00:00Z", "holiday"),
        ] {
            assert_eq!(bands.at(at(instant)), expected, "{instant}");
        }
    }

    #[test]
    fn stretches_are_cut_where_the_band_changes_and_nowhere_else() {
        let bands = Bands::compile(&office(), &usual()).unwrap();
        let cut: Vec<_> = bands
            .stretches(at("2026-12-24T17:00:00.25Z"), at("2026-12-28T15:00:00Z"))
            .into_iter()
            .map(|stretch| (stretch.to.to_string(), stretch.band.to_owned()))
            .collect();
        let expected = [
            ("2026-12-24T18:00:00Z", "business"),
            ("2026-12-26T06:00:00Z", "holiday"),
            ("2026-12-28T06:00:00Z", "weekend"),
            ("2026-12-28T14:00:00Z", "after-hours"),
            ("2026-12-28T15:00:00Z", "business"),
        ];
        assert_eq!(cut, expected.map(|(to, band)| (to.to_owned(), band.to_owned())));
    }

    #[test]
    fn bands_that_do_not_partition_all_time_are_refused() {
        let refused = |bands: &[Band]| Bands::compile(&office(), bands).unwrap_err();
        let [holiday, business, weekend, rest] = usual().try_into().unwrap();
        assert_eq!(refused(&[]), BandsError::None);
        assert_eq!(refused(&[holiday.clone(), business.clone(), weekend.clone()]), BandsError::LeavesTime);
        assert_eq!(refused(&[rest.clone(), business.clone()]), BandsError::Unreachable { name: "business".to_owned() });
        assert_eq!(refused(&[business.clone(), business.clone()]), BandsError::Twice { name: "business".to_owned() });
        let always = CalendarDef {
            weekly: Weekly::every_day(&[Hours("00:00".into(), "12:00".into()), Hours("12:00".into(), "24:00".into())]),
            ..office()
        };
        let of_always = |bands: &[Band]| Bands::compile(&always, bands).map(|_| ());
        assert_eq!(of_always(std::slice::from_ref(&business)), Err(BandsError::LeavesTime), "a holiday has no band");
        assert_eq!(of_always(&[business.clone(), holiday.clone()]), Ok(()));
        assert_eq!(
            of_always(&[holiday, business, rest.clone()]),
            Err(BandsError::Unreachable { name: "after-hours".to_owned() })
        );
        let days = |days: &[usize]| band("days", BandRule::Days(days.to_vec()));
        assert_eq!(Bands::compile(&office(), &[days(&ALL_DAYS)]).map(|_| ()), Ok(()));
        assert_eq!(Bands::compile(&office(), &[days(&[0, 1]), weekend, rest]).map(|_| ()), Ok(()));
    }
}

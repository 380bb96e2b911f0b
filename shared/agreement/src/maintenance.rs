//! Agreed windows of work: on what, when, and the stretches of time that this means.
//!
//! A [`Window`] is what somebody wrote, in the book or on the command line; it holds its own zone, so that a later
//! change of the site's zone rewrites no past. [`When::stretches`] says which stretches of a period it is. Whether a
//! stretch counts for anybody (was it entered before it began, with notice enough) is the asker's matter: nothing here
//! knows when a window was entered.
//!
//! A begin that falls into a spring gap is the first instant after it; in an autumn fold it is the first of the two,
//! once. A window lasts its length in real elapsed time.

use jiff::{
    Timestamp, ToSpan as _,
    civil::{DateTime, Time},
    tz::{AmbiguousOffset, TimeZone},
};
use serde::{Deserialize, Serialize};
use upheld_model::{AssetId, CheckId};

mod rule;

pub use rule::{Recurrence, RuleError};

/// The longest window, in seconds: what lasts longer is no window of work.
pub const LASTS_MAX_S: u64 = 31 * 86_400;

/// A window of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// On what.
    pub upon: Upon,
    /// When.
    pub when: When,
    /// What is done, in the words of who entered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// On what work is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Upon {
    /// On everything at the site.
    Site,
    /// On assets and single checks, with nothing else at the site.
    Parts {
        /// Whole assets.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        assets: Vec<AssetId>,
        /// Single checks.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        checks: Vec<CheckId>,
    },
}

/// When work is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum When {
    /// Once.
    Once {
        /// From this instant.
        from: Timestamp,
        /// For so many seconds.
        for_s: u64,
    },
    /// On the days of a recurrence.
    Recurring {
        /// Which days (RFC 5545): `FREQ=MONTHLY;BYDAY=2SU`.
        rrule: String,
        /// From this wall time.
        from: Time,
        /// For so many seconds.
        for_s: u64,
        /// In this zone.
        time_zone: String,
    },
}

impl Upon {
    /// Whether the whole asset is worked on: a window of one of its checks is none of the asset.
    pub fn asset(&self, asset: &AssetId) -> bool {
        match self {
            Self::Site => true,
            Self::Parts { assets, checks: _ } => assets.contains(asset),
        }
    }

    /// Whether this check is worked on, by itself or with its asset.
    pub fn check(&self, check: &CheckId) -> bool {
        match self {
            Self::Site => true,
            Self::Parts { assets, checks } => assets.contains(&check.asset) || checks.contains(check),
        }
    }
}

impl std::fmt::Display for Upon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Site => f.write_str("the whole site"),
            Self::Parts { assets, checks } => {
                let assets = assets.iter().map(ToString::to_string);
                let parts: Vec<_> = assets.chain(checks.iter().map(|check| format!("check {check}"))).collect();
                f.write_str(&parts.join(", "))
            }
        }
    }
}

impl When {
    /// Once, at a wall time of a zone.
    pub fn once_at(wall: DateTime, time_zone: &str, for_s: u64) -> Self {
        let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
        // A wall time beyond every instant is none that anybody lives to see.
        Self::Once { from: begin(&zone, wall).unwrap_or(Timestamp::MAX), for_s }
    }

    /// The stretches that touch `[from, to)`, ascending; their ends are not cut to it.
    pub fn stretches(&self, from: Timestamp, to: Timestamp) -> Result<Vec<(Timestamp, Timestamp)>, RuleError> {
        let touches = |&(begin, end): &(Timestamp, Timestamp)| begin < to && from < end;
        match self {
            Self::Once { from: begin, for_s } => Ok(lasting(*begin, *for_s).into_iter().filter(touches).collect()),
            Self::Recurring { rrule, from: wall, for_s, time_zone } => {
                let recurrence = Recurrence::read(rrule)?;
                // A zone that was known when the window was entered.
                let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
                let back = i64::try_from(for_s / 86_400).unwrap_or(i64::MAX).clamp(0, 40_000) + 2;
                let first = zone.to_datetime(from).date().saturating_sub(back.days());
                let last = zone.to_datetime(to).date();
                let days = std::iter::successors(Some(first), |day| day.tomorrow().ok()).take_while(|day| *day <= last);
                let begins =
                    days.filter(|day| recurrence.is_on(*day)).filter_map(|day| begin(&zone, day.to_datetime(*wall)));
                Ok(begins.filter_map(|begin| lasting(begin, *for_s)).filter(touches).collect())
            }
        }
    }

    /// In words, without when exactly: `once`, `FREQ=MONTHLY;BYDAY=2SU from 22:00 America/Chicago`.
    pub fn rule(&self) -> String {
        match self {
            Self::Once { .. } => "once".to_owned(),
            Self::Recurring { rrule, from, for_s: _, time_zone } => {
                format!("{rrule} from {} {time_zone}", from.strftime("%H:%M"))
            }
        }
    }
}

fn lasting(begin: Timestamp, for_s: u64) -> Option<(Timestamp, Timestamp)> {
    let lasts = jiff::SignedDuration::from_secs(i64::try_from(for_s).ok()?);
    Some((begin, begin.checked_add(lasts).ok()?))
}

/// The instant of a wall time; the first one after a gap, the first of two in a fold.
fn begin(zone: &TimeZone, wall: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(wall);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.compatible().ok(),
        AmbiguousOffset::Gap { before, .. } => {
            // Read with the offset before the gap it lies after the change of clocks: that change is the last one.
            let after = before.to_timestamp(wall).ok()?;
            let change = zone.preceding(after.checked_add(1.second()).ok()?).next()?;
            Some(change.timestamp())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_recur_in_the_sites_own_time() {
        for (rule, expected) in [
            ("FREQ=MONTHLY;BYDAY=2SU", vec!["2026-03-08T08:00:00Z", "2026-04-12T07:00:00Z"]),
            ("FREQ=MONTHLY;BYDAY=-1FR", vec!["2026-03-27T07:00:00Z"]),
            ("FREQ=MONTHLY;BYMONTHDAY=31", vec!["2026-03-31T07:00:00Z"]),
            ("FREQ=WEEKLY;BYDAY=SA;BYMONTH=4", vec!["2026-04-04T07:00:00Z", "2026-04-11T07:00:00Z"]),
        ] {
            assert_eq!(begins(rule, "02:00").unwrap(), expected, "{rule}");
        }
        assert_eq!(begins("FREQ=DAILY", "02:00").unwrap().len(), 46);
    }

    #[test]
    fn a_gap_moves_a_begin_to_its_end_and_a_fold_runs_it_once() {
        let begins = |from: &str, to: &str| {
            let stretches = daily("02:30", 3_600).stretches(at(from), at(to)).unwrap();
            stretches.iter().map(|(begin, _)| begin.to_string()).collect::<Vec<_>>()
        };
        // Clocks go from 02:00 to 03:00 in Chicago on 8 March 2026, and from 02:00 back to 01:00 on 1 November.
        assert_eq!(
            begins("2026-03-07T00:00:00Z", "2026-03-09T23:00:00Z"),
            ["2026-03-07T08:30:00Z", "2026-03-08T08:00:00Z", "2026-03-09T07:30:00Z"]
        );
        let fold = daily("01:30", 3_600).stretches(at("2026-10-31T12:00:00Z"), at("2026-11-02T00:00:00Z")).unwrap();
        assert_eq!(fold, [(at("2026-11-01T06:30:00Z"), at("2026-11-01T07:30:00Z"))]);
    }

    #[test]
    fn a_day_that_a_zone_skips_begins_with_the_next() {
        // Samoa had no 30 December 2011.
        let when = When::Recurring {
            rrule: "FREQ=MONTHLY;BYMONTHDAY=30".to_owned(),
            from: "09:00".parse().unwrap(),
            for_s: 3_600,
            time_zone: "Pacific/Apia".to_owned(),
        };
        let stretches = when.stretches(at("2011-12-29T00:00:00Z"), at("2012-01-01T00:00:00Z")).unwrap();
        assert_eq!(stretches, [(at("2011-12-30T10:00:00Z"), at("2011-12-30T11:00:00Z"))]);
    }

    #[test]
    fn a_stretch_that_reaches_into_the_period_is_one_of_it_however_long() {
        let week = daily("00:00", 5 * 86_400);
        let touching = week.stretches(at("2026-06-10T12:00:00Z"), at("2026-06-10T12:00:01Z")).unwrap();
        assert_eq!(touching.len(), 5);
        let once = When::Once { from: at("2026-06-01T00:00:00Z"), for_s: 60 };
        assert_eq!(once.stretches(at("2026-06-01T00:00:59Z"), at("2026-06-02T00:00:00Z")).unwrap().len(), 1);
        assert_eq!(once.stretches(at("2026-06-01T00:01:00Z"), at("2026-06-02T00:00:00Z")).unwrap(), []);
        assert_eq!(once.stretches(at("2026-05-01T00:00:00Z"), at("2026-06-01T00:00:00Z")).unwrap(), []);
    }

    #[test]
    fn a_window_of_one_check_is_none_of_its_asset() {
        let check: CheckId = "srv-1/net.tcp".parse().unwrap();
        let (asset, other) = (check.asset.clone(), "srv-1/host".parse().unwrap());
        let upon = Upon::Parts { assets: Vec::new(), checks: vec![check.clone()] };
        assert!(upon.check(&check) && !upon.asset(&asset) && !upon.check(&other));
        let upon = Upon::Parts { assets: vec![asset.clone()], checks: Vec::new() };
        assert!(upon.check(&check) && upon.asset(&asset) && upon.check(&other));
        assert!(Upon::Site.asset(&asset) && Upon::Site.check(&check));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for rule in
            ["FREQ=YEARLY", "FREQ=WEEKLY", "FREQ=DAILY;COUNT=3", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "BYDAY=MO", "x"]
        {
            assert!(begins(rule, "02:00").unwrap_err().contains("not understood"), "{rule}");
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn daily(from: &str, for_s: u64) -> When {
        recurring("FREQ=DAILY", from, for_s)
    }

    fn recurring(rrule: &str, from: &str, for_s: u64) -> When {
        let from = from.parse().unwrap();
        When::Recurring { rrule: rrule.to_owned(), from, for_s, time_zone: "America/Chicago".to_owned() }
    }

    fn begins(rule: &str, from: &str) -> Result<Vec<String>, String> {
        let stretches = recurring(rule, from, 3_600).stretches(at("2026-03-01T00:00:00Z"), at("2026-04-15T12:00:00Z"));
        stretches
            .map(|stretches| stretches.iter().map(|(begin, _)| begin.to_string()).collect())
            .map_err(|error| error.to_string())
    }
}

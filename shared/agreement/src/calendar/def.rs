//! A coverage calendar as it is written: `CAL` of TERMS 8. Nothing here is checked; [`super::Calendar::compile`] does.

use serde::{Deserialize, Serialize};

/// A coverage calendar in the words of its author. Clock texts are `HH:MM` from `00:00` to `24:00`, dates are
/// `YYYY-MM-DD`, yearly dates are `MM-DD`; all of them are wall-clock readings in `tz`. Unknown keys are ignored
/// except below `weekly`, where a misspelt day would silently take coverage away.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CalendarDef {
    /// The IANA zone, for example `America/Chicago`.
    #[serde(default)]
    pub tz: String,
    /// The regular hours of each weekday.
    #[serde(default)]
    pub weekly: Weekly,
    /// Holidays on one date.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holidays: Vec<Holiday>,
    /// Holidays on the same date of every year.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub yearly_holidays: Vec<Holiday>,
    /// Hours on one date beyond the regular ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<ExtraHours>,
}

/// Wall-clock hours `[from, to)`; `to` before `from` runs into the next date, `to` equal to `from` is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hours(pub String, pub String);

/// The regular hours of each weekday, any number a day, in any order; overlapping ones are their union (R2).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weekly {
    /// Monday.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mon: Vec<Hours>,
    /// Tuesday.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tue: Vec<Hours>,
    /// Wednesday.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wed: Vec<Hours>,
    /// Thursday.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thu: Vec<Hours>,
    /// Friday.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fri: Vec<Hours>,
    /// Saturday.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sat: Vec<Hours>,
    /// Sunday.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sun: Vec<Hours>,
}

impl Weekly {
    /// The days' keys in the order of [`Weekly::days`].
    pub const DAYS: [&'static str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

    /// The hours from Monday to Sunday.
    pub fn days(&self) -> [&[Hours]; 7] {
        [&self.mon, &self.tue, &self.wed, &self.thu, &self.fri, &self.sat, &self.sun]
    }

    /// The same hours on each of the seven days.
    pub fn every_day(hours: &[Hours]) -> Self {
        let day = || hours.to_vec();
        Self { mon: day(), tue: day(), wed: day(), thu: day(), fri: day(), sat: day(), sun: day() }
    }
}

/// A holiday: a whole local date, or the part `[from, to)` of it (R3).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Holiday {
    /// `YYYY-MM-DD` under `holidays`, `MM-DD` under `yearly_holidays` (`02-29` falls on leap years only).
    pub date: String,
    /// Where the part begins; by default at `00:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Where the part ends; by default at `24:00`. A part never runs into the next date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Hours `[from, to)` that begin on one date, beyond the regular ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExtraHours {
    /// `YYYY-MM-DD`.
    pub date: String,
    /// Where they begin.
    pub from: String,
    /// Where they end; before `from` they run into the next date.
    pub to: String,
    /// Whether they count on a holiday too. By default the holiday wins (R3).
    #[serde(default, skip_serializing_if = "is_false")]
    pub counts_on_holiday: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

//! What is kept of samples when they are gone: stretches of alike readings, and sums by the local hour.
//!
//! Judging looks at few things in a reading, and readings say mostly the same. So the first and the last reading of
//! each stretch that says the same are as good as all of them: [`readings`] gives them back, and
//! [`crate::observe::unfolded`] makes of them what it makes of all. Losses and round-trip times are statistics; of them
//! the sums of each hour are kept, in which order does not matter; of what is judged by the day, its latest value.
//! One [`Kept`] is one agent's fold. It takes each reading once, in the order of the journal; with a reading from before
//! (an upload was overtaken, a clock was set) a new stretch begins, which ends where the next one that is known lies. So a
//! stretch that grows changes nothing of what is known, and what changes something is news. It never fails.

#[cfg(test)]
mod late;
mod others;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use upheld_model::{BootEnd, CheckId, Counter, Outcome, Sample, UnknownReason, sample::Value};

use self::others::Others;
use crate::{
    correlate::ON_BATTERY,
    kind::{CheckKind, Family},
    measure::{self, Measure, Point, Points},
    observe::{Dip, Reading, Supply},
    plan::plus,
    time_of_day::{Hours, LossCells, RttCells, Signal, rtt_bucket},
};

/// The shortest time between two instants that are stored.
const A_MOMENT: SignedDuration = SignedDuration::from_micros(1);

/// Where the fold of one agent's samples stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// The stretch of each check that the latest reading is in.
    latest: BTreeMap<CheckId, Stretch>,
    /// Where the ones before lie.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    others: BTreeMap<CheckId, Others>,
    /// The latest start of each host, as its own check told it.
    boots: BTreeMap<CheckId, Boots>,
    /// The sums of the latest hour.
    hour: Option<Hour>,
}

/// Readings of one check that say the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// The first one.
    #[serde(rename = "f")]
    pub from: Timestamp,
    /// The last one.
    #[serde(rename = "t")]
    pub to: Timestamp,
    /// When the first one was received.
    #[serde(rename = "r")]
    pub received: Timestamp,
    /// What they say.
    #[serde(rename = "s")]
    pub seen: Seen,
}

/// What judging looks at in a reading, besides the fold of outcomes and the statistics of hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    #[serde(rename = "o")]
    outcome: Word,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    supply: Option<Supply>,
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    counters: Vec<(Signal, Counter)>,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    dip: Option<Dip>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    /// Good; for most kinds of checks anything that is not a warning.
    Ok,
    Warn,
    Bad,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Boots {
    id: String,
    at: Timestamp,
}

/// A host that is running since another instant than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootSeen {
    /// Which of its checks said so.
    pub check: CheckId,
    /// Since when it runs.
    pub at: Timestamp,
    /// When it was seen last before that.
    pub after: Timestamp,
    /// How it ended then, where a check can say that.
    pub ended: Option<BootEnd>,
}

/// The sums of one local hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hour {
    /// When it began.
    pub from: Timestamp,
    /// By check.
    checks: BTreeMap<CheckId, Sums>,
}

/// What one check measured in one hour.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Sums {
    /// Readings.
    #[serde(rename = "n")]
    number: u32,
    /// Packets sent and lost.
    #[serde(rename = "l", skip_serializing_if = "Option::is_none")]
    loss: Option<(f64, f64)>,
    /// Round-trip times by [`rtt_bucket`].
    #[serde(rename = "r", skip_serializing_if = "BTreeMap::is_empty")]
    rtt: BTreeMap<u32, u32>,
    /// The latest value of what is judged by the day.
    #[serde(rename = "v", skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<Measure, Point>,
}

/// What a host's reading says about its last start.
#[derive(Debug, Clone, PartialEq)]
pub struct BootReading {
    /// The name of this run of the machine.
    pub id: String,
    /// For how long it has been running.
    pub uptime: Option<SignedDuration>,
    /// How it ended before, where the check can say that.
    pub ended: Option<BootEnd>,
}

impl BootReading {
    /// What a host's sample says about its last start.
    pub fn of(sample: &Sample) -> Option<Self> {
        let (Value::Text(id), uptime) = (sample.values.get("boot_id")?, sample.values.get("uptime_s")) else {
            return None;
        };
        let uptime = match uptime {
            Some(Value::Number(seconds)) => SignedDuration::try_from_secs_f64(*seconds).ok(),
            Some(Value::Text(_)) | None => None,
        };
        let ended = match sample.values.get("ended") {
            Some(Value::Text(word)) => word.as_str().parse().ok(),
            Some(Value::Number(_)) | None => None,
        };
        Some(Self { id: id.to_string(), uptime, ended })
    }
}

/// What came of readings besides the fold itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Over {
    /// Stretches that are over.
    pub stretches: Vec<(CheckId, Stretch)>,
    /// Hours that are over, or got late readings: to be added to what is known of them.
    pub hours: BTreeMap<Timestamp, Hour>,
    /// Hosts that started.
    pub boots: Vec<BootSeen>,
    /// Whether something happened that judging looks at.
    pub is_news: bool,
}

/// One agent's fold at work on one upload.
pub struct Keeper {
    kept: Kept,
    hours: Hours,
    over: Over,
}

impl Keeper {
    /// Goes on from where the fold stood; hours are the site's own.
    pub fn new(kept: Kept, zone: TimeZone) -> Self {
        Self { kept, hours: Hours::of(zone), over: Over::default() }
    }

    /// Takes one reading.
    pub fn take(&mut self, check: &CheckId, kind: Option<&CheckKind>, reading: Reading, boot: Option<BootReading>) {
        self.sum(check, kind, &reading);
        if let Some(boot) = boot {
            self.boot(check, reading.at, boot);
        }
        self.stretch(check, Seen::of(kind, &reading), reading.at, reading.received);
    }

    /// Where the fold stands, and what is over.
    pub fn finish(self) -> (Kept, Over) {
        (self.kept, self.over)
    }

    fn stretch(&mut self, check: &CheckId, seen: Seen, at: Timestamp, received: Timestamp) {
        let one = Stretch { from: at, to: at, received, seen };
        let Some(latest) = self.kept.latest.get_mut(check) else {
            self.over.is_news |= one.seen.is_notable();
            self.kept.latest.insert(check.clone(), one);
            return;
        };
        if latest.from <= at && at <= latest.to && latest.seen == one.seen {
            return;
        }
        let others = self.kept.others.get(check);
        let next = others.and_then(|others| others.next(latest.to));
        if latest.seen == one.seen && latest.to < at && next.is_none_or(|next| at < next) {
            // A supply that stays on battery is an incident once a reading says that it lasted: this may be the one.
            let may_have_lasted = one.seen.is_notable() && latest.to < plus(latest.from, ON_BATTERY);
            // What is known of the time after it began no sooner than this. What a wrong clock put ahead nobody looks at.
            let is_before_another = next.is_some_and(|next| next <= received);
            self.over.is_news |= may_have_lasted || is_before_another;
            latest.to = at;
            return;
        }
        // Of two at one instant, as which a stretch is named, the first counts; a stretch that has only begun is the worse.
        if latest.to == at && latest.from == at {
            if one.seen.is_worse_than(&latest.seen) {
                latest.seen = one.seen;
                self.over.is_news = true;
            }
            return;
        }
        if latest.from == at || others.is_some_and(|others| others.has(at)) {
            return;
        }
        self.over.is_news = true;
        if latest.from < at && received < latest.to {
            // The collector's clock stood ahead when the last of it came. It was taken before this one, as the journal says.
            latest.to = latest.from.max(at.saturating_sub(A_MOMENT).unwrap_or(latest.from));
        }
        self.kept.others.entry(check.clone()).or_default().add(latest);
        self.over.stretches.push((check.clone(), std::mem::replace(latest, one)));
    }

    fn boot(&mut self, check: &CheckId, at: Timestamp, boot: BootReading) {
        let known = self.kept.boots.get(check);
        if known.is_some_and(|known| at < known.at) {
            return;
        }
        if let Some(known) = known.filter(|known| known.id != boot.id) {
            let began = at.saturating_sub(boot.uptime.unwrap_or_default()).unwrap_or(at);
            self.over.boots.push(BootSeen {
                check: check.clone(),
                at: began.max(known.at),
                after: known.at,
                ended: boot.ended,
            });
            self.over.is_news = true;
        }
        self.kept.boots.insert(check.clone(), Boots { id: boot.id, at });
    }

    fn sum(&mut self, check: &CheckId, kind: Option<&CheckKind>, reading: &Reading) {
        let from = self.hours.begin(reading.at);
        match self.kept.hour.as_ref().map(|hour| hour.from) {
            Some(latest) if from < latest => {
                self.over.hours.entry(from).or_insert_with(|| Hour::new(from)).take(check, kind, reading);
                return;
            }
            Some(latest) if latest < from => {
                if let Some(hour) = self.kept.hour.replace(Hour::new(from)) {
                    add_hour(&mut self.over.hours, hour);
                }
            }
            Some(_) => {}
            None => self.kept.hour = Some(Hour::new(from)),
        }
        if let Some(hour) = &mut self.kept.hour {
            hour.take(check, kind, reading);
        }
    }
}

fn add_hour(hours: &mut BTreeMap<Timestamp, Hour>, hour: Hour) {
    match hours.get_mut(&hour.from) {
        Some(known) => known.add(&hour),
        None => {
            hours.insert(hour.from, hour);
        }
    }
}

impl Kept {
    /// The stretch of each check that its latest reading is in.
    pub fn latest(&self) -> impl Iterator<Item = (&CheckId, &Stretch)> {
        self.latest.iter()
    }

    /// When a supply was heard last, where it was on battery then.
    pub fn on_battery_at(&self) -> Option<Timestamp> {
        let on_battery = |stretch: &&Stretch| matches!(stretch.seen.supply, Some(Supply::Battery { .. }));
        self.latest.values().filter(on_battery).map(|stretch| stretch.to).max()
    }

    /// The latest hour, which may not be over.
    pub fn hour(&self) -> Option<&Hour> {
        self.hour.as_ref()
    }
}

impl Seen {
    fn of(kind: Option<&CheckKind>, reading: &Reading) -> Self {
        let is_counted = kind.is_some_and(|kind| matches!(kind.family(), Family::Power | Family::Link));
        let outcome = match (&reading.outcome, is_counted) {
            (Outcome::Warn, _) => Word::Warn,
            (Outcome::Bad, true) => Word::Bad,
            (Outcome::Unknown { .. }, true) => Word::Unknown,
            (Outcome::Ok, _) | (Outcome::Bad | Outcome::Unknown { .. }, false) => Word::Ok,
        };
        if is_counted {
            Self { outcome, supply: reading.supply, counters: reading.counters.clone(), dip: reading.dip.clone() }
        } else {
            Self { outcome, supply: None, counters: Vec::new(), dip: None }
        }
    }

    fn is_worse_than(&self, other: &Self) -> bool {
        let rank = |seen: &Self| {
            let is_on_battery = matches!(seen.supply, Some(Supply::Battery { .. }));
            let outcome = match seen.outcome {
                Word::Bad => 0,
                Word::Unknown => 1,
                Word::Warn => 2,
                Word::Ok => 3,
            };
            (outcome, !is_on_battery)
        };
        rank(self) < rank(other)
    }

    /// Whether the first reading of a check already says that something is the matter.
    fn is_notable(&self) -> bool {
        self.outcome != Word::Ok || matches!(self.supply, Some(Supply::Battery { .. }))
    }

    fn reading(&self, at: Timestamp, received: Timestamp) -> Reading {
        let outcome = match self.outcome {
            Word::Ok => Outcome::Ok,
            Word::Warn => Outcome::Warn,
            Word::Bad => Outcome::Bad,
            Word::Unknown => Outcome::unknown(UnknownReason::Pending),
        };
        let (counters, dip) = (self.counters.clone(), self.dip.clone());
        Reading { received, supply: self.supply, counters, dip, ..Reading::new(at, outcome) }
    }
}

/// The first and the last reading of each stretch of one check, whoever took them.
pub fn readings<'a>(stretches: impl Iterator<Item = &'a Stretch>) -> Vec<Reading> {
    let both = |stretch: &Stretch| {
        let first = stretch.seen.reading(stretch.from, stretch.received);
        // Of the last one nobody asks when it was received.
        let last = stretch.seen.reading(stretch.to, stretch.received.max(stretch.to));
        if stretch.from == stretch.to { vec![first] } else { vec![first, last] }
    };
    stretches.flat_map(both).collect()
}

impl Hour {
    fn new(from: Timestamp) -> Self {
        Self { from, checks: BTreeMap::new() }
    }

    fn take(&mut self, check: &CheckId, kind: Option<&CheckKind>, reading: &Reading) {
        if !self.checks.contains_key(check) {
            self.checks.insert(check.clone(), Sums::default());
        }
        let Some(sums) = self.checks.get_mut(check) else { return };
        sums.number += 1;
        if let Some((sent, lost)) = reading.loss {
            let known = sums.loss.get_or_insert_default();
            *known = (known.0 + sent, known.1 + lost);
        }
        if let Some(rtt_ms) = reading.rtt_ms {
            *sums.rtt.entry(rtt_bucket(rtt_ms)).or_default() += 1;
        }
        for (what, point) in measure::of_reading(kind, reading) {
            measure::keep_later(sums.values.entry(what), point);
        }
    }

    /// Adds readings of the same hour.
    pub fn add(&mut self, other: &Self) {
        for (check, more) in &other.checks {
            let sums = self.checks.entry(check.clone()).or_default();
            sums.number += more.number;
            if let Some((sent, lost)) = more.loss {
                let known = sums.loss.get_or_insert_default();
                *known = (known.0 + sent, known.1 + lost);
            }
            more.rtt.iter().for_each(|(bucket, number)| *sums.rtt.entry(*bucket).or_default() += number);
            for (what, point) in &more.values {
                measure::keep_later(sums.values.entry(what.clone()), *point);
            }
        }
    }

    /// The checks that were watched in it.
    pub fn watched(&self) -> impl Iterator<Item = &CheckId> {
        self.checks.keys()
    }
}

/// The hours of one check, for the test of the time of day.
#[derive(Debug, Default)]
pub struct CheckHours {
    /// Packets by the hour.
    pub loss: Option<LossCells>,
    /// Round-trip times by the hour.
    pub rtt: RttCells,
    /// The hours in which it was watched at all.
    pub watched: Vec<Timestamp>,
    /// What is judged by the day.
    pub points: Points,
}

/// Hours put together, by check.
pub fn by_check<'a>(hours: impl Iterator<Item = &'a Hour>, zone: &TimeZone) -> BTreeMap<CheckId, CheckHours> {
    let mut local = Hours::of(zone.clone());
    let mut found: BTreeMap<CheckId, CheckHours> = BTreeMap::new();
    for hour in hours {
        let cell = local.at(hour.from);
        for (check, sums) in &hour.checks {
            let own = found.entry(check.clone()).or_default();
            own.watched.push(hour.from);
            if let Some((sent, lost)) = sums.loss {
                own.loss.get_or_insert_default().add(cell, sent, lost);
            }
            sums.rtt.iter().for_each(|(bucket, number)| own.rtt.add_many(cell, *bucket, *number));
            sums.values.iter().for_each(|(what, point)| own.points.add(what, hour.from, *point));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        observe::{observe, unfolded},
        plan::{Check, Promised},
    };

    proptest! {
        /// What is kept says what all readings said, however they were split; the sums of hours in any order.
        #[test]
        fn what_is_kept_is_as_good_as_all_of_it(
            steps in proptest::collection::vec((1i64..400, 0u8..6, 0u64..3, 0u8..20), 1..120),
            kind in 0usize..4, split in 1usize..40, swaps in proptest::collection::vec((0usize..120, 0usize..120), 0..6),
        ) {
            let kind = CheckKind::new(["ups.nut", "net.link", "net.icmp", "host"][kind]);
            let readings = story(&steps);
            let mut arrived = readings.clone();
            for (a, b) in swaps {
                let number = arrived.len();
                arrived.swap(a % number, b % number);
            }
            let (kept, stretches, _) = kept_of(&kind, &readings, split);
            let (late, _, hours) = kept_of(&kind, &arrived, split);
            let plan = Check { rule: kind.usual_rule(), kind, promised: Promised::default() };
            let mut told = super::readings(stretches.iter().chain(kept.latest().map(|(_, stretch)| stretch)));
            told.sort_by_key(|reading| reading.at);
            prop_assert!(told.len() <= 2 * readings.len());
            let zone = TimeZone::get("Asia/Kolkata").unwrap();
            let (all, few) = (unfolded(&plan, &readings), unfolded(&plan, &told));
            prop_assert_eq!(&all, &few);
            let check = by_check(hours.values().chain(late.hour()), &zone).remove(&name()).unwrap();
            let (mut loss, mut rtt) = (LossCells::default(), RttCells::default());
            let mut local = Hours::of(zone);
            for reading in &readings {
                let cell = local.at(reading.at);
                if let Some((sent, lost)) = reading.loss { loss.add(cell, sent, lost); }
                if let Some(rtt_ms) = reading.rtt_ms { rtt.add(cell, rtt_ms); }
            }
            prop_assert_eq!(check.rtt.cells(), rtt.cells());
            prop_assert_eq!(check.loss.unwrap_or_default().cells(), loss.cells());
            let seen = observe(&name(), &plan, &TimeZone::get("Asia/Kolkata").unwrap(), &readings, &[], at(2_000_000));
            prop_assert_eq!(&check.points.days(&TimeZone::get("Asia/Kolkata").unwrap()), &*seen.measured);
        }
    }

    #[test]
    fn a_quiet_day_is_one_stretch() {
        let kind = CheckKind::new("net.link");
        let readings: Vec<_> = (0..1_440).map(|n| Reading::new(at(n * 60), Outcome::Ok)).collect();
        let (kept, stretches, hours) = kept_of(&kind, &readings, 10);
        assert_eq!((stretches.len(), kept.latest().count()), (0, 1));
        assert!(hours.len() >= 23, "{}", hours.len());
    }

    #[test]
    fn that_a_supply_stays_on_battery_is_news_until_it_has_lasted() {
        let kind = CheckKind::new("ups.nut");
        let mut kept = Kept::default();
        let mut news = Vec::new();
        for second in [0, 55, 65, 75] {
            let mut keeper = Keeper::new(kept, TimeZone::UTC);
            let supply = Some(Supply::Battery { is_low: false });
            let reading = Reading { supply, ..Reading::new(at(second), Outcome::Warn) };
            keeper.take(&name(), Some(&kind), reading, None);
            let (next, over) = keeper.finish();
            news.push(over.is_news);
            kept = next;
        }
        assert_eq!(news, [true, true, true, false]);
    }

    #[test]
    fn another_boot_is_a_start_since_the_time_that_it_says() {
        let mut keeper = Keeper::new(Kept::default(), TimeZone::UTC);
        for (second, id, up) in [(0, "a", 500), (60, "a", 560), (600, "b", 90), (660, "b", 150), (640, "a", 900)] {
            let boot = BootReading { id: id.to_owned(), uptime: Some(SignedDuration::from_secs(up)), ended: None };
            keeper.take(&name(), None, Reading::new(at(second), Outcome::Ok), Some(boot));
        }
        let (kept, over) = keeper.finish();
        assert_eq!(over.boots, [BootSeen { check: name(), at: at(510), after: at(60), ended: None }]);
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), kept);
    }

    /// Readings at different instants, of a check that goes to battery, drops and slows.
    pub(super) fn story(steps: &[(i64, u8, u64, u8)]) -> Vec<Reading> {
        let (mut second, mut count) = (1_000_000, 0);
        let mut reading = |(step, outcome, counted, rest): &(i64, u8, u64, u8)| {
            second += step;
            count += counted / 2;
            let outcome = match outcome {
                0 => Outcome::Bad,
                1 => Outcome::Warn,
                2 => Outcome::unknown(UnknownReason::Local),
                _ => Outcome::Ok,
            };
            let supply = match rest % 5 {
                0 => Some(Supply::Battery { is_low: rest % 2 == 0 }),
                1 => None,
                _ => Some(Supply::Mains),
            };
            let counter = |signal| (signal, Counter(if second > 1_009_000 { "b" } else { "a" }.into(), count));
            Reading {
                received: at(second + 3),
                supply,
                loss: (rest % 3 == 0).then_some((20.0, f64::from(rest % 2))),
                rtt_ms: (rest % 4 != 0).then_some(f64::from(*rest) * 7.0 + 0.3),
                counters: if rest % 7 == 0 {
                    Vec::new()
                } else {
                    vec![counter(Signal::Transfers), counter(Signal::LinkDrops)]
                },
                measured: match rest % 3 {
                    0 => vec![(Measure::DiskUsed("/".into()), f64::from(*rest))],
                    1 => vec![(Measure::BatteryRuntime, f64::from(*rest)), (Measure::BatteryLoad, f64::from(rest % 7))],
                    _ => Vec::new(),
                },
                dip: (rest % 11 == 0).then(|| Dip { lowest_v: Some(i32::from(*rest)), cause: None }),
                ..Reading::new(at(second), outcome)
            }
        };
        steps.iter().map(&mut reading).collect()
    }

    /// Keeps readings upload by upload, as a store would.
    fn kept_of(kind: &CheckKind, arrived: &[Reading], split: usize) -> (Kept, Vec<Stretch>, BTreeMap<Timestamp, Hour>) {
        let (mut kept, mut stretches, mut hours) = (Kept::default(), Vec::new(), BTreeMap::new());
        for upload in arrived.chunks(split) {
            let mut keeper = Keeper::new(kept, TimeZone::get("Asia/Kolkata").unwrap());
            upload.iter().for_each(|reading| keeper.take(&name(), Some(kind), reading.clone(), None));
            let (now, over) = keeper.finish();
            let text = serde_json::to_string(&now).unwrap();
            kept = serde_json::from_str(&text).unwrap();
            stretches.extend(over.stretches.into_iter().map(|(_, stretch)| stretch));
            over.hours.into_values().for_each(|hour| add_hour(&mut hours, hour));
        }
        (kept, stretches, hours)
    }

    pub(super) fn name() -> CheckId {
        "sw-4/port".parse().unwrap()
    }

    pub(super) fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }
}

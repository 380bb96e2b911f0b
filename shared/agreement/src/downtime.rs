//! How long something was down, against the longest downtime that an agreement allows (TERMS 2, asset terms).
//!
//! Downtime counts from the start of the fault, in plain time (F11): the hours of a calendar do not shorten it. Agreed
//! maintenance and excluded causes are left out by the caller. It knows nothing of how faults are found.

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{
    availability::{Piece, Seen, Timeline},
    book::Rounding,
    money::{Money, Per, Price},
    terms::{DowntimePer, LongestDowntime},
};

/// One event: down from beginning to end. Unknown time between two stretches of it does not end it, and does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownEvent {
    /// When it began.
    pub from: Timestamp,
    /// When it ended, or when the timeline did.
    pub to: Timestamp,
    /// The stretches of it that count.
    counted: Vec<(Timestamp, Timestamp)>,
}

/// Downtime summed over an event or a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downtime {
    /// Since when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Summed over what.
    pub per: DowntimePer,
    /// Whole seconds down.
    pub seconds: u64,
}

/// Why downtime has no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CostError {
    /// The price is not one for an hour.
    #[error("the cost of downtime is {price}; it must be one an hour: write \"400.00/h\"")]
    NotPerHour {
        /// The price.
        price: Price,
    },
}

/// The events of a timeline, without what is left out.
pub fn events(timeline: &Timeline, left_out: &[(Timestamp, Timestamp)]) -> Vec<DownEvent> {
    let mut events: Vec<DownEvent> = Vec::new();
    let mut goes_on = false;
    for &Piece { from, to, state } in timeline.pieces().iter().filter(|piece| piece.from < piece.to) {
        match state {
            Seen::Up | Seen::Degraded => goes_on = false,
            Seen::Unknown(_) => {}
            Seen::Down => {
                let counted = without(from, to, left_out);
                match events.last_mut().filter(|_| goes_on) {
                    Some(event) => {
                        event.to = to;
                        event.counted.extend(counted);
                    }
                    None => events.push(DownEvent { from, to, counted }),
                }
                goes_on = true;
            }
        }
    }
    events
}

/// The downtimes that a limit is compared with: each event, or each period that `[from, to)` touches in the zone in
/// which the agreement's dates are read. Years of the agreement begin on the day on which it took effect.
pub fn downtimes(
    per: DowntimePer,
    events: &[DownEvent],
    zone: &TimeZone,
    effective_from: Timestamp,
    from: Timestamp,
    to: Timestamp,
) -> Vec<Downtime> {
    let whole = |event: &DownEvent| Downtime {
        from: event.from,
        to: event.to,
        per,
        seconds: event.within(event.from, event.to),
    };
    let Some(months) = months(per) else { return events.iter().map(whole).collect() };
    let summed = |(from, to): (Timestamp, Timestamp)| {
        let seconds = events.iter().map(|event| event.within(from, to)).sum();
        Downtime { from, to, per, seconds }
    };
    periods(months, per, zone, effective_from, from, to).into_iter().map(summed).collect()
}

/// By how many seconds a limit was passed; `None` while it was kept or is a limit of another kind.
pub fn over_s(limit: LongestDowntime, downtime: &Downtime) -> Option<u64> {
    let over = downtime.seconds.checked_sub(limit.seconds)?;
    (limit.per == downtime.per && over > 0).then_some(over)
}

/// What downtime costs the client, halves to the even minor unit.
pub fn cost(price: Price, seconds: u64) -> Result<Money, CostError> {
    match price.per {
        Per::Hour => Ok(price.amount.share(u128::from(seconds), 3600, Rounding::HalfEven)),
        Per::Once | Per::Month | Per::Year => Err(CostError::NotPerHour { price }),
    }
}

impl DownEvent {
    /// The whole seconds of it that count within `[from, to)`.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> u64 {
        let second = |at: Timestamp| crate::clock::whole_second(at).as_second();
        let clipped = self.counted.iter().map(|&(a, b)| second(b.min(to)) - second(a.max(from)));
        clipped.map(|seconds| u64::try_from(seconds).unwrap_or(0)).sum()
    }
}

/// `[from, to)` without some stretches, which may overlap.
fn without(from: Timestamp, to: Timestamp, left_out: &[(Timestamp, Timestamp)]) -> Vec<(Timestamp, Timestamp)> {
    let mut inside: Vec<_> = left_out.iter().filter(|(a, b)| a < b && *a < to && *b > from).copied().collect();
    inside.sort();
    let (mut kept, mut reached) = (Vec::new(), from);
    for (a, b) in inside {
        if a > reached {
            kept.push((reached, a));
        }
        reached = reached.max(b);
    }
    if reached < to {
        kept.push((reached, to));
    }
    kept
}

pub(crate) fn months(per: DowntimePer) -> Option<i64> {
    match per {
        DowntimePer::Event => None,
        DowntimePer::Month => Some(1),
        DowntimePer::Quarter => Some(3),
        DowntimePer::AgreementYear => Some(12),
    }
}

/// The periods of so many months that `[from, to)` touches.
pub(crate) fn periods(
    months: i64,
    per: DowntimePer,
    zone: &TimeZone,
    effective_from: Timestamp,
    from: Timestamp,
    to: Timestamp,
) -> Vec<(Timestamp, Timestamp)> {
    let date = |at: Timestamp| zone.to_datetime(at).date();
    let midnight = |date: jiff::civil::Date| date.to_zoned(zone.clone()).map(|zoned| zoned.timestamp());
    let begin = match per {
        DowntimePer::AgreementYear => date(effective_from),
        DowntimePer::Event | DowntimePer::Month => date(from).first_of_month(),
        DowntimePer::Quarter => {
            let first = date(from).first_of_month();
            // 1 to 12 less at most 2: a month of the same year.
            first.checked_sub(i64::from((first.month() - 1) % 3).months()).unwrap_or(first)
        }
    };
    let mut found = Vec::new();
    for number in 0.. {
        // From the first date each time: a period that begins on the 31st does not wander to the 28th.
        let edge = |number: i64| begin.checked_add((number * months).months()).and_then(midnight);
        let (Ok(starts), Ok(ends)) = (edge(number), edge(number + 1)) else { break };
        if starts >= to {
            break;
        }
        if ends > from {
            found.push((starts, ends));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{availability::UnknownWhy, money::Currency};

    fn at(text: &str) -> Timestamp {
        format!("2026-{text}:00Z").parse().unwrap()
    }

    fn timeline(pieces: &[(&str, &str, Seen)]) -> Timeline {
        let piece = |&(from, to, state): &(&str, &str, Seen)| Piece { from: at(from), to: at(to), state };
        Timeline::new(pieces.iter().map(piece).collect()).unwrap()
    }

    fn two_days() -> Timeline {
        timeline(&[
            ("03-31T00:00", "03-31T20:00", Seen::Up),
            ("03-31T20:00", "04-01T02:00", Seen::Down),
            ("04-01T02:00", "04-01T03:00", Seen::Unknown(UnknownWhy::AgentSilent)),
            ("04-01T03:00", "04-01T11:00", Seen::Down),
            ("04-01T11:00", "04-01T12:00", Seen::Degraded),
            ("04-01T12:00", "04-01T13:00", Seen::Down),
        ])
    }

    fn sums(per: DowntimePer, events: &[DownEvent]) -> Vec<u64> {
        let zone = TimeZone::get("America/Chicago").unwrap();
        let downtimes = downtimes(per, events, &zone, at("01-31T06:00"), at("03-31T00:00"), at("04-02T00:00"));
        downtimes.iter().map(|downtime| downtime.seconds / 3600).collect()
    }

    #[test]
    fn an_event_goes_on_through_the_unknown_which_does_not_count() {
        let events = events(&two_days(), &[]);
        assert_eq!(events.len(), 2);
        assert_eq!((events[0].from, events[0].to), (at("03-31T20:00"), at("04-01T11:00")));
        assert_eq!(sums(DowntimePer::Event, &events), [14, 1]);
    }

    #[test]
    fn periods_begin_at_midnight_of_the_agreements_zone() {
        let events = events(&two_days(), &[]);
        // April begins at 05:00 UTC in Chicago.
        assert_eq!(sums(DowntimePer::Month, &events), [8, 7]);
        assert_eq!(sums(DowntimePer::Quarter, &events), [8, 7]);
        assert_eq!(sums(DowntimePer::AgreementYear, &events), [15]);
    }

    #[test]
    fn maintenance_is_left_out_of_an_event_and_does_not_end_it() {
        let left_out = [(at("03-31T22:00"), at("04-01T01:00")), (at("03-31T21:00"), at("03-31T23:00"))];
        let events = events(&two_days(), &left_out);
        assert_eq!(sums(DowntimePer::Event, &events), [10, 1]);
    }

    #[test]
    fn a_limit_is_passed_by_more_than_it_allows() {
        let limit = LongestDowntime { seconds: 12 * 3600, per: DowntimePer::Event };
        let of =
            |hours: u64, per| Downtime { from: at("03-31T00:00"), to: at("04-01T00:00"), per, seconds: hours * 3600 };
        assert_eq!(over_s(limit, &of(12, DowntimePer::Event)), None);
        assert_eq!(over_s(limit, &of(14, DowntimePer::Event)), Some(7200));
        assert_eq!(over_s(limit, &of(14, DowntimePer::Month)), None);
    }

    #[test]
    fn downtime_costs_by_the_hour() {
        let usd = Currency::parse("USD").unwrap();
        let price = Price::parse("400.00/h", usd).unwrap();
        assert_eq!(cost(price, 5400).unwrap().minor, 60_000);
        assert_eq!(cost(price, 1).unwrap().minor, 11);
        let monthly = Price::parse("400.00/month", usd).unwrap();
        assert_eq!(cost(monthly, 1), Err(CostError::NotPerHour { price: monthly }));
    }
}

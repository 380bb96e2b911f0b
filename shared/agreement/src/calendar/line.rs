//! The calendar on the line of instants: the wall clock's open seconds through the zone's offsets.
//!
//! Between two transitions of the zone the wall clock is the instant plus a constant, so open seconds are a
//! difference of [`Wall::open_before`]. A gap is wall seconds that no span holds, a fold is wall seconds that two
//! spans hold: nothing else needs to know of either (R1). Instants are whole seconds since 1970-01-01T00:00Z.
//!
//! The Gregorian calendar repeats every 400 years, weekdays included, and so do the zones' rules for the future.
//! The table ends one such cycle after the last special date; later instants are led back into it.

use jiff::{Timestamp, civil::date, tz::TimeZone};

use super::{
    YEAR_MIN,
    check::{Checked, DAY_S},
    day::Kind,
    wall::{Wall, day_number},
};

const CYCLE_YEARS: i16 = 400;
const CYCLE_DAYS: i64 = 146_097;
const CYCLE_S: i64 = CYCLE_DAYS * DAY_S;

/// From here on the zones of the database follow a rule (the last that is listed date by date ends in 2087).
const RULES_FROM_YEAR: i16 = 2100;

/// More than any wall clock ever differed from UTC or was ever moved.
const WALL_MARGIN_S: i64 = 2 * DAY_S;

/// Open seconds as a function of the instant.
#[derive(Debug)]
pub(super) struct Line {
    wall: Wall,
    /// Ascending; the first begins at [`Line::first`], the last goes on past the end of the cycle.
    spans: Vec<Span>,
    /// Where the repeating part begins.
    cycle_from: i64,
    open_before_cycle: i64,
    open_in_cycle: i64,
}

/// A time without a change of the zone's offset.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: i64,
    offset: i64,
    open_before: i64,
    /// `Wall::open_before(instant + offset) + shift` are the open seconds before an instant of this span.
    shift: i64,
}

impl Line {
    pub(super) fn new(checked: &Checked) -> Self {
        let last_year = checked.dated.iter().map(|(date, _)| date.year()).max().unwrap_or(0);
        let cycle_year = RULES_FROM_YEAR.max(last_year + 2);
        let wall = Wall::new(checked, YEAR_MIN - 1..=cycle_year + CYCLE_YEARS + 1);
        let cycle_from = first_second(cycle_year);
        let spans = spans(&wall, &checked.tz, cycle_from + CYCLE_S + 2 * WALL_MARGIN_S);
        let mut line = Self { wall, spans, cycle_from, open_before_cycle: 0, open_in_cycle: 0 };
        line.open_before_cycle = line.open_in_table(cycle_from);
        line.open_in_cycle = line.open_in_table(cycle_from + CYCLE_S) - line.open_before_cycle;
        line
    }

    /// The open seconds before `instant`; none before the first year that counts.
    pub(super) fn open_before(&self, instant: i64) -> i64 {
        let (cycles, instant) = self.table_instant(instant.max(self.first()));
        cycles * self.open_in_cycle + self.open_in_table(instant)
    }

    /// The earliest instant before which `open` seconds were open, `open` at least 1; `None` when that never happens
    /// in 64 bits.
    pub(super) fn reach(&self, open: i64) -> Option<i64> {
        let beyond = open - self.open_before_cycle - 1;
        let cycles = if beyond < 0 { 0 } else { beyond.checked_div(self.open_in_cycle)? };
        let open = open - cycles * self.open_in_cycle;
        let after = self.spans.partition_point(|span| span.open_before < open);
        let span = self.spans.get(after.checked_sub(1)?)?;
        let instant = self.wall.reach(open - span.shift)? - span.offset;
        cycles.checked_mul(CYCLE_S)?.checked_add(instant)
    }

    /// What the second that begins at `instant` is, and a later instant up to which that holds.
    pub(super) fn at(&self, instant: i64) -> (Kind, i64) {
        if instant < self.first() {
            return (Kind::Outside, self.first());
        }
        let (cycles, instant) = self.table_instant(instant);
        let index = self.span_index(instant);
        let span = self.spans[index];
        let (kind, wall_end) = self.wall.at(instant + span.offset);
        let span_end = self.spans.get(index + 1).map_or(i64::MAX, |next| next.from);
        let end = (wall_end - span.offset).min(span_end).min(self.cycle_from + CYCLE_S);
        (kind, end + cycles * CYCLE_S)
    }

    /// The end of the open run that holds `instant`; `None` when it never ends.
    pub(super) fn open_run_end(&self, instant: i64) -> Option<i64> {
        let give_up = instant.max(self.cycle_from) + CYCLE_S;
        let mut reached = instant;
        while reached <= give_up {
            let (kind, end) = self.at(reached);
            if kind != Kind::Open {
                return Some(reached);
            }
            reached = end;
        }
        None
    }

    /// The beginning of the first open second at or after `instant`.
    pub(super) fn first_open(&self, instant: i64) -> Option<i64> {
        Some(self.reach(self.open_before(instant) + 1)? - 1)
    }

    /// What the wall clock shows: the day since 1970-01-01 and its second.
    pub(super) fn wall_at(&self, instant: i64) -> (i64, i64) {
        let wall = instant + self.offset_at(instant);
        (wall.div_euclid(DAY_S), wall.rem_euclid(DAY_S))
    }

    /// The zone's offset from UTC in seconds, east positive.
    pub(super) fn offset_at(&self, instant: i64) -> i64 {
        let (_, instant) = self.table_instant(instant);
        self.spans[self.span_index(instant)].offset
    }

    /// The instants at which the wall clock shows the date, ascending: one stretch, none when the zone skipped the
    /// date, two when it went back over midnight.
    pub(super) fn instants_of(&self, day: i64) -> Vec<(i64, i64)> {
        let (cycles, wall) = self.table_wall(day * DAY_S);
        let near = self.span_index(wall - WALL_MARGIN_S);
        let mut found = Vec::new();
        for (index, span) in self.spans.iter().enumerate().skip(near) {
            if span.from > wall + DAY_S + WALL_MARGIN_S {
                break;
            }
            let span_end = self.spans.get(index + 1).map_or(i64::MAX, |next| next.from);
            let from = span.from.max(wall - span.offset);
            let to = span_end.min(wall + DAY_S - span.offset);
            if from < to {
                found.push((from + cycles * CYCLE_S, to + cycles * CYCLE_S));
            }
        }
        found
    }

    /// The earliest instant at which the wall clock shows this reading or, where a gap swallowed it, a later one.
    pub(super) fn first_at_wall(&self, day: i64, second: i64) -> Option<i64> {
        let (cycles, wall) = self.table_wall(day * DAY_S + second);
        let near = self.span_index(wall - WALL_MARGIN_S);
        self.spans.iter().enumerate().skip(near).find_map(|(index, span)| {
            let span_end = self.spans.get(index + 1).map_or(i64::MAX, |next| next.from);
            let instant = span.from.max(wall - span.offset);
            (instant < span_end).then_some(instant + cycles * CYCLE_S)
        })
    }

    /// How many entries the tables hold: what the memory is proportional to.
    pub(super) fn weight(&self) -> usize {
        self.spans.len() + self.wall.weight()
    }

    fn first(&self) -> i64 {
        self.spans[0].from
    }

    fn open_in_table(&self, instant: i64) -> i64 {
        let span = self.spans[self.span_index(instant)];
        span.shift + self.wall.open_before(instant + span.offset)
    }

    fn span_index(&self, instant: i64) -> usize {
        self.spans.partition_point(|span| span.from <= instant).saturating_sub(1)
    }

    fn table_instant(&self, instant: i64) -> (i64, i64) {
        let cycles = (instant - self.cycle_from).div_euclid(CYCLE_S).max(0);
        (cycles, instant - cycles * CYCLE_S)
    }

    /// The same for a wall reading, so that the instants around it are all in the table.
    fn table_wall(&self, wall: i64) -> (i64, i64) {
        let (cycles, _) = self.table_instant(wall - WALL_MARGIN_S);
        (cycles, wall - cycles * CYCLE_S)
    }
}

fn first_second(year: i16) -> i64 {
    day_number(date(year, 1, 1)) * DAY_S
}

fn spans(wall: &Wall, tz: &TimeZone, until: i64) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut add = |from: i64, offset: i64| {
        let open_before = match spans.last() {
            Some(last) if last.offset == offset => return,
            Some(last) => last.shift + wall.open_before(from + last.offset),
            None => 0,
        };
        spans.push(Span { from, offset, open_before, shift: open_before - wall.open_before(from + offset) });
    };
    // The year 1900 is within what a timestamp holds.
    let first = Timestamp::from_second(first_second(YEAR_MIN)).unwrap_or(Timestamp::UNIX_EPOCH);
    add(first.as_second(), i64::from(tz.to_offset(first).seconds()));
    for change in tz.following(first).take_while(|change| change.timestamp().as_second() < until) {
        add(change.timestamp().as_second(), i64::from(change.offset().seconds()));
    }
    spans
}

//! One local date: which of its seconds are open, and what holidays took from it.

use super::{
    check::DAY_S,
    stretch::{Stretch, disjoint, holding},
};

/// What a second is, before any pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Inside coverage.
    Open,
    /// Would be inside but for this holiday (an index into the calendar's names).
    Holiday(u32),
    /// Outside.
    Outside,
}

/// The 86,400 seconds that the wall clock of an ordinary date shows. Days of the zone that are longer or shorter show
/// some of them twice or not at all; that is the zone's business, not the day's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day {
    /// Gap-free from 0 to [`DAY_S`], neighbours of different kinds.
    pieces: Vec<Piece>,
    open: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Piece {
    from: i64,
    to: i64,
    kind: Kind,
    /// The open seconds of the date before this piece.
    open_before: i64,
}

impl Day {
    /// Regular and extra hours (R2), less the holidays (R3), and hours that count in spite of them.
    pub(super) fn new(
        hours: Vec<Stretch<i64, ()>>,
        holidays: Vec<Stretch<i64, u32>>,
        in_spite: Vec<Stretch<i64, ()>>,
    ) -> Self {
        let (hours, holidays, in_spite) = (disjoint(hours), disjoint(holidays), disjoint(in_spite));
        let mut cuts = vec![0, DAY_S];
        cuts.extend(hours.iter().chain(&in_spite).flat_map(|stretch| [stretch.from, stretch.to]));
        cuts.extend(holidays.iter().flat_map(|stretch| [stretch.from, stretch.to]));
        cuts.sort_unstable();
        cuts.dedup();
        let kind_at = |second| match (holding(&in_spite, second), holding(&hours, second), holding(&holidays, second)) {
            (Some(_), _, _) | (None, Some(_), None) => Kind::Open,
            (None, Some(_), Some(holiday)) => Kind::Holiday(holiday.tag),
            (None, None, _) => Kind::Outside,
        };
        let mut day = Self { pieces: Vec::new(), open: 0 };
        cuts.windows(2).for_each(|cut| day.push(cut[0], cut[1], kind_at(cut[0])));
        day
    }

    fn push(&mut self, from: i64, to: i64, kind: Kind) {
        match self.pieces.last_mut() {
            Some(last) if last.kind == kind => last.to = to,
            Some(_) | None => self.pieces.push(Piece { from, to, kind, open_before: self.open }),
        }
        if kind == Kind::Open {
            self.open += to - from;
        }
    }

    /// The open seconds of the whole date.
    pub(super) fn open(&self) -> i64 {
        self.open
    }

    /// The one kind that the whole date is, if it is.
    pub(super) fn uniform(&self) -> Option<Kind> {
        (self.pieces.len() == 1).then(|| self.pieces[0].kind)
    }

    /// The open seconds of the date before `second`, which is from 0 to before [`DAY_S`].
    pub(super) fn open_before(&self, second: i64) -> i64 {
        let piece = self.piece(second);
        if piece.kind == Kind::Open { piece.open_before + second - piece.from } else { piece.open_before }
    }

    /// What `second` is, and where that ends within the date.
    pub(super) fn at(&self, second: i64) -> (Kind, i64) {
        let piece = self.piece(second);
        (piece.kind, piece.to)
    }

    /// The second of the date by which `open` seconds were open: `open` is from 1 to [`Day::open`].
    pub(super) fn reach(&self, open: i64) -> i64 {
        let after = self.pieces.partition_point(|piece| piece.open_before < open);
        // The last piece that begins before so many are open is the one in which they are reached: it is open.
        self.pieces.get(after.saturating_sub(1)).map_or(0, |piece| piece.from + open - piece.open_before)
    }

    fn piece(&self, second: i64) -> Piece {
        let after = self.pieces.partition_point(|piece| piece.from <= second);
        self.pieces[after.saturating_sub(1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: i64 = 3600;

    fn hours(list: &[(i64, i64)]) -> Vec<Stretch<i64, ()>> {
        list.iter().map(|&(from, to)| Stretch { from: from * H, to: to * H, tag: () }).collect()
    }

    fn holiday(from: i64, to: i64) -> Vec<Stretch<i64, u32>> {
        vec![Stretch { from: from * H, to: to * H, tag: 7 }]
    }

    fn pieces(day: &Day) -> Vec<(i64, i64, Kind)> {
        day.pieces.iter().map(|piece| (piece.from / H, piece.to / H, piece.kind)).collect()
    }

    #[test]
    fn overlapping_and_adjacent_hours_are_one_piece() {
        let day = Day::new(hours(&[(13, 17), (9, 12), (12, 14)]), vec![], vec![]);
        assert_eq!(pieces(&day), [(0, 9, Kind::Outside), (9, 17, Kind::Open), (17, 24, Kind::Outside)]);
        assert_eq!(day.open(), 8 * H);
    }

    #[test]
    fn a_holiday_takes_its_part_and_shows_what_it_took() {
        let day = Day::new(hours(&[(9, 17)]), holiday(12, 24), vec![]);
        let expected =
            [(0, 9, Kind::Outside), (9, 12, Kind::Open), (12, 17, Kind::Holiday(7)), (17, 24, Kind::Outside)];
        assert_eq!(pieces(&day), expected);
    }

    #[test]
    fn hours_that_say_so_count_on_a_holiday() {
        let day = Day::new(hours(&[(9, 17)]), holiday(0, 24), hours(&[(10, 11)]));
        assert_eq!(day.at(10 * H), (Kind::Open, 11 * H));
        assert_eq!(day.open(), H);
    }

    #[test]
    fn counting_and_reaching_are_inverse() {
        let day = Day::new(hours(&[(8, 12), (13, 18)]), vec![], vec![]);
        for open in [1, 4 * H, 4 * H + 1, 9 * H] {
            let second = day.reach(open);
            assert_eq!(day.open_before(second), open);
            assert_eq!(day.open_before(second - 1), open - 1);
        }
        assert_eq!(day.reach(4 * H), 12 * H);
    }
}

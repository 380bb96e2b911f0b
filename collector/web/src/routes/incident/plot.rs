//! A clock's way down, drawn on the server: what was left at each moment, over the hours that count (UX 2.5). The table of
//! every minute beside it says the same; phones get a drawing of their own.

use jiff::{Timestamp, tz::TimeZone};
use upheld_agreement::explain::{Explanation, Row, RowWhy, duration};

/// More stretches than this are no picture any more.
const ROWS_MAX: usize = 400;

/// One clock's drawing.
pub(super) struct Plot {
    /// The finding in a sentence.
    pub(super) said: String,
    pub(super) drawings: [Drawing; 2],
}

/// The drawing for one width.
pub(super) struct Drawing {
    /// `wide` or `phone`.
    pub(super) class: &'static str,
    pub(super) id: String,
    pub(super) width: i64,
    pub(super) height: i64,
    pub(super) left: i64,
    pub(super) right: i64,
    pub(super) bottom: i64,
    /// Covered hours and pauses, as one path each.
    pub(super) covered: String,
    pub(super) paused: String,
    pub(super) past: String,
    pub(super) future: String,
    pub(super) now: (i64, i64),
    pub(super) due: Option<(i64, i64)>,
    /// Height and word of each line across.
    pub(super) across: Vec<(i64, String)>,
    pub(super) begins: String,
    pub(super) ends: String,
}

struct Form {
    class: &'static str,
    width: i64,
    height: i64,
    left: i64,
    right: i64,
}

const FORMS: [Form; 2] = [
    Form { class: "wide", width: 720, height: 230, left: 70, right: 706 },
    Form { class: "phone", width: 350, height: 210, left: 62, right: 340 },
];
const TOP: i64 = 14;
/// Room for the words beneath.
const BENEATH: i64 = 30;

/// The drawing of a clock that has a promise in seconds and has begun; `None` of every other.
pub(super) fn of(explanation: &Explanation, id: &str) -> Option<Plot> {
    let promised = explanation.promised_s.filter(|promised| *promised > 0)?;
    let rows: Vec<&Row> = explanation.rows.iter().filter(|row| row.left_s.is_some() && row.from < row.to).collect();
    let (first, last) = (rows.first()?, rows.last()?);
    if rows.len() > ROWS_MAX || explanation.is_cut {
        return None;
    }
    let draw = |form: &Form| drawing(form, explanation, &rows, (first.from, last.to), promised, id);
    Some(Plot { said: said(explanation, &rows, promised), drawings: [draw(&FORMS[0]), draw(&FORMS[1])] })
}

fn drawing(
    form: &Form,
    explanation: &Explanation,
    rows: &[&Row],
    (from, to): (Timestamp, Timestamp),
    promised: u64,
    id: &str,
) -> Drawing {
    let bottom = form.height - BENEATH;
    let span = from.duration_until(to).as_secs().max(1);
    let x =
        |at: Timestamp| form.left + (form.right - form.left) * from.duration_until(at).as_secs().clamp(0, span) / span;
    let y = |left: u64| {
        let left = i64::try_from(left.min(promised)).unwrap_or(0);
        bottom - (bottom - TOP) * left / i64::try_from(promised).unwrap_or(i64::MAX).max(1)
    };
    let (mut covered, mut paused) = (String::new(), String::new());
    let (mut past, mut future) = (format!("M{} {}", x(from), y(promised)), String::new());
    let mut at = (x(from), y(promised));
    let mut now = at;
    for row in rows {
        let (begins, ends) = (x(row.from), x(row.to));
        let block = format!("M{begins} {TOP}h{}V{bottom}h-{}z", ends - begins, ends - begins);
        match row.why {
            RowWhy::Counted => covered.push_str(&block),
            RowWhy::Paused { .. } => paused.push_str(&block),
            RowWhy::OutsideCoverage | RowWhy::Holiday { .. } | RowWhy::Ended { .. } => {}
        }
        let next = (ends, y(row.left_s.unwrap_or(0)));
        if row.is_past {
            past.push_str(&format!("L{} {}", next.0, next.1));
            now = next;
        } else {
            if future.is_empty() {
                future = format!("M{} {}", at.0, at.1);
            }
            future.push_str(&format!("L{} {}", next.0, next.1));
        }
        at = next;
    }
    let zone = TimeZone::get(&explanation.zone).unwrap_or(TimeZone::UTC);
    let stamp = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%a %H:%M").to_string();
    Drawing {
        class: form.class,
        id: format!("{id}-{}", form.class),
        width: form.width,
        height: form.height,
        left: form.left,
        right: form.right,
        bottom,
        covered,
        paused,
        past,
        future,
        now,
        due: explanation.clock.due.instant().filter(|due| from <= *due && *due <= to).map(|due| (x(due), bottom)),
        across: [promised, promised / 2, 0].into_iter().map(|left| (y(left), duration(left))).collect(),
        begins: stamp(from),
        ends: stamp(to),
    }
}

/// What the drawing shows, for those who do not see it.
fn said(explanation: &Explanation, rows: &[&Row], promised: u64) -> String {
    let past = || rows.iter().filter(|row| row.is_past);
    let seconds = |row: &Row| u64::try_from(row.from.duration_until(row.to).as_secs()).unwrap_or(0);
    let counted: u64 = past().map(|row| row.counted_s).sum();
    let paused: u64 = past().filter(|row| matches!(row.why, RowWhy::Paused { .. })).map(|row| seconds(row)).sum();
    let outside: u64 = past()
        .filter(|row| matches!(row.why, RowWhy::OutsideCoverage | RowWhy::Holiday { .. }))
        .map(|row| seconds(row))
        .sum();
    let mut parts = vec![format!("of {} promised, {} counted", duration(promised), duration(counted))];
    if paused > 0 {
        parts.push(format!("it was paused for {}", duration(paused)));
    }
    if outside > 0 {
        parts.push(format!("it stood for {} outside covered hours", duration(outside)));
    }
    format!("{}: {}. {}.", explanation.name(), parts.join(", "), explanation.headline())
}

//! The explanation as a table for a terminal (UX 3.3), made from nothing but the explanation.

use std::fmt::Write as _;

use super::{Cells, Explanation};

/// A duration as people read it, exact to the second: `1 h 50 m`, `45 s`, `26 h 00 m 05 s`. Covered hours are never
/// turned into days.
pub fn duration(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, rest) {
        (0, 0, rest) => format!("{rest} s"),
        (0, minutes, 0) => format!("{minutes} m"),
        (0, minutes, rest) => format!("{minutes} m {rest:02} s"),
        (hours, 0, 0) => format!("{hours} h"),
        (hours, minutes, 0) => format!("{hours} h {minutes:02} m"),
        (hours, minutes, rest) => format!("{hours} h {minutes:02} m {rest:02} s"),
    }
}

impl Explanation {
    /// All of it: the clock, and why these terms. Of several clocks of one incident, say each one's
    /// [`Explanation::clock_text`] and the last one's [`Explanation::terms_text`], which is the same for all.
    pub fn text(&self) -> String {
        format!("{}{}", self.clock_text(), self.terms_text())
    }

    /// The clock alone, in the zone of its calendar, which is the agreement's word on time.
    pub fn clock_text(&self) -> String {
        let mut text = format!("{}: {}\n", self.name(), self.headline());
        let rows: Vec<[String; 6]> = self.cells().into_iter().map(columns).collect();
        let past = self.rows.iter().filter(|row| row.is_past).count();
        if !rows.is_empty() {
            let head = ["from", "to", "counted", "left", "why", ""].map(str::to_owned);
            let widths = widths(&head, &rows);
            line(&mut text, &head, &widths);
            for (index, row) in rows.iter().enumerate() {
                if index == past {
                    let _ = writeln!(text, "  {}", self.divider());
                }
                line(&mut text, row, &widths);
            }
        }
        for note in self.notes() {
            let _ = writeln!(text, "{note}");
        }
        text
    }

    /// Why these terms, and what was ruled out.
    pub fn terms_text(&self) -> String {
        format!("Why these terms: {}, {}", self.version, self.terms.text())
    }
}

fn columns(cells: Cells) -> [String; 6] {
    let Cells { from, to, counted, left, why, source } = cells;
    [from, to, counted, left, why, source]
}

fn widths(head: &[String; 6], rows: &[[String; 6]]) -> [usize; 6] {
    std::array::from_fn(|column| {
        rows.iter().chain([head]).map(|row| row[column].chars().count()).max().unwrap_or_default()
    })
}

fn line(text: &mut String, cells: &[String; 6], widths: &[usize; 6]) {
    let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
    let _ = writeln!(text, "  {}", padded.join("  ").trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact_and_hours_never_become_days() {
        for (seconds, shown) in [
            (0, "0 s"),
            (45, "45 s"),
            (600, "10 m"),
            (605, "10 m 05 s"),
            (3600, "1 h"),
            (6600, "1 h 50 m"),
            (93_605, "26 h 00 m 05 s"),
        ] {
            assert_eq!(duration(seconds), shown);
        }
    }
}

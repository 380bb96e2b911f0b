//! Why a figure is what it is (F10): its sources, step by step.

use super::{Account, AvailabilityRow, CreditLine, DowntimeRow, LabourRow, Stretch, words};
use crate::{availability::Figure, credit::Cause, explain::duration, rate::LineFor};

impl Account {
    /// The names of all figures, as the statement prints them.
    pub fn figures(&self) -> Vec<String> {
        let targets = self.targets.iter().map(|row| self.target_name(row));
        let availability = self.availability.iter().map(|row| self.availability_name(row));
        let downtime = self.downtime.iter().map(|row| self.downtime_name(row));
        let time = self.time.iter().map(words::time_name);
        let credits = (1..=self.credits.lines.len()).map(|number| format!("credit/{number}"));
        let labour = self.labour.rows.iter().map(words::labour_name);
        let fees = self.versions.iter().map(|row| format!("fee/v{}", row.version));
        targets.chain(availability).chain(downtime).chain(time).chain(credits).chain(labour).chain(fees).collect()
    }

    /// Why the figure of this name is what it is; `None` where there is no such figure.
    pub fn why(&self, figure: &str) -> Option<String> {
        let is = |name: String| name == figure;
        let lines = if let Some(row) = self.targets.iter().find(|row| is(self.target_name(row))) {
            let decided = row
                .outcome
                .decided_at
                .map_or_else(|| "still open".to_owned(), |at| format!("decided at {}", self.at(at)));
            vec![
                self.target_row(row),
                format!("{decided}; that puts it into this period"),
                format!("every counted second of it: upheld-collector explain {}", row.incident),
            ]
        } else if let Some(row) = self.availability.iter().find(|row| is(self.availability_name(row))) {
            self.why_availability(row)
        } else if let Some(row) = self.downtime.iter().find(|row| is(self.downtime_name(row))) {
            self.why_downtime(row)
        } else if let Some(row) = self.time.iter().find(|row| is(words::time_name(row))) {
            let down =
                row.down.iter().map(|stretch| format!("down {}, {}", self.span(*stretch), duration(stretch.seconds())));
            std::iter::once(words::time_row(row)).chain(down).collect()
        } else if let Some(number) = figure.strip_prefix("credit/").and_then(|number| number.parse::<usize>().ok()) {
            self.why_credit(self.credits.lines.get(number.checked_sub(1)?)?)
        } else if let Some(row) = self.labour.rows.iter().find(|row| is(words::labour_name(row))) {
            self.why_labour(row)
        } else {
            let row = self.versions.iter().find(|row| format!("fee/v{}", row.version) == figure)?;
            vec![
                self.fee_row(row),
                "by the second of each calendar month, rounded from the month's beginning on: the parts add up"
                    .to_owned(),
            ]
        };
        let mut text = format!("{figure}\n");
        lines.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
        Some(text)
    }

    fn why_availability(&self, row: &AvailabilityRow) -> Vec<String> {
        let mut lines = vec![
            self.availability_row(row),
            format!("measured {} under v{}", self.span(row.measured_over), row.version),
            format!("as counted: {}", seconds(&row.measured.figure)),
        ];
        if let Some(held) = &row.measured.if_disputes_hold {
            lines.push(format!("if you are right about what you dispute: {}, {}", held.shown(), seconds(held)));
        }
        for (window, why) in &row.measured.not_agreed {
            let when = self.span(Stretch { from: window.from, to: window.to });
            lines.push(format!("maintenance {when} is not left out: {why}"));
        }
        lines.push("the verdict compares the exact fraction; it is cut, never rounded up, when shown".to_owned());
        lines
    }

    fn why_downtime(&self, row: &DowntimeRow) -> Vec<String> {
        let mut lines = vec![self.downtime_row(row), format!("the limit stands in {}, v{}", row.source, row.version)];
        let over = Stretch { from: row.downtime.from, to: row.downtime.to };
        let asset = self.time.iter().find(|time| time.site == row.site && time.asset == row.asset);
        for stretch in asset.iter().flat_map(|time| &time.down).filter_map(|down| down.cut(over)) {
            lines.push(format!("down {}, {}", self.span(stretch), duration(stretch.seconds())));
        }
        lines
            .push("agreed maintenance and excluded causes are left out; unknown time does not end an event".to_owned());
        lines
    }

    fn why_credit(&self, row: &CreditLine) -> Vec<String> {
        let mut lines = vec![self.credit_row(row)];
        let figure = match &row.cause {
            Cause::Availability { figure, .. } => Some(seconds(figure)),
            Cause::Downtime { downtime, .. } => Some(self.span(Stretch { from: downtime.from, to: downtime.to })),
            Cause::Missed(missed) => Some(format!("target/{}/{}", missed.incident, missed.stage)),
        };
        lines.extend(figure);
        if let Some(window) = self.credits.windows.iter().find(|window| window.window == row.window) {
            let cap = window.cap.map_or_else(|| "no cap".to_owned(), |cap| format!("cap {cap}"));
            lines.push(format!("window {}: sum {}, {cap}, owed {}", self.span(window.window), window.sum, window.owed));
        }
        lines
    }

    fn why_labour(&self, row: &LabourRow) -> Vec<String> {
        let mut lines = vec![self.labour_row(row)];
        for line in &row.lines {
            lines.push(match &line.what {
                LineFor::Travel => format!("{}: travel {}", line.band, line.amount),
                LineFor::Time { from, to, worked_s, charged_s, included_s, price, .. } => format!(
                    "{}: {}, worked {}, charged {}, of that included {}, {}: {}",
                    line.band,
                    self.span(Stretch { from: *from, to: *to }),
                    duration(*worked_s),
                    duration(*charged_s),
                    duration(*included_s),
                    price.map_or_else(|| "covered by the fee".to_owned(), |price| format!("{price} an hour")),
                    line.amount
                ),
            });
        }
        lines
    }
}

fn seconds(figure: &Figure) -> String {
    let tally = &figure.tally;
    format!(
        "up {} s, degraded {} s, down {} s, unknown {} s, left out or outside coverage {} s: {}",
        tally.up_s,
        tally.degraded_s,
        tally.down_s,
        tally.unknown_s,
        tally.excluded_s,
        words::fraction(figure)
    )
}

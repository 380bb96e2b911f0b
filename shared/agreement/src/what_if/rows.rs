//! Both columns row by row: what a person reads, what JSON holds, and what a condition asks, from one list.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use super::{Columns, Sums, WhatIf};
use crate::{money::Money, outcome::Kept, words::Stage};

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name, by which a condition asks: `breaches`, `respond:late`, `credits`.
    pub name: String,
    /// As it was agreed.
    pub before: Value,
    /// Under the other book.
    pub after: Value,
    /// The second less the first.
    pub difference: Value,
}

/// A number, or money in minor units; signed, because differences are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Value {
    /// A number.
    Count {
        /// How many.
        count: i64,
    },
    /// Money.
    Money {
        /// Minor units.
        minor: i64,
        /// In which money.
        currency: crate::money::Currency,
    },
    /// It cannot be said.
    NotKnown,
}

/// Every row: counts first, then each stage, then money.
pub fn rows(found: &WhatIf, columns: &Columns) -> Vec<Row> {
    let (before, after) = (&found.before, &found.after);
    let mut rows = vec![
        counted("promised", before.promised, after.promised),
        counted("none-promised", before.none_promised, after.none_promised),
        counted("breaches", before.breaches, after.breaches),
    ];
    let all = |column: &super::Column, kept: Kept| -> u64 {
        column.stages.values().map(|stage| stage.get(&kept).copied().unwrap_or(0)).sum()
    };
    for kept in Kept::ALL {
        rows.push(counted(word(kept), all(before, kept), all(after, kept)));
    }
    let stages: BTreeSet<Stage> = before.stages.keys().chain(after.stages.keys()).copied().collect();
    for stage in stages {
        for kept in Kept::ALL {
            let of = |column: &super::Column| {
                column.stages.get(&stage).and_then(|stage| stage.get(&kept)).copied().unwrap_or(0)
            };
            if of(before) + of(after) > 0 {
                rows.push(counted(&format!("{stage}:{}", word(kept)), of(before), of(after)));
            }
        }
    }
    let changed = i64::try_from(found.changed.len()).unwrap_or(i64::MAX);
    let count = |count| Value::Count { count };
    rows.push(Row { name: "changed".to_owned(), before: count(0), after: count(changed), difference: count(changed) });
    let is_known = !columns.before.is_empty();
    let sums = (Sums::of(columns.before.values()), Sums::of(columns.after.values()));
    for (name, pick) in [
        ("credits", (|sums: &Sums| sums.credits) as fn(&Sums) -> Option<Money>),
        ("labour", |sums: &Sums| sums.labour),
        ("fee-per-month", |sums: &Sums| sums.fee_per_month),
        ("fee", |sums: &Sums| sums.fee),
    ] {
        rows.push(paid(name, pick(&sums.0).filter(|_| is_known), pick(&sums.1)));
    }
    rows
}

/// The word of a way to come out, in names of rows.
fn word(kept: Kept) -> &'static str {
    match kept {
        Kept::InTime => "in-time",
        Kept::Late => "late",
        Kept::Missed => "missed",
        Kept::Open => "open",
        Kept::NotNeeded => "not-needed",
    }
}

fn counted(name: &str, before: u64, after: u64) -> Row {
    let (before, after) = (signed(before), signed(after));
    let count = |count| Value::Count { count };
    Row { name: name.to_owned(), before: count(before), after: count(after), difference: count(after - before) }
}

fn paid(name: &str, before: Option<Money>, after: Option<Money>) -> Row {
    let value = |money: Option<Money>| {
        money.map_or(Value::NotKnown, |money| Value::Money { minor: signed(money.minor), currency: money.currency })
    };
    let difference = match (before, after) {
        (Some(before), Some(after)) => {
            Value::Money { minor: signed(after.minor) - signed(before.minor), currency: after.currency }
        }
        (None, _) | (_, None) => Value::NotKnown,
    };
    Row { name: name.to_owned(), before: value(before), after: value(after), difference }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Value {
    /// The value with a plus where it is more than nothing.
    pub fn as_difference(self) -> String {
        let is_more = match self {
            Self::Count { count } => count > 0,
            Self::Money { minor, .. } => minor > 0,
            Self::NotKnown => false,
        };
        if is_more { format!("+{self}") } else { self.to_string() }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { count } => f.pad(&count.to_string()),
            Self::Money { minor, currency } => {
                let sign = if *minor < 0 { "-" } else { "" };
                f.pad(&format!("{sign}{}", Money { minor: minor.unsigned_abs(), currency: *currency }))
            }
            Self::NotKnown => f.pad("not known"),
        }
    }
}

/// The rows as a table of three columns.
pub fn table(rows: &[Row], after: &str) -> String {
    let heads = ["", "as agreed", after, "difference"];
    let cells: Vec<[String; 4]> = rows
        .iter()
        .map(|row| {
            let name = row.name.replace([':', '-'], " ");
            [name, row.before.to_string(), row.after.to_string(), row.difference.as_difference()]
        })
        .collect();
    let width = |column: usize| {
        let longest = cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        longest.max(heads[column].chars().count())
    };
    let widths: Vec<usize> = (0..4).map(width).collect();
    let line = |row: [&str; 4]| {
        let [name, before, after, difference] = row;
        let line = format!(
            "{name:<a$}  {before:>b$}  {after:>c$}  {difference:>d$}",
            a = widths[0],
            b = widths[1],
            c = widths[2],
            d = widths[3]
        );
        format!("{}\n", line.trim_end())
    };
    let body = cells.iter().map(|[a, b, c, d]| line([a, b, c, d]));
    std::iter::once(line(heads)).chain(body).collect()
}

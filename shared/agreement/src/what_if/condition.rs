//! Conditions on the figures of a what-if: `breaches > 0`, `difference.credits >= 100.00`, `before.respond:late == 0`.
//!
//! ```text
//! condition = comparison { " and " comparison }
//! comparison = [ "before." | "after." | "difference." ] name operator number
//! operator = ">" | ">=" | "<" | "<=" | "==" | "!="
//! ```
//! A name is that of a row; without a prefix it is the other book's. Money is written with its decimals, without its
//! currency. A figure that cannot be said is an error, never a condition that does not hold.

use super::{Row, Value};

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// As it was written.
    text: String,
    comparisons: Vec<Comparison>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparison {
    column: Column,
    name: String,
    operator: Operator,
    number: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Before,
    After,
    Difference,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    More,
    AtLeast,
    Less,
    AtMost,
    Equal,
    Other,
}

/// Why a condition cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// It does not read.
    #[error("{text:?} is no condition: {why}; write \"breaches > 0\" or \"difference.credits >= 100.00 and late > 2\"")]
    Grammar {
        /// The part that does not read.
        text: String,
        /// Why not.
        why: &'static str,
    },
    /// There is no such row.
    #[error("there is no figure {name:?}; there are {known}")]
    NoSuchFigure {
        /// The name.
        name: String,
        /// The names.
        known: String,
    },
    /// The number is not one of the figure's kind.
    #[error("{number:?} cannot be compared with {name}: write {example}")]
    Number {
        /// The number.
        number: String,
        /// The figure.
        name: String,
        /// One that can.
        example: &'static str,
    },
    /// The figure cannot be said.
    #[error("{name} is not known, so nothing can be said about {text:?}")]
    NotKnown {
        /// The figure.
        name: String,
        /// The condition.
        text: String,
    },
}

/// Names that may have no row, because nothing came out like that.
const WAYS: [&str; 5] = ["in-time", "late", "missed", "open", "not-needed"];

impl Condition {
    /// Reads a condition.
    pub fn read(text: &str) -> Result<Self, ConditionError> {
        let comparisons = text.split(" and ").map(Comparison::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { text: text.trim().to_owned(), comparisons })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds.
    pub fn holds(&self, rows: &[Row]) -> Result<bool, ConditionError> {
        let all = self.comparisons.iter().map(|comparison| comparison.holds(rows));
        Ok(all.collect::<Result<Vec<bool>, _>>()?.into_iter().all(|holds| holds))
    }
}

impl Comparison {
    fn read(text: &str) -> Result<Self, ConditionError> {
        let wrong = |why| ConditionError::Grammar { text: text.trim().chars().take(80).collect(), why };
        let at = text.find(['>', '<', '=', '!']).ok_or_else(|| wrong("it has no operator"))?;
        let (name, rest) = text.split_at(at);
        let length = rest.find(|c: char| !"<>=!".contains(c)).unwrap_or(rest.len());
        let (operator, number) = rest.split_at(length);
        let operator = match operator {
            ">" => Operator::More,
            ">=" => Operator::AtLeast,
            "<" => Operator::Less,
            "<=" => Operator::AtMost,
            "==" => Operator::Equal,
            "!=" => Operator::Other,
            _ => return Err(wrong("the operator is one of > >= < <= == !=")),
        };
        let name = name.trim();
        let (column, name) = match name.split_once('.') {
            Some(("before", name)) => (Column::Before, name),
            Some(("after", name)) => (Column::After, name),
            Some(("difference", name)) => (Column::Difference, name),
            Some(_) => return Err(wrong("a figure is of before., after. or difference.")),
            None => (Column::After, name),
        };
        let number = number.trim();
        if name.is_empty() {
            return Err(wrong("it names no figure"));
        }
        let digits = number.strip_prefix('-').unwrap_or(number);
        if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return Err(wrong("it compares with no number"));
        }
        Ok(Self { column, name: name.to_owned(), operator, number: number.to_owned() })
    }

    fn holds(&self, rows: &[Row]) -> Result<bool, ConditionError> {
        let value = match rows.iter().find(|row| row.name == self.name) {
            Some(row) => match self.column {
                Column::Before => row.before,
                Column::After => row.after,
                Column::Difference => row.difference,
            },
            None if self.is_of_a_stage() => Value::Count { count: 0 },
            None => {
                let known: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
                return Err(ConditionError::NoSuchFigure { name: self.name.clone(), known: known.join(", ") });
            }
        };
        let number = |example| ConditionError::Number { number: self.number.clone(), name: self.name.clone(), example };
        let (is, than) = match value {
            Value::Count { count } => (count, self.number.parse().map_err(|_| number("a whole number"))?),
            Value::Money { minor, currency } => {
                let digits = self.number.trim_start_matches('-');
                let amount = crate::money::Money::parse(digits, currency)
                    .map_err(|_| number("an amount with its decimals, such as 100.00"))?;
                let amount = i64::try_from(amount.minor).unwrap_or(i64::MAX);
                (minor, if self.number.starts_with('-') { -amount } else { amount })
            }
            Value::NotKnown => {
                let text = format!("{} {}", self.name, self.number);
                return Err(ConditionError::NotKnown { name: self.name.clone(), text });
            }
        };
        Ok(match self.operator {
            Operator::More => is > than,
            Operator::AtLeast => is >= than,
            Operator::Less => is < than,
            Operator::AtMost => is <= than,
            Operator::Equal => is == than,
            Operator::Other => is != than,
        })
    }

    fn is_of_a_stage(&self) -> bool {
        let parts = self.name.split_once(':');
        parts.is_some_and(|(stage, way)| stage.parse::<crate::words::Stage>().is_ok() && WAYS.contains(&way))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn rows() -> Vec<Row> {
        let count = |count| Value::Count { count };
        let usd = |minor| Value::Money { minor, currency: Currency::parse("USD").unwrap() };
        let row = |name: &str, before, after, difference| Row { name: name.to_owned(), before, after, difference };
        vec![
            row("breaches", count(3), count(1), count(-2)),
            row("credits", usd(10_000), usd(2_550), usd(-7_450)),
            row("fee", Value::NotKnown, usd(1), Value::NotKnown),
        ]
    }

    fn holds(text: &str) -> Result<bool, String> {
        let condition = Condition::read(text).map_err(|error| error.to_string())?;
        condition.holds(&rows()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_condition_asks_one_column_of_one_figure() {
        for (text, expected) in [
            ("breaches > 0", true),
            ("breaches>1", false),
            ("before.breaches >= 3 and after.breaches == 1", true),
            ("before.breaches >= 3 and breaches == 0", false),
            ("difference.breaches <= -2", true),
            ("credits != 25.50", false),
            ("difference.credits < -74.49", true),
            ("respond:late == 0", true),
        ] {
            assert_eq!(holds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_does_not_read_is_said_with_what_would() {
        for (text, why) in [
            ("breaches", "it has no operator"),
            ("breaches => 1", "the operator is one of"),
            ("breaches > many", "it compares with no number"),
            ("> 1", "it names no figure"),
            ("then.breaches > 1", "before., after. or difference."),
            ("breeches > 1", "there are breaches, credits, fee"),
            ("breaches > 1.5", "write a whole number"),
            ("credits > 1", "write an amount with its decimals"),
            ("before.fee > 1.00", "is not known"),
            ("breaches > 0 and ", "it has no operator"),
            ("lunch:late > 0", "there is no figure"),
        ] {
            assert!(holds(text).is_err_and(|error| error.contains(why)), "{text}: {:?}", holds(text));
        }
    }
}

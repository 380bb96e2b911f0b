//! Money as integer minor units with its currency; never floating point.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::book::Rounding;

/// An ISO 4217 code, three capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// An amount. Two amounts of different currencies are never added: the book has one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Hundredths for the dollar, whole units for the yen.
    pub minor: u64,
    /// Which money.
    pub currency: Currency,
}

/// What an amount is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Once.
    Once,
    /// Each hour.
    Hour,
    /// Each month.
    Month,
    /// Each year.
    Year,
}

/// An amount and what it is paid for: `350.00/month`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Price {
    /// How much.
    pub amount: Money,
    /// How often.
    pub per: Per,
}

/// Why a text is not money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not three capital letters.
    #[error("{0:?} is not a currency: write its three letters, \"USD\"")]
    Currency(String),
    /// Not an amount with exactly the currency's decimals.
    #[error("{text:?} is not an amount of {currency}: write it with {digits} decimals, \"{example}\"")]
    Amount {
        /// The text, cut at 80 characters.
        text: String,
        /// The currency.
        currency: Currency,
        /// How many decimals it has.
        digits: usize,
        /// An amount that would be right.
        example: &'static str,
    },
    /// An unknown word after the slash.
    #[error("{0:?} is not a period: write \"/h\", \"/month\" or \"/year\"")]
    Per(String),
}

impl Currency {
    /// ISO 4217's code for "no currency".
    pub const NONE: Self = Self(*b"XXX");

    /// Reads `USD`.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        match text.as_bytes() {
            [a, b, c] if [a, b, c].iter().all(|byte| byte.is_ascii_uppercase()) => Ok(Self([*a, *b, *c])),
            _ => Err(MoneyError::Currency(text.chars().take(80).collect())),
        }
    }

    /// The code.
    pub fn code(&self) -> String {
        self.0.iter().map(|&byte| char::from(byte)).collect()
    }

    /// How many decimals its amounts have (ISO 4217).
    pub fn decimals(self) -> usize {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF" | b"UGX"
            | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }
}

impl Money {
    /// Reads `350.00` in a currency. The decimals must be exactly the currency's: `350` of dollars could be meant as
    /// cents, so it is refused.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let digits = currency.decimals();
        let minor = minor_units(text, digits).ok_or_else(|| MoneyError::Amount {
            text: text.chars().take(80).collect(),
            currency,
            digits,
            example: match digits {
                0 => "350",
                3 => "350.000",
                _ => "350.00",
            },
        })?;
        Ok(Self { minor, currency })
    }

    /// The exact share `part / whole` of it, rounded once to the minor unit; nothing of no whole. What does not fit is
    /// the most that there is.
    #[must_use]
    pub fn share(self, part: u128, whole: u128, rounding: Rounding) -> Self {
        let exact = u128::from(self.minor).saturating_mul(part);
        let (minor, rest) = (exact.checked_div(whole).unwrap_or(0), exact.checked_rem(whole).unwrap_or(0));
        let twice = rest.saturating_mul(2);
        let is_up = match rounding {
            Rounding::Down => false,
            Rounding::HalfUp => rest > 0 && twice >= whole,
            Rounding::HalfEven => twice > whole || (rest > 0 && twice == whole && minor % 2 == 1),
        };
        let minor = u64::try_from(minor).map_or(u64::MAX, |minor| minor.saturating_add(u64::from(is_up)));
        Self { minor, currency: self.currency }
    }
}

impl Price {
    /// Reads `350.00/month`, `145.00/h` or `95.00`.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let (amount, per) = match text.split_once('/') {
            None => (text, Per::Once),
            Some((amount, "h" | "hour")) => (amount, Per::Hour),
            Some((amount, "month")) => (amount, Per::Month),
            Some((amount, "year")) => (amount, Per::Year),
            Some((_, other)) => return Err(MoneyError::Per(other.chars().take(80).collect())),
        };
        Ok(Self { amount: Money::parse(amount, currency)?, per })
    }
}

fn minor_units(text: &str, digits: usize) -> Option<u64> {
    let (whole, fraction) = if digits == 0 { (text, "") } else { text.split_once('.')? };
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 12 || fraction.len() != digits || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    format!("{whole}{fraction}").parse().ok()
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.code())
    }
}

impl fmt::Display for Money {
    /// `USD 1,850.00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.currency.decimals();
        let text = format!("{:0>width$}", self.minor, width = digits + 1);
        let (whole, fraction) = text.split_at(text.len() - digits);
        let grouped: Vec<&str> =
            whole.as_bytes().rchunks(3).rev().map(|chunk| std::str::from_utf8(chunk).unwrap_or_default()).collect();
        write!(f, "{} {}", self.currency, grouped.join(","))?;
        if digits > 0 { write!(f, ".{fraction}") } else { Ok(()) }
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per {
            Per::Once => "",
            Per::Hour => " an hour",
            Per::Month => " a month",
            Per::Year => " a year",
        };
        write!(f, "{}{per}", self.amount)
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, MoneyError> {
        Self::parse(&text)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.code()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_keep_every_minor_unit() {
        let usd = Currency::parse("USD").unwrap();
        for (text, minor, shown) in [
            ("1850.00/month", 185_000, "USD 1,850.00 a month"),
            ("145.00/h", 14_500, "USD 145.00 an hour"),
            ("0.05", 5, "USD 0.05"),
            ("1234567.89", 123_456_789, "USD 1,234,567.89"),
        ] {
            let price = Price::parse(text, usd).unwrap();
            assert_eq!(price.amount.minor, minor);
            assert_eq!(price.to_string(), shown);
        }
        assert_eq!(Money::parse("350", Currency::parse("JPY").unwrap()).unwrap().to_string(), "JPY 350");
    }

    #[test]
    fn an_amount_that_could_be_misread_is_refused() {
        let usd = Currency::parse("USD").unwrap();
        for bad in ["350", "350.0", "350.000", "-1.00", "1,000.00", ".50", "1e2.00", ""] {
            assert!(Price::parse(bad, usd).is_err(), "{bad}");
        }
        assert!(Price::parse("1.00/week", usd).unwrap_err().to_string().contains("/month"));
        assert!(Currency::parse("usd").is_err());
    }
}

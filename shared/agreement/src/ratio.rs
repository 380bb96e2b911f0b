//! Exact fractions: percentages and factors as the book writes them, never as floating point.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A non-negative fraction in lowest terms; written `199/200` in JSON.
///
/// ```
/// use upheld_agreement::ratio::Ratio;
/// assert_eq!(Ratio::percent("99.5%").unwrap().to_string(), "199/200");
/// assert_eq!(Ratio::percent("75%").unwrap().of(14_400), 10_800);
/// assert_eq!(Ratio::decimal("1.5").unwrap().of(28_800), 43_200);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ratio {
    numerator: u64,
    denominator: u64,
}

/// A text that is no fraction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RatioError {
    /// Not a percentage.
    #[error("{0:?} is not a percentage: write \"75%\" or \"99.5%\"")]
    Percent(String),
    /// Not a decimal number.
    #[error("{0:?} is not a factor: write \"1.0\" or \"1.5\"")]
    Decimal(String),
    /// Not `n/d`.
    #[error("{0:?} is not a fraction: write \"3/2\"")]
    Fraction(String),
}

impl Ratio {
    /// One whole.
    pub const ONE: Self = Self { numerator: 1, denominator: 1 };

    /// `numerator / denominator` in lowest terms; `None` when the denominator is zero.
    pub fn new(numerator: u64, denominator: u64) -> Option<Self> {
        let divisor = gcd(numerator, denominator);
        (denominator != 0).then(|| Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// Numerator and denominator.
    pub fn parts(self) -> (u64, u64) {
        (self.numerator, self.denominator)
    }

    /// Reads `99.5%`: up to 6 digits before the point and 6 after it.
    pub fn percent(text: &str) -> Result<Self, RatioError> {
        text.strip_suffix('%')
            .and_then(|number| decimal_parts(number.trim_end()))
            .and_then(|(n, d)| Self::new(n, d * 100))
            .ok_or_else(|| RatioError::Percent(cut(text)))
    }

    /// Reads `1.5`: up to 6 digits before the point and 6 after it.
    pub fn decimal(text: &str) -> Result<Self, RatioError> {
        decimal_parts(text).and_then(|(n, d)| Self::new(n, d)).ok_or_else(|| RatioError::Decimal(cut(text)))
    }

    /// This fraction of `whole`, rounded down: of a target's seconds that is in the client's favour, because the
    /// due is the earlier one.
    pub fn of(self, whole: u64) -> u64 {
        let exact = u128::from(whole) * u128::from(self.numerator) / u128::from(self.denominator);
        u64::try_from(exact).unwrap_or(u64::MAX)
    }

    /// The product, in lowest terms; saturates far outside any book's bounds.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        let (a, b) = (gcd(self.numerator, other.denominator), gcd(other.numerator, self.denominator));
        Self {
            numerator: (self.numerator / a).saturating_mul(other.numerator / b),
            denominator: (self.denominator / b).saturating_mul(other.denominator / a),
        }
    }

    /// As a percentage with as many decimals as it needs, at most four: `99.5 %`.
    pub fn as_percent(self) -> String {
        let scaled = u128::from(self.numerator) * 1_000_000 / u128::from(self.denominator);
        format!("{} %", trimmed(scaled))
    }

    /// As a decimal factor with as many decimals as it needs, at most four: `1.5`.
    pub fn as_decimal(self) -> String {
        trimmed(u128::from(self.numerator) * 10_000 / u128::from(self.denominator))
    }
}

/// Ten-thousandths as a decimal without trailing zeros.
fn trimmed(ten_thousandths: u128) -> String {
    let text = format!("{}.{:04}", ten_thousandths / 10_000, ten_thousandths % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn decimal_parts(text: &str) -> Option<(u64, u64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| (1..=6).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    Some((whole.parse::<u64>().ok()? * scale + fraction.parse::<u64>().ok()?, scale))
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

impl Ord for Ratio {
    fn cmp(&self, other: &Self) -> Ordering {
        let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
        product(self.numerator, other.denominator).cmp(&product(other.numerator, self.denominator))
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

impl FromStr for Ratio {
    type Err = RatioError;

    fn from_str(text: &str) -> Result<Self, RatioError> {
        text.split_once('/')
            .and_then(|(n, d)| Self::new(n.parse().ok()?, d.parse().ok()?))
            .ok_or_else(|| RatioError::Fraction(cut(text)))
    }
}

impl TryFrom<String> for Ratio {
    type Error = RatioError;

    fn try_from(text: String) -> Result<Self, RatioError> {
        text.parse()
    }
}

impl From<Ratio> for String {
    fn from(ratio: Ratio) -> String {
        ratio.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_exact_and_read_back() {
        for (text, exact, shown) in [
            ("99.5%", "199/200", "99.5 %"),
            ("0%", "0/1", "0 %"),
            ("125%", "5/4", "125 %"),
            ("0.01%", "1/10000", "0.01 %"),
        ] {
            let ratio = Ratio::percent(text).unwrap();
            assert_eq!(ratio.to_string(), exact);
            assert_eq!(ratio.as_percent(), shown);
            assert_eq!(exact.parse::<Ratio>().unwrap(), ratio);
        }
    }

    #[test]
    fn fractions_are_ordered_by_their_value() {
        let sorted =
            ["0%", "1%", "50%", "66.6%", "75%", "99.5%", "100%", "125%"].map(|text| Ratio::percent(text).unwrap());
        assert!(sorted.is_sorted());
        assert!(Ratio::percent("99.5%").unwrap() < Ratio::ONE);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bad in ["99.5", "%", "-1%", "1,5%", "1.%", ".5%", "1234567%", "1e3%", "٣%"] {
            assert!(Ratio::percent(bad).is_err(), "{bad}");
        }
        assert!("1/0".parse::<Ratio>().is_err());
    }

    #[test]
    fn a_fraction_of_seconds_is_rounded_down() {
        assert_eq!(Ratio::new(1, 3).unwrap().of(100), 33);
        assert_eq!(Ratio::decimal("1.5").unwrap().times(Ratio::decimal("1.5").unwrap()).of(3), 6);
    }
}

//! Reading numbers back out of sentences.

use std::collections::BTreeSet;

use upheld_agreement::{
    money::{Currency, Money},
    ratio::Ratio,
};

/// A text as words, without the punctuation around them.
pub(crate) fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().map(|word| word.trim_matches([',', '.', ';', ':', '(', ')', '"'])).collect()
}

/// Every duration of a text, in seconds: `4 hours`, `1 hour and 30 minutes` as one.
pub(crate) fn durations(text: &str) -> BTreeSet<u64> {
    let words = words(text);
    let unit_s = |word: &str| match word.strip_suffix('s').unwrap_or(word) {
        "day" => Some(86_400),
        "hour" => Some(3600),
        "minute" => Some(60),
        "second" => Some(1),
        _ => None,
    };
    let one = |at: usize| Some(words.get(at)?.parse::<u64>().ok()? * unit_s(words.get(at + 1)?)?);
    let mut found = BTreeSet::new();
    let mut at = 0;
    while at < words.len() {
        let Some(mut total) = one(at) else {
            at += 1;
            continue;
        };
        at += 2;
        while let Some(more) = words.get(at).filter(|word| **word == "and").and_then(|_| one(at + 1)) {
            total += more;
            at += 3;
        }
        found.insert(total);
    }
    found
}

/// Every percentage of a text.
pub(crate) fn percents(text: &str) -> Vec<Ratio> {
    let words = words(text);
    let of = |pair: &[&str]| (pair[1] == "%").then(|| Ratio::percent(&format!("{}%", pair[0])).unwrap());
    words.windows(2).filter_map(of).collect()
}

/// Every amount of dollars of a text, in cents.
pub(crate) fn dollars(text: &str) -> Vec<u64> {
    let words = words(text);
    let of = |pair: &[&str]| {
        let amount = pair[1].replace(',', "");
        let amount = if amount.contains('.') { amount } else { format!("{amount}.00") };
        (pair[0] == "USD").then(|| Money::parse(&amount, Currency::parse("USD").unwrap()).unwrap().minor)
    };
    words.windows(2).filter_map(of).collect()
}

#[test]
fn numbers_are_read_as_they_are_said() {
    let text = "within 4 hours, or 1 hour and 30 minutes (5 days at most): 99.5 % for USD 1,850.50 and USD 95.";
    assert_eq!(durations(text), BTreeSet::from([14_400, 5_400, 432_000]));
    assert_eq!(percents(text), [Ratio::percent("99.5%").unwrap()]);
    assert_eq!(dollars(text), [185_050, 9_500]);
}

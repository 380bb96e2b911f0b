//! How durations, money, dates and lists are said.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    money::{Money, Per, Price},
    words::Manner,
};

/// Exact to the second, and covered hours never become days: `4 hours`, `1 hour and 30 minutes`.
pub(super) fn time(seconds: u64) -> String {
    let units = [(seconds / 3600, "hour"), (seconds / 60 % 60, "minute"), (seconds % 60, "second")];
    units_of(&units)
}

/// Plain time, in days where it is two of them or more: `5 days`, `36 hours`.
pub(super) fn long_time(seconds: u64) -> String {
    const DAY_S: u64 = 86_400;
    if seconds >= 2 * DAY_S && seconds.is_multiple_of(DAY_S) {
        return many(seconds / DAY_S, "day");
    }
    time(seconds)
}

fn units_of(units: &[(u64, &str)]) -> String {
    let said: Vec<String> = units.iter().filter(|(n, _)| *n > 0).map(|&(n, unit)| many(n, unit)).collect();
    if said.is_empty() { "no time".to_owned() } else { list(&said, "and") }
}

/// `1 hour`, `2 hours`.
pub(super) fn many(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// `USD 210`, `USD 92.50`.
pub(super) fn money(money: Money) -> String {
    let text = money.to_string();
    text.strip_suffix(".00").map_or_else(|| text.clone(), str::to_owned)
}

/// `USD 210 an hour`.
pub(super) fn price(price: Price) -> String {
    let per = match price.per {
        Per::Once => "",
        Per::Hour => " an hour",
        Per::Month => " a month",
        Per::Year => " a year",
    };
    format!("{}{per}", money(price.amount))
}

/// `3 November 2026`.
pub(super) fn day(date: Date) -> String {
    date.strftime("%-d %B %Y").to_string()
}

/// The date of an instant in a zone.
pub(super) fn day_of(at: Timestamp, zone: &TimeZone) -> String {
    day(zone.to_datetime(at).date())
}

/// `8:00`, `midnight`; of a text that the book has checked.
pub(super) fn clock(text: &str) -> String {
    match text {
        "00:00" | "24:00" => "midnight".to_owned(),
        _ => text.strip_prefix('0').unwrap_or(text).to_owned(),
    }
}

/// `a, b and c`.
pub(super) fn list<T: AsRef<str>>(items: &[T], joined: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} {joined} {}", first.join(", "), last.as_ref())
        }
    }
}

/// How work is done.
pub(super) fn manner(manner: Manner) -> &'static str {
    match manner {
        Manner::Remote => "remotely",
        Manner::Phone => "by phone",
        Manner::OnSite => "on site",
    }
}

/// A name of the book as words: `site-access` is said `site access`.
pub(super) fn unhyphened(name: &str) -> String {
    name.replace('-', " ")
}

/// A sentence begins with a capital.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    #[test]
    fn durations_are_said_exactly_and_in_hours() {
        for (seconds, said) in [
            (0, "no time"),
            (45, "45 seconds"),
            (900, "15 minutes"),
            (3600, "1 hour"),
            (5400, "1 hour and 30 minutes"),
            (129_600, "36 hours"),
            (3661, "1 hour, 1 minute and 1 second"),
        ] {
            assert_eq!(time(seconds), said);
        }
        assert_eq!(long_time(432_000), "5 days");
        assert_eq!(long_time(86_400), "24 hours");
        assert_eq!(long_time(200_000), "55 hours, 33 minutes and 20 seconds");
    }

    #[test]
    fn money_loses_only_what_is_nothing() {
        let usd = Currency::parse("USD").unwrap();
        let said = |text: &str| price(Price::parse(text, usd).unwrap());
        assert_eq!(said("210.00/h"), "USD 210 an hour");
        assert_eq!(said("1850.50/month"), "USD 1,850.50 a month");
        assert_eq!(said("95.00"), "USD 95");
    }

    #[test]
    fn clocks_and_lists_are_said_as_people_do() {
        assert_eq!(["08:00", "18:30", "24:00", "00:00"].map(clock), ["8:00", "18:30", "midnight", "midnight"]);
        assert_eq!(list(&["a"], "and"), "a");
        assert_eq!(list(&["a", "b", "c"], "or"), "a, b or c");
        assert_eq!(capital("after hours"), "After hours");
    }
}

//! Instants and lengths as a person reads them in evidence. Dates are UTC: a host's zone is not always its site's.

use std::time::Duration;

use jiff::Timestamp;

/// `8.6 s (2026-11-28 14:03:11.2 to 14:03:19.8 UTC)`; the second date where it is another day.
pub(crate) fn span(from: Timestamp, to: Timestamp, lasted: Duration) -> String {
    let day = |at: Timestamp| at.strftime("%F").to_string();
    let end = if day(from) == day(to) { clock(to) } else { format!("{} {}", day(to), clock(to)) };
    format!("{} ({} {} to {end} UTC)", length(lasted.as_secs_f64()), day(from), clock(from))
}

/// `2026-11-28 14:03:11.2 UTC`.
#[cfg(any(target_os = "linux", windows))]
pub(crate) fn instant(at: Timestamp) -> String {
    format!("{} {} UTC", at.strftime("%F"), clock(at))
}

/// `2026-11-28`.
pub(crate) fn date(at: Timestamp) -> String {
    at.strftime("%F").to_string()
}

/// `8.6 s`, `45 s`, `22 min`, `3.5 h`.
pub(crate) fn length(seconds: f64) -> String {
    match seconds {
        ..10.0 => format!("{} s", (seconds * 10.0).round() / 10.0),
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}

/// `10 min`, in the largest unit of which there are at least two: for times that somebody set.
pub(crate) fn whole(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800.. => format!("{} days", seconds / 86_400),
    }
}

/// A time of day to the tenth of a second.
fn clock(at: Timestamp) -> String {
    let tenths = at.subsec_millisecond().rem_euclid(1_000) / 100;
    format!("{}.{tenths}", at.strftime("%T"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_says_its_length_and_both_ends_once_each() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (from, to) = (at("2026-11-28T14:03:11.240Z"), at("2026-11-28T14:03:19.861Z"));
        assert_eq!(span(from, to, Duration::from_millis(8_621)), "8.6 s (2026-11-28 14:03:11.2 to 14:03:19.8 UTC)");
        let next = at("2026-11-29T00:00:01Z");
        assert_eq!(
            span(at("2026-11-28T23:30:00Z"), next, Duration::from_secs(1_801)),
            "30 min (2026-11-28 23:30:00.0 to 2026-11-29 00:00:01.0 UTC)"
        );
    }

    #[test]
    fn a_length_is_as_exact_as_it_is_worth() {
        for (seconds, text) in
            [(0.04, "0 s"), (3.25, "3.3 s"), (45.0, "45 s"), (1_320.0, "22 min"), (12_600.0, "3.5 h")]
        {
            assert_eq!(length(seconds), text);
        }
    }
}

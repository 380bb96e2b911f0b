//! Times and spans as people type them. A civil time without a zone never leaves here.

use jiff::{SignedDuration, Timestamp, Zoned, civil::DateTime, tz::TimeZone};

use crate::failure::{Exit, Failure};

/// Reads an instant: `2026-11-16T16:10:00Z`, with an offset, with `[America/Chicago]`, or without any zone, which is
/// then read in `zone` (the provider's).
pub(crate) fn instant(text: &str, zone: &TimeZone) -> Result<Timestamp, Failure> {
    let text = text.trim();
    if let Ok(zoned) = text.parse::<Zoned>() {
        return Ok(zoned.timestamp());
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    let wrong = || {
        Failure::new(Exit::Usage, format!("{text:?} is not a time"))
            .todo("write \"2026-11-16 16:10\" (in the provider's zone) or \"2026-11-16T16:10:00Z\"")
    };
    let civil: DateTime = text.parse().map_err(|_| wrong())?;
    zone.to_ambiguous_timestamp(civil).unambiguous().map_err(|_| {
        let name = zone.iana_name().unwrap_or("this zone");
        Failure::new(Exit::Usage, format!("{text:?} does not exist, or exists twice, in {name}"))
            .because("clocks change there at that hour")
            .todo("write it with its offset: \"2026-11-01T01:30:00-05:00\"")
    })
}

/// Reads a span: `24h`, `90m`, `1h 30m`.
pub(crate) fn span(text: &str) -> Result<SignedDuration, String> {
    let span: SignedDuration = text.parse().map_err(|_| "write it like 24h, 90m or \"1h 30m\"".to_owned())?;
    if span.is_positive() { Ok(span) } else { Err("it must be longer than nothing".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_read_in_the_providers() {
        let zone = TimeZone::get("America/Chicago").unwrap();
        for text in [
            "2026-11-16 16:10",
            "2026-11-16T16:10:00-06:00",
            "2026-11-16T22:10:00Z",
            "2026-11-16T16:10[America/Chicago]",
        ] {
            assert_eq!(instant(text, &zone).unwrap().to_string(), "2026-11-16T22:10:00Z", "{text}");
        }
    }

    #[test]
    fn an_hour_that_exists_twice_asks_for_its_offset() {
        let zone = TimeZone::get("America/Chicago").unwrap();
        for text in ["2026-11-01 01:30", "2026-03-08 02:30"] {
            assert!(instant(text, &zone).unwrap_err().text(false).contains("with its offset"), "{text}");
        }
        assert!(instant("yesterday", &zone).is_err());
    }

    #[test]
    fn spans_carry_units_and_are_positive() {
        assert_eq!(span("24h").unwrap(), SignedDuration::from_hours(24));
        assert_eq!(span("1h 30m").unwrap(), SignedDuration::from_mins(90));
        for bad in ["24", "0s", "-1h", "soon"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}

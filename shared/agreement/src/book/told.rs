//! Who is told by mail, and of what: `mail = "desk@…"`, or `mail = { to = "desk@…", of = ["breached"] }`.
//!
//! The provider's people stand in `provider.toml` (`[channels.NAME]`), a client's own in his `client.toml`
//! (`[mail.NAME]`). Which message is of which kind is the desk's to say; who is told of which kind is said here.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{
    SignedDuration, Timestamp, ToSpan as _,
    civil::{Time, time},
    tz::TimeZone,
};
use serde::Serialize;
use toml::de::DeValue;

use super::{
    calendars::WeekDay,
    code::Code,
    diagnostic::Diagnostic,
    fields::{Fields, Node, Read, Reading, entries},
    provider::Mail,
    scalar::read_words,
};
use crate::words::BookName;

upheld_model::vocabulary!(
    /// What a mail is about, as people choose it.
    MailKind, "kind of mail", {
        /// An incident opened that is to disturb somebody now; many at once are one mail.
        Opened = "opened",
        /// An incident opened that disturbs nobody: at risk, not as promised, unstable, lingering.
        Quiet = "quiet",
        /// A site, or several together, are not heard any more.
        Silent = "silent",
        /// A promise is running out.
        Warning = "warning",
        /// A promise was missed.
        Breached = "breached",
        /// The time to hand over to the manufacturer has come, or he has not answered by his.
        HandOver = "hand-over",
        /// What failed works again.
        Restored = "restored",
        /// The week in one mail: what was kept, and what needs an eye.
        Digest = "digest",
    }
);

read_words! { MailKind "kind of mail" }

/// One address, and of what it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MailTo {
    /// The address.
    pub to: String,
    /// Of what.
    pub of: BTreeSet<MailKind>,
}

/// What the provider's own people are told of unless it says otherwise: all that asks for a hand, and the week.
const PROVIDERS: &[MailKind] = &[
    MailKind::Opened,
    MailKind::Silent,
    MailKind::Warning,
    MailKind::Breached,
    MailKind::HandOver,
    MailKind::Restored,
    MailKind::Digest,
];

/// What a client's people are told of unless it says otherwise: what happened, and whether it was kept. How near a
/// promise is and what the provider does about it is the provider's work.
const CLIENTS: &[MailKind] =
    &[MailKind::Opened, MailKind::Silent, MailKind::Breached, MailKind::Restored, MailKind::Digest];

impl MailTo {
    /// Reads the address of one of the provider's channels.
    pub(crate) fn of_provider(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        Self::read_or(value, PROVIDERS, reading)
    }

    fn read_or(value: &Node<'_>, usual: &[MailKind], reading: &mut Reading<'_>) -> Option<Self> {
        let usual = || usual.iter().copied().collect();
        if let DeValue::String(_) = value.get_ref() {
            return Mail::read(value, reading).map(|mail| Self { to: mail.0, of: usual() });
        }
        let mut fields = Fields::of(value, "a mail address, or one with what it is told of", reading)?;
        let to = fields.required::<Mail>("to", reading);
        let of: BTreeSet<MailKind> = fields.list("of", reading).into_iter().collect();
        let of_node = fields.node("of");
        if let Some(node) = of_node.filter(|node| node.get_ref().as_array().is_some_and(|items| items.is_empty())) {
            reading.bad_value(node, "told of nothing: name what, or leave the address out");
        }
        fields.finish(reading);
        Some(Self { to: to?.0, of: if of_node.is_some() { of } else { usual() } })
    }
}

/// A client's own people, by a name of the author's choice.
pub(crate) fn read_clients(node: &Node<'_>, reading: &mut Reading<'_>) -> BTreeMap<BookName, MailTo> {
    let mut told = BTreeMap::new();
    for (key, value) in entries(node, "names and mail addresses", reading) {
        let to = MailTo::read_or(value, CLIENTS, reading);
        match key.get_ref().parse::<BookName>() {
            Ok(name) => told.extend(to.map(|to| (name, to))),
            Err(error) => {
                let place = reading.place(key);
                reading.report(Diagnostic::new(Code::BadName, &place, error.to_string()));
            }
        }
    }
    told
}

/// When the week's digest is due, by the wall clock of whoever it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DigestDue {
    /// The day of the week; 0 is Monday.
    pub day: usize,
    /// The time of day.
    pub at: Time,
}

impl Default for DigestDue {
    /// Monday, seven in the morning: read before the week begins.
    fn default() -> Self {
        Self { day: 0, at: time(7, 0, 0, 0) }
    }
}

impl DigestDue {
    /// The first due after `now` in a zone. A wall time that a change of clocks leaves out is the first one after it.
    pub fn after(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        let today = zone.to_datetime(now).date();
        // A week and a day hold one due after any instant.
        let days = (0..=8_i64).filter_map(|ahead| today.checked_add(ahead.days()).ok());
        let dues = days
            .filter(|date| date.weekday().to_monday_zero_offset().unsigned_abs() as usize == self.day)
            .filter_map(|date| date.to_datetime(self.at).to_zoned(zone.clone()).ok())
            .map(|due| due.timestamp());
        dues.into_iter().find(|due| *due > now).unwrap_or(Timestamp::MAX)
    }

    /// The last due at or before `now`: seven wall-clock days before the one after.
    pub fn last(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        self.week_before(self.after(now, zone), zone)
    }

    /// The due a week before another one: where the week begins that is told.
    pub fn week_before(self, due: Timestamp, zone: &TimeZone) -> Timestamp {
        let date = zone.to_datetime(due).date().saturating_sub(7.days());
        let before = date.to_datetime(self.at).to_zoned(zone.clone());
        before.map_or_else(|_| due.saturating_sub(SignedDuration::from_hours(168)).unwrap_or(due), |at| at.timestamp())
    }
}

impl Read for DigestDue {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "the day and time of the digest", reading)?;
        let day = fields.optional::<WeekDay>("day", reading);
        let at = fields.optional("at", reading);
        fields.finish(reading);
        let usual = Self::default();
        Some(Self { day: day.map_or(usual.day, |day| day.0), at: at.unwrap_or(usual.at) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_digest_is_due_by_the_wall_clock_of_its_zone_across_a_change_of_clocks() {
        let chicago = TimeZone::get("America/Chicago").unwrap();
        let due = DigestDue::default();
        // Monday 07:00 is 12:00Z in summer time and 13:00Z afterwards (clocks went back on 1 November 2026).
        assert_eq!(due.after(at("2026-10-26T11:59:59Z"), &chicago), at("2026-10-26T12:00:00Z"));
        assert_eq!(due.after(at("2026-10-26T12:00:00Z"), &chicago), at("2026-11-02T13:00:00Z"));
        assert_eq!(due.last(at("2026-11-02T12:59:59Z"), &chicago), at("2026-10-26T12:00:00Z"));
        assert_eq!(due.last(at("2026-11-02T13:00:00Z"), &chicago), at("2026-11-02T13:00:00Z"));
        assert_eq!(due.week_before(at("2026-11-02T13:00:00Z"), &chicago), at("2026-10-26T12:00:00Z"));
    }

    #[test]
    fn a_wall_time_that_does_not_exist_is_due_when_clocks_have_moved() {
        let chicago = TimeZone::get("America/Chicago").unwrap();
        let sunday = DigestDue { day: 6, at: time(2, 30, 0, 0) };
        assert_eq!(sunday.after(at("2026-03-07T12:00:00Z"), &chicago), at("2026-03-08T08:30:00Z"));
    }
}

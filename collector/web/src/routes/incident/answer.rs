//! What a person types into a form, read in the agreement's zone, and what is said when it is refused.

use jiff::{Timestamp, civil, tz::TimeZone};
use serde::Deserialize;
use upheld_desk::{CommandError, commands::Words};

use crate::words;

/// A form as it was sent. An empty field is an absent one.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::routes) struct Typed {
    /// When it happened, in the agreement's zone: `2026-11-17T14:55`, with seconds or without; empty for now.
    #[serde(default)]
    pub(super) at: String,
    /// A note.
    #[serde(default)]
    pub(super) note: String,
    /// `phone`, `remote`, `on-site`.
    #[serde(default)]
    pub(super) manner: String,
    /// With whom.
    #[serde(default)]
    pub(super) with_whom: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    into: String,
    #[serde(default)]
    cause: String,
    #[serde(default)]
    priority: String,
    #[serde(default)]
    maker: String,
    #[serde(default)]
    reference: String,
    #[serde(default)]
    rider: String,
    #[serde(default)]
    item: String,
    #[serde(default)]
    outcome: String,
    /// The form's own key.
    #[serde(default)]
    key: String,
}

impl Typed {
    /// The command's fields, or why one cannot be read.
    pub(super) fn words(&self, zone: &str) -> Result<Words, String> {
        let owned = |text: &str| said(text).map(ToOwned::to_owned);
        let item =
            said(&self.item).map(|text| text.parse().map_err(|_| format!("{text:?} is not the number of a fact.")));
        Ok(Words {
            effective_at: instant(&self.at, zone)?,
            note: owned(&self.note),
            manner: owned(&self.manner),
            with_whom: owned(&self.with_whom),
            to: owned(&self.to),
            reason: owned(&self.reason),
            into: owned(&self.into),
            cause: owned(&self.cause),
            priority: owned(&self.priority),
            maker: owned(&self.maker),
            reference: owned(&self.reference),
            rider: owned(&self.rider),
            item: item.transpose()?,
            outcome: owned(&self.outcome),
        })
    }

    /// What was typed into a field.
    pub(super) fn field(&self, name: &str) -> &str {
        match name {
            "at" => &self.at,
            "note" => &self.note,
            "manner" => &self.manner,
            "with_whom" => &self.with_whom,
            "to" => &self.to,
            "reason" => &self.reason,
            "into" => &self.into,
            "cause" => &self.cause,
            "priority" => &self.priority,
            "maker" => &self.maker,
            "reference" => &self.reference,
            "rider" => &self.rider,
            "item" => &self.item,
            "outcome" => &self.outcome,
            _ => "",
        }
    }

    /// The key under which this form is sent; none when it was not our page that sent it.
    pub(super) fn key(&self) -> Option<&str> {
        said(&self.key)
    }
}

/// A wall time of a zone; an empty text is none.
pub(in crate::routes) fn instant(text: &str, zone: &str) -> Result<Option<Timestamp>, String> {
    let Some(text) = said(text) else { return Ok(None) };
    let shown: String = text.chars().take(40).collect();
    let local: civil::DateTime =
        text.parse().map_err(|_| format!("The time {shown:?} cannot be read: write 2026-11-17T14:55."))?;
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    // An hour that a change of clocks gives twice is its first.
    let at = local.to_zoned(zone).map_err(|_| format!("The time {shown:?} is out of range."))?;
    Ok(Some(at.timestamp()))
}

pub(in crate::routes) fn said(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// Why a command was refused, for the person who gave it; times in the zone of the page.
pub(in crate::routes) fn in_words(error: &CommandError, zone: &str) -> String {
    match error {
        CommandError::Time { effective_at, why, what: _ } => {
            format!("{} cannot be when it happened: {why}.", words::local(*effective_at, zone))
        }
        CommandError::KeyReused => {
            "This form was sent before with other words. Look at what happened, then send it again.".to_owned()
        }
        // The page shows the state; what is missing is the news.
        CommandError::State { why, state: _ } => format!("{}.", words::sentence(why)),
        CommandError::NotAllowed { .. }
        | CommandError::Missing { .. }
        | CommandError::Stale { .. }
        | CommandError::Role { .. }
        | CommandError::Desk(_) => format!("{}.", words::sentence(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(at: &str) -> Typed {
        Typed { manner: "phone".into(), with_whom: " plant manager ".into(), at: at.into(), ..Typed::default() }
    }

    #[test]
    fn a_time_is_read_in_the_agreements_zone_and_none_is_now() {
        for (text, at) in [
            ("2026-11-17T14:55", Some("2026-11-17T20:55:00Z")),
            ("2026-11-17T14:55:07", Some("2026-11-17T20:55:07Z")),
            ("2026-07-17T14:55", Some("2026-07-17T19:55:00Z")),
            // The hour that is there twice.
            ("2026-11-01T01:30", Some("2026-11-01T06:30:00Z")),
            (" ", None),
        ] {
            let words = typed(text).words("America/Chicago").unwrap();
            assert_eq!(words.effective_at, at.map(|at| at.parse().unwrap()), "{text:?}");
            assert_eq!(words.with_whom.as_deref(), Some("plant manager"));
            assert_eq!(words.note, None);
        }
    }

    #[test]
    fn a_time_that_is_none_is_refused_in_words() {
        for text in ["yesterday", "14:55", "2026-13-01T00:00", "2026-11-17T14:55Z!"] {
            let why = typed(text).words("America/Chicago").unwrap_err();
            assert!(why.contains("write 2026-11-17T14:55"), "{why}");
        }
    }

    #[test]
    fn a_refused_time_is_said_in_the_pages_zone() {
        let error = CommandError::Time {
            what: "incident.responded",
            effective_at: "2026-11-17T20:55:00Z".parse().unwrap(),
            why: "it lies in the future",
        };
        let said = in_words(&error, "America/Chicago");
        assert_eq!(said, "2026-11-17 14:55:00 CST cannot be when it happened: it lies in the future.");
    }
}

//! How a silence is told: what the last words explain, and which sites are told in one message (DETECTION 4.6).

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use upheld_model::{Cause, SiteId};

use crate::plan::plus;

/// What falls silent within this of each other does so together.
pub const TOGETHER: Duration = Duration::from_secs(2 * 60);

/// What an agent's last words come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastWords {
    /// Somebody had the host shut down.
    Requested,
    /// The power went.
    Power,
    /// Something else.
    Other,
}

impl LastWords {
    /// Reads the reason that an agent gave.
    pub fn of(reason: &str) -> Self {
        let reason = reason.to_ascii_lowercase();
        if reason.contains("request") {
            Self::Requested
        } else if reason.contains("battery") || reason.contains("power") {
            Self::Power
        } else {
            Self::Other
        }
    }
}

/// What is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// Nobody of the site is heard.
    Site,
    /// One agent, while another one of the site is heard: that host.
    Agent {
        /// The host's name, or the agent's.
        name: String,
    },
}

/// Sites that fell silent together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Together {
    /// How many.
    pub sites: usize,
    /// Of how many clients.
    pub clients: usize,
    /// When the first of them was last heard.
    pub since: Timestamp,
}

impl Together {
    /// E.g. `6 sites of 4 clients silent since 16:02: regional power or internet`, as a clock at `zone` shows it.
    pub fn sentence(&self, zone: &TimeZone) -> String {
        let clients = match self.clients {
            1 => "1 client".to_owned(),
            number => format!("{number} clients"),
        };
        let since = time_of_day(self.since, zone);
        format!("{} sites of {clients} silent since {since}: regional power or internet", self.sites)
    }
}

/// One silence, as people are told of it.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// Where.
    pub site: &'a SiteId,
    /// The site's zone.
    pub zone: &'a TimeZone,
    /// What is silent.
    pub extent: &'a Extent,
    /// When it was last heard.
    pub since: Timestamp,
    /// Whether last words, or a supply on battery, say that the power went.
    pub is_power: bool,
    /// Whether it told afterwards that it had been there all the time.
    pub went_on: bool,
    /// The sites that fell silent with it.
    pub together: Option<&'a Together>,
}

impl Told<'_> {
    /// The sentence, and what it blames.
    pub fn sentence(&self) -> (String, Cause) {
        let since = time_of_day(self.since, self.zone);
        let what = match self.extent {
            Extent::Site => format!("{}: silent since {since}", self.site),
            Extent::Agent { name } => format!("{}: {name} silent since {since}, the site is heard", self.site),
        };
        let (why, cause) = match (self.is_power, self.went_on) {
            (true, _) => ("; on battery before: power", Cause::Utility),
            (false, true) => ("; it ran on and told later: its line was out", Cause::Isp),
            (false, false) => ("", Cause::Undetermined),
        };
        let together = self.together.map(|together| format!("; {}", together.sentence(self.zone)));
        (format!("{what}{why}{}", together.unwrap_or_default()), cause)
    }
}

/// Whether a silence due at `due` is told with the one that fell due first. What goes out within a minute is last heard
/// up to a heartbeat before.
pub fn is_together(first_due: Timestamp, due: Timestamp, heartbeat: Duration) -> bool {
    due <= plus(first_due, TOGETHER.max(heartbeat.saturating_add(Duration::from_secs(60))))
}

/// A time of day as people at the site read it.
fn time_of_day(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_says_where_since_when_why_and_with_whom() {
        let site = "plant-2".parse().unwrap();
        let zone = TimeZone::get("America/Chicago").unwrap();
        let since: Timestamp = "2026-11-16T22:02:11Z".parse().unwrap();
        let (whole, one) = (Extent::Site, Extent::Agent { name: "nvr-1".to_owned() });
        let plain =
            Told { site: &site, zone: &zone, extent: &whole, since, is_power: false, went_on: false, together: None };
        let town = Together { sites: 6, clients: 4, since };
        for (told, sentence, cause) in [
            (plain, "plant-2: silent since 16:02", Cause::Undetermined),
            (
                Told { extent: &one, ..plain },
                "plant-2: nvr-1 silent since 16:02, the site is heard",
                Cause::Undetermined,
            ),
            (
                Told { is_power: true, went_on: true, ..plain },
                "plant-2: silent since 16:02; on battery before: power",
                Cause::Utility,
            ),
            (
                Told { went_on: true, ..plain },
                "plant-2: silent since 16:02; it ran on and told later: its line was out",
                Cause::Isp,
            ),
            (
                Told { together: Some(&town), ..plain },
                "plant-2: silent since 16:02; 6 sites of 4 clients silent since 16:02: regional power or internet",
                Cause::Undetermined,
            ),
        ] {
            assert_eq!(told.sentence(), (sentence.to_owned(), cause));
        }
    }

    #[test]
    fn last_words_are_read_for_what_they_explain() {
        for (reason, words) in [
            ("shutdown requested", LastWords::Requested),
            ("battery low", LastWords::Power),
            ("Power failure", LastWords::Power),
            ("SIGTERM", LastWords::Other),
        ] {
            assert_eq!(LastWords::of(reason), words);
        }
    }
}

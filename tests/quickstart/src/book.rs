//! The demonstration's own agreement book, in the language that providers use: one client, one site, this machine.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use clap::ValueEnum;
use jiff::{Timestamp, ToSpan, tz::TimeZone};

/// The client, the site and the assets of the demonstration.
pub(crate) const CLIENT: &str = "demo-client";
/// The only site.
pub(crate) const SITE: &str = "this-machine";
/// The asset whose TCP service the drill stops.
pub(crate) const SERVICE_ASSET: &str = "door-service";
/// The name under which the webhook's secret is kept.
pub(crate) const SECRET_NAME: &str = "demo-desk";

/// Whether the moment of the demonstration lies inside the hours that the agreement covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Calendar {
    /// Covered: the clock counts from the first second.
    Open,
    /// Not covered: the clock runs but does not count before the next opening.
    Closed,
}

impl Calendar {
    /// The word on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }

    /// Eight covered hours a day, in UTC, as `("HH:MM", "HH:MM")`: from an hour before `now` (open), or from three
    /// hours after it (closed). The interval may run over midnight.
    pub(crate) fn hours(self, now: Timestamp) -> (String, String) {
        let from = match self {
            Self::Open => now.to_zoned(TimeZone::UTC).saturating_sub(1.hour()),
            Self::Closed => now.to_zoned(TimeZone::UTC).saturating_add(3.hours()),
        };
        let hour = from.hour();
        (format!("{hour:02}:00"), format!("{:02}:00", (hour + 8) % 24))
    }
}

/// What the book must know of the machine.
pub(crate) struct Facts<'a> {
    /// Where the ticket system (the demonstration's receiver) listens.
    pub(crate) webhook_url: &'a str,
    /// The port of the TCP service.
    pub(crate) service_port: u16,
    /// The collector's own portal.
    pub(crate) portal_url: &'a str,
    /// The folder that stands for a backup.
    pub(crate) backup_folder: &'a Path,
    /// Whether to ping the default gateway: in the interactive run only.
    pub(crate) gateway: bool,
    /// Which calendar the agreement uses.
    pub(crate) calendar: Calendar,
    /// The moment of the demonstration.
    pub(crate) now: Timestamp,
}

/// Writes the book's files under `folder`.
pub(crate) fn write(folder: &Path, facts: &Facts<'_>) -> Result<()> {
    for (path, text) in files(facts) {
        let path = folder.join(path);
        let parent = path.parent().context("every file of the book stands in a folder")?;
        fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn files(facts: &Facts<'_>) -> Vec<(String, String)> {
    let (from, to) = facts.calendar.hours(facts.now);
    let since = facts.now.to_zoned(TimeZone::UTC).date().saturating_sub(30.days());
    let mut files = vec![
        ("provider.toml".to_owned(), provider(facts)),
        (
            "calendars/hours.toml".to_owned(),
            format!("time_zone = \"UTC\"\n\n[weekly]\nevery-day = [\"{from}-{to}\"]\n"),
        ),
        ("plans/demo.toml".to_owned(), PLAN.to_owned()),
        ("catalogue.toml".to_owned(), CATALOGUE.to_owned()),
        (format!("clients/{CLIENT}/client.toml"), "name = \"Demonstration client\"\n".to_owned()),
        (
            format!("clients/{CLIENT}/ssa.toml"),
            format!(
                "number = \"SSA-DEMO-1\"\nsites = [\"{SITE}\"]\nfee = \"100.00/month\"\n\n[[version]]\neffective_from = {since}\nplan = \"demo\"\n"
            ),
        ),
        (format!("clients/{CLIENT}/sites/{SITE}.toml"), site(facts, &since.to_string())),
    ];
    files.sort();
    files
}

fn provider(facts: &Facts<'_>) -> String {
    format!(
        "name = \"Demonstration provider\"\ncurrency = \"USD\"\ntime_zone = \"UTC\"\n\n[channels.desk]\nwebhook = {{ url = \"{}\", secret = \"{SECRET_NAME}\" }}\n",
        facts.webhook_url
    )
}

const PLAN: &str = r#"name = "Demonstration plan"

[priority]               # impact x urgency
high   = { high = "P1", medium = "P2", low = "P3" }
medium = { high = "P2", medium = "P3", low = "P4" }
low    = { high = "P3", medium = "P4", low = "P5" }

[[target]]
stage = "respond"
within = "1h"
calendar = "hours"
manner = ["remote", "phone"]
warn_at = ["50%", "75%"]

[[target]]
stage = "resolve"
within = "4h"
calendar = "hours"
warn_at = ["75%"]
"#;

const CATALOGUE: &str = r#"[[issue]]
id = "NET-01"
name = "Service does not answer"
category = "software"
match = { class = "network-lan", kind = "down" }
urgency = "high"
manner = "remote"

[[issue]]
id = "ANY"
name = "Anything else"
category = "hardware"
match = {}
urgency = "medium"
"#;

fn site(facts: &Facts<'_>, since: &str) -> String {
    let gateway = if facts.gateway {
        "\n[[asset]]\nid = \"gateway\"\nclass = \"gateway\"\nchecks = [{ kind = \"net.icmp\", target = \"gateway\" }]\n"
    } else {
        ""
    };
    format!(
        r#"name = "This machine"
time_zone = "UTC"
commissioned = {since}

[[asset]]
id = "this-host"
class = "server"
checks = [
  {{ kind = "host" }},
  {{ kind = "backup.files", path = "{backup}", age_max = "26h" }},
]

[[asset]]
id = "{SERVICE_ASSET}"
class = "server"
checks = [{{ kind = "net.tcp", target = "127.0.0.1", port = {port}, every = "2s", timeout = "1s" }}]

[[asset]]
id = "portal"
class = "server"
checks = [{{ kind = "net.http", url = "{portal}/healthz" }}]
{gateway}"#,
        backup = facts.backup_folder.display(),
        port = facts.service_port,
        portal = facts.portal_url,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(clock: &str) -> i64 {
        let (hour, minute) = clock.split_once(':').unwrap();
        hour.parse::<i64>().unwrap() * 60 + minute.parse::<i64>().unwrap()
    }

    #[test]
    fn open_covers_now_and_closed_does_not_at_any_minute_of_the_day() {
        let midnight: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        for minute in 0..1440 {
            let now = midnight + minute.minutes();
            for (calendar, expected) in [(Calendar::Open, true), (Calendar::Closed, false)] {
                let (from, to) = calendar.hours(now);
                let (from, to) = (minutes(&from), minutes(&to));
                let covered = if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to };
                assert_eq!(covered, expected, "{calendar:?} at minute {minute}: {from}-{to}");
            }
        }
    }
}

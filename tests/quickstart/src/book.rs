//! The demonstration's book: the sample book (`shared/agreement/sample-book`) as it stands, made true for this machine
//! and this day.
//!
//! Three steps and no other: dates of the clients move by whole months, so that an amendment lies in the next month
//! whenever the demonstration runs; the hours of the calendar under which this machine's client is promised are put
//! around this moment or away from it; and the site that this machine plays has its checks pointed at loopback. Assets,
//! edges, plans, catalogue and everything else are the sample's.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use jiff::{
    Timestamp, ToSpan,
    civil::{Date, date},
    tz::TimeZone,
};
use toml::{Table, Value};

/// Whose site this machine plays.
pub(crate) const CLIENT: &str = "harbor-dental";
/// The site.
pub(crate) const SITE: &str = "office";
/// The asset of the site that this machine is.
const SELF: &str = "practice-server";
/// The supply on which the others hang.
pub(crate) const UPS: &str = "ups-1";
/// The supply's name at its server.
pub(crate) const UPS_NAME: &str = "ups1";
/// The asset whose TCP service the drill `service` stops.
pub(crate) const SERVICE_ASSET: &str = "door-front";
/// The asset that does not come back in the drill `power`.
pub(crate) const LOST_ASSET: &str = "door-back";
/// The name under which the webhook's secret is kept.
pub(crate) const SECRET_NAME: &str = "desk-webhook";
/// What the sample says where this machine's ticket system is put.
const SAMPLE_WEBHOOK: &str = "https://tickets.example.test/hooks/upheld";
/// The calendar under which the client's plan promises.
const CALENDAR: &str = "calendars/office-pacific.toml";
/// The month for which the sample is written: its amendment takes effect in the one after.
const SAMPLE_MONTH: Date = date(2026, 10, 1);

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

    /// Eight covered hours a day, in a zone, as `("HH:MM", "HH:MM")`: from an hour before `now` (open), or from three
    /// hours after it (closed). The interval may run over midnight.
    pub(crate) fn hours(self, now: Timestamp, zone: &TimeZone) -> (String, String) {
        let from = match self {
            Self::Open => now.to_zoned(zone.clone()).saturating_sub(1.hour()),
            Self::Closed => now.to_zoned(zone.clone()).saturating_add(3.hours()),
        };
        let hour = from.hour();
        (format!("{hour:02}:00"), format!("{:02}:00", (hour + 8) % 24))
    }
}

/// What the book must know of the machine.
pub(crate) struct Facts<'a> {
    /// Where the ticket system (the demonstration's receiver) listens.
    pub(crate) webhook_url: &'a str,
    /// The port of each device that the demonstration plays, by its asset.
    pub(crate) devices: &'a BTreeMap<String, u16>,
    /// The port of the NUT server, where there is one.
    pub(crate) ups_port: Option<u16>,
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

/// The sample book, file by file.
pub(crate) struct Sample {
    files: BTreeMap<String, String>,
    site: Table,
    zone: TimeZone,
}

impl Sample {
    /// Reads it from the source tree.
    pub(crate) fn read() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/agreement/sample-book");
        let mut files = BTreeMap::new();
        gather(&root, "", &mut files).with_context(|| format!("reading the sample book in {}", root.display()))?;
        let parsed = |path: &str| -> Result<Table> {
            let text = files.get(path).with_context(|| format!("the sample book has no {path}"))?;
            text.parse().with_context(|| format!("reading {path}"))
        };
        let site = parsed(&site_path())?;
        let calendar = parsed(CALENDAR)?;
        let zone = calendar.get("time_zone").and_then(Value::as_str).context("the calendar has no zone")?;
        let zone = TimeZone::get(zone)?;
        Ok(Self { files, site, zone })
    }

    /// The zone in which the covered hours are read.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The assets that the demonstration plays: every one that takes its power from the supply, directly or through
    /// another, but for this machine itself.
    pub(crate) fn devices(&self) -> Vec<String> {
        let mut powered = vec![UPS.to_owned()];
        // Each round finds at least one more or is the last.
        loop {
            let more: Vec<String> = self
                .assets()
                .filter(|asset| powered_by(asset).is_some_and(|from| powered.iter().any(|known| known == from)))
                .map(id)
                .filter(|id| !powered.contains(id))
                .collect();
            if more.is_empty() {
                break;
            }
            powered.extend(more);
        }
        powered.into_iter().filter(|id| id != UPS && id != SELF).collect()
    }

    /// Writes the book's files under `folder`.
    pub(crate) fn write(&self, folder: &Path, facts: &Facts<'_>) -> Result<()> {
        for (path, text) in self.files(facts)? {
            let path = folder.join(path);
            let parent = path.parent().context("every file of the book stands in a folder")?;
            fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    fn files(&self, facts: &Facts<'_>) -> Result<BTreeMap<String, String>> {
        let mut files = self.files.clone();
        let today = facts.now.to_zoned(self.zone.clone()).date();
        for (path, text) in &mut files {
            if path.starts_with("clients/") {
                *text = moved(text, months_since_sample(today))?;
            }
        }
        let provider = files.get_mut("provider.toml").context("the sample book has no provider.toml")?;
        let is_of_the_internet = |line: &&str| line.starts_with("anchors") || line.starts_with("heartbeat");
        let here: Vec<&str> = provider.lines().filter(|line| !is_of_the_internet(line)).collect();
        *provider = here.join("\n").replace(SAMPLE_WEBHOOK, facts.webhook_url);
        let calendar = files.get_mut(CALENDAR).with_context(|| format!("the sample book has no {CALENDAR}"))?;
        *calendar = self.hours(calendar, facts);
        let site = files.get(&site_path()).context("the site was read before")?.parse()?;
        files.insert(site_path(), toml::to_string(&self.played(site, facts))?);
        Ok(files)
    }

    /// The calendar with its hours around this moment, or away from it, on every day; its bands stay.
    fn hours(&self, text: &str, facts: &Facts<'_>) -> String {
        let (from, to) = facts.calendar.hours(facts.now, &self.zone);
        let zone = self.zone.iana_name().unwrap_or("UTC");
        let bands = text.find("[bands]").map_or("", |at| &text[at..]);
        format!(
            "# Put {} by the quickstart; the sample's own hours and holidays stand in its folder.\n\
             time_zone = \"{zone}\"\n\n[weekly]\nevery-day = [\"{from}-{to}\"]\n\n{bands}",
            match facts.calendar {
                Calendar::Open => "around this moment",
                Calendar::Closed => "away from this moment",
            }
        )
    }

    /// The site with its checks pointed at this machine.
    fn played(&self, mut site: Table, facts: &Facts<'_>) -> Table {
        let text = |text: &str| Value::String(text.to_owned());
        let port = |port: u16| Value::Integer(i64::from(port));
        if let Some(Value::Array(assets)) = site.get_mut("asset") {
            for asset in assets.iter_mut().filter_map(Value::as_table_mut) {
                let checks = match id(asset).as_str() {
                    SELF => vec![
                        check("host", []),
                        check(
                            "backup.files",
                            [("path", text(&facts.backup_folder.display().to_string())), ("age_max", text("26h"))],
                        ),
                    ],
                    UPS => Vec::from_iter(facts.ups_port.map(|at| {
                        check("ups.nut", [("target", text("127.0.0.1")), ("port", port(at)), ("ups", text(UPS_NAME))])
                    })),
                    other => Vec::from_iter(facts.devices.get(other).map(|&at| {
                        let target = [("target", text("127.0.0.1")), ("port", port(at))];
                        check("net.tcp", target.into_iter().chain([("every", text("2s")), ("timeout", text("1s"))]))
                    })),
                };
                asset.insert("checks".to_owned(), Value::Array(checks));
            }
            let portal = check("net.http", [("url", text(&format!("{}/healthz", facts.portal_url)))]);
            assets.push(asset("portal", "server", portal));
            if facts.gateway {
                assets.push(asset("gateway", "gateway", check("net.icmp", [("target", text("gateway"))])));
            }
        }
        site
    }

    fn assets(&self) -> impl Iterator<Item = &Table> {
        self.site.get("asset").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
    }
}

fn site_path() -> String {
    format!("clients/{CLIENT}/sites/{SITE}.toml")
}

fn id(asset: &Table) -> String {
    asset.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn powered_by(asset: &Table) -> Option<&str> {
    asset.get("powered_by")?.as_str()
}

fn check(kind: &str, says: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let kind = [("kind", Value::String(kind.to_owned()))];
    Value::Table(kind.into_iter().chain(says).map(|(key, value)| (key.to_owned(), value)).collect())
}

fn asset(id: &str, class: &str, check: Value) -> Value {
    let text = |text: &str| Value::String(text.to_owned());
    let says = [("id", text(id)), ("class", text(class)), ("checks", Value::Array(vec![check]))];
    Value::Table(says.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn gather(folder: &Path, within: &str, files: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).context("a file without a name")?;
        let name = format!("{within}{name}");
        if path.is_dir() {
            gather(&path, &format!("{name}/"), files)?;
        } else {
            files.insert(name, fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// Whole months from the month of the sample to that of a day.
fn months_since_sample(day: Date) -> i32 {
    (i32::from(day.year()) - i32::from(SAMPLE_MONTH.year())) * 12 + i32::from(day.month())
        - i32::from(SAMPLE_MONTH.month())
}

/// A text with every date in it moved by so many months; a day that a month lacks becomes its last.
fn moved(text: &str, months: i32) -> Result<String> {
    const LENGTH: usize = "2026-10-01".len();
    let is_digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let (mut moved, mut rest) = (String::new(), 0);
    let mut at = 0;
    while at + LENGTH <= text.len() {
        let found = text
            .get(at..at + LENGTH)
            .filter(|_| (at == 0 || !is_digit(at - 1)) && !is_digit(at + LENGTH))
            .and_then(|word| word.parse::<Date>().ok());
        match found {
            Some(date) => {
                moved.push_str(&text[rest..at]);
                moved.push_str(&date.checked_add(months.months())?.to_string());
                at += LENGTH;
                rest = at;
            }
            None => at += 1,
        }
    }
    moved.push_str(&text[rest..]);
    Ok(moved)
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
        let zone = TimeZone::get("America/Los_Angeles").unwrap();
        for minute in 0..1440 {
            let now = midnight + minute.minutes();
            let wall = zone.to_datetime(now);
            let of_day = i64::from(wall.hour()) * 60 + i64::from(wall.minute());
            for (calendar, expected) in [(Calendar::Open, true), (Calendar::Closed, false)] {
                let (from, to) = calendar.hours(now, &zone);
                let (from, to) = (minutes(&from), minutes(&to));
                let covered = if from < to { (from..to).contains(&of_day) } else { of_day >= from || of_day < to };
                assert_eq!(covered, expected, "{calendar:?} at minute {minute}: {from}-{to}");
            }
        }
    }

    #[test]
    fn twelve_devices_hang_on_the_supply() {
        let devices = Sample::read().unwrap().devices();
        assert_eq!(devices.len(), 12, "{devices:?}");
        for asset in [SERVICE_ASSET, LOST_ASSET, "cam-6", "switch-1"] {
            assert!(devices.iter().any(|device| device == asset), "{asset}");
        }
        assert!(!devices.iter().any(|device| device == SELF || device == UPS));
    }

    fn files(now: &str, calendar: Calendar) -> BTreeMap<String, String> {
        let devices = BTreeMap::from([(SERVICE_ASSET.to_owned(), 4711)]);
        let facts = Facts {
            webhook_url: "http://127.0.0.1:9/hook",
            devices: &devices,
            ups_port: Some(3493),
            portal_url: "https://127.0.0.1:8",
            backup_folder: Path::new("/tmp/backup"),
            gateway: false,
            calendar,
            now: now.parse().unwrap(),
        };
        Sample::read().unwrap().files(&facts).unwrap()
    }

    #[test]
    fn the_amendment_takes_effect_in_the_next_month_whenever_it_is_asked() {
        for (now, amended) in [
            ("2026-10-15T12:00:00Z", "effective_from = 2026-11-03"),
            ("2026-11-27T22:00:00Z", "effective_from = 2026-12-03"),
            ("2026-12-31T23:00:00Z", "effective_from = 2027-01-03"),
            ("2028-01-01T12:00:00Z", "effective_from = 2028-02-03"),
            ("2026-02-10T12:00:00Z", "effective_from = 2026-03-03"),
        ] {
            let files = files(now, Calendar::Open);
            let agreement = &files["clients/northgate/ssa.toml"];
            assert!(agreement.contains(amended), "{now}: {agreement}");
            assert!(agreement.contains("SSA-2026-014"), "a number is no date");
        }
    }

    #[test]
    fn the_site_keeps_its_assets_and_edges_and_is_pointed_at_this_machine() {
        let files = files("2026-11-27T22:00:00Z", Calendar::Open);
        let site: Table = files[&site_path()].parse().unwrap();
        let sample = Sample::read().unwrap();
        let assets = site["asset"].as_array().unwrap();
        let by_id = |wanted: &str| assets.iter().filter_map(Value::as_table).find(|asset| id(asset) == wanted).unwrap();
        for asset in sample.assets() {
            let played = by_id(&id(asset));
            let apart_from_checks = |asset: &Table| {
                asset
                    .iter()
                    .filter(|(key, _)| *key != "checks")
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect()
            };
            let (own, others): (BTreeMap<_, _>, BTreeMap<_, _>) = (apart_from_checks(asset), apart_from_checks(played));
            assert_eq!(own, others);
        }
        assert_eq!(by_id(SERVICE_ASSET)["checks"][0]["port"].as_integer(), Some(4711));
        assert_eq!(by_id(UPS)["checks"][0]["kind"].as_str(), Some("ups.nut"));
        assert!(!files[&site_path()].contains("10.40."), "nothing of the sample's network is probed");
        assert!(files["provider.toml"].contains("http://127.0.0.1:9/hook"));
        assert!(!files["provider.toml"].contains("anchors") && !files["provider.toml"].contains("heartbeat"));
    }
}

//! `clients/<client>/sites/<site>.toml`: what stands at a site, what hangs on what, and how it is watched.

use std::collections::BTreeMap;

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};
use serde::Serialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use upheld_model::{AssetClass, AssetId, CheckId, CheckSpec, EdgeKind, SiteId};

use super::{
    check::{self, Checks, JobCheck, UnbuiltCheck},
    code::Code,
    diagnostic::Diagnostic,
    fields::{Fields, Node, Read, Reading, shown},
    provider::Zone,
    scalar::PlainSeconds,
    source::{Located, Place},
};
use crate::{
    maintenance::{LASTS_MAX_S, Recurrence, Upon, When, Window},
    words::BookName,
};

/// A site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Site {
    /// The file's name.
    pub id: SiteId,
    /// What people call it.
    pub name: String,
    /// Its IANA zone.
    pub zone: String,
    /// Its distance band; a plan's factors hang on it.
    pub distance: Option<Located<String>>,
    /// The day from which faults are ticketed and clocks run; before it everything is only measured (DETECTION 3).
    pub commissioned: Option<Date>,
    /// How to get in.
    pub access: Option<String>,
    /// Its assets.
    pub assets: BTreeMap<AssetId, Asset>,
    /// Agreed windows of work.
    pub maintenance: Vec<Maintenance>,
    /// Its file.
    #[serde(skip)]
    pub place: Place,
}

/// Something at a site that can break.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asset {
    /// Its name.
    pub id: AssetId,
    /// What it is.
    pub class: AssetClass,
    /// What it hangs on, in the order of the vocabulary.
    pub edges: Vec<Edge>,
    /// The calendar of the hours in which it is expected to run. Kept.
    pub expected: Option<Located<BookName>>,
    /// When it was installed.
    pub installed: Option<Date>,
    /// The last day of its warranty.
    pub warranty_until: Option<Date>,
    /// Where its documentation is.
    pub documentation: Option<String>,
    /// How it is watched.
    pub checks: Vec<CheckSpec>,
    /// How it is meant to be watched, by kinds that no agent can run yet: their state is unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unbuilt: Vec<UnbuiltCheck>,
    /// Jobs that tell when they ran.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobCheck>,
    /// Where it stands.
    #[serde(skip)]
    pub place: Place,
}

/// A dependency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// Of which kind.
    pub kind: EdgeKind,
    /// On which asset of the same site.
    pub to: Located<AssetId>,
}

/// An agreed window of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Maintenance {
    /// On which assets; on all, when it names neither assets nor checks.
    pub assets: Vec<Located<AssetId>>,
    /// On which single checks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Located<CheckId>>,
    /// When it begins.
    pub begins: Begins,
    /// For how long.
    pub for_s: PlainSeconds,
    /// What is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// When a window of work begins, in the site's zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Begins {
    /// Once: `at = 2026-12-06T02:00:00`.
    Once {
        /// The wall time.
        at: DateTime,
    },
    /// On the days of a recurrence (RFC 5545).
    Recurring {
        /// Which days.
        rrule: String,
        /// From which wall time.
        from: Time,
    },
}

impl Maintenance {
    /// The window as it is counted with, in the zone of its site.
    pub fn window(&self, time_zone: &str) -> Window {
        let upon = if self.assets.is_empty() && self.checks.is_empty() {
            Upon::Site
        } else {
            Upon::Parts {
                assets: self.assets.iter().map(|asset| asset.value.clone()).collect(),
                checks: self.checks.iter().map(|check| check.value.clone()).collect(),
            }
        };
        let for_s = self.for_s.0;
        let when = match &self.begins {
            Begins::Once { at } => When::once_at(*at, time_zone, for_s),
            Begins::Recurring { rrule, from } => {
                When::Recurring { rrule: rrule.clone(), from: *from, for_s, time_zone: time_zone.to_owned() }
            }
        };
        Window { upon, when, reason: self.reason.clone() }
    }
}

impl Site {
    /// The instant from which faults are ticketed: 00:00 of the day in the site's zone. `None` while the site is
    /// being commissioned.
    pub fn commissioned_at(&self) -> Option<Timestamp> {
        let zone = TimeZone::get(&self.zone).ok()?;
        Some(self.commissioned?.to_zoned(zone).ok()?.timestamp())
    }

    /// Every check of every asset that an agent can run.
    pub fn checks(&self) -> Vec<CheckSpec> {
        self.assets.values().flat_map(|asset| asset.checks.iter().cloned()).collect()
    }

    /// Every check of every asset that no agent can run yet: unknown, never up and never down.
    pub fn unbuilt(&self) -> impl Iterator<Item = &UnbuiltCheck> {
        self.assets.values().flat_map(|asset| &asset.unbuilt)
    }

    /// Every job of every asset that tells when it ran.
    pub fn jobs(&self) -> impl Iterator<Item = &JobCheck> {
        self.assets.values().flat_map(|asset| &asset.jobs)
    }

    /// The names of all of these.
    pub fn check_ids(&self) -> Vec<CheckId> {
        let all = self.assets.values().flat_map(|asset| {
            let unbuilt = asset.unbuilt.iter().map(|check| &check.id);
            asset.checks.iter().map(|check| &check.id).chain(unbuilt).chain(asset.jobs.iter().map(|job| &job.id))
        });
        all.cloned().collect()
    }
}

pub(crate) fn read(id: SiteId, table: &Spanned<DeTable<'_>>, reading: &mut Reading<'_>) -> Option<Site> {
    let place = reading.start_of_file();
    let mut fields = Fields::top(table, "a site", reading);
    let name = fields.required("name", reading);
    let zone = fields.required::<Zone>("time_zone", reading);
    let distance = fields.optional("distance", reading);
    let commissioned = fields.optional("commissioned", reading);
    let access = fields.optional("access", reading);
    let listed: Vec<Located<Asset>> = fields.list("asset", reading);
    let maintenance = fields.list("maintenance", reading);
    fields.finish(reading);
    let assets = unique(listed, reading);
    Some(Site { id, name: name?, zone: zone?.0, distance, commissioned, access, assets, maintenance, place })
}

fn unique(listed: Vec<Located<Asset>>, reading: &mut Reading<'_>) -> BTreeMap<AssetId, Asset> {
    let mut assets: BTreeMap<AssetId, Asset> = BTreeMap::new();
    for Located { value: asset, place } in listed {
        if let Some(first) = assets.get(&asset.id) {
            let message = format!("asset `{}` is there twice", asset.id);
            reading.report(Diagnostic::new(Code::Twice, &place, message).other(&first.place, "the first one"));
        } else {
            assets.insert(asset.id.clone(), asset);
        }
    }
    assets
}

impl Read for Asset {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "an asset", reading)?;
        let place = fields.place().clone();
        let id = fields.required::<AssetId>("id", reading);
        let class = fields.required("class", reading);
        let edges = EdgeKind::ALL.iter().flat_map(|&kind| read_edges(kind, &mut fields, reading)).collect();
        let expected = fields.optional("expected", reading);
        let installed = fields.optional("installed", reading);
        let warranty_until = fields.optional("warranty_until", reading);
        let documentation = fields.optional("documentation", reading);
        let checks_node = fields.node("checks");
        fields.finish(reading);
        let (id, class) = (id?, class?);
        let checks = checks_node.map(|node| check::read_all(&id, node, reading)).unwrap_or_default();
        let Checks { built: checks, unbuilt, jobs } = checks;
        Some(Self {
            id,
            class,
            edges,
            expected,
            installed,
            warranty_until,
            documentation,
            checks,
            unbuilt,
            jobs,
            place,
        })
    }
}

fn read_edges(kind: EdgeKind, fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Vec<Edge> {
    let to: Vec<Located<AssetId>> = fields.list(kind.as_str(), reading);
    to.into_iter().map(|to| Edge { kind, to }).collect()
}

impl Read for Maintenance {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut fields = Fields::of(value, "a maintenance window", reading)?;
        let assets = fields.list("assets", reading);
        let checks = fields.list("checks", reading);
        let (once, rule) = (fields.node("at"), fields.node("rrule"));
        let begins = match (once, rule) {
            (Some(once), None) => DateTime::read(once, reading).map(|at| Begins::Once { at }),
            (None, _) => {
                let rrule = fields.required::<Recurring>("rrule", reading);
                let from = fields.required("from", reading);
                rrule.zip(from).map(|(Recurring(rrule), from)| Begins::Recurring { rrule, from })
            }
            (Some(once), Some(_)) => {
                let message = "a window begins once (`at`) or on the days of a rule (`rrule` and `from`), not both";
                reading.report(Diagnostic::new(Code::BadValue, &reading.place(once), message));
                None
            }
        };
        let for_node = fields.node("for");
        let for_s = fields.required::<PlainSeconds>("for", reading);
        if let (Some(node), Some(for_s)) = (for_node, for_s)
            && !(1..=LASTS_MAX_S).contains(&for_s.0)
        {
            let message = "a window of work lasts from one second to 31 days";
            reading.report(Diagnostic::new(Code::OutOfBounds, &reading.place(node), message));
        }
        let reason = fields.optional("reason", reading);
        fields.finish(reading);
        Some(Self { assets, checks, begins: begins?, for_s: for_s?, reason })
    }
}

/// A recurrence that was read and understood, as it is written.
struct Recurring(String);

impl Read for Recurring {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        match Recurrence::read(&text) {
            Ok(_) => Some(Self(text)),
            Err(error) => {
                reading.bad_value(value, error.to_string());
                None
            }
        }
    }
}

/// `2026-12-06T02:00:00` as a wall time of the site.
impl Read for DateTime {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let DeValue::Datetime(written) = value.get_ref() else {
            reading.wrong_type(value, "a wall time of the site without quotes, 2026-12-06T02:00:00");
            return None;
        };
        if written.offset.is_some() || written.time.is_none() {
            reading
                .bad_value(value, "write a date and a wall time of the site, without an offset: 2026-12-06T02:00:00");
            return None;
        }
        let text = written.to_string();
        let read = text.parse().ok();
        if read.is_none() {
            reading.bad_value(value, format!("{} is not a date and a time", shown(&text)));
        }
        read
    }
}

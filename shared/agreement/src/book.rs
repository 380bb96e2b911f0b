//! The provider's book: everything that is promised, read from a folder of TOML files.
//!
//! [`Book::read`] takes texts and gives a checked book or every mistake of every file at once; it reads no file itself.
//! Nothing is ignored: a key that means nothing is an error, what is known but not built is refused by name where its
//! omission would make a promise wrong, and the rest of what is not acted on is listed by [`Book::not_acted_on`].
//! The language is that of TERMS 1 and 2; one file of this folder reads one file of the book.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{civil::Date, tz::TimeZone};
use serde::Serialize;
use toml::{Spanned, de::DeTable};
use upheld_model::{AssetId, ClientId, Digest, SiteId};

mod announced;
mod calendars;
mod catalogue;
pub mod changes;
mod check;
mod client;
mod code;
pub mod compare;
mod diagnostic;
mod fields;
pub mod form;
mod ics;
mod kept;
mod layout;
mod nearest;
mod plan;
pub mod proposed;
mod provider;
mod scalar;
pub mod schema;
mod site;
mod source;
mod ssa;
mod told;
mod validate;
mod versions;

pub use crate::bands::{Band, BandRule};
pub use announced::{Rewritten, calendars_of, rewritten};
pub use calendars::{CalendarFile, HolidayList};
pub use catalogue::{Catalogue, IssueEntry, IssueMatch};
pub use check::{JOBS, JobCheck, NOT_BUILT, UnbuiltCheck};
pub use client::{Client, Manufacturer, Promises, Support, User};
pub use code::Code;
pub use diagnostic::{Diagnostic, Label, Severity};
pub use fields::NotActedOn;
pub use layout::{BOOK_BYTES_MAX, FILE_BYTES_MAX, FILES_MAX};
pub use plan::{
    Amount, Availability, AvailabilityPer, CountsAs, Credit, CreditLimits, CreditWhen, Escalation, Every, Exclusion,
    IncludedHours, Matrix, Modifiers, Plan, Prevention, Rate, RatePrice, Rider, Rounding, Step, TargetTerms, Window,
};
pub use provider::{Channel, Contact, Provider, Retention, WebhookChannel};
pub use scalar::{Factor, Moment, PlainSeconds};
pub use site::{Asset, Begins, Edge, Maintenance, Site};
pub use source::{Files, Located, Place};
pub use ssa::{Agreement, AssetEntry, AssetPath, Version};
pub use told::{DigestDue, MailKind, MailTo};
pub use versions::VersionSummary;

use client::ClientFile;
use fields::Reading;
use layout::Role;
use plan::{PlanFile, extend::PlanFiles};
use ssa::AgreementFile;

use crate::{
    calendar::CalendarDef,
    canonical,
    words::{BookName, Level},
};

/// A book without mistakes.
#[derive(Debug, Clone, Serialize)]
pub struct Book {
    /// Who promises.
    pub provider: Provider,
    /// The coverage calendars, holidays inside.
    pub calendars: BTreeMap<BookName, CalendarDef>,
    /// The calendars as their files say them.
    pub calendar_files: BTreeMap<BookName, CalendarFile>,
    /// The lists of holidays.
    pub holidays: BTreeMap<BookName, HolidayList>,
    /// The plans.
    pub plans: BTreeMap<BookName, Plan>,
    /// The riders.
    pub riders: BTreeMap<BookName, Rider>,
    /// The issue catalogue.
    pub catalogue: Catalogue,
    /// The manufacturers.
    pub manufacturers: BTreeMap<BookName, Manufacturer>,
    /// The clients.
    pub clients: BTreeMap<ClientId, Client>,
    #[serde(skip)]
    warnings: Vec<Diagnostic>,
    #[serde(skip)]
    not_acted_on: Vec<NotActedOn>,
}

/// A book with mistakes: all of them, in the order of files and lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the book has {} mistake(s), the first: {}", .errors.len(), .errors.first().map(ToString::to_string).unwrap_or_default())]
pub struct Refused {
    /// What must be put right; at least one.
    pub errors: Vec<Diagnostic>,
    /// What somebody should look at.
    pub warnings: Vec<Diagnostic>,
}

impl Book {
    /// Reads a book: path within its folder (with `/`) → text.
    pub fn read(files: &Files) -> Result<Self, Refused> {
        let mut draft = Draft::read(files);
        draft.complete_agreements();
        let Draft { book, is_whole, mut found, kept, .. } = draft;
        validate::validate(&book, files, &mut found);
        found.sort_by(|a, b| a.primary.place.cmp(&b.primary.place).then(a.code.cmp(&b.code)));
        found.dedup();
        let (errors, warnings): (Vec<_>, Vec<_>) = found.into_iter().partition(|d| d.severity() == Severity::Error);
        let errors = bounded(errors, Code::MoreMistakes, "only the first 100 mistakes of this file are listed");
        let warnings = bounded(warnings, Code::MoreWarnings, "only the first 100 warnings of this file are listed");
        if is_whole && errors.is_empty() {
            Ok(Self { warnings, not_acted_on: kept, ..book })
        } else {
            Err(Refused { errors, warnings })
        }
    }

    /// What somebody should look at, whatever day it is.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// What somebody should look at on a given day: holidays that end soon (W0107).
    pub fn warnings_on(&self, today: Date) -> Vec<Diagnostic> {
        validate::holidays_ending(self, today)
    }

    /// What the book says and this version keeps without acting on it, once per file and feature.
    pub fn not_acted_on(&self) -> &[NotActedOn] {
        &self.not_acted_on
    }

    /// Whether anybody is told by mail.
    pub fn tells_by_mail(&self) -> bool {
        self.provider.channels.values().any(|channel| channel.mail.is_some())
            || self.clients.values().any(|client| !client.mail.is_empty())
    }

    /// A client.
    pub fn client(&self, client: &ClientId) -> Option<&Client> {
        self.clients.get(client)
    }

    /// A site of a client.
    pub fn site(&self, client: &ClientId, site: &SiteId) -> Option<&Site> {
        self.clients.get(client)?.sites.get(site)
    }

    /// Whether the agreement calls an asset's criticality high.
    pub fn is_critical(&self, client: &ClientId, site: &SiteId, asset: &AssetId) -> bool {
        let agreement = self.clients.get(client).and_then(|client| client.agreement.as_ref());
        let terms = agreement.and_then(|agreement| agreement.terms_of(site, asset));
        terms.is_some_and(|terms| terms.criticality == Some(Level::High))
    }

    /// The canonical form of the whole book: what it means, without comments, order or places.
    pub fn canonical_json(&self) -> String {
        canonical::canonical_json(self)
    }

    /// The hash of the canonical form.
    pub fn hash(&self) -> Digest {
        canonical::digest(self)
    }
}

/// A book while it is being read.
struct Draft {
    book: Book,
    /// Whether every part that a book must have was read.
    is_whole: bool,
    agreements: BTreeMap<ClientId, AgreementFile>,
    found: Vec<Diagnostic>,
    kept: Vec<NotActedOn>,
}

/// What the files said, before it is put together.
#[derive(Default)]
struct Parts {
    provider: Option<Provider>,
    catalogue: Option<Catalogue>,
    calendar_files: BTreeMap<BookName, CalendarFile>,
    holidays: BTreeMap<BookName, HolidayList>,
    plans: PlanFiles,
    unread_plans: BTreeSet<BookName>,
    manufacturers: BTreeMap<BookName, Manufacturer>,
    clients: BTreeMap<ClientId, ClientFile>,
    agreements: BTreeMap<ClientId, AgreementFile>,
    sites: BTreeMap<ClientId, BTreeMap<SiteId, Site>>,
}

impl Draft {
    fn read(files: &Files) -> Self {
        let (mut found, mut kept) = (Vec::new(), Vec::new());
        let mut roles = layout::roles(files, &mut found);
        // The provider comes first: money is read in his currency.
        roles.sort();
        let mut parts = Parts::default();
        let mut currency = None;
        for (role, path) in &roles {
            let mut reading = Reading::new(path, currency, &mut found, &mut kept);
            let text = files.get(path.as_ref()).map_or("", String::as_str);
            if let Role::Holidays(name) = role
                && parts.holidays.contains_key(name)
            {
                let message = format!("there is an iCalendar file of the name `{name}` already");
                let twice = Diagnostic::new(Code::Twice, &reading.start_of_file(), message);
                reading.report(twice.help("a list of holidays is one file: rename one of the two"));
            } else if let (Role::Holidays(name), true) = (role, path.ends_with(".ics")) {
                let list = ics::read(name.as_str(), text, &mut reading);
                parts.holidays.extend(list.map(|list| (name.clone(), list)));
            } else if let Some(table) = reading.parse(text) {
                parts.take(role, &table, &mut reading);
            } else if let Role::Plan(name) = role {
                parts.unread_plans.insert(name.clone());
            }
            currency = reading.currency;
        }
        report_missing_clients(&roles, files, &mut found);
        let agreements = std::mem::take(&mut parts.agreements);
        let is_whole = parts.provider.is_some() && parts.catalogue.is_some();
        let book = parts.put_together(&mut found);
        Self { book, is_whole, agreements, found, kept }
    }

    /// Completes the amendments, which needs the provider's zone.
    fn complete_agreements(&mut self) {
        let book = &mut self.book;
        let Ok(zone) = TimeZone::get(&book.provider.zone) else { return };
        for (id, file) in std::mem::take(&mut self.agreements) {
            let agreement = file.complete(&zone, &mut self.found);
            if let Some(client) = book.clients.get_mut(&id) {
                client.agreement = agreement;
            }
        }
    }
}

impl Parts {
    fn take(&mut self, role: &Role, table: &Spanned<DeTable<'_>>, reading: &mut Reading<'_>) {
        match role {
            Role::Provider => self.provider = provider::read(table, reading),
            Role::Catalogue => self.catalogue = catalogue::read(table, reading),
            Role::Calendar(name) => {
                self.calendar_files.extend(calendars::read_calendar(table, reading).map(|file| (name.clone(), file)));
            }
            Role::Holidays(name) => {
                self.holidays.extend(calendars::read_holidays(table, reading).map(|list| (name.clone(), list)));
            }
            Role::Plan(name) => match plan::read(table, reading) {
                Some(file) => {
                    self.plans.insert(name.clone(), file);
                }
                None => {
                    self.unread_plans.insert(name.clone());
                }
            },
            Role::Manufacturer(name) => {
                self.manufacturers.extend(client::read_manufacturer(table, reading).map(|maker| (name.clone(), maker)));
            }
            Role::Client(id) => self.clients.extend(client::read(table, reading).map(|file| (id.clone(), file))),
            Role::Agreement(id) => self.agreements.extend(ssa::read(table, reading).map(|file| (id.clone(), file))),
            Role::Site(client, id) => {
                let site = site::read(id.clone(), table, reading);
                self.sites.entry(client.clone()).or_default().extend(site.map(|site| (id.clone(), site)));
            }
        }
    }

    /// The parts as one. Where the provider or the catalogue could not be read, an empty one stands in, so that the
    /// mistakes between the other parts are found in the same run; such a draft never becomes a book.
    fn put_together(mut self, found: &mut Vec<Diagnostic>) -> Book {
        let lists = &self.holidays;
        let calendars = self
            .calendar_files
            .iter()
            .map(|(name, file)| (name.clone(), file.with_holidays(|list| lists.get(list).cloned())))
            .collect();
        let clients = self
            .clients
            .into_iter()
            .map(|(id, file)| {
                let sites = self.sites.remove(&id).unwrap_or_default();
                let ClientFile { name, contact, users, mail, ended } = file;
                (id.clone(), Client { id, name, contact, users, mail, ended, agreement: None, sites })
            })
            .collect();
        let plans = plan::extend::complete(&self.plans, &self.unread_plans, found);
        let riders = self.plans.into_iter().filter_map(|(name, file)| match file {
            PlanFile::Rider(rider) => Some((name, rider)),
            PlanFile::Plan(_) => None,
        });
        Book {
            provider: self.provider.unwrap_or_else(Provider::empty),
            calendars,
            calendar_files: self.calendar_files,
            holidays: self.holidays,
            plans,
            riders: riders.collect(),
            catalogue: self.catalogue.unwrap_or_else(Catalogue::empty),
            manufacturers: self.manufacturers,
            clients,
            warnings: Vec::new(),
            not_acted_on: Vec::new(),
        }
    }
}

/// The most mistakes of one file that are listed, and the most warnings.
const LISTED_MAX: usize = 100;

/// The first [`LISTED_MAX`] of each file, and one that says that there are more.
fn bounded(sorted: Vec<Diagnostic>, more: Code, message: &str) -> Vec<Diagnostic> {
    let mut bounded: Vec<Diagnostic> = Vec::new();
    let mut in_file = 0;
    for found in sorted {
        let is_same = bounded.last().is_some_and(|last| last.primary.place.file == found.primary.place.file);
        in_file = if is_same { in_file + 1 } else { 1 };
        match in_file.cmp(&(LISTED_MAX + 1)) {
            std::cmp::Ordering::Less => bounded.push(found),
            std::cmp::Ordering::Equal => {
                let notice = Diagnostic::new(more, &found.primary.place, message);
                bounded.push(notice.help("put these right, then check again"));
            }
            std::cmp::Ordering::Greater => {}
        }
    }
    bounded
}

/// A folder below `clients` that lacks its `client.toml`.
fn report_missing_clients(roles: &[(Role, Arc<str>)], files: &Files, found: &mut Vec<Diagnostic>) {
    let mut reported: BTreeSet<&ClientId> = BTreeSet::new();
    for (role, path) in roles {
        let (Role::Agreement(client) | Role::Site(client, _)) = role else { continue };
        let needed = format!("clients/{client}/client.toml");
        if !files.contains_key(&needed) && reported.insert(client) {
            let place = client::folder_place(path);
            let message = format!("the folder of client `{client}` has no client.toml");
            found.push(
                Diagnostic::new(Code::MissingFile, &place, message).help(format!("write {needed} with a `name`")),
            );
        }
    }
}

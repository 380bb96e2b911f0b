//! `book explain <client>`: an agreement as a person would say it, fit for signature (TERMS 7).
//!
//! Every [`Sentence`] is made from a [`Claim`], which is data: the stage, the priorities, the calendar, the time, the
//! manner, the money. Claims are asked of the engine where it has an answer (the matcher pins the targets, the fee's
//! share is that of a credit) and are never read from the sentence. `tests/plain_words.rs` takes each claim of each
//! client of the sample book and holds it against the clock, the tariff, the credits and the calendar, and the
//! sentence against the claim.
//!
//! One file of this folder is one part of an agreement. It looks nothing up outside of the book and knows no time but
//! the one it is asked for. The signed text governs.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;
use upheld_model::{ClientId, Digest, SiteId};

use crate::{
    bands::Band,
    book::{Agreement, Book, Client, Plan, Rounding, Site, Version, Window},
    calendar::{Calendar, CalendarDef},
    money::{Money, Per},
    words::BookName,
};

mod accord;
mod asset;
mod care;
mod hours;
mod measure;
mod priority;
mod rate;
mod say;
mod target;

pub use accord::{CoversClaim, DisputeClaim, FeeClaim, FollowsClaim, KeptClaim};
pub use asset::AssetClaim;
pub use care::{EscalationClaim, PreventionClaim};
pub use hours::{BandsClaim, HoursClaim};
pub use measure::{AvailabilityClaim, CapClaim, CreditClaim};
pub use priority::{IssueClaim, PriorityClaim};
pub use rate::{IncludedClaim, MannerRate, RateClaim};
pub use target::{Case, TargetClaim};

/// An agreement in plain words, sentence by sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlainAgreement {
    /// Whose.
    pub client: ClientId,
    /// The agreement's number.
    pub agreement: String,
    /// The version that is said.
    pub version: u32,
    /// The hash of that version: what a client accepts.
    pub hash: Option<Digest>,
    /// Between whom, which version, from when to when.
    pub heading: Vec<String>,
    /// Its parts.
    pub sections: Vec<Section>,
    /// What is to be known of this text.
    pub footing: Vec<String>,
}

/// A part of an agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// What it is about.
    pub title: &'static str,
    /// Its sentences.
    pub sentences: Vec<Sentence>,
}

/// What is said, and the claim behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sentence {
    /// In words; one sentence or a few that belong together.
    pub text: String,
    /// As data; `None` where the words are the same for every agreement.
    pub claim: Option<Claim>,
}

/// What a sentence claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each variant is the claim of its type, which says what it is")]
pub enum Claim {
    Covers(CoversClaim),
    Hours(HoursClaim),
    Priority(PriorityClaim),
    Issue(IssueClaim),
    Target(Box<TargetClaim>),
    Bands(BandsClaim),
    Rate(RateClaim),
    Included(IncludedClaim),
    Availability(AvailabilityClaim),
    Asset(AssetClaim),
    Credit(CreditClaim),
    Cap(CapClaim),
    Escalation(EscalationClaim),
    Prevention(PreventionClaim),
    Fee(FeeClaim),
    Dispute(DisputeClaim),
    Follows(FollowsClaim),
    Kept(KeptClaim),
}

/// Why there is nothing to explain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchAgreement {
    /// The book has no such client.
    #[error("the book has no client `{client}`; it has {known}")]
    NoClient {
        /// The client.
        client: ClientId,
        /// The clients of the book.
        known: String,
    },
    /// He has no agreement.
    #[error("client `{client}` has no agreement: nothing is promised, faults are ticketed all the same")]
    NoAgreement {
        /// The client.
        client: ClientId,
    },
    /// None of its versions is in force.
    #[error("no version of {agreement} is in force at {at}; {versions}")]
    NotInForce {
        /// The agreement's number.
        agreement: String,
        /// The instant that was asked for.
        at: Timestamp,
        /// The versions and their dates.
        versions: String,
    },
}

/// The agreement of a client as it holds at an instant, as one text.
pub fn agreement(book: &Book, client: &ClientId, at: Timestamp) -> Result<String, NoSuchAgreement> {
    Ok(plain(book, client, at)?.text())
}

/// The agreement of a client as it holds at an instant, sentence by sentence.
pub fn plain(book: &Book, client: &ClientId, at: Timestamp) -> Result<PlainAgreement, NoSuchAgreement> {
    let asked = Asked::of(book, client, at)?;
    let sections = vec![
        section("Where", [said(accord::covers(&asked), CoversClaim::say, Claim::Covers)]),
        section("When", hours::gather(&asked).into_iter().map(|claim| said(claim, HoursClaim::say, Claim::Hours))),
        pressing(&asked),
        section(
            "How fast",
            target::gather(&asked)
                .into_iter()
                .map(|claim| said(claim, TargetClaim::say, |claim| Claim::Target(Box::new(claim)))),
        ),
        working(&asked),
        section("What we owe you", owed(&asked)),
        section("What work costs", rates(&asked)),
        section("Before anything breaks", care(&asked)),
        section("The agreement", accord(&asked)),
    ];
    Ok(PlainAgreement {
        client: client.clone(),
        agreement: asked.agreement.number.clone(),
        version: asked.version.number,
        hash: asked.hash(),
        heading: asked.heading(),
        sections: sections.into_iter().filter(|section| !section.sentences.is_empty()).collect(),
        footing: asked.footing(at),
    })
}

fn section(title: &'static str, sentences: impl IntoIterator<Item = Sentence>) -> Section {
    Section { title, sentences: sentences.into_iter().collect() }
}

fn said<T>(claim: T, say: impl Fn(&T) -> String, wrap: impl Fn(T) -> Claim) -> Sentence {
    Sentence { text: say(&claim), claim: Some(wrap(claim)) }
}

fn pressing(asked: &Asked<'_>) -> Section {
    let impact = Sentence { text: priority::IMPACT.to_owned(), claim: None };
    let issues = priority::issues(asked).into_iter().map(|claim| said(claim, IssueClaim::say, Claim::Issue));
    let of = priority::priorities(asked).into_iter().map(|claim| said(claim, PriorityClaim::say, Claim::Priority));
    let urgency =
        "How urgent an incident is follows from what it is, which is the first of these that fits:".to_owned();
    let urgency = Sentence { text: urgency, claim: None };
    section("How pressing", std::iter::once(urgency).chain(issues).chain([impact]).chain(of))
}

fn working(asked: &Asked<'_>) -> Section {
    let availability =
        measure::availability(asked).map(|claim| said(claim, AvailabilityClaim::say, Claim::Availability));
    let assets = asset::gather(asked).into_iter().map(|claim| said(claim, AssetClaim::say, Claim::Asset));
    section("How much of the time it works", availability.into_iter().chain(assets))
}

fn owed(asked: &Asked<'_>) -> Vec<Sentence> {
    let credits = measure::credits(asked).into_iter().map(|claim| said(claim, CreditClaim::say, Claim::Credit));
    credits.chain(measure::cap(asked).map(|claim| said(claim, CapClaim::say, Claim::Cap))).collect()
}

fn rates(asked: &Asked<'_>) -> Vec<Sentence> {
    let bands = asked.tariff_calendar().map(|(calendar, bands)| {
        let claim = BandsClaim { calendar: calendar.clone(), bands: bands.to_vec() };
        said(claim, BandsClaim::say, Claim::Bands)
    });
    let rates = rate::gather(asked).into_iter().map(|claim| said(claim, RateClaim::say, Claim::Rate));
    let included = rate::included(asked).map(|claim| said(claim, IncludedClaim::say, Claim::Included));
    bands.into_iter().chain(rates).chain(included).collect()
}

fn care(asked: &Asked<'_>) -> Vec<Sentence> {
    let prevention = care::prevention(asked).map(|claim| said(claim, |claim| claim.say().join(" "), Claim::Prevention));
    let escalation = care::escalation(asked).map(|claim| said(claim, EscalationClaim::say, Claim::Escalation));
    prevention.into_iter().chain(escalation).collect()
}

fn accord(asked: &Asked<'_>) -> Vec<Sentence> {
    let fee = accord::fee(asked).map(|claim| said(claim, FeeClaim::say, Claim::Fee));
    let dispute = accord::dispute(asked).map(|claim| said(claim, DisputeClaim::say, Claim::Dispute));
    let follows = accord::follows(asked).map(|claim| said(claim, FollowsClaim::say, Claim::Follows));
    let kept = accord::kept(asked).map(|claim| said(claim, KeptClaim::say, Claim::Kept));
    [fee, dispute, follows, kept].into_iter().flatten().collect()
}

impl PlainAgreement {
    /// The same with who accepted the version, and when: a fact that no book holds. The hash is that of what he was
    /// shown; one of another text is said as that.
    #[must_use]
    pub fn accepted(mut self, by: &str, at: Timestamp, hash: &Digest, zone: &TimeZone) -> Self {
        let day = say::day_of(at, zone);
        self.heading.push(match self.hash.as_ref() == Some(hash) {
            true => format!("{by} accepted this version for you on {day}."),
            false => format!("{by} accepted another text of this version for you on {day}, with the hash {hash}."),
        });
        self
    }

    /// Every claim.
    pub fn claims(&self) -> impl Iterator<Item = (&str, &Claim)> {
        let sentences = self.sections.iter().flat_map(|section| &section.sentences);
        sentences.filter_map(|sentence| Some((sentence.text.as_str(), sentence.claim.as_ref()?)))
    }

    /// All of it as text, in lines of a page's width.
    pub fn text(&self) -> String {
        let mut lines: Vec<String> = self.heading.iter().flat_map(|line| wrapped(line, 0)).collect();
        for section in &self.sections {
            lines.push(String::new());
            lines.push(section.title.to_owned());
            lines.extend(section.sentences.iter().flat_map(|sentence| wrapped(&sentence.text, 2)));
        }
        lines.push(String::new());
        lines.extend(self.footing.iter().flat_map(|line| wrapped(line, 0)));
        lines.extend(self.hash.iter().map(|hash| format!("The hash of this version is {hash}.")));
        lines.join("\n") + "\n"
    }
}

/// The most letters of a line.
const WIDTH: usize = 100;

/// A paragraph in lines; those after the first are indented further.
fn wrapped(text: &str, indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = " ".repeat(indent);
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(line);
            line = " ".repeat(indent + 2);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push(line);
    lines
}

/// What is asked: one version of one client's agreement, with what every part needs of it.
struct Asked<'a> {
    book: &'a Book,
    client: &'a Client,
    agreement: &'a Agreement,
    version: &'a Version,
    plan: &'a Plan,
    /// The provider's, in which the agreement's dates are read.
    zone: TimeZone,
}

impl<'a> Asked<'a> {
    fn of(book: &'a Book, id: &ClientId, at: Timestamp) -> Result<Self, NoSuchAgreement> {
        let client = book.client(id).ok_or_else(|| NoSuchAgreement::NoClient {
            client: id.clone(),
            known: book.clients.keys().map(ClientId::as_str).collect::<Vec<_>>().join(", "),
        })?;
        let agreement = client.agreement.as_ref().ok_or_else(|| NoSuchAgreement::NoAgreement { client: id.clone() })?;
        let not_in_force =
            || NoSuchAgreement::NotInForce { agreement: agreement.number.clone(), at, versions: dates(agreement) };
        let version = agreement.in_force(at).next().ok_or_else(not_in_force)?;
        // A book with a version whose plan it lacks was refused.
        let plan = book.plans.get(&version.plan.value).ok_or_else(not_in_force)?;
        let zone = TimeZone::get(&book.provider.zone).unwrap_or(TimeZone::UTC);
        Ok(Self { book, client, agreement, version, plan, zone })
    }

    /// The sites that the version covers.
    fn sites(&self) -> impl Iterator<Item = &'a Site> {
        let sites = &self.client.sites;
        self.version.sites.iter().filter_map(|site| sites.get(&site.value))
    }

    /// `Plant 2, which is far`: the distance where it changes a time.
    fn site_in_words(&self, id: &SiteId) -> String {
        let Some(site) = self.client.sites.get(id) else { return id.to_string() };
        let band = site.distance.as_ref().map(|band| band.value.as_str());
        let factor = self.plan.modifiers.distance.iter().find(|(known, _)| Some(known.as_str()) == band);
        match factor.filter(|(_, factor)| factor.0 != crate::ratio::Ratio::ONE) {
            Some((band, _)) => format!("{}, which is {band}", site.name),
            None => site.name.clone(),
        }
    }

    /// The calendars of the plan's and the riders' targets.
    fn target_calendars(&self) -> impl Iterator<Item = &'a BookName> {
        let book = self.book;
        let riders = self.version.riders.iter().filter_map(|rider| book.riders.get(&rider.value));
        let targets = self.plan.targets.iter().chain(riders.flat_map(|rider| &rider.overrides));
        targets.map(|target| &target.calendar.value)
    }

    /// The calendars of the manufacturers' support desks behind the client's assets.
    fn support_calendars(&self) -> impl Iterator<Item = &'a BookName> {
        let book = self.book;
        let makers = self.agreement.asset_terms.iter().filter_map(|entry| entry.terms.manufacturer.as_ref());
        let makers = makers.filter_map(|terms| book.manufacturers.get(&terms.maker)?.support.as_ref());
        makers.filter_map(|support| support.hours.as_ref()).map(|hours| &hours.value)
    }

    /// The first of the plan's calendars that has all bands of its rates, as the bill takes it.
    fn tariff_calendar(&self) -> Option<(&'a BookName, &'a [Band])> {
        let measured = self.plan.availability.iter().map(|measured| &measured.calendar.value);
        let own = self.plan.targets.iter().map(|target| &target.calendar.value);
        let bands = |name: &'a BookName| {
            let bands = self.book.calendar_files.get(name)?.bands.as_slice();
            let mut named = self.plan.rates.iter().flat_map(|rate| &rate.band);
            let has_all = named.all(|band| bands.iter().any(|known| known.name == band.value));
            (has_all && !self.plan.rates.is_empty()).then_some((name, bands))
        };
        own.chain(measured).find_map(bands)
    }

    /// The version's first and last day.
    fn dates(&self) -> (Date, Option<Date>) {
        let last = self.agreement.ends(self.version).and_then(|end| self.zone.to_datetime(end).date().yesterday().ok());
        (self.zone.to_datetime(self.version.from).date(), last)
    }

    /// What a window costs at the version's prices, riders included; `None` where it says no fee of a month or year.
    fn fee_of(&self, window: Window) -> Option<Money> {
        let riders = self.version.riders.iter().filter_map(|rider| self.book.riders.get(&rider.value)?.price);
        let mut monthly = 0_u64;
        for price in std::iter::once(self.version.fee?).chain(riders) {
            let of_month = match price.per {
                Per::Month => price.amount.minor,
                Per::Year => price.amount.share(1, 12, Rounding::HalfEven).minor,
                Per::Once | Per::Hour => return None,
            };
            monthly = monthly.checked_add(of_month)?;
        }
        let months = match window {
            Window::Month => 1,
            Window::Quarter => 3,
            Window::Year => 12,
        };
        Some(Money { minor: monthly.checked_mul(months)?, currency: self.book.provider.currency })
    }

    /// The files of the book that this version is made of.
    fn files(&self) -> Vec<String> {
        let id = &self.client.id;
        let mut files = vec![
            "provider.toml".to_owned(),
            "catalogue.toml".to_owned(),
            format!("plans/{}.toml", self.version.plan.value),
            format!("clients/{id}/client.toml"),
            format!("clients/{id}/ssa.toml"),
        ];
        files.extend(self.version.riders.iter().map(|rider| format!("plans/{}.toml", rider.value)));
        files.extend(self.sites().map(|site| format!("clients/{id}/sites/{}.toml", site.id)));
        let calendars = self.target_calendars().chain(self.tariff_calendar().map(|(name, _)| name));
        files.extend(calendars.map(|name| format!("calendars/{name}.toml")));
        let makers = self.agreement.asset_terms.iter().filter_map(|entry| entry.terms.manufacturer.as_ref());
        files.extend(makers.map(|terms| format!("manufacturers/{}.toml", terms.maker)));
        files
    }

    fn hash(&self) -> Option<Digest> {
        let versions = self.book.versions_of(self.client).into_iter();
        versions.filter(|summary| summary.version == self.version.number).map(|summary| summary.hash).next()
    }

    fn heading(&self) -> Vec<String> {
        let Self { client, agreement, version, plan, .. } = self;
        let (from, until) = self.dates();
        let until = until.map(|until| format!(" to {}", say::day(until))).unwrap_or_default();
        let note = version.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        let signed = version.signed.map(|on| format!(", signed {}", say::day(on))).unwrap_or_default();
        let riders: Vec<&str> = version
            .riders
            .iter()
            .map(|rider| self.book.riders.get(&rider.value).map_or(rider.value.as_str(), |known| &known.name))
            .collect();
        let with = if riders.is_empty() { String::new() } else { format!(" with {}", say::list(&riders, "and")) };
        vec![
            format!(
                "{}: service support agreement {}, version {}{note}",
                client.name, agreement.number, version.number
            ),
            format!(
                "{}{with}{signed}. In force from {}{until}, in the time of {}.",
                plan.name,
                say::day(from),
                self.book.provider.zone
            ),
            format!("\"We\" are {}, \"you\" are {}.", self.book.provider.name, client.name),
        ]
    }

    fn footing(&self, at: Timestamp) -> Vec<String> {
        let mut said = vec![
            "The signed text governs. These are its terms in plain words, made from the same data that every clock \
             runs on; they are no legal advice."
                .to_owned(),
        ];
        let mut names: Vec<&BookName> = Vec::new();
        for name in self.target_calendars() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let defs = names.into_iter().filter_map(|name| Some((name, self.book.calendars.get(name)?)));
        said.extend(defs.filter_map(|(name, def)| openings(name, def, at)));
        said
    }
}

/// `On Mon 16 Nov 16:10 "business" hours are open; they close Mon 16 Nov 18:00, …`; nothing for one that never closes.
fn openings(name: &BookName, def: &CalendarDef, at: Timestamp) -> Option<String> {
    let calendar = Calendar::compile(def).ok()?;
    let zone = TimeZone::get(&def.tz).ok()?;
    let stamp = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%a %-d %b %Y %H:%M").to_string();
    let mut closings = Vec::new();
    let mut after = at;
    while closings.len() < 3
        && let Some(closing) = calendar.next_closing(after)
    {
        closings.push(stamp(closing));
        after = closing;
    }
    let open = match calendar.is_open(at) {
        true => "are open".to_owned(),
        false => format!("are closed and open {}", stamp(calendar.next_opening(at)?)),
    };
    let next = say::list(&closings, "and");
    (!closings.is_empty()).then(|| format!("On {} \"{name}\" hours {open}; they next close {next}.", stamp(at)))
}

fn dates(agreement: &Agreement) -> String {
    let each: Vec<String> = agreement
        .versions
        .iter()
        .map(|version| {
            let until = agreement.ends(version).map(|end| format!(" until {end}")).unwrap_or_default();
            format!("v{} holds from {}{until}", version.number, version.from)
        })
        .collect();
    each.join("; ")
}

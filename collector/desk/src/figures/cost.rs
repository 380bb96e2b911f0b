//! What it would cost to send someone now, and at the next opening; and what the downtime has cost the client so far.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Serialize;
use upheld_agreement::{
    account::tariff,
    downtime,
    explain::duration,
    money::{Money, Price},
    rate::{Bill, LineFor, Quote},
    words::Manner,
};
use upheld_model::IncidentRef;

use crate::{Actor, Desk, DeskError, Scope, book::CurrentBook, case::Case, views};

/// What an incident would cost, and has cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CostView {
    /// The incident.
    pub incident: IncidentRef,
    /// As of when.
    pub as_of: Timestamp,
    /// For how much work, in seconds.
    pub work_s: u64,
    /// The agreement's version in force, `SSA-2026-014 v2`; `None` where none is.
    pub version: Option<String>,
    /// Each manner of work.
    pub manners: Vec<OfManner>,
    /// What the downtime has cost the client; `None` where the agreement says no price of an hour.
    pub downtime: Option<SoFar>,
    /// All of it in one sentence or two.
    pub sentence: String,
}

/// What one manner of work would cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfManner {
    /// Which.
    pub manner: Manner,
    /// What it would cost; `None` where it has no price.
    pub quote: Option<Quote>,
    /// Why it has none.
    pub not_priced: Option<String>,
}

/// The client's own cost of downtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SoFar {
    /// Since when it is down.
    pub since: Timestamp,
    /// Whether it still is.
    pub lasts: bool,
    /// For how long, in seconds.
    pub seconds: u64,
    /// What an hour costs him.
    pub price: Price,
    /// What that comes to.
    pub cost: Money,
}

impl Desk {
    /// What so much work would cost from now on, and from the next opening on.
    pub async fn cost(
        &self,
        scope: &Scope,
        incident: &IncidentRef,
        work_s: u64,
        now: Timestamp,
    ) -> Result<CostView, DeskError> {
        self.note_denial(scope, incident, &Actor::Collector, now).await?;
        let (scope, incident, shared) = (scope.clone(), incident.clone(), Arc::clone(&self.shared));
        self.store
            .read("desk.cost", move |tx| {
                let book = shared.books.current(tx)?;
                let case = Case::open(tx, views::find(tx, &scope, &incident)?)?;
                Ok(cost(&book, &case, work_s, now))
            })
            .await
    }
}

/// An hour's work in a sentence, while there is something to do and the agreement says any price.
pub(crate) fn cost_sentence(book: &CurrentBook, case: &Case, now: Timestamp) -> Option<String> {
    if !case.incident.is_open() {
        return None;
    }
    let view = cost(book, case, 3_600, now);
    let has_price = view.downtime.is_some() || view.manners.iter().any(|of| of.quote.is_some());
    has_price.then_some(view.sentence)
}

fn cost(book: &CurrentBook, case: &Case, work_s: u64, now: Timestamp) -> CostView {
    let client = book.book.client(&case.incident.client);
    let agreement = client.and_then(|client| client.agreement.as_ref());
    let version = agreement.and_then(|agreement| agreement.in_force(now).next());
    let manners = Manner::ALL.iter().map(|&manner| {
        let quote = quote(book, version, manner, work_s, now);
        let (quote, not_priced) = quote.map_or_else(|why| (None, Some(why)), |quote| (Some(quote), None));
        OfManner { manner, quote, not_priced }
    });
    let mut view = CostView {
        incident: case.reference(),
        as_of: now,
        work_s,
        version: agreement.zip(version).map(|(agreement, version)| format!("{} v{}", agreement.number, version.number)),
        manners: manners.collect(),
        downtime: so_far(book, case, now),
        sentence: String::new(),
    };
    let zone = TimeZone::get(&book.book.provider.zone).unwrap_or(TimeZone::UTC);
    view.sentence = sentence(&view, &zone);
    view
}

fn quote(
    book: &CurrentBook,
    version: Option<&upheld_agreement::book::Version>,
    manner: Manner,
    work_s: u64,
    now: Timestamp,
) -> Result<Quote, String> {
    let version = version.ok_or("no version of an agreement is in force")?;
    let plan = book.book.plans.get(&version.plan.value).ok_or("the plan is missing")?;
    let tariff = tariff(&book.book, plan).map_err(|error| error.to_string())?;
    tariff.tariff().quote(manner, work_s, now, &tariff.calendar, 0).map_err(|error| error.to_string())
}

/// The downtime of the incident's own asset, from the first bad sample on: what is certain (DETECTION 2).
fn so_far(book: &CurrentBook, case: &Case, now: Timestamp) -> Option<SoFar> {
    let incident = &case.incident;
    let agreement = book.book.client(&incident.client)?.agreement.as_ref()?;
    let price = agreement.terms_of(&incident.site, incident.root.asset()?)?.cost_of_downtime?;
    let (since, until) = (incident.started.not_after, incident.restored.unwrap_or(now).min(now));
    let seconds = u64::try_from(since.duration_until(until).max(SignedDuration::ZERO).as_secs()).unwrap_or(0);
    let cost = downtime::cost(price, seconds).ok()?;
    Some(SoFar { since, lasts: incident.restored.is_none_or(|restored| restored > now), seconds, price, cost })
}

fn sentence(view: &CostView, zone: &TimeZone) -> String {
    let mut parts = Vec::new();
    let work = duration(view.work_s);
    for of in &view.manners {
        let what = match of.manner {
            Manner::OnSite => format!("sending someone for {work}"),
            Manner::Remote => format!("{work} of remote work"),
            Manner::Phone => format!("{work} on the telephone"),
        };
        parts.push(match (&of.quote, &of.not_priced) {
            (Some(quote), _) => format!("{what} costs {}", quoted(quote, zone)),
            (None, why) => format!("{what} has no price ({})", why.as_deref().unwrap_or("unknown")),
        });
    }
    let mut sentence = format!("{}.", parts.join("; "));
    if let Some(first) = sentence.get(..1).map(str::to_uppercase) {
        sentence.replace_range(..1, &first);
    }
    if let Some(so_far) = &view.downtime {
        let lasts = if so_far.lasts { "so far" } else { "in all" };
        sentence.push_str(&format!(
            " Its downtime has cost the client {} {lasts}: {} at {}.",
            so_far.cost,
            duration(so_far.seconds),
            so_far.price
        ));
    }
    sentence
}

fn quoted(quote: &Quote, zone: &TimeZone) -> String {
    let now = format!("{} now{}", quote.now.total, bands(&quote.now));
    match &quote.at_next_opening {
        None => now,
        Some((opens, bill)) => {
            let opens = opens.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M %Z");
            format!("{now} and {} at the next opening, {opens}{}", bill.total, bands(bill))
        }
    }
}

/// ` (after-hours, travel USD 95.00 included)`.
fn bands(bill: &Bill) -> String {
    let mut bands: Vec<&str> = Vec::new();
    let mut way = String::new();
    for line in &bill.lines {
        match &line.what {
            LineFor::Time { .. } if !bands.contains(&line.band.as_str()) => bands.push(&line.band),
            LineFor::Time { .. } => {}
            LineFor::Travel => way = format!(", with {} for the way", line.amount),
        }
    }
    format!(" ({}{way})", bands.join(" and "))
}

//! `what-if`: a period of ledgers under another book, beside what happened (TERMS 6). From the store, or from a file of
//! ledger lines without any data folder; `--export-ledger` writes that file from the store, and both give the same.

mod ledger;
mod progress;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use upheld_agreement::{
    account::{Happened, Stretch},
    book::{Book, Files},
    clock::ClockError,
    rate,
    what_if::{
        Changed, Columns, Condition, ConditionError, Kept, Outcome, PastIncident, Replay, WhatIf, columns, rows, table,
    },
};
use upheld_model::ClientId;

use super::{
    Context,
    book::{folder::BookFolder, provider_zone},
};
use crate::{
    failure::{Exit, Failure},
    when,
};
use ledger::Source;
use progress::Progress;

/// Incidents whose change is printed; all of them are in the JSON.
const CHANGED_SHOWN: usize = 100;

/// Which book instead, over which incidents.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The other book's folder.
    #[arg(long, value_name = "DIR", required_unless_present = "export_ledger")]
    book: Option<PathBuf>,
    /// Incidents detected at this time or later; with --ledger, from its first incident on.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Incidents detected before this time; until now.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only this client's; may be given more than once.
    #[arg(long, value_name = "CLIENT")]
    client: Vec<ClientId>,
    /// Read the ledgers from this file, `-` for standard input: no data folder is touched.
    #[arg(long, value_name = "FILE", conflicts_with = "export_ledger")]
    ledger: Option<PathBuf>,
    /// Write the ledgers to this file, `-` for standard output, in place of asking.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["book", "fail_if"])]
    export_ledger: Option<PathBuf>,
    /// Exit with 4 when this holds: "breaches > 0", "difference.credits >= 100.00 and late > 2". May be given more than
    /// once.
    #[arg(long, value_name = "EXPR")]
    fail_if: Vec<String>,
}

/// The incidents that are asked about.
struct Asked<'a> {
    clients: &'a [ClientId],
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl<'a> Asked<'a> {
    fn of(args: &'a Args, zone: &TimeZone) -> Result<Self, Failure> {
        let time = |text: &Option<String>| text.as_deref().map(|text| when::instant(text, zone)).transpose();
        Ok(Self { clients: &args.client, since: time(&args.since)?, until: time(&args.until)? })
    }

    fn has_client(&self, client: &ClientId) -> bool {
        self.clients.is_empty() || self.clients.contains(client)
    }

    fn has(&self, incident: &PastIncident) -> bool {
        let detected = incident.query.detected.latest;
        self.has_client(&incident.query.client)
            && self.since.is_none_or(|since| since <= detected)
            && self.until.is_none_or(|until| detected < until)
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let conditions = conditions(&args.fail_if)?;
    if args.ledger.is_none() && args.since.is_none() {
        return Err(Failure::new(Exit::Usage, "name the period: --since TIME").todo("--since 2026-01-01T00:00:00Z"));
    }
    let other = args.book.as_deref().map(read_book).transpose()?;
    let zone = other.as_ref().map_or(TimeZone::UTC, |(book, _)| provider_zone(book));
    let Some((other, shown)) = other else { return export(args, context) };
    let asked = Asked::of(args, &zone)?;
    let mut source = match &args.ledger {
        Some(path) => Source::file(path)?,
        None => Source::store(context)?,
    };
    let told = replay(&mut source, &asked, &other, context)?;
    let rows = rows(&told.found, &told.columns);
    let held = held(&conditions, &rows)?;
    let text = told.text(&shown, &rows);
    context.output.result(&text, || {
        json!({
            "schema": "upheld.what-if/1",
            "as_of": told.as_of,
            "period": told.period,
            "rows": rows,
            "before": told.found.before,
            "after": told.found.after,
            "changed": told.found.changed,
            "clients": told.columns,
            "holds": held,
        })
    })?;
    if held.is_empty() {
        return Ok(Exit::Ok);
    }
    context.output.say(&format!("--fail-if holds: {}", held.join("; ")));
    Ok(Exit::Holds)
}

fn export(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut source = Source::store(context)?;
    let asked = Asked::of(args, &source.zone())?;
    let Some(path) = &args.export_ledger else {
        return Err(Failure::new(Exit::Usage, "name a book: --book DIR"));
    };
    let incidents = ledger::export(&mut source, &asked, path, context)?;
    context.output.say(&format!("{incidents} incidents written to {}", path.display()));
    Ok(Exit::Ok)
}

/// What came out.
struct Told {
    found: WhatIf,
    columns: Columns,
    period: Stretch,
    as_of: Timestamp,
}

fn replay(source: &mut Source<'_>, asked: &Asked<'_>, other: &Book, context: &Context) -> Result<Told, Failure> {
    let as_of = source.as_of(asked)?;
    let mut replay = Replay::new(other, as_of);
    let mut happened: BTreeMap<ClientId, Happened> = BTreeMap::new();
    let mut first: Option<Timestamp> = None;
    let mut progress = Progress::new("incidents", context.output.quiet || context.output.json);
    let outcome = source.incidents(asked, &mut |incident, part| {
        let detected = incident.query.detected.latest;
        first = Some(first.map_or(detected, |first| first.min(detected)));
        happened.entry(incident.query.client.clone()).or_default().work.extend(work(&incident));
        progress.one(part);
        replay.take(&incident)
    });
    progress.end();
    outcome?;
    let period = Stretch {
        from: asked.since.or(first).unwrap_or(as_of),
        to: asked.until.unwrap_or(as_of).max(asked.since.or(first).unwrap_or(as_of)),
    };
    let agreed = source.agreed()?;
    let agreed_book = agreed.as_ref().map(book_of).transpose()?;
    let mut clients: BTreeSet<ClientId> = happened.keys().cloned().collect();
    let with_agreement = agreed_book.iter().flat_map(|book| book.clients.values());
    let with_agreement = with_agreement.filter(|client| client.agreement.is_some()).map(|client| client.id.clone());
    clients.extend(with_agreement.filter(|client| asked.has_client(client)));
    for client in &clients {
        let Happened { assets, .. } = source.happened(client, period, as_of)?;
        happened.entry(client.clone()).or_default().assets = assets;
    }
    let found = replay.found;
    let columns = columns(&found, (agreed_book.as_ref(), other), &clients, &happened, period, as_of);
    Ok(Told { found, columns, period, as_of })
}

fn work(incident: &PastIncident) -> impl Iterator<Item = upheld_agreement::account::WorkDone> {
    let name = incident.name.clone();
    rate::entries(&incident.facts).into_iter().filter(rate::Entry::is_charged).map(move |entry| {
        upheld_agreement::account::WorkDone { incident: name.clone(), fact: entry.fact, work: entry.work }
    })
}

impl Told {
    fn text(&self, book: &str, rows: &[upheld_agreement::what_if::Row]) -> String {
        let incidents = self.found.before.promised + self.found.before.none_promised;
        let mut text = format!(
            "{incidents} incidents from {} until {}, as known at {}, under {book} beside what was agreed\n\n{}",
            self.period.from,
            self.period.to,
            self.as_of,
            table(rows, "other book")
        );
        if !self.found.changed.is_empty() {
            text.push_str("\nIncidents that would have come out otherwise\n");
        }
        for changed in self.found.changed.iter().take(CHANGED_SHOWN) {
            text.push_str(&format!("  {}: {}\n", changed.incident, stages(changed)));
        }
        if self.found.changed.len() > CHANGED_SHOWN {
            text.push_str(&format!("  and {} more: --json has them all\n", self.found.changed.len() - CHANGED_SHOWN));
        }
        let not_said = self.columns.before.iter().chain(&self.columns.after);
        let mut not_said: Vec<String> =
            not_said.filter_map(|(client, column)| Some(format!("{client}: {}", column.not_said.as_ref()?))).collect();
        not_said.sort();
        not_said.dedup();
        not_said.iter().for_each(|why| text.push_str(&format!("Not known for {why}\n")));
        if self.columns.before.is_empty() {
            text.push_str("What was agreed is not known: the ledger has no line of a book.\n");
        }
        text
    }
}

/// `respond in time → late (due 2026-11-16T23:10:00Z)`.
fn stages(changed: &Changed) -> String {
    let of = |outcomes: &[Outcome], stage| outcomes.iter().find(|outcome| outcome.stage == stage).copied();
    let mut all: Vec<_> = changed.before.iter().chain(&changed.after).map(|outcome| outcome.stage).collect();
    all.sort();
    all.dedup();
    let said = all.into_iter().filter_map(|stage| {
        let (before, after) = (of(&changed.before, stage), of(&changed.after, stage));
        let kept = |outcome: Option<Outcome>| outcome.map(|outcome| outcome.kept);
        let word = |outcome: Option<Outcome>| kept(outcome).map_or("not promised", Kept::words);
        let due =
            after.and_then(|outcome| outcome.due.instant()).map(|due| format!(" (due {due})")).unwrap_or_default();
        (kept(before) != kept(after)).then(|| format!("{stage} {} → {}{due}", word(before), word(after)))
    });
    said.collect::<Vec<_>>().join(", ")
}

fn conditions(texts: &[String]) -> Result<Vec<Condition>, Failure> {
    let read = |text: &String| Condition::read(text).map_err(|error| wrong_condition(&error));
    texts.iter().map(read).collect()
}

fn held(conditions: &[Condition], rows: &[upheld_agreement::what_if::Row]) -> Result<Vec<String>, Failure> {
    let mut held = Vec::new();
    for condition in conditions {
        if condition.holds(rows).map_err(|error| wrong_condition(&error))? {
            held.push(condition.text().to_owned());
        }
    }
    Ok(held)
}

fn wrong_condition(error: &ConditionError) -> Failure {
    match error {
        ConditionError::Grammar { .. } | ConditionError::NoSuchFigure { .. } | ConditionError::Number { .. } => {
            Failure::of(Exit::Usage, error)
                .because("--fail-if: [before.|after.|difference.]FIGURE > >= < <= == != NUMBER, joined by \" and \"")
        }
        ConditionError::NotKnown { .. } => Failure::of(Exit::Failed, error),
    }
}

fn read_book(dir: &std::path::Path) -> Result<(Book, String), Failure> {
    let folder = BookFolder::read(dir)?;
    Ok((book_of(&folder.files)?, folder.shown))
}

fn book_of(files: &Files) -> Result<Book, Failure> {
    Book::read(files).map_err(|refused| {
        Failure::of(Exit::Config, &refused).todo("see every mistake: upheld-collector book check DIR")
    })
}

/// A replay that cannot go on names the incident.
fn cannot_replay(incident: &str, error: &ClockError) -> Failure {
    Failure::new(Exit::Failed, format!("{incident} cannot be replayed")).because_of(Some(error))
}

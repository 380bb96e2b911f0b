//! `book new`: a filled-in start for a client, and for the whole book where there is none, that `book check` accepts.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, civil::Date};
use serde_json::json;
use upheld_agreement::book::{Book, Files};
use upheld_model::ClientId;

use super::{Context, export::write_files, folder::BookFolder, provider_zone};
use crate::failure::{Exit, Failure};

/// For whom, and where.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The client: letters, digits and dashes; the name of his folder.
    client: ClientId,
    /// The book's folder; it is made where it does not exist.
    #[arg(long, value_name = "DIR", default_value = "book")]
    book: PathBuf,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let Args { client, book: dir } = args;
    let there = if dir.is_dir() && has_files(dir) { BookFolder::read(dir)?.files } else { Files::new() };
    if there.keys().any(|path| path.starts_with(&format!("clients/{client}/"))) {
        return Err(Failure::new(Exit::Failed, format!("{} has client `{client}` already", dir.display()))
            .todo(format!("edit the files in {}", dir.join(format!("clients/{client}")).display())));
    }
    let new = files(client, &there, context)?;
    let together: Files = there.into_iter().chain(new.clone()).collect();
    if let Err(refused) = Book::read(&together) {
        return Err(Failure::new(
            Exit::Config,
            format!("the book in {} has mistakes: nothing was written", dir.display()),
        )
        .because(refused.to_string())
        .todo(format!("upheld-collector book check {}", dir.display())));
    }
    write_files(dir, &new)?;
    let shown = |path: &String| dir.join(path).display().to_string();
    let mut lines: Vec<String> = new.keys().map(|path| format!("wrote {}", shown(path))).collect();
    lines.extend(
        new.iter().flat_map(|(path, text)| {
            edits(text).map(|line| format!("edit  {}:{line}", shown(path))).collect::<Vec<_>>()
        }),
    );
    lines.push(format!("then  upheld-collector book check {}", dir.display()));
    context.output.result(&lines.join("\n"), || {
        json!({ "schema": "upheld.book-new/1", "client": client, "files": new.keys().map(shown).collect::<Vec<_>>() })
    })?;
    Ok(Exit::Ok)
}

/// The files of a book for this client alone.
pub(in crate::cli) fn starter(client: &ClientId, context: &Context) -> Result<BTreeMap<String, String>, Failure> {
    files(client, &Files::new(), context)
}

fn has_files(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}

/// The lines that a person must look at: those that say so.
fn edits(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().enumerate().filter_map(|(index, line)| Some((index, line.split_once("# EDIT: ")?.1)));
    lines.map(|(index, what)| format!("{}  {what}", index + 1)).collect::<Vec<_>>().into_iter()
}

fn files(client: &ClientId, there: &Files, context: &Context) -> Result<BTreeMap<String, String>, Failure> {
    let book = Book::read(there).ok();
    if book.is_none() && there.contains_key("provider.toml") {
        return Err(Failure::new(Exit::Config, "the book has mistakes: nothing was written")
            .todo("upheld-collector book check DIR"));
    }
    let mut new = BTreeMap::new();
    let mut add = |path: &str, text: String| {
        if !there.contains_key(path) {
            new.insert(path.to_owned(), text);
        }
    };
    let zone = book.as_ref().map_or_else(local_zone, |book| book.provider.zone.clone());
    let currency = book.as_ref().map_or_else(|| "USD".to_owned(), |book| book.provider.currency.to_string());
    let plan = book.as_ref().and_then(|book| book.plans.keys().next().cloned());
    if book.is_none() {
        context.output.say("There is no book yet: a provider, a calendar, a plan and a catalogue are written too.");
        add("provider.toml", PROVIDER.replace("ZONE", &zone));
        add("catalogue.toml", CATALOGUE.to_owned());
    }
    if plan.is_none() {
        add("calendars/business.toml", CALENDAR.replace("ZONE", &zone));
        add("plans/silver.toml", PLAN.to_owned());
    }
    let plan = plan.map_or_else(|| "silver".to_owned(), |plan| plan.to_string());
    let today: Date = Timestamp::now().to_zoned(book.as_ref().map_or(jiff::tz::TimeZone::UTC, provider_zone)).date();
    let decimals =
        if upheld_agreement::money::Money::parse("1.00", book.as_ref().map_or(usd()?, |book| book.provider.currency))
            .is_ok()
        {
            ".00"
        } else {
            ""
        };
    let fill = |text: &str| {
        text.replace("CLIENT", client.as_str())
            .replace("ZONE", &zone)
            .replace("CURRENCY", &currency)
            .replace("PLAN", &plan)
            .replace("TODAY", &today.to_string())
            .replace("YEAR", &today.year().to_string())
            .replace("FEE", &format!("1000{decimals}"))
    };
    add(&format!("clients/{client}/client.toml"), fill(CLIENT_FILE));
    add(&format!("clients/{client}/ssa.toml"), fill(AGREEMENT));
    add(&format!("clients/{client}/sites/main.toml"), fill(SITE));
    Ok(new)
}

fn usd() -> Result<upheld_agreement::money::Currency, Failure> {
    upheld_agreement::money::Currency::parse("USD").map_err(|error| Failure::of(Exit::Failed, &error))
}

/// The zone of this host, where it has a name.
fn local_zone() -> String {
    jiff::tz::TimeZone::system().iana_name().filter(|name| *name != "Etc/Unknown").unwrap_or("UTC").to_owned()
}

const PROVIDER: &str = r#"name = "Your company"           # EDIT: the name that clients read
currency = "USD"                # EDIT: the one money of the book, its three letters
time_zone = "ZONE"              # EDIT: the zone in which dates of this book are read
"#;

const CALENDAR: &str = r#"time_zone = "ZONE"              # EDIT: the zone of the hours below

[weekly]                        # EDIT: when you answer; "24:00" is the end of a day
mon = ["08:00-18:00"]
tue = ["08:00-18:00"]
wed = ["08:00-18:00"]
thu = ["08:00-18:00"]
fri = ["08:00-18:00"]
"#;

const PLAN: &str = r#"name = "Silver"

[[target]]
stage = "respond"
within = "4h"                   # EDIT: by when you answer, in hours of the calendar
calendar = "business"
manner = ["remote", "phone"]
warn_at = ["50%", "75%"]

[[target]]
stage = "resolve"
within = "16h"                  # EDIT: by when it works again
calendar = "business"
pause_for = ["site-access", "client-decision"]
longest_pause = "5d"
"#;

const CATALOGUE: &str = r#"# What an incident is, and how pressing: the first entry that matches wins.
[[issue]]
id = "HW-01"
name = "Recording or access failed"
category = "hardware"
match = { class = ["recording", "access"] }
urgency = "high"

[[issue]]
id = "ANY"
name = "Anything else"
category = "hardware"
match = {}
urgency = "medium"
"#;

const CLIENT_FILE: &str = r#"name = "CLIENT"                 # EDIT: the client's name as it stands in the agreement
"#;

const AGREEMENT: &str = r#"number = "SSA-YEAR-CLIENT"      # EDIT: your number of the agreement
sites = ["main"]
fee = "FEE/month"               # EDIT: in CURRENCY
dispute_within = "14d"

[[version]]
effective_from = TODAY          # EDIT: from when it holds
plan = "PLAN"                   # EDIT: the plan that he bought
"#;

const SITE: &str = r#"name = "Main site"              # EDIT: what people call the site
time_zone = "ZONE"              # EDIT: its zone
# commissioned = TODAY          # EDIT: without this line everything is measured and nothing is ticketed

[[asset]]
id = "server-1"                 # EDIT: what stands there, and how it is watched
class = "server"
checks = [{ kind = "host" }]
"#;

//! Where incidents come from: the store, or a file of ledger lines. Both are read incident by incident, so that a
//! replay of years needs no memory for them.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};
use tokio::runtime::Runtime;
use upheld_agreement::{
    account::{Happened, Stretch},
    book::Files,
    clock::ClockError,
    ledger_file::{LINE_BYTES_MAX, LedgerLine},
    what_if::PastIncident,
};
use upheld_desk::Desk;
use upheld_model::{ClientId, IncidentNumber};

use super::{Asked, Context, Failure, Progress, cannot_replay};
use crate::{cli::runtime, failure::Exit};

/// Takes one incident; how far that is of all, in thousandths, where it is known.
pub(super) type Take<'t> = &'t mut dyn FnMut(PastIncident, Option<u64>) -> Result<(), ClockError>;

/// Takes one line of a file, and how far that is.
type TakeLine<'t, 'a> = &'t mut dyn FnMut(&mut Lines<'a>, LedgerLine, Option<u64>) -> Result<(), Failure>;

/// A source of incidents.
pub(super) enum Source<'a> {
    /// The data folder.
    Store(Box<Stored>),
    /// A file.
    File(Lines<'a>),
}

/// The data folder, opened.
pub(super) struct Stored {
    desk: Desk,
    runtime: Runtime,
    now: Timestamp,
    zone: TimeZone,
    clients: Vec<ClientId>,
    book: Files,
}

/// A file, and what its other lines said.
pub(super) struct Lines<'a> {
    path: &'a Path,
    as_of: Option<Timestamp>,
    book: Option<Files>,
    assets: BTreeMap<ClientId, Happened>,
}

impl<'a> Source<'a> {
    pub(super) fn store(context: &Context) -> Result<Self, Failure> {
        let (desk, runtime) = (context.data.desk()?, runtime()?);
        let book = runtime.block_on(desk.current_book())?;
        let zone = crate::cli::book::provider_zone(&book.book);
        let clients = book.book.clients.keys().cloned().collect();
        let now = Timestamp::now();
        Ok(Self::Store(Box::new(Stored { desk, runtime, now, zone, clients, book: book.files.clone() })))
    }

    /// The file's head is read first: what the other lines say is asked for after the incidents.
    pub(super) fn file(path: &'a Path) -> Result<Self, Failure> {
        Ok(Self::File(Lines { path, as_of: None, book: None, assets: BTreeMap::new() }))
    }

    /// The zone in which times without one are read.
    pub(super) fn zone(&self) -> TimeZone {
        match self {
            Self::Store(stored) => stored.zone.clone(),
            Self::File(_) => TimeZone::UTC,
        }
    }

    /// As of when the source knows: now, or what the file's head says; a file without a head is taken to be complete
    /// until the end of the period.
    pub(super) fn as_of(&mut self, asked: &Asked<'_>) -> Result<Timestamp, Failure> {
        match self {
            Self::Store(stored) => Ok(stored.now),
            Self::File(lines) => {
                lines.head()?;
                Ok(lines.as_of.or(asked.until).unwrap_or_else(Timestamp::now))
            }
        }
    }

    /// Every incident that is asked about.
    pub(super) fn incidents(&mut self, asked: &Asked<'_>, take: Take<'_>) -> Result<u64, Failure> {
        match self {
            Self::Store(stored) => stored.incidents(asked, take),
            Self::File(lines) => lines.incidents(asked, take),
        }
    }

    /// The files of what was agreed, where that is known.
    pub(super) fn agreed(&self) -> Result<Option<Files>, Failure> {
        match self {
            Self::Store(stored) => Ok(Some(stored.book.clone())),
            Self::File(lines) => Ok(lines.book.clone()),
        }
    }

    /// Each asset's time of a client.
    pub(super) fn happened(&self, client: &ClientId, period: Stretch, as_of: Timestamp) -> Result<Happened, Failure> {
        match self {
            Self::Store(stored) => stored.happened(client, period, as_of),
            Self::File(lines) => Ok(lines.assets.get(client).cloned().unwrap_or_default()),
        }
    }
}

impl Stored {
    fn incidents(&self, asked: &Asked<'_>, take: Take<'_>) -> Result<u64, Failure> {
        let since = asked.since.unwrap_or(Timestamp::MIN);
        let until = asked.until.unwrap_or(Timestamp::MAX);
        let mut number = 0;
        for client in self.clients.iter().filter(|client| asked.has_client(client)) {
            let mut behind = Some(IncidentNumber(0));
            while let Some(last) = behind {
                let page = self.runtime.block_on(self.desk.past_page(client, (since, until), last))?;
                behind = page.behind;
                for incident in page.incidents {
                    let name = incident.name.clone();
                    take(incident, None).map_err(|error| cannot_replay(&name, &error))?;
                    number += 1;
                }
            }
        }
        Ok(number)
    }

    fn happened(&self, client: &ClientId, period: Stretch, as_of: Timestamp) -> Result<Happened, Failure> {
        Ok(self.runtime.block_on(self.desk.happened(client, period, as_of))?)
    }
}

impl<'a> Lines<'a> {
    /// Reads the lines that are no incidents, for which the whole file is looked through. Standard input is read once:
    /// there its first line must be the head.
    fn head(&mut self) -> Result<(), Failure> {
        if self.path == Path::new("-") {
            return Ok(());
        }
        self.each(&mut |lines, line, _| {
            lines.keep(line);
            Ok(())
        })
        .map(drop)
    }

    fn keep(&mut self, line: LedgerLine) {
        match line {
            LedgerLine::Head { as_of } => self.as_of = Some(as_of),
            LedgerLine::Book { files } => self.book = Some(files),
            LedgerLine::Asset { client, uptime } => self.assets.entry(client).or_default().assets.push(uptime),
            LedgerLine::Incident(_) => {}
        }
    }

    fn incidents(&mut self, asked: &Asked<'_>, take: Take<'_>) -> Result<u64, Failure> {
        let is_stdin = self.path == Path::new("-");
        let mut number = 0;
        self.each(&mut |lines, line, part| {
            match line {
                LedgerLine::Incident(incident) if asked.has(&incident) => {
                    let name = incident.name.clone();
                    take(*incident, part).map_err(|error| cannot_replay(&name, &error))?;
                    number += 1;
                }
                LedgerLine::Incident(_) => {}
                other @ (LedgerLine::Head { .. } | LedgerLine::Book { .. } | LedgerLine::Asset { .. }) if is_stdin => {
                    lines.keep(other);
                }
                LedgerLine::Head { .. } | LedgerLine::Book { .. } | LedgerLine::Asset { .. } => {}
            }
            Ok(())
        })?;
        Ok(number)
    }

    /// Reads every line; a bad one is named with its number.
    fn each(&mut self, take: TakeLine<'_, 'a>) -> Result<(), Failure> {
        let cannot = |error: io::Error, path: &Path| {
            Failure::new(Exit::Failed, format!("cannot read {}", path.display())).because(error.to_string()).todo(
                "name a file of ledger lines, or write one: upheld-collector what-if --since TIME --export-ledger FILE",
            )
        };
        let path = self.path;
        let (mut input, length): (Box<dyn BufRead>, Option<u64>) = if path == Path::new("-") {
            (Box::new(BufReader::with_capacity(1 << 16, io::stdin().lock())), None)
        } else {
            let file = File::open(path).map_err(|error| cannot(error, path))?;
            let length = file.metadata().ok().map(|metadata| metadata.len()).filter(|length| *length > 0);
            (Box::new(BufReader::with_capacity(1 << 16, file)), length)
        };
        let (mut text, mut number, mut read) = (String::new(), 0_u64, 0_u64);
        loop {
            text.clear();
            let bytes = input.by_ref().take(LINE_BYTES_MAX as u64 + 1).read_line(&mut text);
            let bytes = bytes.map_err(|error| cannot(error, path))? as u64;
            if bytes == 0 {
                return Ok(());
            }
            (number, read) = (number + 1, read + bytes);
            if text.trim().is_empty() {
                continue;
            }
            let line = LedgerLine::read(text.trim()).map_err(|error| {
                Failure::of(Exit::Failed, &error)
                    .because(format!("line {number} of {}", path.display()))
                    .todo("the format: docs/ledger-file.md")
            })?;
            take(self, line, length.map(|length| read.saturating_mul(1000) / length))?;
        }
    }
}

/// Writes the store's incidents as lines; how many.
pub(super) fn export(
    source: &mut Source<'_>,
    asked: &Asked<'_>,
    path: &PathBuf,
    context: &Context,
) -> Result<u64, Failure> {
    let Source::Store(stored) = source else {
        return Err(Failure::new(Exit::Usage, "a file is exported from the store"));
    };
    let cannot = |error: io::Error| {
        Failure::new(Exit::Failed, format!("cannot write {}", path.display())).because(error.to_string())
    };
    let file: Box<dyn Write> = if path == Path::new("-") {
        Box::new(io::stdout().lock())
    } else {
        Box::new(File::create(path).map_err(cannot)?)
    };
    let mut output = BufWriter::with_capacity(1 << 16, file);
    let mut write = |line: LedgerLine| writeln!(output, "{}", line.write());
    write(LedgerLine::Head { as_of: stored.now }).map_err(cannot)?;
    write(LedgerLine::Book { files: stored.book.clone() }).map_err(cannot)?;
    let since = asked.since.unwrap_or(stored.now);
    let period = Stretch { from: since, to: asked.until.unwrap_or(stored.now).max(since) };
    for client in stored.clients.iter().filter(|client| asked.has_client(client)) {
        for uptime in stored.happened(client, period, stored.now)?.assets {
            write(LedgerLine::Asset { client: client.clone(), uptime }).map_err(cannot)?;
        }
    }
    let mut failed = None;
    let mut progress = Progress::new("incidents", context.output.quiet || context.output.json);
    let number = stored.incidents(asked, &mut |incident, part| {
        if failed.is_none() {
            failed = write(LedgerLine::Incident(Box::new(incident))).err();
        }
        progress.one(part);
        Ok(())
    });
    progress.end();
    let number = number?;
    match failed {
        Some(error) => Err(cannot(error)),
        None => output.flush().map_err(cannot).map(|()| number),
    }
}

//! `replay`: a recorded history through detection, with the sites of a book (DETECTION 8). No data folder and no
//! server are touched.

mod sites;

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use serde_json::json;
use upheld_detection::replay::{Document, Trace, Unknown, replay_with};

use super::{Context, book::folder::BookFolder};
use crate::failure::{Exit, Failure};

/// What to replay.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The book's folder.
    #[arg(long, value_name = "DIR")]
    book: PathBuf,
    /// The samples, one a line; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    samples: PathBuf,
    /// Take assets and checks that the book does not have as what their names and kinds say.
    #[arg(long)]
    infer: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let folder = BookFolder::read(&args.book)?;
    let trace = read_trace(&args.samples)?;
    let (sites, jobs) = sites::of_book(&folder.files, trace.period())?;
    let unknown = if args.infer { Unknown::Infer } else { Unknown::Refuse };
    let document = replay_with(&trace, &sites, &jobs, unknown).map_err(|error| Failure::of(Exit::Failed, &error))?;
    let written = serde_json::to_value(&document).map_err(|error| Failure::of(Exit::Failed, &error))?;
    context.output.result(&in_words(&document, trace.lines()), || json!(written))?;
    Ok(Exit::Ok)
}

fn read_trace(path: &Path) -> Result<Trace, Failure> {
    let cannot = |error: io::Error| {
        Failure::new(Exit::Failed, format!("cannot read {}", path.display()))
            .because(error.to_string())
            .todo("name a file of samples, or - for standard input")
    };
    let mut input: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(BufReader::with_capacity(1 << 16, io::stdin().lock()))
    } else {
        Box::new(BufReader::with_capacity(1 << 16, File::open(path).map_err(cannot)?))
    };
    let mut trace = Trace::default();
    let mut line = String::new();
    while input.read_line(&mut line).map_err(cannot)? > 0 {
        trace.line(&line).map_err(|error| {
            Failure::new(Exit::Failed, format!("{}: {error}", path.display())).todo("see DETECTION 8 for the format")
        })?;
        line.clear();
    }
    Ok(trace)
}

fn in_words(document: &Document, lines: usize) -> String {
    let mut text = format!(
        "{lines} lines: {} findings, {} incidents, {} events, {} messages\n",
        document.findings.len(),
        document.incidents.len(),
        document.events.len(),
        document.pages
    );
    for incident in &document.incidents {
        let ticket = if incident.ticketed { "ticket" } else { "no ticket" };
        text.push_str(&format!("{}  {:<9} {ticket:<9}  {}\n", incident.started.1, incident.kind, incident.title));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_means_nothing_is_named_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.jsonl");
        std::fs::write(&path, "{\"t\":\"2026-11-16T16:00:00Z\",\"collector\":\"up\"}\n\n{\"t\":1}\n").unwrap();
        let refused = read_trace(&path).unwrap_err().text(false);
        assert!(refused.contains("samples.jsonl: line 3"), "{refused}");
        assert!(read_trace(&folder.path().join("none")).unwrap_err().text(false).contains("cannot read"));
    }
}

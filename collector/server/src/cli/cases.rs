//! `clock due --cases` and `uptime --cases`: one JSON case a line in, one JSON answer a line out (TERMS 8). No data
//! folder and no server are touched. A bad line is answered in its place; the exit code is 3 then.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Subcommand;
use upheld_agreement::{
    cases::{Answered, Cases, LINE_BYTES_MAX},
    uptime_cases,
};

use super::Context;
use crate::failure::{Exit, Failure};

/// What the clock's calculator computes.
#[derive(Debug, Subcommand)]
pub(super) enum ClockCommand {
    /// Due times, elapsed covered time, amendments.
    Due(Args),
}

/// Where the cases are.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file of cases, one a line; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    cases: PathBuf,
    /// Say at the end how many cases a second were computed, parsing apart.
    #[arg(long)]
    timings: bool,
}

/// The same where cases are one way of asking among others.
#[derive(Debug, clap::Args)]
pub(super) struct MaybeCases {
    /// A file of cases, one a line; `-` reads standard input. No data folder is touched.
    #[arg(long, value_name = "FILE", id = "cases")]
    cases: Option<PathBuf>,
    /// With --cases: say at the end how many cases a second were computed, parsing apart.
    #[arg(long, requires = "cases")]
    timings: bool,
}

impl MaybeCases {
    /// The cases that were given.
    pub(super) fn given(&self) -> Result<Args, Failure> {
        let cases = self.cases.clone().ok_or_else(|| Failure::new(Exit::Usage, "name a client, or --cases FILE"))?;
        Ok(Args { cases, timings: self.timings })
    }
}

pub(super) fn due(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut cases = Cases::default();
    run(args, context, |line, timings| {
        let begun = Instant::now();
        let case = cases.read(line);
        let read = Instant::now();
        let worked = case.work();
        timings.add(read - begun, read.elapsed());
        worked.json()
    })
}

pub(super) fn uptime(args: &Args, context: &Context) -> Result<Exit, Failure> {
    run(args, context, |line, timings| {
        let begun = Instant::now();
        let answered = uptime_cases::answer_line(line);
        timings.add(Duration::ZERO, begun.elapsed());
        answered
    })
}

/// Time spent so far.
#[derive(Default)]
struct Timings {
    cases: u64,
    parsing: Duration,
    computing: Duration,
}

impl Timings {
    fn add(&mut self, parsing: Duration, computing: Duration) {
        self.cases += 1;
        self.parsing += parsing;
        self.computing += computing;
    }

    fn text(&self) -> String {
        let rate = self.cases as f64 / self.computing.as_secs_f64().max(f64::EPSILON);
        format!(
            "{} cases, {rate:.0} a second computing ({:.3} s), parsing {:.3} s",
            self.cases,
            self.computing.as_secs_f64(),
            self.parsing.as_secs_f64()
        )
    }
}

fn run(
    args: &Args,
    context: &Context,
    mut answer: impl FnMut(&str, &mut Timings) -> Answered,
) -> Result<Exit, Failure> {
    let mut timings = Timings::default();
    let mut input = open(&args.cases)?;
    let mut output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let outcome = stream(&mut input, &mut output, |line| answer(line, &mut timings));
    let bad = match outcome.and_then(|bad| output.flush().map(|()| bad)) {
        Ok(bad) => bad,
        // The reader has what it wanted (`… | head`).
        Err(gone) if gone.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            return Err(Failure::new(Exit::Failed, format!("cannot go on with {}", args.cases.display()))
                .because(error.to_string()));
        }
    };
    if args.timings {
        context.output.say(&timings.text());
    }
    if bad == 0 {
        return Ok(Exit::Ok);
    }
    context.output.say(&format!("{bad} of the lines could not be answered: see \"error\" in their place"));
    Ok(Exit::Partial)
}

/// Where the lines come from.
type Input = BufReader<Box<dyn Read>>;

fn open(path: &Path) -> Result<Input, Failure> {
    if path == Path::new("-") {
        return Ok(BufReader::with_capacity(1 << 16, Box::new(io::stdin().lock())));
    }
    let file = File::open(path).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot read {}", path.display()))
            .because(error.to_string())
            .todo("name a file of cases, or - for standard input")
    })?;
    Ok(BufReader::with_capacity(1 << 16, Box::new(file)))
}

/// Answers each line that is not blank; how many were bad. Before it waits for more input it hands out what it has: who
/// writes a line and waits for its answer gets it.
fn stream(input: &mut Input, output: &mut impl Write, mut answer: impl FnMut(&str) -> Answered) -> io::Result<u64> {
    let mut bad = 0;
    let mut line = Vec::new();
    while next_line(input, &mut line)? {
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let answered = match std::str::from_utf8(text) {
            Ok(text) => answer(text),
            Err(_) => Answered { json: r#"{"error":"the line is not UTF-8"}"#.to_owned(), is_error: true },
        };
        bad += u64::from(answered.is_error);
        output.write_all(answered.json.as_bytes())?;
        output.write_all(b"\n")?;
        if !input.buffer().contains(&b'\n') {
            output.flush()?;
        }
    }
    Ok(bad)
}

/// Reads one line. Of a line beyond the bound only the head is kept, enough for the refusal; the rest is skipped.
fn next_line(input: &mut Input, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = (&mut *input).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', line)?;
    if read > LINE_BYTES_MAX && line.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_answered_in_their_order_and_bad_ones_counted() {
        let mut input = text(b"a\n\n  b \n\xff\nc");
        let mut output = Vec::new();
        let bad = stream(&mut input, &mut output, |line| Answered { json: format!("<{line}>"), is_error: line == "b" });
        assert_eq!(bad.unwrap(), 2);
        let output = String::from_utf8(output).unwrap();
        assert_eq!(output, "<a>\n<b>\n{\"error\":\"the line is not UTF-8\"}\n<c>\n");
    }

    #[test]
    fn a_line_without_end_does_not_grow_without_bound() {
        let long = vec![b'x'; LINE_BYTES_MAX + 10];
        let mut input = text(&[long, b"\nnext\n".to_vec()].concat());
        let mut lengths = Vec::new();
        stream(&mut input, &mut Vec::new(), |line| {
            lengths.push(line.len());
            Answered { json: String::new(), is_error: false }
        })
        .unwrap();
        assert_eq!(lengths, [LINE_BYTES_MAX + 1, 4]);
    }

    #[test]
    fn who_waits_for_an_answer_gets_it_before_writing_on() {
        let (from_partner, mut lines) = io::pipe().unwrap();
        let (mut answers, to_partner) = io::pipe().unwrap();
        let answering = std::thread::spawn(move || {
            let mut input: Input = BufReader::new(Box::new(from_partner));
            let answer = |line: &str| Answered { json: format!("<{line}>"), is_error: false };
            stream(&mut input, &mut BufWriter::new(to_partner), answer).unwrap()
        });
        for line in ["a", "b"] {
            writeln!(lines, "{line}").unwrap();
            let mut answer = [0; 4];
            answers.read_exact(&mut answer).unwrap();
            assert_eq!(answer, *format!("<{line}>\n").as_bytes());
        }
        drop(lines);
        assert_eq!(answering.join().unwrap(), 0);
    }

    fn text(bytes: &[u8]) -> Input {
        BufReader::new(Box::new(io::Cursor::new(bytes.to_vec())))
    }
}

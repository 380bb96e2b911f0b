//! The lines that are written, and where.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use upheld_detection::replay::record;
use upheld_model::{CheckId, ObservedAt, RunEnd, Sample};
use upheld_wire::v1::AgentConfig;

use crate::failure::{Code, Failure};

/// Writes samples as lines of a trace.
pub(super) struct Out {
    lines: BufWriter<Box<dyn Write>>,
    place: String,
    kinds: BTreeMap<CheckId, String>,
    samples: u64,
}

impl Out {
    /// Writes to a new file, or to standard output.
    pub(super) fn open(path: Option<&Path>, config: &AgentConfig) -> Result<Self, Failure> {
        let (sink, place): (Box<dyn Write>, _) = match path {
            None => (Box::new(io::stdout()), "stdout".to_owned()),
            Some(path) => {
                let place = path.display().to_string();
                let file = File::create_new(path).map_err(|error| {
                    Failure::new(Code::Failed, format!("cannot make {place}"))
                        .because(error)
                        .help("name a file that is not there yet, in a folder that this user may write to")
                })?;
                (Box::new(file), place)
            }
        };
        let kinds = config.checks.iter().map(|check| (check.id.clone(), check.probe.kind().to_owned())).collect();
        Ok(Self { lines: BufWriter::new(sink), place, kinds, samples: 0 })
    }

    /// Writes one sample. A check that is not configured any more is told by its name, which is its kind unless somebody
    /// gave it another.
    pub(super) fn sample(&mut self, sample: &Sample) -> Result<(), Failure> {
        let kind = self.kinds.get(&sample.check).map_or(sample.check.name.as_str(), String::as_str);
        let line = record::sample(sample, kind, None);
        writeln!(self.lines, "{line}").map_err(|error| self.failed(error))?;
        self.samples += 1;
        Ok(())
    }

    /// Writes what a job told of a run.
    pub(super) fn run(
        &mut self,
        job: &CheckId,
        at: ObservedAt,
        ended: RunEnd,
        started: Option<ObservedAt>,
    ) -> Result<(), Failure> {
        let end = match ended {
            RunEnd::Ok => "ok",
            RunEnd::Failed => "fail",
        };
        for (at, what) in started.map(|at| (at, "start")).into_iter().chain([(at, end)]) {
            writeln!(self.lines, "{}", record::run(at.0, None, job, what)).map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// What was written so far is there for a reader.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.lines.flush().map_err(|error| self.failed(error))
    }

    /// Ends; how many samples there were.
    pub(super) fn finish(mut self) -> Result<u64, Failure> {
        self.flush()?;
        Ok(self.samples)
    }

    fn failed(&self, error: io::Error) -> Failure {
        Failure::new(Code::Failed, format!("cannot write to {}", self.place)).because(error)
    }
}

//! The lines of a trace, gathered by check, agent and site. Their order is forgotten.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use upheld_model::BootEnd;

use super::line::{CollectorWord, EventWord, Line, LineError, SampleLine, read};
use crate::{observe::Reading, uptime::Span};

/// A recorded history.
#[derive(Debug, Default)]
pub struct Trace {
    index: BTreeMap<String, usize>,
    series: Vec<Series>,
    pub(super) said: Vec<Said>,
    pub(super) collector: Vec<(Timestamp, CollectorWord)>,
    period: Option<Span>,
    name: String,
    lines: usize,
}

/// The samples of one check.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub(super) client: Option<String>,
    pub(super) site: Option<String>,
    pub(super) asset: String,
    pub(super) check: String,
    pub(super) kind: Option<String>,
    pub(super) readings: Vec<Reading>,
    pub(super) boots: Vec<BootSeen>,
}

/// A boot id, as a host's sample told it.
#[derive(Debug)]
pub(super) struct BootSeen {
    pub(super) at: Timestamp,
    pub(super) received: Timestamp,
    pub(super) id: String,
    pub(super) uptime_s: Option<f64>,
    pub(super) ended: Option<BootEnd>,
}

/// What an agent said beside its samples.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Said {
    pub(super) at: Timestamp,
    pub(super) received: Timestamp,
    pub(super) client: Option<String>,
    pub(super) site: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) asset: Option<String>,
    pub(super) check: Option<String>,
    pub(super) word: EventWord,
    pub(super) reason: Option<String>,
}

impl Trace {
    /// Reads a whole text.
    pub fn read(text: &str) -> Result<Self, LineError> {
        let mut trace = Self::default();
        text.lines().try_for_each(|line| trace.line(line))?;
        Ok(trace)
    }

    /// Takes the next line; a blank one says nothing.
    pub fn line(&mut self, text: &str) -> Result<(), LineError> {
        self.lines += 1;
        if text.trim().is_empty() {
            return Ok(());
        }
        let number = self.lines;
        match read(text).map_err(|why| LineError { number, why })? {
            Line::Sample(sample) => self.sample(*sample),
            Line::Event(event) => {
                self.saw(event.at);
                self.said.push(Said {
                    at: event.at,
                    received: event.received,
                    client: event.client,
                    site: event.site,
                    agent: event.agent,
                    asset: event.asset,
                    check: event.check,
                    word: event.word,
                    reason: event.reason,
                });
            }
            Line::Collector { at, what } => {
                self.saw(at);
                self.collector.push((at, what));
            }
        }
        Ok(())
    }

    /// From its first to its last instant; `None` when it is empty.
    pub fn period(&self) -> Option<Span> {
        self.period
    }

    /// How many lines were taken.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// The samples of each check, by name: the order of lines decides nothing.
    pub(super) fn by_name(&self) -> impl Iterator<Item = &Series> {
        self.index.values().filter_map(|at| self.series.get(*at))
    }

    fn saw(&mut self, at: Timestamp) {
        let period = self.period.get_or_insert(Span { from: at, to: at });
        *period = Span { from: period.from.min(at), to: period.to.max(at) };
    }

    fn sample(&mut self, sample: SampleLine<'_>) {
        self.saw(sample.reading.at);
        self.name.clear();
        let (client, site) = (sample.client.as_deref().unwrap_or(""), sample.site.as_deref().unwrap_or(""));
        // Writing into a string does not fail.
        let _ = write!(self.name, "{client}\n{site}\n{}\n{}", sample.asset, sample.check);
        let at = match self.index.get(&self.name) {
            Some(at) => *at,
            None => {
                self.index.insert(self.name.clone(), self.series.len());
                self.series.push(Series {
                    client: sample.client.map(|text| text.into_owned()),
                    site: sample.site.map(|text| text.into_owned()),
                    asset: sample.asset.into_owned(),
                    check: sample.check.into_owned(),
                    ..Series::default()
                });
                self.series.len() - 1
            }
        };
        let series = &mut self.series[at];
        // Of several kinds the first in the alphabet, so that the order of lines decides nothing.
        if let Some(kind) = sample.kind.filter(|kind| series.kind.as_deref().is_none_or(|known| **kind < *known)) {
            series.kind = Some(kind.into_owned());
        }
        if let Some((id, uptime_s, ended)) = sample.boot {
            let (at, received) = (sample.reading.at, sample.reading.received);
            series.boots.push(BootSeen { at, received, id, uptime_s, ended });
        }
        series.readings.push(sample.reading);
    }
}

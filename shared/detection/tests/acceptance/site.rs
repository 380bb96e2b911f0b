//! Builders: a site, and the lines of its trace.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use upheld_detection::{
    incident::Stage,
    kind::CheckKind,
    plan::{Asset, Check, Site},
    replay::{Document, Trace, Unknown, replay},
};
use upheld_model::{AssetClass, EdgeKind};

/// Monday, midnight in Chicago (CST).
pub(crate) const MONDAY: &str = "2026-01-05T06:00:00Z";
pub(crate) const DAY: f64 = 86_400.0;

pub(crate) fn site(client: &str, name: &str) -> Site {
    Site {
        client: client.parse().unwrap(),
        site: name.parse().unwrap(),
        zone: TimeZone::get("America/Chicago").unwrap(),
        stage: Stage::Commissioned { since: Timestamp::UNIX_EPOCH },
        assets: Default::default(),
        checks: Default::default(),
    }
}

pub(crate) trait Building {
    /// An asset with its edges, written `powered_by ups-2`, and its checks, written `rtsp cam.rtsp`.
    fn with(self, name: &str, class: AssetClass, edges: &[&str], checks: &[&str]) -> Self;
}

impl Building for Site {
    fn with(mut self, name: &str, class: AssetClass, edges: &[&str], checks: &[&str]) -> Self {
        let edge = |text: &&str| {
            let (kind, to) = text.split_once(' ').unwrap();
            (kind.parse::<EdgeKind>().unwrap(), to.parse().unwrap())
        };
        let asset = Asset { edges: edges.iter().map(edge).collect(), ..Asset::new(class) };
        self.assets.insert(name.parse().unwrap(), asset);
        for check in checks {
            let (own, kind) = check.split_once(' ').unwrap();
            let kind = CheckKind::new(kind);
            let check = Check { rule: kind.usual_rule(), kind, promised: Default::default() };
            self.checks.insert(format!("{name}/{own}").parse().unwrap(), check);
        }
        self
    }
}

/// A trace in the making; instants are seconds after a Monday's midnight.
pub(crate) struct Story {
    pub(crate) start: Timestamp,
    pub(crate) lines: Vec<String>,
}

impl Story {
    pub(crate) fn new() -> Self {
        Self { start: MONDAY.parse().unwrap(), lines: Vec::new() }
    }

    pub(crate) fn at(&self, second: f64) -> Timestamp {
        Timestamp::from_millisecond(self.start.as_millisecond() + (second * 1_000.0).round() as i64).unwrap()
    }

    /// `more` is further fields, each with its comma before it.
    pub(crate) fn sample(&mut self, second: f64, check: &str, outcome: &str, more: &str) {
        let (asset, name) = check.split_once('/').unwrap();
        let at = self.at(second);
        let mut line = String::with_capacity(160);
        write!(line, r#"{{"t":"{at}","asset":"{asset}","check":"{name}","outcome":"{outcome}"{more}}}"#).unwrap();
        self.lines.push(line);
    }

    pub(crate) fn event(&mut self, second: f64, site: &str, agent: &str, more: &str) {
        let at = self.at(second);
        self.lines.push(format!(r#"{{"t":"{at}","site":"{site}","agent":"{agent}"{more}}}"#));
    }

    pub(crate) fn collector(&mut self, second: f64, word: &str) {
        let at = self.at(second);
        self.lines.push(format!(r#"{{"t":"{at}","collector":"{word}"}}"#));
    }

    pub(crate) fn told(&self, sites: &[Site]) -> Document {
        told(&self.lines, sites)
    }
}

pub(crate) fn told(lines: &[String], sites: &[Site]) -> Document {
    let mut trace = Trace::default();
    lines.iter().for_each(|line| trace.line(line).unwrap());
    replay(&trace, sites, Unknown::Refuse).unwrap()
}

/// Samples one check as an agent does: every `every` seconds, every two seconds while it is suspect or recovering.
pub(crate) fn watch(
    story: &mut Story,
    check: &str,
    (every, from, to): (f64, f64, f64),
    mut outcome: impl FnMut(f64) -> (&'static str, String),
) {
    let (mut at, mut bad, mut good) = (from, 0, 3);
    while at < to {
        let (word, more) = outcome(at);
        story.sample(at, check, word, &more);
        match word {
            "bad" => (bad, good) = (bad + 1, 0),
            _ => (bad, good) = (0, good + 1),
        }
        let is_suspect = (1..3).contains(&bad) || (bad == 0 && good < 3);
        at += if is_suspect { every.min(2.0) } else { every };
    }
}

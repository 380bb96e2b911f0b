//! A figure of availability: whole seconds, an exact fraction, and what it proves.

use serde::{Deserialize, Serialize};

use crate::{
    ratio::Ratio,
    uptime_cases::{Tally, Uptime},
};

/// Seconds of a period, as they were seen and as the agreement counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// As seen, inside coverage and not left out.
    pub tally: Tally,
    /// As the formula counts.
    pub uptime: Uptime,
}

/// What a figure says about an objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The objective was kept.
    Kept,
    /// It was not.
    Missed,
    /// Too much is unknown to say.
    NotProven,
    /// No second counted.
    NothingCounted,
}

impl Figure {
    /// Up and counted seconds: the exact fraction, not reduced; `None` when nothing counted.
    pub fn availability(&self) -> Option<(u64, u64)> {
        let counted_s = self.uptime.counted_s();
        (counted_s > 0).then_some((self.uptime.up_s, counted_s))
    }

    /// Unknown seconds and those of which it is known or not: how much of the figure is not proven.
    pub fn unknown_share(&self) -> Option<(u64, u64)> {
        let Tally { up_s, degraded_s, down_s, unknown_s, excluded_s: _ } = self.tally;
        let considered_s = up_s + degraded_s + down_s + unknown_s;
        (considered_s > 0).then_some((unknown_s, considered_s))
    }

    /// Whether the objective was kept; exact, without any rounding.
    pub fn verdict(&self, objective: Ratio, not_proven_above: Option<Ratio>) -> Verdict {
        let unknown = self.unknown_share().and_then(|(part, whole)| Ratio::new(part, whole));
        if let (Some(unknown), Some(limit)) = (unknown, not_proven_above)
            && unknown > limit
        {
            return Verdict::NotProven;
        }
        match self.availability() {
            None => Verdict::NothingCounted,
            Some(_) if self.is_below(objective) => Verdict::Missed,
            Some(_) => Verdict::Kept,
        }
    }

    /// Whether the exact fraction is below a share; nothing counted is below nothing.
    pub fn is_below(&self, share: Ratio) -> bool {
        self.availability().and_then(|(up, counted)| Ratio::new(up, counted)).is_some_and(|exact| exact < share)
    }

    /// The fraction as people read it, cut and not rounded at the third decimal, so that it never looks better than it
    /// is: `99.499 %`.
    pub fn shown(&self) -> String {
        let Some((up, counted)) = self.availability() else { return "nothing counted".to_owned() };
        let thousandths = u128::from(up) * 100_000 / u128::from(counted);
        format!("{}.{:03} %", thousandths / 1000, thousandths % 1000)
    }

    /// The figure of two units together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let (a, b) = (self.tally, other.tally);
        let tally = Tally {
            up_s: a.up_s + b.up_s,
            degraded_s: a.degraded_s + b.degraded_s,
            down_s: a.down_s + b.down_s,
            unknown_s: a.unknown_s + b.unknown_s,
            excluded_s: a.excluded_s + b.excluded_s,
        };
        let (a, b) = (self.uptime, other.uptime);
        let uptime = Uptime {
            up_s: a.up_s + b.up_s,
            down_s: a.down_s + b.down_s,
            unknown_s: a.unknown_s + b.unknown_s,
            excluded_s: a.excluded_s + b.excluded_s,
        };
        Self { tally, uptime }
    }
}

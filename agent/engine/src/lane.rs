//! One check: what to ask, what it said so far, whether it is being asked.

use std::{sync::Arc, time::Duration};

use upheld_detection::{
    fold::{CheckFold, FoldRule},
    kind::{CheckKind, Family},
    observe::Supply,
};
use upheld_model::{
    CheckId, CheckSpec, Mono, ObservedAt, Outcome, ProbeSpec, Sample, UnknownReason, finding::CheckState,
};

use crate::{effect::ProbeResult, schedule::next_on_grid};

/// The time between two runs of a suspect check (DETECTION 2), at the most.
const SUSPECT_EVERY: Duration = Duration::from_secs(2);
/// A suspect check that asks whether somebody is there runs so many times in its interval: whoever asks each second wants
/// to know in the next, and at a second apart the second and third look alone would take two.
const SUSPECT_IN_ONE: u32 = 3;

/// The time between two looks at the way out of the site while it is not whole (PROBES 6).
const BROKEN_WAY_EVERY: Duration = Duration::from_secs(5);

/// One configured check.
#[derive(Debug)]
pub(crate) struct Lane {
    /// What to ask from the next run on.
    pub(crate) spec: Arc<CheckSpec>,
    /// What it said so far.
    pub(crate) fold: CheckFold,
    /// Whether it is being asked.
    pub(crate) run: Run,
    /// When it was asked last.
    pub(crate) began: Option<Mono>,
    /// Where its supply took its power from when it said so last.
    pub(crate) supply: Option<Supply>,
}

/// Whether a check is being asked.
#[derive(Debug)]
pub(crate) enum Run {
    /// It waits for its turn.
    Idle,
    /// A probe is under way.
    InFlight {
        /// When it was asked for.
        since: Mono,
        /// What it was asked.
        asked: Arc<CheckSpec>,
        /// The machine slept in the meantime: a failure says nothing.
        slept: bool,
    },
}

impl Lane {
    /// The lane under another specification; what was counted stays counted.
    pub(crate) fn with_spec(mut self, spec: &CheckSpec) -> Self {
        self.fold.set_rule(FoldRule::from(spec));
        if *self.spec != *spec {
            self.spec = Arc::new(spec.clone());
        }
        self
    }

    /// Takes note of where a supply's power comes from; whether that is grave news: it went on battery, or its battery is
    /// low. The agent may be without power, or its line without a router, before the next batch is due.
    pub(crate) fn hears_of_a_dying_supply(&mut self, sample: &Sample) -> bool {
        if CheckKind::new(self.spec.probe.kind()).family() != Family::Power {
            return false;
        }
        let Some(now) = Supply::of(sample) else { return false };
        match (self.supply.replace(now), now) {
            (_, Supply::Mains) => false,
            (Some(Supply::Battery { is_low: before }), Supply::Battery { is_low }) => is_low && !before,
            (Some(Supply::Mains) | None, Supply::Battery { .. }) => true,
        }
    }

    /// Whether it was asked so lately that to ask again now would say nothing new.
    pub(crate) fn was_asked_lately(&self, now: Mono) -> bool {
        self.began.is_some_and(|began| now.since(began) < SUSPECT_EVERY)
    }

    /// When to run again after a run that began at `began` and has ended.
    pub(crate) fn next_run(&self, began: Mono, now: Mono) -> Mono {
        let every = self.spec.every();
        let is_suspect = self.fold.state() == CheckState::Suspect;
        if is_suspect && confirms_fast(&self.spec.probe) {
            return began.plus(self.suspect_every()).max(now);
        }
        if self.is_way_out() && matches!(self.fold.state(), CheckState::Failed | CheckState::Recovering) {
            return began.plus(BROKEN_WAY_EVERY.min(every)).max(now);
        }
        next_on_grid(&self.spec.id, every, now)
    }

    /// From its second bad sample to the one that confirms, at the least.
    pub(crate) fn least_until_confirmed(&self) -> Duration {
        self.suspect_every().saturating_mul(self.spec.fail_after.saturating_sub(2))
    }

    /// The time between two runs while it is suspect.
    fn suspect_every(&self) -> Duration {
        let every = self.spec.every();
        SUSPECT_EVERY.min(if is_liveness(&self.spec.probe) { every / SUSPECT_IN_ONE } else { every })
    }

    /// Whether it looks at the way out of the site, by which the failures of other checks are judged.
    pub(crate) fn is_way_out(&self) -> bool {
        matches!(self.spec.probe, ProbeSpec::NetPath(_))
    }

    /// When the check goes stale, on the monotonic clock; `observed` is the agent's time at `now`.
    pub(crate) fn stale_at(&self, now: Mono, observed: ObservedAt) -> Option<Mono> {
        let left = observed.0.duration_until(self.fold.poll_timeout()?.0);
        Some(now.plus(left.max(jiff::SignedDuration::ZERO).unsigned_abs()))
    }
}

/// Whether a suspect check of this kind is probed every two seconds. Not where `fail_after` stands for a duration:
/// a host is bad when it is so for ten minutes (PROBES 10).
fn confirms_fast(probe: &ProbeSpec) -> bool {
    match probe {
        // Nor where the kernel counts what is missed between two looks.
        ProbeSpec::Host { .. } | ProbeSpec::NetLink { .. } | ProbeSpec::Snmp(_) => false,
        // A restart takes a while, and the manager counts those between two looks.
        ProbeSpec::Service { .. } | ProbeSpec::Process(_) => false,
        // Nor what Windows has written down.
        ProbeSpec::EventLog(_) => false,
        // The check itself waits for more lines.
        ProbeSpec::Log(_) => false,
        // Nor a round of twenty echoes.
        ProbeSpec::NetQuality { .. } | ProbeSpec::Later(_) => false,
        ProbeSpec::NetIcmp { .. }
        | ProbeSpec::NetTcp { .. }
        | ProbeSpec::NetHttp { .. }
        | ProbeSpec::NetDns(_)
        | ProbeSpec::NetNtp(_)
        | ProbeSpec::NetTls(_)
        | ProbeSpec::NetPath(_)
        | ProbeSpec::PowerBoot {}
        | ProbeSpec::UpsNut { .. }
        | ProbeSpec::UpsApcupsd { .. }
        | ProbeSpec::UpsSnmp(_)
        | ProbeSpec::UpsBattery { .. }
        | ProbeSpec::ExecNagios { .. }
        | ProbeSpec::HostSmart { .. }
        | ProbeSpec::RecFreshness(_)
        | ProbeSpec::BackupFiles(_) => true,
    }
}

/// Whether a check of this kind asks whether somebody is there. Others count on the time between their looks: a supply that
/// says "low" for a moment at a transfer is looked at again a second later.
fn is_liveness(probe: &ProbeSpec) -> bool {
    matches!(probe, ProbeSpec::NetIcmp { .. } | ProbeSpec::NetTcp { .. } | ProbeSpec::NetHttp { .. })
}

/// What a result says as a sample; a failure while the machine slept says nothing.
pub(crate) fn sample(check: &CheckId, at: ObservedAt, result: ProbeResult, slept: bool) -> Sample {
    let is_good = matches!(result.outcome, Outcome::Ok | Outcome::Warn);
    let outcome = if slept && !is_good { Outcome::unknown(UnknownReason::Suspended) } else { result.outcome };
    Sample {
        check: check.clone(),
        at,
        took_us: u64::try_from(result.took.as_micros()).unwrap_or(u64::MAX),
        outcome,
        values: result.values,
        counters: result.counters,
        evidence: result.evidence,
    }
}

//! `ups.apcupsd`: a power supply with a battery, as apcupsd's network information server tells (NIS; PROBES 2).
//!
//! One question, `status`, is asked over a connection of its own in each run; the protocol can do nothing but read. What
//! apcupsd says is translated into the names of NUT and judged as `ups.nut` is ([`crate::ups`]).
//!
//! apcupsd counts the transfers itself since it was started, so that a dip between two looks is not missed, and keeps the
//! instants of the last one. It counts its own self-tests among them: when the reason of the last transfer is one, a new
//! epoch of the count begins, and the test is no dip.
//!
//! What it tells may be old: it keeps the last status when its supply does not answer any more. `DATE` is the instant of
//! its last reading, by its own clock, and so is `END APC`, the instant of the answer. A reading that is older than
//! [`READING_AGE_MAX`], or `COMMLOST`, is unknown.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod nis;
mod translate;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use upheld_model::{CheckId, Counter, UnknownReason};

use crate::{
    ProbeResult,
    allow::Reach,
    deadline::Deadline,
    target::Targets,
    tcp,
    ups::{self, Counted, Held},
};
use nis::NisError;
use translate::Told;

/// Three times the 60 s at which apcupsd reads its supply where its own settings say nothing (POLLTIME).
const READING_AGE_MAX: Duration = Duration::from_secs(180);

/// What the checks of supplies remember of their earlier runs.
pub(crate) struct Apcupsd {
    supplies: Mutex<BTreeMap<CheckId, Supply>>,
}

/// One check's supply.
struct Supply {
    target: String,
    port: u16,
    held: Held,
    counted: Counted,
    /// The last `DATE`, and when it was first heard.
    reading: Option<(String, Instant)>,
    status: String,
}

impl Apcupsd {
    pub(crate) fn new() -> Self {
        Self { supplies: Mutex::default() }
    }

    pub(crate) async fn run(
        &self,
        targets: &Targets,
        check: &CheckId,
        target: &str,
        port: u16,
        deadline: Deadline,
    ) -> ProbeResult {
        match ask(targets, target, port, deadline).await {
            Ok(told) => self.judge(check, target, port, &told, Instant::now()),
            Err(result) => ups::add_last_words(result, self.supplies().get(check).map(|supply| &supply.held)),
        }
    }

    fn judge(&self, check: &CheckId, target: &str, port: u16, told: &Told, now: Instant) -> ProbeResult {
        let mut supplies = self.supplies();
        let begin = || Supply {
            target: target.to_owned(),
            port,
            held: Held::new(),
            counted: Counted::default(),
            reading: None,
            status: String::new(),
        };
        let supply = supplies.entry(check.clone()).or_insert_with(begin);
        if supply.target != target || supply.port != port {
            *supply = begin();
        }
        supply.judge(told, now)
    }

    fn supplies(&self) -> MutexGuard<'_, BTreeMap<CheckId, Supply>> {
        self.supplies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Supply {
    fn judge(&mut self, told: &Told, now: Instant) -> ProbeResult {
        let age = self.reading_age(told, now);
        if let Some(why) = silent(told, age) {
            return ups::add_last_words(ProbeResult::unknown(UnknownReason::Stale, why), Some(&self.held));
        }
        let mut judged = ups::judge(&mut self.held, &told.said, now);
        let missed = match (&told.began, told.transfers) {
            (Some(began), Some(transfers)) => {
                let more = self.counted.note(began, transfers, told.last_was_a_test);
                judged = judged.counter("transfers", Counter(self.counted.epoch().as_str().into(), transfers));
                more
            }
            (None, _) | (_, None) => {
                let counter = Counter(self.held.epoch().into(), self.held.transfers());
                judged = judged.counter("transfers", counter);
                0
            }
        };
        if let (Some(began), Some(seconds)) = (&told.began, told.on_battery_in_all_s) {
            judged = judged.counter("on_battery_s", Counter(began.as_str().into(), seconds));
        }
        let missed = (missed > 0).then(|| format!("{} since the last look", dips(missed, told)));
        let is_new = self.status != told.status;
        self.status.clone_from(&told.status);
        judged = ups::tell(judged, &told.said, missed, is_new);
        for (name, at) in [("last_on_battery_at", &told.last_on_battery), ("last_back_at", &told.last_back)] {
            if let Some(at) = at {
                judged = judged.value(name, at.to_string().as_str());
            }
        }
        if let Some(lasted) = told.last_dip_s() {
            judged = judged.value("last_dip_s", lasted);
        }
        judged
    }

    /// By the clock of apcupsd's host where its dates can be read; else for how long this agent has heard the same one.
    fn reading_age(&mut self, told: &Told, now: Instant) -> Duration {
        let is_same = self.reading.as_ref().is_some_and(|(date, _)| *date == told.date);
        if !is_same {
            self.reading = Some((told.date.clone(), now));
        }
        let heard = self.reading.as_ref().map_or(now, |(_, since)| *since);
        told.age().unwrap_or_default().max(now.saturating_duration_since(heard))
    }
}

/// Why what was told says nothing about the supply now.
fn silent(told: &Told, age: Duration) -> Option<String> {
    let last = if told.date.is_empty() { String::new() } else { format!("; it last heard of it at {}", told.date) };
    if told.status.is_empty() {
        return Some("apcupsd tells no STATUS".to_owned());
    }
    if told.has_lost_its_supply() {
        let why = "apcupsd has lost the connection to its supply (COMMLOST): cable, or the supply's network card";
        return Some(format!("{why}{last}"));
    }
    (age > READING_AGE_MAX).then(|| {
        format!(
            "what apcupsd says of its supply ({}) is {} s old: it does not hear it any more{last}",
            told.status,
            age.as_secs()
        )
    })
}

fn dips(missed: u64, told: &Told) -> String {
    let times = if missed == 1 { "it ran on battery".to_owned() } else { format!("it ran on battery {missed} times") };
    match (&told.last_on_battery, told.last_dip_s()) {
        (Some(at), Some(lasted)) if missed == 1 => format!("{times} at {at} for {lasted} s"),
        (Some(at), Some(lasted)) => format!("{times}, the last at {at} for {lasted} s"),
        (Some(_) | None, _) => times,
    }
}

async fn ask(targets: &Targets, target: &str, port: u16, deadline: Deadline) -> Result<Told, ProbeResult> {
    let addresses = targets.addresses(target, Reach::Apcupsd(port), deadline).await?;
    let connected = tcp::connect(&addresses, port, deadline).await;
    let mut stream = connected.map_err(|failed| ups::as_silence(failed, "apcupsd"))?.stream;
    let at = format!("apcupsd at {target} port {port}");
    match deadline.bound(nis::status(&mut stream)).await {
        Some(Ok(keys)) => Ok(Told::read(&keys)),
        Some(Err(error)) => Err(error.judge(&at)),
        None => Err(ProbeResult::unknown(UnknownReason::Stale, format!("{at} does not answer in time"))),
    }
}

impl NisError {
    /// Never bad: a server that cannot be understood says nothing about the power.
    fn judge(&self, at: &str) -> ProbeResult {
        let (reason, why) = match self {
            Self::Io(error) => (UnknownReason::Stale, format!("{at}: {}", crate::fault::in_words(error))),
            Self::Closed => (
                UnknownReason::Stale,
                format!("{at} closed the connection without an answer: does it let this host in?"),
            ),
            Self::Strange(what) => (UnknownReason::CannotProbe, format!("{at} cannot be understood: {what}")),
        };
        ProbeResult::unknown(reason, why)
    }
}

#[cfg(test)]
mod tests;

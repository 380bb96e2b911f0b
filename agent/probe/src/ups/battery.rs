//! Stretches on battery: how long, why and how deep each was, and what the supply promised against what it delivered.
//!
//! Looks at the results of a supply's checks, whatever it is asked by. The promise is the runtime that the supply told on
//! mains just before, since that is what people relied on; where it told none, the first one on battery. It is held
//! against what was delivered until the battery was low; where mains came back sooner, against what was delivered and
//! what the supply says was left; where this host died with it, against the last look before. A battery that keeps less
//! than half of its word is ageing, and is told so until it keeps a later one, or is changed by its date.
//!
//! Durations are measured by the monotonic clock, dates are told by the wall: a clock that is set meanwhile lengthens no
//! stretch. Over a restart of the agent only the wall goes on.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::{CheckId, Outcome, sample::Value};

use crate::{ProbeResult, words};

/// A supply that tells nowhere from when on its battery is low: NUT's usual, and what a shutdown may take.
const RUNTIME_LOW_S: u64 = 120;
/// A battery that keeps less of its word than this is ageing. It is the share at which makers have batteries changed
/// when capacity is measured, less what a promise errs by.
const KEPT_MIN: f64 = 0.5;
/// Some devices say "low" for a moment at each transfer (nut#3087): only what lasts is believed.
const LOW_LASTS: Duration = Duration::from_secs(4);
/// A stretch that ended sooner says nothing about how long the battery would have lasted.
const TELLING: Duration = Duration::from_secs(60);
/// A load that rose by more than this (percent) empties a good battery early too.
const LOAD_RISE: f64 = 10.0;
/// How old the memory may be of a host that died, whose end is told to its favour; and how long a supply may be silent
/// whose mains is back.
const MEMORY_AGE: Duration = Duration::from_secs(60);
/// Where the cause of a transfer is told, so much of it.
const CAUSE_CHARS: usize = 60;

/// What the checks of supplies remember of their batteries.
pub(crate) type BatteryMemory = BTreeMap<CheckId, Battery>;

/// What is known of one supply's battery.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Battery {
    /// The stretch on battery that is not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<Stretch>,
    /// The last time that its word was put to the test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
    /// What it says of itself on mains.
    #[serde(skip)]
    on_mains: Option<OnMains>,
    /// By the monotonic clock of this process, when the open stretch was seen last.
    #[serde(skip)]
    looked: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq)]
struct OnMains {
    promised_s: Option<f64>,
    load: Option<f64>,
}

/// A stretch on battery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stretch {
    /// When it was seen first.
    began: Timestamp,
    /// When it was seen last.
    seen: Timestamp,
    /// How long it has lasted between the two.
    lasted: Duration,
    /// The run of the kernel in which it was seen.
    boot: String,
    /// The runtime that was promised at its begin; `None` where nobody saw that.
    promised_s: Option<f64>,
    /// The runtime that the supply says is left.
    left_s: Option<f64>,
    /// With how much left it calls its battery low.
    low_s: Option<f64>,
    /// For how long it had lasted when the battery was low for good.
    low_after: Option<Duration>,
    load: Option<f64>,
    is_load_higher: bool,
    lowest_v: Option<f64>,
    cause: Option<String>,
    is_test: bool,
    /// Somebody asked the agent to end during it.
    is_asked: bool,
}

/// What a battery delivered of what it had promised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Proof {
    at: Timestamp,
    promised_s: f64,
    delivered_s: f64,
    end: End,
    /// The date of the battery that it was; another one begins anew.
    battery: Option<String>,
}

/// How the proof ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum End {
    /// The battery was low.
    Low,
    /// Mains was back, and what it said was left is part of what it delivered.
    Back,
    /// This host died with it.
    Died,
}

/// A moment by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) mono: Instant,
    pub(crate) wall: Timestamp,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { mono: Instant::now(), wall: Timestamp::now() }
    }
}

/// The batteries of all supplies that this agent watches.
#[derive(Debug)]
pub(crate) struct Batteries {
    known: Mutex<BatteryMemory>,
    /// The run of the kernel.
    boot: String,
}

impl Batteries {
    pub(crate) fn new(boot: &str) -> Self {
        Self { known: Mutex::default(), boot: boot.to_owned() }
    }

    /// What is to outlive this process.
    pub(crate) fn memory(&self) -> BatteryMemory {
        let worth_it = |battery: &Battery| battery.open.is_some() || battery.proof.is_some();
        self.known()
            .iter()
            .filter(|(_, battery)| worth_it(battery))
            .map(|(id, known)| (id.clone(), known.clone()))
            .collect()
    }

    /// Goes on with what outlived the last one.
    pub(crate) fn recall(&self, memory: BatteryMemory) {
        *self.known() = memory;
    }

    /// The agent was asked to end: what is on battery now did not die of it.
    pub(crate) fn end(&self) {
        self.known().values_mut().filter_map(|battery| battery.open.as_mut()).for_each(|open| open.is_asked = true);
    }

    /// Whether any supply was on battery when it was heard last.
    pub(crate) fn is_any_open(&self) -> bool {
        // What is remembered of before was not heard by this process.
        let heard = |battery: &&Battery| battery.looked.is_some();
        self.known().values().filter(heard).any(|battery| battery.open.as_ref().is_some_and(|open| !open.is_test))
    }

    /// Adds to a look at a supply what it means for its battery.
    pub(crate) fn note(&self, check: &CheckId, result: ProbeResult, now: Moment) -> ProbeResult {
        self.known().entry(check.clone()).or_default().note(result, &self.boot, now)
    }

    fn known(&self) -> MutexGuard<'_, BatteryMemory> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Battery {
    fn note(&mut self, result: ProbeResult, boot: &str, now: Moment) -> ProbeResult {
        let Some(look) = Look::of(&result) else { return result };
        if self.proof.as_ref().is_some_and(|proof| look.is_another_battery(proof)) {
            self.proof = None;
        }
        let told = match (look.on_battery, self.open.take()) {
            (true, None) => {
                let open = self.begin(&look, boot, now);
                self.go_on(open, &look, now)
            }
            (true, Some(mut open)) => {
                open.carry_on(boot, self.looked, now);
                self.go_on(open, &look, now)
            }
            (false, Some(open)) => self.end(open, &look, boot, now),
            (false, None) => Told::default(),
        };
        if !look.on_battery {
            self.on_mains = Some(OnMains { promised_s: look.left_s, load: look.load });
        }
        told.add_to(self.with_proof(result))
    }

    fn begin(&self, look: &Look, boot: &str, now: Moment) -> Stretch {
        // An agent that began to look during an outage has not heard what was promised before it.
        let promised_s = self.on_mains.as_ref().and_then(|mains| mains.promised_s.or(look.left_s));
        Stretch {
            began: now.wall,
            seen: now.wall,
            lasted: Duration::ZERO,
            boot: boot.to_owned(),
            promised_s,
            left_s: None,
            low_s: None,
            low_after: None,
            load: self.on_mains.as_ref().and_then(|mains| mains.load).or(look.load),
            is_load_higher: false,
            lowest_v: None,
            cause: None,
            is_test: look.is_test,
            is_asked: false,
        }
    }

    /// A look on battery.
    fn go_on(&mut self, mut open: Stretch, look: &Look, now: Moment) -> Told {
        open.see(look, now);
        self.looked = Some(now.mono);
        let mut told = Told { promised_s: open.promised_s, on_battery_s: Some(open.lasted), ..Told::default() };
        if let Some(promised) = open.promised_s.filter(|_| open.falls_short() && open.lasted >= LOW_LASTS) {
            let left = look.left_s.map_or("nothing".to_owned(), words::length);
            told.sentences.push(format!(
                "it promised {} when it went on battery, and says after {} that {left} is left",
                words::length(promised),
                words::length(open.lasted.as_secs_f64()),
            ));
        }
        let is_low = open.low_after.is_some_and(|after| open.lasted - after >= LOW_LASTS);
        if is_low && let Some(proof) = open.proof(End::Low, look.battery.as_deref()) {
            self.proof = Some(proof);
        }
        self.open = Some(open);
        told
    }

    /// Mains is back.
    fn end(&mut self, mut open: Stretch, look: &Look, boot: &str, now: Moment) -> Told {
        let died = open.boot != boot && !open.is_asked;
        // Of a supply that was silent meanwhile nobody knows when its mains came back.
        let since = self.looked.take().map(|looked| now.mono.saturating_duration_since(looked));
        let since = since.filter(|since| *since <= MEMORY_AGE);
        let is_watched = since.is_some();
        open.lasted += since.unwrap_or_default();
        // What was low is told already, by the moment at which it was.
        let end = match (open.low_after, died, is_watched) {
            (Some(after), _, _) if open.lasted - after.min(open.lasted) >= LOW_LASTS => Some(End::Low),
            (Some(_), false, _) => None,
            (_, true, _) => Some(End::Died),
            (None, false, true) => Some(End::Back),
            (None, false, false) => None,
        };
        if let Some(proof) = end.and_then(|end| open.proof(end, look.battery.as_deref())) {
            self.proof = Some(proof);
        }
        if open.is_test {
            return Told::default();
        }
        let ended =
            jiff::SignedDuration::try_from(open.lasted).ok().and_then(|lasted| open.began.checked_add(lasted).ok());
        let (until, for_at_least) = if is_watched { (ended.unwrap_or(now.wall), "") } else { (open.seen, "at least ") };
        let span = words::span(open.began, until, open.lasted);
        let mut sentence = format!("it ran on battery for {for_at_least}{span}");
        if let Some(volts) = open.lowest_v {
            sentence.push_str(&format!(", input down to {volts} V"));
        }
        if let Some(cause) = &open.cause {
            sentence.push_str(&format!(", cause: {cause}"));
        }
        Told {
            sentences: vec![sentence],
            dip: Some(Dip { lasted_s: open.lasted.as_secs_f64(), lowest_v: open.lowest_v, cause: open.cause }),
            ..Told::default()
        }
    }

    /// A battery that did not keep its word is a warning until it keeps a later one.
    fn with_proof(&self, mut result: ProbeResult) -> ProbeResult {
        let Some(proof) = self.proof.as_ref() else { return result };
        if proof.kept() >= KEPT_MIN {
            return result;
        }
        result = result.value("battery_promised_s", whole(proof.promised_s));
        result = result.value("battery_delivered_s", whole(proof.delivered_s));
        // On battery there are other worries, and what is bad stays bad.
        if result.outcome == Outcome::Ok {
            let before = result.evidence.as_ref().map(|text| format!("; {}", text.as_str())).unwrap_or_default();
            let sentence = format!("{}{before}", proof.sentence());
            result.outcome = Outcome::Warn;
            result = result.evidence(sentence);
        }
        result
    }
}

impl Stretch {
    /// Time has passed since the look before; over a restart by the wall clock, which may have been set back.
    fn carry_on(&mut self, boot: &str, looked: Option<Instant>, now: Moment) {
        let by_wall = || now.wall.duration_since(self.seen).try_into().unwrap_or(Duration::ZERO);
        self.lasted += looked.map_or_else(by_wall, |looked| now.mono.saturating_duration_since(looked));
        self.boot = boot.to_owned();
        self.is_asked = false;
    }

    fn see(&mut self, look: &Look, now: Moment) {
        self.seen = now.wall;
        self.is_test |= look.is_test;
        self.left_s = look.left_s.or(self.left_s);
        self.low_s = look.low_s.or(self.low_s);
        if let Some(volts) = look.volts {
            self.lowest_v = Some(self.lowest_v.map_or(volts, |lowest| lowest.min(volts)));
        }
        if let Some(cause) = &look.cause {
            self.cause = Some(cause.clone());
        }
        self.is_load_higher |= matches!((self.load, look.load), (Some(before), Some(now)) if now > before + LOAD_RISE);
        match (look.is_low, self.low_after) {
            (true, None) => self.low_after = Some(self.lasted),
            // For a moment only.
            (false, Some(after)) if self.lasted - after < LOW_LASTS => self.low_after = None,
            (true | false, _) => {}
        }
    }

    /// Whether what was delivered and what is said to be left come to less than half of the promise.
    fn falls_short(&self) -> bool {
        let in_all = self.left_s.map(|left| self.lasted.as_secs_f64() + left);
        let is_fair = !self.is_load_higher;
        is_fair && in_all.zip(self.promised_s).is_some_and(|(in_all, promised)| in_all < KEPT_MIN * promised)
    }

    fn proof(&self, end: End, battery: Option<&str>) -> Option<Proof> {
        let promised_s = self.promised_s.filter(|_| !self.is_load_higher)?;
        // Of a supply that tells of no runtime while it is low, what a shutdown takes is left.
        let low_s = self.low_s.unwrap_or(RUNTIME_LOW_S as f64);
        let lasted_s = self.lasted.as_secs_f64();
        let (promised_s, delivered_s) = match end {
            End::Low => (promised_s - low_s, self.low_after?.as_secs_f64()),
            End::Back if self.lasted < TELLING => return None,
            End::Back => (promised_s, lasted_s + self.left_s?),
            End::Died => (promised_s, lasted_s + MEMORY_AGE.as_secs_f64()),
        };
        // Who promises no more than a minute has promised nothing.
        let is_telling = promised_s >= TELLING.as_secs_f64();
        let battery = battery.map(str::to_owned);
        is_telling.then_some(Proof { at: self.began, promised_s, delivered_s, end, battery })
    }
}

impl Proof {
    fn kept(&self) -> f64 {
        self.delivered_s / self.promised_s
    }

    fn sentence(&self) -> String {
        let (promised, delivered) = (words::length(self.promised_s), words::length(self.delivered_s));
        let what = match self.end {
            End::Low => format!("it promised {promised} until low and was low after {delivered}"),
            End::Back => format!("it promised {promised} and would have lasted about {delivered}"),
            End::Died => format!("it promised {promised} and this host lost its power within {delivered}"),
        };
        format!("its battery is ageing: on {} {what}; have it changed", words::date(self.at))
    }
}

/// What a result says of a supply's battery.
struct Look {
    on_battery: bool,
    is_low: bool,
    is_test: bool,
    left_s: Option<f64>,
    low_s: Option<f64>,
    load: Option<f64>,
    volts: Option<f64>,
    cause: Option<String>,
    battery: Option<String>,
}

impl Look {
    /// `None` where it does not say whence its power comes.
    fn of(result: &ProbeResult) -> Option<Self> {
        let text = |name: &str| match result.values.get(name) {
            Some(Value::Text(text)) => Some(text.as_str()),
            Some(Value::Number(_)) | None => None,
        };
        let number = |name: &str| match result.values.get(name) {
            Some(Value::Number(number)) => Some(*number),
            Some(Value::Text(_)) | None => None,
        };
        let status = text("status")?;
        let has = |word: &str| status.split_whitespace().any(|token| token == word);
        // OB wins: some devices say both. A shutdown that was decided says nothing of the input.
        let on_battery = has("OB");
        if !on_battery && !has("OL") {
            return None;
        }
        Some(Self {
            on_battery,
            is_low: has("LB") || has("FSD"),
            is_test: has("CAL") || has("TEST"),
            left_s: number("runtime_s"),
            low_s: number("runtime_low_s"),
            load: number("load_percent"),
            volts: number("input_voltage"),
            cause: text("transfer_reason").map(|cause| cause.chars().take(CAUSE_CHARS).collect()),
            battery: text("battery_date").map(str::to_owned),
        })
    }

    fn is_another_battery(&self, proof: &Proof) -> bool {
        matches!((&self.battery, &proof.battery), (Some(now), Some(then)) if now != then)
    }
}

/// A stretch on battery that is over.
struct Dip {
    lasted_s: f64,
    lowest_v: Option<f64>,
    cause: Option<String>,
}

/// What a look has to tell.
#[derive(Default)]
struct Told {
    sentences: Vec<String>,
    dip: Option<Dip>,
    promised_s: Option<f64>,
    on_battery_s: Option<Duration>,
}

impl Told {
    fn add_to(self, mut result: ProbeResult) -> ProbeResult {
        if let Some(promised) = self.promised_s {
            result = result.value("promised_s", whole(promised));
        }
        if let Some(lasted) = self.on_battery_s {
            result = result.value("on_battery_s", whole(lasted.as_secs_f64()));
        }
        if let Some(dip) = self.dip {
            result = result.value("dip_s", (dip.lasted_s * 10.0).round() / 10.0);
            if let Some(volts) = dip.lowest_v {
                result = result.value("dip_voltage_min", volts);
            }
            if let Some(cause) = dip.cause {
                result = result.value("dip_cause", cause.as_str());
            }
        }
        if self.sentences.is_empty() {
            return result;
        }
        let now = result.evidence.as_ref().map(|text| format!("; {}", text.as_str())).unwrap_or_default();
        let evidence = format!("{}{now}", self.sentences.join("; "));
        result.evidence(evidence)
    }
}

fn whole(seconds: f64) -> f64 {
    seconds.round()
}

#[cfg(test)]
mod tests;

//! From what a supply says to an outcome, with what was held before.
//!
//! `ups.status` is a set of words, of which unknown ones mean nothing here (NUT's protocol demands that). OL and OB speak of
//! the input only; OB wins, since some devices say both. A transfer to battery is an event first: the check warns, and is
//! bad when it lasts or when the battery will not (PROBES 1).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use upheld_model::{Outcome, UnknownReason};

use super::{ON_BATTERY_S, Variables, number};
use crate::ProbeResult;

/// Charge under which a supply on battery is bad at once, in percent.
const CHARGE_LOW_PERCENT: f64 = 30.0;
/// The same for the time that is left, where the supply itself names none: a shutdown takes a minute, and twice that.
const RUNTIME_LOW_S: f64 = 120.0;

/// What may pass for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Concern {
    OnBattery,
    Overload,
    /// What hangs on the supply is not protected, or not fed.
    OffOrBypass,
}

impl Concern {
    const ALL: [Self; 3] = [Self::OnBattery, Self::Overload, Self::OffOrBypass];

    /// For how long it is only worth a warning (PROBES 1; NUT's own OFFDURATION is 30 s).
    fn passes(self) -> Duration {
        Duration::from_secs(match self {
            Self::OnBattery | Self::Overload => 60,
            Self::OffOrBypass => 30,
        })
    }

    fn is_in(self, status: &Status<'_>) -> bool {
        match self {
            Self::OnBattery => status.is_on_battery(),
            Self::Overload => status.has("OVER"),
            Self::OffOrBypass => status.has("OFF") || status.has("BYPASS"),
        }
    }

    fn words(self, status: &Status<'_>) -> &'static str {
        match self {
            Self::OnBattery => "on battery",
            Self::Overload => "overloaded",
            Self::OffOrBypass if status.has("BYPASS") => "on bypass: nothing protects what hangs on it",
            Self::OffOrBypass => "its output is off",
        }
    }
}

/// What is remembered of a supply between runs.
#[derive(Debug)]
pub(crate) struct Held {
    epoch: String,
    transfers: u64,
    on_battery: Option<bool>,
    /// Since when each concern has lasted; `None` when it did already as this agent began to look.
    since: BTreeMap<Concern, Option<Instant>>,
}

impl Held {
    pub(crate) fn new() -> Self {
        // Counts begin at 0 with each process. Without random bytes the process id marks the epoch.
        let epoch = getrandom::u64().unwrap_or_else(|_| std::process::id().into());
        Self { epoch: format!("agent-{epoch:016x}"), transfers: 0, on_battery: None, since: BTreeMap::new() }
    }

    /// Within which the count of transfers only grows.
    pub(crate) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Transfers to battery that were seen.
    pub(crate) fn transfers(&self) -> u64 {
        self.transfers
    }

    /// Whether it was on battery when it was last heard.
    pub(crate) fn is_on_battery(&self) -> bool {
        self.on_battery == Some(true)
    }

    fn note(&mut self, status: &Status<'_>, told: Option<Duration>, now: Instant) {
        let is_first = self.on_battery.is_none();
        let on_battery = status.is_on_battery();
        if self.on_battery == Some(false) && on_battery && !status.is_a_test() {
            self.transfers += 1;
        }
        self.on_battery = Some(on_battery);
        for concern in Concern::ALL {
            if concern.is_in(status) {
                self.since.entry(concern).or_insert((!is_first).then_some(now));
            } else {
                self.since.remove(&concern);
            }
        }
        // A supply that counts the seconds itself knows what happened before this agent looked.
        let told = told.and_then(|told| now.checked_sub(told));
        if let (Some(told), Some(since)) = (told, self.since.get_mut(&Concern::OnBattery)) {
            *since = Some(since.map_or(told, |since| since.min(told)));
        }
    }

    /// Whether a concern has lasted too long, and for how long it has lasted in words.
    fn lasted(&self, concern: Concern, now: Instant) -> Option<(bool, String)> {
        let since = self.since.get(&concern)?;
        Some(match since {
            Some(since) => {
                let lasted = now.saturating_duration_since(*since);
                (lasted >= concern.passes(), format!("for {} s", lasted.as_secs()))
            }
            // Nobody knows for how long: a finding of the agent's run before must not be closed by not knowing.
            None => (true, "since before this agent began to look".to_owned()),
        })
    }
}

/// Judges what a supply said at `now`.
pub(crate) fn judge(held: &mut Held, said: &Variables, now: Instant) -> ProbeResult {
    let Some(status) = said.get("ups.status").map(|text| Status::read(text)) else {
        return unknown("no ups.status is told of it");
    };
    if status.has("WAIT") || !status.says_where_its_power_comes_from() {
        return unknown(&format!("its status {:?} says neither on mains nor on battery", status.text));
    }
    let told = said.get(ON_BATTERY_S).and_then(|text| number(text)).and_then(|s| Duration::try_from_secs_f64(s).ok());
    held.note(&status, told, now);
    let mut grave = low(&status, said);
    let mut slight = Vec::new();
    for concern in Concern::ALL {
        if let Some((is_grave, lasted)) = held.lasted(concern, now) {
            let what = format!("{} {lasted}", concern.words(&status));
            if is_grave { grave.push(what) } else { slight.push(what) }
        }
    }
    if status.has("RB") {
        slight.push("its battery must be replaced".to_owned());
    }
    if status.has("ALARM") || said.contains_key("ups.alarm") {
        let what = said.get("ups.alarm").map_or("", String::as_str);
        slight.push(format!("it raises an alarm {what}").trim_end().to_owned());
    }
    if status.has("LB") && !status.is_on_battery() {
        slight.push("its battery is low".to_owned());
    }
    if let Some(test) = said.get("ups.test.result").filter(|result| tells_a_failed_test(result)) {
        slight.push(format!("its last self-test says: {test}"));
    }
    let outcome = match (grave.is_empty(), slight.is_empty()) {
        (false, _) => Outcome::Bad,
        (true, false) => Outcome::Warn,
        (true, true) => Outcome::Ok,
    };
    grave.append(&mut slight);
    if grave.is_empty() {
        grave.push("on mains".to_owned());
    }
    ProbeResult::new(outcome).evidence(sentence(grave, said))
}

/// Words of drivers, of which there are many: "Done and error", "failed", "Bad battery".
fn tells_a_failed_test(result: &str) -> bool {
    let result = result.to_ascii_lowercase();
    ["error", "fail", "bad"].iter().any(|word| result.contains(word))
}

/// Why a supply on battery will not hold.
fn low(status: &Status<'_>, said: &Variables) -> Vec<String> {
    let number = |name: &str| said.get(name).and_then(|text| number(text));
    let mut why = Vec::new();
    if status.has("FSD") {
        why.push("it is shutting everything down".to_owned());
    }
    if status.is_on_battery() {
        let charge = number("battery.charge").filter(|charge| *charge < CHARGE_LOW_PERCENT);
        let limit = number("battery.runtime.low").unwrap_or(RUNTIME_LOW_S);
        let runtime = number("battery.runtime").filter(|left| *left < limit);
        if status.has("LB") {
            why.push("it says that its battery is low".to_owned());
        }
        why.extend(charge.map(|charge| format!("only {charge} % charge")));
        why.extend(runtime.map(|left| format!("only {left} s left")));
    }
    why
}

fn sentence(mut parts: Vec<String>, said: &Variables) -> String {
    for (name, before, after) in [
        ("input.voltage", "input ", " V"),
        ("battery.charge", "charge ", " %"),
        ("battery.runtime", "", " s of runtime"),
        ("input.transfer.reason", "last transfer: ", ""),
    ] {
        parts.extend(said.get(name).map(|value| format!("{before}{value}{after}")));
    }
    let status = said.get("ups.status").map_or("", String::as_str);
    format!("{} [{status}]", parts.join(", "))
}

fn unknown(why: &str) -> ProbeResult {
    ProbeResult::unknown(UnknownReason::Stale, why)
}

/// The words of a status.
struct Status<'a> {
    text: &'a str,
    words: BTreeSet<&'a str>,
}

impl<'a> Status<'a> {
    fn read(text: &'a str) -> Self {
        Self { text, words: text.split_whitespace().collect() }
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    fn is_on_battery(&self) -> bool {
        self.has("OB")
    }

    /// A calibration or self-test runs on battery on purpose.
    fn is_a_test(&self) -> bool {
        self.has("CAL") || self.has("TEST")
    }

    fn says_where_its_power_comes_from(&self) -> bool {
        ["OL", "OB", "FSD", "OFF", "BYPASS"].iter().any(|word| self.has(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dip_is_counted_and_warned_of_and_only_what_lasts_is_bad() {
        let mut supply = Supply::new();
        for (second, status, outcome, transfers) in [
            (0, "OL", Outcome::Ok, 0),
            (1, "OB DISCHRG", Outcome::Warn, 1),
            (2, "OL CHRG", Outcome::Ok, 1),
            (10, "OB", Outcome::Warn, 2),
            (69, "OB", Outcome::Warn, 2),
            (70, "OB", Outcome::Bad, 2),
            (71, "OL LB", Outcome::Warn, 2),
            (72, "OL", Outcome::Ok, 2),
        ] {
            let said = supply.says(second, &[("ups.status", status)]);
            assert_eq!((said.outcome.clone(), supply.held.transfers()), (outcome, transfers), "{second}: {said:?}");
        }
    }

    #[test]
    fn a_battery_that_will_not_hold_is_bad_at_once() {
        for (variables, words) in [
            (vec![("ups.status", "OB LB")], "battery is low"),
            (vec![("ups.status", "OB"), ("battery.charge", "29")], "only 29 % charge"),
            (vec![("ups.status", "OB"), ("battery.runtime", "090")], "only 90 s left"),
            (vec![("ups.status", "OB"), ("battery.runtime", "500"), ("battery.runtime.low", "600")], "only 500 s left"),
            (vec![("ups.status", "FSD OB LB")], "shutting everything down"),
        ] {
            let mut supply = Supply::new();
            supply.says(0, &[("ups.status", "OL")]);
            let said = supply.says(1, &variables);
            assert_eq!(said.outcome, Outcome::Bad, "{variables:?}");
            assert!(said.evidence.as_ref().unwrap().as_str().contains(words), "{said:?}");
        }
    }

    #[test]
    fn words_that_nobody_knows_change_nothing_and_a_status_without_meaning_is_unknown() {
        let mut supply = Supply::new();
        assert_eq!(supply.says(0, &[("ups.status", "OL vendor:eco HE XYZ")]).outcome, Outcome::Ok);
        for status in ["", "WAIT", "OL WAIT", "XYZ", "CHRG", "ol"] {
            let outcome = supply.says(1, &[("ups.status", status)]).outcome;
            assert_eq!(outcome, Outcome::unknown(UnknownReason::Stale), "{status:?}");
        }
        assert_eq!(supply.says(2, &[]).outcome, Outcome::unknown(UnknownReason::Stale));
        assert_eq!(supply.held.transfers(), 0);
    }

    #[test]
    fn silence_between_mains_and_battery_hides_no_transfer() {
        let mut supply = Supply::new();
        supply.says(0, &[("ups.status", "OL")]);
        supply.says(1, &[]);
        supply.says(2, &[("ups.status", "OB")]);
        assert_eq!(supply.held.transfers(), 1);
        supply.says(60, &[]);
        assert_eq!(supply.says(62, &[("ups.status", "OB")]).outcome, Outcome::Bad, "it has lasted through the silence");
    }

    #[test]
    fn a_test_of_the_battery_is_no_dip() {
        let mut supply = Supply::new();
        for (second, status) in [(0, "OL"), (1, "OB CAL"), (2, "OL"), (3, "OB DISCHRG TEST"), (4, "OL")] {
            supply.says(second, &[("ups.status", status)]);
        }
        assert_eq!(supply.held.transfers(), 0);
    }

    #[test]
    fn an_agent_that_begins_to_look_during_an_outage_does_not_call_it_a_dip() {
        let mut supply = Supply::new();
        let said = supply.says(0, &[("ups.status", "OB")]);
        assert_eq!((said.outcome, supply.held.transfers()), (Outcome::Bad, 0));
        supply.says(1, &[("ups.status", "OL")]);
        assert_eq!(supply.says(2, &[("ups.status", "OB")]).outcome, Outcome::Warn);
    }

    #[test]
    fn a_supply_that_counts_its_seconds_on_battery_is_believed_from_the_first_look() {
        let mut supply = Supply::new();
        let said = supply.says(0, &[("ups.status", "OB"), (ON_BATTERY_S, "12")]);
        assert_eq!(said.outcome, Outcome::Warn, "{said:?}");
        assert!(said.evidence.unwrap().as_str().starts_with("on battery for 12 s"));
        assert_eq!(supply.says(48, &[("ups.status", "OB"), (ON_BATTERY_S, "60")]).outcome, Outcome::Bad);
        let mut supply = Supply::new();
        supply.says(0, &[("ups.status", "OL")]);
        assert_eq!(supply.says(5, &[("ups.status", "OB"), (ON_BATTERY_S, "61")]).outcome, Outcome::Bad);
        assert_eq!(supply.says(10, &[("ups.status", "OB"), (ON_BATTERY_S, "-3")]).outcome, Outcome::Bad);
    }

    #[test]
    fn a_self_test_that_failed_is_a_warning() {
        for (result, outcome) in [
            ("Done and passed", Outcome::Ok),
            ("No test initiated", Outcome::Ok),
            ("Done and error", Outcome::Warn),
            ("failed: the battery has not enough charge", Outcome::Warn),
        ] {
            let said = Supply::new().says(0, &[("ups.status", "OL"), ("ups.test.result", result)]);
            assert_eq!(said.outcome, outcome, "{said:?}");
        }
    }

    #[test]
    fn what_does_not_stop_the_power_is_a_warning_and_what_lasts_is_not() {
        for (status, passes_s) in [("OL OVER", 60), ("OL BYPASS", 30), ("OFF", 30)] {
            let mut supply = Supply::new();
            supply.says(0, &[("ups.status", "OL")]);
            assert_eq!(supply.says(1, &[("ups.status", status)]).outcome, Outcome::Warn, "{status}");
            assert_eq!(supply.says(passes_s, &[("ups.status", status)]).outcome, Outcome::Warn, "{status}");
            assert_eq!(supply.says(passes_s + 1, &[("ups.status", status)]).outcome, Outcome::Bad, "{status}");
        }
        let mut supply = Supply::new();
        for variables in [[("ups.status", "OL RB"), ("x", "")], [("ups.status", "OL"), ("ups.alarm", "fan")]] {
            assert_eq!(supply.says(0, &variables).outcome, Outcome::Warn, "{variables:?}");
        }
    }

    /// A supply and the moment at which its first words were heard.
    struct Supply {
        held: Held,
        begin: Instant,
    }

    impl Supply {
        fn new() -> Self {
            Self { held: Held::new(), begin: Instant::now() }
        }

        fn says(&mut self, second: u64, variables: &[(&str, &str)]) -> ProbeResult {
            let said = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            judge(&mut self.held, &said, self.begin + Duration::from_secs(second))
        }
    }
}

//! `power.boot`: how this host ended before it started.
//!
//! What the agent wrote before and what the kernel kept tell it together: whether the agent was asked to end for a
//! shutdown, whether a panic left its record in pstore, whether the supply was on battery last. When it ended lies
//! between the last record of the journal and the start of the kernel. On Windows its own log tells. It opens nothing by
//! itself: a start is a fact, and what fails around it is explained by it.

#[cfg(not(windows))]
mod linux;
#[cfg_attr(not(windows), allow(dead_code))]
mod told;
#[cfg(windows)]
mod windows;

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_model::{BootEnd, CheckId, sample::Value};

use crate::ProbeResult;

/// What is known from before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BootMemory {
    /// The run of the kernel in which this was written.
    id: Option<String>,
    /// Why the agent was asked to end; `None` while it runs, and where nobody asked.
    asked: Option<String>,
    /// Whether the supply was on battery when it was asked last.
    #[serde(default)]
    is_on_battery: bool,
    /// What was found at the last start of the host.
    story: Option<Story>,
}

/// The end of the run before this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Story {
    how: BootEnd,
    /// The agent is known to have lived then.
    alive: Option<Timestamp>,
    /// What Windows says beside it.
    #[serde(default)]
    says: Option<String>,
}

/// What the end left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Traces<'a> {
    /// Why the agent was asked to end.
    asked: Option<&'a str>,
    has_panicked: bool,
    is_on_battery: bool,
}

/// A panic's own record goes before everything; words about a shutdown before the supply, which may be on battery all
/// the while.
fn how(traces: Traces<'_>) -> BootEnd {
    let is_shutdown = traces.asked.is_some_and(|reason| reason.contains("shutdown") || reason.contains("reboot"));
    match traces {
        Traces { has_panicked: true, .. } => BootEnd::Crash,
        _ if is_shutdown => BootEnd::Clean,
        Traces { is_on_battery: true, .. } => BootEnd::Power,
        Traces { .. } => BootEnd::Unclean,
    }
}

/// The check of this host's starts.
#[derive(Debug, Default)]
pub(crate) struct Boots {
    #[cfg(not(windows))]
    places: linux::Places,
    memory: Mutex<BootMemory>,
    /// The supplies that were on battery when they were asked last.
    on_battery: Mutex<BTreeSet<CheckId>>,
    #[cfg(windows)]
    last: windows::Last,
}

impl Boots {
    /// What is to outlive this process.
    pub(crate) fn memory(&self) -> BootMemory {
        self.lock().clone()
    }

    /// Goes on with what outlived the last one.
    pub(crate) fn recall(&self, memory: BootMemory) {
        *self.lock() = memory;
    }

    /// The agent was asked to end.
    pub(crate) fn end(&self, reason: &str) {
        self.lock().asked = Some(reason.to_owned());
    }

    /// What a supply's check saw: on battery, or on mains again.
    pub(crate) fn supply(&self, check: &CheckId, result: &ProbeResult) {
        let Some(Value::Text(status)) = result.values.get("status") else { return };
        let has = |word: &str| status.as_str().split_whitespace().any(|token| token == word);
        let mut on_battery = self.on_battery.lock().unwrap_or_else(PoisonError::into_inner);
        match (has("OB") || has("LB") || has("FSD"), has("OL")) {
            (true, _) => drop(on_battery.insert(check.clone())),
            (false, true) => drop(on_battery.remove(check)),
            // Strange tokens say nothing.
            (false, false) => return,
        }
        self.lock().is_on_battery = !on_battery.is_empty();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BootMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happened, with the bounds of when.
fn sentence(story: &Story, started: Timestamp) -> String {
    let when = match story.alive.filter(|alive| *alive <= started) {
        Some(alive) => format!("between {} and {started}", alive.round(jiff::Unit::Second).unwrap_or(alive)),
        None => format!("before {started}"),
    };
    match (story.how, &story.says) {
        (BootEnd::Clean, None) => format!("this host was shut down as asked, {when}, and runs since then"),
        (BootEnd::Clean, Some(says)) => {
            format!("this host was shut down as asked, {when}, and runs since then: {says}")
        }
        (BootEnd::Crash, None) => format!("this host's kernel panicked {when}: its record is in pstore"),
        (BootEnd::Crash, Some(says)) => format!("Windows crashed on this host {when}: {says}"),
        (BootEnd::Power, _) => format!("this host lost its power {when}: its supply was on battery last"),
        (BootEnd::Unclean, None) => format!("this host ended without a word {when}: no power, a reset, or a freeze"),
        (BootEnd::Unclean, Some(says)) => format!("this host ended without a word {when}: {says}"),
    }
}

#[cfg(all(test, not(windows)))]
mod tests {
    use upheld_model::Outcome;

    use super::{linux::Places, *};

    #[test]
    fn how_a_host_ended_is_told_by_what_it_left_behind() {
        let traces = |asked, has_panicked, is_on_battery| Traces { asked, has_panicked, is_on_battery };
        for (traces, expected) in [
            (traces(Some("shutdown requested"), false, false), BootEnd::Clean),
            (traces(Some("reboot requested"), false, true), BootEnd::Clean),
            (traces(Some("shutdown requested"), true, false), BootEnd::Crash),
            (traces(None, true, true), BootEnd::Crash),
            (traces(None, false, true), BootEnd::Power),
            (traces(None, false, false), BootEnd::Unclean),
            // The agent alone was stopped; of the host's end nobody said a word.
            (traces(Some("SIGTERM"), false, false), BootEnd::Unclean),
            (traces(Some("SIGTERM"), false, true), BootEnd::Power),
        ] {
            assert_eq!(how(traces), expected, "{traces:?}");
        }
    }

    #[test]
    fn a_host_that_was_killed_and_has_another_boot_id_ended_without_a_word_between_its_bounds() {
        let host = Host::new();
        let agent = host.starts(BootMemory::default(), None);
        assert!(text(&agent.run(now())).ends_with("it has not started while this agent watched"));
        // kill -9: what was kept before is all there is.
        let kept = agent.memory();
        let again = host.starts(kept.clone(), Some("2026-11-16T16:00:00.25Z"));
        assert!(!again.run(now()).values.contains_key("ended"), "the agent alone was killed");

        host.boots("boot-2");
        let again = host.starts(kept, Some("2026-11-16T16:00:00.25Z"));
        let seen = again.run(now());
        assert_eq!((&seen.values["ended"], &seen.values["boot_id"]), (&"unclean".into(), &"boot-2".into()));
        let bounds = "between 2026-11-16T16:00:00Z and 2026-11-16T16:05:00Z";
        assert_eq!(text(&seen), format!("this host ended without a word {bounds}: no power, a reset, or a freeze"));
        assert_eq!(seen.values["uptime_s"], 60.0.into());
        // A restart of the agent later tells the same.
        assert_eq!(host.starts(again.memory(), None).run(now()).values["ended"], "unclean".into());
    }

    #[test]
    fn the_supply_a_panic_and_an_orderly_end_are_told_apart() {
        let host = Host::new();
        let ended = |prepare: &dyn Fn(&Boots), id: &str| {
            let agent = host.starts(BootMemory { id: Some("boot-0".to_owned()), ..BootMemory::default() }, None);
            prepare(&agent);
            let kept = toml::to_string(&agent.memory()).unwrap();
            host.boots(id);
            let again = host.starts(toml::from_str(&kept).unwrap(), Some("2026-11-16T16:00:00Z"));
            again.run(now()).values["ended"].clone()
        };
        let status = |status: &str| ProbeResult::new(Outcome::Ok).value("status", status);
        let ups = |name: &str| format!("{name}/ups").parse::<CheckId>().unwrap();
        assert_eq!(ended(&|agent| agent.supply(&ups("rack"), &status("OB DISCHRG LB")), "boot-3"), "power".into());
        let dip =
            |agent: &Boots| ["OB", "WAIT", "OL CHRG"].iter().for_each(|word| agent.supply(&ups("rack"), &status(word)));
        let two = |agent: &Boots| {
            agent.supply(&ups("rack"), &status("OB"));
            agent.supply(&ups("desk"), &status("OL"));
        };
        assert_eq!(ended(&two, "boot-7"), "power".into(), "another supply's mains says nothing of this one");
        assert_eq!(ended(&dip, "boot-4"), "unclean".into());
        assert_eq!(ended(&|agent| agent.end("shutdown requested"), "boot-5"), "clean".into());
        std::fs::write(host.folder.path().join("pstore/dmesg-efi-1"), "Panic#1").unwrap();
        assert_eq!(ended(&|_| {}, "boot-6"), "crash".into());
    }

    fn now() -> Timestamp {
        "2026-11-16T16:06:00Z".parse().unwrap()
    }

    fn text(result: &ProbeResult) -> &str {
        result.evidence.as_ref().unwrap().as_str()
    }

    /// A host whose files the test writes.
    struct Host {
        folder: tempfile::TempDir,
    }

    impl Host {
        fn new() -> Self {
            let host = Self { folder: tempfile::tempdir().unwrap() };
            std::fs::create_dir(host.folder.path().join("pstore")).unwrap();
            std::fs::write(host.folder.path().join("stat"), "cpu 1 2\nbtime 1794845100\nprocesses 7\n").unwrap();
            host.boots("boot-1");
            host
        }

        fn boots(&self, id: &str) {
            std::fs::write(self.folder.path().join("boot_id"), format!("{id}\n")).unwrap();
        }

        fn starts(&self, memory: BootMemory, alive: Option<&str>) -> Boots {
            let at = |name: &str| self.folder.path().join(name);
            let places = Places { boot_id: at("boot_id"), stat: at("stat"), panics: vec![at("nowhere"), at("pstore")] };
            let boots = Boots { places, memory: Mutex::new(memory), on_battery: Mutex::default() };
            boots.wake(alive.map(|alive| alive.parse().unwrap()));
            boots
        }
    }
}

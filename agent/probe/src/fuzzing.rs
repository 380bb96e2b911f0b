//! Every parser of this crate behind one signature: bytes in, nothing out, a panic where a property does not hold.
//!
//! `tests/fuzz` runs the entries under libFuzzer, by the feature `fuzzing`, which no program turns on (`tests/walls.rs`);
//! `cargo test` runs each over its seeds and some hundred damaged ones (`tests/fuzz/gate.rs`). An entry goes as far as the
//! result that the agent would record, and [`hold`] says what must be true of it whatever a device said (SECURITY 6).

use std::path::Path;

use upheld_model::{DeviceText, Outcome, sample::Value, text::is_hostile};

use crate::{AllowList, ProbeResult};

/// A parser: its name, which is that of its seeds' folder, and what is done with bytes.
pub type Entry = (&'static str, fn(&[u8]));

/// All of them, by name.
pub const ENTRIES: &[Entry] = &[
    ("allow", allow),
    ("apcupsd", crate::apcupsd::fuzzing::answer),
    ("certificate", crate::tls::fuzzing::chain),
    ("dns", crate::dns::fuzzing::answer),
    ("http", crate::http::fuzzing::answer),
    #[cfg(unix)]
    ("icmp", crate::icmp::fuzzing::reply),
    #[cfg(target_os = "linux")]
    ("journalctl", crate::log::journal::fuzzing::printed),
    ("mdstat", crate::host::fuzzing::mdstat),
    ("mounts", crate::host::fuzzing::mounts),
    ("ntp", crate::ntp::fuzzing::reply),
    ("nut", crate::nut::fuzzing::answer),
    #[cfg(target_os = "linux")]
    ("plugin", crate::exec::fuzzing::printed),
    #[cfg(target_os = "linux")]
    ("routes", crate::surroundings::fuzzing::tables),
    ("snmp", crate::snmp::fuzzing::message),
    ("switch", crate::switch::fuzzing::told),
    #[cfg(target_os = "linux")]
    ("unit", crate::service::fuzzing::unit),
    ("ups-snmp", crate::ups_snmp::fuzzing::told),
];

/// The most values and counters of one result: 32 measures of a plugin are the most that anything tells.
const NAMES_MAX: usize = 64;
/// A character that is escaped takes ten at most.
const CHARS_MAX: usize = 10 * upheld_model::text::CHARS_MAX + 1;

/// What is true of every result.
pub(crate) fn hold(result: &ProbeResult) {
    let is_clean = |text: &str| !text.chars().any(is_hostile) && text.chars().count() <= CHARS_MAX;
    let ProbeResult { outcome, values, counters, evidence, took: _ } = result;
    assert!(values.len() <= NAMES_MAX && counters.len() <= NAMES_MAX, "{result:?}");
    assert!(values.keys().chain(counters.keys()).all(|name| is_clean(name)), "{result:?}");
    assert!(counters.values().all(|counter| is_clean(counter.0.as_str())), "{result:?}");
    for value in values.values() {
        match value {
            Value::Number(number) => assert!(number.is_finite(), "{result:?}"),
            Value::Text(text) => assert!(is_clean(text.as_str()), "{result:?}"),
        }
    }
    let why = evidence.as_ref().map(DeviceText::as_str).unwrap_or_default();
    assert!(is_clean(why), "{result:?}");
    assert!(*outcome == Outcome::Ok || !why.is_empty(), "nothing says why: {result:?}");
}

fn allow(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match AllowList::parse(&text, Path::new("allow.toml")) {
        Ok(list) => assert!(!list.describe().is_empty()),
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
}

#[cfg(test)]
#[path = "../../../tests/fuzz/gate.rs"]
mod gate;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_21_no_parser_breaks_over_its_seeds_and_over_damaged_ones() {
        gate::hold(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds")), ENTRIES);
    }
}

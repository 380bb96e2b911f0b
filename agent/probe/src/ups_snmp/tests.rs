//! What a card tells in the course of dips, tests and reboots. Real agents stand in tests/e2e.

use std::time::Duration;

use upheld_model::Outcome;

use super::*;
use crate::{snmp::Value, testing::evidence};

struct Story {
    supplies: SnmpSupplies,
    access: SnmpAccess,
    begin: Instant,
}

impl Story {
    fn new() -> Self {
        let access = serde_json::from_str(r#"{"target":"10.0.0.9"}"#).unwrap();
        Self { supplies: SnmpSupplies::default(), access, begin: Instant::now() }
    }

    fn says(&self, second: u64, uptime_s: u64, status: &str, line_bads: Option<u64>) -> ProbeResult {
        let mut told = Told { line_bads, ..Told::default() };
        told.put("ups.status", Some(status));
        let mut system = Table::default();
        system.insert(Boots::object(), Value::Count(uptime_s * 100));
        let now = self.begin + Duration::from_secs(second);
        self.supplies.judge(&"ups-1/ups".parse().unwrap(), &self.access, &told, &system, now)
    }
}

fn more(earlier: &ProbeResult, later: &ProbeResult) -> Option<u64> {
    later.counters["transfers"].since(&earlier.counters["transfers"])
}

#[test]
fn bad_input_between_two_looks_is_counted_within_one_boot_of_the_card() {
    let story = Story::new();
    let first = story.says(0, 1_000, "OL", Some(7));
    assert_eq!(first.outcome, Outcome::Ok, "{first:?}");
    let dip = story.says(15, 1_015, "OL", Some(9));
    assert_eq!((dip.outcome.clone(), more(&first, &dip)), (Outcome::Warn, Some(2)), "{dip:?}");
    assert!(evidence(&dip).starts_with("its input was bad 2 times since the last look, on mains"), "{dip:?}");
    let rebooted = story.says(30, 3, "OL", Some(0));
    assert_eq!((rebooted.outcome.clone(), more(&dip, &rebooted)), (Outcome::Ok, None), "{rebooted:?}");
    let again = story.says(45, 18, "OL", Some(1));
    assert_eq!(more(&rebooted, &again), Some(1));
}

#[test]
fn without_a_counter_transfers_are_counted_here_and_a_test_is_none() {
    let story = Story::new();
    let first = story.says(0, 10, "OL", None);
    let test = story.says(15, 25, "OB TEST", None);
    assert_eq!(more(&first, &test), Some(0), "{test:?}");
    story.says(30, 40, "OL", None);
    let dip = story.says(45, 55, "OB", None);
    assert_eq!((dip.outcome.clone(), more(&first, &dip)), (Outcome::Warn, Some(1)), "{dip:?}");
    assert_eq!(evidence(&dip), "on battery for 0 s [OB]");
}

#[test]
fn a_card_that_has_lost_its_supply_says_nothing_about_the_power() {
    let story = Story::new();
    story.says(0, 10, "OB", None);
    let told = Told { has_lost_its_supply: true, ..Told::default() };
    let check = "ups-1/ups".parse().unwrap();
    let lost = story.supplies.judge(&check, &story.access, &told, &Table::default(), story.begin);
    assert_eq!(lost.outcome, Outcome::unknown(UnknownReason::Stale));
    assert!(evidence(&lost).ends_with("it was on battery when it was last heard"), "{lost:?}");
}

#[test]
fn the_boot_of_a_card_outlives_a_restart_of_the_agent() {
    let (before, after) = (Story::new(), Story::new());
    let first = before.says(0, 1_000, "OL", Some(7));
    after.supplies.recall(before.supplies.memory());
    let second = after.says(1, 1_001, "OL", Some(8));
    assert_eq!(more(&first, &second), Some(1));
}

use super::*;

const BOOT: &str = "boot-1";

#[test]
fn a_dip_is_told_with_its_length_its_cause_and_its_lowest_voltage() {
    let mut supply = Supply::new();
    supply.says(0.0, "OL CHRG", &[("runtime_s", 1_320.0), ("input_voltage", 230.0)]);
    let on = supply.says_because(1.0, "OB DISCHRG", &[("input_voltage", 96.0)], "input voltage out of range");
    assert_eq!((number(&on, "promised_s"), number(&on, "on_battery_s")), (1_320.0, 0.0));
    supply.says(2.0, "OB DISCHRG", &[("input_voltage", 141.0)]);
    let over = supply.says(4.2, "OL CHRG", &[("input_voltage", 229.0)]);
    assert_eq!((number(&over, "dip_s"), number(&over, "dip_voltage_min")), (3.2, 96.0));
    assert_eq!(over.values["dip_cause"], "input voltage out of range".into());
    assert_eq!(
        text(&over),
        "it ran on battery for 3.2 s (2026-11-28 14:00:01.0 to 14:00:04.2 UTC), input down to 96 V, cause: input voltage out \
         of range; as judged"
    );
    let later = supply.says(5.0, "OL", &[]);
    assert!(!later.values.contains_key("dip_s") && text(&later) == "as judged", "told once: {later:?}");
}

#[test]
fn a_supply_that_is_empty_after_four_minutes_of_the_promised_twenty_two_has_an_ageing_battery() {
    let mut supply = Supply::new();
    supply.says(0.0, "OL", &[("runtime_s", 1_320.0)]);
    for second in 1..240 {
        supply.says(f64::from(second), "OB DISCHRG", &[("runtime_s", 1_300.0 - f64::from(second))]);
    }
    let low = supply.says(241.0, "OB DISCHRG LB", &[("runtime_s", 60.0), ("runtime_low_s", 120.0)]);
    assert!(
        text(&low).starts_with("it promised 22 min when it went on battery, and says after 4 min that 60 s is left")
    );
    assert!(!low.values.contains_key("battery_delivered_s"), "low for a moment is no proof");
    for second in 242..250 {
        supply.says(f64::from(second), "OB DISCHRG LB", &[("runtime_s", 60.0)]);
    }
    let dead = supply.says(250.0, "OB DISCHRG LB", &[("runtime_s", 60.0)]);
    assert_eq!((number(&dead, "battery_promised_s"), number(&dead, "battery_delivered_s")), (1_200.0, 240.0));
    let back = supply.says(300.0, "OL CHRG", &[("runtime_s", 300.0)]);
    assert_eq!(back.outcome, Outcome::Warn, "a warning, and nothing worse");
    let sentence =
        "its battery is ageing: on 2026-11-28 it promised 20 min until low and was low after 4 min; have it changed";
    assert!(text(&back).contains(sentence), "{back:?}");

    let mut again = supply.restarts(BOOT, 600.0);
    let remembered = again.says(601.0, "OL", &[("runtime_s", 1_320.0)]);
    assert_eq!(remembered.outcome, Outcome::Warn);
    assert!(text(&remembered).starts_with(sentence), "{remembered:?}");
    let changed = again.says_of(602.0, "OL", &[("runtime_s", 1_320.0)], "2026/11/29");
    assert_eq!(changed.outcome, Outcome::Warn, "what it was before nobody said");
}

#[test]
fn a_battery_that_keeps_its_word_is_not_spoken_of_and_a_changed_one_begins_anew() {
    let mut supply = Supply::new();
    supply.says_of(0.0, "OL", &[("runtime_s", 600.0)], "2021/01/01");
    supply.says_of(1.0, "OB", &[("runtime_s", 590.0)], "2021/01/01");
    supply.says_of(61.0, "OB LB", &[("runtime_s", 100.0)], "2021/01/01");
    supply.says_of(66.0, "OB LB", &[("runtime_s", 100.0)], "2021/01/01");
    let back = supply.says_of(67.0, "OL", &[("runtime_s", 100.0)], "2021/01/01");
    assert_eq!(back.outcome, Outcome::Warn);
    assert_eq!(supply.says_of(68.0, "OL", &[("runtime_s", 900.0)], "2026/11/28").outcome, Outcome::Ok);

    supply.says(100.0, "OB", &[("runtime_s", 890.0)]);
    for minute in 0..12 {
        supply.says(101.0 + 60.0 * f64::from(minute), "OB", &[("runtime_s", 880.0 - 60.0 * f64::from(minute))]);
    }
    supply.says(800.0, "OB LB", &[("runtime_s", 110.0)]);
    supply.says(810.0, "OB LB", &[("runtime_s", 100.0)]);
    let back = supply.says(811.0, "OL CHRG", &[("runtime_s", 90.0)]);
    assert_eq!(back.outcome, Outcome::Ok);
    assert!(!back.values.contains_key("battery_delivered_s"), "{back:?}");
}

#[test]
fn mains_that_comes_back_sooner_is_held_against_what_is_said_to_be_left() {
    for (until, left, outcome) in [
        (30.0, 100.0, Outcome::Ok),    // too short to tell
        (300.0, 900.0, Outcome::Ok),   // 20 of 22 minutes
        (300.0, 100.0, Outcome::Warn), // 7 of 22
    ] {
        let mut supply = Supply::new();
        supply.says(0.0, "OL", &[("runtime_s", 1_320.0), ("load_percent", 20.0)]);
        supply.says(1.0, "OB", &[("runtime_s", 1_200.0), ("load_percent", 20.0)]);
        supply.says(until, "OB", &[("runtime_s", left), ("load_percent", 22.0)]);
        let back = supply.says(until + 1.0, "OL", &[("runtime_s", left)]);
        assert_eq!(back.outcome, outcome, "{until} {left}: {back:?}");
        let mut supply = Supply::new();
        supply.says(0.0, "OL", &[("runtime_s", 1_320.0), ("load_percent", 20.0)]);
        supply.says(1.0, "OB", &[("runtime_s", 300.0), ("load_percent", 70.0)]);
        supply.says(until, "OB", &[("runtime_s", left), ("load_percent", 70.0)]);
        assert_eq!(supply.says(until + 1.0, "OL", &[]).outcome, Outcome::Ok, "a heavier load is no age");
    }
}

#[test]
fn a_clock_that_is_set_lengthens_no_stretch() {
    for jump in [-3_600.0, 3_600.0] {
        let mut supply = Supply::new();
        supply.says(0.0, "OL", &[("runtime_s", 1_320.0)]);
        supply.says(1.0, "OB", &[("runtime_s", 1_300.0)]);
        supply.clock_error = jump;
        supply.says(30.0, "OB", &[("runtime_s", 1_290.0)]);
        supply.says(89.0, "OB", &[("runtime_s", 1_230.0)]);
        let over = supply.says(91.0, "OL", &[]);
        assert_eq!((number(&over, "dip_s"), over.outcome.clone()), (90.0, Outcome::Ok), "{over:?}");
    }
}

#[test]
fn a_host_that_died_on_battery_is_told_by_the_next_start_and_one_that_was_shut_down_is_not() {
    let dies = |is_asked: bool, boot: &str| {
        let mut supply = Supply::new();
        supply.says(0.0, "OL", &[("runtime_s", 1_320.0)]);
        for second in 1..=240 {
            supply.says(f64::from(second), "OB", &[("runtime_s", 1_300.0 - f64::from(second))]);
        }
        if is_asked {
            supply.batteries.end();
        }
        supply.restarts(boot, 7_200.0).says(7_201.0, "OL CHRG", &[("runtime_s", 200.0)])
    };
    let died = dies(false, "boot-2");
    assert_eq!(died.outcome, Outcome::Warn);
    assert!(text(&died).contains("it promised 22 min and this host lost its power within 5 min"), "{died:?}");
    assert!(text(&died).contains("it ran on battery for at least 4 min (2026-11-28 14:00:01.0 to 14:04:00.0 UTC)"));
    assert_eq!(dies(true, "boot-2").outcome, Outcome::Ok, "who shuts down early has proved nothing");
    assert_eq!(dies(false, BOOT).outcome, Outcome::Ok, "the agent alone was killed: nobody knows when mains was back");
}

#[test]
fn an_agent_that_is_restarted_on_battery_goes_on_with_the_promise() {
    let mut supply = Supply::new();
    supply.says(0.0, "OL", &[("runtime_s", 1_320.0)]);
    supply.says(1.0, "OB", &[("runtime_s", 1_300.0)]);
    supply.says(100.0, "OB", &[("runtime_s", 1_300.0)]);
    let mut again = supply.restarts(BOOT, 120.0);
    let on = again.says(130.0, "OB", &[("runtime_s", 1_100.0)]);
    assert_eq!((number(&on, "promised_s"), number(&on, "on_battery_s")), (1_320.0, 129.0), "{on:?}");
}

#[test]
fn one_that_begins_to_look_on_battery_knows_of_no_promise_and_a_test_is_no_dip() {
    let mut supply = Supply::new();
    let first = supply.says(0.0, "OB", &[("runtime_s", 100.0)]);
    assert!(!first.values.contains_key("promised_s"), "{first:?}");
    supply.says(1.0, "OL", &[("runtime_s", 1_320.0)]);
    supply.says(2.0, "OB TEST", &[("runtime_s", 1_300.0)]);
    assert!(!supply.batteries.is_any_open());
    let over = supply.says(12.0, "OL", &[("runtime_s", 1_300.0)]);
    assert!(!over.values.contains_key("dip_s"), "{over:?}");
    supply.says(20.0, "OB", &[]);
    assert!(supply.batteries.is_any_open());
    supply.says(21.0, "WAIT", &[]);
    assert!(supply.batteries.is_any_open(), "strange words say nothing");
    let again = supply.restarts(BOOT, 30.0);
    assert!(!again.batteries.is_any_open(), "what is remembered was not heard");
}

#[test]
fn a_supply_that_says_low_at_each_transfer_is_not_believed_at_once() {
    let mut supply = Supply::new();
    supply.says(0.0, "OL", &[("runtime_s", 1_320.0)]);
    supply.says(1.0, "OB LB", &[("runtime_s", 1_300.0)]);
    supply.says(2.0, "OB", &[("runtime_s", 1_300.0)]);
    supply.says(90.0, "OB", &[("runtime_s", 1_210.0)]);
    assert_eq!(supply.says(91.0, "OL", &[]).outcome, Outcome::Ok);
}

#[test]
fn a_memory_is_the_same_after_it_was_written_and_read() {
    let mut supply = Supply::new();
    supply.says(0.0, "OL", &[("runtime_s", 1_320.0)]);
    supply.says(1.0, "OB", &[("runtime_s", 1_300.0)]);
    let kept = supply.batteries.memory();
    let read: BatteryMemory = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
    assert_eq!(read.values().next().unwrap().open, kept.values().next().unwrap().open);
    assert!(kept.values().next().unwrap().open.is_some());
}

fn number(result: &ProbeResult, name: &str) -> f64 {
    crate::testing::number(result, name)
}

fn text(result: &ProbeResult) -> &str {
    crate::testing::evidence(result)
}

/// A supply, and the agent that looks at it.
struct Supply {
    batteries: Batteries,
    began: Instant,
    /// By how many seconds the wall clock is wrong.
    clock_error: f64,
}

impl Supply {
    fn new() -> Self {
        Self { batteries: Batteries::new(BOOT), began: Instant::now(), clock_error: 0.0 }
    }

    /// The agent's next process; the monotonic clock of another boot begins anew.
    fn restarts(&self, boot: &str, second: f64) -> Self {
        let batteries = Batteries::new(boot);
        let kept = serde_json::to_string(&self.batteries.memory()).unwrap();
        batteries.recall(serde_json::from_str(&kept).unwrap());
        let began = self.began + Duration::from_secs_f64(second);
        Self { batteries, began: began - Duration::from_secs_f64(second), clock_error: 0.0 }
    }

    fn says(&mut self, second: f64, status: &str, values: &[(&str, f64)]) -> ProbeResult {
        self.look(second, status, values, &[])
    }

    fn says_because(&mut self, second: f64, status: &str, values: &[(&str, f64)], cause: &str) -> ProbeResult {
        self.look(second, status, values, &[("transfer_reason", cause)])
    }

    fn says_of(&mut self, second: f64, status: &str, values: &[(&str, f64)], battery: &str) -> ProbeResult {
        self.look(second, status, values, &[("battery_date", battery)])
    }

    fn look(&mut self, second: f64, status: &str, values: &[(&str, f64)], texts: &[(&str, &str)]) -> ProbeResult {
        let outcome = if status.contains("OB") { Outcome::Warn } else { Outcome::Ok };
        let mut result = ProbeResult::new(outcome).value("status", status).evidence("as judged");
        for (name, value) in values {
            result = result.value(*name, *value);
        }
        for (name, text) in texts {
            result = result.value(*name, *text);
        }
        let at: Timestamp = "2026-11-28T14:00:00Z".parse().unwrap();
        let millis = |seconds: f64| jiff::SignedDuration::from_millis((seconds * 1_000.0).round() as i64);
        let wall = at + millis(second + self.clock_error);
        let now = Moment { mono: self.began + Duration::from_secs_f64(second), wall };
        self.batteries.note(&"rack/ups".parse().unwrap(), result, now)
    }
}

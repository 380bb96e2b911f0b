//! What a switch tells of a port in the course of drops and faults. Real agents stand in tests/e2e.

use upheld_model::{Outcome, UnknownReason};

use super::*;
use crate::{
    snmp::Value,
    testing::{self, evidence},
};

/// A switch whose port 7 is up at 1000 Mbit/s and feeds.
struct Switch {
    ports: Ports,
    spec: SwitchPort,
    table: Table,
    now: i64,
}

const INDEX: u32 = 10_107;
const IF: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1];
const IFX: &[u32] = &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1];

impl Switch {
    fn new() -> Self {
        let spec = serde_json::from_str(r#"{"access":{"target":"10.0.0.2"},"port":"Gi0/7"}"#).unwrap();
        let mut switch = Self { ports: Ports::default(), spec, table: Table::default(), now: 1_000_000 };
        for (column, number) in [(7, 1), (8, 1), (9, 500)] {
            switch.set(&[IF, &[column]].concat(), number);
        }
        switch.set(&[IFX, &[15]].concat(), 1_000);
        switch.feeds(3);
        switch
    }

    fn set(&mut self, column: &[u32], number: i64) {
        self.table.insert(Oid::of(column, &[INDEX]), Value::Integer(number));
    }

    fn oper(&mut self, state: i64, last_change: i64) {
        self.set(&[IF, &[8]].concat(), state);
        self.set(&[IF, &[9]].concat(), last_change);
    }

    fn feeds(&mut self, state: i64) {
        self.table.insert(Oid::of(judge::POE_STATUS, &[1, 7]), Value::Integer(state));
    }

    /// Thirty seconds later.
    fn look(&mut self) -> ProbeResult {
        self.now += 30;
        let uptime = u64::try_from(self.now - 900_000).unwrap() * 100;
        self.table.insert(Boots::object(), Value::Count(uptime));
        let found = Found { index: INDEX, name: "Gi0/7".to_owned(), feeding: Some((1, 7)) };
        let now = Timestamp::from_second(self.now).unwrap();
        self.ports.judge(&"sw-4/port-7".parse().unwrap(), &self.spec, found, &self.table, now)
    }
}

fn drops(result: &ProbeResult) -> u64 {
    result.counters["carrier_down"].1
}

#[test]
fn a_port_that_gives_no_power_is_blamed_in_a_sentence() {
    let mut switch = Switch::new();
    let up = switch.look();
    assert_eq!(
        (&up.outcome, evidence(&up)),
        (&Outcome::Ok, "port Gi0/7 of the switch is up at 1000 Mbit/s and gives power")
    );
    switch.oper(2, 9_000);
    for (poe, words) in [
        (4, "port Gi0/7 of the switch gives no power: the switch reports a PoE fault"),
        (6, "gives no power: the switch reports a PoE fault"),
        (1, "gives no power any more: PoE is switched off at the switch"),
        (2, "gives no power any more: it finds nothing to feed"),
        (3, "has no link although it gives power: the device at its end hangs"),
        (5, "is testing its PoE"),
        (99, "has no link: the cable is out or broken"),
    ] {
        switch.feeds(poe);
        let down = switch.look();
        assert_eq!((&down.outcome, testing::number(&down, "up")), (&Outcome::Bad, 0.0), "{poe}: {down:?}");
        assert!(evidence(&down).contains(words), "{poe}: {down:?}");
        assert!(!down.values.contains_key("speed_mbps"));
    }
    switch.set(&[IF, &[7]].concat(), 2);
    assert!(evidence(&switch.look()).contains("is switched off at the switch (administratively down)"));
}

#[test]
fn a_device_that_was_never_fed_is_not_said_to_have_lost_its_power() {
    let mut switch = Switch::new();
    switch.feeds(2);
    assert_eq!(switch.look().outcome, Outcome::Ok);
    switch.oper(2, 9_000);
    assert!(evidence(&switch.look()).contains("has no link and finds nothing to feed"));
}

#[test]
fn drops_between_two_looks_are_counted_by_the_last_change() {
    let mut switch = Switch::new();
    assert_eq!(drops(&switch.look()), 0);
    switch.oper(1, 9_000);
    let dropped = switch.look();
    assert_eq!((drops(&dropped), &dropped.outcome), (1, &Outcome::Ok), "{dropped:?}");
    assert!(evidence(&dropped).ends_with("; it was down once since this agent looks"), "{dropped:?}");
    assert_eq!(drops(&switch.look()), 1);
    switch.oper(2, 12_000);
    assert_eq!(drops(&switch.look()), 2);
    switch.oper(1, 15_000);
    assert_eq!(drops(&switch.look()), 2, "coming back is no drop");
    switch.oper(4, 15_000);
    let strange = switch.look();
    assert_eq!(strange.outcome, Outcome::unknown(UnknownReason::CannotProbe), "{strange:?}");
    switch.oper(1, 15_000);
    assert_eq!(drops(&switch.look()), 2, "what says nothing is no drop");
}

#[test]
fn a_start_of_the_switch_is_no_drop_of_its_port_and_begins_its_counts_anew() {
    let mut switch = Switch::new();
    switch.set(&[1, 3, 6, 1, 2, 1, 10, 7, 2, 1, 3], 50);
    let before = switch.look();
    switch.set(&[1, 3, 6, 1, 2, 1, 10, 7, 2, 1, 3], 54);
    let more = switch.look();
    assert_eq!(more.counters["rx_crc_errors"].since(&before.counters["rx_crc_errors"]), Some(4));
    switch.oper(1, 100);
    switch.now += 900;
    let uptime = switch.table.clone();
    let mut started = Switch { table: uptime, now: switch.now, ..switch };
    started.table.insert(Boots::object(), Value::Count(1));
    let found = Found { index: INDEX, name: "Gi0/7".to_owned(), feeding: None };
    let now = Timestamp::from_second(started.now).unwrap();
    let anew = started.ports.judge(&"sw-4/port-7".parse().unwrap(), &started.spec, found, &started.table, now);
    assert_eq!(drops(&anew), 0, "{anew:?}");
    assert_eq!(anew.counters["rx_crc_errors"].since(&more.counters["rx_crc_errors"]), None);
}

#[test]
fn slow_and_half_duplex_are_warnings_as_at_a_port_of_this_host() {
    let mut switch = Switch::new();
    switch.look();
    switch.set(&[IFX, &[15]].concat(), 100);
    let slow = switch.look();
    assert_eq!(slow.outcome, Outcome::Warn, "{slow:?}");
    assert!(evidence(&slow).contains("runs at 100 Mbit/s where 1000 were usual"), "{slow:?}");
    let (ports, boots) = switch.ports.memory();
    let mut after = Switch { ports: Ports::default(), ..switch };
    after.ports.recall(ports, boots);
    assert_eq!(after.look().outcome, Outcome::Warn, "what was usual outlives a restart of the agent");
    after.spec.speed_mbps = Some(100);
    assert_eq!(after.look().outcome, Outcome::Ok);
    after.set(&[1, 3, 6, 1, 2, 1, 10, 7, 2, 1, 19], 2);
    assert!(evidence(&after.look()).contains("half duplex"));
}

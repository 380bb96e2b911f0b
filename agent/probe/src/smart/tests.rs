//! Reports in the shape that smartctl(8) prints with `--json` (fields as in smartmontools' own JSON output), written by hand
//! for what is read: no report of a real disk stands here.

use upheld_model::{Counter, Outcome, sample::Value};

use super::*;
use crate::testing::{evidence, number};

const NOW: &str = "2026-11-28T12:00:00Z";

#[test]
fn a_healthy_disk_is_ok_and_its_old_marks_are_told_and_not_held_against_it() {
    let disk = Bench::new();
    let seen = disk.sees(NOW, &ata(0, 0, 0, 8, "Completed without error", true));
    assert_eq!(seen.outcome, Outcome::Ok, "{seen:?}");
    assert_eq!(evidence(&seen), "ACME DT01: healthy, 8 reallocated sectors, and no more within a week");
    assert_eq!((number(&seen, "temperature_c"), number(&seen, "power_on_h")), (35.0, 12_000.0));
    assert_eq!(seen.counters["reallocated_sectors"], Counter("S1".into(), 8));
    assert_eq!(seen.values["pending_sectors"], Value::from(0.0));
}

#[test]
fn growth_within_a_week_is_a_warning_and_what_settled_is_not() {
    let disk = Bench::new();
    let at = |day: i64| format!("2026-11-{day:02}T12:00:00Z");
    for (day, sectors, outcome, words) in [
        (10, 8, Outcome::Ok, "healthy"),
        (11, 20, Outcome::Warn, "12 reallocated sectors more since 2026-11-10"),
        (15, 20, Outcome::Warn, "12 reallocated sectors more since 2026-11-10"),
        (19, 20, Outcome::Ok, "20 reallocated sectors, and no more within a week"),
    ] {
        let seen = disk.sees(&at(day), &dated(&at(day), &ata(0, 0, 0, sectors, "Completed without error", true)));
        assert_eq!(seen.outcome, outcome, "{day}: {seen:?}");
        assert!(evidence(&seen).contains(words), "{day}: {seen:?}");
    }
    let kept = serde_json::to_string(&disk.disks.memory()).unwrap();
    let again = Bench::new();
    again.disks.recall(serde_json::from_str(&kept).unwrap());
    let grown = again.sees(&at(20), &dated(&at(20), &ata(0, 0, 0, 21, "Completed without error", true)));
    assert!(evidence(&grown).contains("1 reallocated sector more since"), "over a restart: {grown:?}");
    let other = dated(&at(20), &ata(0, 0, 0, 400, "Completed without error", true)).replace("\"S1\"", "\"S2\"");
    assert_eq!(again.sees(&at(20), &other).outcome, Outcome::Ok, "another disk begins anew");
}

#[test]
fn each_bit_of_the_exit_status_is_what_the_manual_says() {
    let cannot = Outcome::unknown(UnknownReason::CannotProbe);
    for (bits, outcome, words) in [
        (1 << 0, cannot.clone(), "could not make sense of its command"),
        (1 << 1, cannot, "could not open the disk"),
        // A command that failed or a checksum: what was read is judged.
        (1 << 2, Outcome::Ok, "healthy"),
        (1 << 3, Outcome::Bad, "says that it is failing"),
        (1 << 4, Outcome::Bad, "reached the maker's threshold"),
        // What once was, and old entries of the logs.
        (1 << 5, Outcome::Ok, "healthy"),
        (1 << 6, Outcome::Ok, "healthy"),
        (1 << 7, Outcome::Ok, "healthy"),
    ] {
        let seen = Bench::new().sees(NOW, &ata(bits, 0, 0, 0, "Completed without error", true));
        assert_eq!(seen.outcome, outcome, "{bits}: {seen:?}");
        assert!(evidence(&seen).contains(words), "{bits}: {seen:?}");
    }
}

#[test]
fn a_failing_disk_says_what_is_wrong_with_it() {
    let pending = Bench::new().sees(NOW, &ata(0, 3, 1, 0, "Completed without error", true));
    assert_eq!(pending.outcome, Outcome::Warn);
    assert_eq!(evidence(&pending), "ACME DT01: 3 sectors that wait to be reallocated, 1 sector that cannot be read");
    let test = Bench::new().sees(NOW, &ata(128, 0, 0, 0, "Completed: read failure", false));
    assert_eq!(test.outcome, Outcome::Bad);
    assert!(
        evidence(&test).contains("its last self-test failed at its hour 11990: Completed: read failure"),
        "{test:?}"
    );
    let failing = ata(8, 0, 0, 0, "Completed without error", true)
        .replace("\"passed\":true},\"ata_smart_attributes", "\"passed\":false},\"ata_smart_attributes");
    let failing = Bench::new().sees(NOW, &failing);
    assert!(
        failing.outcome == Outcome::Bad && evidence(&failing).contains("copy it and have it changed"),
        "{failing:?}"
    );
    let attribute = ata(16, 0, 0, 900, "Completed without error", true).replacen(
        "\"when_failed\":\"\"",
        "\"when_failed\":\"now\"",
        1,
    );
    let attribute = Bench::new().sees(NOW, &attribute);
    assert!(evidence(&attribute).contains("Reallocated_Sector_Ct reached the maker's threshold"), "{attribute:?}");
}

#[test]
fn an_nvme_disk_is_judged_by_its_warnings_bit_by_bit() {
    for (warning, used, errors, outcome, words) in [
        (0, 3, 0, Outcome::Ok, "healthy"),
        (1, 3, 0, Outcome::Bad, "spare capacity is below"),
        (2, 3, 0, Outcome::Warn, "too hot or too cold"),
        (4, 3, 0, Outcome::Bad, "degraded by errors"),
        (8, 3, 0, Outcome::Bad, "can only be read"),
        (16, 3, 0, Outcome::Warn, "over a loss of power"),
        (0, 97, 0, Outcome::Warn, "97 % of the writing"),
        (0, 3, 5, Outcome::Ok, "5 media errors, and no more within a week"),
    ] {
        let seen = Bench::new().sees(NOW, &nvme(warning, used, errors, 0));
        assert_eq!(seen.outcome, outcome, "{seen:?}");
        assert!(evidence(&seen).contains(words), "{seen:?}");
    }
    let disk = Bench::new();
    disk.sees(NOW, &nvme(0, 3, 5, 0));
    let grown = disk.sees(NOW, &nvme(0, 3, 7, 0));
    assert_eq!((&grown.outcome, grown.counters["media_errors"].1), (&Outcome::Warn, 7), "{grown:?}");
    assert_eq!(Bench::new().sees(NOW, &nvme(0, 3, 0, 7)).outcome, Outcome::Bad, "its self-test failed");
    assert_eq!(Bench::new().sees(NOW, &nvme(0, 3, 0, 2)).outcome, Outcome::Ok, "it was ended by somebody");
}

#[test]
fn what_is_no_report_or_an_old_one_is_unknown() {
    for (text, words) in [
        ("", "printed no report of smartctl --json"),
        ("smartctl 7.3 2022-02-28", "printed no report"),
        ("{}", "tells nothing of a disk's health"),
        (r#"{"smartctl":{"exit_status":0}}"#, "is it `smartctl --json=c -a /dev/…`?"),
        (r#"{"ata_smart_attributes":{"table":[{"id":-5}]}}"#, "printed no report"),
    ] {
        let seen = Bench::new().sees(NOW, text);
        assert_eq!(seen.outcome, Outcome::unknown(UnknownReason::CannotProbe), "{text}: {seen:?}");
        assert!(evidence(&seen).contains(words), "{text}: {seen:?}");
    }
    for made in ["2026-11-27T09:00:00Z", "2026-11-28T14:00:00Z"] {
        let old = Bench::new().sees(NOW, &dated(made, &ata(0, 0, 0, 0, "Completed without error", true)));
        assert_eq!(old.outcome, Outcome::unknown(UnknownReason::Stale), "{old:?}");
        assert!(evidence(&old).contains("does the timer that writes it run?"), "{old:?}");
    }
}

/// A disk on ATA: exit status, sectors that wait, that cannot be read, that were reallocated; how its last self-test went.
fn ata(exit: u32, pending: u64, offline: u64, reallocated: u64, test: &str, passed: bool) -> String {
    let attribute = |id: u32, name: &str, count: u64| {
        format!(
            r#"{{"id":{id},"name":"{name}","value":100,"worst":100,"thresh":10,"when_failed":"","raw":{{"value":{count},"string":"{count}"}}}}"#
        )
    };
    let table = [
        attribute(5, "Reallocated_Sector_Ct", reallocated),
        attribute(187, "Reported_Uncorrect", 0),
        attribute(197, "Current_Pending_Sector", pending),
        attribute(198, "Offline_Uncorrectable", offline),
    ]
    .join(",");
    let text = format!(
        r#"{{"json_format_version":[1,0],"smartctl":{{"version":[7,3],"exit_status":{exit}}},"local_time":{{"time_t":0,"asctime":""}},"device":{{"name":"/dev/sda","type":"sat","protocol":"ATA"}},"model_name":"ACME DT01","serial_number":"S1","smart_status":{{"passed":true}},"ata_smart_attributes":{{"revision":16,"table":[{table}]}},"ata_smart_self_test_log":{{"standard":{{"revision":1,"table":[{{"type":{{"value":1,"string":"Short offline"}},"status":{{"value":0,"string":"{test}","passed":{passed}}},"lifetime_hours":11990}}],"count":1}}}},"temperature":{{"current":35}},"power_on_time":{{"hours":12000}}}}"#
    );
    dated(NOW, &text)
}

fn nvme(warning: u32, used: u32, errors: u64, test: u32) -> String {
    let text = format!(
        r#"{{"smartctl":{{"exit_status":0}},"local_time":{{"time_t":0}},"device":{{"name":"/dev/nvme0","type":"nvme","protocol":"NVMe"}},"model_name":"ACME N1","serial_number":"N7","smart_status":{{"passed":true,"nvme":{{"value":0}}}},"nvme_smart_health_information_log":{{"critical_warning":{warning},"temperature":41,"available_spare":100,"available_spare_threshold":10,"percentage_used":{used},"media_errors":{errors}}},"nvme_self_test_log":{{"current_self_test_operation":{{"value":0}},"table":[{{"self_test_code":{{"value":1}},"self_test_result":{{"value":{test},"string":"as it went"}},"power_on_hours":70}}]}},"temperature":{{"current":41}}}}"#
    );
    dated(NOW, &text)
}

/// The report as it was made at this instant.
fn dated(at: &str, text: &str) -> String {
    let second = at.parse::<Timestamp>().unwrap().as_second();
    let (before, behind) = text.split_once("\"time_t\":").unwrap();
    let behind = behind.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}\"time_t\":{second}{behind}")
}

struct Bench {
    disks: Disks,
}

impl Bench {
    fn new() -> Self {
        Self { disks: Disks::default() }
    }

    fn sees(&self, at: &str, text: &str) -> ProbeResult {
        let check = "srv-1/sda".parse().unwrap();
        self.disks.judge(&check, "smart_sda", text.as_bytes(), "", at.parse().unwrap())
    }
}

//! `host.smart` and the real smartctl: what it prints of a disk that it cannot open, and of no disk at all, is unknown; what a
//! timer of root has written is judged by what it says.

use std::{fmt::Write as _, os::unix::fs::PermissionsExt};

use upheld_tests::peer;

use super::{check_now, look, site};

#[test]
fn what_smartctl_says_is_judged_by_its_report_and_never_by_its_exit_status() {
    let smartctl = peer("smartctl");
    let folder = tempfile::tempdir().expect("a folder");
    // For the plugins' user too.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("a folder for everybody");
    let written = folder.path().join("sda.json");
    let now = jiff::Timestamp::now().as_second();
    // By hand, in smartctl's shape: a disk with sectors that wait, whose log of errors makes smartctl end with 64.
    let report = format!(
        r#"{{"smartctl":{{"version":[7,3],"exit_status":64}},"local_time":{{"time_t":{now}}},"device":{{"name":"/dev/sda"}},"model_name":"ACME DT01","serial_number":"S1","smart_status":{{"passed":true}},"ata_smart_attributes":{{"table":[{{"id":197,"name":"Current_Pending_Sector","when_failed":"","raw":{{"value":3}}}}]}},"temperature":{{"current":35}}}}"#
    );
    std::fs::write(&written, report).expect("a report");
    let commands: [(&str, Vec<String>); 4] = [
        ("gone", vec!["--json=c".into(), "-a".into(), "-d".into(), "sat".into(), "/dev/upheld-none".into()]),
        ("scan", vec!["--json=c".into(), "--scan".into()]),
        ("text", vec!["--version".into()]),
        ("cat", vec![written.display().to_string()]),
    ];
    let mut allow = "[commands]\n".to_owned();
    for (name, arguments) in &commands {
        let program = if *name == "cat" { "/bin/cat".to_owned() } else { smartctl.display().to_string() };
        let words: Vec<String> = std::iter::once(&program).chain(arguments).map(|word| format!("{word:?}")).collect();
        writeln!(allow, "{name} = [{}]", words.join(", ")).expect("text grows");
    }
    let names = commands.iter().map(|(name, _)| *name).chain(["unwritten"]);
    let checks: Vec<String> =
        names.map(|name| format!("kind = \"host.smart\", name = \"{name}\", command = \"{name}\"")).collect();
    let (_collector, agent) = site(&checks, &allow);
    let seen = look(&mut check_now(&agent));
    for (name, is, reason, words) in [
        ("gone", "unknown", Some("cannot-probe"), "smartctl could not open the disk"),
        ("scan", "unknown", Some("cannot-probe"), "the report tells nothing of a disk's health"),
        ("text", "unknown", Some("cannot-probe"), "printed no report of smartctl --json"),
        ("cat", "warn", None, "ACME DT01: 3 sectors that wait to be reallocated"),
        ("unwritten", "unknown", Some("not-allowed"), "unwritten = [\"/usr/bin/cat\", \"/run/upheld-smart/sda.json\"]"),
    ] {
        let one = seen.iter().find(|seen| seen.name == name).expect("its check");
        println!("{one:?}");
        assert_eq!((one.is.as_str(), one.reason.as_deref()), (is, reason), "{one:?}");
        assert!(one.evidence.contains(words), "{one:?}");
    }
}

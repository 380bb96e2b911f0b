//! The Debian packages on a machine with the real systemd: installed, enrolled, reporting, killed, hung, rebooted,
//! upgraded, purged. And what systemd itself says of the units.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use upheld_delivery::journal::Urgency;
use upheld_model::{ObservedAt, Outcome, Sample};
use upheld_tests::{binary, book, journal, machine::Machine, peer, program, wait_for};
use upheld_wire::v1::Body;

const DATA: &str = "/var/lib/upheld-collector";
const STATE: &str = "/var/lib/upheld";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn security_5_systemd_finds_the_units_sound_and_exposes_next_to_nothing() {
    for (unit, program) in [
        ("agent/app/dist/upheld-agent.service", "upheld-agent"),
        ("collector/server/dist/upheld-collector.service", "upheld-collector"),
    ] {
        let unit = root().join(unit);
        let mut judge = Command::new(peer("systemd-analyze"));
        judge.args(["security", "--offline=true", "--no-pager", "--threshold=20"]).arg(&unit);
        let (code, out, err) = program::run(&mut judge);
        println!("{}", out.lines().last().unwrap_or_default());
        assert_eq!(code, Some(0), "more than 2.0\n{out}\n{err}");

        // `verify` wants the program to be there: the unit is looked at with the one that was built.
        let folder = tempfile::tempdir().expect("a folder");
        let text = std::fs::read_to_string(&unit).expect("the unit");
        let ours = binary(program).display().to_string();
        let text = text.replace(&format!("/usr/bin/{program}"), &ours);
        let copy = folder.path().join(unit.file_name().expect("a name"));
        program::write(&copy, &text);
        let (code, out, err) =
            program::run(Command::new(peer("systemd-analyze")).args(["verify", "--man=no"]).arg(&copy));
        assert_eq!(code, Some(0), "{out}\n{err}");
        assert!(!err.contains(&format!("{program}.service")), "{err}");
    }
}

/// Builds packages of this version from the programs as they are in target/debug.
fn packages(version: &str, names: &[&str]) -> Vec<PathBuf> {
    let built = |name: &&str| {
        let mut build = Command::new(root().join("dist/build-deb"));
        build.args(["--debug", "--version", version, "--only", name]);
        let (code, out, err) = program::run(&mut build);
        assert_eq!(code, Some(0), "{out}\n{err}");
        let found = std::fs::read_dir(root().join("target/debian")).expect("a folder").flatten();
        let mut found = found.map(|entry| entry.path());
        let wanted = format!("upheld-{name}_{version}_");
        found.find(|path| path.display().to_string().contains(&wanted)).expect("the package")
    };
    names.iter().map(built).collect()
}

/// The machine with both packages on it, a collector that serves and an agent that reports to it.
struct Site {
    machine: Machine,
    _book: tempfile::TempDir,
}

impl Site {
    fn installed() -> Self {
        let machine = Machine::boot();
        for package in packages("0.1.0-1", &["agent", "collector"]) {
            machine.put(&package, "root/package.deb");
            println!("{}", machine.sh("dpkg -i /root/package.deb 2>&1"));
        }
        let book = tempfile::tempdir().expect("a folder");
        let assets =
            "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [\n  { kind = \"host\", every = \"1s\" },\n]\n";
        book::write_book(book.path(), assets, None);
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(book.path()).arg(machine.path("etc/upheld-book"));
        assert_eq!(program::run(&mut copy).0, Some(0));
        machine.sh("chmod -R a+rX /etc/upheld-book");
        Self { machine, _book: book }
    }

    fn serve(&self) {
        self.collector("init --listen 127.0.0.1:7443");
        self.collector("book apply /etc/upheld-book");
        self.machine.sh("systemctl start upheld-collector");
        self.machine.wait_until("upheld-collector", "ActiveState", "active");
    }

    /// Enrols as an administrator does it: as root; the service starts by itself.
    fn enroll(&self) {
        self.enroll_by("upheld-agent");
    }

    fn enroll_by(&self, program: &str) {
        let token = self.collector(&format!("agent token --client {} --site {}", book::CLIENT, book::SITE));
        let token: Value = serde_json::from_str(&token).expect("JSON");
        println!(
            "{}",
            self.machine.sh(&format!("{program} enroll '{}' 2>&1", token["link"].as_str().expect("a link")))
        );
        self.machine.wait_until("upheld-agent", "ActiveState", "active");
    }

    fn collector(&self, arguments: &str) -> String {
        self.machine.sh(&format!("runuser -u upheld-collector -- upheld-collector {arguments} --data {DATA} --json"))
    }

    fn status(&self) -> Option<Value> {
        let (code, out, _) = self.machine.try_sh("upheld-agent status --json");
        (code == Some(0)).then(|| serde_json::from_str(&out).expect("JSON"))
    }

    fn wait_until_all_is_delivered(&self, within: u64) {
        wait_for("reports are taken and none waits", Duration::from_secs(within), || {
            let status = self.status()?;
            (status["standing"]["is"] == "good" && status["waiting"].as_u64()? <= 5).then_some(())
        });
    }

    fn restarts(&self) -> u32 {
        self.machine.show("upheld-agent", "NRestarts").parse().expect("a number")
    }

    /// How often an agent said this when it stopped.
    fn last_words(&self, reason: &str) -> i64 {
        let count = "SELECT count(*) FROM records WHERE body LIKE '%' || ?1 || '%'";
        self.database().query_row(count, [reason], |row| row.get(0)).expect("a count")
    }

    fn database(&self) -> rusqlite::Connection {
        let file = self.machine.path(&format!("{DATA}/upheld.db"));
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        rusqlite::Connection::open_with_flags(file, flags).expect("the database")
    }
}

#[test]
fn a_packaged_agent_lives_through_kill_hang_reboot_and_upgrade_and_loses_nothing() {
    if !upheld_tests::is_root() {
        println!("NOT TESTED: the packages need root (a machine of their own)");
        return;
    }
    let mut site = Site::installed();
    let modes = site.machine.sh(&format!("stat -c '%U %a' {STATE} /etc/upheld/agent.toml {DATA}"));
    assert_eq!(modes, "upheld 700\nupheld 600\nupheld-collector 700\n");
    assert_eq!(site.machine.show("upheld-agent", "ActiveState"), "inactive", "nobody is enrolled yet");
    site.machine.sh("test -e /usr/share/bash-completion/completions/upheld-agent");

    site.serve();
    site.enroll();
    site.wait_until_all_is_delivered(30);
    let said = site.machine.show("upheld-agent", "StatusText");
    println!("status line: {said}");
    assert!(!said.is_empty(), "the service manager shows how it goes");
    let owners = site.machine.sh(&format!("find {STATE} {DATA} -user root | head"));
    assert_eq!(owners, "", "files that the services could not use");

    // kill -9
    site.machine.sh("systemctl kill --signal=KILL --kill-whom=main upheld-agent");
    wait_for("restarted after kill -9", Duration::from_secs(30), || (site.restarts() >= 1).then_some(()));
    site.machine.wait_until("upheld-agent", "ActiveState", "active");

    // It hangs: the watchdog ends it. Shorter than shipped, so that the test does not wait a minute.
    site.machine.sh("mkdir -p /etc/systemd/system/upheld-agent.service.d
        printf '[Service]\\nWatchdogSec=3s\\nRestartSec=1s\\n' > /etc/systemd/system/upheld-agent.service.d/test.conf
        systemctl daemon-reload; systemctl restart upheld-agent");
    let before = site.restarts();
    site.machine.sh("systemctl kill --signal=STOP --kill-whom=main upheld-agent");
    wait_for("restarted by the watchdog", Duration::from_secs(60), || (site.restarts() > before).then_some(()));
    site.machine.wait_until("upheld-agent", "ActiveState", "active");
    site.machine.sh(
        "rm -r /etc/systemd/system/upheld-agent.service.d; systemctl daemon-reload; systemctl restart upheld-agent",
    );

    // A reboot: both come back by themselves.
    assert_eq!(site.last_words("shutdown requested"), 0, "restarts of the service are no shutdown of the host");
    assert!(site.last_words("SIGTERM") > 0);
    site.machine.reboot();
    site.machine.wait_until("upheld-collector", "ActiveState", "active");
    site.machine.wait_until("upheld-agent", "ActiveState", "active");
    site.wait_until_all_is_delivered(60);
    assert_eq!(site.last_words("shutdown requested"), 1, "the reboot was announced");
    println!("{}", site.machine.sh("upheld-agent doctor"));
    let packaged = site.machine.try_sh("upheld-agent service install");
    assert!(packaged.0 == Some(1) && packaged.2.contains("package brings the service"), "{packaged:?}");

    // An upgrade while hours wait to be sent.
    site.machine.sh("systemctl stop upheld-collector upheld-agent");
    let state = site.machine.path(STATE);
    let written: u64 = journal::lengths(&state).iter().map(|epoch| epoch.written).sum();
    journal::write_history(&state, &backlog());
    site.machine.sh(&format!("chown -R upheld:upheld {STATE}/journal"));
    let newer = packages("0.1.1-1", &["agent"]);
    site.machine.put(&newer[0], "root/package.deb");
    println!("{}", site.machine.sh("dpkg -i /root/package.deb 2>&1"));
    site.machine.wait_until("upheld-agent", "ActiveState", "active");
    site.machine.sh("systemctl start upheld-collector");
    site.wait_until_all_is_delivered(120);
    site.machine.sh("systemctl stop upheld-agent");
    assert_eq!(site.machine.sh("dpkg-query -W -f '${Version}' upheld-agent"), "0.1.1-1");
    let own: BTreeMap<String, u64> =
        journal::lengths(&state).iter().map(|epoch| (epoch.epoch.to_string(), epoch.written)).collect();
    let total: u64 = own.values().sum();
    let database = site.database();
    let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a count") as u64;
    let (records, distinct) =
        (count("SELECT count(*) FROM records"), count("SELECT count(DISTINCT record_id) FROM records"));
    println!("{written} records before, {total} at the end; the collector holds {records}, {distinct} different");
    assert!(total >= written + 360, "{total}");
    assert_eq!((records, distinct), (total, total), "records lost or doubled");

    site.machine.sh("dpkg --purge upheld-agent 2>&1");
    let left = site.machine.sh(&format!(
        "ls -d {STATE} /etc/upheld /usr/bin/upheld-agent 2>/dev/null || true; getent passwd upheld || true"
    ));
    assert_eq!(left, "", "purged");
    without_a_package(&site);
    let kept = site.machine.sh("dpkg --purge upheld-collector 2>&1");
    assert!(kept.contains("kept: /var/lib/upheld-collector"), "{kept}");
}

/// The same machine, the program alone: it makes itself a service, twice, over an older one, and takes it back.
fn without_a_package(site: &Site) {
    let machine = &site.machine;
    machine.put(&binary("upheld-agent"), "opt/upheld-agent");
    machine.sh("printf older > /usr/local/bin/upheld-agent");
    let refused = machine.try_sh("runuser -u nobody -- /opt/upheld-agent service install");
    assert!(refused.0 == Some(1) && refused.2.contains("only root may install"), "{refused:?}");
    let missing = machine.try_sh("/opt/upheld-agent service status");
    assert_eq!(missing.0, Some(69), "{missing:?}");

    println!("{}", machine.sh("/opt/upheld-agent service install"));
    site.enroll_by("/usr/local/bin/upheld-agent");
    site.wait_until_all_is_delivered(30);
    let identity = machine.sh(&format!("cat {STATE}/identity.json"));
    println!("{}", machine.sh("upheld-agent service install; upheld-agent service status; upheld-agent doctor"));
    machine.wait_until("upheld-agent", "ActiveState", "active");
    assert_eq!(machine.sh(&format!("cat {STATE}/identity.json")), identity, "it is still the same agent");

    machine.sh("upheld-agent service stop; ! systemctl is-active upheld-agent");
    let unprivileged = machine.try_sh("runuser -u nobody -- upheld-agent service start");
    assert!(unprivileged.2.contains("only root may start a service"), "{unprivileged:?}");
    machine.sh("upheld-agent service start && systemctl is-active upheld-agent");
    println!("{}", machine.sh("upheld-agent service uninstall"));
    assert_eq!(machine.show("upheld-agent", "LoadState"), "not-found");
    assert_eq!(machine.sh(&format!("cat {STATE}/identity.json")), identity, "keys and journal stay");
    let again = machine.sh("/opt/upheld-agent service uninstall");
    assert!(again.contains("nothing was changed"), "{again}");
    let doctor = machine.try_sh("/opt/upheld-agent doctor");
    println!("{}{}", doctor.1, doctor.2);
    assert!(doctor.0 == Some(1) && doctor.1.contains("no agent runs"), "{doctor:?}");
}

/// An hour of reports that nobody has taken yet.
fn backlog() -> Vec<(Timestamp, Body, Urgency)> {
    let begun = Timestamp::now() - SignedDuration::from_mins(61);
    let report = |round: i64| {
        let at = begun + SignedDuration::from_secs(10 * round);
        let sample = Sample {
            check: "srv-1/host".parse().expect("a check"),
            at: ObservedAt(at),
            took_us: 900,
            outcome: Outcome::Ok,
            values: BTreeMap::new(),
            counters: BTreeMap::new(),
            evidence: None,
        };
        (at, Body { samples: vec![sample], ..Body::default() }, Urgency::Soon)
    };
    (0..360).map(report).collect()
}

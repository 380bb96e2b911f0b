//! Services of a machine with the real systemd, asked by the real agent as a user without any right; and what they write
//! into its journal, read by one with the right to it.

use std::{process::Command, time::Duration};

use serde_json::Value;
use upheld_tests::{Agent, Collector, binary, book, machine::Machine, program, wait_for};

/// Units and what each is there for; those of [`ENABLED`] start with the machine.
const UNITS: &[(&str, &str)] = &[
    ("good.service", "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"),
    ("failing.service", "[Service]\nExecStart=/bin/sh -c 'exit 3'\n"),
    ("stopped.service", "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"),
    ("oneshot.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"),
    ("timed.service", "[Service]\nExecStart=/bin/true\n"),
    ("timed.timer", "[Timer]\nOnCalendar=yearly\n[Install]\nWantedBy=timers.target\n"),
    (
        "crashing.service",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sh -c 'sleep 0.2; exit 7'\nRestart=always\n\
         RestartSec=200ms\n",
    ),
    (
        "elsewhere.service",
        "[Unit]\nConditionPathExists=/nowhere\n[Service]\nExecStart=/bin/sleep infinity\n[Install]\n\
         WantedBy=multi-user.target\n",
    ),
    (
        "talking.service",
        "[Service]\nType=oneshot\nExecStart=/bin/echo all well\nExecStart=/bin/echo ERROR disk 3 is lost\n\
         ExecStart=/bin/printf 'ERROR but \\377 harmless\\n'\n",
    ),
];

#[test]
fn services_are_told_as_systemd_has_them_and_never_up_where_nobody_can_say() {
    if !upheld_tests::is_root() {
        println!("NOT TESTED: booting systemd needs root");
        return;
    }
    let site = Site::booted();
    let seen = site.look();
    for (check, outcome, part) in [
        ("good", "ok", "good.service is active (running)"),
        ("failing", "bad", "failing.service has failed: it ended with exit status 3"),
        ("stopped", "bad", "stopped.service does not run: nobody started it, or somebody stopped it"),
        ("oneshot", "ok", "oneshot.service has done its work"),
        ("timed", "ok", "timed.service waits to be started by timed.timer"),
        ("timer", "ok", "timed.timer is active (waiting)"),
        ("elsewhere", "bad", "a condition of its unit file is not met"),
        ("missing", "unknown", "this host has no service missing.service"),
        ("enabled", "bad", "services that start with this host do not run: stopped.service does not run"),
    ] {
        let row = row(&seen, check);
        println!("{row}");
        assert_eq!(row["outcome"]["is"], outcome, "{row}");
        assert!(row["evidence"].as_str().expect("evidence").contains(part), "{part}: {row}");
    }
    let enabled = row(&seen, "enabled");
    assert_eq!(enabled["values"]["not_running"], 1.0, "a stock machine's own services are not accused: {enabled}");

    // What starts again and again is told by systemd's count, whatever it does at the moment of a look.
    let loops = site.record("crashing", "4s");
    let last = loops.last().expect("samples");
    println!("{last}");
    assert!(last["values"]["restarts_in_10_min"].as_f64() >= Some(3.0), "{last}");
    let is_loop = |sample: &&Value| sample["values"]["restarts_in_10_min"].as_f64() >= Some(3.0);
    assert!(loops.iter().filter(is_loop).all(|sample| sample["outcome"] == "bad"), "{loops:#?}");
    let counts: Vec<u64> = loops.iter().filter_map(|sample| sample["counters"]["restarts"][1].as_u64()).collect();
    assert!(counts.is_sorted() && counts.last() > counts.first(), "{counts:?}");

    site.machine.sh("systemctl start stopped.service; systemctl stop good.service
         ln -sf /dev/null /etc/systemd/system/good.service; systemctl daemon-reload");
    let seen = site.look();
    assert_eq!(row(&seen, "stopped")["outcome"]["is"], "ok");
    assert!(row(&seen, "good")["evidence"].as_str().expect("evidence").contains("good.service is masked"));

    the_journal_is_read_by_whoever_may_and_is_unknown_to_all_others(&site);

    site.machine.sh("systemctl stop dbus.socket dbus.service 2>/dev/null; rm -f /run/dbus/system_bus_socket");
    for row in &site.look() {
        assert_eq!(row["outcome"]["is"], "unknown", "nobody can say: {row}");
    }
}

fn the_journal_is_read_by_whoever_may_and_is_unknown_to_all_others(site: &Site) {
    const ALLOW: &str = "[logs]\ntalking = { journal = \"talking.service\" }\n";
    program::write(&site.machine.path("srv/allow.toml"), ALLOW);
    // Tom has a journal of his own, of which journalctl shows him what there is (nothing) without a complaint.
    site.machine
        .sh("useradd tom; cp -r /srv/state /srv/toms; chown -R tom /srv/toms; runuser -u tom -- systemd-cat echo mine
         systemctl start talking.service; journalctl --sync");
    assert_eq!(site.machine.try_sh("runuser -u tom -- journalctl -u talking.service").1.trim(), "-- No entries --");
    let toms = agent_line("check now talking --json").replace("/srv/state", "/srv/toms").replace("nobody", "tom");
    let as_root = agent_line("check now talking --json").replace("runuser -u nobody -- ", "");
    for (line, part) in [
        (agent_line("check now talking --json"), "usermod -aG systemd-journal nobody; systemctl restart upheld-agent"),
        (toms, "usermod -aG systemd-journal tom; "),
        (as_root, "run the agent as a user of its own"),
    ] {
        let row = row(&rows(&site.machine.sh(&line)), "talking").clone();
        println!("{row}");
        assert_eq!(
            (&row["outcome"]["is"], &row["outcome"]["reason"]),
            (&"unknown".into(), &"permission".into()),
            "{row}"
        );
        assert!(row["evidence"].as_str().expect("evidence").contains(part), "{part}: {row}");
    }

    // As the package's unit has it, with the group.
    let unit =
        std::fs::read_to_string(format!("{}/../agent/app/dist/upheld-agent.service", env!("CARGO_MANIFEST_DIR")));
    let unit = unit.expect("the package's unit");
    let fence = unit.split("# One right").nth(1).and_then(|rest| rest.split("[Install]").next()).expect("its fence");
    let fence: String = fence.lines().filter(|line| line.contains('=')).map(|line| format!(" -p '{line}'")).collect();
    site.machine.sh(&format!(
        "systemd-run --quiet --unit=looks -p User=nobody -p SupplementaryGroups=systemd-journal{fence} \
         -p ReadWritePaths=/srv -p StandardOutput=file:/srv/seen \
         upheld-agent --state /srv/state --allow /srv/allow.toml record --for 100s"
    ));
    let seen = |what: &str, is_it: &dyn Fn(&Value) -> bool| {
        wait_for(what, Duration::from_secs(40), || {
            let text = std::fs::read_to_string(site.machine.path("srv/seen")).ok()?;
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let found = lines.filter(|line| line["check"] == "talking").find(|line| is_it(line));
            found.inspect(|line| println!("{line}"))
        })
    };
    let matches = |line: &Value| line["counters"]["matches"][1].as_u64();
    let first = seen("a first look", &|line| line["outcome"] == "ok");
    assert_eq!((matches(&first), &first["values"]["lines_read"]), (Some(0), &0.0.into()), "what was there is not read");

    site.machine.sh("systemctl start talking.service");
    let bad = seen("lines that match", &|line| matches(line) > Some(0));
    assert_eq!((&bad["outcome"], matches(&bad)), (&"bad".into(), Some(1)), "{bad}");
    assert_eq!(bad["values"]["line 1"], "ERROR disk 3 is lost", "{bad}");

    // What was read is deleted; what comes is read, and none of it twice.
    site.machine.sh("journalctl --rotate; journalctl --vacuum-size=1; systemctl start talking.service");
    let anew = seen("lines behind the place that is gone", &|line| matches(line) > Some(1));
    assert_eq!((matches(&anew), &anew["values"]["matches"]), (Some(2), &2.0.into()), "{anew}");
    site.machine.sh("systemctl stop looks.service");
}

/// The machine, and in it the state of an agent that has its checks.
struct Site {
    machine: Machine,
}

impl Site {
    fn booted() -> Self {
        let machine = Machine::boot();
        for (name, text) in UNITS {
            program::write(&machine.path(&format!("etc/systemd/system/{name}")), text);
        }
        machine.put(&binary("upheld-agent"), "usr/bin/upheld-agent");
        machine.sh(
            // This machine has no console: its getty ends at once, again and again.
            "systemctl mask --now --runtime console-getty.service; systemctl daemon-reload
             systemctl enable good.service stopped.service oneshot.service elsewhere.service
             systemctl start good.service oneshot.service timed.timer crashing.service elsewhere.service
             systemctl start --no-block failing.service",
        );
        machine.wait_until("failing.service", "ActiveState", "failed");
        let agent = configured();
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(agent.state()).arg(machine.path("srv/state"));
        assert_eq!(program::run(&mut copy).0, Some(0));
        program::write(&machine.path("srv/allow.toml"), "");
        machine.sh("chown -R nobody /srv/state");
        Self { machine }
    }

    /// What each check says once.
    fn look(&self) -> Vec<Value> {
        rows(&self.machine.sh(&agent_line("check now --json")))
    }

    /// What one check says for a while.
    fn record(&self, check: &str, lasts: &str) -> Vec<Value> {
        let said = self.machine.sh(&agent_line(&format!("record --for {lasts} 2>/dev/null")));
        let lines = said.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.filter(|line| line["check"] == check).collect()
    }
}

fn agent_line(verb: &str) -> String {
    format!("runuser -u nobody -- upheld-agent --state /srv/state --allow /srv/allow.toml {verb}")
}

fn rows(said: &str) -> Vec<Value> {
    let report: Value = serde_json::from_str(said).expect("JSON");
    report["checks"].as_array().expect("checks").clone()
}

fn row<'a>(rows: &'a [Value], check: &str) -> &'a Value {
    let is_it = |row: &&Value| row["check"] == format!("srv-1/{check}");
    rows.iter().find(is_it).unwrap_or_else(|| panic!("no {check} in {rows:#?}"))
}

/// An agent that was told its checks, and has ended.
fn configured() -> Agent {
    let mut collector = Collector::new();
    let folder = collector.folder().join("book");
    let names = ["good", "failing", "stopped", "oneshot", "timed", "crashing", "elsewhere", "missing"];
    let mut checks: Vec<String> = names
        .iter()
        .map(|name| format!("{{ kind = \"service\", name = \"{name}\", unit = \"{name}.service\", every = \"1s\" }}"))
        .collect();
    checks.push(r#"{ kind = "service", name = "timer", unit = "timed.timer", every = "1s" }"#.to_owned());
    checks.push(r#"{ kind = "service", name = "enabled", every = "1s" }"#.to_owned());
    checks.push(
        r#"{ kind = "log", name = "talking", log = "talking", match = ["ERROR"], ignore = ["harmless"], every = "5s" }"#
            .to_owned(),
    );
    let asset =
        format!("\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [\n  {},\n]\n", checks.join(",\n  "));
    book::write_book(&folder, &asset, None);
    collector.apply(&folder);
    collector.serve();
    let mut agent = Agent::enroll(&collector.link(collector.port), "");
    agent.run();
    wait_for("the agent has its checks", Duration::from_secs(60), || {
        let status = agent.status()?;
        (status["checks"].as_array()?.len() == checks.len()).then_some(())
    });
    agent.program().stop();
    agent
}

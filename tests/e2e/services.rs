//! Services of a machine with the real systemd, asked by the real agent as a user without any right.

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

    site.machine.sh("systemctl stop dbus.socket dbus.service 2>/dev/null; rm -f /run/dbus/system_bus_socket");
    for row in &site.look() {
        assert_eq!(row["outcome"]["is"], "unknown", "nobody can say: {row}");
    }
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
        let said = self.machine.sh(&agent_line("check now --json"));
        let report: Value = serde_json::from_str(&said).expect("JSON");
        report["checks"].as_array().expect("checks").clone()
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

//! SECURITY 1: an enrolled agent runs one program, itself, for as long as it lives, and besides that what its site's own
//! file spells out.

use std::{fs, os::unix::fs::PermissionsExt, process::Command, time::Duration};

use serde_json::Value;
use upheld_tests::{Agent, Collector, binary, book, peer, peers::peer_folder, program, wait_for};

#[test]
fn a_traced_agent_executes_nothing_but_itself() {
    let service = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let port = service.local_addr().expect("its address").port();
    let mut collector = Collector::new();
    let rec = collector.folder().join("rec");
    fs::create_dir_all(&rec).expect("a folder");
    fs::write(rec.join("00.mp4"), [1; 4096]).expect("a file");
    let assets = format!(
        "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [\n  {{ kind = \"host\", every = \"1s\" }},\n  \
         {{ kind = \"net.tcp\", target = \"127.0.0.1\", port = {port}, every = \"1s\" }},\n  \
         {{ kind = \"net.icmp\", target = \"127.0.0.1\", every = \"1s\" }},\n  \
         {{ kind = \"net.http\", url = \"https://127.0.0.1:{portal}/healthz\", every = \"1s\" }},\n  \
         {{ kind = \"rec.freshness\", path = \"{rec}\", every = \"1s\" }},\n]\n",
        portal = collector.port,
        rec = rec.display(),
    );
    let folder = collector.folder().join("book");
    book::write_book(&folder, &assets, None);
    collector.apply(&folder);
    collector.serve();
    let allow = format!(
        "loopback_ports = [{port}, {}]\nloopback_echo = true\npaths = [\"{}\"]\n",
        collector.port,
        rec.display()
    );
    let mut agent = Agent::enroll(&collector.link(collector.port), &allow);

    let trace = run_traced(&mut agent);
    wait_for("every kind of check has run", Duration::from_secs(60), || {
        let status = agent.status()?;
        let checks = status["checks"].as_array()?;
        let seen = checks.iter().filter(|check| check["state"] == "ok").count();
        (checks.len() == 5 && seen >= 4 && status["waiting"] == 0).then_some(())
    });
    // With -D the process that was started is the agent; strace is its grandchild.
    agent.program().stop();

    let text = fs::read_to_string(&trace).expect("the trace");
    let executed: Vec<&str> = text.lines().filter(|line| line.contains("execve")).collect();
    println!("{}", executed.join("\n"));
    assert_eq!(executed.len(), 1, "the agent executed something:\n{text}");
    assert!(executed[0].contains("upheld-agent"), "{}", executed[0]);
}

/// Runs the agent so that each program that it or a child of its executes is written down; where.
fn run_traced(agent: &mut Agent) -> std::path::PathBuf {
    let trace = agent.folder().join("trace");
    let mut traced = Command::new(peer("strace"));
    traced.args(["-D", "-f", "-qq", "-s", "400", "-e", "trace=execve,execveat", "-o"]).arg(&trace);
    traced.arg(binary("upheld-agent")).arg("--state").arg(agent.state()).arg("run");
    agent.run_as(&mut traced);
    trace
}

/// Debian's own plugins: (name, its arguments, the outcome, what it says, a value that it measures).
const PLUGINS: &[(&str, &[&str], &str, &str, &str)] = &[
    ("check_load", &["-w", "10000,10000,10000", "-c", "20000,20000,20000"], "ok", "LOAD OK - ", "perf load1"),
    ("check_procs", &["-w", "1:100000", "-c", "1:200000"], "ok", "PROCS OK: ", "perf procs"),
    ("check_disk", &["-w", "1", "-c", "1", "-p", "/"], "ok", "DISK OK - free space: /", "perf_bytes /"),
    // More is free than can be: critical.
    ("check_swap", &["-w", "2000000000000", "-c", "1000000000000"], "bad", "SWAP CRITICAL", "perf_bytes swap"),
    ("check_dummy", &["3", "no controller"], "unknown", "UNKNOWN: no controller", ""),
];

#[test]
fn a_command_of_the_sites_file_runs_as_it_is_spelt_out_and_no_other_does() {
    let plugins = peer_folder("root/usr/lib/nagios/plugins");
    let mut collector = Collector::new();
    // Where `nobody` can reach them too: the agent of this test may be root's.
    let folder = tempfile::TempDir::new().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
    let (mut allow, mut checks) = ("[commands]\n".to_owned(), Vec::new());
    for (name, arguments, ..) in PLUGINS {
        fs::copy(plugins.join(name), folder.path().join(name)).expect("the plugin");
        let program = folder.path().join(name).display().to_string();
        let argv: Vec<&str> = [program.as_str()].into_iter().chain(arguments.iter().copied()).collect();
        allow += &format!("{name} = {argv:?}\n");
        checks.push(format!("{{ kind = \"exec.nagios\", name = \"{name}\", command = \"{name}\", every = \"10s\" }}"));
    }
    // Named by the collector, and spelt out by nobody.
    checks.push(r#"{ kind = "exec.nagios", name = "sh", command = "sh", every = "10s" }"#.to_owned());
    let assets =
        format!("\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [\n  {},\n]\n", checks.join(",\n  "));
    let book = collector.folder().join("book");
    book::write_book(&book, &assets, None);
    collector.apply(&book);
    collector.serve();
    let mut agent = Agent::enroll(&collector.link(collector.port), &allow);
    let trace = run_traced(&mut agent);
    wait_for("every command has run", Duration::from_secs(60), || {
        let status = agent.status()?;
        let checks = status["checks"].as_array()?;
        let is_settled = |check: &&Value| check["state"] != "unknown" || check["reason"] != "pending";
        (checks.len() == PLUGINS.len() + 1 && checks.iter().filter(is_settled).count() == checks.len()).then_some(())
    });
    agent.program().stop();

    let (code, out, err) = program::run(agent.command(&["check", "now"]).arg("--json"));
    assert_eq!(code, Some(0), "{err}");
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let rows = report["checks"].as_array().expect("checks");
    let row = |name: &str| rows.iter().find(|row| row["check"] == format!("srv-1/{name}")).expect("its row");
    for (name, _, outcome, said, value) in PLUGINS {
        let row = row(name);
        println!("{row}");
        assert_eq!(row["outcome"]["is"], *outcome, "{row}");
        assert!(row["evidence"].as_str().expect("evidence").contains(said), "{said}: {row}");
        assert!(value.is_empty() || row["values"][value].is_number(), "{value}: {row}");
    }
    assert_eq!(row("sh")["outcome"]["reason"], "not-allowed", "{}", row("sh"));

    let text = fs::read_to_string(&trace).expect("the trace");
    let executed: Vec<&str> = text.lines().filter(|line| line.contains("execve(")).collect();
    let agents = executed.iter().filter(|line| line.contains("upheld-agent")).count();
    assert_eq!(agents, 1, "{executed:#?}");
    for line in executed.iter().filter(|line| !line.contains("upheld-agent")) {
        let is_spelt_out = |(name, arguments, ..): &(&str, &[&str], &str, &str, &str)| {
            let words: String = arguments.iter().map(|word| format!(", \"{word}\"")).collect();
            line.contains(&format!("\"{}\"{words}]", folder.path().join(name).display()))
        };
        // check_procs runs ps, check_load uptime: what a plugin executes is its own.
        assert!(PLUGINS.iter().any(is_spelt_out) || line.contains("/ps\"") || line.contains("/uptime\""), "{line}");
    }
    let (code, out, _) = program::run(&mut agent.command(&["status", "--sends"]));
    assert!(
        code == Some(0) && out.contains("the command check_load, if this site's allow.toml spells it out"),
        "{out}"
    );
    collector.program().assert_no_errors();
    agent.program().assert_no_errors();
}

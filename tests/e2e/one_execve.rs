//! SECURITY 1: an enrolled agent runs one program, itself, for as long as it lives.

use std::{fs, process::Command, time::Duration};

use upheld_tests::{Agent, Collector, binary, book, peer, wait_for};

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

    let trace = agent.folder().join("trace");
    let mut traced = Command::new(peer("strace"));
    traced.args(["-D", "-f", "-qq", "-e", "trace=execve,execveat", "-o"]).arg(&trace);
    traced.arg(binary("upheld-agent")).arg("--state").arg(agent.state()).arg("run");
    agent.run_as(&mut traced);
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

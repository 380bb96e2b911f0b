//! The agent's processor time and memory for 20 checks every 10 s plus host metrics, beside monit doing the same, in
//! one run. Usage: `agent_footprint [SECONDS]` (default 120), after `cargo build --release --bins`.

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::Command,
    thread,
    time::Duration,
};

use upheld_benches::Usage;
use upheld_tests::{Agent, Collector, book, peer, program::Program, wait_for};

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(120);
    let port = serve_http();
    let mut collector = Collector::new();
    let folder = collector.folder().join("book");
    book::write_book(&folder, &assets(port), None);
    collector.apply(&folder);
    collector.serve();
    let mut agent =
        Agent::enroll(&collector.link(collector.port), &format!("loopback_ports = [{port}]\nloopback_echo = true\n"));
    agent.run();
    wait_for("every check has run", Duration::from_secs(60), || {
        let status = agent.status()?;
        let checks = status["checks"].as_array()?;
        (checks.len() == 21 && checks.iter().all(|check| check["state"] == "ok")).then_some(())
    });
    let mut monit = start_monit(port, collector.folder());
    thread::sleep(Duration::from_secs(15));

    let pids = [("upheld-agent", agent.program().pid()), ("monit", monit.pid())];
    let before = pids.map(|(_, pid)| Usage::of(pid).expect("it runs"));
    thread::sleep(Duration::from_secs(seconds));
    let used: Vec<Usage> =
        pids.iter().zip(before).map(|((_, pid), before)| Usage::of(*pid).expect("it runs").since(before)).collect();

    println!("20 checks (7 ICMP, 7 TCP, 6 HTTP) every 10 s and host metrics, {seconds} s");
    for ((name, _), used) in pids.iter().zip(&used) {
        let per_hour = used.cpu.as_secs_f64() * 3600.0 / seconds as f64;
        let wakeups = used.wakeups as f64 / seconds as f64;
        println!(
            "{name:<13} {per_hour:6.2} CPU s/h  {:6.1} MB  {wakeups:5.1} wake-ups/s",
            used.rss_kib as f64 / 1024.0
        );
    }
    println!(
        "ratio to monit: CPU {:.2}, RSS {:.2}",
        used[0].cpu.as_secs_f64() / used[1].cpu.as_secs_f64().max(0.01),
        used[0].rss_kib as f64 / used[1].rss_kib as f64
    );
    monit.kill();
    agent.program().stop();
    collector.program().stop();
}

fn assets(port: u16) -> String {
    let mut checks = vec!["{ kind = \"host\", every = \"10s\" }".to_owned()];
    for number in 0..7 {
        let address = format!("127.0.1.{}", number + 1);
        checks.push(format!(
            "{{ kind = \"net.icmp\", name = \"ping-{number}\", target = \"{address}\", every = \"10s\" }}"
        ));
        checks.push(format!(
            "{{ kind = \"net.tcp\", name = \"tcp-{number}\", target = \"{address}\", port = {port}, every = \"10s\" }}"
        ));
    }
    for number in 0..6 {
        let url = format!("http://127.0.1.{}:{port}/", number + 1);
        checks.push(format!("{{ kind = \"net.http\", name = \"http-{number}\", url = \"{url}\", every = \"10s\" }}"));
    }
    format!("\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [\n  {},\n]\n", checks.join(",\n  "))
}

/// A web server that costs next to nothing, in this process: neither watcher pays for it.
fn serve_http() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut request = [0; 4096];
                // A visitor that only connects sends nothing.
                if stream.read(&mut request).is_ok_and(|read| read > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n");
                }
            });
        }
    });
    port
}

fn start_monit(port: u16, folder: &std::path::Path) -> Program {
    let mut text = format!(
        "set daemon 10\nset log {log}\nset idfile {id}\nset statefile {state}\nset pidfile {pid}\n\
         check system here\n  if loadavg (5min) > 1000 then alert\n",
        log = folder.join("monit.log").display(),
        id = folder.join("monit.id").display(),
        state = folder.join("monit.state").display(),
        pid = folder.join("monit.pid").display(),
    );
    for number in 0..7 {
        let address = format!("127.0.1.{}", number + 1);
        text += &format!("check host ping{number} with address {address}\n  if failed ping then alert\n");
        text +=
            &format!("check host tcp{number} with address {address}\n  if failed port {port} type tcp then alert\n");
    }
    for number in 0..6 {
        let address = format!("127.0.1.{}", number + 1);
        text += &format!(
            "check host http{number} with address {address}\n  if failed port {port} protocol http then alert\n"
        );
    }
    let config = folder.join("monitrc");
    upheld_tests::program::write(&config, &text);
    let mut permissions = std::fs::metadata(&config).expect("the file").permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    std::fs::set_permissions(&config, permissions).expect("monit wants 0600");
    let mut command = Command::new(peer("monit"));
    command.arg("-I").arg("-c").arg(&config);
    Program::start("monit", &mut command, &folder.join("monit.out"))
}

//! The agent's processor time and memory for 20 checks every 10 s plus host metrics, beside monit, collectd and
//! zabbix_agentd doing what they can of it, in one run. Usage: `agent_footprint [SECONDS]` (default 600: processor time
//! is counted in ticks of 10 ms), after `cargo build --release --bins` and
//! `cargo build --profile agent -p upheld-agent`.
//!
//! monit does all of it. collectd has no TCP check; its pings, pages and host metrics are the same. zabbix_agentd has no
//! echo, asks nobody by itself and is asked here for its items as a server would ask it.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use upheld_benches::{Memory, Usage};
use upheld_tests::{Agent, Collector, book, peer, peers::peer_folder, program::Program, wait_for};

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(600);
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
    let folder = collector.folder();
    // Zabbix takes no port above 32767.
    let zabbix_port =
        (20_000..32_767).find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).expect("a free port");
    // collectd writes to no folder whose name begins with a dot, as those of tests do.
    let plain = tempfile::Builder::new().prefix("upheld-footprint-").tempdir().expect("a folder");
    let mut others = [
        ("monit", start_monit(port, folder)),
        ("collectd", start_collectd(port, plain.path())),
        ("zabbix_agentd", start_zabbix(zabbix_port, folder)),
    ];
    thread::spawn(move || ask_zabbix(zabbix_port, port));
    thread::sleep(Duration::from_secs(25));

    let mut pids = vec![("upheld-agent", agent.program().pid())];
    pids.extend(others.iter().map(|(name, program)| (*name, program.pid())));
    let read = || pids.iter().map(|(name, pid)| Usage::of(*pid).unwrap_or_else(|| panic!("{name} has ended")));
    let before: Vec<Usage> = read().collect();
    thread::sleep(Duration::from_secs(seconds));
    let used: Vec<Usage> = read().zip(before).map(|(now, before)| now.since(before)).collect();

    let ours = used[0];
    println!("20 checks (7 ICMP, 7 TCP, 6 HTTP) every 10 s and host metrics, {seconds} s");
    for ((name, _), used) in pids.iter().zip(&used) {
        let ratio = |ours: f64, theirs: f64| format!("{:.2} x", ours / theirs.max(0.01));
        println!(
            "{name:<13} {:6.2} CPU s/h  {:5.1} MB  {:5.1} wake-ups/s  ours beside it: CPU {}, memory {}",
            used.cpu.as_secs_f64() * 3600.0 / seconds as f64,
            used.rss_kib as f64 / 1024.0,
            used.wakeups as f64 / seconds as f64,
            ratio(ours.cpu.as_secs_f64(), used.cpu.as_secs_f64()),
            ratio(ours.rss_kib as f64, used.rss_kib as f64),
        );
    }
    println!("the agent's memory, part by part:");
    for part in Memory::of(pids[0].1) {
        println!("  {:6.2} MB  {}", part.kib as f64 / 1024.0, part.name);
    }
    for (_, program) in &mut others {
        program.stop();
    }
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

fn start_monit(port: u16, folder: &Path) -> Program {
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

fn start_collectd(port: u16, folder: &Path) -> Program {
    let root = peer_folder("root");
    let mut text = format!(
        "Interval 10\nBaseDir \"{base}\"\nPIDFile \"{base}/collectd.pid\"\nPluginDir \"{plugins}\"\n\
         TypesDB \"{types}\"\nLoadPlugin logfile\n<Plugin logfile>\n  LogLevel warning\n  File STDOUT\n</Plugin>\n\
         LoadPlugin csv\n<Plugin csv>\n  DataDir \"{base}/csv\"\n</Plugin>\n\
         LoadPlugin cpu\nLoadPlugin load\nLoadPlugin memory\nLoadPlugin swap\nLoadPlugin df\nLoadPlugin disk\n\
         LoadPlugin interface\nLoadPlugin uptime\nLoadPlugin ping\nLoadPlugin curl\n<Plugin ping>\n  Interval 10\n",
        base = folder.join("collectd").display(),
        plugins = root.join("usr/lib/collectd").display(),
        types = root.join("usr/share/collectd/types.db").display(),
    );
    for number in 0..7 {
        text += &format!("  Host \"127.0.1.{}\"\n", number + 1);
    }
    text += "</Plugin>\n<Plugin curl>\n";
    for number in 0..6 {
        text += &format!(
            "  <Page \"http{number}\">\n    URL \"http://127.0.1.{}:{port}/\"\n    MeasureResponseTime true\n  </Page>\n",
            number + 1
        );
    }
    text += "</Plugin>\n";
    let config = folder.join("collectd.conf");
    upheld_tests::program::write(&config, &text);
    let mut command = Command::new(peer("collectd"));
    command.arg("-f").arg("-C").arg(&config);
    Program::start("collectd", &mut command, &folder.join("collectd.out"))
}

fn start_zabbix(port: u16, folder: &Path) -> Program {
    let text = format!(
        "Server=127.0.0.1\nListenIP=127.0.0.1\nListenPort={port}\nLogType=console\nDebugLevel=2\nAllowRoot=1\n\
         PidFile={pid}\nHostname=bench\n",
        pid = folder.join("zabbix.pid").display()
    );
    let config = folder.join("zabbix_agentd.conf");
    upheld_tests::program::write(&config, &text);
    let mut command = Command::new(peer("zabbix_agentd"));
    command.arg("-f").arg("-c").arg(&config);
    Program::start("zabbix_agentd", &mut command, &folder.join("zabbix.out"))
}

/// What a Zabbix server would do: asks for each item every 10 s, by its passive protocol.
fn ask_zabbix(agent: u16, port: u16) {
    let mut items: Vec<String> = [
        "system.cpu.util",
        "system.cpu.load[all,avg1]",
        "vm.memory.size[available]",
        "system.swap.size[,pused]",
        "vfs.fs.size[/,pused]",
        "vfs.fs.inode[/,pused]",
        "net.if.in[lo]",
        "system.uptime",
    ]
    .map(str::to_owned)
    .into();
    items.extend((1..=7).map(|number| format!("net.tcp.service[tcp,127.0.1.{number},{port}]")));
    items.extend((1..=6).map(|number| format!("net.tcp.service[http,127.0.1.{number},{port}]")));
    loop {
        for item in &items {
            let mut answer = Vec::new();
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", agent)) {
                let mut request = b"ZBXD\x01".to_vec();
                request.extend((item.len() as u64).to_le_bytes());
                request.extend(item.as_bytes());
                let _ = stream.write_all(&request);
                let _ = stream.read_to_end(&mut answer);
            }
            let answer = String::from_utf8_lossy(&answer);
            if answer.is_empty() || answer.contains("ZBX_NOTSUPPORTED") {
                eprintln!("zabbix_agentd does not answer {item}: {answer}; its figures count for less");
            }
        }
        thread::sleep(Duration::from_secs(10));
    }
}

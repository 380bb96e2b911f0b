//! A real nginx: its error log and its processes, watched by the real agent while it is hurt, rotated, killed and started
//! again, and the incidents that come of it at the real collector.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use upheld_tests::{Agent, Collector, book, free_port, peer, program, program::Program, wait_for};

const LONG: Duration = Duration::from_secs(240);

#[test]
fn a_web_server_that_loses_workers_is_told_by_its_log_and_one_that_dies_by_its_processes() {
    let web = Web::new();
    let mut site = Site::watching(&web);
    assert_eq!(site.row("web-1/log")["outcome"]["is"], "ok");
    let process = site.row("srv-1/process");
    assert!(said(&process).starts_with(&format!("2 processes {}: pid ", web.name)), "a master and a worker: {process}");
    let other = site.row("web-1/other");
    assert_eq!(other["outcome"]["is"], "unknown", "the site has not named it: {other}");
    assert!(said(&other).contains("allow.toml has no log shadow"), "{other}");

    // What is no trouble opens nothing, also where nginx itself calls it an error.
    web.ask("/no-such-page");
    web.hurt_worker();
    site.opened("web-1: the log nginx-error has a line that must not be there", "host");
    // `check now` goes on from what the running agent wrote down last, within the minute.
    let row = wait_for("what was read is written down", LONG, || {
        Some(site.row("web-1/log")).filter(|row| row["outcome"]["is"] == "bad")
    });
    println!("{row}");
    let words = said(&row);
    assert!(words.starts_with("nginx-error: 1 line matches within 10 min, since "), "{words}");
    assert!(words.contains("[alert]") && words.contains("exited on signal 11"), "{words}");

    // As logrotate does it: renamed, and the program told; what it writes until then goes into the old file.
    fs::rename(web.path("error.log"), web.path("error.log.1")).expect("renaming");
    web.hurt_worker();
    web.reopen_logs();
    web.hurt_worker();
    wait_for("lines of the old file and of the new one are counted", LONG, || {
        said(&site.row("web-1/log")).starts_with("nginx-error: 3 lines match").then_some(())
    });
    assert_eq!(site.queue().len(), 1, "one bout, one incident: {:?}", site.queue());

    web.kill();
    let gone = format!("srv-1: process {} does not run as it should", web.name);
    site.opened(&gone, "service");
    let row = site.row("srv-1/process");
    println!("{row}");
    assert!(said(&row).starts_with(&format!("{} does not run; it was seen last at 20", web.name)), "{row}");
    web.start();
    wait_for("nginx runs again, and the log was quiet for two minutes", LONG, || {
        let is_ok = |check: &str| site.state(check) == "ok";
        (is_ok("srv-1/process") && is_ok("web-1/log")).then_some(())
    });
    let row = site.row("srv-1/process");
    println!("{row}");
    assert_eq!(row["outcome"]["is"], "ok");
    wait_for("both incidents are restored", LONG, || {
        site.queue().iter().all(|row| row["restored"].is_string() || row["state"] == "watching").then_some(())
    });

    let sends = program::run(&mut site.agent.command(&["status", "--sends"])).1;
    println!("{sends}");
    assert!(sends.contains("the log nginx-error, if this site's allow.toml names it, for lines that match"), "{sends}");
    assert!(sends.contains(&format!("the processes called {}", web.name)), "{sends}");
    site.agent.program().stop();
    site.collector.program().assert_no_errors();
}

/// The words that a check gives for what it says.
fn said(row: &Value) -> String {
    row["evidence"].as_str().unwrap_or_default().to_owned()
}

/// Collector and agent that watch a web server.
struct Site {
    collector: Collector,
    agent: Agent,
}

impl Site {
    fn watching(web: &Web) -> Self {
        let mut collector = Collector::new();
        let folder = collector.folder().join("book");
        let often = "every = \"1s\", timeout = \"5s\"";
        let asset = format!(
            r#"
[[asset]]
id = "srv-1"
class = "server"
checks = [
  {{ kind = "process", process = "{}", at_least = 1, at_most = 8, {often} }},
]

# What it writes is another asset's: whatever fails of one asset is one incident.
[[asset]]
id = "web-1"
class = "other"
checks = [
  {{ kind = "log", log = "nginx-error", match = ['\[(crit|alert|emerg)\]'], ignore = ["open socket"], clear_after = "2min", {often} }},
  {{ kind = "log", name = "other", log = "shadow", match = "root", {often} }},
]
"#,
            web.name
        );
        book::write_book(&folder, &asset, None);
        collector.apply(&folder);
        collector.serve();
        let allow = format!("[logs]\nnginx-error = \"{}\"\n", web.path("error.log").display());
        let mut agent = Agent::enroll(&collector.link(collector.port), &allow);
        agent.run();
        let site = Self { collector, agent };
        wait_for("the agent watches", Duration::from_secs(60), || {
            (site.state("srv-1/process") == "ok" && site.state("web-1/log") == "ok").then_some(())
        });
        site
    }

    /// The state of a check at the agent.
    fn state(&self, check: &str) -> String {
        let status = self.agent.status().unwrap_or_default();
        let checks = status["checks"].as_array().cloned().unwrap_or_default();
        let found = checks.iter().find(|known| known["check"] == *check);
        found.and_then(|found| Some(found["state"].as_str()?.to_owned())).unwrap_or_default()
    }

    /// What a check says to `check now`.
    fn row(&self, check: &str) -> Value {
        let report = program::json(&mut self.agent.command(&["check", "now", "--json"]));
        let rows = report["checks"].as_array().cloned().unwrap_or_default();
        let is_it = |row: &Value| row["check"] == *check;
        rows.into_iter().find(is_it).unwrap_or_else(|| panic!("no {check} in {report:#}"))
    }

    fn queue(&self) -> Vec<Value> {
        let queue = self.collector.cli_json(&["queue"]);
        queue["queue"]["rows"].as_array().cloned().unwrap_or_default()
    }

    /// Waits for an incident of this title.
    fn opened(&self, title: &str, class: &str) {
        let row = wait_for(title, LONG, || self.queue().into_iter().find(|row| row["title"] == title));
        println!("{row}");
        assert_eq!(row["class"], class, "{row}");
    }
}

/// nginx with a master and a worker, under a name that no other program of this machine has.
struct Web {
    folder: tempfile::TempDir,
    name: String,
    port: u16,
    program: std::cell::RefCell<Option<Program>>,
}

impl Web {
    fn new() -> Self {
        let folder = tempfile::TempDir::new().expect("a folder");
        let name = format!("ngx-{}", std::process::id());
        let web = Self { folder, name, port: free_port(), program: None.into() };
        let user = if upheld_tests::is_root() { "user root;" } else { "" };
        let (work, port) = (web.folder.path().display(), web.port);
        program::write(
            &web.path("nginx.conf"),
            &format!(
                "{user} daemon off; worker_processes 1; pid {work}/pid; error_log {work}/error.log info;\nevents {{}}\n\
                 http {{ access_log off; client_body_temp_path {work}/t1; proxy_temp_path {work}/t2;\n\
                 fastcgi_temp_path {work}/t3; uwsgi_temp_path {work}/t4; scgi_temp_path {work}/t5;\n\
                 server {{ listen 127.0.0.1:{port}; root {work}; }} }}\n"
            ),
        );
        web.start();
        web
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self) {
        let mut command = Command::new("sh");
        command.arg(self.script()).args(["-e"]).arg(self.path("error.log"));
        command.arg("-p").arg(self.folder.path()).arg("-c").arg(self.path("nginx.conf"));
        let mut program = Program::start("nginx", &mut command, &self.path("output"));
        wait_for("nginx listens", Duration::from_secs(30), || {
            assert!(program.ended().is_none(), "nginx ended: {}", program.log_text());
            (std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() && self.worker().is_some()).then_some(())
        });
        self.program.replace(Some(program));
    }

    /// Starts nginx under its name: the peer is a script that sets where its libraries are, or the program itself.
    fn script(&self) -> PathBuf {
        let (peer, called) = (peer("nginx"), self.path(&self.name));
        let wrapper = fs::read_to_string(&peer).unwrap_or_default();
        let real = wrapper.split('"').find(|part| part.ends_with("/nginx")).map(str::to_owned);
        let real = real.unwrap_or_else(|| peer.display().to_string());
        if !called.exists() {
            symlink(&real, &called).expect("a link");
        }
        let text = if wrapper.contains(&real) {
            wrapper.replace(&real, &called.display().to_string())
        } else {
            format!("exec {} \"$@\"\n", called.display())
        };
        program::write(&self.path("script"), &text);
        self.path("script")
    }

    fn master(&self) -> Option<Pid> {
        pid(&fs::read_to_string(self.path("pid")).ok()?)
    }

    fn worker(&self) -> Option<Pid> {
        let master = self.master()?.as_raw_nonzero();
        pid(fs::read_to_string(Path::new("/proc").join(format!("{master}/task/{master}/children")))
            .ok()?
            .split(' ')
            .next()?)
    }

    /// A worker dies as one with a fault does; the master says so in the log and starts another.
    fn hurt_worker(&self) {
        let worker = wait_for("a worker", Duration::from_secs(30), || self.worker());
        kill_process(worker, Signal::SEGV).expect("sending SIGSEGV");
        wait_for("another worker", Duration::from_secs(30), || self.worker().filter(|next| *next != worker));
    }

    fn reopen_logs(&self) {
        kill_process(self.master().expect("a master"), Signal::USR1).expect("sending SIGUSR1");
        wait_for("a new log", Duration::from_secs(30), || self.path("error.log").exists().then_some(()));
    }

    /// Ends it as the kernel does when memory is short: the master first, so that nobody starts a worker.
    fn kill(&self) {
        let worker = self.worker();
        if let Some(mut program) = self.program.take() {
            program.kill();
        }
        if let Some(worker) = worker {
            // It ends by itself when its master is gone, perhaps already.
            let _ = kill_process(worker, Signal::KILL);
        }
    }

    fn ask(&self, page: &str) {
        let (code, _, _) = program::run(
            Command::new("curl").args(["-sS", "-o", "/dev/null"]).arg(format!("http://127.0.0.1:{}{page}", self.port)),
        );
        assert_eq!(code, Some(0));
        let text = || fs::read_to_string(self.path("error.log")).unwrap_or_default();
        wait_for("nginx says that it has no such page", Duration::from_secs(30), || {
            text().contains("[error]").then_some(())
        });
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.kill();
    }
}

fn pid(text: &str) -> Option<Pid> {
    Pid::from_raw(text.trim().parse().ok()?)
}

//! One echo to each of many addresses of this host by the agent's own probe, beside Debian's fping without pauses and
//! the blackbox exporter, in one run. Usage: `ping_sweep [TARGETS]` (default 10,000; ten times as many follow). Needs root.
//!
//! Ours runs in a process of its own, so that each side's processor time is that of one process from its start to its end.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::{
    runtime::Builder,
    sync::{Semaphore, mpsc},
    task::{LocalSet, spawn_local},
};
use upheld_benches::{Usage, median};
use upheld_model::{CheckSpec, Outcome, ProbeSpec, check::CHECKS_MAX};
use upheld_probe::{AllowList, Prober};
use upheld_tests::{free_port, peer, program::Program, wait_for};

/// Rounds, of which the median counts; each begins with the other side.
const ROUNDS: usize = 5;
/// As many probes run at once in the agent.
const AT_ONCE: usize = 64;
/// fping numbers its echoes by 16 bits and refuses more targets.
const FPING_MAX: u32 = 60_000;
/// Targets of the blackbox exporter, which takes an HTTP request for each.
const BLACKBOX_TARGETS: u32 = 1_000;
/// The argument of the process that is our side.
const OURS: &str = "--ours";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let targets = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(10_000_u32).clamp(100, 100_000);
    if arguments.iter().any(|argument| argument == OURS) {
        println!("{}", sweep(targets));
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut ours = Vec::new();
    let mut fpings = Vec::new();
    for round in 0..ROUNDS {
        let sides: [fn(u32, &Path) -> Swept; 2] = [run_ours, run_fping];
        for side in 0..2 {
            let which = (side + round) % 2;
            let swept = sides[which](targets, folder.path());
            if which == 0 { ours.push(swept) } else { fpings.push(swept) }
        }
    }
    let upheld = show("upheld", targets, &ours);
    let fping = show("fping -i 0 -r 0", targets.min(FPING_MAX), &fpings);
    println!("ratio to fping: {:.2}", upheld / fping);
    let ten = show("upheld", targets * 10, &[run_ours(targets * 10, folder.path())]);
    println!("exponent between the two sizes: {:.2}", 1.0 + (ten / upheld).log10());
    blackbox(folder.path());
}

/// What a sweep came to.
struct Swept {
    cpu: Duration,
    lost: u32,
}

/// Prints and returns the median of the processor time for a target, in microseconds.
fn show(name: &str, targets: u32, swept: &[Swept]) -> f64 {
    let each = median(swept.iter().map(|one| one.cpu.as_secs_f64() * 1e6 / f64::from(targets)).collect());
    let lost: u32 = swept.iter().map(|one| one.lost).sum();
    println!("{name:<16} {targets:>7} targets  {each:7.2} us CPU a target  {lost} lost in {} sweeps", swept.len());
    each
}

/// The addresses: loopback's, from 127.0.1.0 on.
fn address(number: u32) -> String {
    let [_, high, middle, low] = (number + 256).to_be_bytes();
    format!("127.{high}.{middle}.{low}")
}

/// Our side: as the agent's loop starts probes that are due, each a task that waits for its turn and hands its result back; as
/// many are due at once as an agent may have checks. Says how many were not answered.
fn sweep(targets: u32) -> usize {
    let allow = AllowList::parse("loopback_echo = true", Path::new("allow.toml")).expect("an allow list");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let prober = Prober::new(allow, Vec::new());
        let slots = Rc::new(Semaphore::new(AT_ONCE));
        let (tell, mut told) = mpsc::channel(256);
        let mut lost = 0;
        for first in (0..targets).step_by(CHECKS_MAX) {
            let due = first..targets.min(first + CHECKS_MAX as u32);
            for number in due.clone() {
                let id = format!("host-{number}/net.icmp").parse().expect("a name");
                let probe = ProbeSpec::NetIcmp { target: address(number), tcp_port: None };
                // Whoever waits behind the others must not be cut off by the agent's usual second.
                let spec = Arc::new(CheckSpec { timeout_ms: 5_000, ..CheckSpec::with_defaults(id, probe) });
                let (prober, slots, tell) = (prober.clone(), Rc::clone(&slots), tell.clone());
                spawn_local(async move {
                    let slot = slots.acquire().await;
                    let seen = prober.run(&spec).await;
                    drop(slot);
                    // Nobody listens once the sweep has ended.
                    let _ = tell.send((spec.id.clone(), Box::new(seen))).await;
                });
            }
            for _ in due {
                let (check, seen) = told.recv().await.expect("a result");
                if seen.outcome != Outcome::Ok {
                    lost += 1;
                    eprintln!("{check}: {seen:?}");
                }
            }
        }
        lost
    })
}

fn run_ours(targets: u32, _: &Path) -> Swept {
    let mut command = Command::new(std::env::current_exe().expect("the bench's own file"));
    let (cpu, out) = measured(command.args([OURS, &targets.to_string()]));
    Swept { cpu, lost: out.trim().parse().expect("a count") }
}

fn run_fping(targets: u32, folder: &Path) -> Swept {
    let targets = targets.min(FPING_MAX);
    let file = folder.join("targets");
    fs::write(&file, (0..targets).map(|number| address(number) + "\n").collect::<String>()).expect("the targets");
    let mut command = Command::new(peer("fping"));
    // -a prints who answered.
    let (cpu, out) = measured(command.args(["-i", "0", "-r", "0", "-a", "-f"]).arg(&file));
    let answered = u32::try_from(out.lines().count()).unwrap_or(u32::MAX);
    Swept { cpu, lost: targets.saturating_sub(answered) }
}

/// Runs a program of one thread to its end: its processor time, which is read before its end is collected, and its output.
fn measured(command: &mut Command) -> (Duration, String) {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut out = String::new();
    child.stdout.take().expect("its output").read_to_string(&mut out).expect("text");
    let pid = Pid::from_child(&child);
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).expect("it ends");
    let schedstat = fs::read_to_string(format!("/proc/{}/schedstat", child.id())).expect("the kernel counts its time");
    child.wait().expect("it has ended");
    let nanos = schedstat.split_whitespace().next().and_then(|text| text.parse().ok()).expect("nanoseconds");
    (Duration::from_nanos(nanos), out)
}

/// The exporter by one request for each target; its time is counted in ticks of 10 ms.
fn blackbox(folder: &Path) {
    let (port, config) = (free_port(), folder.join("blackbox.yml"));
    fs::write(&config, "modules:\n  icmp:\n    prober: icmp\n    timeout: 5s\n").expect("its configuration");
    let mut command = Command::new(peer("prometheus-blackbox-exporter"));
    command.arg(format!("--config.file={}", config.display())).arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let mut exporter = Program::start("blackbox_exporter", &mut command, &folder.join("blackbox.log"));
    wait_for("the exporter listens", Duration::from_secs(20), || TcpStream::connect(("127.0.0.1", port)).ok());
    let before = Usage::of(exporter.pid()).expect("it runs");
    let lost = (0..BLACKBOX_TARGETS).filter(|number| !probed(port, &address(*number))).count();
    let cpu = Usage::of(exporter.pid()).expect("it runs").since(before).cpu;
    show("blackbox", BLACKBOX_TARGETS, &[Swept { cpu, lost: u32::try_from(lost).unwrap_or(u32::MAX) }]);
    exporter.kill();
}

fn probed(port: u16, target: &str) -> bool {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the exporter listens");
    let request = format!("GET /probe?module=icmp&target={target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).is_ok() && answer.contains("\nprobe_success 1")
}

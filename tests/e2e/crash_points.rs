//! The real programs killed, and refused by the disk, at every kind of system call that touches what must last.
//!
//! strace counts the calls first, then ends or fails one in each run. `UPHELD_CRASH_POINTS=all` takes five calls of each site,
//! from the first to the last, with each fault; without it each site is taken once, with the faults in turn.

#[path = "crash_points/agent.rs"]
mod agent;
#[path = "crash_points/collector.rs"]
mod collector;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use jiff::Timestamp;
use upheld_model::{AgentEvent, ObservedAt};
use upheld_tests::{book, peer};
use upheld_wire::v1::Body;

/// What changes a file or a folder, or makes it durable.
const CALLS: [&str; 8] = ["openat", "write", "pwrite64", "fsync", "fdatasync", "ftruncate", "rename", "unlink"];
/// A site with a job, which says words that are told from each other.
const ASSETS: &str = r#"
[[asset]]
id = "srv-1"
class = "server"
checks = [{ kind = "host" }, { kind = "job", name = "nightly", schedule = "every 7d" }]
"#;

/// Where a program touches what must last: a call, and a kind of file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Site {
    call: &'static str,
    kind: String,
}

/// One call of a site: the nth of its thread on this file.
#[derive(Debug, Clone)]
struct Place {
    path: PathBuf,
    nth: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inject {
    Kill,
    Eio,
    Enospc,
    Erofs,
}

const INJECTIONS: [Inject; 4] = [Inject::Kill, Inject::Eio, Inject::Enospc, Inject::Erofs];

impl Inject {
    fn words(self) -> &'static str {
        match self {
            Self::Kill => "signal=SIGKILL",
            Self::Eio => "error=EIO",
            Self::Enospc => "error=ENOSPC",
            Self::Erofs => "error=EROFS",
        }
    }
}

enum Said {
    /// It is in the journal, says the agent.
    Taken,
    /// It is not, or nobody knows.
    Unknown,
}

/// Tells the agent that the job ended; `number` tells this word from every other.
fn say(state: &Path, number: u64) -> Said {
    let started = ObservedAt(word_at(number));
    let word = format!("ran {{\"job\":\"nightly\",\"ended\":\"ok\",\"started\":\"{}\"}}\n", started.0);
    match ask(state, &word) {
        Some(answer) if answer.contains("taken") => Said::Taken,
        Some(_) | None => Said::Unknown,
    }
}

fn word_at(number: u64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + i64::try_from(number).expect("small")).expect("an instant")
}

/// Whether `number` is what this event says.
fn is_word(event: &AgentEvent, number: u64) -> bool {
    matches!(event, AgentEvent::Ran { started: Some(started), .. } if started.0 == word_at(number))
}

/// How often a word is said in these bodies.
fn times_said<'a>(bodies: impl Iterator<Item = &'a Body>, number: u64) -> usize {
    bodies.flat_map(|body| &body.events).filter(|event| is_word(event, number)).count()
}

/// One line asked of the agent that serves this folder, and its answer.
fn ask(state: &Path, question: &str) -> Option<String> {
    let mut stream = UnixStream::connect(state.join("status.sock")).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).and_then(|()| stream.write_all(question.as_bytes())).ok()?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).ok().filter(|read| *read > 0).map(|_| answer)
}

/// A program under strace that becomes this process' child itself; options choose what is traced and what befalls it.
fn traced(command: &Command, trace: &Path, options: &[OsString]) -> Command {
    let mut traced = Command::new(peer("strace"));
    traced.args(["-D", "-f", "-qq", "-y", "-s", "0", "-o"]).arg(trace).args(options);
    traced.arg(command.get_program()).args(command.get_args());
    traced
}

/// Traces the calls that change something.
fn counting() -> Vec<OsString> {
    vec!["-e".into(), format!("trace={}", CALLS.join(",")).into()]
}

/// Lets one call of a file end or fail.
fn injecting(site: &Site, path: &Path, nth: usize, inject: Inject) -> Vec<OsString> {
    let inject = format!("inject={}:{}:when={nth}", site.call, inject.words());
    vec!["-P".into(), path.into(), "-e".into(), inject.into()]
}

/// Whether what was asked for has happened.
fn was_hit(trace: &Path) -> bool {
    let traced = fs::read_to_string(trace).unwrap_or_default();
    traced.contains("(INJECTED)") || traced.contains("killed by SIGKILL")
}

fn is_all() -> bool {
    std::env::var_os("UPHELD_CRASH_POINTS").is_some_and(|value| value == "all")
}

/// ERROR lines and panics of a log, but those that say what was made to happen.
fn errors(log: &Path, expected: &[&str]) -> Vec<String> {
    let said = fs::read_to_string(log).unwrap_or_default();
    let is_bad =
        |line: &&str| line.contains("panicked at") || line.split_whitespace().take(3).any(|word| word == "ERROR");
    let bad = said.lines().filter(is_bad).filter(|line| !expected.iter().any(|words| line.contains(words)));
    bad.map(str::to_owned).collect()
}
fn start(command: &mut Command, log: &Path) -> Child {
    let file = fs::OpenOptions::new().create(true).append(true).open(log).expect("the log");
    command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(file.try_clone().expect("a handle")).stderr(file);
    command.spawn().expect("the program starts")
}

/// The calls on files below `folder` that change something, by site, in the order in which each thread made them.
fn sites(trace: &Path, folder: &Path) -> BTreeMap<Site, Vec<Place>> {
    let text = fs::read_to_string(trace).expect("the trace");
    let prefix = format!("{}/", folder.display());
    let mut found: BTreeMap<Site, Vec<Place>> = BTreeMap::new();
    let mut counts: BTreeMap<(String, &str, PathBuf), usize> = BTreeMap::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some(call) = CALLS.into_iter().find(|call| rest.trim_start().starts_with(&format!("{call}("))) else {
            continue;
        };
        let arguments = rest.split_once(" = ").map_or(rest, |(arguments, _)| arguments);
        let Some(at) = arguments.find(&prefix) else { continue };
        let below: String = arguments[at + prefix.len()..].chars().take_while(|c| !"\">,".contains(*c)).collect();
        let path = folder.join(&below);
        let nth = counts.entry((thread.to_owned(), call, path.clone())).or_default();
        *nth += 1;
        let only_reads = call == "openat" && !arguments.contains("O_WRONLY") && !arguments.contains("O_RDWR");
        if !only_reads && !below.ends_with(".sock") {
            let kind = below.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            found.entry(Site { call, kind }).or_default().push(Place { path, nth: *nth });
        }
    }
    found
}

/// Which calls of which sites with which faults.
fn points(sites: &BTreeMap<Site, Vec<Place>>) -> Vec<(Site, Place, Inject)> {
    let all = is_all();
    let mut points = Vec::new();
    for (index, (site, places)) in sites.iter().enumerate() {
        let last = places.len() - 1;
        let mut chosen = if all { vec![0, last / 4, last / 2, last * 3 / 4, last] } else { vec![[0, last][index % 2]] };
        chosen.dedup();
        for at in chosen {
            let injections = if all { INJECTIONS.to_vec() } else { vec![INJECTIONS[index % INJECTIONS.len()]] };
            points.extend(injections.into_iter().map(|inject| (site.clone(), places[at].clone(), inject)));
        }
    }
    points
}

fn print_sites(sites: &BTreeMap<Site, Vec<Place>>) {
    for (site, places) in sites {
        println!("{:>4} × {} {}", places.len(), site.call, site.kind);
    }
}

fn write_book(folder: &Path) {
    book::write_book(folder, ASSETS, None);
}

//! What the benches share: processor time and memory of a process, and how a figure is printed.

pub mod fleet;

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use upheld_tests::book;

/// Processor time and memory of one process with its children that have ended.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// Resident memory, in kibibytes.
    pub rss_kib: u64,
    /// Context switches that it asked for: wake-ups.
    pub wakeups: u64,
}

/// Clock ticks a second in /proc/PID/stat: fixed at 100 by the kernel's user interface.
const TICKS_PER_SECOND: u64 = 100;

impl Usage {
    /// Reads /proc for the process and everything below it; `None` when it has ended.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses and may hold anything: the fields are counted behind it.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks: u64 =
            [11, 12, 13, 14].iter().filter_map(|&field: &usize| fields.get(field)?.parse::<u64>().ok()).sum();
        let mut usage = Self { cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND), rss_kib: 0, wakeups: 0 };
        for line in fs::read_to_string(format!("/proc/{pid}/status")).ok()?.lines() {
            if let Some(kib) = line.strip_prefix("VmRSS:") {
                usage.rss_kib = kib.trim().trim_end_matches(" kB").parse().ok()?;
            }
        }
        for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            let switches = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            usage.wakeups += switches.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0);
        }
        for child in children(pid) {
            if let Some(below) = Self::of(child) {
                usage.cpu += below.cpu;
                usage.rss_kib += below.rss_kib;
                usage.wakeups += below.wakeups;
            }
        }
        Some(usage)
    }

    /// What was used since an earlier reading; memory as it is.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            rss_kib: self.rss_kib,
            wakeups: self.wakeups.saturating_sub(earlier.wakeups),
        }
    }
}

/// One part of a process's resident memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// What lies there.
    pub name: String,
    /// Resident kibibytes.
    pub kib: u64,
}

impl Memory {
    /// The parts of a process, the largest first, as /proc/PID/smaps tells them: the program's own file by code, constants
    /// and data, each library, the heap, the stacks.
    pub fn of(pid: u32) -> Vec<Self> {
        let smaps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap_or_default();
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default().display().to_string();
        let mut parts = BTreeMap::<String, u64>::new();
        let mut name = String::new();
        for line in smaps.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [range, rights, _, _, _, path @ ..] = words.as_slice()
                && range.contains('-')
            {
                let path = path.join(" ");
                name = match (path.as_str(), *rights) {
                    (path, "r-xp") if path == program => "the program's code (shared, from its file)".to_owned(),
                    (path, "r--p") if path == program => "the program's constants (from its file)".to_owned(),
                    (path, _) if path == program => "the program's data".to_owned(),
                    ("", _) => "anonymous: heaps of threads, stacks".to_owned(),
                    (path, _) if path.starts_with('/') => "libraries (shared with every process)".to_owned(),
                    (path, _) => path.to_owned(),
                };
            } else if let ["Rss:", kib, "kB"] = words.as_slice() {
                *parts.entry(name.clone()).or_default() += kib.parse::<u64>().unwrap_or(0);
            }
        }
        let mut parts: Vec<Self> =
            parts.into_iter().filter(|(_, kib)| *kib > 0).map(|(name, kib)| Self { name, kib }).collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.kib));
        parts
    }
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// The middle of some figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The files of a test book with one server, as `book apply` hands them over.
///
/// # Panics
///
/// When the folder cannot be written or read.
pub fn read_book(folder: &Path) -> BTreeMap<String, String> {
    let root = folder.join("book");
    book::write_book(&root, "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [{ kind = \"host\" }]\n", None);
    let mut files = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(&root).expect("below the root").display().to_string();
                files.insert(name, fs::read_to_string(entry.path()).expect("the file"));
            }
        }
    }
    files
}

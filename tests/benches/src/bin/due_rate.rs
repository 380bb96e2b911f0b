//! Due times per second on one thread: our compiled calendar beside PyPI's businesstimedelta and Debian's
//! libbusiness-hours-perl, in one run and on the same cases, parsing apart. Answers must agree where the peers are
//! right; what they answer otherwise is counted by its known reason, and anything else fails the bench.

use std::{
    hint::black_box,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use jiff::Timestamp;
use upheld_agreement::calendar::{Calendar, CalendarDef, Holiday, Hours, Weekly};
use upheld_benches::median;

const ZONE: &str = "America/Chicago";
const OPENS: &str = "09:00";
const CLOSES: &str = "17:00";
const HOLIDAYS: [&str; 12] = [
    "2023-11-23",
    "2023-12-25",
    "2024-01-01",
    "2024-07-04",
    "2024-11-28",
    "2024-12-25",
    "2025-01-01",
    "2025-07-04",
    "2025-11-27",
    "2025-12-25",
    "2026-01-01",
    "2031-01-01",
];
const ROUNDS: usize = 7;
/// Cases of one set; the peers get the first of them, as many as they answer in a few seconds.
const CASES: u64 = 20_000;

struct Set {
    name: &'static str,
    calendar: CalendarDef,
    cases: Vec<(i64, u64)>,
    for_python: usize,
    for_perl: usize,
}

/// A peer's answers to the first cases of a set.
struct Answered {
    per_s: f64,
    dues: Vec<i64>,
}

/// How a peer's answers compare with ours.
#[derive(Default)]
struct Compared {
    same: usize,
    /// Runs out exactly at closing: the peer says the next opening, R4 says the closing.
    at_closing: usize,
    /// Beyond the thirty days that Business::Hours searches.
    not_answered: usize,
    otherwise: Vec<String>,
}

fn main() -> ExitCode {
    println!(
        "{:<28}{:>16}{:>20}{:>10}{:>16}{:>10}",
        "due times a second", "upheld", "businesstimedelta", "ratio", "Business::Hours", "ratio"
    );
    let mut is_right = true;
    let mut ours_by_set = Vec::new();
    for set in sets() {
        let calendar = Calendar::compile(&set.calendar).expect("the bench's calendar is right");
        let (ours_per_s, ours) = ours(&calendar, &set.cases);
        let python = ask(&mut python(), &set, set.for_python);
        let perl = ask(&mut perl(), &set, set.for_perl);
        println!(
            "{:<28}{:>16.0}{:>20.0}{:>9.0}x{:>16.1}{:>9.0}x",
            set.name,
            ours_per_s,
            python.per_s,
            ours_per_s / python.per_s,
            perl.per_s,
            ours_per_s / perl.per_s
        );
        for (name, answered) in [("businesstimedelta", python), ("Business::Hours", perl)] {
            is_right &= report(name, &compare(&calendar, &set.cases, &ours, &answered.dues));
        }
        ours_by_set.push(ours_per_s);
    }
    if let [office, .., weeks] = ours_by_set.as_slice() {
        println!("multi-week takes {:.2} x the time of office hours", office / weeks);
    }
    if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn sets() -> Vec<Set> {
    let plain = office(&[]);
    // Odd seconds over two years. One in sixteen begins at night and asks for whole days: it runs out at a closing.
    let case = |index: i64, minutes: u64| match 1_700_000_000 + index * 3_137 + index % 60 {
        start if index % 16 == 0 => (start - start % 86_400 + 8 * 3600, 3600 * 8 * (minutes / 480).max(1)),
        start => (start, 60 * minutes),
    };
    let cases = |minutes_min: u64, minutes_span: u64| -> Vec<(i64, u64)> {
        (0..CASES).zip(0..).map(|(n, index)| case(index, minutes_min + n * 37 % minutes_span)).collect()
    };
    vec![
        Set {
            name: "office hours, 1-8 h",
            calendar: plain.clone(),
            cases: cases(60, 420),
            for_python: 4_000,
            for_perl: 400,
        },
        Set {
            name: "with holidays, 1-8 h",
            calendar: office(&HOLIDAYS),
            cases: cases(60, 420),
            for_python: 400,
            for_perl: 400,
        },
        Set {
            name: "multi-week, 80-120 h",
            calendar: plain,
            cases: cases(4_800, 2_400),
            for_python: 1_000,
            for_perl: 60,
        },
    ]
}

fn office(holidays: &[&str]) -> CalendarDef {
    let day = [Hours(OPENS.into(), CLOSES.into())];
    let weekly = Weekly { sat: vec![], sun: vec![], ..Weekly::every_day(&day) };
    let on = |date: &&str| Holiday { date: (*date).into(), ..Holiday::default() };
    CalendarDef { tz: ZONE.into(), weekly, holidays: holidays.iter().map(on).collect(), ..CalendarDef::default() }
}

fn ours(calendar: &Calendar, cases: &[(i64, u64)]) -> (f64, Vec<i64>) {
    let read: Vec<(Timestamp, u64)> = cases.iter().map(|&(start, target_s)| (second(start), target_s)).collect();
    let mut dues = Vec::new();
    let rounds = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        dues = read.iter().map(|&(start, target_s)| calendar.due(black_box(start), target_s, &[])).collect();
        read.len() as f64 / began.elapsed().as_secs_f64()
    });
    let per_s = median(rounds.collect());
    (per_s, dues.iter().map(|due| due.at().map_or(-1, Timestamp::as_second)).collect())
}

fn ask(program: &mut Command, set: &Set, count: usize) -> Answered {
    let dates: Vec<&str> = set.calendar.holidays.iter().map(|holiday| holiday.date.as_str()).collect();
    let mut text = format!("{ZONE} {OPENS} {CLOSES}\n{}\n", dates.join(" "));
    for (start, target_s) in &set.cases[..count] {
        text += &format!("{start} {target_s}\n");
    }
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the peer starts");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("the peer reads its cases");
    let output = child.wait_with_output().expect("the peer ends");
    assert!(output.status.success(), "{program:?} ended with {}", output.status);
    let answer = String::from_utf8(output.stdout).expect("a peer answers in ASCII");
    let mut lines = answer.lines();
    let seconds: f64 = lines.next().and_then(|line| line.parse().ok()).expect("the seconds it took");
    let dues: Vec<i64> = lines.map(|line| line.parse().expect("a due")).collect();
    assert_eq!(dues.len(), count, "{program:?} answers every case");
    Answered { per_s: count as f64 / seconds, dues }
}

fn compare(calendar: &Calendar, cases: &[(i64, u64)], ours: &[i64], theirs: &[i64]) -> Compared {
    let mut compared = Compared::default();
    for ((case, &ours), &theirs) in cases.iter().zip(ours).zip(theirs) {
        let reopens = calendar.next_opening(second(ours)).map(Timestamp::as_second);
        match theirs {
            same if same == ours => compared.same += 1,
            -1 if ours - case.0 > 29 * 86_400 => compared.not_answered += 1,
            later if Some(later) == reopens && !calendar.is_open(second(ours)) => compared.at_closing += 1,
            other => compared.otherwise.push(format!("{case:?}: ours {}, theirs {}", second(ours), second(other))),
        }
    }
    compared
}

fn report(name: &str, compared: &Compared) -> bool {
    let Compared { same, at_closing, not_answered, otherwise } = compared;
    println!(
        "  {name}: {same} answers the same, {at_closing} the next opening instead of the closing, {not_answered} not answered, {} otherwise",
        otherwise.len()
    );
    otherwise.iter().take(5).for_each(|case| println!("    {case}"));
    *same > 0 && otherwise.is_empty()
}

fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", peers().join("python")).arg(driver("due_rate.py"));
    command
}

fn perl() -> Command {
    let mut command = Command::new("/usr/bin/perl");
    command.env("PERL5LIB", peers().join("root/usr/share/perl5")).arg(driver("due_rate.pl"));
    command
}

fn peers() -> PathBuf {
    let folder = std::env::var_os("UPHELD_PEERS").map(PathBuf::from);
    folder.expect("UPHELD_PEERS names the folder of the peers: run `tests/run --benches`")
}

fn driver(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers").join(name)
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("an instant of this century")
}

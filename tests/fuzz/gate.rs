//! What every `cargo test` runs of fuzzing: each entry over its seeds and over so many damaged ones. Included by path,
//! because the parsers of a crate are its own; the fuzzers of this folder go further.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

/// Damaged seeds of each entry, the same ones each time. `UPHELD_FUZZ_CASES=100000` is for a night without libFuzzer.
const CASES: usize = 400;
/// A case is cut behind so many bytes.
const BYTES_MAX: usize = 16 << 10;
/// What parsers stumble over.
const PIECES: &[&[u8]] = &[
    b"",
    b"\0",
    b"\xff",
    b"\x80",
    b"\x7f",
    b"\n",
    b"\r\n",
    b" ",
    b"\"",
    b"'",
    b"\\",
    b"=",
    b":",
    b"|",
    b";",
    b"[",
    b"]",
    b"-1",
    b"0",
    b"1e999",
    b"NaN",
    b"99999999999999999999999",
    b"-9223372036854775808",
    b"18446744073709551615",
    b"\x1b[2J",
    "\u{202e}".as_bytes(),
    "\u{200b}".as_bytes(),
    "é".as_bytes(),
    b"9999-12-31T23:59:60Z",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\x80\x00\x00\x00\x00\x00\x00\x00",
];

/// A parser: its name, and what is done with bytes.
type Entry = (&'static str, fn(&[u8]));

/// Runs each entry over the seeds in the folder of its name. Panics with the bytes that broke one.
pub(crate) fn hold(seeds: &Path, entries: &[Entry]) {
    let cases = std::env::var("UPHELD_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    for (name, run) in entries {
        let seeds = read(&seeds.join(name));
        let mut dice = Dice::of(name);
        let damaged = (0..cases).map(|_| damaged(&seeds, &mut dice));
        for bytes in seeds.iter().cloned().chain(damaged) {
            if catch_unwind(AssertUnwindSafe(|| run(&bytes))).is_err() {
                let seed = format!("tests/fuzz/seeds/{name}/found");
                panic!("{name} broke; mend it and keep the seed: printf '{}' > {seed}", in_octal(&bytes));
            }
        }
    }
}

/// The seeds of an entry, by name. Without any, damage would be noise that no parser reads for long.
fn read(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a folder's entry").path()).collect();
    paths.sort();
    let seeds: Vec<_> = paths.iter().map(|path| fs::read(path).expect("a seed")).collect();
    assert!(!seeds.is_empty(), "{} has no seeds", folder.display());
    seeds
}

/// One of the seeds after one to four blows.
fn damaged(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(4) {
        let (from, to) = (dice.below(bytes.len() + 1), dice.below(bytes.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        match dice.below(6) {
            0 if from < bytes.len() => bytes[from] ^= 1 << dice.below(8),
            1 if from < bytes.len() => bytes[from] = dice.below(256) as u8,
            // A short stretch replaced, a stretch out, a stretch many times, a stretch of another seed.
            2 => {
                let to = to.min(from + dice.below(9));
                bytes.splice(from..to, PIECES[dice.below(PIECES.len())].iter().copied());
            }
            3 => drop(bytes.drain(from..to)),
            4 => {
                let stretch = bytes[from..to].repeat(1 + dice.below(40));
                bytes.splice(from..from, stretch);
            }
            _ => {
                let other = &seeds[dice.below(seeds.len())];
                let cut = dice.below(other.len() + 1);
                bytes.splice(from..to, other[cut..].iter().copied());
            }
        }
        bytes.truncate(BYTES_MAX);
    }
    bytes
}

/// As `printf` takes it.
fn in_octal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:03o}")).collect()
}

/// Numbers that are the same each time (xorshift64).
struct Dice(u64);

impl Dice {
    fn of(name: &str) -> Self {
        Self(name.bytes().fold(0x9e37_79b9_7f4a_7c15, |seed, byte| seed.rotate_left(7) ^ u64::from(byte)))
    }

    /// From 0 to one less than `limit`; 0 where there is none.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

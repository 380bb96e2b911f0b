//! Any bytes as a line of a case file, for both calculators.

#![no_main]

use libfuzzer_sys::fuzz_target;
use upheld_agreement::{cases, uptime_cases};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines().take(8) {
        let _ = (cases::answer_line(line), uptime_cases::answer_line(line));
    }
});

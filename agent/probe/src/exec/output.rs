//! What a plugin prints: text, and performance data behind a bar (Monitoring Plugins Development Guidelines, 2.6).
//!
//! ```text
//! DISK OK - free space: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968
//! / 15272 MB (77%);
//! /boot 68 MB (69%); | /boot=68MB;88;93;0;98
//! /home=69357MB;253404;253409;0;253414
//! ```
//! Thresholds in it are not kept: the plugin has judged by them already.

/// So many measures of one run are kept.
const PERF_MAX: usize = 32;
/// A label is cut behind so many characters.
const LABEL_MAX: usize = 64;
/// A unit that is longer is none.
const UNIT_MAX: usize = 8;

/// What a plugin said.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Output {
    /// Its text, line by line, without what is measured.
    pub(super) text: String,
    /// What it measured, in its order.
    pub(super) perf: Vec<Perf>,
}

/// One measure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Perf {
    /// Its name, without control characters.
    pub(super) label: String,
    pub(super) measured: Measured,
}

/// A measured number.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Measured {
    Number {
        value: f64,
        /// As a part of a name: `s`, `ms`, `percent`, `bytes`, `mb`; empty for a plain number.
        unit: String,
    },
    /// What only grows (unit `c`).
    Count(u64),
}

/// Reads what was printed. There is nothing that cannot be read: what is no measure is left out.
pub(super) fn read(printed: &[u8]) -> Output {
    let printed = String::from_utf8_lossy(printed);
    let (mut text, mut measures) = (Vec::new(), Vec::new());
    let mut is_behind_bar = false;
    for (number, line) in printed.lines().enumerate() {
        if is_behind_bar {
            measures.push(line);
            continue;
        }
        match line.split_once('|') {
            Some((said, measured)) => {
                text.push(said.trim_end());
                measures.push(measured);
                // The bar of the first line ends with it; that of a later one goes on to the end.
                is_behind_bar = number > 0;
            }
            None => text.push(line.trim_end()),
        }
    }
    let perf = measures.into_iter().flat_map(perf_of).take(PERF_MAX).collect();
    Output { text: text.join("\n").trim().replace('\t', " "), perf }
}

/// The measures of one line, by blanks.
fn perf_of(line: &str) -> Vec<Perf> {
    let (mut found, mut rest) = (Vec::new(), line.trim_start());
    while !rest.is_empty() && found.len() < PERF_MAX {
        let Some((label, behind)) = label_of(rest) else {
            // No measure: the next word may be one.
            rest = rest.split_once(char::is_whitespace).map_or("", |(_, behind)| behind.trim_start());
            continue;
        };
        let (measured, behind) = behind.split_once(char::is_whitespace).unwrap_or((behind, ""));
        found.extend(measured_of(measured).map(|measured| Perf { label: clean(&label), measured }));
        rest = behind.trim_start();
    }
    found
}

/// A label and what follows its `=`. In quotes it may hold blanks, and `''` is a quote.
fn label_of(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('\'') else {
        let (label, behind) = text.split_once('=')?;
        let is_label = !label.is_empty() && !label.contains(char::is_whitespace);
        return is_label.then(|| (label.to_owned(), behind));
    };
    let mut label = String::new();
    loop {
        let (part, behind) = rest.split_once('\'')?;
        label.push_str(part);
        match behind.strip_prefix('\'') {
            Some(more) => {
                label.push('\'');
                rest = more;
            }
            None => return Some((label, behind.strip_prefix('=')?)),
        }
    }
}

/// `value[UOM];warn;crit;min;max`, of which all but the first are left out; `U` is a value that the plugin lacks.
fn measured_of(text: &str) -> Option<Measured> {
    let text = text.split(';').next()?;
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let value = number.parse::<f64>().ok().filter(|value| value.is_finite())?;
    if unit == "c" {
        let is_count = value >= 0.0 && !number.contains('.');
        return number.trim_start_matches('+').parse().ok().filter(|_| is_count).map(Measured::Count);
    }
    Some(Measured::Number { value, unit: unit_of(unit)? })
}

fn unit_of(unit: &str) -> Option<String> {
    match unit {
        "%" => Some("percent".to_owned()),
        "B" => Some("bytes".to_owned()),
        other if other.len() <= UNIT_MAX && other.bytes().all(|c| c.is_ascii_alphanumeric()) => {
            Some(other.to_ascii_lowercase())
        }
        _ => None,
    }
}

fn clean(label: &str) -> String {
    label.chars().take(LABEL_MAX).map(|c| if c.is_control() { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(label: &str, value: f64, unit: &str) -> Perf {
        Perf { label: label.to_owned(), measured: Measured::Number { value, unit: unit.to_owned() } }
    }

    #[test]
    fn the_guidelines_own_example_is_read_over_its_lines() {
        let printed = "DISK OK - free space: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968\n/ 15272 MB (77%);\n\
            /boot 68 MB (69%); | /boot=68MB;88;93;0;98\n/home=69357MB;253404;253409;0;253414\n\
            /var/log=818MB;970;975;0;980\n";
        let output = read(printed.as_bytes());
        assert_eq!(output.text, "DISK OK - free space: / 3326 MB (56%);\n/ 15272 MB (77%);\n/boot 68 MB (69%);");
        let expected =
            [("/", 2643.0), ("/boot", 68.0), ("/home", 69357.0), ("/var/log", 818.0)].map(|(l, v)| number(l, v, "mb"));
        assert_eq!(output.perf, expected);
    }

    #[test]
    fn each_form_of_a_measure_is_read_and_what_is_none_is_left_out() {
        let count = |label: &str, count| Perf { label: label.to_owned(), measured: Measured::Count(count) };
        for (printed, expected) in [
            ("x | time=0.002s;;;0.000", vec![number("time", 0.002, "s")]),
            ("x | 'a b''c'=1%;90;95 d=2", vec![number("a b'c", 1.0, "percent"), number("d", 2.0, "")]),
            ("x | rta=-3.5ms\tpl=0%", vec![number("rta", -3.5, "ms"), number("pl", 0.0, "percent")]),
            ("x | octets=18446744073709551615c", vec![count("octets", u64::MAX)]),
            ("x | octets=-1c frac=1.5c", vec![]),
            ("x | size=12B big=1TB", vec![number("size", 12.0, "bytes"), number("big", 1.0, "tb")]),
            ("x | gone=U;1;2 next=1", vec![number("next", 1.0, "")]),
            ("x | nothing here =1 'open=2", vec![]),
            ("x | bad=1.2.3 worse=-- =5 inf=inf ok=1", vec![number("ok", 1.0, "")]),
            (
                "x | strange=5$ long=1abcdefghi t=21.5C",
                vec![number("t", 21.5, "c".to_uppercase().to_lowercase().as_str())],
            ),
            ("no bar", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(read(printed.as_bytes()).perf, expected, "{printed}");
        }
    }

    #[test]
    fn a_flood_is_bounded() {
        let many: String = (0..5_000).map(|n| format!("l{n}=1 ")).collect();
        assert_eq!(read(format!("x | {many}").as_bytes()).perf.len(), PERF_MAX);
        let long = read(format!("x | {}=1", "l".repeat(8_000)).as_bytes());
        assert_eq!(long.perf[0].label.len(), LABEL_MAX);
    }

    proptest! {
        #[test]
        fn whatever_is_printed_is_read_and_bounded(printed in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let output = read(&printed);
            prop_assert!(output.perf.len() <= PERF_MAX);
            prop_assert!(output.perf.iter().all(|perf| perf.label.chars().count() <= LABEL_MAX));
        }

        #[test]
        fn what_looks_like_measures_is_read_without_a_panic(printed in "[ =';|Uc%\\n0-9.a-]{0,200}") {
            for perf in read(printed.as_bytes()).perf {
                let is_finite = match perf.measured {
                    Measured::Number { value, .. } => value.is_finite(),
                    Measured::Count(_) => true,
                };
                prop_assert!(is_finite);
            }
        }

        #[test]
        fn a_measure_that_is_written_is_the_one_that_is_read(
            label in "[a-zA-Z0-9 '/_-]{1,40}",
            value in -1_000_000_i64..1_000_000,
        ) {
            let printed = format!("OK | '{}'={value}ms;1;2;3;4", label.replace('\'', "''"));
            prop_assert_eq!(read(printed.as_bytes()).perf, vec![number(&label, value as f64, "ms")]);
        }
    }
}

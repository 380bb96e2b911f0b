//! Durations and instants in the words of a status line: two units at most (UX 2.7).

use std::time::Duration;

/// `4 s`, `2 min 5 s`, `3 h 10 min`, `5 d 2 h`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let first = units.iter().position(|(_, size)| seconds >= *size);
    let Some(first) = first else {
        return format!("{} ms", duration.as_millis());
    };
    let (unit, size) = units[first];
    let text = format!("{} {unit}", seconds / size);
    match units.get(first + 1) {
        Some((small, small_size)) if seconds % size / small_size > 0 => {
            format!("{text} {} {small}", seconds % size / small_size)
        }
        Some(_) | None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_at_most_two_units() {
        for (seconds, text) in
            [(4, "4 s"), (60, "1 min"), (125, "2 min 5 s"), (11_400, "3 h 10 min"), (439_260, "5 d 2 h")]
        {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(duration(Duration::from_millis(250)), "250 ms");
    }
}

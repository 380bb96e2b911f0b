//! What was seen around an incident, drawn on the server: one strip for each check over 24 hours, all on one time axis, one
//! path for each state, its height beside its colour (UX 2.5). The table beneath says the same.

use jiff::{Timestamp, tz::TimeZone};
use upheld_desk::figures::{Signal, Signals, Stretch};

use crate::words;

/// Rows of one check in the table.
const ROWS: usize = 40;
/// The height of a strip's box.
pub(super) const HEIGHT: i64 = 18;
/// What is shorter than this is drawn as long: a dip of a second must be seen.
const WIDTH_MIN: i64 = 3;

/// All strips of a page.
pub(super) struct Strips {
    /// From when to when, in words.
    pub(super) period: String,
    /// What stands under the strips: the beginning, the middle, the end.
    pub(super) axis: [String; 3],
    pub(super) strips: Vec<Strip>,
    /// How many checks are not drawn.
    pub(super) hidden: usize,
}

/// One check.
pub(super) struct Strip {
    pub(super) name: String,
    pub(super) look: &'static str,
    pub(super) said: String,
    pub(super) drawings: [Drawing; 2],
    pub(super) rows: Vec<[String; 4]>,
}

/// The strip for one width.
pub(super) struct Drawing {
    /// `wide` or `phone`.
    pub(super) class: &'static str,
    pub(super) width: i64,
    /// A path for each state: its class and its way.
    pub(super) paths: Vec<(&'static str, String)>,
}

/// Each state with its look, its height and its word.
const STATES: [(&str, &str, i64, &str); 4] = [
    ("up", "f-up", 8, "up"),
    ("degraded", "f-warn", 13, "degraded"),
    ("down", "f-bad", HEIGHT, "down"),
    ("unknown", "f-none", 4, "nobody knows"),
];

/// The strips; `None` where no check bears on the incident.
pub(super) fn of(signals: &Signals, zone: &str, now: Timestamp) -> Option<Strips> {
    if signals.signals.is_empty() {
        return None;
    }
    let known = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let stamp = |at: Timestamp| at.to_zoned(known.clone()).strftime("%a %H:%M").to_string();
    let middle = Timestamp::from_second((signals.from.as_second() + signals.to.as_second()) / 2).unwrap_or(signals.to);
    Some(Strips {
        period: format!("24 hours to {}", words::local_short(signals.to, zone, now)),
        axis: [stamp(signals.from), stamp(middle), stamp(signals.to)],
        strips: signals.signals.iter().map(|signal| strip(signal, signals, zone, now)).collect(),
        hidden: signals.hidden,
    })
}

fn strip(signal: &Signal, all: &Signals, zone: &str, now: Timestamp) -> Strip {
    let last = signal.stretches.last().map_or("unknown", |stretch| stretch.state);
    let local = |at: Timestamp| words::local_short(at, zone, now);
    let row = |stretch: &Stretch| {
        let word = STATES.iter().find(|(state, ..)| *state == stretch.state).map_or("", |(.., word)| *word);
        let why = stretch.why.as_deref().unwrap_or_default().to_owned();
        [local(stretch.from), local(stretch.to), word.to_owned(), why]
    };
    let skipped = signal.stretches.len().saturating_sub(ROWS);
    Strip {
        name: signal.check.to_string(),
        look: match last {
            "up" => "ok",
            "degraded" => "warn",
            "down" => "bad",
            _ => "pause",
        },
        said: signal.said.clone(),
        drawings: [("wide", 480), ("phone", 240)].map(|(class, width)| drawing(signal, all, class, width)),
        rows: signal.stretches.iter().skip(skipped).map(row).collect(),
    }
}

fn drawing(signal: &Signal, all: &Signals, class: &'static str, width: i64) -> Drawing {
    let span = all.from.duration_until(all.to).as_secs().max(1);
    let x = |at: Timestamp| width * all.from.duration_until(at).as_secs().clamp(0, span) / span;
    let mut paths = Vec::new();
    for (state, look, height, _) in STATES {
        let mut path = String::new();
        for stretch in signal.stretches.iter().filter(|stretch| stretch.state == state) {
            let (from, to) = (x(stretch.from), x(stretch.to));
            // Good times are the ground; what is worse is never too thin to be seen.
            let long = if state == "up" { to - from } else { (to - from).max(WIDTH_MIN) };
            let from = from.min(width - long);
            path.push_str(&format!("M{from} {}h{long}v{height}h-{long}z", HEIGHT - height));
        }
        if !path.is_empty() {
            paths.push((look, path));
        }
    }
    // The worst lies on top.
    paths.sort_by_key(|(look, _)| ["f-up", "f-none", "f-warn", "f-bad"].iter().position(|known| known == look));
    Drawing { class, width, paths }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signals(stretches: &[(i64, i64, &'static str)]) -> Signals {
        let at = |hour: i64| Timestamp::from_second(1_763_300_000 + hour * 3_600).unwrap();
        let stretch = |(from, to, state): &(i64, i64, &'static str)| Stretch {
            from: at(*from),
            to: at(*to),
            state,
            why: (*state == "unknown").then(|| "agent silent".to_owned()),
        };
        let signal = Signal {
            check: "nvr-02/net.tcp".parse().unwrap(),
            said: String::new(),
            stretches: stretches.iter().map(stretch).collect(),
        };
        Signals { from: at(0), to: at(24), signals: vec![signal], hidden: 0 }
    }

    #[test]
    fn a_strip_has_one_path_a_state_and_a_short_fault_is_seen() {
        let mut drawn = signals(&[(0, 6, "up"), (6, 7, "down"), (7, 12, "up"), (12, 24, "unknown")]);
        let to = drawn.signals[0].stretches[1].from + jiff::SignedDuration::from_secs(1);
        drawn.signals[0].stretches[1].to = to;
        let strips = of(&drawn, "UTC", drawn.to).unwrap();
        let [wide, phone] = &strips.strips[0].drawings;
        assert_eq!(wide.paths.len(), 3, "{:?}", wide.paths);
        assert_eq!(wide.paths[0], ("f-up", "M0 10h120v8h-120zM140 10h100v8h-100z".to_owned()));
        assert_eq!(wide.paths[2], ("f-bad", "M120 0h3v18h-3z".to_owned()));
        assert_eq!(phone.paths[2], ("f-bad", "M60 0h3v18h-3z".to_owned()));
        assert_eq!(strips.strips[0].look, "pause", "what nobody knows is never well");
        assert_eq!(strips.strips[0].rows[3][2..], ["nobody knows".to_owned(), "agent silent".to_owned()]);
        assert!(of(&signals(&[]), "UTC", drawn.to).is_some());
        assert!(of(&Signals { signals: vec![], ..drawn }, "UTC", Timestamp::UNIX_EPOCH).is_none());
    }
}

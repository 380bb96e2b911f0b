//! Cable, port, switch or server: which part to change first, from what a port shows and counted of late.
//!
//! One sentence for the person who goes there. The rules are those of the trade: damaged frames and a speed that fell
//! speak for the cable or its plugs, since a gigabit needs all four pairs; drops without one damaged frame for the port
//! at the other end or its power; half duplex for a setting; frames that arrived whole and were not fetched for the host.

use super::window::Lately;
use crate::port;

/// Damaged frames an hour that are more than noise (PROBES 7).
const DAMAGED_AN_HOUR: u64 = 10;
/// Carrier drops an hour that are no maintenance.
const DROPS_AN_HOUR: u64 = 3;
/// Frames not fetched in an hour: bursts lose some on every host.
const MISSED_AN_HOUR: u64 = 1_000;

/// What a port shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// Its speed and the one that was expected, where it is slower.
    pub(super) slower: Option<(u32, u32)>,
    /// Whether that one is meant by the book, and not only usual.
    pub(super) is_meant: bool,
    /// Whether it runs at half duplex.
    pub(super) is_half_duplex: bool,
    /// What it counted of late.
    pub(super) lately: Lately,
}

/// The part that is probably at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Suspect {
    /// The cable or its plugs, else the port.
    Cable,
    /// The port or device at the other end.
    Switch,
    /// The two ends do not agree how to talk.
    Negotiation,
    /// This host.
    Server,
}

impl Suspect {
    /// The word under which it is sent.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Cable => "cable",
            Self::Switch => "switch",
            Self::Negotiation => "negotiation",
            Self::Server => "server",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Cable => port::CABLE,
            Self::Switch => {
                "no frame is damaged, so the port or device at the other end, or its power; try another port, then the cable"
            }
            Self::Negotiation => port::NEGOTIATION,
            Self::Server => "the frames arrive whole, so neither cable nor switch; look at this host's load and driver",
        }
    }
}

/// Who is probably at fault, and why, in one sentence without a begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diagnosis {
    pub(super) suspect: Suspect,
    pub(super) sentence: String,
    /// Whether it deserves a look now, or only tells what was.
    pub(super) is_warning: bool,
}

/// Names the likely culprit; `None` where nothing is odd.
pub(super) fn diagnose(shown: &Shown) -> Option<Diagnosis> {
    let Shown { slower, is_meant, is_half_duplex, lately } = shown;
    let damaged = lately.damaged > DAMAGED_AN_HOUR;
    let drops = lately.drops >= DROPS_AN_HOUR;
    let missed = lately.missed > MISSED_AN_HOUR;
    let suspect = match (slower, is_half_duplex) {
        // A mismatch counts late collisions as damage too.
        (_, true) => Suspect::Negotiation,
        (Some(_), false) => Suspect::Cable,
        (None, false) if damaged || lately.carrier_errors > DAMAGED_AN_HOUR => Suspect::Cable,
        (None, false) if drops => Suspect::Switch,
        (None, false) if missed => Suspect::Server,
        (None, false) => return None,
    };
    let counted = [
        (damaged, lately.damaged, "damaged frame"),
        (lately.carrier_errors > DAMAGED_AN_HOUR, lately.carrier_errors, "frame that lost the carrier"),
        (drops, lately.drops, "drop"),
        (missed && suspect == Suspect::Server, lately.missed, "frame that this host did not fetch"),
    ];
    let counted: Vec<String> = counted.iter().filter(|(is, ..)| *is).map(|(_, n, what)| number(*n, what)).collect();
    let mut reasons: Vec<String> =
        slower.iter().map(|(now, expected)| port::slower(*now, *expected, *is_meant)).collect();
    reasons.extend(is_half_duplex.then(|| port::HALF_DUPLEX.to_owned()));
    if !counted.is_empty() {
        reasons.push(format!("counted {} in {} min", counted.join(", "), lately.minutes.max(1)));
    }
    let is_warning = slower.is_some() || *is_half_duplex || damaged || lately.carrier_errors > DAMAGED_AN_HOUR;
    Some(Diagnosis { suspect, sentence: format!("{}: {}", reasons.join(" and "), suspect.advice()), is_warning })
}

fn number(count: u64, what: &str) -> String {
    match what.split_once(' ') {
        _ if count == 1 => format!("1 {what}"),
        // "frames that …", "drops", "damaged frames".
        Some(("frame", rest)) => format!("{count} frames {rest}"),
        Some(_) | None => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pattern_has_its_suspect_and_its_sentence() {
        let lately =
            |damaged, drops, missed, carrier_errors| Lately { minutes: 60, damaged, drops, missed, carrier_errors };
        let shown = |slower, is_half_duplex, lately| Shown { slower, is_meant: false, is_half_duplex, lately };
        for (shown, suspect, sentence) in [
            (
                shown(Some((100, 1_000)), false, lately(212, 4, 0, 0)),
                Suspect::Cable,
                "runs at 100 Mbit/s where 1000 were usual and counted 212 damaged frames, 4 drops in 60 min: cable or port; \
                 swap the cable first, then the port",
            ),
            (
                shown(Some((100, 1_000)), false, lately(0, 0, 0, 0)),
                Suspect::Cable,
                "runs at 100 Mbit/s where 1000 were usual: cable or port; swap the cable first, then the port",
            ),
            (
                shown(None, false, lately(11, 0, 5_000, 0)),
                Suspect::Cable,
                "counted 11 damaged frames in 60 min: cable or port; swap the cable first, then the port",
            ),
            (
                shown(None, false, lately(0, 5, 0, 0)),
                Suspect::Switch,
                "counted 5 drops in 60 min: no frame is damaged, so the port or device at the other end, or its power; try \
                 another port, then the cable",
            ),
            (
                shown(None, true, lately(50, 0, 0, 0)),
                Suspect::Negotiation,
                "runs at half duplex and counted 50 damaged frames in 60 min: the two ends do not agree; set both to \
                 negotiate",
            ),
            (
                shown(None, false, lately(0, 0, 5_000, 0)),
                Suspect::Server,
                "counted 5000 frames that this host did not fetch in 60 min: the frames arrive whole, so neither cable nor \
                 switch; look at this host's load and driver",
            ),
        ] {
            let diagnosis = diagnose(&shown).unwrap();
            assert_eq!((diagnosis.suspect, diagnosis.sentence.as_str()), (suspect, sentence));
        }
    }

    #[test]
    fn what_every_port_counts_is_nobodys_fault() {
        let noise = Lately { minutes: 60, damaged: 10, drops: 2, missed: 1_000, carrier_errors: 10 };
        assert_eq!(diagnose(&Shown { lately: noise, ..Shown::default() }), None);
        assert_eq!(diagnose(&Shown::default()), None);
    }

    #[test]
    fn drops_alone_warn_of_nothing_that_their_count_does_not_say_already() {
        let drops = Lately { minutes: 10, drops: 3, ..Lately::default() };
        let diagnosis = diagnose(&Shown { lately: drops, ..Shown::default() }).unwrap();
        assert!(!diagnosis.is_warning);
    }
}

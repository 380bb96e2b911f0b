//! What a port's state is worth, and what is usual there.

use jiff::Timestamp;
use upheld_model::{Counter, Outcome, UnknownReason};

use super::{
    Usual,
    diagnose::{Diagnosis, Shown, diagnose},
    drops::Told,
    seen::Seen,
    window::Lately,
};
use crate::{ProbeResult, host::boot_id, words};

/// What is usual, with what is seen: the best speed of this adapter, however long ago. A port that has been slow for a
/// month is not usually slow.
pub(super) fn learn(usual: Usual, interface: &str, seen: &Seen) -> Usual {
    let is_same = usual.interface == interface && usual.address == seen.address;
    let before = if is_same { usual.speed_mbps } else { None };
    let now = if seen.has_carrier { seen.speed_mbps } else { None };
    Usual { interface: interface.to_owned(), address: seen.address.clone(), speed_mbps: before.max(now) }
}

/// Down is bad; slower than meant or usual, half duplex, or damaged frames, are a warning. Each says which part to look at
/// first ([`diagnose`]).
pub(super) fn judge(
    interface: &str,
    seen: &Seen,
    meant_mbps: Option<u32>,
    usual: &Usual,
    lately: Lately,
    told: &Told,
) -> ProbeResult {
    let expected = meant_mbps.or(usual.speed_mbps);
    let is_up = seen.is_enabled && seen.has_carrier;
    let slower = seen.speed_mbps.zip(expected).filter(|(now, expected)| is_up && now < expected);
    let is_half_duplex = is_up && seen.is_half_duplex == Some(true);
    let diagnosis = diagnose(&Shown { slower, is_meant: meant_mbps.is_some(), is_half_duplex, lately });
    let mut result = if !seen.is_enabled {
        ProbeResult::bad(format!("{interface} is switched off on this host"))
    } else if !seen.has_carrier {
        let since = told.down_since.map(|since| format!(" since {}", words::instant(since))).unwrap_or_default();
        let why =
            format!("has no link{since}: the cable is out or broken, or the port or device at its other end is off");
        let before = diagnosis.as_ref().map(|diagnosis| format!("; it {}", diagnosis.sentence)).unwrap_or_default();
        ProbeResult::bad(format!("{interface} {why}{before}"))
    } else {
        up(interface, seen, diagnosis.as_ref())
    };
    if let Some(sentence) = told.sentence() {
        let now = result.evidence.as_ref().map(|text| format!("{}; ", text.as_str())).unwrap_or_default();
        result = result.evidence(format!("{now}{sentence}"));
    }
    if let Some((from, to, seconds)) = told.last() {
        let exact = |at: Timestamp| at.strftime("%FT%T%.3fZ").to_string();
        result = result.value("last_drop_from", exact(from).as_str()).value("last_drop_to", exact(to).as_str());
        result = result.value("last_drop_s", (seconds * 1e3).round() / 1e3);
    }
    if let Some(diagnosis) = &diagnosis {
        result = result.value("suspect", diagnosis.suspect.word());
    }
    result = result.value("up", f64::from(u8::from(is_up))).value("interface", interface);
    if let Some(speed) = seen.speed_mbps.filter(|_| is_up) {
        result = result.value("speed_mbps", f64::from(speed));
    }
    if let Some(is_half) = seen.is_half_duplex.filter(|_| is_up) {
        result = result.value("duplex", if is_half { "half" } else { "full" });
    }
    // The kernel's counts begin with the interface, and the interface with the boot or with its adapter.
    let epoch = format!("{}/{}", boot_id(), seen.index);
    let counted = seen.counters.iter();
    counted.fold(result, |result, (name, count)| result.counter(name, Counter(epoch.as_str().into(), *count)))
}

fn up(interface: &str, seen: &Seen, diagnosis: Option<&Diagnosis>) -> ProbeResult {
    let speed = seen.speed_mbps.map(|speed| format!(" at {speed} Mbit/s")).unwrap_or_default();
    let well = format!("{interface} is up{speed}{}", drops(seen));
    match diagnosis {
        None => ProbeResult::new(Outcome::Ok).evidence(well),
        // The drops are counted, and three of them are an incident of their own.
        Some(Diagnosis { is_warning: false, sentence, .. }) => {
            ProbeResult::new(Outcome::Ok).evidence(format!("{well}; it {sentence}"))
        }
        Some(Diagnosis { sentence, .. }) => {
            ProbeResult::new(Outcome::Warn).evidence(format!("{interface} {sentence}{}", drops(seen)))
        }
    }
}

fn drops(seen: &Seen) -> String {
    let counted = |wanted: &str| seen.counters.iter().find(|(name, _)| *name == wanted).map_or(0, |(_, count)| *count);
    match (counted("carrier_down"), counted("rx_crc_errors")) {
        (0, 0) => String::new(),
        (1, 0) => "; it was down once since the kernel knows it".to_owned(),
        (downs, 0) => format!("; it was down {downs} times since the kernel knows it"),
        (downs, errors) => format!("; down {downs} times and {errors} damaged frames since the kernel knows it"),
    }
}

/// An interface that is not there is bad where it was known, and a mistake in the book where it never was.
pub(super) fn missing(interface: &str, usual: &Usual, others: &[String]) -> ProbeResult {
    if usual.interface == interface {
        return ProbeResult::bad(format!("{interface} is gone: its adapter was removed, or has failed"))
            .value("up", 0.0);
    }
    let why = format!("this host has no interface {interface}; it has {}", others.join(", "));
    ProbeResult::unknown(UnknownReason::CannotProbe, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_slower_than_it_was_is_a_warning_in_a_sentence() {
        let mut port = Port::new();
        assert_eq!(port.runs_at(1_000).outcome, Outcome::Ok);
        let slow = port.runs_at(100);
        assert_eq!(slow.outcome, Outcome::Warn);
        assert!(
            text(&slow).starts_with("eth0 runs at 100 Mbit/s where 1000 were usual: cable or port; swap"),
            "{slow:?}"
        );
        assert_eq!(port.runs_at(100).outcome, Outcome::Warn, "it does not become usual");
        assert_eq!(port.runs_at(2_500).outcome, Outcome::Ok);
        port.seen.address = "another adapter".to_owned();
        assert_eq!(port.runs_at(100).outcome, Outcome::Ok);
    }

    #[test]
    fn damaged_frames_are_a_warning_and_are_told_of_a_port_that_then_goes_down() {
        let mut port = Port::new();
        port.lately = Lately { minutes: 60, damaged: 212, ..Lately::default() };
        let damaged = port.runs_at(1_000);
        assert_eq!((&damaged.outcome, &damaged.values["suspect"]), (&Outcome::Warn, &"cable".into()));
        port.seen.has_carrier = false;
        let down = port.runs_at(1_000);
        assert_eq!(down.outcome, Outcome::Bad);
        assert!(
            text(&down).ends_with(
                "it counted 212 damaged frames in 60 min: cable or port; swap the cable first, then the port"
            ),
            "{down:?}"
        );
        let drops = Lately { minutes: 10, drops: 4, ..Lately::default() };
        let mut port = Port { lately: drops, ..Port::new() };
        assert_eq!(port.runs_at(1_000).outcome, Outcome::Ok, "drops are counted, not warned of");
    }

    #[test]
    fn what_is_meant_goes_before_what_was_usual() {
        let mut port = Port { meant: Some(100), ..Port::new() };
        port.runs_at(1_000);
        assert_eq!(port.runs_at(100).outcome, Outcome::Ok);
        assert!(text(&port.runs_at(10)).starts_with("eth0 runs at 10 Mbit/s where 100 are meant"));
    }

    #[test]
    fn half_duplex_is_a_warning_and_no_link_is_bad() {
        let mut port = Port::new();
        port.seen.is_half_duplex = Some(true);
        assert!(text(&port.runs_at(1_000)).contains("half duplex"));
        port.seen.has_carrier = false;
        let down = port.runs_at(1_000);
        assert_eq!((&down.outcome, &down.values["up"]), (&Outcome::Bad, &0.0.into()));
        assert!(text(&down).contains("has no link") && !down.values.contains_key("speed_mbps"));
        port.seen.is_enabled = false;
        assert!(text(&port.runs_at(1_000)).contains("switched off on this host"));
    }

    #[test]
    fn a_port_that_never_was_is_the_books_mistake_and_one_that_was_is_gone() {
        let mut port = Port::new();
        let unknown = missing("eth0", &port.usual, &["lo".to_owned()]);
        assert_eq!(unknown.outcome, Outcome::unknown(UnknownReason::CannotProbe));
        assert!(text(&unknown).ends_with("it has lo"));
        port.runs_at(1_000);
        assert_eq!(missing("eth0", &port.usual, &[]).outcome, Outcome::Bad);
    }

    #[test]
    fn an_adapter_that_comes_back_begins_a_new_count() {
        let mut port = Port::new();
        port.seen.counters = vec![("carrier_down", 7)];
        let before = port.runs_at(1_000).counters["carrier_down"].clone();
        port.seen.index += 1;
        port.seen.counters = vec![("carrier_down", 9)];
        assert_eq!(port.runs_at(1_000).counters["carrier_down"].since(&before), None);
    }

    fn text(result: &ProbeResult) -> &str {
        result.evidence.as_ref().unwrap().as_str()
    }

    /// A port, and what was learned of it.
    struct Port {
        seen: Seen,
        usual: Usual,
        meant: Option<u32>,
        lately: Lately,
    }

    impl Port {
        fn new() -> Self {
            let seen = Seen { index: 2, is_enabled: true, has_carrier: true, ..Seen::default() };
            Self { seen, usual: Usual::default(), meant: None, lately: Lately::default() }
        }

        fn runs_at(&mut self, speed_mbps: u32) -> ProbeResult {
            self.seen.speed_mbps = Some(speed_mbps);
            self.usual = learn(self.usual.clone(), "eth0", &self.seen);
            judge("eth0", &self.seen, self.meant, &self.usual, self.lately.clone(), &Told::default())
        }
    }
}

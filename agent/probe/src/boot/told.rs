//! How Windows ended before it started, as its System log tells (PROBES 4).
//!
//! Windows writes it down itself: 6006 when the log ends in good order, 1074 who asked for it and why, 109 that the
//! kernel goes down; at the next start 6005, and beside it 41 and 6008 where nothing of that was there, 1001 after a
//! bugcheck. Which provider wrote an event is looked at, since any program may write these numbers.

use jiff::{SignedDuration, Timestamp};
use upheld_model::BootEnd;

use crate::eventlog::event::Event;

/// The events, as Windows is asked for them; all stand in the log System.
pub(super) const QUERY: &str = "*[System[(EventID=41 or EventID=109 or EventID=1001 or EventID=1074 or EventID=6005 or \
                                EventID=6006 or EventID=6008)]]";
/// So many of them are read, the newest first: those of the last few starts.
pub(super) const READ_MAX: usize = 64;
/// What belongs to a start is written around the log's own: the kernel's a little before it.
const AROUND: SignedDuration = SignedDuration::from_mins(2);
/// What is quoted of who asked for a shutdown, in bytes.
const REASON_MAX: usize = 100;

/// The last start, and what the log says of the end before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// When the event log began, which is among the first things of a start.
    pub(super) started: Timestamp,
    /// How the run before it ended; `None` where the log does not go back so far.
    pub(super) how: Option<BootEnd>,
    /// What else it says, to be read after "this host …: ".
    pub(super) says: Option<String>,
}

/// What the log tells, from its newest events, the newest first; `None` where it has no start.
pub(super) fn told(events: &[Event]) -> Option<Told> {
    let mut starts = events.iter().filter(|event| is(event, "EventLog", 6005)).map(|event| event.at);
    let started = starts.next()?;
    let begun = started.checked_sub(AROUND).unwrap_or(started);
    let before = starts.next();
    let of_start = |event: &&Event| event.at >= begun;
    let of_run = |event: &&Event| event.at <= started && before.is_none_or(|before| event.at >= before);
    let at_start = |provider: &str, id| events.iter().filter(of_start).find(|event| is(event, provider, id));
    let of_before = |provider: &str, id| events.iter().filter(of_run).find(|event| is(event, provider, id));
    let number = |event: &Event, name: &str| event.named(name).and_then(read_number).unwrap_or_default();

    let lost = at_start("Microsoft-Windows-Kernel-Power", 41);
    let bugcheck = lost.map(|lost| number(lost, "BugcheckCode")).filter(|code| *code != 0);
    let reported = at_start("Microsoft-Windows-WER-SystemErrorReporting", 1001);
    if bugcheck.is_some() || reported.is_some() {
        let code = bugcheck.map(|code| format!("0x{code:08x}"));
        let code = code.or_else(|| reported?.nth(0)?.split_whitespace().next().map(str::to_owned));
        let says = code.map_or_else(|| "a bugcheck".to_owned(), |code| format!("bugcheck {}", cut(&code)));
        return Some(Told { started, how: Some(BootEnd::Crash), says: Some(says) });
    }
    if let Some(lost) = lost {
        let is_held =
            number(lost, "PowerButtonTimestamp") != 0 || lost.named("LongPowerButtonPressDetected") == Some("true");
        let says = is_held.then(|| "its power button was held down".to_owned());
        return Some(Told { started, how: Some(BootEnd::Unclean), says });
    }
    if at_start("EventLog", 6008).is_some() {
        return Some(Told { started, how: Some(BootEnd::Unclean), says: None });
    }
    let asked = of_before("User32", 1074);
    let is_down = of_before("EventLog", 6006).is_some() || of_before("Microsoft-Windows-Kernel-Power", 109).is_some();
    let how = (is_down || asked.is_some()).then_some(BootEnd::Clean);
    Some(Told { started, how, says: asked.and_then(who_asked) })
}

/// What it comes to, with what the agent knows: why it was asked to end, whether the supply was on battery last. A button
/// that was held down is no power that was lost.
pub(super) fn weigh(told: &Told, asked: Option<&str>, is_on_battery: bool) -> BootEnd {
    match told.how {
        Some(BootEnd::Unclean) if told.says.is_none() && is_on_battery => BootEnd::Power,
        Some(how) => how,
        None => super::how(super::Traces { asked, has_panicked: false, is_on_battery }),
    }
}

fn is(event: &Event, provider: &str, id: u16) -> bool {
    event.id == id && event.provider.eq_ignore_ascii_case(provider)
}

/// `restart by MoUsoCoreWorker.exe, for updates: Operating System: Service pack (Planned)`. The event has the program,
/// the host, the reason, its code, what was asked for, a comment, and for whom.
fn who_asked(event: &Event) -> Option<String> {
    let part = |name: &str, place| event.named(name).or_else(|| event.nth(place)).unwrap_or_default().trim();
    let program = part("param1", 0);
    // `C:\Windows\system32\svchost.exe (NVR-02)`.
    let program = program.split(" (").next().unwrap_or_default();
    let program = program.rsplit('\\').next().unwrap_or_default();
    let (reason, asked) = (part("param3", 2), part("param5", 4));
    if program.is_empty() {
        return None;
    }
    let updaters = ["mousocoreworker.exe", "usoclient.exe", "wuauclt.exe", "trustedinstaller.exe", "usocoreworker.exe"];
    let for_updates = if updaters.contains(&program.to_ascii_lowercase().as_str()) { ", for updates" } else { "" };
    let asked = if asked.is_empty() { "asked" } else { asked };
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    Some(cut(&format!("{asked} by {program}{for_updates}{reason}")).to_owned())
}

/// Decimal, or hexadecimal behind `0x`.
fn read_number(text: &str) -> Option<u64> {
    match text.trim().strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.trim().parse().ok(),
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(REASON_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventlog::event::read;

    #[test]
    fn each_end_is_told_by_what_windows_writes() {
        let (up, up_before) = (event("EventLog", 6005, 600, ""), event("EventLog", 6005, 0, ""));
        let lost = |code: &str, button: &str| {
            let data = format!(
                "<Data Name='BugcheckCode'>{code}</Data><Data Name='BugcheckParameter1'>0x0</Data>\
                 <Data Name='PowerButtonTimestamp'>{button}</Data>"
            );
            event("Microsoft-Windows-Kernel-Power", 41, 590, &data)
        };
        let unexpected = || event("EventLog", 6008, 601, "<Data>16:05:00</Data><Data>16.11.2026</Data>");
        let asked = event(
            "User32",
            1074,
            500,
            "<Data Name='param1'>C:\\Windows\\uus\\AMD64\\MoUsoCoreWorker.exe (NVR-02)</Data><Data Name='param2'>NVR-02</Data>\
             <Data Name='param3'>Operating System: Service pack (Planned)</Data><Data Name='param4'>0x80020010</Data>\
             <Data Name='param5'>restart</Data><Data Name='param6'></Data><Data Name='param7'>NT AUTHORITY\\SYSTEM</Data>",
        );
        let down = event("EventLog", 6006, 510, "");
        let dumped = event(
            "Microsoft-Windows-WER-SystemErrorReporting",
            1001,
            640,
            "<Data Name='param1'>0x000000d1 (0x0, 0x2, 0x0, 0xfffff800)</Data>",
        );
        for (events, how, says) in [
            (vec![unexpected(), up.clone(), lost("0", "0"), up_before.clone()], Some(BootEnd::Unclean), None),
            (vec![unexpected(), up.clone(), up_before.clone()], Some(BootEnd::Unclean), None),
            (
                vec![unexpected(), up.clone(), lost("0", "133765432100000000"), up_before.clone()],
                Some(BootEnd::Unclean),
                Some("its power button was held down"),
            ),
            (vec![unexpected(), up.clone(), lost("209", "0")], Some(BootEnd::Crash), Some("bugcheck 0x000000d1")),
            (vec![dumped, unexpected(), up.clone()], Some(BootEnd::Crash), Some("bugcheck 0x000000d1")),
            (
                vec![up.clone(), down.clone(), asked.clone(), up_before.clone()],
                Some(BootEnd::Clean),
                Some("restart by MoUsoCoreWorker.exe, for updates: Operating System: Service pack (Planned)"),
            ),
            (vec![up.clone(), down.clone(), up_before.clone()], Some(BootEnd::Clean), None),
            // That was the start before.
            (vec![up.clone(), up_before, event("EventLog", 6006, -10, "")], None, None),
            (vec![up.clone()], None, None),
            // Any program may write a number; the kernel's own name it may not take.
            (
                vec![event("evil", 41, 601, "<Data Name='BugcheckCode'>1</Data>"), up.clone(), down.clone()],
                Some(BootEnd::Clean),
                None,
            ),
        ] {
            let told = told(&events).unwrap();
            assert_eq!(told.started, up.at);
            assert_eq!((told.how, told.says.as_deref()), (how, says), "{events:?}");
        }
        assert_eq!(told(&[down, asked]), None, "no start is known");
    }

    #[test]
    fn the_supply_tells_what_the_log_cannot() {
        let told =
            |how, says: Option<&str>| Told { started: Timestamp::UNIX_EPOCH, how, says: says.map(str::to_owned) };
        let unclean = Some(BootEnd::Unclean);
        for (told, asked, is_on_battery, end) in [
            (told(unclean, None), None, true, BootEnd::Power),
            (told(unclean, None), Some("shutdown requested"), false, BootEnd::Unclean),
            (told(unclean, Some("its power button was held down")), None, true, BootEnd::Unclean),
            (told(Some(BootEnd::Clean), None), None, true, BootEnd::Clean),
            (told(None, None), Some("shutdown requested"), true, BootEnd::Clean),
            (told(None, None), None, true, BootEnd::Power),
            (told(None, None), None, false, BootEnd::Unclean),
        ] {
            assert_eq!(weigh(&told, asked, is_on_battery), end, "{told:?}");
        }
    }

    fn event(provider: &str, id: u16, second: i64, data: &str) -> Event {
        let begin: Timestamp = "2026-11-16T16:00:00Z".parse().unwrap();
        let at = begin + SignedDuration::from_secs(second);
        let xml = format!(
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='{provider}'/>\
             <EventID Qualifiers='32768'>{id}</EventID><Level>1</Level><TimeCreated SystemTime='{at}'/>\
             <Channel>System</Channel></System><EventData>{data}</EventData></Event>"
        );
        read(&xml).unwrap()
    }
}

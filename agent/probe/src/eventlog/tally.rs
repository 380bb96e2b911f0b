//! What was counted of a log: which events, how many of late, and what the first of them said.

use jiff::{SignedDuration, Timestamp, Unit};
use serde::{Deserialize, Serialize};
use upheld_model::{Counter, Outcome, check::EventLogSpec};

use super::event::Event;
use crate::{ProbeResult, words};

/// So many events are quoted, the first of those that count; the others are counted.
const QUOTED_MAX: usize = 3;
/// Bytes of one quote.
const QUOTE_MAX: usize = 160;
/// A place in a log is a bookmark of Windows: a few hundred bytes.
const PLACE_MAX: usize = 4 << 10;
/// Events of late are counted in so many equal pieces of the time in which they count, so that a storm takes no room.
const PIECES: i64 = 240;

/// What one check has counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// What was looked for: with another question everything begins anew.
    asked: String,
    /// Since when it reads.
    since: Timestamp,
    /// Windows' bookmark of the last event that was read; `None` while there was none.
    place: Option<String>,
    /// When the newest event that was read was written.
    newest: Option<Timestamp>,
    /// All that counted, since the begin.
    total: u64,
    /// How many of late, by the piece of time in which they happened.
    #[serde(default)]
    lately: Vec<(i64, u64)>,
    /// The first of those.
    #[serde(default)]
    quotes: Vec<Quote>,
    /// Whether more are waiting to be read.
    #[serde(default)]
    is_more: bool,
}

/// One event in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Quote {
    at: Timestamp,
    says: String,
}

impl Tally {
    /// A check that reads from here on.
    pub(super) fn begun(spec: &EventLogSpec, now: Timestamp) -> Self {
        let asked = asked(spec);
        Self {
            asked,
            since: now,
            place: None,
            newest: None,
            total: 0,
            lately: Vec::new(),
            quotes: Vec::new(),
            is_more: false,
        }
    }

    /// Whether it was counted for this question.
    pub(super) fn is_of(&self, spec: &EventLogSpec) -> bool {
        self.asked == asked(spec)
    }

    /// The bookmark of the last event that was read.
    pub(super) fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// All that was written later is unread: for a log that has lost its place.
    pub(super) fn newest(&self) -> Timestamp {
        self.newest.unwrap_or(self.since)
    }

    /// Goes on from there; `None` leaves the place as it was.
    pub(super) fn put(&mut self, place: Option<String>) {
        self.place = place.filter(|place| place.len() <= PLACE_MAX).or(self.place.take());
    }

    /// Counts what was read since the last time.
    pub(super) fn counted(mut self, spec: &EventLogSpec, events: Vec<Event>, is_more: bool) -> Self {
        self.is_more = is_more;
        self.newest = events.iter().map(|event| event.at).max().max(self.newest);
        for event in events.iter().filter(|event| is_wanted(spec, event)) {
            self.total = self.total.saturating_add(1);
            let piece = piece(spec, event.at);
            match self.lately.iter_mut().find(|(known, _)| *known == piece) {
                Some((_, count)) => *count = count.saturating_add(1),
                None => self.lately.push((piece, 1)),
            }
            if self.quotes.len() < QUOTED_MAX {
                self.quotes.push(Quote { at: event.at, says: quote(event) });
            }
        }
        self
    }

    /// What of it is bad at `now`, in words; what counts no more is forgotten.
    pub(super) fn judge(&mut self, spec: &EventLogSpec, now: Timestamp) -> ProbeResult {
        let within = SignedDuration::from_secs(i64::try_from(spec.within_s).unwrap_or(i64::MAX));
        let from = now.checked_sub(within).unwrap_or(Timestamp::MIN);
        // Later than now only by a clock that was set back: that counts, and is forgotten with the rest.
        let (oldest, newest) = (piece(spec, from), piece(spec, now) + 1);
        self.lately.retain(|(piece, _)| (oldest..=newest).contains(piece));
        self.quotes.retain(|quote| oldest <= piece(spec, quote.at) && piece(spec, quote.at) <= newest);
        let lately = self.lately.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        let span = words::whole(spec.within_s);
        let log = &spec.channel;
        let more = if self.is_more { "; more wait to be read with the next look" } else { "" };
        // What is shown with a result has 256 characters: the first stands there, and each in a value of its own.
        let first =
            self.quotes.first().map(|quote| format!("; {}{}", if lately > 1 { "the first: " } else { "" }, quote.says));
        let first = first.unwrap_or_default();
        let (plural, since) =
            (if lately == 1 { "" } else { "s" }, self.since.round(Unit::Second).unwrap_or(self.since));
        let result = if lately >= u64::from(spec.bad_after) {
            let often = if spec.bad_after > 1 { format!(" (bad from {} on)", spec.bad_after) } else { String::new() };
            ProbeResult::bad(format!("{log}: {lately} event{plural} within {span}{often}{more}{first}"))
        } else if lately > 0 {
            let few =
                format!("{log}: {lately} event{plural} within {span}, bad from {} on{more}{first}", spec.bad_after);
            ProbeResult::new(Outcome::Ok).evidence(few)
        } else {
            ProbeResult::new(Outcome::Ok).evidence(format!("{log}: none within {span} (read since {since}){more}"))
        };
        let epoch = self.since.to_string();
        let result = result.value("events_lately", lately as f64);
        let result = result.counter("events", Counter(epoch.as_str().into(), self.total));
        let quoted = self.quotes.iter().zip(1..);
        quoted.fold(result, |result, (quote, nth)| result.value(format!("event_{nth}"), quote.says.as_str()))
    }
}

/// Windows has looked for all but the text; a source that writes the same number with another level is left out there.
fn is_wanted(spec: &EventLogSpec, event: &Event) -> bool {
    let holds = |text: &String| event.text().to_lowercase().contains(&text.to_lowercase());
    spec.contains.as_ref().is_none_or(holds)
}

/// `disk 153 (warning) at 2026-11-16T16:02:03Z: "\Device\Harddisk1\DR1"`.
fn quote(event: &Event) -> String {
    let text: Vec<String> = event.text().split_whitespace().map(str::to_owned).collect();
    let text = text.join(" ");
    let cut = text.floor_char_boundary(QUOTE_MAX);
    let (text, dots) = (&text[..cut], if cut < text.len() { "…" } else { "" });
    let at = event.at.round(Unit::Second).unwrap_or(event.at);
    format!("{} {} ({}) at {at}: \"{text}{dots}\"", event.provider, event.id, event.level_word())
}

/// The piece of time in which something happened.
fn piece(spec: &EventLogSpec, at: Timestamp) -> i64 {
    let length = (i64::try_from(spec.within_s).unwrap_or(i64::MAX) / PIECES).max(1);
    at.as_second().div_euclid(length)
}

fn asked(spec: &EventLogSpec) -> String {
    let EventLogSpec { channel, contains, within_s, .. } = spec;
    format!("{channel}: {} with {contains:?} within {within_s}", super::query::of(spec, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_few_are_quoted_and_the_rest_is_counted_for_as_long_as_it_counts() {
        let spec = spec(r#""bad_after":3"#);
        let mut tally = Tally::begun(&spec, at(0));
        tally.put(Some("<BookmarkList/>".to_owned()));
        let (none, _) = judged(&mut tally, &spec, 0);
        assert_eq!(none, "System: none within 60 min (read since 2026-11-16T16:00:00Z)");

        let mut tally = tally.counted(&spec, vec![event(10, "one"), event(20, "two")], false);
        let (few, outcome) = judged(&mut tally, &spec, 30);
        assert_eq!(outcome, Outcome::Ok);
        assert_eq!(
            few,
            "System: 2 events within 60 min, bad from 3 on; the first: disk 153 (warning) at 2026-11-16T16:00:10Z: \"one\""
        );

        let storm = (0..5_000).map(|number| event(40 + number / 100, "a\n storm")).collect();
        let mut tally = tally.counted(&spec, storm, true);
        let (many, outcome) = judged(&mut tally, &spec, 120);
        assert_eq!(outcome, Outcome::Bad);
        assert!(many.starts_with("System: 5002 events within 60 min (bad from 3 on); more wait"), "{many}");
        let quoted = tally.judge(&spec, at(120)).values;
        assert_eq!(quoted["event_3"], "disk 153 (warning) at 2026-11-16T16:00:40Z: \"a storm\"".into());
        assert_eq!((quoted.len(), &quoted["events_lately"]), (4, &5_002.0.into()));
        assert!(tally.lately.len() < 10 && tally.quotes.len() == QUOTED_MAX, "a storm takes no room");

        // Kept over a restart, as everything that probes have learned.
        let text = toml::to_string(&super::super::EventLogMemory::from([("a/b".parse().unwrap(), tally)])).unwrap();
        let kept: super::super::EventLogMemory = toml::from_str(&text).unwrap();
        let mut tally = kept.into_values().next().unwrap();
        assert_eq!(judged(&mut tally, &spec, 600).1, Outcome::Bad);
        let (over, outcome) = judged(&mut tally, &spec, 3_800);
        assert_eq!(outcome, Outcome::Ok);
        assert!(over.starts_with("System: none within 60 min"), "{over}");
        assert_eq!((tally.total, tally.place()), (5_002, Some("<BookmarkList/>")));
    }

    #[test]
    fn a_part_of_the_text_is_looked_for_in_whatever_case() {
        let spec = spec(r#""contains":"BAD block""#);
        let events = vec![event(1, "The device has a bad block."), event(2, "The device is well.")];
        let mut tally = Tally::begun(&spec, at(0)).counted(&spec, events, false);
        let (says, outcome) = judged(&mut tally, &spec, 5);
        assert_eq!(outcome, Outcome::Bad);
        assert!(says.starts_with("System: 1 event within 60 min; disk 153"), "{says}");
    }

    #[test]
    fn another_question_begins_anew() {
        let tally = Tally::begun(&spec(r#""contains":"x""#), at(0));
        assert!(tally.is_of(&spec(r#""contains":"x","bad_after":9"#)), "how many are bad is judged at each look");
        assert!(!tally.is_of(&spec(r#""contains":"y""#)));
        assert!(!tally.is_of(&spec(r#""contains":"x","level":"error""#)));
    }

    fn judged(tally: &mut Tally, spec: &EventLogSpec, second: i64) -> (String, Outcome) {
        let result = tally.judge(spec, at(second));
        (result.evidence.unwrap().as_str().to_owned(), result.outcome)
    }

    fn spec(more: &str) -> EventLogSpec {
        serde_json::from_str(&format!(r#"{{"channel":"System",{more}}}"#)).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        let begin: Timestamp = "2026-11-16T16:00:00Z".parse().unwrap();
        begin + SignedDuration::from_secs(second)
    }

    fn event(second: i64, says: &str) -> Event {
        Event {
            provider: "disk".to_owned(),
            id: 153,
            level: 3,
            at: at(second),
            data: vec![(String::new(), says.to_owned())],
            message: None,
        }
    }
}

//! The table of everything that can be wrong with a book: a code, its name, and what is behind it.
//!
//! A code is never given a second meaning. `upheld-collector explain-error E0212` prints [`Code::explanation`].

use std::fmt;

use serde::{Serialize, Serializer};

use super::diagnostic::Severity;

macro_rules! codes {
    ($($name:ident $code:literal $title:literal $explanation:literal)+) => {
        /// The name of a mistake: `E….` refuses the book, `W….` does not.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $title] $name),+
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code as it is printed: `E0212`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            /// What it is, in half a line.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),+ }
            }

            /// Why it matters and what to do.
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$name => $explanation),+ }
            }
        }
    };
}

codes! {
    Syntax "E0001" "the file is not TOML"
        "The file cannot be read as TOML 1.1 at this place. Nothing in the file was looked at beyond what is shown."
    TooLarge "E0002" "a file or the book is too large"
        "A file of the book may have 4 MiB, a book 50,000 files and 64 MiB, and each list in it a bounded number of entries. More is not a book but a mistake or an attack."
    UnknownFile "E0003" "a file where the book has none"
        "A book has provider.toml, catalogue.toml and the folders calendars, holidays, plans, manufacturers and clients/<client>/{client.toml, ssa.toml, sites/<site>.toml}. A file elsewhere would be ignored, and somebody would believe that it holds."
    MissingFile "E0004" "a file is missing"
        "provider.toml and catalogue.toml must be there; each folder below clients needs its client.toml."
    BadName "E0005" "a name that is no name"
        "Clients, sites, assets, checks and files are named with 1 to 64 letters, digits, '-', '_' or '.', starting with a letter or digit: the names stand in addresses and in file names."
    MoreMistakes "E0006" "more mistakes than are listed"
        "Of one file the first hundred mistakes are listed. Put those right, and the others are shown."
    UnknownKey "E0101" "unknown key"
        "The key means nothing here. Keys are never ignored: a misspelt key would leave out what its author meant to promise."
    MissingKey "E0102" "a key is missing"
        "This table needs the key."
    WrongType "E0103" "a value of the wrong type"
        "The key takes another type of value: text in quotes, a number, a date, an array or a table."
    BadValue "E0104" "a value that cannot be read"
        "The text does not have the form that the key takes: a duration needs its unit (\"4h\"), money its decimals (\"350.00/month\"), a percentage its sign (\"75%\")."
    UnknownWord "E0105" "a word outside the vocabulary"
        "The key takes one of a closed list of words; the message names the nearest of them or all."
    OutOfBounds "E0106" "a value outside its bounds"
        "The value is readable but further out than anything sensible; the bounds are in the message."
    NotBuilt "E0190" "known, but not built yet"
        "Upheld knows what this means and does not do it yet. To accept it silently would make a promise that nothing watches, so it is refused. Take it out of the book, or keep it as a comment."
    NoSuchThing "E0201" "a reference to something that is not in the book"
        "A plan, calendar, holiday list, site, asset or manufacturer is named that the book does not have."
    Twice "E0202" "the same name twice"
        "Two things have one name, so a reference to it would be ambiguous."
    NeverOpen "E0203" "the calendar covers no time"
        "The calendar has no regular and no extra hours, so no target counted under it can ever fall due."
    BadCalendar "E0204" "the calendar cannot be used"
        "The calendar's zone, hours or dates do not make sense together."
    NoCatchAll "E0205" "the catalogue has no catch-all"
        "The first entry that matches wins, so the last one must match everything (`match = {}`): otherwise an incident could be without urgency, and so without a promise."
    Unreachable "E0206" "a catalogue entry that can never match"
        "An entry before it matches everything, and the first match wins."
    Cycle "E0207" "assets that depend on each other in a circle"
        "powered_by, connected_to, routed_via and runs_on say what fails first; a circle says nothing."
    CheckRefused "E0208" "a check that no agent would run"
        "Agents refuse checks outside fixed bounds (the interval is 1 s to 1 day, the timeout 100 ms to 60 s) and targets that are no hosts, whoever asks."
    SecretInBook "E0209" "a secret in the book"
        "The book is read by many and kept for years, so a check names a secret (`secret = \"nvr-view\"`) and never contains it. Take the secret out of the file and out of its history, and change it at the device."
    VersionOrder "E0210" "versions out of order"
        "The versions of an agreement stand in the order in which they take effect, each from a later date than the one before: an instant must have exactly one version (F1)."
    EmptyVersion "E0211" "a version that is never in force"
        "The version ends before it begins."
    ResponseAfterResolution "E0212" "the response target is longer than the resolution target"
        "For the same priority and under the same calendar, an answer would be due after the repair. One of the two is a slip of the pen."
    NoPlan "E0213" "the first version names no plan"
        "Without a plan the agreement promises nothing. Later versions keep what they do not say; the first has nothing to keep."
    ChainLoop "E0214" "a target that waits for itself"
        "`after` names a stage that has no target for these priorities, or that waits for this one in turn."
    BadBands "E0215" "bands that do not partition all time"
        "The bands of a calendar say what work costs at which time. The first that matches wins, so every instant needs one: end them with a band that is \"rest\", and name none after it."
    PlanCircle "E0216" "plans that extend each other in a circle"
        "A plan that `extends` another says only what differs; in a circle nobody says the rest. One of them must say everything itself."
    NeverDue "E0217" "a target that can never fall due"
        "From the day on which the version takes effect, the target's calendar never has as many covered hours as the target needs: such a promise cannot be broken, so it promises nothing (R7). Give the calendar weekly hours, or the target another calendar."
    Kept "W0101" "kept, not acted on yet"
        "The book is read and the value kept with it, but this version of Upheld does not act on it. Nothing that is promised to a client becomes wrong by that; it is not done for you yet."
    EmptyHours "W0102" "hours that are empty"
        "Hours that end when they begin cover nothing; a whole day is \"00:00-24:00\"."
    NotInForce "W0103" "days without an agreement"
        "Between two versions, the first of which ends early, nothing is promised. An incident of those days says so by name."
    NoSites "W0104" "an agreement that covers no site"
        "The client has sites, and the agreement names none of them."
    CheckNotRun "W0105" "a check that no agent can run yet"
        "The kind is known and the check is kept with all that it says, but no agent of this version can run it. Its state is unknown, which is never up and never down: it opens no incident, and an asset that nothing else watches is not watched. As soon as agents can run it they are sent it, without a change of the book."
    RiderNoEarlier "W0106" "a rider that would lengthen a target"
        "Where two targets hold, the earlier due counts: a rider never lengthens a target. This one is due no earlier than the plan's at whatever hour an incident comes, so the client pays for nothing. Shorten it, count it under a calendar that covers more, or leave it out."
    HolidaysEnd "W0107" "holidays end before the coverage does"
        "The holiday list says until when it is complete (`valid_until`), and an agreement counts under it for longer. From then on holidays count as working days, which is in the client's favour and hardly meant."
    NothingPromised "W0108" "a priority for which nothing is promised"
        "The plan's matrix gives this priority to some incidents, and none of its targets holds for it: such an incident has no clock. Add a target for it, or one without `priority`, which holds for all."
    Ambiguous "W0109" "two catalogue entries that match the same"
        "Some incidents match both entries, which say the same keys, neither is the special case of the other, and their urgency differs: which of the two is first in the file decides how pressing such an incident is. Say the common case in an entry of its own before both, or narrow one of them."
    AlwaysMaintenance "W0110" "a window of work that never ends"
        "The window is as long as the time between two of them, so its assets are never watched: what happens in a window counts neither as up nor as down."
    MoreWarnings "W0111" "more warnings than are listed"
        "Of one file the first hundred warnings are listed."
}

impl Code {
    /// Error or warning, by its first letter.
    pub fn severity(self) -> Severity {
        if self.as_str().starts_with('E') { Severity::Error } else { Severity::Warning }
    }

    /// The code that is printed so.
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_unique_and_explained() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.explanation().ends_with('.'), "{code}");
            assert_eq!(Code::find(&code.as_str().to_lowercase()), Some(*code));
        }
        assert_eq!(Code::find("E9999"), None);
    }
}

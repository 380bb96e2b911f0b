//! The collector's own line, as its anchors show it: others' hosts that answer when the line is well.

use jiff::Timestamp;

use super::Change;

/// Looks in a row at which no anchor answered: then the line is lost.
pub const LOST_AFTER: u32 = 3;
/// Looks in a row at which one answered: then it is back. One good sample is no recovery (DETECTION 2).
pub const BACK_AFTER: u32 = 2;

/// What one look at all anchors came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// There is none to ask.
    NoAnchor,
    /// At least one answered.
    Reached,
    /// None answered within its deadline.
    Nobody,
}

/// What is known of the line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Line {
    /// Nobody watches it: silences are judged as if it were well.
    #[default]
    Unwatched,
    /// An anchor answered lately.
    Well {
        /// When one answered last, or when watching began.
        last_good: Timestamp,
        /// Looks since then.
        failed: u32,
    },
    /// No anchor answers.
    Lost {
        /// When one answered last.
        since: Timestamp,
        /// The first of the good looks at the end, and how many they are.
        good: Option<(Timestamp, u32)>,
    },
}

impl Line {
    /// A line that was lost when the process before this one ended.
    pub fn lost_since(since: Timestamp) -> Self {
        Self::Lost { since, good: None }
    }

    /// Whether it is lost.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Takes one look.
    ///
    /// ```
    /// use upheld_detection::own::{Change, Line, Look};
    /// let at = |second| jiff::Timestamp::from_second(second).unwrap();
    /// let mut line = Line::default();
    /// assert_eq!(line.looked(Look::Reached, at(0)), None);
    /// assert_eq!(line.looked(Look::Nobody, at(15)), None);
    /// assert_eq!(line.looked(Look::Nobody, at(30)), None);
    /// let lost = line.looked(Look::Nobody, at(45));
    /// assert!(matches!(lost, Some(Change::Begins { since, .. }) if since == at(0)));
    /// ```
    pub fn looked(&mut self, look: Look, at: Timestamp) -> Option<Change> {
        let (next, change) = match (self.clone(), look) {
            (Self::Unwatched | Self::Well { .. }, Look::NoAnchor) => (Self::Unwatched, None),
            (Self::Unwatched | Self::Well { .. }, Look::Reached) => (Self::Well { last_good: at, failed: 0 }, None),
            (Self::Unwatched, Look::Nobody) => (Self::Well { last_good: at, failed: 1 }, None),
            (Self::Well { last_good, failed }, Look::Nobody) if failed + 1 >= LOST_AFTER => {
                let why = format!("no anchor has answered {LOST_AFTER} looks in a row");
                let begins = Change::Begins { since: last_good, noticed: at, why };
                (Self::lost_since(last_good), Some(begins))
            }
            (Self::Well { last_good, failed }, Look::Nobody) => (Self::Well { last_good, failed: failed + 1 }, None),
            (Self::Lost { since, .. }, Look::Nobody) => (Self::lost_since(since), None),
            (Self::Lost { since, .. }, Look::NoAnchor) => {
                let why = "the book names no anchor any more".to_owned();
                (Self::Unwatched, Some(Change::Ends { since, until: at, why }))
            }
            (Self::Lost { since, good }, Look::Reached) => {
                let (first, looks) = good.map_or((at, 1), |(first, looks)| (first, looks + 1));
                if looks >= BACK_AFTER {
                    let ends = Change::Ends { since, until: first, why: "an anchor answers again".to_owned() };
                    (Self::Well { last_good: at, failed: 0 }, Some(ends))
                } else {
                    (Self::Lost { since, good: Some((first, looks)) }, None)
                }
            }
        };
        *self = next;
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(looks: &str) -> Vec<String> {
        let mut line = Line::default();
        let mut told = Vec::new();
        for (n, look) in (0i64..).zip(looks.chars()) {
            let at = Timestamp::from_second(15 * n).unwrap();
            let look = match look {
                '+' => Look::Reached,
                '-' => Look::Nobody,
                _ => Look::NoAnchor,
            };
            told.extend(line.looked(look, at).map(|change| match change {
                Change::Begins { since, noticed, .. } => format!("lost {}@{}", since.as_second(), noticed.as_second()),
                Change::Ends { since, until, .. } => format!("back {}..{}", since.as_second(), until.as_second()),
            }));
        }
        told
    }

    #[test]
    fn the_line_is_lost_after_three_looks_and_back_after_two() {
        for (looks, changes) in [
            ("++++", vec![]),
            ("+--+--+--", vec![]),
            ("+---", vec!["lost 0@45"]),
            ("+---+-++", vec!["lost 0@45", "back 0..90"]),
            ("---", vec!["lost 0@30"]),
            ("+--------++---", vec!["lost 0@45", "back 0..135", "lost 150@195"]),
            ("....", vec![]),
            ("+---..", vec!["lost 0@45", "back 0..60"]),
            ("--.--.--", vec![]),
        ] {
            assert_eq!(told(looks), changes, "{looks}");
        }
    }

    #[test]
    fn a_line_that_was_lost_before_a_restart_is_lost_until_an_anchor_answers() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut line = Line::lost_since(at(0));
        assert_eq!(line.looked(Look::Reached, at(100)), None);
        let back = line.looked(Look::Reached, at(115)).unwrap();
        assert!(matches!(back, Change::Ends { since, until, .. } if since == at(0) && until == at(100)));
    }
}

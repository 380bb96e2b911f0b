//! The issue catalogue: every incident has an entry, every entry can match, and the order decides nothing by accident.

use std::collections::BTreeMap;

use upheld_model::IncidentClass;

use super::Check;
use crate::book::{Code, Diagnostic, IssueEntry, IssueMatch, Located};

pub(super) fn validate(check: &mut Check<'_>) {
    let catalogue = &check.book.catalogue;
    let mut seen: BTreeMap<&str, &Located<String>> = BTreeMap::new();
    for (index, issue) in catalogue.issues.iter().enumerate() {
        if let Some(first) = seen.get(issue.id.as_str()) {
            let message = format!("issue `{}` is there twice", issue.id.value);
            let twice = Diagnostic::new(Code::Twice, &issue.id.place, message);
            check.report(twice.other(&first.place, "the first one").help("give one of them another id"));
        }
        seen.entry(&issue.id).or_insert(&issue.id);
        against_those_before(issue, &catalogue.issues[..index], check);
    }
    // A catalogue that could not be read has been reported already, and stands here without entries.
    let was_read = !check.has_mistakes(&catalogue.place.file);
    if was_read && !catalogue.issues.iter().any(|issue| issue.matches.is_catch_all()) {
        let missing =
            Diagnostic::new(Code::NoCatchAll, &catalogue.place, "the catalogue has no entry that matches everything");
        let missing = missing.help("end it with an entry that has `match = {}`");
        check.report(match uncovered(&catalogue.issues).as_slice() {
            [] => missing,
            classes => missing.help(format!("no entry would match every incident of {}", classes.join(", "))),
        });
    }
}

/// E0206 and W0109: an entry that an earlier one hides, and one whose incidents another takes by standing first.
fn against_those_before(issue: &IssueEntry, before: &[IssueEntry], check: &mut Check<'_>) {
    let hides = |first: &&IssueEntry| first.matches.takes_all_of(&issue.matches);
    if let Some(first) = before.iter().find(hides) {
        let message = format!("issue `{}` can never match", issue.id.value);
        let what = if first.matches.is_catch_all() {
            "this one matches everything, and the first match wins"
        } else {
            "this one matches all that it does, and the first match wins"
        };
        let unreachable = Diagnostic::new(Code::Unreachable, &issue.id.place, message).other(&first.id.place, what);
        check.report(unreachable.help(format!("put it before `{}`, or take it out", first.id.value)));
        return;
    }
    let is_ambiguous = |first: &&IssueEntry| {
        first.urgency != issue.urgency
            && first.matches.says() == issue.matches.says()
            && first.matches.meets(&issue.matches)
            && !issue.matches.takes_all_of(&first.matches)
    };
    if let Some(first) = before.iter().find(is_ambiguous) {
        let (one, other) = (&first.id.value, &issue.id.value);
        let message = format!(
            "some incidents match `{one}` and `{other}`: they are of {} urgency because `{one}` is first, and would be of {}",
            first.urgency, issue.urgency
        );
        let ambiguous = Diagnostic::new(Code::Ambiguous, &issue.id.place, message);
        let ambiguous = ambiguous.other(&first.id.place, "the first one");
        check.report(ambiguous.help("say what both match in an entry of its own before them, or narrow one of them"));
    }
}

/// The classes of incidents of which some would match nothing.
fn uncovered(issues: &[IssueEntry]) -> Vec<&'static str> {
    let takes_whole = |class: IncidentClass, found: &IssueMatch| {
        (found.class.is_empty() || found.class.contains(&class))
            && found.kind.is_empty()
            && found.check.is_empty()
            && found.asset.is_empty()
    };
    let is_uncovered = |class: &&IncidentClass| !issues.iter().any(|issue| takes_whole(**class, &issue.matches));
    IncidentClass::ALL.iter().filter(is_uncovered).map(|class| class.as_str()).collect()
}

impl IssueMatch {
    /// Whether everything that fits `other` fits this one.
    fn takes_all_of(&self, other: &Self) -> bool {
        fn takes<T: PartialEq>(own: &[T], other: &[T]) -> bool {
            own.is_empty() || (!other.is_empty() && other.iter().all(|one| own.contains(one)))
        }
        takes(&self.class, &other.class)
            && takes(&self.kind, &other.kind)
            && takes(&self.check, &other.check)
            && takes(&self.asset, &other.asset)
    }

    /// Which keys it says. Entries that say different keys (one a class, one an asset) meet here and there, and are put in
    /// order for that; of two that say the same keys, the author thought that they are apart.
    fn says(&self) -> [bool; 4] {
        [!self.class.is_empty(), !self.kind.is_empty(), !self.check.is_empty(), !self.asset.is_empty()]
    }

    /// Whether something fits both.
    fn meets(&self, other: &Self) -> bool {
        fn meets<T: PartialEq>(own: &[T], other: &[T]) -> bool {
            own.is_empty() || other.is_empty() || own.iter().any(|one| other.contains(one))
        }
        meets(&self.class, &other.class)
            && meets(&self.kind, &other.kind)
            && meets(&self.check, &other.check)
            && meets(&self.asset, &other.asset)
    }
}

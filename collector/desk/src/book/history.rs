//! What history forbids an application to change (TERMS 1): versions that are or were in force, holidays that they
//! promise, clients.

use std::collections::BTreeSet;

use jiff::{Timestamp, tz::TimeZone};
use upheld_agreement::book::{
    Book, Rewritten, VersionSummary, calendars_of,
    compare::{Side, versions},
    rewritten,
};

use super::ApplyError;

/// Everything that is forbidden, what is said first first. Empty where the book may be applied.
pub(super) fn refusals(before: &Book, after: &Book, now: Timestamp) -> Vec<ApplyError> {
    let gone = before.clients.keys().filter(|client| !after.clients.contains_key(client));
    let mut refusals: Vec<ApplyError> =
        gone.map(|client| ApplyError::ClientMissing { client: client.clone() }).collect();
    refusals.extend(holidays(before, after, now).into_iter().map(ApplyError::HolidayChanged));
    // A holiday that was promised changes every version that counts by its calendar: it is said once, above.
    let is_told = refusals.iter().any(|refusal| matches!(refusal, ApplyError::HolidayChanged(_)));
    if !is_told {
        refusals.extend(changed_versions(before, after, now));
    }
    refusals
}

fn holidays(before: &Book, after: &Book, now: Timestamp) -> Vec<Rewritten> {
    let zone = TimeZone::get(&before.provider.zone).unwrap_or(TimeZone::UTC);
    let agreements = before.clients.values().filter_map(|client| client.agreement.as_ref());
    let begun = agreements.flat_map(|agreement| &agreement.versions).filter(|version| version.from <= now);
    let calendars: BTreeSet<_> = begun.flat_map(|version| calendars_of(before, version)).collect();
    rewritten(before, after, &calendars, zone.to_datetime(now).date())
}

fn changed_versions(before: &Book, after: &Book, now: Timestamp) -> Vec<ApplyError> {
    let new: Vec<VersionSummary> = after.versions();
    let begun = before.versions().into_iter().filter(|old| old.from <= now && after.clients.contains_key(&old.client));
    begun
        .filter_map(|old| {
            let same = |new: &&VersionSummary| {
                (&new.client, &new.agreement, new.version) == (&old.client, &old.agreement, old.version)
            };
            let differences = match new.iter().find(same) {
                Some(new) if new.hash == old.hash => return None,
                Some(_) => {
                    let (was, is) =
                        (Side { book: before, version: old.version }, Side { book: after, version: old.version });
                    versions(&old.client, was, is).map(|diff| diff.lines()).unwrap_or_default()
                }
                None => vec!["the version is gone".to_owned()],
            };
            let VersionSummary { client, agreement, version, .. } = old;
            Some(ApplyError::VersionChanged { client, agreement, version, differences })
        })
        .collect()
}

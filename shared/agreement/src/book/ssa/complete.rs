//! Completing amendments: everything that one does not say stays as it was.

use jiff::{Timestamp, tz::TimeZone};
use upheld_model::SiteId;

use super::{Agreement, AgreementFile, Amendment, Version};
use crate::{
    book::{
        code::Code,
        diagnostic::Diagnostic,
        scalar::Moment,
        source::{Located, Place},
    },
    words::OpenIncidents,
};

impl AgreementFile {
    /// The agreement with every version complete; instants are taken in the provider's zone.
    pub(crate) fn complete(self, zone: &TimeZone, found: &mut Vec<Diagnostic>) -> Option<Agreement> {
        let mut versions: Vec<Version> = Vec::new();
        let mut before: Option<Place> = None;
        for (index, amendment) in self.versions.iter().enumerate() {
            let Some(version) = self.version(index, amendment, versions.last(), zone, found) else { continue };
            if let (Some(earlier), Some(place)) = (versions.last(), &before)
                && version.from <= earlier.from
            {
                let message = "this version does not take effect later than the one before it";
                found.push(
                    Diagnostic::new(Code::VersionOrder, &amendment.from.place, message)
                        .other(place, "the version before"),
                );
            }
            before = Some(amendment.from.place.clone());
            versions.push(version);
        }
        if versions.is_empty() {
            return None;
        }
        let agreement = Agreement {
            number: self.number,
            dispute_within_s: self.dispute_within_s,
            versions,
            asset_terms: self.asset_terms,
            place: self.place,
        };
        agreement.warn_of_gaps(zone, found);
        Some(agreement)
    }

    fn version(
        &self,
        index: usize,
        said: &Amendment,
        before: Option<&Version>,
        zone: &TimeZone,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Version> {
        let from = instant(&said.from, zone, Edge::From, found)?;
        let until = match &said.until {
            Some(until) => Some(instant(until, zone, Edge::Until, found)?),
            None => before.and_then(|version| version.until),
        };
        if let Some(until) = until
            && until <= from
        {
            let place = said.until.as_ref().map_or(&said.from.place, |until| &until.place);
            let empty = Diagnostic::new(Code::EmptyVersion, place, "the version ends before it takes effect");
            found.push(match said.until {
                Some(_) => empty,
                None => empty.help("`until` stays as the version before has it: write a new one"),
            });
        }
        let plan = said.plan.clone().or_else(|| before.map(|version| version.plan.clone()));
        let Some(plan) = plan else {
            if index == 0 {
                let missing = Diagnostic::new(Code::NoPlan, &said.place, "the first version names no plan");
                found.push(missing.help("write plan = \"gold\""));
            }
            return None;
        };
        let kept = |pick: fn(&Version) -> Vec<Located<SiteId>>| before.map(pick);
        Some(Version {
            number: u32::try_from(index + 1).unwrap_or(u32::MAX),
            from,
            until,
            signed: said.signed,
            note: said.note.clone(),
            plan,
            riders: said.riders.clone().or_else(|| before.map(|version| version.riders.clone())).unwrap_or_default(),
            sites: said.sites.clone().or_else(|| kept(|version| version.sites.clone())).unwrap_or(self.sites.clone()),
            not_covered: said
                .not_covered
                .clone()
                .or_else(|| before.map(|version| version.not_covered.clone()))
                .unwrap_or(self.not_covered.clone()),
            fee: said.fee.or_else(|| before.and_then(|version| version.fee)).or(self.fee),
            open_incidents: said.open_incidents.unwrap_or(OpenIncidents::Pin),
            place: said.place.clone(),
        })
    }
}

impl Agreement {
    fn warn_of_gaps(&self, zone: &TimeZone, found: &mut Vec<Diagnostic>) {
        let day = |at: Timestamp| zone.to_datetime(at).date();
        for pair in self.versions.windows(2) {
            if let Some(until) = pair[0].until
                && until < pair[1].from
            {
                let message = format!("nothing is promised from {} until {}", day(until), day(pair[1].from));
                found.push(Diagnostic::new(Code::NotInForce, &pair[1].place, message));
            }
        }
    }
}

enum Edge {
    From,
    Until,
}

/// A bare date is 00:00 of it; as an end it includes its day.
fn instant(moment: &Located<Moment>, zone: &TimeZone, edge: Edge, found: &mut Vec<Diagnostic>) -> Option<Timestamp> {
    let date = match moment.value {
        Moment::Instant(at) => return Some(at),
        Moment::Date(date) => match edge {
            Edge::From => Some(date),
            Edge::Until => date.tomorrow().ok(),
        },
    };
    let midnight = date.and_then(|date| date.to_zoned(zone.clone()).ok()).map(|zoned| zoned.timestamp());
    if midnight.is_none() {
        found.push(Diagnostic::new(Code::OutOfBounds, &moment.place, "the date is outside the calendar"));
    }
    midnight
}

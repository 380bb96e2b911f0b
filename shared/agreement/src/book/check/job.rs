//! Jobs that tell when they ran: `{ kind = "backup.job", name = "nightly", schedule = "cron 0 2 * * *" }`.
//!
//! What a schedule means is detection's: here it is text with a place, and whoever reads a book for a collector has
//! detection read it too.

use serde::Serialize;
use upheld_model::{CheckId, CheckName};

use crate::book::{
    code::Code,
    diagnostic::Diagnostic,
    fields::{Fields, Reading},
    provider::Zone,
    scalar::PlainSeconds,
    source::{Located, Place},
};

/// The longest grace: what is told later than that is no news.
const GRACE_MAX_S: u64 = 31 * 86_400;

/// A job that tells when it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobCheck {
    /// The check's name within its site.
    pub id: CheckId,
    /// Its kind, one of [`super::JOBS`].
    pub kind: String,
    /// When it is expected: `cron 0 2 * * *`, `calendar Mon..Fri 02:00`, `every 6h`.
    pub schedule: Located<String>,
    /// How long after the expected instant it may say that it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<PlainSeconds>,
    /// The job host's own zone, where it is not the site's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The check of the same asset that sees the file which a run leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_by: Option<Located<CheckName>>,
    /// Where it stands.
    #[serde(skip)]
    pub place: Place,
}

pub(super) fn read(
    id: CheckId,
    kind: String,
    mut fields: Fields<'_, '_>,
    reading: &mut Reading<'_>,
) -> Option<JobCheck> {
    let place = fields.place().clone();
    let schedule = fields.required("schedule", reading);
    let grace_node = fields.node("grace");
    let grace = fields.optional::<PlainSeconds>("grace", reading);
    if let (Some(node), Some(_)) = (grace_node, grace.filter(|grace| !(1..=GRACE_MAX_S).contains(&grace.0))) {
        let message = "the grace of a job is from one second to 31 days";
        reading.report(Diagnostic::new(Code::OutOfBounds, &reading.place(node), message));
    }
    let zone = fields.optional::<Zone>("time_zone", reading).map(|zone| zone.0);
    let seen_by = fields.optional("seen_by", reading);
    fields.finish(reading);
    Some(JobCheck { id, kind, schedule: schedule?, grace, zone, seen_by, place })
}

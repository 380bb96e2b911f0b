//! Checks of event logs: `{ kind = "eventlog", channel = "System", provider = "disk", ids = [7, 51, 153] }`.

use upheld_model::{
    ProbeSpec,
    check::{EVENT_IDS_MAX, EventLogSpec},
};

use super::small;
use crate::book::{
    code::Code,
    diagnostic::Diagnostic,
    fields::{Fields, Reading},
    scalar::PlainSeconds,
    source::Located,
};

/// Reads which events, and how many of them within which time are bad: one within an hour where it does not say.
pub(super) fn read(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let channel = fields.required("channel", reading);
    let provider = fields.optional("provider", reading);
    let numbers = fields.list_up_to::<Located<u64>>(EVENT_IDS_MAX, "ids", reading);
    let ids = numbers.iter().filter_map(|number| {
        let id = u16::try_from(number.value).ok();
        if id.is_none() {
            let message = format!("{} is no event's number: those go up to 65535", number.value);
            reading.report(Diagnostic::new(Code::OutOfBounds, &number.place, message));
        }
        id
    });
    let ids = ids.collect();
    let level = fields.optional("level", reading);
    let contains = fields.optional("contains", reading);
    let bad_after = small(fields, "bad_after", reading).unwrap_or(1);
    let within_s = fields.optional::<PlainSeconds>("within", reading).map_or(3_600, |within| within.0);
    Some(ProbeSpec::EventLog(EventLogSpec { channel: channel?, provider, ids, level, contains, bad_after, within_s }))
}

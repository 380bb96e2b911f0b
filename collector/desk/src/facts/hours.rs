//! The hours of complete local days, for the test of the time of day and for what is judged by the day. Few checks have any hour that was bad on three
//! days; only those are kept in memory, until a day is over or late readings arrive. What is kept is derived: it is
//! read again from the store when it is not there.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{Timestamp, ToSpan as _, civil::Date};
use upheld_detection::{
    facts::Count,
    keep::by_check,
    measure::Measured,
    observe::counted_cells,
    plan::Site,
    time_of_day::{Cells, DAYS, Signal},
    uptime::Span,
};
use upheld_model::{CheckId, ClientId, SiteId};
use upheld_store::{ReadTx, facts::SiteKey};

use super::{Ahead, beyond_findings, read_hour, read_kept};
use crate::DeskError;

/// An hour that was bad on fewer days is no pattern, whatever the others say.
const DAYS_BAD_MIN: usize = 3;
/// Patterns that began as long ago as this are still told by the same first evening.
const DAYS_BACK: i32 = 2 * DAYS + 7;

/// The hours of the checks that may have a pattern, and the days of what is judged by the day.
#[derive(Debug, Clone, Default)]
pub(crate) struct DayCells {
    hours: Arc<BTreeMap<CheckId, BTreeMap<Signal, Cells>>>,
    measured: Arc<BTreeMap<CheckId, Arc<Measured>>>,
}

impl DayCells {
    pub(crate) fn of(&self, check: &CheckId) -> BTreeMap<Signal, Cells> {
        self.hours.get(check).cloned().unwrap_or_default()
    }

    /// What each check measured, by the day.
    pub(crate) fn measured(&self) -> impl Iterator<Item = (&CheckId, &Arc<Measured>)> {
        self.measured.iter()
    }
}

/// The cells of each site as of its latest midnight.
#[derive(Debug, Default)]
pub(crate) struct CellCache(Mutex<BTreeMap<(ClientId, SiteId), Held>>);

/// The cells before a day, and how often past hours had changed when they were read.
type Held = (Date, i64, DayCells);

impl CellCache {
    /// The cells of the days before the local day of `now`.
    pub(crate) fn of(&self, tx: &dyn ReadTx, plan: &Site, now: Timestamp) -> Result<DayCells, DeskError> {
        let today = plan.zone.to_datetime(now).date();
        let name = (plan.client.clone(), plan.site.clone());
        // Another collector may have taken late readings.
        let changes = tx.late_hours(SiteKey { client: &plan.client, site: &plan.site })?;
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if let Some((.., cells)) = held.filter(|(day, known, _)| (*day, *known) == (today, changes)) {
            return Ok(cells);
        }
        let cells = read(tx, plan, today)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, (today, changes, cells.clone()));
        Ok(cells)
    }

    /// Forgets a site whose past hours changed.
    pub(crate) fn forget(&self, client: &ClientId, site: &SiteId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(client.clone(), site.clone()));
    }
}

fn read(tx: &dyn ReadTx, plan: &Site, today: Date) -> Result<DayCells, DeskError> {
    let key = SiteKey { client: &plan.client, site: &plan.site };
    let begin = |day: Date| day.to_zoned(plan.zone.clone()).map_or(Timestamp::MIN, |zoned| zoned.timestamp());
    let first = today.checked_sub(DAYS_BACK.days()).unwrap_or(Date::MIN);
    let period = Span { from: begin(first), to: begin(today) };
    let rows = tx.hours(key, period.from, period.to)?;
    let mut hours = rows.iter().map(|row| read_hour(&row.body)).collect::<Result<Vec<_>, DeskError>>()?;
    for (_, body) in tx.kept_of_site(key)? {
        hours.extend(read_kept(&body)?.hour().filter(|hour| hour.from < period.to).cloned());
    }
    let counts: BTreeMap<CheckId, Vec<Count>> = beyond_findings(tx, plan, period, &mut Ahead::ignored(period))?
        .into_iter()
        .map(|(check, seen)| (check, seen.counts))
        .collect();
    let (mut found, mut measured) = (BTreeMap::new(), BTreeMap::new());
    for (check, hours) in by_check(hours.iter(), &plan.zone) {
        let days = hours.points.days(&plan.zone);
        if !days.is_empty() {
            measured.insert(check.clone(), Arc::new(days));
        }
        let mut signals: BTreeMap<Signal, Cells> = BTreeMap::new();
        signals.extend(hours.loss.map(|loss| (Signal::Loss, loss.cells())));
        if !hours.rtt.is_empty() {
            signals.insert(Signal::Rtt, hours.rtt.cells());
        }
        let counts = counts.get(&check).map(Vec::as_slice).unwrap_or_default();
        signals.extend(counted_cells(counts, &plan.zone, hours.watched.iter().copied()));
        if signals.values().any(may_be_pattern) {
            found.insert(check, signals);
        }
    }
    Ok(DayCells { hours: Arc::new(found), measured: Arc::new(measured) })
}

fn may_be_pattern(cells: &Cells) -> bool {
    (0..24).any(|hour| cells.values().filter(|day| day[hour] == Some(true)).count() >= DAYS_BAD_MIN)
}

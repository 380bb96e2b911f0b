//! The clocks of one incident: replayed from its ledger, and the rows that say when to look again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use upheld_agreement::clock::{Announced, Clock, ClockState, Effect, LateFact};
use upheld_outbound::EventKind;
use upheld_store::{Tx, clocks::ClockRow};

use super::{
    Case, entry,
    messages::{self, Subject},
    promise::Promise,
    text,
};
use crate::{DeskError, book::CurrentBook};

/// What has been announced of one clock, and what of it was taken back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Told {
    /// What was announced.
    pub(crate) announced: Announced,
    /// The late fact that took it back (F7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) withdrawn: Option<LateFact>,
}

/// Replays all clocks of an incident; none where nothing is promised.
pub(crate) fn replay(case: &Case) -> Result<Vec<Clock>, DeskError> {
    match &case.promise {
        Promise::NotAsked | Promise::None(_) => Ok(Vec::new()),
        Promise::Pinned(pinned) => Clock::replay_all(&pinned.terms, &pinned.start, &entry::facts(&case.ledger))
            .map_err(|error| DeskError::unreadable("calendar of an incident", &error)),
    }
}

/// Announces what fell due by `now`, takes back what a late fact made wrong, and notes when to look again.
pub(crate) fn settle(
    tx: &mut dyn Tx,
    book: &CurrentBook,
    case: &Case,
    clocks: &[Clock],
    now: Timestamp,
) -> Result<(), DeskError> {
    if clocks.is_empty() {
        return Ok(());
    }
    let rows = tx.clocks(&case.row.client, case.row.number)?;
    for clock in clocks {
        let name = clock.stage().as_str();
        let held = rows.iter().find(|row| row.clock == name);
        let mut told: Vec<Told> = match held {
            Some(row) => serde_json::from_str(&row.announced)
                .map_err(|error| DeskError::unreadable("announcements of a clock", &error))?,
            None => Vec::new(),
        };
        let standing: Vec<_> = told.iter().filter(|told| told.withdrawn.is_none()).map(|told| told.announced).collect();
        for effect in clock.milestones_due(now, &standing) {
            let (event, subject, dated) = carry_out(&mut told, clock, effect);
            messages::tell(tx, book, case, clocks, event, &subject, dated, now)?;
        }
        let view = clock.view(now);
        let row = ClockRow {
            client: case.row.client.clone(),
            number: case.row.number,
            clock: name.to_owned(),
            state: state_word(&view.state).to_owned(),
            due: view.due.instant(),
            next_deadline: clock.next_deadline(now),
            revision: held.map_or(0, |row| row.revision),
            target: text("target of a clock", &view.source)?,
            announced: text("announcements of a clock", &told)?,
        };
        match held {
            None => tx.insert_clock(&row)?,
            Some(held) if *held == row => {}
            Some(_) => {
                if !tx.update_clock(&row)? {
                    return Err(DeskError::Overtaken("the clock"));
                }
            }
        }
    }
    Ok(())
}

fn carry_out(told: &mut Vec<Told>, clock: &Clock, effect: Effect) -> (EventKind, Subject, Timestamp) {
    let stage = clock.stage();
    match effect {
        Effect::Announce { announced } => {
            told.push(Told { announced, withdrawn: None });
            let event = match announced.milestone {
                upheld_agreement::clock::Milestone::Warning { .. }
                | upheld_agreement::clock::Milestone::HandOver { .. } => EventKind::ClockWarning,
                upheld_agreement::clock::Milestone::Breach => EventKind::ClockBreached,
            };
            (event, Subject::Milestone { stage, announced, because: None }, announced.due_at)
        }
        Effect::Withdraw { announced, because } => {
            if let Some(told) = told.iter_mut().find(|told| told.withdrawn.is_none() && told.announced == announced) {
                told.withdrawn = Some(because.clone());
            }
            let subject = Subject::Milestone { stage, announced, because: Some(because) };
            (EventKind::ClockWithdrawn, subject, announced.due_at)
        }
    }
}

/// The state's word: in the table, the API and on the page.
pub(crate) fn state_word(state: &ClockState) -> &'static str {
    match state {
        ClockState::Scheduled { .. } => "scheduled",
        ClockState::Running { .. } => "running",
        ClockState::Paused { .. } => "paused",
        ClockState::Met { .. } => "met",
        ClockState::MetLate { .. } => "met-late",
        ClockState::Cancelled { .. } => "cancelled",
    }
}

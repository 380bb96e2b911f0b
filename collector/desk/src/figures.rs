//! Figures of an agreement, computed on read from the facts that are stored: the statement, what-if, what it would cost
//! to send someone now, and each asset's time.
//!
//! Everything is gathered from the store here and counted in `upheld-agreement` (F9): nothing is stored, so a late fact
//! changes the figure the next time it is asked for. What the client disputes is counted both ways (F13). Where to
//! look next: [`past`] for incidents as replays want them, [`uptime`] for time, [`statement`] for all of it together.

mod breach;
mod cost;
mod past;
mod signals;
mod statement;
mod uptime;
mod what_if;

pub(crate) use breach::owed_if_missed;
pub(crate) use cost::cost_sentence;
pub use cost::{CostView, OfManner, SoFar};
pub use past::PastPage;
pub use signals::{Signal, Signals, Stretch};
pub use statement::StatementError;
pub(crate) use statement::happened;
pub(crate) use uptime::of_client as uptime_of_client;

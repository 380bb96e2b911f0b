//! What reports say (UX 4). Not built yet: the one entry answers with an error that says so, and
//! `upheld-collector report` passes it on with exit code 69.
#![forbid(unsafe_code)]

use jiff::civil::Date;
use upheld_model::ClientId;

/// One client's month against its agreement. It has no value yet, so none can be made up.
#[derive(Debug)]
pub enum MonthlyReport {}

/// The report was asked for and cannot be made by this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the report of {client} for {month} is not built yet; `upheld-collector explain INCIDENT` explains each clock")]
pub struct NotBuilt {
    /// Whose report was asked for.
    pub client: ClientId,
    /// The month, as `2026-10`.
    pub month: String,
}

/// The report of the month that holds `day`.
///
/// # Errors
/// Always [`NotBuilt`] in this version.
pub fn monthly(client: &ClientId, day: Date) -> Result<MonthlyReport, NotBuilt> {
    Err(NotBuilt { client: client.clone(), month: day.strftime("%Y-%m").to_string() })
}

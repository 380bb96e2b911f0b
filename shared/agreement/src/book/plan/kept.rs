//! Parts of a plan that are read and kept, and that this version does not act on.
//!
//! They are parsed to typed data all the same: a slip in a credit tier is found when it is written, not on the day
//! credits are built.

mod availability;
mod credits;
mod prevention;
mod rates;

pub use availability::{Availability, AvailabilityPer, CountsAs, Exclusion, Window};
pub use credits::{Amount, Credit, CreditLimits, CreditWhen, Rounding};
pub use prevention::{Every, Prevention};
pub use rates::{Escalation, Rate, RatePrice, Step};

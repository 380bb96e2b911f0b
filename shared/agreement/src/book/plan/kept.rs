//! Parts of a plan beside its targets: availability, credits and rates, which statements count, and what is only kept
//! so far.
//!
//! All are parsed to typed data: a slip in an escalation is found when it is written, not on the day escalations are
//! built.

mod availability;
mod credits;
mod prevention;
mod rates;

pub use availability::{Availability, AvailabilityPer, CountsAs, Exclusion, Window};
pub use credits::{Amount, Credit, CreditLimits, CreditWhen, Rounding};
pub use prevention::{Every, Prevention};
pub use rates::{Escalation, IncludedHours, Rate, RatePrice, Step};

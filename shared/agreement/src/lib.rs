//! The agreement as data: book, calendar, terms, clock, explanation.
#![forbid(unsafe_code)]

pub mod calendar;
pub mod cases;
pub mod uptime_cases;

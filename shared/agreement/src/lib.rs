//! The agreement as data: book, calendar, terms, clock, explanation.
#![forbid(unsafe_code)]

pub mod book;
pub mod calendar;
pub mod canonical;
pub mod cases;
pub mod clock;
pub mod explain;
pub mod matching;
pub mod money;
pub mod ratio;
pub mod terms;
pub mod uptime_cases;
pub mod words;

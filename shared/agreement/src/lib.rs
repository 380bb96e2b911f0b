//! The agreement as data: book, calendar, terms, clock, explanation.
#![forbid(unsafe_code)]

pub mod calendar;

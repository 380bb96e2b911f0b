//! The agreement as data: what was promised, when it falls due, and why (TERMS).
//!
//! | module | answers |
//! |---|---|
//! | [`book`] | what do the provider's files say, and what is wrong with them |
//! | [`matching`] | which terms hold for this incident |
//! | [`terms`] | those terms, self-contained, as they are pinned to it |
//! | [`calendar`] | when does time count, and when has so much of it passed |
//! | [`bands`] | in which named band of a calendar is an instant |
//! | [`clock`] | how does each stage stand, given the ledger of facts |
//! | [`availability`] | how much of a period was it there, and does that keep the objective |
//! | [`downtime`], [`credit`] | how long was it down, and what is owed for promises that were not kept |
//! | [`outcome`] | how did each promise of an incident come out |
//! | [`account`] | what did an agreement come to over a period: did the client get what he pays for |
//! | [`maintenance`] | which stretches of time are agreed windows of work |
//! | [`rate`] | what does work cost, by whom and at which hour |
//! | [`explain`] | why: every segment, every reason, in words |
//! | [`what_if`] | how would it have come out under other terms |
//! | [`ledger_file`] | ledgers as lines of a file, which what-if reads without a server |
//! | [`cases`], [`uptime_cases`] | the same arithmetic on case files, without a server |
//!
//! It is pure: no clock, file, network, thread or random source; `now` and the texts of the files are arguments. It
//! knows nothing of how faults are found (`upheld-detection`). Everything that can be refused is refused by name.
#![forbid(unsafe_code)]

pub mod account;
mod amendment;
pub mod availability;
pub mod bands;
pub mod book;
pub mod calendar;
pub mod canonical;
pub mod cases;
pub mod clock;
pub mod credit;
pub mod downtime;
pub mod explain;
pub mod ledger_file;
pub mod maintenance;
pub mod matching;
pub mod money;
pub mod outcome;
pub mod rate;
pub mod ratio;
#[cfg(feature = "schema")]
mod schema;
pub mod terms;
pub mod uptime_cases;
pub mod what_if;
pub mod words;

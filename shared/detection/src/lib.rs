//! Sample, check state, finding, incident: the pure judgement of what happened (DETECTION).
//!
//! [`fold`] is the agent's half: samples of one check become states and findings. [`incident`] and [`silence`] are
//! the collector's half: findings of a whole site, and what it no longer hears, become incidents. [`uptime`] turns
//! the same facts into a gap-free account of time. Nothing here knows an agreement, a clock, a file or a network:
//! instants are arguments, effects are data, and the same facts in any order give the same findings.
#![forbid(unsafe_code)]

pub mod correlate;
pub mod facts;
pub mod fold;
pub mod incident;
pub mod jobs;
pub mod keep;
pub mod kind;
pub mod measure;
pub mod observe;
pub mod own;
pub mod plan;
pub mod replay;
pub mod schedule;
pub mod silence;
pub mod storm;
pub mod time_of_day;
pub mod topology;
pub mod uptime;

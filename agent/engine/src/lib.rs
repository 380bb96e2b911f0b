//! What to probe next and what to say: the agent's pure core.
//!
//! [`Engine`] schedules probes on the monotonic clock, folds their outcomes to states and findings
//! (`upheld_detection::fold`), and hands out record bodies in the order in which they must be journalled: samples in
//! batches of up to ten seconds, every transition at once and after the sample that made it. [`AgentClock`] keeps the
//! agent's time steady between the steps of the wall clock. Nothing here probes, writes or waits: the shell
//! executes effects and returns what came of them. It fails only where a configuration is refused, by name.
#![forbid(unsafe_code)]

pub mod alarm;
mod batch;
mod clock;
mod config;
mod effect;
mod engine;
mod lane;
mod schedule;

pub use clock::{AgentClock, ClockNote, Reading};
pub use config::ConfigRefused;
pub use effect::{Effect, ProbeResult, Urgency};
pub use engine::{Engine, EngineSnapshot, NotAwaited, RanRefused, Running, Selector, Start};

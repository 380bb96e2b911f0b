//! The acceptance cases S1 to S6 of DETECTION, with generators of their own, and the properties of DETECTION 1.
//!
//! Every case writes a trace as text and replays it, as `upheld-collector replay` would; only the bulk of S2 feeds
//! its cells directly. The same cases run over many more seeds with `cargo run --release --example sweep`.

mod any_story;
mod designs;
mod dice;
mod properties;
mod risk;
mod rules;
mod s1_port;
mod s2_afternoons;
mod s3_dip;
mod s4_transfers;
mod s5_quiet;
mod s6_silence;
mod site;

//! The protocol between agent and collector, one module per published version.
//!
//! A version, once published, is frozen: agents in the field stay old for years. Unknown fields are ignored by the
//! reader, except where a closed set guards an agent (`upheld_model::check`). The crate knows no socket and no
//! clock; what to send and what to answer is decided in `upheld-delivery`.
#![forbid(unsafe_code)]

pub mod v1;

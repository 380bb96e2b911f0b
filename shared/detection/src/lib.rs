//! Sample, check state, finding, incident: the pure judgement of what happened.
#![forbid(unsafe_code)]

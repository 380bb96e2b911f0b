//! What to probe next and what to say: the agent's pure core.
#![forbid(unsafe_code)]

//! Figures beside a peer or a ceiling, in one run.

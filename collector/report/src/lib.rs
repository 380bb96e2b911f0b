//! What reports say.

//! Integrations: an owned delivery in, an outcome out.

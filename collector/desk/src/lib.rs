//! The service desk: ingest, matcher, clocks, silence, deliverer, and the commands people give.

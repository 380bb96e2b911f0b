//! One file per probe: asks a device, returns an outcome.

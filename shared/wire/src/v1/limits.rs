//! The bounds of one request (SECURITY 18). Both sides keep them: the agent by cutting its batches, the collector
//! by refusing.

/// Records in one request.
pub const RECORDS_MAX: usize = 500;
/// Bytes on the wire, compressed.
pub const WIRE_BYTES_MAX: usize = 1 << 20;
/// Bytes after decompression.
pub const INFLATED_BYTES_MAX: usize = 8 << 20;
/// Inflated bytes per byte on the wire; beyond it a body is a bomb.
pub const INFLATION_MAX: usize = 50;
/// Nesting of the JSON.
pub const DEPTH_MAX: usize = 16;
/// Bytes of one record's body.
pub const BODY_BYTES_MAX: usize = 256 << 10;
/// Epochs in `heads`.
pub const HEADS_MAX: usize = 64;

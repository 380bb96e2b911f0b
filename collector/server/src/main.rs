//! upheld-collector
fn main() {}

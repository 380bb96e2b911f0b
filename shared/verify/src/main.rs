//! upheld-verify
fn main() {}

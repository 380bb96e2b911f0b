//! upheld-agent
fn main() {}

//! upheld-quickstart
fn main() {}

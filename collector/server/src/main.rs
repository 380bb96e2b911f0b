//! upheld-collector
mod doors;
mod files;
mod pki;
mod problem;
fn main() {}

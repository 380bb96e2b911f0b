//! `cargo sim`: see README.md.
fn main() -> std::process::ExitCode {
    upheld_sim::command::main()
}

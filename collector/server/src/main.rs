//! The collector: takes what agents saw, finds what the agreement promises, runs the clock, tells the provider.
//!
//! This crate is the shell around `upheld-desk`: command line, configuration, book files, certificates, the port and
//! its doors, wiring. It decides nothing about incidents or clocks. Where to look next: [`cli`] for what can be typed,
//! [`service`] for the order of starting and stopping, [`doors`] for connections, [`agents`] for what agents ask.

mod agents;
mod backup;
mod beside;
mod cli;
mod config;
mod data_dir;
mod doors;
mod failure;
mod files;
mod logging;
mod output;
mod packages;
mod pki;
mod problem;
mod service;
#[cfg(test)]
mod testing;
mod when;

/// An upload is thousands of small texts, read on one thread and dropped on another, which glibc's allocator is slow at
/// (tests/benches/README.md, `ingest`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    // An error only says that one was installed before, which cannot be: this is the first line.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::main()
}

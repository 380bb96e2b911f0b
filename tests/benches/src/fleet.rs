//! Thousands of agents in one process: who they are, their connections, and the bare server that stands beside the
//! collector.

mod bare;
mod crew;
mod line;

pub use bare::{Bare, serve_if_asked};
pub use crew::{Member, book_of, enrol};
pub use line::{Answer, Line, heartbeat};

use std::{fs, path::Path};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

/// Raises the limit of open files as far as it may be; what it is then.
pub fn raise_files() -> u64 {
    let most = getrlimit(Resource::Nofile).maximum;
    // Refused, the limit stays as it is, and that is what is returned.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The certificate and the key in one of the authority's files.
fn held(file: &Path) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let text = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    (
        CertificateDer::from_pem_slice(&text).expect("a certificate"),
        PrivateKeyDer::from_pem_slice(&text).expect("a key"),
    )
}

/// The highest resident memory that a process ever had, in kibibytes.
pub fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|kib| kib.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// The figure below which so many of a hundred lie.
pub fn percentile(sorted: &[f64], of: usize) -> f64 {
    sorted.get((sorted.len() * of / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

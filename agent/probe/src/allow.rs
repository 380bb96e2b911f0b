//! `allow.toml`: what this site's administrator lets the collector ask about.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// What checks may reach at this site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowList {
    loopback_ports: BTreeSet<u16>,
    paths: Vec<PathBuf>,
}

/// Why an `allow.toml` is refused. The old rules stay in force.
#[derive(Debug, thiserror::Error)]
pub enum AllowError {
    /// The file cannot be read.
    #[error("{path}: cannot read the allow rules; check that the agent's user may read the file")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The text is not TOML of the known form.
    #[error("{path}: {message}")]
    Form {
        /// The file.
        path: PathBuf,
        /// Where and what, with the nearest known key.
        message: String,
    },
}

impl Default for AllowList {
    /// The package's default: the site's own private subnets, gateway, resolvers and collector; no loopback port, no
    /// public host, no path.
    fn default() -> Self {
        Self { loopback_ports: BTreeSet::new(), paths: Vec::new() }
    }
}

impl AllowList {
    /// Reads the file; a missing one is the package's default.
    pub fn read(path: &Path) -> Result<Self, AllowError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(AllowError::Read { path: path.to_owned(), source }),
        }
    }

    /// Reads the text of a file; `path` is only for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, AllowError> {
        let _ = text;
        Err(AllowError::Form { path: path.to_owned(), message: "not built yet".to_owned() })
    }

    /// One line for each thing that is allowed, for `check-config`, `doctor` and the quickstart.
    pub fn describe(&self) -> Vec<String> {
        self.paths
            .iter()
            .map(|path| format!("read ages and sizes beneath {}", path.display()))
            .chain(self.loopback_ports.iter().map(|port| format!("connect to 127.0.0.1 and ::1, port {port}")))
            .collect()
    }
}

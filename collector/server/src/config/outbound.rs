//! What leaves the collector: which private hosts its webhooks may reach (SECURITY 31), and the secrets that sign.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use upheld_desk::{Secret, Secrets};

use crate::failure::{Exit, Failure};

/// The bounds of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outbound {
    /// The file of secrets, `NAME = "value"`.
    pub(crate) secrets_file: PathBuf,
    /// Hosts at private or loopback addresses that an administrator allows.
    pub(crate) private_hosts: Vec<String>,
}

/// The name of the secrets' file unless the configuration says otherwise.
pub(super) fn default_secrets() -> String {
    "secrets.toml".to_owned()
}

impl Outbound {
    /// Checks what the file says; `folder` is the data folder.
    pub(super) fn check(folder: &Path, secrets: &str, private_hosts: Vec<String>) -> Result<Self, String> {
        let is_name = matches!(Path::new(secrets).components().collect::<Vec<_>>().as_slice(), [Component::Normal(_)]);
        if !is_name {
            return Err(format!("secrets {secrets:?} is not the name of a file in the data folder"));
        }
        Ok(Self { secrets_file: folder.join(secrets), private_hosts })
    }

    /// What a folder has whose file says nothing.
    pub(crate) fn usual(folder: &Path) -> Self {
        Self { secrets_file: folder.join(default_secrets()), private_hosts: Vec::new() }
    }

    /// The secrets; none when the file does not exist.
    pub(crate) fn secrets(&self) -> Result<SecretsFile, Failure> {
        SecretsFile::read(&self.secrets_file)
    }
}

/// Secrets by name, read at start. They print as `REDACTED`.
pub(crate) struct SecretsFile {
    values: BTreeMap<String, Secret>,
}

impl SecretsFile {
    fn read(path: &Path) -> Result<Self, Failure> {
        if !path.exists() {
            return Ok(Self { values: BTreeMap::new() });
        }
        let text = crate::files::read_text(path)?;
        // The parser's own message would print the line, secret and all.
        let values: BTreeMap<String, String> = toml::from_str(&text).map_err(|_| {
            Failure::new(Exit::Config, format!("{} is not valid", path.display()))
                .because("each line must read NAME = \"value\"; the lines are not shown because they hold secrets")
        })?;
        let values = values.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        Ok(Self { values })
    }
}

impl SecretsFile {
    /// Whether there is one of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }
}

impl Secrets for SecretsFile {
    fn secret(&self, name: &str) -> Option<Secret> {
        self.values.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_secrets_file_is_refused_without_showing_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.toml");
        std::fs::write(&path, "desk-webhook = whsec_c2VjcmV0").unwrap();
        let failure = SecretsFile::read(&path).err().expect("the value has no quotes");
        assert!(!failure.text(false).contains("c2VjcmV0"));
        std::fs::write(&path, "desk-webhook = \"whsec_c2VjcmV0\"").unwrap();
        let secrets = SecretsFile::read(&path).unwrap();
        assert_eq!(secrets.secret("desk-webhook").unwrap().expose(), b"whsec_c2VjcmV0");
        assert!(secrets.secret("other").is_none());
    }
}

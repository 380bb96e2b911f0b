//! Where a password is that `collector.toml` needs and never contains.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use upheld_desk::Secrets as _;

use super::Outbound;
use crate::failure::Failure;

/// The longest file of a password.
const BYTES_MAX: u64 = 4_096;

/// Where the password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Password {
    /// In the secrets file, by this name.
    Secret(String),
    /// In a file of its own, as a service manager hands out credentials.
    File(PathBuf),
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(name) => write!(f, "the secret {name}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Password {
    /// The password of `whose` (a key of the file); `wrong` makes a failure that says where to look.
    pub(super) fn read(
        &self,
        whose: &str,
        outbound: &Outbound,
        wrong: impl Fn(String) -> Failure,
    ) -> Result<String, Failure> {
        let missing = |why: String| wrong(format!("the password of {whose} is missing: {self}")).because(why);
        match self {
            Self::Secret(name) => {
                let secret = outbound.secrets()?.secret(name).ok_or_else(|| {
                    missing(format!("{} has no {name}", outbound.secrets_file.display()))
                        .todo(format!("add a line to {}: {name} = \"…\"", outbound.secrets_file.display()))
                        .todo("or name another secret, or a file: password = \"NAME\", password_file = \"PATH\"")
                })?;
                String::from_utf8(secret.expose().to_vec()).map_err(|_| missing("it is not UTF-8".to_owned()))
            }
            Self::File(path) => match first_bytes(path) {
                Ok(text) if text.is_empty() => Err(missing("the file is empty".to_owned())),
                Ok(text) => Ok(text),
                Err(error) => Err(missing(error.to_string())),
            },
        }
    }
}

fn first_bytes(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

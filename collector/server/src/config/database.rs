//! `[database]`: a PostgreSQL in the place of the file `upheld.db`.

use std::{
    error::Error as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use upheld_store::{
    Store, StoreError,
    postgres::{
        self, Options, Watch,
        copy::{Copied, copy},
        export,
        follow::{Environment, Server},
    },
};

use super::{Outbound, password::Password};
use crate::failure::{Exit, Failure};

/// The secret that is the password unless the file names another.
const PASSWORD: &str = "database";

/// Where systems keep the authorities that everybody trusts, for programs that have no list of their own.
const PUBLIC: &[&str] = &["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// The table as it stands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    url: String,
    ca: Option<PathBuf>,
    password: Option<String>,
    password_file: Option<PathBuf>,
}

/// Its keys, for whoever misspelt one.
pub(super) const KEYS: &[&str] = &["url", "ca", "password", "password_file"];

/// A PostgreSQL, checked as far as the file alone can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Database {
    url: String,
    /// Whose word its certificate needs, where that is not one of Mozilla's list.
    ca: Option<PathBuf>,
    password: Password,
    /// Whether the file says where the password is; else none is needed where the server trusts the host.
    password_is_named: bool,
}

impl Database {
    /// Checks what the file says; `folder` is the data folder.
    pub(super) fn check(folder: &Path, raw: Raw) -> Result<Self, String> {
        let Raw { url, ca, password, password_file } = raw;
        postgres::check(&url).map_err(|error| format!("database.url: {}", innermost(&error)))?;
        let password_is_named = password.is_some() || password_file.is_some();
        let password = match (password, password_file) {
            (Some(_), Some(_)) => {
                return Err("database.password names a secret and database.password_file a file: keep one".to_owned());
            }
            (Some(name), None) => Password::Secret(name),
            (None, Some(file)) => Password::File(folder.join(file)),
            (None, None) => Password::Secret(PASSWORD.to_owned()),
        };
        Ok(Self { url, ca: ca.map(|ca| folder.join(ca)), password, password_is_named })
    }

    /// The same as `init` is told it, with files where the person is.
    pub(crate) fn given(url: &str, ca: Option<&Path>, password_file: Option<&Path>) -> Result<Self, Failure> {
        let here = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let raw = Raw { url: url.to_owned(), ca: ca.map(here), password: None, password_file: password_file.map(here) };
        Self::check(Path::new("."), raw).map_err(|why| Failure::new(Exit::Usage, why))
    }

    /// Opens it, making or migrating its tables where needed; `serves` for the one that sends and judges. The last commit
    /// is remembered in `mark`, and missed when the database has it no more.
    pub(crate) fn open(&self, outbound: &Outbound, serves: bool, mark: PathBuf) -> Result<Store, Failure> {
        let watch = Watch { file: mark, comes_again: upheld_desk::comes_again, went_back: upheld_desk::went_back };
        Ok(postgres::open(&self.url, &Options { watch: Some(watch), ..self.options(outbound, serves)? })?)
    }

    fn options(&self, outbound: &Outbound, serves: bool) -> Result<Options, Failure> {
        let wanted = self.password_is_named || outbound.secrets()?.has(PASSWORD);
        let read = || self.password.read("database.url", outbound, wrong).map(postgres::Password::new);
        let password = wanted.then(read).transpose()?;
        Ok(Options { ca: self.ca.clone(), password, serves, ..Options::default() })
    }

    /// Copies the facts of the file at `from` into it, which must be empty.
    pub(crate) fn copy_from(&self, from: &Path, outbound: &Outbound) -> Result<Vec<Copied>, Failure> {
        Ok(copy(from, &self.url, &self.options(outbound, true)?)?)
    }

    /// Copies its facts, of one moment, to a new file at `to`; the schema that they have.
    pub(crate) fn copy_to(&self, to: &Path, outbound: &Outbound) -> Result<i64, Failure> {
        Ok(export(&self.url, &self.options(outbound, false)?, to)?)
    }

    /// The server whose log is followed, and what PostgreSQL's own programs need in order to come to it.
    pub(crate) fn server(&self, outbound: &Outbound) -> Result<(Server, Environment), Failure> {
        let options = self.options(outbound, false)?;
        let server = Server::connect(&self.url, &options)?;
        let public = PUBLIC.iter().map(Path::new).find(|path| path.is_file());
        let environment = server.environment(&options, public);
        Ok((server, environment))
    }

    /// Where it is, as its user wrote it: without a password.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The table as it stands in a file.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("\n[database]\nurl = {:?}\n", self.url);
        if let Some(ca) = &self.ca {
            text += &format!("ca = {:?}\n", ca.display().to_string());
        }
        if let Password::File(path) = &self.password {
            text += &format!("password_file = {:?}\n", path.display().to_string());
        }
        text
    }
}

fn innermost(error: &StoreError) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

fn wrong(what: String) -> Failure {
    Failure::new(Exit::Config, what).todo("look at [database] in collector.toml; docs/postgresql.md shows each key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Database, String> {
        Database::check(Path::new("/data"), toml::from_str(text).unwrap())
    }

    #[test]
    fn what_is_given_to_init_reads_back() {
        let given = Database::given("postgres://u@db.example/desk", Some(Path::new("/ca.pem")), Some(Path::new("/pw")));
        let given = given.unwrap();
        let table: toml::Table = given.table().parse().unwrap();
        let raw = table["database"].clone().try_into().unwrap();
        assert_eq!(Database::check(Path::new("/data"), raw).unwrap(), given);
    }

    #[test]
    fn what_cannot_be_is_said_with_what_to_write() {
        for (text, why) in [
            ("url = \"postgres://u:secret@db.example/desk\"", "a password"),
            ("url = \"postgres://u@db.example\"", "names no database"),
            ("url = \"mysql://u@db.example/desk\"", "postgres://USER@HOST:PORT/DATABASE"),
            ("url = \"postgres://u@db.example/desk?sslmode=disable\"", "on this host alone"),
            ("url = \"postgres://u@db.example/desk\"\npassword = \"a\"\npassword_file = \"b\"", "keep one"),
        ] {
            let said = check(text).unwrap_err();
            assert!(said.contains(why) && !said.contains("secret@"), "{text}: {said}");
        }
    }
}

//! `--database URL` and what belongs to it, for every command that puts facts into a PostgreSQL.

use std::path::PathBuf;

use crate::{config::Database, failure::Failure};

/// A PostgreSQL for the facts.
#[derive(Debug, clap::Args)]
pub(super) struct DatabaseArgs {
    /// The facts go to this empty PostgreSQL, in place of a file in the data folder, whatever settings of before say:
    /// postgres://USER@HOST:PORT/DATABASE.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// With --database: the file that holds its password.
    #[arg(long, value_name = "FILE", requires = "database")]
    database_password_file: Option<PathBuf>,
    /// With --database: the authority of its certificate, where that is none of the public ones.
    #[arg(long, value_name = "FILE", requires = "database")]
    database_ca: Option<PathBuf>,
}

impl DatabaseArgs {
    /// The one that is named, checked; `None` where none is.
    pub(super) fn given(&self) -> Result<Option<Database>, Failure> {
        let Self { database, database_password_file, database_ca } = self;
        let given = |url: &String| Database::given(url, database_ca.as_deref(), database_password_file.as_deref());
        database.as_ref().map(given).transpose()
    }
}

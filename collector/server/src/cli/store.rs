//! `upheld-collector store copy`: from the file in the data folder to PostgreSQL.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::Context;
use crate::{
    backup::hex,
    config::Database,
    failure::{Exit, Failure},
};

/// What is done with the database as a whole.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Copy all facts of the file in the data folder to an empty PostgreSQL, and compare them.
    Copy(CopyArgs),
}

/// Where to.
#[derive(Debug, clap::Args)]
pub(super) struct CopyArgs {
    /// An empty database: postgres://USER@HOST:PORT/DATABASE.
    #[arg(long, value_name = "URL")]
    to: String,
    /// The file that holds its password.
    #[arg(long, value_name = "FILE")]
    database_password_file: Option<PathBuf>,
    /// The authority of its certificate, where that is none of the public ones.
    #[arg(long, value_name = "FILE")]
    database_ca: Option<PathBuf>,
}

pub(super) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    let Command::Copy(CopyArgs { to, database_password_file, database_ca }) = command;
    let data = &context.data;
    let config = data.config()?;
    data.only_with_a_file("store copy")?;
    let database = Database::given(&to, database_ca.as_deref(), database_password_file.as_deref())?;
    // Whoever serves would write facts that stay behind.
    let _held = data.lock()?;
    let copied = database.copy_from(&data.database(), &config.outbound)?;
    let rows: u64 = copied.iter().map(|table| table.rows).sum();
    let text = format!(
        "{rows} rows of {} tables are in {to}, read back and equal.\n\
         Nothing uses them yet. Next:\n  \
         1. add this to {}:\n{}  \
         2. upheld-collector serve{}\n  \
         3. when it serves, keep {} as the copy of today: it is not used any more",
        copied.len(),
        data.config_file().display(),
        database.table(),
        context.data_option(),
        data.database().display()
    );
    context.output.result(&text, || {
        let tables: Vec<_> = copied
            .iter()
            .map(|table| json!({ "table": table.table, "rows": table.rows, "digest": hex(&table.digest) }))
            .collect();
        json!({ "schema": "upheld.store-copy/1", "to": to, "rows": rows, "tables": tables, "settings": database.table() })
    })?;
    Ok(Exit::Ok)
}

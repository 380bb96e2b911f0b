//! The way back: all facts of one moment in a file of SQLite's, which is what a backup holds whatever the database is.

use std::{fs::File, path::Path, sync::Arc};

use tokio_postgres::{IsolationLevel, Transaction};

use super::{
    Options,
    connect::{Address, Place, unusable},
    copy::{Source, Sum, each_row, names, refused, unread},
    migrate, on_a_thread, refuse_too_old, runtime,
};
use crate::{StoreError, sqlite};

const NAME: &str = "store.export";

/// Copies all facts of the database at `url`, of one moment, to a new file at `to`, of its owner's alone and synced.
/// Others read and write meanwhile. The file has the schema that the database has, which is answered; nothing is
/// migrated. What was written is read back and compared.
pub fn export(url: &str, options: &Options, to: &Path) -> Result<i64, StoreError> {
    on_a_thread(|| {
        let address = Address::read(url, options.password.as_ref())?;
        let io = runtime().map_err(|error| address.unreachable(error))?;
        let pool = address.pool(options, 1, Place::None)?;
        io.block_on(async {
            let mut client = pool.get().await.map_err(|error| address.refused(error))?;
            refuse_too_old(&client, &address).await?;
            let schema = migrate::version(&client, &address.shown, migrate::known()).await?;
            if schema == 0 {
                return Err(unusable(&address.shown, "it holds no facts of Upheld".to_owned()));
            }
            let how = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
            let transaction = how.start().await.map_err(refused)?;
            let begin = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
            transaction.batch_execute(begin).await.map_err(refused)?;
            let found = transaction.query_one("SELECT max(version) FROM upheld_migrations", &[]).await;
            if found.map_err(refused)?.get::<_, i64>(0) != schema {
                // A newer version made its tables in between.
                return Err(StoreError::Undone { name: NAME });
            }
            write(&transaction, schema, to).await?;
            Ok(schema)
        })
    })
}

async fn write(from: &Transaction<'_>, schema: i64, to: &Path) -> Result<(), StoreError> {
    let file = Source(sqlite::backup::make(to, schema)?);
    file.0.execute_batch("BEGIN").map_err(unread)?;
    for table in file.tables()? {
        let columns = file.columns(&table)?;
        let places = (1..=columns.len()).map(|place| format!("?{place}")).collect::<Vec<_>>().join(", ");
        let text = format!("INSERT INTO {table} ({}) VALUES ({places})", names(&columns));
        let mut insert = file.0.prepare(&text).map_err(unread)?;
        let mut sum = Sum::default();
        each_row(from, &table, &columns, |values| {
            sum.add(values);
            insert.execute(rusqlite::params_from_iter(values)).map(drop).map_err(unread)
        })
        .await?;
        let (read, written) = (sum.of(&table), file.sum(&table, &columns)?);
        if read != written {
            let why = format!("{table}: {} rows were read and {} written, or they differ", read.rows, written.rows);
            return Err(StoreError::Damaged { name: NAME, column: 0, why });
        }
    }
    file.0.execute_batch("COMMIT").map_err(unread)?;
    file.0.close().map_err(|(_, error)| unread(error))?;
    let synced = File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|error| StoreError::Open { path: to.to_owned(), source: Arc::new(error) })
}

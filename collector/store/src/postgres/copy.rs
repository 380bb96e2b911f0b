//! A provider moves from the file to PostgreSQL: each table row by row, in one transaction, read back before it is
//! committed.

use std::path::Path;

use futures_util::TryStreamExt as _;
use ring::digest::{Context, SHA256};
use tokio_postgres::{
    Transaction,
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};

use super::{
    Options, WRITERS,
    connect::{Address, Place, unusable},
    meaning::meaning,
    migrate, on_a_thread, refuse_too_old, runtime,
};
use crate::{
    StoreError,
    sql::{Cells as _, Value},
    sqlite,
};

const NAME: &str = "store.copy";

/// What was copied of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its name.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// The sum of its rows' SHA-256, whatever their order: equal on both sides.
    pub digest: [u8; 32],
}

/// Copies all facts of the file at `from`, which nobody may be serving, to the empty database at `url`. Nothing is there
/// unless every table has the same rows on both sides.
pub fn copy(from: &Path, url: &str, options: &Options) -> Result<Vec<Copied>, StoreError> {
    // Brought to this version's schema, by whoever can.
    drop(sqlite::open(from)?);
    on_a_thread(|| {
        let address = Address::read(url, options.password.as_ref())?;
        let io = runtime().map_err(|error| address.unreachable(error))?;
        let pool = address.pool(options, 1, Place::Alone)?;
        io.block_on(async {
            let mut client = pool.get().await.map_err(|error| address.refused(error))?;
            refuse_too_old(&client, &address).await?;
            migrate::migrate(&client, &address.shown, migrate::STEPS).await?;
            let transaction = client.transaction().await.map_err(refused)?;
            let begin = format!("SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({WRITERS})");
            transaction.batch_execute(&begin).await.map_err(refused)?;
            let copied = all_tables(from, &transaction, &address.shown).await?;
            transaction.commit().await.map_err(refused)?;
            Ok(copied)
        })
    })
}

async fn all_tables(from: &Path, to: &Transaction<'_>, address: &str) -> Result<Vec<Copied>, StoreError> {
    let source = Source::open(from)?;
    let mut copied = Vec::new();
    for table in source.tables()? {
        let there = to.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.map_err(refused)?;
        if there.get::<_, i64>(0) > 0 {
            return Err(unusable(address, format!("it holds facts already ({table}): name an empty database")));
        }
        let columns = source.columns(&table)?;
        let sent = send(&source, to, &table, &columns).await?;
        let found = read_back(to, &table, &columns).await?;
        if sent != found {
            let why = format!("{table}: {} rows were sent and {} read back, or they differ", sent.rows, found.rows);
            return Err(StoreError::Damaged { name: NAME, column: 0, why });
        }
        copied.push(sent);
    }
    for (table, column) in NUMBERED {
        let text = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), max({column})) FROM {table} HAVING count(*) > 0"
        );
        to.batch_execute(&text).await.map_err(refused)?;
    }
    Ok(copied)
}

/// Columns that PostgreSQL counts up by itself: they go on where the file's ended.
const NUMBERED: &[(&str, &str)] =
    &[("audit", "entry"), ("runs", "run"), ("restores", "restore"), ("incidents", "rowid")];

/// A column: its name, and its type in PostgreSQL.
pub(super) struct Column {
    name: String,
    ty: Type,
}

/// The file, at one moment.
pub(super) struct Source(pub(super) rusqlite::Connection);

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = rusqlite::Connection::open(path).map_err(unread)?;
        connection.execute_batch("PRAGMA query_only = 1; BEGIN").map_err(unread)?;
        Ok(Self(connection))
    }

    pub(super) fn tables(&self) -> Result<Vec<String>, StoreError> {
        let text = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
        let mut statement = self.0.prepare(text).map_err(unread)?;
        statement.query_map([], |row| row.get(0)).and_then(Iterator::collect).map_err(unread)
    }

    pub(super) fn columns(&self, table: &str) -> Result<Vec<Column>, StoreError> {
        let mut statement = self.0.prepare("SELECT name, type FROM pragma_table_info(?1)").map_err(unread)?;
        let read = |row: &rusqlite::Row<'_>| {
            let (name, kind): (String, String) = (row.get(0)?, row.get(1)?);
            let ty = match kind.as_str() {
                "INTEGER" => Type::INT8,
                "BLOB" => Type::BYTEA,
                _text => Type::TEXT,
            };
            Ok(Column { name, ty })
        };
        let found: rusqlite::Result<Vec<Column>> = statement.query_map([table], read).and_then(Iterator::collect);
        let mut columns = found.map_err(unread)?;
        if table == "incidents" {
            // SQLite's own, by which lists are in order.
            columns.push(Column { name: "rowid".to_owned(), ty: Type::INT8 });
        }
        Ok(columns)
    }

    /// What a table of the file holds.
    pub(super) fn sum(&self, table: &str, columns: &[Column]) -> Result<Copied, StoreError> {
        let mut statement = self.0.prepare(&format!("SELECT {} FROM {table}", names(columns))).map_err(unread)?;
        let mut rows = statement.query([]).map_err(unread)?;
        let mut sum = Sum::default();
        while let Some(row) = rows.next().map_err(unread)? {
            sum.add(&values_of(row, table, columns)?);
        }
        Ok(sum.of(table))
    }
}

/// A row of the file's.
fn values_of<'r>(row: &'r rusqlite::Row<'_>, table: &str, columns: &[Column]) -> Result<Vec<Value<'r>>, StoreError> {
    (0..columns.len()).map(|column| row.cell(column)).collect::<Result<_, _>>().map_err(|misread| StoreError::Damaged {
        name: NAME,
        column: misread.column,
        why: format!("{table}: {}", misread.why),
    })
}

async fn send(source: &Source, to: &Transaction<'_>, table: &str, columns: &[Column]) -> Result<Copied, StoreError> {
    let names = names(columns);
    let sink = to.copy_in(&format!("COPY {table} ({names}) FROM STDIN BINARY")).await.map_err(refused)?;
    let types: Vec<Type> = columns.iter().map(|column| column.ty.clone()).collect();
    let writer = BinaryCopyInWriter::new(sink, &types);
    tokio::pin!(writer);
    let mut statement = source.0.prepare(&format!("SELECT {names} FROM {table}")).map_err(unread)?;
    let mut rows = statement.query([]).map_err(unread)?;
    let mut sum = Sum::default();
    while let Some(row) = rows.next().map_err(unread)? {
        let values = values_of(row, table, columns)?;
        sum.add(&values);
        let params: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        writer.as_mut().write(&params).await.map_err(refused)?;
    }
    writer.finish().await.map_err(refused)?;
    Ok(sum.of(table))
}

async fn read_back(to: &Transaction<'_>, table: &str, columns: &[Column]) -> Result<Copied, StoreError> {
    let mut sum = Sum::default();
    each_row(to, table, columns, |values| {
        sum.add(values);
        Ok(())
    })
    .await?;
    Ok(sum.of(table))
}

/// Hands out a table's rows one by one, however many there are.
pub(super) async fn each_row(
    of: &Transaction<'_>,
    table: &str,
    columns: &[Column],
    mut row: impl FnMut(&[Value<'_>]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let none: [&(dyn ToSql + Sync); 0] = [];
    let rows = of.query_raw(&format!("SELECT {} FROM {table}", names(columns)), none).await.map_err(refused)?;
    tokio::pin!(rows);
    while let Some(found) = rows.try_next().await.map_err(refused)? {
        let values: Vec<Value<'_>> = (0..columns.len())
            .map(|column| found.cell(column))
            .collect::<Result<_, _>>()
            .map_err(|misread| misread.of(NAME))?;
        row(&values)?;
    }
    Ok(())
}

pub(super) fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Rows, and the sum of their digests: a sum, since neither side promises an order.
#[derive(Default)]
pub(super) struct Sum {
    rows: u64,
    words: [u64; 4],
}

impl Sum {
    pub(super) fn add(&mut self, values: &[Value<'_>]) {
        let mut context = Context::new(&SHA256);
        for value in values {
            let mut add = |kind: u8, bytes: &[u8]| {
                context.update(&[kind]);
                context.update(&(bytes.len() as u64).to_be_bytes());
                context.update(bytes);
            };
            match value {
                Value::Null => add(0, &[]),
                Value::Int(value) => add(1, &value.to_be_bytes()),
                Value::Text(value) => add(2, value.as_bytes()),
                Value::Blob(value) => add(3, value),
            }
        }
        let digest = context.finish();
        for (word, bytes) in self.words.iter_mut().zip(digest.as_ref().as_chunks::<8>().0) {
            *word = word.wrapping_add(u64::from_be_bytes(*bytes));
        }
        self.rows += 1;
    }

    pub(super) fn of(self, table: &str) -> Copied {
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut::<8>().0.iter_mut().zip(self.words) {
            *bytes = word.to_be_bytes();
        }
        Copied { table: table.to_owned(), rows: self.rows, digest }
    }
}

pub(super) fn refused(error: tokio_postgres::Error) -> StoreError {
    meaning(NAME, error)
}

pub(super) fn unread(error: rusqlite::Error) -> StoreError {
    sqlite::meaning(NAME, error)
}

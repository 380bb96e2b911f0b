//! What is asked of a server whose log is followed: whether it can be, up to where it has written, and what it keeps for
//! the one who follows. The log itself goes another way, by `pg_receivewal`.

use std::{path::Path, time::Duration};

use deadpool_postgres::{ClientWrapper, Object, Pool};
use tokio::runtime::Runtime;
use tokio_postgres::Row;

use super::{
    Options,
    connect::{Address, Place},
    meaning::meaning,
    on_a_thread, refuse_too_old, runtime,
};
use crate::StoreError;

/// How long any of these questions may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Variables of a program's environment, with their values; one of them may be a password.
pub type Environment = Vec<(&'static str, String)>;

/// A place in the log: bytes since it began. Written as PostgreSQL does, `1A/2B000028`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn(pub u64);

impl std::fmt::Display for Lsn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl std::str::FromStr for Lsn {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (high, low) = text.split_once('/').unwrap_or(("", text));
        let half = |text| u32::from_str_radix(text, 16).map(u64::from);
        Ok(Self(half(high)? << 32 | half(low)?))
    }
}

/// What has to be right before a server can be followed, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// The major version, such as 15.
    pub major: i32,
    /// Which server it is: its own number, which its copies and replicas share.
    pub system: String,
    /// `wal_level`.
    pub wal_level: String,
    /// Who asks.
    pub role: String,
    /// Whether he may replicate.
    pub may_replicate: bool,
    /// `max_wal_senders`, and how many of them are in use.
    pub senders: (i64, i64),
    /// `max_replication_slots`, and how many of them are in use.
    pub slots: (i64, i64),
    /// Tablespaces beside the two that every server has.
    pub tablespaces: i64,
    /// The length of all databases that he may look at, in bytes.
    pub bytes: u64,
    /// The length of a file of the log, in bytes.
    pub segment: u64,
    /// `synchronous_standby_names`: for whom an answered write waits.
    pub waits_for: String,
}

/// A slot: what the server keeps of its log for one who follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The session that reads by it, if one does.
    pub reader: Option<i32>,
    /// Everything before it has been kept by whoever reads; `None` where the log that was needed is gone.
    pub kept: Option<Lsn>,
    /// PostgreSQL's word for how safe it is: `reserved`, `extended`, `unreserved`, `lost`.
    pub state: String,
    /// How many bytes of the log are kept for it.
    pub behind: u64,
    /// How many more there may be before they are thrown away; `None` for no bound (`max_slot_wal_keep_size`).
    pub room: Option<i64>,
}

/// How a server stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which server it is.
    pub system: String,
    /// Everything that was committed before the question is before this place.
    pub written: Lsn,
    /// The slot, where there is one of that name.
    pub slot: Option<Slot>,
}

/// A server whose log is followed.
pub struct Server {
    pool: Pool,
    io: Option<Runtime>,
    address: Address,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address.shown).finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(io) = self.io.take() {
            io.shutdown_background();
        }
    }
}

const READY: &str = "/* follow.ready */ SELECT current_setting('server_version_num')::int / 10000, \
    (SELECT system_identifier::text FROM pg_control_system()), current_setting('wal_level'), \
    current_user::text, coalesce((SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user), false), \
    current_setting('max_wal_senders')::bigint, (SELECT count(*) FROM pg_stat_replication), \
    current_setting('max_replication_slots')::bigint, (SELECT count(*) FROM pg_replication_slots), \
    (SELECT count(*) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')), \
    (SELECT coalesce(sum(pg_database_size(oid)), 0)::bigint FROM pg_database WHERE has_database_privilege(oid, 'CONNECT')), \
    (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'), \
    current_setting('synchronous_standby_names')";

const STANDING: &str = "/* follow.standing */ SELECT (SELECT system_identifier::text FROM pg_control_system()), \
    (w.lsn - '0/0'::pg_lsn)::bigint, s.slot_name IS NOT NULL, s.active_pid, (s.restart_lsn - '0/0'::pg_lsn)::bigint, \
    coalesce(s.wal_status, 'reserved'), coalesce(w.lsn - s.restart_lsn, 0)::bigint, s.safe_wal_size \
    FROM (SELECT pg_current_wal_flush_lsn() AS lsn) w LEFT JOIN pg_replication_slots s ON s.slot_name = $1";

const SLOTS: &str = "/* follow.slots */ SELECT s.slot_name::text, s.active_pid, (s.restart_lsn - '0/0'::pg_lsn)::bigint, \
    coalesce(s.wal_status, 'reserved'), coalesce(w.lsn - s.restart_lsn, 0)::bigint, s.safe_wal_size \
    FROM (SELECT pg_current_wal_flush_lsn() AS lsn) w, pg_replication_slots s \
    WHERE s.slot_type = 'physical' AND starts_with(s.slot_name::text, $1) ORDER BY s.slot_name";

/// A slot as it stands in a row, from this column on.
fn slot_of(row: &Row, at: usize) -> Slot {
    Slot {
        reader: row.get(at),
        kept: place_of(row, at + 1),
        state: row.get(at + 2),
        behind: u64::try_from(row.get::<_, i64>(at + 3)).unwrap_or_default(),
        room: row.get(at + 4),
    }
}

fn place_of(row: &Row, at: usize) -> Option<Lsn> {
    row.get::<_, Option<i64>>(at).map(|place| Lsn(place.cast_unsigned()))
}

impl Server {
    /// Connects to the server at `url`, in the same way as the store does; of several the one that takes writes. Nothing is changed there.
    pub fn connect(url: &str, options: &Options) -> Result<Self, StoreError> {
        let address = Address::read(url, options.password.as_ref())?;
        let io = runtime().map_err(|error| address.unreachable(error))?;
        let pool = address.pool(options, 1, Place::None)?;
        let server = Self { pool, io: Some(io), address };
        server.ask("follow.connect", async |client, address| refuse_too_old(client, address).await)?;
        Ok(server)
    }

    /// Its address, without a password.
    pub fn shown(&self) -> &str {
        &self.address.shown
    }

    /// What PostgreSQL's own programs need in their environment to come to the same server, by the same rules; the
    /// password too. `public` is the file of the authorities that everybody trusts, for an address without one of its own.
    pub fn environment(&self, options: &Options, public: Option<&Path>) -> Environment {
        self.address.environment(options, public)
    }

    /// What has to be right before it can be followed.
    pub fn ready(&self) -> Result<Ready, StoreError> {
        self.ask("follow.ready", async |client, _| {
            let row = client.query_one(READY, &[]).await.map_err(|error| meaning("follow.ready", error))?;
            let unsigned = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or_default();
            Ok(Ready {
                major: row.get(0),
                system: row.get(1),
                wal_level: row.get(2),
                role: row.get(3),
                may_replicate: row.get(4),
                senders: (row.get(5), row.get(6)),
                slots: (row.get(7), row.get(8)),
                tablespaces: row.get(9),
                bytes: unsigned(10),
                segment: unsigned(11),
                waits_for: row.get(12),
            })
        })
    }

    /// How it stands, and the slot of this name.
    pub fn standing(&self, slot: &str) -> Result<Standing, StoreError> {
        self.ask("follow.standing", async |client, _| {
            let row = client.query_one(STANDING, &[&slot]).await.map_err(|error| meaning("follow.standing", error))?;
            let slot = row.get::<_, bool>(2).then(|| slot_of(&row, 3));
            Ok(Standing { system: row.get(0), written: place_of(&row, 1).unwrap_or(Lsn(0)), slot })
        })
    }

    /// All slots whose name begins so, by their names.
    pub fn slots(&self, prefix: &str) -> Result<Vec<(String, Slot)>, StoreError> {
        self.ask("follow.slots", async |client, _| {
            let rows = client.query(SLOTS, &[&prefix]).await.map_err(|error| meaning("follow.slots", error))?;
            Ok(rows.iter().map(|row| (row.get(0), slot_of(row, 1))).collect())
        })
    }

    /// Makes a slot of this name: from this moment on the server keeps its log for whoever reads by it.
    pub fn make_slot(&self, slot: &str) -> Result<(), StoreError> {
        self.execute("follow.make_slot", "SELECT pg_create_physical_replication_slot($1, true)", slot)
    }

    /// Drops the slot of this name, which nobody may be reading by.
    pub fn drop_slot(&self, slot: &str) -> Result<(), StoreError> {
        self.execute("follow.drop_slot", "SELECT pg_drop_replication_slot($1)", slot)
    }

    fn execute(&self, name: &'static str, text: &str, slot: &str) -> Result<(), StoreError> {
        self.ask(name, async |client, _| {
            client.query_one(text, &[&slot]).await.map(drop).map_err(|error| meaning(name, error))
        })
    }

    fn ask<T: Send>(
        &self,
        name: &'static str,
        question: impl AsyncFnOnce(&ClientWrapper, &Address) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        let Self { pool, io: Some(io), address } = self else { return Err(StoreError::Stopped { name }) };
        on_a_thread(move || {
            io.block_on(async {
                let asked = async {
                    let client: Object = pool.get().await.map_err(|error| address.refused(error))?;
                    question(&client, address).await
                };
                match tokio::time::timeout(PATIENCE, asked).await {
                    Ok(answer) => answer,
                    Err(late) => Err(address.unreachable(late)),
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_log_is_written_as_the_server_writes_it() {
        for (text, place) in [("0/9000028", 0x0900_0028), ("1A/2B000028", 0x1A_2B00_0028), ("0/0", 0)] {
            assert_eq!(text.parse(), Ok(Lsn(place)));
            assert_eq!(Lsn(place).to_string(), text);
        }
        assert!("base".parse::<Lsn>().is_err());
    }
}

//! What the collector holds beside what the agent wrote: nothing lost, nothing twice.

use std::{collections::BTreeMap, time::Duration};

use crate::{Agent, Collector, journal, wait_for};

/// What the collector's database says of its only agent.
#[derive(Debug, PartialEq)]
pub struct Held {
    /// Records.
    pub records: u64,
    /// Different ones.
    pub distinct: u64,
    /// How long each epoch is.
    pub lengths: BTreeMap<String, u64>,
}

impl Held {
    /// Counts.
    pub fn by(collector: &Collector) -> Self {
        let database = collector.database();
        let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a count") as u64;
        let mut heads = database.prepare("SELECT epoch, len FROM heads").expect("a query");
        let lengths = heads
            .query_map([], |row| Ok((format!("{:016x}", row.get::<_, i64>(0)? as u64), row.get::<_, i64>(1)? as u64)))
            .expect("rows")
            .map(|row| row.expect("a row"))
            .collect();
        Self {
            records: count("SELECT count(*) FROM records"),
            distinct: count("SELECT count(DISTINCT record_id) FROM records"),
            lengths,
        }
    }
}

/// Holds the journal of an agent that does not run against the collector's database, and prints both counts.
pub fn assert_all_arrived_once(agent: &Agent, collector: &Collector) -> u64 {
    assert_holds_once([agent], &Held::by(collector))
}

/// The same for all agents of a database.
pub fn assert_holds_once<'a>(agents: impl IntoIterator<Item = &'a Agent>, held: &Held) -> u64 {
    let written = agents.into_iter().flat_map(|agent| journal::lengths(&agent.state()));
    let own: BTreeMap<String, u64> = written.map(|epoch| (epoch.epoch.to_string(), epoch.written)).collect();
    let total: u64 = own.values().sum();
    println!("journal: {total} records in {} epochs; collector: {held:?}", own.len());
    assert_eq!(held.lengths, own, "the collector holds another history than the agent wrote");
    assert_eq!(held.records, total, "records lost or doubled");
    assert_eq!(held.distinct, total, "one record is there twice");
    total
}

/// Waits until the collector takes reports and next to nothing waits; the last words of a stop bring the rest.
pub fn wait_until_drained(agent: &Agent) {
    wait_for("the agent's backlog is drained", Duration::from_secs(90), || {
        let status = agent.status()?;
        (status["waiting"].as_u64()? <= 5 && status["standing"]["is"] == "good").then_some(())
    });
}

//! Every query that is written is understood by PostgreSQL, and none that runs often reads a whole table.

use tokio_postgres::{SimpleQueryMessage, types::Type};

use super::{options, server::Server};
use crate::{
    golden::{Written, written},
    hot,
    postgres::{
        connect::{Address, Place},
        joined::Joined,
        many::find_many,
        open,
        query::spoken,
        texts::Texts,
    },
};

#[test]
fn every_query_that_is_written_is_understood() {
    let server = Server::shared();
    let address = server.database();
    drop(open(&address, &options(&server)).unwrap());
    let queries = written();
    assert!(queries.len() > 130, "{}", queries.len());
    let io = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    io.block_on(async {
        let pool = Address::read(&address, None).unwrap().pool(&options(&server), 1, Place::None).unwrap();
        let client = pool.get().await.unwrap();
        for Written { sql, .. } in queries {
            let statement = client.prepare(&spoken(&sql)).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            for column in statement.columns() {
                let readable = [Type::INT8, Type::INT4, Type::TEXT, Type::BYTEA].contains(column.type_());
                assert!(readable, "{sql}: {} is {}", column.name(), column.type_());
            }
        }
    });
}

#[test]
fn no_hot_query_scans_a_table() {
    let server = Server::shared();
    let address = server.database();
    drop(open(&address, &options(&server)).unwrap());
    server.sql(address.rsplit('/').next().unwrap(), include_str!("plans.sql"));
    let io = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    io.block_on(async {
        let pool = Address::read(&address, None).unwrap().pool(&options(&server), 1, Place::None).unwrap();
        let client = pool.get().await.unwrap();
        let mut seen = 0;
        for query in hot::queries() {
            let sql = spoken(query.sql);
            let types = client.prepare(&sql).await.unwrap().params().to_vec();
            // A query for what is before an instant is narrow at the first one, a query for what is after it at the last.
            let mut plans = Vec::new();
            for instant in ["1", "5000"] {
                let explained =
                    client.simple_query(&format!("EXPLAIN {}", filled(&sql, &types, instant))).await.unwrap();
                plans.push(lines(&explained));
            }
            assert!(plans.iter().any(|plan| reads_little(plan, &sql)), "{}: {plans:#?}", query.name);
            seen += 1;
        }
        assert!(seen > 40, "{seen}");
        let scan = client.simple_query("EXPLAIN SELECT * FROM agents WHERE host = 'x1'").await.unwrap();
        assert!(!reads_little(&lines(&scan), ""), "a scan is seen for what it is: {scan:?}");
    });
}

#[test]
fn records_that_are_looked_up_at_once_are_looked_up_by_their_index() {
    let server = Server::shared();
    let address = server.database();
    drop(open(&address, &options(&server)).unwrap());
    server.sql(address.rsplit('/').next().unwrap(), include_str!("plans.sql"));
    let io = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    io.block_on(async {
        let pool = Address::read(&address, None).unwrap().pool(&options(&server), 1, Place::None).unwrap();
        let client = pool.get().await.unwrap();
        let query = hot::queries().find(|query| query.name == "records.is_known").unwrap();
        let one = spoken(query.sql);
        let types = client.prepare(&one).await.unwrap().params().to_vec();
        // The plan that stays, whatever arrays come.
        let text =
            format!("SET plan_cache_mode = force_generic_plan; PREPARE many AS {}", find_many(&one, &types).unwrap());
        client.batch_execute(&text).await.unwrap();
        let bytes = r"ARRAY['a', 'b']::bytea[]";
        let names = format!("ARRAY['c1', 'c2'], ARRAY['a1', 'a2'], {bytes}, {bytes}");
        let explained = client.simple_query(&format!("EXPLAIN EXECUTE many({names})")).await.unwrap();
        let plan = lines(&explained);
        assert!(!plan.iter().any(|step| step.contains("Seq Scan") || step.contains("hashed")), "{plan:#?}");
        assert!(plan.iter().any(|step| step.contains("records_by_content")), "{plan:#?}");
        assert!(plan.iter().any(|step| step.contains("on known_records")), "{plan:#?}");
    });
}

#[test]
fn what_many_jobs_ask_at_once_is_looked_up_by_its_indexes() {
    let server = Server::shared();
    let address = server.database();
    drop(open(&address, &options(&server)).unwrap());
    server.sql(address.rsplit('/').next().unwrap(), include_str!("plans.sql"));
    let io = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    io.block_on(async {
        let pool = Address::read(&address, None).unwrap().pool(&options(&server), 1, Place::None).unwrap();
        let client = pool.get().await.unwrap();
        let texts = Texts::default();
        let mut asked = Vec::new();
        for name in ["agents.by_id", "heads.of_agent", "agent_now.get", "kept_now.get", "records.is_known"] {
            let query = hot::queries().find(|query| query.name == name).unwrap();
            let spoken = texts.of(query.sql);
            spoken.describe(&client.prepare(&spoken.text).await.unwrap());
            asked.push(spoken);
        }
        for is_many in [false, true] {
            let questions: Vec<_> =
                asked.iter().map(|spoken| (&**spoken, spoken.described().unwrap(), is_many)).collect();
            let joined = Joined::of(&questions);
            let types = client.prepare(&joined.text).await.unwrap().params().to_vec();
            // The plan that stays, whatever arrays come.
            let name = if is_many { "many" } else { "one" };
            let prepare = format!("SET plan_cache_mode = force_generic_plan; PREPARE {name} AS {}", joined.text);
            client.batch_execute(&prepare).await.unwrap();
            let nulls = vec!["NULL"; types.len()].join(", ");
            let plan = lines(&client.simple_query(&format!("EXPLAIN EXECUTE {name}({nulls})")).await.unwrap());
            assert!(!plan.iter().any(|step| step.contains("Seq Scan") || step.contains("Hash")), "{plan:#?}");
            assert!(plan.iter().filter(|step| step.contains("Index")).count() >= 6, "{plan:#?}");
        }
    });
}

/// The text with values in the place of its parameters.
fn filled(sql: &str, types: &[Type], instant: &str) -> String {
    let mut text = sql.to_owned();
    for (number, ty) in types.iter().enumerate().rev() {
        let value = match *ty {
            Type::TEXT => "'c1'".to_owned(),
            Type::BYTEA => "'\\x00'::bytea".to_owned(),
            _ => format!("{instant}::bigint"),
        };
        text = text.replace(&format!("${}", number + 1), &value);
    }
    text
}

fn lines(answer: &[SimpleQueryMessage]) -> Vec<String> {
    let row = |message: &SimpleQueryMessage| {
        let SimpleQueryMessage::Row(row) = message else { return None };
        row.get(0).map(str::to_owned)
    };
    answer.iter().filter_map(row).collect()
}

fn reads_little(plan: &[String], sql: &str) -> bool {
    plan.iter().all(|step| !step.contains("Seq Scan on") || is_small(step))
        && !(sql.contains(" LIMIT ") && plan.iter().any(|step| step.contains("Sort Key")))
}

/// Tables that have a row for each client: reading them whole is what an index would do.
fn is_small(step: &str) -> bool {
    ["numbers", "digests", "leases"].iter().any(|table| step.contains(&format!("Seq Scan on {table}")))
}

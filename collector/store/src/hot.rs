//! The queries that run often, of all aggregates: no database may read a whole table for one of them.

use crate::{
    acceptances, access, agents, audit, certificates, clocks, commands, digests, facts, findings, forgotten, incidents,
    jobs, leases, ledger, maintenance, outages, outbox, people, proposals, records, restores, retention, sealed,
    site_tokens, sql::Query, tokens, users,
};

/// All of them.
pub(crate) fn queries() -> impl Iterator<Item = &'static Query> {
    [
        acceptances::HOT,
        access::HOT,
        agents::HOT,
        audit::HOT,
        certificates::HOT,
        clocks::HOT,
        commands::HOT,
        digests::HOT,
        facts::HOT,
        findings::HOT,
        forgotten::HOT,
        incidents::HOT,
        jobs::HOT,
        leases::HOT,
        ledger::HOT,
        maintenance::HOT,
        outages::HOT,
        outbox::HOT,
        people::HOT,
        proposals::HOT,
        records::HOT,
        restores::HOT,
        retention::HOT,
        sealed::HOT,
        site_tokens::HOT,
        tokens::HOT,
        users::HOT,
    ]
    .into_iter()
    .flatten()
}

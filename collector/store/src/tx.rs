//! The transaction as the desk sees it: the sum of the aggregates' traits.

use crate::{
    acceptances::{AcceptanceReads, AcceptanceWrites},
    access::{AccessReads, AccessWrites},
    agents::{AgentReads, AgentWrites},
    audit::{AuditReads, AuditWrites},
    books::{BookReads, BookWrites},
    certificates::{CertificateReads, CertificateWrites},
    clocks::{ClockReads, ClockWrites},
    commands::{CommandReads, CommandWrites},
    digests::{DigestReads, DigestWrites},
    facts::{FactReads, FactWrites},
    findings::{FindingReads, FindingWrites},
    incidents::{IncidentReads, IncidentWrites},
    jobs::{JobReads, JobWrites},
    leases::{LeaseReads, LeaseWrites},
    ledger::{LedgerReads, LedgerWrites},
    maintenance::{MaintenanceReads, MaintenanceWrites},
    outages::{OutageReads, OutageWrites},
    outbox::{OutboxReads, OutboxWrites},
    people::{PeopleReads, PeopleWrites},
    proposals::{ProposalReads, ProposalWrites},
    records::{RecordReads, RecordWrites},
    restores::{RestoreReads, RestoreWrites},
    retention::RetentionWrites,
    runs::{RunReads, RunWrites},
    sealed::{SealedReads, SealedWrites},
    site_tokens::{SiteTokenReads, SiteTokenWrites},
    tokens::{TokenReads, TokenWrites},
    users::{UserReads, UserWrites},
};

macro_rules! sum {
    ($(#[$doc:meta])* $name:ident = $($part:ident),+ $(,)?) => {
        $(#[$doc])*
        pub trait $name: $($part +)+ {}
        impl<T: $($part +)+> $name for T {}
    };
}

sum!(
    /// A snapshot to read from.
    ReadTx = AcceptanceReads,
    AccessReads,
    AgentReads,
    AuditReads,
    BookReads,
    CertificateReads,
    ClockReads,
    CommandReads,
    DigestReads,
    FactReads,
    FindingReads,
    IncidentReads,
    JobReads,
    LeaseReads,
    LedgerReads,
    MaintenanceReads,
    OutageReads,
    OutboxReads,
    PeopleReads,
    ProposalReads,
    RecordReads,
    RestoreReads,
    RunReads,
    SealedReads,
    SiteTokenReads,
    TokenReads,
    UserReads,
);

sum!(
    /// A transaction to read and write in.
    Tx = ReadTx,
    AcceptanceWrites,
    AccessWrites,
    AgentWrites,
    AuditWrites,
    BookWrites,
    CertificateWrites,
    ClockWrites,
    CommandWrites,
    DigestWrites,
    FactWrites,
    FindingWrites,
    IncidentWrites,
    JobWrites,
    LeaseWrites,
    LedgerWrites,
    MaintenanceWrites,
    OutageWrites,
    OutboxWrites,
    PeopleWrites,
    ProposalWrites,
    RecordWrites,
    RestoreWrites,
    RetentionWrites,
    RunWrites,
    SealedWrites,
    SiteTokenWrites,
    TokenWrites,
    UserWrites,
);

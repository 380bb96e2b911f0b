//! What will be asked, said beforehand: over a line each question that is asked for itself costs a way there and back.

use upheld_model::AgentId;

use crate::{
    StoreError, agents, books, certificates,
    facts::{self, SiteKey},
    records::{self, AgentKey, RecordName},
    restores, sealed,
    sql::{Asked, Owned, Query, Sql},
};

/// A question, by the name of the call that asks it.
#[derive(Debug, Clone, Copy)]
pub enum Ask<'a> {
    /// [`agents::AgentReads::agent`].
    Agent(&'a AgentId),
    /// [`agents::AgentReads::agent_now`].
    AgentNow(AgentKey<'a>),
    /// [`certificates::CertificateReads::certificate`].
    Certificate(AgentKey<'a>),
    /// [`records::RecordReads::heads`].
    Heads(AgentKey<'a>),
    /// [`records::RecordReads::known_records`], of one.
    KnownRecord(AgentKey<'a>, &'a RecordName),
    /// [`books::BookReads::book_version`].
    BookVersion,
    /// [`restores::RestoreReads::open_restore`].
    OpenRestore,
    /// [`facts::FactReads::kept_now`].
    KeptNow(SiteKey<'a>, &'a AgentId),
    /// [`sealed::SealedReads::sealed_version`].
    SealedVersion(SiteKey<'a>),
    /// [`sealed::SealedReads::sealing_key`].
    SealingKey(AgentKey<'a>),
}

/// What a transaction that writes will ask, known before it begins ([`Store::write_foreseeing`](crate::Store::write_foreseeing)).
#[derive(Default)]
pub struct Foreseen(Vec<Foreseeing>);

/// One question of it.
pub(crate) type Foreseeing = (&'static Query, Vec<Owned>);

impl Foreseen {
    /// These questions.
    pub fn of(asks: &[Ask<'_>]) -> Self {
        let owned = |(query, values): Asked<'_>| (query, values.into_iter().map(Owned::from).collect());
        Self(asks.iter().map(|ask| owned(ask.asked())).collect())
    }

    pub(crate) fn questions(&self) -> &[Foreseeing] {
        &self.0
    }
}

/// Asking ahead.
pub trait AheadReads {
    /// Asks all of this at once where that is cheaper. It changes no answer: a call gives what it would have given without,
    /// also after a change in the same transaction.
    fn ahead(&self, asks: &[Ask<'_>]) -> Result<(), StoreError>;
}

impl AheadReads for Sql<'_> {
    fn ahead(&self, asks: &[Ask<'_>]) -> Result<(), StoreError> {
        let asked: Vec<Asked<'_>> = asks.iter().map(|ask| ask.asked()).collect();
        self.0.ahead(&asked)
    }
}

impl<'a> Ask<'a> {
    fn asked(self) -> Asked<'a> {
        match self {
            Self::Agent(agent) => agents::ask_agent(agent),
            Self::AgentNow(key) => agents::ask_now(key.client, key.agent),
            Self::Certificate(key) => certificates::ask_certificate(key.client, key.agent),
            Self::Heads(key) => records::ask_heads(key),
            Self::KnownRecord(key, name) => records::ask_known(key, name),
            Self::BookVersion => books::ask_version(),
            Self::OpenRestore => restores::ask_open(),
            Self::KeptNow(key, agent) => facts::ask_kept_now(key, agent),
            Self::SealedVersion(key) => sealed::ask_version(key.client, key.site),
            Self::SealingKey(key) => sealed::ask_key(key.client, key.agent),
        }
    }
}

//! Accounts of people: what each may do, and how he proves who he is. Names stand in [`crate::people`] (SECURITY 40):
//! an account is known by the person's id there.

use jiff::Timestamp;
use upheld_model::ClientId;

use crate::{
    StoreError,
    sql::{At, Parsed, Query, Read, Row, Sql, params, query},
};

upheld_model::vocabulary! {
    /// What a person is to the provider; what each role may do stands in the desk's table of roles.
    Role, "role", {
        /// Everything, accounts too.
        ProviderAdmin = "provider-admin",
        /// The provider's person who hands out the work and decides.
        Dispatcher = "dispatcher",
        /// The provider's person who does the work.
        Technician = "technician",
        /// A client's person who speaks for the client: reports, disputes, and gives his own people their accounts.
        ClientOwner = "client-owner",
        /// A client's person who looks.
        ClientReader = "client-reader",
    }
}

impl Role {
    /// Whether the role is of one client's people: such an account has a client, every other has none.
    pub fn is_of_a_client(self) -> bool {
        match self {
            Self::ClientOwner | Self::ClientReader => true,
            Self::ProviderAdmin | Self::Dispatcher | Self::Technician => false,
        }
    }
}

/// One account.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Whose (an id of [`crate::people`]).
    pub person: String,
    /// What he may do.
    pub role: Role,
    /// Whose person he is; there just for the roles of clients' people.
    pub client: Option<ClientId>,
    /// The password's hash with its parameters, in PHC's form; `None` while he has none.
    pub password: Option<String>,
    /// When the account was made.
    pub created_at: Timestamp,
    /// By whom (an id of [`crate::people`]).
    pub created_by: String,
    /// When the row was last changed; whoever changes it names the instant that he saw.
    pub changed_at: Timestamp,
    /// When it was disabled; `None` while it may be used.
    pub disabled_at: Option<Timestamp>,
}

impl std::fmt::Debug for UserRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { person, role, client, password, created_at, created_by, changed_at, disabled_at } = self;
        f.debug_struct("UserRow")
            .field("person", person)
            .field("role", role)
            .field("client", client)
            .field("password", &password.as_ref().map(|_| "REDACTED"))
            .field("created_at", created_at)
            .field("created_by", created_by)
            .field("changed_at", changed_at)
            .field("disabled_at", disabled_at)
            .finish()
    }
}

/// Reading accounts.
pub trait UserReads {
    /// The account of a person.
    fn user(&self, person: &str) -> Result<Option<UserRow>, StoreError>;
    /// Every account, or those of one client's people, by the name to log in with.
    fn users(&self, client: Option<&ClientId>) -> Result<Vec<UserRow>, StoreError>;
}

/// Writing accounts. None is ever deleted: ledger and audit name their people.
pub trait UserWrites {
    /// Makes an account.
    fn insert_user(&mut self, row: &UserRow) -> Result<(), StoreError>;
    /// Changes role, client, password and whether it is disabled; not when the row was changed since `seen`. Whether
    /// this call did it.
    fn change_user(&mut self, row: &UserRow, seen: Timestamp) -> Result<bool, StoreError>;
}

const GET: Query = query!(
    "users.get",
    "SELECT person, role, client, password, created_at, created_by, changed_at, disabled_at FROM users WHERE person = ?1"
);
const ALL: Query = query!(
    "users.all",
    "SELECT u.person, role, client, password, created_at, created_by, changed_at, disabled_at FROM users u \
     LEFT JOIN people p ON p.person = u.person ORDER BY p.login NULLS FIRST, u.person"
);
const OF_CLIENT: Query = query!(
    "users.of_client",
    "SELECT u.person, role, client, password, created_at, created_by, changed_at, disabled_at FROM users u \
     LEFT JOIN people p ON p.person = u.person WHERE client = ?1 ORDER BY p.login NULLS FIRST, u.person"
);
const INSERT: Query = query!(
    "users.insert",
    "INSERT INTO users (person, role, client, password, created_at, created_by, changed_at, disabled_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
);
const CHANGE: Query = query!(
    "users.change",
    "UPDATE users SET role = ?2, client = ?3, password = ?4, changed_at = ?5, disabled_at = ?6 \
     WHERE person = ?1 AND changed_at = ?7"
);

#[cfg(test)]
pub(crate) const HOT: &[Query] = &[GET, OF_CLIENT, CHANGE];

fn user_row(row: &Row<'_>) -> Read<UserRow> {
    Ok(UserRow {
        person: row.get(0)?,
        role: row.get::<Parsed<_>>(1)?.0,
        client: row.get::<Option<Parsed<_>>>(2)?.map(|client| client.0),
        password: row.get(3)?,
        created_at: row.get::<At>(4)?.0,
        created_by: row.get(5)?,
        changed_at: row.get::<At>(6)?.0,
        disabled_at: row.get::<Option<At>>(7)?.map(|at| at.0),
    })
}

impl UserReads for Sql<'_> {
    fn user(&self, person: &str) -> Result<Option<UserRow>, StoreError> {
        self.one(&GET, [person], user_row)
    }

    fn users(&self, client: Option<&ClientId>) -> Result<Vec<UserRow>, StoreError> {
        match client {
            Some(client) => self.all(&OF_CLIENT, [client.as_str()], user_row),
            None => self.all(&ALL, params![], user_row),
        }
    }
}

impl UserWrites for Sql<'_> {
    fn insert_user(&mut self, row: &UserRow) -> Result<(), StoreError> {
        let UserRow { person, role, client, password, created_at, created_by, changed_at, disabled_at } = row;
        let params = params![
            person,
            role.as_str(),
            client.as_ref().map(ClientId::as_str),
            password,
            At(*created_at),
            created_by,
            At(*changed_at),
            disabled_at.map(At)
        ];
        self.run(&INSERT, params).map(drop)
    }

    fn change_user(&mut self, row: &UserRow, seen: Timestamp) -> Result<bool, StoreError> {
        let UserRow { person, role, client, password, created_at: _, created_by: _, changed_at, disabled_at } = row;
        let params = params![
            person,
            role.as_str(),
            client.as_ref().map(ClientId::as_str),
            password,
            At(*changed_at),
            disabled_at.map(At),
            At(seen)
        ];
        Ok(self.run(&CHANGE, params)? == 1)
    }
}

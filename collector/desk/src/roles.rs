//! What each role may do: one table, pure. The gate before every route and the desk's commands ask it, and the pages offer
//! what it allows; docs/roles.md prints it.

use std::fmt;

use upheld_store::users::Role;

use crate::commands::Command;

/// Something that a person or a script may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// See what is in scope: queue, incidents, agents, runs, a client's page.
    Look,
    /// Report a problem.
    Report,
    /// Give this command about an incident, one of [`Command::NAMES`] or `work`.
    Give(&'static str),
    /// See every client in one list.
    Clients,
    /// Read the process's figures from another machine.
    Figures,
    /// Take hosts in, release and revoke them.
    Agents,
    /// See what hosts propose to watch.
    Proposals,
    /// Take what hosts propose into the book, or dismiss it.
    Propose,
    /// Make and disable the accounts of one's own client's readers.
    Readers,
    /// Make, change and disable everybody's accounts.
    Users,
    /// Read the audit.
    Audit,
    /// See to one's own password, sessions and tokens.
    Account,
}

const ADMIN: &[Role] = &[Role::ProviderAdmin];
/// Who decides what is owed and who is let in.
const DECIDERS: &[Role] = &[Role::ProviderAdmin, Role::Dispatcher];
/// The provider's people.
const STAFF: &[Role] = &[Role::ProviderAdmin, Role::Dispatcher, Role::Technician];

/// The roles that may.
///
/// ```
/// use upheld_desk::{Role, roles::{Action, allowed}};
/// assert!(!allowed(Action::Give("settle")).contains(&Role::Technician));
/// ```
pub fn allowed(action: Action) -> &'static [Role] {
    use Role::{ClientOwner, Dispatcher, ProviderAdmin, Technician};
    match action {
        Action::Look | Action::Report | Action::Account => Role::ALL,
        // What somebody says of the incident, in his own or his client's name.
        Action::Give("note") => &[ProviderAdmin, Dispatcher, Technician, ClientOwner],
        Action::Give("dispute") => &[ProviderAdmin, Dispatcher, ClientOwner],
        // What changes that anything is promised, how much of it, or who was right.
        Action::Give("dismiss" | "set-priority" | "expedite" | "settle") => DECIDERS,
        // What is done and seen while it is worked on; a client may dispute what of it stops a clock (F13).
        Action::Give(
            "acknowledge"
            | "respond"
            | "assign"
            | "pause"
            | "resume"
            | "worked-around"
            | "update"
            | "resolve"
            | "close"
            | "reopen"
            | "merge"
            | "set-cause"
            | "hand-over"
            | "manufacturer-answered"
            | "visit-reported"
            | "work",
        ) => STAFF,
        Action::Give(_unknown) => &[],
        Action::Clients | Action::Figures | Action::Proposals => STAFF,
        Action::Agents | Action::Propose => DECIDERS,
        Action::Readers => &[ProviderAdmin, ClientOwner],
        Action::Users | Action::Audit => ADMIN,
    }
}

/// Whether a role may.
pub fn may(role: Role, action: Action) -> bool {
    allowed(action).contains(&role)
}

impl Action {
    /// Every action, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        let commands = Command::NAMES.iter().chain(&["work"]).map(|name| Self::Give(name));
        [Self::Look, Self::Report].into_iter().chain(commands).chain([
            Self::Clients,
            Self::Figures,
            Self::Agents,
            Self::Proposals,
            Self::Propose,
            Self::Readers,
            Self::Users,
            Self::Audit,
            Self::Account,
        ])
    }

    /// Whether it changes nothing: all that a token to read may do.
    pub fn is_look(self) -> bool {
        match self {
            Self::Look | Self::Clients | Self::Figures | Self::Proposals => true,
            Self::Report
            | Self::Give(_)
            | Self::Agents
            | Self::Propose
            | Self::Readers
            | Self::Users
            | Self::Audit
            | Self::Account => false,
        }
    }

    /// Whether it is for people only: a token that leaks lets nobody in.
    pub fn is_persons(self) -> bool {
        match self {
            Self::Agents | Self::Propose | Self::Readers | Self::Users | Self::Audit | Self::Account => true,
            Self::Look | Self::Report | Self::Give(_) | Self::Clients | Self::Figures | Self::Proposals => false,
        }
    }

    /// Whether it is nothing for any client's people: what is behind it is not there for them.
    pub fn is_the_providers(self) -> bool {
        allowed(self).iter().all(|role| !role.is_of_a_client())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Look => "see what is in scope",
            Self::Report => "report a problem",
            Self::Give(command) => return write!(f, "give the command {command}"),
            Self::Clients => "see the list of all clients",
            Self::Figures => "read the process's figures",
            Self::Agents => "take hosts in, release and revoke them",
            Self::Proposals => "see what hosts propose to watch",
            Self::Propose => "take or dismiss what hosts propose to watch",
            Self::Readers => "keep the accounts of a client's readers",
            Self::Users => "keep everybody's accounts",
            Self::Audit => "read the audit",
            Self::Account => "see to one's own password, sessions and tokens",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_page_about_roles_prints_the_table() {
        let heads: String = Role::ALL.iter().map(|role| format!(" {role} |")).collect();
        let lines: String = Role::ALL.iter().map(|_| "---|").collect();
        let row = |action: Action| {
            let cells: String =
                Role::ALL.iter().map(|role| if may(*role, action) { " yes |" } else { " – |" }).collect();
            format!("| {action} |{cells}\n")
        };
        let rows: String = Action::all().map(row).collect();
        let table = format!("| may |{heads}\n|---|{lines}\n{rows}");
        let page = include_str!("../../../docs/roles.md");
        assert!(page.contains(&table), "docs/roles.md is not the table any more; it must have:\n{table}");
    }

    #[test]
    fn every_command_has_somebody_who_may_give_it_and_no_other_word_has() {
        let given: BTreeSet<_> = Action::all().filter(|action| matches!(action, Action::Give(_))).collect();
        assert_eq!(given.len(), Command::NAMES.len() + 1);
        assert!(given.iter().all(|action| !allowed(*action).is_empty()), "{given:?}");
        assert_eq!(allowed(Action::Give("take-all")), &[] as &[Role]);
    }

    #[test]
    fn a_role_with_more_may_what_one_with_less_may() {
        use Role::{ClientOwner, ClientReader, Dispatcher, ProviderAdmin, Technician};
        for (more, less) in [
            (ProviderAdmin, Dispatcher),
            (Dispatcher, Technician),
            (ClientOwner, ClientReader),
            (ProviderAdmin, ClientOwner),
        ] {
            for action in Action::all().filter(|action| may(less, *action)) {
                assert!(may(more, action), "{less} may {action}, and {more} not");
            }
        }
    }

    #[test]
    fn what_decides_what_is_owed_is_no_technicians_and_no_clients() {
        for command in ["dismiss", "set-priority", "expedite", "settle"] {
            assert_eq!(allowed(Action::Give(command)), DECIDERS, "{command}");
        }
        let clients: Vec<_> = Action::all().filter(|action| may(Role::ClientReader, *action)).collect();
        assert_eq!(clients, [Action::Look, Action::Report, Action::Account]);
    }
}

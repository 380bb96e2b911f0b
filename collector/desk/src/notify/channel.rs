//! The outbox's names of the ways to tell somebody, and which of them an incident has.

use std::{fmt, str::FromStr};

use upheld_agreement::{
    book::{Book, MailKind, MailTo},
    words::BookName,
};
use upheld_model::ClientId;

use crate::{
    book::CurrentBook,
    case::{Case, promise::Promise},
};

/// A way to tell somebody, as the outbox names it: `desk`, `desk:mail`, `client/plant:mail`. A name of the book holds
/// neither a colon nor a slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChannelName {
    /// The webhook of a channel of the provider's.
    Webhook(BookName),
    /// The mail of a channel of the provider's.
    Mail(BookName),
    /// One of the people whom the client names; which client is the message's own.
    ClientMail(BookName),
}

/// A text that names no channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} names no channel: write desk, desk:mail, or client/NAME:mail")]
pub struct NotAChannel {
    /// The text, cut at 80 characters.
    pub text: String,
}

const MAIL: &str = ":mail";
const CLIENT: &str = "client/";

impl ChannelName {
    /// Whether mail goes by it.
    pub fn is_mail(&self) -> bool {
        match self {
            Self::Webhook(_) => false,
            Self::Mail(_) | Self::ClientMail(_) => true,
        }
    }

    /// The address and what it is told of, as the book says at this moment. `None` for a webhook, and for who is not in
    /// the book any more.
    pub(crate) fn mail_to<'a>(&self, book: &'a Book, client: &ClientId) -> Option<&'a MailTo> {
        match self {
            Self::Webhook(_) => None,
            Self::Mail(name) => book.provider.channels.get(name)?.mail.as_ref(),
            Self::ClientMail(name) => book.client(client)?.mail.get(name),
        }
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(name) => write!(f, "{name}"),
            Self::Mail(name) => write!(f, "{name}{MAIL}"),
            Self::ClientMail(name) => write!(f, "{CLIENT}{name}{MAIL}"),
        }
    }
}

impl FromStr for ChannelName {
    type Err = NotAChannel;

    fn from_str(text: &str) -> Result<Self, NotAChannel> {
        let wrong = || NotAChannel { text: text.chars().take(80).collect() };
        let name = |part: &str| part.parse::<BookName>().map_err(|_| wrong());
        match (text.strip_prefix(CLIENT), text.strip_suffix(MAIL)) {
            (None, None) => Ok(Self::Webhook(name(text)?)),
            (None, Some(part)) => Ok(Self::Mail(name(part)?)),
            (Some(rest), Some(_)) => Ok(Self::ClientMail(name(rest.strip_suffix(MAIL).ok_or_else(wrong)?)?)),
            (Some(_), None) => Err(wrong()),
        }
    }
}

/// For whom a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The provider's people, and what they connected.
    Provider,
    /// One client's people: nothing of another client is for them.
    Client,
}

/// The ways by which an incident is told: the provider's channels that its terms name (without terms, or when they name
/// none, all of them), each by webhook and by mail as far as it has them, and the people whom its client names. Mail is
/// told only to whom asked for its kind; `None` is what nobody is mailed of.
pub(crate) fn ways(book: &CurrentBook, case: &Case, kind: Option<MailKind>) -> Vec<ChannelName> {
    let all = &book.book.provider.channels;
    let named = match &case.promise {
        Promise::Pinned(pinned) => pinned.terms.tell.clone(),
        Promise::NotAsked | Promise::None(_) => Vec::new(),
    };
    let chosen: Vec<BookName> = named.into_iter().filter(|name| all.contains_key(name)).collect();
    let chosen = if chosen.is_empty() { all.keys().cloned().collect() } else { chosen };
    let asked = |to: &MailTo| kind.is_some_and(|kind| to.of.contains(&kind));
    let mut ways = Vec::new();
    for name in chosen {
        let Some(channel) = all.get(&name) else { continue };
        if channel.webhook.is_some() {
            ways.push(ChannelName::Webhook(name.clone()));
        }
        if channel.mail.as_ref().is_some_and(asked) {
            ways.push(ChannelName::Mail(name));
        }
    }
    let clients = book.book.client(&case.row.client).map(|client| &client.mail);
    let clients = clients.into_iter().flatten().filter(|(_, to)| asked(to));
    ways.extend(clients.map(|(name, _)| ChannelName::ClientMail(name.clone())));
    ways
}

impl ChannelName {
    /// For whom what goes by it is written.
    pub(crate) fn audience(&self) -> Audience {
        match self {
            Self::Webhook(_) | Self::Mail(_) => Audience::Provider,
            Self::ClientMail(_) => Audience::Client,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channels_name_reads_back_and_the_names_of_before_are_webhooks() {
        for text in ["desk", "desk:mail", "client/plant:mail"] {
            assert_eq!(text.parse::<ChannelName>().unwrap().to_string(), text);
        }
        assert!(matches!("desk".parse(), Ok(ChannelName::Webhook(_))));
        for text in ["", ":mail", "client/:mail", "client/plant", "a b", "client/a/b:mail", "desk:sms"] {
            assert!(text.parse::<ChannelName>().is_err(), "{text:?}");
        }
    }
}

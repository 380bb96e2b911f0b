//! One SMTP conversation, and what its end means.

use std::{
    future::Future,
    net::SocketAddr,
    time::{Duration, Instant},
};

use lettre::{
    address::Envelope,
    transport::smtp::{
        Error,
        authentication::Mechanism,
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
        commands::{Data, Mail as MailFrom, Quit, Rcpt},
        extension::{Extension, MailBodyParameter, MailParameter},
    },
};
use upheld_model::DeviceText;
use url::Host;

use super::{Mail, Tls, clean_line};
use crate::{Outcome, notify::destination};

/// The longest wait for a server's good-bye: the message is his already.
const GOOD_BYE: Duration = Duration::from_secs(2);

/// The roots that a mail server is trusted by, for its name or address.
pub(super) fn tls(host: &Host<String>, root: Option<&[u8]>) -> Result<TlsParameters, Error> {
    let name = match host {
        Host::Domain(name) => name.clone(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    let builder = TlsParameters::builder(name).certificate_store(CertificateStore::WebpkiRoots);
    match root {
        Some(pem) => builder.add_root_certificate(Certificate::from_pem(pem)?).build_rustls(),
        None => builder.build_rustls(),
    }
}

/// Where a conversation ended badly.
enum Stopped {
    /// Before anybody spoke of the message: the server, the way to it or the log-in is at fault.
    Before(String),
    /// The server was offered the message and did not let its content begin.
    Offered(Error),
}

impl Mail {
    /// Hands one message over. The server's words on taking it, in which most say its number in their queue, are its
    /// reference; `reference` is for one that says nothing.
    pub(super) async fn hand_over(&self, envelope: &Envelope, eml: &[u8], reference: &str) -> Outcome {
        let started = Instant::now();
        let retry = |why: String| Outcome::Retry { why, not_before: None };
        let is_plain = self.tls.is_none();
        let within = self.timeout / 2;
        let addresses = match destination::judged(&self.host, self.port, self.rule, is_plain, within).await {
            Ok(addresses) => addresses,
            Err(refusal) => return refusal.into_outcome(),
        };
        let left = || self.timeout.saturating_sub(started.elapsed());
        let prepared = within_time(left(), self.offer(&addresses, envelope)).await;
        let mut connection = match prepared {
            Some(Ok(connection)) => connection,
            Some(Err(Stopped::Before(why))) => return retry(why),
            Some(Err(Stopped::Offered(error))) => {
                return self.refused(&error).unwrap_or_else(|| retry(self.said(&error)));
            }
            None => return retry(format!("the mail server {} did not answer in time", self.host)),
        };
        match within_time(left(), connection.message(eml)).await {
            Some(Ok(answer)) => {
                let _ = within_time(GOOD_BYE, connection.command(Quit)).await;
                let said = answer.message().next().filter(|line| !line.is_empty());
                let line = |line: &str| format!("{} {}", answer.code(), DeviceText::new(&clean_line(line)));
                Outcome::Delivered { reference: said.map_or_else(|| reference.to_owned(), line), known_as: None }
            }
            Some(Err(error)) => self.refused(&error).unwrap_or_else(|| Outcome::Unclear {
                why: format!("{}; it may have the mail all the same", self.said(&error)),
            }),
            None => Outcome::Unclear {
                why: format!("the mail server {} took the content and did not answer in time", self.host),
            },
        }
    }

    /// Connects, logs in, names sender and receiver and asks to begin the content.
    async fn offer(&self, addresses: &[SocketAddr], envelope: &Envelope) -> Result<AsyncSmtpConnection, Stopped> {
        let before = |error: Error| Stopped::Before(self.said(&error));
        let implicit =
            self.tls.as_ref().filter(|(tls, _)| *tls == Tls::Implicit).map(|(_, parameters)| parameters.clone());
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(addresses, Some(self.timeout / 2), &self.me, implicit, None)
                .await
                .map_err(before)?;
        if let Some((Tls::StartTls, parameters)) = &self.tls {
            if !connection.can_starttls() {
                let why = format!("the mail server {} does not offer STARTTLS, and nothing is said without", self.host);
                return Err(Stopped::Before(why));
            }
            connection.starttls(parameters.clone(), &self.me).await.map_err(before)?;
        }
        if let Some(login) = &self.login {
            // What a server answers to a log-in may repeat what it was told: only its number is kept.
            connection.auth(&[Mechanism::Plain, Mechanism::Login], login).await.map_err(|error| {
                let number =
                    error.status().map_or_else(|| "no log-in that we know".to_owned(), |code| code.to_string());
                Stopped::Before(format!("the mail server {} did not let us log in: {number}", self.host))
            })?;
        }
        let mut options = Vec::new();
        if connection.server_info().supports_feature(Extension::EightBitMime) {
            options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        connection.command(MailFrom::new(envelope.from().cloned(), options)).await.map_err(Stopped::Offered)?;
        for to in envelope.to() {
            connection.command(Rcpt::new(to.clone(), vec![])).await.map_err(Stopped::Offered)?;
        }
        connection.command(Data).await.map_err(Stopped::Offered)?;
        Ok(connection)
    }

    /// What a refusal of the message means; `None` for what is no answer.
    fn refused(&self, error: &Error) -> Option<Outcome> {
        if error.is_transient() {
            return Some(Outcome::Retry { why: self.said(error), not_before: None });
        }
        let why = || {
            format!(
                "{}; it will not take it later: look at the channel's address in the book and at what the server asks for",
                self.said(error)
            )
        };
        error.is_permanent().then(|| Outcome::Permanent { why: why() })
    }

    fn said(&self, error: &Error) -> String {
        format!("the mail server {}: {}", self.host, in_words(error))
    }
}

/// An error with what a server said, escaped and cut.
pub(super) fn in_words(error: &Error) -> String {
    DeviceText::new(&clean_line(&error.to_string())).to_string()
}

/// `None` when it took too long.
async fn within_time<T>(time: Duration, what: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(time, what).await.ok()
}

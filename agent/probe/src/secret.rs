//! What a probe needs in order to log in (SECURITY 4): kept at the site, looked up by the name that the check gives.
//!
//! The prober holds all secrets of this host in memory and is given a new set when one changes ([`crate::Prober::
//! secrets_are`]); a probe asks for one with `wanted`. A name that is not here is unknown (secret missing), with the
//! command that sets it. A [`Secret`] prints as REDACTED and is overwritten when its last holder drops it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use upheld_model::{SecretName, UnknownReason};
use zeroize::Zeroizing;

use crate::ProbeResult;

/// A value that no log, sample or error may show. Clones share one copy.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Keeps the text. Whoever made it overwrites other copies of it.
    pub fn new(text: impl Into<Zeroizing<String>>) -> Self {
        Self(Arc::new(text.into()))
    }

    /// The value itself: only for what is written into a request to the device that it is for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(REDACTED)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("REDACTED")
    }
}

/// The secrets of this host, by name.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    named: BTreeMap<SecretName, Result<Secret, String>>,
    /// Why none of them can be used.
    unreadable: Option<String>,
}

impl Secrets {
    /// None, since those of this host cannot be read; `why` is for a person.
    pub fn unreadable(why: impl Into<String>) -> Self {
        Self { named: BTreeMap::new(), unreadable: Some(why.into()) }
    }

    /// How many there are, usable or not.
    pub fn len(&self) -> usize {
        self.named.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Adds one; the last of a name stands.
    pub fn insert(&mut self, name: SecretName, secret: Secret) {
        self.named.insert(name, Ok(secret));
    }

    /// Adds one that is there and cannot be used; `why` is for a person and holds nothing of the value.
    pub fn insert_unusable(&mut self, name: SecretName, why: impl Into<String>) {
        self.named.insert(name, Err(why.into()));
    }

    /// The secret of that name; otherwise why there is none, in words.
    pub fn find(&self, name: &SecretName) -> Result<Secret, String> {
        match (self.named.get(name), &self.unreadable) {
            (Some(Ok(secret)), _) => Ok(secret.clone()),
            (Some(Err(why)), _) => Err(format!("the secret {name} cannot be used: {why}")),
            (None, Some(why)) => Err(format!("the secret {name} cannot be read: {why}")),
            (None, None) => Err(format!("the secret {name} is not on this host")),
        }
    }
}

/// Where all probes of one prober look.
#[derive(Default)]
pub(crate) struct Shelf(RwLock<Secrets>);

impl Shelf {
    pub(crate) fn put(&self, secrets: Secrets) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = secrets;
    }

    /// The secret that a check names. The error is the result of the run: unknown (secret missing), with what to type.
    pub(crate) fn wanted(&self, name: &SecretName) -> Result<Secret, ProbeResult> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).find(name).map_err(|why| {
            let why = format!("{why}; set it here with: upheld-agent secret set {name}");
            ProbeResult::unknown(UnknownReason::SecretMissing, why)
        })
    }
}

#[cfg(test)]
mod tests {
    use upheld_model::Outcome;

    use super::*;

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    #[test]
    fn a_secret_prints_as_redacted_wherever_it_stands() {
        let mut secrets = Secrets::default();
        secrets.insert(name("nvr"), Secret::new("canary".to_owned()));
        let secret = secrets.find(&name("nvr")).unwrap();
        assert_eq!(secret.expose(), "canary");
        let printed = format!("{secret} {secret:?} {secrets:?} {:#?}", Some(&secret));
        assert!(printed.contains("REDACTED") && !printed.contains("canary"), "{printed}");
    }

    #[test]
    fn a_missing_secret_is_unknown_with_the_command_that_sets_it() {
        let shelf = Shelf::default();
        let missing = shelf.wanted(&name("nvr-web")).unwrap_err();
        assert_eq!(missing.outcome, Outcome::unknown(UnknownReason::SecretMissing));
        let said = missing.evidence.unwrap();
        assert_eq!(
            said.as_str(),
            "the secret nvr-web is not on this host; set it here with: upheld-agent secret set nvr-web"
        );
        let mut secrets = Secrets::default();
        secrets.insert_unusable(name("nvr-web"), "its file may not be read");
        shelf.put(secrets);
        let unusable = shelf.wanted(&name("nvr-web")).unwrap_err();
        assert_eq!(unusable.outcome, Outcome::unknown(UnknownReason::SecretMissing));
        assert!(unusable.evidence.unwrap().as_str().contains("its file may not be read"));
    }
}

//! `sealing.key` and `sealed.json`: this agent's key, and what its provider sealed to it. A box lies on disk as it came.

use std::collections::BTreeMap;

use getrandom::SysRng;
use jiff::Timestamp;
use rand_core::UnwrapErr;
use serde::{Deserialize, Serialize};
use upheld_model::SecretName;
use upheld_probe::{Secret, Secrets};
use upheld_sealing::{Purpose, SealedBox, SealingKey};
use upheld_wire::v1::secrets::{SealedSecret, SecretsAnswer, SecretsAt};
use zeroize::Zeroizing;

use crate::{
    failure::{Code, Failure},
    files::{self, FileError},
    state::{Identity, StateFolder},
};

/// What the collector gave last.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Held {
    /// [`SecretsAnswer::version`].
    version: u64,
    boxes: BTreeMap<SecretName, OneBox>,
}

#[derive(Debug, Serialize, Deserialize)]
struct OneBox {
    sealed: String,
    set_at: Timestamp,
}

/// This agent's key to which secrets are sealed; made where there is none.
pub(crate) fn own_key(state: &StateFolder) -> Result<SealingKey, Failure> {
    let path = state.sealing_key();
    let text = files::read_if_there(&path).map_err(|error| state.unusable(error))?.map(Zeroizing::new);
    if let Some(text) = text {
        return SealingKey::from_text(&text).map_err(|error| {
            Failure::new(Code::Invalid, format!("cannot understand {}", path.display())).because(error).help(format!(
                "it is damaged: move it away, and restart; the provider seals its secrets again: mv {0} {0}.damaged",
                path.display()
            ))
        });
    }
    let mut probe = [0; 1];
    // What follows cannot say that there is no randomness.
    getrandom::fill(&mut probe)
        .map_err(|error| Failure::new(Code::Failed, "cannot make a key for secrets").because(error))?;
    let key = SealingKey::generate(&mut UnwrapErr(SysRng));
    files::replace(&path, key.to_text().as_bytes()).map_err(|error| state.unusable(error))?;
    Ok(key)
}

impl Held {
    /// What was given last; nothing where nothing was.
    pub(crate) fn read(state: &StateFolder) -> Result<Self, Failure> {
        let path = state.sealed_json();
        let text = files::read_if_there(&path).map_err(|error| state.unusable(error))?;
        // One that is damaged is as good as none: the collector gives it again.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    /// Keeps what the collector gave.
    pub(crate) fn keep(answer: SecretsAnswer, state: &StateFolder) -> Result<Self, FileError> {
        let SecretsAnswer { version, boxes } = answer;
        let boxes = boxes.into_iter().map(|SealedSecret { name, sealed, set_at }| (name, OneBox { sealed, set_at }));
        let held = Self { version, boxes: boxes.collect() };
        // Names, instants and text: a map of these is always JSON.
        files::replace(&state.sealed_json(), &serde_json::to_vec(&held).unwrap_or_default())?;
        Ok(held)
    }

    /// Whether the collector has others, or does not have this agent's key.
    pub(crate) fn differs_from(&self, there: &SecretsAt, own: &str) -> bool {
        there.version != self.version || there.key.as_deref() != Some(own)
    }

    /// Puts what opens beside the others, and says of what does not.
    pub(super) fn open(&self, identity: &Identity, key: &SealingKey, secrets: &mut Secrets) {
        for (name, one) in &self.boxes {
            let Identity { client, site, agent, .. } = identity;
            let purpose = Purpose { client, site, agent, name };
            match upheld_sealing::open(key, purpose, &SealedBox::from_text(one.sealed.clone())) {
                Ok(value) => secrets.insert(name.clone(), Secret::new(value)),
                Err(error) => secrets.insert_unusable(name.clone(), error.to_string()),
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.boxes.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &SecretName> {
        self.boxes.keys()
    }

    pub(super) fn set_at(&self, name: &SecretName) -> Option<Timestamp> {
        self.boxes.get(name).map(|one| one.set_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_key_is_made_once_and_what_was_sealed_to_it_opens_here_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path());
        let key = own_key(&state).unwrap();
        assert_eq!(own_key(&state).unwrap().public(), key.public());
        assert_eq!(std::fs::metadata(state.sealing_key()).unwrap().permissions().mode() & 0o777, 0o600);

        let identity = testing::identity();
        let another = Identity { agent: "a-2".parse().unwrap(), ..testing::identity() };
        let name: SecretName = "nvr-web".parse().unwrap();
        let sealed = |identity: &Identity| {
            let Identity { client, site, agent, .. } = identity;
            let purpose = Purpose { client, site, agent, name: &name };
            upheld_sealing::seal(&key.public(), purpose, "canary", &mut UnwrapErr(SysRng)).unwrap().as_str().to_owned()
        };
        let answer = |sealed| SecretsAnswer {
            version: 7,
            boxes: vec![SealedSecret { name: name.clone(), sealed, set_at: Timestamp::UNIX_EPOCH }],
        };
        Held::keep(answer(sealed(&identity)), &state).unwrap();
        let (secrets, wrong) = crate::secret::all(&state, &identity);
        assert_eq!((secrets.find(&name).unwrap().expose(), wrong), ("canary", None));
        assert!(!std::fs::read_to_string(state.sealed_json()).unwrap().contains("canary"));

        Held::keep(answer(sealed(&another)), &state).unwrap();
        let (secrets, _) = crate::secret::all(&state, &identity);
        assert!(secrets.find(&name).unwrap_err().contains("not for this agent"));
    }

    #[test]
    fn the_collector_is_asked_when_it_has_others_or_lacks_the_key() {
        let held = Held { version: 2, boxes: BTreeMap::new() };
        let at = |version, key: Option<&str>| SecretsAt { version, key: key.map(str::to_owned) };
        assert!(!held.differs_from(&at(2, Some("k")), "k"));
        for there in [at(1, Some("k")), at(3, Some("k")), at(2, Some("other")), at(2, None)] {
            assert!(held.differs_from(&there, "k"), "{there:?}");
        }
    }

    #[test]
    fn one_of_this_host_goes_before_a_sealed_one_and_a_damaged_file_hides_none_behind_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let (state, identity) = (StateFolder::new(folder.path()), testing::identity());
        let name: SecretName = "nvr-web".parse().unwrap();
        let key = own_key(&state).unwrap();
        let Identity { client, site, agent, .. } = &identity;
        let purpose = Purpose { client, site, agent, name: &name };
        let sealed = upheld_sealing::seal(&key.public(), purpose, "theirs", &mut UnwrapErr(SysRng)).unwrap();
        let boxes = vec![SealedSecret {
            name: name.clone(),
            sealed: sealed.as_str().to_owned(),
            set_at: Timestamp::UNIX_EPOCH,
        }];
        Held::keep(SecretsAnswer { version: 1, boxes }, &state).unwrap();
        let own = super::super::kept::Kept { value: "ours".to_owned(), set_at: Timestamp::UNIX_EPOCH };
        super::super::kept::change(&state, |all| drop(all.insert(name.clone(), own))).unwrap();
        assert_eq!(crate::secret::all(&state, &identity).0.find(&name).unwrap().expose(), "ours");
        std::fs::write(state.secrets_json(), "{").unwrap();
        let (secrets, wrong) = crate::secret::all(&state, &identity);
        assert!(secrets.find(&name).unwrap_err().contains("secrets.json"));
        assert!(wrong.unwrap().contains("secrets.json"));
    }
}

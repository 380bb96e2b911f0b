//! What probes log in with, as the running agent holds it: read at the start, when somebody changes one here, and when the
//! collector says that it has sealed others (SECURITY 4).

use std::{rc::Rc, time::Duration};

use tokio::time::Instant;
use upheld_delivery::sender;
use upheld_probe::Prober;
use upheld_wire::v1::secrets::{SecretsAnswer, SecretsRequest};

use super::{Agent, link};
use crate::{
    failure,
    secret::{self, Answer, Held},
    state::{Identity, StateFolder},
    uplink::Uplink,
};

/// A collector that gives nothing is asked again no sooner.
const AGAIN_AFTER: Duration = Duration::from_secs(20);

/// How it stands with this host's secrets.
#[derive(Debug)]
pub(super) struct Standing {
    held: Held,
    /// This agent's public key; `None` where there is no usable one, and then nothing can be sealed to it.
    key: Option<String>,
    /// When the collector may be asked again.
    ask_from: Option<Instant>,
    /// What is wrong, in words for a person.
    wrong: Option<String>,
}

impl Standing {
    /// Reads what there is and gives it to the prober.
    pub(super) fn begin(state: &StateFolder, identity: &Identity, prober: &Prober) -> Self {
        // A key that is damaged is said by `all` as soon as something was sealed to it, and here.
        let key = secret::own_key(state).map_err(|failure| failure.said().0);
        let mut standing = Self {
            held: Held::read(state).unwrap_or_default(),
            wrong: None,
            ask_from: None,
            key: key.as_ref().ok().map(|key| key.public().to_string()),
        };
        standing.load(state, identity, prober);
        if let Err(why) = key {
            standing.wrong = Some(why);
        }
        standing.say();
        standing
    }

    fn load(&mut self, state: &StateFolder, identity: &Identity, prober: &Prober) -> usize {
        let (secrets, wrong) = secret::all(state, identity);
        self.wrong = wrong;
        let count = secrets.len();
        prober.secrets_are(secrets);
        count
    }

    fn say(&self) {
        if let Some(why) = &self.wrong {
            tracing::warn!(why, "Secrets of this host cannot be used; checks that need them are unknown.");
        }
    }

    /// What ails the agent over them.
    pub(super) fn ailment(&self) -> Option<String> {
        self.wrong.as_ref().map(|why| format!("secrets of this host cannot be used: {why}"))
    }
}

impl Agent {
    /// Somebody changed one on this host.
    pub(super) fn secrets_changed(&mut self) -> Answer {
        let count = self.secrets.load(&self.state, &self.identity, &self.prober);
        self.secrets.say();
        match &self.secrets.wrong {
            None => {
                tracing::info!(secrets = count, "The secrets of this host were read again.");
                Answer::Taken(count)
            }
            Some(why) => Answer::Refused(why.clone()),
        }
    }

    /// Asks for what the collector has sealed, where a report's answer says that it is not what this agent has.
    pub(super) fn look_at_secrets(&mut self, answer: &sender::Answer) {
        let sender::Answer::Delivered(delivered) = answer else { return };
        let (Some(there), Some(key)) = (&delivered.secrets, &self.secrets.key) else { return };
        let is_early = self.secrets.ask_from.is_some_and(|from| Instant::now() < from);
        if is_early || !self.secrets.held.differs_from(there, key) {
            return;
        }
        self.secrets.ask_from = Some(Instant::now() + AGAIN_AFTER);
        let (uplink, state) = (Rc::clone(&self.link.uplink), self.state.clone());
        let request = SecretsRequest { key: key.clone() };
        self.link.spawn(async move { link::Heard::Secrets(fetch(&uplink, state, request).await) });
    }

    pub(super) fn secrets_heard(&mut self, taken: Result<Held, String>) {
        match taken {
            Ok(held) => {
                self.secrets.held = held;
                self.secrets.ask_from = None;
                let count = self.secrets.load(&self.state, &self.identity, &self.prober);
                self.secrets.say();
                tracing::info!(secrets = count, "The provider's sealed secrets were taken.");
            }
            Err(why) => tracing::warn!(why, "The provider's sealed secrets could not be taken; those before stay."),
        }
    }
}

/// Asks and keeps what comes; in words why not, otherwise.
async fn fetch(uplink: &Uplink, state: StateFolder, request: SecretsRequest) -> Result<Held, String> {
    let answer = uplink.fetch_secrets(&request).await.map_err(|error| error.words())?;
    if answer.status != 200 {
        return Err(answer.problem().title);
    }
    let answer: SecretsAnswer = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    let kept = tokio::task::spawn_blocking(move || Held::keep(answer, &state)).await;
    kept.map_err(|error| error.to_string())?.map_err(|error| failure::chain_of(&error))
}

//! Passwords at rest: Argon2id, each hash with its own salt and parameters (PHC strings), computed beside the runtime and
//! a few at once, so that a flood of log-ins can eat neither its threads nor the memory.

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

use super::{AccountError, policy::Password};
use crate::{DeskError, random};

/// Hashes computed at once: each takes [`Cost::OWASP`]'s 19 MiB.
const AT_ONCE: usize = 2;
/// Callers that may wait for their turn: at some 30 ms each, for two seconds.
const WAITING: usize = 128;

/// What a hash costs whoever computes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Cost {
    /// OWASP's recommendation for Argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane.
    pub const OWASP: Self = Self { memory_kib: 19_456, passes: 2, lanes: 1 };
}

impl Default for Cost {
    fn default() -> Self {
        Self::OWASP
    }
}

/// Hashes passwords and checks them.
#[derive(Debug)]
pub(crate) struct Hasher {
    cost: Cost,
    turns: Semaphore,
    places: Semaphore,
}

/// How a password stands to a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It is another one.
    Wrong,
    /// It is the one. The better hash is there when the stored one is cheaper than hashes are made today.
    Right { better: Option<String> },
}

impl Default for Hasher {
    fn default() -> Self {
        Self::at(Cost::default())
    }
}

impl Hasher {
    pub(crate) fn at(cost: Cost) -> Self {
        Self { cost, turns: Semaphore::new(AT_ONCE), places: Semaphore::new(WAITING) }
    }

    /// A new hash of a password.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, AccountError> {
        let cost = self.cost;
        self.beside(move || new_hash(cost, &password)).await
    }

    /// Checks a password against a stored hash. Without one the same work is done in vain, so that nobody can tell by
    /// the time it takes whether an account is there.
    pub(crate) async fn check(&self, password: Password, stored: Option<String>) -> Result<Checked, AccountError> {
        let cost = self.cost;
        self.beside(move || check(cost, &password, stored.as_deref())).await
    }

    async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, DeskError> + Send + 'static,
    ) -> Result<T, AccountError> {
        // Neither semaphore is ever closed: an error is a full house.
        let _place = self.places.try_acquire().map_err(|_| AccountError::Busy)?;
        let _turn = self.turns.acquire().await.map_err(|_| AccountError::Busy)?;
        let done = tokio::task::spawn_blocking(work).await;
        Ok(done.map_err(|error| DeskError::unreadable("password", &error))??)
    }
}

fn argon(cost: Cost) -> Result<Argon2<'static>, DeskError> {
    let Cost { memory_kib, passes, lanes } = cost;
    let params = Params::new(memory_kib, passes, lanes, None);
    let params = params.map_err(|error| DeskError::unreadable("password's cost", &error))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn new_hash(cost: Cost, password: &Password) -> Result<String, DeskError> {
    let salt = random::salt()?;
    let hash = argon(cost)?.hash_password_with_salt(password.as_bytes(), &salt);
    Ok(hash.map_err(|error| DeskError::unreadable("password", &error))?.to_string())
}

fn check(cost: Cost, password: &Password, stored: Option<&str>) -> Result<Checked, DeskError> {
    let Some(stored) = stored else {
        new_hash(cost, password)?;
        return Ok(Checked::Wrong);
    };
    let unreadable = |error| DeskError::unreadable("password's hash", &error);
    let hash = PasswordHash::new(stored).map_err(|error| DeskError::unreadable("password's hash", &error))?;
    // The parameters are the stored hash's own.
    match argon(cost)?.verify_password(password.as_bytes(), &hash) {
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Checked::Wrong),
        Err(error) => Err(unreadable(error)),
        Ok(()) if is_cheaper(&hash, cost) => Ok(Checked::Right { better: Some(new_hash(cost, password)?) }),
        Ok(()) => Ok(Checked::Right { better: None }),
    }
}

/// Whether a hash was made with less than is asked today.
fn is_cheaper(hash: &PasswordHash, cost: Cost) -> bool {
    let Ok(params) = Params::try_from(hash) else { return true };
    params.m_cost() < cost.memory_kib || params.t_cost() < cost.passes
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

    #[tokio::test]
    async fn a_hash_says_its_parameters_and_none_is_like_another() {
        let hasher = Hasher::default();
        let (one, two) = (hasher.hash(typed("a")).await.unwrap(), hasher.hash(typed("a")).await.unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, two);
        assert_eq!(hasher.check(typed("a"), Some(one.clone())).await.unwrap(), Checked::Right { better: None });
        assert_eq!(hasher.check(typed("b"), Some(one)).await.unwrap(), Checked::Wrong);
        assert_eq!(hasher.check(typed("a"), None).await.unwrap(), Checked::Wrong);
    }

    #[tokio::test]
    async fn a_hash_that_costs_less_than_today_is_made_anew() {
        let old = Hasher::at(FAST).hash(typed("a")).await.unwrap();
        let today = Hasher::at(Cost { passes: 2, ..FAST });
        let Checked::Right { better: Some(better) } = today.check(typed("a"), Some(old.clone())).await.unwrap() else {
            panic!("it was not made anew")
        };
        assert!(better.contains("t=2"), "{better}");
        assert_eq!(today.check(typed("a"), Some(better)).await.unwrap(), Checked::Right { better: None });
        assert_eq!(today.check(typed("b"), Some(old)).await.unwrap(), Checked::Wrong);
        let damaged = today.check(typed("a"), Some("$argon2id$nonsense".to_owned())).await;
        assert!(matches!(damaged, Err(AccountError::Desk(DeskError::Unreadable { .. }))), "{damaged:?}");
    }

    #[tokio::test]
    async fn a_full_house_is_told_at_once() {
        let hasher = Hasher::at(FAST);
        let everything = hasher.places.acquire_many(u32::try_from(WAITING).unwrap()).await.unwrap();
        assert!(matches!(hasher.hash(typed("a")).await, Err(AccountError::Busy)));
        drop(everything);
        assert!(hasher.hash(typed("a")).await.is_ok());
    }

    fn typed(text: &str) -> Password {
        Password::typed(text).unwrap()
    }
}

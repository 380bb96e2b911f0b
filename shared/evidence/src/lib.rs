//! What an agent signs, and how anybody checks it without trusting anyone (EVIDENCE).
//!
//! An agent's Ed25519 key is made on its host and never leaves it; the collector knows the public half from the
//! enrolment. Each message is signed under its own prefix, so that a signature for one purpose is worth nothing for
//! another. The crate holds no random source: a key is made from 32 bytes that the shell drew. Checking fails with a
//! name ([`BadSignature`], [`BadKey`]), never with a bare `false`.
#![forbid(unsafe_code)]

mod hex;
mod keys;

pub use hex::{HexError, decode as from_hex, encode as to_hex};
pub use keys::{BadKey, BadSignature, PublicKey, Signature, SigningKey};

use upheld_model::{AgentId, Digest};

const CHAIN: &[u8] = b"upheld-chain/1\0";
const ENROLL: &[u8] = b"upheld-enroll/1\0";
const RETURN: &[u8] = b"upheld-return/1\0";

/// Signs a record's chain, and through it every record of the epoch up to there.
pub fn sign_chain(key: &SigningKey, chain: &Digest) -> Signature {
    key.sign(&[CHAIN, &chain.0].concat())
}

/// Checks [`sign_chain`].
pub fn verify_chain(key: &PublicKey, chain: &Digest, signature: &Signature) -> Result<(), BadSignature> {
    key.verify(&[CHAIN, &chain.0].concat(), signature)
}

/// The proof in `upheld_wire::v1::enroll::EnrollRequest` that the sender holds the key it names: binds the key to
/// this token and this certificate request.
pub fn sign_enrolment(key: &SigningKey, token: &str, csr_pem: &str) -> Signature {
    key.sign(&enrolment(token, csr_pem))
}

/// Checks [`sign_enrolment`].
pub fn verify_enrolment(
    key: &PublicKey,
    token: &str,
    csr_pem: &str,
    signature: &Signature,
) -> Result<(), BadSignature> {
    key.verify(&enrolment(token, csr_pem), signature)
}

/// The proof in `upheld_wire::v1::enroll::ReturnRequest` that the sender holds the key of this agent: binds it to this
/// certificate request.
pub fn sign_return(key: &SigningKey, agent: &AgentId, csr_pem: &str) -> Signature {
    key.sign(&coming_back(agent, csr_pem))
}

/// Checks [`sign_return`].
pub fn verify_return(
    key: &PublicKey,
    agent: &AgentId,
    csr_pem: &str,
    signature: &Signature,
) -> Result<(), BadSignature> {
    key.verify(&coming_back(agent, csr_pem), signature)
}

/// An agent's id has no zero byte either.
fn coming_back(agent: &AgentId, csr_pem: &str) -> Vec<u8> {
    [RETURN, agent.as_str().as_bytes(), b"\0", csr_pem.as_bytes()].concat()
}

/// A token has no zero byte (43 base64url characters), so the parts cannot be shifted against each other.
fn enrolment(token: &str, csr_pem: &str) -> Vec<u8> {
    [ENROLL, token.as_bytes(), b"\0", csr_pem.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_seed(&[byte; 32]).unwrap()
    }

    #[test]
    fn a_chain_is_verified_by_its_own_key_and_no_other() {
        let chain = Digest([3; 32]);
        let signature = sign_chain(&key(1), &chain);
        assert_eq!(verify_chain(&key(1).public(), &chain, &signature), Ok(()));
        assert_eq!(verify_chain(&key(2).public(), &chain, &signature), Err(BadSignature));
        assert_eq!(verify_chain(&key(1).public(), &Digest([4; 32]), &signature), Err(BadSignature));
    }

    #[test]
    fn an_enrolment_proof_binds_key_token_and_request() {
        let (token, csr) = ("t".repeat(43), "-----BEGIN CERTIFICATE REQUEST-----");
        let proof = sign_enrolment(&key(1), &token, csr);
        assert_eq!(verify_enrolment(&key(1).public(), &token, csr, &proof), Ok(()));
        for (who, token, csr) in [(2, token.as_str(), csr), (1, &"u".repeat(43), csr), (1, &token, "other")] {
            assert_eq!(verify_enrolment(&key(who).public(), token, csr, &proof), Err(BadSignature), "{who}");
        }
    }

    #[test]
    fn a_proof_of_a_return_binds_key_agent_and_request_and_is_no_enrolment() {
        let (agent, csr): (AgentId, _) = ("a-1".parse().unwrap(), "-----BEGIN CERTIFICATE REQUEST-----");
        let proof = sign_return(&key(1), &agent, csr);
        assert_eq!(verify_return(&key(1).public(), &agent, csr, &proof), Ok(()));
        let other = "a-2".parse().unwrap();
        for (who, agent, csr) in [(2, &agent, csr), (1, &other, csr), (1, &agent, "other")] {
            assert_eq!(verify_return(&key(who).public(), agent, csr, &proof), Err(BadSignature), "{who} {agent}");
        }
        let enrolled = sign_enrolment(&key(1), agent.as_str(), csr);
        assert_eq!(verify_return(&key(1).public(), &agent, csr, &enrolled), Err(BadSignature));
    }

    #[test]
    fn a_signature_for_one_purpose_is_worth_nothing_for_another() {
        let chain = Digest([3; 32]);
        let bare = key(1).sign(&chain.0);
        assert_eq!(verify_chain(&key(1).public(), &chain, &bare), Err(BadSignature));
    }

    #[test]
    fn signing_twice_gives_the_same_bytes() {
        let chain = Digest([9; 32]);
        assert_eq!(sign_chain(&key(1), &chain), sign_chain(&key(1), &chain));
    }
}

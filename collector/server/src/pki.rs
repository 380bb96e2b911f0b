//! The collector's own certificate authority: a root that agents pin, an intermediate that signs, a certificate for
//! the doors of the agents, one for the portal, and one for each agent (SECURITY 11, 12, 14).
//!
//! Every key and its certificate share one file in the folder `pki/`, mode 0600, replaced whole. A [`Pki`] is a
//! value that does not change: [`Pki::renewed`] gives the next one when something nears its end, and the doors swap
//! to it. It never decides who may have a certificate; the desk does. While the root is changed two stand side by side
//! ([`rotation`]).

pub(crate) mod agent;
mod files;
pub(crate) mod pin;
mod profile;
pub(crate) mod rotation;

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use rcgen::{Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;

pub(crate) use agent::{Peer, PeerError};

use crate::files::FileError;
use files::Held;
use rotation::{Anchors, Generation, Rotation};

/// An intermediate with less than this left is replaced, so that no certificate it signs outlives it.
const INTERMEDIATE_LEAST: SignedDuration = SignedDuration::from_hours(24 * 180);
/// A certificate of a door with less than this left is replaced (SECURITY 14: warned, here done, 30 days ahead).
const DOOR_LEAST: SignedDuration = SignedDuration::from_hours(24 * 30);

/// What ends within this time and was not renewed is said: in the log, at `/healthz`, by `ca show`. A day short of the 30
/// days at which certificates are renewed, so that a renewal in time is silent.
pub(crate) const WARNED: SignedDuration = SignedDuration::from_hours(24 * 29);

/// When one of the authority's own certificates ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Ending {
    /// Which: `root`, `intermediate`, `doors`, `portal`.
    pub(crate) of: &'static str,
    /// When.
    pub(crate) ends: Timestamp,
}

impl Ending {
    /// Whether it is worth a warning.
    pub(crate) fn is_near(&self, now: Timestamp) -> bool {
        self.ends.duration_since(now) < WARNED
    }
}

/// All keys and certificates of one provider, loaded.
pub(crate) struct Pki {
    folder: PathBuf,
    names: Vec<String>,
    root: Held,
    intermediate: Held,
    door: Held,
    portal: Held,
    /// While the root is changed: `root` and `intermediate` are the next ones then.
    rotation: Option<Rotation>,
    generation: Generation,
}

/// Why the authority cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PkiError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file holds no key with its certificate.
    #[error("{path} does not hold a key and its certificate: {why}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        why: String,
    },
    /// A certificate could not be made.
    #[error("cannot make the certificate of {of}")]
    Sign {
        /// Whose certificate.
        of: &'static str,
        /// What the library said.
        #[source]
        source: rcgen::Error,
    },
    /// A certificate request is not readable or not signed by its own key: the sender's fault.
    #[error("the certificate request is not valid")]
    Request(#[source] rcgen::Error),
    /// The system gave no random bytes.
    #[error("the system's random generator does not answer")]
    Random(#[source] getrandom::Error),
}

/// A certificate chain and its key, ready for a TLS configuration.
pub(crate) struct Presented {
    /// Leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// The leaf's key.
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Pki {
    /// Makes a new authority in `folder`; `names` are the portal's host names and addresses.
    pub(crate) fn create(folder: &Path, names: &[String], now: Timestamp) -> Result<Self, PkiError> {
        crate::files::create_private_folder(folder)?;
        let root = Held::signed(profile::root(now)?, None, "the root")?;
        let intermediate = Held::signed(profile::intermediate(now)?, Some(&root.issuer()?), "the intermediate")?;
        let door = Held::signed(profile::door(now)?, Some(&intermediate.issuer()?), "the agents' doors")?;
        let portal = Held::signed(profile::portal(names, now)?, None, "the portal")?;
        root.store(&folder.join(files::ROOT))?;
        intermediate.store(&folder.join(files::INTERMEDIATE))?;
        door.store(&folder.join(files::DOOR))?;
        portal.store(&folder.join(files::PORTAL))?;
        let (folder, names, generation) = (folder.to_owned(), names.to_vec(), Generation::of(folder));
        Ok(Self { folder, names, root, intermediate, door, portal, rotation: None, generation })
    }

    /// Reads the authority of `folder`. Nothing is renewed here; see [`Pki::renewed`].
    pub(crate) fn open(folder: &Path, names: &[String]) -> Result<Self, PkiError> {
        let generation = Generation::of(folder);
        let Anchors { root, intermediate, rotation } = Anchors::load(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            names: names.to_vec(),
            root,
            intermediate,
            rotation,
            generation,
            door: Held::load(&folder.join(files::DOOR))?,
            portal: Held::load(&folder.join(files::PORTAL))?,
        })
    }

    /// Replaces what is near its end, and the portal's certificate when its names have changed. `None` when nothing
    /// was. The portal keeps its key, because install lines pin it.
    pub(crate) fn renewed(&self, now: Timestamp) -> Result<Option<Self>, PkiError> {
        // The one of a rotation is new, and is signed twice.
        let intermediate_is_due = self.rotation.is_none() && self.intermediate.ends_within(INTERMEDIATE_LEAST, now);
        let door_is_foreign = !self.door.is_issued_by(&self.intermediate);
        let door_is_due = intermediate_is_due || door_is_foreign || self.door.ends_within(DOOR_LEAST, now);
        let portal_is_due = self.portal.ends_within(DOOR_LEAST, now) || !self.portal.bears(&self.names);
        if !door_is_due && !portal_is_due {
            return Ok(None);
        }
        if intermediate_is_due {
            let made = Held::signed(profile::intermediate(now)?, Some(&self.root.issuer()?), "the intermediate")?;
            made.store(&self.folder.join(files::INTERMEDIATE))?;
        }
        if door_is_due {
            let issuer = Anchors::load(&self.folder)?.intermediate.issuer()?;
            let made = Held::signed(profile::door(now)?, Some(&issuer), "the agents' doors")?;
            made.store(&self.folder.join(files::DOOR))?;
        }
        if portal_is_due {
            let made = self.portal.signed_again(profile::portal(&self.names, now)?, "the portal")?;
            made.store(&self.folder.join(files::PORTAL))?;
        }
        Self::open(&self.folder, &self.names).map(Some)
    }

    /// What the data door presents.
    pub(crate) fn data_door(&self) -> Presented {
        Presented { chain: self.door_chain(), key: self.door.key_der() }
    }

    /// What the enrolment door presents: the root comes last, so that a host that knows only the root's fingerprint
    /// finds it there.
    pub(crate) fn enrolment_door(&self) -> Presented {
        let chain = [self.door_chain(), self.roots()].concat();
        Presented { chain, key: self.door.key_der() }
    }

    /// During a rotation the intermediate is shown as each root signs it, so that whoever knows either believes it.
    fn door_chain(&self) -> Vec<CertificateDer<'static>> {
        let cross = self.rotation.iter().map(|rotation| rotation.cross.der.clone());
        [self.door.der(), self.intermediate.der()].into_iter().chain(cross).collect()
    }

    /// What the portal presents to people's browsers.
    pub(crate) fn portal(&self) -> Presented {
        Presented { chain: vec![self.portal.der()], key: self.portal.key_der() }
    }

    /// The anchors of agents' certificates: the root, and during a rotation the one that goes before it.
    pub(crate) fn roots(&self) -> Vec<CertificateDer<'static>> {
        let old = self.rotation.iter().map(|rotation| rotation.old_root.der.clone());
        old.chain([self.root.der()]).collect()
    }

    /// The name under which agents' certificates are signed.
    pub(crate) fn intermediate_name(&self) -> &str {
        self.intermediate.subject()
    }

    /// The root's certificate; during a rotation the next one's.
    #[cfg(test)]
    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.root.der()
    }

    /// The provider's roots in PEM.
    pub(crate) fn roots_pem(&self) -> String {
        let old = self.rotation.iter().map(|rotation| rotation.old_root.pem.as_str()).collect::<String>();
        format!("{old}{}", self.root.certificate_pem())
    }

    /// The root's fingerprint as enrolment links carry it: base64url SHA-256 of its public key.
    pub(crate) fn root_fingerprint(&self) -> String {
        pin::link_fingerprint(&self.root.der())
    }

    /// The portal's pin as `curl --pinnedpubkey` takes it, without `sha256//`.
    pub(crate) fn portal_pin(&self) -> String {
        pin::curl_pin(&self.portal.der())
    }

    /// The portal's certificate as a browser shows it: SHA-256 in hexadecimal pairs.
    pub(crate) fn portal_certificate_sha256(&self) -> String {
        pin::certificate_sha256(&self.portal.der())
    }

    /// When each of its own certificates ends.
    pub(crate) fn endings(&self) -> Vec<Ending> {
        let all = [
            ("root", &self.root),
            ("intermediate", &self.intermediate),
            ("doors", &self.door),
            ("portal", &self.portal),
        ];
        all.map(|(of, held)| Ending { of, ends: held.not_after() }).into()
    }

    fn issuer(&self) -> Result<Issuer<'static, KeyPair>, PkiError> {
        self.intermediate.issuer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_14_what_was_not_renewed_thirty_days_ahead_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::create(folder.path(), &names(), now()).unwrap();
        let near = |days: i64| {
            let then = now() + SignedDuration::from_hours(24 * days);
            let all = pki.endings().into_iter().filter(|ending| ending.is_near(then));
            all.map(|ending| ending.of).collect::<Vec<_>>()
        };
        assert_eq!(near(60), [""; 0], "at thirty days they are renewed, and nothing is said");
        assert_eq!(near(62), ["doors"]);
        assert_eq!(near(2 * 365 - 28), ["intermediate", "doors", "portal"]);
        assert_eq!(near(20 * 365 - 28), ["root", "intermediate", "doors", "portal"]);
    }

    fn now() -> Timestamp {
        "2026-11-16T16:10:00Z".parse().unwrap()
    }

    fn names() -> Vec<String> {
        vec!["localhost".into(), "127.0.0.1".into()]
    }

    #[test]
    fn an_authority_reads_back_and_needs_no_renewal_when_fresh() {
        let folder = tempfile::tempdir().unwrap();
        let made = Pki::create(folder.path(), &names(), now()).unwrap();
        let read = Pki::open(folder.path(), &names()).unwrap();
        assert_eq!(made.root_fingerprint(), read.root_fingerprint());
        assert_eq!(made.portal_pin(), read.portal_pin());
        assert!(read.renewed(now()).unwrap().is_none());
    }

    #[test]
    fn two_roots_never_have_one_name() {
        let folder = tempfile::tempdir().unwrap();
        let names_of = |sub: &str| {
            let pki = Pki::create(&folder.path().join(sub), &names(), now()).unwrap();
            let (_, root) = x509_parser::parse_x509_certificate(&pki.root())
                .map(|(a, c)| (a.len(), c.subject().to_string()))
                .unwrap();
            root
        };
        assert_ne!(names_of("a"), names_of("b"));
    }

    #[test]
    fn a_door_near_its_end_is_replaced_and_the_root_stays() {
        let folder = tempfile::tempdir().unwrap();
        let made = Pki::create(folder.path(), &names(), now()).unwrap();
        let later = now() + SignedDuration::from_hours(24 * 61);
        let next = made.renewed(later).unwrap().expect("61 of 90 days are over");
        assert_ne!(made.data_door().chain[0], next.data_door().chain[0]);
        assert_eq!(made.data_door().chain[1], next.data_door().chain[1]);
        assert_eq!(made.root(), next.root());
        assert!(next.renewed(later).unwrap().is_none());
    }

    #[test]
    fn a_renewed_portal_keeps_its_pin() {
        let folder = tempfile::tempdir().unwrap();
        let made = Pki::create(folder.path(), &names(), now()).unwrap();
        let later = now() + SignedDuration::from_hours(24 * (i64::from(profile::PORTAL_DAYS) - 10));
        let next = made.renewed(later).unwrap().expect("the portal's certificate ends in ten days");
        assert_ne!(made.portal().chain, next.portal().chain);
        assert_eq!(made.portal_pin(), next.portal_pin());
    }

    #[test]
    fn a_new_host_name_makes_a_new_portal_certificate_with_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let made = Pki::create(folder.path(), &names(), now()).unwrap();
        let wider = [names(), vec!["collector.example".into()]].concat();
        let next = Pki::open(folder.path(), &wider).unwrap().renewed(now()).unwrap().expect("a name was added");
        assert_eq!(made.portal_pin(), next.portal_pin());
        assert_ne!(made.portal_certificate_sha256(), next.portal_certificate_sha256());
    }

    #[test]
    fn an_ageing_intermediate_is_replaced_before_its_leaves_could_outlive_it() {
        let folder = tempfile::tempdir().unwrap();
        let made = Pki::create(folder.path(), &names(), now()).unwrap();
        let later = now() + SignedDuration::from_hours(24 * (2 * 365 - 170));
        let next = made.renewed(later).unwrap().expect("less than 180 days are left");
        assert_ne!(made.data_door().chain[1], next.data_door().chain[1]);
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        Pki::create(folder.path(), &names(), now()).unwrap();
        std::fs::write(folder.path().join("intermediate.pem"), "nonsense").unwrap();
        let error = Pki::open(folder.path(), &names()).err().expect("nonsense is no certificate");
        assert!(error.to_string().contains("intermediate.pem"), "{error}");
    }
}

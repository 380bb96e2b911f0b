//! Two roots side by side (SECURITY 14).
//!
//! A rotation is one file, `rotation.pem`: the next root and the next intermediate with their keys, that intermediate
//! once more as the present root signs it, and the present root's certificate. It is there or not, so a rotation has
//! begun or not, whatever dies when. While it is there both roots are trusted: the doors show one chain that ends at
//! either, and agents are given certificates of the next intermediate together with both roots. Ending it puts the next
//! root in the present one's place, whose key is gone then, makes another intermediate (so that every agent renews once
//! more and forgets the old root), and removes the file.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use super::{
    Pki, PkiError,
    files::{Held, INTERMEDIATE, ROOT},
    pin, profile,
};
use crate::files::{FileError, read_text};

const ROTATION: &str = "rotation.pem";
const LOCK: &str = "ca.lock";

/// What a rotation adds to an authority whose root and intermediate are the next ones.
pub(super) struct Rotation {
    /// The present root, which goes.
    pub(super) old_root: Shown,
    /// The next intermediate, as the present root signs it.
    pub(super) cross: Shown,
}

/// A certificate whose key is not here, or not needed.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) der: CertificateDer<'static>,
    pub(super) pem: String,
}

/// Tells whether an authority that was loaded is still what its folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation([Option<std::time::SystemTime>; 2]);

/// Root and intermediate in force, and the rotation that is on.
pub(super) struct Anchors {
    pub(super) root: Held,
    pub(super) intermediate: Held,
    pub(super) rotation: Option<Rotation>,
}

impl Anchors {
    /// Reads what is in force in `folder`. A rotation that begins or ends meanwhile is noticed, and the whole read again.
    pub(super) fn load(folder: &Path) -> Result<Self, PkiError> {
        loop {
            let before = Generation::of(folder);
            let read = Self::read(folder);
            if Generation::of(folder) == before {
                return read;
            }
        }
    }

    fn read(folder: &Path) -> Result<Self, PkiError> {
        let path = folder.join(ROTATION);
        if !path.exists() {
            let (root, intermediate) = (Held::load(&folder.join(ROOT))?, Held::load(&folder.join(INTERMEDIATE))?);
            return Ok(Self { root, intermediate, rotation: None });
        }
        let text = read_text(&path)?;
        let parts: Vec<&str> = text.split_inclusive(SEPARATOR).collect();
        let [root, intermediate, cross, old_root] = parts.as_slice() else {
            return Err(PkiError::Content { path, why: format!("it has {} parts of four", parts.len()) });
        };
        Ok(Self {
            root: Held::parse(root, &path)?,
            intermediate: Held::parse(intermediate, &path)?,
            rotation: Some(Rotation { cross: Shown::parse(cross, &path)?, old_root: Shown::parse(old_root, &path)? }),
        })
    }
}

/// Between the parts of the file; not part of any PEM.
pub(super) const SEPARATOR: &str = "# --\n";

impl Shown {
    fn parse(text: &str, path: &Path) -> Result<Self, PkiError> {
        let (der, pem) = super::files::certificate_in(text, path)?;
        Ok(Self { der, pem })
    }
}

impl Generation {
    /// What `folder` holds at this moment.
    pub(crate) fn of(folder: &Path) -> Self {
        let changed = |name: &str| fs::metadata(folder.join(name)).and_then(|file| file.modified()).ok();
        Self([changed(ROOT), changed(ROTATION)])
    }
}

impl Pki {
    /// Makes the next root and begins the time in which both hold. What it gives is to be served from now on.
    pub(crate) fn begin_rotation(folder: &Path, names: &[String], now: Timestamp) -> Result<Self, RotationError> {
        let _lock = Lock::take(folder)?;
        let present = Self::open(folder, names)?;
        if present.rotation.is_some() {
            return Err(RotationError::Begun);
        }
        let root = Held::signed(profile::root(now)?, None, "the next root")?;
        let profile = profile::intermediate(now)?;
        let intermediate = Held::signed(profile.clone(), Some(&root.issuer()?), "the next intermediate")?;
        let of = "the next intermediate";
        let cross = intermediate.crossed(profile::again(&profile)?, &present.root.issuer()?, of)?;
        let parts = [root.pem(), intermediate.pem(), cross, present.root.certificate_pem()];
        crate::files::write_private(&folder.join(ROTATION), parts.join(SEPARATOR).as_bytes())
            .map_err(PkiError::from)?;
        let begun = Self::open(folder, names)?;
        Ok(begun.renewed(now)?.unwrap_or(begun))
    }

    /// Ends the time in which both roots hold: the old one's key is gone afterwards. Doing it twice is an error the
    /// second time; dying in between leaves a rotation that is on, or one that has ended.
    pub(crate) fn finish_rotation(folder: &Path, names: &[String], now: Timestamp) -> Result<Self, RotationError> {
        let _lock = Lock::take(folder)?;
        let both = Self::open(folder, names)?;
        if both.rotation.is_none() {
            return Err(RotationError::NotBegun);
        }
        // While the rotation's file is there, these are not looked at.
        let intermediate = Held::signed(profile::intermediate(now)?, Some(&both.root.issuer()?), "the intermediate")?;
        intermediate.store(&folder.join(INTERMEDIATE))?;
        both.root.store(&folder.join(ROOT))?;
        let path = folder.join(ROTATION);
        fs::remove_file(&path).map_err(FileError::of("remove", &path)).map_err(PkiError::from)?;
        crate::files::sync_folder(folder).map_err(FileError::of("sync the folder", folder)).map_err(PkiError::from)?;
        let alone = Self::open(folder, names)?;
        Ok(alone.renewed(now)?.unwrap_or(alone))
    }

    /// Since when two roots stand side by side; `None` when one does.
    pub(crate) fn rotating_since(&self) -> Option<Timestamp> {
        self.rotation.as_ref().map(|_| self.root.made_at())
    }

    /// The fingerprint of the root that goes.
    pub(crate) fn old_root_fingerprint(&self) -> Option<String> {
        self.rotation.as_ref().map(|rotation| pin::link_fingerprint(&rotation.old_root.der))
    }

    /// What tells whether this authority is still what its folder holds.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }
}

/// Why a rotation did not begin or end. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RotationError {
    /// One is on.
    #[error("two roots stand side by side already")]
    Begun,
    /// None is on.
    #[error("there is just one root: no rotation is on")]
    NotBegun,
    /// What root writes there the service could not read.
    #[error("{0} belongs to another user, who could not read what this one would write")]
    AnothersFolder(PathBuf),
    /// A file or key.
    #[error(transparent)]
    Pki(#[from] PkiError),
}

/// One change of the authority at a time, by whatever process.
struct Lock(#[expect(dead_code, reason = "held until it is dropped")] File);

impl Lock {
    fn take(folder: &Path) -> Result<Self, RotationError> {
        let path = folder.parent().unwrap_or(folder).join(LOCK);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let is_new = !path.exists();
        let file = options.open(&path).map_err(FileError::of("open", &path)).map_err(PkiError::from)?;
        if !is_same_owner(&file, folder) {
            if is_new {
                // One that stays would keep the owner out.
                let _ = fs::remove_file(&path);
            }
            return Err(RotationError::AnothersFolder(folder.to_owned()));
        }
        file.lock().map_err(FileError::of("lock", &path)).map_err(PkiError::from)?;
        Ok(Self(file))
    }
}

#[cfg(unix)]
fn is_same_owner(file: &File, folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = |data: fs::Metadata| data.uid();
    match (file.metadata().map(owner), fs::metadata(folder).map(owner)) {
        (Ok(mine), Ok(its)) => mine == its,
        // What cannot be looked at fails where it is read.
        _ => true,
    }
}

#[cfg(not(unix))]
fn is_same_owner(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;
    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        pki_types::{ServerName, UnixTime},
        server::WebPkiClientVerifier,
    };
    use rustls_pki_types::pem::PemObject;

    use super::{super::Presented, *};

    fn now() -> Timestamp {
        "2026-11-16T16:10:00Z".parse().unwrap()
    }

    fn names() -> Vec<String> {
        vec!["127.0.0.1".into()]
    }

    fn at(when: Timestamp) -> UnixTime {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(when.as_second().unsigned_abs()))
    }

    /// Whether somebody who pins just `root` believes what a door shows.
    fn believes(root: &CertificateDer<'static>, shown: &Presented, name: &str, when: Timestamp) -> bool {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut anchors = RootCertStore::empty();
        anchors.add(root.clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder(Arc::new(anchors)).build().unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(&shown.chain[0], &shown.chain[1..], &name, &[], at(when)).is_ok()
    }

    /// Whether the data door takes an agent's certificate.
    fn takes(pki: &Pki, chain_pem: &str, when: Timestamp) -> bool {
        let mut anchors = RootCertStore::empty();
        for root in pki.roots() {
            anchors.add(root).unwrap();
        }
        let verifier = WebPkiClientVerifier::builder(Arc::new(anchors)).build().unwrap();
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).collect::<Result<_, _>>().unwrap();
        verifier.verify_client_cert(&chain[0], &chain[1..], at(when)).is_ok()
    }

    fn agent_of(pki: &Pki, when: Timestamp) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let request = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        pki.issue(&request, &"a-1".parse().unwrap(), when).unwrap().chain_pem
    }

    #[test]
    fn security_14_while_two_roots_stand_either_is_believed_and_afterwards_only_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let pki = folder.path().join("pki");
        let before = Pki::create(&pki, &names(), now()).unwrap();
        let (old, of_before) = (before.root(), agent_of(&before, now()));

        let later = now() + SignedDuration::from_hours(24);
        let both = Pki::begin_rotation(&pki, &names(), later).unwrap();
        let (next, of_both) = (both.root(), agent_of(&both, later));
        assert_ne!(old, next);
        assert_eq!((both.rotating_since(), both.roots().len()), (Some(later), 2));
        assert_ne!(before.root_fingerprint(), both.root_fingerprint(), "new links name the next root");
        for root in [&old, &next] {
            assert!(believes(root, &both.data_door(), "data.upheld.internal", later));
            assert!(believes(root, &both.enrolment_door(), "enroll.upheld.internal", later));
            assert!(both.enrolment_door().chain.contains(root), "a host with a link finds its root");
        }
        assert!(takes(&both, &of_before, later) && takes(&both, &of_both, later));
        assert!(!takes(&before, &of_both, later), "the next root is another");
        let again = Pki::begin_rotation(&pki, &names(), later).err().expect("one at a time");
        assert!(matches!(again, RotationError::Begun), "{again}");
        // A process that starts now reads the same.
        assert_eq!(Pki::open(&pki, &names()).unwrap().rotating_since(), Some(later));

        let end = later + SignedDuration::from_hours(24 * 30);
        let after = Pki::finish_rotation(&pki, &names(), end).unwrap();
        assert_eq!((after.rotating_since(), after.root()), (None, next.clone()));
        assert!(believes(&next, &after.data_door(), "data.upheld.internal", end));
        assert!(!believes(&old, &after.data_door(), "data.upheld.internal", end), "the old root is over");
        assert!(takes(&after, &of_both, end) && !takes(&after, &of_before, end));
        assert!(!after.roots_pem().contains(&before.roots_pem()));
        let twice = Pki::finish_rotation(&pki, &names(), end).err().expect("it has ended");
        assert!(matches!(twice, RotationError::NotBegun), "{twice}");
    }

    #[test]
    fn a_rotation_that_was_cut_short_has_begun_or_not_and_ended_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let pki = folder.path().join("pki");
        let before = Pki::create(&pki, &names(), now()).unwrap();
        let both = Pki::begin_rotation(&pki, &names(), now()).unwrap();
        // Killed before the file was in place: nothing has begun. The door is made anew, which is all that is left.
        let kept = fs::read(pki.join(ROTATION)).unwrap();
        fs::rename(pki.join(ROTATION), pki.join("elsewhere")).unwrap();
        let read = Pki::open(&pki, &names()).unwrap();
        let read = read.renewed(now()).unwrap().unwrap_or(read);
        assert_eq!(read.root(), before.root());
        assert!(believes(&before.root(), &read.data_door(), "data.upheld.internal", now()));
        // Killed at the end, with the next root in place and the file still there: both roots still hold.
        fs::write(pki.join(ROTATION), &kept).unwrap();
        both.root.store(&pki.join(ROOT)).unwrap();
        let read = Pki::open(&pki, &names()).unwrap();
        let read = read.renewed(now()).unwrap().unwrap_or(read);
        for root in [before.root(), both.root()] {
            assert!(believes(&root, &read.data_door(), "data.upheld.internal", now()));
        }
        assert!(Pki::finish_rotation(&pki, &names(), now()).is_ok(), "and it can be ended");
    }

    #[test]
    fn a_damaged_rotation_is_named_and_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let pki = folder.path().join("pki");
        Pki::create(&pki, &names(), now()).unwrap();
        fs::write(pki.join(ROTATION), "half of it").unwrap();
        let error = Pki::open(&pki, &names()).err().expect("it is damaged");
        assert!(error.to_string().contains("rotation.pem"), "{error}");
    }
}
